"""The paper's two models of a neuron (docs/method.md, step 1): a dendritic tree, an axon.

Coordinates are isotropic voxels (z, y, x) of a volume; its long axis is y.
"""
import numpy as np

from utils.common.errors import UserError
from utils.data import swc
from utils.simulate.directions import fork_azimuths, tilt

# numbers of children and their probabilities: of the basal stem's end, of any other node
FIRST_BASAL = (2, 3, 4), (0.35, 0.5, 0.15)
ELSEWHERE = (1, 2, 3, 4), (0.35, 0.5, 0.1, 0.05)
TRUNK = 3                                # unbranched apical segments
SHRINK = 0.9                             # of a branch's length and radius per level of depth
LENGTH_SPREAD = 0.8, 1.2                 # length of a branch over the base length, uniform
DENDRITE_TURN, AXON_TURN = 15.0, 30.0    # degrees, largest turn of a child without siblings
FORK = 20.0, 45.0                        # degrees between a sibling and its parent, uniform
LONG_AXIS = np.array([0.0, 1.0, 0.0])    # y


class _Tree:
    """Nodes as they grow; a node that would leave the volume is refused."""

    def __init__(self, shape):
        self.shape = np.asarray(shape, float)
        self.rows = []                           # (type, position, radius, parent)

    def add(self, kind, position, *, radius, parent):
        """Add a node; its row, or None if its ball would leave the volume."""
        position = np.asarray(position, float)
        if ((position - radius < 0) | (position + radius > self.shape - 1)).any():
            return None
        self.rows.append((kind, position, radius, parent))
        return len(self.rows) - 1

    def position(self, row):
        """Position [3] of a node, voxels."""
        return self.rows[row][1]

    def finish(self):
        """The nodes as a swc.Tree."""
        kind, position, radius, parent = zip(*self.rows)
        return swc.Tree(np.array(kind), np.array(position), np.array(radius), np.array(parent))


def child_directions(direction, n, *, rng):
    """Directions of n children of a dendrite's node.

    A single child stays within DENDRITE_TURN of its parent's direction; siblings leave it by FORK
    degrees, spread in azimuth.

    Returns:
        list of n unit vectors [3].
    """
    if n == 1:
        return [tilt(direction, rng.uniform(0, DENDRITE_TURN), azimuth=rng.uniform(0, 360))]
    return [tilt(direction, rng.uniform(*FORK), azimuth=azimuth)
            for azimuth in fork_azimuths(n, rng)]


def _length(base_length, level, *, rng):
    """Length of a branch at a depth: U(0.8, 1.2) x base x 0.9^depth; voxels."""
    return rng.uniform(*LENGTH_SPREAD) * base_length * SHRINK ** level


def dendrite(shape, rng, *, draw_radius, depth, base_length, soma_radius=(6.0, 10.0)):
    """Grow a soma with a basal and an apical dendrite (docs/method.md, dendrite model).

    Args:
        shape: (z, y, x) isotropic voxels of the volume; rng: numpy Generator.
        draw_radius: function (rng, depth) -> radius of a neurite, voxels.
        depth: levels of the tree; the stems' ends are the first.
        base_length: voxels of a branch at depth 0.
        soma_radius: (low, high) voxels, uniform.

    Returns:
        swc.Tree; its root is the soma, at the volume's centre.

    Raises:
        UserError: if the soma does not fit into the volume.
    """
    tree = _Tree(shape)
    soma = rng.uniform(*soma_radius)
    centre = (np.asarray(shape, float) - 1) / 2
    root = tree.add(swc.SOMA, centre, radius=soma, parent=-1)
    if root is None:
        raise UserError('a soma of radius %.1f does not fit into a volume of %s: take a larger one'
                        % (soma, tuple(shape)))

    def grow(parent, direction, *, level, numbers):
        """Give a node, the end of a branch of `direction`, its children at depth `level`."""
        if level > depth:
            return
        kind = tree.rows[parent][0]
        n = numbers if isinstance(numbers, int) else int(rng.choice(numbers[0], p=numbers[1]))
        for towards in child_directions(direction, n, rng=rng):
            end = tree.position(parent) + _length(base_length, level, rng=rng) * towards
            node = tree.add(kind, end, radius=draw_radius(rng, level), parent=parent)
            if node is not None:
                trunk = kind == swc.APICAL and level < 1 + TRUNK
                grow(node, towards, level=level + 1, numbers=1 if trunk else ELSEWHERE)

    long_axis = LONG_AXIS * rng.choice([-1, 1])
    for kind, sign, numbers in ((swc.BASAL, -1, FIRST_BASAL), (swc.APICAL, 1, 1)):
        towards = tilt(sign * long_axis, rng.uniform(0, DENDRITE_TURN), azimuth=rng.uniform(0, 360))
        stem = tree.add(kind, centre + 2 * soma * towards, radius=soma / 2, parent=root)
        if stem is not None:
            grow(stem, towards, level=2, numbers=numbers)
    return tree.finish()


def axon(shape, rng, *, draw_radius, depth, base_length):
    """Grow an unbranched axon both ways from the volume's centre (docs/method.md, axon model).

    Args:
        shape, rng, draw_radius, base_length: as for dendrite; depth: segments each way.

    Returns:
        swc.Tree of type axon; its root is in the middle.

    Raises:
        UserError: if the root does not fit into the volume.
    """
    tree = _Tree(shape)
    centre = (np.asarray(shape, float) - 1) / 2
    radius = draw_radius(rng, 0)
    root = tree.add(swc.AXON, centre, radius=radius, parent=-1)
    if root is None:
        raise UserError('an axon of radius %.1f does not fit into a volume of %s: take a larger one'
                        % (radius, tuple(shape)))
    polar = np.degrees(np.arccos(rng.uniform(-1, 1)))    # all directions are equally likely
    first = tilt(LONG_AXIS, polar, azimuth=rng.uniform(0, 360))
    for direction in (first, -first):
        node = root
        for level in range(1, depth + 1):
            if level > 1:
                turn = rng.uniform(0, AXON_TURN)
                direction = tilt(direction, turn, azimuth=rng.uniform(0, 360))
            end = tree.position(node) + _length(base_length, level, rng=rng) * direction
            node = tree.add(swc.AXON, end, radius=draw_radius(rng, level), parent=node)
            if node is None:
                break
    return tree.finish()
