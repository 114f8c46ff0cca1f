"""3_segmentation.py as a user runs it: train, kill, go on, predict, score, export, pack."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from scipy import ndimage
import tifffile
from conftest import ROOT, run_script

from models import segmenter as model
from utils.data import patches, stacks
from utils.simulate import raster
from utils.train import crops, segmenter

SMALL = ['CHANNELS=2', 'LEVELS=1', 'CROP_SHAPE=8,16,16', 'BATCH_SIZE=2', 'MAX_STEPS=6',
         'SAVE_EVERY=2', 'EVALUATE_EVERY=2', 'LOG_EVERY=1', 'EVALUATION_PATCHES=2', 'THREADS=1',
         'TILE_SHAPE=16,24,24', 'MIRRORS=2', 'MIN_OBJECT=0']
TRAIN = SMALL + ['PAIRS=pairs']
PREDICT = SMALL + ['STAGE=predict']
SCRIPT = '3_segmentation.py'
SHIPPED = os.path.join(ROOT, 'models', 'pretrained', 'trailmap_segmentation')
SIZE = (2.0, 1.0, 0.5)                                   # um, a voxel
ODD = (21, 34, 43)                                       # voxels


def good(*arguments, cwd):
    status, out, err = run_script(SCRIPT, *arguments, cwd=cwd)
    assert status == 0, out + err
    return out


def bad(*arguments, cwd, words):
    status, out, err = run_script(SCRIPT, *arguments, cwd=cwd)
    last = err.strip().split('\n')[-1]
    assert status == 1 and last.startswith('error: ') and 'Traceback' not in err, out + err
    assert all(word in last for word in words), err
    return err


def fibre(seed, shape=(32, 48, 48)):
    """A winding fibre: image uint16, label uint8."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 2 * np.pi, 40)
    n = np.array(shape)
    position = np.stack([n[0] * (0.5 + 0.35 * np.cos(t + seed)), n[1] * (0.5 + 0.4 * np.sin(t)),
                         np.linspace(2, n[2] - 3, 40)], 1)
    label = raster.label(shape, position, radius=np.full(40, 1.5), parent=np.arange(-1, 39))
    return (1000 + 400 * label + rng.normal(0, 30, shape)).astype(np.uint16), label.astype(np.uint8)


def write_pairs(folder, count=3):
    """A folder as the simulator leaves it: images, labels, patches.h5."""
    images, labels, origins, names = [], [], [], []
    for i in range(count):
        name, (image, label) = '%04d' % (i + 1), fibre(i)
        for kind, voxels in (('images', image), ('labels', label)):
            stacks.write(os.path.join(str(folder), kind, name + '.tif'), voxels,
                         voxel_size=SIZE, compress=kind == 'labels')
        for corner in ((0, 0, 0), (8, 16, 16)):
            images.append(patches.cut(image, corner, window=(16, 24, 24)))
            labels.append(patches.cut(label, corner, window=(16, 24, 24)))
            origins.append(corner)
            names.append(name)
    patches.write(os.path.join(str(folder), 'patches.h5'), np.stack(images), origins=origins,
                  sources=names, labels=np.stack(labels))


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with pairs, in which a network has been trained and has predicted."""
    folder = tmp_path_factory.mktemp('segmentation')
    write_pairs(folder / 'pairs')
    good(*TRAIN, cwd=folder)
    image, _ = fibre(7, ODD)
    stacks.write(str(folder / 'in/odd.tif'), image, voxel_size=SIZE)
    with h5py.File(str(folder / 'in/eight.h5'), 'w') as file:             # any format will do
        file['volume'] = (image >> 4).astype(np.uint8)
    good(*PREDICT, 'INPUT=in', 'OUTPUT=out', cwd=folder)
    return folder


def test_training_leaves_checkpoints_a_log_and_a_best(place):
    lines = (place / 'runs/segmentation/log.csv').read_text().splitlines()
    assert len(lines) == 7 and 'validation_dice' in lines[0]
    best = json.loads((place / 'runs/segmentation/best.json').read_text())
    assert (place / 'runs/segmentation/checkpoints' / ('step-%06d' % best['step'])).is_dir()
    assert 'has its 6 steps already' in good(*TRAIN, cwd=place)
    bad(*TRAIN, 'IGNORED_RIM=3', cwd=place, words=['IGNORED_RIM 1 -> 3', 'RUN_DIR'])


def rows_of(folder):
    """log.csv without its header and the seconds: float [rows, columns]."""
    lines = (folder / 'log.csv').read_text().splitlines()[1:]
    return np.array([[float(v or 'nan') for i, v in enumerate(line.split(',')) if i != 1]
                     for line in lines])


def same_log(place, name):
    """A resumed run has the rows of one that was trained in one go."""
    whole, resumed = [rows_of(place / 'runs' / folder) for folder in ('segmentation', name)]
    assert list(resumed[:, 0]) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(whole, resumed, rtol=1e-3, atol=1e-5)


def test_resumed_training_equals_training_in_one_go(place):
    """Killed without a word, and run again."""
    arguments = TRAIN + ['RUN_DIR=runs/killed']
    process = subprocess.Popen([sys.executable, os.path.join(ROOT, SCRIPT)] + arguments,
                               cwd=str(place), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    deadline = time.time() + 600
    pattern = str(place / 'runs/killed/checkpoints/step-*[0-9]')
    while time.time() < deadline and not glob.glob(pattern):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert glob.glob(pattern)
    good(*arguments, cwd=place)
    same_log(place, 'killed')


def test_sigterm_saves_the_step_first(place, monkeypatch):
    """The batch system's signal comes while batch 2 is drawn: step 3 is saved, and gone on from."""
    arguments, batch = TRAIN + ['RUN_DIR=runs/asked', 'SAVE_EVERY=100'], crops.batch

    def asked(*arguments, index, **options):
        if index == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch(*arguments, index=index, **options)

    with monkeypatch.context() as patch:
        patch.setattr(crops, 'batch', asked)
        status, _, err = run_script(SCRIPT, *arguments, cwd=place)
    assert status == 1 and 'step 3, which is saved' in err.strip().split('\n')[-1]
    saved = sorted((place / 'runs/asked/checkpoints').iterdir())
    assert saved[-1].name == 'step-000003'
    bad(*arguments, 'SAVE_EVERY=2', cwd=place, words=['SAVE_EVERY 100 -> 2'])
    assert 'goes on from step 3' in good(*arguments, cwd=place)
    same_log(place, 'asked')


