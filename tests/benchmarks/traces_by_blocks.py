"""Traces of a volume block by block beside those of the whole: the same trees; time and memory.

Each trace is made by 4_reconstruction.py in a process of its own, whose peak memory the system
tells. The whole is also traced mirrored: what differs then is the tracer's own play, where two ways
are as good, and no block's doing. Masks are true labels of a phantom and of a draft, and OTSU's of
a real stack. For the memory, copies of the phantom lie one upon the other, SIDES times.

Reads   REAL                             a stack; left out where it is not there
Writes  FOLDER: masks in OME-Zarr, traces; without it into a temporary folder
Run     python tests/benchmarks/traces_by_blocks.py
        python tests/benchmarks/traces_by_blocks.py CASES=real BLOCK_SHAPE=256,256,256
"""
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
from scipy.spatial import cKDTree                               # noqa: E402

from utils.common import config                                 # noqa: E402
from utils.data import stacks, swc                              # noqa: E402
from utils.measure import otsu                                  # noqa: E402
from utils.score import traces                                  # noqa: E402

DEFAULTS = dict(
    FOLDER='', CASES='phantom,draft,real,memory',
    REAL=os.path.join(ROOT, '..', 'shared', 'data', 'trailmap', 'axons_303x303x303.tif'),
    BLOCK_SHAPE=(128, 128, 128), BLOCK_HALO=32, SIDES=4)
CONFIGS = {'phantom': 'configs/demo/phantom.py', 'draft': 'configs/simulator.py'}
SHAPES = {'phantom': (96, 320, 320), 'draft': (96, 256, 256)}
# starts a command, then tells its peak memory, KB: a child of this process would count this one's
LAUNCH = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
SAME = 2.0               # x voxels: cable so near is the same


def arguments():
    """DEFAULTS with the command line's values."""
    values = dict(DEFAULTS)
    for word in sys.argv[1:]:
        name, text = word.split('=', 1)
        values[name] = config.parse_value(name, text, default=DEFAULTS[name])
    return SimpleNamespace(**values)


def mask_of(case, args):
    """(uint8 {0, 1} [Z, Y, X], voxel size) of a case; None where its stack is not there."""
    if case == 'real':
        if not os.path.exists(args.REAL):
            return None
        real = stacks.read(args.REAL)
        cfg = config.load(('configs/prepare_patches.py', 'configs/otsu.py'), [])
        found = otsu.segment(real.voxels, config.pick(cfg, otsu.Settings))
        return found.mask.astype(np.uint8), real.voxel_size
    source = 'draft' if case == 'draft' else 'phantom'
    constants = config.read_constants(config.rooted(CONFIGS[source]))
    constants.update({'SHAPE': SHAPES[source], 'VOLUME_SHAPE': SHAPES[source], 'PRIORS': None})
    draw = simulate if case == 'draft' else phantom
    _, label, _, size = draw(constants, np.random.default_rng(1))
    label = label.astype(np.uint8)
    return np.concatenate([label] * args.SIDES if case == 'memory' else [label]), size


def trace(path, output, *, whole, args):
    """(swc.Tree, seconds, peak memory in GB) of a mask."""
    limit = 10 ** 12 if whole else 1
    command = [sys.executable, os.path.join(ROOT, '4_reconstruction.py'), 'INPUT=' + path,
               'OUTPUT=' + output, 'WHOLE_UP_TO=%d' % limit, 'BLOCK_HALO=%d' % args.BLOCK_HALO,
               'BLOCK_SHAPE=%d,%d,%d' % tuple(args.BLOCK_SHAPE)]
    begun = time.time()
    told = subprocess.run([sys.executable, '-c', LAUNCH] + command, stdout=subprocess.PIPE,
                          check=True, universal_newlines=True).stdout
    tree = swc.read(os.path.join(output, 'a.swc'))
    return tree, time.time() - begun, int(told) / 1e6


def forks(tree):
    """Number of branch points."""
    children = np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.parent))
    return int((children + (tree.parent >= 0) > 2).sum())


def compared(reference, tree, *, spacing):
    """(F1 of cable within SAME, PyNeval's length F1) of one trace against another."""
    points = [traces.resampled(traces.stretched(one, spacing), 1.0) for one in (reference, tree)]
    shares = [(cKDTree(b).query(a)[0] <= SAME).mean() for a, b in (points, points[::-1])]
    scores = traces.score(reference, tree, spacing=spacing, metrics=('length',))
    return 2 * shares[0] * shares[1] / sum(shares), scores['length_f1']


def measure(case, folder, *, args):
    """Row of a case, a dict; None where its stack is not there."""
    made = mask_of(case, args)
    if made is None:
        return None
    mask, size = made
    spacing, found = stacks.spacing_of(size), {}
    for kind in ('whole', 'blocks', 'mirrored')[:2 if case == 'memory' else 3]:
        path = os.path.join(folder, case + '_' + kind, 'a.mask.ome.zarr')
        voxels = mask[::-1, ::-1, ::-1] if kind == 'mirrored' else mask
        stacks.write(path, np.ascontiguousarray(voxels), voxel_size=size)
        found[kind] = trace(path, os.path.join(folder, case + '_' + kind, 'traces'),
                            whole=kind != 'blocks', args=args)
    row = dict(case=case)
    for kind, (tree, seconds, memory) in found.items():
        if kind == 'mirrored':
            tree = tree._replace(position=np.array(mask.shape) - 1 - tree.position)
        row.update({kind + '_cable': swc.length_of(traces.stretched(tree, spacing)),
                    kind + '_trees': int((tree.parent < 0).sum()), kind + '_forks': forks(tree)})
        if kind != 'mirrored':
            row.update({kind + '_s': seconds, kind + '_gb': memory})
        if kind != 'whole':
            row.update(zip((kind + '_cable_f1', kind + '_length_f1'),
                           compared(found['whole'][0], tree, spacing=spacing)))
    return row


def main():
    args, rows = arguments(), []
    with tempfile.TemporaryDirectory() as temporary:
        for case in args.CASES.split(','):
            row = measure(case, args.FOLDER or temporary, args=args)
            if row:
                rows.append(row)
                print('\n'.join('%-12s %-22s %.5g' % (case, name, value)
                                for name, value in row.items() if name != 'case'), flush=True)
    print('result: ' + ' '.join('%s_%s=%.5g' % (row['case'], name, value) for row in rows
                                for name, value in row.items() if name != 'case'))


if __name__ == '__main__':
    main()
