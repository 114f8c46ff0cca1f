"""Traces against the truth: phantom and simulated stacks of held-out seeds, from their own noise to ten times as much.

The same tracer and constants (configs/reconstruction.py) run on OTSU of the raw stack, OTSU of the flattened and smoothed
one, Sato's ridge filter, the single threshold that fits the true label best (oracle; of the raw and of the smoothed stack), a
segmentation network's probability maps, and the true label itself, which bounds what masks can give.

Network masks: FOLDER/masks/NAME.prob.tif if they are there, else by 3_segmentation.py STAGE=predict with RUN_DIR.
Run     python tests/benchmarks/reconstruction.py FOLDER=results/reconstruction RUN_DIR=runs/segmentation STACKS=2
        python make_figures.py FIGURES=reconstruction         (RESULTS/reconstruction/benchmark.csv)
Writes  FOLDER/images/NAME.tif, FOLDER/benchmark.md, benchmark.csv; FOLDER=None: into a temporary folder
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
sys.path.insert(0, ROOT)

import numpy as np                        # noqa: E402
from scipy import ndimage                 # noqa: E402

from utils.common import config, files   # noqa: E402
from utils.common.errors import UserError   # noqa: E402
from utils.data import stacks, swc  # noqa: E402
from utils.measure import otsu   # noqa: E402
from utils.score import masks, tables, traces   # noqa: E402
from utils.simulate import drafts, priors, settings  # noqa: E402
from utils.simulate.phantom import settings as phantom_settings  # noqa: E402
from utils.simulate.phantom.stack import render  # noqa: E402
from utils.trace import evidence, tracing  # noqa: E402

SEED = 90210                              # no other run's: the demo's are 2022 and 1
NOISE = (1.0, 3.0, 10.0)                  # times the phantom's noise, photons' and camera's
SHOWN = ('length_f1', 'length_recall', 'length_precision', 'esa', 'pds')
PLAIN = 'OTSU, raw', 'OTSU, smoothed', 'ridge filter', 'oracle, raw', 'oracle, smoothed'      # without a network
SIMULATED = ('PRIORS=None', 'VOLUME_SHAPE=128,192,160', 'BRANCH_LENGTH=25,40', 'DENSITY=0.0006', 'TORTUOSITY=1.06',
             'LEVEL=300,1000', 'LEVEL_SPREAD=0.2', 'PSF_SIGMA=1.0,0.5,0.5', 'OFFSET=200.0')


def arguments():
    values = {'FOLDER': None, 'RUN_DIR': os.path.join(ROOT, 'runs', 'segmentation'), 'STACKS': '2'}
    for argument in sys.argv[1:]:
        name, _, value = argument.partition('=')
        if name not in values or not value:
            raise SystemExit('error: %s: arguments are FOLDER=, RUN_DIR= and STACKS=' % argument)
        values[name] = None if value == 'None' else value
    return SimpleNamespace(**dict(values, STACKS=int(values['STACKS'])))


def make(count):
    """Yield (kind, noise, name, image, label, gold, voxel size); a neuron is the same at each noise."""
    own = config.load('configs/demo/phantom.py', [])
    simulated = config.load('configs/simulator.py', list(SIMULATED))
    for noise in NOISE:
        camera = dict(GAIN=own.GAIN * noise ** 2, READ_NOISE=own.READ_NOISE * noise)
        for i, seed in enumerate(np.random.SeedSequence(SEED).spawn(2 * count)):
            kind = 'phantom' if i < count else 'simulated'
            name, rng = '%s_%g_%d' % (kind, noise, i % count + 1), np.random.default_rng(seed)
            if kind == 'phantom':
                cfg = SimpleNamespace(**dict(vars(own), **camera))
                groups = [config.pick(cfg, group) for group in phantom_settings.GROUPS]
                made = render(phantom_settings.Settings(*groups), rng=rng)
                yield kind, noise, name, made.image, made.label, swc.join(made.trees), own.VOXEL_SIZE
            else:
                cfg = SimpleNamespace(**dict(vars(simulated), AXON_SHARE=float(i % 2), **camera))
                groups = [config.pick(cfg, group) for group in settings.GROUPS]
                values = settings.resolve(settings.Settings(*groups), None)
                prior = priors.of(values.stack, values.neuron, measured=None)
                made = drafts.draw(values, prior, rng=rng)
                yield (kind, noise, name, made.image, made.label > 0, made.tree,
                       values.stack.voxel_size)


def predicted(args, folder):
    """Folder of the network's probability maps, or None, said in one line."""
    masks = os.path.join(folder, 'masks')
    script = os.path.join(ROOT, '3_segmentation.py')
    if os.path.isdir(masks) and any(name.endswith('.prob.tif') for name in os.listdir(masks)):
        return masks
    if not os.path.exists(script) or not os.path.isdir(args.RUN_DIR):
        print('no network row: there is no %s' % (script if not os.path.exists(script) else args.RUN_DIR + ': train one first'))
        return None
    subprocess.run([sys.executable, script, 'STAGE=predict', 'INPUT=' + os.path.join(folder, 'images'), 'OUTPUT=' + masks,
                    'RUN_DIR=' + args.RUN_DIR], check=True, stdout=subprocess.DEVNULL)
    return masks


