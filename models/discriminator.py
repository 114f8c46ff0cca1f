"""The patch-wise discriminator D (docs/method.md, step 2)."""
from models import tf
from models.layers import Conv, conv3d, lrelu


def discriminator(x, channels, *, activation=True):
    """Score how real each region of a patch looks: 1 real, 0 refined (least squares).

    Args:
        x: float32 [B, Z, Y, X, C], intensities as gan.build hands them; C: 1 in the paper.
        channels: width of the first layer; 64 in the paper, the later ones follow it.
        activation: leaky ReLU after each layer but the last; False: none, as in the released code.

    Returns:
        float32 [B, ceil(Z / 8), ceil(Y / 8), ceil(X / 8), 1].
    """
    act = lrelu if activation else tf.identity
    wide = 2 * channels
    with tf.variable_scope('discriminator', reuse=tf.AUTO_REUSE):
        y = act(conv3d(x, Conv('conv1', channels, stride=2)))       # [B, Z / 2, ..., channels]
        y = act(conv3d(y, Conv('conv2', wide, stride=2)))           # [B, Z / 4, ..., wide]
        y = tf.nn.max_pool3d(y, [1, 3, 3, 3, 1], [1, 1, 1, 1, 1], 'SAME')
        y = act(conv3d(y, Conv('conv3', wide, stride=2)))           # [B, Z / 8, ..., wide]
        y = act(conv3d(y, Conv('conv4', channels, size=1)))
        return conv3d(y, Conv('out', 1, size=1))
