"""Image formation of the drafts (METHOD, step 1): from a label to grey levels.

Images are float32 [Z, Y, X] in grey levels until `to_dtype`; `spacing` is the size of a voxel in
isotropic voxels, (2, 1, 1) for the paper's stacks.
"""
import numpy as np
from scipy import ndimage

from utils import raster

DEBRIS_RADIUS = (1, 2, 3, 4), (0.7, 0.25, 0.04, 0.01)     # isotropic voxels, probabilities
DEBRIS_LEVEL = 0.5, 1.5                                   # of the foreground's grey level


def stain(mask, level, keep, rng):
    """Punctate staining with photon noise: each foreground voxel shines with probability `keep`.

    Returns:
        float32 [Z, Y, X]: Poisson counts of mean `level` where the stain took, else 0.
    """
    image = np.zeros(mask.shape, np.float32)
    inside = np.flatnonzero(mask)
    lit = inside[rng.random(len(inside)) < keep]
    image.ravel()[lit] = rng.poisson(level, len(lit))
    return image


def add_debris(image, mask, level, count, spacing, rng):
    """Put bright balls outside the neuron, in place; where balls overlap, the last one shows."""
    spacing = np.asarray(spacing, float)
    centres = rng.uniform(0, 1, (count, 3)) * np.asarray(mask.shape) * spacing
    radii = rng.choice(DEBRIS_RADIUS[0], count, p=DEBRIS_RADIUS[1])
    levels = level * rng.uniform(*DEBRIS_LEVEL, count)
    for i, box, inside in raster.balls(mask.shape, centres, radii, spacing):
        image[box][inside & ~mask[box]] = levels[i]


def blur(image, sigma, spacing):
    """Gaussian blur; sigma in isotropic voxels."""
    return ndimage.gaussian_filter(image, [sigma / s for s in spacing], truncate=4.0)


def add_background(image, mean, std, rng):
    """Add a Gaussian background, in place."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= std
    noise += mean
    image += noise


def to_dtype(image, dtype):
    """Round and clip grey levels to uint8 or uint16."""
    limits = np.iinfo(dtype)
    np.rint(image, out=image)
    np.clip(image, limits.min, limits.max, out=image)
    return image.astype(dtype)
