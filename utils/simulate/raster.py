"""From a tree to voxels: the union of balls (nodes) and truncated cones (edges), exact on any grid.

A voxel belongs to the neuron if its centre does. Work follows the neurite's volume: edges are cut
into short pieces, only the box around a piece is looked at, and boxes of like size are tested
together.
"""
from typing import NamedTuple

import numpy as np

PIECE = 8.0             # voxels of the finest axis; longer edges are cut, so that boxes stay slim
BATCH = 1 << 17         # voxels tested at a time: as many as a processor's cache holds
SLACK = 1e-9            # of a piece's ends, so that two pieces of an edge leave no voxel between


class _Pieces(NamedTuple):
    """Balls and pieces of edges alike, [N] each; a ball is a piece of no length, its unit zero."""
    start: np.ndarray       # float [N, 3], in units of the spacing
    unit: np.ndarray        # float [N, 3], unit vector of the axis
    near: np.ndarray        # range along the axis, first
    far: np.ndarray         # and last
    radius: np.ndarray      # at the start
    slope: np.ndarray       # change of the radius along the axis
    row: np.ndarray         # int, the node whose ball or whose edge to its parent it is
    scale: np.ndarray       # 1 / length of the edge; 0 for a ball
    wide: np.ndarray        # float [N, 3], unit vector across the axis in which sections are wider;
    #                         zero: they are round
    stretch: np.ndarray     # factor on the radius along `wide`; the one across it is divided by it


class Found(NamedTuple):
    """Voxels of a tree; one in several balls and cones comes several times."""
    index: np.ndarray       # int64 [M], into the flattened grid
    row: np.ndarray         # int [M], the node whose ball or whose edge to its parent it lies in
    t: np.ndarray           # float32 [M], 0 at the parent, 1 at the node and in its ball
    cover: np.ndarray       # float32 [M], share of the voxel that is covered; None: all
    inside: np.ndarray      # bool [M], whether its centre is; None: all


