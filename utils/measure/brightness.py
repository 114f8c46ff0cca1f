"""Brightness of neurites along their centrelines."""
from typing import NamedTuple, Optional

import numpy as np
from scipy import ndimage

from utils.measure import skeletons

SHORTEST = 8                 # voxels of the shortest path whose level is taken
LONG = 20                    # voxels of the shortest path on which drift and grain are measured
SMOOTHING = 2.0              # voxels, sigma that parts drift (slower) from grain (faster)
DIMMEST = 0.1                # of a path's median: dimmer places count as it in the logarithm
LAGS = 15                    # voxels up to which the correlation along a path is followed
END = 4                      # voxels of a path that are its end
FEWEST_ENDS = 10             # free ends from which their brightness is told
LEFT_OF_NOISE = 0.5          # share of the noise's variance that interpolation leaves, about
LARGEST_BOX = 1 << 22        # voxels that are interpolated in at once


class Brightness(NamedTuple):
    """Grey levels above the local background."""
    levels: np.ndarray       # median of each path, repeated for each of its voxels
    drift: float             # std of the logarithm along a path, smoothed; None: no long path
    grain: float             # std of what the smoothing takes away, over the median; or None
    length: Optional[float]  # voxels over which the drift's correlation falls to 1 / e; or None


def along(voxels, local, *, paths, noise):
    """Measure brightness along centrelines.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; local: uint16, its background (background.local_level).
        paths: list of int [L, 3] (skeletons.branches).
        noise: std of the background, grey levels; its share of the grain is taken off.

    Returns:
        Brightness; levels is empty without a path that is brighter than the background.
    """
    levels, drifts, grains = [], [], []
    for path in paths:
        if len(path) < SHORTEST:
            continue
        excess = levels_along(voxels, path) - local[tuple(path.T)]
        middle = np.median(excess)
        if middle <= 0:
            continue
        levels.append(np.full(len(path), middle))
        if len(path) >= LONG:
            even = ndimage.gaussian_filter1d(excess, SMOOTHING)
            drifts.append(np.log(np.maximum(even, DIMMEST * middle) / middle))
            left = np.mean((excess - even) ** 2) - LEFT_OF_NOISE * noise ** 2
            grains.append(left / middle ** 2)
    return Brightness(np.concatenate(levels) if levels else np.zeros(0),
                      float(np.concatenate(drifts).std()) if drifts else None,
                      float(np.sqrt(max(np.median(grains), 0.0))) if grains else None,
                      correlation_length(drifts))


def of_ends(voxels, local, *, paths, tips):
    """Brightness of free ends.

    Args:
        voxels, local, paths: as of along; tips: of skeletons.branches.

    Returns:
        float: mean of the last END voxels of a path of LONG voxels or more over its median, median
        over the free ends; None with fewer than FEWEST_ENDS.
    """
    free, found = skeletons.free_tips(tips, voxels.shape), []
    for path in paths:
        ends = [part for tip, part in ((path[0], slice(None, END)), (path[-1], slice(-END, None)))
                if tuple(tip) in free]
        if len(path) < LONG or not ends:
            continue
        excess = levels_along(voxels, path) - local[tuple(path.T)]
        middle = np.median(excess)
        if middle > 0:
            found += [float(excess[part].mean() / middle) for part in ends]
    return float(np.median(found)) if len(found) >= FEWEST_ENDS else None


def levels_along(voxels, path):
    """Grey levels along a path without its staircase, which runs up to a voxel beside the neurite.

    Returns:
        float32 [L].
    """
    low = np.maximum(path.min(0) - 2, 0)
    box = voxels[tuple(slice(a, b + 3) for a, b in zip(low, path.max(0)))]
    if box.size > LARGEST_BOX:               # a path across the stack: its box is most of it
        half = len(path) // 2
        return np.concatenate([levels_along(voxels, part) for part in (path[:half], path[half:])])
    points = skeletons.smooth(path, (1, 1, 1)) - low
    return ndimage.map_coordinates(box.astype(np.float32), points.T, order=1, mode='nearest')


def correlation_length(runs):
    """Distance at which the correlation of values along runs falls to 1 / e.

    Args:
        runs: list of float [L], L more than LAGS.

    Returns:
        float, steps, at most LAGS; None without a run or without variance.
    """
    even = [run - run.mean() for run in runs]
    variance = np.mean(np.concatenate([run ** 2 for run in even])) if even else 0.0
    if variance <= 0:
        return None
    kept = [1.0] + [np.mean(np.concatenate([run[lag:] * run[:-lag] for run in even])) / variance
                    for lag in range(1, LAGS + 1)]
    below = np.flatnonzero(np.array(kept) < np.exp(-1))
    if len(below) == 0:
        return float(LAGS)
    k = below[0]
    return float(k - 1 + (kept[k - 1] - np.exp(-1)) / (kept[k - 1] - kept[k]))
