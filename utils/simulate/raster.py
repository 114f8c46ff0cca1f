"""From a tree to voxels: the union of balls (nodes) and truncated cones (edges), exact on any grid.

Work follows the neurite's volume: edges are cut into short pieces, only the box around a piece is
looked at, and boxes of like size are tested together. A voxel belongs to the neuron if its centre does.
"""
import numpy as np

PIECE = 8.0             # voxels of the finest axis; longer edges are cut, so that boxes stay slim
BATCH = 1 << 17         # voxels tested at a time: as many as a processor's cache holds
EDGE = 1e-9             # slack of a piece's ends, so that two pieces of an edge leave no voxel out between them


def voxels(shape, position, *, radius, parent, spacing=(1.0, 1.0, 1.0)):
    """List the voxels of a tree (METHOD: a node is a ball, an edge the truncated cone between its two balls).

    Args:
        shape: (z, y, x) voxels of the grid.
        position: float [N, 3], (z, y, x) in voxels of the grid.
        radius: float [N], in units of `spacing` (with the default: voxels).
        parent: int [N], row of the parent or -1.
        spacing: (z, y, x) size of a voxel; distances are measured in these units.

    Returns:
        (index, row, t): int64 [M] into the flattened grid; int [M], the node whose ball or whose edge to its parent
        the voxel lies in; float32 [M], 0 at the parent, 1 at the node and in its ball. A voxel in several of them
        comes several times.
    """
    shape, spacing = np.asarray(shape), np.asarray(spacing, float)
    points = np.asarray(position, float).reshape(-1, 3) * spacing
    radius, parent = np.asarray(radius, float), np.asarray(parent)
    start, unit, near, far, r0, slope, row, scale = _pieces(points, radius, parent=parent, longest=PIECE * spacing.min())
    reach = np.sqrt(np.maximum(1 - unit ** 2, 0))        # a disc of radius r reaches r * reach along each axis
    pa, pb = start + unit * near[:, None], start + unit * far[:, None]
    ra, rb = ((r0 + slope * at)[:, None] * reach for at in (near, far))
    first = np.ceil((np.minimum(pa - ra, pb - rb) - EDGE) / spacing).astype(int)
    last = np.floor((np.maximum(pa + ra, pb + rb) + EDGE) / spacing).astype(int)
    first, last = np.maximum(first, 0), np.minimum(last, shape - 1)
    some = np.flatnonzero((first <= last).all(1))
    size = np.minimum((last - first)[some] // 2 * 2 + 2, shape)        # even sizes, so that many boxes are alike
    first = np.minimum(first[some], shape - size)                      # inside the grid
    order = np.lexsort(size.T)
    breaks = np.flatnonzero(np.diff(size[order], axis=0).any(1)) + 1
    found = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32))]
    for group in np.split(order, breaks) if len(order) else ():
        box = size[group[0]]
        step = max(1, BATCH // int(box.prod()))
        for i in range(0, len(group), step):
            k = group[i:i + step]
            p = some[k]
            along, across = _coordinates(first[k], box, start=start[p], unit=unit[p], spacing=spacing)
            edge, r = (slice(None), None, None, None), along * slope[p][:, None, None, None]
            r += r0[p][edge]
            inside = (across <= r * r) & (along >= (near[p] - EDGE)[edge]) & (along <= (far[p] + EDGE)[edge])
            which, z, y, x = np.nonzero(inside)
            low = first[k][which]
            index = ((low[:, 0] + z) * shape[1] + low[:, 1] + y) * shape[2] + low[:, 2] + x
            t = along[inside] * scale[p][which]
            t[scale[p][which] == 0] = 1                  # a ball
            found.append((index, row[p][which], t.astype(np.float32)))
    return tuple(np.concatenate(parts) for parts in zip(*found))


def _pieces(points, radius, *, parent, longest):
    """Balls and pieces of edges alike: start, unit vector, range along it, radius r0 + slope * along, row, 1 / length.

    A ball is a piece of no length: its unit vector, and with it the distance along, is zero everywhere.
    """
    n = len(points)
    child = np.flatnonzero(parent >= 0)
    axis = points[child] - points[parent[child]]
    length = np.sqrt((axis ** 2).sum(1))
    child, axis, length = (a[length > 0] for a in (child, axis, length))
    steps = np.maximum(1, np.ceil(length / longest)).astype(int)
    which = np.repeat(np.arange(len(child)), steps)
    number = np.arange(len(which)) - np.repeat(np.cumsum(steps) - steps, steps)
    cut = (length / steps)[which]
    edge, base = child[which], parent[child[which]]
    zeros = np.zeros(n)
    return (np.concatenate([points, points[base]]),
            np.concatenate([np.zeros((n, 3)), (axis / length[:, None])[which]]),
            np.concatenate([zeros, number * cut]), np.concatenate([zeros, (number + 1) * cut]),
            np.concatenate([radius, radius[base]]),
            np.concatenate([zeros, ((radius[child] - radius[parent[child]]) / length)[which]]),
            np.concatenate([np.arange(n), edge]), np.concatenate([zeros, (1 / length)[which]]))


def _coordinates(first, box, *, start, unit, spacing):
    """Distance along each piece's axis and squared distance across it, float64 [n, z, y, x], of its box's voxels."""
    along = across = 0
    for axis in range(3):
        place = (first[:, axis, None] + np.arange(box[axis])) * spacing[axis] - start[:, axis, None]
        view = [len(first), 1, 1, 1]
        view[1 + axis] = box[axis]
        along = along + (place * unit[:, axis, None]).reshape(view)
        across = across + (place ** 2).reshape(view)
    return along, across - along ** 2


def label(shape, position, *, radius, parent, spacing=(1.0, 1.0, 1.0)):
    """Draw a tree as a mask; arguments as for voxels. Returns bool [Z, Y, X]."""
    mask = np.zeros(shape, bool)
    mask.ravel()[voxels(shape, position, radius=radius, parent=parent, spacing=spacing)[0]] = True
    return mask


def balls(shape, centres, *, radii, spacing=(1.0, 1.0, 1.0)):
    """Yield (index, box): the slices around each ball that meets the grid.

    Args:
        centres: float [N, 3] and radii: float [N], in units of `spacing`.
    """
    spacing, centres = np.asarray(spacing, float), np.asarray(centres, float)
    first = np.maximum(np.ceil((centres - np.reshape(radii, (-1, 1))) / spacing), 0).astype(int)
    last = np.minimum(np.floor((centres + np.reshape(radii, (-1, 1))) / spacing), np.asarray(shape) - 1).astype(int)
    for i in np.flatnonzero((first <= last).all(1)):
        yield i, tuple(slice(a, b + 1) for a, b in zip(first[i], last[i]))


def centreline(shape, position, *, parent):
    """Voxels that the edges run through, in tree order, each once.

    Args:
        position: float [N, 3] in voxels of the result; parent: int [N].

    Returns:
        int [M, 3], all inside the grid.
    """
    return centreline_rows(shape, position, parent=parent)[0]


def centreline_rows(shape, position, *, parent):
    """centreline(), and int [M], the node whose edge to its parent each voxel was first met on."""
    position, parent = np.asarray(position, float), np.asarray(parent)
    base = np.where(parent >= 0, parent, np.arange(len(parent)))       # a root: from itself to itself
    steps = np.where(parent >= 0, np.ceil(np.abs(position - position[base]).max(1)).astype(int) + 1, 0)
    which = np.repeat(np.arange(len(parent)), steps + 1)
    number = np.arange(len(which)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    share = number / np.maximum(steps[which], 1)
    points = np.round(position[base][which] + share[:, None] * (position - position[base])[which]).astype(int)
    inside = ((points >= 0) & (points < shape)).all(1)
    points, which = points[inside], which[inside]
    once = np.sort(np.unique(np.ravel_multi_index(points.T, shape), return_index=True)[1])
    return points[once], which[once]
