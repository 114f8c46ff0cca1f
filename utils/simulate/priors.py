"""Priors to draw from: the paper's own constants, or what was measured on real stacks."""
import copy
import os

import numpy as np
from scipy import optimize, special

from utils.common import files
from utils.common.errors import UserError
from utils.measure.quantiles import BACKGROUND, LAGS, QUANTILES
from utils.simulate import imaging
from utils.simulate.growth import SHRINK

TAILS = 0.02, 0.9                                        # radii are drawn between these: wider ones are mostly neurites
                                                         # that touch, and those the drafts get by themselves
LEVELS = 0.02, 0.98                                      # the same for levels: the extremes are noise and spots
SCALES = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0)               # voxels, sigmas that a texture may be made of
STRETCH = (0.5, 1.0, 2.0)                                # of z against y and x
# METHOD, step 1: (foreground low, high), (background mean low, high), (background std low, high), grey levels
PAPER = {
    (16, 'dendrite'): ((100, 1000), (1, 200), (0, 20)),
    (16, 'axon'): ((100, 1000), (1, 200), (0, 20)),
    (8, 'dendrite'): ((50, 300), (1, 20), (0, 5)),
    (8, 'axon'): ((20, 250), (1, 20), (0, 5)),
}


def fit_texture(background, correlations):
    """Make a background that has measured grey levels and a measured correlation.

    The correlation is a sum of smooth fields (non-negative least squares over SCALES and STRETCH) and of noise
    between neighbouring voxels, which gets what is left.

    Args:
        background: quantiles at BACKGROUND, grey levels; correlations: three lists at LAGS.

    Returns:
        imaging.Texture.
    """
    measured = np.array([[np.nan if v is None else v for v in row] for row in correlations], float)
    candidates, columns = [], []
    rng = np.random.default_rng(0)
    for scale in SCALES:
        for stretch in STRETCH:
            sigma = (scale * stretch, scale, scale)
            candidates.append(sigma)
            columns.append([_spline_correlation(s, rng) for s in sigma])
    matrix = np.array(columns).reshape(len(candidates), -1).T                    # [3 lags, candidates]
    far = np.tile(np.array(LAGS) >= 2, 3) & np.isfinite(measured.ravel())
    shares = optimize.nnls(matrix[far], np.clip(measured.ravel()[far], 0, 1))[0]
    shares *= min(1, 0.95 / max(shares.sum(), 1e-9))
    rest = 1 - shares.sum()
    fine = []
    for axis in range(3):
        near = measured[axis, 0] - (matrix.reshape(3, len(LAGS), -1)[axis, 0] @ shares)
        rho = 0.0 if np.isnan(near) else float(np.clip(near / rest, 0, 0.66))
        # neighbours weighted w have a correlation of 2 w / (1 + 2 w w)
        fine.append((1 - np.sqrt(1 - 2 * rho * rho)) / (2 * rho) if rho > 0.02 else 0.0)
    components = [(sigma, float(share)) for sigma, share in zip(candidates, shares) if share > 0.005]
    return imaging.Texture(components, tuple(fine), imaging.grey_table(BACKGROUND, background))


def _spline_correlation(sigma, rng, *, n=128):
    """Correlation at LAGS of imaging.smooth_field along an axis."""
    basis = imaging.spline_basis(n, max(sigma, 0.6), rng=rng).astype(float)
    gram = basis @ basis.T
    return [float(np.mean(np.diagonal(gram, lag))) for lag in LAGS]


def read(path):
    """Contents of priors.json.

    Raises:
        UserError: missing, or without the measurements that the simulator draws from.
    """
    if not os.path.exists(path):
        raise UserError("no priors %s: run prepare_patches.py first, or take the paper's with PRIORS=None" % path)
    measured = files.read_json(path)
    try:
        Priors(measured, 16)
        measured['drawn']['density'] + measured['drawn']['keep'] + measured['drawn']['halo'] + measured['debris']['density']
        measured['drawn']['blur_sigma'][2], measured['background']['median'] + measured['background']['robust_std']
    except (KeyError, TypeError, ValueError, IndexError):
        raise UserError('%s lacks measurements: make it anew with prepare_patches.py' % path)
    return measured


class Priors:
    """Draws what one stack needs: foreground level, background, radii, debris."""

    def __init__(self, measured, bits, *, radius=None, kind='axon'):
        """Args:
            measured: contents of priors.json, or None for the paper's constants.
            bits: 8 or 16; kind: 'dendrite' or 'axon', whose grey levels differ in 8 bit.
            radius: (low, high) voxels to draw from instead of measured radii, or None.
        """
        self.measured, self.bits, self.kind = measured, bits, kind
        self.radius, self.fixed = radius or (1.0, 3.0), measured is None or radius is not None
        if measured is not None:
            self.radii = np.array(measured['drawn']['radius_quantiles'], float)
            self.levels = np.array(measured['drawn']['level_quantiles'], float)
            self.texture = fit_texture(measured['background']['quantiles'], measured['correlation'])

    def of(self, kind):
        """The same for another kind of neuron."""
        if kind == self.kind:
            return self
        other = copy.copy(self)
        other.kind = kind
        return other

    def grey_levels(self, rng):
        """The paper's (foreground level above the background, background mean, background std) of one stack."""
        (f0, f1), (m0, m1), (s0, s1) = PAPER[self.bits, self.kind]
        return int(rng.integers(f0, f1)), int(rng.integers(m0, m1)), rng.uniform(s0, s1)

    def white(self, mean, std):
        """(mean, std) of a background without texture: the given ones of the paper, or the measured ones."""
        if self.measured is None:
            return mean, std
        return self.measured['background']['median'], self.measured['background']['robust_std']

    def draw_level(self, rng):
        """Measured grey level of one neurite's centreline above the background, as it looks after blur and staining."""
        return float(np.interp(rng.uniform(*LEVELS), QUANTILES, self.levels))

    def median_level(self):
        """The median of the same."""
        return float(np.interp(0.5, QUANTILES, self.levels))

    def draw_radius(self, rng, depth):
        """Radius in voxels of a node at a depth of the tree: the paper's shrinks with depth, a measured one does not."""
        if self.fixed:
            return rng.uniform(*self.radius) * SHRINK ** depth
        return float(np.interp(rng.uniform(*TAILS), QUANTILES, self.radii))

    def radii_along(self, normal):
        """Measured radii for standard normal values; float, as many."""
        return np.interp(np.clip(special.ndtr(normal), *TAILS), QUANTILES, self.radii)

    def draw_debris(self, count, level, *, blur, rng):
        """Radii in isotropic voxels and grey levels of bright balls.

        Measured ones are what blurred balls look like: a ball as much smaller as the blur is wide, of the same light,
        stands for each.

        Args:
            level: the paper's foreground grey level; blur: isotropic voxels, sigma.
        """
        debris = self.measured and self.measured['debris']
        if not debris or not debris['radius_quantiles']:
            return (rng.choice(imaging.DEBRIS_RADIUS[0], count, p=imaging.DEBRIS_RADIUS[1]).astype(float),
                    (self.median_level() if self.measured else level) * rng.uniform(*imaging.DEBRIS_LEVEL, size=count))
        seen = np.interp(rng.uniform(size=count), QUANTILES, debris['radius_quantiles'])
        shine = np.interp(rng.uniform(size=count), QUANTILES, debris['level_quantiles'])
        radius = np.sqrt(np.maximum(seen ** 2 - blur ** 2, 0.8 ** 2))
        return radius, shine * np.minimum((seen / radius) ** 3, 8)
