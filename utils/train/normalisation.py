"""Intensities as the segmentation network sees them, one scale a stack (docs/segmentation.md)."""
from collections import namedtuple

import numpy as np

from utils.common import blocks

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
    return _scale_of(*_count(voxels[:: 1 + (len(voxels) - 1) // SLICES]))


def measure_volume(volume, block, *, most):
    """Level and noise of a volume, on a sample of its blocks, read one by one.

    A volume of at most `most` blocks is measured as a stack in memory is, to the last digit. Of a
    larger one, blocks are drawn at random, the same each time; those that are all zero are passed
    over, as long as there are others among 4 * most.

    Args:
        volume: like uint8 or uint16 [Z, Y, X]; block: (z, y, x) voxels; most: blocks.

    Returns:
        (Scale, number of blocks that it was measured on).
    """
    grid = blocks.Grid(tuple(volume.shape), tuple(block))
    whole = len(grid) <= most
    order = range(len(grid)) if whole else np.random.default_rng(0).permutation(len(grid))
    grey, step, used = np.zeros(65536, np.int64), np.zeros(65536, np.int64), 0
    for number in order if whole else order[:4 * most]:
        core = grid.box(int(number))[0]
        beyond = int(core[2].stop < volume.shape[2])     # the neighbour of the last voxel along x
        part = volume[core[0], core[1], core[2].start:core[2].stop + beyond]
        if not whole and not part.any():
            continue
        among = volume.shape[0] if whole else len(part)
        every = 1 + (among - 1) // SLICES
        counts = _count(part[-core[0].start % every if whole else 0::every], beyond=beyond)
        grey, step, used = grey + counts[0], step + counts[1], used + 1
        if used == most:
            break
    return (_scale_of(grey, step) if used else Scale(0.0, 1.0)), used


def _count(planes, *, beyond=0):
    """Histograms, int64 [65536], of grey levels and of steps between neighbours along x.

    Args:
        planes: [Z, Y, X]; beyond: voxels at the end of x that count as neighbours alone.
    """
    grey, step = np.zeros((2, 65536), np.int64)   # histograms by slice: no second stack is held
    for plane in planes:
        grey += np.bincount(plane[:, :plane.shape[1] - beyond].ravel(), minlength=65536)
        differences = np.abs(np.diff(plane.astype(np.int32), axis=1))
        step += np.bincount(differences.ravel(), minlength=65536)
    return grey, step


def _scale_of(grey, step):
    """Scale of histograms."""
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
