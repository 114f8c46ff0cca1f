"""Paths through the foreground: each leads from a voxel that no path covers to what is traced.

A path leaves the root of each object, its thickest voxel, for the voxel farthest from it, then
for the farthest that no path has covered, and so on: the loop of TEASAR (Sato et al., Pacific
Graphics 2000). It gives the same hierarchy, longest first, as the all-path pruning of APP2 (Xiao
& Peng, Bioinformatics 29:1448, 2013). A step costs APP2's grey-weighted exp(lambda (1 - p)^2)
times a power of the distance to the background, which keeps paths on the axis of thick and thin
neurites alike. Lengths are in x voxels.
"""
import numpy as np
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from utils.trace import graphs

GREY_WEIGHT = 10.0       # lambda of APP2's cost
CENTRING = 8.0           # power of the distance to the background in the cost
AHEAD = 5                # voxels over which a branch's first direction is taken
SHORTEST = 1.0           # x voxels that a path must have where there is no parent to leave
TOUCHING = 2 * np.sqrt(3)     # x voxels around a tip in which another path may end
THIN = 1.5               # x voxels: a neurite of less radius ends in no ball


def paths(found, shape, *, spacing, settings):
    """Trace every object: the farthest voxel, its path to what is traced, cover, and again.

    Args:
        found: Foreground; shape: (z, y, x) of the stack.
        spacing: (z, y, x) of a voxel, x voxels.
        settings: Settings; cover_scale, cover_margin, spur_length, spur_radii count.

    Returns:
        graphs.Nodes, one per voxel of the paths, no soma yet.
    """
    search = _Search(found, spacing, settings=settings)
    for tip in np.argsort(-search.length, kind='stable'):
        if not search.free[tip] or search.row[tip] >= 0 or search.length[tip] == 0:
            continue
        path, at = search.walk(tip)
        rest, end = search.other_way(tip, path, at=at)
        search.free[path] = False
        search.cover(path)
        if search.is_spur(tip, at, rest=rest, end=end):
            continue
        if len(rest):                                  # a loop, from foot to foot through the tip
            search.cover(rest)
            far = ((search.points[rest] - search.points[end]) ** 2).sum(1)
            path = np.r_[rest[far > found.depth[end] ** 2][::-1], path]
            search.add(path[::-1], at, end=end)
        else:
            far = np.sqrt(((search.points[path] - search.points[tip]) ** 2).sum(1))
            path = path[_cap(far, found.depth[path], tip=found.voxels[tip], shape=shape):]
            search.add(path[::-1], at)
    return search.nodes()


