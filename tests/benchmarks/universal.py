"""The network for a first try: trained on kinds of drafts at random, scored on kinds it never saw.

Reads   LABELLED, ANNOTATION           a stack labelled by hand, to report on; None: none
Writes  DATA/kinds/001/ ..., DATA/held/001/ ...       drafts, by 1_simulator.py
        RUN_DIR                        the network, by 3_segmentation.py
        RESULTS/universal.md, universal.csv, universal_reliability.png
Run     python tests/benchmarks/universal.py --config configs/universal.py     (hours; goes on)
        python tests/benchmarks/universal.py           small: configs/demo/universal.py, minutes
        python 3_segmentation.py STAGE=pack RUN_DIR=runs/universal OUTPUT=folder
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), HERE]

import numpy as np                               # noqa: E402

import _jobs                                     # noqa: E402
import _universal_scores as scores               # noqa: E402
from utils.common import config, errors, files   # noqa: E402
from utils.common.errors import UserError        # noqa: E402
from utils.data import stacks                    # noqa: E402
from utils.draw import comparison                # noqa: E402
from utils.score import tables                   # noqa: E402
from utils.simulate import kinds                 # noqa: E402
from utils.train import checkpoints, labels, segmenter_training      # noqa: E402
from utils.train.segmenter import Segmenter      # noqa: E402

NETWORK, FULL = 'configs/segmentation.py', 'configs/universal.py'
SMALL = 'configs/demo/universal.py'
TRAINED, HELD = 1, 2                             # seeds of the kinds of either folder
NOISE = (1.0, 3.0, 10.0)                         # times the phantom's own
COLUMNS = ('dice', 'precision', 'recall', 'ece', 'ece_all')


def ranges_of(cfg):
    """kinds.Ranges of the constants KIND_*."""
    return config.pick(cfg, kinds.Ranges, prefix='KIND_')


def tubes_of(cfg):
    """scores.Tubes of the constants TUBE_*."""
    return config.pick(cfg, scores.Tubes, prefix='TUBE_')


# --- drafts and the network, by the numbered scripts ---

def draw(cfg, folder, *, count, stacks_of, base, jobs):
    """Draw `count` kinds; what is drawn is kept.

    Args:
        folder: of the kinds; stacks_of: stacks of each; base: seed of these kinds.

    Returns:
        list of their folders.
    """
    waiting, paths = [], []
    for i in range(count):
        measured, constants = kinds.draw(ranges_of(cfg),
                                         rng=np.random.default_rng([cfg.SEED, base, i]))
        path = os.path.join(folder, '%03d' % (i + 1))
        files.write_json(path + '.priors.json', measured)
        constants.update(
            PRIORS=path + '.priors.json',
            OUTPUT=path, N_STACKS=stacks_of, VOLUME_SHAPE=tuple(cfg.DRAFT_SHAPE), WORKERS=1,
            PATCH_SHAPE=tuple(cfg.PATCH_SHAPE), PATCH_EVERY=4, MAX_PATCHES=cfg.PATCHES_PER_STACK,
            RANDOM_PATCHES=cfg.RANDOM_PATCHES, EVEN_PATCHES=0.0,
            SEED=int(np.random.default_rng([cfg.SEED, base, i, 1]).integers(2 ** 31)))
        command = ['1_simulator.py'] + ['%s=%s' % item for item in sorted(
            (name, ','.join(map(repr, value)) if isinstance(value, tuple) else value)
            for name, value in constants.items())]
        waiting.append(jobs.submit(
            jobs.script, '%s-%03d' % (os.path.basename(folder), i + 1), command, kind='drafts',
            constants=constants, inputs=[measured],
            target=os.path.join(path, 'patches.h5')))
        paths.append(path)
    for result in waiting:
        result()
    return paths


def train(cfg, pairs, *, jobs):
    """Train the network on all kinds of a folder."""
    defaults = config.read_constants(config.rooted(NETWORK))
    own = ['%s=%s' % (name, _text(getattr(cfg, name))) for name, value in sorted(defaults.items())
           if getattr(cfg, name) != value and name not in ('LABELLED', 'ANNOTATION')]
    command = ['3_segmentation.py', 'STAGE=train', 'PAIRS=%s' % pairs] + [
        argument for argument in own if not argument.startswith(('STAGE=', 'PAIRS='))]
    jobs.script('network', command, kind='network', constants=command, inputs=[],
                target=os.path.join(cfg.RUN_DIR, 'checkpoints'))


def _text(value):
    """A constant as an argument."""
    return ','.join(map(repr, value)) if isinstance(value, tuple) else value


# --- scores ---

def score(cfg, held):
    """All scores; (list of (name, dict by COLUMNS), Counts of the held kinds, thickness errors)."""
    known, threshold = config.pick(cfg, labels.Settings), cfg.PROBABILITY_THRESHOLD
    with Segmenter(cfg.RUN_DIR, threads=cfg.THREADS, tile=cfg.TILE_SHAPE,
                   mirrors=cfg.MIRRORS) as network:
        each = [scores.kind(path, network, settings_=known) for path in held]
        pooled = scores.Counts(*np.sum(each, axis=0))
        rows = [('held-out kinds, pooled', scores.scores_of(pooled, threshold))]
        single = [scores.scores_of(counts, threshold) for counts in each]
        rows.append(('held-out kinds, median', {
            name: float(np.median([one[name] for one in single])) for name in COLUMNS}))
        for noise in NOISE:
            counts = scores.phantom(network, settings_=known, noise=noise, shape=cfg.PHANTOM_SHAPE,
                                    seed=[cfg.SEED, HELD])
            rows.append(('phantom, noise x %g' % noise, scores.scores_of(counts, threshold)))
        if cfg.LABELLED:
            rows.append((os.path.basename(cfg.LABELLED), scores.labelled(
                network, cfg.LABELLED, annotation=cfg.ANNOTATION, threshold=threshold)[0]))
        thick = scores.thickness(network, tubes_of(cfg), threshold=threshold, seed=cfg.SEED)
    rows += [('held-out kind %s' % os.path.basename(path), values)
             for path, values in zip(held, single)]
    return rows, pooled, thick


def write(cfg, rows, *, pooled, thick):
    """Write the tables and the reliability curve; the Markdown text."""
    text = tables.markdown(rows, COLUMNS, corner='stacks') + '\n'
    text += 'Radius of the mask minus that drawn, voxels:\n\n' + tables.markdown(
        [('radius %g' % radius, dict(zip(map(str, cfg.TUBE_BLURS), line)))
         for radius, line in zip(cfg.TUBE_RADII, thick)],
        {str(blur): 'blur %g' % blur for blur in cfg.TUBE_BLURS}, corner='drawn', form='%+.2f')
    files.write_text(os.path.join(cfg.RESULTS, 'universal.md'), text)
    tables.write_csv(os.path.join(cfg.RESULTS, 'universal.csv'),
                     [dict({column: values[column] for column in COLUMNS}, stacks=name)
                      for name, values in rows], columns=('stacks',) + COLUMNS)
    probability, share, voxels = scores.reliability(pooled)
    comparison.reliability(os.path.join(cfg.RESULTS, 'universal_reliability.png'), probability,
                           share=share, voxels=voxels)
    return text


def check(cfg):
    """Raise UserError for constants that cannot work."""
    config.require(cfg, **segmenter_training.RANGES)
    config.require(cfg, N_KINDS=(2, 999), N_HELD=(1, 999), STACKS_PER_KIND=(1, 99),
                   DRAFT_SHAPE=(32, None), PATCH_SHAPE=(2, None), PATCHES_PER_STACK=(1, None),
                   RANDOM_PATCHES=(0, 1), WORKERS=(1, None), KIND_DIM=(0, 1), KIND_SOMATA=(0, 1),
                   KIND_EIGHT_BIT=(0, 1),
                   PHANTOM_SHAPE=(32, None), TUBE_SHAPE=(32, None), TUBE_RADII=(0.5, 20),
                   TUBE_BLURS=(0.3, 10))
    if bool(cfg.LABELLED) != bool(cfg.ANNOTATION):
        raise UserError('LABELLED and ANNOTATION go together: give both or none')
    if cfg.LABELLED:
        stacks.check_file(cfg.LABELLED)


def main():
    argv, started = sys.argv[1:], time.time()
    if not any(argument.startswith('--config') for argument in argv):
        print('no --config: the small edition, %s; the whole one is %s' % (SMALL, FULL))
        argv = ['--config', SMALL] + argv
    cfg = config.load((NETWORK, FULL), argv, description=__doc__)
    check(cfg)
    with _jobs.Jobs(os.path.join(cfg.DATA, 'jobs'), workers=cfg.WORKERS, threads=1) as jobs:
        pairs = os.path.join(cfg.DATA, 'kinds')
        draw(cfg, pairs, count=cfg.N_KINDS, stacks_of=cfg.STACKS_PER_KIND, base=TRAINED, jobs=jobs)
        held = draw(cfg, os.path.join(cfg.DATA, 'held'), count=cfg.N_HELD, stacks_of=1, base=HELD,
                    jobs=jobs)
        train(cfg, pairs, jobs=jobs)
    rows, pooled, thick = score(cfg, held)
    print('\n' + write(cfg, rows, pooled=pooled, thick=thick))
    values = rows[0][1]
    print('result: %s thickness_error=%.2f step=%d seconds=%.0f' % (
        ' '.join('%s=%.3f' % (name, values[name]) for name in COLUMNS),
        np.nanmax(np.abs(thick)), checkpoints.step_of(checkpoints.best(cfg.RUN_DIR)),
        time.time() - started))


if __name__ == '__main__':
    errors.run(main)
