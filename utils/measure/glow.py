"""Glow: light of neurites far from where they are, out of focus or scattered.

Among crowded neurites it is most of what lies between them. It follows them: it is the light of the
neurites, spread far, times a share. Lengths are isotropic voxels.
"""
from typing import NamedTuple

import numpy as np
from scipy import ndimage, optimize

from utils.measure import coarse, noise, otsu, quantiles

SPREADS = (8.0, 16.0, 32.0)  # voxels, sigmas of the Gaussians that spread it
BLOCK = 4.0                  # voxels per side of the blocks that it is told and drawn by
HOLDS = 0.85                 # share of the variance of the blocks' medians that it explains, at
                             # least; else neurites and background have little to do with each other
ROUNDS = 2                   # the light of the neurites is told without the glow behind them
MOST = 200000                # blocks that it is fitted to
MOST_STEPS = 1000            # of the fit; light spread far is almost the same everywhere
CLEAR = 3.0                  # standard deviations: brighter places are dim neurites, no background
GROUPS, FEWEST = 6, 200      # of the background by its glow, and voxels in each
WHITE = 0.5                  # of the largest of three axes, that the noise's variance is, at least
LEAST = 0.25                 # of the noise's variance in the dimmest group that is left without it
SLAB = 16                    # planes at a time


class Glow(NamedTuple):
    """Glow of a stack."""
    shares: list             # of the neurites' light, that each of SPREADS spreads
    explained: float         # share of the variance of the background's block medians; at most 1
    level: float             # mean over the stack, grey levels
    grid: np.ndarray         # float32 [z, y, x], grey levels in each block
    edges: list              # three of coarse.ends


def blocks(shape, spacing):
    """Edges of the blocks of a stack; three of coarse.ends.

    Args:
        shape: (z, y, x) voxels; spacing: (z, y, x) isotropic voxels per voxel.
    """
    return [coarse.ends(n, max(1, int(round(BLOCK / step)))) for n, step in zip(shape, spacing)]


def spread(light, edges, *, spacing):
    """The light of each block, spread by each of SPREADS; nothing is lost at the border.

    Args:
        light: float32 [z, y, x], mean light of each block; edges: of blocks(); spacing: as there.

    Returns:
        list of float32 [z, y, x].
    """
    sides = [(edge[1] - edge[0]) * step for edge, step in zip(edges, spacing)]
    return [ndimage.gaussian_filter(light, [sigma / side for side in sides], mode='reflect')
            for sigma in SPREADS]


