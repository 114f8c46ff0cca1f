"""From evidence for neurites to trees: geodesic paths through the foreground, bridged, pruned, smoothed.

A path leaves the root of each object (soma or thickest point) for the voxel farthest from it, then for the farthest that
no path has covered, and so on: the loop of TEASAR (Sato et al., Pacific Graphics 2000), which gives the same hierarchy,
longest first, as the all-path pruning of APP2 (Xiao & Peng, Bioinformatics 29:1448, 2013). The cost of a step is APP2's
grey-weighted one times a power of the distance to the background, which keeps paths on the axis of thick and thin alike.

Work is done on a sparse graph of the foreground voxels, so memory follows the neurites, not the stack.
Distances are in x voxels: z and y count as many as the voxel size says.
"""
import itertools
from collections import namedtuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, depth_first_order, dijkstra, minimum_spanning_tree
from scipy.spatial import cKDTree
from skimage import graph as pixel_graph

from utils.common.errors import UserError
from utils.data import swc

GREY_WEIGHT = 10.0       # lambda of APP2's exp(lambda (1 - p)^2)
CENTRING = 8.0           # power of the distance to the background in the cost: paths keep to the middle
AHEAD = 5                # nodes over which a tip's direction is taken
CLOSE = 3.0              # x voxels: nearer tips are joined whatever their directions
FAINT = 0.05             # least darkness of a voxel on a bridge: a detour through foreground is not for nothing
HALF = 0.5               # x voxels, half of one
ALIKE = 0.7              # of the thickest soma's radius: thinner balls are stems
THIN = 4.0               # x voxels: nodes of such radius or less are moved into the middle
BATCH = 4096             # nodes moved at a time, to bound memory
TAUBIN = 0.5, -0.53      # shrinking and inflating factors of Taubin's smoothing (ICCV 1995)

# voxels: int32 [N, 3]; depth: float [N], distance to the background, x voxels; p: float32 [N] in (0, 1];
# pairs: int32 [2, E], 26-neighbours, each once; steps: float32 [E], x voxels between them; component: int [N]
Foreground = namedtuple('Foreground', 'voxels depth p pairs steps component')
# position: float [M, 3] in voxels; depth: float [M], x voxels; edges: int [K, 2]; soma: bool [M]
Nodes = namedtuple('Nodes', 'position depth edges soma')


# --- foreground as a sparse graph ---

def foreground(evidence, spacing, *, low, high, min_object=1, most=None, name='stack'):
    """Voxels by hysteresis, their neighbours and their distance to the background.

    Args:
        evidence: uint8 [Z, Y, X], 255 for certain; low, high: in (0, 1], see configs/reconstruction.py.
        spacing: (z, y, x) of a voxel, x voxels. min_object: voxels of the smallest object kept.
        most: voxels that may be foreground, a limit of memory; None: any number.

    Raises:
        UserError: no foreground, no background, or more than `most`.
    """
    shape, spacing = np.array(evidence.shape), np.asarray(spacing, float)
    flat = evidence.reshape(-1)
    count = int(np.count_nonzero(flat >= _level(low)))
    if count == 0 or flat.max() < _level(high):
        raise UserError('%s has no foreground: nothing reaches %g (its maximum is %.2f): lower HIGH or leave it out'
                        % (name, high, flat.max() / 255))
    if count == len(flat):
        raise UserError('%s is all foreground: raise LOW, or give the stack another METHOD' % name)
    if most and count > most:
        raise UserError('%s has %d foreground voxels, %.0f %% of it, more than MAX_FOREGROUND=%d: raise LOW or the threshold, '
                        'cut the stack, or raise MAX_FOREGROUND (about 0.5 GB a million)'
                        % (name, count, 100 * count / len(flat), most))
    index = np.flatnonzero(flat >= _level(low))
    voxels = np.stack(np.unravel_index(index, evidence.shape), 1).astype(np.int32)
    place = _padded(voxels, shape)
    pairs, numbers = _neighbours(place, shape)
    component = connected_components(_graph(pairs, np.ones(pairs.shape[1], np.int8), n=len(voxels)), directed=False)[1]
    best = np.zeros(component.max() + 1, np.uint8)
    np.maximum.at(best, component, flat[index])
    good = (best >= _level(high)) & (np.bincount(component) >= min_object)
    if not good.any():
        raise UserError('%s has no object of MIN_OBJECT=%d voxels: lower it or leave the stack out' % (name, min_object))
    keep = good[component]
    row = np.cumsum(keep, dtype=np.int32) - 1
    of_kept = keep[pairs[0]]
    pairs, numbers = row[pairs[:, of_kept]], numbers[of_kept]
    length = np.sqrt(((np.array(OFFSETS) * spacing) ** 2).sum(1)).astype(np.float32)
    voxels = voxels[keep]
    return Foreground(voxels, _depth(voxels, place[keep], shape=shape, spacing=spacing), flat[index[keep]] / np.float32(255), pairs,
                      length[numbers], np.unique(component[keep], return_inverse=True)[1])


