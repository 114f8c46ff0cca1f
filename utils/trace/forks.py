"""Forks: where a branch, prolonged, meets its parent, and not where the two bodies part."""
import numpy as np

from utils.trace import graphs

AHEAD = 8                # nodes over which a branch's direction is taken
WINDOW = 40              # nodes of each arm that are looked at
APART = [0.5, 0.5]              # of the radii of parent and branch together, plus this: from there on the
                         # two run apart
FARTHEST = [20.0]        # x voxels that a branch is prolonged, at most
BACK = [0.0]


def relocate(nodes, spacing):
    """Move forks of three arms to where the side arm's course meets the parent.

    Args:
        nodes: graphs.Nodes; spacing: (z, y, x) of a voxel, x voxels.

    Returns:
        graphs.Nodes.
    """
    links, points = graphs.neighbours(nodes), nodes.position * spacing
    gone, held, ways = np.zeros(len(points), bool), np.zeros(len(points), bool), []
    for fork in np.flatnonzero((graphs.degrees(nodes) == 3) & ~nodes.soma):
        arms = [np.array(graphs.walk(links, beside, last=fork, most=WINDOW))
                for beside in links[fork]]
        side, trunk = _parent_and_branch(arms, fork, points=points, depth=nodes.depth)
        start = _leaves(side, trunk, points=points, depth=nodes.depth)
        if start is None:
            continue
        way = points[side[start]] - points[side[min(start + AHEAD, len(side) - 1)]]
        way /= max(np.linalg.norm(way), 1e-9)
        reach = points[trunk] - points[side[start]]
        along = reach @ way
        off = np.sqrt(np.maximum((reach ** 2).sum(1) - along ** 2, 0))
        score = np.where((along > 0) & (along < FARTHEST[0]), off + BACK[0] * along, np.inf)
        at = trunk[np.argmin(score)]
        if (not np.isfinite(score.min()) or gone[at] or gone[side[:start + 1]].any() or
                held[side[:start]].any()):
            continue
        gone[side[:start]] = True
        held[at] = held[fork] = True
        ways.append(graphs.line(nodes, (side[start], at), points=points))
    made = graphs.joined(nodes, ways)
    return graphs.select(made, np.r_[~gone, np.ones(len(made.position) - len(gone), bool)])


def _parent_and_branch(arms, fork, *, points, depth):
    """(branch, parent through the fork): of three arms the two that go straightest on."""
    skip = [min(int(depth[fork]) + 1, len(arm) - 1) for arm in arms]
    ways = []
    for arm, first in zip(arms, skip):
        way = points[arm[min(first + AHEAD, len(arm) - 1)]] - points[fork]
        ways.append(way / max(np.linalg.norm(way), 1e-9))
    ways = np.array(ways)
    cosines = ways @ ways.T
    a, b = min(((0, 1), (0, 2), (1, 2)), key=lambda pair: cosines[pair])
    return arms[3 - a - b], np.r_[arms[a][::-1], fork, arms[b]]


def _leaves(side, trunk, *, points, depth):
    """Number of a branch's first node that is apart from its parent; None where it is too short."""
    distance = np.sqrt(((points[side][:, None] - points[trunk][None]) ** 2).sum(2)).min(1)
    radius = np.median(depth[trunk]) + np.median(depth[side])
    out = np.flatnonzero(distance > APART[0] * radius + APART[1])
    if len(out) == 0 or out[0] == 0 or out[0] + AHEAD // 2 >= len(side):
        return None
    return int(out[0])
