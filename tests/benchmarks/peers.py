"""Other tracers beside this one: single simulated neurons, the same masks, the same truth.

Rivulet2 (rivuletpy), skan and kimimaro trace each mask in environments of their own, which
docs/reconstruction.md says how to make. A peer whose environment is missing is left out with one
line. Masks are the true label, and those of models/pretrained/universal at noise x 1 and x 3.

Writes  FOLDER/NAME.npy, NAME.METHOD.swc, peers.md, peers.csv; FOLDER=None: a temporary folder
Run     python tests/benchmarks/peers.py FOLDER=results/peers NEURONS=5 SEED=2028
        RIVULET= and SKELETONS= name the Python of an environment; SECONDS=300 for each mask
"""
import os
import sys
import tempfile
from collections import namedtuple
from types import SimpleNamespace

for variable in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(variable, '1')

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests', 'benchmarks')]

import numpy as np                                              # noqa: E402
from _neurons import simulate                                   # noqa: E402
from _peers import commands, own, peer                          # noqa: E402

from utils.common import config, files                          # noqa: E402
from utils.score import tables, traces                          # noqa: E402
from utils.trace.evidence import CERTAIN                        # noqa: E402

DEFAULTS = {'FOLDER': None, 'NEURONS': '2', 'SEED': '2028', 'SECONDS': '300',
            'RIVULET': os.path.join(ROOT, '.venv-rivulet', 'bin', 'python'),
            'SKELETONS': os.path.join(ROOT, '.venv-skeletons', 'bin', 'python')}
SIMULATED = ('PRIORS=None', 'VOXEL_SIZE=1,1,1', 'VOLUME_SHAPE=128,128,128', 'AXON_SHARE=0',
             'DENSITY=0', 'BRANCH_LENGTH=20,32', 'SOMA_RADIUS=4,6', 'TORTUOSITY=1.06',
             'LEVEL=600,2000', 'LEVEL_SPREAD=0.2', 'PSF_SIGMA=1.5,0.8,0.8', 'OFFSET=200.0')
NOISE = (1.0, 3.0)               # times the camera noise of the demo's phantom
MASKS = ('true label',) + tuple('network, noise x %g' % noise for noise in NOISE)
OWN = 'this tracer'
MAP = 'this tracer, probability map'
COLUMNS = ('length_f1', 'length_recall', 'length_precision', 'cn_f1', 'cn_recall', 'cn_precision')

# mask: uint8 {0, 1} [Z, Y, X]; probability: uint8, 255 certain, or None; gold: swc.Tree
Case = namedtuple('Case', 'name mask probability gold')


def arguments():
    values = dict(DEFAULTS)
    for argument in sys.argv[1:]:
        name, _, value = argument.partition('=')
        if name not in values or not value:
            raise SystemExit('error: %s: arguments are %s'
                             % (argument, ', '.join(n + '=' for n in values)))
        values[name] = None if value == 'None' else value
    whole = {name: int(values[name]) for name in ('NEURONS', 'SEED', 'SECONDS')}
    return SimpleNamespace(**dict(values, **whole))


# --- masks ---

def neurons(count, seed):
    """Yield (number, noise, image, label, gold); a neuron is the same at each noise."""
    camera = vars(config.load('configs/demo/phantom.py', []))
    constants = vars(config.load('configs/simulator.py', list(SIMULATED)))
    for i, child in enumerate(np.random.SeedSequence(seed).spawn(count)):
        for noise in NOISE:
            noisy = {'GAIN': camera['GAIN'] * noise ** 2,
                     'READ_NOISE': camera['READ_NOISE'] * noise}
            image, label, gold, _ = simulate(dict(constants, **noisy),
                                             np.random.default_rng(child))
            yield i + 1, noise, image, label, gold