def best_threshold(image, label):
    threshold = masks.best_dice(image, label)[1]
    return (image >= threshold).astype(np.uint8) * np.uint8(255)


def ways(cfg, image, *, label, masks, name):
    """Yield (method, uint8 evidence, low, high)."""
    settings = config.pick(cfg, otsu.Settings)
    for method, title in (('otsu', PLAIN[0]), ('gaussian', PLAIN[1]), ('ridge', PLAIN[2])):
        yield title, evidence.of_grey_levels(image, method, settings=settings, ridge_sigmas=cfg.RIDGE_SIGMAS, name=name), 0.5, 0.5
    yield PLAIN[3], best_threshold(image, label), 0.5, 0.5
    yield PLAIN[4], best_threshold(ndimage.gaussian_filter(image.astype(np.float32), cfg.SMOOTH_SIGMA), label), 0.5, 0.5
    if masks:
        yield 'network', stacks.read(os.path.join(masks, name + '.prob.tif')).voxels, cfg.LOW, cfg.HIGH
    yield 'true label', label.astype(np.uint8) * np.uint8(255), cfg.LOW, cfg.HIGH


def run(args, folder):
    cfg = config.load(('configs/reconstruction.py', 'configs/otsu.py'), [])
    made = list(make(args.STACKS))
    for _, _, name, image, _, _, size in made:
        stacks.write(os.path.join(folder, 'images', name + '.tif'), image, voxel_size=size)
    masks = predicted(args, folder)
    found, begun = {}, time.time()
    for kind, noise, name, image, label, gold, size in made:
        spacing = np.array(size) / size[2]
        for method, given, low, high in ways(cfg, image, label=label, masks=masks, name=name):
            try:
                tree = tracing.trace(given, spacing, low=low, high=high, values=cfg, name=name)
            except UserError:                     # nothing to trace
                tree = None
            found.setdefault((kind, method, noise), []).append(traces.score(gold, tree, spacing=spacing, metrics=('length',)))
        print('%s: %.0f s' % (name, time.time() - begun), flush=True)
    return {key: traces.mean(values) for key, values in found.items()}


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.FOLDER or temporary
        means = run(args, folder)
        methods = [m for m in PLAIN + ('network', 'true label') if ('phantom', m, NOISE[0]) in means]
        text = ''
        for kind in ('phantom', 'simulated'):
            rows = [('%s, %s, noise x %g' % (kind, m, noise), means[kind, m, noise]) for m in methods for noise in NOISE]
            text += tables.markdown(rows, SHOWN) + '\n'
        print('\n' + text)
        with files.whole_file(os.path.join(folder, 'benchmark.md')) as partial:
            with open(partial, 'w') as file:
                file.write(text)
        with files.whole_file(os.path.join(folder, 'benchmark.csv')) as partial:
            with open(partial, 'w', newline='') as file:
                csv.writer(file).writerows([('stacks', 'method', 'noise') + SHOWN] + [
                    key + tuple('%.5f' % values[column] for column in SHOWN) for key, values in means.items()])

    def f1(method, noise):
        return means['phantom', method, noise]['length_f1']

    plain = max(PLAIN, key=lambda m: np.mean([f1(m, noise) for noise in NOISE]))
    result = {'stacks': args.STACKS, 'label_f1': f1('true label', 1.0),
              'otsu_f1': f1(PLAIN[0], 1.0), 'smoothed_otsu_f1': f1(PLAIN[1], 1.0),
              'best_plain_f1': f1(plain, 1.0), 'best_plain_mean': np.mean([f1(plain, noise) for noise in NOISE]),
              'otsu_cost': f1(PLAIN[1], NOISE[0]) - f1(PLAIN[1], NOISE[-1])}
    if 'network' in methods:
        result.update(network_f1=f1('network', 1.0), network_mean=np.mean([f1('network', noise) for noise in NOISE]),
                      network_cost=f1('network', NOISE[0]) - f1('network', NOISE[-1]))
    print('result: ' + ' '.join('%s=%.4g' % item for item in result.items()))


if __name__ == '__main__':
    main()
