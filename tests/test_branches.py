"""Branches, fibres and shapes of neurites: bends, walks, boutons, somata."""
import numpy as np
import pytest
from drafting import constant

from utils.data import swc
from utils.simulate import branches, fibres, neurons, reconstructions, shapes

VOLUME = 128, 256, 128


def straight(n, step=1.0, radius=1.0):
    """An axon along x: n nodes, `step` voxels apart."""
    position = np.zeros((n, 3))
    position[:, 2] = step * np.arange(n)
    return swc.Tree(np.full(n, swc.AXON), position, np.full(n, radius), np.arange(-1, n - 1))


def habit(persistence):
    """Fibres of a persistence, without branches."""
    return fibres.Habit(persistence, np.inf, 100.0)


def box(limits, persistence=np.inf):
    """A box that is alike everywhere."""
    return fibres.Box(limits, habit(persistence), rng=np.random.default_rng(0))


# --- branches ---

def test_subdivided_edges_are_straight_and_short():
    tree = swc.Tree(np.array([1, 2, 2]), np.array([[0., 0, 0], [0, 0, 10], [0, 7, 0]]),
                    np.array([3., 1, 2]), np.array([-1, 0, 0]))
    fine = branches.subdivide(tree, 2.0)
    swc.check(fine)
    assert len(fine.parent) == 1 + 5 + 4
    np.testing.assert_allclose(fine.position[:6, 2], [0, 2, 4, 6, 8, 10])
    np.testing.assert_allclose(fine.radius[:6], [3, 2.6, 2.2, 1.8, 1.4, 1])
    assert fine.parent.tolist() == [-1, 0, 1, 2, 3, 4, 0, 6, 7, 8]
    assert [len(run) for run in branches.sections(fine.parent)] == [6, 5]


def test_winding_keeps_ends_and_reaches_the_wanted_tortuosity():
    length, persistence = 60.0, branches.persistence_of(1.1)
    tree = swc.Tree(np.array([2, 2]), np.array([[0., 0, 0], [0, 0, length]]), np.ones(2),
                    np.array([-1, 0]))
    found = []
    for seed in range(200):
        bent = branches.wind(tree, persistence, rng=np.random.default_rng(seed))
        np.testing.assert_allclose(bent.position[[0, -1]], tree.position)
        steps = np.sqrt((np.diff(bent.position, axis=0) ** 2).sum(1))
        found.append(steps.sum() / length)
        assert steps.max() < 6                           # smooth: no jumps between nodes
    assert 1.08 < np.mean(found) < 1.25                  # 1 + 60 / (6 * 66.7) = 1.15 is wanted
    still = branches.wind(tree, np.inf, rng=np.random.default_rng(0))
    assert np.abs(still.position[:, :2]).max() == 0


def test_tortuosity_and_persistence_are_each_other_s_inverse():
    assert np.isclose(branches.persistence_of(1.1), 40 / 0.6)            # 1 + 40 / (6 P) = 1.1
    assert np.isclose(branches.tortuosity_of(40 / 0.6), 1.1)
    assert branches.persistence_of(1.0) == np.inf and branches.tortuosity_of(1.0) == 1.3


def test_noise_along_a_branch_has_its_length():
    noise = branches.along(np.arange(-1, 49999), 20.0, rng=np.random.default_rng(0))
    assert abs(noise.std() - 1) < 0.05
    for k in (1, 5, 10):                                 # nodes are 2 voxels apart
        far = 2.146 * 2 * k / 20
        wanted = (1 + far) * np.exp(-far)
        assert abs(np.corrcoef(noise[k:], noise[:-k])[0, 1] - wanted) < 0.05
    for length in (2.0, 5.0):                            # of a node, and between two
        noise = branches.along(np.arange(-1, 49999), length, rng=np.random.default_rng(1))
        near = [1] + [np.corrcoef(noise[k:], noise[:-k])[0, 1] for k in (1, 2, 3, 4)]
        assert np.interp(length, 2.0 * np.arange(5), near) == pytest.approx(np.exp(-1), abs=0.04)
    starts = np.array([branches.along(np.array([-1, 0]), 6.0, rng=np.random.default_rng(i))
                       for i in range(4000)])
    assert starts.std(0) == pytest.approx([1, 1], abs=0.04)
    forked = [branches.along(np.array([-1, 0, 0]), 1e9, rng=np.random.default_rng(i))
              for i in range(5)]
    for values in forked:                                # daughters go on where their parent is
        np.testing.assert_allclose(values, values[0], atol=1e-3)


