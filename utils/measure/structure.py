"""What the background is made of: white noise, structure in all directions, stripes.

All is told by differences of voxels, by the smaller ones (noise.variance): a dim neurite that was
taken for background counts little, and none twice, as it is drawn, too.
"""
import numpy as np

from utils.measure import noise, quantiles, seams
from utils.measure.quantiles import LAGS

SIDE = 48                    # voxels per side of the cubes, up to 27, that differences are of
NEAR = 2                     # voxels along each axis: as far off, every direction is measured
LEAST = 1.5                  # grey levels of noise; with less, whole ones hide what it is
MOST_CUT = 0.02              # share of its voxels that are 0; with more it is cut off
GROUPS, FEWEST = 6, 2000     # of the background by its level, and voxels in each, that tell photons
APART = 4                    # voxels between them, along x, as neighbours share noise
ERROR = 2.1                  # of noise.variance of n values, relative, times root n
MOST_LESS = 0.75             # share of the noise that is taken off for neurites' light, at most
SURE = 4.0                   # errors that the rise must be above 0 ...
SHARED = 3.0                 # ... and what halves of planes share
HALF_PLANE = 100             # voxels of half a plane, at least, of which the mean is known
PLANES = 16                  # such planes, at least; with fewer no stripes are told
CLIPPED = 4.0                # std of differences beyond which they are cut off


def measure(voxels, outside, *, local, glow=None):
    """Measure the background.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; outside: bool, its background.
        local: uint16 [Z, Y, X], smooth level of the background (background.local_level).
        glow: dict of priors.json, of a crowded stack, whose voxels are without it: photons are the
            glow's, and the noise that they leave among the background is taken off; or None.

    Returns:
        dict for priors.json, grey levels and their squares: `steps`, half the variance of
        differences at LAGS voxels along each axis; `near`, the same at each of offsets(); `third`,
        the variance of white noise with their third differences along each axis; `photons`, by
        how much that rises along x with each grey level of the background; `stripes`, see below;
        `seams`, of seams.measure, None with a glow, whose photons differ from plane to plane.
        None where the background has hardly any noise, is cut off at 0, or too small.
    """
    cubes = [(voxels[box].astype(np.float32), outside[box])
             for box in noise.boxes(voxels.shape, SIDE)]
    third = [noise.variance([noise.third(cube, there, axis=axis) for cube, there in cubes],
                            of=noise.THIRD) for axis in range(3)]
    dark = [np.count_nonzero(cube[there] == 0) for cube, there in cubes]
    if (None in third or min(third) < LEAST ** 2
            or sum(dark) > MOST_CUT * sum(np.count_nonzero(there) for _, there in cubes)):
        return None
    steps = [[_difference(cubes, tuple(np.eye(3, dtype=int)[axis] * lag)) for lag in LAGS]
             for axis in range(3)]
    near = [_difference(cubes, offset) for offset in offsets()]
    if glow is None or glow['photons'] is None:
        photons, more = _photons(cubes, local), 0.0
    else:
        photons = glow['photons']
        more = photons * glow['dim']
    return dict(
        quieter({'steps': steps, 'near': near, 'third': third}, more),
        photons=photons, stripes=stripes(voxels, outside),
        seams=None if glow else seams.measure(voxels, outside, local=local, side=SIDE))


def quieter(found, more):
    """A structure without some white noise, at most MOST_LESS of what it has.

    Args: found: dict of `steps`, `near` and `third` at least; more: variance, grey levels squared.

    Returns:
        dict.
    """
    more = min(max(more, 0.0), MOST_LESS * min(found['third']))

    def less(variances):
        return [None if v is None else max(v - more, 0.0) for v in variances]

    return dict(found, steps=[less(row) for row in found['steps']], near=less(found['near']),
                third=less(found['third']))


def offsets():
    """(z, y, x) voxels to the neighbours up to NEAR; of two that are opposite, one; list."""
    every = [tuple(i - NEAR for i in place) for place in np.ndindex(*[2 * NEAR + 1] * 3)]
    return every[len(every) // 2 + 1:]


def _difference(cubes, offset):
    """Half the variance of the differences between voxels at an offset; None: there are none."""
    first = tuple(slice(max(0, -k), min(0, -k) or None) for k in offset)
    second = tuple(slice(max(0, k), min(0, k) or None) for k in offset)
    return noise.variance([(cube[second] - cube[first])[there[first] & there[second]]
                           for cube, there in cubes], of=2.0)


def _photons(cubes, local):
    """Rise of the noise's variance with the level of the background; 0: none, or not known.

    Args:
        cubes: list of (float32 [Z, Y, X], bool [Z, Y, X]), at noise.boxes; local: of the stack.
    """
    third, level = [], []
    for (cube, there), box in zip(cubes, noise.boxes(local.shape, SIDE)):
        cube, there = np.diff(cube, 3, 2), there[:, :, :-3] & there[:, :, 3:]
        few = (slice(None), slice(None), slice(None, None, APART))
        third.append(cube[few][there[few]])
        level.append(local[box][:, :, 1:-2][few][there[few]].astype(np.float32))
    third, level = np.concatenate(third), np.concatenate(level)
    if len(level) < GROUPS * FEWEST:
        return 0.0
    groups = np.array_split(np.argsort(level, kind='stable'), GROUPS)
    light = [float(level[group].mean()) for group in groups]
    if np.ptp(light) < 1:
        return 0.0
    variance = [noise.variance([third[group]], of=noise.THIRD) for group in groups]
    rise = float(np.polyfit(light, variance, 1)[0])
    error = ERROR * np.mean(variance) / np.sqrt(len(level)) / np.std(light)
    return rise if rise > SURE * error else 0.0


# --- stripes ---

def stripes(voxels, outside):
    """Std of the offsets of whole planes across each axis: a camera's rows, light that flickers.

    Third differences of the planes' means know little of what is smooth, and what noise leaves in
    the means is not the same in both halves of a plane: offsets are what the halves share.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; outside: bool, its background.

    Returns:
        list of 3 float (z, y, x), grey levels.
    """
    box = noise.middle(voxels.shape)
    return [_stripes(np.moveaxis(voxels[box], axis, 0), np.moveaxis(outside[box], axis, 0))
            for axis in range(3)]


def _stripes(voxels, outside):
    """As stripes, of the planes across the first axis; 0 where there are too few."""
    half, means = voxels.shape[2] // 2, []
    for one in range(len(voxels) - 1):
        step = voxels[one + 1].astype(np.float32) - voxels[one]
        there = outside[one] & outside[one + 1]
        means.append([_clipped_mean(step[:, part][there[:, part]])
                      for part in (slice(0, half), slice(half, None))])
    if len(means) < PLANES:
        return 0.0
    third = np.diff(np.array(means), 2, axis=0)              # steps of planes: the third ones
    shared = third[:, 0] * third[:, 1] / noise.THIRD
    shared = shared[np.isfinite(shared)]
    if len(shared) < PLANES - 2:
        return 0.0
    mean, error = shared.mean(), shared.std() / np.sqrt(len(shared))
    return float(np.sqrt(mean)) if mean > SHARED * error else 0.0


def _clipped_mean(steps):
    """Mean without what far steps, of neurites, would add; nan of too few."""
    if len(steps) < HALF_PLANE:
        return np.nan
    limit = CLIPPED * max(quantiles.MAD * float(np.median(np.abs(steps))), 1.0)
    return float(np.clip(steps, -limit, limit).mean())
