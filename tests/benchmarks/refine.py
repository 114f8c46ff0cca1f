"""Refining a stack: tiles with a halo of 13 voxels, against half-overlapping 64 x 64 x 32 tiles as the released code has.

Equal networks and weights, one runtime, the same stack. Peak memory is each way's own process'.
"""
import os
import resource
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

import numpy as np                        # noqa: E402

from models import gan, tf                # noqa: E402
from models.refiner import RADIUS         # noqa: E402
from utils import config, runs, tiling    # noqa: E402

SHAPE, CHANNELS = (64, 192, 192), 8       # voxels of the stack; the demo's network
WINDOW = (32, 64, 64)                     # of the released code, moved on by half of itself


def refiner(session, inference):
    def tile(voxels):
        grey = session.run(inference.refined_grey, {inference.draft: voxels[None, ..., None].astype(np.float32)})
        return np.clip(np.rint(grey[0, ..., 0]), 0, 65535).astype(voxels.dtype)
    return tile


def overlapping(function, voxels):
    """Half-overlapping windows, each keeping its middle half; what no middle covers, the rim, stays zero."""
    result = np.zeros_like(voxels)
    quarter = [w // 4 for w in WINDOW]
    for z in range(0, voxels.shape[0] - WINDOW[0] + 1, WINDOW[0] // 2):
        for y in range(0, voxels.shape[1] - WINDOW[1] + 1, WINDOW[1] // 2):
            for x in range(0, voxels.shape[2] - WINDOW[2] + 1, WINDOW[2] // 2):
                box = tuple(slice(a, a + w) for a, w in zip((z, y, x), WINDOW))
                core = tuple(slice(a + q, a + w - q) for a, w, q in zip((z, y, x), WINDOW, quarter))
                inner = tuple(slice(q, w - q) for w, q in zip(WINDOW, quarter))
                result[core] = function(voxels[box])[inner]
    return result


def one_way(name):
    """Refine by one way in this process; prints seconds, peak megabytes and the share of voxels that it refined."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(1000, 2000, SHAPE).astype(np.uint16)
    tf.set_random_seed(0)
    inference = gan.build_inference(16, CHANNELS)
    with runs.open_session(1) as session:
        session.run(tf.global_variables_initializer())
        function = refiner(session, inference)
        function(voxels[:8, :16, :16])                       # what the first run alone costs
        begun = time.perf_counter()
        if name == 'halo':
            tile = config.read_constants(config.rooted('configs/mpgan.py'))['TILE_SHAPE']
            result = tiling.apply(function, voxels, tile, RADIUS)
        else:
            result = overlapping(function, voxels)
        seconds = time.perf_counter() - begun
    print('%.3f %.1f %.4f' % (seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, (result > 0).mean()))


def main():
    found = {}
    for name in ('overlap', 'halo'):
        done = subprocess.run([sys.executable, os.path.abspath(__file__), name], stdout=subprocess.PIPE, check=True,
                              universal_newlines=True)
        found[name] = [float(v) for v in done.stdout.split('\n')[-2].split()]
        print('%-45s %7.2f s, %6.0f MB at most, %5.1f %% of the voxels refined' % (
            {'overlap': 'half-overlapping 32 x 64 x 64 windows', 'halo': 'tiles with a halo of 13 voxels'}[name],
            found[name][0], found[name][1], 100 * found[name][2]))
    a, b = found['overlap'], found['halo']
    print('result: ratio=%.3f memory_ratio=%.3f' % (a[0] / b[0], b[1] / a[1]))


if __name__ == '__main__':
    one_way(sys.argv[1]) if len(sys.argv) > 1 else main()
