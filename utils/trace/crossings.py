"""Crossings: two fibres that cross or touch are one object of four arms, to be parted again."""
import numpy as np

from utils.trace import graphs

AHEAD = 5                # nodes over which an arm's direction is taken
THICK = 2.0              # times as thick as its arms, a place is a body and no crossing
PAIRINGS = ((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))


def uncross(nodes, spacing, *, reach, max_angle):
    """Part fibres at places with four arms, two and two of which go straight on.

    Args:
        nodes: graphs.Nodes; spacing: (z, y, x) of a voxel, x voxels.
        reach: x voxels of tree between forks that count as one place; 0: crossings stay forks.
        max_angle: degrees by which a fibre may bend there.

    Returns:
        graphs.Nodes, with one tree more for each crossing: its nodes are gone, and new ones lead
        from arm to arm. Somata, and places THICK times as thick as their arms, are left as they
        are.
    """
    links, points = graphs.neighbours(nodes), nodes.position * spacing
    fork = (graphs.degrees(nodes) > 2) & ~nodes.soma
    if not reach or not fork.any():
        return nodes
    place = _places(links, points, fork=fork, soma=nodes.soma, reach=reach)
    gone, ways = np.zeros(len(points), bool), []
    for number in np.unique(place[fork]):
        inside = np.flatnonzero(place == number)
        arms = [_walk(links, beside, last=at, soma=nodes.soma, end=lambda some: len(some) > AHEAD)
                for at in inside for beside in links[at] if place[beside] != number]
        if len(arms) != 4 or nodes.depth[inside].max() > THICK * np.median(
                [nodes.depth[arm[-1]] for arm in arms]):
            continue
        cosine, pairing = _straightest([points[[arm[0], arm[-1]]] for arm in arms])
        if cosine >= np.cos(np.radians(max_angle)):
            gone[inside] = True
            ways += [_line(nodes, (arms[a][0], arms[b][0]), points=points) for a, b in pairing]
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
    return graphs.parts(np.array(edges, int).reshape(-1, 2), len(points))


def _walk(links, at, *, last, soma, end):
    """Nodes from `at` on, away from `last`, to the next fork, tip or soma, or till end(nodes)."""
    passed = [at]
    while len(links[at]) == 2 and not soma[at] and not end(passed):
        last, at = at, links[at][int(links[at][0] == last)]
        passed.append(at)
    return passed


def _straightest(arms):
    """Two pairs of four arms such that the larger bend is least.

    Args:
        arms: list of four float [2, 3], their inner and outer ends, x voxels.

    Returns:
        (cosine of the larger bend, ((i, j), (k, l))).
    """
    cosines = [min(_cosine(arms[a], arms[b]) for a, b in pairing) for pairing in PAIRINGS]
    best = int(np.argmax(cosines))
    return cosines[best], PAIRINGS[best]


def _cosine(a, b):
    """Cosine of the largest bend on the way in through arm a, across, and out through arm b."""
    ways = [a[0] - a[1], b[0] - a[0], b[1] - b[0]]
    inwards, across, outwards = [way / max(np.linalg.norm(way), 1e-9) for way in ways]
    return min(inwards @ outwards, inwards @ across, outwards @ across)


def _line(nodes, ends, *, points):
    """Straight way between two nodes (rows), for graphs.joined: a node for each x voxel."""
    a, b = ends
    count = max(1, int(np.ceil(np.linalg.norm(points[a] - points[b]))))
    return a, b, np.linspace(nodes.position[a], nodes.position[b], 1 + count)[1:-1]
