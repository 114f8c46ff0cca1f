"""Backgrounds drawn as they were measured: a smooth level, structure, noise, stripes.

What stains unevenly is so everywhere: structure grows as the level does, and so does the variance
of the noise, which is the photons'. Measured by utils/measure/structure.py.
"""
from typing import NamedTuple

import numpy as np
from scipy import optimize, signal, special

from utils.measure import structure
from utils.measure.quantiles import BACKGROUND
from utils.simulate import background, textures

SHARPEST_LEVEL = 12.0        # voxels: smooth fields with a larger sigma are the level
FAR = (64.0, 96.0, 128.0)    # voxels, sigmas of the level besides textures.SIGMAS: beyond the lags
DARK = 0.005, 0.02           # shares of the background between which its dark end is told
STEADY = 0.05                # least std of the level over the background's
NARROW = 1.5                 # voxels: fields with a sigma up to it are part of the grain, which ...
REACH = 6                    # ... is drawn by a kernel of so many voxels to each side
WEIGHTS = {0: 2.0, -1: 6.0}  # of the differences of neighbours, and of third ones, in the fit ...
WHOLE = 6.0                  # ... and of the whole variance
LEAST = 1e-3                 # of the largest variance of differences that any counts as, at least
MOST_STRIPES = 0.8           # of the variance of differences that stripes may be
GROWTH = 0.2, 5.0            # smallest and largest factor on structure and on noise's variance
DEEP = 2 * background.SLAB   # slices that grain is drawn for at a time ...
ROWS = 128                   # ... and rows of them, that a convolution takes no more memory


class Structured(NamedTuple):
    """A background (made by fit). Variances are grey levels squared, where the level is `median`.
    """
    level: list              # [(sigma (z, y, x) voxels, share)], smooth fields of its level
    table: np.ndarray        # float32, background.grey_table of the level
    fields: list             # [(sigma, variance)], smooth fields of the structure
    grain: np.ndarray        # float32 [k, k, k], by which white noise becomes the finest structure
    noise: np.ndarray        # float32 [k, k, k], the same of the noise
    median: float            # grey level
    lowest: float            # grey level, of what there is besides noise
    growth: float            # of structure and of noise's variance, with each grey level
    photons: float           # by how much noise's variance rises with each, which makes it skewed
    stripes: list            # (z, y, x) std of the planes' offsets, grey levels
    seams: tuple = (None,) * 3   # (z, y, x) factors on the noise's std, of seams.measure


# --- fit ---

def fit(behind):
    """Make a background of what was measured.

    Differences along the axes are those of smooth fields and of white noise (non-negative least
    squares); those of neighbours in all directions correct the finest of it. The level has what is
    left of the background's variance, with the shape of its distribution.

    Args:
        behind: priors.Behind with a structure.

    Returns:
        Structured.
    """
    found = behind.structure
    found = _possible(structure.quieter(found, (1 - behind.noise_left) * np.mean(found['third'])))
    whole = behind.robust_std ** 2 - sum(np.square(found['stripes']))
    whole = max(whole, (STEADY * behind.robust_std) ** 2)
    white, parts = _parts(found, whole=whole)
    level = [(sigma, v) for sigma, v in parts if sigma[1] > SHARPEST_LEVEL]
    inside = [(sigma, v) for sigma, v in parts if sigma[1] <= SHARPEST_LEVEL]
    rest = max(whole - white - sum(v for _, v in inside), (STEADY * behind.robust_std) ** 2)
    known = sum(v for _, v in level)
    level = [(sigma, v / known) for sigma, v in level] if known else [((FAR[-1],) * 3, 1.0)]
    quantiles = np.asarray(behind.quantiles, float) - behind.median
    quantiles = without_holes(quantiles * np.sqrt(rest) / behind.robust_std)
    grain, noise = _kernels(found, white, parts=parts)
    return Structured(level, background.grey_table(BACKGROUND, behind.median + quantiles),
                      [(sigma, v) for sigma, v in inside if max(sigma) > NARROW], grain, noise,
                      behind.median, behind.quantiles[0], found['photons'] / found['third'][2],
                      found['photons'], found['stripes'], tuple(found.get('seams') or (None,) * 3))


