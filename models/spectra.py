"""Power spectra of images in the graph, and the refiner's loss on them (docs/method.md, step 2).

utils/score/realism.py has the same in NumPy, and says why spectra are of compressed images.
"""
import numpy as np

from models import losses, tf


def compressed(grey, unit):
    """asinh of how far voxels lie from their image's own median, in units of some grey levels.

    The gradient flows through the median: an image that gets brighter as a whole has no other
    spectrum. About a constant, its voxels would fall where asinh is flat.

    Args:
        grey: float32 [B, Z, Y, X, 1], grey levels; unit: grey levels, of realism.noise_level.

    Returns:
        float32, same shape.
    """
    middle = losses.background_quantile(grey, tf.zeros_like(grey), quantile=0.5)
    return tf.asinh((grey - middle) / unit)


def axis_spectra(x):
    """Power spectrum of each image along each axis, mean over its lines.

    realism.axis_spectra is the same of a set of images together.

    Args:
        x: float32 [B, Z, Y, X, 1] of known shape, but for B.

    Returns:
        three float32 [B, n // 2], log10 of x's unit squared, n voxels along the axis; without the
        mean's frequency.
    """
    with tf.name_scope('axis_spectra'):
        x -= tf.reduce_mean(x, [1, 2, 3, 4], keepdims=True)      # else its window leaks
        found = []
        for axis in (1, 2, 3):
            n = int(x.shape[axis])
            order = [0] + [a for a in (1, 2, 3) if a != axis] + [axis]
            lines = tf.transpose(x[..., 0], order) * np.hanning(n + 2)[1:-1].astype(np.float32)
            waves = tf.signal.rfft(lines)[..., 1:]
            power = tf.square(tf.real(waves)) + tf.square(tf.imag(waves))
            found.append(tf.log(tf.reduce_mean(power, [1, 2]) + 1e-6) / np.log(10))
        return found


def loss(draft, refined, *, shift):
    """How far the change of the batch's spectra is from what they lack to be like real ones.

    A discriminator that knows few real voxels overdoes some frequencies and sees others late. Each
    refined image is compared with its own draft: what a crop happens to hold does not count.
    Source of the idea: Durall, Keuper and Keuper, CVPR 2020.

    Args:
        draft, refined: float32 [B, Z, Y, X, 1], `compressed`.
        shift: three float32 [n // 2], log10 of the real spectrum over the drafts' along each axis.

    Returns:
        float32 scalar >= 0: mean of squared differences of log10, mean over the axes. An image's
        change is one of logarithms, so that bright and dark crops change alike. Squared, since
        noise that is drawn anew has other spectra by chance, by some hundredths in a small crop:
        their absolute values would forbid it.
    """
    left = [tf.reduce_mean(tf.square(tf.reduce_mean(after - before, 0) - wanted))
            for before, after, wanted in zip(axis_spectra(draft), axis_spectra(refined), shift)
            if len(wanted)]                              # one voxel along an axis has no spectrum
    return tf.add_n(left) / len(left) if left else tf.constant(0.0)
