"""Segmentation networks trained on pairs of each kind, scored on a stack that was labelled by hand.

Each arm is a way to a mask: a threshold, or the network of step 3 trained on drafts, on refined
drafts or on manual labels (docs/segmentation.md). A manual network is trained on one end of the
labelled stack and scored on the other.

Reads   REAL, LABELLED, ANNOTATION     stacks of the domain, the labelled stack, its labels; without
                                       them a phantom, with the small configs/demo/comparison.py
Writes  DATA/                          patches, drafts, refined drafts: the earlier scripts run
                                       where something is missing
        RUNS/                          refiners; a network per arm and seed, its map of LABELLED
        RESULTS/segmentation.csv, .md, segmentation_*.png
Run     python tests/benchmarks/comparison.py
        python tests/benchmarks/comparison.py REAL=stacks LABELLED=stack.tif ANNOTATION=labels.tif
        python tests/benchmarks/comparison.py ARMS=otsu,drafts,mpgan SEEDS=1
"""
import hashlib
import os
import sys
import time
from collections import namedtuple
from typing import NamedTuple, Optional

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), HERE]

import numpy as np                               # noqa: E402

import _pairs                                    # noqa: E402
from models import unet                          # noqa: E402
from utils.common import claims, config, errors, files       # noqa: E402
from utils.common.errors import UserError        # noqa: E402
from utils.data import stacks                    # noqa: E402
from utils.draw import comparison as figures     # noqa: E402
from utils.score import masks, tables            # noqa: E402
from utils.train import augmentation, checkpoints, crops, labels, segmenter_training  # noqa: E402
from utils.train.segmenter import Segmenter      # noqa: E402

CONFIGS = ('configs/comparison.py', 'configs/segmentation.py')
SMALL = 'configs/demo/comparison.py'


class Arm(NamedTuple):
    """What a network is trained on."""
    folder: Optional[str]        # of pairs under DATA
    manual: bool                 # and on the other end of the labelled stack


THRESHOLDS = ('otsu', 'oracle')  # arms without a network
TRAINED = {'paper': Arm('paper', False), 'drafts': Arm('drafts', False),
           'simgan': Arm('simgan', False), 'mpgan': Arm('mpgan', False),
           'mpgan+manual': Arm('mpgan', True), 'manual': Arm(None, True)}
ARMS = THRESHOLDS + tuple(TRAINED)
REGIONS = {'whole': 'all that is annotated (the manual arms have seen half of it and are left out)',
           'ends': 'the two ends (each manual network is scored on the end that it has not seen)'}
SHOWN = ('dice', 'f1_1', 'cldice', 'ap')         # measures of the figure

# The labelled stack. stack: stacks.Stack; whole, ends: masks.Annotation, of all of it and of its
# two ends; boxes: the ends, tuples of slices; digest: of image and labels
Labelled = namedtuple('Labelled', 'stack whole ends boxes digest')


# --- the labelled stack ---

def read_labelled(cfg, path, *, annotation):
    """The labelled stack, cut in two.

    Raises:
        UserError: an end has no foreground; one end looks at the other.
    """
    stack = stacks.read(path)
    whole = masks.read_annotation(annotation, stack.voxels.shape)
    boxes = masks.halves(stack.voxels.shape, cfg.SPLIT_AXIS, gap=cfg.SPLIT_GAP)
    sight = unet.halo(cfg.LEVELS)
    if cfg.SPLIT_GAP < sight:
        raise UserError('SPLIT_GAP=%d: the network sees %d voxels far: want as much at least'
                        % (cfg.SPLIT_GAP, sight))
    for box in boxes:
        side = box[cfg.SPLIT_AXIS]
        if side.stop <= side.start or not (whole.truth & whole.valid)[box].any():
            raise UserError('%s: an end of the split has no labelled foreground: take another '
                            'SPLIT_AXIS than %d, or a smaller SPLIT_GAP' % (path, cfg.SPLIT_AXIS))
    digest = hashlib.sha1(stack.voxels.tobytes() + whole.truth.tobytes() + whole.valid.tobytes())
    return Labelled(stack, whole, masks.within(whole, boxes), boxes, digest.hexdigest())


# --- networks ---

