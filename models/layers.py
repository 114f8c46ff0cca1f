"""Layers by raw ops and tf.get_variable: what both TensorFlows run. Tensors are [B, Z, Y, X, C]."""
from typing import Any, NamedTuple

import numpy as np

from models import tf

BN_DECAY = 0.9          # of the moving averages (docs/method.md, step 2)
BN_EPSILON = 1e-5

# TF 1.15's own gradients of a 3-D convolution on a CPU take most of a training step, those of a
# strided one a hundred times its forward pass. TF 2's are better, and on a GPU cuDNN's are.
OWN_GRADIENT = (tf.__version__.startswith('1.')
                and not tf.config.experimental.list_physical_devices('GPU'))


class Conv(NamedTuple):
    """A 3-D convolution with bias, kernel [size, size, size, C, filters]."""
    name: str                # of its variables' scope
    filters: int             # output channels
    size: int = 3            # kernel side, voxels, odd
    stride: int = 1          # 1; or 2 with size 3 and padding 'SAME'
    padding: str = 'SAME'    # by zeros; 'VALID': none
    kernel: Any = None       # initialiser; None: He et al. 2015
    bias: float = 0.0        # what all biases start at


class Moments(NamedTuple):
    """Batch norm by each batch's own moments. None in its place: by the moving averages."""
    updates: list            # takes the ops that move the averages
    decay: float = BN_DECAY  # of the averages; 0 sets them to the batch's own moments
    neutral: bool = False    # measure moments at once and set gamma and beta so that the norm
    #                          changes nothing but for its initial scale


# --- convolution ---

def conv3d(x, conv, *, affine=None):
    """Apply a convolution, its variables made or used again.

    Args:
        x: float32 [B, Z, Y, X, C]; of known size where the stride is 2.
        conv: Conv.
        affine: None or (factor, offset), float32 [filters] each: the result is multiplied and moved
            by them, within the weights, so that no voxel is touched twice (see frozen_norm).

    Returns:
        float32 [B, ceil(Z / stride), ceil(Y / stride), ceil(X / stride), filters];
        'VALID': [B, Z - size + 1, Y - size + 1, X - size + 1, filters].
    """
    with tf.variable_scope(conv.name):
        kernel = tf.get_variable('kernel', [conv.size] * 3 + [int(x.shape[-1]), conv.filters],
                                 initializer=conv.kernel or tf.variance_scaling_initializer(2.0))
        bias = tf.get_variable('bias', [conv.filters],
                               initializer=tf.constant_initializer(conv.bias))
        if affine is not None:
            kernel, bias = kernel * affine[0], bias * affine[0] + affine[1]
        if OWN_GRADIENT and conv.size > 1:
            y = conv3d_own_gradient(x, kernel, stride=conv.stride, padding=conv.padding)
        else:
            y = tf.nn.conv3d(x, kernel, [1] + [conv.stride] * 3 + [1], conv.padding)
        return tf.nn.bias_add(y, bias)


