"""Centrelines down to the noise: how many neurites, how bright, how thick; dim ones included.

OTSU leaves the dim neurites out, and of drafts with too many of them it leaves out more: what it
measures of two stacks can agree while one is full of dim fragments. A threshold that is low, and
the same for both, shows that.
"""
import numpy as np
from scipy import ndimage

from utils.measure import otsu, quantiles, radii

NOISE_LEVELS = 4.0           # of the smoothed noise, from which a voxel belongs to a neurite
SMOOTHING = 0.7              # voxels, sigma
SMALLEST = 20                # voxels of an object
HALO = 4                     # planes beside a slab that its smoothing needs
DARKER = 0.16                # quantile one standard deviation below the median of a normal variable
ROUNDING = 0.3               # grey levels, noise of whole numbers
THINNEST = 0.1               # voxels, radius of a string of single voxels


def threshold(voxels, local):
    """NOISE_LEVELS of the smoothed background, told by what is darker than its middle.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; local: uint16, its background (background.local_level).

    Returns:
        float, grey levels above the background; None where all that is dark is alike.
    """
    step = -(-len(voxels) // otsu.SAMPLED)
    sample = np.concatenate([otsu.sampled(flat(voxels, local, slab=slab)[::step]).ravel()
                             for slab in otsu.slabs(voxels)])
    low, middle = np.quantile(sample, (DARKER, 0.5))
    return NOISE_LEVELS * max(float(middle - low), ROUNDING) if low < middle else None


def standing_out(voxels, local, *, above):
    """What is brighter than the background by so much, smoothed by SMOOTHING; bool [Z, Y, X].

    Args:
        voxels, local: as of threshold; above: grey levels.
    """
    mask = np.zeros(voxels.shape, bool)
    for slab in otsu.slabs(voxels):
        mask[slab] = flat(voxels, local, slab=slab) > above
    return mask


def measure(voxels, local, *, mask, spacing, above):
    """Measure the centrelines of what stands out of the noise.

    Args:
        voxels, local: as of threshold.
        mask: of standing_out; changed: small objects are taken out.
        spacing: (z, y, x) size of a voxel; above: grey levels above the background.

    Returns:
        dict: the `threshold`; `radius`, isotropic voxels, the mean along them; `density`, voxels of
        centreline per cubic voxel; `level_quantiles`, grey levels above the background along them,
        smoothed by SMOOTHING. None where there are none.
    """
    otsu.part_small(mask, SMALLEST)
    middle = otsu.centreline(mask) if mask.any() else np.zeros((0, 3), int)
    if not len(middle):
        return None
    levels = [flat(voxels, local, slab=slab)[tuple((_of(slab, middle) - (slab.start, 0, 0)).T)]
              for slab in otsu.slabs(voxels)]
    thick = radii.skeleton_radii(mask, middle, sampling=spacing)
    return {'threshold': float(above), 'level_quantiles': quantiles.of(np.concatenate(levels)),
            'radius': float(np.maximum(thick, THINNEST).mean()),
            'density': float(len(middle) / voxels.size / np.prod(spacing))}


def _of(slab, points):
    """Those of some points, int [M, 3], that lie in a slab of planes."""
    return points[(points[:, 0] >= slab.start) & (points[:, 0] < slab.stop)]


def flat(voxels, local, *, slab):
    """Grey levels of a slab of planes above the background, smoothed; float32."""
    first, last = max(slab.start - HALO, 0), min(slab.stop + HALO, len(voxels))
    image = voxels[first:last].astype(np.float32) - local[first:last]
    image = ndimage.gaussian_filter(image, SMOOTHING)
    return image[slab.start - first:min(slab.stop, len(voxels)) - first]
