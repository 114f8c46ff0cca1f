"""OTSU segmentation of real stacks, to find where their neurites run (METHOD, step 0)."""
from collections import namedtuple
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import filters, morphology

from utils.common.errors import UserError


class Settings(NamedTuple):
    """How OTSU finds neurites (configs/otsu.py)."""
    flatten_block: int = 0        # voxels per side of the blocks whose medians are the background; 0: no flattening
    smooth_sigma: float = 0.0     # voxels of Gaussian smoothing before the threshold; 0: none
    clip_quantile: float = 1.0    # grey levels above it count as it in OTSU; 1: none
    noise_floor: float = 0.0      # standard deviations of the background that the threshold is raised to; 0: OTSU alone
    min_object: int = 1           # voxels of the smallest object kept


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


def flat(voxels, settings):
    """Grey levels less their smooth background, smoothed; float32 [Z, Y, X]."""
    image = voxels.astype(np.float32)
    if settings.flatten_block:
        for rows, level in background(voxels, settings.flatten_block):
            image[rows] -= level
    if settings.smooth_sigma:
        ndimage.gaussian_filter(image, settings.smooth_sigma, output=image)
    return image


def sampled(image):
    """At most 256 voxels along each axis of a stack, evenly spread."""
    return image[:: 1 + image.shape[0] // 256, :: 1 + image.shape[1] // 256, :: 1 + image.shape[2] // 256]


def cut(image, settings):
    """OTSU's threshold of a flattened image, raised above its noise; grey levels.

    Where little is foreground, OTSU alone parts the noise in two halves.
    """
    sample = sampled(image)
    threshold = float(filters.threshold_otsu(np.minimum(sample, np.quantile(sample, settings.clip_quantile))))
    if settings.noise_floor:
        middle = np.median(sample)
        threshold = max(threshold, float(middle + settings.noise_floor * 1.4826 * np.median(np.abs(sample - middle))))
    return threshold


def segment(voxels, settings, *, name='stack'):
    """Flatten, smooth, threshold by OTSU, drop small objects.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; settings: Settings; name: for error messages.

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
    image = flat(voxels, settings)
    threshold = cut(image, settings)
    mask = image > threshold
    del image
    objects, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
    sizes = np.bincount(objects.ravel(), minlength=count + 1)
    keep = sizes >= settings.min_object
    keep[0] = False
    mask = keep[objects]
    specks = (objects > 0) & ~mask
    if not mask.any():
        raise UserError('%s has no foreground: nothing of %d voxels or more is above OTSU: lower MIN_OBJECT or leave it out'
                        % (name, settings.min_object))
    return Segmentation(mask, specks, threshold)


def centreline(mask):
    """Voxels of the skeleton of a mask, int [M, 3]."""
    return np.argwhere(morphology.skeletonize(mask))
