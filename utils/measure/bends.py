"""How neurites wind, at several scales, and how they lie to each other: turns and alignment.

Lengths are isotropic voxels.
"""
from typing import NamedTuple, Optional

import numpy as np
from scipy.spatial import cKDTree

from utils.measure import skeletons

CHORDS = (3, 6, 12, 24)      # voxels of the chords whose turns are measured
EVEN = 1                     # place of the chord whose turns tell how evenly neurites wind
FEWEST = 200                 # turns from which their mean is told
STRAIGHTEST = 1e-5           # turns count as this much at least
NEAR = 6, 16, 4000           # voxels between places whose directions are compared, least and most;
                             # places, at most, that are compared with others
FAR = 28, 44, 1000           # the same, of neurites that are no bundle
BATCH = 100                  # places whose pairs are looked at together
AHEAD = 3                    # voxels to each side over which a direction is taken there


class Winding(NamedTuple):
    """Turns of paths; a turn is 1 - cosine between a chord and the next one, as long, in [0, 2]."""
    turns: list                  # mean at each of CHORDS; None: too few
    evenness: Optional[float]    # median over mean at CHORDS[EVEN]; ln 2 if all wind alike (turns
                                 # are exponential then), less if some places wind more than others


def even_steps(path, spacing, *, sigma=2.0):
    """A path without the voxels' staircase, a point for each isotropic voxel of its length.

    Args:
        path: int [L, 3]; spacing: (z, y, x) size of a voxel; sigma: voxels that it is smoothed by.

    Returns:
        float [M, 3].
    """
    points = skeletons.smooth(path, spacing, sigma=sigma)
    place = np.r_[0, np.cumsum(np.sqrt((np.diff(points, axis=0) ** 2).sum(1)))]
    at = np.arange(int(place[-1]) + 1)
    return np.stack([np.interp(at, place, column) for column in points.T], 1)


def turns(points, chord):
    """Turns of a path along it: 1 - cosine between a chord and the next.

    Args:
        points: float [M, 3], a voxel apart; chord: voxels.

    Returns:
        float [M - 2 chord]; empty for a shorter path.
    """
    if len(points) <= 2 * chord:
        return np.zeros(0)
    ahead = points[chord:] - points[:-chord]
    ahead /= np.maximum(np.sqrt((ahead ** 2).sum(1, keepdims=True)), 1e-9)
    return 1 - (ahead[chord:] * ahead[:-chord]).sum(1)


def winding(paths, spacing):
    """Measure how paths wind.

    Args:
        paths: list of int [L, 3] (skeletons.branches); spacing: (z, y, x) size of a voxel.

    Returns:
        Winding.
    """
    walks = [even_steps(path, spacing) for path in paths if len(path) > 2 * CHORDS[0]]
    found = [np.concatenate([np.zeros(0)] + [turns(walk, chord) for walk in walks])
             for chord in CHORDS]
    means = [float(max(t.mean(), STRAIGHTEST)) if len(t) >= FEWEST else None for t in found]
    if means[EVEN] is None:
        return Winding(means, None)
    return Winding(means, float(max(np.median(found[EVEN]), STRAIGHTEST) / means[EVEN]))


def alignment(paths, spacing, *, apart=NEAR):
    """How parallel neurites run to others.

    Args:
        paths: list of int [L, 3] (skeletons.branches); spacing: (z, y, x) size of a voxel.
        apart: NEAR or FAR.

    Returns:
        float in [0, 1]: mean squared cosine between directions of different paths at places so
        far apart; 1/3: they run anyhow, 1: all parallel. None with too few such places.
    """
    places, towards, owner = [], [], []
    for number, path in enumerate(paths):
        walk = even_steps(path, spacing)
        if len(walk) > 2 * AHEAD:
            ahead = walk[2 * AHEAD:] - walk[:-2 * AHEAD]
            towards.append(ahead / np.maximum(np.sqrt((ahead ** 2).sum(1, keepdims=True)), 1e-9))
            places.append(walk[AHEAD:-AHEAD])
            owner.append(np.full(len(ahead), number))
    if not places:
        return None
    places, towards, owner = [np.concatenate(a) for a in (places, towards, owner)]
    some = np.arange(0, len(places), 1 + len(places) // apart[2])
    tree, total, count = cKDTree(places), 0.0, 0
    for first in range(0, len(some), BATCH):
        a, b = _pairs(tree, some[first:first + BATCH], apart=apart)
        other = owner[a] != owner[b]
        total += ((towards[a[other]] * towards[b[other]]).sum(1) ** 2).sum()
        count += other.sum()
    return float(total / count) if count >= FEWEST else None


def _pairs(tree, some, *, apart):
    """Rows (a, b) of places of a tree as far apart as told, a among `some`; int [K] each."""
    least, most, _ = apart
    places = tree.data
    near = tree.query_ball_point(places[some], most)
    a = np.repeat(some, [len(n) for n in near])
    b = np.concatenate(near).astype(int)
    far = ((places[a] - places[b]) ** 2).sum(1) >= least ** 2
    return a[far], b[far]
