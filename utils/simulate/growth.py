"""Random neurons by the two models of the paper (METHOD, step 1), a dendritic tree and an axon, and what is added
to them: winding branches, boutons, somata, passing fibres, given reconstructions.

Coordinates are isotropic voxels (z, y, x) of a volume; the long axis of the paper is y.
"""
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from utils.common.errors import UserError
from utils.data import swc

FIRST_BASAL = (2, 3, 4), (0.35, 0.5, 0.15)               # number of children of the basal stem's end, probabilities
ELSEWHERE = (1, 2, 3, 4), (0.35, 0.5, 0.1, 0.05)
TRUNK = 3                                                # unbranched apical segments
SHRINK = 0.9                                             # length per level of depth; the paper's radius shrinks alike
LENGTH_SPREAD = 0.8, 1.2                                 # of the base length
DENDRITE_TURN, AXON_TURN, FORK = 15.0, 30.0, (20.0, 45.0)      # degrees from the parent's direction


def tilt(direction, polar, *, azimuth):
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


def child_directions(direction, n, *, rng):
    """Directions of n children: one alone stays within 15 degrees, siblings fork at 20 to 45 degrees."""
    if n == 1:
        return [tilt(direction, rng.uniform(0, DENDRITE_TURN), azimuth=rng.uniform(0, 360))]
    return [tilt(direction, rng.uniform(*FORK), azimuth=azimuth) for azimuth in fork_azimuths(n, rng)]


class _Tree:
    """Nodes as they grow; a node that would leave the volume is refused."""

    def __init__(self, shape):
        self.shape = np.asarray(shape, float)
        self.rows = []                                   # (type, position, radius, parent)

    def add(self, kind, position, *, radius, parent):
        position = np.asarray(position, float)
        if ((position - radius < 0) | (position + radius > self.shape - 1)).any():
            return None
        self.rows.append((kind, position, radius, parent))
        return len(self.rows) - 1

    def finish(self):
        kind, position, radius, parent = zip(*self.rows)
        return swc.Tree(np.array(kind), np.array(position), np.array(radius), np.array(parent))


def dendrite(shape, rng, *, draw_radius, depth, base_length, soma_radius=(6.0, 10.0)):
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
    root = tree.add(swc.SOMA, centre, radius=soma, parent=-1)
    if root is None:
        raise UserError('a soma of radius %.1f does not fit into a volume of %s: take a larger one' % (soma, tuple(shape)))
    long_axis = np.array([0.0, 1.0, 0.0]) * rng.choice([-1, 1])

    def grow(parent, direction, level, kind, numbers):
        """Give node `parent`, which ends a branch of `direction`, its children at depth `level`."""
        if level > depth:
            return
        n = numbers if isinstance(numbers, int) else int(rng.choice(numbers[0], p=numbers[1]))
        for towards in child_directions(direction, n, rng=rng):
            length = rng.uniform(*LENGTH_SPREAD) * base_length * SHRINK ** level
            node = tree.add(kind, tree.rows[parent][1] + length * towards, radius=draw_radius(rng, level), parent=parent)
            if node is not None:
                trunk = kind == swc.APICAL and level < 1 + TRUNK
                grow(node, towards, level + 1, kind, 1 if trunk else ELSEWHERE)

    for kind, sign, numbers in ((swc.BASAL, -1, FIRST_BASAL), (swc.APICAL, 1, 1)):
        towards = tilt(sign * long_axis, rng.uniform(0, DENDRITE_TURN), azimuth=rng.uniform(0, 360))
        stem = tree.add(kind, centre + 2 * soma * towards, radius=soma / 2, parent=root)
        if stem is not None:
            grow(stem, towards, 2, kind, numbers)
    return tree.finish()


def axon(shape, rng, *, draw_radius, depth, base_length):
    """Grow an unbranched axon both ways from the volume's centre (METHOD, axon model).

    Arguments as for dendrite. Returns a swc.Tree of type axon, its root in the middle.
    """
    tree = _Tree(shape)
    centre = (np.asarray(shape, float) - 1) / 2
    radius = draw_radius(rng, 0)
    root = tree.add(swc.AXON, centre, radius=radius, parent=-1)
    if root is None:
        raise UserError('an axon of radius %.1f does not fit into a volume of %s: take a larger one' % (radius, tuple(shape)))
    first = tilt(np.array([0.0, 1.0, 0.0]), np.degrees(np.arccos(rng.uniform(-1, 1))), azimuth=rng.uniform(0, 360))
    for direction in (first, -first):
        node = root
        for level in range(1, depth + 1):
            if level > 1:
                direction = tilt(direction, rng.uniform(0, AXON_TURN), azimuth=rng.uniform(0, 360))
            length = rng.uniform(*LENGTH_SPREAD) * base_length * SHRINK ** level
            node = tree.add(swc.AXON, tree.rows[node][1] + length * direction, radius=draw_radius(rng, level), parent=node)
            if node is None:
                break
    return tree.finish()


