"""Random neurons by the two models of the paper (METHOD, step 1): a dendritic tree and an axon.

Coordinates are isotropic voxels (z, y, x) of a volume; the long axis of the paper is y.
"""
import numpy as np

from utils import swc

FIRST_BASAL = (2, 3, 4), (0.35, 0.5, 0.15)               # number of children of the basal stem's end, probabilities
ELSEWHERE = (1, 2, 3, 4), (0.35, 0.5, 0.1, 0.05)
TRUNK = 3                                                # unbranched apical segments
SHRINK = 0.9                                             # length per level of depth; the paper's radius shrinks alike
LENGTH_SPREAD = 0.8, 1.2                                 # of the base length
DENDRITE_TURN, AXON_TURN, FORK = 15.0, 30.0, (20.0, 45.0)      # degrees from the parent's direction


def tilt(direction, polar, azimuth):
    """Turn a direction away from itself.

    Args:
        direction: unit vector [3]; polar: angle to it, degrees; azimuth: angle around it, degrees.

    Returns:
        unit vector [3].
    """
    helper = np.eye(3)[np.argmin(np.abs(direction))]     # the axis least along it
    u = np.cross(direction, helper)
    u /= np.linalg.norm(u)
    v = np.cross(direction, u)
    polar, azimuth = np.radians([polar, azimuth])
    return np.cos(polar) * direction + np.sin(polar) * (np.cos(azimuth) * u + np.sin(azimuth) * v)


def fork_azimuths(n, rng):
    """n azimuths in degrees, each in the middle third of its equal sector, the whole turned at random."""
    sector = 360.0 / n
    return rng.uniform(0, 360) + sector * (np.arange(n) + rng.uniform(1 / 3, 2 / 3, n))


def child_directions(direction, n, rng):
    """Directions of n children: one alone stays within 15 degrees, siblings fork at 20 to 45 degrees."""
    if n == 1:
        return [tilt(direction, rng.uniform(0, DENDRITE_TURN), rng.uniform(0, 360))]
    return [tilt(direction, rng.uniform(*FORK), azimuth) for azimuth in fork_azimuths(n, rng)]


class _Tree:
    """Nodes as they grow; a node that would leave the volume is refused."""

    def __init__(self, shape):
        self.shape = np.asarray(shape, float)
        self.rows = []                                   # (type, position, radius, parent)

    def add(self, kind, position, radius, parent):
        position = np.asarray(position, float)
        if ((position - radius < 0) | (position + radius > self.shape - 1)).any():
            return None
        self.rows.append((kind, position, radius, parent))
        return len(self.rows) - 1

    def finish(self):
        kind, position, radius, parent = zip(*self.rows)
        return swc.Tree(np.array(kind), np.array(position), np.array(radius), np.array(parent))


def dendrite(shape, rng, draw_radius, depth, base_length, soma_radius=(6.0, 10.0)):
    """Grow a soma with a basal and an apical dendrite (METHOD, dendrite model).

    Args:
        shape: (z, y, x) isotropic voxels of the volume.
        rng: numpy Generator.
        draw_radius: function (rng, depth) -> neurite radius in voxels.
        depth: levels of the tree, the stems' ends being the first.
        base_length: voxels of a branch at depth 0.
        soma_radius: (low, high) voxels.

    Returns:
        swc.Tree, its root the soma at the volume's centre.
    """
    tree = _Tree(shape)
    soma = rng.uniform(*soma_radius)
    centre = (np.asarray(shape, float) - 1) / 2
    root = tree.add(swc.SOMA, centre, soma, -1)
    if root is None:
        raise ValueError('a soma of radius %.1f does not fit into a volume of %s' % (soma, tuple(shape)))
    long_axis = np.array([0.0, 1.0, 0.0]) * rng.choice([-1, 1])

    def grow(parent, direction, level, kind, numbers):
        """Give node `parent`, which ends a branch of `direction`, its children at depth `level`."""
        if level > depth:
            return
        n = numbers if isinstance(numbers, int) else int(rng.choice(numbers[0], p=numbers[1]))
        for towards in child_directions(direction, n, rng):
            length = rng.uniform(*LENGTH_SPREAD) * base_length * SHRINK ** level
            node = tree.add(kind, tree.rows[parent][1] + length * towards, draw_radius(rng, level), parent)
            if node is not None:
                trunk = kind == swc.APICAL and level < 1 + TRUNK
                grow(node, towards, level + 1, kind, 1 if trunk else ELSEWHERE)

    for kind, sign, numbers in ((swc.BASAL, -1, FIRST_BASAL), (swc.APICAL, 1, 1)):
        towards = tilt(sign * long_axis, rng.uniform(0, DENDRITE_TURN), rng.uniform(0, 360))
        stem = tree.add(kind, centre + 2 * soma * towards, soma / 2, root)
        if stem is not None:
            grow(stem, towards, 2, kind, numbers)
    return tree.finish()


def axon(shape, rng, draw_radius, depth, base_length):
    """Grow an unbranched axon both ways from the volume's centre (METHOD, axon model).

    Arguments as for dendrite. Returns a swc.Tree of type axon, its root in the middle.
    """
    tree = _Tree(shape)
    centre = (np.asarray(shape, float) - 1) / 2
    root = tree.add(swc.AXON, centre, draw_radius(rng, 0), -1)
    first = tilt(np.array([0.0, 1.0, 0.0]), np.degrees(np.arccos(rng.uniform(-1, 1))), rng.uniform(0, 360))
    for direction in (first, -first):
        node = root
        for level in range(1, depth + 1):
            if level > 1:
                direction = tilt(direction, rng.uniform(0, AXON_TURN), rng.uniform(0, 360))
            length = rng.uniform(*LENGTH_SPREAD) * base_length * SHRINK ** level
            node = tree.add(swc.AXON, tree.rows[node][1] + length * direction, draw_radius(rng, level), node)
            if node is None:
                break
    return tree.finish()
