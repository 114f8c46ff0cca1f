"""Directions of branches: unit vectors [3] along (z, y, x), angles in degrees."""
import functools

import numpy as np

SPHERE = 2000                # directions spread evenly, on which moments are computed
ROUNDS = 60                  # of the iteration that finds them


def oriented(count, shares, *, rng):
    """Random directions that run along some axes more than along others.

    Normal deviates, stretched along the axes and made unit vectors (the angular central Gaussian
    distribution, Tyler 1987).

    Args:
        count: directions; shares: 3 float along z, y, x, their mean squared cosines with the axes
        (made to sum to 1); all alike: they run anyhow.

    Returns:
        float [count, 3].
    """
    normal = rng.standard_normal((count, 3))
    if len(set(shares)) > 1:
        normal *= _stretch(tuple(shares))
    return normal / np.sqrt((normal ** 2).sum(1, keepdims=True))


@functools.lru_cache(maxsize=16)
def _stretch(shares):
    """Factors on normal deviates whose directions have these mean squared cosines; float [3]."""
    shares = np.asarray(shares, float) / np.sum(shares)
    z = 1 - (2 * np.arange(SPHERE) + 1) / SPHERE         # a spiral of golden angles
    turn = np.arange(SPHERE) * np.pi * (3 - np.sqrt(5))
    sphere = np.stack([z, np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn)], 1)
    stretch = np.ones(3)
    for _ in range(ROUNDS):
        squares = (sphere * stretch) ** 2
        found = (squares / squares.sum(1, keepdims=True)).mean(0)
        stretch *= np.sqrt(shares / found)
    return stretch / stretch.max()


def tilt(direction, polar, *, azimuth):
    """Turn a direction away from itself.

    Args:
        direction: unit vector [3]; polar: angle to it, degrees; azimuth: angle around it, degrees.

    Returns:
        unit vector [3].
    """
    helper = np.eye(3)[np.argmin(np.abs(direction))]     # the axis least along it
    u = np.cross(direction, helper)
    u /= np.linalg.norm(u)
    v = np.cross(direction, u)
    polar, azimuth = np.radians([polar, azimuth])
    around = np.cos(azimuth) * u + np.sin(azimuth) * v
    return np.cos(polar) * direction + np.sin(polar) * around


def fork_azimuths(n, rng):
    """Azimuths of n siblings: each in the middle third of its sector, all turned at random.

    Returns:
        float [n], degrees.
    """
    sector = 360.0 / n
    return rng.uniform(0, 360) + sector * (np.arange(n) + rng.uniform(1 / 3, 2 / 3, n))
