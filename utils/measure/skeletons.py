"""Centrelines as branches: what a voxel skeleton tells of lengths, bends, angles and ends."""
from typing import NamedTuple, Optional

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, depth_first_order
from scipy.spatial import cKDTree

NEXT = 1.8              # voxels: 26-neighbours are at most sqrt(3) apart
SPUR = 5                # voxels: shorter ends are ripples of the mask, not branches
AHEAD = 7               # voxels over which a direction is taken
SHORTEST = 10           # voxels of the shortest path whose length and bend are measured
CLOSED = 0.3            # chord over arc below which a path is a closed loop, not a bend
BORDER = 3              # voxels from the stack's border within which an end is cut off, not free


class Branches(NamedTuple):
    """A centreline cut at its junctions."""
    paths: list             # of int [L, 3], voxels in order from end to end
    junctions: list         # of int [K, 3], the voxels of each: three neighbours or more
    tips: np.ndarray        # int [T, 3], voxels with one neighbour


class Shape(NamedTuple):
    """Lengths and bends of paths."""
    lengths: np.ndarray             # float [N], arcs, in units of the spacing
    tortuosities: np.ndarray        # float [at most N], arc over chord; closed loops have none
    persistence: Optional[float]    # length over which directions decorrelate; None: no long path


def along_branches(voxels):
    """Order centreline voxels so that one follows the other along the branches.

    Args:
        voxels: int [M, 3], 26-connected centreline.

    Returns:
        int [M], a permutation: depth first from an end of each component, one after the other.
    """
    graph, neighbours = _graph(voxels)
    n = len(voxels)
    _, component = connected_components(graph, directed=False)
    order = np.lexsort((np.arange(n), neighbours, component))    # a component's ends come first
    starts = order[np.r_[True, np.diff(component[order]) > 0]]
    # one walk for all: from an extra node that leads to every component's start
    row, column = graph.nonzero()
    joined = coo_matrix((np.ones(len(row) + len(starts), np.int8),
                         (np.r_[row, np.full(len(starts), n)], np.r_[column, starts])),
                        (n + 1, n + 1)).tocsr()
    return depth_first_order(joined, n, directed=False)[0][1:]


def branches(voxels):
    """Cut a centreline at its junctions.

    Args:
        voxels: int [M, 3], 26-connected centreline; M may be 0.

    Returns:
        Branches.
    """
    if len(voxels) == 0:
        return Branches([], [], np.zeros((0, 3), int))
    graph, neighbours = _graph(voxels)
    crowded = neighbours >= 3
    rest = voxels[~crowded]
    paths = []
    if len(rest):
        rest = rest[along_branches(rest)]
        jumps = np.flatnonzero(((rest[1:] - rest[:-1]) ** 2).sum(1) > 3) + 1
        paths = np.split(rest, jumps)
    nodes = voxels[crowded]
    junctions = []
    if len(nodes):
        _, cluster = connected_components(graph[crowded][:, crowded], directed=False)
        order = np.argsort(cluster, kind='stable')
        junctions = np.split(nodes[order], np.flatnonzero(np.diff(cluster[order])) + 1)
    return Branches(paths, junctions, voxels[neighbours == 1])


def _graph(voxels):
    """Graph of neighbouring voxels, sparse [M, M], and each voxel's number of neighbours."""
    n = len(voxels)
    pairs = cKDTree(voxels).query_pairs(NEXT, output_type='ndarray')
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (n, n)).tocsr()
    return graph, np.bincount(pairs.ravel(), minlength=n)


def smooth(path, spacing, *, sigma=2.0):
    """Coordinates of a path without the voxels' staircase; its ends stay.

    Args:
        path: int [L, 3]; spacing: (z, y, x) size of a voxel; sigma: voxels along the path.

    Returns:
        float [L, 3], in units of `spacing`.
    """
    points = path * np.asarray(spacing, float)
    pad = min(6, len(points) - 1)
    if pad < 1:
        return points
    padded = np.concatenate([2 * points[0] - points[pad:0:-1], points,
                             2 * points[-1] - points[-2:-pad - 2:-1]])
    return ndimage.gaussian_filter1d(padded, sigma, axis=0)[pad:-pad]


