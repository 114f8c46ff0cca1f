"""Crops of images for the critic: where they may be cut, which are held out, how they are shown."""
from typing import Any, List, NamedTuple, Tuple

import numpy as np

from utils.common.errors import UserError
from utils.train import augmentation

MEASURED = 100           # crops that the scale of a set is measured on


class Images(NamedTuple):
    """Patches that are at hand as an array; patches.PatchFile serves as well."""
    image: Any                   # grey levels [N, Z, Y, X], read patch by patch
    source: List[str]            # stack of each patch [N]
    origin: Any                  # int [N, 3], corner in its stack, voxels; all 0: not known

    @property
    def shape(self):
        """(z, y, x) voxels of a patch."""
        return tuple(self.image.shape[1:])


class View(NamedTuple):
    """How a critic sees a crop."""
    crop: Tuple[int, int, int]   # (z, y, x) voxels cut out of a patch
    sigma: float                 # voxels of Gaussian smoothing; 0: none
    thin: int                    # every so many-th voxel along each axis is seen
    quantile: float              # of a crop's deviations from its median that is the unit
    gain: float                  # asinh(gain * deviation) is seen
    noise: float                 # units: most noise that is added in training


VIEWS = {'texture': View((32, 32, 32), 0.0, 1, 0.5, 0.5, 0.25),
         'structure': View((32, 48, 48), 1.5, 2, 0.99, 4.0, 0.1)}
CONTRAST = 1.4           # largest factor on the deviations in training, and one over the smallest


class Regions(NamedTuple):
    """Parts of patches that crops may be cut from."""
    patch: Any                   # int [R]
    low: Any                     # int [R, 3], first corner of a crop, voxels of the patch
    room: Any                    # int [R, 3], corners to choose from along each axis, at least 1
    group: Any                   # int [R], equal for regions that are not independent

    def some(self, where):
        """The Regions of a mask or of indices."""
        return Regions(*[values[where] for values in self])

    def __len__(self):
        return len(self.patch)


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
    """Regions that are whole patches.

    Returns:
        (Regions, parity): a group is the block of the patch's centre; parity int [R], 0 or 1 in
        turn for the stacks by name.
    """
    names = sorted(set(images.source))
    centres = (np.asarray(images.origin) + np.array(images.shape) // 2) // block
    groups = {}
    rows = [(i, (0, 0, 0), tuple(n - c + 1 for n, c in zip(images.shape, crop)),
             groups.setdefault((name,) + tuple(centre), len(groups)))
            for i, (name, centre) in enumerate(zip(images.source, centres))]
    return _regions(rows), np.array([names.index(name) % 2 for name in images.source], int)


def _regions(rows):
    """Regions of tuples (patch, low, room, group)."""
    patch, low, room, group = zip(*rows) if rows else ((), (), (), ())
    return Regions(np.array(patch, int), np.array(low, int).reshape(-1, 3),
                   np.array(room, int).reshape(-1, 3), np.array(group, int))


def split(images, crop, *, block, blocks, swap=0):
    """Part a set into crops to learn from and crops held out.

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
            raise UserError('%s: too few blocks of %d voxels to part into two sets: give a smaller '
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
    if len(set(parity)) < 2:
        raise UserError('%s: all crops lie in one block of %d voxels or in one stack, so none can '
                        'be held out: give a smaller block, or more stacks' % (_name(images), block))
    return regions, parity


def _name(images):
    """What errors call a set."""
    return getattr(images, 'path', 'a set of images')


# --- crops ---

def draw(regions, count, *, rng):
    """Places of random crops: every corner of every region is as likely.

    Returns:
        (index of the region int [count], corner int [count, 3], voxels of the patch).
    """
    weight = regions.room.prod(1).astype(float)
    chosen = rng.choice(len(regions), count, p=weight / weight.sum())
    return chosen, regions.low[chosen] + (rng.random((count, 3)) * regions.room[chosen]).astype(int)


class Eye:
    """Shows crops of a set as a critic sees them: deviations from their median in units of the set.

    scale: grey levels that are one unit, at least 1 but for smoothed crops.
    """

    def __init__(self, side, view, *, rng):
        """Args: side: Side; view: View; rng: draws the crops of `train` that are measured."""
        self.images, self.view = side.images, view
        self.matrices = [_thinning(n, view) for n in view.crop]
        chosen, corners = draw(side.train, MEASURED, rng=rng)
        found = [self._deviation(i, corner)
                 for i, corner in zip(side.train.patch[chosen], corners)]
        if view.quantile == 0.5:                      # noise: median absolute deviation
            unit = 1.4826 * np.median([np.median(np.abs(d)) for d in found])
        else:                                         # contrast: how bright what is bright is
            unit = np.mean([np.quantile(d, view.quantile) for d in found])
        self.scale = np.float32(max(unit, 1.0))

    def _deviation(self, i, corner):
        """A crop of patch i less its median, float32, smoothed and thinned; grey levels."""
        box = tuple(slice(c, c + n) for c, n in zip(corner, self.view.crop))
        crop = self.images.image[i][box].astype(np.float32)
        if self.view.sigma or self.view.thin > 1:
            for axis, matrix in enumerate(self.matrices):
                crop = np.moveaxis(np.tensordot(matrix, crop, (1, axis)), 0, axis)
        return crop - np.median(crop)

    def crop(self, i, corner, *, rng=None):
        """A crop as the critic sees it, float32 [Z, Y, X].

        Args:
            i: patch; corner: (z, y, x) voxels in it.
            rng: None, or draws a turn, a contrast and noise, which are added in training.
        """
        seen = self._deviation(i, corner) / self.scale
        if rng is not None:
            seen, = augmentation.turn([seen], rng)
            seen = seen * np.float32(np.exp(rng.uniform(-1, 1) * np.log(CONTRAST)))
            noise = rng.standard_normal(seen.shape, dtype=np.float32)
            seen = seen + np.float32(rng.uniform(0, self.view.noise)) * noise
        return np.arcsinh(np.float32(self.view.gain) * seen)


def _thinning(n, view):
    """Gaussian smoothing and thinning along an axis of n voxels, as float32 [ceil(n / thin), n].

    Weights beyond the border fall on the voxels inside, so that each row sums to 1.
    """
    x = np.arange(n)
    rows = np.exp(-0.5 * ((x[::view.thin, None] - x) / max(view.sigma, 1e-3)) ** 2)
    return (rows / rows.sum(1, keepdims=True)).astype(np.float32)
