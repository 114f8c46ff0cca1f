"""Stacks of any size in bounded memory: their middle, their histogram; results by name."""
import contextlib
import glob
import os
from collections import namedtuple

import numpy as np

from utils.common.errors import UserError
from utils.data import stacks, volumes

MOST = 2 ** 27               # voxels that are read at a time: 512 x 512 x 512
SHORTEST = 64                # voxels: a side that short is taken whole

# voxels: what is sliced, [Z, Y, X]: an array, or a sliced.Volume; voxel_size: um (z, y, x) or None
Opened = namedtuple('Opened', 'voxels voxel_size path')
# voxels: array [Z, Y, X]; corner: its first voxel in the stack; whole: whether it is all of it
Part = namedtuple('Part', 'voxels voxel_size corner whole')


@contextlib.contextmanager
def opened(path, *, channel=0, smallest=(1, 1, 1), probabilities=False):
    """Yield a stack as Opened; of OME-Zarr and chunked HDF5 nothing but metadata is read.

    Args, raises: as stacks.read.
    """
    if not volumes.is_volume(path):
        stack = stacks.read(path, smallest, channel=channel, probabilities=probabilities)
        yield Opened(stack.voxels, stack.voxel_size, path)
        return
    with volumes.open_volume(path, channel=channel) as volume:
        if volume.dtype.kind == 'f' and not probabilities:
            raise UserError('%s is floating point: convert it to 8 or 16 bit' % path)
        stacks.check_sides(path, volume.shape, smallest=smallest, voxel_size=volume.voxel_size)
        yield Opened(volume, volume.voxel_size, path)


def channel_of(path, channel):
    """The channel, or 0 of a stack that has one only: masks beside stacks with several."""
    return channel if channel and volumes.has_channels(path) else 0


def middle(shape, most=None):
    """The middle of a stack, sides shortened alike; tuple of slices.

    Args:
        shape: (z, y, x) voxels; most: voxels of it, about; None: MOST.
    """
    factor = min(1.0, ((most or MOST) / np.prod(shape, dtype=float)) ** (1 / 3))
    box = []
    for n in shape:
        side = min(n, max(SHORTEST, int(n * factor)))
        box.append(slice((n - side) // 2, (n - side) // 2 + side))
    return tuple(box)


def read(path, *, channel=0, most=None, probabilities=False):
    """A stack, or the middle of a larger one; Part. Args, raises: as stacks.read and middle."""
    with opened(path, channel=channel, probabilities=probabilities) as stack:
        box = middle(stack.voxels.shape, most)
        voxels = np.ascontiguousarray(stack.voxels[box])
        return Part(voxels, stack.voxel_size, tuple(part.start for part in box),
                    voxels.shape == tuple(stack.voxels.shape))


def shape_of(path, *, channel=0):
    """((z, y, x) voxels, voxel size in um or None) of a stack. Raises UserError: as opened."""
    with opened(path, channel=channel, probabilities=True) as stack:
        return tuple(stack.voxels.shape), stack.voxel_size


def histogram(path):
    """How many voxels of a uint8 stack have each grey level: int [256].

    Raises:
        UserError: as opened; it is no uint8.
    """
    with opened(path, probabilities=True) as stack:
        if stack.voxels.dtype != np.uint8:
            raise UserError('%s is %s: want 8 bit' % (path, stack.voxels.dtype))
        depth = max(1, MOST // int(np.prod(stack.voxels.shape[1:])))
        depth += -depth % getattr(stack.voxels, 'chunks', (1,))[0]       # whole chunks
        return sum(np.bincount(stack.voxels[z:z + depth].ravel(), minlength=256)
                   for z in range(0, stack.voxels.shape[0], depth))


def results_of(folder, kind):
    """Results of a step by the names of their stacks, in any of stacks.FORMATS, sorted.

    Args:
        folder: of the results; kind: what stands between name and extension, such as '.prob'.

    Returns:
        dict: name -> path; of several formats the first.
    """
    found = {}
    for extension in stacks.FORMATS.values():
        ending = kind + extension
        for path in glob.glob(os.path.join(glob.escape(folder), '*' + ending)):
            found.setdefault(os.path.basename(path)[:-len(ending)], path)
    return dict(sorted(found.items()))
