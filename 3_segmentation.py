"""Step 3: train a segmentation network on synthetic pairs, predict any stack, compare with other ways to a mask.

Reads   data/refined/ or data/simulated/        pairs: patches.h5, images/ (2_mpgan.py, 1_simulator.py)
        data/real/                              stacks to predict
Writes  runs/segmentation/  checkpoints/, best.json, log.csv, events/
        data/segmented/NAME.prob.tif            uint8, probability of the foreground * 255, rounded
        data/segmented/NAME.mask.tif            uint8 {0, 1}
        results/segmentation.csv, .md, segmentation_*.png      of STAGE=compare; what it trains on lies in data/compare/
Run     python 3_segmentation.py                                        trains; goes on from the last checkpoint
        python 3_segmentation.py STAGE=predict INPUT=folder OUTPUT=folder
        python 3_segmentation.py STAGE=score LABELLED=stack.tif ANNOTATION=labels.tif
        python 3_segmentation.py STAGE=export OUTPUT=folder             pairs for nnU-Net v2, and as plain TIFF
        python 3_segmentation.py STAGE=pack OUTPUT=models/pretrained/x  the weights alone, to keep or hand on
        python 3_segmentation.py ARMS=all SEEDS=3 REAL=stacks LABELLED=stack.tif ANNOTATION=labels.tif

Intensities are normalised per whole stack, the same in training and predicting: asinh of the deviation from its median,
in noise levels (utils/augmentation.py).
"""
import copy
import glob
import hashlib
import os
import subprocess
import sys
import time

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from models import segmenter, tf, unet
from utils.common import claims, config, errors, files, tiling
from utils.common.errors import UserError
from utils.data import export, stacks
from utils.draw import comparison
from utils.score import masks, tables
from utils.train import (augmentation, checkpoints, crops, labels, loop, normalisation, runs,
                         sessions)

# Constants that may change between runs into one RUN_DIR: how long they are kept, where they go, on what machine
MAY_CHANGE = ('STAGE', 'PAIRS', 'LABELS', 'RUN_DIR', 'INPUT', 'OUTPUT', 'PROBABILITY_THRESHOLD', 'REAL', 'LABELLED', 'ANNOTATION', 'ARMS', 'SEEDS',
        'DATA', 'RUNS', 'RESULTS', 'N_DRAFTS', 'DRAFT_SHAPE', 'DRAFT_DENSITY', 'SPLIT_AXIS', 'SPLIT_GAP', 'LOG_EVERY', 'THREADS',
        'TILE_SHAPE', 'MIRRORS', 'MIN_OBJECT')
STAGES = ('train', 'score', 'predict', 'export', 'pack', 'compare')
WITHOUT_NETWORK = ('otsu', 'oracle')
FOLDER_OF = {'paper': 'paper', 'drafts': 'drafts', 'simgan': 'simgan', 'mpgan': 'mpgan', 'mpgan+manual': 'mpgan', 'manual': None}
ARMS = WITHOUT_NETWORK + tuple(FOLDER_OF)
REGIONS = {'whole': 'all that is annotated (the manual arms have seen half of it and are left out)',
           'ends': 'the two ends (each manual network is scored on the end that it has not seen)'}


# --- training ---