# --- fibres ---

@pytest.mark.parametrize('persistence', [30.0, 150.0])
def test_walks_lose_their_direction_over_the_persistence_length(persistence):
    n = 400
    walks = fibres.walk(np.zeros((n, 3)) + 1e4, np.tile([0, 0, 1.0], (n, 1)),
                        length=np.full(n, 120.0), habit=habit(persistence),
                        box=box([2e4] * 3, persistence), rng=np.random.default_rng(0))
    assert all(len(w) == 60 for w in walks)
    steps = np.diff(np.array(walks), axis=1)
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    cosine = (steps[:, 40] * steps[:, 10]).sum(1).mean()             # 60 voxels apart
    assert abs(cosine - np.exp(-60 / persistence)) < 0.12


def test_walks_end_where_they_would_leave():
    path, = fibres.walk(np.array([[5.0, 5, 5]]), np.array([[0, 0, 1.0]]), length=np.array([99.0]),
                        habit=habit(np.inf), box=box([9, 9, 12]),
                        rng=np.random.default_rng(0))
    np.testing.assert_allclose(path, [[5, 5, 7], [5, 5, 9], [5, 5, 11]], atol=1e-3)


def test_fibres_fill_to_the_wanted_length_inside_the_volume():
    shape = np.array((60, 80, 100))
    trees = fibres.fibres(shape, np.random.default_rng(0), total=2000,
                          habit=fibres.Habit(80.0, 60.0, 60.0))
    around, total = (100 - shape) / 2, 0.0               # of the cube that they grow in
    for tree in trees:
        swc.check(tree)
        assert (tree.position >= -around).all() and (tree.position <= shape - 1 + around).all()
        inside = reconstructions.crop(tree, shape)
        assert len(inside.parent)
        total += swc.length_of(inside)
    assert 1600 < total < 2400
    forks = [(np.bincount(t.parent[t.parent >= 0]) > 1).any() for t in trees]
    assert any(forks)


@pytest.mark.parametrize('shape', [(40, 160, 160), (160, 160, 40), (160, 160, 160)])
def test_straight_fibres_run_anyhow_in_flat_volumes_too(shape):
    """As much of them along the short axis as along the others."""
    along = np.zeros(3)
    for seed in range(4):
        for tree in fibres.fibres(shape, np.random.default_rng(seed), total=8000,
                                  habit=fibres.Habit(np.inf, np.inf, 500.0)):
            tree = reconstructions.crop(tree, shape)
            child = np.flatnonzero(tree.parent >= 0)
            along += np.square(tree.position[child] - tree.position[tree.parent[child]]).sum(0)
    np.testing.assert_allclose(along / along.sum(), 1 / 3, atol=0.06)


def test_fibres_have_their_half_length_and_their_branch_spacing():
    """In a wide volume: ends 40 voxels from the start on average, a branching each 100 voxels."""
    def grown(spacing):
        return fibres.fibres((2000, 2000, 2000), np.random.default_rng(1), total=4e4,
                             habit=fibres.Habit(np.inf, spacing, 40.0))

    plain = grown(np.inf)
    assert all(np.bincount(t.parent[1:]).max() <= 2 for t in plain)      # the start alone has two
    assert abs(np.mean([swc.length_of(t) for t in plain]) / 80 - 1) < 0.12
    forked = grown(100.0)
    children = [np.bincount(t.parent[1:], minlength=len(t.parent)) for t in forked]
    count = sum((c[1:] > 1).sum() for c in children)
    assert abs(sum(map(swc.length_of, forked)) / count / 100 - 1) < 0.2