def shape_of(paths, spacing):
    """Lengths and bends of the paths of SHORTEST voxels or more.

    Directions AHEAD voxels apart have a mean cosine of exp(-distance / persistence).

    Args:
        paths: list of int [L, 3]; spacing: (z, y, x) size of a voxel.

    Returns:
        Shape.
    """
    lengths, tortuosities, cosines, distances = [], [], [], []
    for path in paths:
        if len(path) < SHORTEST:
            continue
        points = smooth(path, spacing)
        steps = np.sqrt((np.diff(points, axis=0) ** 2).sum(1))
        length, chord = steps.sum(), np.sqrt(((points[-1] - points[0]) ** 2).sum())
        lengths.append(length)
        if chord > CLOSED * length:              # closed loops are neighbours that touch
            tortuosities.append(length / chord)
        if len(points) > 2 * AHEAD + 2:
            towards = points[AHEAD:] - points[:-AHEAD]
            towards /= np.maximum(np.sqrt((towards ** 2).sum(1, keepdims=True)), 1e-9)
            cosines.append((towards[AHEAD:] * towards[:-AHEAD]).sum(1))
            distances.append(np.full(len(cosines[-1]), AHEAD * steps.mean()))
    persistence = None
    if cosines:
        mean = np.clip(np.concatenate(cosines).mean(), 0.05, 0.999)
        persistence = float(-np.concatenate(distances).mean() / np.log(mean))
    return Shape(np.array(lengths), np.array(tortuosities), persistence)


def fork_angles(paths, junctions, *, spacing):
    """Angles at which side branches leave their parents.

    At a junction of three branches or more the two most nearly in line are the parent and its
    continuation; every other one is a side branch, and its angle is that to the nearer of them.

    Args:
        paths, junctions: of Branches; spacing: (z, y, x) size of a voxel.

    Returns:
        float [N], degrees.
    """
    long = [p for p in paths if len(p) >= SPUR]
    if not long or not junctions:
        return np.zeros(0)
    ends, towards = [], []
    for path in long:
        points, ahead = smooth(path, spacing), min(AHEAD, len(path) - 1)
        for end, step in ((path[0], points[ahead] - points[0]),
                          (path[-1], points[-1 - ahead] - points[-1])):
            ends.append(end)
            towards.append(step / max(np.sqrt((step ** 2).sum()), 1e-9))
    owner = np.repeat(np.arange(len(junctions)), [len(j) for j in junctions])
    distance, nearest = cKDTree(np.concatenate(junctions)).query(
        np.array(ends), distance_upper_bound=NEXT)
    met = np.isfinite(distance)
    towards, at = np.array(towards)[met], owner[nearest[met]]
    angles = []
    for junction in np.flatnonzero(np.bincount(at, minlength=1) >= 3):
        angles += _side_angles(towards[at == junction])
    return np.array(angles)


def _side_angles(towards):
    """Angles of the side branches of one junction: list of float, degrees.

    Args:
        towards: float [B, 3], unit vectors along its branches, away from it.
    """
    cosine = towards @ towards.T
    i, j = np.unravel_index(np.argmin(cosine), cosine.shape)
    side = [k for k in range(len(towards)) if k not in (i, j)]
    nearer = [max(cosine[k, i], cosine[k, j]) for k in side]
    return [np.degrees(np.arccos(np.clip(c, -1, 1))) for c in nearer]


def free_tips(tips, shape):
    """Those of the tips, int [T, 3], that lie BORDER voxels or more inside; set of (z, y, x)."""
    inside = ((tips >= BORDER) & (tips < np.asarray(shape) - BORDER)).all(1)
    return {tuple(tip) for tip in tips[inside]}


def free_ends(paths, tips, *, shape):
    """Number of free ends: tips of paths that are no spurs, BORDER voxels or more inside.

    Args:
        paths, tips: of Branches; shape: (z, y, x) voxels of the stack.
    """
    free = free_tips(tips, shape)
    return sum((tuple(path[0]) in free) + (tuple(path[-1]) in free)
               for path in paths if len(path) >= SPUR)
