"""The training graph of MPGAN and the inference graph of its refiner (docs/method.md, step 2)."""
from typing import Any, NamedTuple, Optional

from models import averages, losses, spectra, tf
from models.discriminator import discriminator
from models.layers import Moments
from models.refiner import refiner

AVERAGE = 'refiner_average'      # scope of what the inference graph uses
DETAIL_LIMIT = 3.0               # asinh of 10 noise levels


# --- settings; the defaults are the paper's ---

class Architecture(NamedTuple):
    """Networks (configs/mpgan.py)."""
    refiner_channels: int = 32               # width of the refiner
    discriminator_channels: int = 64         # width of the discriminator's first layer
    discriminator_activation: bool = True    # leaky ReLU between its layers
    identity_start: bool = False             # first weights pass drafts on, see refiner.initial
    standardise: bool = False                # networks see deviations from the data's median, in
    #                                          standard deviations; False: intensities in [-1, 1]
    frozen_moments: bool = False             # train with the moments that the refiner is used with;
    #                                          run `calibrate` once; False: with each batch's own
    average_decay: float = 0.0               # of the running average of the refiner's weights that
    #                                          refines; run `start_average` once; 0: the newest
    discriminator_sees_level: bool = True    # False: each patch loses its mean before D sees it
    discriminator_compresses: bool = False   # D sees asinh of intensities in noise levels of the
    #                                          real patches, instead of standard deviations
    discriminator_sees_detail: bool = False  # D also sees how voxels differ from the mean of their
    #                                          3^3 neighbours, see detail


class Losses(NamedTuple):
    """Losses of the refiner."""
    lambda_identity: float = 5.0             # weight of the identity loss
    lambda_level: float = 0.0                # weight of the level loss, see losses.level_loss
    lambda_spectrum: float = 0.0             # weight of the spectrum loss, see spectra.loss
    lambda_label: float = 0.5                # weight of the label loss; fed as `label_weight`
    label_steepness: float = 0.1             # K of its soft threshold, per grey level; 0: of each
    #                                          image, see losses.foreground
    background_quantile: float = 0.95        # its cut: quantile of each image's background
    label_smoothing: int = 0                 # times that a 3^3 mean of both images is taken first
    label_foreground_share: float = 0.0      # see losses.label_loss
    label_contrast: float = 0.0              # weight beside it of the contrast loss


class Optimiser(NamedTuple):
    """Both Adams; the learning rates fall in steps."""
    learning_rate: float = 1e-4              # of the refiner
    discriminator_rate: float = 0.0          # of the discriminator; 0: the same
    decay_rate: float = 0.9                  # factor on both rates ...
    decay_steps: int = 1000                  # ... every so many steps
    beta1: float = 0.5                       # decay of the gradients' first moment


class Settings(NamedTuple):
    """All of the above."""
    architecture: Architecture = Architecture()
    losses: Losses = Losses()
    optimiser: Optimiser = Optimiser()


GROUPS = Architecture, Losses, Optimiser


class Spectra(NamedTuple):
    """What the spectrum loss compares with, see models/spectra.py."""
    unit: float                              # grey levels, of spectra.compressed
    shift: tuple                             # (z, y, x): float32 arrays, log10


class Intensities(NamedTuple):
    """(median, standard deviation) of the data's intensities in [-1, 1]."""
    drafts: tuple                            # of drafts
    drafts_atanh: tuple                      # of their atanh
    real: tuple                              # of real patches
    real_noise: float = 1.0                  # of the real patches' background, standard deviation
    spectra: Optional[Spectra] = None        # for Losses.lambda_spectrum


# --- graphs ---

class Graph(NamedTuple):
    """Training graph. Patches are float32 [B, Z, Y, X, 1], losses and rates float32 scalars."""
    draft: Any                   # grey levels; fed, or of the data pipeline, as are label and real
    label: Any                   # {0, 1}
    real: Any                    # grey levels
    history: Any                 # fed: refined patches in [-1, 1] that the discriminator sees
    label_weight: Any            # fed: weight of the label loss; 0 makes it SimGAN
    refined: Any                 # [-1, 1]; of the refiner update's own forward pass
    refined_grey: Any            # the same in grey levels
    step: Any                    # int64, discriminator updates; the learning rates fall by it
    learning_rate: Any           # of the refiner
    refiner_update: Any          # op
    discriminator_update: Any    # op
    discriminator_more: Any      # op: the same, not counted as a step
    refiner_losses: dict         # name -> scalar; `..._gradient`, `..._weights`: Euclidean norms
    discriminator_losses: dict   # the same of the discriminator, and its accuracy in [0, 1]
    calibrate: Any               # op: measure the refiner's moments on the drafts that are fed
    start_average: Any           # op: set the running average to the weights


