"""Which patches are compared: drafts, and real ones like them in two sets without a common voxel.

Patches of a small stack overlap, several times over. Sets of them that share voxels differ by less
than two parts of a stack do, and a floor told by such sets is one that no draft can reach.
"""
import numpy as np
from scipy import optimize

from utils.common.errors import UserError
from utils.score import realism

SLAB = 2                 # lengths of a patch that a slab of a stack has, at least, if there are two
FEWEST = 4               # patches in a set; with fewer whole stacks part them, or chance does
CANDIDATES = 4           # times as many patches of a set are looked at as are wanted


def open_judge(real, drafts, *, count):
    """Draw drafts and two sets of real patches that are like them in content.

    Args:
        real, drafts: patches.PatchFile, with labels of drafts; count: drafts, and at most as many
            real patches of each set, that are drawn.

    Returns:
        (realism.Judge, numbers of the drafts in their file).

    Raises:
        UserError: one real patch alone, or no label voxel.
    """
    rng = np.random.default_rng(0)
    if len(real) < 2:
        raise UserError('%s has one patch only: evaluation needs two or more' % real.path)
    chosen = rng.permutation(len(drafts))[:count]
    box = tuple(slice(min(a, b)) for a, b in zip(real.shape, drafts.shape))   # one shape for all
    image, label = [np.stack([array[int(i)][box] for i in chosen])
                    for array in (drafts.image, drafts.label)]
    if not label.any():
        raise UserError('%s: no patch of the evaluation set has a label voxel: make it anew'
                        % drafts.path)
    some, more = real_sets(real, drafts=image, box=box, rng=rng)
    return realism.Judge(image, label, real=some, more_real=more), chosen


def sets(patches, rng):
    """Part the patches of a file by slabs of their stacks, across the axis with most room; or by
    stacks, if these are hardly larger than a patch.

    Args:
        patches: patches.PatchFile, or what has its `shape`, `origin` and `source`; rng: numpy
            Generator.

    Returns:
        two int arrays, numbers of patches in random order: of every other slab, and of those
        between. If one had fewer than FEWEST patches, of every other stack, and of the others; if
        one still had, all patches, halved at random.
    """
    source, origin = np.asarray(patches.source), np.asarray(patches.origin)
    slab, stack = np.full((2, len(source)), -1)
    for number, name in enumerate(rng.permutation(np.unique(source))):
        own = source == name
        sides = _slabs(origin[own], patches.shape)       # neither set has all first slabs
        slab[own] = np.where(sides < 0, -1, (sides + number) % 2)
        stack[own] = number % 2
    order = rng.permutation(len(source))
    for side in (slab, stack):
        found = [order[side[order] == one] for one in (0, 1)]
        if min(map(len, found)) >= FEWEST:
            return found
    return [order[:len(order) // 2], order[len(order) // 2:]]


def _slabs(origin, shape):
    """0 or 1 for patches inside slabs of one stack, -1 for those that lie in two; int [N].

    Args: origin: int [N, 3], corners; shape: (z, y, x) voxels of a patch.
    """
    first = origin.min(0)
    room = np.ptp(origin, axis=0) + np.asarray(shape)
    axis = int(np.argmax(room / shape))
    length = shape[axis]
    count = max(2, int(room[axis] // (SLAB * length)))
    edges = first[axis] + np.round(np.linspace(0, room[axis], count + 1)).astype(int)
    low = np.searchsorted(edges, origin[:, axis], side='right') - 1
    inside = origin[:, axis] + length <= edges[np.minimum(low + 1, count)]
    return np.where(inside, low % 2, -1)


def alike(wanted, there):
    """Of some patches those of most like content, each at most once.

    Args:
        wanted: float [N], shares of foreground; there: float [M], of the patches to choose from.

    Returns:
        int array, min(N, M) numbers of the latter.
    """
    cost = realism.share_distance(np.asarray(wanted)[:, None], np.asarray(there))
    return optimize.linear_sum_assignment(cost)[1]


def shares(images, cut):
    """Share of foreground of each of some patches; float [N]. cut: of realism.foreground_cut."""
    return np.array([(realism.flat(image[None]) > cut).mean() for image in images])


def real_sets(patches, *, drafts, box, rng):
    """Two sets of real patches that share no voxel and hold as much foreground as some drafts.

    Args:
        patches: patches.PatchFile; drafts: grey levels [N, Z, Y, X]; box: slices, what of a patch
            is compared; rng: numpy Generator.

    Returns:
        two arrays, grey levels, at most [N, Z, Y, X].
    """
    def read(rows):
        return np.stack([patches.image[int(i)][box] for i in rows])

    found, parts = [], [rows[:CANDIDATES * len(drafts)] for rows in sets(patches, rng)]
    cut = realism.foreground_cut(realism.flat(
        np.concatenate([read(rows[:len(drafts)]) for rows in parts])))
    wanted = shares(drafts, cut)
    for rows in parts:
        there = shares((patches.image[int(i)][box] for i in rows), cut)
        found.append(read(rows[alike(wanted, there)]))
    return found
