"""Data-parallel training: what the processes share, and, where Horovod is installed, two processes against one."""
import glob
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, run_script

from models import tf
from utils.data import patches
from utils.train import history, processes, samplers

TRAIN = ['STAGE=train', 'REFINER_CHANNELS=4', 'DISCRIMINATOR_CHANNELS=4', 'MAX_STEPS=4', 'REFINER_UPDATES=2', 'CROP_SHAPE=8,16,16',
         'LOG_EVERY=1', 'PREVIEW_EVERY=9', 'SAVE_EVERY=2', 'EVALUATE_EVERY=2', 'EVALUATION_PATCHES=4', 'THREADS=1',
         'LEARNING_RATE=0.001']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with real patches and labelled drafts."""
    folder = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    labels = np.zeros((12, 12, 24, 24), np.uint8)
    for i, label in enumerate(labels):
        label[4:7, :, 4 + i:7 + i] = 1
    for name, low, label in (('patches/real', 800, None), ('simulated/patches', 1000, labels)):
        images = (rng.normal(low, 40, labels.shape) + 600 * labels).astype(np.uint16)
        patches.write(str(folder / 'data' / (name + '.h5')), images, origins=np.zeros((12, 3)), sources=['s'] * 12, labels=label)
    return folder


def weights(run):
    newest = sorted(glob.glob(str(run / 'checkpoints/step-*')))[-1]
    reader = tf.train.load_checkpoint(os.path.join(newest, 'model'))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def compare(a, b):
    assert set(a) == set(b) and any(name.startswith('discriminator/') for name in a)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=1e-4 * max(np.abs(a[name]).max(), 1e-2), err_msg=name)


def two_processes(cwd, *arguments):
    command = [sys.executable, '-m', 'horovod.runner.launch', '--gloo', '-np', '2', sys.executable,
               os.path.join(ROOT, '2_mpgan.py')] + TRAIN + list(arguments)
    done = subprocess.run(command, cwd=str(cwd), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                          timeout=600)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_several_processes_without_horovod_are_refused(data):
    try:
        import horovod                                   # noqa: F401
        pytest.skip('Horovod is installed')
    except ImportError:
        pass
    for rank, size in (('HOROVOD_RANK', 'HOROVOD_SIZE'), ('PMI_RANK', 'PMI_SIZE')):
        status, _, err = run_script('2_mpgan.py', *TRAIN, cwd=data, **{rank: '0', size: '2'})
        assert status == 1 and 'requirements-distributed.txt' in err and 'Traceback' not in err


def test_one_process_of_a_launcher_is_alone(monkeypatch):
    monkeypatch.setenv('PMI_RANK', '0')
    monkeypatch.setenv('PMI_SIZE', '1')
    assert processes.find_ranks() == (0, 1, None)
    monkeypatch.setenv('PMI_SIZE', '3')
    monkeypatch.setenv('PMI_RANK', '2')
    assert processes.find_ranks(training=False) == (2, 3, None)            # refining: the first process alone works


def test_two_processes_leave_the_weights_of_one_on_the_joint_batch(data):
    pytest.importorskip('horovod')
    two_processes(data, 'BATCH_SIZE=2', 'HISTORY_BATCHES=0', 'RUN_DIR=runs/two')
    status, out, err = run_script('2_mpgan.py', *(TRAIN + ['BATCH_SIZE=4', 'HISTORY_BATCHES=0', 'RUN_DIR=runs/one']), cwd=data)
    assert status == 0, out + err
    compare(weights(data / 'runs/one'), weights(data / 'runs/two'))
    assert len((data / 'runs/two/log.csv').read_text().splitlines()) == 5        # the first process alone logs


def test_two_processes_resume(data):
    pytest.importorskip('horovod')
    arguments = ['BATCH_SIZE=2', 'HISTORY_BATCHES=3']
    two_processes(data, *(arguments + ['RUN_DIR=runs/whole']))
    two_processes(data, *(arguments + ['RUN_DIR=runs/parts', 'MAX_STEPS=2']))
    assert 'goes on from step 2' in two_processes(data, *(arguments + ['RUN_DIR=runs/parts']))
    compare(weights(data / 'runs/whole'), weights(data / 'runs/parts'))
