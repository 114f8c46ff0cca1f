"""What a folder of stacks holds, before anything is made of it: sizes, bits, neurites, somata."""
from typing import NamedTuple, Optional, Tuple

import numpy as np
from scipy import ndimage

from utils.common.errors import UserError
from utils.data import bounded, stacks
from utils.measure import background, glow, otsu
from utils.measure.quantiles import MAD

SOMA_RATIO = 3.0         # radius of a soma over the neurites', and ...
SOMA_RADIUS = 4.0        # ... x voxels of it, at least: as in configs/reconstruction.py
CORE = 0.8               # of its radius: deeper voxels are a soma's core
ROUND = 0.6              # longest standard deviation of a core over the radius; pyramids reach 0.5,
                         # tangles and bundles 1 and more
BRIGHT = 0.8             # of the neurites' level, on their centreline: haze is dimmer
CANDIDATES = 50          # thick places that are looked at, the thickest first


class Kind(NamedTuple):
    """A stack that can be read."""
    path: str
    shape: Tuple[int, int, int]      # (z, y, x) voxels
    bits: int                        # 8 or 16
    voxel_size: Optional[tuple]      # um (z, y, x); None: the file does not tell


class Look(NamedTuple):
    """What the middle of a stack shows, segmented as step 0 does."""
    name: str                        # of the stack
    share: float                     # of the voxels that are foreground
    specks: float                    # of what is above the threshold, voxels in objects too small
    contrast: float                  # median foreground above the background, in its noise levels
    density: float                   # voxels of centreline per isotropic voxel^3
    somata: int                      # balls much thicker than the neurites, and as bright
    crowded: bool = False            # whether its background is mostly light of the neurites (glow)


class Survey(NamedTuple):
    """A folder of stacks."""
    kinds: list                      # of Kind: the stacks that can be used
    bad: list                        # texts: what is wrong with the others
    looks: list                      # of Look


def survey(paths, settings, *, patch_shape, looked_at, looked_voxels, channel=0):
    """Open all stacks and look at some.

    Args:
        paths: of the stacks; settings: otsu.Settings of step 0.
        patch_shape: (z, y, x) voxels that a stack must have at least.
        looked_at: stacks that are measured; looked_voxels: of the middle of each.
        channel: of stacks with several.

    Returns:
        Survey. Stacks without foreground are among `bad` if they were looked at.

    Raises:
        UserError: no stack can be used; they are of unlike bits or voxel sizes.
    """
    chosen = {paths[int(i)] for i in np.linspace(0, len(paths) - 1, min(looked_at, len(paths)))}
    kinds, bad, looks = [], [], []
    for path in paths:
        try:
            with bounded.opened(path, channel=channel, smallest=patch_shape) as stack:
                kind = Kind(path, tuple(stack.voxels.shape), 8 * stack.voxels.dtype.itemsize,
                            stack.voxel_size and tuple(float(v) for v in stack.voxel_size))
                if path in chosen:
                    part = stack.voxels[bounded.middle(kind.shape, looked_voxels)]
                    looks.append(look(part, settings, spacing=stacks.spacing_of(kind.voxel_size),
                                      name=path))
        except UserError as error:
            bad.append(str(error))
            continue
        kinds.append(kind)
    if not looks:
        raise UserError(bad[0] if len(bad) == 1 else 'none of the stacks that were looked at can '
                        'be used (%d of %d): %s' % (len(bad), len(paths), bad[0]))
    _check_alike(kinds)
    return Survey(kinds, bad, looks)


def patches_in(kinds, patch_shape):
    """How many volumes of a patch stacks hold, float; kinds: list of Kind."""
    return float(sum(np.prod([float(n) for n in kind.shape]) for kind in kinds)
                 / np.prod([float(n) for n in patch_shape]))