def _level(p):
    return max(1, int(np.ceil(255 * p - 1e-6)))


OFFSETS = [o for o in itertools.product((-1, 0, 1), repeat=3) if o > (0, 0, 0)]        # one of each two opposite ones


def _padded(voxels, shape):
    """Index of voxels [N, 3] in the stack with a rim of one voxel, so that neighbours never wrap around; int64 [N]."""
    grown = np.asarray(shape, np.int64) + 2
    z, y, x = (voxels[:, axis].astype(np.int64) + 1 for axis in range(3))
    return (z * grown[1] + y) * grown[2] + x


def _find(place, target):
    """Rows of `target` in the sorted `place`; (row, found)."""
    row = np.searchsorted(place, target)
    row[row == len(place)] = 0
    return row, place[row] == target


def _neighbours(place, shape):
    """26-neighbours, each pair once: int32 [2, E] rows, and uint8 [E] number of the offset."""
    rows, columns, numbers = [], [], []
    for number, offset in enumerate(OFFSETS):
        step = int(_padded(np.array([offset]), shape)[0] - _padded(np.zeros((1, 3), int), shape)[0])
        row, found = _find(place, place + step)
        rows.append(np.flatnonzero(found).astype(np.int32))
        columns.append(row[found].astype(np.int32))
        numbers.append(np.full(len(rows[-1]), number, np.uint8))
    return np.stack([np.concatenate(rows), np.concatenate(columns)]), np.concatenate(numbers)


def _graph(pairs, weights, *, n):
    return coo_matrix((weights, (pairs[0], pairs[1])), (n, n)).tocsr()


def _depth(voxels, place, *, shape, spacing):
    """Euclidean distance of foreground voxels to the nearest background voxel, as scipy's distance_transform_edt gives it.

    The nearest background voxel shares a face with the foreground, so that only those need be looked at: no volume of
    distances. What lies outside the stack is unknown and no background.
    """
    rim = []
    for axis in range(3):
        for side in (-1, 1):
            beside = voxels.copy()
            beside[:, axis] += side
            inside = (beside[:, axis] >= 0) & (beside[:, axis] < shape[axis])
            beside = beside[inside]
            rim.append(beside[~_find(place, _padded(beside, shape))[1]])
    rim = np.concatenate(rim)
    rim = rim[np.unique(_padded(rim, shape), return_index=True)[1]]
    return cKDTree(rim * spacing).query(voxels * spacing)[0]


# --- paths ---