def conv3d_own_gradient(x, kernel, *, stride=1, padding='SAME'):
    """Convolution with an odd cubic kernel, its gradients written as ops that are fast on a CPU.

    The gradient by x is a forward convolution with the flipped kernel; the one by the kernel a
    single 2-D filter gradient over copies of x shifted in depth.

    Args:
        x: float32 [B, Z, Y, X, C], of known size if strided; kernel: float32 [k, k, k, C, F].
        stride: 1, or 2 with k = 3; padding: 'SAME', or 'VALID' with stride 1.

    Returns:
        float32, of the shape that conv3d tells.
    """
    k, channels, filters = [int(kernel.shape[axis]) for axis in (0, 3, 4)]

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradients(dy):
            if stride == 2:
                dy = _insert_zeros(dy, [int(n) for n in x.shape[1:4]])
            if padding == 'VALID':                       # a 'SAME' one that lost its rim
                dy = tf.pad(dy, [[0, 0]] + [[k // 2, k // 2]] * 3 + [[0, 0]])
            flipped = tf.transpose(kernel[::-1, ::-1, ::-1], [0, 1, 2, 4, 3])    # [k, k, k, F, C]
            dx = tf.nn.conv3d(dy, flipped, [1, 1, 1, 1, 1], 'SAME')
            b, z, h, w = tf.unstack(tf.shape(x)[:4])
            padded = tf.pad(x, [[0, 0], [k // 2, k // 2], [0, 0], [0, 0], [0, 0]])
            shifted = tf.concat([padded[:, i:i + z] for i in range(k)], axis=4)  # [..., k * C]
            flat = tf.nn.conv2d_backprop_filter(
                tf.reshape(shifted, [b * z, h, w, k * channels]), [k, k, k * channels, filters],
                tf.reshape(dy, [b * z, h, w, filters]), [1, 1, 1, 1], 'SAME')    # [k, k, k * C, F]
            return dx, tf.transpose(tf.reshape(flat, [k, k, k, channels, filters]),
                                    [2, 0, 1, 3, 4])

        return tf.nn.conv3d(x, kernel, [1, stride, stride, stride, 1], padding), gradients

    return convolve(x, kernel)


def _insert_zeros(y, sizes):
    """Undo a stride of 2: put y's voxels where a stride-1 convolution has them, zeros between.

    Args:
        y: float32 [B, ceil(Z / 2), ceil(Y / 2), ceil(X / 2), F], of padding 'SAME' and kernel 3.
        sizes: (Z, Y, X).

    Returns:
        float32 [B, Z, Y, X, F]; TensorFlow pads even sizes on the far side only, so there the first
        voxel is at 1.
    """
    for axis, size in enumerate(sizes, 1):
        pair = [tf.zeros_like(y), y] if size % 2 == 0 else [y, tf.zeros_like(y)]
        shape = tf.concat([tf.shape(y)[:axis], [2 * ((size + 1) // 2)], tf.shape(y)[axis + 1:]], 0)
        y = tf.reshape(tf.stack(pair, axis + 1), shape)
        y = tf.slice(y, [0] * 5, [-1 if a != axis else size for a in range(5)])
    return y


def centre_tap(matrix, noise):
    """Kernel initialiser: He's noise, scaled down, plus a channel matrix at the kernel's centre.

    With the unit matrix such a layer starts by passing its input on; see refiner.initial.

    Args:
        matrix: float [C, F]; noise: factor on He's standard deviation.
    """
    he = tf.variance_scaling_initializer(2.0)

    def initializer(shape, dtype=tf.float32, **_):       # TF 1.15 also tells how it is partitioned
        centre = np.zeros(shape, np.float32)
        centre[tuple(n // 2 for n in shape[:3])] = matrix
        return noise * he(shape, dtype) + centre

    return initializer


# --- batch norm ---

def normed(x, conv, *, norm, moments=None, initial_scale=1.0):
    """A convolution and the batch norm after it.

    Args:
        x: float32 [B, Z, Y, X, C]; conv: Conv; norm: name of the batch norm's scope.
        moments: Moments, or None: by the moving averages, folded into the convolution.
        initial_scale: what gamma starts at.

    Returns:
        float32, of the convolution's shape.
    """
    if moments is None:
        affine = frozen_norm(conv.filters, norm, initial_scale=initial_scale)
        return conv3d(x, conv, affine=affine)
    return batch_norm(conv3d(x, conv), norm, moments=moments, initial_scale=initial_scale)


def batch_norm(x, name, *, moments, initial_scale=1.0):
    """Batch norm over B, Z, Y, X by the batch's own moments, or neutral; epsilon BN_EPSILON.

    Through the fused 2-D kernel, as TF 1.15 has no 3-D one.

    Args:
        x: float32 [B, Z, Y, X, C]; name: of the variables' scope; moments: Moments.
        initial_scale: what gamma starts at.

    Returns:
        float32 [B, Z, Y, X, C].
    """
    channels = int(x.shape[-1])
    scale, offset, mean, variance = _norm_variables(channels, name, initial_scale=initial_scale)
    if moments.neutral:
        found = tf.nn.moments(x, [0, 1, 2, 3])
        wanted = initial_scale * tf.sqrt(found[1] + BN_EPSILON), initial_scale * found[0]
        moments.updates.extend(tf.assign(variable, value) for variable, value in zip(
            (mean, variance, scale, offset), tuple(found) + wanted))
        return initial_scale * x
    shape = tf.shape(x)
    flat = tf.reshape(x, [shape[0], shape[1] * shape[2], shape[3], channels])   # [B, Z * Y, X, C]
    y, batch_mean, batch_variance = tf.nn.fused_batch_norm(flat, scale, offset, epsilon=BN_EPSILON)
    moved = 1 - moments.decay
    moments.updates.append(tf.assign_sub(mean, moved * (mean - batch_mean)))
    moments.updates.append(tf.assign_sub(variance, moved * (variance - batch_variance)))
    return tf.reshape(y, shape)


def frozen_norm(channels, name, *, initial_scale=1.0):
    """Batch norm on its moving averages, as the `affine` of the convolution before it.

    A voxel's result depends on no other image of the batch.

    Returns:
        (factor, offset), float32 [channels] each.
    """
    scale, offset, mean, variance = _norm_variables(channels, name, initial_scale=initial_scale)
    factor = scale * tf.rsqrt(variance + BN_EPSILON)
    return factor, offset - mean * factor


def _norm_variables(channels, name, *, initial_scale):
    """gamma, beta, and the moving mean and variance of a batch norm, float32 [channels] each."""
    zeros, ones = tf.zeros_initializer(), tf.ones_initializer()
    with tf.variable_scope(name):
        return (tf.get_variable('gamma', [channels],
                                initializer=tf.constant_initializer(initial_scale)),
                tf.get_variable('beta', [channels], initializer=zeros),
                tf.get_variable('moving_mean', [channels], initializer=zeros, trainable=False),
                tf.get_variable('moving_variance', [channels], initializer=ones, trainable=False))


def lrelu(x):
    """Leaky ReLU of slope 0.2."""
    return tf.nn.leaky_relu(x, 0.2)
