"""How dense drafts should be to train on: networks of several densities, scored on phantoms.

A phantom kind stands for a user's stacks: step 0 measures two stacks, step 1 draws drafts at
FACTORS times the density that it says (DIM=True: with neurites that it does not see), step 3 trains
on them. The networks are scored at 0.5 on stacks of other seeds: of the same kind, and of one with
CROWDED times as many axons. The truth is the label as networks are taught it (widened; what nobody
could see does not count).

Writes  FOLDER/KIND/stacks, patches, drafts_X, run_X, own, crowded; a rerun does what is missing
Run     python tests/benchmarks/density.py FOLDER=folder FACTORS=1,4 STEPS=400
        python tests/benchmarks/density.py FOLDER=folder FACTORS=1,2 DIM=True
"""
import os
import subprocess
import sys
import tempfile
from types import SimpleNamespace

for variable in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(variable, '1')

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests', 'benchmarks')]

import numpy as np                                              # noqa: E402
from _paper_steps import AUGMENTATIONS                          # noqa: E402

from utils.common import config, files                          # noqa: E402
from utils.data import stacks                                   # noqa: E402
from utils.score import masks, tables                           # noqa: E402
from utils.train import labels, normalisation                   # noqa: E402
from utils.train.segmenter import Segmenter                     # noqa: E402

# phantom kinds: constants of configs/demo/phantom.py
KINDS = {
    'few': ('N_AXONS=9,13', 'LEVEL=600,2000'),           # the demo's: OTSU sees all
    'dim': ('N_AXONS=36,44', 'LEVEL=100,6000'),          # most are dimmer than OTSU's threshold
}
CROWDED = 4                                  # times as many axons
TEST_SHAPE = 'SHAPE=48,128,128'
SHOWN = 'dice', 'precision', 'recall', 'f1_1', 'ap'


def arguments():
    values = {'FOLDER': None, 'KINDS': 'few,dim', 'FACTORS': '1', 'STEPS': '400',
              'DIM': 'False', 'SEEDS': '1', 'AUGMENTED': 'True', 'SEG_ARGS': '', 'NAME': ''}
    for argument in sys.argv[1:]:
        name, _, value = argument.partition('=')
        if name not in values:
            raise SystemExit('error: %s: arguments are %s' % (argument, ', '.join(values)))
        values[name] = value
    return SimpleNamespace(**dict(
        values, KINDS=values['KINDS'].split(','), SEEDS=list(map(int, values['SEEDS'].split(','))),
        FACTORS=list(map(float, values['FACTORS'].split(','))), STEPS=int(values['STEPS']),
        DIM=values['DIM'] == 'True',
        AUGMENTED=values['AUGMENTED'] == 'True', SEG_ARGS=tuple(values['SEG_ARGS'].split())))


def script(target, *words):
    """Run a script of the project unless it has made `target`; its lines go to a log beside it."""
    if os.path.exists(target + '.done'):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + '.log', 'a') as log:
        subprocess.check_call([sys.executable] + list(words), cwd=ROOT, stdout=log, stderr=log)
    files.write_text(target + '.done', '')


def crowded(arguments_):
    """Constants of a phantom with CROWDED times as many axons."""
    few, most = map(int, arguments_[0].split('=')[1].split(','))
    return ('N_AXONS=%d,%d' % (CROWDED * few, CROWDED * most),) + arguments_[1:]


def phantoms(folder, constants, *, seed, count):
    """Draw phantom stacks; their folder."""
    folder = os.path.abspath(folder)
    script(folder, '-m', 'utils.simulate.phantom',
           'OUTPUT=' + folder, 'SEED=%d' % seed, 'N_STACKS=%d' % count, *constants)
    return folder


def drafts(folder, factor, *, dim, seed):
    """Drafts at `factor` times the density of FOLDER/patches/priors.json; their folder."""
    path = os.path.join(folder, 'drafts_%g%s_%d' % (factor, '_dim' * dim, seed))
    script(path, '1_simulator.py', '--config', 'configs/demo/simulator.py', 'WORKERS=1',
           'PRIORS=%s/patches/priors.json' % folder, 'DENSITY_FACTOR=%g' % factor,
           'DIM_NEURITES=%s' % dim, 'PATCH_EVERY=20', 'MAX_PATCHES=60', 'SEED=%d' % seed,
           'OUTPUT=' + path)
    return path


def scores(run, test):
    """Mean scores at 0.5 of a network on the stacks of a phantom folder; dict by SHOWN."""
    known, found = config.load('configs/segmentation.py', []), []
    how = config.pick(known, labels.Settings)
    with Segmenter(run, threads=1) as network:
        for path in stacks.find(os.path.join(test, 'images')):
            voxels = stacks.read(path).voxels
            drawn = stacks.read(os.path.join(test, 'truth', 'labels',
                                             os.path.basename(path))).voxels
            truth = labels.as_seen(drawn, how, own_blur=None)
            deviation = normalisation.deviation(voxels, normalisation.measure(voxels))
            seen = labels.visible_contrast(deviation, truth) >= how.visible_contrast
            valid = ~labels.ignored_rim(truth, how.ignored_rim) & (~truth | seen)
            found.append(masks.score(network.predict(voxels) / 255.0,
                                     masks.Annotation(truth, valid, None)))
    return {name: float(np.mean([one[name] for one in found])) for name in SHOWN}


def main():
    args, rows = arguments(), []
    with tempfile.TemporaryDirectory() as temporary:
        root = os.path.abspath(args.FOLDER or temporary)
        for kind in args.KINDS:
            folder = os.path.join(root, kind)
            real = phantoms(os.path.join(folder, 'stacks'), KINDS[kind], seed=31, count=2)
            script(os.path.join(folder, 'patches'), 'prepare_patches.py', '--config',
                   'configs/demo/prepare_patches.py', 'STACKS=' + os.path.join(real, 'images'),
                   'OUTPUT=' + os.path.join(folder, 'patches'))
            tests = [(name, phantoms(os.path.join(folder, name), how + (TEST_SHAPE,), seed=4711,
                                     count=2))
                     for name, how in (('own', KINDS[kind]), ('crowded', crowded(KINDS[kind])))]
            for factor in args.FACTORS:
                for seed in args.SEEDS:
                    rows.append(one(args, folder, factor=factor, seed=seed, tests=tests))
    print(tables.markdown(rows, [k for k in rows[0][1]], corner='network'))
    print('result: ' + ' '.join('%s=%.3f' % (name.replace(' ', '_'), values['own dice'])
                                for name, values in rows))


def one(args, folder, *, factor, seed, tests):
    """Train and score one network; (its name, scores)."""
    made = drafts(folder, factor, dim=args.DIM, seed=seed)
    how = '%g%s_%d_%d%s%s' % (factor, '_dim' * args.DIM, args.STEPS, seed,
                              '_plain' * (not args.AUGMENTED), args.NAME)
    run = os.path.join(folder, 'run_' + how)
    script(run, '3_segmentation.py', 'PAIRS=' + made, 'RUN_DIR=' + run,
           'MAX_STEPS=%d' % args.STEPS, 'THREADS=1', 'SEED=%d' % seed,
           *AUGMENTATIONS['augmented' if args.AUGMENTED else 'plain'] + args.SEG_ARGS)
    values = {}
    for name, test in tests:
        values.update({'%s %s' % (name, key): value for key, value in scores(run, test).items()})
    row = '%s %s' % (os.path.basename(folder), how)
    print(row, ' '.join('%s=%.3f' % item for item in values.items()), flush=True)
    return row, values


if __name__ == '__main__':
    main()