def paths(found, shape, *, spacing, spur_length, spur_radii, cover_radii, cover):
    """Trace every object: farthest voxel, its path to what is traced, cover, and again.

    Args:
        found: Foreground; shape: of the stack; spacing: (z, y, x), x voxels.
        spur_length, spur_radii: a branch must leave its parent by spur_length + spur_radii * the parent's radius.
        cover_radii, cover: voxels within cover_radii * radius + cover of a path are covered by it.

    Returns:
        Nodes, one per voxel of the paths, no soma yet.
    """
    n = len(found.voxels)
    cost = np.exp(GREY_WEIGHT * (1 - found.p) ** 2) * found.depth ** -CENTRING
    weights = found.steps * (cost[found.pairs[0]] + cost[found.pairs[1]]) / 2
    order = np.lexsort((-found.depth, found.component))
    roots = order[np.r_[True, np.diff(found.component[order]) > 0]]                    # the thickest voxel of each object
    before = dijkstra(_graph(found.pairs, weights, n=n), directed=False, indices=roots, min_only=True,
                      return_predecessors=True)[1]
    before[roots] = -1
    points = found.voxels * spacing
    length = _lengths(points, before)
    tree = cKDTree(points)
    free, row = np.ones(n, bool), np.full(n, -1)
    kept, edges = [], []
    for start in roots:
        row[start] = len(kept)
        kept.append(start)
    for tip in np.argsort(-length, kind='stable'):
        if not free[tip] or row[tip] >= 0 or length[tip] == 0:
            continue
        path, at = _walk(tip, before, row=row)
        reach = cover_radii * found.depth[path] + cover
        rest, end = _rest_of_loop(tip, path, at=at, before=before, row=row, points=points, near=tree.query_ball_point(points[tip], reach[0]),
                                  reach=cover_radii * found.depth[at] + cover)
        free[path] = False
        _cover(free, tree, points=points[path], reach=reach)
        body = found.depth[at] if length[at] else 0
        body += found.depth[end] if len(rest) else 0
        total = length[tip] - length[at] + (length[rest[0]] - length[end] if len(rest) else 0)
        if total < (spur_length + (1 + spur_radii) * body if body else 2 * HALF):
            continue
        if len(rest):
            _cover(free, tree, points=points[rest], reach=cover_radii * found.depth[rest] + cover)
            outside = ((points[rest] - points[end]) ** 2).sum(1) > found.depth[end] ** 2
            path = np.r_[rest[outside][::-1], path]
        else:
            path = path[_cap(np.sqrt(((points[path] - points[tip]) ** 2).sum(1)), found.depth[path], tip=found.voxels[tip], shape=shape):]
        path = path[::-1]                                                   # from the attachment outwards
        if length[at]:
            near = np.array(tree.query_ball_point(points[at], 4 * found.depth[at] + 4))
            path, at = _outside(path, at, points=points, depth=found.depth,
                                some=near[(row[near] >= 0) & (found.component[near] == found.component[at])])
        row[path] = len(kept) + np.arange(len(path))
        kept.extend(path)
        edges.append(np.stack([row[path], np.r_[row[at], row[path[:-1]]]], 1))
    kept = np.array(kept)
    return Nodes(found.voxels[kept].astype(float), found.depth[kept], np.concatenate(edges or [np.zeros((0, 2), int)]),
                 np.zeros(len(kept), bool))


def _cover(free, tree, *, points, reach):
    """Mark the voxels near a path as covered; point by point, since balls of thick paths are most of the foreground."""
    for point, radius in zip(points[::2], reach[::2]):                      # two voxels in a row cover nearly the same
        free[tree.query_ball_point(point, radius)] = False


def _lengths(points, before):
    """Length of the path from each voxel to its root, by doubling of pointers; float [N]."""
    jump = np.where(before < 0, np.arange(len(before)), before)
    length = np.sqrt(((points - points[jump]) ** 2).sum(1))
    while True:
        further = jump[jump]
        if (further == jump).all():
            return length
        length += length[jump]
        jump = further


def _walk(tip, before, *, row):
    """Voxels from a tip to what is traced, and the traced voxel that they meet; (int [L], int)."""
    path, at = [], tip
    while row[at] < 0:
        path.append(at)
        at = before[at]
    return np.array(path), at


def _rest_of_loop(tip, path, *, at, before, row, points, near, reach):
    """The other way round, where a tip is not an end but the middle of a loop: two shortest paths meet there.

    Args:
        near: foreground voxels around the tip; reach: x voxels from the path that the other way's foot lies beyond.

    Returns:
        (int [L] voxels from the tip on, the traced voxel that they meet), or none and `at`.
    """
    own = set(path.tolist())
    own.add(at)
    near = np.array(near)
    touching = near[((points[near] - points[tip]) ** 2).sum(1) <= (2 * np.sqrt(3)) ** 2]
    seen = set()
    for start in touching:
        rest, here = [], start
        while row[here] < 0 and here not in own and here not in seen:
            rest.append(here)
            here = before[here]
        seen.update(rest)
        if not rest or here in own or row[here] < 0:
            continue
        if ((points[np.r_[path, at]] - points[here]) ** 2).sum(1).min() > reach ** 2:
            return np.array(rest), here
    return np.zeros(0, int), at


