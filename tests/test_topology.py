"""Branch points and ends of traces: crossings, loops, forks, cuts at the stack's faces."""
import numpy as np
from scipy.sparse.csgraph import connected_components
from tubes import ISOTROPIC, count, drawn, evidence_of, missed, off, traced

from utils.trace import crossings, ends, forks, graphs, tracing


def polyline(points):
    return [tuple(p) for p in np.array(points, float)]


def tips_and_forks(tree):
    """(float [T, 3] tips, float [F, 3] forks), voxels."""
    children = np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.parent))
    neighbours = children + (tree.parent >= 0)
    return tree.position[neighbours == 1], tree.position[neighbours > 2]


def farthest(points, wanted):
    """Of each wanted point the distance to the nearest of some points; the largest."""
    return np.sqrt(((np.array(wanted)[:, None] - points) ** 2).sum(2)).min(1).max()


# --- crossings ---

def test_fibres_that_touch_along_a_stretch_are_parted():
    """They cross at 18 degrees: some 10 voxels are one body."""
    a, b = [(10, 20, 4), (10, 44, 76)], [(10, 44, 4), (10, 20, 76)]
    tree = traced(drawn((20, 64, 80), a, b))
    assert count(tree) == (2, 4, 0) and off(tree, a, b) < 2 and missed(tree, a, b) < 2.5
    assert count(traced(drawn((20, 64, 80), a, b), cross_reach=0.0))[2] > 0


def test_fibres_that_cross_twice_make_no_loop(monkeypatch):
    """The one takes a detour: its path is two that meet there, one from each crossing."""
    line = [(10, 50, 4), (10, 50, 96)]
    detour = [(10, 76, 4), (10, 50, 30), (10, 6, 50), (10, 50, 70), (10, 76, 96)]
    mask = drawn((20, 80, 100), line, detour)
    tree = traced(mask)
    assert count(tree) == (2, 4, 0) and missed(tree, line, detour) < 3
    real = tracing.paths.__globals__['_Search'].add
    monkeypatch.setattr(tracing.paths.__globals__['_Search'], 'add',
                        lambda self, path, at, **_: real(self, path, at))
    assert count(traced(mask)) != (2, 4, 0)      # opened before crossings are parted


def test_a_branch_beside_a_crossing_stays_with_its_fibre():
    a, b = [(10, 30, 4), (10, 30, 76)], [(10, 4, 40), (10, 56, 40)]
    branch = [(10, 30, 45), (10, 5, 70)]
    tree = traced(drawn((20, 60, 80), a, b, branch, radius=1.5))
    assert count(tree) == (2, 5, 1)


def test_arms_are_matched_as_a_whole():
    """The straightest single pair would leave two arms that bend."""
    turns = np.radians([0, 175, 10, 200])
    arms = [np.outer(np.arange(2, 10), (0, np.sin(t), np.cos(t))) for t in turns]
    assert sorted(crossings._matched(arms, max_angle=60)) == [(0, 1), (2, 3)]
    assert crossings._matched(arms[:2] + arms[:1], max_angle=60) in ([(0, 1)], [(1, 2)])
    assert crossings._matched(arms, max_angle=1) == []


def test_forks_of_two_trees_beside_each_other_are_one_place():
    """A third fibre crosses two parallel ones, and its own path between them is missing."""
    n = 41
    two = [np.c_[np.full(n, 5), np.full(n, y), np.arange(n)] for y in (20, 25)]
    third = [np.c_[np.full(15, 5), y, np.full(15, 20)]
             for y in (np.arange(5, 20), np.arange(26, 41))]
    rows = np.cumsum([0, n, n, 15])
    edges = [np.stack([first + np.arange(k - 1), first + np.arange(1, k)], 1)
             for first, k in zip(rows, (n, n, 15, 15))]
    edges.append(np.array([(rows[2] + 14, 20), (rows[3], rows[1] + 20)]))
    total = 2 * n + 30
    nodes = graphs.Nodes(np.concatenate(two + third).astype(float), np.full(total, 1.5),
                         np.concatenate(edges), np.zeros(total, bool))
    made = crossings.uncross(nodes, ISOTROPIC, reach=10.0, max_angle=60)
    assert graphs.parts(made.edges, len(made.position)).max() + 1 == 3
    assert graphs.degrees(made).max() == 2


