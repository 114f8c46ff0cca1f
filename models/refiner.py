"""The refiner R: full resolution throughout, residual blocks, tanh (docs/method.md, step 2)."""
from typing import Any, NamedTuple

import numpy as np

from models import tf
from models.layers import Conv, centre_tap, conv3d, lrelu, normed

LIMIT = 0.999           # of intensities whose atanh is taken
RADIUS = 13             # voxels that the receptive field reaches each way: 2 + 1 + 1 + 4 * 2 + 1
BLOCKS = 4              # residual blocks
LEAKY_RELUS = 3 + BLOCKS + 1     # that a draft passes on its way
START_NOISE = 0.01      # of the first weights that pass it on, factor on He's


class Initial(NamedTuple):
    """What the refiner's layers start at; the default is He's random weights."""
    first: Any = None            # kernel initialiser of the first layer
    onwards: Any = None          # of the other layers outside the residual blocks
    last: Any = None             # of the last layer
    bias: float = 0.0            # of the last layer
    residual_scale: float = 1.0  # gamma of the batch norm that ends a residual block


def initial(channels, start, *, standardised):
    """First weights that let an untrained refiner pass its input on.

    Random ones blur it over the whole receptive field, and hundreds of steps go by until the
    label's voxels show again. The network is the same: centre taps carry x and -x (a pair of leaky
    ReLUs is linear, and so is one of n: h + 0.2^n h), the residual branches start at zero (Goyal et
    al. 2017), batch norms change nothing (Moments.neutral) where the first layer sees deviations
    from the level, and the last layer starts at the images' own level.

    Args:
        channels: width of the layers; standardised: the first layer sees (x - level) / spread.
        start: None, for random weights; or (level, spread) of the drafts' intensities: median and
            standard deviation.

    Returns:
        Initial.
    """
    if start is None:
        return Initial()
    level, spread = (0.0, 1.0) if standardised else start
    slope = 1.0 if standardised else 1 - level ** 2          # of the output by the last layer
    sign = np.where(np.arange(channels) % 2 == 0, 1.0, -1.0)[None]            # [1, channels]
    even = channels // 2 * 2                                 # an odd channel has no partner
    if even:
        sign[:, even:] = 0.0
    passed = ((1 + 0.2 ** LEAKY_RELUS) / 2 if standardised else 0.6) * max(even, 1)    # of x
    return Initial(centre_tap(sign, START_NOISE), centre_tap(np.eye(channels), START_NOISE),
                   centre_tap(sign.T * spread / slope / passed, 0.0),
                   bias=float(np.arctanh(level)), residual_scale=0.0)


def refiner(x, channels, *, moments=None, start=None, domain=None, scope='refiner',
            crop_sides=None):
    """Refine draft intensities.

    Args:
        x: float32 [B, Z, Y, X, 1] in [-1, 1].
        channels: width of every layer; 32 in the paper (309,249 trainable parameters).
        moments: layers.Moments; None: batch norm by the moving averages, so that a voxel's result
            depends on no other image of the batch.
        start: None: random first weights; or (level, spread), see initial.
        domain: None: the layers see x, their output goes through tanh. Or (level, spread) of the
            drafts' atanh(x), see standardise.
        scope: of the variables; crop_sides: see crop. Each layer drops what the ones after it do
            not need.

    Returns:
        float32 [B, Z, Y, X, 1] in (-1, 1), smaller by RADIUS on each cropped side.
    """
    begin = initial(channels, start, standardised=domain is not None)

    def layer(y, number, *, size=3, kernel=None, scale=1.0):
        conv = Conv('conv%d' % number, channels, size=size, kernel=kernel,
                    padding='VALID' if size == 5 else 'SAME')
        y = normed(y, conv, norm='bn%d' % number, moments=moments, initial_scale=scale)
        return crop(y, size // 2, sides=crop_sides)

    with tf.variable_scope(scope, reuse=tf.AUTO_REUSE):
        if domain is not None:
            x, at = standardise(x, domain)
        # 0 is a bright grey level here (16,256 of 16 bit): beyond the border lies x mirrored
        x = tf.pad(x, [[0, 0], [2, 2], [2, 2], [2, 2], [0, 0]], 'SYMMETRIC')
        y = lrelu(layer(x, 1, size=5, kernel=begin.first))              # [B, Z, Y, X, channels]
        for number in (2, 3):
            y = lrelu(layer(y, number, kernel=begin.onwards))
        for i in range(BLOCKS):
            with tf.variable_scope('block%d' % (i + 1)):
                inner = layer(lrelu(layer(y, 1)), 2, scale=begin.residual_scale)
                y = lrelu(crop(y, 2, sides=crop_sides) + inner)
        y = conv3d(y, Conv('conv4', channels, kernel=begin.onwards))
        y = lrelu(crop(y, 1, sides=crop_sides))
        y = conv3d(y, Conv('out', 1, size=1, kernel=begin.last, bias=begin.bias))
        return tf.tanh(y if domain is None else at[0] + y * at[1])       # [B, Z, Y, X, 1]


def standardise(x, domain):
    """Intensities as deviations from the drafts' level, in spreads.

    The last layer counts so, too, before tanh: a draft that is passed on comes out as it is, at any
    brightness. The two numbers are a variable that is not trained: a checkpoint brings them along.

    Args:
        x: float32 [B, Z, Y, X, 1] in [-1, 1].
        domain: (level, spread): median and standard deviation of the drafts' atanh(x).

    Returns:
        ((atanh(x) - level) / spread, shape of x; variable float32 [2] of level and spread).
    """
    at = tf.get_variable('domain', [2], initializer=tf.constant_initializer(list(domain)),
                         trainable=False)
    return (tf.atanh(tf.clip_by_value(x, -LIMIT, LIMIT)) - at[0]) / at[1], at


def crop(y, reach, *, sides):
    """Drop what the layers to come do not need of a tile's halo.

    Args:
        y: float32 [B, Z, Y, X, C]; reach: voxels that are dropped on a cropped side.
        sides: None: none; or int32 [3, 2] of {0, 1}, low and high of z, y, x: 1 where the tile has
            a halo of RADIUS voxels, 0 where it ends with the stack.
    """
    if sides is None:
        return y
    low, high = reach * sides[:, 0], reach * sides[:, 1]
    size = tf.concat([[-1], tf.shape(y)[1:4] - low - high, [-1]], 0)
    core = tf.slice(y, tf.concat([[0], low, [0]], 0), size)
    core.set_shape([None] * 4 + [y.shape[4]])
    return core
