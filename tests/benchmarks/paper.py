"""The paper's experiment: does refining drafts make better training data, and what keeps labels?

An arm is DRAFTS-REFINER-AUGMENTATION. Each seed trains a refiner of its own on an arm's drafts and
a segmentation network of its own on the result; networks are scored on a stack that was labelled
by hand (docs/segmentation.md). All see training patches alone.

Reads   REAL, LABELLED, ANNOTATION     stacks of the domain, the labelled stack, its labels; without
                                       them a phantom, with the small configs/demo/paper.py
Writes  DATA/                          patches, drafts, refined/: the earlier scripts run where
                                       something is missing
        RUNS/                          refiners/, networks/ with their maps of LABELLED, jobs/
        RESULTS/paper.csv, paper_refiners.csv, paper.md, paper_arms.png, paper_DRAFTS.png
Run     python tests/benchmarks/paper.py REAL=stacks LABELLED=stack.tif ANNOTATION=labels.tif
        python tests/benchmarks/paper.py ARMS=paper-*-plain SEEDS=1       goes on where it was
"""
import fnmatch
import os
import sys
import time
from collections import OrderedDict

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), HERE]

import _jobs                                     # noqa: E402
import _pairs                                    # noqa: E402
import _paper_steps as steps                     # noqa: E402
import _paper_tables as results                  # noqa: E402
from utils.common import config, errors          # noqa: E402
from utils.common.errors import UserError        # noqa: E402
from utils.data import stacks                    # noqa: E402
from utils.score import masks                    # noqa: E402
from utils.train import augmentation, segmenter_training     # noqa: E402

CONFIGS = (steps.NETWORK, 'configs/paper.py')    # the latter's THREADS hold
SMALL = 'configs/demo/paper.py'

ARMS = [(drafts, refiner, name) for drafts in ('paper', 'measured')
        for refiner in ('raw', 'simgan', 'mpgan') for name in ('plain', 'augmented')]
ARMS += [(drafts, refiner, 'plain') for drafts in ('no_internal', 'no_external')
         for refiner in ('raw', 'mpgan')]


# --- all of it ---

def run_chain(cfg, chain, *, data, jobs):
    """Do a chain; returns its rows, dicts of masks.MEASURES and what they are of."""
    pairs, rows = steps.pairs_at(cfg, chain.drafts), []
    if steps.REFINERS[chain.refiner] is not None:
        pairs = steps.refine(cfg, chain, jobs=jobs)
    for name in chain.augmentations:
        probability = steps.segment(cfg, chain, augmentation=name, pairs=pairs, data=data,
                                    jobs=jobs)
        values = masks.score(probability, data.annotation, threshold=cfg.PROBABILITY_THRESHOLD)
        valid = data.annotation.valid
        values['best_dice'] = masks.best_dice(probability[valid], data.annotation.truth[valid])[0]
        rows.append(dict(values, drafts=chain.drafts, refiner=chain.refiner, augmentation=name,
                         seed=chain.seed))
        print('%s-%s: %s' % (chain.name, name, ', '.join(
            '%s %.3f' % (measure, values[measure]) for measure in masks.MEASURES[:5])))
    return rows


def run_all(cfg, arms, *, data, jobs):
    """Do all chains, seed by seed, then their critics; tables are written after each seed.

    Returns:
        (rows of networks, rows of refiners, messages of what failed).
    """
    pairs = OrderedDict()                        # (drafts, refiner) -> augmentations
    for drafts, refiner, name in arms:
        pairs.setdefault((drafts, refiner), []).append(name)
    chains = [steps.Chain(drafts, refiner, tuple(names), seed)
              for seed in range(cfg.SEED, cfg.SEED + cfg.SEEDS)
              for (drafts, refiner), names in pairs.items()]
    begun = [(chain, jobs.submit(run_chain, cfg, chain, data=data, jobs=jobs)) for chain in chains]
    rows, judged, failed, good = [], [], [], []
    for chain, result in begun:
        try:
            rows += result()
            good.append(chain)
        except UserError as error:               # the others go on
            failed.append(str(error))
            print('error: %s' % error, file=sys.stderr)
        if rows and (chain.drafts, chain.refiner) == arms[-1][:2]:
            results.write_networks(cfg.RESULTS, rows, title=title(cfg, data))
    for result in [jobs.submit(steps.judge, cfg, chain, jobs=jobs) for chain in good]:
        try:
            judged.append(result())
        except UserError as error:
            failed.append(str(error))
    return rows, judged, failed