class Inference(NamedTuple):
    """The refiner as it is used, for images of any size."""
    draft: Any                   # fed: float32 [B, Z, Y, X, 1], grey levels
    crop_sides: Any              # fed: int32 [3, 2], see refiner.crop; no side if it is not fed
    refined_grey: Any            # float32 [B, Z, Y, X, 1], grey levels


def build(crop, bits, *, settings=Settings(), intensities=None, inputs=None,
          wrap=lambda optimizer: optimizer):
    """Build the training graph.

    Args:
        crop: (z, y, x) voxels of the training crops; bits: 8 or 16.
        settings: Settings; intensities: Intensities, where settings make use of the data's.
        inputs: None: draft, label and real are fed; or these three tensors, of a tf.data pipeline.
        wrap: function applied to both optimisers (mixed precision, Horovod).

    Returns:
        Graph.
    """
    architecture, optimiser = settings.architecture, settings.optimiser
    shape = [None] + list(crop) + [1]
    draft, label, real = inputs or [tf.placeholder(tf.float32, shape, name)
                                    for name in ('draft', 'label', 'real')]
    history = tf.placeholder(tf.float32, shape, 'history')
    label_weight = tf.placeholder(tf.float32, [], 'label_weight')
    step = tf.get_variable('step', [], tf.int64, tf.zeros_initializer(), trainable=False)
    rate, own_rate = [_rate(first, step, optimiser=optimiser) for first in (
        optimiser.learning_rate, optimiser.discriminator_rate or optimiser.learning_rate)]
    score = _scorer(architecture, intensities)

    # --- refiner ---
    x = losses.to_network(draft, bits)                                   # [B, Z, Y, X, 1]
    refined, updates, calibration = _refine(x, architecture, intensities=intensities)
    refined_grey = losses.to_grey(refined, bits)
    found = _refiner_losses(x, refined, score=score, settings=settings.losses,
                            preserved=(draft, label, refined_grey), label_weight=label_weight,
                            wanted=intensities and intensities.spectra)
    with tf.variable_scope('refiner_adam', reuse=tf.AUTO_REUSE), tf.control_dependencies(updates):
        update, found['refiner_gradient'] = _minimise(
            wrap(tf.train.AdamOptimizer(rate, optimiser.beta1)), found['refiner'], scope='refiner/')
    start_average, refiner_update = averages.follow(          # moments are no weights
        'refiner', AVERAGE, step=step, decay=architecture.average_decay, after=update,
        newest=['/moving_'])

    # --- discriminator ---
    found_d = _discriminator_losses(score(losses.to_network(real, bits)), score(history))
    with tf.variable_scope('discriminator_adam', reuse=tf.AUTO_REUSE):
        discriminator_more, found_d['discriminator_gradient'] = _minimise(
            wrap(tf.train.AdamOptimizer(own_rate, optimiser.beta1)), found_d['discriminator'],
            scope='discriminator/')
    with tf.control_dependencies([discriminator_more]):  # counted even if mixed precision skips it
        discriminator_update = tf.assign_add(step, 1).op
    found['refiner_weights'] = tf.global_norm(tf.trainable_variables('refiner/'))
    return Graph(draft, label, real, history, label_weight, refined, refined_grey, step, rate,
                 refiner_update, discriminator_update, discriminator_more, found, found_d,
                 tf.group(*calibration), start_average)


def _rate(first, step, *, optimiser):
    """Learning rate that starts at `first` and falls by decay_rate every decay_steps; scalar."""
    return tf.train.exponential_decay(first, step, optimiser.decay_steps, optimiser.decay_rate,
                                      staircase=True)


def _scorer(architecture, intensities):
    """Function of intensities [B, Z, Y, X, 1] in [-1, 1]: the discriminator's scores of them."""
    level, spread = intensities.real if architecture.standardise else (0.0, 1.0)
    if architecture.discriminator_compresses:            # around the background, in noise levels
        level, spread = intensities.real[0], intensities.real_noise

    def score(x):
        x = (x - level) / spread
        if architecture.discriminator_compresses:        # bright neurites would hide the texture
            x = tf.asinh(x)
        if not architecture.discriminator_sees_level:
            x -= tf.reduce_mean(x, [1, 2, 3, 4], keepdims=True)
        if architecture.discriminator_sees_detail:
            x = tf.concat([x, detail(x)], 4)
        return discriminator(x, architecture.discriminator_channels,
                             activation=architecture.discriminator_activation)

    return score


