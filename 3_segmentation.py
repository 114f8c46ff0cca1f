"""Step 3: train a segmentation network on synthetic pairs, predict any stack.

Reads   data/refined/ or data/simulated/   pairs: patches.h5, images/ (2_mpgan.py, 1_simulator.py)
        data/real/                         stacks to predict
Writes  runs/segmentation/  checkpoints/, best.json, log.csv, events/
        data/segmented/NAME.prob.tif       uint8, probability of the foreground * 255, rounded
        data/segmented/NAME.mask.tif       uint8 {0, 1}
Run     python 3_segmentation.py                            goes on from the last checkpoint
        python 3_segmentation.py STAGE=predict INPUT=folder OUTPUT=folder
        python 3_segmentation.py STAGE=score LABELLED=stack.tif ANNOTATION=labels.tif
        python 3_segmentation.py STAGE=export OUTPUT=folder     pairs for nnU-Net v2, and plain TIFF
        python 3_segmentation.py STAGE=pack OUTPUT=models/pretrained/x    the weights alone

Other ways to training pairs are compared by tests/benchmarks/comparison.py (make compare).
"""
from utils.common.errors import UserError    # first: Ctrl-C while the rest is imported is one line
import os
import sys
import time

from utils.common import batch, claims, config, errors
from utils.data import export, stacks
from utils.score import masks
from utils.train import augmentation, checkpoints, crops, labels, runs, segmenter_training
from utils.train.segmenter import Segmenter, first_try, mask_of
from utils.train.segmenter_training import MAY_CHANGE

CONFIG = 'configs/segmentation.py'
FIRST_TRY = 'models/pretrained/universal'    # predicts where nothing was trained


def train(cfg):
    """Train up to MAX_STEPS; goes on from the newest checkpoint.

    The digest of the pairs stands in config.json beside the constants: other pairs in the same
    folder are refused, as is any other constant that shapes the weights.
    """
    checkpoints.check_trainable(cfg.RUN_DIR)
    drafts = crops.synthetic(cfg.PAIRS, config.pick(cfg, labels.Settings), held_out=cfg.HELD_OUT)
    owner = claims.training('3_segmentation.py')
    claims.check(cfg.RUN_DIR, owner)                     # no lock is left in another's folder
    with runs.lock(cfg.RUN_DIR):
        claims.claim(cfg.RUN_DIR, dict(vars(cfg), PAIRS_DIGEST=drafts.digest, MANUAL=''),
                     owner=owner, may_change=MAY_CHANGE,
                     overwrite=checkpoints.newest(cfg.RUN_DIR) is None,
                     cure='give another RUN_DIR, or remove this one')
        segmenter_training.train(
            cfg.RUN_DIR, config.pick(cfg, segmenter_training.Settings),
            sources=segmenter_training.places(cfg.BATCH_SIZE, drafts=drafts),
            strength=config.pick(cfg, augmentation.Strength, prefix='AUGMENT_'), held=drafts)


def open_network(cfg, run_dir=None):
    """The network of run_dir, by default RUN_DIR's; a Segmenter of its best checkpoint."""
    place = config.rooted(run_dir) if run_dir == FIRST_TRY else run_dir or cfg.RUN_DIR
    return Segmenter(place, threads=cfg.THREADS, tile=cfg.TILE_SHAPE, mirrors=cfg.MIRRORS)


def at_hand(cfg):
    """RUN_DIR; FIRST_TRY if RUN_DIR is the config's own and nothing was trained there."""
    return first_try(cfg.RUN_DIR, default=config.read_constants(config.rooted(CONFIG))['RUN_DIR'],
                     pretrained=FIRST_TRY)


def predict(cfg):
    """Predict every stack of INPUT; finished maps of this network and this stack are kept.

    Returns:
        None, or the exit line that names the bad stacks; the others are done.

    Raises:
        UserError: no stack; maps would lie among the stacks; no network.
    """
    paths = stacks.find(cfg.INPUT)
    for path in paths:
        if os.path.realpath(os.path.dirname(path)) == os.path.realpath(cfg.OUTPUT):
            raise UserError('INPUT and OUTPUT are both %s: give another OUTPUT' % cfg.OUTPUT)
    record = batch.Record(cfg.OUTPUT)
    claims.take(cfg.OUTPUT, claims.Owner(
        '3_segmentation.py', {stacks.name_of(path): targets_of(cfg, path) for path in paths},
        ('made_from.json',), record.keys.__contains__))
    run_dir = at_hand(cfg)
    with open_network(cfg, run_dir) as network:
        outcome = batch.run([job(cfg, path, network=network, record=record) for path in paths])
        print('%s: %d stacks (%d new) by step %d of %s' % (
            cfg.OUTPUT, len(outcome.made + outcome.kept), len(outcome.made), network.step, run_dir))
    return batch.failure(outcome)


