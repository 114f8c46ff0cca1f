"""Centrelines as branches: what a voxel skeleton tells of lengths, bends and angles."""
import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, depth_first_order
from scipy.spatial import cKDTree

NEXT = 1.8              # 26-neighbours are at most sqrt(3) voxels apart
SPUR = 5                # voxels; shorter ends are ripples of the mask, not branches
AHEAD = 7               # voxels over which a direction is taken


def _graph(voxels):
    """Neighbouring pairs int [P, 2], their graph, and the number of neighbours of each voxel."""
    n = len(voxels)
    pairs = cKDTree(voxels).query_pairs(NEXT, output_type='ndarray')
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (n, n)).tocsr()
    return graph, np.bincount(pairs.ravel(), minlength=n)


def along_branches(voxels):
    """Order centreline voxels so that one follows the other along the branches.

    Args:
        voxels: int [M, 3], 26-connected centreline.

    Returns:
        int [M], a permutation: depth first from an end of each component, components one after the other.
    """
    graph, neighbours = _graph(voxels)
    n = len(voxels)
    _, component = connected_components(graph, directed=False)
    order = np.lexsort((np.arange(n), neighbours, component))           # a branch's end first within its component
    starts = order[np.r_[True, np.diff(component[order]) > 0]]
    # one walk for all: from a node of our own that leads to every component's start
    row, column = graph.nonzero()
    joined = coo_matrix((np.ones(len(row) + len(starts), np.int8),
                         (np.r_[row, np.full(len(starts), n)], np.r_[column, starts])), (n + 1, n + 1)).tocsr()
    return depth_first_order(joined, n, directed=False)[0][1:]


def branches(voxels):
    """Cut a centreline at its junctions.

    Args:
        voxels: int [M, 3], 26-connected centreline.

    Returns:
        (paths, junctions, tips): list of int [L, 3], voxels in order from end to end; list of int [K, 3], the voxels
        (three neighbours or more) of each junction; int [T, 3], voxels with one neighbour.
    """
    if len(voxels) == 0:
        return [], [], np.zeros((0, 3), int)
    graph, neighbours = _graph(voxels)
    crowded = neighbours >= 3
    rest = voxels[~crowded]
    paths = []
    if len(rest):
        rest = rest[along_branches(rest)]
        jumps = np.flatnonzero(((rest[1:] - rest[:-1]) ** 2).sum(1) > 3) + 1
        paths = np.split(rest, jumps)
    nodes = voxels[crowded]
    count, cluster = connected_components(graph[crowded][:, crowded], directed=False) if len(nodes) else (0, None)
    order = np.argsort(cluster, kind='stable') if count else []
    junctions = np.split(nodes[order], np.flatnonzero(np.diff(cluster[order])) + 1) if count else []
    return paths, junctions, voxels[neighbours == 1]


def smooth(path, spacing, *, sigma=2.0):
    """Coordinates of a path without the voxels' staircase, its ends kept; float [L, 3] in units of `spacing`."""
    points = path * np.asarray(spacing, float)
    pad = min(6, len(points) - 1)
    if pad < 1:
        return points
    padded = np.concatenate([2 * points[0] - points[pad:0:-1], points, 2 * points[-1] - points[-2:-pad - 2:-1]])
    return ndimage.gaussian_filter1d(padded, sigma, axis=0)[pad:-pad]


def shape_of(paths, spacing, *, least=10):
    """Lengths and bends of the paths of `least` voxels or more.

    Returns:
        (lengths, tortuosities, persistence): float [N] in units of spacing; float [N], arc over chord; length over
        which directions lose their correlation, NaN without such a path: directions AHEAD voxels apart have a mean
        cosine of exp(-distance / persistence).
    """
    lengths, tortuosities, cosines, distances = [], [], [], []
    for path in paths:
        if len(path) < least:
            continue
        points = smooth(path, spacing)
        steps = np.sqrt((np.diff(points, axis=0) ** 2).sum(1))
        length, chord = steps.sum(), np.sqrt(((points[-1] - points[0]) ** 2).sum())
        lengths.append(length)
        if chord > 0.3 * length:                         # closed loops are merged neighbours, not bends
            tortuosities.append(length / chord)
        if len(points) > 2 * AHEAD + 2:
            towards = points[AHEAD:] - points[:-AHEAD]
            towards /= np.maximum(np.sqrt((towards ** 2).sum(1, keepdims=True)), 1e-9)
            cosines.append((towards[AHEAD:] * towards[:-AHEAD]).sum(1))
            distances.append(np.full(len(cosines[-1]), AHEAD * steps.mean()))
    persistence = float('nan')
    if cosines:
        mean = np.clip(np.concatenate(cosines).mean(), 0.05, 0.999)
        persistence = float(-np.concatenate(distances).mean() / np.log(mean))
    return np.array(lengths), np.array(tortuosities), persistence


def fork_angles(paths, junctions, *, spacing):
    """Angles in degrees at which side branches leave: at a junction of three or more branches the two most nearly
    straight on are taken for the parent and its continuation; float [N]."""
    long = [p for p in paths if len(p) >= SPUR]
    if not long or not junctions:
        return np.zeros(0)
    voxels = np.concatenate(junctions)
    owner = np.repeat(np.arange(len(junctions)), [len(j) for j in junctions])
    ends, towards = [], []
    for path in long:
        points = smooth(path, spacing)
        for end, ahead in ((path[0], points[min(AHEAD, len(path) - 1)] - points[0]),
                           (path[-1], points[-1 - min(AHEAD, len(path) - 1)] - points[-1])):
            ends.append(end)
            towards.append(ahead / max(np.sqrt((ahead ** 2).sum()), 1e-9))
    distance, nearest = cKDTree(voxels).query(np.array(ends), distance_upper_bound=NEXT)
    met = np.isfinite(distance)
    towards, at = np.array(towards)[met], owner[nearest[met]]
    angles = []
    for junction in np.flatnonzero(np.bincount(at, minlength=1) >= 3):
        d = towards[at == junction]
        cosine = d @ d.T
        i, j = np.unravel_index(np.argmin(cosine), cosine.shape)
        side = [k for k in range(len(d)) if k not in (i, j)]
        angles += [np.degrees(np.arccos(np.clip(max(cosine[k, i], cosine[k, j]), -1, 1))) for k in side]
    return np.array(angles)
