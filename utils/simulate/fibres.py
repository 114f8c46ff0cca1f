"""Passing fibres: thin neurites that start anywhere in the volume and wander through it.

Lengths are isotropic voxels. This is beyond the paper, whose stacks hold one neuron each.
"""
from typing import NamedTuple

import numpy as np

from utils.data import swc
from utils.simulate import winding
from utils.simulate.branches import STEP
from utils.simulate.crowds import Crowds
from utils.simulate.directions import tilt
from utils.simulate.headings import Headings

BEND_LENGTH = 6.0               # voxels over which a bend keeps its direction
SIDE_ANGLE = 35.0, 85.0         # degrees at which a fibre's branches leave it, uniform
SHORTEST = 10.0                 # voxels from a fibre's start to its end, at least
GENERATIONS = 4                 # fibres, their branches, the branches' branches, and once more
FEWEST_NODES = 6                # shorter fibres are dropped
BESIDE = 3.0, 14.0              # voxels from a fibre to one that starts beside it, uniform
ASIDE = 15.0                    # degrees between their directions, at most
AROUND = 64                     # voxels around the volume, at most, in which fibres start, too


class Habit(NamedTuple):
    """How fibres grow; lengths in voxels."""
    persistence: float           # over which they lose their direction; inf: straight
    branch_spacing: float        # mean, between branchings; inf: none
    half_length: float           # mean, from the start to an end (exponential)
    wiggle: winding.Wiggle = winding.Wiggle()
    bundled: float = 0.0         # share of their length that starts beside another fibre, along it
    clumps: float = 0.0          # std of the log of how many start at a place (crowds)
    heading: list = None         # which way they run (crowding.heading); None: anyhow
    heading_spread: float = 0.0  # how much that differs from place to place (headings.Headings)


class Start(NamedTuple):
    """Where walks of one generation begin; each array has one row a walk."""
    fibre: np.ndarray            # int [N], the fibre that the walk belongs to
    node: np.ndarray             # int [N], the node of that fibre that it leaves from
    towards: np.ndarray          # float [N, 3], unit vectors


class Box:
    """The box in which fibres grow: more of them at some places, and some ways, if told."""

    def __init__(self, limits, habit, *, rng):
        """limits: [3] voxels, its highest places; habit: Habit; rng: numpy Generator."""
        self.limits = limits
        self.crowds = Crowds(limits, habit.clumps, heading=habit.heading, rng=rng)
        self.headings = Headings(limits, heading=habit.heading, spread=habit.heading_spread,
                                 rng=rng)

    def starts(self, count, *, rng):
        """Places and directions of fibres that run beside no other; float [count, 3] each."""
        places = self.crowds.starts(count, rng=rng)
        towards = rng.standard_normal((count, 3))
        if self.headings.known:                          # unit vectors of these have about that one
            towards = (towards[:, None] @ self.headings.at(places))[:, 0]
        return places, _unit(towards)

    def turned(self, ahead, *, places, persistence):
        """Directions a step later, without bends: turned to where fibres run and where many are.

        Args:
            ahead: float [N, 3], unit vectors; places: float [N, 3]; persistence: voxels.

        Returns:
            float [N, 3], not of length 1.
        """
        towards = self.headings.pulled(ahead, places=places, step=STEP, persistence=persistence)
        if self.crowds.field is None:
            return towards
        slope = self.crowds.slope_at(places)
        return towards + STEP * slope / 2 / self.headings.gathered(ahead, slope, places=places)


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
    """Grow fibres that wander both ways from a random place until they end or leave a box.

    The volume is the middle of the box, a cube but for AROUND. In a flat one, those that run along
    the short axis would be soon outside, and most that are left would run along the others.

    Args:
        shape: (z, y, x) voxels; rng: numpy Generator; total: voxels of centreline wanted inside;
        habit: Habit.

    Returns:
        list of swc.Tree (type axon, radius 1, nodes STEP apart) that pass the volume, about `total`
        voxels long inside it in all.
    """
    inside = np.asarray(shape, float) - 1
    limits = np.minimum(inside.max(), inside + 2 * AROUND)
    corner, outer = (limits - inside) / 2, np.prod((limits + 1) / shape)
    grown, passing, length = [], [], 0.0
    box = Box(limits, habit, rng=rng)
    for wanted in ((1 - habit.bundled) * total, total):  # then those that run beside the first
        beside = bool(grown) and wanted > length
        while length < wanted:
            count = int(np.ceil(outer * (wanted - length) / (2 * habit.half_length)))
            if beside:                                   # others may run beside these in turn
                count = (count + 1) // 2
            starts = (_beside(grown, count, limits=limits, rng=rng) if beside
                      else box.starts(count, rng=rng))
            for fibre in _batch(starts, rng, habit=habit, box=box):
                if length >= wanted:
                    break
                tree = fibre.tree()
                nodes = _count_inside(tree, corner=corner, inside=inside)
                length += STEP * (max(1, nodes - 1) if nodes else 0)
                if len(tree.parent) >= FEWEST_NODES:
                    grown.append(tree)
                    if nodes:
                        passing.append(tree._replace(position=tree.position - corner))
    return passing


