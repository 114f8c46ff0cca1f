"""Directions of branches: unit vectors [3] along (z, y, x), angles in degrees."""
import numpy as np


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
