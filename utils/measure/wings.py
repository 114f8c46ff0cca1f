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
NEARLY = 0.98                # of the largest share or core: no result
START = (0.3, 1.2, 2.5, 1.0, 2.5)        # share; core and times along z; the same in plane


def measure(profiles):
    """Tell core and wings by how light falls off.

    Args:
        profiles: of widths.profiles.

    Returns:
        dict: `share` of the light in the middle of a neurite that is the wings'; `core` and `wide`,
        sigmas [z, in plane], voxels. None with too few profiles, and where the fit ends at the
        widest core or the largest share: such wide neurites tell no blur.
    """
    sides = [_standing_out(side) for side in (profiles[0], np.concatenate(profiles[1:]))]
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
    if share > NEARLY * SHARE[1] or max(sizes[::2]) > NEARLY * CORE[1]:
        return None
    return {'share': float(share), 'core': [float(v) for v in sizes[::2]],
            'wide': [float(a * b) for a, b in zip(sizes[::2], sizes[1::2])]}


def _standing_out(profiles):
    """Those profiles whose peak is above the background."""
    return profiles[profiles[np.arange(len(profiles)), widths.peaks(profiles)] > 0]


def _fall(profiles):
    """Light 0 to NEAREST voxels beside the peak, over the peak's: medians; float [NEAREST + 1]."""
    rows, peak = np.arange(len(profiles)), widths.peaks(profiles)
    profiles = profiles / profiles[rows, peak][:, None]
    return np.array([np.median([profiles[rows, peak + side * n] for side in (-1, 1)])
                     for n in range(NEAREST + 1)])
