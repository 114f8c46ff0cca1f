"""Traces of a volume that the memory does not hold: block by block, then joined.

Each block leaves a small file (blocks.py), so that a killed run goes on and several processes share
the blocks. The graph of all blocks (stitching.py) goes through the same stages as that of a whole
stack (tracing.finish); of the volume these see what the blocks' files keep of the foreground, and
the surroundings of short breaks.
"""
from collections import OrderedDict

import numpy as np
from scipy.spatial import cKDTree

from utils.common.errors import UserError
from utils.trace import blocks, graphs, tracing, trees
from utils.trace.foreground import Foreground, level
from utils.trace.stitching import Stitcher

TILE = 64                # voxels per side of what is read around short breaks ...
TILES = 128              # ... and how many of them are kept in memory
COARSE = 16e6            # voxels of the volume's small copy that figures show


def cell_of(shape):
    """Voxels per side of the cells of a volume's small copy."""
    return max(1, int(np.ceil((np.prod(np.array(shape, float)) / COARSE) ** (1 / 3))))


def trace_blocks(evidence, some, *, folder, key, how, progress=iter):
    """Trace blocks whose files are missing, and keep them.

    Args:
        evidence: function (slices z, y, x) -> uint8 [Z, Y, X], 255 for certain.
        some: list of blocks.Block; folder: of the files; key: str, of what the result depends on.
        how: blocks.How; progress: wraps the list of blocks, to show how far it is (tqdm).

    Returns:
        number of blocks that were traced now.
    """
    made = 0
    for block in progress(some):
        path = blocks.path_of(folder, block)
        if blocks.is_made(path, key):
            continue
        piece = blocks.trace(evidence(block.read), block, how=how, cell=cell_of(how.shape))
        blocks.write(path, piece, key=key)
        made += 1
    return made


def trees_of(evidence, every, *, folder, how):
    """Trees of a volume whose blocks have been traced.

    Args:
        evidence: as trace_blocks; every: list of blocks.Block, all of the volume, in order.
        folder, how: as trace_blocks.

    Returns:
        swc.Tree, a forest: position in voxels of the volume, radius in x voxels, the largest tree
        first.

    Raises:
        UserError: no foreground, or no tree of min_length.
    """
    settings, stitcher = how.settings, Stitcher(how.spacing, settings=how.settings)
    fields = 'position', 'depth', 'edges', 'object', 'best', 'count', 'cut'
    for block in every:
        stitcher.add(blocks.read(blocks.path_of(folder, block), fields), block)
    nodes = stitcher.nodes(high=level(how.high), min_object=settings.min_object)
    del stitcher
    if len(nodes.position) == 0:
        raise UserError('%s has no foreground: no object of MIN_OBJECT=%d voxels reaches %g: lower '
                        'HIGH or MIN_OBJECT, or leave it out'
                        % (how.name, settings.min_object, how.high))
    kept = _Kept(every, folder, spacing=how.spacing)
    sources = tracing.Sources(Window(evidence, how.shape), kept.deep(nodes, settings=settings),
                              kept.faces(how.shape), kept.centre)
    return tracing.finish(nodes, sources, spacing=how.spacing, settings=settings, low=how.low,
                          name=how.name)


