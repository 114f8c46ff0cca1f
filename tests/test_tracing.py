"""Traces of shapes whose trees are known: tubes, forks, loops, breaks, somata; and 4_reconstruction.py as a user runs it."""
import os
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from conftest import run_script, vaa3d
from scipy import ndimage

from utils.common import config
from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.draw import traces as pictures
from utils.measure import otsu
from utils.score import traces
from utils.simulate import raster
from utils.simulate.phantom import settings as phantom_settings
from utils.simulate.phantom.stack import render
from utils.trace import evidence, tracing

ISOTROPIC = np.ones(3)


def constants(**values):
    return SimpleNamespace(**dict(vars(config.load(('configs/reconstruction.py', 'configs/otsu.py'), [])), **values))


def drawn(shape, *lines, radius=2.0, spacing=ISOTROPIC):
    """Mask of polylines, lists of (z, y, x) in x voxels; bool."""
    mask = np.zeros(shape, bool)
    for line in lines:
        line = np.array(line, float)
        mask |= raster.label(shape, line / spacing, radius=np.full(len(line), radius), parent=np.arange(-1, len(line) - 1), spacing=spacing)
    return mask


def traced(mask, spacing=ISOTROPIC, **values):
    return tracing.trace(mask.astype(np.uint8) * 255, spacing, low=0.3, high=0.6, values=constants(**values))


def count(tree):
    """(roots, tips, forks), a root of one child counting as a tip."""
    children = np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.parent))
    neighbours = children + (tree.parent >= 0)
    return int((tree.parent < 0).sum()), int((neighbours == 1).sum()), int((neighbours > 2).sum())


def off(tree, *lines, spacing=ISOTROPIC):
    """Largest distance of a node from polylines, x voxels."""
    gold = swc.join([swc.Tree(np.zeros(len(line), int), np.array(line, float), np.ones(len(line)),
                                   np.arange(-1, len(line) - 1)) for line in lines])
    points = traces.resampled(gold, 0.1)
    return max(np.sqrt(((points - p * spacing) ** 2).sum(1)).min() for p in tree.position)


@pytest.mark.parametrize('spacing', [(1, 1, 1), (2, 1, 1), (3, 0.8, 1)])
@pytest.mark.parametrize('radius', [1.5, 2.5, 4.0])
def test_straight_tube_is_one_path_of_its_length_and_radius(spacing, radius):
    spacing, line = np.array(spacing, float), [(24, 12, 10), (30, 40, 50)]
    tree = traced(drawn(tuple((np.array((54, 54, 62)) / spacing).astype(int)), line, radius=radius, spacing=spacing), spacing)
    assert count(tree) == (1, 2, 0)
    assert off(tree, line, spacing=spacing) < 1.5
    length = np.linalg.norm(np.subtract(*line))
    assert abs(swc.length_of(traces.stretched(tree, spacing)) - length) < 1.5 * max(spacing) + radius / 2
    assert abs(np.median(tree.radius) - radius) < 0.5 * max(spacing) ** 0.5
    assert (tree.type == swc.UNDEFINED).all() and (tree.parent < np.arange(len(tree.parent))).all()


def test_fork_is_one_fork_at_its_place():
    fork = (30, 30, 30)
    mask = drawn((60, 60, 70), [(30, 30, 6), fork, (44, 48, 56)], [fork, (18, 14, 58)])
    tree = traced(mask)
    assert count(tree) == (1, 3, 1)
    children = np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.parent)) + (tree.parent >= 0)
    assert np.linalg.norm(tree.position[children > 2][0] - fork) < 4


def test_loop_is_opened_once_and_traced_all_around():
    t = np.linspace(0, 2 * np.pi, 60)
    ring = np.stack([np.full(60, 10.0), 32 + 20 * np.cos(t), 32 + 20 * np.sin(t)], 1)
    tree = traced(drawn((21, 64, 64), ring))
    assert count(tree) == (1, 2, 0) and off(tree, ring) < 1
    assert abs(swc.length_of(tree) - 2 * np.pi * 20) < 9


