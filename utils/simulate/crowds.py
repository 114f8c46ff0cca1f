"""Places with many passing fibres and places with few. Lengths are isotropic voxels.

Starts alone would not do: a fibre carries what starts at a place through half a stack. So fibres
are turned towards where many are, as much as keeps them there. Beyond the paper.
"""
import numpy as np

from utils.measure import crowding

CELL, ALIKE = 16.0, 64.0        # voxels: side of places that have one number of starts, and sigma
                                # over which it is alike, geometric mean of the axes
MARGIN = 16                     # cells around the box, as its noise is smoothed round its ends
STRETCH = 2.0                   # power of the heading that places are alike by farther along it


class Crowds:
    """How many fibres start at the places of a box, and what keeps them there."""

    def __init__(self, limits, clumps, *, heading=None, rng=None):
        """Draw them.

        Args:
            limits: [3] voxels, the highest places of the box.
            clumps: standard deviation of the logarithm of how many start at a place; 0: as many
                everywhere, and nothing is drawn.
            heading: six entries (crowding.PAIRS), or None: anyhow. Crowds are tracts along it.
            rng: numpy Generator, needed with clumps.
        """
        self.limits, self.field = np.asarray(limits, float), None
        if clumps:
            shape = np.maximum(np.round((self.limits + 1) / CELL), 1).astype(int)
            field = _smooth(rng.standard_normal(shape + 2 * MARGIN), heading)
            field = field[(slice(MARGIN, -MARGIN),) * 3]
            field = field - field.mean()
            self.field = clumps * field / max(field.std(), 1e-9)         # a single place: 0
            self.slope = _slope(self.field, self.limits / shape)
            weight = np.exp(self.field - self.field.max()).ravel()
            self.share = np.cumsum(weight) / weight.sum()

    def starts(self, count, *, rng):
        """Places where fibres start, float [count, 3]."""
        share = rng.uniform(0, 1, (count, 3))
        if self.field is not None:
            cell = np.searchsorted(self.share, rng.random(count)).clip(0, len(self.share) - 1)
            shape = self.field.shape
            share = (np.stack(np.unravel_index(cell, shape), 1) + share) / shape
        return share * self.limits

    def slope_at(self, places):
        """Gradient of the logarithm of how many fibres start, at places float [N, 3] of a box with
        clumps; float [N, 3], per voxel.

        Walks whose directions a, unit vectors, diffuse and drift by F less its part along a keep a
        density r(x), whichever way they run, if a . grad r + r div_a F = 0. The divergence is
        -2 a . F, so F is half of the gradient of log r, without a heading (fibres.Box.turned).
        """
        shape = np.array(self.field.shape)
        cell = (places / self.limits * shape).astype(int).clip(0, shape - 1)
        return self.slope[tuple(cell.T)]


def _slope(field, step):
    """Gradient of a field, float [Z, Y, X, 3], per voxel; step: float [3], voxels of a cell."""
    return np.stack([np.gradient(field, size, axis=axis) if field.shape[axis] > 1
                     else np.zeros(field.shape) for axis, size in enumerate(step)], -1)


def _smooth(noise, heading):
    """Noise smoothed by a Gaussian of sigma ALIKE, farther along the heading; its ends meet.

    Args:
        noise: float [Z, Y, X], a value for each place; heading: as of Crowds.

    Returns:
        float, as `noise`.
    """
    values, vectors = np.linalg.eigh(np.eye(3) / 3 if heading is None
                                     else crowding.matrix(heading))
    values = np.maximum(values, crowding.THINNEST) ** STRETCH
    values = (ALIKE / CELL) ** 2 * values / np.prod(values) ** (1 / 3)
    variance = (vectors * values) @ vectors.T
    waves = np.stack(np.meshgrid(*[2 * np.pi * np.fft.fftfreq(n) for n in noise.shape],
                                 indexing='ij'), -1)
    decay = np.exp(-np.einsum('...i,ij,...j', waves, variance, waves) / 2)
    return np.fft.ifftn(np.fft.fftn(noise) * decay).real
