"""Step 0 as a user runs it: what is cut, what is kept, what is refused, what other shares see."""
import errno
import json
import os

import numpy as np
import pytest
from conftest import run_script

from utils.common import config, files
from utils.common.errors import UserError
from utils.data import hdf5_writer, parts, patches, stacks, tiff
from utils.draw import priors
from utils.measure import calibration, otsu, stack
from utils.simulate import raster, trial

SMALL = ['STACKS=in', 'OUTPUT=out', 'PATCH_SHAPE=8,16,16', 'MIN_OBJECT=50', 'CALIBRATION_ROUNDS=0',
         'MAX_STACK_FIGURES=0']


def fibre(path, *, radius=(1.0, 3.0), seed=0):
    """Write a stack of one straight fibre along x, thicker towards one end."""
    mask = raster.label((24, 40, 80), [[12, 20, -9], [12, 20, 90]], radius=radius, parent=[-1, 0])
    image = np.random.default_rng(seed).normal(600 + 900 * mask, 40)
    stacks.write(str(path), np.rint(image).astype(np.uint16), voxel_size=(1.0, 0.5, 0.5))


@pytest.fixture(autouse=True)
def no_plotting(monkeypatch):
    """The figure of the priors takes longer than all the rest of a small stack."""
    monkeypatch.setattr(priors, 'priors_page', lambda path, pooled: open(path, 'w').close())


def prepare(folder, *arguments):
    """(exit status, output, errors) of prepare_patches.py."""
    return run_script('prepare_patches.py', *SMALL, *arguments, cwd=folder)


def test_patches_with_too_little_foreground_are_dropped(tmp_path):
    fibre(tmp_path / 'in/a.tif')
    prepare(tmp_path, 'MIN_FOREGROUND=0')
    every = patches.PatchFile(str(tmp_path / 'out/real.h5'))
    cfg = config.load(('configs/prepare_patches.py', 'configs/otsu.py'), ['MIN_OBJECT=50'])
    mask = otsu.segment(stacks.read(str(tmp_path / 'in/a.tif')).voxels,
                        config.pick(cfg, otsu.Settings)).mask
    filled = np.array([patches.cut(mask, c, window=(8, 16, 16)).mean() for c in every.origin])
    least = float(np.median(filled))                     # half of the patches have more
    status, said, _ = prepare(tmp_path, 'MIN_FOREGROUND=%r' % least, 'OVERWRITE=True')
    some = patches.PatchFile(str(tmp_path / 'out/real.h5'))
    assert status == 0 and '%d patches of 1 stacks (1 new, 0 kept)' % len(some) in said
    np.testing.assert_array_equal(some.origin, every.origin[filled >= least])
    status, _, err = prepare(tmp_path, 'MIN_FOREGROUND=0.9', 'OVERWRITE=True')
    assert status == 1 and 'no patch has 90.00 % foreground' in err and 'could be used' in err


def test_a_refusal_is_seen_by_other_shares_until_the_stack_is_another(tmp_path, monkeypatch):
    fibre(tmp_path / 'in/b.tif')
    stacks.write(str(tmp_path / 'in/a.tif'), np.full((24, 40, 80), 7, np.uint16))
    monkeypatch.setenv('SLURM_ARRAY_TASK_COUNT', '2')
    monkeypatch.setenv('SLURM_ARRAY_TASK_ID', '0')
    status, said, err = prepare(tmp_path)
    assert status == 1 and '1 of other shares are not' in said and 'a.tif is empty' in err
    assert err.strip().split('\n')[-1] == 'error: 1 of 2 stacks were left out: in/a.tif'
    monkeypatch.setenv('SLURM_ARRAY_TASK_ID', '1')
    status, said, err = prepare(tmp_path)
    assert status == 1 and 'of 1 stacks (1 new, 0 kept)' in said
    assert err.strip() == 'error: 1 of 2 stacks were left out: in/a.tif'
    monkeypatch.delenv('SLURM_ARRAY_TASK_ID')
    fibre(tmp_path / 'in/a.tif', seed=1)                 # a good one in its place
    status, said, _ = prepare(tmp_path)
    assert status == 0 and 'of 2 stacks (1 new, 1 kept)' in said
    assert not os.path.exists(str(tmp_path / 'out/parts/a.bad'))


@pytest.mark.parametrize('fault, words', [
    ('disk', 'out/parts/a.h5 cannot be written: No space left on device'),
    ('memory to read', 'in/a.tif: not enough memory to read it'),
    ('memory', 'in/a.tif: not enough memory: take smaller stacks')])
