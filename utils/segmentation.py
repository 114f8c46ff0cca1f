"""OTSU segmentation of real stacks, to find where their neurites run (METHOD, step 0)."""
import numpy as np
from scipy import ndimage
from skimage import filters, morphology

from utils.config import UserError


def background(voxels, block):
    """Smooth background: medians of cubic blocks (neurites fill less than half of one), interpolated.

    Args:
        voxels: [Z, Y, X], any real dtype; block: voxels per side.

    Yields:
        (slice of z, float32 [z, Y, X]) slab by slab, so that no second float stack is held.
    """
    starts = [range(0, n, block) for n in voxels.shape]
    coarse = np.array([[[np.median(voxels[z:z + block, y:y + block, x:x + block]) for x in starts[2]]
                        for y in starts[1]] for z in starts[0]], np.float32)
    coarse = ndimage.gaussian_filter(coarse, 0.7, mode='nearest')
    weights = [_linear(n, block) for n in voxels.shape]
    plane = np.einsum('zyx,Yy,Xx->zYX', coarse, weights[1], weights[2], optimize=True)
    for z in starts[0]:
        rows = slice(z, min(z + block, voxels.shape[0]))
        yield rows, np.tensordot(weights[0][rows], plane, 1).astype(np.float32)


def _linear(n, block):
    """Matrix [n, blocks] that interpolates block centres linearly, constant beyond the outer ones."""
    count = -(-n // block)
    centres = (np.arange(count) * block + np.minimum((np.arange(count) + 1) * block, n) - 1) / 2
    return np.stack([np.interp(np.arange(n), centres, row) for row in np.eye(count)], 1).astype(np.float32)


def segment(voxels, flatten_block, smooth_sigma, clip_quantile, min_object, name='stack'):
    """Flatten, smooth, threshold by OTSU, drop small objects.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].
        flatten_block: see background; 0 skips it. smooth_sigma: voxels; 0 skips it.
        clip_quantile: grey levels above it count as it in OTSU; 1 skips it.
        min_object: voxels of the smallest object kept.
        name: for error messages.

    Returns:
        (mask, threshold): bool [Z, Y, X] and OTSU's threshold in grey levels above the background.

    Raises:
        UserError: constant or two-valued image, or nothing left.
    """
    levels = np.unique(voxels)
    if len(levels) < 2:
        raise UserError('%s is empty: every voxel is %d: leave it out' % (name, levels[0]))
    if len(levels) == 2:
        raise UserError('%s is a mask (only %d and %d), not an image: give the stack that it was made from'
                        % (name, levels[0], levels[1]))
    image = voxels.astype(np.float32)
    if flatten_block:
        for rows, level in background(voxels, flatten_block):
            image[rows] -= level
    if smooth_sigma:
        ndimage.gaussian_filter(image, smooth_sigma, output=image)
    sample = image[:: 1 + image.shape[0] // 256, :: 1 + image.shape[1] // 256, :: 1 + image.shape[2] // 256]
    threshold = float(filters.threshold_otsu(np.minimum(sample, np.quantile(sample, clip_quantile))))
    mask = image > threshold
    del image
    objects, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
    sizes = np.bincount(objects.ravel(), minlength=count + 1)
    keep = sizes >= min_object
    keep[0] = False
    mask = keep[objects]
    if not mask.any():
        raise UserError('%s has no foreground: nothing of %d voxels or more is above OTSU: lower MIN_OBJECT or leave it out'
                        % (name, min_object))
    return mask, threshold


def centreline(mask):
    """Voxels of the skeleton of a mask, int [M, 3]."""
    return np.argwhere(morphology.skeletonize(mask))
