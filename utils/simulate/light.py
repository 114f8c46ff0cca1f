"""Fluorescence of a draft: brightness of neurites, stain, debris (docs/method.md, step 1).

Light is in grey levels; a neurite's is that above the background.
"""
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from utils.data import swc
from utils.simulate import branches, raster, settings

DEBRIS_TRIES = 10               # places tried for a ball that would touch the neuron
THINNEST = 0.56                 # voxels, radius of a cylinder of one voxel's cross-section
END_LENGTH = 4.0                # voxels over which the brightness of an end falls to its neurite's
BORDER = 3.0                    # voxels from the stack's border within which an end is cut off
DIMMEST = 0.1                   # share of its brightness that blur leaves of any neurite, at least


def thickness_scores(radii):
    """How thick neurites are among those of their draft.

    Args:
        radii: list of float [N], of the nodes of each neurite.

    Returns:
        list of float, standard normal scores of the ranks of their means; all None where they do
        not differ.
    """
    means = np.array([np.mean(radius) for radius in radii])
    if len(means) < 2 or np.ptp(means) < 1e-6 * means.max():
        return [None] * len(means)
    return special.ndtri((stats.rankdata(means) - 0.5) / len(means)).tolist()


def brightness(tree, level, *, light, blur, prior, rng, thick=None):
    """Grey level of each node of one neurite above the background, where it is stained.

    A measured level is that of a centreline as it looks. So that a neurite looks as bright, thin
    ones, which blur dims more, are made brighter, and unstained voxels are made up for.

    Args:
        tree: swc.Tree, radii in isotropic voxels; level: the paper's foreground grey level.
        light: settings.Light; blur: of optics.blurs; prior: priors.Priors.
        thick: of thickness_scores, which its measured level follows by light.level_width.

    Returns:
        float [N].
    """
    if light.level == 'auto':
        if settings.has_unseen(light) and rng.random() < prior.unseen.share:
            level = prior.draw_unseen(rng)
        elif light.level_spread != 'auto':
            level = prior.median_level()
        else:
            share = 0.0 if thick is None else light.level_width
            level = prior.draw_level(rng, like=share * (thick or 0.0), free=np.sqrt(1 - share ** 2))
        level = level / light.stained_share / left_by_blur(tree.radius, blur)
    elif light.level is not None:
        level = rng.uniform(*light.level)
    if light.level_spread not in ('auto', 0):
        level = level * np.exp(light.level_spread * rng.standard_normal())
    if light.level_drift:
        drift = branches.along(tree.parent, light.drift_length, rng=rng)
        level = level * np.exp(light.level_drift * drift)
    return level + np.zeros(len(tree.parent))


def of_ends(tree, shape, *, level):
    """Factors on the brightness of a neurite's nodes: its free ends are brighter, or dimmer.

    Args:
        tree: swc.Tree in voxels of the stack, nodes about branches.STEP apart; shape: (z, y, x)
        voxels of the stack; level: brightness of an end over its neurite's.

    Returns:
        float [N]: 1 + (level - 1) exp(-d / END_LENGTH) at d voxels before the nearest free end.
    """
    inside = ((tree.position >= BORDER) & (tree.position < np.asarray(shape) - BORDER)).all(1)
    free = inside & (tree.type != swc.SOMA)
    free[tree.parent[tree.parent >= 0]] = False
    away = np.where(free, 0.0, np.inf)
    for row in range(len(away) - 1, 0, -1):              # children stand behind their parents
        p = tree.parent[row]
        if p >= 0:
            away[p] = min(away[p], away[row] + branches.STEP)
    return 1 + (level - 1) * np.exp(-away / END_LENGTH)


def left_by_blur(radius, blur):
    """Share of its brightness that a long cylinder keeps on its axis; float in [0.1, 1].

    The integral of the Gaussians across it: of each 1 - exp(-radius^2 / (2 sigma^2)). A voxel is
    the thinnest cylinder drawn.

    Args:
        radius: float [N] or float, voxels; blur: list of (share, sigma in voxels), of optics.blurs.
    """
    square = np.maximum(radius, THINNEST) ** 2 / 2
    left = sum(share * (1 - np.exp(-square / max(sigma, 0.1) ** 2)) for share, sigma in blur)
    return np.clip(left, DIMMEST, 1)


def on_voxels(shape, found, *, shine, parent):
    """Grey levels of the voxels of neurites; where these overlap one shows, with an edge the
    brightest.

    Args:
        found: raster.Found; parent: int [N].
        shine: float [N], grey level of each node; it changes linearly along an edge of the tree.

    Returns:
        float32 [Z, Y, X].
    """
    light = np.zeros(shape, np.float32)
    base = np.where(parent >= 0, parent, np.arange(len(parent)))[found.row]
    level = (shine[base] + found.t * (shine[found.row] - shine[base])).astype(np.float32)
    index = found.index
    if found.cover is not None:
        level *= found.cover
        order = np.argsort(level, kind='stable')
        index, level = index[order], level[order]
    light.ravel()[index] = level
    return light


def stain(level, share, *, rng):
    """Punctate staining with photon noise: each voxel of neurites shines with probability `share`.

    Args:
        level: float [M], grey level of each such voxel.

    Returns:
        float32 [M]: Poisson counts of mean `level` where the stain took, else 0.
    """
    lit = rng.random(len(level)) < share
    light = np.zeros(len(level), np.float32)
    light[lit] = rng.poisson(level[lit])
    return light


class Specks(NamedTuple):
    """Debris to be placed; each float [N]."""
    radius: np.ndarray          # isotropic voxels, of the ball
    level: np.ndarray           # grey level of its middle
    sigma: np.ndarray           # isotropic voxels, of a Gaussian that it falls off by; inf: even


class Balls(NamedTuple):
    """Voxels of debris, ball after ball."""
    index: np.ndarray           # int [M], into the flattened stack
    ball: np.ndarray            # int [M], number of the ball, in order
    level: np.ndarray           # float [M], grey levels


def debris(shape, mask, *, specks, spacing, rng):
    """Place bright balls outside the neuron; one that would touch it is put somewhere else.

    Args:
        mask: bool [Z, Y, X], the neuron; specks: Specks; spacing: (z, y, x) isotropic voxels per
        voxel.

    Returns:
        Balls. One that finds no place in ten tries or falls between voxels has no voxel.
    """
    waiting = np.arange(len(specks.radius))
    found = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    for _ in range(DEBRIS_TRIES):
        if len(waiting) == 0:
            break
        n = len(waiting)
        centres = rng.uniform(0, 1, (n, 3)) * np.asarray(shape)
        balls = raster.voxels(shape, centres, radius=specks.radius[waiting],
                              parent=np.full(n, -1), spacing=spacing)
        index, row = balls.index, balls.row
        touching = np.zeros(n, bool)
        touching[row[mask.ravel()[index]]] = True
        good = ~touching[row]
        index, row = index[good], row[good]
        away = np.stack(np.unravel_index(index, shape), 1) - centres[row]
        square = ((away * np.asarray(spacing)) ** 2).sum(1)
        found.append((index, waiting[row], square))
        waiting = waiting[touching]
    index, ball, square = [np.concatenate(parts) for parts in zip(*found)]
    order = np.argsort(ball, kind='stable')
    index, ball, square = index[order], ball[order], square[order]
    fall = np.exp(-square / (2 * specks.sigma[ball] ** 2))
    return Balls(index, ball, specks.level[ball] * fall)
