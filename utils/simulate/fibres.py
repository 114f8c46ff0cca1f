"""Passing fibres: thin neurites that start anywhere in the volume and wander through it.

Lengths are isotropic voxels. This is beyond the paper, whose stacks hold one neuron each.
"""
from typing import NamedTuple

import numpy as np

from utils.data import swc
from utils.simulate.branches import STEP
from utils.simulate.directions import tilt

BEND_LENGTH = 6.0               # voxels over which a bend keeps its direction
SIDE_ANGLE = 35.0, 85.0         # degrees at which a fibre's branches leave it, uniform
SHORTEST = 10.0                 # voxels from a fibre's start to its end, at least
GENERATIONS = 4                 # fibres, their branches, the branches' branches, and once more
FEWEST_NODES = 6                # shorter fibres are dropped


class Habit(NamedTuple):
    """How fibres grow; lengths in voxels."""
    persistence: float           # over which they lose their direction; inf: straight
    branch_spacing: float        # mean, between branchings; inf: none
    half_length: float           # mean, from the start to an end (exponential)


class Start(NamedTuple):
    """Where walks of one generation begin; each array has one row a walk."""
    fibre: np.ndarray            # int [N], the fibre that the walk belongs to
    node: np.ndarray             # int [N], the node of that fibre that it leaves from
    towards: np.ndarray          # float [N, 3], unit vectors


class _Fibre:
    """Nodes of one fibre as it grows; the first is where it starts."""

    def __init__(self, start):
        self.position, self.parent = [start], [-1]

    def extend(self, node, path):
        """Hang a path, float [M, 3], on a node; the row of its first node."""
        first = len(self.position)
        self.position.extend(path)
        self.parent.extend(([node] + list(range(first, first + len(path) - 1)))[:len(path)])
        return first

    def tree(self):
        """The fibre as a swc.Tree of type axon, radius 1 everywhere."""
        n = len(self.position)
        return swc.Tree(np.full(n, swc.AXON), np.array(self.position), np.ones(n),
                        np.array(self.parent))


def fibres(shape, rng, *, total, habit):
    """Grow fibres that wander both ways from a random place until they end or leave the volume.

    Args:
        shape: (z, y, x) voxels; rng: numpy Generator; total: voxels of centreline wanted inside;
        habit: Habit.

    Returns:
        list of swc.Tree (type axon, radius 1, nodes STEP apart), about `total` voxels long in all.
    """
    limits = np.asarray(shape, float) - 1
    grown, length = [], 0.0
    while length < total:
        count = int(np.ceil((total - length) / (2 * habit.half_length)))
        for fibre in _batch(limits, rng, count=count, habit=habit):
            if length >= total:
                break
            length += STEP * max(1, len(fibre.position) - 1)
            if len(fibre.position) >= FEWEST_NODES:
                grown.append(fibre.tree())
    return grown


def _batch(limits, rng, *, count, habit):
    """Grow `count` fibres side by side, generation by generation; list of _Fibre."""
    places = rng.uniform(0, 1, (count, 3)) * limits
    batch = [_Fibre(place) for place in places]
    towards = rng.standard_normal((count, 3))
    towards /= np.sqrt((towards ** 2).sum(1, keepdims=True))
    start = Start(np.tile(np.arange(count), 2), np.zeros(2 * count, int),
                  np.concatenate([towards, -towards]))
    mean = habit.half_length
    for _ in range(GENERATIONS):
        begin = [batch[fibre].position[node] for fibre, node in zip(start.fibre, start.node)]
        begin = np.array(begin).reshape(-1, 3)
        length = np.maximum(SHORTEST, rng.exponential(mean, len(begin)))
        paths = walk(begin, start.towards, length=length, persistence=habit.persistence,
                     limits=limits, rng=rng)
        forks = []
        for fibre, node, path in zip(start.fibre, start.node, paths):
            first = batch[fibre].extend(node, path)
            forks += [(fibre, first + k, side)
                      for k, side in _sides(path, habit.branch_spacing, rng=rng)]
        if not forks:
            break
        start = Start(*[np.array(column) for column in zip(*forks)])
        mean = mean / 2                                  # branches are half as long
    return batch


def _sides(path, spacing, *, rng):
    """Where branches leave a path: list of (row of the path, direction [3])."""
    sides = []
    for k in np.flatnonzero(rng.random(max(len(path) - 1, 0)) < STEP / spacing):
        ahead = (path[k + 1] - path[k]) / STEP
        sides.append((k, tilt(ahead, rng.uniform(*SIDE_ANGLE), azimuth=rng.uniform(0, 360))))
    return sides


def walk(start, towards, *, length, persistence, limits, rng):
    """Smooth random walks side by side: the bending is the noise, correlated over BEND_LENGTH.

    Args:
        start: float [N, 3] voxels; towards: unit vectors [N, 3].
        length: float [N] voxels, at most; persistence: voxels, inf for straight walks.
        limits: [3] voxels; a walk ends where it would leave [0, limits].

    Returns:
        list of N float [M, 3], nodes STEP apart, without the start; M may be 0.
    """
    keep = np.exp(-STEP / BEND_LENGTH)
    # per axis the direction diffuses by 1 / persistence a voxel, as <cos> = exp(-L / P); bends that
    # are correlated add up to (1 + keep) / (1 - keep) times as much as independent ones
    std = np.sqrt(STEP / min(persistence, 1e9) * (1 - keep) / (1 + keep))
    n = len(start)
    steps = (length / STEP).astype(int)
    place, ahead, bend = start.copy(), towards.copy(), std * rng.standard_normal((n, 3))
    going, track = np.ones(n, bool), []
    reached = np.zeros(n, int)
    for i in range(steps.max() if n else 0):
        bend = keep * bend + np.sqrt(1 - keep ** 2) * std * rng.standard_normal((n, 3))
        ahead = ahead + bend
        ahead /= np.sqrt((ahead ** 2).sum(1, keepdims=True))
        place = place + STEP * ahead
        going &= (i < steps) & (place >= 0).all(1) & (place <= limits).all(1)
        if not going.any():
            break
        track.append(place)
        reached[going] = i + 1
    track = np.array(track).reshape(-1, n, 3)
    return [track[:m, i] for i, m in enumerate(reached)]
