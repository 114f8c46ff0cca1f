"""The numbered scripts as a user runs them: in order, twice, on shares, on bad input."""
import glob
import hashlib
import os

import numpy as np
import pytest
from conftest import run_script, vaa3d

from utils.data import patches, stacks, swc
from utils.simulate import raster

pytestmark = pytest.mark.usefixtures('small_networks')
PREPARE = ['PATCH_SHAPE=16,24,24', 'MIN_OBJECT=50', 'CALIBRATION_ROUNDS=1']
SIMULATE = ['PRIORS=None', 'N_STACKS=3', 'VOLUME_SHAPE=48,96,64', 'BRANCH_LENGTH=10,16',
            'SOMA_RADIUS=4.0,6.0', 'DEBRIS=2000', 'PATCH_EVERY=4',
            'PATCH_SHAPE=16,24,24', 'WORKERS=1']
TRAIN = ['REFINER_CHANNELS=4', 'DISCRIMINATOR_CHANNELS=4', 'MAX_STEPS=4', 'REFINER_UPDATES=2',
         'BATCH_SIZE=2', 'DISCRIMINATOR_FIRST=1',
         'CROP_SHAPE=8,16,16', 'HISTORY_BATCHES=3', 'LOG_EVERY=1', 'PREVIEW_EVERY=4',
         'SAVE_EVERY=2', 'EVALUATE_EVERY=4', 'EVALUATION_PATCHES=4', 'THREADS=1',
         'TILE_SHAPE=24,48,48', 'LEARNING_RATE=0.001']


