"""tests/benchmarks/comparison.py as a user runs it, tiny, on the phantom; and its arms by hand."""
import importlib.util
import json
import os
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, run_script

from utils.data import stacks
from utils.score import masks

SCRIPT = os.path.join('tests', 'benchmarks', 'comparison.py')
TINY = ['CHANNELS=2', 'LEVELS=0', 'CROP_SHAPE=8,16,16', 'BATCH_SIZE=2', 'MAX_STEPS=1',
        'EVALUATION_PATCHES=1', 'THREADS=1', 'TILE_SHAPE=32,96,96', 'N_DRAFTS=2',
        'DRAFT_SHAPE=96,128,128', 'PHANTOM_SHAPE=32,96,96', 'CALIBRATION_ROUNDS=0',
        'ARMS=otsu,oracle,paper,drafts,manual']


def compare(*arguments, cwd):
    """Run it: (exit status, standard output, last line of standard error)."""
    status, out, err = run_script(SCRIPT, *arguments, cwd=cwd)
    assert 'Traceback' not in err
    return status, out, err.strip().split('\n')[-1]


def bad(*arguments, cwd, words):
    status, _, said = compare(*arguments, cwd=cwd)
    assert status == 1 and said.startswith('error: ') and all(word in said for word in words), said


@pytest.fixture
def quick(monkeypatch):
    """Scripts that the comparison starts run in this process, where they can: it saves imports."""
    call = subprocess.call

    def here(command, **options):
        if command[1] == '-m':
            return call(command, **options)
        name, arguments = os.path.basename(command[1]), list(command[2:])
        arguments += ['WORKERS=1'] if name == '1_simulator.py' else []
        status, out, err = run_script(name, *arguments, cwd=os.getcwd())
        print(out + err)
        return status

    monkeypatch.setattr(subprocess, 'call', here)


def rows_of(results, region):
    """Arms of segmentation.csv's rows of a region, in order."""
    rows = [line.split(',') for line in (results / 'segmentation.csv').read_text().splitlines()]
    return [row[1] for row in rows if row[0] == region]


def test_comparison_runs_every_arm(small_networks, quick, tmp_path):
    """The earlier scripts run by themselves; a second run trains what is missing, no more."""
    status, out, err = compare(*TINY, 'SEEDS=1', cwd=tmp_path)
    assert status == 0, out + err
    results = tmp_path / 'results/demo'
    table = (results / 'segmentation.md').read_text()
    assert table in out and '| otsu |' in table and '+-' not in table
    assert rows_of(results, 'ends') == ['otsu', 'oracle', 'paper', 'drafts', 'manual']
    assert rows_of(results, 'whole') == ['otsu', 'oracle', 'paper', 'drafts']
    for name in ('arms', 'curves', 'overlays'):
        assert (results / ('segmentation_%s.png' % name)).read_bytes()[:4] == b'\x89PNG'
    for end, seen in ((1, 'slice(64, 96, None)'), (2, 'slice(0, 32, None), slice(0, 96')):
        with open(str(tmp_path / ('runs/demo_compare/manual-1-%d/config.json' % end))) as file:
            assert seen in json.load(file)['MANUAL']                 # the other end, of 96 voxels
    last = out.strip().split('\n')[-1].split()
    values = dict(pair.split('=') for pair in last[1:])
    assert last[0] == 'result:' and all(float(value) >= 0 for value in values.values())
    assert float(values['dice_oracle']) > 0.5 > float(values['dice_manual'])

    status, again, _ = compare(*TINY, 'SEEDS=2', 'ARMS=otsu,drafts', cwd=tmp_path)
    assert status == 0 and 'drafts-1: has its 1 steps already' in again
    trained = [line.split(':')[0] for line in again.split('\n') if ' s each' in line]
    assert [os.path.basename(name) for name in trained] == ['drafts-2']
    assert '+-' in (results / 'segmentation.md').read_text()
    assert rows_of(results, 'ends') == ['otsu', 'drafts', 'drafts']

    bad(*TINY, 'ARMS=manual', 'IGNORED_RIM=3', cwd=tmp_path,
        words=['manual-1-1', 'IGNORED_RIM 1 -> 3', 'another RUNS'])
    bad(*TINY, 'ARMS=drafts', 'DRAFT_DENSITY=0.004', cwd=tmp_path,
        words=['1_simulator.py', 'another DATA and RUNS'])


@pytest.fixture
def comparison():
    """The benchmark as a module."""
    spec = importlib.util.spec_from_file_location('comparison', os.path.join(ROOT, SCRIPT))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_end_is_predicted_by_the_network_that_saw_the_other(comparison, monkeypatch):
    """Trainings are numbered from 1, and the map of a network is its number."""
    voxels = np.random.default_rng(0).normal(500, 20, (8, 40, 16)).astype(np.uint16)
    whole = masks.Annotation(voxels > 520, np.ones(voxels.shape, bool), None)
    boxes = masks.halves(voxels.shape, 1, gap=16)
    labelled = comparison.Labelled(stacks.Stack(voxels, None, 'x.tif', {}), whole, whole, boxes, '')
    cfg, seen = comparison.load(['--config', 'configs/demo/comparison.py']), []
    monkeypatch.setattr(comparison, 'claims', SimpleNamespace(
        claim=lambda *_, **__: None, training=lambda _: None))
    monkeypatch.setattr(comparison.segmenter_training, 'train',
                        lambda *_, sources, **__: seen.append([source.box for source in sources]))
    monkeypatch.setattr(comparison, 'predict',
                        lambda *_, **__: np.full(voxels.shape, len(seen), np.float32))
    probability = comparison.segment(cfg, 'manual', seed=1, labelled=labelled)
    for box, other in zip(boxes, boxes[::-1]):
        number = set(probability[box].ravel())
        assert len(number) == 1 and seen[int(number.pop()) - 1] == [other] * cfg.BATCH_SIZE
    assert not probability[:, 12:28].any()                           # the gap


def test_bad_input_is_one_clear_line(tmp_path):
    bad('ARMS=mpgan,gan', cwd=tmp_path, words=['ARMS', 'simgan'])
    bad('REAL=x.tif', cwd=tmp_path, words=['LABELLED', 'ANNOTATION'])
    bad('CROP_SHAPE=30,32,32', cwd=tmp_path, words=['CROP_SHAPE', 'multiples of 4'])
    bad('SPLIT_AXIS=3', cwd=tmp_path, words=['SPLIT_AXIS'])
