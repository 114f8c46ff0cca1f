"""The refiner R of METHOD, step 2: full resolution throughout, residual blocks, tanh."""
from models import tf
from models.layers import batch_norm, conv3d, lrelu

RADIUS = 13             # voxels that the receptive field reaches each way: 2 + 1 + 1 + 4 * 2 + 1


def refiner(x, channels, training, updates=None):
    """Refine draft intensities.

    Args:
        x: float32 [B, Z, Y, X, 1] in [-1, 1].
        channels: width of every layer; 32 in the paper (309,249 trainable parameters).
        training: Python bool, see layers.batch_norm.
        updates: list that takes batch norm's update ops when training.

    Returns:
        float32 [B, Z, Y, X, 1] in (-1, 1).
    """
    updates = [] if updates is None else updates

    def norm(y, name):
        return batch_norm(y, name, training, updates)

    with tf.variable_scope('refiner', reuse=tf.AUTO_REUSE):
        y = lrelu(norm(conv3d(x, channels, 5, 'conv1'), 'bn1'))              # [B, Z, Y, X, channels]
        y = lrelu(norm(conv3d(y, channels, 3, 'conv2'), 'bn2'))
        y = lrelu(norm(conv3d(y, channels, 3, 'conv3'), 'bn3'))
        for i in range(1, 5):
            with tf.variable_scope('block%d' % i):
                inner = lrelu(norm(conv3d(y, channels, 3, 'conv1'), 'bn1'))
                inner = norm(conv3d(inner, channels, 3, 'conv2'), 'bn2')
                y = lrelu(y + inner)
        y = lrelu(conv3d(y, channels, 3, 'conv4'))
        return tf.tanh(conv3d(y, 1, 1, 'out'))                               # [B, Z, Y, X, 1]
