"""The background behind the neurites: its smooth level, and the voxels that show it alone."""
import numpy as np
from scipy import ndimage

from utils.measure import coarse, quantiles

COARSE_SIGMA = 0.7           # blocks: the grid of medians is smoothed
CLEARANCE = 2                # voxels kept between neurites or debris and what counts as background
FEWEST = 1000                # voxels with that clearance; with fewer, any voxel outside counts
MOST = 2000000               # voxels whose grey levels are kept
HIGHEST = 4                  # std above the background's median that its local level may reach


def block_medians(voxels, block):
    """Smooth background: medians of cubic blocks, interpolated linearly.

    Right where neurites fill less than half of each block.

    Args:
        voxels: [Z, Y, X], any real dtype; block: voxels per side, about.

    Yields:
        (slice of z, float32 [z, Y, X]) slab by slab, so that no second float stack is held.
    """
    edges = [np.linspace(0, n, max(1, int(round(n / block))) + 1).astype(int)
             for n in voxels.shape]
    spans = [list(zip(e[:-1], e[1:])) for e in edges]
    grid = np.array([[[np.median(voxels[z0:z1, y0:y1, x0:x1]) for x0, x1 in spans[2]]
                      for y0, y1 in spans[1]] for z0, z1 in spans[0]], np.float32)
    grid = ndimage.gaussian_filter(grid, COARSE_SIGMA, mode='nearest')
    weights = [coarse.linear(e) for e in edges]
    plane = np.einsum('zyx,Yy,Xx->zYX', grid, weights[1], weights[2], optimize=True)
    for z0, z1 in spans[0]:
        yield slice(z0, z1), np.tensordot(weights[0][z0:z1], plane, 1).astype(np.float32)


def local_level(voxels, block, *, middle, std):
    """Grey level of the background at each voxel: block_medians, limited.

    Where neurites fill most of a block its median is theirs: it is cut to HIGHEST stds.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].
        block: voxels per side of a block; 0: one median for the stack.
        middle, std: of the background, grey levels.

    Returns:
        uint16 [Z, Y, X].
    """
    level = np.empty(voxels.shape, np.uint16)
    if block:
        for rows, slab in block_medians(voxels, block):
            level[rows] = np.clip(np.rint(slab), 0, 65535)
    else:
        level[:] = int(np.median(voxels[::2, ::2, ::2]))
    return np.minimum(level, int(np.clip(middle + HIGHEST * std, 0, 65535)), out=level)


def behind(voxels, found):
    """The voxels that show background alone.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; found: otsu.Segmentation.

    Returns:
        (outside, levels): bool [Z, Y, X]; grey levels of them, as of sample.
    """
    outside = found.mask | found.specks
    outside = ~ndimage.binary_dilation(outside, iterations=CLEARANCE)
    levels = sample(voxels, outside)
    if len(levels) < FEWEST:                             # crowded: no voxel is far from a neurite
        outside = ~(found.mask | found.specks)
        levels = sample(voxels, outside)
    return outside, levels


def sample(voxels, where):
    """Grey levels of every n-th voxel of a mask, at most about MOST; [N], dtype of the stack.

    Plane by plane, as indices take 8 bytes a voxel.
    """
    step, seen, taken = 1 + np.count_nonzero(where) // MOST, 0, [voxels[:0].ravel()]
    for plane, there in zip(voxels, where):
        levels = plane[there]
        taken.append(levels[-seen % step::step])
        seen += len(levels)
    return np.concatenate(taken)


def grey_levels(levels):
    """Distribution of the background's grey levels, for priors.json.

    Returns:
        dict: median, robust_std (median absolute deviation, scaled), quantiles (BACKGROUND).
    """
    middle, std = quantiles.robust_std(levels)
    return {'median': middle, 'robust_std': std,
            'quantiles': quantiles.of(levels, quantiles.BACKGROUND)}