@pytest.mark.parametrize('reach, trees', [(0.0, 1), (6.0, 2)])
def test_crossing_tubes_are_two_trees(reach, trees):
    lines = [(15, 32, 6), (15, 32, 58)], [(15, 6, 32), (15, 58, 32)]
    tree = traced(drawn((30, 64, 64), *lines), CROSS_REACH=reach)
    assert count(tree)[:2] == (trees, 4) and off(tree, *lines) < 1.5 and (count(tree)[2] == 0) == (trees == 2)
    assert abs(swc.length_of(tree) - 104) < 6


def test_forks_near_each_other_and_somata_are_no_crossings():
    """Two side branches on one side do not go straight on; a thick place with four arms is a soma, found or not."""
    trunk = [(15, 50, 6), (15, 50, 74)]
    mask = drawn((30, 64, 80), trunk, [(15, 50, 36), (15, 12, 22)], [(15, 50, 40), (15, 12, 58)], radius=1.5)
    assert count(traced(mask))[:2] == (1, 4)
    mask = drawn((40, 80, 80), [(20, 40, 6), (20, 40, 74)], [(20, 6, 40), (20, 74, 40)], radius=1.5)
    mask |= drawn(mask.shape, [(20, 40, 40)] * 2, radius=5.0)
    assert [count(traced(mask, SOMA_RATIO=ratio))[:2] for ratio in (0.0, 3.0)] == [(1, 4)] * 2


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
    evidence = drawn((20, 20, 100), [(10, 10, 6), (10, 10, 94)]).astype(np.uint8) * 255
    evidence[:, :, 45:57] = (evidence[:, :, 45:57] > 0) * 45         # 0.18: below LOW, but not nothing
    tree = tracing.trace(evidence, ISOTROPIC, low=0.3, high=0.6, values=constants())
    assert count(tree) == (1, 2, 0) and off(tree, [(10, 10, 6), (10, 10, 94)]) < 2.5


def test_tips_that_pass_each_other_are_not_joined():
    """Side by side within reach, but neither points at the other."""
    mask = drawn((20, 40, 100), [(10, 12, 6), (10, 12, 48)], [(10, 22, 44), (10, 22, 94)])
    assert count(traced(mask))[0] == 2


def test_soma_is_one_typed_node_with_its_stems():
    centre = np.array([40, 40, 40])
    stems = [[centre, centre + np.multiply(34, d)] for d in ((1, 0, 0), (0, 1, 0), (0, -0.6, 0.8), (0, 0, -1))]
    mask = drawn((82, 82, 82), *stems, radius=1.6) | drawn((82, 82, 82), [centre, centre], radius=9.0)
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
    assert count(traced(mask))[0] == 1 and count(traced(mask, MIN_LENGTH=3.0))[0] == 2


def test_depth_is_the_distance_transform():
    rng = np.random.default_rng(0)
    evidence = (ndimage.gaussian_filter(rng.standard_normal((20, 30, 25)), 2) > 0).astype(np.uint8) * 255
    spacing = np.array([2.0, 1.3, 1.0])
    found = tracing.foreground(evidence, spacing, low=0.5, high=0.5)
    wanted = ndimage.distance_transform_edt(evidence, sampling=spacing)[tuple(found.voxels.T)]
    np.testing.assert_allclose(found.depth, wanted, rtol=1e-6)
    assert found.component.max() + 1 == ndimage.label(evidence, np.ones((3, 3, 3)))[1]


def test_hysteresis_keeps_faint_voxels_that_hang_together_with_sure_ones():
    evidence = np.zeros((5, 5, 30), np.uint8)
    evidence[2, 2, 2:14], evidence[2, 2, 5], evidence[2, 2, 18:28] = 100, 200, 100
    assert len(tracing.foreground(evidence, ISOTROPIC, low=0.3, high=0.6).voxels) == 12


