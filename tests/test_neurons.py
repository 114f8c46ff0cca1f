"""The paper's dendrite and axon models: the numbers of docs/method.md, step 1."""
import numpy as np
import pytest
from drafting import constant, papers_radius

from utils.common.errors import UserError
from utils.data import swc
from utils.simulate import directions, neurons

VOLUME = 256, 512, 256


def angle(a, b):
    """Degrees between two vectors."""
    cosine = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def levels_of(tree):
    """Depth of each node below the root."""
    level = np.zeros(len(tree.parent), int)
    for i in range(1, len(level)):
        level[i] = level[tree.parent[i]] + 1
    return level


def grown(seed, depth=6):
    return neurons.dendrite(VOLUME, np.random.default_rng(seed), draw_radius=papers_radius,
                            depth=depth, base_length=45)


@pytest.mark.parametrize('seed', range(4))
def test_a_soma_and_its_two_stems(seed):
    tree = grown(seed)
    swc.check(tree)
    assert tree.type[0] == swc.SOMA and 6 <= tree.radius[0] <= 10
    np.testing.assert_allclose(tree.position[0], [127.5, 255.5, 127.5])
    stems = np.flatnonzero(tree.parent == 0)
    assert sorted(tree.type[stems]) == [swc.BASAL, swc.APICAL]
    for stem in stems:
        step = tree.position[stem] - tree.position[0]
        assert min(angle(step, [0, 1, 0]), angle(step, [0, -1, 0])) <= 15.001
        assert np.isclose(np.linalg.norm(step), 2 * tree.radius[0])
        assert tree.radius[stem] == tree.radius[0] / 2
    a, b = tree.position[stems] - tree.position[0]
    assert angle(a, b) >= 150                        # opposite, each within 15 degrees


def test_dendrites_follow_the_papers_numbers():
    siblings, singles, deepest = [], [], 0
    for seed in range(12):
        tree = grown(seed)
        level = levels_of(tree)
        deepest = max(deepest, level.max())
        for i in np.flatnonzero(level >= 2):
            p = tree.parent[i]
            step = tree.position[i] - tree.position[p]
            turn = angle(step, tree.position[p] - tree.position[tree.parent[p]])
            length = np.linalg.norm(step) / (45 * 0.9 ** level[i])
            assert 0.8 - 1e-6 <= length <= 1.2 + 1e-6 and turn <= 45.001
            assert 1 * 0.9 ** level[i] <= tree.radius[i] <= 3 * 0.9 ** level[i]
            alone = (tree.parent == p).sum() == 1
            (singles if alone else siblings).append(turn)
            if tree.type[i] == swc.APICAL and level[i] <= 4:
                assert alone                                         # the unbranched trunk
        assert (tree.position - tree.radius[:, None] >= 0).all()
        assert (tree.position + tree.radius[:, None] <= np.array(VOLUME) - 1).all()
    assert 19.999 <= min(siblings) < 21 and max(siblings) > 44           # 20 to 45 degrees
    assert np.median(singles) < 15 and deepest == 6


def test_numbers_of_children_have_the_papers_probabilities():
    """Basal stems' ends: 2, 3, 4 by .35, .5, .15; other nodes: 1 to 4 by .35, .5, .1, .05."""
    first, other = [], []
    for seed in range(100):
        tree = neurons.dendrite((4000, 4000, 4000), np.random.default_rng(seed),
                                draw_radius=constant(1.0), depth=5, base_length=45)
        level, children = levels_of(tree), np.bincount(tree.parent[1:], minlength=len(tree.parent))
        basal = tree.type == swc.BASAL
        first.extend(children[basal & (level == 1)])
        other.extend(children[basal & (level > 1) & (level < 5)])
    for found, wanted in ((first, (0, 0.35, 0.5, 0.15)), (other, (0.35, 0.5, 0.1, 0.05))):
        share = np.bincount(found, minlength=5)[1:] / len(found)
        spread = np.sqrt(0.25 / len(found))
        np.testing.assert_allclose(share, wanted, atol=3 * spread)


def test_axons_are_unbranched_and_smooth():
    turns = []
    for seed in range(12):
        tree = neurons.axon(VOLUME, np.random.default_rng(seed), draw_radius=papers_radius,
                            depth=10, base_length=45)
        swc.check(tree)
        children = np.bincount(tree.parent[1:], minlength=len(tree.parent))
        assert (tree.type == swc.AXON).all() and children[0] <= 2 and (children[1:] <= 1).all()
        for i in range(1, len(tree.parent)):
            p = tree.parent[i]
            if p > 0:
                before = tree.position[p] - tree.position[tree.parent[p]]
                turns.append(angle(tree.position[i] - tree.position[p], before))
    assert max(turns) <= 30.001 and max(turns) > 28 and min(turns) < 2   # uniform, to 30 degrees


def test_axons_leave_their_middle_both_ways_with_shrinking_segments():
    tree = neurons.axon((4000, 4000, 4000), np.random.default_rng(0), draw_radius=papers_radius,
                        depth=11, base_length=45)
    assert len(tree.parent) == 1 + 2 * 11
    a, b = tree.position[np.flatnonzero(tree.parent == 0)] - tree.position[0]
    assert angle(a, b) > 179.9
    level = levels_of(tree)
    for i in range(1, len(level)):
        length = np.linalg.norm(tree.position[i] - tree.position[tree.parent[i]])
        assert 0.8 - 1e-6 <= length / (45 * 0.9 ** level[i]) <= 1.2 + 1e-6


def test_axons_take_every_direction():
    """All directions are equally likely: the mean of each squared component is 1/3."""
    squares = []
    for seed in range(300):
        tree = neurons.axon((400, 400, 400), np.random.default_rng(seed), draw_radius=constant(1.0),
                            depth=1, base_length=45)
        step = tree.position[1] - tree.position[0]
        squares.append((step / np.linalg.norm(step)) ** 2)
    np.testing.assert_allclose(np.mean(squares, 0), 1 / 3, atol=0.06)


def test_siblings_stay_in_the_middle_third_of_their_sectors():
    rng = np.random.default_rng(0)
    for n in (2, 3, 4):
        for _ in range(50):
            gaps = np.diff(np.sort(directions.fork_azimuths(n, rng)))
            low, high = 360 / n * 2 / 3, 360 / n * 4 / 3
            assert (gaps >= low - 1e-9).all() and (gaps <= high + 1e-9).all()


def test_a_direction_is_tilted_by_its_angle_and_turned_by_its_azimuth():
    direction = np.array([0.6, 0.0, 0.8])
    sides = [directions.tilt(direction, 30.0, azimuth=azimuth) for azimuth in (0, 90, 180)]
    for side in sides:
        assert np.isclose(np.linalg.norm(side), 1) and np.isclose(angle(direction, side), 30)
    assert np.isclose(angle(sides[0], sides[2]), 60)
    middle = (sides[0] + sides[2]) / 2
    np.testing.assert_allclose(middle, np.cos(np.radians(30)) * direction, atol=1e-9)


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match='a soma of radius'):
        neurons.dendrite((10, 40, 40), rng, draw_radius=constant(1.0), depth=6, base_length=10)
    with pytest.raises(UserError, match='an axon of radius'):
        neurons.axon((10, 40, 40), rng, draw_radius=constant(9.0), depth=6, base_length=10)
