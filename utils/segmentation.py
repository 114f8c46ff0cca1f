"""OTSU segmentation of real stacks, to find where their neurites run (METHOD, step 0)."""
from collections import namedtuple

import numpy as np
from scipy import ndimage
from skimage import filters, morphology

from utils import tiling
from utils.config import UserError

RIDGE_TILE = (64, 128, 128)   # voxels that the ridge filter sees at a time, besides a halo

# mask: bool [Z, Y, X], neurites; specks: bool, objects too small for neurites; threshold: grey levels above the background
Segmentation = namedtuple('Segmentation', 'mask specks threshold')


def background(voxels, block):
    """Smooth background: medians of cubic blocks (neurites fill less than half of one), interpolated.

    Args:
        voxels: [Z, Y, X], any real dtype; block: voxels per side.

    Yields:
        (slice of z, float32 [z, Y, X]) slab by slab, so that no second float stack is held.
    """
    edges = [np.linspace(0, n, max(1, int(round(n / block))) + 1).astype(int) for n in voxels.shape]
    spans = [list(zip(e[:-1], e[1:])) for e in edges]
    coarse = np.array([[[np.median(voxels[z0:z1, y0:y1, x0:x1]) for x0, x1 in spans[2]]
                        for y0, y1 in spans[1]] for z0, z1 in spans[0]], np.float32)
    coarse = ndimage.gaussian_filter(coarse, 0.7, mode='nearest')
    weights = [_linear(e) for e in edges]
    plane = np.einsum('zyx,Yy,Xx->zYX', coarse, weights[1], weights[2], optimize=True)
    for z0, z1 in spans[0]:
        yield slice(z0, z1), np.tensordot(weights[0][z0:z1], plane, 1).astype(np.float32)


def _linear(edges):
    """Matrix [voxels, blocks] that interpolates linearly between block centres and extrapolates beyond the outer ones."""
    centres = (edges[:-1] + edges[1:] - 1) / 2
    n, count = edges[-1], len(centres)
    matrix = np.zeros((n, count), np.float32)
    if count == 1:
        return matrix + 1
    voxel = np.arange(n)
    left = np.clip(np.searchsorted(centres, voxel) - 1, 0, count - 2)
    weight = (voxel - centres[left]) / (centres[left + 1] - centres[left])
    matrix[voxel, left], matrix[voxel, left + 1] = 1 - weight, weight
    return matrix


def flat(voxels, flatten_block, smooth_sigma):
    """Grey levels less their smooth background, smoothed; float32 [Z, Y, X]. Arguments as for segment."""
    image = voxels.astype(np.float32)
    if flatten_block:
        for rows, level in background(voxels, flatten_block):
            image[rows] -= level
    if smooth_sigma:
        ndimage.gaussian_filter(image, smooth_sigma, output=image)
    return image


def sampled(image):
    """At most 256 voxels along each axis of a stack, evenly spread."""
    return image[:: 1 + image.shape[0] // 256, :: 1 + image.shape[1] // 256, :: 1 + image.shape[2] // 256]


def cut(image, clip_quantile, noise_floor):
    """OTSU's threshold of a flattened image, raised above its noise. Arguments as for segment."""
    sample = sampled(image)
    threshold = float(filters.threshold_otsu(np.minimum(sample, np.quantile(sample, clip_quantile))))
    if noise_floor:
        middle = np.median(sample)
        threshold = max(threshold, float(middle + noise_floor * 1.4826 * np.median(np.abs(sample - middle))))
    return threshold


def segment(voxels, flatten_block, smooth_sigma, clip_quantile, min_object, noise_floor=0.0, name='stack'):
    """Flatten, smooth, threshold by OTSU, drop small objects.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].
        flatten_block: see background; 0 skips it. smooth_sigma: voxels; 0 skips it.
        clip_quantile: grey levels above it count as it in OTSU; 1 skips it.
        min_object: voxels of the smallest object kept.
        noise_floor: standard deviations of the smoothed background that the threshold is above its median at least:
            where little is foreground, OTSU parts the noise in two halves.
        name: for error messages.

    Returns:
        Segmentation.

    Raises:
        UserError: constant or two-valued image, or nothing left.
    """
    levels = np.unique(voxels)
    if len(levels) < 2:
        raise UserError('%s is empty: every voxel is %d: leave it out' % (name, levels[0]))
    if len(levels) == 2:
        raise UserError('%s is a mask (only %d and %d), not an image: give the stack that it was made from'
                        % (name, levels[0], levels[1]))
    image = flat(voxels, flatten_block, smooth_sigma)
    threshold = cut(image, clip_quantile, noise_floor)
    mask = image > threshold
    del image
    objects, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
    sizes = np.bincount(objects.ravel(), minlength=count + 1)
    keep = sizes >= min_object
    keep[0] = False
    mask = keep[objects]
    specks = (objects > 0) & ~mask
    if not mask.any():
        raise UserError('%s has no foreground: nothing of %d voxels or more is above OTSU: lower MIN_OBJECT or leave it out'
                        % (name, min_object))
    return Segmentation(mask, specks, threshold)


def centreline(mask):
    """Voxels of the skeleton of a mask, int [M, 3]."""
    return np.argwhere(morphology.skeletonize(mask))


def evidence(voxels, method, threshold=0.0, flatten_block=0, smooth_sigma=0.0, clip_quantile=1.0, noise_floor=0.0,
             ridge_sigmas=(1.0,), name='stack'):
    """Grey levels as evidence for neurites: 0 at the background's median or below, 0.5 at the threshold, 1 as far above it.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].
        method: 'otsu', grey levels as they are, OTSU's threshold; 'gaussian', as segment; 'ridge', the largest response
            of Sato's filter over ridge_sigmas (voxels) to the flattened image, then as segment; 'threshold', a given one.
        threshold: grey level of method 'threshold'; the others as for segment.

    Returns:
        uint8 [Z, Y, X], 255 for 1.

    Raises:
        UserError: constant image, or no background below the threshold.
    """
    low, high = int(voxels.min()), int(voxels.max())
    if low == high:
        raise UserError('%s is empty: every voxel is %d: leave it out' % (name, low))
    if method in ('gaussian', 'ridge'):
        image = flat(voxels, flatten_block, smooth_sigma if method == 'gaussian' else 0)
        if method == 'ridge':
            halo = int(4 * max(ridge_sigmas)) + 3
            image = tiling.apply(lambda tile: filters.sato(tile, ridge_sigmas, black_ridges=False).astype(np.float32),
                                 image, RIDGE_TILE, halo)
        threshold = cut(image, clip_quantile, noise_floor)
    else:
        image = voxels
        threshold = float(filters.threshold_otsu(sampled(voxels))) if method == 'otsu' else threshold
    middle = float(np.median(sampled(image)))
    if threshold <= middle:
        raise UserError('%s: the threshold %g is not above the median grey level %g: its neurites would be most of the stack; '
                        'take another METHOD or THRESHOLD' % (name, threshold, middle))
    result = np.empty(voxels.shape, np.uint8)
    for plane, grey in zip(result, image):                       # no second float stack
        plane[:] = np.clip(np.rint((grey - np.float32(middle)) * np.float32(127.5 / (threshold - middle))), 0, 255)
    return result
