"""Shared fixtures: the scripts run as a user runs them, small data, the real data if it is there."""
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)


def run_script(name, *arguments, cwd, **environment):
    """Run a numbered script in a folder, with these environment variables; (exit status, standard output and error)."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, name)] + list(arguments), cwd=str(cwd), env=dict(os.environ, **environment),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


def vaa3d(voxels, order='<', channels=1, kind=None):
    """Bytes of a Vaa3D raw file: magic, byte order, data type, x y z channels, voxels."""
    voxels = np.asarray(voxels)
    head = b'raw_image_stack_by_hpeng' + (b'L' if order == '<' else b'B')
    return (head + struct.pack(order + 'h4i', kind or voxels.dtype.itemsize, *(voxels.shape[::-1] + (channels,)))
            + voxels.astype(voxels.dtype.newbyteorder(order)).tobytes() * channels)


@pytest.fixture(scope='session')
def shared():
    """The folder of real data beside the checkout; tests that need it skip without."""
    path = os.path.join(os.path.dirname(ROOT), 'shared', 'data')
    if not os.path.isdir(path):
        pytest.skip('real data is not at hand')
    return path