def _outside(path, at, *, points, depth, some):
    """Begin a branch at its parent's surface, and join it to the parent's node that it points to.

    Shortest paths run along within the parent first, as a branch does not.

    Args:
        path: int [L] voxels from the parent outwards; at: voxel of the parent; some: int, the traced voxels around it.

    Returns:
        (path, at), the path never empty.
    """
    head = path[:int(4 * depth[at] + 4)]
    distance = np.sqrt(((points[head][:, None] - points[some]) ** 2).sum(2))
    within = (distance < depth[some]).any(1)
    first = min(int(np.argmin(np.r_[within, False])), len(path) - 1)
    path = path[first:]
    way = points[some] - points[path[0]]
    ahead = points[path[min(AHEAD, len(path) - 1)]] - points[path[0]]
    length = np.linalg.norm(ahead)
    along = way @ (ahead / length if length else ahead)
    across = np.sqrt(np.maximum((way ** 2).sum(1) - along ** 2, 0))
    return path, some[np.argmin(across + np.where(along < 0, -along / 2, 2 * along))]


def _cap(distance, depth, *, tip, shape):
    """Nodes to cut at a path's end: a neurite ends in a ball, whose centre is its last node, not its surface.

    A neurite that leaves the stack is cut by the stack's face and keeps all of them.
    """
    if (tip <= 0).any() or (tip >= np.array(shape) - 1).any():
        return 0
    return int(np.flatnonzero(np.r_[True, distance[1:] <= depth[1:] - (depth[1:] < 1.5)])[-1])       # a thin one has no ball


# --- soma ---

def find_soma(nodes, found, *, spacing, ratio, least):
    """Centres and radii of somata: balls that fit into the foreground, much thicker than the neurites.

    Args:
        ratio: of the soma's radius to the median of the nodes'; least: x voxels, of its radius; 0 for ratio: no somata.

    Returns:
        (float [S, 3] voxels, float [S] x voxels), the thickest first.
    """
    centres, radii = [], []
    wanted = max(ratio * np.median(nodes.depth), least)
    wanted = max(wanted, ALIKE * found.depth.max())                      # a stem is no second soma
    rows = np.flatnonzero(found.depth >= wanted) if ratio else np.zeros(0, int)
    rows = rows[np.argsort(-found.depth[rows], kind='stable')]
    points = found.voxels[rows] * spacing
    while len(rows):
        middle = points[found.depth[rows] >= found.depth[rows[0]] - HALF]     # the ball's centre is between voxels
        middle = middle[((middle - points[0]) ** 2).sum(1) <= (2 * spacing.max()) ** 2].mean(0)
        centres.append(middle / spacing)
        radii.append(found.depth[rows[0]])
        far = ((points - points[0]) ** 2).sum(1) > (2 * radii[-1]) ** 2
        rows, points = rows[far], points[far]
    return np.array(centres).reshape(-1, 3), np.array(radii)


def collapse(nodes, centres, *, radii, spacing, spur_length):
    """One node for each soma in place of those inside it; branches that hardly leave it are dropped."""
    for centre, radius in zip(centres, radii):
        distance = np.sqrt((((nodes.position - centre) * spacing) ** 2).sum(1))
        inside = distance <= radius
        inside[np.argmin(distance)] = True
        soma = len(inside)
        row = np.where(inside, soma, np.arange(soma))
        edges = np.unique(np.sort(row[nodes.edges], 1), axis=0)
        edges = edges[edges[:, 0] != edges[:, 1]]
        nodes = Nodes(np.concatenate([nodes.position, centre[None]]), np.r_[nodes.depth, radius], edges,
                      np.r_[nodes.soma & ~inside, True])
        _, arm = connected_components(_graph(edges[(edges != soma).all(1)].T, np.ones((edges != soma).all(1).sum()),
                                             n=soma + 1), directed=False)
        out = np.zeros(arm.max() + 1)
        np.maximum.at(out, arm[:soma], distance)
        stub = out[arm] < radius + max(spur_length, radius / 2)
        near = np.zeros(arm.max() + 1, bool)
        near[arm[edges[(edges == soma).any(1)].ravel()]] = True
        drop = np.r_[inside, False] | (stub & near[arm])
        drop[soma] = False
        nodes = select(nodes, ~drop)
    return nodes