def real_stack(path, seed=0, dtype=np.uint16):
    """A stack with one winding bright fibre."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 3 * np.pi, 40)
    position = np.stack([np.linspace(4, 35, 40), 40 + 25 * np.cos(t + seed), 40 + 25 * np.sin(t)],
                        1)
    mask = raster.label((40, 80, 80), position, radius=np.full(40, 2.0), parent=np.arange(-1, 39))
    image = rng.normal(60, 8, mask.shape) + 90 * mask
    image *= 1 if dtype == np.uint8 else 10
    stacks.write(str(path), np.clip(image, 0, np.iinfo(dtype).max).astype(dtype),
                 voxel_size=(1.0, 0.5, 0.5))


def contents(folder, *patterns):
    """Hashes of files by relative path."""
    found = [path for pattern in patterns
             for path in glob.glob(os.path.join(str(folder), pattern), recursive=True)]
    return {os.path.relpath(path, str(folder)): hashlib.sha1(open(path, 'rb').read()).hexdigest()
            for path in sorted(found) if os.path.isfile(path)}


def good(name, *arguments, cwd, **environment):
    status, out, err = run_script(name, *arguments, cwd=cwd, **environment)
    assert status == 0, out + err
    return out


def bad(name, *arguments, cwd, words):
    arguments += ('WORKERS=1',) if name == '1_simulator.py' else ()
    status, out, err = run_script(name, *arguments, cwd=cwd)
    last = err.strip().split('\n')[-1]
    assert status == 1 and last.startswith('error: ') and 'Traceback' not in err, out + err
    assert all(word in err for word in words), err
    return err


@pytest.fixture(scope='module')
def pipeline(tmp_path_factory):
    """A folder where steps 0, 1 and 2 have run once."""
    folder = tmp_path_factory.mktemp('pipeline')
    for i in range(2):
        real_stack(folder / 'data' / 'real' / ('s%d.tif' % i), i)
    good('prepare_patches.py', *PREPARE, cwd=folder)
    good('1_simulator.py', *SIMULATE, cwd=folder)
    good('2_mpgan.py', *TRAIN, cwd=folder)
    return folder


@pytest.mark.fault(8)
@pytest.mark.fault(10)
def test_steps_leave_what_they_promise(pipeline):
    real = patches.PatchFile(str(pipeline / 'data/patches/real.h5'))
    drafts = patches.PatchFile(str(pipeline / 'data/simulated/patches.h5'), with_labels=True)
    refined = patches.PatchFile(str(pipeline / 'data/refined/patches.h5'), with_labels=True)
    assert set(real.source) == {'s0', 's1'}
    assert real.shape == drafts.shape == refined.shape == (16, 24, 24)
    np.testing.assert_array_equal(drafts.label[:], refined.label[:])
    np.testing.assert_allclose(real.voxel_size, (1.0, 0.5, 0.5), rtol=1e-4)
    for i in (1, 2, 3):
        draft = stacks.read(str(pipeline / ('data/simulated/images/%04d.tif' % i)))
        label = stacks.read(str(pipeline / ('data/simulated/labels/%04d.tif' % i))).voxels
        result = stacks.read(str(pipeline / ('data/refined/images/%04d.tif' % i)))
        tree = swc.read(str(pipeline / ('data/simulated/swc/%04d.swc' % i)))
        assert draft.voxels.shape == (24, 96, 64) == result.voxels.shape == label.shape
        assert result.voxel_size == draft.voxel_size and set(np.unique(label)) == {0, 1}
        assert draft.voxels[label == 1].mean() > draft.voxels[label == 0].mean()
        drawn = raster.label(label.shape, tree.position, radius=tree.radius, parent=tree.parent,
                             spacing=(2, 1, 1))
        drawn[tuple(raster.centreline(label.shape, tree.position, parent=tree.parent).T)] = True
        # the SWC is the label's tree, to its printed digits
        assert (drawn != label).sum() <= 0.002 * drawn.sum() + 2
        rows = [k for k, name in enumerate(drafts.source) if name == '%04d' % i]
        for k in rows[:3]:
            np.testing.assert_array_equal(patches.cut(draft.voxels, drafts.origin[k],
                                                      window=drafts.shape), drafts.image[k])
            np.testing.assert_array_equal(patches.cut(result.voxels, refined.origin[k],
                                                      window=refined.shape), refined.image[k])
    for name in ('log.csv', 'config.json', 'preview_000000.png', 'preview_000004.png'):
        assert (pipeline / 'runs/mpgan' / name).stat().st_size > 0
    assert len((pipeline / 'runs/mpgan/log.csv').read_text().splitlines()) == 5
    assert glob.glob(str(pipeline / 'runs/mpgan/events/events*'))


def test_second_run_finds_its_work_done(pipeline):
    kept = ('data/patches/**', 'data/simulated/**', 'data/refined/**', 'runs/mpgan/checkpoints/**',
            'runs/mpgan/log.csv')
    before = contents(pipeline, *kept)
    times = {path: os.stat(str(pipeline / path)).st_mtime_ns
             for path in before if path.endswith('.tif')}
    assert '0 new, 2 kept' in good('prepare_patches.py', *PREPARE, cwd=pipeline)
    assert '(0 new)' in good('1_simulator.py', *SIMULATE, cwd=pipeline)
    out = good('2_mpgan.py', *TRAIN, cwd=pipeline)
    assert 'has its 4 steps already' in out and '(0 new)' in out
    assert contents(pipeline, *kept) == before
    assert times == {path: os.stat(str(pipeline / path)).st_mtime_ns for path in times}


def test_bytes_do_not_depend_on_workers_and_missing_stacks_are_redone(pipeline, tmp_path):
    made = ('images/*', 'labels/*', 'swc/*', 'patches.h5')
    before = contents(pipeline / 'data/simulated', *made)
    for workers in (1, 2):
        good('1_simulator.py', *(SIMULATE + ['WORKERS=%d' % workers, 'OUTPUT=w%d' % workers]),
             cwd=tmp_path)
        assert contents(tmp_path / ('w%d' % workers), *made) == before
    (tmp_path / 'w1/labels/0002.tif').unlink()
    assert '(1 new)' in good('1_simulator.py', *(SIMULATE + ['OUTPUT=w1']), cwd=tmp_path)
    assert contents(tmp_path / 'w1', *made) == before


def test_changed_constants_are_refused_and_nothing_is_lost(pipeline):
    before = contents(pipeline, 'data/**', 'runs/mpgan/checkpoints/**')
    bad('prepare_patches.py', *(PREPARE + ['MAX_OVERLAP=0.1']), cwd=pipeline,
        words=['MAX_OVERLAP', 'OVERWRITE=True'])
    bad('1_simulator.py', *(SIMULATE + ['SEED=2']), cwd=pipeline,
        words=['SEED 1 -> 2', 'OVERWRITE=True'])
    assert contents(pipeline, 'data/**', 'runs/mpgan/checkpoints/**') == before


def test_one_bad_stack_does_not_stop_the_batch(tmp_path):
    real_stack(tmp_path / 'good.tif')
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in/good.v3draw').write_bytes(vaa3d(stacks.read(str(tmp_path / 'good.tif')).voxels))
    real_stack(tmp_path / 'in/cut.tif')
    whole = (tmp_path / 'in/cut.tif').read_bytes()
    (tmp_path / 'in/cut.tif').write_bytes(whole[:len(whole) // 2])
    stacks.write(str(tmp_path / 'in/small.tif'), np.zeros((4, 4, 4), np.uint16))
    err = bad('prepare_patches.py', *(PREPARE + ['STACKS=in', 'CALIBRATION_ROUNDS=0']),
              cwd=tmp_path, words=['cut.tif', 'small.tif', '2 of 3'])
    assert err.count('error: ') == 3
    assert set(patches.PatchFile(str(tmp_path / 'data/patches/real.h5')).source) == {'good'}


def test_overwriting_leaves_nothing_of_other_settings(tmp_path):
    good('1_simulator.py', *(SIMULATE + ['INSTANCES=True', 'OUTPUT=s']), cwd=tmp_path)
    (tmp_path / 's/images/0001.mpgan-00000000-1.partial.tif').write_text('of a killed run')
    good('1_simulator.py', *(SIMULATE + ['SEED=2', 'OVERWRITE=True', 'OUTPUT=s', 'N_STACKS=2']),
         cwd=tmp_path)
    left = sorted(p.name for p in (tmp_path / 's/images').glob('000?.tif'))
    assert left == ['0001.tif', '0002.tif']
    assert not list((tmp_path / 's/instances').glob('*.tif'))


def test_stacks_of_unlike_voxel_size_are_not_pooled(tmp_path):
    real_stack(tmp_path / 'data/real/a.tif')
    real_stack(tmp_path / 'data/real/b.tif', 1)
    b = stacks.read(str(tmp_path / 'data/real/b.tif'))
    stacks.write(b.path, b.voxels, voxel_size=(2.0, 1.0, 1.0))
    bad('prepare_patches.py', *(PREPARE + ['CALIBRATION_ROUNDS=0']), cwd=tmp_path,
        words=['a has voxels', 'b of', 'OUTPUT'])


def test_the_shares_of_a_job_array_make_the_whole(pipeline, tmp_path):
    stacks_at = 'STACKS=%s' % (pipeline / 'data/real')
    for task in (1, 2):                                  # SLURM may count from 1
        share = dict(SLURM_ARRAY_TASK_ID=str(task), SLURM_ARRAY_TASK_COUNT='2')
        said = good('1_simulator.py', *(SIMULATE + ['OUTPUT=s']), cwd=tmp_path, **share)
        assert ('not' in said) == (task == 1)
        assert (tmp_path / 's/patches.h5').exists() == (task == 2)
        said = good('prepare_patches.py', *(PREPARE + [stacks_at, 'OUTPUT=p']), cwd=tmp_path,
                    **share)
        assert (tmp_path / 'p/real.h5').exists() == (task == 2), said
    for made, whole, patterns in (('s', 'data/simulated',
                                   ('images/*', 'labels/*', 'swc/*', 'parts/*', 'patches.h5')),
                                  ('p', 'data/patches', ('real.h5', 'priors.json', 'parts/*'))):
        assert contents(tmp_path / made, *patterns) == contents(pipeline / whole, *patterns)
    status, _, err = run_script('1_simulator.py', *SIMULATE, cwd=tmp_path, SLURM_ARRAY_TASK_ID='x',
                                SLURM_ARRAY_TASK_COUNT='2')
    assert status == 1 and 'SLURM_ARRAY_TASK_ID=x' in err and 'Traceback' not in err


def test_bad_input_is_one_clear_line(tmp_path, pipeline):
    bad('prepare_patches.py', cwd=tmp_path, words=['data/real', 'put some there'])
    bad('1_simulator.py', cwd=tmp_path, words=['data/patches/priors.json', 'PRIORS=None'])
    bad('1_simulator.py', 'PRIORS=None', 'VOLUME_SHAPE=32,32,32', cwd=tmp_path,
        words=['PATCH_SHAPE'])
    bad('1_simulator.py', 'PRIORS=gone.json', cwd=tmp_path, words=['gone.json'])
    bad('1_simulator.py', 'PRIORS=None', 'TORTUOSITY=straight', cwd=tmp_path,
        words=['TORTUOSITY=straight', 'auto'])
    bad('1_simulator.py', 'PRIORS=None', 'LEVEL=5,1', cwd=tmp_path,
        words=['LEVEL=(5, 1)', 'smaller first'])
    bad('1_simulator.py', 'PRIORS=None', 'SWC_DIR=nowhere', cwd=tmp_path,
        words=['*.swc', 'nowhere'])
    bad('1_simulator.py', 'PRIORS=None', 'PSF_FILE=nowhere.tif', cwd=tmp_path,
        words=['nowhere.tif'])
    bad('1_simulator.py', 'PRIORS=None', 'PATCH_SHAPE=0,8,8', cwd=tmp_path, words=['PATCH_SHAPE'])
    bad('1_simulator.py', 'PRIORS=None', 'AXON_SHARE=1', 'RADIUS=400,600', cwd=tmp_path,
        words=['radius', 'fit'])
    bad('1_simulator.py', 'PRIORS=%s' % (pipeline / 'data/patches/priors.json'), 'VOXEL_SIZE=2,1,1',
        cwd=tmp_path,
        words=['VOXEL_SIZE', 'auto'])
    (tmp_path / 'old.json').write_text('{"foreground": {}}')
    bad('1_simulator.py', 'PRIORS=old.json', cwd=tmp_path, words=['old.json', 'prepare_patches.py'])
    bad('make_figures.py', cwd=tmp_path,
        words=['prepare_patches.py', '1_simulator.py', '2_mpgan.py'])
    (tmp_path / 'file').write_text('in the way')
    bad('1_simulator.py', *(SIMULATE + ['OUTPUT=file/out']), cwd=tmp_path, words=['file'])


def test_eight_bit_data_goes_through(tmp_path, no_pictures):
    real_stack(tmp_path / 'data/real/a.tif', dtype=np.uint8)
    good('prepare_patches.py', *(PREPARE + ['TIFF_FOLDER=tiff', 'CALIBRATION_ROUNDS=0']),
         cwd=tmp_path)
    real, tiff = [patches.PatchFile(str(tmp_path / path))
                  for path in ('data/patches/real.h5', 'tiff')]
    np.testing.assert_array_equal(np.sort(real.image[:], 0), np.sort(tiff.image, 0))
    good('1_simulator.py',
         *(SIMULATE + ['BITS=8', 'N_STACKS=1', 'PRIORS=data/patches/priors.json']), cwd=tmp_path)
    good('2_mpgan.py', *(TRAIN + ['MAX_STEPS=1', 'REAL_PATCHES=tiff']), cwd=tmp_path)
    assert stacks.read(str(tmp_path / 'data/refined/images/0001.tif')).voxels.dtype == np.uint8


def test_figures_are_drawn(pipeline):
    status, _, err = run_script('make_figures.py', cwd=pipeline)
    assert status == 0, err
    for words in ('4_reconstruction.py', 'tests/benchmarks/reconstruction.py',
                  'tests/benchmarks/comparison.py'):
        assert words in err
    for name in ('patches', 'simulator', 'panel', 'stack', 'curves', 'levels'):
        assert (pipeline / 'imgs' / (name + '.png')).read_bytes()[:4] == b'\x89PNG'
    assert 'Wasserstein' in (pipeline / 'imgs/summary.md').read_text()
    good('make_figures.py', 'FIGURES=framework', 'FORMAT=svg', cwd=pipeline)
    assert '<svg' in (pipeline / 'imgs/framework.svg').read_text()
    assert 'results/index.html' in good('make_figures.py', 'FIGURES=gallery', cwd=pipeline)
    page = (pipeline / 'results/index.html').read_text(encoding='utf-8')
    assert page.count('<img ') >= 7 and 'python 1_simulator.py PRIORS=None' in page
    bad('make_figures.py', 'FIGURES=traces', cwd=pipeline, words=['4_reconstruction.py'])


def test_changed_priors_are_noticed_and_overwrite_keeps_what_fits(tmp_path):
    """Drafts of old priors are refused; OVERWRITE removes stale stacks beyond N_STACKS alone."""
    real_stack(tmp_path / 'a.tif')
    good('prepare_patches.py', *(PREPARE + ['STACKS=a.tif', 'CALIBRATION_ROUNDS=0']), cwd=tmp_path)
    arguments = SIMULATE[1:] + ['PRIORS=data/patches/priors.json']
    good('1_simulator.py', *arguments, cwd=tmp_path)
    good('1_simulator.py', *(arguments + ['N_STACKS=1', 'OVERWRITE=True']), cwd=tmp_path)
    assert (tmp_path / 'data/simulated/images/0003.tif').exists()
    text = (tmp_path / 'data/patches/priors.json').read_text()
    (tmp_path / 'data/patches/priors.json').write_text(text + ' ')
    err = bad('1_simulator.py', *arguments, cwd=tmp_path, words=['PRIORS', 'OVERWRITE=True'])
    assert len(err) < 400
    good('1_simulator.py', *(arguments + ['N_STACKS=1', 'OVERWRITE=True']), cwd=tmp_path)
    assert not (tmp_path / 'data/simulated/images/0003.tif').exists()
