"""Joins: trees that end at a short break in the evidence are bridged."""
import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree
from skimage import graph as pixel_graph

from utils.trace import graphs, trees

AHEAD = 9                # nodes over which a tip's direction is taken
CLOSE = 3.0              # x voxels: nearer tips are joined whatever their directions
FAINT = 0.05             # least darkness of a voxel: a detour through foreground costs, too
NOTHING = 0.01           # of the foreground's evidence, which counts as none: full darkness
AROUND = 3               # x voxels around both ends, in which a bridge is looked for
NEAR = 2.0               # of max_gap: farther tips are joined only where faint evidence leads
FAR = 4.0                # of max_gap: no farther ones
HINT = 0.3               # mean darkness of the straight line to a far one, at most


def bridge(nodes, evidence, *, spacing, low, max_gap, max_angle, least=0.0):
    """Join trees across short breaks.

    A tip is joined to another tree's node that lies near and in the tip's direction, if the
    cheapest way between them is dark for max_gap at most. The way's cost is its length weighted
    by darkness, the square of log(p / low) / log(NOTHING): 1 where there is no evidence at all,
    a tenth where there is a quarter of `low`. So faint evidence guides a bridge and lets it be
    longer: tips NEAR or nearer are joined wherever that is cheap; those up to FAR where the
    straight line between them has evidence nearly all the way, and ends no more aside.

    Args:
        nodes: graphs.Nodes; evidence: uint8 [Z, Y, X].
        spacing: (z, y, x) of a voxel, x voxels.
        low: evidence in (0, 1] that counts as foreground.
        max_gap: x voxels; 0: no bridges.
        max_angle: degrees between a tip's direction and the bridge.
        least: x voxels of certain cable (trees.certain_cable) that a tree at the end of a chain
            of joined ones must have; shorter ones go, one after the other. Those between two stay.

    Returns:
        graphs.Nodes with the bridges' voxels; no loops: a minimum spanning tree of the trees.
    """
    part, (tips, towards) = graphs.parts(nodes.edges, len(nodes.position)), _tips(nodes, spacing)
    if not max_gap or part.max() == 0 or len(tips) == 0:
        return nodes
    ahead = np.zeros_like(nodes.position)
    ahead[tips] = towards
    found = _candidates(nodes, part, tips=tips, ahead=ahead, points=nodes.position * spacing,
                        max_gap=max_gap, max_angle=max_angle)
    ways, points = {}, nodes.position * spacing
    for key, (a, b) in found.items():
        if np.linalg.norm(points[a] - points[b]) > NEAR * max_gap and _line_darkness(
                evidence, points[[a, b]], spacing=spacing, low=low) > HINT:
            continue
        way, dark = _way(evidence, nodes.position[[a, b]], spacing=spacing, low=low)
        if dark <= max_gap:
            ways[key] = max(dark, 1e-6), (a, b, way[1:-1])
    if not ways:
        return nodes
    costs = np.array([cost for cost, _ in ways.values()])
    chosen = minimum_spanning_tree(graphs.matrix(np.array(list(ways)).T, costs, n=part.max() + 1))
    chosen = chosen.tocoo()
    pairs = np.stack([chosen.row, chosen.col], 1)
    weak = trees.certain_cable(nodes, evidence, spacing=spacing, low=low) < least
    loose = _loose(pairs, weak & (np.bincount(part, nodes.soma) == 0))
    kept = ~loose[pairs].any(1)
    nodes = graphs.joined(nodes, [ways[tuple(sorted(key))][1] for key in pairs[kept].tolist()])
    return graphs.without(nodes, loose[part])


def _loose(pairs, weak):
    """Which trees are weak and end a chain of joined ones; bool [P].

    Args:
        pairs: int [K, 2], numbers of the trees that are joined; weak: bool [P].
    """
    loose = np.zeros(len(weak), bool)
    while True:
        kept = pairs[~loose[pairs].any(1)]
        ends = weak & ~loose & (np.bincount(kept.ravel(), minlength=len(weak)) == 1)
        if not ends.any():
            return loose
        loose |= ends


def _tips(nodes, spacing):
    """Rows of tips and the unit vectors in which they point; (int [T], float [T, 3])."""
    links = graphs.neighbours(nodes)
    tips, towards = np.flatnonzero(graphs.degrees(nodes) == 1), []
    for tip in tips:
        last, at = tip, links[tip][0]
        for _ in range(AHEAD - 1):
            further = [k for k in links[at] if k != last]
            if len(further) != 1:
                break
            last, at = at, further[0]
        way = (nodes.position[tip] - nodes.position[at]) * spacing
        towards.append(way / max(np.linalg.norm(way), 1e-9))
    return tips, np.array(towards).reshape(-1, 3)