def train(cfg, manual=None, *, synthetic=True, digest='', other='RUN_DIR'):
    """Train up to MAX_STEPS; goes on from the newest checkpoint.

    Args:
        manual: crops.Manual or None; synthetic: train on PAIRS, too; digest: what the manual labels are told by;
        other: the constant by which the user gives another folder.
    """
    drafts = crops.Synthetic(cfg.PAIRS, config.pick(cfg, labels.Settings), held_out=cfg.HELD_OUT) if synthetic else None
    places = [drafts] * cfg.BATCH_SIZE
    if manual is not None:
        by_hand = min(max(1, int(round(cfg.MANUAL_SHARE * cfg.BATCH_SIZE))), cfg.BATCH_SIZE - 1) if synthetic else cfg.BATCH_SIZE
        if not by_hand:
            raise UserError('BATCH_SIZE=1 has no place for both synthetic and manual crops: take 2 or more')
        places[:by_hand] = [manual] * by_hand
    claims.claim(cfg.RUN_DIR, dict(vars(cfg), PAIRS_DIGEST=drafts.file.digest if drafts else '', MANUAL=digest), may_change=MAY_CHANGE,
                 overwrite=checkpoints.newest(cfg.RUN_DIR) is None, cure='give another %s, or remove this one' % other)
    tf.reset_default_graph()
    tf.set_random_seed(cfg.SEED)
    graph = segmenter.build(cfg.CROP_SHAPE, cfg.CHANNELS, levels=cfg.LEVELS, learning_rate=cfg.LEARNING_RATE, max_steps=cfg.MAX_STEPS, average_decay=cfg.AVERAGE_DECAY)
    inference = segmenter.build_inference(cfg.CHANNELS, cfg.LEVELS)
    held = drafts.validation(cfg.CROP_SHAPE, cfg.EVALUATION_PATCHES) if drafts else None
    strength = config.pick(cfg, augmentation.Strength, prefix='AUGMENT_')
    columns = list(graph.losses) + ['learning_rate', 'validation_loss', 'validation_dice']
    with runs.Run(cfg.RUN_DIR, columns, threads=cfg.THREADS) as run, loop.Stop() as stop:
        if not run.step:
            run.session.run(graph.start_average)
        elif run.step < cfg.MAX_STEPS:
            print('%s: goes on from step %d' % (cfg.RUN_DIR, run.step))
        first, started, said = run.step, time.time(), time.time()
        for step in tqdm(range(first, cfg.MAX_STEPS), 'training', disable=not sys.stderr.isatty()):
            image, label, weight = crops.batch(places, cfg.CROP_SHAPE, strength=strength, seed=[cfg.SEED], index=step)
            rate, values, _ = run.session.run([graph.learning_rate, graph.losses, graph.update],
                                              {graph.image: image, graph.label: label, graph.weight: weight})
            run.step, values = step + 1, dict(values, learning_rate=rate)
            last, stopping = run.step == cfg.MAX_STEPS, stop.asked          # asked for later: after the next step
            if held and (run.step % cfg.EVALUATE_EVERY == 0 or last):
                values.update(validate(run.session, inference, held=held))
            if run.step % cfg.LOG_EVERY == 0 or 'validation_loss' in values or last:
                run.log(values)
                if time.time() - said > 20 and not sys.stderr.isatty():
                    said = time.time()
                    print('step %d of %d, %.2f s each' % (run.step, cfg.MAX_STEPS, (said - started) / (run.step - first)))
            if 'validation_loss' in values and (run.best is None or values['validation_loss'] < run.best['score']):
                run.save_best(float(values['validation_loss']))
            if run.step % cfg.SAVE_EVERY == 0 or last or stopping:
                run.check(values)
                run.save()
            if stopping:
                raise KeyboardInterrupt('%s: stopped after step %d, which is saved: run the same command again to go on'
                                        % (cfg.RUN_DIR, run.step))
        if run.step > first:
            print('%s: %d steps, %.3f s each%s' % (cfg.RUN_DIR, run.step - first, (time.time() - started) / (run.step - first),
                                                  ', best at step %(step)d, loss %(score).3f on held-out stacks' % run.best
                                                  if run.best else ''))
        else:
            print('%s: has its %d steps already' % (cfg.RUN_DIR, run.step))


def validate(session, inference, *, held):
    """Loss and Dice on crops of held-out drafts: 1 - soft Dice + cross-entropy, as in training; dict."""
    image, label, weight = held
    p = np.concatenate([session.run(inference.probability, {inference.image: image[i:i + 1]}) for i in range(len(image))])
    p = np.clip(p, 1e-6, 1 - 1e-6)
    entropy = -(weight * (label * np.log(p) + (1 - label) * np.log(1 - p))).sum() / max(weight.sum(), 1)
    soft = (2 * (weight * p * label).sum() + 1) / ((weight * (p + label)).sum() + 1)
    return {'validation_loss': float(entropy + 1 - soft),
            'validation_dice': masks.dice((p >= 0.5) & (weight > 0), label * weight)}


