"""Traces of shapes whose trees are known: tubes, forks, loops, breaks, somata."""
import os
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage
from tubes import count, drawn, evidence_of, missed, off, path_of, traced

from utils.common import config
from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.draw import traces as pictures
from utils.score import traces
from utils.simulate.phantom import settings as phantom_settings
from utils.simulate.phantom.stack import render


@pytest.mark.parametrize('spacing', [(1, 1, 1), (2, 1, 1), (3, 0.8, 1)])
@pytest.mark.parametrize('radius', [1.5, 2.5, 4.0])
def test_straight_tube_is_one_path_of_its_length_and_radius(spacing, radius):
    spacing, line = np.array(spacing, float), [(24, 12, 10), (30, 40, 50)]
    shape = tuple((np.array((54, 54, 62)) / spacing).astype(int))
    tree = traced(drawn(shape, line, radius=radius, spacing=spacing), spacing)
    assert count(tree) == (1, 2, 0)
    assert off(tree, line, spacing=spacing) < 1.5
    length = swc.length_of(traces.stretched(tree, spacing))
    assert abs(length - np.linalg.norm(np.subtract(*line))) < 1.5 * max(spacing) + radius / 2
    assert abs(np.median(tree.radius) - radius) < 0.5 * max(spacing) ** 0.5
    assert (tree.type == swc.UNDEFINED).all() and (tree.parent < np.arange(len(tree.parent))).all()


def test_fork_is_one_fork_at_its_place():
    fork = (30, 30, 30)
    mask = drawn((60, 60, 70), [(30, 30, 6), fork, (44, 48, 56)], [fork, (18, 14, 58)])
    tree = traced(mask)
    assert count(tree) == (1, 3, 1)
    children = np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.parent))
    assert np.linalg.norm(tree.position[children + (tree.parent >= 0) > 2][0] - fork) < 4


def test_loop_is_opened_once_and_traced_all_around():
    t = np.linspace(0, 2 * np.pi, 60)
    ring = np.stack([np.full(60, 10.0), 32 + 20 * np.cos(t), 32 + 20 * np.sin(t)], 1)
    tree = traced(drawn((21, 64, 64), ring))
    assert count(tree) == (1, 2, 0) and off(tree, ring) < 1
    assert abs(swc.length_of(tree) - 2 * np.pi * 20) < 9


def test_handle_is_traced_from_foot_to_foot():
    """Two shortest paths meet in the middle of it: one branch with one tip, not two with two."""
    t = np.linspace(0, np.pi, 40)
    arc = np.stack([np.full(40, 10.0), 16 + 22 * np.sin(t), 50 + 22 * np.cos(t)], 1)
    tree = traced(drawn((21, 50, 140), [(10, 16, 6), (10, 16, 134)], arc, radius=1.5),
                  cross_reach=0.0)
    assert count(tree) == (1, 3, 1) and missed(tree, arc) < 1


@pytest.mark.parametrize('reach, trees', [(0.0, 1), (6.0, 2)])
def test_crossing_tubes_are_two_trees(reach, trees):
    lines = [(15, 32, 6), (15, 32, 58)], [(15, 6, 32), (15, 58, 32)]
    tree = traced(drawn((30, 64, 64), *lines), cross_reach=reach)
    assert count(tree)[:2] == (trees, 4)
    assert off(tree, *lines) < 1.5 and missed(tree, *lines) < 2.5
    assert (count(tree)[2] == 0) == (trees == 2)
    assert abs(swc.length_of(tree) - 104) < 6


def test_forks_near_each_other_and_somata_are_no_crossings():
    """Two side branches on one side do not go straight on; a thick place is a soma, found or not.
    """
    trunk = [(15, 50, 6), (15, 50, 74)]
    mask = drawn((30, 64, 80), trunk, [(15, 50, 36), (15, 12, 22)], [(15, 50, 40), (15, 12, 58)],
                 radius=1.5)
    assert count(traced(mask))[:2] == (1, 4)
    mask = drawn((40, 80, 80), [(20, 40, 6), (20, 40, 74)], [(20, 6, 40), (20, 74, 40)], radius=1.5)
    mask |= drawn(mask.shape, [(20, 40, 40)] * 2, radius=5.0)
    assert [count(traced(mask, soma_ratio=ratio))[:2] for ratio in (0.0, 3.0)] == [(1, 4)] * 2


def test_parallel_tubes_apart_stay_two_trees():
    lines = [(15, 20, 6), (15, 20, 58)], [(15, 28, 6), (15, 28, 58)]
    assert count(traced(drawn((30, 48, 64), *lines))) == (2, 4, 0)


