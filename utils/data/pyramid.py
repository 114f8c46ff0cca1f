"""The lower levels of an OME-Zarr image, made of its finest one by blocks."""
import contextlib
import itertools
import os
import re
import shutil

import numpy as np

from utils.common import files
from utils.common.errors import MachineError
from utils.data import ngff, zarr_files

SMALLEST = 256             # voxels: no level is made below one whose sides are all at most this
WAYS = {'mean': np.mean, 'max': np.max}


def write_head(path, *, name=None, voxel_size=None, unfinished=False):
    """Write the group's metadata with level 0 alone, unless some is there.

    unfinished: mark the image as such, until `build`.

    Raises:
        UserError: it is of an image with another voxel size.
    """
    zarr_files.write_once(os.path.join(path, '.zgroup'), {'zarr_format': 2})
    head = os.path.join(path, '.zattrs')
    name = name or re.sub(r'(\.ome)?\.zarr\Z', '', os.path.basename(os.path.abspath(path)))
    wanted = ngff.attributes(name, voxel_size=voxel_size)
    if unfinished:
        wanted[ngff.UNFINISHED] = True
    if not (os.path.exists(head) and _same_start(files.read_json(head), wanted)):
        zarr_files.write_once(head, wanted)


def _same_start(attributes, wanted):
    """True if both are of images with the same finest level."""
    try:
        found, other = attributes['multiscales'][0], wanted['multiscales'][0]
        return found['axes'] == other['axes'] and found['datasets'][0] == other['datasets'][0]
    except (KeyError, IndexError, TypeError):
        return False


def _read_head(path):
    """(attributes, name, voxel size) of an image that write_head has begun."""
    attributes = files.read_json(os.path.join(path, '.zattrs'))
    image = ngff.image_of(attributes, path=path)
    return attributes, attributes['multiscales'][0].get('name'), ngff.voxel_size(image, 0)


def drop(path):
    """Remove the lower levels of an image, if there are any: its voxels are about to change."""
    if os.path.isdir(os.path.join(path, '1')):
        _, name, voxel_size = _read_head(path)
        files.write_json(os.path.join(path, '.zattrs'),
                         ngff.attributes(name, voxel_size=voxel_size))
        number = 1
        while os.path.isdir(os.path.join(path, str(number))):
            shutil.rmtree(os.path.join(path, str(number)), ignore_errors=True)
            number += 1


def factors_of(shape, voxel_size):
    """How many voxels of level 0 one of each level spans: list of (z, y, x), the first of ones.

    A level halves the sides along which voxels are at most 1.5 times as long as the shortest, so
    that voxels become more alike. The last level has no side above SMALLEST.
    """
    size = np.ones(3) if voxel_size is None else np.asarray(voxel_size, float)
    factors = [(1, 1, 1)]
    while True:
        factor = np.array(factors[-1])
        sides = -(-np.asarray(shape) // factor)
        if (sides <= SMALLEST).all():
            return factors
        now = np.where(sides > 1, size * factor, np.inf)
        factors.append(tuple(int(f) for f in np.where(now <= 1.5 * now.min(), 2, 1) * factor))


def build(path, *, how='mean'):
    """Make the lower levels, each of the one above it; list them in the metadata at the end, where
    a mark of being unfinished goes.

    Memory does not grow with the volume: a chunk's worth of the level above at a time. What a
    killed run has made is kept. One process at a time, after the last chunk of level 0.

    Args:
        path: folder of an image that volumes.create has made.
        how: 'mean' of voxels, or 'max', by which thin neurites of a mask stay visible.

    Raises:
        MachineError: the disk is full, or the folder cannot be written.
    """
    attributes, name, voxel_size = _read_head(path)
    shape = zarr_files.writable_array(os.path.join(path, '0')).shape
    factors = factors_of(shape, voxel_size)
    wanted = ngff.attributes(name, voxel_size=voxel_size, factors=factors, how=how)
    if files.from_json(files.to_json(wanted)) == attributes:
        return
    _remove_unfinished(path)
    try:
        for number in range(1, len(factors)):
            ratio = [b // a for a, b in zip(*factors[number - 1:number + 1])]
            _make_level(path, number, ratio=ratio, how=how)
    except OSError as error:
        raise MachineError('%s cannot be written: %s' % (path, error.strerror or error))
    files.write_json(os.path.join(path, '.zattrs'), wanted)


def _make_level(path, number, *, ratio, how):
    """Make one level of the one above it; ratio: their voxels' sides, (z, y, x)."""
    above = zarr_files.writable_array(os.path.join(path, str(number - 1)))
    folder = os.path.join(path, str(number))
    shape = [-(-n // r) for n, r in zip(above.shape, ratio)]
    chunks = [min(a, b) for a, b in zip(above.chunks, shape)]
    zarr_files.write_array(folder, shape=shape, dtype=np.dtype(above.dtype), chunks=chunks)
    level = zarr_files.writable_array(folder)
    for corner in itertools.product(*(range(0, n, c) for n, c in zip(shape, chunks))):
        if os.path.exists(os.path.join(folder, *(str(n // c) for n, c in zip(corner, chunks)))):
            continue
        ends = [min(a + c, n) for a, c, n in zip(corner, chunks, shape)]
        block = above[tuple(slice(a * r, b * r) for a, b, r in zip(corner, ends, ratio))]
        level[tuple(map(slice, corner, ends))] = shrink(block, ratio, how=how)


def shrink(block, ratio, *, how='mean'):
    """Voxels of `ratio` (z, y, x) each made one; those that lack some at the end repeat the last.

    Returns:
        array of the same dtype, means rounded.
    """
    missing = [(0, -n % r) for n, r in zip(block.shape, ratio)]
    block = np.pad(block, missing, mode='edge')
    sides = [n for pair in zip(block.shape, ratio) for n in (pair[0] // pair[1], pair[1])]
    found = WAYS[how](block.reshape(sides), axis=(1, 3, 5))
    return (np.rint(found) if how == 'mean' else found).astype(block.dtype)


def _remove_unfinished(path):
    """Remove what killed processes have left of chunks."""
    for folder, _, names in os.walk(path):
        for name in names:
            if name.endswith('.partial'):
                with contextlib.suppress(OSError):
                    os.remove(os.path.join(folder, name))