def without_holes(quantiles):
    """Quantiles (at BACKGROUND) whose dark end goes on as what is next to it.

    The few darkest voxels are vessels and bubbles. A smooth level that fell to them somewhere would
    have a black place with a sharp border there.
    """
    score, (first, last) = special.ndtri(BACKGROUND), np.searchsorted(BACKGROUND, DARK)
    slope = (quantiles[last] - quantiles[first]) / (score[last] - score[first])
    line = quantiles[first] + slope * (score - score[first])
    return np.where(BACKGROUND < DARK[0], np.maximum(quantiles, line), quantiles)


def _possible(found):
    """A structure whose stripes are less than the differences that hold them."""
    steps = [min([v for v in row if v is not None] + [third])
             for row, third in zip(found['steps'], found['third'])]
    stripes = [min(std, np.sqrt(MOST_STRIPES * step)) for std, step in zip(found['stripes'], steps)]
    return dict(found, stripes=stripes)


def _parts(found, *, whole):
    """What differences along the axes tell.

    Args:
        found: of structure.measure; whole: variance of the background.

    Returns:
        (white, [(sigma, variance)]): variance of white noise, and of smooth fields.
    """
    stripes = np.square(found['stripes'])[:, None]
    steps = np.array([[np.nan if v is None else v for v in row] for row in found['steps']])
    third = np.array(found['third'])[:, None]
    seen = np.concatenate([steps, third], 1) - stripes                       # [3, lags + 1]
    seen = np.maximum(seen, LEAST * np.nanmax(seen))
    rng = np.random.default_rng(0)                       # phases of the knots, which hardly matter
    columns = [np.ones(seen.shape)]
    sigmas = textures.SIGMAS + [(sigma,) * 3 for sigma in FAR]
    for sigma in sigmas:
        rho = np.array([textures.field_correlation(s, rng=rng) for s in sigma])
        cubic = 1 - (15 * rho[:, 0] - 6 * rho[:, 1] + rho[:, 2]) / 10
        columns.append(np.concatenate([1 - rho, cubic[:, None]], 1))
    weight = 1 / seen
    for column, factor in WEIGHTS.items():
        weight[:, column] *= factor
    known = np.isfinite(seen)
    matrix = np.stack([column[known] for column in columns], 1) * weight[known][:, None]
    matrix = np.concatenate([matrix, np.full((1, len(columns)), WHOLE / whole)])
    variances = optimize.nnls(matrix, np.append(seen[known] * weight[known], WHOLE))[0]
    return float(variances[0]), [(sigma, float(v)) for sigma, v in zip(sigmas, variances[1:])
                                 if v > 0]


def _kernels(found, white, *, parts):
    """What white noise is convolved with, to be the finest structure, and to be the noise.

    Their spectra add up to that of white noise, narrow fields and what differences of neighbours
    say beside both and the wide fields; the noise's is no more than white noise's anywhere.

    Returns:
        (grain, noise): float32 [k, k, k] each.
    """
    rng = np.random.default_rng(0)
    place = np.abs(np.arange(-REACH, REACH + 1))
    own, every = [np.zeros([2 * REACH + 1] * 3) for _ in range(2)]      # covariances
    for sigma, variance in parts:
        rho = [np.array(textures.field_correlation(s, rng=rng, lags=range(REACH + 1)))[place]
               for s in sigma]
        covariance = variance * np.einsum('i,j,k->ijk', *rho)
        every += covariance
        own += covariance if max(sigma) <= NARROW else 0
    total = white + every[REACH, REACH, REACH]
    own[REACH, REACH, REACH] += white
    for offset, seen in zip(structure.offsets(), found['near']):
        if seen is None:
            continue
        seen = max(seen - sum(s * s for s, step in zip(found['stripes'], offset) if step), 0.0)
        here, there = [tuple(REACH + side * np.array(offset)) for side in (1, -1)]
        more = (total - seen) - every[here]
        own[here] += more
        own[there] += more
    spectrum = np.maximum(np.fft.fftn(np.fft.ifftshift(own)).real, 0)
    noise = np.minimum(spectrum, white)
    return [np.fft.fftshift(np.fft.ifftn(np.sqrt(part)).real).astype(np.float32)
            for part in (spectrum - noise, noise)]


