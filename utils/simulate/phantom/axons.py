"""Axons of the phantom: positions and radii in um, (z, y, x), the first voxel's centre at 0."""
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from utils.common.errors import UserError
from utils.simulate.directions import tilt
from utils.simulate.phantom.settings import extent

STEP = 1.0              # um between the nodes of an axon
TRIES = 1000            # axons begun before a volume counts as too small
INWARDS = 60.0          # degrees, largest angle between an entering axon and the face's normal


class Axon(NamedTuple):
    """A tree, its root first."""
    position: np.ndarray        # float [N, 3], um
    radius: np.ndarray          # float [N], um
    parent: np.ndarray          # int [N], row or -1


def entry(size, rng):
    """A point on a face of the volume, larger faces more often, and a direction inwards.

    Args:
        size: float [3], um from the first to the last voxel's centre.

    Returns:
        (position [3] in um, unit vector [3]).
    """
    area = size.prod() / size
    axis = rng.choice(3, p=area / area.sum())
    side = rng.integers(2)
    position = rng.uniform(0, 1, 3) * size
    position[axis] = side * size[axis]
    normal = np.eye(3)[axis] * (1 - 2 * side)
    return position, tilt(normal, rng.uniform(0, INWARDS), azimuth=rng.uniform(0, 360))


def walk(start, direction, *, size, length, bending, bend_length, rng):
    """A smooth random walk: the bending, not the direction, is the noise, correlated on the way.

    Args:
        start: [3] um; direction: unit vector [3]; size: [3] um, the walk ends where it would leave.
        length: um, largest; bending: rad per um, its std; bend_length: um, its correlation.

    Returns:
        float [N, 3], um, STEP apart, without the start; N may be 0.
    """
    keep = np.exp(-STEP / bend_length)
    fresh = np.sqrt(1 - keep ** 2) * bending
    position, bend, points = start, bending * rng.standard_normal(3), []
    for _ in range(int(length / STEP)):
        bend = keep * bend + fresh * rng.standard_normal(3)
        direction = direction + STEP * bend
        direction = direction / np.linalg.norm(direction)
        position = position + STEP * direction
        if (position < 0).any() or (position > size).any():
            break
        points.append(position)
    return np.array(points).reshape(-1, 3)


def along(n, length, *, rng):
    """Smooth Gaussian noise along n nodes: zero mean, unit std, correlated over `length` um.

    Returns:
        float [n].
    """
    pad = int(4 * length / STEP)                     # so that both ends vary as much as the middle
    sigma = length / STEP / 2
    noise = ndimage.gaussian_filter1d(rng.standard_normal(n + 2 * pad), sigma)[pad:pad + n]
    # the filter leaves a variance of 1 / (2 sqrt(pi) sigma)
    return noise * np.sqrt(2 * np.sqrt(np.pi) * sigma)


def boutons(n, spacing, *, swell, sigma, rng):
    """Factor on the radius of n nodes: a bump at each bouton.

    Args:
        spacing: (low, high) um between boutons; swell: (low, high) factor; sigma: um, half-width.

    Returns:
        float [n], in [1, swell[1]].
    """
    place, factor = np.arange(n) * STEP, np.ones(n)
    at = rng.uniform(0, spacing[1])
    while at < n * STEP:
        bump = (rng.uniform(*swell) - 1) * np.exp(-0.5 * ((place - at) / sigma) ** 2)
        factor = np.maximum(factor, 1 + bump)
        at += rng.uniform(*spacing)
    return factor


def radii(n, radius, *, axons, rng):
    """Radius of each node of an unbranched piece, boutons included, never below radius[0].

    Args:
        n: nodes; radius: um, of the piece; axons: settings.Axons.

    Returns:
        float [n], um.
    """
    smooth = radius * np.exp(axons.radius_wobble * along(n, axons.drift_length, rng=rng))
    return np.clip(smooth, *axons.radius) * boutons(
        n, axons.bouton_spacing, swell=axons.bouton_swell, sigma=axons.bouton_sigma, rng=rng)


def grow(stack, axons, *, rng):
    """Grow one axon that enters through a face, wanders until it leaves, and sends off daughters.

    Args:
        stack, axons: settings.Stack and settings.Axons.

    Returns:
        Axon.

    Raises:
        UserError: if the volume is too small for min_length.
    """
    size, bending = extent(stack), rng.uniform(*axons.bending)
    trunk = _trunk(stack, axons, bending=bending, rng=rng)
    n, thickness = len(trunk), rng.uniform(*axons.radius)
    pieces = [Axon(trunk, radii(n, thickness, axons=axons, rng=rng), np.arange(-1, n - 1))]
    total = n
    at = rng.exponential(axons.branch_spacing)
    while at < (n - 2) * STEP:
        node = max(int(at / STEP), 1)
        ahead = (trunk[node + 1] - trunk[node]) / STEP
        angle = rng.uniform(*axons.branch_angle)
        towards = tilt(ahead, angle, azimuth=rng.uniform(0, 360))
        daughter = walk(trunk[node], towards, size=size, length=rng.uniform(*axons.daughter_length),
                        bending=bending, bend_length=axons.bend_length, rng=rng)
        m = len(daughter)
        if m * STEP >= axons.daughter_length[0] / 2:     # a stub at the border is no branch
            radius = radii(m, thickness * axons.daughter_radius, axons=axons, rng=rng)
            pieces.append(Axon(daughter, radius, np.r_[node, total + np.arange(m - 1)]))
            total += m
        at += rng.exponential(axons.branch_spacing)
    return Axon(*[np.concatenate(parts) for parts in zip(*pieces)])


def _trunk(stack, axons, *, bending, rng):
    """Nodes of a path of at least min_length from face to face; float [N, 3], um."""
    size = extent(stack)
    for _ in range(TRIES):
        start, direction = entry(size, rng)
        path = walk(start, direction, size=size, length=3 * size.max(), bending=bending,
                    bend_length=axons.bend_length, rng=rng)
        if len(path) * STEP >= axons.min_length:
            return np.concatenate([start[None], path])
    raise UserError('SHAPE=%s is too small for axons of MIN_LENGTH=%g um: make it larger or them '
                    'shorter' % (stack.shape, axons.min_length))
