"""Bright debris: objects that OTSU finds, too small for neurites, too round for pieces of them."""
import numpy as np
from scipy import ndimage

from utils.measure import otsu, quantiles

SMALLEST = 1                 # isotropic voxels, radius; what is smaller is noise
MOST = 20000                 # objects whose grey level is measured
LONGEST = 2.0                # length over thickness; what is longer is a piece of a neurite
OWN = 1 / 12                 # variance of a voxel's own extent, square voxels


def measure(voxels, local, *, specks, spacing, blur):
    """Measure debris.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; local: uint16, its background (background.local_level).
        specks: bool [Z, Y, X], of otsu.Segmentation; spacing: (z, y, x) size of a voxel.
        blur: of widths.blur_sigma; what it makes long is round, where it is known.

    Returns:
        dict: density, objects per isotropic voxel; radius_quantiles, of balls of their volumes,
        isotropic voxels; level_quantiles, mean grey level of each above the background. Without
        debris the density is 0 and the quantiles are None.
    """
    objects, count = ndimage.label(specks, otsu.NEIGHBOURS)
    volume = otsu.sizes(objects, count)[1:] * np.prod(spacing)
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    scale = np.asarray(spacing) if None in blur else 1 / np.array(blur)
    big = (radius >= SMALLEST) & (lengths(objects, count, scale=scale) <= LONGEST)
    if not big.any():
        return {'density': 0.0, 'radius_quantiles': None, 'level_quantiles': None}
    which = np.arange(1, count + 1)[:: 1 + count // MOST]
    level = ndimage.mean(voxels[specks].astype(np.float32) - local[specks], objects[specks], which)
    level = np.maximum(level, 0)
    return {'density': float(big.sum() / specks.size / np.prod(spacing)),
            'radius_quantiles': quantiles.of(radius[big]),
            'level_quantiles': quantiles.of(level[big[which - 1]]) or quantiles.of(level)}


def lengths(objects, count, *, scale):
    """Length of each object over its thickness, by the moments of its voxels.

    Args:
        objects: int32 [Z, Y, X], 0 to count, 0 the background; scale: float [3], that z, y and x
        are multiplied by.

    Returns:
        float [count]: root of the largest variance over the geometric mean of the other two.
    """
    places = np.argwhere(objects)
    which = objects[tuple(places.T)] - 1
    places = places.astype(float)
    size = np.maximum(np.bincount(which, minlength=count), 1)

    def mean(values):
        return np.bincount(which, values, minlength=count) / size

    places -= np.stack([mean(column) for column in places.T], 1)[which]
    spread = np.empty((count, 3, 3))
    for a, b in np.ndindex(3, 3):
        spread[:, a, b] = mean(places[:, a] * places[:, b]) + (OWN if a == b else 0.0)
    spread *= np.outer(scale, scale)
    small, middle, large = np.linalg.eigvalsh(spread).T
    return np.sqrt(large / np.sqrt(small * middle))
