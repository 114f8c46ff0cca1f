"""Apparent widths of neurites, blur included, and what they tell of the blur."""
import numpy as np
from scipy import stats

from utils.measure import brightness
from utils.measure.quantiles import FWHM

REACH = 7                    # voxels to each side of a centreline in which a width is sought
SHORTEST = 8                 # voxels of the shortest path measured
AHEAD = 3                    # voxels to each side over which a path's direction is taken
COSINE = 0.35                # largest cosine between a path and the axis: nearly at right angles
MOST = 4000                  # profiles along an axis
THIN = 0.15                  # quantile of apparent widths that is taken for the blur's
FEWEST = 10                  # widths from which a blur is told
COMPARED = 12                # voxels of the shortest path whose width is compared with its level
FEWEST_PATHS, MOST_PATHS = 30, 2000      # how many such paths, at least and at most


def apparent(voxels, local, *, paths):
    """Full widths at half maximum across the neurites, for each axis those at right angles to it.

    Args: as of profiles.

    Returns:
        list of three float arrays, voxels of that axis.
    """
    return [full_widths(found) for found in profiles(voxels, local, paths=paths)]


def profiles(voxels, local, *, paths):
    """Light across the neurites, for each axis across those at right angles to it.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; local: uint16, its background (background.local_level).
        paths: list of int [L, 3] (skeletons.branches).

    Returns:
        list of three float32 arrays [N, 2 REACH + 1], grey levels above the background, from REACH
        voxels of that axis before a centreline to as many behind it.
    """
    points, towards = [np.zeros((0, 3), int)], [np.zeros((0, 3))]
    for path in paths:
        if len(path) >= SHORTEST:
            points.append(path[AHEAD:-AHEAD])
            towards.append((path[2 * AHEAD:] - path[:-2 * AHEAD]).astype(float))
    at, ahead = np.concatenate(points), np.concatenate(towards)
    found = []
    for axis in range(3):
        across = np.abs(ahead[:, axis]) < COSINE * np.sqrt((ahead ** 2).sum(1))
        across &= (at[:, axis] >= REACH) & (at[:, axis] < voxels.shape[axis] - REACH)
        found.append(_profiles(voxels, local, axis=axis,
                               at=at[across][:: 1 + across.sum() // MOST]))
    return found


def blur_sigma(widths):
    """Sigma of the blur: the thinnest neurites show the optics alone.

    An upper bound, close where some neurites are thinner than the blur.

    Args:
        widths: of apparent.

    Returns:
        list of 3 (z, y, x): float, voxels of the axis, or None where too few widths are known.
    """
    return [float(np.quantile(w, THIN) / FWHM) if len(w) >= FEWEST else None for w in widths]


def median_depth(widths):
    """Median width along z, voxels; None where too few are known. widths: of apparent."""
    return float(np.median(widths[0])) if len(widths[0]) >= FEWEST else None


def with_level(voxels, local, *, paths):
    """Rank correlation (Spearman's) of the widths of neurites with their brightness.

    Args: as of apparent.

    Returns:
        float, of the medians of each path; None with fewer than FEWEST_PATHS.
    """
    long = [path for path in paths if len(path) >= COMPARED]
    found = []
    for path in long[:: 1 + len(long) // MOST_PATHS]:
        across = np.concatenate(apparent(voxels, local, paths=[path])[1:])
        level = np.median(brightness.levels_along(voxels, path) - local[tuple(path.T)])
        if len(across) and level > 0:
            found.append((np.median(across), level))
    if len(found) < FEWEST_PATHS:
        return None
    rank = stats.spearmanr(*np.transpose(found))[0]
    return float(rank) if np.isfinite(rank) else None


def _profiles(voxels, local, *, at, axis):
    """Grey levels above the background along an axis; float32 [N, 2 REACH + 1] around `at`."""
    offset = np.arange(-REACH, REACH + 1)
    index = [np.repeat(at[:, i, None], len(offset), 1) for i in range(3)]
    index[axis] = index[axis] + offset
    return voxels[tuple(index)].astype(np.float32) - local[tuple(at.T)].astype(np.float32)[:, None]


def full_widths(found):
    """Full widths at half maximum of profiles; those that do not fall that low are left out.

    The maximum is sought within a voxel of the middle. Between the last voxel above half of it
    and the next, the grey level is taken to be linear.

    Args:
        found: float32 [N, 2 REACH + 1], of profiles.

    Returns:
        float [at most N], voxels.
    """
    rows, peak = np.arange(len(found)), peaks(found)
    half = found[rows, peak] / 2
    widths = np.zeros(len(found))
    good = half > 0
    for sign in (-1, 1):
        place = peak.copy()
        for _ in range(REACH):
            higher = (found[rows, place] > half) & (place > 0) & (place < 2 * REACH)
            place = place + sign * higher
        above, below = found[rows, place - sign * (place != peak)], found[rows, place]
        good &= below <= half
        share = np.where(above > below, (above - half) / np.maximum(above - below, 1e-6), 0)
        widths += np.abs(place - peak) - 1 + share
    return widths[good]


def peaks(found):
    """Where profiles are highest, within a voxel of their middle; int [N]."""
    return found[:, REACH - 1:REACH + 2].argmax(1) + REACH - 1
