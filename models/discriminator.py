"""The patch-wise discriminator D of METHOD, step 2."""
from models import tf
from models.layers import conv3d, lrelu


def discriminator(x, channels, *, activation=True):
    """Score how real each region of a patch looks: 1 real, 0 refined (least squares).

    Args:
        x: float32 [B, Z, Y, X, 1], intensities as gan.build hands them.
        channels: width of the first layer; 64 in the paper, the later ones follow it.
        activation: leaky ReLU after each layer but the last. The released code had none (METHOD, fault 6).

    Returns:
        float32 [B, ceil(Z / 8), ceil(Y / 8), ceil(X / 8), 1].
    """
    act = lrelu if activation else tf.identity
    with tf.variable_scope('discriminator', reuse=tf.AUTO_REUSE):
        y = act(conv3d(x, channels, size=3, name='conv1', stride=2))                   # [B, Z / 2, Y / 2, X / 2, channels]
        y = act(conv3d(y, 2 * channels, size=3, name='conv2', stride=2))               # [B, Z / 4, ..., 2 * channels]
        y = tf.nn.max_pool3d(y, [1, 3, 3, 3, 1], [1, 1, 1, 1, 1], 'SAME')
        y = act(conv3d(y, 2 * channels, size=3, name='conv3', stride=2))               # [B, Z / 8, ..., 2 * channels]
        y = act(conv3d(y, channels, size=1, name='conv4'))
        return conv3d(y, 1, size=1, name='out')