def test_loops_are_opened_at_the_sharpest_turn_of_a_fork():
    """A straight line and a half circle on it: its one foot leaves at a right angle, as the other,
    but bends back there."""
    line = np.c_[np.zeros(41), np.zeros(41), np.arange(41.0)]
    way = np.array([(0, y, 10.0) for y in range(1, 11)] + [(0, 10 - k / 2, 10 + k) for k in
                                                           range(1, 19)])
    n = len(line) + len(way)
    edges = [(k, k + 1) for k in range(40)] + [(10, 41)] + [(k, k + 1) for k in range(41, n - 1)]
    nodes = graphs.Nodes(np.concatenate([line, way]), np.ones(n), np.array(edges + [(n - 1, 30)]),
                         np.zeros(n, bool))
    made = crossings.opened(nodes, ISOTROPIC)
    assert len(made.edges) == n - 1
    assert connected_components(graphs.matrix(made.edges.T, n=n), directed=False)[0] == 1
    gone = {tuple(sorted(e)) for e in nodes.edges.tolist()} - {
        tuple(sorted(e)) for e in made.edges.tolist()}
    assert gone == {(10, 41)}                    # the right angle; the other foot is oblique
    assert crossings.opened(made, ISOTROPIC) is made


# --- forks ---

def test_a_fork_is_where_the_branch_would_meet_its_parent():
    """The branch's first part is drawn to the side of the parent, as thick masks do."""
    line = np.c_[np.zeros(61), np.zeros(61), np.arange(61.0)]
    beside = np.array([(0, 2, 26.0 + k) for k in range(1, 6)])
    # from (0, 0, 29), at 45 degrees
    branch = np.array([(0, 3.0 + k, 32 + k) for k in range(20)])
    n = len(line) + len(beside) + len(branch)
    edges = [(k, k + 1) for k in range(60)] + [(26, 61)] + [(k, k + 1) for k in range(61, n - 1)]
    nodes = graphs.Nodes(np.concatenate([line, beside, branch]), np.full(n, 2.0), np.array(edges),
                         np.zeros(n, bool))
    made = forks.relocate(nodes, ISOTROPIC)
    np.testing.assert_array_equal(made.position[graphs.degrees(made) == 3], [(0, 0, 29)])
    assert graphs.parts(made.edges, len(made.position)).max() == 0
    assert (graphs.degrees(made) == 1).sum() == 3


def test_forks_of_short_branches_and_of_somata_stay():
    line = np.c_[np.zeros(41), np.zeros(41), np.arange(41.0)]
    side = np.array([(0, y, 20.0) for y in range(1, 5)])
    edges = np.array([(k, k + 1) for k in range(40)] + [(20, 41), (41, 42), (42, 43), (43, 44)])
    nodes = graphs.Nodes(np.concatenate([line, side]), np.ones(45), edges, np.zeros(45, bool))
    assert len(forks.relocate(nodes, ISOTROPIC).position) == 45
    soma = nodes._replace(soma=np.arange(45) == 20)
    np.testing.assert_array_equal(forks.relocate(soma, ISOTROPIC).edges, edges)


# --- ends ---

def test_a_fibre_that_leaves_the_stack_ends_in_the_middle_of_its_cut(monkeypatch):
    line = [(20, 30, -10), (20, 50, 60)]         # leaves through two faces, obliquely
    mask = drawn((40, 80, 50), line, radius=4.0)
    cuts = [(20, 30 + 20 / 7, 0), (20, 30 + 59 * 2 / 7, 49)]
    assert farthest(tips_and_forks(traced(mask))[0], cuts) < 0.8
    monkeypatch.setattr(tracing.ends, 'centre_cuts', lambda nodes, *_, **__: nodes)
    assert farthest(tips_and_forks(traced(mask))[0], cuts) > 2


def test_cuts_count_by_voxel_size_and_evidence():
    spacing = np.array([2.0, 1.0, 1.0])
    line = [(-10, 30, 20), (60, 30, 40)]         # x voxels; leaves through z = 0
    mask = drawn((20, 60, 60), line, radius=4.0, spacing=spacing)
    tips = tips_and_forks(traced(mask, spacing))[0]
    assert farthest(tips * spacing, [(0, 30, 20 + 20 / 7)]) < 0.8


def test_a_fibre_along_a_face_keeps_its_tip():
    nodes = graphs.Nodes(np.c_[np.zeros(30), np.full(30, 9), np.arange(5, 35)].astype(float),
                         np.full(30, 1.5), np.stack([np.arange(29), np.arange(1, 30)], 1),
                         np.zeros(30, bool))
    found = tracing.foreground(evidence_of(drawn((20, 20, 40), [(0, 9, 5), (0, 9, 34)])), ISOTROPIC,
                               low=0.4, high=0.6)
    made = ends.centre_cuts(nodes, found, shape=(20, 20, 40), spacing=ISOTROPIC)
    np.testing.assert_array_equal(made.position, nodes.position)
