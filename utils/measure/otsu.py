"""OTSU segmentation of a stack: where its neurites run (docs/method.md, step 0)."""
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import filters, morphology

from utils.common.errors import UserError
from utils.measure import background
from utils.measure.quantiles import MAD

NEIGHBOURS = np.ones((3, 3, 3), bool)    # voxels of one object touch by faces, edges or corners
SLAB = 16                                # planes that are worked on at once, to save memory
SAMPLED = 256                            # voxels along each axis that thresholds are told from


class Settings(NamedTuple):
    """How OTSU finds neurites (configs/otsu.py)."""
    flatten_block: int = 0       # voxels per side of the blocks of the background; 0: not flattened
    smooth_sigma: float = 0.0    # voxels of Gaussian smoothing before the threshold; 0: none
    clip_quantile: float = 1.0   # grey levels above this quantile count as it in OTSU; 1: none
    noise_floor: float = 0.0     # background std that the threshold is raised to; 0: OTSU alone
    min_object: int = 1          # voxels of the smallest object kept


class Segmentation(NamedTuple):
    """A segmented stack."""
    mask: np.ndarray             # bool [Z, Y, X], neurites
    specks: np.ndarray           # bool [Z, Y, X], objects too small for neurites
    threshold: float             # grey levels above the background


def flat(voxels, settings):
    """Grey levels above the smooth background, smoothed.

    Args:
        voxels: [Z, Y, X], any real dtype; settings: Settings.

    Returns:
        float32 [Z, Y, X].
    """
    image = voxels.astype(np.float32)
    if settings.flatten_block:
        for rows, level in background.block_medians(voxels, settings.flatten_block):
            image[rows] -= level
    if settings.smooth_sigma:
        ndimage.gaussian_filter(image, settings.smooth_sigma, output=image)
    return image


def sampled(image):
    """Voxels of a stack, evenly spread, at most about SAMPLED along each axis."""
    return image[tuple(slice(None, None, 1 + n // SAMPLED) for n in image.shape)]


def cut(image, settings):
    """OTSU's threshold of a flattened image, raised above its noise.

    Where little is foreground, OTSU alone parts the noise in two halves.

    Args:
        image: float32 [Z, Y, X], of flat; settings: Settings.

    Returns:
        float, grey levels above the background.
    """
    return cut_of(sampled(image), settings)


def cut_of(sample, settings):
    """cut() of sampled voxels of an image, or of several images pooled; sample: float32, any shape.
    """
    clipped = np.minimum(sample, np.quantile(sample, settings.clip_quantile))
    threshold = float(filters.threshold_otsu(clipped))
    if settings.noise_floor:
        middle = np.median(sample)
        deviation = np.median(np.abs(sample - middle))
        threshold = max(threshold, float(middle + settings.noise_floor * MAD * deviation))
    return threshold


def segment(voxels, settings, *, threshold=None, name='stack'):
    """Flatten, smooth, threshold by OTSU, drop small objects.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; settings: Settings; name: for error messages.
        threshold: grey levels above the background, of a volume of which this is a block; None:
            OTSU's of this stack.

    Returns:
        Segmentation.

    Raises:
        UserError: constant or two-valued image, or nothing left.
    """
    levels = np.unique(np.concatenate([np.unique(voxels[slab]) for slab in slabs(voxels)]))
    if len(levels) < 2:
        raise UserError('%s is empty: every voxel is %d: leave it out' % (name, levels[0]))
    if len(levels) == 2:
        raise UserError('%s is a mask (only %d and %d), not an image: give the stack that it was '
                        'made from' % (name, levels[0], levels[1]))
    image = flat(voxels, settings)
    threshold = cut(image, settings) if threshold is None else threshold
    mask = image > threshold
    del image                                            # 4 bytes a voxel
    specks = part_small(mask, settings.min_object)
    if not mask.any():
        raise UserError('%s has no foreground: nothing of %d voxels or more is above OTSU: lower '
                        'NOISE_FLOOR or MIN_OBJECT, or leave it out' % (name, settings.min_object))
    return Segmentation(mask, specks, threshold)


def part_small(mask, least):
    """Take the objects of fewer than `least` voxels out of a mask, bool [Z, Y, X]; returns them."""
    objects, count = ndimage.label(mask, NEIGHBOURS)
    keep = sizes(objects, count) >= least
    keep[0] = False
    for slab in slabs(mask):                             # indices take 8 bytes a voxel
        mask[slab] = keep[objects[slab]]
    specks = objects > 0
    specks &= ~mask
    return specks


def slabs(voxels):
    """Slices of z, SLAB planes each, that make up a stack [Z, Y, X]."""
    return [slice(z, z + SLAB) for z in range(0, len(voxels), SLAB)]


def sizes(objects, count):
    """Voxels of each object, and of the background first; int [count + 1].

    Args:
        objects: int32 [Z, Y, X], 0 to count.
    """
    return sum(np.bincount(objects[slab].ravel(), minlength=count + 1)
               for slab in slabs(objects))


def centreline(mask):
    """Voxels of the skeleton of a mask (bool [Z, Y, X]); int [M, 3]."""
    return np.argwhere(morphology.skeletonize(mask))