@pytest.mark.parametrize('evidence, values, words', [
    (np.zeros((8, 8, 8), np.uint8), {}, 'no foreground'),
    (np.full((8, 8, 8), 255, np.uint8), {}, 'all foreground'),
    (drawn((12, 12, 40), [(6, 6, 4), (6, 6, 12)]).astype(np.uint8) * 255, {}, 'MIN_LENGTH'),
    (drawn((12, 12, 40), [(6, 6, 4), (6, 6, 12)]).astype(np.uint8) * 255, {'MIN_OBJECT': 9999}, 'MIN_OBJECT'),
    (drawn((12, 12, 40), [(6, 6, 4), (6, 6, 34)]).astype(np.uint8) * 255, {'MAX_FOREGROUND': 50}, 'MAX_FOREGROUND'),
])
def test_what_cannot_be_traced_is_said_in_one_line(evidence, values, words):
    with pytest.raises(UserError, match=words) as error:
        tracing.trace(evidence, ISOTROPIC, low=0.3, high=0.6, values=constants(**values), name='here.tif')
    assert 'here.tif' in str(error.value) and '\n' not in str(error.value)


def test_largest_tree_comes_first():
    rows = np.arange(2, 9)
    nodes = tracing.Nodes(np.arange(30.0).reshape(10, 3), np.ones(10), np.concatenate([[[0, 1]], np.stack([rows, rows + 1], 1)]),
                          np.zeros(10, bool))
    tree = tracing.to_tree(nodes)
    assert list(np.flatnonzero(tree.parent < 0)) == [0, 8] and (tree.parent < np.arange(10)).all()


def test_thick_neurites_take_no_more_memory_than_their_voxels():
    """The balls that cover a thick path overlap: their voxels must not be listed all at once."""
    mask = drawn((44, 44, 180), [(22, 22, 25), (22, 22, 155)], radius=18.0)
    tracemalloc.start()
    tree = traced(mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count(tree) == (1, 2, 0) and peak < 900 * mask.sum()


def test_long_narrow_stacks_are_drawn(tmp_path):
    mask = drawn((600, 600, 12), [(300, 10, 6), (300, 590, 6)]).astype(np.uint8)
    tree = swc.Tree(np.zeros(2, int), np.array([[300.0, 10, 6], [300, 590, 6]]), np.ones(2), np.array([-1, 0]))
    pictures.traces(str(tmp_path / 'a.png'), mask, tree=tree)
    pictures.traces_compared(str(tmp_path / 'b.png'), mask[:, :, :2], named=[('a', tree)])
    assert sorted(os.listdir(str(tmp_path))) == ['a.png', 'b.png']


def test_phantom_is_traced_from_its_label():
    cfg = SimpleNamespace(**config.read_constants(config.rooted('configs/demo/phantom.py')))
    groups = [config.pick(cfg, group) for group in phantom_settings.GROUPS]
    made = render(phantom_settings.Settings(*groups), rng=np.random.default_rng(3))
    spacing = np.array(cfg.VOXEL_SIZE) / cfg.VOXEL_SIZE[2]
    found = traces.score(swc.join(made.trees), traced(made.label, spacing), spacing=spacing, metrics=('length',))
    assert found['length_f1'] > 0.94 and found['pds'] < 0.01


@pytest.mark.parametrize('method', ['otsu', 'gaussian', 'ridge', 'threshold'])
def test_grey_levels_become_evidence_with_one_half_at_the_threshold(method):
    line = [(12, 16, 6), (12, 32, 58)]
    truth = drawn((24, 48, 64), line)
    voxels = (np.random.default_rng(0).normal(200, 10, truth.shape) + 800 * ndimage.gaussian_filter(truth.astype(float), 1)).astype(np.uint16)
    grey = evidence.of_grey_levels(voxels, method, settings=otsu.Settings(0, 1.0, 0.995, 4.0), threshold=500.0, ridge_sigmas=(1.0, 2.0))
    assert grey.dtype == np.uint8 and grey[truth].mean() > 100 > 40 > grey[~truth].mean()
    if method == 'threshold':
        np.testing.assert_array_equal(grey > 127, np.rint((voxels - np.median(voxels)) * 127.5 / (500 - np.median(voxels))) > 127)
    assert off(tracing.trace(grey, ISOTROPIC, low=0.5, high=0.5, values=constants()), line) < 3


def test_constant_stack_and_threshold_below_the_background_are_refused():
    with pytest.raises(UserError, match='empty'):
        evidence.of_grey_levels(np.full((4, 4, 4), 7, np.uint8), 'otsu')
    with pytest.raises(UserError, match='median'):
        evidence.of_grey_levels(np.arange(64, dtype=np.uint8).reshape(4, 4, 4), 'threshold', threshold=5.0)


# --- the script ---

LINE = [(10, 8, 6), (10, 30, 54)]


@pytest.fixture
def inputs(tmp_path):
    """A probability map, a float one, two masks and a stack of the same neurite, and its gold standard."""
    mask = drawn((20, 40, 60), LINE)
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), 0.7)
    folder = tmp_path / 'data/segmented'
    stacks.write(str(folder / 'a.prob.tif'), np.rint(255 * blurred).astype(np.uint8), voxel_size=(1.0, 1.0, 1.0))
    stacks.write(str(folder / 'a.mask.tif'), mask.astype(np.uint8))
    stacks.write(str(folder / 'b.mask.tif'), mask.astype(np.uint8) * 255)
    tifffile.imwrite(str(folder / 'c.prob.tif'), blurred)
    rng = np.random.default_rng(0)
    (folder / 'd.v3draw').write_bytes(vaa3d((rng.normal(500, 20, mask.shape) + 900 * blurred).astype(np.uint16)))
    for name in 'abcd':
        swc.write(str(tmp_path / 'gold' / (name + ('_1' if name == 'b' else '') + '.swc')),
                  swc.Tree(np.full(2, 2), np.array(LINE, float), np.full(2, 2.0), np.array([-1, 0])))
    return tmp_path