def _check_alike(kinds):
    """Raise UserError for stacks of unlike bits or voxel sizes, which no step takes together."""
    first = kinds[0]
    for other in kinds[1:]:
        if other.bits != first.bits:
            raise UserError('%s has %d bits, %s has %d: convert them to one kind, or run each kind '
                            'apart' % (first.path, first.bits, other.path, other.bits))
        a, b = first.voxel_size, other.voxel_size
        if (a is None) != (b is None) or (a and not np.allclose(a, b, rtol=0.01)):
            raise UserError('%s has voxels of %s um, %s of %s: run each kind apart'
                            % (first.path, a or 'unknown size', other.path, b or 'unknown size'))


def look(voxels, settings, *, spacing, name):
    """Measure a stack, or a part of one.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; settings: otsu.Settings.
        spacing: (z, y, x) of a voxel, x voxels; name: path of the stack.

    Returns:
        Look.

    Raises:
        UserError: as otsu.segment.
    """
    found = otsu.segment(voxels, settings, name=name)
    flat = otsu.flat(voxels, settings)
    behind = flat[~(found.mask | found.specks)]
    level = float(np.median(behind))
    noise = max(MAD * float(np.median(np.abs(behind - level))), 1e-6)
    own = flat[found.mask]
    line = otsu.centreline(found.mask)
    above = found.mask.sum() + found.specks.sum()
    return Look(stacks.name_of(name), float(found.mask.mean()), float(found.specks.sum() / above),
                float((np.median(own) - level) / noise),
                float(len(line) / voxels.size / np.prod(spacing)),
                somata(found.mask, flat, spacing=spacing, line=line),
                crowded(voxels, found, spacing=spacing))


def crowded(voxels, found, *, spacing):
    """Whether there is glow in what is looked at of a stack; bool. Args: of glow.measure."""
    shine = glow.measure(voxels, found, outside=background.behind(voxels, found)[0],
                         spacing=spacing)
    return shine is not None and shine.explained >= glow.HOLDS


def somata(mask, flat, *, spacing, line):
    """How many somata a mask holds: round, thick against the neurites, as bright as they are.

    The border counts as outside. Bundles and tangles are thick, too, but long; haze is dim.

    Args:
        mask: bool [Z, Y, X]; flat: float32, grey levels above the background.
        spacing: (z, y, x) of a voxel, x voxels; line: int [M, 3], voxels of its centreline.
    """
    if not len(line):
        return 0
    level = float(np.median(flat[tuple(line.T)]))
    depth = ndimage.distance_transform_edt(np.pad(mask, 1, mode='constant'),
                                           sampling=spacing)[1:-1, 1:-1, 1:-1]
    wanted = max(SOMA_RATIO * float(np.median(depth[tuple(line.T)])), SOMA_RADIUS)
    rows = np.argwhere(depth >= wanted)
    rows = rows[np.argsort(-depth[tuple(rows.T)], kind='stable')]
    count = 0
    for _ in range(CANDIDATES):
        if not len(rows):
            break
        centre = rows[0]
        radius = float(depth[tuple(centre)])
        count += _is_soma(depth, centre, flat=flat, spacing=spacing, level=level)
        rows = rows[(((rows - centre) * spacing) ** 2).sum(1) > (2 * radius) ** 2]
    return int(count)


def _is_soma(depth, centre, *, flat, spacing, level):
    """Whether the thick place around a voxel is round and bright."""
    radius = float(depth[tuple(centre)])
    reach = np.ceil(4 * radius / np.asarray(spacing)).astype(int)        # a longer core is no ball
    box = tuple(slice(max(0, c - r), c + r + 1) for c, r in zip(centre, reach))
    cores, _ = ndimage.label(depth[box] >= CORE * radius)
    core = cores == cores[tuple(c - b.start for c, b in zip(centre, box))]
    points = np.argwhere(core) * spacing
    if len(points) < 2:
        return False
    longest = np.sqrt(np.linalg.eigvalsh(np.cov(points.T)).max())
    return bool(longest <= ROUND * radius and np.median(flat[box][core]) >= BRIGHT * level)