def test_prediction_keeps_shape_voxel_size_and_does_not_depend_on_tiles(place):
    for name, size in (('odd', SIZE), ('eight', None)):
        probability, mask = [stacks.read(str(place / 'out' / ('%s.%s.tif' % (name, kind))))
                             for kind in ('prob', 'mask')]
        assert probability.voxels.shape == mask.voxels.shape == ODD
        assert probability.voxels.dtype == np.uint8
        np.testing.assert_array_equal(mask.voxels, probability.voxels >= 127.5)
        assert probability.voxel_size == mask.voxel_size
        if size is None:
            assert probability.voxel_size is None
        else:
            np.testing.assert_allclose(probability.voxel_size, size, rtol=1e-4)
    good(*PREDICT, 'INPUT=in', 'OUTPUT=whole', 'TILE_SHAPE=64,64,64', cwd=place)
    a, b = [stacks.read(str(place / folder / 'odd.prob.tif')).voxels.astype(int)
            for folder in ('out', 'whole')]
    assert np.abs(a - b).max() <= 1 and a.std() > 0


def test_masks_leave_small_objects_out(place):
    probability = stacks.read(str(place / 'out/odd.prob.tif')).voxels
    for smallest in (0, 9):
        good(*PREDICT, 'INPUT=in/odd.tif', 'OUTPUT=from%d' % smallest, 'MIN_OBJECT=%d' % smallest,
             'PROBABILITY_THRESHOLD=0.55', cwd=place)
    every, large = [stacks.read(str(place / name / 'odd.mask.tif')).voxels
                    for name in ('from0', 'from9')]
    np.testing.assert_array_equal(every, probability >= 0.55 * 255)
    objects, _ = ndimage.label(every, np.ones((3, 3, 3)))
    sizes = np.bincount(objects.ravel())
    np.testing.assert_array_equal(large, (objects > 0) & (sizes >= 9)[objects])