def cases(args):
    """All (title of MASKS, Case)."""
    from utils.train.segmenter import Segmenter, mask_of        # TensorFlow
    cfg, found = config.load('configs/segmentation.py', []), []
    with Segmenter(os.path.join(ROOT, 'models', 'pretrained', 'universal'), threads=1,
                   tile=cfg.TILE_SHAPE, mirrors=cfg.MIRRORS) as network:
        for i, noise, image, label, gold in neurons(args.NEURONS, args.SEED):
            if noise == NOISE[0]:
                found.append((MASKS[0], Case('%d_label' % i, label.astype(np.uint8), None, gold)))
            chance = network.predict(image)
            mask = mask_of(chance, cfg.PROBABILITY_THRESHOLD, smallest=cfg.MIN_OBJECT)
            found.append(('network, noise x %g' % noise,
                          Case('%d_noise_%g' % (i, noise), mask.astype(np.uint8), chance, gold)))
    return found


# --- scores ---

def run(args, folder):
    """{(mask, method): list of scores with 'seconds' and 'failed'}."""
    programs, titled, found = commands(args), cases(args), {}
    made = [case for _, case in titled]
    results = {OWN: [own(case, evidence=case.mask * np.uint8(CERTAIN)) for case in made],
               MAP: [case.probability is not None and own(case, evidence=case.probability)
                     for case in made]}
    for method, command in programs.items():
        results[method] = peer(made, command, method=method, args=args, folder=folder)
    for method, each in results.items():
        for (title, case), result in zip(titled, each):
            if result:
                found.setdefault((title, method), []).append(scores(case, result, method=method))
    return found


def scores(case, result, *, method):
    """Scores of a result (tree or None, seconds or None); dict."""
    tree, seconds = result
    values = traces.score(case.gold, tree, metrics=('length', 'cn'),
                          name='%s, %s' % (case.name, method))
    print('%s, %s: length F1 %.3f, critical nodes F1 %.3f, %s s' % (
        case.name, method, values['length_f1'], values['cn_f1'],
        'no' if seconds is None else '%.1f' % seconds), flush=True)
    return dict(values, seconds=np.nan if seconds is None else seconds, failed=tree is None)


def write(folder, found):
    """Write peers.csv, a row for each tree, and peers.md; the Markdown text."""
    tables.write_csv(os.path.join(folder, 'peers.csv'), [
        dict(row, mask=title, method=method, neuron=i + 1)
        for (title, method), rows in found.items() for i, row in enumerate(rows)],
        columns=('mask', 'method', 'neuron') + COLUMNS + ('seconds', 'failed'))
    head = ('mask', 'method') + COLUMNS + ('seconds', 'trees')
    lines = ['| %s |' % ' | '.join(head), '|' + ' --- |' * len(head)]
    for title in MASKS:
        for (mask, method), rows in found.items():
            if mask == title:
                cells = ['%.3f' % np.mean([row[c] for row in rows]) for c in COLUMNS]
                done = [row['seconds'] for row in rows if not row['failed']]
                cells += ['%.1f' % np.mean(done) if done else '',
                          '%d of %d' % (len(done), len(rows))]
                lines.append('| %s |' % ' | '.join([title, method] + cells))
    text = '\n'.join(lines) + '\n'
    files.write_text(os.path.join(folder, 'peers.md'), text)
    return text


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.FOLDER or temporary
        os.makedirs(folder, exist_ok=True)
        found = run(args, folder)
        print('\n' + write(folder, found))
    words = {OWN: 'own', 'Rivulet2': 'rivulet', 'skan': 'skan', 'kimimaro': 'kimimaro'}
    result = {'neurons': args.NEURONS}
    for number, title in enumerate(MASKS):
        for method, word in words.items():
            for column in ('length_f1', 'cn_f1'):
                if (title, method) in found:
                    result['%s_%s_%d' % (word, column, number)] = np.mean(
                        [row[column] for row in found[title, method]])
    print('result: ' + ' '.join('%s=%.4g' % item for item in result.items()))


if __name__ == '__main__':
    main()
