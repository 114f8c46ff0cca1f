"""The training graph of the segmentation network and its inference graph (step 3)."""
from collections import namedtuple

from models import averages, losses, tf
from models.unet import unet

# Feeds: image float32 [B, Z, Y, X, 1], normalised (utils/augmentation.py); label float32 {0, 1}; weight float32, 0 where
# nothing is annotated or counts. `losses` maps a loss's name to its scalar.
Graph = namedtuple('Graph', 'image label weight step learning_rate update start_average losses')
Inference = namedtuple('Inference', 'image probability')
AVERAGE = 'unet_average'                # scope of what the inference graph uses


def build(crop, channels, *, levels, learning_rate, max_steps, average_decay):
    """Build the training graph.

    Args:
        crop: (z, y, x) voxels of the training crops, multiples of 2^levels; channels, levels: see unet.
        learning_rate: of Adam at the first step; it falls linearly to a hundredth at `max_steps`.
        average_decay: of the running average of the weights, which the inference graph uses. Run `start_average` once
            before the first step.

    Returns:
        Graph.
    """
    shape = [None] + list(crop) + [1]
    image = tf.placeholder(tf.float32, shape, 'image')
    label = tf.placeholder(tf.float32, shape, 'label')
    weight = tf.placeholder(tf.float32, shape, 'weight')
    step = tf.get_variable('step', [], tf.int64, initializer=tf.zeros_initializer(), trainable=False)
    done = tf.cast(step, tf.float32)
    rate = learning_rate * tf.maximum(1 - done / max_steps, 0.01)
    updates = []
    logits = unet(image, channels, levels=levels, training=True, updates=updates)
    dice = losses.masked_dice_loss(logits, label, weight=weight)
    entropy = losses.masked_cross_entropy(logits, label, weight=weight)
    with tf.variable_scope('unet_adam', reuse=tf.AUTO_REUSE), tf.control_dependencies(updates):
        update = tf.train.AdamOptimizer(rate).minimize(dice + entropy, global_step=step,
                                                       var_list=tf.trainable_variables('unet/'))
    start_average, update = averages.follow('unet', AVERAGE, step=step, decay=average_decay,
                                            after=update)
    return Graph(image, label, weight, step, rate, update, start_average,
                 {'loss': dice + entropy, 'dice_loss': dice, 'cross_entropy': entropy})


def build_inference(channels, levels):
    """The network alone, on its weights' running averages, for images whose sides are multiples of 2^levels.

    Returns:
        Inference: image float32 [B, Z, Y, X, 1], normalised; probability float32, same shape, in (0, 1).
    """
    image = tf.placeholder(tf.float32, [None, None, None, None, 1], 'inference_image')
    return Inference(image, tf.sigmoid(unet(image, channels, levels=levels, training=False, scope=AVERAGE)))


def inference_variables():
    """Variables that the inference graph needs."""
    return tf.global_variables(AVERAGE + '/')
