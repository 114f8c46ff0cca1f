"""A small 3-D U-Net that segments, exact under tiling (DESIGN: step 3)."""
from models import tf
from models.layers import batch_norm, conv3d, frozen_norm, lrelu


def halo(levels):
    """Voxels that the network's receptive field reaches each way, rounded up to a multiple of 2^levels.

    Each resolution has two convolutions on the way down and one on the way up, each reaching one of its voxels; a
    voxel below the first level is a block of 2^l, whose far end is 2^l - 1 away from the one that asks.
    """
    step = 2 ** levels
    reach = sum(2 ** level * (2 if level == levels else 3) for level in range(levels + 1)) + step - 1
    return -(-reach // step) * step


def unet(x, channels, *, levels, training, updates=None, scope='unet', decay=0.95):
    """Logits of the foreground.

    Two convolutions per level on the way down, max-pooling 2^3 between; on the way up the coarser level, brought to
    this one's width by a 1^3 convolution and doubled to its nearest neighbours, is added to what was here on the way
    down, and convolved once. Sums instead of concatenations save half of the work at full resolution.

    Args:
        x: float32 [B, Z, Y, X, 1], normalised intensities (utils/augmentation.py); Z, Y and X multiples of 2^levels.
        channels: width at full resolution; it doubles with each level.
        levels: how many times the resolution is halved.
        training: Python bool. True: batch norm by the batch's own moments, False: by their moving averages.
        updates, decay: see layers.batch_norm.

    Returns:
        float32 [B, Z, Y, X, 1]. With `training` off a tile whose corner lies at a multiple of 2^levels and that is
        read with a margin of halo(levels) has the whole stack's values in its core.
    """
    updates = [] if updates is None else updates

    def layer(y, width, name):
        if training:
            return lrelu(batch_norm(conv3d(y, width, size=3, name=name), name + '_bn', updates=updates, decay=decay))
        return lrelu(conv3d(y, width, size=3, name=name, affine=frozen_norm(width, name + '_bn')))

    with tf.variable_scope(scope, reuse=tf.AUTO_REUSE):
        skips, y = [], x
        for level in range(levels + 1):
            width = channels * 2 ** level
            if level:
                y = tf.nn.max_pool3d(y, [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], 'VALID')           # [B, Z / 2^level, ...]
            y = layer(y, width, 'down%da' % level)
            y = layer(y, width, 'down%db' % level)
            skips.append(y)
        for level in reversed(range(levels)):
            width = channels * 2 ** level
            y = double(conv3d(y, width, size=1, name='up%d' % level)) + skips[level]
            y = layer(y, width, 'out%d' % level)
        return conv3d(y, 1, size=1, name='logits')                                                     # [B, Z, Y, X, 1]


def double(x):
    """Nearest-neighbour up-sampling by two along Z, Y and X; [B, Z, Y, X, C] to [B, 2 Z, 2 Y, 2 X, C]."""
    shape, channels = tf.shape(x), int(x.shape[-1])
    for axis in (1, 2, 3):
        x = tf.stack([x, x], axis + 1)
        shape = tf.concat([shape[:axis], [2 * shape[axis]], shape[axis + 1:]], 0)
        x = tf.reshape(x, shape)
    known = [None] * 4 + [channels]
    x.set_shape(known)
    return x
