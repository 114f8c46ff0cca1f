"""Forks: where a branch, prolonged, meets its parent, and not where the two bodies part.

In a mask a branch that leaves at a small angle is one body with its parent for a while, the longer
the thicker the mask, and its path runs between the two.
"""
import numpy as np

from utils.trace import graphs

AHEAD = 8                # nodes over which a branch's direction is taken
WINDOW = 40              # nodes of each arm that are looked at
APART = 0.5, 0.5         # of the radii of parent and branch together, and x voxels besides, from
                         # which on the branch has a course of its own
FARTHEST = 20.0          # x voxels that a branch is prolonged, at most


def relocate(nodes, spacing):
    """Move forks of three arms to where the side arm's course meets the parent.

    Args:
        nodes: graphs.Nodes; spacing: (z, y, x) of a voxel, x voxels.

    Returns:
        graphs.Nodes: branches begin with a straight way. Forks at somata, of more arms, and of
        short branches stay.
    """
    links, points = graphs.neighbours(nodes), nodes.position * spacing
    gone, held, ways = np.zeros(len(points), bool), np.zeros(len(points), bool), []
    for fork in np.flatnonzero((graphs.degrees(nodes) == 3) & ~nodes.soma):
        arms = [graphs.walk(links, beside, last=fork, most=WINDOW, soma=nodes.soma)
                for beside in links[fork]]
        side, parent = branch_and_parent(arms, fork, points=points, depth=nodes.depth)
        start = _own_course(side, parent, points=points, depth=nodes.depth)
        at = None if start is None else _foot(points[side[start:]], points[parent])
        if at is None:
            continue
        at, cut = parent[at], side[:start]
        if gone[at] or gone[side[:start + 1]].any() or held[cut].any() or at in cut:
            continue
        gone[cut], held[at], held[fork] = True, True, True
        ways.append(graphs.line(nodes, (side[start], at), points=points))
    return graphs.without(graphs.joined(nodes, ways), gone)


def branch_and_parent(arms, fork, *, points, depth):
    """(branch, parent through the fork), rows: of three arms two go straightest on."""
    ways = []
    for arm in arms:
        at = arm[min(int(depth[fork]) + 1 + AHEAD, len(arm) - 1)]
        ways.append((points[at] - points[fork]) / max(np.linalg.norm(points[at] - points[fork]),
                                                      1e-9))
    cosines = np.array(ways) @ np.array(ways).T
    a, b = min(((0, 1), (0, 2), (1, 2)), key=lambda pair: cosines[pair])
    return np.array(arms[3 - a - b]), np.array(arms[a][::-1] + [fork] + arms[b])


def _own_course(side, parent, *, points, depth):
    """Number of a branch's first node with a course of its own; None for a short branch, or where
    the fork is there already."""
    way = points[side][:, None] - points[parent]
    distance = np.sqrt((way ** 2).sum(2)).min(1)
    radii = np.median(depth[parent]) + np.median(depth[side])
    apart = np.flatnonzero(distance > APART[0] * radii + APART[1])
    if len(apart) == 0 or apart[0] == 0 or apart[0] + AHEAD // 2 >= len(side):
        return None
    return int(apart[0])


def _foot(side, parent):
    """Number of the parent's point that a branch, prolonged, comes nearest to, or None.

    Args:
        side: float [L, 3], points of the branch from its own course on; parent: float [N, 3].
    """
    way = side[0] - side[min(AHEAD, len(side) - 1)]
    way /= max(np.linalg.norm(way), 1e-9)
    along = (parent - side[0]) @ way
    off = ((parent - side[0]) ** 2).sum(1) - along ** 2
    off[(along <= 0) | (along >= FARTHEST)] = np.inf
    return int(np.argmin(off)) if np.isfinite(off.min()) else None
