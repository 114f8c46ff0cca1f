"""Paths of blocks, joined into one graph: what two blocks found of one neurite becomes one.

Blocks come in order. Where a block overlaps those before it, its nodes beside theirs give way to
them; what theirs do not cover stays. So no cable is there twice, and none is lost: neither of a
neurite through a face nor of one that runs along it, on whichever side a block's path lies.
"""
import itertools
from collections import namedtuple

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree

from utils.trace import blocks, graphs

SAME = 1.8, 0.75         # x voxels, and of the thinner one's radius, within which two nodes are of
                         # one neurite
STUB = 6                 # nodes of the longest end that only a block's border has left

# What a block has added. core: slices (z, y, x); first: row of its first node; position, depth,
# cut: of its nodes; edges: int [K, 2], rows; object: int [M], of all volume
_Added = namedtuple('_Added', 'core first position depth cut edges object')
# Nodes of earlier blocks in and around a block. rows: int [L]; position, depth: of these; edges:
# int [K, 2], rows, between them; cores: of the blocks
_Around = namedtuple('_Around', 'rows position depth edges cores')


class Stitcher:
    """The graph of the blocks so far: add() them in order, then nodes()."""

    def __init__(self, spacing, *, settings):
        """Args: spacing: (z, y, x) of a voxel, x voxels; settings: settings.Settings."""
        self.spacing, self.settings = np.asarray(spacing, float), settings
        self.added, self.sides = {}, None        # by place in the grid of blocks; voxels of a core
        self.best, self.count = [], []           # of objects
        self.n = self.objects = 0

    def add(self, piece, block):
        """Join a block's paths to those of the blocks before it.

        Args:
            piece: blocks.Piece; block: blocks.Block, the volume's first one first.
        """
        if self.sides is None:
            self.sides = [s.stop - s.start for s in block.core]
        place = tuple(s.start // side for s, side in zip(block.core, self.sides))
        self.best.append(piece.best)
        self.count.append(piece.count)
        around = self._around(place, block)
        row = self._same(piece, around)
        new = row < 0
        row[new] = self.n + np.arange(new.sum())
        edges = _joints(row[piece.edges], self.n, around=around)
        self.added[place] = _Added(block.core, self.n, piece.position[new], piece.depth[new],
                                   piece.cut[new], edges, self.objects + piece.object[new])
        self.n += int(new.sum())
        self.objects += len(piece.best)

    def _around(self, place, block):
        """Nodes of the earlier blocks beside a block; _Around."""
        beside = [self.added[tuple(np.add(place, step))]
                  for step in itertools.product((-1, 0, 1), repeat=3)
                  if tuple(np.add(place, step)) in self.added]
        rows, position, depth = [np.zeros(0, int)], [np.zeros((0, 3), int)], [np.zeros(0)]
        for one in beside:
            some = blocks.inside(one.position, block.core, margin=2 * blocks.STRIP)
            rows.append(one.first + np.flatnonzero(some))
            position.append(one.position[some])
            depth.append(one.depth[some])
        rows = np.concatenate(rows)
        edges = np.concatenate([np.zeros((0, 2), int)] + [one.edges for one in beside])
        return _Around(rows, np.concatenate(position), np.concatenate(depth),
                       edges[np.isin(edges, rows).all(1)], [one.core for one in beside])

    def _same(self, piece, around):
        """Row of the earlier node that each node of a block gives way to, -1: none; int [M].

        A node gives way to one that is nearly in its place; and so do nodes that hang together
        with such, where earlier blocks had a say, as far as a path covers.
        """
        row = np.full(len(piece.position), -1)
        if len(around.rows) == 0 or len(row) == 0:
            return row
        far, k = cKDTree(around.position * self.spacing).query(piece.position * self.spacing)
        radius = around.depth[k]
        same = far <= np.maximum(SAME[0], SAME[1] * np.minimum(radius, piece.depth))
        told = np.any([blocks.inside(piece.position, core, margin=blocks.STRIP)
                       for core in around.cores], axis=0)
        covered = told & (far <= self.settings.cover_scale * radius + self.settings.cover_margin)
        gives = same | covered
        part = graphs.parts(piece.edges[gives[piece.edges].all(1)], len(row))
        gives &= np.isin(part, part[same])
        row[gives] = around.rows[k[gives]]
        return row

    def nodes(self, *, high, min_object):
        """The whole graph, without the objects that are too small or too faint.

        Args:
            high: uint8, evidence that a good object reaches; min_object: its voxels.

        Returns:
            graphs.Nodes, loops among them, no soma yet; in the order of blocks.
        """
        if not self.n:
            return graphs.Nodes(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2), int),
                                np.zeros(0, bool))
        added = list(self.added.values())
        position, depth, cut, edges, number = [
            np.concatenate([getattr(one, field) for one in added])
            for field in ('position', 'depth', 'cut', 'edges', 'object')]
        nodes = graphs.Nodes(position.astype(float), depth, edges, np.zeros(self.n, bool))
        # an object of several blocks: they share a part of the graph
        part = graphs.parts(edges, self.n)
        best, count = np.concatenate(self.best), np.concatenate(self.count)
        pairs = np.unique(np.stack([part, number], 1), axis=0)
        brightest = np.zeros(part.max() + 1, np.uint8)
        np.maximum.at(brightest, pairs[:, 0], best[pairs[:, 1]])
        size = np.bincount(pairs[:, 0], count[pairs[:, 1]], part.max() + 1)
        good = (brightest >= high) & (size >= min_object)
        return graphs.select(nodes, good[part] & ~_stubs(nodes, cut))


def _joints(edges, n, *, around):
    """Edges of a block's nodes that are to be added; int [K, 2], rows.

    Args:
        edges: int [K, 2], rows, by what the nodes have given way to; n: first row of new nodes.
        around: _Around.
    """
    edges = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], 1), axis=0)
    old = (edges < n).all(1)
    fresh, between = edges[~old], edges[old]
    if len(between) == 0:
        return fresh
    # between earlier nodes: only where these do not hang together yet
    part = graphs.parts(np.searchsorted(around.rows, around.edges), len(around.rows))
    k = np.searchsorted(around.rows, between)
    far = 1e-3 + np.sqrt(((around.position[k[:, 0]] - around.position[k[:, 1]]) ** 2).sum(1))
    ends, best = np.sort(part[k], 1), {}
    for i in np.argsort(-far, kind='stable'):
        if ends[i, 0] != ends[i, 1]:
            best[tuple(ends[i])] = i                     # the shortest stays
    if not best:
        return fresh
    some = np.array(list(best.values()))
    tree = minimum_spanning_tree(graphs.matrix(np.array(list(best)).T, far[some],
                                               n=part.max() + 1)).tocoo()
    chosen = [best[tuple(sorted(pair))] for pair in zip(tree.row, tree.col)]
    return np.concatenate([fresh, between[chosen]])


def _stubs(nodes, cut):
    """Nodes of short ends at a block's border, where another block's path goes on; bool [M].

    cut: bool [M], where a block's path was cut.
    """
    links, degree = graphs.neighbours(nodes), graphs.degrees(nodes)
    gone = np.zeros(len(cut), bool)
    for tip in np.flatnonzero(cut & (degree == 1)):
        branch = [tip] + graphs.walk(links, links[tip][0], last=tip, most=STUB, soma=nodes.soma)
        if degree[branch[-1]] > 2:
            gone[branch[:-1]] = True
    return gone