def _candidates(nodes, part, *, tips, ahead, points, max_gap, max_angle):
    """The best bridge between each two trees that have one.

    Args:
        part: int [M], number of each node's tree; tips: int [T], rows.
        ahead: float [M, 3], unit vectors in which tips point, 0 for other nodes.
        points: float [M, 3], x voxels.

    Returns:
        dict, (number, number) of two trees -> (row, row).
    """
    found, least = {}, {}
    near_tips = cKDTree(points).query_ball_point(points[tips], FAR * max_gap + nodes.depth[tips])
    for tip, near in zip(tips, near_tips):
        near = np.array(near)
        near = near[part[near] != part[tip]]
        fits, score = _fitness(tip, near, depth=nodes.depth, ahead=ahead, points=points,
                               max_gap=max_gap, max_angle=max_angle)
        for other in np.unique(part[near[fits]]):
            k = np.flatnonzero(fits & (part[near] == other))
            k = k[np.argmin(score[k])]
            key = tuple(sorted((part[tip], other)))
            if key not in least or score[k] < least[key]:
                least[key], found[key] = score[k], (tip, near[k])
    return found


def _fitness(tip, near, *, depth, ahead, points, max_gap, max_angle):
    """Which nodes near a tip it may be joined to, and how badly each fits.

    A node fits if it lies in the tip's direction and, being a tip itself, points back; or if it
    is CLOSE. The side of a tree must be nearer than a tip, and comes after one.

    Args:
        tip: row; near: int [L], rows; depth: float [M], x voxels.
        max_gap, max_angle: of bridge; a far bridge bends less, so that its end lies no more aside.

    Returns:
        (bool [L], float [L], x voxels, the less the better).
    """
    way = points[near] - points[tip]
    distance = np.sqrt((way ** 2).sum(1))
    unit = way / np.maximum(distance, 1e-9)[:, None]
    pointed = (ahead[near] ** 2).sum(1) > 0
    cosine = np.cos(np.radians(max_angle * np.minimum(1, NEAR * max_gap / np.maximum(distance, 1))))
    fits = (unit @ ahead[tip] >= cosine) & (~pointed | (-(unit * ahead[near]).sum(1) >= cosine))
    fits |= distance <= CLOSE
    fits &= pointed | (distance <= max_gap / 2 + depth[tip] + depth[near])
    score = distance * (2 - unit @ ahead[tip]) - depth[near] + np.where(pointed, 0, CLOSE)
    return fits, score


def _darkness(evidence, low):
    """Cost of a voxel for each of its x voxels: 1 without evidence, FAINT in the foreground."""
    faint = np.log(np.maximum(evidence / (255.0 * low), NOTHING)) / np.log(NOTHING)
    return np.clip(faint, FAINT ** 0.5, 1) ** 2


def _line_darkness(evidence, ends, *, spacing, low):
    """Mean darkness of a straight line, of the brightest voxel around each place on it.

    ends: float [2, 3], x voxels; the rest as in bridge.
    """
    count = int(np.ceil(np.linalg.norm(ends[1] - ends[0]))) + 1
    voxels = np.rint(np.linspace(ends[0], ends[1], count) / spacing).astype(int)
    voxels = voxels[:, None] + np.array(list(np.ndindex(3, 3, 3))) - 1
    voxels = np.clip(voxels, 0, np.array(evidence.shape) - 1)
    around = evidence[tuple(voxels.reshape(-1, 3).T)].reshape(count, -1)
    return _darkness(around.max(1), low).mean()


def _way(evidence, ends, *, spacing, low):
    """Cheapest way between two nodes through their surroundings.

    Args:
        ends: float [2, 3], voxels; smoothed ones may lie up to a voxel outside of the stack.
            The rest as in bridge.

    Returns:
        (int [L, 3] voxels, both ends among them; its dark length, x voxels).
    """
    ends = np.clip(np.rint(ends).astype(int), 0, np.array(evidence.shape) - 1)
    margin = np.ceil(AROUND / spacing).astype(int)
    first = np.maximum(ends.min(0) - margin, 0)
    last = np.minimum(ends.max(0) + margin + 1, evidence.shape)
    box = evidence[tuple(slice(f, l) for f, l in zip(first, last))]
    search = pixel_graph.MCP_Geometric(_darkness(box, low), sampling=tuple(spacing))
    total = search.find_costs([ends[0] - first], [ends[1] - first])[0][tuple(ends[1] - first)]
    return np.array(search.traceback(ends[1] - first)) + first, float(total)
