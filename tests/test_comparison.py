"""tests/benchmarks/comparison.py as a user runs it, tiny, on the phantom; and its arms by hand."""
import os
import subprocess

import pytest
from conftest import run_script

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


def test_comparison_runs_every_arm(quick, tmp_path):
    """The earlier scripts run by themselves, and a second run trains what is missing alone."""
    status, out, err = compare(*TINY, 'SEEDS=1', cwd=tmp_path)
    assert status == 0, out + err
    results = tmp_path / 'results/demo'
    table = (results / 'segmentation.md').read_text()
    assert table in out and '| otsu |' in table and '+-' not in table
    assert rows_of(results, 'ends') == ['otsu', 'oracle', 'paper', 'drafts', 'manual']
    assert rows_of(results, 'whole') == ['otsu', 'oracle', 'paper', 'drafts']
    for name in ('arms', 'curves', 'overlays'):
        assert (results / ('segmentation_%s.png' % name)).read_bytes()[:4] == b'\x89PNG'
    assert (tmp_path / 'runs/demo_compare/manual-1-2/config.json').exists()
    last = out.strip().split('\n')[-1].split()
    values = dict(pair.split('=') for pair in last[1:])
    assert last[0] == 'result:' and all(float(value) >= 0 for value in values.values())
    assert float(values['dice_oracle']) > 0.5 > float(values['dice_manual'])

    status, again, _ = compare(*TINY, 'SEEDS=2', 'ARMS=otsu,drafts,manual', cwd=tmp_path)
    assert status == 0 and again.count('has its 1 steps already') == 3      # drafts, two manual
    trained = [line.split(':')[0] for line in again.split('\n') if ' s each' in line]
    assert [os.path.basename(name) for name in trained] == ['drafts-2', 'manual-2-1', 'manual-2-2']
    assert '+-' in (results / 'segmentation.md').read_text()
    assert rows_of(results, 'ends') == ['otsu', 'drafts', 'drafts', 'manual', 'manual']

    bad(*TINY, 'ARMS=manual', 'IGNORED_RIM=3', cwd=tmp_path,
        words=['manual-1-1', 'IGNORED_RIM 1 -> 3', 'another RUNS'])
    bad(*TINY, 'ARMS=drafts', 'DRAFT_DENSITY=0.004', cwd=tmp_path,
        words=['1_simulator.py', 'another DATA and RUNS'])


def test_bad_input_is_one_clear_line(tmp_path):
    bad('ARMS=mpgan,gan', cwd=tmp_path, words=['ARMS', 'simgan'])
    bad('REAL=x.tif', cwd=tmp_path, words=['LABELLED', 'ANNOTATION'])
    bad('CROP_SHAPE=30,32,32', cwd=tmp_path, words=['CROP_SHAPE', 'multiples of 4'])
    bad('SPLIT_AXIS=3', cwd=tmp_path, words=['SPLIT_AXIS'])
