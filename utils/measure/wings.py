"""How light falls off beside neurites: a core and wider wings, along z and in plane.

A thin bright line seen through a blur of two Gaussians, each with its own width along z, looks like
two again. Their widths and shares are those of the blur, but that the line has a width of its own.
"""
import numpy as np
from scipy import optimize

from utils.measure import widths

FEWEST = 200                 # profiles along z, and in plane, from which wings are told
NEAREST = 6                  # voxels beside the middle, up to which light is compared
CORE = 0.3, 4.0              # voxels, sigma
TIMES = 1.3, 6.0             # the wings' sigma over the core's
SHARE = 0.02, 0.8            # of the light in the middle
START = (0.3, 1.2, 2.5, 1.0, 2.5)        # share; core and times along z; the same in plane


def measure(profiles):
    """Tell core and wings by how light falls off.

    Args:
        profiles: of widths.profiles.

    Returns:
        dict: `share` of the light in the middle of a neurite that is the wings'; `core` and `wide`,
        sigmas [z, in plane], voxels. None with too few profiles.
    """
    sides = profiles[0], np.concatenate(profiles[1:])
    if min(map(len, sides)) < FEWEST:
        return None
    seen = np.array([_fall(side) for side in sides])
    away = np.arange(NEAREST + 1.0) ** 2

    def excess(values):
        share, *sizes = values
        found = [share * np.exp(-away / (2 * (core * times) ** 2))
                 + (1 - share) * np.exp(-away / (2 * core ** 2))
                 for core, times in (sizes[:2], sizes[2:])]
        return (np.array(found) - seen).ravel()

    bounds = zip(SHARE, *[pair for _ in range(2) for pair in (CORE, TIMES)])
    share, *sizes = optimize.least_squares(excess, START, bounds=list(bounds)).x
    return {'share': float(share), 'core': [float(v) for v in sizes[::2]],
            'wide': [float(a * b) for a, b in zip(sizes[::2], sizes[1::2])]}


def _fall(profiles):
    """Light 0 to NEAREST voxels beside the peak, over the peak's: medians; float [NEAREST + 1]."""
    peak = widths.peaks(profiles)
    height = profiles[np.arange(len(profiles)), peak]
    profiles, peak = profiles[height > 0] / height[height > 0, None], peak[height > 0]
    rows = np.arange(len(profiles))
    return np.array([np.median([profiles[rows, peak + side * n] for side in (-1, 1)])
                     for n in range(NEAREST + 1)])