def test_every_kind_of_input_is_traced_scored_and_kept(inputs):
    status, out, err = run_script('4_reconstruction.py', 'GOLD=gold', cwd=inputs)
    assert status == 0, out + err
    made = inputs / 'results/traces'
    for name in 'abcd':
        assert off(swc.read(str(made / (name + '.swc'))), LINE) < 2
        assert (made / (name + '.png')).read_bytes()[:4] == b'\x89PNG'
    rows = (made / 'scores.csv').read_text().splitlines()
    assert [row.split(',')[0] for row in rows] == ['stack', 'a', 'b', 'c', 'd', 'mean'] and '| mean |' in (made / 'scores.md').read_text()
    assert float(rows[5].split(',')[1]) > 0.8
    before = {name: os.stat(str(made / (name + '.swc'))).st_mtime_ns for name in 'abcd'}
    (made / 'b.swc').unlink()
    status, out, err = run_script('4_reconstruction.py', cwd=inputs)
    assert status == 0 and '(1 new)' in out, out + err
    assert all(os.stat(str(made / (name + '.swc'))).st_mtime_ns == before[name] for name in 'acd')
    status, _, err = run_script('4_reconstruction.py', 'MAX_GAP=3', cwd=inputs)
    assert status == 1 and 'MAX_GAP' in err and 'OVERWRITE=True' in err


def test_a_bad_stack_is_reported_and_the_rest_are_done(inputs):
    stacks.write(str(inputs / 'data/segmented/e.mask.tif'), np.zeros((8, 8, 8), np.uint8))
    tifffile.imwrite(str(inputs / 'data/segmented/f.prob.tif'), np.full((8, 8, 8), 3.5, np.float32))
    status, out, err = run_script('4_reconstruction.py', cwd=inputs)
    assert status == 1 and 'Traceback' not in err and '2 of 6' in err
    assert 'e.mask.tif has no foreground' in err and 'f.prob.tif is floating point' in err
    assert sorted(p.name for p in (inputs / 'results/traces').glob('*.swc')) == ['a.swc', 'b.swc', 'c.swc', 'd.swc']


