"""The training graph of MPGAN (METHOD, step 2) and the inference graph of its refiner."""
from collections import namedtuple

from models import averages, losses, tf
from models.discriminator import discriminator
from models.refiner import refiner

# Inputs: draft, real float32 [B, Z, Y, X, 1] grey levels; label float32 {0, 1}. Feeds: history float32 in [-1, 1];
# label_weight float32 scalar. The rest is fetched; see build().
Graph = namedtuple('Graph', 'draft label real history label_weight refined refined_grey step learning_rate '
                            'refiner_update discriminator_update refiner_losses discriminator_losses '
                            'calibrate start_average')
AVERAGE = 'refiner_average'             # scope of what the inference graph uses
Inference = namedtuple('Inference', 'draft shed refined_grey')


def build(crop, bits, *, refiner_channels, discriminator_channels, activation, lambda_identity, steepness,
          background_quantile, learning_rate, decay_rate, decay_steps, beta1, start=None, frozen=False,
          domain=None, target=None, sees_level=True, average_decay=0.0, discriminator_rate=None, inputs=None,
          wrap=lambda optimizer: optimizer):
    """Build the training graph.

    Args:
        crop: (z, y, x) voxels of the training crops; bits: 8 or 16.
        lambda_identity: weight of mean |z - R(z)|; the label term's weight is fed (0 makes it SimGAN).
        steepness: K of the label loss, per grey level; background_quantile: its cut, in (0.5, 1).
        learning_rate, decay_rate, decay_steps, beta1: of both Adams; the rate falls in steps.
        start: initial weights, see refiner.
        frozen: train with the moments that the refiner is used with; run `calibrate` once before the first step, on
            many crops. False: with each batch's own.
        domain, target: None or (level, spread) of the drafts, see refiner, and of the real intensities: the
            discriminator sees (x - level) / spread.
        sees_level: False: each patch loses its mean before the discriminator sees it, so that brightness is left to
            the identity loss.
        average_decay: of the refiner's weights; their running average is what the inference graph uses. Run
            `start_average` once before the first step. 0: the newest weights.
        discriminator_rate: its learning rate; None: the refiner's.
        inputs: None: draft, label and real are fed; or these three tensors, of a tf.data pipeline.
        wrap: applied to both optimisers (mixed precision, Horovod).

    Returns:
        Graph. `refined` is [-1, 1], `refined_grey` grey levels, both of the update's own forward pass.
        `step` counts discriminator updates and drives the learning rate's decay. The two dicts map
        a loss's name to its scalar; `..._gradient` is the Euclidean norm of a network's gradient, `refiner_weights` that
        of the weights.
    """
    shape = [None] + list(crop) + [1]
    draft, label, real = inputs or [tf.placeholder(tf.float32, shape, name) for name in ('draft', 'label', 'real')]
    history = tf.placeholder(tf.float32, shape, 'history')
    label_weight = tf.placeholder(tf.float32, [], 'label_weight')
    step = tf.get_variable('step', [], tf.int64, initializer=tf.zeros_initializer(), trainable=False)
    rate = tf.train.exponential_decay(learning_rate, step, decay_steps, decay_rate, staircase=True)

    level, spread = (0.0, 1.0) if target is None else target

    def score(x):
        x = (x - level) / spread
        if not sees_level:
            x -= tf.reduce_mean(x, [1, 2, 3, 4], keepdims=True)
        return discriminator(x, discriminator_channels, activation=activation)

    # --- refiner ---
    updates = []
    draft_x = losses.to_network(draft, bits)
    refined = refiner(draft_x, refiner_channels, training=not frozen, updates=updates, start=start, domain=domain)  # [B, Z, Y, X, 1]
    calibration = []
    refiner(draft_x, refiner_channels, training=True, updates=calibration, domain=domain, bn_decay=0.0)
    refined_grey = losses.to_grey(refined, bits)
    adversarial = losses.refiner_adversarial_loss(score(refined))
    identity = losses.identity_loss(draft_x, refined)
    kept = losses.label_loss(draft, refined_grey,
                             draft_cut=losses.background_quantile(draft, label, quantile=background_quantile),
                             refined_cut=losses.background_quantile(refined_grey, label, quantile=background_quantile), steepness=steepness)
    total = adversarial + lambda_identity * identity + label_weight * kept
    with tf.variable_scope('refiner_adam', reuse=tf.AUTO_REUSE), tf.control_dependencies(updates):
        refiner_update, refiner_gradient = _minimise(wrap(tf.train.AdamOptimizer(rate, beta1)), total, scope='refiner/')
    start_average, refiner_update = averages.follow(
        'refiner', AVERAGE, step=step, decay=average_decay, after=refiner_update, newest=['/moving_'])

    # --- discriminator ---
    score_real = score(losses.to_network(real, bits))
    score_refined = score(history)
    d_total = losses.discriminator_loss(score_real, score_refined)
    with tf.variable_scope('discriminator_adam', reuse=tf.AUTO_REUSE):
        own_rate = rate if discriminator_rate is None else tf.train.exponential_decay(
            discriminator_rate, step, decay_steps, decay_rate, staircase=True)
        discriminator_update, discriminator_gradient = _minimise(
            wrap(tf.train.AdamOptimizer(own_rate, beta1)), d_total, scope='discriminator/', step=step)
    accuracy = 0.5 * (tf.reduce_mean(tf.cast(score_real > 0.5, tf.float32))
                      + tf.reduce_mean(tf.cast(score_refined <= 0.5, tf.float32)))
    return Graph(draft, label, real, history, label_weight, refined, refined_grey, step, rate,
                 refiner_update, discriminator_update,
                 {'refiner': total, 'adversarial': adversarial, 'identity': identity, 'label': kept,
                  'refiner_gradient': refiner_gradient, 'refiner_weights': tf.global_norm(tf.trainable_variables('refiner/'))},
                 {'discriminator': d_total, 'accuracy': accuracy, 'discriminator_gradient': discriminator_gradient},
                 tf.group(*calibration), start_average)


def _minimise(optimizer, loss, *, scope, step=None):
    """One update of a scope's variables, and the Euclidean norm of the gradient that it takes."""
    gradients = optimizer.compute_gradients(loss, var_list=tf.trainable_variables(scope))
    update = optimizer.apply_gradients(gradients)
    if step is not None:                                 # counted even where mixed precision skips an overflow
        with tf.control_dependencies([update]):
            update = tf.assign_add(step, 1).op
    return update, tf.global_norm([g for g, _ in gradients])


def build_inference(bits, refiner_channels, *, standardised=False):
    """The refiner alone, on its weights' running averages and fixed moments, for images of any size.

    Args:
        standardised: the refiner was built with a `domain`; its values come with the checkpoint.

    Returns:
        Inference: draft float32 [B, Z, Y, X, 1] and refined_grey, both grey levels; shed, int32 [3, 2], see refiner: no
            side if it is not fed.
    """
    draft = tf.placeholder(tf.float32, [None, None, None, None, 1], 'inference_draft')
    shed = tf.placeholder_with_default(tf.zeros([3, 2], tf.int32), [3, 2], 'inference_shed')
    refined = refiner(losses.to_network(draft, bits), refiner_channels, training=False, domain=(0.0, 1.0) if standardised else None,
                      scope=AVERAGE, shed=shed)
    return Inference(draft, shed, losses.to_grey(refined, bits))


def inference_variables():
    """Variables that the inference graph needs: the averages of the refiner's weights, and its moments."""
    return tf.global_variables(AVERAGE + '/')
