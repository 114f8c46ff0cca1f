"""One block of a volume: its foreground and paths, kept as a small file.

A block is read with a halo, so that what lies in its core, and somewhat beyond, is traced as on the
whole volume. Objects that reach the halo's border may go on there: they are kept whatever their
size and evidence, and judged once the blocks are joined (stitching.py).
"""
import os
import zipfile
from collections import namedtuple

import numpy as np

from utils.common import files, tiling
from utils.trace import graphs
from utils.trace.foreground import Foreground, foreground, level
from utils.trace.paths import paths

STRIP = 8                # voxels beyond its core in which a block's paths are kept: neighbours
                         # overlap by twice as much
NEAR = 6.0               # x voxels beyond its core in which a block's foreground is kept: nodes are
                         # moved into the middle of what lies so near

# number: of the block; core, read: slices (z, y, x), of what is its own and of what is read
Block = namedtuple('Block', 'number core read')
# How a volume is traced. shape: (z, y, x) voxels; spacing: float [3], (z, y, x) of a voxel in x
# voxels; settings: settings.Settings; low, high: as tracing.trace; name: for error messages
How = namedtuple('How', 'shape spacing settings low high name')
# What is kept of a block. position: int32 [M, 3], voxels of the volume; depth: float [M], x voxels;
# edges: int [K, 2]; object: int [M], of each node; best, count: uint8 [C], int [C], largest
# evidence of each object, and its voxels in the core; cut: bool [M], a path went on beyond;
# near, p: int32 [N, 3], uint8 [N], foreground in the core and NEAR it; deep, deep_depth:
# int32 [D, 3], float [D], the core's foreground as deep as a soma; coarse: uint8 [z, y, x], the
# core's maxima over cells of the volume
Piece = namedtuple('Piece', 'position depth edges object best count cut near p deep deep_depth '
                            'coarse')


def of_volume(shape, block, *, halo):
    """Blocks of a volume: list of Block.

    Args:
        shape, block: (z, y, x) voxels of the volume and of a block's core; halo: voxels, more
            than STRIP, and than the radius of the thickest soma.
    """
    return [Block(number, core, read) for number, (core, read, _) in enumerate(
        tiling.tiles(shape, block, halo=halo))]


def inside(position, box, *, margin=0):
    """Which positions [N, 3] lie in a box (slices z, y, x) grown by a margin; bool [N].

    Cores part the volume: a core holds what is nearer to its voxels than to others.
    """
    low = np.array([s.start for s in box]) - margin - 0.5
    high = np.array([s.stop for s in box]) + margin - 0.5
    return ((position >= low) & (position < high)).all(1)


def trace(evidence, block, *, how, cell=1):
    """Trace one block.

    Args:
        evidence: uint8 [Z, Y, X], of block.read; block: Block; how: How.
        cell: voxels per side of Piece.coarse's cells.

    Returns:
        Piece; with no node where there is no foreground.

    Raises:
        UserError: all foreground, or too much of it.
    """
    first = np.array([s.start for s in block.read])
    core = tuple(slice(c.start - f, c.stop - f) for c, f in zip(block.core, first))
    coarse = _coarse(evidence[core], [c.start for c in block.core], cell=cell)
    if evidence.max(initial=0) < level(how.low):
        return _empty(coarse)
    found = foreground(evidence, how.spacing, low=how.low, high=how.low,
                       most=how.settings.max_foreground, name='%s, block at %s (z, y, x)' % (
                           how.name, ', '.join('%d' % s.start for s in block.core)))
    found, best = _kept(found, first, how=how, size=evidence.shape)
    if len(found.voxels) == 0:
        return _empty(coarse)
    nodes = paths(found, evidence.shape, spacing=how.spacing, settings=how.settings)
    return _piece(nodes, found, block=block, how=how, size=evidence.shape)._replace(
        best=best, coarse=coarse)


