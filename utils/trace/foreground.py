"""Foreground voxels as a sparse graph: memory follows the neurites, not the stack."""
import itertools
from collections import namedtuple

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from utils.common.errors import UserError
from utils.trace import graphs

OFFSETS = [o for o in itertools.product((-1, 0, 1), repeat=3) if o > (0, 0, 0)]  # one of each two

# voxels: int32 [N, 3]; depth: float [N], distance to the background, x voxels; p: float32 [N],
# evidence in (0, 1]; pairs: int32 [2, E], 26-neighbours, each once; steps: float32 [E], x voxels
# between them; component: int [N], number of the object
Foreground = namedtuple('Foreground', 'voxels depth p pairs steps component')


def foreground(evidence, spacing, *, low, high, min_object=1, most=0, name='stack'):
    """Voxels by hysteresis, their neighbours and their distance to the background.

    Args:
        evidence: uint8 [Z, Y, X], 255 for certain.
        spacing: (z, y, x) of a voxel, x voxels.
        low, high: in (0, 1]; objects of voxels of `low` are kept if one reaches `high`.
        min_object: voxels of the smallest object kept.
        most: voxels that may be foreground, a limit of memory; 0: any number.
        name: for error messages.

    Returns:
        Foreground.

    Raises:
        UserError: no foreground, no background, or more than `most`.
    """
    shape, spacing = np.array(evidence.shape), np.asarray(spacing, float)
    flat = evidence.reshape(-1)
    _check(flat, low=low, high=high, most=most, name=name)
    index = np.flatnonzero(flat >= level(low))
    voxels = np.stack(np.unravel_index(index, evidence.shape), 1).astype(np.int32)
    place = _padded(voxels, shape)
    pairs, numbers = _neighbours(place, shape)
    component = connected_components(
        graphs.matrix(pairs, np.ones(pairs.shape[1], np.int8), n=len(voxels)), directed=False)[1]
    best = np.zeros(component.max() + 1, np.uint8)
    np.maximum.at(best, component, flat[index])
    good = (best >= level(high)) & (np.bincount(component) >= min_object)
    if not good.any():
        raise UserError('%s has no object of MIN_OBJECT=%d voxels: lower it or leave the stack out'
                        % (name, min_object))
    keep = good[component]
    row = np.cumsum(keep, dtype=np.int32) - 1
    of_kept = keep[pairs[0]]
    pairs, numbers = row[pairs[:, of_kept]], numbers[of_kept]
    length = np.sqrt(((np.array(OFFSETS) * spacing) ** 2).sum(1)).astype(np.float32)
    voxels = voxels[keep]
    return Foreground(voxels, _depth(voxels, place[keep], shape=shape, spacing=spacing),
                      flat[index[keep]] / np.float32(255), pairs, length[numbers],
                      np.unique(component[keep], return_inverse=True)[1])


def _check(flat, *, low, high, most, name):
    """Raise UserError unless some, but not all, of the evidence [N] is foreground."""
    count = int(np.count_nonzero(flat >= level(low)))
    if count == 0 or flat.max() < level(high):
        raise UserError('%s has no foreground: nothing reaches %g (its maximum is %.2f): lower '
                        'HIGH or leave it out' % (name, high, flat.max() / 255))
    if count == len(flat):
        raise UserError('%s is all foreground: raise LOW, or give the stack another METHOD' % name)
    if most and count > most:
        raise UserError('%s has %d foreground voxels, %.0f %% of it, more than MAX_FOREGROUND=%d: '
                        'raise LOW or the threshold, cut the stack, or raise MAX_FOREGROUND '
                        '(about 0.5 GB a million)' % (name, count, 100 * count / len(flat), most))


def level(p):
    """The least uint8 evidence that counts as `p` of 1; never 0, which is no evidence."""
    return max(1, int(np.ceil(255 * p - 1e-6)))


def _padded(voxels, shape):
    """Index of voxels [N, 3] in the stack with a rim of one voxel; int64 [N].

    With the rim, neighbours never wrap around a face of the stack.
    """
    grown = np.asarray(shape, np.int64) + 2
    z, y, x = (voxels[:, axis].astype(np.int64) + 1 for axis in range(3))
    return (z * grown[1] + y) * grown[2] + x


def _find(place, target):
    """Rows of `target` in the sorted `place`; (row, found)."""
    row = np.searchsorted(place, target)
    row[row == len(place)] = 0
    return row, place[row] == target


def _neighbours(place, shape):
    """26-neighbours, each pair once: int32 [2, E] rows, and uint8 [E] number of the offset."""
    rows, columns, numbers = [], [], []
    for number, offset in enumerate(OFFSETS):
        step = int(np.diff(_padded(np.array([(0, 0, 0), offset]), shape))[0])
        row, found = _find(place, place + step)
        rows.append(np.flatnonzero(found).astype(np.int32))
        columns.append(row[found].astype(np.int32))
        numbers.append(np.full(len(rows[-1]), number, np.uint8))
    return np.stack([np.concatenate(rows), np.concatenate(columns)]), np.concatenate(numbers)


def _depth(voxels, place, *, shape, spacing):
    """Distance of foreground voxels to the nearest background voxel, x voxels; float [N].

    As scipy's distance_transform_edt gives it, without a volume of distances: the nearest
    background voxel shares a face with the foreground, so that only those are looked at. What
    lies outside the stack is unknown, and no background.
    """
    rim = []
    for axis in range(3):
        for side in (-1, 1):
            beside = voxels.copy()
            beside[:, axis] += side
            inside = (beside[:, axis] >= 0) & (beside[:, axis] < shape[axis])
            beside = beside[inside]
            rim.append(beside[~_find(place, _padded(beside, shape))[1]])
    rim = np.concatenate(rim)
    rim = rim[np.unique(_padded(rim, shape), return_index=True)[1]]
    return cKDTree(rim * spacing).query(voxels * spacing)[0]
