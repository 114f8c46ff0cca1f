"""Run a convolutional network over a stack by tiles, exactly (docs/method.md, step 2).

Each tile is read with a halo as wide as the network's receptive field reaches; its core is kept.
"""
import itertools

import numpy as np


def around(corner, *, shape, tile, halo):
    """(core, read, inner) of the tile at a corner: where its result goes, what to read, the core
    within that.

    The halo stops at the stack's border, so that the network pads there as on the whole stack.

    Args:
        corner: (z, y, x) voxel; shape, tile: (z, y, x) voxels of the stack and of a core.
        halo: voxels.

    Returns:
        three tuples of slices (z, y, x).
    """
    low = np.array(corner)
    high = np.minimum(low + tile, shape)
    first, last = np.maximum(low - halo, 0), np.minimum(high + halo, shape)
    return tuple(tuple(map(slice, a.tolist(), b.tolist())) for a, b in (
        (low, high), (first, last), (low - first, high - first)))


def tiles(shape, tile, *, halo, within=None):
    """Yield `around` of each tile of a stack.

    Args:
        shape, tile: (z, y, x) voxels of the stack and of a core; halo: voxels.
        within: None: all; or a box, (z, y, x) slices, that starts at multiples of the tile and
            ends at some or with the stack: the tiles in it alone.
    """
    within = within or tuple(map(slice, (0, 0, 0), shape))
    for corner in itertools.product(*(range(w.start, w.stop, t) for w, t in zip(within, tile))):
        yield around(corner, shape=shape, tile=tile, halo=halo)


class Window:
    """A part of a stack, indexed by the whole stack's coordinates.

    Attributes:
        shape: (z, y, x) voxels of the whole stack; dtype: of the voxels.
    """

    def __init__(self, voxels, box, *, shape):
        """Args:
            voxels: array of the part; box: (z, y, x) slices, where it lies; shape: of the whole.
        """
        self.voxels, self.shape, self.dtype = voxels, tuple(shape), voxels.dtype
        self._start = [side.start for side in box]

    def __getitem__(self, box):
        """Voxels of a box, (z, y, x) slices, that lies in the part."""
        return self.voxels[shifted(box, self._start)]


def shifted(box, start):
    """A box, (z, y, x) slices, by the coordinates of a part that starts at `start`."""
    return tuple(slice(side.start - at, side.stop - at) for side, at in zip(box, start))


def apply(function, voxels, *, tile, halo, progress=iter, crops=False, dtype=None, within=None):
    """Apply `function` ([Z, Y, X] -> [Z, Y, X]) to a stack by tiles.

    Args:
        voxels: [Z, Y, X], or a Window; tile: (z, y, x) voxels of a core; halo: voxels.
        progress: wraps the list of tiles, to show how far it is (tqdm).
        crops: function(tile, sides) drops the halo itself; sides: int [3, 2] of {0, 1}, low and
            high of z, y, x, 1 where the halo is whole. It need not compute what it drops.
        dtype: of the function's result; None: the input's.
        within: None: the whole; or the box that is computed, see tiles.

    Returns:
        array of the box: what function(voxels) gives there if its reach is at most `halo`.
    """
    within = within or tuple(map(slice, (0, 0, 0), voxels.shape))
    start = [side.start for side in within]
    result = np.empty([side.stop - side.start for side in within], dtype or voxels.dtype)
    for core, read, inner in progress(list(tiles(voxels.shape, tile, halo=halo, within=within))):
        if crops:
            sides = np.array([[i.start == halo, r.stop - r.start - i.stop == halo]
                              for i, r in zip(inner, read)], int)
            inner = tuple(slice(i.start - halo * s[0], i.stop - halo * s[0])
                          for i, s in zip(inner, sides))
            part = function(voxels[read], sides)
        else:
            part = function(voxels[read])
        result[shifted(core, start)] = part[inner]
    return result
