"""Volumes by blocks: rate beside that of the network alone; memory for half and twice the depth.

An OME-Zarr volume is predicted and refined by the scripts, each in a process of its own, whose peak
memory the system tells. The volume is one draft of the simulator, mirrored side by side, with noise
of its own in each block: to draw neurons for all of it would take longer than to predict it.

"Alone" is the same network on some of the volume's blocks that lie in memory, halos included. Rates
of the scripts count all from the opened network on: level and noise, the mask, the pyramid.

Reads   models/pretrained/
Writes  FOLDER, some 2 bytes a voxel and more; a rerun goes on there
Run     python tests/benchmarks/volume.py
        python tests/benchmarks/volume.py SHAPE=512,1024,1024 REFINED=128,512,512 FOLDER=runs/volume
"""
import ast
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

import numpy as np                                                      # noqa: E402

from utils.common import blocks, config, files, tiling                   # noqa: E402
from utils.data import stacks, volumes                                   # noqa: E402

DEFAULTS = dict(
    SHAPE=(256, 256, 256),           # (z, y, x) voxels that are predicted; half of the depth, too
    REFINED=(64, 192, 192),          # (z, y, x) voxels that are refined
    TWICE=False,                     # predict twice the depth, too
    SAMPLE=8,                        # blocks that the network alone is measured on
    THREADS=1,
    SEGMENTER='models/pretrained/universal', REFINER='models/pretrained/trailmap_refiner',
    FOLDER='')                       # '': one that is removed at the end
DRAFT = (96, 128, 128)               # (z, y, x) voxels that are drawn
CHUNKS = (64, 128, 128)
STEPS = {'predict': ('3_segmentation.py', 'configs/segmentation.py'),
         'refine': ('2_mpgan.py', 'configs/mpgan.py')}
SAID = re.compile(r'([0-9.e+-]+) Mvoxel/s, ([0-9]+) % of the time waiting')


# --- the volume ---

def draft(folder):
    """The simulator's stack, uint16, with the paper's constants."""
    path = os.path.join(folder, 'draft', 'images', '0001.tif')
    if not os.path.exists(path):
        subprocess.run([sys.executable, os.path.join(ROOT, '1_simulator.py'), 'PRIORS=None',
                        'N_STACKS=1', 'WORKERS=1', 'VOLUME_SHAPE=%d,%d,%d' % DRAFT,
                        'OUTPUT=' + os.path.join(folder, 'draft')], check=True,
                       stdout=subprocess.DEVNULL)
    voxels = stacks.read(path).voxels
    return voxels.astype(np.uint16) << (8 if voxels.dtype == np.uint8 else 0)


def write_volume(folder, shape):
    """Path of a volume of a shape; it is made if it is not there."""
    path = os.path.join(folder, 'volume_%d_%d_%d.ome.zarr' % shape)
    if os.path.exists(path + '.json'):
        return path
    grid, one = blocks.Grid(shape, CHUNKS), draft(folder)
    out = volumes.create(path, shape=shape, dtype=np.uint16, chunks=CHUNKS, voxel_size=(1.,) * 3)
    for number in range(len(grid)):
        core, _, _ = grid.box(number)
        rng = np.random.default_rng(number)
        places = [mirrored(np.arange(side.start, side.stop), n) for side, n in zip(core, one.shape)]
        voxels = one[np.ix_(*places)]
        voxels = voxels + rng.normal(0, 0.02 * one.std(), voxels.shape)
        out[core] = np.clip(np.rint(voxels), 0, 65535).astype(np.uint16)
    files.write_json(path + '.json', {})
    return path


def mirrored(places, n):
    """Places along an axis that goes to and fro over n voxels."""
    places = places % (2 * n)
    return np.where(places < n, places, 2 * n - 1 - places)


# --- what is measured ---