# --- draw ---

def draw(shape, how, *, rng, turn=None):
    """A background; yields (slice of z, float32 [z, Y, X]), as those of background.py do.

    Args:
        shape: (z, y, x) voxels; how: Structured.
        turn: share of such volumes, 0 to 1, whose mean level is lower; None: chance decides.
    """
    rngs = [np.random.default_rng(rng.integers(2 ** 63)) for _ in range(5)]  # drawn in turns
    level = background.smooth_field(shape, how.level, rng=rngs[0],
                                    mean=None if turn is None else special.ndtri(turn))
    fields = background.smooth_field(shape, how.fields, rng=rngs[1]) if how.fields else None
    grain, noise = [_convolved(shape, kernel, rng=one)
                    for kernel, one in ((how.grain, rngs[2]), (how.noise, rngs[3]))]
    offsets = [rngs[4].normal(0, std, n).astype(np.float32) for std, n in zip(how.stripes, shape)]
    seams = [_window(along, n, rng=rngs[4]) for along, n in zip(how.seams, shape)]
    for rows, field in level:
        slab = np.take(how.table, background.places(field), mode='clip')
        detail = next(grain)
        if fields is not None:
            detail += next(fields)[1]
        detail *= _growth(slab, how)
        slab += detail
        np.maximum(slab, np.float32(how.lowest), out=slab)
        slab += _seamed(_shot(next(noise), slab, how=how), rows, seams=seams)
        slab += offsets[0][rows, None, None] + offsets[1][:, None] + offsets[2]
        yield rows, slab


def _growth(slab, how):
    """Factor on structure and on the noise's variance; float32, shape of `slab`, grey levels."""
    factor = (slab - np.float32(how.median)) * np.float32(how.growth)
    factor += 1
    return np.clip(factor, *np.float32(GROWTH), out=factor)


def _shot(noise, slab, *, how):
    """Noise of a level `slab`, skewed as counts of photons are; uses up `noise`, float32."""
    variance = float(np.square(how.noise, dtype=float).sum())
    if variance > 0:
        skew = min(how.photons, np.sqrt(variance)) / variance
        noise += np.float32(skew / 6) * (noise * noise - np.float32(variance))
        noise *= np.sqrt(_growth(slab, how))
    return noise


def _window(along, n, *, rng):
    """`n` planes' factors, cut anywhere out of measured ones; these are mirrored if they are fewer.

    Args:
        along: list of float, or None: even noise.

    Returns:
        float32 [n], or None.
    """
    if along is None:
        return None
    more = max(0, n - len(along))
    before = rng.integers(more + 1)
    wide = np.pad(np.float32(along), (before, more - before), mode='reflect')
    first = rng.integers(len(wide) - n + 1)
    return wide[first:first + n]


def _seamed(noise, rows, *, seams):
    """Noise times the factors of its planes; uses up `noise`, float32 [z, Y, X], its slices `rows`.

    Args: seams: 3 of _window.
    """
    for axis, factors in enumerate(seams):
        if factors is not None:
            noise *= (factors if axis else factors[rows]).reshape(np.roll((-1, 1, 1), axis))
    return noise


def _convolved(shape, kernel, *, rng):
    """White noise of unit variance, convolved; yields float32 [z, Y, X], by slabs."""
    margin = len(kernel) - 1
    wide = [n + margin for n in shape[1:]]
    noise = rng.standard_normal([margin] + wide, dtype=np.float32)
    for first in range(0, shape[0], DEEP):
        depth = min(DEEP, shape[0] - first)
        fresh = rng.standard_normal([depth] + wide, dtype=np.float32)
        noise = np.concatenate([noise[-margin:], fresh])
        del fresh
        found = np.empty([depth] + list(shape[1:]), np.float32)
        for y in range(0, shape[1], ROWS):
            part = noise[:, y:y + ROWS + margin]
            found[:, y:y + ROWS] = signal.oaconvolve(part, kernel, mode='valid')
        for z in range(0, depth, background.SLAB):
            yield found[z:z + background.SLAB]
