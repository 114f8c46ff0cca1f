"""Traced trees as short lists of numbers, for the 3-D view of the gallery's page."""
import re

import numpy as np

from utils.data import swc
from utils.draw import base
from utils.draw.gallery_slices import to_grey, uri
from utils.draw.traces import tree_numbers

FLOOR = 320                          # pixels of a side of the projection under the trees, at most
STEP = 0.25                          # x voxels: positions are whole numbers of it
SPACING = re.compile(r'voxel \(z, y, x\) (\S+) (\S+) (\S+) x voxels')


def spacing_of(path):
    """(z, y, x) of a voxel in x voxels, from a SWC's first line; ones where it does not tell."""
    with open(path, encoding='utf-8', errors='replace') as file:
        told = SPACING.search(file.readline())
    try:
        return np.array([float(number) for number in told.groups()]) if told else np.ones(3)
    except ValueError:
        return np.ones(3)


def to_json(name, tree, *, spacing, voxels=None, micrometres=None, most_nodes=12000):
    """A forest as the page's script reads it.

    Args:
        name: of the stack; tree: swc.Tree, positions in voxels, radii in x voxels.
        spacing: (z, y, x) of a voxel, in x voxels.
        voxels: [Z, Y, X] that it was traced in, or None: no projection is drawn below it.
        micrometres: width of a voxel along x, or None: lengths are in x voxels.
        most_nodes: that are kept; see thinned.

    Returns:
        dict of texts, numbers and lists: name, points (x, y, z), radius and parent of the nodes
        that are drawn, tree (number), soma (nodes), step, size (x, y, z), trees, shown, length
        (all of the forest), unit, floor (data URI or None). Positions are times `step`.
    """
    points = tree.position * spacing
    number = tree_numbers(tree)
    length = swc.length_of(tree._replace(position=points)) * (micrometres or 1)
    size = (voxels.shape if voxels is not None else points.max(0) / spacing + 1) * spacing
    nodes, parent = thinned(tree, most_nodes)
    return dict(
        name=name, points=np.rint(points[nodes][:, ::-1] / STEP).astype(int).ravel().tolist(),
        radius=np.rint(tree.radius[nodes] / STEP).astype(int).tolist(), parent=parent.tolist(),
        tree=number[nodes].tolist(), soma=np.flatnonzero(tree.type[nodes] == swc.SOMA).tolist(),
        step=STEP, size=[float(v) for v in size[::-1]], trees=int(number.max() + 1),
        shown=len(set(number[nodes].tolist())), length=length, scale=micrometres or 1.0,
        unit='um' if micrometres else 'x voxels',
        floor=None if voxels is None else _floor(voxels))


def thinned(tree, most):
    """Fewer nodes of a forest: roots, forks, tips, somata, and of the others every n-th.

    Args:
        tree: swc.Tree, parents first; most: number of nodes. The last trees are left out where
            these would not do.

    Returns:
        (rows of the nodes that stay [M], rows of their parents among these, -1 for roots [M]).
    """
    n = len(tree.parent)
    children = np.bincount(tree.parent[tree.parent >= 0], minlength=n)
    fixed = (tree.parent < 0) | (children != 1) | (tree.type == swc.SOMA)
    way = np.zeros(n, int)                               # nodes since the last fixed one
    for node in np.flatnonzero(~fixed):
        way[node] = way[tree.parent[node]] + 1
    every = 1
    while (fixed | (way % every == 0)).sum() > most and every < n:
        every *= 2
    keep = fixed | (way % every == 0)
    if keep.sum() > most:                                # whole trees, the first ones
        number = tree_numbers(tree)
        counts = np.cumsum(np.bincount(number[keep]))
        keep &= number < max(1, np.searchsorted(counts, most, side='right'))
    above, row = np.full(n, -1), np.cumsum(keep) - 1
    for node in np.flatnonzero(tree.parent >= 0):
        parent = tree.parent[node]
        above[node] = parent if keep[parent] else above[parent]
    nodes = np.flatnonzero(keep)
    return nodes, np.where(above[nodes] >= 0, row[above[nodes]], -1)


def _floor(voxels):
    """Projection along z as data URI."""
    picture = base.project(voxels)
    block = -(-max(picture.shape) // FLOOR)
    return uri(to_grey(picture[::block, ::block].astype(np.float32), base.limits(picture)),
               quality=70)