def test_a_full_disk_or_memory_makes_no_refusal(tmp_path, monkeypatch, fault, words):
    for name in 'abc':
        fibre(tmp_path / ('in/%s.tif' % name))
    fails = iter([True, False, False])

    def once(whole, error):
        def replaced(*arguments, **named):
            if next(fails):
                raise error
            return whole(*arguments, **named)
        return replaced

    monkeypatch.setenv('SLURM_ARRAY_TASK_COUNT', '2')
    monkeypatch.setenv('SLURM_ARRAY_TASK_ID', '0')
    with monkeypatch.context() as patch:
        if fault == 'disk':
            patch.setattr(hdf5_writer._Disk, 'write', once(
                hdf5_writer._Disk.write, OSError(errno.ENOSPC, 'No space left on device')))
        elif fault == 'memory to read':
            patch.setattr(tiff, 'read', once(tiff.read, MemoryError()))
        else:
            patch.setattr(stack, 'measure', once(stack.measure, MemoryError()))
        status, said, err = prepare(tmp_path)
    assert status == 1 and words in err and 'Traceback' not in err, err
    assert err.strip().endswith('error: 1 of 3 stacks were left out: in/a.tif')
    assert os.listdir(str(tmp_path / 'out/parts')) == ['c.h5'], 'the stack after it is done'
    monkeypatch.setenv('SLURM_ARRAY_TASK_ID', '1')
    status, said, _ = prepare(tmp_path)
    assert status == 0 and '1 of other shares are not' in said
    monkeypatch.delenv('SLURM_ARRAY_TASK_ID')
    assert 'of 3 stacks (1 new, 2 kept)' in prepare(tmp_path)[1]


def test_a_rerun_makes_what_is_missing_or_another(tmp_path):
    for i, name in enumerate('ab'):
        fibre(tmp_path / ('in/%s.tif' % name), seed=i)
    figures = SMALL[:-1] + ['MAX_STACK_FIGURES=1']
    status, said, _ = run_script('prepare_patches.py', *figures, cwd=tmp_path)
    made = sorted(os.listdir(str(tmp_path / 'out')))
    assert status == 0 and '(2 new, 0 kept)' in said
    assert made == ['command.txt', 'config.json', 'made_by.json', 'parts', 'priors.json',
                    'priors.png', 'real.h5', 'real_a.png']
    written = os.stat(str(tmp_path / 'out/priors.json')).st_mtime_ns
    os.remove(str(tmp_path / 'out/real_a.png'))
    assert '(1 new, 1 kept)' in run_script('prepare_patches.py', *figures, cwd=tmp_path)[1]
    assert os.path.exists(str(tmp_path / 'out/real_a.png'))
    assert os.stat(str(tmp_path / 'out/priors.json')).st_mtime_ns == written     # nothing changed
    os.remove(str(tmp_path / 'out/priors.png'))          # as a kill before the figure leaves it
    assert '(0 new, 2 kept)' in run_script('prepare_patches.py', *figures, cwd=tmp_path)[1]
    assert os.path.exists(str(tmp_path / 'out/priors.png'))
    assert os.stat(str(tmp_path / 'out/priors.json')).st_mtime_ns == written
    fibre(tmp_path / 'in/b.tif', seed=5)
    assert '(1 new, 1 kept)' in run_script('prepare_patches.py', *figures, cwd=tmp_path)[1]
    assert os.stat(str(tmp_path / 'out/priors.json')).st_mtime_ns > written
    known = json.loads((tmp_path / 'out/priors.json').read_text())
    assert sorted(known['stacks']) == ['a', 'b'] and known['dtype_max'] == 65535
    assert [entry['median'] for entry in known['backgrounds']] == [
        known['stacks'][name]['background']['median'] for name in sorted(known['stacks'])]
    assert known['drawn']['rounds'] == [] and known['voxel_size'] == [1.0, 0.5, 0.5]
    whole = (tmp_path / 'out/priors.json').read_text()
    broken = dict(json.loads(whole), correlation=[])     # edited by hand: the simulator refuses it
    (tmp_path / 'out/priors.json').write_text(json.dumps(broken))
    assert run_script('prepare_patches.py', *figures, cwd=tmp_path)[0] == 0
    assert (tmp_path / 'out/priors.json').read_text() == whole
    broken = json.loads(whole)
    broken['drawn']['best'] = 1000                       # of rounds that are not there
    (tmp_path / 'out/priors.json').write_text(json.dumps(broken))
    os.remove(str(tmp_path / 'out/priors.png'))
    assert run_script('prepare_patches.py', *figures, cwd=tmp_path)[0] == 0
    assert (tmp_path / 'out/priors.json').read_text() == whole


