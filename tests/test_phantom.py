"""The phantom's script: same bytes for a seed, a truth that fits the image, safe reruns."""
import glob
import os
import subprocess
import sys

import numpy as np
import pytest

from utils.common import config
from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.simulate import raster
from utils.simulate.phantom import __main__ as script
from utils.simulate.phantom import axons, settings

SMALL = ['N_STACKS=2', 'SHAPE=20,48,56', 'N_AXONS=3,3', 'MIN_LENGTH=25', 'BRANCH_SPACING=30']


def make(output, *more):
    """Run the script in this process with small constants."""
    arguments, sys.argv = sys.argv, ['phantom.py', 'OUTPUT=%s' % output] + SMALL + list(more)
    try:
        script.main()
    finally:
        sys.argv = arguments


def contents(folder):
    """Every file below a folder: relative path -> bytes."""
    found = {}
    for root, _, names in os.walk(str(folder)):
        for name in names:
            path = os.path.join(root, name)
            with open(path, 'rb') as file:
                found[os.path.relpath(path, str(folder))] = file.read()
    return found


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A finished phantom that tests read and do not change."""
    folder = tmp_path_factory.mktemp('phantom')
    make(folder)
    return folder


def settings_of(*overrides):
    """Small settings, with some constants replaced."""
    cfg = config.load('configs/demo/phantom.py', SMALL + list(overrides))
    return settings.Settings(*[config.pick(cfg, group) for group in settings.GROUPS])


def test_same_seed_same_bytes_and_stacks_differ(made, tmp_path):
    make(tmp_path)
    first, second = contents(made), contents(tmp_path)
    for name in ('config.json', 'command.txt'):                      # these name their folders
        first.pop(name), second.pop(name)
    assert first == second
    assert first['images/0001.tif'] != first['images/0002.tif']


def test_a_stack_does_not_depend_on_how_many_are_made(made, tmp_path):
    make(tmp_path, 'N_STACKS=1')
    alone = contents(tmp_path / 'images')
    assert alone == {'0001.tif': contents(made / 'images')['0001.tif']}


def test_files_and_formats(made):
    assert sorted(os.listdir(str(made))) == [
        'command.txt', 'config.json', 'images', 'made_by.json', 'truth']
    assert sorted(os.listdir(str(made / 'images'))) == ['0001.tif', '0002.tif']  # no truth
    trees = ['000%d_%d.swc' % (stack, k) for stack in (1, 2) for k in (1, 2, 3)]
    assert sorted(os.listdir(str(made / 'truth' / 'swc'))) == trees
    labels = str(made / 'truth' / 'labels')
    for image_path, label_path in stacks.pair_by_name(str(made / 'images'), labels):
        image, label = stacks.read(image_path), stacks.read(label_path)
        assert image.voxels.shape == label.voxels.shape == (20, 48, 56)
        assert image.voxels.dtype == np.uint16 and label.voxels.dtype == np.uint8
        assert np.array_equal(np.unique(label.voxels), [0, 1])
        assert image.voxel_size == pytest.approx((1.5, 1.0, 1.0))


def test_trees_are_valid_and_lie_inside_the_label(made):
    paths = glob.glob(str(made / 'truth' / 'swc' / '*.swc'))
    assert len(paths) == 6
    drawn = {'0001': 0, '0002': 0}
    for path in paths:
        stack = os.path.basename(path)[:4]
        label = stacks.read(str(made / 'truth' / 'labels' / (stack + '.tif'))).voxels
        tree = swc.read(path)                                        # one root, parents first
        node = np.rint(tree.position).astype(int)
        assert ((node >= 0) & (node < label.shape)).all()
        assert label[tuple(node.T)].all()
        step = (tree.position[1:] - tree.position[tree.parent[1:]]) * (1.5, 1, 1)
        # no jump between a daughter and its branch
        assert np.allclose(np.linalg.norm(step, axis=1), axons.STEP, atol=5e-3)
        assert (tree.type == swc.AXON).all()
        own = raster.label(label.shape, tree.position, radius=tree.radius + 1e-2,
                           parent=tree.parent, spacing=(1.5, 1, 1))
        drawn[stack] = drawn[stack] | own
    for stack, union in drawn.items():               # the label holds no neurite without a tree
        label = stacks.read(str(made / 'truth' / 'labels' / (stack + '.tif'))).voxels > 0
        assert (union | ~label).all() and union.sum() < 1.05 * label.sum()


def test_axons_branch():
    values = settings_of('SHAPE=64,160,160')
    _, radius, parent = axons.grow(values.stack, values.axons, rng=np.random.default_rng(0))
    assert np.bincount(parent[1:]).max() == 2        # a daughter beside the branch that goes on
    low, high = values.axons.radius
    assert low <= radius.min() and radius.max() <= high * values.axons.bouton_swell[1]


def test_foreground_is_brighter_than_background(made):
    for name in ('0001.tif', '0002.tif'):
        image = stacks.read(str(made / 'images' / name)).voxels
        label = stacks.read(str(made / 'truth' / 'labels' / name)).voxels > 0
        assert np.median(image[label]) > np.median(image[~label]) + 100
        assert 400 < np.median(image[~label]) < 1000


def test_rerun_keeps_finished_and_redoes_removed(tmp_path, capsys):
    make(tmp_path)
    before = contents(tmp_path)
    keep, redo = tmp_path / 'images' / '0001.tif', tmp_path / 'images' / '0002.tif'
    os.utime(str(keep), (1e9, 1e9))
    redo.unlink()
    stale = tmp_path / 'truth' / 'swc' / '0002_9.swc'                # left by a killed run
    stale.write_text(u'nonsense')
    make(tmp_path)
    assert contents(tmp_path) == before
    assert keep.stat().st_mtime == 1e9
    assert '1 phantom stacks made, 1 kept' in capsys.readouterr().out


def test_other_seed_is_refused_with_one_line(made):
    before = contents(made)
    command = [sys.executable, '-m', 'utils.simulate.phantom', 'OUTPUT=%s' % made, 'SEED=7']
    done = subprocess.run(command + SMALL, cwd=config.ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 1 and done.stdout == ''
    assert len(done.stderr.splitlines()) == 1
    assert 'SEED' in done.stderr and str(made) in done.stderr
    assert contents(made) == before


def test_overwrite_leaves_nothing_of_other_settings(tmp_path):
    make(tmp_path)
    before = contents(tmp_path)
    make(tmp_path, 'SEED=7', 'OVERWRITE=True', 'N_STACKS=1')
    after = contents(tmp_path)
    assert not [name for name in after if '0002' in name]
    assert after['images/0001.tif'] != before['images/0001.tif']


@pytest.mark.parametrize('override, word', [
    ('N_STACKS=0', 'N_STACKS'),
    ('SHAPE=8,48,56', 'SHAPE'),
    ('N_AXONS=4,3', 'N_AXONS'),
    ('GAIN=0', 'GAIN'),
    ('DRIFT_LENGTH=1e300', 'DRIFT_LENGTH=1e.300: want'),
    ('LEVEL_DRIFT=-1e5', 'LEVEL_DRIFT'),
    ('RADIUS=0.5,1.0', 'RADIUS'),
    ('MIN_LENGTH=100000', 'MIN_LENGTH'),
])
def test_impossible_constants_are_refused_by_name(tmp_path, override, word):
    with pytest.raises(UserError, match=word):
        make(tmp_path, override)
    assert os.listdir(str(tmp_path)) == []   # a bad run does not claim the folder
