"""Crossings: fibres that cross or touch are one object of many arms, to be parted again."""
import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree

from utils.trace import graphs

AHEAD = 8                # nodes beyond a place over which an arm's direction is taken
THICK = 2.0              # times as thick as its arms, a place is a body and no crossing
SHARES = 0.6, 1.0       # of the reach, one pass each: near forks are matched first
BODY=[0,0]
EUC=[1.5]
MOST_ARMS = 8            # of a place; more are a tangle that is left as it is


def uncross(nodes, spacing, *, reach, max_angle):
    """Part fibres at places where two or more pairs of arms go straight on.

    Arms are matched as a whole: of all ways to pair them the one whose bends are least in all.
    Arms without a partner stay branches, of the nearest fibre.

    Args:
        nodes: graphs.Nodes; spacing: (z, y, x) of a voxel, x voxels.
        reach: x voxels of tree between forks that count as one place; 0: crossings stay forks.
        max_angle: degrees by which a fibre may bend there.

    Returns:
        graphs.Nodes, with one tree more for each fibre parted: a place's nodes are gone, and new
        ones lead from arm to arm. Somata, and places THICK times as thick as their arms, are left
        as they are.
    """
    links, points = graphs.neighbours(nodes), nodes.position * spacing
    fork = (graphs.degrees(nodes) > 2) & ~nodes.soma
    if not reach or not fork.any():
        return nodes
    place = _places(links, points, fork=fork, soma=nodes.soma, reach=reach)
    gone, ways = np.zeros(len(points), bool), []
    members = {}
    for node in np.flatnonzero(np.isin(place, place[fork])):
        members.setdefault(place[node], []).append(node)
    for number, inside in members.items():
        inside = np.array(inside)
        arms = [_walk(links, beside, last=at, soma=nodes.soma, end=lambda some: len(some) > 30)
                for at in inside for beside in links[at] if place[beside] != number]
        if not 4 <= len(arms) <= MOST_ARMS or nodes.depth[inside].max() > THICK * np.median(
                [nodes.depth[arm[-1]] for arm in arms]):
            continue
        first = []
        for at in inside:
            for beside in links[at]:
                if place[beside] != number: first.append(at)
        body = nodes.depth[inside].max()
        cut = []
        for k, (arm, at) in enumerate(zip(arms, first)):
            far = np.linalg.norm(points[arm] - points[at], axis=1)
            out = np.flatnonzero(far >= BODY[0] * body + BODY[1])
            cut.append(min(out[0] if len(out) else len(arm) - 1, max(len(arm)-4,0)))
        full = arms
        arms = [arm[c:c+AHEAD+1] for arm, c in zip(full, cut)]
        pairs = _matched([points[arm] for arm in arms], max_angle=max_angle)
        if len(pairs) > 1:
            gone[inside] = True
            for arm, c in zip(full, cut): gone[arm[:c]] = True
            made = [_line(nodes, (arms[a][0], arms[b][0]), points=points) for a, b in pairs]
            rest = set(range(len(arms))) - set(sum(pairs, ()))
            ways += made + [_branch(arms[k], pairs, arms=arms, nodes=nodes, points=points)
                            for k in sorted(rest)]
    made = graphs.joined(nodes, ways)
    return graphs.select(made, np.r_[~gone, np.ones(len(made.position) - len(gone), bool)])


def _places(links, points, *, fork, soma, reach):
    """Number of the place of each node: forks with `reach` or less of tree between them share one.

    Args:
        links: of graphs.neighbours; points: float [M, 3], x voxels; fork, soma: bool [M].

    Returns:
        int [M].
    """
    edges = []
    for at in np.flatnonzero(fork):
        def beyond(passed):
            return np.linalg.norm(points[passed[-1]] - points[at]) > reach

        for beside in links[at]:
            passed = [at] + _walk(links, beside, last=at, soma=soma, end=beyond)
            length = np.sqrt((np.diff(points[passed], axis=0) ** 2).sum(1)).sum()
            if fork[passed[-1]] and length <= reach:
                edges += zip(passed[:-1], passed[1:])
    some = np.flatnonzero(fork)
    edges += [tuple(some[list(pair)]) for pair in cKDTree(points[some]).query_pairs(EUC[0] * reach)]
    return graphs.parts(np.array(edges, int).reshape(-1, 2), len(points))