def _count_inside(tree, *, corner, inside):
    """Nodes of a tree in a box; corner: its lowest, inside: voxels from there to its highest."""
    place = tree.position - corner
    return int(((place > -0.5) & (place < inside + 0.5)).all(1).sum())       # as when cropped


def _beside(grown, count, *, limits, rng):
    """Places beside some of the nodes of grown fibres, and directions along them.

    Returns:
        (places, towards): float [count, 3] each; unit vectors.
    """
    owner = np.repeat(np.arange(len(grown)), [len(tree.parent) for tree in grown])
    first = np.r_[0, np.cumsum([len(tree.parent) for tree in grown])]
    places, towards = [], []
    for row in rng.integers(0, len(owner), count):
        tree, node = grown[owner[row]], row - first[owner[row]]
        other = tree.parent[node] if node else 1         # a root: its first child
        ahead = _unit((tree.position[node] - tree.position[other])[None])[0]
        aside = tilt(ahead, 90.0, azimuth=rng.uniform(0, 360))
        places.append(tree.position[node] + rng.uniform(*BESIDE) * aside)
        towards.append(tilt(ahead, rng.uniform(0, ASIDE), azimuth=rng.uniform(0, 360)))
    return np.clip(places, 0, limits), np.array(towards)


def _batch(starts, rng, *, habit, box):
    """Grow fibres side by side, generation by generation.

    Args:
        starts: (places, towards), float [N, 3] each; fibres grow both ways from there.
        box: Box.

    Returns:
        list of _Fibre.
    """
    places, towards = starts
    count = len(places)
    batch = [_Fibre(place) for place in places]
    start = Start(np.tile(np.arange(count), 2), np.zeros(2 * count, int),
                  np.concatenate([towards, -towards]))
    mean = habit.half_length
    for _ in range(GENERATIONS):
        begin = [batch[fibre].position[node] for fibre, node in zip(start.fibre, start.node)]
        begin = np.array(begin).reshape(-1, 3)
        length = np.maximum(SHORTEST, rng.exponential(mean, len(begin)))
        paths = walk(begin, start.towards, length=length, habit=habit, box=box, rng=rng)
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


def walk(start, towards, *, length, habit, box, rng):
    """Smooth random walks side by side: the bending is the noise, correlated over BEND_LENGTH.

    Args:
        start: float [N, 3] voxels; towards: unit vectors [N, 3].
        length: float [N] voxels, at most.
        habit: Habit, of which persistence and wiggle count.
        box: Box; a walk ends where it would leave it.

    Returns:
        list of N float [M, 3], nodes STEP apart, without the start; M may be 0.
    """
    n = len(start)
    steps = (length / STEP).astype(int)
    place, ahead = start.copy(), towards.copy()
    going, track = np.ones(n, bool), []
    reached, bends = np.zeros(n, int), _Bends(n, habit, rng=rng)
    for i in range(steps.max() if n else 0):
        bend, aside = bends.step()
        ahead = _unit(bend + box.turned(ahead, places=place, persistence=habit.persistence))
        place = place + STEP * (ahead if aside is None else _unit(ahead + aside))
        going &= (i < steps) & (place >= 0).all(1) & (place <= box.limits).all(1)
        if not going.any():
            break
        track.append(place)
        reached[going] = i + 1
    track = np.array(track).reshape(-1, n, 3)
    return [track[:m, i] for i, m in enumerate(reached)]


def _unit(vectors):
    """Vectors [N, 3] of length 1."""
    return vectors / np.sqrt((vectors ** 2).sum(1, keepdims=True))


class _Bends:
    """What turns `n` walks from step to step."""

    def __init__(self, n, habit, *, rng):
        self.wiggle, self.rng, self.shape = habit.wiggle, rng, (n, 3)
        self.keep, self.fresh = winding.remember(BEND_LENGTH)
        # per axis the direction diffuses by 1 / persistence a voxel, as <cos> = exp(-L / P); bends
        # that are correlated add up to (1 + keep) / (1 - keep) times as much as independent ones
        self.std = np.sqrt(STEP / min(habit.persistence, 1e9)
                           * (1 - self.keep) / (1 + self.keep))
        self.bend = self.std * rng.standard_normal(self.shape)
        self.uneven = self.aside = None
        if self.wiggle.spread:
            self.uneven = rng.standard_normal((n, 1))
        if self.wiggle.degrees:
            self.aside = rng.standard_normal(self.shape)

    def step(self):
        """(bend, aside): float [N, 3] each, change of the direction and deviation from it; aside
        is None without a wiggle.
        """
        self.bend = self.keep * self.bend + self.fresh * self.std * self.normal(3)
        factor, aside = 1.0, None
        if self.uneven is not None:
            slow, renewed = winding.remember(winding.UNEVEN_LENGTH)
            self.uneven = slow * self.uneven + renewed * self.normal(1)
            factor = winding.factor(self.uneven, self.wiggle.spread)
        if self.aside is not None:
            keep, fresh = winding.remember(self.wiggle.length)
            self.aside = keep * self.aside + fresh * self.normal(3)
            aside = np.radians(self.wiggle.degrees) * factor * self.aside
        return factor * self.bend, aside

    def normal(self, columns):
        """Standard normal values [N, columns]."""
        return self.rng.standard_normal((self.shape[0], columns))