def voxels(shape, position, *, radius, parent, spacing=(1.0, 1.0, 1.0), flat=None, edge=0.0):
    """List the voxels of a tree (docs/method.md: a node is a ball, an edge a truncated cone).

    Args:
        shape: (z, y, x) voxels of the grid.
        position: float [N, 3], (z, y, x) in voxels of the grid.
        radius: float [N], in units of `spacing` (with the default: voxels).
        parent: int [N], row of the parent or -1.
        spacing: (z, y, x) size of a voxel; distances are measured in these units.
        flat: float [N, 3] or None, how sections are flattened (sections.draw): a node's and its
            edge's have the axes radius exp(h) along the vector and radius exp(-h) across it, h the
            vector's length; of an edge's vector the part across it counts. None: they are round.
        edge: voxels over which the cover falls from 1 to 0, in the middle of which the border lies;
            0: voxels inside alone are told.

    Returns:
        Found.
    """
    shape, spacing = np.asarray(shape), np.asarray(spacing, float)
    points = np.asarray(position, float).reshape(-1, 3) * spacing
    pieces = _pieces(points, np.asarray(radius, float), parent=np.asarray(parent),
                     longest=PIECE * spacing.min(), flat=flat)
    some, first, size = _boxes(shape, pieces, spacing=spacing, more=edge / 2 * spacing.max())
    pieces = _Pieces(*[column[some] for column in pieces])
    order = np.lexsort(size.T)
    breaks = np.flatnonzero(np.diff(size[order], axis=0).any(1)) + 1
    found = [(np.zeros(0, int), np.zeros(0, int)) + 2 * (np.zeros(0, np.float32),)
             + (np.zeros(0, bool),)]
    for group in np.split(order, breaks) if len(order) else ():
        box = size[group[0]]
        step = max(1, BATCH // int(box.prod()))
        for i in range(0, len(group), step):
            k = group[i:i + step]
            found.append(_inside(shape, _Pieces(*[column[k] for column in pieces]),
                                 first=first[k], box=box, spacing=spacing, edge=edge))
    found = Found(*[np.concatenate(parts) for parts in zip(*found)])
    return found if edge else found._replace(cover=None, inside=None)


def _pieces(points, radius, *, parent, longest, flat):
    """Cut a tree, points [N, 3] in units of the spacing, into pieces of at most `longest`."""
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
    unit = np.concatenate([np.zeros((n, 3)), (axis / length[:, None])[which]])
    row = np.concatenate([np.arange(n), edge])
    return _Pieces(
        start=np.concatenate([points, points[base]]),
        unit=unit,
        near=np.concatenate([zeros, number * cut]),
        far=np.concatenate([zeros, (number + 1) * cut]),
        radius=np.concatenate([radius, radius[base]]),
        slope=np.concatenate([zeros, ((radius[child] - radius[parent[child]]) / length)[which]]),
        row=row,
        scale=np.concatenate([zeros, (1 / length)[which]]),
        **_flattened(unit, None if flat is None else np.asarray(flat, float)[row]))


def _flattened(unit, flat):
    """How sections of pieces are flattened; dict of `wide` and `stretch`.

    Args:
        unit: float [N, 3], of _Pieces; flat: float [N, 3], or None.
    """
    if flat is None:
        return {'wide': np.zeros(unit.shape), 'stretch': np.ones(len(unit))}
    across = flat - (flat * unit).sum(1, keepdims=True) * unit
    much = np.sqrt((across ** 2).sum(1))
    return {'wide': across / np.maximum(much, 1e-9)[:, None], 'stretch': np.exp(much)}


def _boxes(shape, pieces, *, spacing, more):
    """Boxes around the pieces that meet the grid; more: how far beside them voxels count, too.

    Returns:
        (some, first, size): int [M], the pieces; int [M, 3], corner of each one's box and its
        voxels along z, y, x; even sizes, so that many boxes are alike, inside the grid.
    """
    start, unit = pieces.start, pieces.unit
    # of a disc of radius 1 along each axis
    long, short = [(pieces.stretch ** power)[:, None] for power in (2, -2)]
    reach = np.sqrt(np.maximum(1 - unit ** 2 - pieces.wide ** 2, 0) * short
                    + pieces.wide ** 2 * long)
    ends = [start + unit * at[:, None] for at in (pieces.near, pieces.far)]
    reaches = [(pieces.radius + pieces.slope * at)[:, None] * reach
               + more * np.sqrt(np.maximum(1 - unit ** 2, 0)) for at in (pieces.near, pieces.far)]
    low = np.minimum(*[end - r for end, r in zip(ends, reaches)])
    high = np.maximum(*[end + r for end, r in zip(ends, reaches)])
    first = np.maximum(np.ceil((low - SLACK) / spacing).astype(int), 0)
    last = np.minimum(np.floor((high + SLACK) / spacing).astype(int), shape - 1)
    some = np.flatnonzero((first <= last).all(1))
    size = np.minimum((last - first)[some] // 2 * 2 + 2, shape)
    return some, np.minimum(first[some], shape - size), size


def _inside(shape, pieces, *, first, box, spacing, edge):
    """Voxels of some pieces whose boxes are of one size; as of Found, the cover 1 without an edge.

    Args:
        first: int [N, 3], corner of each piece's box; box: int [3], its voxels along z, y, x.
    """
    place = [(first[:, axis, None] + np.arange(box[axis])) * spacing[axis]
             - pieces.start[:, axis, None] for axis in range(3)]
    along = _summed([p * pieces.unit[:, k, None] for k, p in enumerate(place)])
    across = _summed([p ** 2 for p in place]) - along ** 2
    each = (slice(None), None, None, None)
    if (pieces.stretch > 1).any():
        aside = _summed([p * pieces.wide[:, k, None] for k, p in enumerate(place)]) ** 2
        square = (pieces.stretch ** 2)[each]
        across = aside / square + (across - aside) * square
    r = along * pieces.slope[each]
    r += pieces.radius[each]
    beside = r + (edge / 2 * spacing.max() * pieces.stretch)[each] if edge else r
    near = across <= beside ** 2
    near &= (along >= (pieces.near - SLACK)[each]) & (along <= (pieces.far + SLACK)[each])
    which, z, y, x = np.nonzero(near)
    found = first[which] + np.stack([z, y, x], 1)
    index = (found[:, 0] * shape[1] + found[:, 1]) * shape[2] + found[:, 2]
    t = along[near] * pieces.scale[which]
    t[pieces.scale[which] == 0] = 1                      # a ball
    inside = across[near] <= r[near] ** 2
    cover = np.ones(len(which), np.float32)
    if edge:
        place = found * spacing - pieces.start[which]
        cover = _cover(place - along[near][:, None] * pieces.unit[which], r[near], edge=edge,
                       wide=pieces.wide[which], stretch=pieces.stretch[which], spacing=spacing)
    some = inside | (cover > 0)
    return (index[some], pieces.row[which][some], t.astype(np.float32)[some], cover[some],
            inside[some])


def _cover(across, radius, *, edge, wide, stretch, spacing):
    """Share of voxels that is covered, as of planes through the nearest and the furthest border.

    Args:
        across: float [M, 3], from the axis to the voxels; radius: float [M], there.
        edge: voxels; wide: float [M, 3] and stretch: float [M], as of _Pieces.

    Returns:
        float32 [M].
    """
    aside = (across * wide).sum(1, keepdims=True) * wide
    square = (stretch ** 2)[:, None]
    steep = (across - aside) * square + aside / square   # half of the gradient of the square of s
    s = np.sqrt(np.maximum((across * steep).sum(1), 0))
    length = np.sqrt((steep ** 2).sum(1))
    slope = np.where(s > SLACK, length / np.maximum(s, SLACK), stretch)
    unit = steep / np.maximum(length, SLACK)[:, None]
    width = edge * np.where(s > SLACK, np.sqrt(((unit * spacing) ** 2).sum(1)), spacing.min())
    near, far = [(radius + sign * s) / (slope * width) for sign in (-1, 1)]
    return (np.clip(0.5 + near, 0, 1) - np.clip(0.5 - far, 0, 1)).astype(np.float32)


def _summed(parts):
    """Sum of numbers for each z, each y and each x, float [N, z], [N, y], [N, x]; [N, z, y, x]."""
    z, y, x = parts
    return z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]


def label(shape, position, *, radius, parent, spacing=(1.0, 1.0, 1.0)):
    """Draw a tree as a mask; arguments as for voxels.

    Returns:
        bool [Z, Y, X].
    """
    mask = np.zeros(shape, bool)
    found = voxels(shape, position, radius=radius, parent=parent, spacing=spacing)
    mask.ravel()[found.index] = True
    return mask


# --- centrelines ---

def centreline(shape, position, *, parent):
    """Voxels that a tree's edges run through, in tree order, each once.

    Args:
        position: float [N, 3] in voxels of the grid; parent: int [N].

    Returns:
        int [M, 3], all inside the grid.
    """
    return centreline_rows(shape, position, parent=parent)[0]


def centreline_rows(shape, position, *, parent):
    """Voxels of centreline(), and the edge that each lies on.

    Returns:
        (line, row): int [M, 3]; int [M], the node whose edge to its parent a voxel was met on.
    """
    position, parent = np.asarray(position, float), np.asarray(parent)
    base = np.where(parent >= 0, parent, np.arange(len(parent)))     # a root: from itself
    offset = position - position[base]
    steps = np.where(parent >= 0, np.ceil(np.abs(offset).max(1)).astype(int) + 1, 0)
    which = np.repeat(np.arange(len(parent)), steps + 1)
    number = np.arange(len(which)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    share = number / np.maximum(steps[which], 1)
    points = np.round(position[base][which] + share[:, None] * offset[which]).astype(int)
    inside = ((points >= 0) & (points < shape)).all(1)
    points, which = points[inside], which[inside]
    once = np.sort(np.unique(np.ravel_multi_index(points.T, shape), return_index=True)[1])
    return points[once], which[once]
