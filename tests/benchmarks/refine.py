"""Refining a stack: tiles with a halo, against half-overlapping windows as the released code has.

The windows are 64 x 64 x 32 voxels, in batches of ten, and one by one (docs/method.md, step 2 and
faults 5 and 7). Equal networks and weights, one runtime, the same stack. Peak memory is each way's
own process', TensorFlow's some 450 MB included.

Reads   nothing
Writes  nothing
Run     python tests/benchmarks/refine.py
"""
import itertools
import os
import resource
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

import numpy as np                                  # noqa: E402

from models import gan, tf                          # noqa: E402
from models.refiner import RADIUS                   # noqa: E402
from utils.common import config, tiling             # noqa: E402
from utils.train.refiner import refine_patch        # noqa: E402
from utils.train.sessions import open_session       # noqa: E402

SHAPE, CHANNELS = (64, 192, 192), 8       # voxels of the stack; the demo's network
WINDOW = (32, 64, 64)                     # of the released code, moved on by half of itself
WAYS = {'overlap': 'half-overlapping 32 x 64 x 64 windows, ten a batch',
        'single': 'the same, one by one',
        'halo': 'tiles with a halo of 13 voxels'}


def overlapping(session, inference, *, voxels, batch):
    """Half-overlapping windows, each keeping its middle half; the rim that none covers stays 0."""
    result = np.zeros_like(voxels)
    quarter = [w // 4 for w in WINDOW]
    inner = tuple(slice(q, w - q) for w, q in zip(WINDOW, quarter))
    corners = list(itertools.product(*(range(0, n - w + 1, w // 2)
                                       for n, w in zip(voxels.shape, WINDOW))))
    for i in range(0, len(corners), batch):
        some = [tuple(slice(a, a + w) for a, w in zip(corner, WINDOW))
                for corner in corners[i:i + batch]]
        images = np.stack([voxels[box] for box in some])[..., None]
        grey = session.run(inference.refined_grey, {inference.draft: images})
        for corner, window in zip(corners[i:], np.clip(np.rint(grey[..., 0]), 0, 65535)):
            place = tuple(slice(a + q, a + w - q) for a, w, q in zip(corner, WINDOW, quarter))
            result[place] = window[inner]
    return result


def one_way(name):
    """Refine by one way in this process; prints seconds, peak MB, share of voxels refined."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(1000, 2000, SHAPE).astype(np.uint16)
    tf.set_random_seed(0)
    inference = gan.build_inference(16, CHANNELS)
    with open_session(1) as session:
        session.run(tf.global_variables_initializer())

        def refine(tile, sides=None):
            return refine_patch(session, inference, voxels=tile, crop_sides=sides)

        refine(voxels[:8, :16, :16])                         # what the first run alone costs
        begun = time.perf_counter()
        if name == 'halo':
            tile = config.read_constants(config.rooted('configs/mpgan.py'))['TILE_SHAPE']
            result = tiling.apply(refine, voxels, tile=tile, halo=RADIUS, crops=True)
        else:
            result = overlapping(session, inference, voxels=voxels,
                                 batch=10 if name == 'overlap' else 1)
        seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print('%.3f %.1f %.4f' % (seconds, peak, (result > 0).mean()))


def main():
    found = {}
    for name, words in WAYS.items():
        done = subprocess.run([sys.executable, os.path.abspath(__file__), name],
                              stdout=subprocess.PIPE, check=True, universal_newlines=True)
        found[name] = [float(v) for v in done.stdout.split('\n')[-2].split()]
        seconds, peak, share = found[name]
        print('%-55s %7.2f s, %6.0f MB at most, %5.1f %% of the voxels refined'
              % (words, seconds, peak, 100 * share))
    a, b = found['overlap'], found['halo']
    print('result: ratio=%.3f memory_ratio=%.3f' % (a[0] / b[0], b[1] / a[1]))


if __name__ == '__main__':
    one_way(sys.argv[1]) if len(sys.argv) > 1 else main()
