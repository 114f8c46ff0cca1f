"""Crossings: fibres that cross or touch are one object of many arms, to be parted again."""
import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree

from utils.trace import graphs

AHEAD = 8                # nodes beyond a place over which an arm's direction is taken
THICK = 2.0              # times as thick as its arms, a place is a body and no crossing
MOST_ARMS = 8            # of a place; more are a tangle that is left as it is
PASSES = 0.6, 1.0        # of the reach: near forks are matched before far ones
BESIDE = 1.5             # of the reach: forks so near share a place without tree between them, too
SMOOTH = 0.5             # weight of an edge at no fork in opened(), below that of any at one


def uncross(nodes, spacing, *, reach, max_angle):
    """Part fibres at places where two or more pairs of arms go straight on.

    Arms are matched as a whole: of all ways to pair them the one whose bends are least in all.
    Arms without a partner stay branches, of the nearest fibre.

    Args:
        nodes: graphs.Nodes, loops among them; spacing: (z, y, x) of a voxel, x voxels.
        reach: x voxels of tree between forks that count as one place; 0: crossings stay forks.
        max_angle: degrees by which a fibre may bend there.

    Returns:
        graphs.Nodes: a place's nodes are gone, and new ones lead from arm to arm. Somata, and
        places THICK times as thick as their arms, are left as they are.
    """
    if not reach:
        return nodes
    for share in PASSES:
        nodes = _parted(nodes, spacing, reach=share * reach, max_angle=max_angle)
    return nodes


def opened(nodes, spacing):
    """Open what loops are left: where a fibre goes on least straight at a fork.

    Args:
        nodes: graphs.Nodes, loops among them; spacing: (z, y, x) of a voxel, x voxels.

    Returns:
        graphs.Nodes, a forest: a minimum spanning one. An edge at a fork weighs as much as its
        arm bends on the straightest way through the fork.
    """
    n = len(nodes.position)
    if n == 0 or len(nodes.edges) == n - graphs.parts(nodes.edges, n).max() - 1:
        return nodes
    links, points, bends = graphs.neighbours(nodes), nodes.position * spacing, {}
    for at in np.flatnonzero(graphs.degrees(nodes) > 2):
        arms = [points[graphs.walk(links, beside, last=at, most=AHEAD + 1, soma=nodes.soma)]
                for beside in links[at]]
        for k, beside in enumerate(links[at]):
            bend = 2 - max(_cosine(arms[k], arm) for i, arm in enumerate(arms) if i != k)
            key = min(at, beside), max(at, beside)
            bends[key] = max(bends.get(key, 0), bend)
    ends = np.sort(nodes.edges, 1)
    weights = np.array([bends.get(key, SMOOTH) for key in map(tuple, ends.tolist())])
    kept = minimum_spanning_tree(graphs.matrix(ends.T, weights, n=n)).tocoo()
    return nodes._replace(edges=np.stack([kept.row, kept.col], 1))


# --- places ---

def _parted(nodes, spacing, *, reach, max_angle):
    """One pass of uncross()."""
    links, points = graphs.neighbours(nodes), nodes.position * spacing
    fork = (graphs.degrees(nodes) > 2) & ~nodes.soma
    place = _places(links, points, fork=fork, soma=nodes.soma, reach=reach)
    members = {}
    for node in np.flatnonzero(np.isin(place, place[fork])):
        members.setdefault(place[node], []).append(node)
    gone, ways = np.zeros(len(points), bool), []
    for number, inside in members.items():
        arms = [graphs.walk(links, beside, last=at, most=AHEAD + 1, soma=nodes.soma)
                for at in inside for beside in links[at] if place[beside] != number]
        if not 4 <= len(arms) <= MOST_ARMS or nodes.depth[inside].max() > THICK * np.median(
                [nodes.depth[arm[-1]] for arm in arms]):
            continue
        pairs = _matched([points[arm] for arm in arms], max_angle=max_angle)
        if len(pairs) > 1:
            gone[inside] = True
            ways += _ways(nodes, [arm[0] for arm in arms], pairs=pairs, points=points)
    return graphs.without(graphs.joined(nodes, ways), gone)


def _places(links, points, *, fork, soma, reach):
    """Number of the place of each node; int [M].

    Forks share one that have `reach` or less of tree between them, or lie BESIDE each other:
    between two fibres that a third one crosses its own path may be missing.

    Args:
        links: of graphs.neighbours; points: float [M, 3], x voxels; fork, soma: bool [M].
    """
    some = np.flatnonzero(fork)
    if len(some) == 0:
        return np.arange(len(points))
    edges = [(some[a], some[b]) for a, b in cKDTree(points[some]).query_pairs(BESIDE * reach)]
    for at in some:
        for beside in links[at]:
            passed = [at] + graphs.walk(links, beside, last=at, most=int(3 * reach) + 1, soma=soma)
            length = np.sqrt((np.diff(points[passed], axis=0) ** 2).sum(1)).sum()
            if fork[passed[-1]] and length <= reach:
                edges += zip(passed[:-1], passed[1:])
    return graphs.parts(np.array(edges, int).reshape(-1, 2), len(points))


def _ways(nodes, ends, *, pairs, points):
    """New ways of a place, for graphs.joined: of pairs, and of arms without a partner.

    ends: rows, the first node of each arm; pairs: of _matched.
    """
    ways = [graphs.line(nodes, (ends[a], ends[b]), points=points) for a, b in pairs]
    paired = [k for pair in pairs for k in pair]
    for k in sorted(set(range(len(ends))) - set(paired)):
        off = ((points[[ends[i] for i in paired]] - points[ends[k]]) ** 2).sum(1)
        ways.append(graphs.line(nodes, (ends[k], ends[paired[int(np.argmin(off))]]),
                                points=points))
    return ways


# --- arms ---

def _matched(arms, *, max_angle):
    """Pairs of arms that go straight on, such that what is left of max_angle is most in all.

    Args:
        arms: list of float [L, 3], their points from the place outwards, x voxels.

    Returns:
        list of (i, j), no arm twice.
    """
    gain = {}
    for b in range(len(arms)):
        for a in range(b):
            bend = np.degrees(np.arccos(np.clip(_cosine(arms[a], arms[b]), -1, 1)))
            if bend < max_angle:
                gain[a, b] = max_angle - bend

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