# --- beyond the paper: smooth, winding branches, fibres that pass by, somata, given reconstructions ---
# Below, `step` is the distance between nodes in isotropic voxels.

STEP = 2.0                                               # isotropic voxels between the nodes of a winding branch
BEND = 6.0                                               # isotropic voxels over which a bend keeps its direction
SIDE = 35.0, 85.0                                        # degrees at which a fibre's branches leave
LONGEST = 1e4                                            # voxels, edge of a given reconstruction that is no mistake
BRANCH = 40.0                                            # isotropic voxels; the branch that TORTUOSITY is stated for


def persistence_of(tortuosity):
    """Persistence length in voxels of a path whose branches of 40 voxels have this arc over chord; inf for 1.

    A worm-like chain's mean arc over chord is about 1 + length / (6 persistence) while that is near 1.
    """
    return np.inf if tortuosity <= 1 else BRANCH / (6 * (tortuosity - 1))


def subdivide(tree, step=STEP):
    """Cut edges into equal pieces of at most `step` voxels; position and radius change linearly between the nodes.

    Returns:
        swc.Tree, parents first; nodes of the given tree keep their order, new ones stand before their child.
    """
    base = np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))
    length = np.sqrt(((tree.position - tree.position[base]) ** 2).sum(1))
    pieces = np.maximum(1, np.ceil(length / step - 1e-9)).astype(int)
    which = np.repeat(np.arange(len(pieces)), pieces)
    last = np.cumsum(pieces) - 1                         # where a given node now stands
    share = (np.arange(len(which)) - (last - pieces)[which]) / pieces[which]
    position = tree.position[base][which] + share[:, None] * (tree.position - tree.position[base])[which]
    radius = tree.radius[base][which] + share * (tree.radius - tree.radius[base])[which]
    parent = np.arange(-1, len(which) - 1)
    opening = last - pieces + 1
    parent[opening] = np.where(tree.parent >= 0, last[tree.parent], -1)
    return swc.Tree(tree.type[which], position, radius, parent)


def sections(parent):
    """Unbranched runs of a tree, each from a root or branching node to the next branching node or tip.

    Returns:
        list of int arrays of rows, the first row shared with the run that it leaves from.
    """
    n = len(parent)
    children = np.bincount(parent[parent >= 0], minlength=n)
    runs = []
    run_of = np.full(n, -1)
    for i in range(n):
        p = parent[i]
        if p < 0:
            continue
        if parent[p] >= 0 and children[p] == 1:
            run_of[i] = run_of[p]
            runs[run_of[i]].append(i)
        else:
            run_of[i] = len(runs)
            runs.append([p, i])
    return [np.array(run) for run in runs]


def wind(tree, persistence, *, rng):
    """Make a coarse tree's branches smooth curves of a given persistence length; their ends stay where they are.

    Corners inside a run are rounded, then sines of its length are added across it, as a worm-like chain bends.

    Args:
        tree: swc.Tree in isotropic voxels; persistence: voxels, inf for straight branches.

    Returns:
        swc.Tree with nodes at most about STEP apart.
    """
    fine = subdivide(tree)
    if not np.isfinite(persistence):
        return fine
    position = fine.position.copy()
    for run in sections(fine.parent):
        path = position[run]
        n = len(run)
        if n < 4:
            continue
        pad = min(8, n - 1)                              # odd reflection pins the ends
        padded = np.concatenate([2 * path[0] - path[pad:0:-1], path, 2 * path[-1] - path[-2:-pad - 2:-1]])
        path = ndimage.gaussian_filter1d(padded, 2.0, axis=0)[pad:-pad]
        length = np.sqrt((np.diff(path, axis=0) ** 2).sum(1)).sum()
        modes = np.arange(1, 1 + max(1, min(8, int(length / 10))))
        size = rng.standard_normal((len(modes), 3)) / modes[:, None] ** 2
        slope = 0.25 * (((modes * np.pi / length)[:, None] * size) ** 2).sum() * 2 / 3     # arc / chord - 1 across
        wanted = min(0.5, length / (6 * persistence) * rng.gamma(2.0, 0.5))
        size *= np.sqrt(wanted / max(slope, 1e-12))
        offset = np.sin(np.pi * np.linspace(0, 1, n)[:, None] * modes) @ size
        chord = path[-1] - path[0]
        norm = np.linalg.norm(chord)
        if norm > 0:
            offset -= (offset @ chord)[:, None] * chord / norm ** 2
        position[run[1:-1]] = (path + offset)[1:-1]
        position[run[-1]], position[run[0]] = path[-1], path[0]
    return fine._replace(position=position)


