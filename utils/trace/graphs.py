"""Sparse graphs: of foreground voxels, and of the nodes that trees are made of."""
from collections import namedtuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# position: float [M, 3], voxels; depth: float [M], distance to the background, x voxels;
# edges: int [K, 2], rows; soma: bool [M]
Nodes = namedtuple('Nodes', 'position depth edges soma')


def matrix(pairs, weights=None, *, n):
    """Edges as a sparse matrix [n, n], each in one direction.

    Args:
        pairs: int [2, E], rows of both ends; weights: [E], of the edges; None: ones.
    """
    weights = np.ones(pairs.shape[1]) if weights is None else weights
    return coo_matrix((weights, (pairs[0], pairs[1])), (n, n)).tocsr()


def parts(edges, n):
    """Number of the connected component that each of n nodes is in; int [n]. edges: int [K, 2]."""
    return connected_components(matrix(edges.T, n=n), directed=False)[1]


def degrees(nodes):
    """Number of edges at each node; int [M]."""
    return np.bincount(nodes.edges.ravel(), minlength=len(nodes.position))


def neighbours(nodes):
    """Rows that each node shares an edge with, in the order of the edges; list of M lists."""
    ends = nodes.edges.ravel()
    rows = nodes.edges[:, ::-1].ravel()[np.argsort(ends, kind='stable')].tolist()
    stops = np.cumsum(degrees(nodes)).tolist()
    return [rows[start:stop] for start, stop in zip([0] + stops, stops)]


def walk(links, at, *, last, most, soma):
    """Nodes from `at` on, away from `last`, to the next fork, tip or soma, or `most` of them; list.

    Args:
        links: of neighbours(); soma: bool [M].
    """
    passed, beside = [at], links[at]
    while len(beside) == 2 and len(passed) < most and not soma[at]:
        last, at = at, beside[1] if beside[0] == last else beside[0]
        passed.append(at)
        beside = links[at]
    return passed


def select(nodes, keep):
    """Nodes where `keep`, bool [M], and the edges between them."""
    row = np.cumsum(keep) - 1
    edges = nodes.edges[keep[nodes.edges].all(1)]
    return Nodes(nodes.position[keep], nodes.depth[keep], row[edges], nodes.soma[keep])


def without(nodes, gone):
    """Nodes but for some of the first ones. gone: bool [K], K <= M."""
    return select(nodes, np.r_[~gone, np.ones(len(nodes.position) - len(gone), bool)])


def joined(nodes, ways):
    """Nodes, and new ones on ways between them, as thick as the thinner end.

    Args:
        ways: list of (row, row, [L, 3] voxels between the two).
    """
    position, depth, edges = [nodes.position], [nodes.depth], [nodes.edges]
    n = len(nodes.position)
    for a, b, way in ways:
        rows = np.r_[a, n + np.arange(len(way)), b]
        edges.append(np.stack([rows[:-1], rows[1:]], 1))
        position.append(way.astype(float).reshape(-1, 3))
        depth.append(np.full(len(way), min(nodes.depth[a], nodes.depth[b])))
        n += len(way)
    return Nodes(np.concatenate(position), np.concatenate(depth), np.concatenate(edges),
                 np.r_[nodes.soma, np.zeros(n - len(nodes.soma), bool)])


def line(nodes, ends, *, points):
    """Straight way between two nodes (rows), for joined(): a node for each x voxel.

    points: float [M, 3], x voxels.
    """
    a, b = ends
    count = max(1, int(np.ceil(np.linalg.norm(points[a] - points[b]))))
    return a, b, np.linspace(nodes.position[a], nodes.position[b], 1 + count)[1:-1]