def test_branches_of_fibres_leave_to_the_side_and_are_half_as_long():
    sides, lengths = [], []
    for tree in fibres.fibres((3000, 3000, 3000), np.random.default_rng(2), total=6e4,
                              habit=fibres.Habit(np.inf, 120.0, 100.0)):
        jumps = np.flatnonzero(tree.parent[1:] != np.arange(len(tree.parent) - 1)) + 1
        ends = np.r_[jumps[1:], len(tree.parent)]
        for first, end in zip(jumps, ends):
            if tree.parent[first] > 0 and tree.parent[tree.parent[first]] >= 0:
                p = tree.parent[first]
                ahead = tree.position[p] - tree.position[tree.parent[p]]
                side = tree.position[first] - tree.position[p]
                cosine = np.dot(ahead, side) / np.linalg.norm(ahead) / np.linalg.norm(side)
                sides.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
                lengths.append(2.0 * (end - first))
    assert 34.9 <= min(sides) and max(sides) <= 85.1 and abs(np.mean(sides) - 60) < 5
    assert 35 < np.mean(lengths) < 60            # 100 / 2, and 100 / 4 of the branches' branches


@pytest.mark.parametrize('seed', range(40))
def test_fibres_that_leave_at_once_are_no_trouble(seed):
    fibres.fibres((24, 40, 40), np.random.default_rng(seed), total=300,
                  habit=fibres.Habit(80.0, 40.0, 40.0))


# --- shapes ---

def test_a_pyramid_is_a_ball_with_a_tip_and_shoulders():
    tree = neurons.dendrite(VOLUME, np.random.default_rng(1), draw_radius=constant(1.5), depth=6,
                            base_length=30)
    soma = shapes.pyramid(tree, np.random.default_rng(0))
    extra = np.arange(len(tree.parent), len(soma.parent))
    assert len(extra) in (3, 4)
    assert (soma.type[extra] == swc.SOMA).all() and (soma.parent[extra] == 0).all()
    away = soma.position[extra] - soma.position[0]
    distance = np.linalg.norm(away, axis=1)
    reach = distance + soma.radius[extra]
    assert (reach <= 1.7 * tree.radius[0]).all() and (reach > soma.radius[0]).any()
    apical, = np.flatnonzero((tree.parent == 0) & (tree.type == swc.APICAL))
    ahead = tree.position[apical] - tree.position[0]
    turn = np.degrees(np.arccos(away @ ahead / distance / np.linalg.norm(ahead)))
    assert turn[0] < 0.1 and (turn[1:] >= 104.9).all() and (turn[1:] <= 135.1).all()
    assert soma.radius[0] == 0.85 * tree.radius[0]
    np.testing.assert_array_equal(soma.position[:len(tree.parent)], tree.position)


def test_boutons_swell_a_neurite_here_and_there():
    fine = branches.subdivide(neurons.axon(
        VOLUME, np.random.default_rng(1), draw_radius=constant(1.0), depth=10, base_length=30))
    ratio = shapes.boutons(fine, 20.0, rng=np.random.default_rng(0)).radius / fine.radius
    assert ratio.min() >= 1 and ratio.max() > 1.3 and np.median(ratio) < 1.2


@pytest.mark.parametrize('spacing', [40.0, 120.0])
def test_boutons_are_as_many_as_their_spacing_says(spacing):
    swollen = shapes.boutons(straight(20000, step=0.5), spacing, rng=np.random.default_rng(0))
    inner = swollen.radius[1:-1]
    peaks = (inner > 1.2) & (inner > swollen.radius[:-2]) & (inner >= swollen.radius[2:])
    assert abs(10000 / peaks.sum() / spacing - 1) < 0.25                 # some overlap
    assert 1.3 < inner[peaks].min() and 2.1 < inner.max() <= 2.2


def test_taper_thins_linearly_along_the_path_and_spares_the_soma():
    tree = straight(5, step=2.0, radius=2.0)
    np.testing.assert_allclose(shapes.taper(tree, 0.5).radius, [2, 1.75, 1.5, 1.25, 1])
    soma = tree._replace(type=np.array([swc.SOMA] + [swc.BASAL] * 3 + [swc.SOMA]))
    assert shapes.taper(soma, 0.5).radius[[0, 4]].tolist() == [2, 2]