def measure(voxels, found, *, outside, spacing):
    """How much of the background is light of the neurites.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; found: otsu.Segmentation; outside: bool, its background.
        spacing: (z, y, x) isotropic voxels per voxel.

    Returns:
        Glow; None where no block shows the background.
    """
    edges = blocks(voxels.shape, spacing)
    seen = coarse.medians(voxels, outside, edges=edges)
    known = np.isfinite(seen)
    if not known.any() or np.var(seen[known]) == 0:
        return None
    base, grid = float(np.median(seen[known])), np.zeros_like(seen)
    for _ in range(ROUNDS):
        light = coarse.means(_shining(voxels, found.mask, base=base, grid=grid, edges=edges), edges)
        parts = spread(light, edges, spacing=spacing)
        columns = np.stack([np.ones(known.sum())] + [part[known] for part in parts], 1)
        some = slice(None, None, 1 + len(columns) // MOST)
        fitted = optimize.nnls(columns[some].astype(float), seen[known][some].astype(float),
                               maxiter=MOST_STEPS)[0]
        base = float(fitted[0])
        grid = sum(np.float32(share) * part for share, part in zip(fitted[1:], parts))
    left = np.var(seen[known] - grid[known]) / np.var(seen[known])
    return Glow([float(share) for share in fitted[1:]], float(1 - left), float(grid.mean()), grid,
                edges)


def _shining(voxels, mask, *, base, grid, edges):
    """Light of the neurites above the background and its glow; float32 [Z, Y, X]."""
    light = np.zeros(voxels.shape, np.float32)
    for rows, slab in coarse.between(grid, edges, slab=SLAB):
        np.maximum(voxels[rows] - slab - np.float32(base), 0, out=light[rows])
    light *= mask
    return light


def cleared(voxels, glow):
    """A stack without its glow; dtype of `voxels`, grey levels."""
    dark = np.empty_like(voxels)
    for rows, slab in coarse.between(glow.grid, glow.edges, slab=SLAB):
        dark[rows] = np.clip(np.rint(voxels[rows] - slab), 0, np.iinfo(voxels.dtype).max)
    return dark


def without_dim_neurites(dark, outside):
    """Background of a crowded stack without the neurites that OTSU misses.

    Args:
        dark: of cleared; outside: bool [Z, Y, X], the background.

    Returns:
        bool [Z, Y, X]: where the stack, smoothed by a voxel, is no more than CLEAR standard
        deviations above the median, both of the background that is left.
    """
    smooth = ndimage.gaussian_filter(dark, 1.0, output=np.float32)
    for _ in range(ROUNDS):
        middle, std = quantiles.robust_std(otsu.sampled(smooth)[otsu.sampled(outside)])
        outside = outside & (smooth < middle + CLEAR * std)
    return outside


def dim(glow, outside):
    """The half of the background that has the least glow: it shows itself there.

    Args:
        outside: bool [Z, Y, X], the background.

    Returns:
        bool [Z, Y, X].
    """
    middle = np.median(np.concatenate([
        slab[:, ::2, ::2][outside[rows, ::2, ::2]]
        for rows, slab in coarse.between(glow.grid, glow.edges, slab=SLAB)]))
    found = outside.copy()
    for rows, slab in coarse.between(glow.grid, glow.edges, slab=SLAB):
        found[rows] &= slab <= middle
    return found


def mean_light(glow, where):
    """Mean glow of some voxels, grey levels; where: bool [Z, Y, X]."""
    parts = [slab[where[rows]] for rows, slab in coarse.between(glow.grid, glow.edges, slab=SLAB)]
    return float(sum(part.sum(dtype=float) for part in parts) / max(1, sum(map(len, parts))))


def noises(voxels, glow, *, outside):
    """Noise of the background, and what the glow's light adds to it.

    Of differences between four voxels in a row (the third ones), which smooth neurites hardly
    change, the robust variance in GROUPS of the background by its glow; its rise with the glow.
    Photons are alike along all axes. Where there is more glow, there are more dim neurites, too,
    which add to differences across them: the axis counts along which these rise least, of those
    along which noise is not much weaker than along others, as correlated noise is.

    Args:
        voxels: uint8 or uint16 [Z, Y, X], with the glow; outside: bool, its background.

    Returns:
        (std, photons), grey levels: std of the noise where no glow is; variance for each grey
        level of light, 0: none. (None, None) with too few voxels.
    """
    found = [_noise(voxels, glow, outside=outside, axis=axis) for axis in range(3)]
    known = [pair for pair in found if pair is not None]
    if not known:
        return None, None
    most = max(variance for _, variance in known)
    photons, variance = min(pair for pair in known if pair[1] >= WHITE * most)
    return float(np.sqrt(variance)), photons


def _noise(voxels, glow, *, outside, axis):
    """(rise, variance without glow) of differences along one axis; None with too few voxels."""
    steps, levels = [np.zeros(0)], [np.zeros(0)]
    middle = tuple(slice(1, -2) if a == axis else slice(None) for a in range(3))
    for rows, slab in coarse.between(glow.grid, glow.edges, slab=SLAB):
        there = noise.both_ends(outside[rows], axis=axis)
        third = np.diff(voxels[rows].astype(np.float32), 3, axis)[there]
        step = 1 + len(third) * len(voxels) // (SLAB * MOST)
        steps.append(third[::step])
        levels.append(slab[middle][there][::step])
    steps, levels = np.concatenate(steps), np.concatenate(levels)
    if len(levels) < GROUPS * FEWEST:
        return None
    order = np.array_split(np.argsort(levels, kind='stable'), GROUPS)
    variance = [noise.variance([steps[rows]], of=noise.THIRD) for rows in order]
    light = [levels[rows].mean() for rows in order]
    rise, alone = np.polyfit(light, variance, 1) if np.ptp(light) > 0 else (0.0, variance[0])
    return float(max(rise, 0.0)), float(np.clip(alone, LEAST * variance[0], variance[0]))