class _Search:
    """Shortest paths to the roots, and which voxels are traced and covered so far.

    points: float [N, 3], x voxels; before: int [N], next voxel on the way to the root, -1 at it;
    length: float [N] of that way, x voxels; free: bool [N], not covered; row: int [N], of the
    voxel among the nodes, -1 where it is not traced.
    """

    def __init__(self, found, spacing, *, settings):
        """Find all shortest paths. found: Foreground; settings: Settings."""
        self.found, self.settings = found, settings
        self.points = found.voxels * spacing
        roots, self.before = _ways(found)
        self.length = _lengths(self.points, self.before)
        self.tree = cKDTree(self.points)
        self.free, self.row = np.ones(len(self.points), bool), np.full(len(self.points), -1)
        self.row[roots] = np.arange(len(roots))
        self.kept, self.edges = list(roots), [np.zeros((0, 2), int)]

    def reach(self, voxels):
        """How far paths at voxels cover, x voxels."""
        return self.settings.cover_scale * self.found.depth[voxels] + self.settings.cover_margin

    def walk(self, tip):
        """Voxels from a tip to what is traced, and the traced voxel they meet; (int [L], int)."""
        path, at = [], tip
        while self.row[at] < 0:
            path.append(at)
            at = self.before[at]
        return np.array(path), at

    def other_way(self, tip, path, *, at):
        """The other way round, where a tip is no end but the middle of a loop.

        Two shortest paths meet there: the tip's own, and one from a voxel that touches it. The
        second's foot lies where the first does not cover.

        Returns:
            (int [L] voxels from the tip on, the traced voxel they meet), or none and `at`.
        """
        own, seen = set(path.tolist()) | {at}, set()
        near = np.array(self.tree.query_ball_point(self.points[tip], self.reach(tip)))
        far = ((self.points[near] - self.points[tip]) ** 2).sum(1)
        for start in near[far <= TOUCHING ** 2]:
            rest, here = [], start
            while self.row[here] < 0 and here not in own and here not in seen:
                rest.append(here)
                here = self.before[here]
            seen.update(rest)
            if not rest or here in own or self.row[here] < 0:
                continue
            far = ((self.points[np.r_[path, at]] - self.points[here]) ** 2).sum(1)
            if far.min() > self.reach(at) ** 2:
                return np.array(rest), here
        return np.zeros(0, int), at

    def cover(self, path):
        """Mark the voxels near a path as covered.

        Ball by ball: the balls of a thick path overlap, and are most of the foreground each.
        """
        path = path[::2]                               # two voxels in a row cover nearly the same
        for point, radius in zip(self.points[path], self.reach(path)):
            self.free[self.tree.query_ball_point(point, radius)] = False

    def is_spur(self, tip, at, *, rest, end):
        """True if a path hardly leaves its parent, or a loop its two ends' parents."""
        depth, length = self.found.depth, self.length
        body = depth[at] if length[at] else 0          # a root is no parent
        total = length[tip] - length[at]
        if len(rest):
            body += depth[end]
            total += length[rest[0]] - length[end]
        if not body:
            return total < SHORTEST
        return total < self.settings.spur_length + (1 + self.settings.spur_radii) * body

    def add(self, path, at, *, end=None):
        """Make nodes of a path, int [L], that leaves the traced voxel `at` and comes to `end`."""
        if self.length[at]:
            path, at = self._outside(path, at)
        self.row[path] = len(self.kept) + np.arange(len(path))
        self.kept.extend(path)
        self.edges.append(np.stack([self.row[path], np.r_[self.row[at], self.row[path[:-1]]]], 1))
        if end is not None and self.row[end] != self.edges[-1][-1, 1]:
            self.edges.append(np.array([[self.row[path[-1]], self.row[end]]]))

    def _outside(self, path, at):
        """Begin a branch at its parent's surface, and join it to the node that it points to.

        A shortest path runs along within the parent first, as a branch does not.

        Returns:
            (path, at), the path never empty.
        """
        points, depth = self.points, self.found.depth
        some = np.array(self.tree.query_ball_point(points[at], 4 * depth[at] + 4))
        own = self.found.component[some] == self.found.component[at]
        some = some[(self.row[some] >= 0) & own]       # traced voxels of the parent around it
        head = path[:int(4 * depth[at] + 4)]
        distance = np.sqrt(((points[head][:, None] - points[some]) ** 2).sum(2))
        within = (distance < depth[some]).any(1)
        path = path[min(int(np.argmin(np.r_[within, False])), len(path) - 1):]
        way = points[some] - points[path[0]]
        ahead = points[path[min(AHEAD, len(path) - 1)]] - points[path[0]]
        length = np.linalg.norm(ahead)
        along = way @ (ahead / length if length else ahead)
        across = np.sqrt(np.maximum((way ** 2).sum(1) - along ** 2, 0))
        return path, some[np.argmin(across + np.where(along < 0, -along / 2, 2 * along))]

    def nodes(self):
        """What is traced; graphs.Nodes."""
        kept = np.array(self.kept)
        return graphs.Nodes(self.found.voxels[kept].astype(float), self.found.depth[kept],
                            np.concatenate(self.edges), np.zeros(len(kept), bool))


def _ways(found):
    """Cheapest ways from all voxels to the thickest of their object.

    Returns:
        (int [objects], the roots; int [N], the next voxel on the way, -1 at a root).
    """
    n = len(found.voxels)
    cost = np.exp(GREY_WEIGHT * (1 - found.p) ** 2) * found.depth ** -CENTRING
    weights = found.steps * (cost[found.pairs[0]] + cost[found.pairs[1]]) / 2
    order = np.lexsort((-found.depth, found.component))
    roots = order[np.r_[True, np.diff(found.component[order]) > 0]]
    before = dijkstra(graphs.matrix(found.pairs, weights, n=n), directed=False, indices=roots,
                      min_only=True, return_predecessors=True)[1]
    before[roots] = -1
    return roots, before


def _lengths(points, before):
    """Length of the way from each voxel to its root, by doubling of pointers; float [N]."""
    jump = np.where(before < 0, np.arange(len(before)), before)
    length = np.sqrt(((points - points[jump]) ** 2).sum(1))
    while True:
        further = jump[jump]
        if (further == jump).all():
            return length
        length += length[jump]
        jump = further


def _cap(distance, depth, *, tip, shape):
    """Number of nodes to cut at a path's end: a neurite ends in the centre of a ball.

    A neurite that leaves the stack is cut by the stack's face and keeps all of them.

    Args:
        distance, depth: float [L], of the path's voxels to the tip and to the background,
            x voxels; tip: its voxel; shape: of the stack.
    """
    if (tip <= 0).any() or (tip >= np.array(shape) - 1).any():
        return 0
    within = distance[1:] <= depth[1:] - (depth[1:] < THIN)
    return int(np.flatnonzero(np.r_[True, within])[-1])
