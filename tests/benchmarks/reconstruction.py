"""Traces against the truth, of held-out phantom and simulated stacks, over noise.

The same tracer and constants (configs/reconstruction.py) run on OTSU of the raw stack, OTSU of
the flattened and smoothed one, Sato's ridge filter, the single threshold that fits the true label
best (oracle; of the raw and of the smoothed stack), a segmentation network's probability maps,
and the true label itself, which bounds what masks can give. Noise is the phantom's own, and up to
ten times as much.

Reads   RUN_DIR                          of 3_segmentation.py; without it there is no network row
        FOLDER/masks/NAME.prob.tif       probability maps that are there already
Writes  FOLDER/images/NAME.tif, FOLDER/masks/NAME.prob.tif, FOLDER/benchmark.md, benchmark.csv;
        FOLDER=None: into a temporary folder
Run     python tests/benchmarks/reconstruction.py FOLDER=results/reconstruction STACKS=2
        python make_figures.py FIGURES=reconstruction       (reads RESULTS/reconstruction)
"""
import os
import sys
import tempfile
import time
from collections import namedtuple
from types import SimpleNamespace

for variable in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(variable, '1')

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests', 'benchmarks')]

import numpy as np                                              # noqa: E402
from _neurons import phantom, simulate                          # noqa: E402
from scipy import ndimage                                       # noqa: E402

from utils.common import config, files                          # noqa: E402
from utils.common.errors import UserError                       # noqa: E402
from utils.data import stacks                                   # noqa: E402
from utils.measure import otsu                                  # noqa: E402
from utils.score import masks, tables, traces                   # noqa: E402
from utils.trace import evidence, tracing                       # noqa: E402
from utils.trace.evidence import CERTAIN, Evidence              # noqa: E402
from utils.trace.settings import Settings                       # noqa: E402

SEED = 90210                              # no other run's: the demo's are 2022 and 1
NOISE = (1.0, 3.0, 10.0)                  # times the phantom's noise, photons' and camera's
KINDS = 'phantom', 'simulated'
SHOWN = ('length_f1', 'length_recall', 'length_precision', 'esa', 'pds')
OTSU, SMOOTHED, RIDGE = 'OTSU, raw', 'OTSU, smoothed', 'ridge filter'
PLAIN = OTSU, SMOOTHED, RIDGE, 'oracle, raw', 'oracle, smoothed'        # without a network
METHODS = PLAIN + ('network', 'true label')
SIMULATED = ('PRIORS=None', 'VOLUME_SHAPE=128,192,160', 'BRANCH_LENGTH=25,40', 'DENSITY=0.0006',
             'TORTUOSITY=1.06', 'LEVEL=300,1000', 'LEVEL_SPREAD=0.2', 'PSF_SIGMA=1.0,0.5,0.5',
             'OFFSET=200.0')

# image: uint16 [Z, Y, X]; label: bool or {0, 1}, same shape; gold: swc.Tree; voxel_size: um
Case = namedtuple('Case', 'kind noise name image label gold voxel_size')


def arguments():
    values = {'FOLDER': None, 'RUN_DIR': os.path.join(ROOT, 'runs', 'segmentation'), 'STACKS': '2'}
    for argument in sys.argv[1:]:
        name, _, value = argument.partition('=')
        if name not in values or not value:
            raise SystemExit('error: %s: arguments are FOLDER=, RUN_DIR= and STACKS=' % argument)
        values[name] = None if value == 'None' else value
    return SimpleNamespace(**dict(values, STACKS=int(values['STACKS'])))


# --- stacks ---

