"""How the background varies: noise between neighbours, correlation further on."""
import itertools
from typing import NamedTuple

import numpy as np
from scipy import special

from utils.measure.quantiles import LAGS

SIDE = 160                   # voxels per side of the middle of a stack, in which noise is measured
CUBE = 64                    # voxels per side of the cubes in which correlation is measured
RANKED = 200000              # grey levels that voxels are ranked by
TABLE = 65536                # steps of grey levels that they are ranked in
MOST = 1000000               # differences of a kind that are looked at, about
SMALLER = 0.75               # share of the absolute values whose mean tells a variance ...
OF_NORMAL = 0.51491          # ... and that mean, of a standard normal variable
THIRD = 20.0                 # variance of third differences over that of white noise: 1 + 9 + 9 + 1
MOST_EXTREME = 1e-4          # share of the ranks that counts as no further out


def noise_std(voxels, outside):
    """Std of the noise that changes from voxel to voxel, along each axis.

    The std of the difference of neighbours, of variance(), over sqrt(2).

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; outside: bool, its background.

    Returns:
        list of 3 float (z, y, x), grey levels.
    """
    box = middle(voxels.shape)
    levels, there = voxels[box].astype(np.float32), outside[box]
    found = []
    for axis in range(3):
        first, second = _shifted(axis, 1)
        steps = (levels[second] - levels[first])[there[first] & there[second]]
        found.append(float(np.sqrt(variance([steps], of=2.0) or 0.0)))
    return found


def third(image, there, *, axis):
    """Third differences along an axis whose ends are background; float [N].

    Args: image: float32, any dimensions; there: bool, its background.
    """
    return np.diff(image, 3, axis)[both_ends(there, axis=axis)]


def both_ends(there, *, axis):
    """Of which third differences along an axis both ends are background; bool, shorter by 3."""
    first, last = [tuple(slice(*part) if a == axis else slice(None) for a in range(there.ndim))
                   for part in ((None, -3), (3, None))]
    return there[first] & there[last]


def variance(parts, *, of):
    """Robust variance of whole numbers about 0 over `of`; None without any.

    Told by the mean of the smaller absolute values. Their median would jump where grey levels come
    in coarse steps, as along z in D-LMBmap's cube, whose differences are multiples of 37.

    Args: parts: list of float [N].
    """
    count = sum(map(len, parts))
    if not count:
        return None
    values = np.concatenate([part[::1 + count // MOST] for part in parts])
    values += np.random.default_rng(0).random(values.shape, dtype=np.float32) - np.float32(0.5)
    count = max(1, int(SMALLER * len(values)))
    smaller = np.partition(np.abs(values), count - 1)[:count]
    return float((smaller.mean(dtype=float) / OF_NORMAL) ** 2 / of)


def correlation(voxels, outside, *, levels):
    """Correlation of the background at LAGS voxels along each axis.

    Grey levels are made Gaussian by rank, so that spots and a background clipped at 0 count
    little. Measured in up to 27 cubes spread over the stack: a large stack takes no longer.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; outside: bool, its background.
        levels: grey levels of the background, [N].

    Returns:
        three lists of float in [-1, 1], one per lag; None at lags longer than the cubes.
    """
    rng = np.random.default_rng(0)
    ranked = levels[:: 1 + len(levels) // RANKED].astype(np.float32)
    ranks = _ranks(np.sort(_dithered(ranked, rng, dtype=np.float32)))
    products, weights = np.zeros((3, len(LAGS))), np.zeros((3, len(LAGS)))
    power = count = 0.0
    for box in boxes(voxels.shape, CUBE):
        there = outside[box].astype(np.float32)
        cube = _dithered(voxels[box].astype(np.float32), rng, dtype=np.float32)
        cube = ranks.of(cube) * there
        power, count = power + np.vdot(cube, cube), count + there.sum()
        for axis, (k, lag) in itertools.product(range(3), enumerate(LAGS)):
            if lag < cube.shape[axis]:
                first, second = _shifted(axis, lag)
                products[axis, k] += np.vdot(cube[first], cube[second])
                weights[axis, k] += np.vdot(there[first], there[second])
    with np.errstate(invalid='ignore', divide='ignore'):
        found = products / weights / (power / count)
    return [[float(v) if np.isfinite(v) else None for v in row] for row in found]


def middle(shape):
    """The middle of a stack, at most SIDE voxels a side; slices."""
    return tuple(slice((n - min(n, SIDE)) // 2, (n + min(n, SIDE)) // 2) for n in shape)


def _dithered(values, rng, *, dtype=float):
    """Spread whole grey levels over their width: medians and ranks of them would be steps."""
    return values + rng.uniform(-0.5, 0.5, values.shape).astype(dtype)


def _shifted(axis, lag):
    """Two boxes, (slices, slices): the voxels of the second lie `lag` beyond the first's."""
    first, second = [slice(None)] * 3, [slice(None)] * 3
    first[axis], second[axis] = slice(None, -lag), slice(lag, None)
    return tuple(first), tuple(second)


def boxes(shape, side):
    """Boxes of `side` voxels a side at the ends and the middle of each axis; up to 27."""
    for corner in itertools.product(*[starts(n, side) for n in shape]):
        yield tuple(slice(a, a + side) for a in corner)


def starts(n, side):
    """Where boxes begin along an axis of n voxels: at its ends and in its middle; list of int."""
    return sorted({0, max(0, (n - side) // 2), max(0, n - side)})


class _Ranks(NamedTuple):
    """Standard normal values by rank, as a table of grey levels in even steps.

    Far finer than the noise: as exact as dithered levels are, and several times faster than a
    search for each voxel.
    """
    low: float
    scale: float             # steps per grey level
    table: np.ndarray        # float32 [TABLE]

    def of(self, values):
        """Standard normal values of the same ranks; float32, shape of `values`."""
        place = np.clip((values - self.low) * self.scale + 0.5, 0, TABLE - 1).astype(np.int32)
        return self.table[place]


def _ranks(ranked):
    """_Ranks of some grey levels, float [N], sorted."""
    outside = int(MOST_EXTREME * len(ranked))            # what lies beyond has the ends' values
    low, high = ranked[outside], ranked[-1 - outside]
    rank = np.searchsorted(ranked, np.linspace(low, high, TABLE))
    share = np.clip((rank + 0.5) / (len(ranked) + 1), MOST_EXTREME, 1 - MOST_EXTREME)
    return _Ranks(low, (TABLE - 1) / max(high - low, 1e-6), special.ndtri(share).astype(np.float32))