def job(cfg, path, *, network, record):
    """batch.Job that predicts one stack.

    Its key tells the network's weights, the stack's file and what shapes map and mask: a map that
    was made from another key is made anew.

    Args:
        path: of the stack; network: Segmenter; record: batch.Record of OUTPUT.
    """
    name, targets = stacks.name_of(path), targets_of(cfg, path)
    key = '%s %s %g %d %d' % (network.digest, batch.file_key(path), cfg.PROBABILITY_THRESHOLD,
                              cfg.MIN_OBJECT, cfg.MIRRORS)

    def make():
        stack, started = stacks.read(path), time.time()
        probability = network.predict(stack.voxels, name)
        mask = mask_of(probability, cfg.PROBABILITY_THRESHOLD, smallest=cfg.MIN_OBJECT)
        for target, voxels in zip(targets, (probability, mask)):
            stacks.write(target, voxels, voxel_size=stack.voxel_size, compress=True)
        record.add(name, key)
        foreground = 100 * (probability >= cfg.PROBABILITY_THRESHOLD * 255).mean()
        return '%s: %.2f %% foreground, %.1f s' % (targets[1], foreground, time.time() - started)

    return batch.Job(name, path, finished=lambda: record.holds(name, key, targets=targets),
                     make=make)


def targets_of(cfg, path):
    """Map and mask of a stack."""
    return [os.path.join(cfg.OUTPUT, '%s.%s.tif' % (stacks.name_of(path), kind))
            for kind in ('prob', 'mask')]


def score(cfg):
    """Score RUN_DIR's network on the labelled stack and print masks.MEASURES.

    Raises:
        UserError: a constant is missing; labels of another stack or without foreground.
    """
    if not (cfg.LABELLED and cfg.ANNOTATION):
        raise UserError('STAGE=score wants LABELLED=stack.tif and ANNOTATION=labels.tif')
    stack = stacks.read(cfg.LABELLED)
    annotation = masks.read_annotation(cfg.ANNOTATION, stack.voxels.shape)
    with open_network(cfg, at_hand(cfg)) as network:
        probability = network.predict(stack.voxels) / 255.0
    values = masks.score(probability, annotation, threshold=cfg.PROBABILITY_THRESHOLD)
    told = ', '.join('%s %.3f' % (measure, values[measure]) for measure in masks.MEASURES)
    print('%s on %s: %s' % (cfg.RUN_DIR, cfg.LABELLED, told))


def export_pairs(cfg):
    """Write PAIRS and LABELS as data sets for other networks, see export.nnunet."""
    export.nnunet(cfg.OUTPUT, os.path.join(cfg.PAIRS, 'images'), labels=cfg.LABELS)


def pack(cfg):
    """Write the weights that predict, and their settings: a RUN_DIR for predicting.

    What is no property of the weights (paths, the comparison's constants) stays behind.
    """
    if cfg.OUTPUT == config.read_constants(config.rooted(CONFIG))['OUTPUT']:
        raise UserError('STAGE=pack into %s: give an OUTPUT of its own, such as '
                        'models/pretrained/segmentation' % cfg.OUTPUT)
    other = config.read_constants(config.rooted('configs/comparison.py'))
    with open_network(cfg) as network:
        path = network.pack(cfg.OUTPUT, owner=claims.packing('3_segmentation.py'),
                            may_change=MAY_CHANGE + tuple(other) + ('START_FROM',))
    size = sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path)) / 1024
    print('%s: weights of step %d of %s, %.0f KiB' % (path, network.step, cfg.RUN_DIR, size))


STAGES = {'train': train, 'score': score, 'predict': predict, 'export': export_pairs, 'pack': pack}


def check(cfg):
    """Raise UserError for constants that cannot work."""
    if cfg.STAGE == 'compare':
        raise UserError('STAGE=compare is a script of its own now: make compare, or python '
                        'tests/benchmarks/comparison.py')
    if cfg.STAGE not in STAGES:
        raise UserError('STAGE=%s: want one of %s' % (cfg.STAGE, ', '.join(STAGES)))
    config.require(cfg, **segmenter_training.RANGES)
    segmenter_training.check(
        config.pick(cfg, segmenter_training.Settings), tile_shape=cfg.TILE_SHAPE,
        strength=config.pick(cfg, augmentation.Strength, prefix='AUGMENT_'), mirrors=cfg.MIRRORS)


def main():
    cfg = config.load(CONFIG, sys.argv[1:], description=__doc__)
    check(cfg)
    return STAGES[cfg.STAGE](cfg)


if __name__ == '__main__':
    errors.run(main)
