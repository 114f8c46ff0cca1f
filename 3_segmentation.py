"""Step 3: train a segmentation network on synthetic pairs, predict any stack.

Reads   data/refined/ or data/simulated/   pairs: patches.h5, images/ (2_mpgan.py, 1_simulator.py)
        data/real/                         stacks to predict
Writes  runs/segmentation/  checkpoints/, best.json, log.csv, events/
        data/segmented/NAME.prob.tif       uint8, probability of the foreground * 255, rounded
        data/segmented/NAME.mask.tif       uint8 {0, 1}; of a volume both are NAME.*.ome.zarr
Run     python 3_segmentation.py                            goes on from the last checkpoint
        python 3_segmentation.py STAGE=predict INPUT=folder OUTPUT=folder
        python 3_segmentation.py STAGE=predict INPUT=brain.ome.zarr OUTPUT=folder DASK=local
        python 3_segmentation.py STAGE=score LABELLED=stack.tif ANNOTATION=labels.tif
        python 3_segmentation.py STAGE=export OUTPUT=folder     pairs for nnU-Net v2, and plain TIFF
        python 3_segmentation.py STAGE=pack OUTPUT=models/pretrained/x    the weights alone

Other ways to training pairs are compared by tests/benchmarks/comparison.py (make compare).
"""
from utils.common.errors import UserError    # first: Ctrl-C while the rest is imported is one line
import os
import sys

from utils.common import batch, claims, config, errors
from utils.data import export, stacks
from utils.score import masks
from utils.train import (augmentation, checkpoints, cluster, crops, labels, predicted, runs,
                         segmenter_training, volume_jobs, volume_steps)
from utils.train.segmenter import Segmenter, first_try
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
    """Predict every stack and volume of INPUT; finished maps of this network are kept.

    Returns:
        None, or the exit line that names the bad stacks; the others are done.

    Raises:
        UserError: no stack; maps would lie among the stacks; no network; no Dask cluster.
    """
    paths = stacks.find(cfg.INPUT)
    record = predicted.claim_folder(cfg.OUTPUT, paths, output_format=cfg.OUTPUT_FORMAT)
    run_dir = at_hand(cfg)
    with open_network(cfg, run_dir) as network, \
            cluster.opened(cfg.DASK, workers=cfg.WORKERS) as dask:
        outcome = batch.run([job(cfg, path, network=network, record=record, dask=dask)
                             for path in paths])
        print('%s: %d stacks (%d new) by step %d of %s' % (
            cfg.OUTPUT, len(outcome.made + outcome.kept), len(outcome.made), network.step, run_dir))
    return batch.failure(outcome)


def job(cfg, path, *, network, record, dask):
    """batch.Job of one stack or volume.

    Args:
        path: of it; network: Segmenter; record: batch.Record of OUTPUT; dask: Cluster or None.
    """
    if not volume_jobs.is_streamed(path):
        return predicted.stack_job(path, config.pick(cfg, predicted.Masks), folder=cfg.OUTPUT,
                                   network=network, record=record, channel=cfg.CHANNEL)
    opened = volume_steps.Network('predict', network.run_dir, cfg.TILE_SHAPE, cfg.THREADS,
                                  mirrors=cfg.MIRRORS)
    return volume_jobs.batch_job(
        path, predicted.targets_of(cfg.OUTPUT, path), network=network, dask=dask,
        how=opened, settings=config.pick(cfg, volume_steps.Settings))


def score(cfg):
    """Score RUN_DIR's network on the labelled stack and print masks.MEASURES.

    Raises:
        UserError: a constant is missing; labels of another stack or without foreground.
    """
    if not (cfg.LABELLED and cfg.ANNOTATION):
        raise UserError('STAGE=score wants LABELLED=stack.tif and ANNOTATION=labels.tif')
    stack = stacks.read(cfg.LABELLED, channel=cfg.CHANNEL)
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
    stacks.check_format(cfg.OUTPUT_FORMAT)
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
