"""Bright debris: objects that OTSU finds, too small for neurites, too round for pieces of them."""
import numpy as np
from scipy import ndimage
from skimage.measure import regionprops_table

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
        blur: of widths.blur_sigma; what it makes long is round. Where some of it is unknown, what
            is long counts, too.

    Returns:
        dict: density, objects per isotropic voxel; radius_quantiles, of balls of their volumes,
        isotropic voxels; level_quantiles, mean grey level of each above the background. Without
        debris the density is 0 and the quantiles are None.
    """
    objects, count = ndimage.label(specks, otsu.NEIGHBOURS)
    volume = otsu.sizes(objects, count)[1:] * np.prod(spacing)
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    big = radius >= SMALLEST
    if big.any() and None not in blur:                   # else what it made long would be left out
        objects *= np.r_[False, big][objects]
        big[big] = lengths(objects, scale=1 / np.array(blur)) <= LONGEST
    if not big.any():
        return {'density': 0.0, 'radius_quantiles': None, 'level_quantiles': None}
    which = np.flatnonzero(big)[:: 1 + big.sum() // MOST] + 1
    level = ndimage.mean(voxels[specks].astype(np.float32) - local[specks], objects[specks], which)
    return {'density': float(big.sum() / specks.size / np.prod(spacing)),
            'radius_quantiles': quantiles.of(radius[big]),
            'level_quantiles': quantiles.of(np.maximum(level, 0))}


def lengths(objects, *, scale):
    """Length of each object over its thickness, by its inertia tensor.

    Args:
        objects: int [Z, Y, X], 0 the background; scale: float [3], that z, y and x are multiplied
        by.

    Returns:
        float [N], of each number that objects have, in order: root of the largest variance over the
        geometric mean of the other two.
    """
    found = regionprops_table(objects, properties=('inertia_tensor',))
    inertia = np.stack([found['inertia_tensor-%d-%d' % place] for place in np.ndindex(3, 3)], 1)
    inertia = inertia.reshape(-1, 3, 3)
    whole = np.trace(inertia, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 2
    spread = whole - inertia + OWN * np.eye(3)
    small, middle, large = np.linalg.eigvalsh(spread * np.outer(scale, scale)).T
    return np.sqrt(large / np.sqrt(small * middle))
