"""Blocks of a volume that stand for all of it: evenly spread, the same for the same seed."""
import itertools

import numpy as np

# the numbers whose multiples fill a cube most evenly: powers of the root of g^4 = g + 1
SPREAD = 1.2207440846057596 ** -np.arange(1.0, 4.0)
TRIES = 40               # blocks that are looked at for each that is wanted, at most


def boxes(shape, block, *, seed=0):
    """All blocks of a volume, in an order in which the first of them are spread evenly.

    Args:
        shape, block: (z, y, x) voxels of the volume and of a block; blocks at the far faces are
            moved inwards, so that all are of full size where the volume is.
        seed: whole number; another one gives another order.

    Yields:
        slices (z, y, x).
    """
    counts = -(-np.array(shape) // np.minimum(block, shape))
    start, seen, k = np.random.default_rng(seed).random(3), set(), 0
    while len(seen) < counts.prod() and k < 30 * counts.prod():
        place = tuple(((start + k * SPREAD) % 1 * counts).astype(int).tolist())
        k += 1
        if place not in seen:
            seen.add(place)
            yield _box(place, shape, block=block)
    for place in np.ndindex(*counts):                        # what the spread has not met
        if place not in seen:
            yield _box(place, shape, block=block)


def _box(place, shape, *, block):
    """Slices of the block at a place of the grid."""
    return tuple(slice(max(0, min(p * b, n - b)), min(n, max(0, min(p * b, n - b)) + b))
                 for p, b, n in zip(place, block, shape))


def filled(volume, block, *, count, seed=0):
    """Blocks of a volume that are not empty.

    Args:
        volume: [Z, Y, X], sliced, with a shape; block: (z, y, x) voxels; seed: as boxes.
        count: of blocks that are wanted; fewer come where a volume has no more, or where TRIES
            times as many have been looked at.

    Yields:
        (slices z, y, x; voxels [Z, Y, X] of more than one grey level).
    """
    found = 0
    for box in itertools.islice(boxes(volume.shape, block, seed=seed), TRIES * count):
        voxels = volume[box]
        if voxels.min() < voxels.max():
            found += 1
            yield box, voxels
        if found == count:
            return
