"""Centrelines down to the noise: how many neurites, how bright, how thick; dim ones included.

OTSU leaves the dim neurites out, and of drafts with too many of them it leaves out more: what it
measures of two stacks can agree while one is full of dim fragments. A threshold that is low, and
the same for both, shows that.
"""
import numpy as np
from scipy import ndimage
from skimage import morphology

from utils.measure import otsu, quantiles

NOISE_LEVELS = 4.0           # of the smoothed noise, from which a voxel belongs to a neurite
SMOOTHING = 0.7              # voxels, sigma
SMALLEST = 20                # voxels of an object
SLAB, HALO = 64, 4           # planes that are worked on at once, and beside them
DARKER = 0.16                # quantile one standard deviation below the median of a normal variable


def measure(voxels, local, *, spacing, threshold):
    """Measure the centrelines of what stands out of the noise.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; local: uint16, its background (background.local_level).
        spacing: (z, y, x) size of a voxel; threshold: grey levels above the background.

    Returns:
        dict: `threshold`; `radius`, voxels, the mean along them; `density`, voxels of centreline
        per cubic voxel; `level_quantiles`, grey levels above the background along them, smoothed
        by SMOOTHING. None where there are none.
    """
    sides = [_along(voxels, local, slab=slice(z, z + SLAB), threshold=threshold,
                    spacing=spacing)
             for z in range(0, len(voxels), SLAB)]
    found, radii = [np.concatenate(values) for values in zip(*sides)]
    if not len(found):
        return None
    return {'threshold': float(threshold), 'level_quantiles': quantiles.of(found),
            'radius': float(radii.mean()),
            'density': float(len(found) / voxels.size / np.prod(spacing))}


def threshold(voxels, local):
    """NOISE_LEVELS of the smoothed background, told by what is darker than its middle; float."""
    sample = np.concatenate([otsu.sampled(_flat(voxels, local, slice(z, z + SLAB))).ravel()
                             for z in range(0, len(voxels), SLAB)])
    low, middle = np.quantile(sample, (DARKER, 0.5))
    return NOISE_LEVELS * max(float(middle - low), 1.0)


def _along(voxels, local, *, slab, threshold, spacing):
    """Levels and radii along the centrelines of a slab; two float [N]."""
    image = _flat(voxels, local, slab)
    mask = morphology.remove_small_objects(image > threshold, SMALLEST)
    middle = morphology.skeletonize(mask) > 0
    return image[middle], ndimage.distance_transform_edt(mask, spacing)[middle] - 0.5


def _flat(voxels, local, slab):
    """Grey levels of a slab of planes above the background, smoothed; float32."""
    first, last = max(slab.start - HALO, 0), min(slab.stop + HALO, len(voxels))
    image = voxels[first:last].astype(np.float32) - local[first:last]
    image = ndimage.gaussian_filter(image, SMOOTHING)
    return image[slab.start - first:min(slab.stop, len(voxels)) - first]


def known(measured, seen):
    """Whether the centrelines of the real stacks and of a draft were measured."""
    return bool(measured.get('lines') and seen.get('lines'))
