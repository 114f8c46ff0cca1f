"""Intensities as the segmentation network sees them, one scale a stack (docs/segmentation.md)."""
from collections import namedtuple

import numpy as np

# level: grey level that is 0; scale: grey levels that are 1, one noise level
Scale = namedtuple('Scale', 'level scale')

SOFT = 4.0              # noise levels up to which the network's intensities are about linear
SLICES = 64             # slices at most that a stack is measured on
NORMAL = 1.4826         # standard deviation over median absolute value, of a normal variable


def measure(voxels):
    """Level and noise of a whole stack.

    The level is the median. The noise is that of neighbours along x, normal, from the median
    absolute difference. Both are independent of how many neurites the stack holds and how bright
    they are, and both are taken once per stack, so that tiles of it are normalised alike.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].

    Returns:
        Scale, grey levels; a scale of at least 1.
    """
    some = voxels[:: 1 + (len(voxels) - 1) // SLICES]
    grey, step = np.zeros((2, 65536), np.int64)   # histograms by slice: no second stack is held
    for plane in some:
        grey += np.bincount(plane.ravel(), minlength=65536)
        differences = np.abs(np.diff(plane.astype(np.int32), axis=1))
        step += np.bincount(differences.ravel(), minlength=65536)
    noise = NORMAL * _median(step) / np.sqrt(2) if step.any() else 0.0      # of one of two voxels
    return Scale(_median(grey), max(noise, 1.0))


def _median(counts):
    """Median of whole numbers of which there are counts[0] zeros, counts[1] ones and so on."""
    below, n = np.cumsum(counts), int(counts.sum())
    return float(np.searchsorted(below, [(n - 1) // 2, n // 2], 'right').mean())


def deviation(voxels, scale):
    """(v - level) / scale: noise levels above the background; float32, same shape."""
    return (voxels.astype(np.float32) - np.float32(scale.level)) / np.float32(scale.scale)


def compress(noise_levels):
    """asinh(d / SOFT) of deviations d in noise levels: what the network sees; float32, same shape.

    Linear in the noise and in dim neurites, logarithmic in bright ones.
    """
    return np.arcsinh(noise_levels * np.float32(1 / SOFT))


def normalise(voxels, scale):
    """Grey levels [Z, Y, X] as what the network sees; float32, same shape."""
    return compress(deviation(voxels, scale))
