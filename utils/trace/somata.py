"""Somata: balls of foreground much thicker than the neurites, each of which becomes one node."""
import numpy as np

from utils.trace import graphs

SAME_BALL = 0.5          # x voxels: so much less deep than the deepest voxels share a ball's centre
ALIKE = 0.7              # of the thickest soma's radius: thinner balls are stems


def find(nodes, found, *, spacing, ratio, least):
    """Centres and radii of somata.

    Args:
        nodes: graphs.Nodes, for the neurites' radii; found: Foreground.
        spacing: (z, y, x) of a voxel, x voxels.
        ratio: of the soma's radius to the median of the nodes'; 0: no somata.
        least: radius of a soma, x voxels.

    Returns:
        (float [S, 3] voxels, float [S] x voxels), the thickest first.
    """
    centres, radii = [], []
    wanted = max(ratio * np.median(nodes.depth), least, ALIKE * found.depth.max())
    rows = np.flatnonzero(found.depth >= wanted) if ratio else np.zeros(0, int)
    rows = rows[np.argsort(-found.depth[rows], kind='stable')]
    points = found.voxels[rows] * spacing
    while len(rows):
        # the centre lies between voxels
        middle = points[found.depth[rows] >= found.depth[rows[0]] - SAME_BALL]
        near = ((middle - points[0]) ** 2).sum(1) <= (2 * spacing.max()) ** 2
        centres.append(middle[near].mean(0) / spacing)
        radii.append(found.depth[rows[0]])
        far = ((points - points[0]) ** 2).sum(1) > (2 * radii[-1]) ** 2
        rows, points = rows[far], points[far]
    return np.array(centres).reshape(-1, 3), np.array(radii)


def collapse(nodes, centres, *, radii, spacing, spur_length):
    """One node for each soma in place of those inside it; branches that hardly leave it go.

    Args:
        nodes: graphs.Nodes; centres, radii: of find.
        spacing: (z, y, x) of a voxel, x voxels.
        spur_length: x voxels by which a stem must leave the soma, or half the soma's radius
            where that is more.

    Returns:
        graphs.Nodes, a soma node per centre.
    """
    for centre, radius in zip(centres, radii):
        distance = np.sqrt((((nodes.position - centre) * spacing) ** 2).sum(1))
        inside = distance <= radius
        inside[np.argmin(distance)] = True
        nodes = _with_soma(nodes, inside, centre=centre, radius=radius)
        reach = radius + max(spur_length, radius / 2)
        nodes = graphs.select(nodes, ~_stubs(nodes, distance, reach=reach) & ~np.r_[inside, False])
    return nodes


def _with_soma(nodes, inside, *, centre, radius):
    """A node more, the last, which takes the edges of those inside; these stay without any."""
    soma = len(inside)
    edges = np.where(inside, soma, np.arange(soma))[nodes.edges]
    edges = np.unique(np.sort(edges, 1), axis=0)
    edges = edges[edges[:, 0] != edges[:, 1]]
    return graphs.Nodes(np.concatenate([nodes.position, centre[None]]), np.r_[nodes.depth, radius],
                        edges, np.r_[nodes.soma & ~inside, True])


def _stubs(nodes, distance, *, reach):
    """Nodes of branches of the last node, a soma, that end within `reach` of it; bool [M].

    distance: float [M - 1], of the other nodes to the soma, x voxels.
    """
    soma = len(distance)
    touching = (nodes.edges == soma).any(1)
    arm = graphs.parts(nodes.edges[~touching], len(nodes.position))
    out = np.zeros(arm.max() + 1)                       # how far each branch leads away
    np.maximum.at(out, arm[:soma], distance)
    own = np.zeros(arm.max() + 1, bool)
    own[arm[nodes.edges[touching].ravel()]] = True
    stub = (out < reach)[arm] & own[arm]
    stub[soma] = False
    return stub
