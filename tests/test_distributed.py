"""Data-parallel training: who runs, and, where Horovod is installed, two processes against one."""
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, run_script
from training_data import TRAIN, good, newest, write_folder

from models import tf
from utils.train import processes


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    write_folder(folder)
    return folder


# --- who runs ---

def test_several_processes_without_horovod_are_refused(data):
    try:
        import horovod                                   # noqa: F401
        pytest.skip('Horovod is installed')
    except ImportError:
        pass
    status, _, err = run_script('2_mpgan.py', *TRAIN, cwd=data, HOROVOD_RANK='0', HOROVOD_SIZE='2')
    assert status == 1 and 'requirements-distributed.txt' in err and 'Traceback' not in err


@pytest.mark.parametrize('rank, size', processes.LAUNCHERS)
def test_every_launcher_is_known(monkeypatch, rank, size):
    monkeypatch.setenv(size, '3')
    monkeypatch.setenv(rank, '2')
    assert processes.find_ranks(training=False) == (2, 3, None)      # refining: the first works
    monkeypatch.setitem(sys.modules, 'horovod', None)
    with pytest.raises(ValueError, match='one of 3 processes, .* requirements-distributed.txt'):
        processes.find_ranks()
    monkeypatch.setenv(size, '1')
    monkeypatch.setenv(rank, '0')
    assert processes.find_ranks() == (0, 1, None)        # one process of a launcher is alone


class Threefold:
    """In place of Horovod: this process and two copies of it."""

    @staticmethod
    def allgather(tensor, name):
        return tf.concat([tensor] * 3, 0)


@pytest.mark.parametrize('at_a_time', [2 ** 30, 33])
def test_values_of_any_size_are_gathered_in_pieces(monkeypatch, at_a_time):
    monkeypatch.setattr(processes, 'GATHERED', at_a_time)
    tf.reset_default_graph()
    value = (np.arange(50, dtype=np.float32), {'state': 2 ** 70}, None)
    with tf.Session() as session:
        ranks = processes.Ranks(0, 3, Threefold)
        for found in processes.Exchange(ranks, session).gather(value):
            np.testing.assert_array_equal(found[0], value[0])
            assert found[1:] == value[1:]
        assert processes.Exchange(processes.Ranks(), session).gather(value) == [value]


def test_optimisers_average_over_processes_and_take_half_precision(monkeypatch):
    monkeypatch.setattr(tf.train.experimental, 'enable_mixed_precision_graph_rewrite',
                        lambda optimiser: ('half', optimiser))
    several = processes.Ranks(0, 2, SimpleNamespace(DistributedOptimizer=lambda o: ('mean', o)))
    assert processes.wrapper(processes.Ranks())('adam') == 'adam'
    assert processes.wrapper(several)('adam') == ('mean', 'adam')
    assert processes.wrapper(several, True)('adam') == ('half', ('mean', 'adam'))


# --- Horovod ---

def two_processes(cwd, *arguments):
    """Standard output of 2_mpgan.py by two processes."""
    command = [sys.executable, '-m', 'horovod.runner.launch', '--gloo', '-np', '2', sys.executable,
               os.path.join(ROOT, '2_mpgan.py')] + TRAIN + list(arguments)
    done = subprocess.run(command, cwd=str(cwd), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def weights(run):
    """All variables of a run's newest checkpoint, by name."""
    reader = tf.train.load_checkpoint(os.path.join(newest(run), 'model'))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def compare(a, b):
    assert set(a) == set(b) and any(name.startswith('discriminator/') for name in a)
    for name in a:
        tolerance = 1e-4 * max(np.abs(a[name]).max(), 1e-2)
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=tolerance, err_msg=name)


def test_two_processes_leave_the_weights_of_one_on_the_joint_batch(data):
    pytest.importorskip('horovod')
    two_processes(data, 'BATCH_SIZE=2', 'HISTORY_BATCHES=0', 'RUN_DIR=runs/two')
    good(*(TRAIN + ['BATCH_SIZE=4', 'HISTORY_BATCHES=0', 'RUN_DIR=runs/one']), cwd=data)
    compare(weights(data / 'runs/one'), weights(data / 'runs/two'))
    rows = (data / 'runs/two/log.csv').read_text().splitlines()
    assert len(rows) == 5                                # the first process alone logs


def test_two_processes_resume(data):
    pytest.importorskip('horovod')
    arguments = ['BATCH_SIZE=2', 'HISTORY_BATCHES=3']
    two_processes(data, *(arguments + ['RUN_DIR=runs/whole']))
    two_processes(data, *(arguments + ['RUN_DIR=runs/parts', 'MAX_STEPS=2']))
    again = two_processes(data, *(arguments + ['RUN_DIR=runs/parts']))
    assert 'goes on from step 2' in again
    compare(weights(data / 'runs/whole'), weights(data / 'runs/parts'))