def select(nodes, keep):
    """Nodes where `keep`, and the edges between them."""
    row = np.cumsum(keep) - 1
    edges = nodes.edges[keep[nodes.edges].all(1)]
    return Nodes(nodes.position[keep], nodes.depth[keep], row[edges], nodes.soma[keep])


# --- crossings ---

def uncross(nodes, spacing, *, reach, max_angle):
    """Part fibres that cross or touch: four arms at one place, two and two of which go straight on.

    Args:
        reach: x voxels of tree between forks that count as one place; 0: crossings stay forks.
        max_angle: degrees by which a fibre may bend there. Somata, and places twice as thick as their arms, are no crossings.

    Returns:
        Nodes, with one tree more for each crossing: a place with four arms falls into four pieces, joined to two.
    """
    links, points = _links(nodes), nodes.position * spacing
    fork = (np.array([len(some) for some in links]) > 2) & ~nodes.soma
    if not reach or not fork.any():
        return nodes

    def way(last, at, end):
        """Nodes from `at` on, away from `last`, to the next fork, tip or soma, or till end(nodes)."""
        passed = [at]
        while len(links[at]) == 2 and not nodes.soma[at] and not end(passed):
            last, at = at, links[at][int(links[at][0] == last)]
            passed.append(at)
        return passed

    def straight(a, b):
        """Cosine of the bend from one arm into another."""
        ends = [points[[arm[0], arm[-1]]] for arm in (a, b)]
        inwards, outwards, gap = ends[0][0] - ends[0][1], ends[1][1] - ends[1][0], ends[1][0] - ends[0][0]
        norms = [max(np.linalg.norm(v), 1e-9) for v in (inwards, outwards, gap)]
        inwards, outwards, gap = inwards / norms[0], outwards / norms[1], gap / norms[2]
        return min(inwards @ outwards, inwards @ gap, outwards @ gap)

    joint = []                                           # edges between forks of one place
    for at in np.flatnonzero(fork):
        for beside in links[at]:
            passed = [at] + way(at, beside, lambda some: np.linalg.norm(points[some[-1]] - points[at]) > reach)
            if fork[passed[-1]] and np.sqrt((np.diff(points[passed], axis=0) ** 2).sum(1)).sum() <= reach:
                joint += zip(passed[:-1], passed[1:])
    place = _parts(nodes._replace(edges=np.array(joint, int).reshape(-1, 2)))
    gone, joins = np.zeros(len(points), bool), []
    for number in np.unique(place[fork]):
        inside = np.flatnonzero(place == number)
        arms = [way(at, beside, lambda some: len(some) > AHEAD)
                for at in inside for beside in links[at] if place[beside] != number]
        if len(arms) != 4 or nodes.depth[inside].max() > 2 * np.median([nodes.depth[arm[-1]] for arm in arms]):
            continue
        pairs = max((((0, i), tuple({1, 2, 3} - {i})) for i in (1, 2, 3)),
                    key=lambda pairs: min(straight(arms[a], arms[b]) for a, b in pairs))
        if min(straight(arms[a], arms[b]) for a, b in pairs) >= np.cos(np.radians(max_angle)):
            gone[inside] = True
            joins += [(arms[a][0], arms[b][0]) for a, b in pairs]
    made = _joined(nodes, [(a, b, np.linspace(nodes.position[a], nodes.position[b], 1 + max(
        1, int(np.ceil(np.linalg.norm(points[a] - points[b])))))[1:-1]) for a, b in joins])
    return select(made, np.r_[~gone, np.ones(len(made.position) - len(gone), bool)])


