"""A small 3-D U-Net that segments, exact under tiling (docs/segmentation.md)."""
from models import tf
from models.layers import Conv, conv3d, lrelu, normed


def halo(levels):
    """Voxels that the receptive field reaches each way, rounded up to a multiple of 2^levels.

    Each resolution has two convolutions on the way down and one on the way up, each reaching one of
    its voxels; a voxel below the first level is a block of 2^l, whose far end is 2^l - 1 away from
    the one that asks.
    """
    step = 2 ** levels
    reach = sum(2 ** level * (2 if level == levels else 3) for level in range(levels + 1))
    return -(-(reach + step - 1) // step) * step


def unet(x, channels, *, levels, moments=None, scope='unet'):
    """Logits of the foreground.

    Two convolutions per level on the way down, max-pooling 2^3 between; on the way up the coarser
    level, brought to this one's width by a 1^3 convolution and doubled to its nearest neighbours,
    is added to what was here on the way down, and convolved once. Sums instead of concatenations
    save half of the work at full resolution.

    Args:
        x: float32 [B, Z, Y, X, 1], normalised intensities (utils/train/normalisation.py); Z, Y and
            X multiples of 2^levels.
        channels: width at full resolution; it doubles with each level.
        levels: how many times the resolution is halved.
        moments: layers.Moments; None: batch norm by the moving averages.
        scope: of the variables.

    Returns:
        float32 [B, Z, Y, X, 1]. Without `moments` a tile whose corner lies at a multiple of
        2^levels and that is read with a margin of halo(levels) has the whole stack's values in its
        core.
    """
    def layer(y, level, *, name):
        conv = Conv(name, channels * 2 ** level)
        return lrelu(normed(y, conv, norm=name + '_bn', moments=moments))

    with tf.variable_scope(scope, reuse=tf.AUTO_REUSE):
        skips, y = [], x
        for level in range(levels + 1):
            if level:                                                # [B, Z / 2^level, ...]
                y = tf.nn.max_pool3d(y, [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], 'VALID')
            y = layer(y, level, name='down%da' % level)
            y = layer(y, level, name='down%db' % level)
            skips.append(y)
        for level in reversed(range(levels)):
            y = conv3d(y, Conv('up%d' % level, channels * 2 ** level, size=1))
            y = layer(double(y) + skips[level], level, name='out%d' % level)
        return conv3d(y, Conv('logits', 1, size=1))                  # [B, Z, Y, X, 1]


def double(x):
    """Up-sampling by two to the nearest neighbours.

    Args:
        x: float32 [B, Z, Y, X, C].

    Returns:
        float32 [B, 2 Z, 2 Y, 2 X, C].
    """
    shape, channels = tf.shape(x), int(x.shape[-1])
    for axis in (1, 2, 3):
        x = tf.stack([x, x], axis + 1)
        shape = tf.concat([shape[:axis], [2 * shape[axis]], shape[axis + 1:]], 0)
        x = tf.reshape(x, shape)
    x.set_shape([None] * 4 + [channels])
    return x
