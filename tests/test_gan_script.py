"""2_mpgan.py as a user runs it: train, stop, kill, go on, refine, pack, bad input."""
import csv
import glob
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import training_data
from conftest import ROOT, run_script
from training_data import TRAIN, WINDOW, bad, good, write_folder

from utils.common import files
from utils.data import patches, stacks
from utils.score import preservation, realism
from utils.train import runs

BOTH = TRAIN + ['STAGE=train+refine']
pytestmark = pytest.mark.usefixtures('small_networks')


def contents(folder, *patterns):
    """SHA-1 of files by path."""
    paths = [path for pattern in patterns
             for path in glob.glob(os.path.join(str(folder), pattern), recursive=True)]
    found = {}
    for path in filter(os.path.isfile, paths):
        with open(path, 'rb') as file:
            found[path] = hashlib.sha1(file.read()).hexdigest()
    return found


def voxels_of(path):
    return stacks.read(str(path)).voxels.astype(int)


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder in which step 2 has trained and refined once."""
    folder = tmp_path_factory.mktemp('gan')
    write_folder(folder)
    good(*BOTH, cwd=folder)
    return folder


# --- what a run leaves ---

def test_training_leaves_a_log_pictures_and_refined_pairs(place):
    run = place / 'runs/mpgan'
    for name in ('log.csv', 'config.json', 'command.txt', 'curves.png', 'preview_000000.png',
                 'preview_000004.png'):
        assert (run / name).stat().st_size > 0
    assert len((run / 'log.csv').read_text().splitlines()) == 5
    assert glob.glob(str(run / 'events/events*'))
    drafts, pairs = [patches.PatchFile(str(place / 'data' / name / 'patches.h5'), with_labels=True)
                     for name in ('simulated', 'refined')]
    np.testing.assert_array_equal(pairs.label[:], drafts.label[:])
    for name in ('0001', '0002'):
        draft, refined = [stacks.read(str(place / 'data' / kind / ('images/%s.tif' % name)))
                          for kind in ('simulated', 'refined')]
        assert refined.voxels.shape == draft.voxels.shape
        assert refined.voxel_size == draft.voxel_size and refined.voxels.dtype == np.uint16
        for i in [k for k, source in enumerate(pairs.source) if source == name][:3]:
            cut = patches.cut(refined.voxels, pairs.origin[i], window=WINDOW)
            np.testing.assert_array_equal(cut, pairs.image[i])


def test_evaluations_are_logged_and_the_best_checkpoint_is_kept_and_refines(place):
    run = place / 'runs/mpgan'
    with open(str(run / 'log.csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['gap'] != '' for row in rows] == [False, True, False, True]
    assert all(0 <= float(row['dice']) <= 1 for row in rows if row['dice'])
    scale = files.read_json(str(run / 'evaluation.json'))
    assert scale['draft']['outside'] > 0 and set(scale['floor']) < set(scale['draft'])
    best = files.read_json(str(run / 'best.json'))       # drafts so plain that no label gets lost
    assert (run / 'checkpoints' / ('step-%06d' % best['step'])).is_dir()
    evaluated = [{name: float(value) for name, value in row.items() if value}
                 for row in rows if row['gap']]
    gaps = {int(row['step']): row['gap'] for row in evaluated
            if preservation.keeps_labels(row, scale['draft'])}
    assert best['score'] == pytest.approx(min(gaps.values()), rel=1e-5)
    near = [step for step, gap in gaps.items() if gap <= min(gaps.values()) + realism.MARGIN]
    assert best['step'] == max(near)
    said = good(*(TRAIN + ['STAGE=refine', 'INPUT=data/real', 'OUTPUT=by_best']), cwd=place)
    assert 'by step %d' % best['step'] in said


def test_refined_stacks_have_no_untouched_rim_and_no_tiles(place):
    """Refined again by other tiles: the same voxels within one grey level, the rim as the rest."""
    good(*(TRAIN + ['STAGE=refine', 'OUTPUT=data/other', 'TILE_SHAPE=13,20,31']), cwd=place)
    a, b = [voxels_of(place / 'data' / name / 'images/0001.tif') for name in ('refined', 'other')]
    assert np.abs(a - b).max() <= 1
    draft = voxels_of(place / 'data/simulated/images/0001.tif')
    rim = np.ones(draft.shape, bool)
    rim[2:-2, 2:-2, 2:-2] = False
    changed = a != draft                                 # few steps move few grey levels
    assert changed[rim].mean() > 0.9 * changed[~rim].mean() > 0.5 and (a[rim] != 0).mean() > 0.9


def test_any_stack_of_any_format_can_be_refined(place, tmp_path):
    source = place / 'data/real/0001.tif'
    arguments = TRAIN + ['STAGE=refine', 'INPUT=%s' % source, 'CHECKPOINT=newest',
                         'RUN_DIR=%s' % (place / 'runs/mpgan')]
    good(*(arguments + ['OUTPUT=whole']), cwd=tmp_path)
    before = stacks.read(str(source))
    after = stacks.read(str(tmp_path / 'whole/images/0001.tif'))
    assert after.voxels.shape == before.voxels.shape and after.voxels.dtype == before.voxels.dtype
    assert after.voxel_size == before.voxel_size and (after.voxels != before.voxels).any()
    with h5py.File(str(tmp_path / '0001.h5'), 'w') as file:
        file['image'] = before.voxels
        file['image'].attrs['element_size_um'] = before.voxel_size
    good(*(arguments + ['INPUT=0001.h5', 'OUTPUT=hdf5']), cwd=tmp_path)
    again = stacks.read(str(tmp_path / 'hdf5/images/0001.tif'))
    np.testing.assert_array_equal(again.voxels, after.voxels)
    np.testing.assert_allclose(again.voxel_size, after.voxel_size, rtol=1e-4)
    bad(*(arguments + ['INPUT=whole/images/0001.tif', 'OUTPUT=whole']), cwd=tmp_path,
        words=['overwritten'])
    (tmp_path / 'in').mkdir()                            # a folder that no script has made
    shutil.copytree(str(tmp_path / 'whole/images'), str(tmp_path / 'in/images'))
    bad(*(arguments + ['INPUT=in/images', 'OUTPUT=in']), cwd=tmp_path,
        words=['in/images/0001.tif would be overwritten: give another OUTPUT'])


def test_a_bad_stack_is_left_out_of_a_batch(place):
    (place / 'mixed').mkdir()
    shutil.copy(str(place / 'data/real/0001.tif'), str(place / 'mixed/good.tif'))
    whole = (place / 'mixed/good.tif').read_bytes()
    (place / 'mixed/cut.tif').write_bytes(whole[:len(whole) // 2])
    stacks.write(str(place / 'mixed/eight.tif'), np.zeros((4, 8, 8), np.uint8))
    arguments = TRAIN + ['STAGE=refine', 'INPUT=mixed', 'OUTPUT=of_mixed']
    err = bad(*arguments, cwd=place, words=['cut.tif', 'eight.tif is 8 bit', '2 of 3 stacks'])
    assert err.count('error: ') == 3
    assert [path.name for path in (place / 'of_mixed/images').glob('*')] == ['good.tif']


def test_packed_weights_refine_as_the_run_does(place):
    good(*(TRAIN + ['STAGE=pack', 'OUTPUT=packed']), cwd=place)
    found = files.read_json(str(place / 'packed/config.json'))
    state = next((place / 'packed/checkpoints').glob('*/checkpoint')).read_text()
    assert 'model_checkpoint_path: "model"' in state    # no folder of this machine
    assert found['REFINER_CHANNELS'] == 4
    assert not set(found) & {'REAL_PATCHES', 'DRAFTS', 'RUN_DIR'}
    # packed settings tell the width: none is given
    good('STAGE=refine', 'RUN_DIR=packed', 'INPUT=data/real', 'OUTPUT=refined_packed',
         'TILE_SHAPE=24,48,48', 'THREADS=1', cwd=place)
    good(*(TRAIN + ['STAGE=refine', 'INPUT=data/real', 'OUTPUT=refined_run']), cwd=place)
    a, b = [voxels_of(place / name / 'images/0001.tif')
            for name in ('refined_packed', 'refined_run')]
    assert np.abs(a - b).max() <= 1                      # rounding of sums in another order
    bad(*(TRAIN + ['STAGE=pack']), cwd=place, words=['STAGE=pack', 'OUTPUT'])
    bad(*(TRAIN + ['STAGE=pack', 'OUTPUT=runs/mpgan']), cwd=place, words=['holds a training run'])
    good(*(TRAIN + ['STAGE=pack', 'OUTPUT=packed']), cwd=place)
    (place / 'mine').mkdir()
    (place / 'mine/config.json').write_text('{"my": 1}')
    shutil.copytree(os.path.join(ROOT, 'models/pretrained/trailmap_segmentation'),
                    str(place / 'segmenter'))
    for folder, arguments, words in (
            ('mine', ['STAGE=pack', 'OUTPUT=mine'], ['mine/config.json was not made by']),
            ('segmenter', ['STAGE=pack', 'OUTPUT=segmenter'], ['segmenter is', 'another OUTPUT']),
            ('packed', ['STAGE=train', 'RUN_DIR=packed'], ['packed holds weights alone']),
            ('segmenter', ['STAGE=train', 'RUN_DIR=segmenter'], ['segmenter holds weights'])):
        before = contents(place / folder, '**/*')
        bad(*(TRAIN + arguments), cwd=place, words=words)
        assert contents(place / folder, '**/*') == before, arguments


# --- again ---

def test_second_run_finds_its_work_done_and_redoes_what_is_missing(place):
    kept = ('data/simulated/**', 'data/refined/**', 'runs/mpgan/checkpoints/**',
            'runs/mpgan/log.csv')
    before = contents(place, *kept)
    times = {path: os.stat(path).st_mtime_ns for path in before if path.endswith('.tif')}
    out = good(*BOTH, cwd=place)
    assert 'has its 4 steps already' in out and '(0 new)' in out
    assert contents(place, *kept) == before
    assert times == {path: os.stat(path).st_mtime_ns for path in times}
    redone = 'data/refined/images/0002.tif'
    voxels = stacks.read(str(place / redone)).voxels.astype(int)
    (place / redone).unlink()
    assert '(1 new)' in good(*(TRAIN + ['STAGE=refine']), cwd=place)
    again = stacks.read(str(place / redone)).voxels
    assert np.abs(again - voxels).max() <= 1             # rounding of sums in another order
    changed = (redone, 'data/refined/patches.h5', 'data/refined/made_from.json')
    after = contents(place, *kept)
    assert set(after) == set(before)
    assert all(after[path] == before[path] for path in before if path not in changed)


def test_changed_constants_are_refused_and_nothing_is_lost(place):
    before = contents(place, 'data/**', 'runs/mpgan/checkpoints/**')
    bad(*(TRAIN + ['LAMBDA_LABEL=0.1']), cwd=place, words=['LAMBDA_LABEL 10.0 -> 0.1', 'RUN_DIR'])
    bad(*(TRAIN + ['STAGE=refine', 'REFINER_CHANNELS=8']), cwd=place,
        words=['trained with REFINER_CHANNELS=4, not 8'])
    assert contents(place, 'data/**', 'runs/mpgan/checkpoints/**') == before


@pytest.mark.parametrize('argument', [
    'REFINER_CHANNELS=0', 'REFINER_CHANNELS=100000', 'DISCRIMINATOR_CHANNELS=0', 'THREADS=-1',
    'PRETRAIN_STEPS=-1', 'LAMBDA_LABEL=-1', 'BETA1=1', 'DECAY_RATE=2', 'CROP_SHAPE=999,999,999'])
def test_sizes_that_tensorflow_cannot_take_are_named(place, argument):
    bad(*(TRAIN + ['STAGE=train', 'RUN_DIR=runs/sizes', argument]), cwd=place,
        words=[argument.split('=')[0]])


def start(place, arguments, python=sys.executable):
    """2_mpgan.py in a process of its own, with the small networks of this module."""
    return subprocess.Popen([python, training_data.__file__, '2_mpgan.py'] + arguments,
                            cwd=str(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            universal_newlines=True)


def wait_for(condition, process):
    """Wait; a process that ends before, or takes minutes, is killed and what it said is told."""
    deadline = time.time() + 600
    while not condition():
        if time.time() > deadline or process.poll() is not None:
            process.kill()
            pytest.fail('%s' % (process.communicate(),))
        time.sleep(0.05)


def test_stopped_and_killed_training_goes_on(place, monkeypatch, no_pictures):
    """SIGTERM (batch systems) and Ctrl-C save the step under way; kill -9 leaves whole checkpoints;
    the same command goes on each time, and no row of the log is lost or comes twice."""
    run, log = place / 'runs/stopped', runs.Run.log
    arguments = TRAIN + ['RUN_DIR=runs/stopped', 'MAX_STEPS=100000', 'PREVIEW_EVERY=100000',
                         'EVALUATE_EVERY=1', 'SAVE_EVERY=100000']

    def last_saved():
        return max([int(path[-6:]) for path in glob.glob(str(run / 'checkpoints/step-*[0-9]'))]
                   or [0])

    def stopped(number):
        """Train until a row is logged, then send the signal; (step that is saved, output)."""
        def logged(own, values):
            log(own, values)
            os.kill(os.getpid(), number)

        before = last_saved()
        with monkeypatch.context() as patch:
            patch.setattr(runs.Run, 'log', logged)
            status, out, err = run_script('2_mpgan.py', *arguments, cwd=place)
        saved = last_saved()
        assert status == 1 and saved > before, err
        assert 'stopped after step %d, which is saved' % saved in err and 'Traceback' not in err
        return saved, out

    saved, _ = stopped(signal.SIGTERM)
    process = start(place, arguments + ['SAVE_EVERY=1'])
    wait_for(lambda: last_saved() > saved, process)
    process.kill()
    process.communicate()
    killed = last_saved()
    last, out = stopped(signal.SIGINT)
    assert 'goes on from step %d' % killed in out and last == killed + 1
    steps = [int(line.split(',')[0]) for line in (run / 'log.csv').read_text().splitlines()[1:]]
    assert steps == list(range(1, last + 1))


def test_constants_for_gpus_do_no_harm_on_a_cpu(place, no_pictures):
    arguments = TRAIN + ['RUN_DIR=runs/gpu', 'XLA=True', 'SAVE_EVERY=1', 'EVALUATE_EVERY=9',
                         'MIXED_PRECISION=True']
    good(*(arguments + ['MAX_STEPS=1']), cwd=place)
    assert 'goes on from step 1' in good(*(arguments + ['MAX_STEPS=2']), cwd=place)
    bad(*(arguments + ['MAX_STEPS=3', 'MIXED_PRECISION=False']), cwd=place,
        words=['MIXED_PRECISION True -> False'])


def test_eight_bit_and_folders_of_tiff_serve_as_patch_files(place, no_pictures):
    """Real patches and drafts as TIFF, of 8 bit: trained on, and a stack of 8 bit refined."""
    real = patches.PatchFile(str(place / 'data/patches/real.h5'))
    drafts = patches.PatchFile(str(place / 'data/simulated/patches.h5'), with_labels=True)
    for i in range(6):
        for folder, voxels in (('real', real.image[i] >> 4),
                               ('drafts/images', drafts.image[i] >> 4),
                               ('drafts/labels', drafts.label[i])):
            stacks.write(str(place / 'tiff' / folder / ('%d.tif' % i)), voxels.astype(np.uint8))
    tiff = ['REAL_PATCHES=tiff/real', 'DRAFTS=tiff/drafts']
    good(*(TRAIN + tiff + ['MAX_STEPS=1', 'RUN_DIR=runs/tiff']), cwd=place)
    good(*(TRAIN + ['STAGE=refine', 'RUN_DIR=runs/tiff', 'CHECKPOINT=newest', 'OUTPUT=of_tiff',
                    'INPUT=tiff/drafts/images/0.tif']), cwd=place)
    assert stacks.read(str(place / 'of_tiff/images/0.tif')).voxels.dtype == np.uint8
    bad(*(BOTH + tiff + ['RUN_DIR=runs/tiff2']), cwd=place, words=['tiff/drafts', 'STAGE=train'])
    bad(*(TRAIN + ['REAL_PATCHES=tiff/real']), cwd=place, words=['8 bit', 'BITS=8'])


# --- bad input ---

@pytest.mark.parametrize('arguments, words', [
    ([], ['data/patches/real.h5', 'prepare_patches.py']),
    (['STAGE=refine'], ['no checkpoint', 'STAGE=train']),
    (['STAGE=tran'], ['STAGE=tran', 'train, refine, train+refine, pack or judge']),
    (['CHECKPOINT=last'], ['CHECKPOINT=last', 'best or newest']),
    (['MAX_STEP=1'], ['MAX_STEPS']),
    (['LABEL_STEEPNESS=-1'], ['LABEL_STEEPNESS=-1', 'auto']),
    (['BACKGROUND_QUANTILE=0.4'], ['BACKGROUND_QUANTILE=0.4', '0.5']),
    (['INPUT=x.tif', 'OUTPUT=x'], ['STAGE=refine']),
    (['STAGE=refine', 'INPUT=x.tif'], ['OUTPUT'])])
def test_bad_constants_are_one_clear_line(tmp_path, arguments, words):
    bad(*arguments, cwd=tmp_path, words=words)


def damage(path, data):
    """Change a file's last voxels."""
    with h5py.File(str(path), 'r+') as file:
        file[data][-1, -1] = 1 - file[data][-1, -1].clip(0, 1)


