"""Branches as smooth, winding curves: fine nodes, unbranched runs, bends, noise along a branch.

Lengths are isotropic voxels. This is beyond the paper, whose branches are straight.
"""
import numpy as np
from scipy import ndimage, optimize

from utils.data import swc

STEP = 2.0              # voxels between the nodes of a winding branch
BRANCH = 40.0           # voxels, the branch that a tortuosity is stated for
MOST_TORTUOUS = 1.3     # arc over chord beyond which 1 + L / (6 P) no longer holds
CORNER = 2.0            # nodes, sigma of the Gaussian that rounds corners
MODES = 8               # sines of a bend, at most; one for each 10 voxels


def persistence_of(tortuosity):
    """Persistence length of a path whose branches of 40 voxels have this mean arc over chord.

    A worm-like chain of length L and persistence P has arc / chord of about 1 + L / (6 P) while
    that is near 1.

    Returns:
        float, voxels; inf for a tortuosity of 1 (straight).
    """
    return np.inf if tortuosity <= 1 else BRANCH / (6 * (tortuosity - 1))


def tortuosity_of(persistence):
    """Mean arc over chord of a branch of 40 voxels, at most MOST_TORTUOUS; see persistence_of."""
    return min(1 + BRANCH / (6 * persistence), MOST_TORTUOUS)


def parents_or_self(tree):
    """Row of each node's parent, of a root its own; int [N]."""
    return np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))


def edge_lengths(tree):
    """Length of each node's edge to its parent, 0 for a root; float [N]."""
    return np.sqrt(((tree.position - tree.position[parents_or_self(tree)]) ** 2).sum(1))


def subdivide(tree, step=STEP):
    """Cut edges into equal pieces of at most `step` voxels; position and radius change linearly.

    Returns:
        swc.Tree, parents first; given nodes keep their order, new ones stand before their child.
    """
    base = parents_or_self(tree)
    pieces = np.maximum(1, np.ceil(edge_lengths(tree) / step - 1e-9)).astype(int)
    which = np.repeat(np.arange(len(pieces)), pieces)
    last = np.cumsum(pieces) - 1                         # where a given node now stands
    share = (np.arange(len(which)) - (last - pieces)[which]) / pieces[which]
    offset = (tree.position - tree.position[base])[which]
    position = tree.position[base][which] + share[:, None] * offset
    radius = tree.radius[base][which] + share * (tree.radius - tree.radius[base])[which]
    parent = np.arange(-1, len(which) - 1)
    parent[last - pieces + 1] = np.where(tree.parent >= 0, last[tree.parent], -1)
    return swc.Tree(tree.type[which], position, radius, parent)


def sections(parent):
    """Unbranched runs of a tree, from a root or branching node to the next branching node or tip.

    Args:
        parent: int [N], row or -1, parents first.

    Returns:
        list of int arrays of rows; the first row of each is the node that the run leaves from.
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


def along(parent, length, *, rng, step=STEP):
    """Gaussian noise along a tree: unit std, smooth, correlated over `length`, also at branchings.

    An autoregression of an autoregression, both of a coefficient k: the correlation over n nodes
    is k^n (1 + n (1 - k^2) / (1 + k^2)), which is 1 / e at `length`.

    Args:
        parent: int [N]; length: voxels; step: voxels between nodes.

    Returns:
        float [N].
    """
    keep = _smooth_coefficient(length / step)
    fresh, added = np.sqrt(1 - keep ** 2), (1 - keep ** 2) / np.sqrt(1 + keep ** 2)
    shared = 1 / np.sqrt(1 + keep ** 2)                  # correlation of the two
    rough = rng.standard_normal(len(parent)).tolist()
    begin = rng.standard_normal(len(parent)) * np.sqrt(1 - shared ** 2)
    values = []
    for i, p in enumerate(parent.tolist()):
        if p < 0:
            values.append(shared * rough[i] + begin[i])
        else:
            rough[i] = keep * rough[p] + fresh * rough[i]
            values.append(keep * values[p] + added * rough[i])
    return np.array(values)


def _smooth_coefficient(nodes):
    """k of along, by which the correlation over so many nodes is 1 / e; float in [0, 1)."""
    def excess(rate):
        keep = np.exp(-rate / nodes)
        square = keep ** 2
        return keep ** nodes * (1 + nodes * (1 - square) / (1 + square)) - np.exp(-1)

    return float(np.exp(-optimize.brentq(excess, 0.1, 3.0) / nodes))


# --- winding ---

def wind(tree, persistence, *, rng):
    """Make a coarse tree's branches smooth curves; their ends stay where they are.

    Corners inside a run are rounded, then sines are added across it, as a worm-like chain bends.

    Args:
        tree: swc.Tree in isotropic voxels; persistence: voxels, inf for straight branches.

    Returns:
        swc.Tree, its nodes about STEP apart.
    """
    fine = subdivide(tree)
    if not np.isfinite(persistence):
        return fine
    position = fine.position.copy()
    for run in sections(fine.parent):
        if len(run) < 4:
            continue
        path = _rounded(position[run])
        bent = path + _bends(path, persistence, rng=rng)
        position[run[1:-1]] = bent[1:-1]
        position[run[-1]], position[run[0]] = path[-1], path[0]
    return fine._replace(position=position)


def _rounded(path):
    """A path [N, 3] whose corners are rounded; odd reflection pins its ends."""
    pad = min(8, len(path) - 1)
    padded = np.concatenate([2 * path[0] - path[pad:0:-1], path,
                             2 * path[-1] - path[-2:-pad - 2:-1]])
    return ndimage.gaussian_filter1d(padded, CORNER, axis=0)[pad:-pad]


def _bends(path, persistence, *, rng):
    """Offsets [N, 3] across a path's chord that give it a worm-like chain's arc over chord.

    A sum of sines, mode k of size 1 / k^2, scaled so that the mean of arc / chord - 1 is
    length / (6 persistence); it varies from path to path by a gamma draw of mean 1.
    """
    length = np.sqrt((np.diff(path, axis=0) ** 2).sum(1)).sum()
    modes = np.arange(1, 1 + max(1, min(MODES, int(length / 10))))
    size = rng.standard_normal((len(modes), 3)) / modes[:, None] ** 2
    # arc / chord - 1 is half the mean of y'(x)^2: a quarter of (k pi / L)^2 size^2 for each mode;
    # two of three axes are across the chord
    slope = 0.25 * (((modes * np.pi / length)[:, None] * size) ** 2).sum() * 2 / 3
    wanted = min(0.5, length / (6 * persistence) * rng.gamma(2.0, 0.5))
    size *= np.sqrt(wanted / max(slope, 1e-12))
    offset = np.sin(np.pi * np.linspace(0, 1, len(path))[:, None] * modes) @ size
    chord = path[-1] - path[0]
    norm = np.linalg.norm(chord)
    if norm > 0:
        offset -= (offset @ chord)[:, None] * chord / norm ** 2
    return offset
