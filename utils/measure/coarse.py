"""Coarse grids: means or medians of blocks of a stack, and what lies between their centres."""
import numpy as np


def ends(size, block):
    """First voxel of each block along an axis, and `size` last; int [blocks + 1].

    Args:
        size: voxels of the axis; block: voxels of a block; the last one may have up to twice as
        many less one.
    """
    return np.r_[np.arange(max(1, size // block)) * block, size]


def means(voxels, edges):
    """Means of the blocks of a stack.

    Args:
        voxels: [Z, Y, X], any real dtype; edges: three of ends().

    Returns:
        float32 [z, y, x], a value for each block.
    """
    found = []
    for first, last in zip(edges[0][:-1], edges[0][1:]):
        plane = voxels[first:last].sum(0, dtype=np.float32)
        for axis, edge in ((0, edges[1]), (1, edges[2])):
            plane = np.add.reduceat(plane, edge[:-1], axis)
        found.append(plane / (last - first))
    return (np.stack(found) / np.diff(edges[1])[:, None] / np.diff(edges[2])).astype(np.float32)


def medians(voxels, where, *, edges, least=0.25):
    """Medians of some voxels of each block.

    Args:
        voxels: [Z, Y, X]; where: bool, those that count; edges: three of ends(), of equal blocks
        but for the last ones, whose surplus is left out.
        least: share of a block's voxels that must count.

    Returns:
        float32 [z, y, x]; NaN in a block with fewer.
    """
    steps = [edge[1] - edge[0] for edge in edges]
    y, x = [(len(edge) - 1) for edge in edges[1:]]
    found = []
    for first in edges[0][:-1]:
        box = (slice(first, first + steps[0]), slice(y * steps[1]), slice(x * steps[2]))
        level = np.where(where[box], voxels[box], np.inf).astype(np.float32)
        level = level.reshape(-1, y, steps[1], x, steps[2]).transpose(1, 3, 0, 2, 4)
        level = np.sort(level.reshape(y, x, -1), 2)
        count = np.isfinite(level).sum(2)
        middle = np.take_along_axis(level, np.maximum(count - 1, 0)[..., None] // 2, 2)[..., 0]
        found.append(np.where(count >= max(1, least * level.shape[2]), middle, np.nan))
    return np.stack(found).astype(np.float32)


def linear(edges):
    """Weights of the blocks in each voxel: linear between block centres and on beyond the outer.

    Args:
        edges: int [B + 1], voxels at which the blocks start and end.

    Returns:
        float32 [edges[-1], B], rows of sum 1.
    """
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


def between(grid, edges, *, slab):
    """A stack from the values of its blocks: linear between their centres.

    Args:
        grid: float32 [z, y, x]; edges: three arrays, of the blocks; slab: planes at a time.

    Yields:
        (slice of z, float32 [z, Y, X]).
    """
    weights = [linear(edge) for edge in edges]
    plane = np.matmul(weights[1], np.matmul(grid, weights[2].T))         # [z, Y, X]
    for first in range(0, len(weights[0]), slab):
        rows = slice(first, min(first + slab, len(weights[0])))
        near = np.flatnonzero(weights[0][rows].any(0))
        yield rows, np.tensordot(weights[0][rows][:, near], plane[near], 1)