def _piece(nodes, found, *, block, how, size):
    """What is kept of a block, but for `best` and `coarse`.

    nodes: graphs.Nodes and found: Foreground, in voxels of what was read; size: (z, y, x) of it.
    """
    first = np.array([s.start for s in block.read])
    position = np.rint(nodes.position).astype(np.int32)
    place = np.ravel_multi_index(found.voxels.T, size)                     # in order
    own = found.component[np.searchsorted(place, np.ravel_multi_index(position.T, size))]
    voxels, position = [(some + first).astype(np.int32) for some in (found.voxels, position)]
    mine = inside(voxels, block.core)
    near = inside(voxels, block.core, margin=np.ceil(NEAR / how.spacing))
    deep = mine & (found.depth >= (how.settings.soma_radius if how.settings.soma_ratio
                                   else np.inf))
    keep = inside(position, block.core, margin=STRIP)
    ends = nodes.edges[keep[nodes.edges].sum(1) == 1]
    cut = np.zeros(len(keep), bool)
    cut[ends[keep[ends]]] = True
    kept = graphs.select(nodes._replace(position=position), keep)
    return Piece(kept.position, kept.depth, kept.edges, own[keep], None,
                 np.bincount(found.component[mine], minlength=found.component.max() + 1),
                 cut[keep], voxels[near], np.rint(255 * found.p[near]).astype(np.uint8),
                 voxels[deep], found.depth[deep], None)


def _kept(found, first, *, how, size):
    """Objects that are good, or go on beyond what was read.

    Args:
        found: Foreground of low evidence; first: (z, y, x), place of what was read in the volume.
        how: How; size: (z, y, x) voxels of what was read.

    Returns:
        (Foreground, uint8 [objects], largest evidence of each).
    """
    best = np.zeros(found.component.max() + 1, np.uint8)
    np.maximum.at(best, found.component, np.rint(255 * found.p).astype(np.uint8))
    good = ((best >= level(how.high))
            & (np.bincount(found.component) >= how.settings.min_object))
    last = np.array(size) - 1
    open_low, open_high = first > 0, first + size < how.shape      # sides where the volume goes on
    rim = ((found.voxels == 0) & open_low | (found.voxels == last) & open_high).any(1)
    good[found.component[rim]] = True
    keep = good[found.component]
    if keep.all():
        return found, best
    row = np.cumsum(keep) - 1
    of_kept = keep[found.pairs[0]]
    component = (np.cumsum(good) - 1)[found.component[keep]]
    return Foreground(found.voxels[keep], found.depth[keep], found.p[keep],
                      row[found.pairs[:, of_kept]].astype(found.pairs.dtype),
                      found.steps[of_kept], component), best[good]


def _empty(coarse):
    """Piece of a block without foreground."""
    none, points = np.zeros(0, int), np.zeros((0, 3), np.int32)
    return Piece(points, np.zeros(0), np.zeros((0, 2), int), none, np.zeros(0, np.uint8), none,
                 np.zeros(0, bool), points, np.zeros(0, np.uint8), points, np.zeros(0), coarse)


def _coarse(voxels, corner, *, cell):
    """Maxima over cells of `cell` voxels per side, counted from the volume's first voxel."""
    for axis, at in enumerate(corner):
        starts = np.arange(-(at % cell), voxels.shape[axis], cell)
        voxels = np.maximum.reduceat(voxels, np.maximum(starts, 0), axis=axis)
    return voxels


# --- files ---

def path_of(folder, block):
    """File of a block's Piece."""
    return os.path.join(folder, '%06d.npz' % block.number)


def write(path, piece, *, key):
    """Keep a Piece, whole or not at all. key: str, what it was made from."""
    with files.whole_file(path) as partial:
        np.savez_compressed(partial, key=np.array(key), **piece._asdict())


def is_made(path, key):
    """Whether a file holds a Piece that was made from `key`."""
    try:
        with np.load(path) as kept:
            return str(kept['key']) == key
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return False                             # none, or not whole: it is made again


def read(path, fields=Piece._fields):
    """Some fields of a kept Piece; the others are None."""
    with np.load(path) as kept:
        return Piece(*[kept[field] if field in fields else None for field in Piece._fields])
