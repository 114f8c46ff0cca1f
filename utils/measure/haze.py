"""Haze that was taken for neurites: foreground that hardly stands out of what is around it.

A neurite is thin: a few radii away it is dark, but for others. Haze is bright all around. So the
ridges of the foreground are compared with the level of a box around each of their points.
"""
from typing import NamedTuple, Optional

import numpy as np
from scipy import ndimage

from utils.measure import otsu

BLOCK = 128              # voxels per side of the blocks that a stack is worked on in
MOST_BLOCKS = 64         # that are looked at, spread evenly: 512 x 512 x 512 voxels
SAMPLED = 6000           # voxels of a block's foreground, drawn at random, that ridges are found in
MOST_POINTS = 400        # of these ridges that are looked at
BRIGHTER = 4             # of its 26 neighbours, at most, that a point of a ridge has
REACH = 5.0              # half a box, in radii of the neurites ...
LEAST, LARGEST = 6, 24   # ... and x voxels, at least and at most
STRIDE = 2               # of the voxels of a box that are looked at
QUANTILE = 0.4           # of a box that is its level: dim, but where most of the box is bright
HAZY = 0.33              # of a point's height above the background that the box around it has; the
                         # height is the mean of 3 x 3 x 3 voxels: specks of haze are high


class Haze(NamedTuple):
    """Haze of a stack."""
    share: float             # of the foreground, told by its ridges
    place: Optional[tuple]   # (z, y, x) voxels, in the middle of that of the block with most; None


def measure(voxels, settings, *, threshold, radius, spacing=(1, 1, 1)):
    """How much of what was taken for neurites is haze, and where.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; settings: otsu.Settings that it was segmented by.
        threshold: of that segmentation, grey levels above the local background.
        radius: of its neurites, x voxels; spacing: (z, y, x) of a voxel, x voxels.

    Returns:
        Haze.
    """
    reach = np.clip(REACH * radius, LEAST, LARGEST) / np.asarray(spacing, float)
    reach = np.maximum(2, np.rint(reach)).astype(int)
    how = dict(reach=reach, settings=settings, threshold=threshold)
    corners = list(_corners(voxels.shape))
    found = [_block(voxels, corner, **how) for corner in corners]
    levels = [ridges.level for ridges in found if ridges and ridges.level is not None]
    behind = float(np.median(levels)) if levels else 0.0
    total, hazy, most, place = 0, 0.0, 0.0, None
    for corner, ridges in zip(corners, found):
        ratios, where, count, _ = ridges or _block(voxels, corner, level=behind, **how)
        own = ratios >= HAZY
        amount = count * own.sum() / max(1, len(own))
        total, hazy = total + count, hazy + amount
        if amount > most:
            most, place = amount, tuple(int(v) for v in np.median(where[own], 0))
    return Haze(float(hazy / max(1, total)), place)


class Ridges(NamedTuple):
    """Ridges of the foreground of one block."""
    ratios: np.ndarray       # float [M], level around a point of a ridge over the point's height
    where: np.ndarray        # int [M, 3], the points
    count: int               # voxels of the foreground
    level: Optional[float]   # of the background; None: no foreground, nothing was measured


def _corners(shape):
    """First voxels of the blocks that are looked at: list of (z, y, x)."""
    grid = [range(0, n, BLOCK) for n in shape]
    every = np.stack(np.meshgrid(*grid, indexing='ij'), -1).reshape(-1, 3)
    if len(every) > MOST_BLOCKS:
        every = every[np.linspace(0, len(every) - 1, MOST_BLOCKS).astype(int)]
    return every


def _block(voxels, corner, *, reach, settings, threshold, level=None):
    """Ridges of the foreground of one block.

    Args:
        corner: int [3], its first voxel; reach: int [3], half a box, voxels.
        level: of the background, for a block without any; None: it is not known yet.

    Returns:
        Ridges; None: the block is all foreground, and no level was given.
    """
    low = np.maximum(corner - reach, 0)
    high = np.minimum(corner + BLOCK + reach, voxels.shape)
    image = otsu.flat(voxels[tuple(slice(a, b) for a, b in zip(low, high))], settings)
    mask = image > threshold
    objects, count = ndimage.label(mask, otsu.NEIGHBOURS)
    mask &= (otsu.sizes(objects, count) >= settings.min_object)[objects]
    if not mask.any():
        return Ridges(np.zeros(0), np.zeros((0, 3), int), 0, None)
    if not mask.all():
        level = float(np.median(image[~mask]))
    elif level is None:
        return None
    image -= level
    where = np.argwhere(mask)
    first = corner - low
    where = where[((where >= first) & (where < first + BLOCK)).all(1)]
    count = len(where)
    where = where[np.random.default_rng(0).permutation(count)[:SAMPLED]]
    padded = np.pad(image, 1, mode='edge')
    higher = sum((padded[tuple((where + step).T)] > image[tuple(where.T)]).astype(int)
                 for step in np.ndindex(3, 3, 3))
    where = where[higher <= BRIGHTER][:MOST_POINTS]
    height = ndimage.uniform_filter(image, 3)[tuple(where.T)]
    return Ridges(_around(image, where, reach=reach) / np.maximum(height, 1e-6), where + low, count,
                  level)


def _around(image, where, *, reach):
    """Level of the box around each point; float [M]. Boxes are mirrored at the border.

    Args:
        image: float32 [Z, Y, X]; where: int [M, 3]; reach: int [3].
    """
    padded = np.pad(image, [(r, r) for r in reach], mode='symmetric')
    box = [np.arange(0, 2 * r + 1, STRIDE) for r in reach]
    found = np.zeros(len(where))
    for i, (z, y, x) in enumerate(where):
        found[i] = np.quantile(padded[np.ix_(z + box[0], y + box[1], x + box[2])], QUANTILE)
    return found