# --- predicting ---

class Network:
    """A trained network in a session of its own; use as a context manager."""

    def __init__(self, run_dir, threads=0, *, tile=(64, 128, 128), mirrors=1):
        """Args:
            mirrors: 1, 2, 4 or 8: mirrored copies (along x, then y, then z) whose probabilities are averaged.

        Raises UserError: no checkpoint, or no settings beside it.
        """
        checkpoint = checkpoints.best(run_dir) or checkpoints.newest(run_dir)
        if checkpoint is None:
            raise UserError('%s has no checkpoint: train first (STAGE=train), or give another RUN_DIR' % run_dir)
        trained = files.read_json(os.path.join(run_dir, 'config.json'))
        try:
            channels, self.levels = trained['CHANNELS'], trained['LEVELS']
        except KeyError:
            raise UserError('%s is no run of 3_segmentation.py: give another RUN_DIR' % run_dir)
        self.mirrors = [tuple(1 + axis for axis in range(3) if k >> (2 - axis) & 1) for k in range(mirrors)]
        self.step, self.settings = checkpoints.step_of(checkpoint), trained
        self.tile = tuple(-(-n // 2 ** self.levels) * 2 ** self.levels for n in tile)
        tf.reset_default_graph()
        self.inference = segmenter.build_inference(channels, self.levels)
        self.saver = tf.train.Saver(segmenter.inference_variables())
        self.session = sessions.open_session(threads)
        sessions.restore(self.session, self.saver, checkpoint=checkpoint)
        self.digest = hashlib.sha1(b''.join(v.tobytes() for v in self.session.run(segmenter.inference_variables()))).hexdigest()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def probability(self, voxels, scale):
        """Probability * 255, uint8 [Z, Y, X], of one tile or of a whole stack at once."""
        shape, step = voxels.shape, 2 ** self.levels
        x = np.pad(normalisation.normalise(voxels, scale), [(0, -n % step) for n in shape], 'symmetric')
        x, mean = x[None, ..., None], 0.0
        for axes in self.mirrors:                         # padded first, so that blocks lie as they do in the whole stack
            mean += np.flip(self.session.run(self.inference.probability, {self.inference.image: np.flip(x, axes)}), axes)
        return np.rint(255 / len(self.mirrors) * mean[0, ..., 0]).astype(np.uint8)[tuple(slice(n) for n in shape)]

    def predict(self, voxels, name=''):
        """The same of a stack, by tiles; every tile has the whole stack's normalisation."""
        scale = normalisation.measure(voxels)
        return tiling.apply(lambda tile: self.probability(tile, scale), voxels, tile=self.tile, halo=unet.halo(self.levels),
                            progress=lambda tiles: tqdm(tiles, name, leave=False, disable=not sys.stderr.isatty()), dtype=np.uint8)


def mask_of(probability, threshold, *, smallest):
    """uint8 {0, 1} of probability * 255, without objects of fewer voxels than `smallest` (they hang together by corners)."""
    mask = probability >= threshold * 255
    if smallest > 1:
        objects, count = ndimage.label(mask, np.ones((3, 3, 3)))
        sizes = sum(np.bincount(plane.ravel(), minlength=count + 1) for plane in objects)     # by planes: bincount copies
        mask &= (sizes >= smallest)[objects]
    return mask.astype(np.uint8)


def predict(cfg):
    """Predict every stack of INPUT; what is there already, of this network and this stack, is kept."""
    paths = stacks.find(cfg.INPUT)
    for path in paths:
        if os.path.realpath(os.path.dirname(path)) == os.path.realpath(cfg.OUTPUT):
            raise UserError('INPUT and OUTPUT are both %s: give another OUTPUT' % cfg.OUTPUT)
    record_path = os.path.join(cfg.OUTPUT, 'made_from.json')
    record = files.read_json(record_path) if os.path.exists(record_path) else {}
    bad, done = [], 0
    with Network(cfg.RUN_DIR, cfg.THREADS, tile=cfg.TILE_SHAPE, mirrors=cfg.MIRRORS) as network:
        for path in paths:
            name, status = stacks.name_of(path), os.stat(path)
            key = '%s %d %d %g %d %d' % (network.digest, status.st_size, status.st_mtime_ns, cfg.PROBABILITY_THRESHOLD, cfg.MIN_OBJECT, cfg.MIRRORS)
            targets = [os.path.join(cfg.OUTPUT, '%s.%s.tif' % (name, kind)) for kind in ('prob', 'mask')]
            if record.get(name) == key and all(map(os.path.exists, targets)):
                continue
            try:
                stack = stacks.read(path)
            except UserError as error:             # the other stacks are still worth doing
                print('error: %s' % error, file=sys.stderr)
                bad.append(path)
                continue
            started = time.time()
            probability = network.predict(stack.voxels, name)
            for target, voxels in zip(targets, (probability, mask_of(probability, cfg.PROBABILITY_THRESHOLD, smallest=cfg.MIN_OBJECT))):
                stacks.write(target, voxels, voxel_size=stack.voxel_size, compress=True)
            record[name] = key
            files.write_json(record_path, record)
            tqdm.write('%s: %.2f %% foreground, %.1f s' % (targets[1], 100 * (probability >= cfg.PROBABILITY_THRESHOLD * 255).mean(),
                                                           time.time() - started))
            done += 1
        print('%s: %d stacks (%d new) by step %d of %s' % (cfg.OUTPUT, len(paths) - len(bad), done, network.step, cfg.RUN_DIR))
    if bad:
        return 'error: %d of %d stacks were left out: %s' % (len(bad), len(paths), ', '.join(bad[:5]))


def score(cfg):
    """Score RUN_DIR's network on the labelled stack and print the measures."""
    if not (cfg.LABELLED and cfg.ANNOTATION):
        raise UserError('STAGE=score wants LABELLED=stack.tif and ANNOTATION=labels.tif')
    stack = stacks.read(cfg.LABELLED)
    annotation = masks.read_annotation(cfg.ANNOTATION, stack.voxels.shape)
    with Network(cfg.RUN_DIR, cfg.THREADS, tile=cfg.TILE_SHAPE, mirrors=cfg.MIRRORS) as network:
        values = masks.score(network.predict(stack.voxels) / 255.0, annotation, threshold=cfg.PROBABILITY_THRESHOLD)
    print('%s on %s: %s' % (cfg.RUN_DIR, cfg.LABELLED, ', '.join('%s %.3f' % (m, values[m]) for m in masks.MEASURES)))


def pack(cfg):
    """Write the weights that predict, and their settings, into OUTPUT: a RUN_DIR for predicting, a fifth as large."""
    if cfg.OUTPUT == config.read_constants(config.rooted('configs/segmentation.py'))['OUTPUT']:
        raise UserError('STAGE=pack: give an OUTPUT of its own with it, such as models/pretrained/segmentation')
    with Network(cfg.RUN_DIR, cfg.THREADS) as network:
        path = checkpoints.pack(cfg.OUTPUT, step=network.step, session=network.session, saver=network.saver,
                                settings=network.settings, may_change=MAY_CHANGE)
    print('%s: weights of step %d of %s, %.0f KiB' % (path, network.step, cfg.RUN_DIR, sum(
        os.path.getsize(os.path.join(path, name)) for name in os.listdir(path)) / 1024))


# --- the comparison ---

def compare(cfg):
    """Train what is missing of every arm, score all on the labelled stack, write the table and the figures."""
    arms = list(ARMS) if cfg.ARMS in (None, 'all') else list(dict.fromkeys(name.strip() for name in cfg.ARMS.split(',')))
    unknown = [name for name in arms if name not in ARMS]
    if unknown:
        raise UserError('ARMS=%s: want all, or some of %s' % (cfg.ARMS, ', '.join(ARMS)))
    started = time.time()
    real, labelled, labels = data_of(cfg)
    stack = stacks.read(labelled)
    whole = masks.read_annotation(labels, stack.voxels.shape)
    boxes = masks.halves(stack.voxels.shape, cfg.SPLIT_AXIS, gap=cfg.SPLIT_GAP)
    ends = masks.within(whole, boxes)
    check_split(cfg, labelled, whole=whole, boxes=boxes)
    make_pairs(cfg, real, folders={FOLDER_OF.get(arm) for arm in arms if arm not in WITHOUT_NETWORK} - {None})
    digest = hashlib.sha1(stack.voxels.tobytes() + whole.truth.tobytes() + whole.valid.tobytes()).hexdigest()
    rows, shown, curves = [], [], []
    for arm in arms:
        for seed in range(cfg.SEED, cfg.SEED + (1 if arm in WITHOUT_NETWORK else cfg.SEEDS)):
            if arm in WITHOUT_NETWORK:
                probability = masks.otsu(stack.voxels) if arm == 'otsu' else masks.oracle(stack.voxels, whole)
            elif 'manual' in arm:                         # each end by the network that was trained on the other one
                probability = np.zeros(stack.voxels.shape, np.float32)
                for k, box in enumerate(boxes):
                    manual = crops.Manual(stack.voxels, whole, box=boxes[1 - k], name=labelled)
                    here = trained(cfg, arm, seed=seed, stack=stack, ending='-%d' % (k + 1), manual=manual, digest='%s %s' % (digest, boxes[1 - k]))
                    probability[box] = here[box]
            else:
                probability = trained(cfg, arm, seed=seed, stack=stack)
            for region, annotation in (('whole', whole), ('ends', ends)):
                if region == 'ends' or 'manual' not in arm:
                    rows.append(dict(masks.score(probability, annotation, threshold=cfg.PROBABILITY_THRESHOLD), arm=arm, seed=seed, region=region))
            if seed == cfg.SEED:
                shown.append((arm, probability >= cfg.PROBABILITY_THRESHOLD))
                if arm not in WITHOUT_NETWORK:
                    curves.append((arm, masks.precision_recall(probability[ends.valid], ends.truth[ends.valid])))
            print('%s, seed %d: %s' % (arm, seed, ', '.join('%s %.3f' % (m, rows[-1][m]) for m in masks.MEASURES[:5])))
    table = tables.write_comparison(cfg.RESULTS, rows, measures=masks.HEADINGS, regions=REGIONS, title='%s, scored at %g; ends: %d voxels apart along %s' % (
        labelled, cfg.PROBABILITY_THRESHOLD, cfg.SPLIT_GAP, 'zyx'[cfg.SPLIT_AXIS]))
    comparison.arms(os.path.join(cfg.RESULTS, 'segmentation_arms.png'), rows, measures=('dice', 'f1_1', 'cldice', 'ap'))
    if curves:
        comparison.precision_recall(os.path.join(cfg.RESULTS, 'segmentation_curves.png'), curves)
    z = whole.slices[len(whole.slices) // 2] if whole.slices else stack.voxels.shape[0] // 2
    comparison.overlays(os.path.join(cfg.RESULTS, 'segmentation_overlays.png'), stack.voxels[z], truth=whole.truth[z], valid=ends.valid[z],
                     masks=[(arm, mask[z]) for arm, mask in shown])
    print('\n%s\n%s: done in %.0f s' % (table, os.path.join(cfg.RESULTS, 'segmentation.md'), time.time() - started))


def check_split(cfg, labelled, *, whole, boxes):
    """Raise UserError if the labelled stack cannot be cut in two, or a gap lets one end look at the other."""
    if cfg.SPLIT_GAP < unet.halo(cfg.LEVELS):
        raise UserError('SPLIT_GAP=%d: the network sees %d voxels far: want as much at least' % (cfg.SPLIT_GAP,
                                                                                                    unet.halo(cfg.LEVELS)))
    for box in boxes:
        if box[cfg.SPLIT_AXIS].stop <= box[cfg.SPLIT_AXIS].start or not (whole.truth & whole.valid)[box].any():
            raise UserError('%s: an end of the split has no labelled foreground: take another SPLIT_AXIS than %d, '
                                   'or a smaller SPLIT_GAP' % (labelled, cfg.SPLIT_AXIS))


def trained(cfg, arm, *, seed, stack, ending='', manual=None, digest=''):
    """Train a network of an arm if it is not, and predict the labelled stack; probability in [0, 1], float32 [Z, Y, X]."""
    mine = copy.copy(cfg)
    mine.SEED, mine.RUN_DIR = seed, os.path.join(cfg.RUNS, '%s-%d%s' % (arm, seed, ending))
    mine.PAIRS = os.path.join(cfg.DATA, FOLDER_OF[arm]) if FOLDER_OF[arm] else ''
    train(mine, manual, synthetic=FOLDER_OF[arm] is not None, digest=digest, other='RUNS')
    with Network(mine.RUN_DIR, cfg.THREADS, tile=cfg.TILE_SHAPE, mirrors=cfg.MIRRORS) as network:
        path = os.path.join(mine.RUN_DIR, 'labelled.prob.tif')
        key = hashlib.sha1(('%s %d' % (network.digest, cfg.MIRRORS)).encode() + stack.voxels.tobytes()).hexdigest()
        known = os.path.join(mine.RUN_DIR, 'labelled.json')
        if not (os.path.exists(path) and os.path.exists(known) and files.read_json(known).get('made_from') == key):
            stacks.write(path, network.predict(stack.voxels, arm), voxel_size=stack.voxel_size, compress=True)
            files.write_json(known, {'made_from': key})
    return stacks.read(path).voxels.astype(np.float32) / 255


def data_of(cfg):
    """(stacks to learn the domain from, labelled stack, its labels); the phantom's, drawn here, where none is given."""
    given = (cfg.REAL, cfg.LABELLED, cfg.ANNOTATION)
    if all(given):
        return given
    if any(given):
        raise UserError('REAL, LABELLED and ANNOTATION go together: give all three, or none for the phantom')
    folder = os.path.join(cfg.DATA, 'phantom')
    script('-m', 'utils.simulate.phantom', 'OUTPUT=%s' % folder)
    images = stacks.find(os.path.join(folder, 'images'))
    return (os.path.join(glob.escape(folder), 'images', '000[12].tif'), images[2],
            os.path.join(folder, 'truth', 'labels', os.path.basename(images[2])))


def make_pairs(cfg, real, *, folders):
    """Run the earlier scripts for the folders of pairs that are asked for; each finds what it has done already."""
    def at(name, root=cfg.DATA):
        return os.path.join(root, name)

    if not folders:
        return
    small = ['--config', 'configs/demo/prepare_patches.py'] if not cfg.REAL else []
    script('prepare_patches.py', *small, 'STACKS=%s' % real, 'OUTPUT=%s' % at('patches'))
    bits = 8 if files.read_json(at('patches/priors.json')).get('dtype_max') == 255 else 16
    common = ['N_STACKS=%d' % cfg.N_DRAFTS, 'AXON_SHARE=1', 'BITS=%d' % bits,
              'VOLUME_SHAPE=%d,%d,%d' % tuple(cfg.DRAFT_SHAPE)]
    if 'paper' in folders:
        script('1_simulator.py', *common, 'PRIORS=None', 'OUTPUT=%s' % at('paper'))
    if folders - {'paper'}:
        script('1_simulator.py', *common, 'PRIORS=%s' % at('patches/priors.json'), 'DENSITY=%g' % cfg.DRAFT_DENSITY,
               'OUTPUT=%s' % at('drafts'))
    refined = [name for name in ('mpgan', 'simgan') if name in folders]
    if refined:                                          # a refiner learns from drafts as dense as the real patches
        script('1_simulator.py', *common, 'PRIORS=%s' % at('patches/priors.json'), 'OUTPUT=%s' % at('matched'))
    for name in refined:
        settings = ['--config', 'configs/demo/mpgan.py'] + (['LAMBDA_LABEL=0'] if name == 'simgan' else []) + [
            'REAL_PATCHES=%s' % at('patches/real.h5'), 'RUN_DIR=%s' % at('refiner_' + name, cfg.RUNS), 'THREADS=%d' % cfg.THREADS]
        script('2_mpgan.py', *settings, 'STAGE=train', 'DRAFTS=%s' % at('matched'))
        script('2_mpgan.py', *settings, 'STAGE=refine', 'DRAFTS=%s' % at('drafts'), 'OUTPUT=%s' % at(name))


def script(*arguments):
    """Run one of the project's scripts, as a user would.

    Raises:
        UserError: if it fails; what it said stands above.
    """
    name = arguments[0]
    command = list(arguments) if name == '-m' else [config.rooted(name)] + list(arguments[1:])
    print('\n$ python %s' % ' '.join(arguments))
    if subprocess.call([sys.executable] + command, env=dict(os.environ, PYTHONPATH=config.ROOT)):
        raise UserError('%s failed (see above): set right what it names and run the same command again, what is done is '
                               'kept; or, for other data or settings, give another DATA and RUNS' % ' '.join(arguments[:2]))


# --- run ---

def check(cfg):
    """Raise UserError for constants that cannot work."""
    if cfg.STAGE not in STAGES:
        raise UserError('STAGE=%s: want one of %s' % (cfg.STAGE, ', '.join(STAGES)))
    config.require(cfg, PROBABILITY_THRESHOLD=(0, 1), LABEL_WIDTH_LEVEL=(0.01, 1), LABEL_BLUR=(0, 10), IGNORED_RIM=(0, 10), VISIBLE_CONTRAST=(0, None), AUGMENT_PUNCTA=(0, 1000), MIN_OBJECT=(0, None), AUGMENT_HAZE=(0, 20), AUGMENT_BLUR=(0, 10),
                   AUGMENT_SNR=(0.01, 1), AUGMENT_CONTRAST=(0.01, 100), AUGMENT_GAMMA=(0, 3), AUGMENT_OFFSET=(0, None), AUGMENT_NOISE=(0, None), LEARNING_RATE=(0, 1),
                   AVERAGE_DECAY=(0, 0.99999), HELD_OUT=(0.001, 0.9),
                   MANUAL_SHARE=(0.01, 0.99), SEED=(0, None), LEVELS=(0, 5), SPLIT_AXIS=(0, 2), SPLIT_GAP=(0, None),
                   DRAFT_DENSITY=(0, 0.02), **{name: (1, None) for name in (
                       'CHANNELS', 'MAX_STEPS', 'BATCH_SIZE', 'CROP_SHAPE', 'LOG_EVERY', 'EVALUATE_EVERY', 'EVALUATION_PATCHES',
                       'SAVE_EVERY', 'TILE_SHAPE', 'SEEDS')}, N_DRAFTS=(2, 9999))
    if cfg.MIRRORS not in (1, 2, 4, 8):
        raise UserError('MIRRORS=%d: want 1, 2, 4 or 8' % cfg.MIRRORS)
    for name in ('AUGMENT_CONTRAST', 'AUGMENT_SNR'):
        if getattr(cfg, name)[0] > getattr(cfg, name)[1]:
            raise UserError('%s=%s: want the smaller one first' % (name, getattr(cfg, name)))
    for name in ('CROP_SHAPE', 'TILE_SHAPE'):
        if any(n % 2 ** cfg.LEVELS for n in getattr(cfg, name)):
            raise UserError('%s=%s: want multiples of %d (2^LEVELS)' % (name, getattr(cfg, name), 2 ** cfg.LEVELS))


def main():
    cfg = config.load('configs/segmentation.py', sys.argv[1:], description=__doc__)
    if cfg.ARMS and cfg.STAGE == 'train':
        cfg.STAGE = 'compare'
    check(cfg)
    if cfg.STAGE == 'export':
        return export.nnunet(cfg.OUTPUT, os.path.join(cfg.PAIRS, 'images'), labels=cfg.LABELS)
    return {'train': train, 'score': score, 'predict': predict, 'pack': pack, 'compare': compare}[cfg.STAGE](cfg)


if __name__ == '__main__':
    errors.run(main)
