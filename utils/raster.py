"""From a tree to voxels: the union of balls (nodes) and truncated cones (edges), exact on any grid.

Work follows the neurite's volume: edges are cut into short pieces and only the box around a piece
is looked at. A voxel belongs to the neuron if its centre does.
"""
import numpy as np

PIECE = 12.0        # voxels of the finest axis; longer edges are cut, so that boxes stay slim


def label(shape, position, radius, parent, spacing=(1.0, 1.0, 1.0)):
    """Draw a tree (METHOD: a node is a ball, an edge the truncated cone between its two balls).

    Args:
        shape: (z, y, x) voxels of the result.
        position: float [N, 3], (z, y, x) in voxels of the result.
        radius: float [N], in units of `spacing` (with the default: voxels).
        parent: int [N], row of the parent or -1.
        spacing: (z, y, x) size of a voxel; distances are measured in these units.

    Returns:
        bool [Z, Y, X].
    """
    mask = np.zeros(shape, bool)
    spacing = np.asarray(spacing, float)
    points = np.asarray(position, float) * spacing
    radius = np.asarray(radius, float)
    for centre, r in zip(points, radius):
        _ball(mask, centre, r, spacing)
    for child in np.flatnonzero(np.asarray(parent) >= 0):
        _cone(mask, points[parent[child]], points[child], radius[parent[child]], radius[child], spacing)
    return mask


def balls(shape, centres, radii, spacing=(1.0, 1.0, 1.0)):
    """Yield (index, box, inside): the slices around each ball that meets the grid, and its voxels in them."""
    for i, (centre, r) in enumerate(zip(centres, radii)):
        box, grid = _box(shape, centre - r, centre + r, spacing)
        if box is not None:
            yield i, box, sum((axis - c) ** 2 for axis, c in zip(grid, centre)) <= r * r


def _box(shape, low, high, spacing):
    """Slices of the voxels whose centres lie in [low, high], and their open coordinate grid."""
    first = np.maximum(np.ceil(low / spacing), 0).astype(int)
    last = np.minimum(np.floor(high / spacing), np.asarray(shape) - 1).astype(int)
    if (last < first).any():
        return None, None
    box = tuple(slice(a, b + 1) for a, b in zip(first, last))
    return box, np.ogrid[box] if np.all(np.equal(spacing, 1)) else \
        [g * s for g, s in zip(np.ogrid[box], spacing)]


def _ball(mask, centre, r, spacing):
    box, grid = _box(mask.shape, centre - r, centre + r, spacing)
    if box is not None:
        mask[box] |= sum((axis - c) ** 2 for axis, c in zip(grid, centre)) <= r * r


def _cone(mask, start, end, r0, r1, spacing):
    """Mark points p with t = <p - start, axis> / length in [0, 1] and distance to the axis <= r0 + t (r1 - r0)."""
    axis = end - start
    length = float(np.sqrt((axis ** 2).sum()))
    if length == 0:
        return
    unit = axis / length
    steps = max(1, int(np.ceil(length / (PIECE * spacing.min()))))
    cuts = np.linspace(0.0, length, steps + 1)
    for a, b in zip(cuts[:-1], cuts[1:]):
        pa, pb = start + unit * a, start + unit * b
        ra, rb = r0 + (r1 - r0) * a / length, r0 + (r1 - r0) * b / length
        reach = np.sqrt(np.maximum(1 - unit ** 2, 0))        # a disc of radius r reaches r * reach along each axis
        low = np.minimum(pa - ra * reach, pb - rb * reach)
        high = np.maximum(pa + ra * reach, pb + rb * reach)
        box, grid = _box(mask.shape, low - 1e-9, high + 1e-9, spacing)
        if box is None:
            continue
        offset = [g - s for g, s in zip(grid, start)]
        along = sum(o * u for o, u in zip(offset, unit))     # distance along the axis from the start
        across = sum(o ** 2 for o in offset) - along ** 2    # squared distance to the axis
        r = r0 + (r1 - r0) * (along / length)
        mask[box] |= (along >= a - 1e-9) & (along <= b + 1e-9) & (across <= r * r)


def centreline(shape, position, parent):
    """Voxels that the edges run through, in tree order, each once.

    Args:
        position: float [N, 3] in voxels of the result; parent: int [N].

    Returns:
        int [M, 3], all inside the grid.
    """
    position = np.asarray(position, float)
    lines = [np.round(position[:1])]
    for child in np.flatnonzero(np.asarray(parent) >= 0):
        start, end = position[parent[child]], position[child]
        steps = int(np.ceil(np.abs(end - start).max())) + 1
        lines.append(np.round(start + np.linspace(0, 1, steps + 1)[:, None] * (end - start)))
    voxels = np.concatenate(lines).astype(int)
    voxels = voxels[((voxels >= 0) & (voxels < shape)).all(1)]
    _, first = np.unique(voxels, axis=0, return_index=True)
    return voxels[np.sort(first)]
