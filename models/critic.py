"""The critic: a small 3-D network that tells crops of one set of images from those of another."""
from typing import Any, NamedTuple, Tuple

from models import tf
from models.layers import Conv, conv3d, lrelu


class Architecture(NamedTuple):
    """Width and training of a critic."""
    channels: Tuple[int, ...] = (12, 24, 48, 48)     # of its four convolutions
    strides: Tuple[int, ...] = (2, 2, 1, 1)          # of them, 1 or 2
    dropout: float = 0.3                             # share of the features left out in training
    learning_rate: float = 1e-3                      # of Adam


class Graph(NamedTuple):
    """Placeholders and results of build."""
    image: Any       # float32 [B, Z, Y, X, 1]: fed
    target: Any      # float32 [B], 1 for the second set, 0 for the first: fed to train
    training: Any    # bool: fed True to train, or features are all kept
    logit: Any       # float32 [B]: above 0 for the second set
    loss: Any        # float32 scalar: mean logistic loss
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
    training = tf.placeholder_with_default(False, [], 'training')
    logit = critic(image, architecture, training=training)
    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logit))
    adam = tf.train.AdamOptimizer(architecture.learning_rate)
    update = adam.minimize(loss, var_list=tf.trainable_variables('critic/'))
    return Graph(image, target, training, logit, loss, update)


def critic(x, architecture, *, training):
    """Logit of the second set: four convolutions, their mean over all voxels, one weighted sum.

    Args:
        x: float32 [B, Z, Y, X, 1]; architecture: Architecture.
        training: bool tensor: features are dropped.

    Returns:
        float32 [B].
    """
    with tf.variable_scope('critic', reuse=tf.AUTO_REUSE):
        for i, (filters, stride) in enumerate(zip(architecture.channels, architecture.strides), 1):
            x = lrelu(conv3d(x, Conv('conv%d' % i, filters, stride=stride)))
        features = tf.reduce_mean(x, [1, 2, 3])                             # [B, channels[-1]]
        rate = tf.where(training, architecture.dropout, 0.0)
        features = tf.nn.dropout(features, rate=rate)
        weights = tf.get_variable('out/weights', [architecture.channels[-1], 1],
                                  initializer=tf.variance_scaling_initializer(1.0))
        bias = tf.get_variable('out/bias', [1], initializer=tf.zeros_initializer())
        return tf.squeeze(tf.matmul(features, weights) + bias, 1)
