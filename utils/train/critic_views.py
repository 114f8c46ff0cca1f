"""How a critic sees crops: as they are, or their structure alone."""
from typing import NamedTuple, Tuple

import numpy as np

from utils.train import augmentation, critic_crops

MEASURED = 100           # crops that the scale of a set is measured on


class View(NamedTuple):
    """How a critic sees a crop."""
    crop: Tuple[int, int, int]   # (z, y, x) voxels cut out of a patch
    sigma: float                 # voxels of Gaussian smoothing; 0: none
    thin: int                    # every so many-th voxel along each axis is seen
    unit: str                    # of deviations: 'spread' or 'contrast' of the set, see Eye
    gain: float                  # asinh(gain * units) is seen
    noise: float                 # units: white noise that is added first, as it is seen
    strides: Tuple[int, ...]     # of the critic's convolutions


# Smoothed images still differ by what is left of their noise. So their unit is how bright the
# bright is, and noise that is added, white before smoothing, hides theirs.
VIEWS = {'texture': View((32, 32, 32), 0.0, 1, 'spread', 0.5, 0.1, (2, 2, 2, 1)),
         'structure': View((32, 48, 48), 1.5, 2, 'contrast', 4.0, 0.08, (1, 2, 2, 1))}
NOISES = (0.5, 1.5)      # of a view's noise, uniform, in each crop
CONTRAST = 1.4           # largest factor on the deviations in training; one over it the smallest
BRIGHT = 0.99            # quantile of a crop that is its contrast
NORMAL = 1.4826          # standard deviation over median absolute value, of a normal variable


class Eye:
    """Shows crops of a set as a critic sees them: deviations from their median in units of the set.

    A critic that saw grey levels would tell sets by their brightness alone.

    unit: grey levels that are one, at least 1: the spread of voxels about the median of their crop
    (from median absolute deviations), or how far the brightest hundredth lies above it.
    """

    def __init__(self, side, view, *, rng):
        """Args: side: Side; view: View; rng: draws the crops of `train` that are measured."""
        self.images, self.view = side.images, view
        smooth = view.sigma > 0 or view.thin > 1
        self.matrices = [_thinning(n, view) for n in view.crop] if smooth else []
        left = [np.linalg.norm(matrix[len(matrix) // 2]) for matrix in self.matrices]
        patch, corners, _ = critic_crops.draw(side.train, MEASURED, rng=rng)
        found = [self._deviation(i, corner) for i, corner in zip(patch, corners)]
        if view.unit == 'spread':
            unit = NORMAL * np.median([np.median(np.abs(crop)) for crop in found])
        else:
            unit = np.mean([np.quantile(crop, BRIGHT) for crop in found])
        self.unit = np.float32(max(unit, 1.0))
        self.noise = view.noise * self.unit / np.prod(left)          # grey levels before smoothing

    def _deviation(self, i, corner, *, rng=None):
        """A crop of patch i less its median, smoothed and thinned; float32, grey levels."""
        box = tuple(slice(c, c + n) for c, n in zip(corner, self.view.crop))
        crop = self.images.image[i][box].astype(np.float32)
        grain = rng or np.random.default_rng([int(i)] + [int(c) for c in corner])
        crop += grain.random(crop.shape, dtype=np.float32) - np.float32(0.5)  # levels are rounded
        if rng is not None:
            noise = rng.standard_normal(crop.shape, dtype=np.float32)
            crop += np.float32(rng.uniform(*NOISES) * self.noise) * noise
        for axis, matrix in enumerate(self.matrices):
            crop = np.moveaxis(np.tensordot(matrix, crop, (1, axis)), 0, axis)
        return crop - np.median(crop)

    def crop(self, i, corner, *, rng, change=False):
        """A crop as the critic sees it, float32 [Z, Y, X].

        Args:
            i: patch; corner: (z, y, x) voxels in it.
            rng: draws the noise; change: True: it also mirrors, turns and changes the contrast.
        """
        seen = self._deviation(i, corner, rng=rng) / self.unit
        if change:
            seen, = augmentation.turn([seen], rng)
            seen = seen * np.float32(np.exp(rng.uniform(-1, 1) * np.log(CONTRAST)))
        return np.arcsinh(np.float32(self.view.gain) * seen)


def _thinning(n, view):
    """Gaussian smoothing and thinning along an axis of n voxels, as float32 [ceil(n / thin), n].

    Weights beyond the border fall on the voxels inside, so that each row sums to 1.
    """
    x = np.arange(n)
    rows = np.exp(-0.5 * ((x[::view.thin, None] - x) / max(view.sigma, 1e-3)) ** 2)
    return (rows / rows.sum(1, keepdims=True)).astype(np.float32)
