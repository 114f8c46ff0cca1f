"""Crops of images for the critic: where they may be cut, and which are held out."""
from typing import Any, List, NamedTuple

import numpy as np

from utils.common.errors import UserError


class Images(NamedTuple):
    """Patches that are at hand as an array; patches.PatchFile serves as well."""
    image: Any                   # grey levels [N, Z, Y, X], read patch by patch
    source: List[str]            # stack of each patch [N]
    origin: Any                  # int [N, 3], corner in its stack, voxels; all 0: not known

    @property
    def shape(self):
        """(z, y, x) voxels of a patch."""
        return tuple(self.image.shape[1:])


class Regions(NamedTuple):
    """Parts of patches that crops may be cut from."""
    patch: Any                   # int [R]
    low: Any                     # int [R, 3], first corner of a crop, voxels of the patch
    room: Any                    # int [R, 3], corners to choose from along each axis, at least 1
    group: Any                   # int [R]; crops of unlike groups share no voxel

    def some(self, where):
        """The Regions of a mask or of indices."""
        return Regions(*[values[where] for values in self])


class Side(NamedTuple):
    """One of the two sets that a critic tells apart."""
    images: Any                  # Images or patches.PatchFile
    train: Regions
    test: Regions


# --- where crops are cut, and which are held out ---

def by_blocks(images, crop, *, block):
    """Regions in which crops lie wholly in one block of their stack.

    Args:
        images: Images; crop: (z, y, x) voxels; block: voxels per side of the blocks of a stack.

    Returns:
        (Regions, parity): a group is a block; parity int [R], 0 or 1, of a checkerboard of blocks.
    """
    rows, parity, groups = [], [], {}
    stacks = {name: i for i, name in enumerate(sorted(set(images.source)))}
    for i, (name, origin) in enumerate(zip(images.source, np.asarray(images.origin))):
        spans = [_spans(int(o), n, crop=c, block=block)
                 for o, n, c in zip(origin, images.shape, crop)]
        for z in spans[0]:
            for y in spans[1]:
                for x in spans[2]:
                    number, low, room = zip(z, y, x)
                    group = groups.setdefault((name,) + number, len(groups))
                    rows.append((i, low, room, group))
                    parity.append((sum(number) + stacks[name]) % 2)
    return _regions(rows), np.array(parity, int)


def _spans(origin, size, *, crop, block):
    """(block, first corner, number of corners) of the crops along one axis of a patch."""
    found = []
    for number in range(origin // block, (origin + size - 1) // block + 1):
        low = max(number * block - origin, 0)
        room = min((number + 1) * block - origin, size) - low - crop + 1
        if room > 0:
            found.append((number, low, room))
    return found


def by_sources(images, crop, *, block):
    """As by_blocks, parted by stacks. Where origins are not known, a group is a stack.

    Returns:
        (Regions, parity): parity int [R], 0 or 1 in turn for the stacks by name.
    """
    names = sorted(set(images.source))
    if np.any(np.asarray(images.origin)):
        regions, _ = by_blocks(images, crop, block=block)
    else:                                    # patches of a stack may share voxels
        room = tuple(n - c + 1 for n, c in zip(images.shape, crop))
        regions = _regions([(i, (0, 0, 0), room, names.index(name))
                            for i, name in enumerate(images.source)])
    return regions, np.array([names.index(images.source[i]) % 2 for i in regions.patch], int)


def _regions(rows):
    """Regions of tuples (patch, low, room, group)."""
    patch, low, room, group = zip(*rows) if rows else ((), (), (), ())
    return Regions(np.array(patch, int), np.array(low, int).reshape(-1, 3),
                   np.array(room, int).reshape(-1, 3), np.array(group, int))


def split(images, crop, *, block, blocks, swap=0):
    """Part a set into crops to learn from and crops held out, which share no voxel.

    Where PatchFile.placed is False, patches of unlike files may share voxels for all that is known.

    Args:
        images: Images; crop: (z, y, x) voxels; block: voxels, see by_blocks.
        blocks: True: by a checkerboard of blocks wherever origins are known; False: by stacks,
            or by blocks if there is but one.
        swap: 1: the two parts change places.

    Returns:
        Side.

    Raises:
        UserError: patches smaller than the crops; all are of one block or stack.
    """
    regions, parity = _parted(images, crop, block=block, blocks=blocks)
    return Side(images, regions.some(parity == swap), regions.some(parity != swap))


def halves(images, crop, *, block, rng):
    """Two sides of disjoint blocks of one set, for the floor of a critic.

    Returns:
        (Side, Side): all four parts have blocks (or stacks) of their own.

    Raises:
        UserError: as split; or there are less than four blocks.
    """
    regions, parity = _parted(images, crop, block=block, blocks=True)
    parts = []
    for which in (0, 1):
        here = regions.some(parity == which)
        groups = rng.permutation(np.unique(here.group))
        if len(groups) < 2:
            raise UserError('%s: too few blocks of %d voxels to part into two sets: take a smaller '
                            'block' % (_name(images), block))
        parts.append([here.some(np.isin(here.group, groups[i::2])) for i in (0, 1)])
    return tuple(Side(images, train, test) for train, test in zip(*parts))


def _parted(images, crop, *, block, blocks):
    """(Regions, parity) by blocks or by sources."""
    if any(n < c for n, c in zip(images.shape, crop)):
        raise UserError('%s: patches of %s are smaller than the crops of %s'
                        % (_name(images), images.shape, tuple(crop)))
    several = len(set(images.source)) > 1
    known = np.any(np.asarray(images.origin))
    by = by_blocks if known and (blocks or not several) else by_sources
    regions, parity = by(images, crop, block=block)
    if not len(parity):
        raise UserError('%s: no crop of %s lies in one block of %d voxels: take a larger block'
                        % (_name(images), tuple(crop), block))
    if len(set(parity)) < 2:
        raise UserError('%s: all crops lie in one block of %d voxels or in one stack, and none can '
                        'be held out: take a smaller block or more stacks' % (_name(images), block))
    return regions, parity


def _name(images):
    """What errors call a set."""
    return getattr(images, 'path', 'a set of images')


def draw(regions, count, *, rng):
    """Places of random crops: every corner of every region is as likely.

    Returns:
        (patch int [count], corner int [count, 3] in voxels of the patch, group int [count]).
    """
    weight = regions.room.prod(1)
    chosen = rng.choice(len(weight), count, p=weight / weight.sum())
    corner = regions.low[chosen] + rng.integers(regions.room[chosen])
    return regions.patch[chosen], corner, regions.group[chosen]