def test_gold_of_another_stack_is_not_joined(inputs):
    """Stacks a and a_b: a_b_1.swc is no piece of a."""
    (inputs / 'gold/a.swc').rename(inputs / 'gold/a_1.swc')
    (inputs / 'data/segmented/b.mask.tif').rename(inputs / 'data/segmented/a_b.mask.tif')
    far = swc.Tree(np.full(2, 2), np.array(LINE, float) + 100, np.full(2, 2.0), np.array([-1, 0]))
    swc.write(str(inputs / 'gold/a_b_1.swc'), far)
    status, out, err = run_script('4_reconstruction.py', 'GOLD=gold', 'INPUT=data/segmented/a*', cwd=inputs)
    assert status == 0, out + err
    rows = (inputs / 'results/traces/scores.csv').read_text().splitlines()
    assert rows[1].startswith('a,') and float(rows[1].split(',')[2]) > 0.8 and float(rows[2].split(',')[1]) == 0


def test_a_probability_map_of_two_levels_is_no_mask(inputs):
    """A confident network leaves {0, 1} of 255 on an empty stack."""
    for level, wanted in ((1, 1), (200, 0)):
        stacks.write(str(inputs / 'two' / 'a.prob.tif'), drawn((20, 40, 60), LINE).astype(np.uint8) * np.uint8(level))
        status, _, err = run_script('4_reconstruction.py', 'INPUT=two', 'OUTPUT=out', cwd=inputs)
        assert status == wanted and ('no foreground' in err) == bool(wanted), err


def test_nothing_of_others_is_overwritten_and_figures_come_back(inputs):
    status, _, err = run_script('4_reconstruction.py', 'INPUT=data/segmented', 'OUTPUT=data/segmented', cwd=inputs)
    assert status == 1 and 'give another OUTPUT' in err and not (inputs / 'data/segmented/config.json').exists()
    before = (inputs / 'gold/a.swc').read_bytes()
    status, _, err = run_script('4_reconstruction.py', 'GOLD=gold', 'OUTPUT=gold', cwd=inputs)
    assert status == 1 and 'give another OUTPUT' in err
    status, _, err = run_script('4_reconstruction.py', 'OUTPUT=gold', 'INPUT=data/segmented/a.*', cwd=inputs)
    assert status == 1 and 'gold/a.swc was not made by this script' in err and (inputs / 'gold/a.swc').read_bytes() == before
    for again in range(2):
        status, out, err = run_script('4_reconstruction.py', 'OUTPUT=out', 'INPUT=data/segmented/a.*', cwd=inputs)
        assert status == 0 and '(1 new)' in out, out + err
        (inputs / 'out/a.png').unlink()


@pytest.mark.parametrize('arguments, words', [
    (['INPUT=nowhere'], ['nowhere']), (['METHOD=magic'], ['METHOD=magic', 'otsu']), (['LOW=0.9'], ['LOW=0.9']),
    (['VOXEL_SIZE=2,1'], ['VOXEL_SIZE']), (['GOLD=nowhere'], ['nowhere', 'a.swc']),
    (['IMAGES=data/segmented', 'INPUT=data/segmented/b.mask.tif'], ['no stack b', 'IMAGES'])])
def test_bad_settings_are_one_clear_line(inputs, arguments, words):
    status, _, err = run_script('4_reconstruction.py', *arguments, cwd=inputs)
    assert status == 1 and 'Traceback' not in err and all(word in err for word in words), err


def test_without_input_the_step_before_is_named(tmp_path):
    status, _, err = run_script('4_reconstruction.py', cwd=tmp_path)
    assert status == 1 and '3_segmentation.py' in err and 'Traceback' not in err