# --- gaps ---

def _parts(nodes):
    return connected_components(_graph(nodes.edges.T, np.ones(len(nodes.edges)), n=len(nodes.position)), directed=False)[1]


def _links(nodes):
    links = [[] for _ in nodes.position]
    for a, b in nodes.edges:
        links[a].append(b)
        links[b].append(a)
    return links


def _joined(nodes, ways):
    """Nodes and ways (row, row, float [L, 3] voxels between them), as thick as the thinner end."""
    position, depth, edges = [nodes.position], [nodes.depth], [nodes.edges]
    n = len(nodes.position)
    for a, b, way in ways:
        rows = np.r_[a, n + np.arange(len(way)), b]
        edges.append(np.stack([rows[:-1], rows[1:]], 1))
        position.append(way.astype(float).reshape(-1, 3))
        depth.append(np.full(len(way), min(nodes.depth[a], nodes.depth[b])))
        n += len(way)
    return Nodes(np.concatenate(position), np.concatenate(depth), np.concatenate(edges),
                 np.r_[nodes.soma, np.zeros(n - len(nodes.soma), bool)])


def _tips(nodes, spacing):
    """Rows of tips and the unit vectors in which they point; (int [T], float [T, 3])."""
    links = _links(nodes)
    tips, towards = [], []
    for tip in np.flatnonzero(np.bincount(nodes.edges.ravel(), minlength=len(links)) == 1):
        last, at = tip, links[tip][0]
        for _ in range(AHEAD - 1):
            ahead = [k for k in links[at] if k != last]
            if len(ahead) != 1:
                break
            last, at = at, ahead[0]
        ahead = (nodes.position[tip] - nodes.position[at]) * spacing
        tips.append(tip)
        towards.append(ahead / max(np.linalg.norm(ahead), 1e-9))
    return np.array(tips, int), np.array(towards).reshape(-1, 3)


def bridge(nodes, evidence, *, spacing, low, max_gap, max_angle):
    """Join trees across short breaks: a tip and another tree's node that lie near, in the tip's direction, and where
    the cheapest way between them is dark for max_gap at most.

    The way's cost is its length weighted by darkness, 1 - p / low: through a background of no evidence it is the length.

    Args:
        evidence: uint8 [Z, Y, X]; low: evidence that counts as foreground; max_gap: x voxels, 0 for no bridges;
        max_angle: degrees between a tip's direction and the bridge.

    Returns:
        Nodes with the bridges' voxels; no loops (a minimum spanning tree of the trees).
    """
    part, (tips, towards) = _parts(nodes), _tips(nodes, spacing)
    if not max_gap or part.max() == 0 or len(tips) == 0:
        return nodes
    points = nodes.position * spacing
    ahead = np.zeros_like(points)
    ahead[tips] = towards
    found = {}
    tree = cKDTree(points)
    for tip, near in zip(tips, tree.query_ball_point(points[tips], 2 * max_gap + nodes.depth[tips])):
        near = np.array(near)
        near = near[part[near] != part[tip]]
        way = points[near] - points[tip]
        distance = np.sqrt((way ** 2).sum(1))
        unit = way / np.maximum(distance, 1e-9)[:, None]
        cosine = np.cos(np.radians(max_angle))
        pointed = (ahead[near] ** 2).sum(1) > 0
        fits = (unit @ ahead[tip] >= cosine) & (~pointed | (-(unit * ahead[near]).sum(1) >= cosine))
        fits |= distance <= CLOSE
        fits &= pointed | (distance <= max_gap / 2 + nodes.depth[tip] + nodes.depth[near])
        score = distance * (2 - unit @ ahead[tip]) - nodes.depth[near] + np.where(pointed, 0, CLOSE)    # tips before sides
        for other in np.unique(part[near[fits]]):
            k = np.flatnonzero(fits & (part[near] == other))
            k = k[np.argmin(score[k])]
            key = tuple(sorted((part[tip], other)))
            if key not in found or score[k] < found[key][0]:
                found[key] = score[k], tip, near[k]
    ways = {}
    for key, (_, a, b) in found.items():
        way, dark = _way(evidence, nodes.position[a], b=nodes.position[b], spacing=spacing, low=low)
        if dark <= max_gap:
            ways[key] = max(dark, 1e-6), a, b, way
    if not ways:
        return nodes
    keys = np.array(list(ways))
    chosen = minimum_spanning_tree(_graph(keys.T, np.array([way[0] for way in ways.values()]), n=part.max() + 1)).tocoo()
    chosen = [ways[tuple(sorted(key))] for key in zip(chosen.row, chosen.col)]
    return _joined(nodes, [(a, b, way[1:-1]) for _, a, b, way in chosen])