@pytest.mark.parametrize('gap, trees', [(6, 1), (11, 2)])
def test_short_breaks_are_bridged_and_wide_ones_are_not(gap, trees):
    mask = drawn((20, 20, 100), [(10, 10, 6), (10, 10, 94)])
    mask[:, :, 50 - gap // 2:50 - gap // 2 + gap] = False
    tree = traced(mask)
    assert count(tree) == (trees, 2 * trees, 0)
    assert abs(swc.length_of(tree) - (88 if trees == 1 else 88 - gap)) < 5


def test_evidence_in_a_gap_carries_a_bridge_farther():
    evidence = evidence_of(drawn((20, 20, 100), [(10, 10, 6), (10, 10, 94)]))
    evidence[:, :, 45:57] = (evidence[:, :, 45:57] > 0) * 45         # 0.18: below LOW, not nothing
    tree = traced(evidence)
    assert count(tree) == (1, 2, 0) and off(tree, [(10, 10, 6), (10, 10, 94)]) < 2.5


def test_tips_that_pass_each_other_are_not_joined():
    """Side by side within reach, but neither points at the other."""
    mask = drawn((20, 40, 100), [(10, 12, 6), (10, 12, 48)], [(10, 22, 44), (10, 22, 94)])
    assert count(traced(mask))[0] == 2


def test_soma_is_one_typed_node_with_its_stems():
    centre = np.array([40, 40, 40])
    stems = [[centre, centre + np.multiply(34, way)]
             for way in ((1, 0, 0), (0, 1, 0), (0, -0.6, 0.8), (0, 0, -1))]
    mask = drawn((82, 82, 82), *stems, radius=1.6)
    mask |= drawn(mask.shape, [centre, centre], radius=9.0)
    tree = traced(mask)
    somata = np.flatnonzero(tree.type == swc.SOMA)
    assert list(somata) == [0] and (tree.parent == 0).sum() == 4 and count(tree)[1] == 4
    assert np.linalg.norm(tree.position[0] - centre) < 1 and abs(tree.radius[0] - 9) < 1
    assert off(tree, *stems) < 1.5


def test_bumps_are_no_branches():
    mask = drawn((30, 30, 90), [(15, 15, 6), (15, 15, 84)], radius=2.5)
    rng = np.random.default_rng(0)
    surface = ndimage.binary_dilation(mask) & ~mask
    mask |= surface & (rng.random(mask.shape) < 0.3)
    mask |= drawn(mask.shape, [(15, 15, 40), (15, 20, 40)], radius=1.0)
    assert count(traced(mask)) == (1, 2, 0)


def test_short_pieces_are_left_out():
    mask = drawn((20, 40, 80), [(10, 10, 6), (10, 10, 74)], [(10, 32, 30), (10, 32, 38)])
    assert count(traced(mask))[0] == 1 and count(traced(mask, min_length=3.0))[0] == 2


@pytest.mark.parametrize('evidence, values, words', [
    (np.zeros((8, 8, 8), np.uint8), {}, 'no foreground'),
    (np.full((8, 8, 8), 255, np.uint8), {}, 'all foreground'),
    (drawn((12, 12, 40), [(6, 6, 4), (6, 6, 12)]), {}, 'MIN_LENGTH'),
    (drawn((12, 12, 40), [(6, 6, 4), (6, 6, 12)]), {'min_object': 9999}, 'MIN_OBJECT'),
    (drawn((12, 12, 40), [(6, 6, 4), (6, 6, 34)]), {'max_foreground': 50}, 'MAX_FOREGROUND'),
])
def test_what_cannot_be_traced_is_said_in_one_line(evidence, values, words):
    with pytest.raises(UserError, match=words) as error:
        traced(evidence, **values)
    assert 'here.tif' in str(error.value) and '\n' not in str(error.value)


def test_thick_neurites_take_no_more_memory_than_their_voxels():
    """The balls that cover a thick path overlap: their voxels must not be listed all at once."""
    mask = drawn((36, 36, 150), [(18, 18, 20), (18, 18, 130)], radius=15.0)
    tracemalloc.start()
    tree = traced(mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count(tree) == (1, 2, 0) and peak < 820 * mask.sum()


def test_long_narrow_stacks_are_drawn(tmp_path):
    mask = drawn((600, 600, 12), [(300, 10, 6), (300, 590, 6)]).astype(np.uint8)
    tree = path_of([(300, 10, 6), (300, 590, 6)])
    pictures.traces(str(tmp_path / 'a.png'), mask, tree=tree)
    pictures.traces_compared(str(tmp_path / 'b.png'), mask[:, :, :2], named=[('a', tree)])
    assert sorted(os.listdir(str(tmp_path))) == ['a.png', 'b.png']


def test_phantom_is_traced_from_its_label():
    cfg = SimpleNamespace(**config.read_constants(config.rooted('configs/demo/phantom.py')))
    groups = [config.pick(cfg, group) for group in phantom_settings.GROUPS]
    made = render(phantom_settings.Settings(*groups), rng=np.random.default_rng(3))
    spacing = stacks.spacing_of(cfg.VOXEL_SIZE)
    found = traces.score(swc.join(made.trees), traced(made.label > 0, spacing), spacing=spacing,
                         metrics=('length',))
    assert found['length_f1'] > 0.94 and found['pds'] < 0.01
