"""The weight of the label-preserving term: labels kept against realism. Weight 0 is SimGAN.

Each weight trains a refiner of its own on the same drafts; a critic is trained to tell what it
makes from real patches.

Reads   REAL       real patches (prepare_patches.py)
        DRAFTS     folder of drafts (1_simulator.py)
Writes  RUNS/      a refiner and refined patches for each weight, critics, jobs/
        RESULTS/label_weight.csv, label_weight.md, label_weight.png
Run     python tests/benchmarks/label_weight.py       what the scripts left in data/, or nothing
        python tests/benchmarks/label_weight.py REAL=real.h5 DRAFTS=drafts REFINER_STEPS=600 SEEDS=2
        goes on where it was
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), HERE]

import numpy as np                                  # noqa: E402

import _jobs                                        # noqa: E402
import _paper_steps as steps                        # noqa: E402
import _paper_tables as results                     # noqa: E402
from utils.common import claims, errors, files      # noqa: E402
from utils.common.errors import UserError           # noqa: E402
from utils.draw import comparison as figures        # noqa: E402
from utils.score import tables                      # noqa: E402

DEFAULTS = {
    'REAL': 'data/patches/real.h5', 'DRAFTS': 'data/simulated', 'RUNS': 'runs/label_weight',
    'RESULTS': 'results', 'WEIGHTS': '0,0.5,5,20,50', 'SEEDS': '1', 'REFINER_STEPS': '600',
    'CRITIC_STEPS': '800', 'THREADS': '1', 'CONFIG': 'configs/demo/mpgan.py',
    'ARGS': ''}                      # more constants of 2_mpgan.py, NAME=VALUE joined by blanks
MAY_CHANGE = ('RUNS', 'RESULTS', 'WEIGHTS', 'SEEDS', 'THREADS', 'CRITIC_STEPS')
SHOWN = dict([('inside', 'grey levels inside, W1 to real')] + [      # panels, where rows differ
    (name, results.KEPT[name]) for name in ('dice', 'cldice', 'invented_length', 'lost')])
REALISM = {'critic': "critic's accuracy (0.5: none is told from real)",
           'spectra': 'spectra: mean distance to real (log10)'}
DRAFTS = 'drafts'                    # in place of a weight


def refine(given, weight, *, seed, jobs):
    """Train a refiner and refine the drafts' patches for a critic.

    Returns:
        (training's folder, patch file; without critics it is not made).
    """
    name = 'weight-%s-%d' % (weight, seed)
    run_dir, output = [os.path.join(given['RUNS'], kind, name) for kind in ('refiners', 'refined')]
    common = ['--config', given['CONFIG'], 'EVALUATION_PATCHES=48'] + given['ARGS'].split() + [
        'EVALUATE_EVERY=%s' % given['REFINER_STEPS'], 'MAX_STEPS=%s' % given['REFINER_STEPS'],
        'LAMBDA_LABEL=%s' % weight, 'SEED=%d' % seed, 'CHECKPOINT=newest', 'RUN_DIR=%s' % run_dir,
        'REAL_PATCHES=%s' % given['REAL'], 'DRAFTS=%s' % given['DRAFTS'],
        'THREADS=%s' % given['THREADS']]
    target = os.path.join(output, 'patches.h5')
    key = [steps.digest_of(given['REAL']), steps.digest_of(drafts_of(given))]
    for kind, more, made in (
            ('refiner', ['STAGE=train'], os.path.join(run_dir, 'checkpoints')),
            ('refining', ['STAGE=refine', 'WHOLE_STACKS=False', 'OUTPUT=%s' % output], target),
    )[:1 + (int(given['CRITIC_STEPS']) > 0)]:
        key = [jobs.script(name, ['2_mpgan.py'] + common + more, kind=kind, inputs=key, target=made,
                           constants=steps.constants_of('configs/mpgan.py', common + more))]
    return run_dir, target


def drafts_of(given):
    """Patch file of the drafts."""
    return os.path.join(given['DRAFTS'], 'patches.h5')


def told(given, name, *, path, seed, jobs):
    """Accuracy of a critic (texture) trained to tell a patch file from the real patches."""
    if int(given['CRITIC_STEPS']) == 0:
        return float('nan')
    output = os.path.join(given['RUNS'], 'critics', name + '.json')
    arguments = [given['REAL'], path, str(seed), given['THREADS'], output, given['CRITIC_STEPS'],
                 'texture']
    jobs.script(name, [os.path.join('tests', 'benchmarks', '_judge.py')] + arguments,
                kind='critic', constants=arguments,
                inputs=[steps.digest_of(given['REAL']), steps.digest_of(path)], target=output)
    return files.read_json(output)['texture']['accuracy']


def points(given, *, jobs):
    """All weights and seeds, then the drafts.

    Returns:
        (rows, dicts of SHOWN, REALISM, weight and seed; floor, dict of REALISM).
    """
    rows, run_dirs = [], []
    for weight in sorted(given['WEIGHTS'].split(','), key=float):
        for seed in range(1, int(given['SEEDS']) + 1):
            run_dir, path = refine(given, weight, seed=seed, jobs=jobs)
            last = results.evaluation_of(run_dir)
            rows.append(dict(
                {name: float(last[name]) for name in SHOWN}, weight=weight, seed=seed,
                spectra=results.spectra(last),
                critic=told(given, 'weight-%s-%d' % (weight, seed), path=path, seed=seed,
                            jobs=jobs)))
            print(', '.join('%s %s' % item for item in sorted(rows[-1].items())), flush=True)
            run_dirs.append(run_dir)
    both = files.read_json(os.path.join(run_dirs[0], 'evaluation.json'))
    rows.append(dict({name: both['draft'][name] for name in SHOWN}, weight=DRAFTS, seed=1,
                     spectra=results.spectra(both['draft']),
                     critic=told(given, DRAFTS, path=drafts_of(given), seed=1, jobs=jobs)))
    floor = dict(spectra=results.spectra(both['floor']),
                 critic=told(given, 'real', path=given['REAL'], seed=1, jobs=jobs))
    return rows, floor


def write(given, rows, *, floor):
    """Tables and figure; returns the table's text."""
    columns = ['weight', 'seed'] + list(REALISM) + list(SHOWN)
    place = os.path.join(given['RESULTS'], 'label_weight.')
    tables.write_csv(place + 'csv', rows, columns=columns)
    named = {weight: [row for row in rows if row['weight'] == weight]
             for weight in dict.fromkeys(row['weight'] for row in rows)}
    realism = {name: words for name, words in REALISM.items() if not np.isnan(floor[name])}
    headings = dict(SHOWN, critic='critic, texture', spectra='spectra')
    text = tables.markdown(
        [(name, {column: tables.spread([row[column] for row in some])
                 for column in columns[2:]}) for name, some in named.items()]
        + [('real against real', dict(dict.fromkeys(SHOWN, float('nan')), **floor))],
        {name: headings[name] for name in list(realism) + list(SHOWN)},
        corner='weight of the label term')
    files.write_text(place + 'md', text)
    figures.tradeoff(place + 'png', named, floor=floor, realism=realism,
                     kept={name: words for name, words in SHOWN.items()
                           if len({row[name] for row in rows}) > 1},
                     words={'0': '0 (SimGAN)'})
    return text


def main():
    given = dict(argument.split('=', 1) for argument in sys.argv[1:] if '=' in argument)
    unknown = sorted(set(given) - set(DEFAULTS)) + [a for a in sys.argv[1:] if '=' not in a]
    if unknown:
        raise UserError('unknown: %s' % ', '.join(unknown))
    given = dict(DEFAULTS, **given)
    missing = [path for path in (given['REAL'], drafts_of(given)) if not os.path.exists(path)]
    if missing:
        print('no %s: nothing to refine' % ', '.join(missing))
        print('result: skipped=1')
        return
    claims.claim(given['RUNS'], given, may_change=MAY_CHANGE,
                 cure='give another RUNS, or remove this one')
    with _jobs.Jobs(os.path.join(given['RUNS'], 'jobs'), workers=1,
                    threads=int(given['THREADS'])) as jobs:
        rows, floor = points(given, jobs=jobs)
        text = write(given, rows, floor=floor)
        print('\n%s%s' % (text, ''.join('\n- ' + line for line in jobs.times())))
    print('result: ' + ' '.join(
        '%s_%s=%.4f' % (name, row['weight'], row[name]) for row in rows if row['seed'] == 1
        for name in ('dice', 'spectra')))


if __name__ == '__main__':
    errors.run(main)
