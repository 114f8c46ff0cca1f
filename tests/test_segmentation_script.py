"""3_segmentation.py as a user runs it: train, kill, go on, predict, export, compare."""
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

from utils.data import patches, stacks
from utils.simulate import raster

SMALL = ['CHANNELS=2', 'LEVELS=1', 'CROP_SHAPE=8,16,16', 'BATCH_SIZE=2', 'MAX_STEPS=6', 'SAVE_EVERY=2', 'EVALUATE_EVERY=2', 'LOG_EVERY=1',
         'EVALUATION_PATCHES=2', 'THREADS=1', 'TILE_SHAPE=16,24,24', 'MIRRORS=2', 'MIN_OBJECT=0']
SCRIPT = '3_segmentation.py'


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
    position = np.stack([n[0] * (0.5 + 0.35 * np.cos(t + seed)), n[1] * (0.5 + 0.4 * np.sin(t)), np.linspace(2, n[2] - 3, 40)], 1)
    label = raster.label(shape, position, radius=np.full(40, 1.5), parent=np.arange(-1, 39))
    return (1000 + 400 * label + rng.normal(0, 30, shape)).astype(np.uint16), label.astype(np.uint8)


def write_pairs(folder, count=3):
    """A folder as the simulator leaves it: images, labels, patches.h5."""
    images, labels, origins, names = [], [], [], []
    for i in range(count):
        name, (image, label) = '%04d' % (i + 1), fibre(i)
        stacks.write(os.path.join(str(folder), 'images', name + '.tif'), image, voxel_size=(2.0, 1.0, 0.5))
        stacks.write(os.path.join(str(folder), 'labels', name + '.tif'), label, voxel_size=(2.0, 1.0, 0.5), compress=True)
        for corner in ((0, 0, 0), (8, 16, 16)):
            images.append(patches.cut(image, corner, window=(16, 24, 24)))
            labels.append(patches.cut(label, corner, window=(16, 24, 24)))
            origins.append(corner)
            names.append(name)
    patches.write(os.path.join(str(folder), 'patches.h5'), np.stack(images), origins=origins, sources=names, labels=np.stack(labels))


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with pairs, in which a network has been trained and has predicted."""
    folder = tmp_path_factory.mktemp('segmentation')
    write_pairs(folder / 'pairs')
    good(*(SMALL + ['PAIRS=pairs']), cwd=folder)
    image, _ = fibre(7, (37, 50, 61))
    stacks.write(str(folder / 'in/odd.tif'), image, voxel_size=(2.0, 1.0, 0.5))
    with h5py.File(str(folder / 'in/eight.h5'), 'w') as file:             # any format will do
        file['volume'] = (image >> 4).astype(np.uint8)
    good(*(SMALL + ['STAGE=predict', 'INPUT=in', 'OUTPUT=out']), cwd=folder)
    return folder


def test_training_leaves_checkpoints_a_log_and_a_best(place):
    lines = (place / 'runs/segmentation/log.csv').read_text().splitlines()
    assert len(lines) == 7 and 'validation_dice' in lines[0]
    best = json.loads((place / 'runs/segmentation/best.json').read_text())
    assert (place / 'runs/segmentation/checkpoints' / ('step-%06d' % best['step'])).is_dir()
    assert 'has its 6 steps already' in good(*(SMALL + ['PAIRS=pairs']), cwd=place)
    bad(*(SMALL + ['PAIRS=pairs', 'IGNORED_RIM=3']), cwd=place, words=['IGNORED_RIM 1 -> 3', 'RUN_DIR'])


def test_resumed_training_equals_training_in_one_go(place):
    arguments = SMALL + ['PAIRS=pairs', 'RUN_DIR=runs/killed']
    process = subprocess.Popen([sys.executable, os.path.join(ROOT, SCRIPT)] + arguments + ['LOG_EVERY=1'], cwd=str(place),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 120
    while time.time() < deadline and not glob.glob(str(place / 'runs/killed/checkpoints/step-*[0-9]')):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    good(*arguments, cwd=place)
    rows = [[line.split(',')[:1] + line.split(',')[2:] for line in (place / folder / 'log.csv').read_text().splitlines()[1:]]
            for folder in ('runs/segmentation', 'runs/killed')]
    assert [row[0] for row in rows[1]] == [str(i + 1) for i in range(6)]
    for a, b in zip(*rows):
        np.testing.assert_allclose(*[[float(v or 'nan') for v in row] for row in (a, b)], rtol=1e-3, atol=1e-5)


def test_sigterm_saves_the_step_first(place):
    arguments = SMALL + ['PAIRS=pairs', 'RUN_DIR=runs/asked', 'MAX_STEPS=100000', 'SAVE_EVERY=100000', 'EVALUATE_EVERY=100000']
    process = subprocess.Popen([sys.executable, os.path.join(ROOT, SCRIPT)] + arguments, cwd=str(place),
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, universal_newlines=True)
    log, deadline = place / 'runs/asked/log.csv', time.time() + 120
    while time.time() < deadline and not (log.exists() and log.read_text().count('\n') > 2):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[1].strip().split('\n')[-1]
    assert process.returncode == 1 and 'which is saved' in said
    assert glob.glob(str(place / 'runs/asked/checkpoints/step-*[0-9]'))


def test_prediction_keeps_shape_voxel_size_and_does_not_depend_on_tiles(place):
    for name, size in (('odd', (2.0, 1.0, 0.5)), ('eight', None)):
        probability, mask = [stacks.read(str(place / 'out' / ('%s.%s.tif' % (name, kind)))) for kind in ('prob', 'mask')]
        assert probability.voxels.shape == mask.voxels.shape == (37, 50, 61) and probability.voxels.dtype == np.uint8
        np.testing.assert_array_equal(mask.voxels, probability.voxels >= 127.5)
        assert probability.voxel_size == mask.voxel_size == size or np.allclose(probability.voxel_size, size, rtol=1e-4)
    good(*(SMALL + ['STAGE=predict', 'INPUT=in', 'OUTPUT=whole', 'TILE_SHAPE=64,64,64']), cwd=place)
    a, b = [stacks.read(str(place / folder / 'odd.prob.tif')).voxels.astype(int) for folder in ('out', 'whole')]
    assert np.abs(a - b).max() <= 1 and a.std() > 0


def test_masks_leave_small_objects_out(place):
    probability = stacks.read(str(place / 'out/odd.prob.tif')).voxels
    good(*(SMALL + ['STAGE=predict', 'INPUT=in/odd.tif', 'OUTPUT=all', 'MIN_OBJECT=0', 'PROBABILITY_THRESHOLD=0.55']), cwd=place)
    good(*(SMALL + ['STAGE=predict', 'INPUT=in/odd.tif', 'OUTPUT=large', 'MIN_OBJECT=9', 'PROBABILITY_THRESHOLD=0.55']), cwd=place)
    every, large = [stacks.read(str(place / name / 'odd.mask.tif')).voxels for name in ('all', 'large')]
    np.testing.assert_array_equal(every, probability >= 0.55 * 255)
    objects, _ = ndimage.label(every, np.ones((3, 3, 3)))
    sizes = np.bincount(objects.ravel())
    np.testing.assert_array_equal(large, (objects > 0) & (sizes >= 9)[objects])


def test_prediction_does_what_is_missing_and_survives_a_bad_stack(place):
    before = os.stat(str(place / 'out/odd.prob.tif')).st_mtime_ns
    (place / 'out/eight.mask.tif').unlink()
    assert '(1 new)' in good(*(SMALL + ['STAGE=predict', 'INPUT=in', 'OUTPUT=out']), cwd=place)
    assert os.stat(str(place / 'out/odd.prob.tif')).st_mtime_ns == before
    shutil.copytree(str(place / 'in'), str(place / 'mixed'))
    whole = (place / 'in/odd.tif').read_bytes()
    (place / 'mixed/cut.tif').write_bytes(whole[:len(whole) // 2])
    bad(*(SMALL + ['STAGE=predict', 'INPUT=mixed', 'OUTPUT=mixed_out']), cwd=place, words=['1 of 3', 'cut.tif'])
    assert (place / 'mixed_out/odd.mask.tif').exists() and not (place / 'mixed_out/cut.mask.tif').exists()


def test_packed_weights_predict_the_same(place):
    good(*(SMALL + ['STAGE=pack', 'OUTPUT=kept']), cwd=place)
    good(*(SMALL + ['STAGE=predict', 'RUN_DIR=kept', 'INPUT=in/odd.tif', 'OUTPUT=by_kept']), cwd=place)
    a, b = [stacks.read(str(place / folder / 'odd.prob.tif')).voxels for folder in ('out', 'by_kept')]
    np.testing.assert_array_equal(a, b)
    bad(*(SMALL + ['STAGE=pack']), cwd=place, words=['OUTPUT'])
    bad(*(SMALL + ['STAGE=pack', 'OUTPUT=runs/segmentation']), cwd=place, words=['holds a training run', 'OUTPUT'])
    assert 'has its 6 steps already' in good(*(SMALL + ['PAIRS=pairs']), cwd=place)        # nothing was lost


def test_scoring_and_export(place):
    said = good(*(SMALL + ['STAGE=score', 'LABELLED=pairs/images/0001.tif', 'ANNOTATION=pairs/labels/0001.tif']), cwd=place)
    assert 'dice' in said and 'betti0' in said
    good('STAGE=export', 'PAIRS=pairs', 'LABELS=pairs/labels', 'OUTPUT=exported', cwd=place)
    folder = place / 'exported/Dataset001_MPGAN'
    about = json.loads((folder / 'dataset.json').read_text())
    assert about['file_ending'] == '.tif' and about['overwrite_image_reader_writer'] == 'Tiff3DIO' and about['numTraining'] == 3
    assert about['labels'] == {'background': 0, 'neurite': 1} and list(about['channel_names']) == ['0']
    assert sorted(p.name for p in (folder / 'imagesTr').iterdir()) == sorted(
        n for i in (1, 2, 3) for n in ('%04d_0000.tif' % i, '%04d.json' % i))
    for image in (folder / 'imagesTr').glob('*.tif'):                # read as Tiff3DIO reads them
        name = image.name[:-len('_0000.tif')]
        label = tifffile.imread(str(folder / 'labelsTr' / (name + '.tif')))
        assert tifffile.imread(str(image)).shape == label.shape == (32, 48, 48) and set(np.unique(label)) == {0, 1}
        for part in ('imagesTr', 'labelsTr'):
            np.testing.assert_allclose(json.loads((folder / part / (name + '.json')).read_text())['spacing'], (2, 1, 0.5), rtol=1e-4)
    plain = stacks.pair_by_name(str(place / 'exported/pairs/images'), str(place / 'exported/pairs/labels'))
    assert len(plain) == 3


def test_export_follows_its_pairs(place):
    """Pairs of the same names, older than what was exported: made anew; one that is gone is removed."""
    arguments = ['STAGE=export', 'LABELS=others/labels', 'OUTPUT=followed']
    good('STAGE=export', 'PAIRS=pairs', 'LABELS=pairs/labels', 'OUTPUT=followed', cwd=place)
    for i in (1, 2):
        name = '%04d.tif' % i
        image, label = [stacks.read(str(place / 'pairs' / kind / name)) for kind in ('images', 'labels')]
        for kind, voxels in (('images', image.voxels + 7), ('labels', label.voxels)):
            stacks.write(str(place / 'others' / kind / name), voxels)
            os.utime(str(place / 'others' / kind / name), (1e9, 1e9))
    good('PAIRS=others', *arguments, cwd=place)
    folder = place / 'followed/Dataset001_MPGAN'
    for path in (folder / 'imagesTr/0001_0000.tif', place / 'followed/pairs/images/0001.tif'):
        np.testing.assert_array_equal(tifffile.imread(str(path)), stacks.read(str(place / 'others/images/0001.tif')).voxels)
    assert len(list((folder / 'imagesTr').iterdir())) == 4 and len(list((folder / 'labelsTr').iterdir())) == 4
    before = os.stat(str(folder / 'imagesTr/0001_0000.tif')).st_mtime_ns
    good('PAIRS=others', *arguments, cwd=place)
    assert os.stat(str(folder / 'imagesTr/0001_0000.tif')).st_mtime_ns == before


def test_bad_input_is_one_clear_line(place, tmp_path):
    bad(cwd=tmp_path, words=['data/refined', 'make it first'])
    bad('STAGE=predict', cwd=tmp_path, words=['data/real'])
    stacks.write(str(tmp_path / 'data/real/a.tif'), np.zeros((4, 4, 4), np.uint16))
    bad('STAGE=predict', cwd=tmp_path, words=['runs/segmentation', 'STAGE=train'])
    bad('STAGE=learn', cwd=tmp_path, words=['STAGE=learn', 'predict'])
    bad('STAGE=compare', 'ARMS=mpgan,gan', cwd=tmp_path, words=['ARMS', 'simgan'])
    bad('STAGE=compare', 'REAL=x.tif', cwd=tmp_path, words=['LABELLED', 'ANNOTATION'])
    bad('STAGE=score', cwd=tmp_path, words=['LABELLED'])
    bad('STAGE=export', cwd=tmp_path, words=['data/refined/images', '2_mpgan.py'])
    bad('CROP_SHAPE=30,32,32', cwd=tmp_path, words=['CROP_SHAPE', 'multiples of 4'])
    bad(*(SMALL + ['PAIRS=pairs', 'RUN_DIR=runs/threads', 'THREADS=-1']), cwd=place, words=['THREADS'])
    bad('AUGMENT_CONTRAST=2,1', cwd=tmp_path, words=['AUGMENT_CONTRAST', 'smaller'])
    bad(*(SMALL + ['PAIRS=pairs', 'CROP_SHAPE=32,32,32', 'RUN_DIR=runs/large']), cwd=place, words=['CROP_SHAPE', 'smaller'])
    bad('STAGE=predict', 'INPUT=in', 'OUTPUT=in', cwd=place, words=['OUTPUT'])
    bad('STAGE=score', 'LABELLED=in/odd.tif', 'ANNOTATION=pairs/labels/0001.tif', cwd=place, words=['0001.tif', 'this very stack'])
    write_pairs(tmp_path / 'one', 1)
    bad(*(SMALL + ['PAIRS=one']), cwd=tmp_path, words=['one stack', 'HELD_OUT'])


def test_comparison_runs_every_arm(tmp_path):
    """On the phantom, tiny; the earlier scripts run by themselves, and a second run trains nothing."""
    arguments = SMALL + ['MAX_STEPS=2', 'SEEDS=2', 'N_DRAFTS=2', 'DRAFT_SHAPE=96,128,128', 'CROP_SHAPE=8,16,16',
                         'ARMS=otsu,oracle,paper,drafts,manual']
    out = good(*arguments, cwd=tmp_path)
    table = (tmp_path / 'results/segmentation.md').read_text()
    assert table in out and '| otsu |' in table and '+-' in table
    rows = [line.split(',') for line in (tmp_path / 'results/segmentation.csv').read_text().splitlines()[1:]]
    assert [row[1] for row in rows if row[0] == 'ends'] == ['otsu', 'oracle', 'paper', 'paper', 'drafts', 'drafts', 'manual', 'manual']
    assert {row[1] for row in rows if row[0] == 'whole'} == {'otsu', 'oracle', 'paper', 'drafts'}
    for name in ('arms', 'curves', 'overlays'):
        assert (tmp_path / 'results' / ('segmentation_%s.png' % name)).read_bytes()[:4] == b'\x89PNG'
    assert (tmp_path / 'runs/compare/manual-1-2/config.json').exists()
    again = good(*arguments, cwd=tmp_path)
    assert 'steps already' in again and ' s each' not in again
    bad(*(arguments + ['ARMS=manual', 'IGNORED_RIM=3']), cwd=tmp_path, words=['manual-1-1', 'IGNORED_RIM 1 -> 3', 'another RUNS'])
    bad(*(arguments + ['ARMS=drafts', 'DRAFT_DENSITY=0.004']), cwd=tmp_path, words=['1_simulator.py', 'another DATA and RUNS'])


def test_shipped_weights_work_on_a_clone_without_training(tmp_path):
    """models/pretrained on either runtime: a fibre in noise is found, and refined without being lost."""
    image, label = fibre(3)
    stacks.write(str(tmp_path / 'in/fibre.tif'), image, voxel_size=(1.0, 1.0, 1.0))
    weights = os.path.join(ROOT, 'models', 'pretrained')
    good('STAGE=predict', 'RUN_DIR=' + os.path.join(weights, 'trailmap_segmentation'), 'INPUT=in', 'OUTPUT=out', cwd=tmp_path)
    found = stacks.read(str(tmp_path / 'out/fibre.prob.tif'), (2, 2, 2), probabilities=True).voxels
    assert found[label > 0].mean() > 128 and found[label == 0].mean() < 64
    status, out, err = run_script('2_mpgan.py', 'STAGE=refine', 'RUN_DIR=' + os.path.join(weights, 'trailmap_refiner'), 'INPUT=in',
                                  'OUTPUT=refined', cwd=tmp_path)
    assert status == 0, out + err
    refined = stacks.read(str(tmp_path / 'refined/images/fibre.tif')).voxels.astype(float)
    assert refined[label > 0].mean() > refined[label == 0].mean() + 100
    for folder, _, names in os.walk(weights):                        # no machine's path goes along
        for name in names:
            with open(os.path.join(folder, name), 'rb') as file:
                assert b'/tmp/' not in file.read(), name
