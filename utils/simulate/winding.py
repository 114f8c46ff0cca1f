"""How a neurite winds: slow bends, quick wiggles, and how unevenly it does so from place to place.

A direction is that of a worm-like chain (branches.py) and, on top, a wiggle: a direction that
deviates by a Gaussian of some degrees along each axis and forgets that over some voxels. Both are
multiplied by a factor that changes slowly along the neurite. Lengths are isotropic voxels.
"""
from typing import NamedTuple

import numpy as np
from scipy import optimize

from utils.measure.bends import CHORDS
from utils.simulate.branches import STEP, sections

LENGTHS = 3.0, 4.0, 6.0, 8.0, 12.0      # voxels, lengths of wiggles that are tried
UNEVEN_LENGTH = 30.0                    # voxels over which the factor changes
STRAIGHT = 1e5                          # voxels, longest persistence
MOST_DEGREES = 40.0                     # of a wiggle


class Wiggle(NamedTuple):
    """Winding beyond the worm-like chain."""
    degrees: float = 0.0         # std of the direction along each axis across the neurite; 0: none
    length: float = 6.0          # voxels over which it changes
    spread: float = 0.0          # std of the logarithm of how much a place winds; 0: all alike


def fit(turns):
    """The slow bends and the wiggle that have some mean turns.

    Args:
        turns: list of float, mean 1 - cosine between chords of CHORDS voxels and the next ones;
        None where it is not known.

    Returns:
        (persistence, degrees, length): voxels, degrees, voxels; None if no turn is known.
    """
    known = [(chord, -np.log(max(1 - turn, 0.05))) for chord, turn in zip(CHORDS, turns)
             if turn is not None]
    if not known:
        return None
    chords, wanted = np.array(known).T
    tried = []
    for length in LENGTHS:
        columns = np.stack([chain_turn(chords), wiggle_turn(chords, length)], 1)
        size, rest = optimize.nnls(columns / wanted[:, None], np.ones(len(chords)))
        tried.append((rest, length, size))
    _, length, (bend, wiggle) = min(tried, key=lambda trial: trial[0])
    return (float(1 / max(bend, 1 / STRAIGHT)),
            float(min(np.degrees(np.sqrt(wiggle)), MOST_DEGREES)), length)


def chain_turn(chord):
    """Turn of a worm-like chain's chords, persistence 1: 2/3 of a chord's length; float."""
    return 2 / 3 * chord


def wiggle_turn(chord, length):
    """Turn of the chords of a direction that deviates by one radian; float.

    Twice the variance of the mean direction of a chord, less the covariance with the next one's;
    the direction's correlation is exp(-distance / length).
    """
    ratio = length / chord
    own = 2 * ratio ** 2 * (1 / ratio - 1 + np.exp(-1 / ratio))
    shared = ratio ** 2 * (1 - np.exp(-1 / ratio)) ** 2
    return 2 * (own - shared)


# --- along a path ---

def remember(length, step=STEP):
    """(keep, fresh) of a Gaussian of unit std that is correlated over `length` voxels."""
    keep = float(np.exp(-step / length))
    return keep, float(np.sqrt(1 - keep ** 2))


def slopes(count, wiggle, *, rng):
    """Deviations of a path's direction.

    Args:
        count: of nodes, STEP apart; wiggle: Wiggle.

    Returns:
        float [count, 3], radians along each axis.
    """
    keep, fresh = remember(wiggle.length)
    slow, renewed = remember(UNEVEN_LENGTH)
    draws = rng.standard_normal((count, 4))
    draws[1:, :3] *= fresh
    draws[1:, 3] *= renewed
    for i in range(1, count):
        draws[i, :3] += keep * draws[i - 1, :3]
        draws[i, 3] += slow * draws[i - 1, 3]
    return np.radians(wiggle.degrees) * factor(draws[:, 3:], wiggle.spread) * draws[:, :3]


def factor(normal, spread):
    """Factors of mean square 1, log-normal of std `spread`, for standard normal values."""
    return np.exp(spread * normal - spread ** 2)


def wiggle_tree(tree, wiggle, *, rng):
    """Make a tree's branches wiggle; their ends stay.

    Args:
        tree: swc.Tree in isotropic voxels, finely divided (branches.wind, branches.subdivide).

    Returns:
        swc.Tree.
    """
    position = tree.position.copy()
    for run in sections(tree.parent):
        position[run[1:-1]] = wiggled(tree.position[run], wiggle, rng=rng)[1:-1]
    return tree._replace(position=position)


def wiggled(path, wiggle, *, rng):
    """A path that wiggles across its course; its ends stay.

    Args:
        path: float [N, 3], nodes about STEP apart; wiggle: Wiggle.

    Returns:
        float [N, 3].
    """
    if len(path) < 4:
        return path
    ahead = np.gradient(path, axis=0)
    ahead /= np.maximum(np.sqrt((ahead ** 2).sum(1, keepdims=True)), 1e-9)
    slope = slopes(len(path), wiggle, rng=rng)
    slope -= (slope * ahead).sum(1, keepdims=True) * ahead
    steps = np.sqrt((np.diff(path, axis=0) ** 2).sum(1, keepdims=True))
    offset = np.concatenate([np.zeros((1, 3)), np.cumsum(slope[1:] * steps, axis=0)])
    return path + offset - np.linspace(0, 1, len(path))[:, None] * offset[-1]
