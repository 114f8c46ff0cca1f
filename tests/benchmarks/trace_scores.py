"""Step 4 with GOLD on simulated dendrites, axons and phantom stacks of random seeds.

4_reconstruction.py traces the true labels, and the stacks themselves by OTSU, and scores both. It
must reach the end; what it leaves blank has a reason, and is counted. Nothing is chosen by these
seeds.

Writes  FOLDER/labels, images, swc, traces_labels, traces_images; FOLDER=None: a temporary folder
Run     python tests/benchmarks/trace_scores.py STACKS=50 SEED=711
"""
import csv
import os
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

for variable in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(variable, '1')

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests', 'benchmarks')]

import numpy as np                                              # noqa: E402
from _neurons import phantom, simulate                          # noqa: E402

from utils.common import config                                 # noqa: E402
from utils.data import stacks, swc                              # noqa: E402
from utils.score import traces                                  # noqa: E402

KINDS = 'dendrite', 'axon', 'phantom'     # one after the other
SIMULATED = ('PRIORS=None', 'VOXEL_SIZE=1,1,1', 'VOLUME_SHAPE=128,256,128')
SHOWN = 'length_f1', 'cn_f1', 'diadem', 'esa'


def arguments():
    values = {'FOLDER': None, 'STACKS': '50', 'SEED': '711'}
    for argument in sys.argv[1:]:
        name, _, value = argument.partition('=')
        if name not in values or not value:
            raise SystemExit('error: %s: arguments are FOLDER=, STACKS= and SEED=' % argument)
        values[name] = None if value == 'None' else value
    return SimpleNamespace(**dict(values, STACKS=int(values['STACKS']), SEED=int(values['SEED'])))


def make(folder, *, count, seed):
    """Write the stacks, their labels and their trees."""
    own = vars(config.load('configs/demo/phantom.py', []))
    simulated = vars(config.load('configs/simulator.py', list(SIMULATED)))
    for i, child in enumerate(np.random.SeedSequence(seed).spawn(count)):
        rng, kind = np.random.default_rng(child), KINDS[i % len(KINDS)]
        if kind == 'phantom':
            image, label, gold, size = phantom(own, rng)
        else:                                # every second one alone, the others among fibres
            image, label, gold, size = simulate(dict(
                simulated, AXON_SHARE=float(kind == 'axon'), DENSITY=0.0008 * (i % 2)), rng)
        name = '%02d_%s' % (i + 1, kind)
        stacks.write(os.path.join(folder, 'images', name + '.tif'), image, voxel_size=size)
        stacks.write(os.path.join(folder, 'labels', name + '.mask.tif'), label.astype(np.uint8),
                     voxel_size=size, compress=True)
        swc.write(os.path.join(folder, 'swc', name + '.swc'), gold, one_root=False)


def run(folder, what):
    """Run step 4 on a kind of input; (exit status, rows of scores.csv, seconds)."""
    begun, output = time.time(), os.path.join(folder, 'traces_' + what)
    status = subprocess.call(
        [sys.executable, os.path.join(ROOT, '4_reconstruction.py'), 'OUTPUT=' + output,
         'INPUT=' + os.path.join(folder, what), 'GOLD=' + os.path.join(folder, 'swc')])
    path = os.path.join(output, 'scores.csv')
    if not os.path.exists(path):
        return status, [], time.time() - begun
    with open(path, newline='', encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['stack'] != 'mean']
    return status, rows, time.time() - begun


def blanks(rows):
    """(scores that are blank, stacks with a blank and no remark)."""
    empty = [[row[column] in ('', 'nan') for column in traces.COLUMNS] for row in rows]
    return (sum(map(sum, empty)),
            sum(any(gone) and not row['remarks'] for gone, row in zip(empty, rows)))


def main():
    args, result = arguments(), {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.FOLDER or temporary
        make(folder, count=args.STACKS, seed=args.SEED)
        for what in ('labels', 'images'):
            status, rows, seconds = run(folder, what)
            blank, silent = blanks(rows)
            result.update({what + '_status': status, what + '_scored': len(rows),
                           what + '_blank': blank, what + '_silent': silent,
                           what + '_seconds': seconds})
            for column in SHOWN:
                result['%s_%s' % (what, column)] = np.nanmean(
                    [float(row[column] or 'nan') for row in rows] or [float('nan')])
    print('result: stacks=%d ' % args.STACKS +
          ' '.join('%s=%.4g' % item for item in result.items()))


if __name__ == '__main__':
    main()