def along(parent, length, *, rng, step=STEP):
    """Gaussian noise along a tree, unit std, correlated over `length` voxels and continuous at branchings; float [N]."""
    keep = float(np.exp(-step / length))
    fresh = float(np.sqrt(1 - keep ** 2))
    draws = rng.standard_normal(len(parent)).tolist()
    values = []
    for p, draw in zip(parent.tolist(), draws):
        values.append(draw if p < 0 else keep * values[p] + fresh * draw)
    return np.array(values)


def boutons(tree, spacing, *, rng, swell=(1.4, 2.2), sigma=1.5):
    """Swell a finely divided axon at random places (varicosities).

    Args:
        spacing: mean isotropic voxels between two along the branch; swell: (low, high) factor of the radius;
        sigma: voxels, half-width along the branch.

    Returns:
        swc.Tree with other radii; its soma and stems stay.
    """
    radius = tree.radius.copy()
    for run in sections(tree.parent):
        place = np.r_[0, np.cumsum(np.sqrt((np.diff(tree.position[run], axis=0) ** 2).sum(1)))]
        at = rng.uniform(0, place[-1], rng.poisson(place[-1] / spacing))
        swelling = rng.uniform(*swell, size=len(at)) - 1
        bump = (swelling * np.exp(-0.5 * ((place[:, None] - at) / sigma) ** 2)).max(1) if len(at) else 0 * place
        radius[run[1:]] = (tree.radius[run] * (1 + bump))[1:]
    return tree._replace(radius=np.where(tree.type == swc.SOMA, tree.radius, radius))


def taper(tree, share):
    """Thin branches linearly along their path from the root, by `share` of the radius at the farthest tip."""
    base = np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))
    edge = np.sqrt(((tree.position - tree.position[base]) ** 2).sum(1))
    path = np.zeros(len(edge))
    for i in np.flatnonzero(tree.parent >= 0):
        path[i] = path[tree.parent[i]] + edge[i]
    factor = 1 - share * path / max(path.max(), 1e-9)
    return tree._replace(radius=np.where(tree.type == swc.SOMA, tree.radius, tree.radius * factor))


def pyramid(tree, rng):
    """Give a dendrite's ball of a soma the shape of a pyramidal cell's: longer towards the apical stem, with shoulders.

    Extra balls of type soma are hung on the root and joined to it by cones, so the label stays exact.

    Returns:
        swc.Tree with three or four more nodes at its end.
    """
    stems = np.flatnonzero((tree.parent == 0) & (tree.type == swc.APICAL))
    towards = tree.position[stems[0]] - tree.position[0] if len(stems) else np.array([0.0, 1.0, 0.0])
    towards = towards / np.linalg.norm(towards)
    r = tree.radius[0]
    corners = [(towards, rng.uniform(0.7, 1.0), rng.uniform(0.5, 0.65))]
    for azimuth in fork_azimuths(int(rng.integers(2, 4)), rng):
        corners.append((tilt(-towards, rng.uniform(45, 75), azimuth=azimuth), rng.uniform(0.5, 0.75), rng.uniform(0.45, 0.6)))
    radius = tree.radius.copy()
    radius[0] = 0.85 * r
    return swc.Tree(np.r_[tree.type, np.full(len(corners), swc.SOMA)],
                    np.concatenate([tree.position, [tree.position[0] + r * d * direction for direction, d, _ in corners]]),
                    np.r_[radius, [r * share for _, _, share in corners]],
                    np.r_[tree.parent, np.zeros(len(corners), int)])


