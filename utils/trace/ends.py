"""Ends at the stack's faces: a neurite leaves in the middle of its cut, and not at the rim of it."""
import numpy as np
from scipy.spatial import cKDTree

from utils.trace import graphs

AHEAD = 8                # nodes over which a neurite's direction is taken
BEYOND = 1.0             # x voxels beyond its radius, from which on a path runs in the middle
AROUND = 1.0             # x voxels beyond its radius, in which its cut is looked for
ROUNDS = 3               # of moving to the middle of the cut
STEEP = 0.2              # cosine to the face's normal, at least: along a face there is no cut


def centre_cuts(nodes, found, shape, *, spacing):
    """Move tips at the stack's faces into the middle of the neurite's cut with the face.

    The farthest voxel, at which a path begins, lies at the cut's rim. The neurite is prolonged
    from where the path runs in its middle to the face, then moved to the mean of the foreground
    around that place, weighted by the evidence.

    Args:
        nodes: graphs.Nodes; found: Foreground; shape: (z, y, x) of the stack.
        spacing: (z, y, x) of a voxel, x voxels.

    Returns:
        graphs.Nodes, of other positions near such tips.
    """
    last, points = np.array(shape) - 1, nodes.position * spacing
    at_face = ((nodes.position <= 0) | (nodes.position >= last)).any(1)
    tips = np.flatnonzero((graphs.degrees(nodes) == 1) & ~nodes.soma & at_face)
    links, faces = graphs.neighbours(nodes), {}
    for tip in tips:
        branch = graphs.walk(links, links[tip][0], last=tip, most=4 * AHEAD + int(
            4 * nodes.depth[tip]))
        branch = np.r_[tip, branch]
        far = np.sqrt(((points[branch] - points[tip]) ** 2).sum(1))
        within = np.flatnonzero(far > nodes.depth[branch] + BEYOND)
        if len(within) == 0 or within[0] + AHEAD // 2 >= len(branch):
            continue
        inner = within[0]
        way = points[branch[inner]] - points[branch[min(inner + AHEAD, len(branch) - 1)]]
        way /= max(np.linalg.norm(way), 1e-9)
        face = _face(nodes.position[tip], way, last=last)
        if face is None:
            continue
        axis, level = face
        if face not in faces:
            rows = np.flatnonzero(found.voxels[:, axis] == level)
            faces[face] = rows, cKDTree(found.voxels[rows] * spacing)
        step = (level * spacing[axis] - points[branch[inner], axis]) / way[axis]
        guess = points[branch[inner]] + min(step, 2 * far[inner]) * way
        guess[axis] = level * spacing[axis]
        end = _middle(guess, nodes.depth[branch[inner]] + AROUND, found=found, face=faces[face],
                      spacing=spacing)
        if end is not None:
            points[branch[:inner + 1]] = np.linspace(end, points[branch[inner]], inner + 1)
    return nodes._replace(position=points / spacing)


def _face(position, way, *, last):
    """(axis, level) of the face of a tip that a direction leads out by most, or None."""
    out = np.where(position <= 0, -way, np.where(position >= last, way, -1))
    axis = int(np.argmax(out))
    return (axis, int(position[axis])) if out[axis] >= STEEP else None


def _middle(point, radius, *, found, face, spacing):
    """Mean of a face's foreground around a point, by evidence; None where there is none.

    face: (rows of its voxels, their cKDTree, x voxels).
    """
    rows, tree = face
    for _ in range(ROUNDS):
        some = rows[tree.query_ball_point(point, radius)]
        if len(some) == 0:
            return None
        point = np.average(found.voxels[some] * spacing, axis=0, weights=found.p[some])
    return point
