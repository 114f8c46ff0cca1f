"""The training graph of the segmentation network and its inference graph (docs/segmentation.md)."""
from typing import Any, NamedTuple

from models import averages, losses, tf
from models.layers import Moments
from models.unet import unet

AVERAGE = 'unet_average'         # scope of what the inference graph uses
BN_DECAY = 0.95                  # of the batch norm's moving averages
LAST_RATE = 0.01                 # of the first learning rate, that is left at the end


class Graph(NamedTuple):
    """Training graph. Images are float32 [B, Z, Y, X, 1]."""
    image: Any                   # fed: normalised intensities (utils/train/normalisation.py)
    label: Any                   # fed: {0, 1}
    weight: Any                  # fed: >= 0, 0 where nothing is annotated or counts
    step: Any                    # int64, updates
    learning_rate: Any           # float32 scalar
    update: Any                  # op: one update of the weights and of their averages
    start_average: Any           # op: set the averages to the weights, before the first step
    adopt_average: Any           # op: set the weights to the averages, to go on from another run's
    losses: dict                 # name -> float32 scalar


class Inference(NamedTuple):
    """The network as it is used, for images whose sides are multiples of 2^levels."""
    image: Any                   # fed: float32 [B, Z, Y, X, 1], normalised intensities
    probability: Any             # float32, same shape, in (0, 1)


def build(crop, channels, *, levels, learning_rate, max_steps, average_decay, dice_weight=1.0):
    """Build the training graph: Adam on soft Dice and cross-entropy.

    Args:
        crop: (z, y, x) voxels of the training crops, multiples of 2^levels.
        channels, levels: see unet.
        learning_rate: of the first step; it falls linearly to LAST_RATE of it at `max_steps`.
        average_decay: of the running average of the weights, which the inference graph uses.
        dice_weight: of 1 - soft Dice beside the cross-entropy, whose weight is 1.

    Returns:
        Graph.
    """
    shape = [None] + list(crop) + [1]
    image, label, weight = [tf.placeholder(tf.float32, shape, name)
                            for name in ('image', 'label', 'weight')]
    step = tf.get_variable('step', [], tf.int64, initializer=tf.zeros_initializer(),
                           trainable=False)
    done = tf.cast(step, tf.float32)
    rate = learning_rate * tf.maximum(1 - done / max_steps, LAST_RATE)
    updates = []
    logits = unet(image, channels, levels=levels, moments=Moments(updates, BN_DECAY))
    dice = losses.masked_dice_loss(logits, label, weight=weight)
    entropy = losses.masked_cross_entropy(logits, label, weight=weight)
    total = dice_weight * dice + entropy
    with tf.variable_scope('unet_adam', reuse=tf.AUTO_REUSE), tf.control_dependencies(updates):
        update = tf.train.AdamOptimizer(rate).minimize(
            total, global_step=step, var_list=tf.trainable_variables('unet/'))
    start_average, update = averages.follow('unet', AVERAGE, step=step, decay=average_decay,
                                            after=update)
    return Graph(image, label, weight, step, rate, update, start_average,
                 averages.adopt('unet', AVERAGE),
                 {'loss': total, 'dice_loss': dice, 'cross_entropy': entropy})


def build_inference(channels, levels):
    """The network alone, on its weights' running averages; Inference."""
    image = tf.placeholder(tf.float32, [None, None, None, None, 1], 'inference_image')
    logits = unet(image, channels, levels=levels, scope=AVERAGE)
    return Inference(image, tf.sigmoid(logits))


def inference_variables():
    """Variables of the inference graph."""
    return tf.global_variables(AVERAGE + '/')
