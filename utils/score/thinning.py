"""Trees of fewer nodes and the same shape, for scores whose time grows with the nodes squared."""
import numpy as np

from utils.data import swc


def thinned(tree, *, tolerance, longest):
    """Leave out nodes within branches that lie near the straight line between those kept.

    Roots, forks and tips stay. Ramer-Douglas-Peucker (Computer Graphics and Image Processing 1,
    1972; Cartographica 10, 1973), branch by branch.

    Args:
        tree: swc.Tree or forest, parents before children.
        tolerance: how far a node left out lies from the new edge, at most; longest: way along a
            branch after which a node is kept anyway. Both in the units of the positions.

    Returns:
        swc.Tree, in the same order; the kept nodes are unchanged.
    """
    n = len(tree.parent)
    children = np.bincount(tree.parent[tree.parent >= 0], minlength=n)
    keep = (tree.parent < 0) | (children != 1)
    for last in np.flatnonzero(keep & (tree.parent >= 0)):
        branch = [last, tree.parent[last]]
        while not keep[branch[-1]]:
            branch.append(tree.parent[branch[-1]])
        branch = np.array(branch)
        keep[branch[_corners(tree.position[branch], tolerance=tolerance, longest=longest)]] = True
    above = tree.parent.copy()
    for node in range(n):                                # parents first: theirs are right already
        if above[node] >= 0 and not keep[above[node]]:
            above[node] = above[above[node]]
    row = np.cumsum(keep) - 1
    return swc.Tree(tree.type[keep], tree.position[keep], tree.radius[keep],
                    np.where(above >= 0, row[above], -1)[keep])


def _corners(points, *, tolerance, longest):
    """Rows of a polyline's points, float [N, 3], that are kept; both ends among them."""
    along = np.r_[0, np.cumsum(np.sqrt((np.diff(points, axis=0) ** 2).sum(1)))]
    piece = (along / longest).astype(int)
    cuts = np.flatnonzero(np.diff(piece[:-1])) + 1       # every `longest` of the way
    ends = np.unique(np.r_[0, cuts, len(points) - 1])
    kept, open_ = ends.tolist(), list(zip(ends[:-1], ends[1:]))
    while open_:
        first, last = open_.pop()
        if last - first < 2:
            continue
        between, way = points[first + 1:last] - points[first], points[last] - points[first]
        share = np.clip(between @ way / max(way @ way, 1e-12), 0, 1)
        off = ((between - share[:, None] * way) ** 2).sum(1)
        if off.max() > tolerance ** 2:
            middle = first + 1 + int(np.argmax(off))
            kept.append(middle)
            open_ += [(first, middle), (middle, last)]
    return np.array(kept)