def _way(evidence, a, *, b, spacing, low):
    """Cheapest way between two nodes through their surroundings; (int [L, 3] voxels, its dark length, x voxels)."""
    ends = np.rint([a, b]).astype(int)
    margin = np.ceil(3 / spacing).astype(int)
    first = np.maximum(ends.min(0) - margin, 0)
    box = tuple(slice(f, l) for f, l in zip(first, np.minimum(ends.max(0) + margin + 1, evidence.shape)))
    dark = np.clip(1 - evidence[box] / (255.0 * low), FAINT, 1)
    search = pixel_graph.MCP_Geometric(dark, sampling=tuple(spacing))
    total = search.find_costs([ends[0] - first], [ends[1] - first])[0][tuple(ends[1] - first)]
    return np.array(search.traceback(ends[1] - first)) + first, float(total)


# --- from nodes to trees ---

def drop_short(nodes, spacing, *, min_length):
    """Leave out trees without a soma whose branches are shorter than min_length, x voxels, in all."""
    if len(nodes.edges) == 0:
        return select(nodes, nodes.soma)
    part = _parts(nodes)
    step = np.sqrt((((nodes.position[nodes.edges[:, 0]] - nodes.position[nodes.edges[:, 1]]) * spacing) ** 2).sum(1))
    total = np.bincount(part[nodes.edges[:, 0]], step, part.max() + 1)
    has_soma = np.bincount(part, nodes.soma, part.max() + 1) > 0
    return select(nodes, ((total >= min_length) | has_soma)[part])


def smooth(nodes, spacing, *, rounds):
    """Take the voxels' staircase out of positions (tips and somata stay) and the steps out of radii.

    Taubin's two steps, which unlike plain averaging do not shorten bends; `rounds` of them.
    """
    links = _graph(nodes.edges.T, np.ones(len(nodes.edges)), n=len(nodes.position))
    links = (links + links.T).tolil()
    for node in np.flatnonzero(np.bincount(nodes.edges.ravel(), minlength=len(nodes.position)) > 2):
        beside = np.array(links.rows[node])
        way = (nodes.position[beside] - nodes.position[node]) * spacing
        way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
        i, j = np.unravel_index(np.argmin(way @ way.T), (len(way), len(way)))
        links.rows[node], links.data[node] = sorted([beside[i], beside[j]]), [1.0, 1.0]     # a side branch does not pull
    links = links.tocsr()
    degree = np.asarray(links.sum(1)).ravel()
    moving = ((degree > 1) & ~nodes.soma)[:, None]
    points, depth = nodes.position.copy(), nodes.depth.copy()
    for _ in range(rounds):
        for factor in TAUBIN:
            points += moving * factor * (links @ points / np.maximum(degree, 1)[:, None] - points)
        depth += moving[:, 0] * 0.5 * (links @ depth / np.maximum(degree, 1) - depth)
    return nodes._replace(position=points, depth=depth)


