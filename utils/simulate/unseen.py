"""Neurites that step 0 does not see: those dimmer than OTSU's threshold.

OTSU measures the bright neurites. If as many lie in each factor of brightness below the dimmest
measured one as above it, down to the noise, the number of those that it misses follows.
"""
from typing import NamedTuple

import numpy as np

from utils.measure.quantiles import QUANTILES

LEVELS = 0.02, 0.98          # quantiles of brightness that are drawn between; the rest is noise
MOST = 0.5                   # largest share: where all that is measured is alike and bright, little
                             # tells how many dim ones there are


class Unseen(NamedTuple):
    """Neurites dimmer than any measured; grey levels above the background, blurred and stained."""
    share: float             # of all neurites, seen and unseen, [0, MOST]
    lowest: float            # brightness: the noise between neighbouring voxels
    highest: float           # brightness of the dimmest measured neurites


def of(measured):
    """What neurites priors.json leaves out.

    Args:
        measured: contents of priors.json; without `noise_std`, as in files written by hand, the
            background's standard deviation stands for the noise.

    Returns:
        Unseen; its share is 0 where the dimmest measured ones are as dim as the noise.
    """
    low, high = np.interp(LEVELS, QUANTILES, measured['drawn']['level_quantiles'])
    known = [value for value in measured.get('noise_std') or () if value]
    noise = float(np.mean(known)) if known else measured['background']['robust_std']
    if not 0 < noise < low <= high:
        return Unseen(0.0, float(low), float(low))
    share = np.log(low / noise) / np.log(high / noise)
    return Unseen(float(min(share, MOST)), noise, float(low))