def cases(count):
    """Yield `count` Cases of each kind and noise; a neuron is the same at each noise."""
    own = vars(config.load('configs/demo/phantom.py', []))
    simulated = vars(config.load('configs/simulator.py', list(SIMULATED)))
    for noise in NOISE:
        camera = dict(GAIN=own['GAIN'] * noise ** 2, READ_NOISE=own['READ_NOISE'] * noise)
        for i, seed in enumerate(np.random.SeedSequence(SEED).spawn(2 * count)):
            kind, rng = KINDS[i // count], np.random.default_rng(seed)
            name = '%s_%g_%d' % (kind, noise, i % count + 1)
            if kind == 'phantom':
                made = phantom(dict(own, **camera), rng)
            else:
                made = simulate(dict(simulated, AXON_SHARE=float(i % 2), **camera), rng)
            yield Case(kind, noise, name, *made)


# --- evidence ---

def predict(made, *, folder, run_dir):
    """Write FOLDER/masks/NAME.prob.tif where they are missing; the folder, or None without any."""
    paths = [os.path.join(folder, 'masks', case.name + '.prob.tif') for case in made]
    missing = [(case, path) for case, path in zip(made, paths) if not os.path.exists(path)]
    if missing and not os.path.isdir(run_dir):
        print('no network row: there is no %s: train one first' % run_dir)
        return None
    if missing:
        from utils.train.segmenter import Segmenter            # TensorFlow, only where it is needed
        cfg = config.load('configs/segmentation.py', [])
        with Segmenter(run_dir, threads=cfg.THREADS, tile=cfg.TILE_SHAPE,
                       mirrors=cfg.MIRRORS) as network:
            for case, path in missing:
                stacks.write(path, network.predict(case.image, case.name), compress=True,
                             voxel_size=case.voxel_size)
    return os.path.join(folder, 'masks')


def best_threshold(image, label):
    """Evidence of the single threshold that fits a label best."""
    threshold = masks.best_dice(image, label)[1]
    return Evidence((image >= threshold).astype(np.uint8) * CERTAIN, 0.5, 0.5)


def ways(case, cfg, *, maps):
    """Yield (method, Evidence). maps: folder of probability maps, or None."""
    for method, title in (('otsu', OTSU), ('gaussian', SMOOTHED), ('ridge', RIDGE)):
        yield title, Evidence(evidence.of_grey_levels(
            case.image, method, settings=config.pick(cfg, otsu.Settings),
            ridge_sigmas=cfg.RIDGE_SIGMAS, name=case.name), 0.5, 0.5)
    smooth = ndimage.gaussian_filter(case.image.astype(np.float32), cfg.SMOOTH_SIGMA)
    yield PLAIN[3], best_threshold(case.image, case.label)
    yield PLAIN[4], best_threshold(smooth, case.label)
    if maps:
        found = stacks.read(os.path.join(maps, case.name + '.prob.tif')).voxels
        yield 'network', Evidence(found, cfg.LOW, cfg.HIGH)
    yield 'true label', Evidence(case.label.astype(np.uint8) * CERTAIN, cfg.LOW, cfg.HIGH)


# --- scores ---

def run(args, folder):
    """Trace and score all; dict, (kind, method, noise) -> mean scores."""
    cfg = config.load(('configs/reconstruction.py', 'configs/otsu.py'), [])
    made = list(cases(args.STACKS))
    for case in made:
        stacks.write(os.path.join(folder, 'images', case.name + '.tif'), case.image,
                     voxel_size=case.voxel_size)
    maps = predict(made, folder=folder, run_dir=args.RUN_DIR)
    found, begun = {}, time.time()
    for case in made:
        spacing = stacks.spacing_of(case.voxel_size)
        for method, given in ways(case, cfg, maps=maps):
            try:
                tree = tracing.trace(given.voxels, spacing, settings=config.pick(cfg, Settings),
                                     low=given.low, high=given.high, name=case.name,
                                     image=(lambda: case.image) if method == 'network' else None)
            except UserError:                     # nothing to trace
                tree = None
            values = traces.score(case.gold, tree, spacing=spacing, metrics=('length',))
            found.setdefault((case.kind, method, case.noise), []).append(values)
        print('%s: %.0f s' % (case.name, time.time() - begun), flush=True)
    return {key: traces.mean(values) for key, values in found.items()}


def write(folder, means):
    """Write benchmark.md and benchmark.csv; the Markdown text."""
    text = ''
    for kind in KINDS:
        text += tables.markdown(
            [('%s, %s, noise x %g' % (kind, method, noise), means[kind, method, noise])
             for method in METHODS for noise in NOISE if (kind, method, noise) in means],
            SHOWN) + '\n'
    files.write_text(os.path.join(folder, 'benchmark.md'), text)
    tables.write_csv(os.path.join(folder, 'benchmark.csv'),
                     [dict(values, stacks=kind, method=method, noise=str(noise))
                      for (kind, method, noise), values in means.items()],
                     columns=('stacks', 'method', 'noise') + SHOWN)
    return text


def summary(means):
    """What the last line says; dict of numbers, of phantoms."""
    def f1(method, noise=NOISE[0]):
        return means['phantom', method, noise]['length_f1']

    def mean(method):
        return np.mean([f1(method, noise) for noise in NOISE])

    def cost(method):
        return f1(method) - f1(method, NOISE[-1])

    plain = max(PLAIN, key=mean)
    result = {'label_f1': f1('true label'), 'otsu_f1': f1(OTSU), 'smoothed_otsu_f1': f1(SMOOTHED),
              'best_plain_f1': f1(plain), 'best_plain_mean': mean(plain),
              'otsu_cost': cost(SMOOTHED)}
    if ('phantom', 'network', NOISE[0]) in means:
        result.update(network_f1=f1('network'), network_mean=mean('network'),
                      network_cost=cost('network'))
    return result


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.FOLDER or temporary
        means = run(args, folder)
        print('\n' + write(folder, means))
    result = dict(stacks=args.STACKS, **summary(means))
    print('result: ' + ' '.join('%s=%.4g' % item for item in result.items()))


if __name__ == '__main__':
    main()