def centre(nodes, found, *, spacing):
    """Move nodes of thin neurites across their direction into the middle of the foreground around them.

    Shortest paths run through voxels; the middle of a neurite two voxels wide lies between them. Junctions, tips, somata
    and nodes of thick neurites, whose middle the cost finds, stay.
    """
    n, points = len(nodes.position), nodes.position * spacing
    links = _graph(nodes.edges.T, np.ones(len(nodes.edges)), n=n)
    links = (links + links.T).tocsr()
    moving = np.flatnonzero((np.diff(links.indptr) == 2) & ~nodes.soma & (nodes.depth <= THIN))
    beside = links.indices[links.indptr[moving][:, None] + np.arange(2)].reshape(-1, 2)
    ahead = points[beside[:, 1]] - points[beside[:, 0]]
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    around = found.voxels * spacing
    tree = cKDTree(around)
    for first in range(0, len(moving), BATCH):
        k = moving[first:first + BATCH]
        near = tree.query_ball_point(points[k], nodes.depth[k] + 2 * HALF)
        count = np.array([len(some) for some in near])
        k, ahead_k, count = k[count > 0], ahead[first:first + BATCH][count > 0], count[count > 0]
        if len(k):
            some = np.concatenate([np.array(rows) for rows in near if rows])
            starts = np.cumsum(count) - count
            weight = found.p[some, None]
            shift = np.add.reduceat(around[some] * weight, starts) / np.add.reduceat(weight, starts) - points[k]
            points[k] += shift - (shift * ahead_k).sum(1, keepdims=True) * ahead_k
    return nodes._replace(position=points / spacing)


def to_tree(nodes):
    """Root every tree at its thickest soma, or at its thickest node, and list parents before children: a swc.Tree."""
    n = len(nodes.position)
    part = _parts(nodes)
    order = np.lexsort((-nodes.depth, ~nodes.soma, part))
    roots = order[np.r_[True, np.diff(part[order]) > 0]]
    rows = np.concatenate([nodes.edges, np.stack([np.full(len(roots), n), roots], 1)])  # a node that leads to all roots
    walk, parent = depth_first_order(_graph(rows.T, np.ones(len(rows)), n=n + 1), n, directed=False)
    walk = walk[1:]
    walk = walk[np.argsort(-np.bincount(part)[part[walk]], kind='stable')]             # the largest tree first
    row = np.full(n + 1, -1)
    row[walk] = np.arange(n)
    kind = np.where(nodes.soma[walk], swc.SOMA, swc.UNDEFINED)
    return swc.Tree(kind, nodes.position[walk], nodes.depth[walk], row[parent[walk]])


def trace(evidence, spacing, *, low, high, values, name='stack'):
    """Trace a stack.

    Args:
        evidence: uint8 [Z, Y, X], 255 for certain foreground.
        spacing: (z, y, x) of a voxel, in x voxels.
        low, high: evidence in (0, 1] of the foreground's hysteresis.
        values: the other constants of configs/reconstruction.py; name: for messages.

    Returns:
        swc.Tree, a forest: position in voxels, radius in x voxels, the largest tree first.

    Raises:
        UserError: no foreground, too much of it, or no tree of MIN_LENGTH.
    """
    spacing = np.asarray(spacing, float)
    found = foreground(evidence, spacing, low=low, high=high, min_object=values.MIN_OBJECT, most=values.MAX_FOREGROUND, name=name)
    nodes = paths(found, evidence.shape, spacing=spacing, spur_length=values.SPUR_LENGTH, spur_radii=values.SPUR_RADII, cover_radii=values.COVER_SCALE, cover=values.COVER_MARGIN)
    centres, radii = find_soma(nodes, found, spacing=spacing, ratio=values.SOMA_RATIO, least=values.SOMA_RADIUS)
    nodes = collapse(nodes, centres, radii=radii, spacing=spacing, spur_length=values.SPUR_LENGTH)
    nodes = uncross(nodes, spacing, reach=values.CROSS_REACH, max_angle=values.CROSS_ANGLE)
    nodes = bridge(nodes, evidence, spacing=spacing, low=low, max_gap=values.MAX_GAP, max_angle=values.MAX_ANGLE)
    nodes = drop_short(nodes, spacing, min_length=values.MIN_LENGTH)
    if len(nodes.position) == 0:
        raise UserError('%s has no neurite of MIN_LENGTH=%g x voxels: lower it or leave the stack out' % (name, values.MIN_LENGTH))
    if values.SMOOTH_ROUNDS:
        for _ in range(2):
            nodes = centre(smooth(nodes, spacing, rounds=values.SMOOTH_ROUNDS // 2), found, spacing=spacing)
    return to_tree(smooth(nodes, spacing, rounds=values.SMOOTH_ROUNDS))
