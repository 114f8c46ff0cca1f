"""Backgrounds of the drafts: white noise (paper), smooth fields, measured textures.

A background is one pass over the stack, some slices at a time, so that they stay in the processor's
cache: generators of (slice of z, float32 [z, Y, X] grey levels).
"""
from typing import NamedTuple

import numpy as np
from scipy import ndimage, special

SLAB = 8                                # slices of a pass
TABLE_SIZE, TABLE_WIDTH = 4096, 8.0     # entries of a texture's table, sigmas that they span
SLOPE_SIGMA = 0.3                       # sigmas of a table over which its slope is taken
EVEN = 0.4, 2.5                         # smallest and largest factor that evens noise
SHARPEST = 0.6                          # voxels, smallest sigma of a smooth field


class Texture(NamedTuple):
    """A background of measured grey levels and correlation (made by textures.fit)."""
    components: list            # [(sigma (z, y, x) voxels, share of the variance)], smooth fields
    fine: tuple                 # (z, y, x), weight of the next voxel in the noise that is the rest
    table: np.ndarray           # float32 [TABLE_SIZE], grey level of a normal value from -4 to 4
    even: np.ndarray            # float32 [TABLE_SIZE], factor on the noise there, see steady


def slabs(depth):
    """Yield the slices of z, SLAB at a time."""
    for z in range(0, depth, SLAB):
        yield slice(z, min(z + SLAB, depth))


def white(shape, mean, *, std, rng):
    """The paper's background: Gaussian, every voxel on its own; yields as above."""
    for rows in slabs(shape[0]):
        noise = rng.standard_normal((rows.stop - rows.start,) + tuple(shape[1:]), dtype=np.float32)
        noise *= np.float32(std)
        noise += np.float32(mean)
        yield rows, noise


# --- smooth fields ---

def spline_basis(n, sigma, *, rng):
    """Cubic B-splines whose random sum is a smooth Gaussian field of unit variance along an axis.

    Args:
        n: voxels; sigma: voxels, standard deviation of a spline.

    Returns:
        float32 [n, splines]; rows have unit norm. The knots' phase is random.
    """
    # a cubic B-spline of unit knots has a variance of 1 / 3
    knot = np.sqrt(3.0) * max(sigma, SHARPEST)
    place = (np.arange(n) + knot * rng.random()) / knot
    distance = np.abs(place[:, None] - np.arange(-1, int(place[-1]) + 3))
    near = 2 / 3 - distance ** 2 + distance ** 3 / 2
    basis = np.where(distance < 1, near, np.clip(2 - distance, 0, None) ** 3 / 6)
    return (basis / np.sqrt((basis ** 2).sum(1, keepdims=True))).astype(np.float32)


def smooth_field(shape, components, *, rng, mean=None):
    """Gaussian random field of zero mean, a sum of independent smooth ones; yields as above.

    Args:
        components: [(sigma (z, y, x) in voxels, share)]; the field's variance is the sum of shares.
        mean: None: of this draw chance decides how far its mean over the volume is from 0; or that,
            in standard deviations of such means. The field is one of those that have this mean.
    """
    bases, weights = [], []
    for sigma, share in components:
        basis = [spline_basis(n, s, rng=rng) for n, s in zip(shape, sigma)]
        coarse = rng.standard_normal([b.shape[1] for b in basis], dtype=np.float32)
        coarse *= np.float32(np.sqrt(share))
        bases.append(basis)
        weights.append(coarse)
    if mean is not None:
        _condition(weights, bases, shares=[share for _, share in components], mean=mean)
    planes = [np.matmul(y, np.matmul(coarse, x.T)).reshape(len(coarse), -1)
              for coarse, (_, y, x) in zip(weights, bases)]
    column, plane = np.concatenate([z for z, _, _ in bases], 1), np.concatenate(planes)
    for rows in slabs(shape[0]):
        near = np.flatnonzero(column[rows].any(0))       # few splines reach into a slab
        yield rows, (column[rows][:, near] @ plane[near]).reshape((-1,) + tuple(shape[1:]))