def coarse_of(every, *, folder, shape):
    """The volume's small copy, largest evidence of each cell; uint8 [z, y, x]."""
    cell = cell_of(shape)
    small = np.zeros([-(-n // cell) for n in shape], np.uint8)
    for block in every:
        part = blocks.read(blocks.path_of(folder, block), ('coarse',)).coarse
        at = tuple(slice(s.start // cell, s.start // cell + n)
                   for s, n in zip(block.core, part.shape))
        np.maximum(small[at], part, out=small[at])       # blocks may share a cell
    return small


class _Kept:
    """What the blocks' files keep of the foreground."""

    def __init__(self, every, folder, *, spacing):
        """Args: every: list of blocks.Block; spacing: float [3]."""
        self.every, self.folder, self.spacing = every, folder, spacing

    def read(self, block, *fields):
        """Some fields of a block's blocks.Piece."""
        return blocks.read(blocks.path_of(self.folder, block), fields)

    def deep(self, nodes, *, settings):
        """Voxels that may be of somata; Foreground of voxels and depth.

        Args:
            nodes: graphs.Nodes, for the neurites' radii; settings: settings.Settings.
        """
        least = max(settings.soma_ratio * np.median(nodes.depth), settings.soma_radius)
        voxels, depth = [np.zeros((1, 3), np.int32)], [np.zeros(1)]       # never empty
        for block in self.every if settings.soma_ratio else ():
            piece = self.read(block, 'deep', 'deep_depth')
            voxels.append(piece.deep[piece.deep_depth >= least])
            depth.append(piece.deep_depth[piece.deep_depth >= least])
        return _foreground(np.concatenate(voxels), depth=np.concatenate(depth))

    def faces(self, shape):
        """Foreground at the volume's faces; Foreground of voxels and p."""
        voxels, p, last = [], [], np.array(shape) - 1
        for block in self.every:
            if all(s.start > 0 and s.stop <= end for s, end in zip(block.core, last)):
                continue
            piece = self.read(block, 'near', 'p')
            some = (((piece.near == 0) | (piece.near == last)).any(1)
                    & blocks.inside(piece.near, block.core))
            voxels.append(piece.near[some])
            p.append(piece.p[some])
        return _foreground(np.concatenate(voxels), p=np.concatenate(p))

    def centre(self, nodes):
        """trees.centre, block by block, each with its own foreground."""
        moved, links = nodes.position.copy(), graphs.neighbours(nodes)
        sides = [s.stop - s.start for s in self.every[0].core]
        grid = np.array([[s.start // side for s, side in zip(block.core, sides)]
                         for block in self.every])
        place = np.clip(np.floor((nodes.position + 0.5) / sides).astype(int), 0, grid.max(0))
        number = np.ravel_multi_index(place.T, grid.max(0) + 1)        # blocks are in this order
        order = np.argsort(number, kind='stable')
        ends = np.searchsorted(number[order], np.arange(len(self.every) + 1))
        for block, first, last in zip(self.every, ends[:-1], ends[1:]):
            mine = np.sort(order[first:last])
            if len(mine) == 0:
                continue
            piece = self.read(block, 'near', 'p')
            if len(piece.near) == 0:
                continue
            some = np.union1d(mine, [k for node in mine for k in links[node]]).astype(int)
            part = _part(nodes, some, links=links)
            part = trees.centre(part, _foreground(piece.near, p=piece.p), spacing=self.spacing,
                                tree=cKDTree(piece.near * self.spacing))
            moved[mine] = part.position[np.searchsorted(some, mine)]
        return nodes._replace(position=moved)


def _part(nodes, some, *, links):
    """Some nodes (sorted rows) and the edges between them, without a look at all others."""
    a = np.repeat(some, [len(links[node]) for node in some])
    b = np.array([k for node in some for k in links[node]], int)
    at = np.minimum(np.searchsorted(some, b), len(some) - 1)
    keep = (some[at] == b) & (a < b)
    edges = np.stack([np.searchsorted(some, a[keep]), at[keep]], 1)
    return graphs.Nodes(nodes.position[some], nodes.depth[some], edges, nodes.soma[some])


def _foreground(voxels, *, depth=None, p=None):
    """Foreground of some voxels, of which only this is known. p: uint8."""
    return Foreground(voxels, depth, None if p is None else p / np.float32(255), None, None, None)


class Window:
    """A volume's evidence as an array that is read where it is indexed, tile by tile."""

    def __init__(self, evidence, shape):
        """Args: evidence: function (slices z, y, x) -> uint8 [Z, Y, X]; shape: (z, y, x)."""
        self.read, self.shape, self.tiles = evidence, tuple(shape), OrderedDict()

    def __getitem__(self, box):
        """uint8 [Z, Y, X] of a box, slices (z, y, x) with bounds; [N] of voxels, three int [N]."""
        if not isinstance(box[0], slice):
            return self._voxels(np.stack(box, 1))
        result = np.empty([s.stop - s.start for s in box], np.uint8)
        for place in np.ndindex(*[-(-s.stop // TILE) - s.start // TILE for s in box]):
            corner = [(s.start // TILE + k) * TILE for s, k in zip(box, place)]
            into, out = [], []
            for s, c in zip(box, corner):
                first, last = max(s.start, c), min(s.stop, c + TILE)
                into.append(slice(first - s.start, last - s.start))
                out.append(slice(first - c, last - c))
            result[tuple(into)] = self._tile(tuple(corner))[tuple(out)]
        return result

    def _voxels(self, voxels):
        """uint8 [N] of voxels, int [N, 3]."""
        result = np.empty(len(voxels), np.uint8)
        places, number = np.unique(voxels // TILE, axis=0, return_inverse=True)
        number = number.ravel()
        order = np.argsort(number, kind='stable')
        for place, rows in zip(places, np.split(order, np.cumsum(np.bincount(number))[:-1])):
            result[rows] = self._tile(tuple((place * TILE).tolist()))[
                tuple((voxels[rows] - place * TILE).T)]
        return result

    def _tile(self, corner):
        """The tile at a corner; the one that was not used for longest makes place."""
        if corner not in self.tiles:
            self.tiles[corner] = self.read(tuple(slice(c, min(c + TILE, n))
                                                 for c, n in zip(corner, self.shape)))
            if len(self.tiles) > TILES:
                self.tiles.popitem(last=False)
        self.tiles.move_to_end(corner)
        return self.tiles[corner]