def streamed(kind, path, *, values):
    """(Mvoxel/s, share spent waiting, peak GB) of a script on a volume."""
    kept = '%s.%s.result' % (path, kind)
    if os.path.exists(kept):
        return tuple(files.read_json(kept)['found'])
    output, out = path[:-len('.ome.zarr')] + '_' + kind, tempfile.TemporaryFile('w+')
    process = subprocess.Popen(
        [sys.executable, os.path.join(ROOT, STEPS[kind][0]), 'STAGE=' + kind, 'INPUT=' + path,
         'OUTPUT=' + output, 'THREADS=%d' % values['THREADS'],
         'RUN_DIR=' + run_dir(kind, values=values)], stdout=out, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    out.seek(0)
    said = SAID.findall(out.read())
    if status or not said:
        sys.exit('error: %s of %s ended with status %d' % (kind, path, status))
    rate, waiting = map(float, said[-1])
    found = rate, waiting / 100, used.ru_maxrss * 1024 / 1e9
    files.write_json(kept, {'found': found})
    return found


def run_dir(kind, *, values):
    """The network's folder, absolute."""
    return os.path.join(ROOT, values['SEGMENTER' if kind == 'predict' else 'REFINER'])


def alone(kind, path, *, values):
    """Mvoxel/s of the network on some blocks in memory, measured in a process of its own."""
    done = subprocess.run([sys.executable, os.path.abspath(__file__), 'alone', json.dumps(
        [kind, path, values])], stdout=subprocess.PIPE, check=True, universal_newlines=True)
    return float(done.stdout.split()[-1])


def measure_alone(kind, path, *, values):
    """What `alone` does in its process; prints the rate."""
    from utils.train import normalisation, volume_steps
    constants = config.read_constants(os.path.join(ROOT, STEPS[kind][1]))
    volume, tile = volumes.open_volume(path), constants['TILE_SHAPE']
    grid = blocks.Grid(volume.shape, tuple(-(-b // t) * t for b, t in zip(
        constants['BLOCK_SHAPE'], tile)))
    network = volume_steps.Network(kind, run_dir(kind, values=values), tuple(tile),
                                   values['THREADS']).open()
    compute = {'refine': network.refine} if kind == 'refine' else {'predict': functools.partial(
        network.predict, scale=normalisation.Scale(1000.0, 100.0))}      # any takes as long
    seconds = voxels = 0
    for number in np.unique(np.linspace(0, len(grid) - 1, values['SAMPLE']).astype(int)):
        core, read, _ = grid.box(int(number), network.halo)
        window = tiling.Window(volume[read], read, shape=volume.shape)
        begun = time.perf_counter()
        result = compute[kind](window, within=core)
        seconds, voxels = seconds + time.perf_counter() - begun, voxels + result.size
    print(voxels / seconds / 1e6)


def parsed(arguments):
    """DEFAULTS with NAME=VALUE arguments."""
    values = dict(DEFAULTS)
    for argument in arguments:
        name, _, text = argument.partition('=')
        if name not in values:
            sys.exit('error: %s: want one of %s' % (argument, ', '.join(DEFAULTS)))
        values[name] = text if isinstance(values[name], str) else ast.literal_eval(text)
    return values


def main():
    values = parsed(sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.abspath(values['FOLDER'] or scratch)
        os.makedirs(folder, exist_ok=True)
        shape, found = tuple(values['SHAPE']), {}
        half = (shape[0] // 2,) + shape[1:]
        runs = [('predict', half), ('predict', shape), ('refine', tuple(values['REFINED']))]
        if values['TWICE']:
            runs.append(('predict', (2 * shape[0],) + shape[1:]))
        for kind, sides in runs:
            path = write_volume(folder, sides)
            before = alone(kind, path, values=values)
            rate, waiting, peak = streamed(kind, path, values=values)
            own = (before + alone(kind, path, values=values)) / 2
            found[kind, sides] = rate / own, peak
            print('%-8s %-18s %7.3f Mvoxel/s, alone %7.3f: %5.2f of it; %2.0f %% waiting; %5.2f GB '
                  'at most' % (kind, ' x '.join(map(str, sides)), rate, own, rate / own,
                               100 * waiting, peak))
            sys.stdout.flush()
    print('result: rate_ratio=%.3f peak_gb=%.3f peak_gb_half_size=%.3f refine_rate_ratio=%.3f '
          'refine_peak_gb=%.3f' % (found['predict', shape] + (found['predict', half][1],)
                                   + found['refine', tuple(values['REFINED'])]))


if __name__ == '__main__':
    if sys.argv[1:2] == ['alone']:
        kind_, path_, values_ = json.loads(sys.argv[2])
        measure_alone(kind_, path_, values=values_)
    else:
        main()
