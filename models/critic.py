"""The critic: a small 3-D network that tells crops of one set of images from those of another."""
from typing import Any, NamedTuple, Tuple

from models import averages, tf
from models.layers import Conv, conv3d, lrelu


class Architecture(NamedTuple):
    """Width and training of a critic."""
    channels: Tuple[int, ...] = (12, 24, 48, 48)     # of its four convolutions
    strides: Tuple[int, ...] = (2, 2, 2, 1)          # of them, 1 or 2 each
    dropout: float = 0.3                             # share of the features left out in training
    learning_rate: float = 3e-3                      # of Adam
    average_decay: float = 0.98                      # of the running average of the weights


class Graph(NamedTuple):
    """Placeholders and results of build."""
    image: Any       # float32 [B, Z, Y, X, 1]: fed
    target: Any      # float32 [B], 1 for the second set, 0 for the first: fed to train
    logit: Any       # float32 [B], of the newest weights: above 0 for the second set
    steady: Any      # float32 [B], of the running average of the weights, which is tested
    loss: Any        # float32 scalar: mean logistic loss
    start: Any       # to be run once before the first step
    update: Any      # one step of Adam


def build(shape, architecture):
    """The critic and its training, in the default graph.

    Args:
        shape: (z, y, x) voxels of a crop; architecture: Architecture.

    Returns:
        Graph.
    """
    image = tf.placeholder(tf.float32, [None] + list(shape) + [1], 'image')
    target = tf.placeholder(tf.float32, [None], 'target')
    logit = critic(image, architecture, training=True)
    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logit))
    step = tf.train.get_or_create_global_step()
    adam = tf.train.AdamOptimizer(architecture.learning_rate).minimize(
        loss, global_step=step, var_list=tf.trainable_variables('critic/'))
    start, update = averages.follow('critic', 'critic_average', step=step, after=adam,
                                    decay=architecture.average_decay)
    steady = critic(image, architecture, training=False, scope='critic_average')
    return Graph(image, target, logit, steady, loss, start, update)


def critic(x, architecture, *, training, scope='critic'):
    """Logit of the second set: four convolutions, their mean over all voxels, one weighted sum.

    Args:
        x: float32 [B, Z, Y, X, 1]; architecture: Architecture.
        training: True: features are dropped; scope: of the variables.

    Returns:
        float32 [B].
    """
    with tf.variable_scope(scope, reuse=tf.AUTO_REUSE):
        for i, (filters, stride) in enumerate(zip(architecture.channels, architecture.strides), 1):
            x = lrelu(conv3d(x, Conv('conv%d' % i, filters, stride=stride)))
        features = tf.reduce_mean(x, [1, 2, 3])                             # [B, channels[-1]]
        if training:
            features = tf.nn.dropout(features, rate=architecture.dropout)
        weights = tf.get_variable('out/weights', [architecture.channels[-1], 1],
                                  initializer=tf.variance_scaling_initializer(1.0))
        bias = tf.get_variable('out/bias', [1], initializer=tf.zeros_initializer())
        return tf.squeeze(tf.matmul(features, weights) + bias, 1)
