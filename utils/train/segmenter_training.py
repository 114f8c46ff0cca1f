"""The training of a segmentation network: losses on batches of crops, scores on held-out drafts."""
from typing import NamedTuple, Optional, Tuple

import numpy as np

from models import segmenter, tf
from utils.common.errors import UserError
from utils.score import masks
from utils.train import checkpoints, crops, loop, runs, sessions
from utils.train.trained import settings_of

# Constants that may change between runs into one folder: they do not shape the weights
MAY_CHANGE = ('STAGE', 'PAIRS', 'LABELS', 'RUN_DIR', 'INPUT', 'OUTPUT', 'PROBABILITY_THRESHOLD',
              'MIN_OBJECT', 'LABELLED', 'ANNOTATION', 'LOG_EVERY', 'THREADS', 'TILE_SHAPE',
              'MIRRORS', 'OUTPUT_FORMAT', 'BLOCK_SHAPE', 'CHANNEL', 'SAMPLE_BLOCKS', 'EMPTY_BELOW',
              'DASK', 'WORKERS')

# Constants of the scripts that train -> (lowest, highest) value, None: no limit
RANGES = dict(
    PROBABILITY_THRESHOLD=(0, 1), MIN_OBJECT=(0, None), SEED=(0, None), LEVELS=(0, 5),
    LABEL_WIDTH_LEVEL=(0.01, 1), LABEL_BLUR=(0, 10), LABEL_SEEN_LEVEL=(0.01, 1),
    IGNORED_RIM=(0, 10), VISIBLE_CONTRAST=(0, 1e6), AUGMENT_PUNCTA=(0, 1000), AUGMENT_HAZE=(0, 20),
    AUGMENT_BLUR=(0, 10), AUGMENT_SNR=(0.01, 1), AUGMENT_CONTRAST=(0.01, 100),
    AUGMENT_GAMMA=(0, 3), AUGMENT_OFFSET=(0, 1000), AUGMENT_NOISE=(0, 1000),
    LEARNING_RATE=(0, 1), AVERAGE_DECAY=(0, 0.99999), HELD_OUT=(0.001, 0.9), THREADS=(0, None),
    CHANNELS=(1, 1024), LAMBDA_DICE=(0, 100),
    **{name: (1, None) for name in (
        'MAX_STEPS', 'BATCH_SIZE', 'CROP_SHAPE', 'LOG_EVERY', 'EVALUATE_EVERY',
        'EVALUATION_PATCHES', 'SAVE_EVERY', 'TILE_SHAPE', 'BLOCK_SHAPE', 'SAMPLE_BLOCKS')},
    CHANNEL=(0, 10000), EMPTY_BELOW=(0, 1e6), WORKERS=(0, 1000))


class Settings(NamedTuple):
    """How a network is trained."""
    channels: int                       # width at full resolution, doubled with each level
    levels: int                         # times that the resolution is halved
    crop_shape: Tuple[int, int, int]    # (z, y, x) voxels, multiples of 2^levels
    max_steps: int
    learning_rate: float                # of Adam; it falls linearly to a hundredth
    average_decay: float                # of the running average of the weights, which predicts
    evaluation_patches: int             # crops of held-out stacks that are scored
    evaluate_every: int                 # steps between such scores
    log_every: int                      # steps between rows of log.csv
    save_every: int                     # steps between checkpoints
    threads: int                        # of TensorFlow; 0: all cores
    seed: int                           # of weights and batches
    lambda_dice: float = 1.0            # weight of 1 - soft Dice beside the cross-entropy
    start_from: Optional[str] = None    # run or packed weights whose averages are the first weights


def check(settings, *, strength, tile_shape, mirrors):
    """Raise UserError for values that do not go together, which RANGES cannot tell.

    Args:
        settings: Settings; strength: augmentation.Strength; tile_shape, mirrors: see Segmenter.
    """
    if mirrors not in (1, 2, 4, 8):
        raise UserError('MIRRORS=%d: want 1, 2, 4 or 8' % mirrors)
    for name, (low, high) in (('AUGMENT_CONTRAST', strength.contrast),
                              ('AUGMENT_SNR', strength.snr)):
        if low > high:
            raise UserError('%s=%s: want the smaller one first' % (name, (low, high)))
    step = 2 ** settings.levels
    for name, shape in (('CROP_SHAPE', settings.crop_shape), ('TILE_SHAPE', tile_shape)):
        if any(n % step for n in shape):
            raise UserError('%s=%s: want multiples of %d (2^LEVELS)' % (name, shape, step))


def places(count, *, drafts=None, manual=None, share=0.5):
    """The source of each crop of a batch.

    Args:
        count: crops; drafts: crops.Synthetic, Mixture or None; manual: crops.Manual or None.
        share: of the batch that is manual where there are both; one crop of each at least.

    Returns:
        list of `count` sources, the manual ones first.

    Raises:
        UserError: no place for both.
    """
    if drafts is None or manual is None:
        return [drafts or manual] * count
    by_hand = min(max(1, int(round(share * count))), count - 1)
    if not by_hand:
        raise UserError('BATCH_SIZE=1 has no place for both synthetic and manual crops: take 2 or '
                        'more')
    return [manual] * by_hand + [drafts] * (count - by_hand)