def title(cfg, data):
    """First line of the table."""
    return '%s, scored at %g; refiners of %d steps, networks of %d' % (
        data.stack, cfg.PROBABILITY_THRESHOLD, cfg.REFINER_STEPS, cfg.MAX_STEPS)


def draw_patches(cfg, arms):
    """For each kind of drafts: draft | refined by each | real, of the first seed."""
    real = os.path.join(cfg.DATA, 'patches', 'real.h5')
    for kind in OrderedDict.fromkeys(arm[0] for arm in arms):
        found = [('draft', steps.pairs_at(cfg, kind))] + [
            (label, steps.pairs_at(cfg, kind, refined='%s-%s-%d' % (kind, refiner, cfg.SEED)))
            for refiner, label in (('simgan', 'SimGAN'), ('mpgan', 'MPGAN'))]
        found = [(label, path) for label, path in found if os.path.exists(path)]
        results.draw_patches(os.path.join(cfg.RESULTS, 'paper_%s.png' % kind), found, real=real)


def check(cfg):
    """The arms asked for, in their order: list of (drafts, refiner, augmentation).

    Raises:
        UserError: constants that cannot work.
    """
    config.require(cfg, **segmenter_training.RANGES)
    config.require(cfg, SEEDS=(1, None), CALIBRATION_ROUNDS=(0, None), N_SPARSE=(2, 9999),
                   N_MEASURED=(2, 9999), DRAFT_SHAPE=(4, None), PATCH_SHAPE=(2, None),
                   PHANTOM_SHAPE=(32, None), REFINER_STEPS=(1, None), WORKERS=(1, None))
    segmenter_training.check(
        config.pick(cfg, segmenter_training.Settings), tile_shape=cfg.TILE_SHAPE,
        strength=config.pick(cfg, augmentation.Strength, prefix='AUGMENT_'), mirrors=cfg.MIRRORS)
    steps.constants_of('configs/mpgan.py', steps.refiner_arguments(cfg))
    wanted = set()
    for pattern in cfg.ARMS.split(','):
        found = [arm for arm in ARMS if fnmatch.fnmatchcase('-'.join(arm), pattern.strip())]
        if not found:
            raise UserError('ARMS=%s: %s is none of %s'
                            % (cfg.ARMS, pattern, ', '.join(map('-'.join, ARMS))))
        wanted.update(found)
    return [arm for arm in ARMS if arm in wanted]


def main():
    cfg, started = _pairs.load(CONFIGS, sys.argv[1:], small=SMALL, description=__doc__), time.time()
    arms = check(cfg)
    real, stack, annotation = _pairs.find_data(cfg)
    annotation = masks.read_annotation(annotation, stacks.read(stack).voxels.shape)
    bits = _pairs.measure(cfg, real, arguments=['PATCH_SHAPE=%d,%d,%d' % tuple(cfg.PATCH_SHAPE)])
    data = steps.Data(stack, annotation, bits)
    with _jobs.Jobs(os.path.join(cfg.RUNS, 'jobs'), workers=cfg.WORKERS,
                    threads=cfg.THREADS) as jobs:
        for kind in OrderedDict.fromkeys(arm[0] for arm in arms):
            steps.make_drafts(cfg, kind, bits=data.bits, jobs=jobs)      # all cores
        rows, judged, failed = run_all(cfg, arms, data=data, jobs=jobs)
    if not rows:
        raise UserError('no arm was done: %s' % failed[0])
    draw_patches(cfg, arms)
    text = results.write_networks(cfg.RESULTS, rows, title=title(cfg, data), judged=judged,
                                  times=jobs.times())
    print('\n%s\n%s' % (text, os.path.join(cfg.RESULTS, 'paper.md')))
    print('result: %s seconds=%.0f' % (results.result_line(rows), time.time() - started))
    return 'error: %d jobs failed: %s' % (len(failed), failed[0]) if failed else None


if __name__ == '__main__':
    errors.run(main)
