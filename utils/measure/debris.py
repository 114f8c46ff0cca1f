"""Bright debris: objects that OTSU finds and that are too small for neurites."""
import numpy as np
from scipy import ndimage

from utils.measure import otsu, quantiles

SMALLEST = 1                 # isotropic voxels, radius; what is smaller is noise
MOST = 20000                 # objects whose grey level is measured


def measure(voxels, local, *, specks, spacing):
    """Measure debris.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; local: uint16, its background (background.local_level).
        specks: bool [Z, Y, X], of otsu.Segmentation; spacing: (z, y, x) size of a voxel.

    Returns:
        dict: density, objects per isotropic voxel; radius_quantiles, of balls of their volumes,
        isotropic voxels; level_quantiles, mean grey level of each above the background. Without
        debris the density is 0 and the quantiles are None.
    """
    objects, count = ndimage.label(specks, otsu.NEIGHBOURS)
    volume = otsu.sizes(objects, count)[1:] * np.prod(spacing)
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    big = radius >= SMALLEST
    if not big.any():
        return {'density': 0.0, 'radius_quantiles': None, 'level_quantiles': None}
    which = np.arange(1, count + 1)[:: 1 + count // MOST]
    level = ndimage.mean(voxels[specks].astype(np.float32) - local[specks], objects[specks], which)
    level = np.maximum(level, 0)
    return {'density': float(big.sum() / specks.size / np.prod(spacing)),
            'radius_quantiles': quantiles.of(radius[big]),
            'level_quantiles': quantiles.of(level[big[which - 1]]) or quantiles.of(level)}
