"""Each mistake is called what it is: empty values, configs that end a script, sizes, Ctrl-C."""
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from conftest import ROOT, run_script
from drafting import given

from utils.common import config, errors
from utils.common.errors import UserError
from utils.data import stacks
from utils.measure import background, otsu
from utils.simulate import checks

SCRIPTS = ('prepare_patches.py', '1_simulator.py', '2_mpgan.py', '3_segmentation.py',
           '4_reconstruction.py', 'make_figures.py', 'utils/simulate/phantom/__main__.py')


# --- configs ---

@pytest.mark.parametrize('argument', ['OUTPUT=', 'VOLUME_SHAPE=', 'N_STACKS=', 'PRIORS='])
def test_empty_values_are_refused(tmp_path, argument):
    status, _, err = run_script('1_simulator.py', 'WORKERS=1', argument, cwd=tmp_path)
    assert status == 1 and err.startswith('error: %s is empty: give a value' % argument)
    assert err.count('\n') == 1 and not os.listdir(str(tmp_path))


def test_a_text_that_is_empty_by_default_may_be_empty():
    assert config.parse_value('DRAFT_ARGS', '', default='') == ''


@pytest.mark.parametrize('text, words', [
    ('import sys\nsys.exit(0)\n', 'ends the script'), ('exit()\n', 'ends the script'),
    ('N_STACKS = = 3\n', 'does not run as Python: invalid syntax'),
    ('N_STACKS = 1 / 0\n', 'does not run as Python: division'),
    ("OUTPUT = ''\n", 'OUTPUT= is empty'), ('N_STACKS = None\n', 'want a whole number')])
def test_configs_that_do_not_run_are_named(tmp_path, text, words):
    (tmp_path / 'mine.py').write_text(text)
    status, out, err = run_script('1_simulator.py', 'WORKERS=1', '--config', 'mine.py',
                                  cwd=tmp_path)
    assert status == 1 and words in err and err.count('\n') == 1 and not out
    assert os.listdir(str(tmp_path)) in (['mine.py'], ['__pycache__', 'mine.py'])


# --- voxel sizes ---

@pytest.mark.parametrize('size', [(1e30, 1, 1), (float('nan'), 1, 1), (-1, 1, 1), (0, 1, 1),
                                  (1, 1, float('inf')), (1e4, 1e-6, 1e-6), (1, 1), (True, 1, 1),
                                  ('1', 1, 1)])
def test_voxel_sizes_that_no_microscope_has_are_refused(tmp_path, size):
    assert not stacks.is_voxel_size(size)
    with pytest.raises(UserError, match='VOXEL_SIZE'):
        checks.check(given(VOXEL_SIZE=size), None)
    stacks.write(str(tmp_path / 'in' / 'a.tif'), np.zeros((4, 8, 8), np.uint8))
    status, _, err = run_script('4_reconstruction.py', 'INPUT=in', 'OUTPUT=out',
                                'VOXEL_SIZE=' + ','.join(map(repr, size)).replace('inf', '1e999'),
                                cwd=tmp_path)
    assert status == 1 and 'VOXEL_SIZE=' in err and err.count('\n') == 1


def test_voxel_sizes_of_microscopes_and_volumes_of_machines_pass():
    for size in ((1.0, 0.5, 0.5), (5, 0.1, 0.1), (1e-3, 1e-3, 1e-3)):
        assert stacks.is_voxel_size(size)
    checks.check(given(VOXEL_SIZE=(2.0, 1.0, 1.0)), None)
    for constants in ({'VOLUME_SHAPE': (10 ** 5, 10 ** 5, 10 ** 5)},
                      {'VOXEL_SIZE': (0.001, 0.001, 1.0)}):
        with pytest.raises(UserError, match='more than 1e.10 voxels'):
            checks.check(given(AXON_SHARE=1.0, **constants), None)


@pytest.mark.parametrize('spacing', [1e30, -1.0, 0.0, float('nan')])
def test_files_that_tell_impossible_voxels_are_named(tmp_path, spacing):
    path = str(tmp_path / 'a.tif')
    tifffile.imwrite(path, np.zeros((4, 8, 8), np.uint8), imagej=True, resolution=(1, 1),
                     metadata={'axes': 'ZYX', 'spacing': spacing, 'unit': 'um'})
    with pytest.raises(UserError, match='a.tif tells voxels of .*: correct it'):
        stacks.read(path)


# --- Ctrl-C ---

@pytest.mark.parametrize('script', SCRIPTS)
def test_scripts_import_the_line_for_ctrl_c_first(script):
    with open(os.path.join(ROOT, script), encoding='utf-8') as file:
        lines = file.read().split('"""\n', 2)[1].splitlines()
    assert lines[0].startswith(('import utils.common.errors ', 'from utils.common.errors import'))


def test_ctrl_c_during_the_imports_is_one_line():
    code = "__file__ = 'a script'\nimport utils.common.errors\nraise KeyboardInterrupt\n"
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, stderr=subprocess.PIPE,
                          universal_newlines=True)
    assert done.stderr == errors.STOPPED + '\n' and done.returncode != 0
    done = subprocess.run([sys.executable, '-c', 'import utils.common.errors\n1 / 0'], cwd=ROOT,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert 'ZeroDivisionError' in done.stderr and done.returncode == 1


# --- measuring slab by slab, to save memory ---

def test_slabs_give_what_the_whole_stack_gives(monkeypatch):
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 3000, (21, 30, 31)).astype(np.uint16)
    objects = rng.integers(0, 7, voxels.shape).astype(np.int32)
    np.testing.assert_array_equal(otsu.sizes(objects, 9), np.bincount(objects.ravel(),
                                                                      minlength=10))
    where = rng.random(voxels.shape) < 0.7
    for most in (10, 100, 5000, 10 ** 9):
        monkeypatch.setattr(background, 'MOST', most)
        index = np.flatnonzero(where)
        np.testing.assert_array_equal(background.sample(voxels, where),
                                      voxels.ravel()[index[:: 1 + len(index) // most]])
    assert background.sample(voxels, where & False).shape == (0,)
    found = otsu.segment(voxels, otsu.Settings(smooth_sigma=1.0, min_object=40))
    for slab in (1, 1000):
        monkeypatch.setattr(otsu, 'SLAB', slab)
        again = otsu.segment(voxels, otsu.Settings(smooth_sigma=1.0, min_object=40))
        np.testing.assert_array_equal(again.mask, found.mask)
        np.testing.assert_array_equal(again.specks, found.specks)
    assert found.mask.any() and found.specks.any() and not (found.mask & found.specks).any()
