"""Where along each axis the noise is weaker or stronger than its background's level explains.

Tiles, and the focuses of a light sheet, are blended where they meet: of the mean of two images the
noise has half the variance. An eye hardly sees such seams, a discriminator does at once.
"""
import numpy as np
from scipy import ndimage, stats

from utils.measure import noise

LONGEST = 512                # planes that are looked at, in the middle of a stack
SAMPLE = 60000               # third differences of each, about; fewer than ...
FEWEST = 2000                # ... so many do not tell its noise
PLANES = 16                  # that tell it, at least, and half of all
SMOOTH = 1.5                 # planes, sigma
FURTHEST = 0.02, 0.98        # shares of the planes whose noise is told to be unlike the rest, ...
UNEVEN = 0.08                # ... by so much of its std
LEAST = 0.2                  # of the median variance: with less a plane is blank, none explains it
LIMITS = 0.1, 10.0           # factors on the std


def measure(voxels, outside, *, local, side):
    """Measure the noise of the planes across each axis.

    Texture that is stronger at one end of a stack than at the other counts as noise here.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; outside: bool, its background.
        local: uint16 [Z, Y, X], smooth level of the background (background.local_level).
        side: voxels per side of the cubes (noise.boxes) that the noise itself is measured in.

    Returns:
        list of 3 (z, y, x): list of float, factor on the std of the noise of each plane over that
        of the cubes, in order, of at most LONGEST planes; None where it is even, or not known.
    """
    return [_along(np.moveaxis(voxels, axis, 0), np.moveaxis(outside, axis, 0),
                   local=np.moveaxis(local, axis, 0), side=side) for axis in range(3)]


def _along(voxels, outside, *, local, side):
    """As measure, of the planes across the first axis, by third differences along the last one."""
    first = max(0, (len(voxels) - LONGEST) // 2)
    variance, level = np.array([_plane(voxels[k], outside[k], local=local[k])
                                for k in range(first, min(len(voxels), first + LONGEST))]).T
    known = np.flatnonzero(np.isfinite(variance))
    if len(known):                                       # blank planes tell nothing
        known = known[variance[known] > LEAST * np.median(variance[known])]
    if len(known) < max(PLANES, len(variance) / 2):
        return None
    ratio = variance[known] / _explained(variance[known], level[known])
    ratio = np.interp(np.arange(len(variance)), known, ratio)
    smooth = ndimage.gaussian_filter1d(ratio, SMOOTH, mode='nearest')
    std = np.sqrt(smooth / np.mean(smooth[_in_cubes(len(voxels), side)[first:][:len(smooth)]]))
    if np.abs(np.quantile(std / np.median(std), FURTHEST) - 1).max() < UNEVEN:
        return None
    return np.clip(std, *LIMITS).tolist()


def _in_cubes(n, side):
    """Which of n planes the cubes of noise.boxes hold; bool [n]."""
    inside = np.zeros(n, bool)
    for start in noise.starts(n, side):
        inside[start:start + side] = True
    return inside


def _plane(voxels, outside, *, local):
    """(variance of the noise, level) of a plane, [A, B] each, grey levels; nan where unknown."""
    rows = slice(None, None, 1 + voxels.size // SAMPLE)
    third = noise.third(voxels[rows].astype(np.float32), outside[rows], axis=1)
    if len(third) < FEWEST:
        return np.nan, np.nan
    return noise.variance([third], of=noise.THIRD), float(local[rows][outside[rows]].mean())


def _explained(variance, level):
    """Variance that a plane has by its level: photons, robust to some planes; float [N]."""
    rise = stats.theilslopes(variance, level)[0] if np.ptp(level) > 1 else 0.0
    line = max(rise, 0.0) * (level - np.median(level))
    line += np.median(variance - line)
    return np.maximum(line, LEAST * np.median(variance))
