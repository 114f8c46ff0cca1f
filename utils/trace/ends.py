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
        branch = np.array([tip] + graphs.walk(
            links, links[tip][0], last=tip, most=4 * (AHEAD + int(nodes.depth[tip])),
            soma=nodes.soma))
        far = np.sqrt(((points[branch] - points[tip]) ** 2).sum(1))
        inner = int(np.argmax(far > nodes.depth[branch] + BEYOND))
        if inner == 0 or inner + AHEAD // 2 >= len(branch):
            continue                                     # too short to tell its course
        way = points[branch[inner]] - points[branch[min(inner + AHEAD, len(branch) - 1)]]
        way /= max(np.linalg.norm(way), 1e-9)
        face = _face(nodes.position[tip], way, last=last)
        if face is None:
            continue
        if face not in faces:
            rows = np.flatnonzero(found.voxels[:, face[0]] == face[1])
            faces[face] = rows, cKDTree(found.voxels[rows] * spacing)
        end = _middle(_hit(points[branch[inner]], way, face=face, spacing=spacing,
                           farthest=2 * far[inner]),
                      nodes.depth[branch[inner]] + AROUND, found=found, cut=faces[face],
                      spacing=spacing)
        if end is not None:
            points[branch[:inner + 1]] = np.linspace(end, points[branch[inner]], inner + 1)
    return nodes._replace(position=points / spacing)


def _face(position, way, *, last):
    """(axis, level) of the face of a tip that a direction leads out by most, or None."""
    out = np.where(position <= 0, -way, np.where(position >= last, way, -1))
    axis = int(np.argmax(out))
    return (axis, int(position[axis])) if out[axis] >= STEEP else None


def _hit(point, way, *, face, spacing, farthest):
    """Where a straight way from a point meets a face, x voxels, `farthest` along it at most."""
    axis, level = face
    step = (level * spacing[axis] - point[axis]) / way[axis]
    hit = point + min(step, farthest) * way
    hit[axis] = level * spacing[axis]
    return hit


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