def test_prediction_does_what_is_missing_and_survives_a_bad_stack(place):
    before = os.stat(str(place / 'out/odd.prob.tif')).st_mtime_ns
    (place / 'out/eight.mask.tif').unlink()
    assert '(1 new)' in good(*PREDICT, 'INPUT=in', 'OUTPUT=out', cwd=place)
    assert os.stat(str(place / 'out/odd.prob.tif')).st_mtime_ns == before
    shutil.copytree(str(place / 'in'), str(place / 'mixed'))
    whole = (place / 'in/odd.tif').read_bytes()
    (place / 'mixed/cut.tif').write_bytes(whole[:len(whole) // 2])
    bad(*PREDICT, 'INPUT=mixed', 'OUTPUT=mixed_out', cwd=place, words=['1 of 3', 'cut.tif'])
    assert (place / 'mixed_out/odd.mask.tif').exists()
    assert not (place / 'mixed_out/cut.mask.tif').exists()


class Even:
    """Stands for a Segmenter: half of the probability everywhere; its folder tells its weights."""
    step = 6

    def __init__(self, run_dir, **_):
        self.digest = run_dir

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def predict(self, voxels, name):
        return np.full(voxels.shape, 128, np.uint8)


def test_other_thresholds_and_weights_are_predicted_anew(place, monkeypatch):
    """What is there counts only if it was made with these settings, of this stack."""
    monkeypatch.setattr(segmenter, 'Segmenter', Even)
    shutil.copy(str(place / 'in/odd.tif'), str(place / 'same.tif'))
    arguments = PREDICT + ['INPUT=same.tif', 'OUTPUT=again']
    assert '(1 new)' in good(*arguments, cwd=place) and '(0 new)' in good(*arguments, cwd=place)
    for changed in ('RUN_DIR=another', 'MIN_OBJECT=5', 'PROBABILITY_THRESHOLD=0.4', 'MIRRORS=1'):
        assert '(1 new)' in good(*arguments, changed, cwd=place), changed
        assert '(1 new)' in good(*arguments, cwd=place)              # and back
    os.utime(str(place / 'same.tif'), (1e9, 1e9))
    assert '(1 new)' in good(*arguments, cwd=place)


def test_packed_weights_predict_the_same(place):
    before = sorted(path.name for path in (place / 'runs/segmentation').rglob('*'))
    good(*SMALL, 'STAGE=pack', 'OUTPUT=kept', cwd=place)
    good(*PREDICT, 'RUN_DIR=kept', 'INPUT=in/odd.tif', 'OUTPUT=by_kept', cwd=place)
    a, b = [stacks.read(str(place / folder / 'odd.prob.tif')).voxels
            for folder in ('out', 'by_kept')]
    np.testing.assert_array_equal(a, b)
    bad(*SMALL, 'STAGE=pack', cwd=place, words=['OUTPUT'])
    bad(*SMALL, 'STAGE=pack', 'OUTPUT=runs/segmentation', cwd=place,
        words=['holds a training run', 'OUTPUT'])
    assert sorted(path.name for path in (place / 'runs/segmentation').rglob('*')) == before
    before = sorted(path.name for path in (place / 'kept').rglob('*'))
    bad(*SMALL, 'STAGE=train', 'RUN_DIR=kept', cwd=place,
        words=['kept holds weights alone', 'give another RUN_DIR'])
    assert sorted(path.name for path in (place / 'kept').rglob('*')) == before


def test_training_starts_from_other_weights(place):
    """At next to no learning rate they stay as they were; others are refused in one line."""
    arguments = TRAIN + ['RUN_DIR=runs/started', 'START_FROM=runs/segmentation', 'MAX_STEPS=1']
    good(*arguments, 'LEARNING_RATE=1e-12', cwd=place)
    found = []
    for run in ('segmentation', 'started'):
        with segmenter.Segmenter(str(place / 'runs' / run), threads=1) as network:
            weights = [variable for variable in model.inference_variables()
                       if '/moving_' not in variable.op.name]        # these have seen a batch
            found.append(network.session.run(weights))
    for old, new in zip(*found):
        np.testing.assert_allclose(new, old, atol=1e-6)
    assert max(np.abs(values).max() for values in found[0]) > 0.1
    other = ['RUN_DIR=runs/other', 'CHANNELS=3']
    bad(*(arguments + other), cwd=place, words=['CHANNELS=2 LEVELS=1, not 3 and 1'])
    bad(*(arguments + ['RUN_DIR=runs/other', 'START_FROM=pairs']), cwd=place,
        words=['pairs', 'no checkpoint'])


def test_scoring_and_export(place):
    said = good(*SMALL, 'STAGE=score', 'LABELLED=pairs/images/0001.tif',
                'ANNOTATION=pairs/labels/0001.tif', cwd=place)
    assert 'dice' in said and 'betti0' in said
    good('STAGE=export', 'PAIRS=pairs', 'LABELS=pairs/labels', 'OUTPUT=exported', cwd=place)
    folder = place / 'exported/Dataset001_MPGAN'
    about = json.loads((folder / 'dataset.json').read_text())
    assert about['file_ending'] == '.tif' and about['numTraining'] == 3
    assert about['overwrite_image_reader_writer'] == 'Tiff3DIO'
    assert about['labels'] == {'background': 0, 'neurite': 1}
    assert list(about['channel_names']) == ['0']
    assert sorted(p.name for p in (folder / 'imagesTr').iterdir()) == sorted(
        n for i in (1, 2, 3) for n in ('%04d_0000.tif' % i, '%04d.json' % i))
    for image in (folder / 'imagesTr').glob('*.tif'):                # read as Tiff3DIO reads them
        name = image.name[:-len('_0000.tif')]
        label = tifffile.imread(str(folder / 'labelsTr' / (name + '.tif')))
        assert tifffile.imread(str(image)).shape == label.shape == (32, 48, 48)
        assert set(np.unique(label)) == {0, 1}
        for part in ('imagesTr', 'labelsTr'):
            spacing = json.loads((folder / part / (name + '.json')).read_text())['spacing']
            np.testing.assert_allclose(spacing, SIZE, rtol=1e-4)
    plain = stacks.pair_by_name(*[str(place / 'exported/pairs' / kind)
                                  for kind in ('images', 'labels')])
    assert len(plain) == 3


def test_export_follows_its_pairs(place):
    """Pairs of the same names, older than the exported ones, are made anew; others are removed."""
    arguments = ['STAGE=export', 'LABELS=others/labels', 'OUTPUT=followed']
    good('STAGE=export', 'PAIRS=pairs', 'LABELS=pairs/labels', 'OUTPUT=followed', cwd=place)
    for i in (1, 2):
        name = '%04d.tif' % i
        image, label = [stacks.read(str(place / 'pairs' / kind / name))
                        for kind in ('images', 'labels')]
        for kind, voxels in (('images', image.voxels + 7), ('labels', label.voxels)):
            stacks.write(str(place / 'others' / kind / name), voxels)
            os.utime(str(place / 'others' / kind / name), (1e9, 1e9))
    good('PAIRS=others', *arguments, cwd=place)
    folder = place / 'followed/Dataset001_MPGAN'
    wanted = stacks.read(str(place / 'others/images/0001.tif')).voxels
    for path in (folder / 'imagesTr/0001_0000.tif', place / 'followed/pairs/images/0001.tif'):
        np.testing.assert_array_equal(tifffile.imread(str(path)), wanted)
    assert len(list((folder / 'imagesTr').iterdir())) == 4
    assert len(list((folder / 'labelsTr').iterdir())) == 4
    before = os.stat(str(folder / 'imagesTr/0001_0000.tif')).st_mtime_ns
    good('PAIRS=others', *arguments, cwd=place)
    assert os.stat(str(folder / 'imagesTr/0001_0000.tif')).st_mtime_ns == before


def test_pairs_that_are_none_are_not_exported(tmp_path):
    write_pairs(tmp_path / 'pairs', 1)
    arguments = ['STAGE=export', 'PAIRS=pairs', 'LABELS=pairs/labels', 'OUTPUT=out']
    label = str(tmp_path / 'pairs/labels/0001.tif')
    voxels = stacks.read(label).voxels
    stacks.write(label, 255 * voxels)
    bad(*arguments, cwd=tmp_path, words=['0001.tif', 'other values than 0 and 1'])
    stacks.write(label, voxels[:-1])
    bad(*arguments, cwd=tmp_path, words=['0001.tif', 'no pair'])
    assert not (tmp_path / 'out/Dataset001_MPGAN/dataset.json').exists()


def test_bad_input_is_one_clear_line(place, tmp_path):
    bad(cwd=tmp_path, words=['data/refined', 'make it first'])
    bad('STAGE=predict', cwd=tmp_path, words=['data/real'])
    stacks.write(str(tmp_path / 'data/real/a.tif'), np.zeros((4, 4, 4), np.uint16))
    bad('STAGE=predict', 'RUN_DIR=runs/mine', cwd=tmp_path, words=['runs/mine', 'STAGE=train'])
    bad('STAGE=learn', cwd=tmp_path, words=['STAGE=learn', 'predict'])
    bad('STAGE=score', cwd=tmp_path, words=['LABELLED'])
    bad('STAGE=export', cwd=tmp_path, words=['data/refined/images', '2_mpgan.py'])
    bad('CROP_SHAPE=30,32,32', cwd=tmp_path, words=['CROP_SHAPE', 'multiples of 4'])
    bad(*TRAIN, 'RUN_DIR=runs/threads', 'THREADS=-1', cwd=place, words=['THREADS'])
    bad('CHANNELS=100000', cwd=tmp_path, words=['CHANNELS=100000', '1024'])
    bad('AUGMENT_CONTRAST=2,1', cwd=tmp_path, words=['AUGMENT_CONTRAST', 'smaller'])
    bad(*TRAIN, 'CROP_SHAPE=32,32,32', 'RUN_DIR=runs/large', cwd=place,
        words=['CROP_SHAPE', 'smaller'])
    bad('STAGE=predict', 'INPUT=in', 'OUTPUT=in', cwd=place, words=['OUTPUT'])
    bad('STAGE=score', 'LABELLED=in/odd.tif', 'ANNOTATION=pairs/labels/0001.tif', cwd=place,
        words=['0001.tif', 'this very stack'])
    write_pairs(tmp_path / 'one', 1)
    bad(*SMALL, 'PAIRS=one', cwd=tmp_path, words=['one stack', 'HELD_OUT'])


def test_damaged_pairs_and_a_run_in_use_are_refused(tmp_path):
    write_pairs(tmp_path / 'pairs')
    code = ("import sys; from utils.common import locks\n"
            "with locks.hold('runs/segmentation', purpose='training'):"
            " print('held', flush=True); sys.stdin.read()")
    first = subprocess.Popen([sys.executable, '-c', code], cwd=str(tmp_path),
                             env=dict(os.environ, PYTHONPATH=ROOT),
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert first.stdout.readline() == b'held\n'
        bad(*TRAIN, cwd=tmp_path, words=['runs/segmentation is in use: process %d on' % first.pid])
    finally:
        first.kill()
        first.wait()
    with h5py.File(str(tmp_path / 'pairs/patches.h5'), 'r+') as file:
        file['image'][5, 15, 23, 23] += 1
    bad(*TRAIN, cwd=tmp_path, words=['patches.h5 is damaged', 'run the script again'])


@pytest.mark.parametrize('argument', ['STAGE=compare', 'ARMS=all', 'SEEDS=3', 'REAL=stacks'])
def test_the_comparison_is_found_where_it_is_now(argument, tmp_path):
    bad(argument, cwd=tmp_path, words=[argument.split('=')[0], 'tests/benchmarks/comparison.py'])


def test_shipped_weights_work_on_a_clone_without_training(tmp_path):
    """models/pretrained on either runtime: a fibre in noise is found, and refined without loss."""
    image, label = fibre(3)
    stacks.write(str(tmp_path / 'in/fibre.tif'), image, voxel_size=(1.0, 1.0, 1.0))
    weights = os.path.dirname(SHIPPED)
    refiner = 'RUN_DIR=' + os.path.join(weights, 'trailmap_refiner')
    good('STAGE=predict', 'RUN_DIR=' + SHIPPED, 'INPUT=in', 'OUTPUT=out', cwd=tmp_path)
    found = stacks.read(str(tmp_path / 'out/fibre.prob.tif'), (2, 2, 2), probabilities=True).voxels
    assert found[label > 0].mean() > 128 and found[label == 0].mean() < 64
    status, out, err = run_script('2_mpgan.py', 'STAGE=refine', refiner, 'INPUT=in',
                                  'OUTPUT=refined', cwd=tmp_path)
    assert status == 0, out + err
    refined = stacks.read(str(tmp_path / 'refined/images/fibre.tif')).voxels.astype(float)
    assert refined[label > 0].mean() > refined[label == 0].mean() + 100
    for folder, _, names in os.walk(weights):                        # no machine's path goes along
        for name in names:
            with open(os.path.join(folder, name), 'rb') as file:
                assert b'/tmp/' not in file.read(), name


def test_the_network_for_a_first_try_predicts_where_nothing_was_trained(tmp_path):
    """A bright fibre in noise, by the default RUN_DIR and the shipped weights."""
    image, label = fibre(0)
    stacks.write(str(tmp_path / 'in/a.tif'), image)
    out = good('STAGE=predict', 'INPUT=in', 'OUTPUT=out', 'THREADS=1', cwd=tmp_path)
    assert 'nothing was trained here yet' in out and 'models/pretrained/universal' in out
    mask = stacks.read(str(tmp_path / 'out/a.mask.tif')).voxels
    assert mask[label > 0].mean() > 0.8
    assert mask[~ndimage.binary_dilation(label, iterations=3)].mean() < 0.01
    assert not (tmp_path / 'runs').exists()
    bad('STAGE=predict', 'INPUT=in', 'OUTPUT=out', 'RUN_DIR=nowhere', cwd=tmp_path,
        words=['nowhere', 'train first'])