def segment(cfg, arm, *, seed, labelled):
    """An arm's probability of the foreground of the labelled stack, float32 [Z, Y, X] in [0, 1]."""
    voxels, boxes = labelled.stack.voxels, labelled.boxes
    if arm == 'otsu':
        return masks.otsu(voxels)
    if arm == 'oracle':
        return masks.oracle(voxels, labelled.whole)
    if not TRAINED[arm].manual:
        return train(cfg, arm, seed=seed, labelled=labelled)
    probability = np.zeros(voxels.shape, np.float32)     # of each end by the network of the other
    for k, box in enumerate(boxes):
        found = train(cfg, arm, seed=seed, labelled=labelled, end=k)
        probability[box] = found[box]
    return probability


def train(cfg, arm, *, seed, labelled, end=None):
    """Train a network of an arm where it is not, and predict the labelled stack; as segment.

    Args:
        end: None, or the end, 0 or 1, that the network is scored on: it sees labels of the other.
    """
    drafts, manual, told = None, None, ''
    name = '%s-%d' % (arm, seed) if end is None else '%s-%d-%d' % (arm, seed, end + 1)
    pairs = os.path.join(cfg.DATA, TRAINED[arm].folder) if TRAINED[arm].folder else ''
    if pairs:
        drafts = crops.Synthetic(pairs, config.pick(cfg, labels.Settings), held_out=cfg.HELD_OUT)
    if end is not None:
        box = labelled.boxes[1 - end]
        manual = crops.Manual(labelled.stack.voxels, labelled.whole, box=box,
                              name=labelled.stack.path)
        told = '%s %s' % (labelled.digest, box)
    run_dir = os.path.join(cfg.RUNS, name)
    sources = segmenter_training.places(cfg.BATCH_SIZE, drafts=drafts, manual=manual,
                                        share=cfg.MANUAL_SHARE)
    settings = dict(vars(cfg), SEED=seed, RUN_DIR=run_dir, PAIRS=pairs, MANUAL=told,
                    PAIRS_DIGEST=drafts.digest if drafts else '')
    claims.claim(run_dir, settings, owner=claims.training('3_segmentation.py'),
                 may_change=may_change(),
                 overwrite=checkpoints.newest(run_dir) is None,
                 cure='give another RUNS, or remove this one')
    segmenter_training.train(
        run_dir, config.pick(cfg, segmenter_training.Settings)._replace(seed=seed),
        sources=sources, strength=config.pick(cfg, augmentation.Strength, prefix='AUGMENT_'),
        held=drafts)
    return predict(cfg, run_dir, stack=labelled.stack)


def may_change():
    """Constants that do not shape a network: all of the comparison's own but one."""
    own = set(config.read_constants(config.rooted(CONFIGS[0]))) - {'MANUAL_SHARE'}
    return segmenter_training.MAY_CHANGE + tuple(own)


def predict(cfg, run_dir, *, stack):
    """Probability of a stack by a trained network, kept beside it; float32 [Z, Y, X] in [0, 1]."""
    path, known = [os.path.join(run_dir, 'labelled' + end) for end in ('.prob.tif', '.json')]
    with Segmenter(run_dir, threads=cfg.THREADS, tile=cfg.TILE_SHAPE,
                   mirrors=cfg.MIRRORS) as network:
        digest = hashlib.sha1(('%s %d' % (network.digest, cfg.MIRRORS)).encode())
        digest.update(stack.voxels.tobytes())
        made = {'made_from': digest.hexdigest()}
        done = os.path.exists(path) and os.path.exists(known) and files.read_json(known) == made
        if not done:
            stacks.write(path, network.predict(stack.voxels, os.path.basename(run_dir)),
                         voxel_size=stack.voxel_size, compress=True)
            files.write_json(known, made)
    return stacks.read(path).voxels.astype(np.float32) / 255


# --- scores ---

def compare(cfg, arms, *, labelled):
    """Train and score every arm.

    Returns:
        (rows, maps): rows, dicts of masks.MEASURES, arm, seed and region; maps, list of
        (arm, probability [Z, Y, X]) of the first seed.
    """
    rows, maps = [], []
    for arm in arms:
        for seed in range(cfg.SEED, cfg.SEED + (1 if arm in THRESHOLDS else cfg.SEEDS)):
            probability = segment(cfg, arm, seed=seed, labelled=labelled)
            regions = {'whole': labelled.whole, 'ends': labelled.ends}
            if arm in TRAINED and TRAINED[arm].manual:
                del regions['whole']
            for region, annotation in regions.items():
                values = masks.score(probability, annotation, threshold=cfg.PROBABILITY_THRESHOLD)
                rows.append(dict(values, arm=arm, seed=seed, region=region))
            if seed == cfg.SEED:
                maps.append((arm, probability))
            print('%s, seed %d: %s' % (arm, seed, ', '.join(
                '%s %.3f' % (measure, values[measure]) for measure in masks.MEASURES[:5])))
    return rows, maps


