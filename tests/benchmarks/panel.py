"""What the refiner does, in one picture: drafts that know little | the same by MPGAN | real ones.

The drafts are the paper's model with measured grey levels alone, as of paper.py: straight neurites,
one by one, in white noise.

Reads   REAL       stacks; without them a phantom
Writes  DATA/      patches, drafts, refined/: the numbered scripts run where something is missing
        RUNS/      refiners/, jobs/
        RESULTS/panel.png
Run     python tests/benchmarks/panel.py                    constants of configs/demo/paper.py
        python tests/benchmarks/panel.py REAL=stacks REFINER_STEPS=1000
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), HERE]

import _jobs                                     # noqa: E402
import _pairs                                    # noqa: E402
import _paper_steps as steps                     # noqa: E402
import _paper_tables as results                  # noqa: E402
from utils.common import config, errors, files   # noqa: E402
from utils.score import tables                   # noqa: E402

CONFIGS = (steps.NETWORK, 'configs/paper.py')    # the latter's THREADS hold
DEFAULTS = ['--config', config.rooted('configs/demo/paper.py'), 'REFINER_STEPS=600',
            'DATA=data/demo/panel', 'RUNS=runs/demo_panel', 'CALIBRATION_ROUNDS=0']


def measures(run_dir):
    """Rows of a table: the drafts and what was refined, spectra and labels kept."""
    draft = files.read_json(os.path.join(run_dir, 'evaluation.json'))['draft']
    last = results.evaluation_of(run_dir)
    return [(name, dict({column: float(row[column]) for column in results.KEPT if column in row},
                        spectra=results.spectra(row)))
            for name, row in (('drafts', draft), ('MPGAN', last))]


def main():
    started = time.time()
    own = any(argument.startswith('--config') for argument in sys.argv[1:])
    cfg = config.load(CONFIGS, DEFAULTS[2 * own:] + sys.argv[1:], description=__doc__)
    config.require(cfg, REFINER_STEPS=(1, None), N_SPARSE=(2, 9999), WORKERS=(1, None))
    real = cfg.REAL or _pairs.find_data(cfg)[0]
    bits = _pairs.measure(cfg, real, arguments=['PATCH_SHAPE=%d,%d,%d' % tuple(cfg.PATCH_SHAPE)])
    steps.claim(cfg)
    chain = steps.Chain('paper', 'mpgan', (), cfg.SEED)
    with _jobs.Jobs(os.path.join(cfg.RUNS, 'jobs'), workers=1, threads=cfg.THREADS) as jobs:
        steps.make_drafts(cfg, chain.drafts, bits=bits, jobs=jobs)
        refined = steps.refine(cfg, chain, jobs=jobs)
    path = os.path.join(cfg.RESULTS, 'panel.png')
    results.draw_patches(
        path, [("drafts of the paper's model", steps.pairs_at(cfg, chain.drafts)),
               ('the same, by MPGAN', refined)],
        real=os.path.join(cfg.DATA, 'patches', 'real.h5'),
        title=os.path.basename(cfg.REAL) if cfg.REAL else 'the phantom')
    rows = measures(os.path.join(cfg.RUNS, 'refiners', chain.name))
    columns = dict([('spectra', 'spectra')] + [(name, words) for name, words in results.KEPT.items()
                                               if name in rows[0][1]])
    print('\n%s\n%s' % (tables.markdown(rows, columns, corner='patches'), path))
    print('result: %s seconds=%.0f' % (' '.join(
        '%s_%s=%.4f' % (column, name.lower(), values[column]) for name, values in rows
        for column in ('spectra', 'dice')), time.time() - started))


if __name__ == '__main__':
    errors.run(main)