def test_tiff_patches_of_earlier_runs_go_and_other_files_stay(tmp_path):
    for i, name in enumerate('ab'):
        fibre(tmp_path / ('in/%s.tif' % name), seed=i)
    assert prepare(tmp_path, 'TIFF_FOLDER=t')[0] == 0
    first = sorted(name for name in os.listdir(str(tmp_path / 't')) if name.endswith('.tif'))
    assert {name[0] for name in first} == {'a', 'b'}
    own = ['b_00001_mine.tif', 'b_1.tif', 'c_00000.tif', 'b.tif', 'x_00001_00002.tif']
    for name in own:
        (tmp_path / 't' / name).write_text('mine')
    os.remove(str(tmp_path / 'in/b.tif'))
    status, _, err = prepare(tmp_path, 'TIFF_FOLDER=t', 'OVERWRITE=True')
    assert status == 0, err
    left = {name for name in os.listdir(str(tmp_path / 't')) if name.endswith('.tif')}
    count = len(patches.PatchFile(str(tmp_path / 'out/real.h5')))
    assert left == {'a_%05d.tif' % i for i in range(count)} | set(own) and 0 < count < len(first)
    assert all((tmp_path / 't' / name).read_text() == 'mine' for name in own)


def test_a_stack_that_is_mostly_foreground_is_warned_of(tmp_path):
    fibre(tmp_path / 'in/a.tif', radius=(18.0, 18.0))
    status, _, err = prepare(tmp_path, 'FLATTEN_BLOCK=0', 'NOISE_FLOOR=0')
    assert status == 0 and err.startswith('warning: ') and 'raise NOISE_FLOOR' in err
    fibre(tmp_path / 'in/a.tif')
    assert 'warning' not in prepare(tmp_path, 'OVERWRITE=True')[2]


def test_drafts_of_the_calibration_are_drawn_and_measured_as_the_stacks(tmp_path, monkeypatch):
    """8 bit, voxels twice as tall as wide, a rule of its own for the smallest object."""
    fibre(tmp_path / 'in/a.tif')
    real = stacks.read(str(tmp_path / 'in/a.tif'))
    stacks.write(real.path, (real.voxels // 10).astype(np.uint8), voxel_size=real.voxel_size)
    seen = []

    def spy(measured, look, *, draw, rounds):
        drawn = calibration.first_guess(measured)
        draft = draw(dict(drawn, density=0.004), 0)
        seen.extend([draft, draw(dict(drawn, density=0.004), 0), look(draft), rounds])
        assert (draw(dict(drawn, density=0.004), 1) != draft).any()
        return dict(drawn, rounds=[])

    monkeypatch.setattr(trial, 'SHAPE', (32, 64, 64))
    monkeypatch.setattr(calibration, 'calibrate', spy)
    status, _, err = prepare(tmp_path, 'CALIBRATION_ROUNDS=4')
    draft, again, measured, rounds = seen
    assert status == 0 and rounds == 4, err
    assert draft.dtype == np.uint8 and draft.shape == (32, 64, 64)
    np.testing.assert_array_equal(draft, again)          # rounds differ by what is drawn alone
    assert measured['voxel_size'] == [1.0, 0.5, 0.5]
    found = otsu.segment(draft, otsu.Settings(32, 1.0, 0.995, 4.0, 50))
    assert measured['threshold'] == found.threshold
    assert measured['foreground_fraction'] == found.mask.mean()


MEASURED = {'voxel_size': None, 'centreline_voxels': 7, 'density': 0.5}


@pytest.mark.parametrize('change', ['stack', 'settings'])
def test_a_part_belongs_to_its_stack_and_settings(tmp_path, change):
    path = tmp_path / 'a.tif'
    fibre(path)
    store = parts.Parts(str(tmp_path), {'MIN_OBJECT': 5})
    assert not store.is_made(str(path)) and not store.is_refused(str(path))
    patches.write(store.path(str(path)), np.zeros((1, 4, 4, 4), np.uint8), origins=[[0, 0, 0]],
                  sources=['a'], made_from=store.key(str(path)), measured=files.to_json(MEASURED))
    store.refuse(str(path))
    assert store.is_made(str(path)) and store.is_refused(str(path))
    assert store.measured(str(path)) == MEASURED
    if change == 'stack':
        fibre(path, radius=(2.0, 2.0))
        os.utime(str(path), ns=(1, 1))
    else:
        store = parts.Parts(str(tmp_path), {'MIN_OBJECT': 6})
    assert not store.is_made(str(path)) and not store.is_refused(str(path))


@pytest.mark.parametrize('options', [{}, {'measured': '[]'}, {'measured': '{"density"'},
                                     {'measured': '{}'}, {'measured': '{"voxel_size": 3}'}])
def test_a_part_without_measurements_is_named(tmp_path, options):
    store = parts.Parts(str(tmp_path), {})
    patches.write(store.path('a.tif'), np.zeros((1, 4, 4, 4), np.uint8), origins=[[0, 0, 0]],
                  sources=['a'], **options)
    with pytest.raises(UserError, match='parts/a.h5 holds no measurements: remove it and run'):
        store.measured('a.tif')
