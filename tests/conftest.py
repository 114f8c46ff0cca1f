"""Shared fixtures: the scripts run as a user runs them, small data, the real data if at hand."""
import contextlib
import io
import os
import runpy
import signal
import struct
import subprocess
import sys
import traceback
from unittest import mock

import numpy as np
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import utils.common.errors                       # noqa: E402, F401

signal.signal(signal.SIGINT, signal.default_int_handler)     # what that sets is for scripts


def quiet_tensorflow():
    """One thread for all sessions of this process, so that results repeat, and no warnings."""
    from models import tf                    # first: it sets what TensorFlow reads when it loads
    from tensorflow.python.util import deprecation

    deprecation.silence().__enter__()        # a fifth of the time of making a graph goes into them
    tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1,
                                     inter_op_parallelism_threads=1)).close()


def pytest_configure(config):
    """The process that only hands tests to workers (pytest-xdist) needs no TensorFlow."""
    if hasattr(config, 'workerinput') or not getattr(config.option, 'numprocesses', None):
        quiet_tensorflow()


# Files of the longest tests, which start first: one that started last would be waited for alone
LONGEST = ('gan_script', 'scripts', 'refiner_training', 'mpgan', 'critic', 'critic_verdicts',
           'comparison', 'paper', 'segmentation_script', 'networks')


@pytest.hookimpl(optionalhook=True)                     # there with xdist alone
def pytest_xdist_make_scheduler(config, log):
    """Tests of one file in one process, as --dist loadfile does, but the longest files first."""
    from xdist.scheduler import LoadFileScheduling

    class LongestFirst(LoadFileScheduling):
        def _assign_work_unit(self, node):
            for name in reversed(LONGEST):
                scope = 'tests/test_%s.py' % name
                if scope in self.workqueue:
                    self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)

    return LongestFirst(config, log)


def run_script(name, *arguments, cwd, **environment):
    """Run a script in a folder: (exit status, standard output, standard error).

    In this process, as loading TensorFlow takes longer than most scripts here; in one of its own
    where the script starts workers.

    Args:
        environment: variables that are set for the script.
    """
    workers = [argument for argument in arguments if argument.startswith('WORKERS=')]
    with mock.patch.dict(os.environ, environment):
        if name == '1_simulator.py' and workers[-1:] != ['WORKERS=1']:
            done = subprocess.run([sys.executable, os.path.join(ROOT, name)] + list(arguments),
                                  cwd=str(cwd), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  universal_newlines=True, timeout=600)
            return done.returncode, done.stdout, done.stderr
        return _in_this_process(os.path.join(ROOT, name), arguments, cwd=str(cwd))


def _in_this_process(path, arguments, *, cwd):
    out, err = [io.TextIOWrapper(io.BytesIO(), 'utf-8') for _ in range(2)]
    before, argv, status = os.getcwd(), sys.argv, 0
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    sys.argv = [path] + list(arguments)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                runpy.run_path(path, run_name='__main__')
            except SystemExit as end:
                status = end.code
            except BaseException:                        # what Python itself would print
                traceback.print_exc()
                status = 1
    finally:
        os.chdir(before)
        sys.argv = argv
        signal.signal(signal.SIGINT, interrupt)          # errors.run lets Ctrl-C end the process
    for stream in (out, err):
        stream.flush()
    return (status or 0,) + tuple(s.buffer.getvalue().decode('utf-8') for s in (out, err))


def vaa3d(voxels, order='<', channels=1, kind=None):
    """Bytes of a Vaa3D raw file: magic, byte order, data type, x y z channels, voxels."""
    voxels = np.asarray(voxels)
    head = b'raw_image_stack_by_hpeng' + (b'L' if order == '<' else b'B')
    return (head + struct.pack(order + 'h4i', kind or voxels.dtype.itemsize,
                               *(voxels.shape[::-1] + (channels,)))
            + voxels.astype(voxels.dtype.newbyteorder(order)).tobytes() * channels)


@pytest.fixture(scope='session')
def shared():
    """The folder of real data beside the checkout; tests that need it skip without."""
    path = os.path.join(os.path.dirname(ROOT), 'shared', 'data')
    if not os.path.isdir(path):
        pytest.skip('real data is not at hand')
    return path


@pytest.fixture(scope='module')
def small_networks():
    """Refiners of one block, while a module's tests run in this process."""
    import training_data
    with training_data.small_networks():
        yield


@pytest.fixture
def no_pictures(monkeypatch):
    """Trainings in this process draw nothing."""
    import training_data
    monkeypatch.setattr(training_data.reports, 'training', training_data.without_pictures())