def detail(x):
    """How voxels differ from the mean of their 3^3 neighbours, the bright and the dark ones cut.

    The discriminator halves its images at once and compares coarse features first. Beside
    everything else it learns late what the noise is like from voxel to voxel, and the refiner draws
    grids there meanwhile.

    Args:
        x: float32 [B, Z, Y, X, 1], asinh of noise levels about the mean, or standard deviations.

    Returns:
        float32 [B, Z, Y, X, 1].
    """
    x = tf.clip_by_value(x, -DETAIL_LIMIT, DETAIL_LIMIT)
    return x - tf.nn.avg_pool3d(x, [1, 3, 3, 3, 1], [1, 1, 1, 1, 1], 'SAME')


def _refine(x, architecture, *, intensities):
    """The refiner in training.

    Args:
        x: drafts, float32 [B, Z, Y, X, 1] in [-1, 1].

    Returns:
        (refined, like x; ops that an update has to wait for; ops that measure the moments on x).
        They are grouped last: TF 1.15 seeds first weights by the number of ops made before them.
    """
    start = intensities.drafts if architecture.identity_start else None
    domain = intensities.drafts_atanh if architecture.standardise else None
    updates, calibration = [], []
    refined = refiner(x, architecture.refiner_channels, start=start, domain=domain,
                      moments=None if architecture.frozen_moments else Moments(updates))
    refiner(x, architecture.refiner_channels, start=start, domain=domain,
            moments=Moments(calibration, 0.0, neutral=None not in (start, domain)))
    return refined, updates, calibration


def _refiner_losses(x, refined, *, score, settings, preserved, label_weight, wanted):
    """The refiner's losses; dict from name to scalar, `refiner` the weighted sum of the others.

    `spectrum` is among them where it has a weight.

    Args:
        x, refined: float32 [B, Z, Y, X, 1] in [-1, 1]; score: of _scorer; settings: Losses.
        preserved: (draft, label, refined draft), the images in grey levels.
        label_weight: float32 scalar; wanted: Spectra, or None.
    """
    draft, label, refined_grey = preserved
    adversarial = losses.refiner_adversarial_loss(score(refined))
    identity = losses.identity_loss(x, refined)
    grey = [losses.smoothed(x, settings.label_smoothing) for x in (draft, refined_grey)]
    soft = [losses.foreground(x, label, quantile=settings.background_quantile,
                              steepness=settings.label_steepness) for x in grey]
    kept = losses.label_loss(*soft, label=label, foreground_share=settings.label_foreground_share)
    level = losses.level_loss(x, refined)
    contrast = losses.contrast_loss(x, refined, label=label)
    total = (adversarial + settings.lambda_identity * identity + settings.lambda_level * level
             + label_weight * (kept + settings.label_contrast * contrast))
    found = {'refiner': total, 'adversarial': adversarial, 'identity': identity, 'level': level,
             'label': kept, 'label_contrast': contrast}
    if settings.lambda_spectrum:
        found['spectrum'] = spectra.loss(
            *[spectra.compressed(image, wanted.unit) for image in (draft, refined_grey)],
            shift=wanted.shift)
        found['refiner'] += settings.lambda_spectrum * found['spectrum']
    return found


def _discriminator_losses(score_real, score_refined):
    """The discriminator's loss and accuracy; dict from name to scalar."""
    right = [tf.reduce_mean(tf.cast(found, tf.float32))
             for found in (score_real > 0.5, score_refined <= 0.5)]
    return {'discriminator': losses.discriminator_loss(score_real, score_refined),
            'accuracy': 0.5 * (right[0] + right[1])}


def _minimise(optimizer, loss, *, scope):
    """One update of a scope's variables; (op, Euclidean norm of the gradient that it takes)."""
    gradients = optimizer.compute_gradients(loss, var_list=tf.trainable_variables(scope))
    return (optimizer.apply_gradients(gradients),
            tf.global_norm([gradient for gradient, _ in gradients]))


def build_inference(bits, refiner_channels, *, standardised=False):
    """The refiner alone, on its weights' running averages and fixed moments.

    Args:
        bits: 8 or 16; refiner_channels: width that it was trained with.
        standardised: trained with Architecture.standardise; the numbers come with the checkpoint.

    Returns:
        Inference.
    """
    draft = tf.placeholder(tf.float32, [None, None, None, None, 1], 'inference_draft')
    sides = tf.placeholder_with_default(tf.zeros([3, 2], tf.int32), [3, 2], 'inference_crop_sides')
    refined = refiner(losses.to_network(draft, bits), refiner_channels, scope=AVERAGE,
                      domain=(0.0, 1.0) if standardised else None, crop_sides=sides)
    return Inference(draft, sides, losses.to_grey(refined, bits))


def inference_variables():
    """Variables of the inference graph: averages of the refiner's weights, and its moments."""
    return tf.global_variables(AVERAGE + '/')