def _condition(weights, bases, *, shares, mean):
    """Give a field a mean over the volume: what is most likely of its weights then, and chance.

    Args:
        weights: list of float32 [splines of z, y, x], normal, of variance `shares`; changed.
        bases: list of (z, y, x) of spline_basis; mean: as of smooth_field.
    """
    part = [np.einsum('i,j,k->ijk', *[b.mean(0, dtype=float) for b in basis]) for basis in bases]
    variance = sum(share * np.square(p).sum() for share, p in zip(shares, part))
    found = sum((p * w).sum() for p, w in zip(part, weights))
    for weight, share, p in zip(weights, shares, part):
        weight += (share * (mean / np.sqrt(variance) - found / variance) * p).astype(np.float32)


# --- measured textures ---

def textured(shape, texture, *, rng):
    """A background of a measured distribution and correlation; yields as above.

    A Gaussian field of the texture's correlation is sent through its table of grey levels. It holds
    autofluorescence, uneven light and camera noise in one.
    """
    fields = smooth_field(shape, texture.components, rng=rng) if texture.components else None
    noise = _fine_noise(shape, texture, rng=rng)
    for rows in slabs(shape[0]):
        field = next(noise)
        if fields is not None:
            smooth = next(fields)[1]
            field *= np.take(texture.even, places(smooth), mode='clip')
            field += smooth
        yield rows, np.take(texture.table, places(field), mode='clip')


def places(field):
    """Where normal values stand in a table; int32, beyond its ends for the largest."""
    return (field * np.float32(TABLE_SIZE / TABLE_WIDTH) + np.float32(TABLE_SIZE / 2)).astype(
        np.int32)


def _fine_noise(shape, texture, *, rng):
    """Yield, slab by slab, noise correlated between neighbours that has the rest of the variance.

    Each voxel is w_z (both neighbours in z) + ... + itself, of white noise; float32 [z, Y, X].
    """
    z, y, x = texture.fine
    rest = max(1 - sum(share for _, share in texture.components), 0)
    gain = np.float32(np.sqrt(rest / np.prod([1 + 2 * w * w for w in texture.fine])))
    last = None                                          # two slices that the next slab needs, too
    for rows in slabs(shape[0]):
        depth = rows.stop - rows.start + (2 if last is None else 0)
        fresh = rng.standard_normal((depth,) + tuple(shape[1:]), dtype=np.float32)
        for axis, weight in ((1, y), (2, x)):
            fresh = _with_neighbours(fresh, axis, weight=weight)
        noise = fresh if last is None else np.concatenate([last, fresh])
        last = noise[-2:].copy()
        middle = noise[1:-1]                             # slice 0 is the one above the slab's first
        field = middle + np.float32(z) * (noise[:-2] + noise[2:]) if z else middle.copy()
        field *= gain
        yield field


def _with_neighbours(noise, axis, *, weight):
    """noise + weight * (both neighbours along an axis); the stack goes on at its other end."""
    if not weight:
        return noise
    sides = np.roll(noise, 1, axis)
    sides += np.roll(noise, -1, axis)
    sides *= np.float32(weight)
    sides += noise
    return sides


def grey_table(probabilities, levels):
    """Table of a Texture from quantiles of the background's grey levels.

    Args:
        probabilities: float [N], increasing; levels: float [N], grey levels at them.

    Returns:
        float32 [TABLE_SIZE], from a standard normal value to a grey level.
    """
    value = (np.arange(TABLE_SIZE) + 0.5 - TABLE_SIZE / 2) * TABLE_WIDTH / TABLE_SIZE
    return np.interp(special.ndtr(value), probabilities, levels).astype(np.float32)


def steady(table):
    """Factors on normal noise, by which it has the same grey levels wherever it is.

    A table of a skewed background is steeper where it is bright: noise would be stronger there.

    Args:
        table: of grey_table.

    Returns:
        float32 [TABLE_SIZE], within EVEN; ones where nearly all is one grey level, as cut off at 0.
    """
    step = TABLE_SIZE / TABLE_WIDTH
    slope = ndimage.gaussian_filter1d(np.gradient(table.astype(float)), SLOPE_SIGMA * step)
    middle = slope[TABLE_SIZE // 2]
    if middle <= 1e-9:
        return np.ones(TABLE_SIZE, np.float32)
    return np.clip(middle / np.maximum(slope, 1e-9), *EVEN).astype(np.float32)