def test_every_step_that_trains_checks_its_patches(tmp_path):
    write_folder(tmp_path)
    damage(tmp_path / 'data/patches/real.h5', 'image')
    for stage in ('STAGE=train', 'STAGE=judge'):
        bad(*(TRAIN + [stage]), cwd=tmp_path, words=['real.h5 is damaged', 'run the script again'])
    write_folder(tmp_path)
    damage(tmp_path / 'data/simulated/patches.h5', 'label')
    for stage in ('STAGE=train', 'STAGE=judge'):
        bad(*(TRAIN + [stage]), cwd=tmp_path, words=['simulated/patches.h5 is damaged'])
    assert not (tmp_path / 'runs').exists()


def test_a_second_training_in_a_folder_is_refused_and_refining_is_not(tmp_path, place):
    write_folder(tmp_path)
    run = tmp_path / 'runs/mpgan'
    shutil.copytree(str(place / 'runs/mpgan'), str(run))
    before = contents(run, '**/*')
    hold = ("import sys; from utils.common import locks\n"
            "with locks.hold(sys.argv[1], purpose='training'):"
            " print('held', flush=True); sys.stdin.read()")
    first = subprocess.Popen([sys.executable, '-c', hold, str(run)], cwd=ROOT,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert first.stdout.readline() == b'held\n'
        bad(*(TRAIN + ['MAX_STEPS=6']), cwd=tmp_path,
            words=['runs/mpgan is in use: process %d on' % first.pid, 'is training in it'])
        assert contents(run, '**/*') == before
        good(*(TRAIN + ['STAGE=refine']), cwd=tmp_path)
    finally:
        first.kill()
        first.wait()


@pytest.mark.parametrize('name, text, words', [
    ('best.json', '[]', ['best.json', 'STAGE=train writes it anew']),
    ('config.json', '[]', ['config.json', 'put back the constants']),
    ('config.json', '{"REFINER_CHANNELS": 4}', ['is no run of 2_mpgan.py']),
    ('config.json', '{"REFINER_CHANNELS": "4", "BITS": 16}', ["REFINER_CHANNELS is '4': want"]),
    ('config.json', '{"REFINER_CHANNELS": 0, "BITS": 16}', ['config.json: REFINER_CHANNELS is 0']),
    ('packed.json', '[]', ['packed.json', 'pack the weights anew']),
    ('packed.json', '{"step": "x"}', ['packed.json', 'step', 'pack the weights anew']),
    ('packed.json', '{', ['packed.json', 'pack the weights anew']),
    ('checkpoints/step-abc', '', ['step-abc is no checkpoint', 'move it away'])])
def test_damaged_files_of_a_run_are_one_clear_line(tmp_path, place, name, text, words):
    shutil.copytree(str(place / 'runs/mpgan'), str(tmp_path / 'runs/mpgan'))
    (tmp_path / 'runs/mpgan' / name).write_text(text)
    bad(*(TRAIN + ['STAGE=refine', 'INPUT=x', 'OUTPUT=y']), cwd=tmp_path, words=words)


# --- the other runtime ---

def other_python():
    """The interpreter of the other runtime's environment, or None."""
    here = os.path.realpath(sys.prefix)
    for name in ('.venv-tf1', '.venv-tf2'):
        folder = os.path.join(ROOT, name)
        if os.path.exists(os.path.join(folder, 'stamp')) and os.path.realpath(folder) != here:
            return os.path.join(folder, 'bin', 'python')
    return None


def test_checkpoint_goes_to_the_other_tensorflow_and_back(place, no_pictures):
    """Trained on there; refined there and here alike; and trained on again here."""
    python = other_python()
    if python is None:
        pytest.skip('the other runtime has no environment (make env)')
    shutil.copytree(str(place / 'runs/mpgan'), str(place / 'runs/both'))
    both = BOTH + ['RUN_DIR=runs/both', 'CHECKPOINT=newest']
    there = start(place, both + ['MAX_STEPS=5', 'OUTPUT=both/there'], python)
    out, err = there.communicate(timeout=600)
    assert there.returncode == 0 and 'goes on from step 4' in out, out + err
    good(*(both + ['STAGE=refine', 'OUTPUT=both/here']), cwd=place)
    a, b = [voxels_of(place / 'both' / name / 'images/0001.tif') for name in ('here', 'there')]
    assert np.abs(a - b).max() <= 1
    assert 'goes on from step 5' in good(*(both + ['STAGE=train', 'MAX_STEPS=6']), cwd=place)
