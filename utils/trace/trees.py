"""From nodes to trees: short ones go, the voxels' staircase goes, roots are chosen."""
import itertools

import numpy as np
from scipy.sparse.csgraph import depth_first_order
from scipy.spatial import cKDTree

from utils.data import swc
from utils.trace import graphs

THIN = 4.0               # x voxels: nodes of such radius or less are moved into the middle
REACH = 1.0              # x voxels beyond a node's radius, in which its middle is looked for
BATCH = 4096             # nodes moved at a time, to bound memory
TAUBIN = 0.5, -0.53      # shrinking and inflating factors (Taubin, ICCV 1995)
EVENING = 0.5            # share of the step to its neighbours' mean that a radius takes


def certain_cable(nodes, evidence, *, spacing, low):
    """Length of each tree, doubtful stretches counting less; float [trees], x voxels.

    An edge counts by the evidence at its ends: fully where that is 1, not at all where it is `low`
    or less. Trees are numbered as graphs.parts does.

    Args:
        nodes: graphs.Nodes; evidence: uint8 [Z, Y, X], 255 for certain.
        spacing: (z, y, x) of a voxel, x voxels; low: evidence in (0, 1) of the faintest foreground.
    """
    part, (a, b) = graphs.parts(nodes.edges, len(nodes.position)), nodes.edges.T
    voxels = np.clip(np.rint(nodes.position).astype(int), 0, np.array(evidence.shape) - 1)
    sure = np.clip((evidence[tuple(voxels.T)] - 255 * low + 1) / (256 - 255 * low), 0, 1)
    step = np.sqrt((((nodes.position[a] - nodes.position[b]) * spacing) ** 2).sum(1))
    return np.bincount(part[a], step * (sure[a] + sure[b]) / 2, part.max() + 1)


def drop_short(nodes, spacing, *, min_length, evidence=None, low=0.5):
    """Leave out trees without a soma whose branches are shorter than min_length in all.

    Args:
        nodes: graphs.Nodes; spacing: (z, y, x) of a voxel, x voxels; min_length: x voxels.
        evidence, low: of certain_cable, which then counts; None: all cable counts.

    Returns:
        graphs.Nodes; single nodes are left out, too, but for somata.
    """
    if len(nodes.edges) == 0:
        return graphs.select(nodes, nodes.soma)
    part = graphs.parts(nodes.edges, len(nodes.position))
    if evidence is None:
        a, b = nodes.edges.T
        step = np.sqrt((((nodes.position[a] - nodes.position[b]) * spacing) ** 2).sum(1))
        total = np.bincount(part[a], step, part.max() + 1)
    else:
        total = certain_cable(nodes, evidence, spacing=spacing, low=low)
    has_soma = np.bincount(part, nodes.soma, part.max() + 1) > 0
    return graphs.select(nodes, ((total >= min_length) | has_soma)[part])


def smooth(nodes, spacing, *, rounds):
    """Take the voxels' staircase out of positions and the steps out of radii.

    Taubin's two steps, which unlike plain averaging do not shorten bends. Tips and somata stay. A
    fork moves with the two neighbours that go straightest on: a side branch does not pull.

    Args:
        nodes: graphs.Nodes; spacing: (z, y, x) of a voxel, x voxels; rounds: of both steps.

    Returns:
        graphs.Nodes.
    """
    links = _both_ways(nodes)
    for node in np.flatnonzero(graphs.degrees(nodes) > 2):
        some = slice(*links.indptr[node:node + 2])
        beside = links.indices[some]
        way = (nodes.position[beside] - nodes.position[node]) * spacing
        way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
        i, j = np.unravel_index(np.argmin(way @ way.T), (len(way), len(way)))
        links.data[some] = np.isin(np.arange(len(way)), (i, j))
    degree = np.asarray(links.sum(1)).ravel()
    moving = ((degree > 1) & ~nodes.soma)[:, None]
    points, depth = nodes.position.copy(), nodes.depth.copy()
    for _ in range(rounds):
        for factor in TAUBIN:
            points += moving * factor * (links @ points / np.maximum(degree, 1)[:, None] - points)
        depth += moving[:, 0] * EVENING * (links @ depth / np.maximum(degree, 1) - depth)
    return nodes._replace(position=points, depth=depth)


def centre(nodes, found, *, spacing, tree=None):
    """Move nodes of thin neurites across their direction into the middle of the foreground.

    Shortest paths run through voxels; the middle of a neurite two voxels wide lies between them.
    Junctions, tips, somata and nodes of thick neurites, whose middle the cost finds, stay.

    Args:
        nodes: graphs.Nodes; found: Foreground; spacing: (z, y, x) of a voxel, x voxels.
        tree: cKDTree of the foreground, x voxels, where there is one already.

    Returns:
        graphs.Nodes.
    """
    points, links = nodes.position * spacing, _both_ways(nodes)
    moving = np.flatnonzero((np.diff(links.indptr) == 2) & ~nodes.soma & (nodes.depth <= THIN))
    beside = links.indices[links.indptr[moving][:, None] + np.arange(2)].reshape(-1, 2)
    ahead = points[beside[:, 1]] - points[beside[:, 0]]
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    around = found.voxels * spacing
    tree = tree or cKDTree(around)
    for first in range(0, len(moving), BATCH):
        k = moving[first:first + BATCH]
        near = tree.query_ball_point(points[k], nodes.depth[k] + REACH)
        count = np.array([len(some) for some in near])
        along = ahead[first:first + BATCH][count > 0]
        k, count = k[count > 0], count[count > 0]
        if len(k):
            some = np.fromiter(itertools.chain.from_iterable(near), int, count.sum())
            starts = np.cumsum(count) - count
            weight = found.p[some, None]
            middle = (np.add.reduceat(around[some] * weight, starts)
                      / np.add.reduceat(weight, starts))
            shift = middle - points[k]
            points[k] += shift - (shift * along).sum(1, keepdims=True) * along
    return nodes._replace(position=points / spacing)


def to_tree(nodes):
    """Root every tree at its thickest soma, or at its thickest node.

    Returns:
        swc.Tree, a forest: the largest tree first, parents before children.
    """
    n = len(nodes.position)
    part = graphs.parts(nodes.edges, n)
    order = np.lexsort((-nodes.depth, ~nodes.soma, part))
    roots = order[np.r_[True, np.diff(part[order]) > 0]]
    above = np.stack([np.full(len(roots), n), roots], 1)       # a node that leads to all roots
    rows = np.concatenate([nodes.edges, above])
    walk, parent = depth_first_order(graphs.matrix(rows.T, n=n + 1), n, directed=False)
    walk = walk[1:]
    walk = walk[np.argsort(-np.bincount(part)[part[walk]], kind='stable')]
    row = np.full(n + 1, -1)
    row[walk] = np.arange(n)
    kind = np.where(nodes.soma[walk], swc.SOMA, swc.UNDEFINED)
    return swc.Tree(kind, nodes.position[walk], nodes.depth[walk], row[parent[walk]])


def _both_ways(nodes):
    """Neighbours as a sparse matrix [M, M] of ones."""
    links = graphs.matrix(nodes.edges.T, n=len(nodes.position))
    return (links + links.T).tocsr()
