"""Layers by raw ops and tf.get_variable: what both TensorFlows run. Tensors are [B, Z, Y, X, C]."""
from models import tf

BN_DECAY = 0.9          # of the moving averages (METHOD, schedule)
BN_EPSILON = 1e-5


def conv3d(x, filters, size, name, stride=1):
    """3-D convolution with bias, zero padding ('SAME').

    Args:
        x: float32 [B, Z, Y, X, C]; filters: output channels; size: kernel side, voxels.

    Returns:
        float32 [B, ceil(Z / stride), ceil(Y / stride), ceil(X / stride), filters].
    """
    with tf.variable_scope(name):
        kernel = tf.get_variable('kernel', [size, size, size, int(x.shape[-1]), filters],
                                 initializer=tf.variance_scaling_initializer(2.0))      # He et al. 2015
        bias = tf.get_variable('bias', [filters], initializer=tf.zeros_initializer())
        y = tf.nn.conv3d(x, kernel, [1, stride, stride, stride, 1], 'SAME')
        return tf.nn.bias_add(y, bias)


def batch_norm(x, name, training, updates):
    """Batch normalisation over B, Z, Y, X, through the fused 2-D kernel (TF 1.15 has no 3-D one).

    Args:
        x: float32 [B, Z, Y, X, C].
        training: Python bool. True: the batch's own moments; False: the moving averages, so that a
            voxel's result depends on no other image of the batch.
        updates: list that takes the two update ops of the moving averages when training.
    """
    channels = int(x.shape[-1])
    with tf.variable_scope(name):
        scale = tf.get_variable('gamma', [channels], initializer=tf.ones_initializer())
        offset = tf.get_variable('beta', [channels], initializer=tf.zeros_initializer())
        mean = tf.get_variable('moving_mean', [channels], initializer=tf.zeros_initializer(), trainable=False)
        variance = tf.get_variable('moving_variance', [channels], initializer=tf.ones_initializer(), trainable=False)
        if not training:
            factor = scale * tf.rsqrt(variance + BN_EPSILON)                            # [C]
            return x * factor + (offset - mean * factor)
        shape = tf.shape(x)
        flat = tf.reshape(x, [shape[0], shape[1] * shape[2], shape[3], channels])        # [B, Z * Y, X, C]
        y, batch_mean, batch_variance = tf.nn.fused_batch_norm(flat, scale, offset, epsilon=BN_EPSILON)
        updates.append(tf.assign_sub(mean, (1 - BN_DECAY) * (mean - batch_mean)))
        updates.append(tf.assign_sub(variance, (1 - BN_DECAY) * (variance - batch_variance)))
        return tf.reshape(y, shape)


def lrelu(x):
    """Leaky ReLU of slope 0.2."""
    return tf.nn.leaky_relu(x, 0.2)