def write_results(cfg, rows, *, maps, labelled):
    """Write the table and the figures; returns the table, Markdown."""
    def at(name):
        return os.path.join(cfg.RESULTS, 'segmentation_%s.png' % name)

    stack, whole, ends = labelled.stack, labelled.whole, labelled.ends
    table = tables.write_comparison(
        cfg.RESULTS, rows, measures=masks.HEADINGS, regions=REGIONS,
        title='%s, scored at %g; ends: %d voxels apart along %s' % (
            stack.path, cfg.PROBABILITY_THRESHOLD, cfg.SPLIT_GAP, 'zyx'[cfg.SPLIT_AXIS]))
    figures.arms(at('arms'), [row for row in rows if row['region'] == 'ends'], measures=SHOWN)
    curves = [(arm, masks.precision_recall(probability[ends.valid], ends.truth[ends.valid]))
              for arm, probability in maps if arm in TRAINED]
    if curves:
        figures.precision_recall(at('curves'), curves)
    z = whole.slices[len(whole.slices) // 2] if whole.slices else len(stack.voxels) // 2
    figures.overlays(at('overlays'), stack.voxels[z], truth=whole.truth[z], valid=ends.valid[z],
                     masks=[(arm, probability[z] >= cfg.PROBABILITY_THRESHOLD)
                            for arm, probability in maps])
    return table


def result_line(rows):
    """Mean Dice of each arm on the two ends, as NAME=VALUE."""
    arms = dict.fromkeys(row['arm'] for row in rows)
    means = [(arm, np.mean([row['dice'] for row in rows
                            if row['arm'] == arm and row['region'] == 'ends'])) for arm in arms]
    return ' '.join('dice_%s=%.4f' % (arm.replace('+', '_'), mean) for arm, mean in means)


# --- run ---

def load(argv):
    """The constants; without data and without a config those of the phantom's small edition."""
    return _pairs.load(CONFIGS, argv, small=SMALL, description=__doc__)


def check(cfg):
    """The names of ARMS in their order, each once.

    Raises:
        UserError: constants that cannot work.
    """
    config.require(cfg, **segmenter_training.RANGES)
    config.require(cfg, MANUAL_SHARE=(0.01, 0.99), SPLIT_AXIS=(0, 2), SPLIT_GAP=(0, None),
                   DRAFT_DENSITY=(0, 0.02), SEEDS=(1, None), REFINER_STEPS=(1, None),
                   PHANTOM_SHAPE=(32, None), CALIBRATION_ROUNDS=(0, None),
                   N_DRAFTS=(2, 9999))
    segmenter_training.check(
        config.pick(cfg, segmenter_training.Settings), tile_shape=cfg.TILE_SHAPE,
        strength=config.pick(cfg, augmentation.Strength, prefix='AUGMENT_'), mirrors=cfg.MIRRORS)
    arms = ARMS if cfg.ARMS == 'all' else [name.strip() for name in cfg.ARMS.split(',')]
    if set(arms) - set(ARMS):
        raise UserError('ARMS=%s: want all, or some of %s' % (cfg.ARMS, ', '.join(ARMS)))
    return list(dict.fromkeys(arms))


def main():
    cfg, started = load(sys.argv[1:]), time.time()
    arms = check(cfg)
    real, path, annotation = _pairs.find_data(cfg)
    labelled = read_labelled(cfg, path, annotation=annotation)
    _pairs.make_pairs(cfg, real, folders={
        TRAINED[arm].folder for arm in arms if arm in TRAINED} - {None})
    rows, maps = compare(cfg, arms, labelled=labelled)
    table = write_results(cfg, rows, maps=maps, labelled=labelled)
    print('\n%s\n%s' % (table, os.path.join(cfg.RESULTS, 'segmentation.md')))
    print('result: %s seconds=%.0f' % (result_line(rows), time.time() - started))


if __name__ == '__main__':
    errors.run(main)
