"""Ends at the stack's faces: a neurite leaves in the middle of its cut, not at the rim of it."""
import numpy as np
from scipy.spatial import cKDTree

from utils.trace import graphs

AHEAD = 8                # nodes over which a neurite's direction is taken
BEYOND = 1.0             # x voxels beyond its radius, from which on a path runs in the middle
AROUND = 1.0             # x voxels beyond its radius, in which its cut is looked for
FARTHEST = 2.5           # of its radius and BEYOND, that a neurite is prolonged, at most
ROUNDS = 3               # of moving to the middle of the cut
STEEP = 0.2              # cosine to the face's normal, at least: along a face there is no cut


def centre_cuts(nodes, found, *, shape, spacing):
    """Move tips at the stack's faces into the middle of the neurite's cut with the face.

    The farthest voxel, at which a path begins, lies at the cut's rim; and the thickest voxel, at
    which a tree is rooted, short of it. The neurite is prolonged from where the path runs in its
    middle to the face, then moved to the mean of the foreground around that place, weighted by the
    evidence. Where there is no foreground the neurite has ended before.

    Args:
        nodes: graphs.Nodes; found: Foreground; shape: (z, y, x) of the stack.
        spacing: (z, y, x) of a voxel, x voxels.

    Returns:
        graphs.Nodes, of other positions near such tips.
    """
    last, points = np.array(shape) - 1, nodes.position * spacing
    links, faces = graphs.neighbours(nodes), {}
    for tip in np.flatnonzero((graphs.degrees(nodes) == 1) & ~nodes.soma):
        branch = np.array([tip] + graphs.walk(
            links, links[tip][0], last=tip, most=4 * (AHEAD + int(nodes.depth[tip])),
            soma=nodes.soma))
        inner = _inner(branch, points=points, depth=nodes.depth, last=last * spacing)
        if inner + AHEAD // 2 >= len(branch):
            continue                                     # too short to tell its course
        start = points[branch[inner]]
        way = start - points[branch[min(inner + AHEAD, len(branch) - 1)]]
        hit, face = _hit(start, way / max(np.linalg.norm(way), 1e-9), last=last * spacing)
        radius = nodes.depth[branch[inner]]
        if face is None or np.linalg.norm(hit - start) > FARTHEST * (radius + BEYOND):
            continue
        if face not in faces:
            level = last[face[0]] if face[1] else 0
            rows = np.flatnonzero(found.voxels[:, face[0]] == level)
            faces[face] = rows, cKDTree(found.voxels[rows] * spacing)
        end = _middle(hit, radius + AROUND, found=found, cut=faces[face], spacing=spacing)
        if end is not None:
            few = max(inner, AHEAD // 2)
            points[branch[:few + 1]] = np.linspace(end, points[branch[few]], few + 1)
    return nodes._replace(position=points / spacing)


def _inner(branch, *, points, depth, last):
    """Number of a branch's first node in the neurite's middle; 0 for a tip at no face.

    branch: int [L], rows from the tip on; last: float [3], the far faces, x voxels.
    """
    tip = points[branch[0]]
    if not ((tip <= 0) | (tip >= last)).any():
        return 0
    far = np.sqrt(((points[branch] - tip) ** 2).sum(1)) > depth[branch] + BEYOND
    return int(np.argmax(far)) if far.any() else len(branch)


def _hit(point, way, *, last):
    """Where a straight way from a point first meets a face of the stack, x voxels.

    Returns:
        (float [3], (axis, 1 for the far face or 0)); (point, None) along a face.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        steps = np.where(np.abs(way) >= STEEP, np.where(way > 0, last - point, -point) / way,
                         np.inf)
    axis = int(np.argmin(steps))
    if not np.isfinite(steps[axis]):
        return point, None
    hit = point + steps[axis] * way
    hit[axis] = last[axis] if way[axis] > 0 else 0
    return hit, (axis, int(way[axis] > 0))


def _middle(point, radius, *, found, cut, spacing):
    """Mean of a face's foreground around a point, by evidence; None where there is none.

    cut: (rows of the face's voxels, their cKDTree, x voxels).
    """
    rows, tree = cut
    for _ in range(ROUNDS):
        some = rows[tree.query_ball_point(point, radius)]
        if len(some) == 0:
            return None
        point = np.average(found.voxels[some] * spacing, axis=0, weights=found.p[some])
    return point
