"""Places with many passing fibres and places with few. Lengths are isotropic voxels.

Where many start, fibres also run far; where few do, they end soon. Starts alone would not do: a
fibre carries what starts at a place through half a stack. Beyond the paper.
"""
import numpy as np
from scipy import ndimage

CELL, ALIKE = 16.0, 64.0        # voxels: side of places that have one number of starts, and sigma
                                # over which it is alike
MARGIN = 16                     # cells around the box, so that its border is as its middle
TOLL = 0.3, 10.0                # of the most crowded places and of the emptiest


class Crowds:
    """How many fibres start at the places of a box, and how far they run there."""

    def __init__(self, limits, clumps, *, rng=None):
        """Draw them.

        Args:
            limits: [3] voxels, the highest places of the box.
            clumps: standard deviation of the logarithm of how many start at a place; 0: as many
                everywhere, and nothing is drawn.
            rng: numpy Generator, needed with clumps.
        """
        self.limits, self.field = np.asarray(limits, float), None
        self.least = TOLL[0] if clumps else 1.0          # toll of any place
        if clumps:
            shape = np.maximum(np.round((self.limits + 1) / CELL), 1).astype(int)
            field = ndimage.gaussian_filter(rng.standard_normal(shape + 2 * MARGIN), ALIKE / CELL)
            field = field[(slice(MARGIN, -MARGIN),) * 3]
            field = field - field.mean()
            self.field = clumps * field / max(field.std(), 1e-9)         # a single place: 0
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

    def toll(self, places):
        """How much of its length a fibre uses up for a voxel walked at places float [N, 3]: one
        over how many start there, of the mean of the logarithms; float [N] within TOLL, or 1.
        """
        if self.field is None:
            return 1.0
        shape = np.array(self.field.shape)
        cell = (places / self.limits * shape).astype(int).clip(0, shape - 1)
        return np.exp(-self.field[tuple(cell.T)]).clip(*TOLL)