def fibres(shape, rng, *, total, persistence, branch_spacing, half_length):
    """Grow thin neurites that start anywhere in a volume and wander both ways until they end or leave it.

    Args:
        shape: (z, y, x) isotropic voxels; total: voxels of centreline wanted inside it.
        persistence: voxels; branch_spacing: mean voxels between branchings, inf for none.
        half_length: mean voxels from the start to an end (exponential, at least 10).

    Returns:
        list of swc.Tree (type axon, radius 1 everywhere, nodes STEP apart), their length inside about `total`.
    """
    limits = np.asarray(shape, float) - 1
    grown, length = [], 0.0
    while length < total:
        count = int(np.ceil((total - length) / (2 * half_length)))
        start = rng.uniform(0, 1, (count, 3)) * limits
        nodes = [[start[i]] for i in range(count)]
        parents = [[-1] for _ in range(count)]
        towards = rng.standard_normal((count, 3))
        towards /= np.sqrt((towards ** 2).sum(1, keepdims=True))
        owner, root = np.tile(np.arange(count), 2), np.zeros(2 * count, int)
        towards, mean = np.concatenate([towards, -towards]), half_length
        for generation in range(4):                      # the fibres, their branches, and the branches' branches
            begin = np.array([nodes[o][r] for o, r in zip(owner, root)]).reshape(-1, 3)
            walks = walk(begin, towards, length=np.maximum(10, rng.exponential(mean, len(begin))), persistence=persistence, limits=limits, rng=rng)
            forks = []
            for o, r, path in zip(owner, root, walks):
                first = len(nodes[o])
                nodes[o].extend(path)
                parents[o].extend([r] + list(range(first, first + len(path) - 1)) if len(path) else [])
                for k in np.flatnonzero(rng.random(max(len(path) - 1, 0)) < STEP / branch_spacing):
                    ahead = (path[k + 1] - path[k]) / STEP
                    forks.append((o, first + k, tilt(ahead, rng.uniform(*SIDE), azimuth=rng.uniform(0, 360))))
            if not forks:
                break
            owner, root, towards = [np.array(a) for a in zip(*forks)]
            mean = mean / 2
        for position, parent in zip(nodes, parents):
            if length >= total:
                break
            length += STEP * max(1, len(position) - 1)
            if len(position) > 5:
                grown.append(swc.Tree(np.full(len(position), swc.AXON), np.array(position), np.ones(len(position)),
                                      np.array(parent)))
    return grown


def walk(start, towards, *, length, persistence, limits, rng):
    """Smooth random walks side by side: the bending is the noise, and it is correlated over BEND voxels.

    Args:
        start: float [N, 3] voxels; towards: unit vectors [N, 3]; length: float [N] voxels, at most.
        persistence: voxels, inf for straight walks; limits: [3], a walk ends where it would leave [0, limits].

    Returns:
        list of N float [M, 3], nodes STEP apart, without the start; M may be 0.
    """
    keep = np.exp(-STEP / BEND)
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


def pose(tree, shape, *, scale, rng):
    """Turn, mirror and place a given reconstruction so that one of its nodes is the middle of a volume.

    Args:
        tree: swc.Tree in its file's coordinates; shape: (z, y, x) isotropic voxels of the volume.
        scale: (z, y, x) isotropic voxels per unit of the file; radii scale with that of x.

    Returns:
        swc.Tree, finely divided, cropped to the volume (see crop).
    """
    position = tree.position * np.asarray(scale, float)
    base = np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))
    longest = np.abs(position - position[base]).max()
    if longest > LONGEST:
        raise UserError('a reconstruction has an edge of %.3g voxels: check its coordinates and SWC_SCALE' % longest)
    axes = Rotation.from_quat(normal_quaternion(rng)).as_matrix()
    axes[:, 0] *= rng.choice([-1, 1])
    position = (position - position[rng.integers(len(position))]) @ axes.T + (np.asarray(shape, float) - 1) / 2
    return crop(subdivide(tree._replace(position=position, radius=tree.radius * scale[2])), shape)


def normal_quaternion(rng):
    """A rotation, all equally likely: a normal direction in four dimensions; float [4]."""
    q = rng.standard_normal(4)
    return q / np.linalg.norm(q)


def crop(tree, shape):
    """Drop nodes in no voxel of a volume; a node whose parent is dropped becomes a root. Coordinates in its voxels.

    Returns:
        swc.Tree, parents first; a node that loses both its parent and its children is dropped, too. It may be empty.
    """
    inside = ((tree.position > -0.5) & (tree.position < np.asarray(shape) - 0.5)).all(1)
    parent = np.where((tree.parent >= 0) & inside[tree.parent], tree.parent, -1)
    used = np.zeros(len(parent), bool)
    used[parent[inside & (parent >= 0)]] = True
    keep = inside & (used | (parent >= 0) | (tree.parent < 0))
    row = np.cumsum(keep) - 1
    return swc.Tree(tree.type[keep], tree.position[keep], tree.radius[keep],
                    np.where(parent[keep] >= 0, row[parent[keep]], -1))
