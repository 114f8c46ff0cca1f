"""Run a convolutional network over a stack by tiles, exactly (docs/method.md, step 2).

Each tile is read with a halo as wide as the network's receptive field reaches; its core is kept.
"""
import itertools

import numpy as np


def tiles(shape, tile, *, halo):
    """Yield (core, read, inner): where a tile's result goes, what to read, the core within it.

    The halo stops at the stack's border, so that the network pads there as on the whole stack.

    Args:
        shape, tile: (z, y, x) voxels of the stack and of a core; halo: voxels.

    Yields:
        three tuples of slices (z, y, x).
    """
    for corner in itertools.product(*(range(0, n, t) for n, t in zip(shape, tile))):
        low = np.array(corner)
        high = np.minimum(low + tile, shape)
        first, last = np.maximum(low - halo, 0), np.minimum(high + halo, shape)
        yield tuple(tuple(map(slice, a, b)) for a, b in (
            (low, high), (first, last), (low - first, high - first)))


def apply(function, voxels, *, tile, halo, progress=iter, crops=False, dtype=None):
    """Apply `function` ([Z, Y, X] -> [Z, Y, X]) to a stack by tiles.

    Args:
        voxels: [Z, Y, X]; tile: (z, y, x) voxels of a core; halo: voxels.
        progress: wraps the list of tiles, to show how far it is (tqdm).
        crops: function(tile, sides) drops the halo itself; sides: int [3, 2] of {0, 1}, low and
            high of z, y, x, 1 where the halo is whole. It need not compute what it drops.
        dtype: of the function's result; None: the input's.

    Returns:
        array like `voxels`: what function(voxels) gives if its reach is at most `halo`.
    """
    result = np.empty(voxels.shape, dtype or voxels.dtype)
    for core, read, inner in progress(list(tiles(voxels.shape, tile, halo=halo))):
        if crops:
            sides = np.array([[i.start == halo, r.stop - r.start - i.stop == halo]
                              for i, r in zip(inner, read)], int)
            inner = tuple(slice(i.start - halo * s[0], i.stop - halo * s[0])
                          for i, s in zip(inner, sides))
            result[core] = function(voxels[read], sides)[inner]
        else:
            result[core] = function(voxels[read])[inner]
    return result