def train(run_dir, settings, *, sources, strength, held=None):
    """Train up to settings.max_steps; goes on from the newest checkpoint of run_dir.

    The best checkpoint is that with the lowest loss on `held`, by the averages of the weights.

    Args:
        settings: Settings; sources: source of each crop of a batch, see places.
        strength: augmentation.Strength; held: crops.Synthetic or Mixture whose held-out
            stacks score the network, or None.

    Raises:
        UserError: as crops, runs.Run; KeyboardInterrupt: as loop.steps.
    """
    if held:
        held = held.validation(settings.crop_shape, settings.evaluation_patches)
    tf.reset_default_graph()
    tf.set_random_seed(settings.seed)
    graph = segmenter.build(
        settings.crop_shape, settings.channels, levels=settings.levels,
        learning_rate=settings.learning_rate, max_steps=settings.max_steps,
        average_decay=settings.average_decay, dice_weight=settings.lambda_dice)
    inference = segmenter.build_inference(settings.channels, settings.levels)
    columns = list(graph.losses) + ['learning_rate', 'validation_loss', 'validation_dice']
    values = {}

    def save():
        run.check(values)
        run.save()

    def closing():
        best = ', best at step %(step)d, loss %(score).3f on held-out stacks'
        return best % run.best if run.best else ''

    with runs.Run(run_dir, columns, threads=settings.threads) as run:
        if not run.step:
            first_weights(run.session, graph, settings=settings)
        for step in loop.steps(run, settings.max_steps, save=save,
                               save_every=settings.save_every, closing=closing):
            values = update(run, graph, batch=crops.batch(
                sources, settings.crop_shape, strength=strength, seed=[settings.seed],
                index=step.index))
            evaluated = held and step.due(settings.evaluate_every)
            if evaluated:
                values.update(validate(run.session, inference, held=held,
                                       dice_weight=settings.lambda_dice))
            if evaluated or step.due(settings.log_every):
                run.log(values)
            if evaluated and (run.best is None or values['validation_loss'] < run.best['score']):
                run.save_best(values['validation_loss'])


def first_weights(session, graph, *, settings):
    """Averages as the new weights are; or all as those of settings.start_from, a run's best ones.

    Raises:
        UserError: no network there, or one of other CHANNELS or LEVELS.
    """
    folder = settings.start_from
    if not folder:
        session.run(graph.start_average)
        return
    checkpoint = checkpoints.best_or_newest(folder)
    if checkpoint is None:
        raise UserError('START_FROM=%s has no checkpoint: give a run of 3_segmentation.py or one '
                        'of models/pretrained' % folder)
    known = settings_of(folder, ('CHANNELS', 'LEVELS'), script='3_segmentation.py')
    if (known['CHANNELS'], known['LEVELS']) != (settings.channels, settings.levels):
        raise UserError('START_FROM=%s has CHANNELS=%d LEVELS=%d, not %d and %d: give these'
                        % (folder, known['CHANNELS'], known['LEVELS'], settings.channels,
                           settings.levels))
    sessions.restore(session, tf.train.Saver(segmenter.inference_variables()),
                     checkpoint=checkpoint)
    session.run(graph.adopt_average)


def update(run, graph, *, batch):
    """One step on a batch (image, label, weight); dict of the losses and the learning rate."""
    rate, losses, _ = run.session.run(
        [graph.learning_rate, graph.losses, graph.update],
        dict(zip((graph.image, graph.label, graph.weight), batch)))
    return dict(losses, learning_rate=rate)


def validate(session, inference, *, held, dice_weight=1.0):
    """Loss and Dice of the averaged weights on crops; held: as crops.collate. Dict of floats."""
    image, label, weight = held
    probability = np.concatenate([
        session.run(inference.probability, {inference.image: image[i:i + 1]})
        for i in range(len(image))])
    found = (probability >= 0.5) & (weight > 0)
    return {'validation_loss': loss(probability, label, weight=weight,
                                    dice_weight=dice_weight),
            'validation_dice': masks.dice(found, label * weight)}


def loss(probability, label, *, weight, dice_weight=1.0):
    """Soft Dice loss and cross-entropy of all voxels that count, as the training graph has it.

    It is NumPy since crops are predicted one by one, and both are of all of them at once.

    Args:
        probability: float32, any shape, in [0, 1]; label: {0, 1}; weight: 0 leaves a voxel out.

    Returns:
        float, models/losses.py: masked_dice_loss + masked_cross_entropy.
    """
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    entropy = -(weight * (label * np.log(p) + (1 - label) * np.log(1 - p))).sum()
    soft = (2 * (weight * p * label).sum() + 1) / ((weight * (p + label)).sum() + 1)
    return float(entropy / max(weight.sum(), 1) + dice_weight * (1 - soft))
