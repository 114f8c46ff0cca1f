"""A volume whose prediction is killed again and again, and then finished: the same bytes.

Each run is a process that is forked off this one, where the modules are loaded already, and that is
killed without a word at a random moment of its work. Then the command runs to its end, and map,
mask and their pyramids are compared, byte for byte, with those of a run that nobody disturbed.

Reads   nothing
Writes  nothing (a folder that is removed)
Run     python tests/benchmarks/volume_kills.py [KILLS [SEED]]
"""
import contextlib
import hashlib
import os
import random
import runpy
import signal
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests')]

import numpy as np                                                      # noqa: E402
import untrained                                                        # noqa: E402

from utils.data import volumes                                          # noqa: E402
from utils.train import cluster, predicted                              # noqa: E402, F401  loaded

KILLS, SEED = 20, 1
SHAPE = (40, 200, 180)                   # (z, y, x) voxels: 3 x 7 x 6 blocks
ARGUMENTS = ['STAGE=predict', 'RUN_DIR=net', 'INPUT=in.ome.zarr', 'TILE_SHAPE=16,32,32',
             'BLOCK_SHAPE=16,32,32', 'THREADS=1', 'EMPTY_BELOW=0']


def start(output):
    """Process number of a run that has just begun."""
    process = os.fork()
    if process:
        return process
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):
        sys.argv = [os.path.join(ROOT, '3_segmentation.py')] + ARGUMENTS + ['OUTPUT=' + output]
        try:
            runpy.run_path(sys.argv[0], run_name='__main__')
            os._exit(0)
        except SystemExit as end:
            os._exit(1 if end.code else 0)
        finally:
            os._exit(2)


def digests(folder):
    """SHA-1 of each file of the results by its name."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if '.ome.zarr' in path:
                with open(path, 'rb') as file:
                    found[os.path.relpath(path, folder)] = hashlib.sha1(file.read()).hexdigest()
    return found


def make(folder):
    """Write the volume and an untrained network, in a process of its own: forks want no session."""
    process = os.fork()
    if not process:
        untrained.write_segmenter(os.path.join(folder, 'net'))
        voxels = np.random.default_rng(0).normal(1000, 50, SHAPE).astype(np.uint16)
        volumes.create(os.path.join(folder, 'in.ome.zarr'), shape=SHAPE, dtype=np.uint16,
                       chunks=(32, 64, 64), voxel_size=(2.0, 1.0, 1.0))[:] = voxels
        os._exit(0)
    os.waitpid(process, 0)


def records(output):
    """How many blocks, of both steps, have a record."""
    folders = [os.path.join(output, 'in.blocks', step) for step in ('predict', 'mask')]
    return sum(name[0] == '0' for folder in folders if os.path.isdir(folder)
               for name in os.listdir(folder))


def kill(rng, *, most):
    """Start a run and kill it, some blocks or some moments later; True if it was at work.

    Args:
        rng: random.Random; most: blocks that it may finish.
    """
    process, before, status = start('killed'), records('killed'), 0
    wanted, latest = before + rng.randint(0, most), time.time() + 600
    moment = rng.uniform(0, 2)                           # seconds, where no block is waited for
    begun = time.time()
    while not status and time.time() < latest and (
            records('killed') < wanted or wanted == before and time.time() < begun + moment):
        time.sleep(0.001)
        status = os.waitpid(process, os.WNOHANG)[0]
    if status:
        return False
    time.sleep(rng.uniform(0, 0.05))
    os.kill(process, signal.SIGKILL)
    ended = os.WIFSIGNALED(os.waitpid(process, 0)[1])
    print('%s after block %d of %d' % ('killed' if ended else 'ended', records('killed'),
                                       records('whole')))
    sys.stdout.flush()
    return ended


def main():
    kills, seed = [int(a) for a in sys.argv[1:3]] + [KILLS, SEED][len(sys.argv[1:3]):]
    rng, died = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder:
        make(folder)
        os.chdir(folder)
        if os.waitpid(start('whole'), 0)[1]:
            sys.exit('error: the undisturbed run failed')
        for _ in range(kills):
            died += kill(rng, most=max(1, int(1.8 * records('whole') / kills)))
        if os.waitpid(start('killed'), 0)[1]:
            sys.exit('error: the last run failed')
        same = digests('whole') == digests('killed')
        print('%d of %d runs were killed at work; the results are %s' % (
            died, kills, 'the same' if same else 'NOT the same'))
    print('result: killed=%d same=%d' % (died, same))
    return None if same else 1


if __name__ == '__main__':
    sys.exit(main())
