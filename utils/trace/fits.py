"""Forks where a branch, drawn as a tube that leaves its parent there, fits the evidence best.

Where branch and parent are one body, a path between them is drawn to the parent, so that the course
of its nodes meets the parent too late. What of the body is not the parent's must be the branch's:
of all places on the parent the one is taken from which a tube, bent on smoothly into the branch,
covers that part and little else.
"""
from collections import namedtuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from utils.trace import forks, graphs

APART = 1.0              # x voxels between the surfaces, from which on a branch is by itself
TANGENT = 5              # nodes over which its direction there is taken
LEAST = 3                # nodes that it must have beyond
REACH = 14.0             # x voxels of the parent on either side that are looked at
POINTS = 7               # of a course from the branch to the parent
SWOLLEN = 1.5            # of the parent's median radius, that it may have at a bouton
BESIDE = 0.25            # x voxels beyond the parent's surface, from which on voxels count
AROUND = 1.0             # x voxels beyond the branch's surface, within which they count
STIFF = 10.0             # voxels that a bend of one radian costs, per cross-section of the branch

# arm: int [L], rows of a branch's nodes, the fork's neighbour first; start: number of the first by
# itself; parent: int [N], rows; radius: of the branch; tubes: float [N], parent's radii, x voxels
_Branch = namedtuple('_Branch', 'arm start parent radius tubes')


def refine(nodes, evidence, *, spacing, low):
    """Move forks of three arms to where the branch's course fits the evidence best.

    Args:
        nodes: graphs.Nodes; evidence: uint8 [Z, Y, X], 255 for certain.
        spacing: (z, y, x) of a voxel, x voxels; low: evidence of the faintest foreground.

    Returns:
        graphs.Nodes: such branches begin with a smooth course. Forks at somata, of more arms, and
        of branches that are hardly apart from their parent stay.
    """
    links, points = graphs.neighbours(nodes), nodes.position * spacing
    gone, held, ways = np.zeros(len(points), bool), np.zeros(len(points), bool), []
    degree = graphs.degrees(nodes)
    for fork in np.flatnonzero((degree == 3) & ~nodes.soma):
        branch = _branch(links, fork, nodes=nodes, points=points)
        if branch is None:
            continue
        feet = branch.parent[(degree[branch.parent] == 2) | (branch.parent == fork)]
        at, course = _best(branch, feet, points=points, evidence=evidence, spacing=spacing, low=low)
        cut = branch.arm[:branch.start]
        if at is None or gone[at] or gone[branch.arm[:branch.start + 1]].any() or held[cut].any():
            continue
        gone[cut], held[at], held[fork] = True, True, True
        ways.append((branch.arm[branch.start], at, course / spacing))
    return graphs.without(graphs.joined(nodes, ways), gone)


def _branch(links, fork, *, nodes, points):
    """_Branch of a fork, or None for one that is nowhere by itself. links: of graphs.neighbours."""
    arms = [graphs.walk(links, beside, last=fork, most=forks.WINDOW, soma=nodes.soma)
            for beside in links[fork]]
    arm, parent = forks.branch_and_parent(arms, fork, points=points, depth=nodes.depth)
    radii = nodes.depth[parent] - 0.5                   # depth: to the middle of a voxel outside
    middle = np.median(radii)
    distance = cKDTree(points[parent]).query(points[arm])[0]
    apart = np.flatnonzero(distance > middle + np.median(nodes.depth[arm]) - 0.5 + APART)
    if len(apart) == 0 or apart[0] + LEAST >= len(arm):
        return None
    radius = max(np.median(nodes.depth[arm[apart[0]:]]) - 0.5, 0.5)
    return _Branch(arm, int(apart[0]), parent, radius, np.minimum(radii, SWOLLEN * middle))


def _best(branch, feet, *, points, evidence, spacing, low):
    """The foot, a row of `feet`, whose course fits best, and the course between; or (None, None).

    points: float [M, 3], x voxels; the rest as in refine. The course: float [POINTS - 2, 3], x
    voxels, from the branch to the foot.
    """
    first = points[branch.arm[branch.start]]
    ahead = first - points[branch.arm[min(branch.start + TANGENT, len(branch.arm) - 1)]]
    ahead /= max(np.linalg.norm(ahead), 1e-9)
    way = points[feet] - first
    length = np.linalg.norm(way, axis=1)
    fits = (way @ ahead > 0) & (length < length.min(initial=np.inf) + REACH)
    feet, way, length = feet[fits], way[fits], length[fits, None]
    if len(feet) == 0:
        return None, None
    share = np.linspace(0, 1, POINTS)[:, None, None]    # quadratic curves that leave straight ahead
    bow = share * (1 - share) * length * ahead
    courses = first + bow + share ** 2 * way            # [POINTS, feet, 3]
    misfit = _misfit(courses, branch, points=points, evidence=evidence, spacing=spacing, low=low)
    bend = np.arccos(np.clip((way / length) @ ahead, -1, 1))
    best = int(np.argmin(misfit + STIFF * np.pi * branch.radius ** 2 * bend ** 2))
    return feet[best], courses[1:-1, best]


def _misfit(courses, branch, *, points, evidence, spacing, low):
    """Voxels beside the parent that tubes along courses [P, C, 3] miss or have in excess; [C]."""
    margin = branch.radius + AROUND
    lowest = np.maximum(np.floor((courses.min((0, 1)) - margin) / spacing), 0).astype(int)
    highest = np.minimum(np.ceil((courses.max((0, 1)) + margin) / spacing) + 1,
                         evidence.shape).astype(int)
    voxels = np.stack(np.meshgrid(*map(np.arange, lowest, highest), indexing='ij'), -1)
    voxels = voxels.reshape(-1, 3)
    fan = cKDTree(courses.reshape(-1, 3))
    voxels = voxels[np.isfinite(fan.query(voxels * spacing, distance_upper_bound=margin)[0])]
    away, near = cKDTree(points[branch.parent]).query(voxels * spacing)
    voxels = voxels[away > branch.tubes[near] + BESIDE]
    distance = np.full((len(voxels), courses.shape[1]), np.inf)
    for places in courses:
        distance = np.minimum(distance, cdist(voxels * spacing, places))
    seen = np.clip(evidence[tuple(voxels.T)] / (2 * 255.0 * low), 0, 1)
    tube = np.clip(branch.radius + 0.5 - distance, 0, 1)
    return np.abs(tube - seen[:, None]).sum(0)
