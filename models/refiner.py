"""The refiner R of METHOD, step 2: full resolution throughout, residual blocks, tanh."""
import numpy as np

from models import tf
from models.layers import BN_DECAY, batch_norm, centre_tap, conv3d, frozen_norm, lrelu

LIMIT = 0.999           # of intensities whose atanh is taken
RADIUS = 13             # voxels that the receptive field reaches each way: 2 + 1 + 1 + 4 * 2 + 1


def refiner(x, channels, *, training, updates=None, start=None, domain=None, scope='refiner', bn_decay=BN_DECAY, shed=None):
    """Refine draft intensities.

    Args:
        x: float32 [B, Z, Y, X, 1] in [-1, 1].
        channels: width of every layer; 32 in the paper (309,249 trainable parameters).
        training: Python bool. True: batch norm by the batch's own moments; False: by the moving averages, so that a voxel's
            result depends on no other image of the batch.
        updates: list that takes batch norm's update ops when training.
        start: None: random weights. (level, spread), median and standard deviation of the drafts' intensities (with
            `domain`: that again): weights that let an untrained refiner nearly pass its input on. Random ones blur it over the whole
            receptive field, and hundreds of steps go by until the label's voxels show again. Only the initial
            values differ, not the network: centre taps carry x and -x (a pair of leaky ReLUs is linear), the
            residual branches start at zero (Goyal et al. 2017), and the last layer at the images' own level.

        domain: None: the layers see x and their output goes through tanh, as in the paper. (level, spread), median and
            standard deviation of the drafts' atanh(x): the first layer sees (atanh(x) - level) / spread and the last one
            counts in spreads from the level before tanh, so that a draft passed on comes out as it is, at any
            brightness. Kept as a variable that is not trained: a checkpoint brings its values along.
        scope: of the variables; bn_decay: see layers.batch_norm.
        shed: None, or int32 [3, 2] of {0, 1}: sides (low and high of z, y, x) where x is a tile's halo of RADIUS voxels.
            Each layer drops there what the ones after it do not need, so that the core alone comes out; the other
            sides are the stack's border.

    Returns:
        float32 [B, Z, Y, X, 1] in (-1, 1), the halo gone where `shed` says so.
    """
    updates = [] if updates is None else updates
    sign = np.where(np.arange(channels) % 2 == 0, 1.0, -1.0)[None]           # [1, channels]
    first = last = onwards = None
    residual_scale, bias = 1.0, 0.0
    if start is not None:
        level, spread = start if domain is None else (0.0, 1.0)
        slope = 1.0 if domain is not None else 1 - level ** 2                # of the output by the last layer
        first, onwards = centre_tap(sign), centre_tap(np.eye(channels))
        last = centre_tap(sign.T * spread / slope / (0.6 * channels), 0.0)   # lrelu(h) - lrelu(-h) = 1.2 h
        residual_scale, bias = 0.0, float(np.arctanh(level))

    def conv_norm(y, size, number, scale=1.0, initializer=None, padding='SAME'):
        names = 'conv%d' % number, 'bn%d' % number
        if training:
            y = batch_norm(conv3d(y, channels, size=size, name=names[0], kernel_initializer=initializer, padding=padding), names[1],
                           updates=updates, initial_scale=scale, decay=bn_decay)
        else:
            y = conv3d(y, channels, size=size, name=names[0], kernel_initializer=initializer, padding=padding,
                       affine=frozen_norm(channels, names[1], initial_scale=scale))
        return drop(y, size // 2)

    def drop(y, reach):
        if shed is None:
            return y
        low, high = reach * shed[:, 0], reach * shed[:, 1]
        core = tf.slice(y, tf.concat([[0], low, [0]], 0), tf.concat([[-1], tf.shape(y)[1:4] - low - high, [-1]], 0))
        core.set_shape([None] * 4 + [y.shape[4]])
        return core

    with tf.variable_scope(scope, reuse=tf.AUTO_REUSE):
        if domain is not None:
            at = tf.get_variable('domain', [2], initializer=tf.constant_initializer(list(domain)), trainable=False)
            x = (tf.atanh(tf.clip_by_value(x, -LIMIT, LIMIT)) - at[0]) / at[1]
        # Zero is a bright grey level here (16,256 of 16 bit): beyond the border the first layer sees the image mirrored
        x = tf.pad(x, [[0, 0], [2, 2], [2, 2], [2, 2], [0, 0]], 'SYMMETRIC')
        y = lrelu(conv_norm(x, 5, 1, initializer=first, padding='VALID'))                   # [B, Z, Y, X, channels]
        y = lrelu(conv_norm(y, 3, 2, initializer=onwards))
        y = lrelu(conv_norm(y, 3, 3, initializer=onwards))
        for i in range(1, 5):
            with tf.variable_scope('block%d' % i):
                inner = lrelu(conv_norm(y, 3, 1))
                inner = conv_norm(inner, 3, 2, residual_scale)
                y = lrelu(drop(y, 2) + inner)
        y = lrelu(drop(conv3d(y, channels, size=3, name='conv4', kernel_initializer=onwards), 1))
        y = conv3d(y, 1, size=1, name='out', kernel_initializer=last, initial_bias=bias)              # [B, Z, Y, X, 1]
        return tf.tanh(y if domain is None else at[0] + y * at[1])