def _walk(links, at, *, last, soma, end):
    """Nodes from `at` on, away from `last`, to the next fork, tip or soma, or till end(nodes)."""
    passed = [at]
    while len(links[at]) == 2 and not soma[at] and not end(passed):
        last, at = at, links[at][int(links[at][0] == last)]
        passed.append(at)
    return passed


def _matched(arms, *, max_angle):
    """Pairs of arms that go straight on, such that what is left of max_angle is most in all.

    Args:
        arms: list of float [L, 3], their points from the place outwards, x voxels.

    Returns:
        list of (i, j), no arm twice.
    """
    gain = {}
    for a in range(len(arms)):
        for b in range(a):
            bend = np.degrees(np.arccos(np.clip(_cosine(arms[a], arms[b]), -1, 1)))
            if bend < max_angle:
                gain[b, a] = max_angle - bend

    def best(free):
        """(gain, pairs) of the best matching of some arms."""
        if len(free) < 2:
            return 0.0, []
        first, others = free[0], free[1:]
        found = best(others)
        for other in others:
            if (first, other) in gain:
                total, pairs = best(tuple(k for k in others if k != other))
                if total + gain[first, other] > found[0]:
                    found = total + gain[first, other], pairs + [(first, other)]
        return found

    return best(tuple(range(len(arms))))[1]


def _cosine(a, b):
    """Cosine of the largest bend on the way in through arm a, across, and out through arm b."""
    ways = [a[0] - a[-1], b[0] - a[0], b[-1] - b[0]]
    inwards, across, outwards = [way / max(np.linalg.norm(way), 1e-9) for way in ways]
    return min(inwards @ outwards, inwards @ across, outwards @ across)


def _line(nodes, ends, *, points):
    """Straight way between two nodes (rows), for graphs.joined: a node for each x voxel."""
    a, b = ends
    count = max(1, int(np.ceil(np.linalg.norm(points[a] - points[b]))))
    return a, b, np.linspace(nodes.position[a], nodes.position[b], 1 + count)[1:-1]


def _branch(arm, pairs, *, arms, nodes, points):
    """Straight way from an arm without a partner to the nearest end of a pair."""
    ends = [arms[k][0] for pair in pairs for k in pair]
    return _line(nodes, (arm[0], min(ends, key=lambda end: (
        (points[end] - points[arm[0]]) ** 2).sum())), points=points)


def opened(nodes, spacing):
    """Open what loops are left: where a fibre goes on least straight at a fork.

    Args:
        nodes: graphs.Nodes, loops among them; spacing: (z, y, x) of a voxel, x voxels.

    Returns:
        graphs.Nodes, a forest: a minimum spanning one, an edge's weight being the least bend from
        it to another arm of its fork.
    """
    n = len(nodes.position)
    if len(nodes.edges) - n + graphs.parts(nodes.edges, n).max() + 1 == 0:
        return nodes
    links, points = graphs.neighbours(nodes), nodes.position * spacing
    bends = {}
    for at in np.flatnonzero(graphs.degrees(nodes) > 2):
        arms = [points[_walk(links, beside, last=at, soma=nodes.soma,
                             end=lambda some: len(some) > AHEAD)] for beside in links[at]]
        for k, beside in enumerate(links[at]):
            best = max(_cosine(arms[k], other) for j, other in enumerate(arms) if j != k)
            key = min(at, beside), max(at, beside)
            bends[key] = max(bends.get(key, 0), 2 - best)
    low, high = nodes.edges.min(1), nodes.edges.max(1)
    weights = np.array([bends.get(key, 0.5) for key in zip(low, high)])
    kept = minimum_spanning_tree(graphs.matrix(np.stack([low, high]), weights, n=n)).tocoo()
    return nodes._replace(edges=np.stack([kept.row, kept.col], 1))
