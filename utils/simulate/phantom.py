"""A phantom: stacks of unknown neurons as a microscope might give them, for a demo without real data.

The forward model is another and a richer one than the simulator's (wandering axons with boutons,
textured background, uneven light, photon statistics), so that the refiner has something to learn.
It stands in for real data where there is none; nothing measured on it is a result on real data.

Reads   configs/demo/phantom.py
Writes  OUTPUT/images/0001.tif ...          uint16, all that the pipeline may see
        OUTPUT/truth/labels/0001.tif ...    uint8 {0, 1}, for scoring only
        OUTPUT/truth/swc/0001_1.swc ...     one tree per neuron, coordinates in voxels of the stack
Run     python -m utils.simulate.phantom OUTPUT=data/demo/phantom     keeps finished stacks, redoes unfinished ones
"""
import os
import re
import sys
import time
from collections import namedtuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from utils.common import claims, config, errors, files
from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.simulate import directions, raster

MAY_CHANGE = ('N_STACKS', 'OVERWRITE', 'OUTPUT')               # may differ between runs into one folder
STEP = 1.0                                               # um between the nodes of an axon
TRIES = 1000                                             # axons begun before a volume counts as too small
MADE = (('images', r'\d{4}\.tif'), ('truth/labels', r'\d{4}\.tif'), ('truth/swc', r'\d{4}_\d+\.swc'))

# image: uint16 [Z, Y, X]; label: bool, same shape; trees: list of swc.Tree, positions in voxels, radii in um
Phantom = namedtuple('Phantom', 'image label trees')


# --- axons: positions and radii in um, (z, y, x), the first voxel's centre at 0 ---

def entry(extent, rng):
    """A point on a face of the volume, larger faces more often, and a direction within 60 degrees of inwards.

    Args:
        extent: float [3], um from the first to the last voxel's centre.

    Returns:
        (position [3] in um, unit vector [3]).
    """
    area = extent.prod() / extent
    axis = rng.choice(3, p=area / area.sum())
    side = rng.integers(2)
    position = rng.uniform(0, 1, 3) * extent
    position[axis] = side * extent[axis]
    inwards = np.eye(3)[axis] * (1 - 2 * side)
    return position, directions.tilt(inwards, rng.uniform(0, 60), azimuth=rng.uniform(0, 360))


def walk(start, direction, *, extent, length, tortuosity, bend_length, rng):
    """A smooth random walk: the bending, not the direction, is the noise, and it is correlated along the way.

    Args:
        start: [3] um; direction: unit vector [3]; extent: [3] um, the walk ends where it would leave.
        length: um, largest; tortuosity: rad per um, std of the bending; bend_length: um, its correlation.

    Returns:
        float [N, 3], um, STEP apart, without the start; N may be 0.
    """
    keep = np.exp(-STEP / bend_length)
    fresh = np.sqrt(1 - keep ** 2) * tortuosity
    position, bend, points = start, tortuosity * rng.standard_normal(3), []
    for _ in range(int(length / STEP)):
        bend = keep * bend + fresh * rng.standard_normal(3)
        direction = direction + STEP * bend
        direction = direction / np.linalg.norm(direction)
        position = position + STEP * direction
        if (position < 0).any() or (position > extent).any():
            break
        points.append(position)
    return np.array(points).reshape(-1, 3)


def along(n, length, *, rng):
    """Smooth Gaussian noise along n nodes, about zero mean and unit std; float [n], correlated over `length` um."""
    pad = int(4 * length / STEP)                         # so that both ends vary as much as the middle
    sigma = length / STEP / 2
    noise = ndimage.gaussian_filter1d(rng.standard_normal(n + 2 * pad), sigma)[pad:pad + n]
    return noise * np.sqrt(2 * np.sqrt(np.pi) * sigma)   # the filter leaves a variance of 1 / (2 sqrt(pi) sigma)


def boutons(n, spacing, *, swell, sigma, rng):
    """Factor on the radius of n nodes, float [n] in [1, swell[1]]: a bump of half-width `sigma` um at each bouton."""
    place, factor = np.arange(n) * STEP, np.ones(n)
    at = rng.uniform(0, spacing[1])
    while at < n * STEP:
        bump = (rng.uniform(*swell) - 1) * np.exp(-0.5 * ((place - at) / sigma) ** 2)
        factor = np.maximum(factor, 1 + bump)
        at += rng.uniform(*spacing)
    return factor


def branch(points, radius, *, cfg, rng):
    """Radius in um of each node of one unbranched piece: float [N], boutons included, never below RADIUS[0]."""
    n = len(points)
    smooth = radius * np.exp(cfg.RADIUS_WOBBLE * along(n, cfg.DRIFT_LENGTH, rng=rng))
    return np.clip(smooth, *cfg.RADIUS) * boutons(n, cfg.BOUTON_SPACING, swell=cfg.BOUTON_SWELL, sigma=cfg.BOUTON_SIGMA, rng=rng)


def axon(extent, cfg, *, rng):
    """Grow one axon that enters through a face, wanders until it leaves, and sends off daughters.

    Returns:
        (position float [N, 3] um, radius float [N] um, parent int [N], root first).

    Raises:
        UserError: if the volume is too small for MIN_LENGTH.
    """
    tortuosity = rng.uniform(*cfg.BENDING)
    for _ in range(TRIES):
        start, direction = entry(extent, rng)
        trunk = walk(start, direction, extent=extent, length=3 * extent.max(), tortuosity=tortuosity, bend_length=cfg.BEND_LENGTH, rng=rng)
        if len(trunk) * STEP >= cfg.MIN_LENGTH:
            break
    else:
        raise UserError('SHAPE=%s is too small for axons of MIN_LENGTH=%g um: make it larger or them shorter'
                               % (cfg.SHAPE, cfg.MIN_LENGTH))
    trunk = np.concatenate([start[None], trunk])
    thickness = rng.uniform(*cfg.RADIUS)
    position, radius = [trunk], [branch(trunk, thickness, cfg=cfg, rng=rng)]
    parent = [np.arange(-1, len(trunk) - 1)]
    total = len(trunk)
    at = rng.exponential(cfg.BRANCH_SPACING)
    while at < (len(trunk) - 2) * STEP:
        node = max(int(at / STEP), 1)
        ahead = (trunk[node + 1] - trunk[node]) / STEP
        towards = directions.tilt(ahead, rng.uniform(*cfg.BRANCH_ANGLE), azimuth=rng.uniform(0, 360))
        daughter = walk(trunk[node], towards, extent=extent, length=rng.uniform(*cfg.DAUGHTER_LENGTH), tortuosity=tortuosity,
                        bend_length=cfg.BEND_LENGTH, rng=rng)
        if len(daughter) * STEP >= cfg.DAUGHTER_LENGTH[0] / 2:       # a stub at the border is no branch
            position.append(daughter)
            radius.append(branch(daughter, thickness * cfg.DAUGHTER_RADIUS, cfg=cfg, rng=rng))
            parent.append(np.r_[node, total + np.arange(len(daughter) - 1)])
            total += len(daughter)
        at += rng.exponential(cfg.BRANCH_SPACING)
    return np.concatenate(position), np.concatenate(radius), np.concatenate(parent)


# --- fluorescence: float32 [Z, Y, X] in grey levels, before optics and camera ---

def smooth_field(shape, sigma, *, rng):
    """Gaussian random field of zero mean and unit std over the volume; float32 [Z, Y, X].

    Args:
        sigma: (z, y, x) voxels of smoothing; wide ones are drawn on a coarser grid and interpolated.
    """
    step = np.maximum(np.asarray(sigma, float) / 3, 1)
    margin = 2                                           # coarse voxels cut off on each side
    coarse = np.ceil(np.asarray(shape) / step).astype(int) + 2 * margin + 1
    noise = rng.standard_normal(tuple(coarse), dtype=np.float32)
    field = ndimage.gaussian_filter(noise, np.asarray(sigma) / step, mode='wrap')
    for axis in range(3):
        at = margin + np.arange(shape[axis]) / step[axis]
        low = at.astype(int)
        weight = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        field = field.take(low, axis) * (1 - weight) + field.take(low + 1, axis) * weight
    field -= field.mean()
    return field / max(float(field.std()), 1e-6)


def axon_light(mask, points, *, level):
    """Brightness inside an axon: each voxel takes that of the nearest node.

    Args:
        mask: bool [Z, Y, X]; points: float [N, 3], nodes in voxels; level: float [N], grey levels.

    Returns:
        float32 [M], grey levels of the mask's voxels in C order.
    """
    _, nearest = cKDTree(points).query(np.argwhere(mask))
    return level[nearest].astype(np.float32)


def autofluorescence(shape, voxel_size, *, mean, sigmas, stds, stripe_std, rng):
    """Textured background, float32 [Z, Y, X] >= 0 in grey levels: several scales and a light sheet's stripes.

    Args:
        mean: grey levels; sigmas: um per scale; stds: relative std per scale; stripe_std: relative.
    """
    texture = np.ones(shape, np.float32)
    for sigma, std in zip(sigmas, stds):
        texture += std * smooth_field(shape, sigma / np.asarray(voxel_size), rng=rng)
    stripes = smooth_field(shape, (1.0, 1.0, shape[2]), rng=rng)         # each slice is lit from the side, along x
    return mean * np.maximum(texture * (1 + stripe_std * stripes), 0)


def _boxes(shape, centres, *, radii, spacing):
    """Yield (index, box): the slices around each ball that meets the grid; centres and radii in units of `spacing`."""
    reach = np.reshape(radii, (-1, 1))
    first = np.maximum(np.ceil((centres - reach) / spacing), 0).astype(int)
    last = np.minimum(np.floor((centres + reach) / spacing), np.asarray(shape) - 1).astype(int)
    for i in np.flatnonzero((first <= last).all(1)):
        yield i, tuple(slice(a, b + 1) for a, b in zip(first[i], last[i]))


def add_blobs(image, voxel_size, *, count, sigma, level, rng):
    """Add `count` Gaussian blobs in place: sigma (low, high) um, level (low, high) grey levels at the centre."""
    voxel_size = np.asarray(voxel_size)
    centres = rng.uniform(0, 1, (count, 3)) * image.shape * voxel_size
    sigmas, levels = rng.uniform(*sigma, count), rng.uniform(*level, count)
    for i, box in _boxes(image.shape, centres, radii=3 * sigmas, spacing=voxel_size):
        axes = [np.arange(s.start, s.stop) * v - c for s, v, c in zip(box, voxel_size, centres[i])]
        z, y, x = [np.exp(-0.5 * (a / sigmas[i]) ** 2).astype(np.float32) for a in axes]
        image[box] += np.float32(levels[i]) * z[:, None, None] * y[:, None] * x


# --- optics and camera ---

def illumination(shape, voxel_size, *, std, sigma, rng):
    """Uneven light, a factor on everything that shines: float32 [Z, Y, X] > 0, about 1; sigma um, std of its log."""
    return np.exp(std * smooth_field(shape, sigma / np.asarray(voxel_size), rng=rng))


def point_spread(light, sigma, *, voxel_size):
    """Blur by a Gaussian that is longer in z; sigma (z, y, x) um."""
    return ndimage.gaussian_filter(light, np.asarray(sigma) / voxel_size, mode='nearest')


def camera(light, gain, *, offset, read_noise, rng):
    """Photon noise, gain, offset and read noise.

    Args:
        light: float32 [Z, Y, X], mean grey levels of the signal; gain: grey levels per photon electron.
        offset, read_noise: grey levels.

    Returns:
        uint16 [Z, Y, X], clipped to [0, 65535].
    """
    image = gain * rng.poisson(np.maximum(light, 0) / gain) + offset
    image += read_noise * rng.standard_normal(light.shape)
    return np.clip(np.rint(image), 0, 65535).astype(np.uint16)


# --- one stack ---

def render(cfg, rng):
    """Make one stack from the constants of configs/demo/phantom.py; returns a Phantom."""
    voxel_size = np.array(cfg.VOXEL_SIZE)
    extent = (np.array(cfg.SHAPE) - 1) * voxel_size
    crowd = np.prod(cfg.SHAPE) / (64 * 160 * 160)        # counts of specks are per stack of the default shape
    light = autofluorescence(cfg.SHAPE, voxel_size, mean=rng.uniform(*cfg.BACKGROUND), sigmas=cfg.TEXTURE_SIGMA,
                             stds=cfg.TEXTURE_STD, stripe_std=cfg.STRIPE_STD, rng=rng)
    add_blobs(light, voxel_size, count=int(round(cfg.GRAINS * crowd)), sigma=cfg.GRAIN_SIGMA, level=cfg.GRAIN_LEVEL, rng=rng)
    add_blobs(light, voxel_size, count=int(round(cfg.BLOBS * crowd)), sigma=cfg.BLOB_SIGMA, level=cfg.BLOB_LEVEL, rng=rng)
    neurites, trees = np.zeros(cfg.SHAPE, np.float32), []
    for _ in range(rng.integers(cfg.N_AXONS[0], cfg.N_AXONS[1] + 1)):
        points, radius, parent = axon(extent, cfg, rng=rng)
        position = points / voxel_size
        mask = raster.label(cfg.SHAPE, position, radius=radius, parent=parent, spacing=voxel_size)
        level = np.exp(rng.uniform(*np.log(cfg.LEVEL)) + cfg.LEVEL_DRIFT * along(len(points), cfg.DRIFT_LENGTH, rng=rng))
        neurites[mask] = np.maximum(neurites[mask], axon_light(mask, position, level=level))
        trees.append(swc.Tree(np.full(len(parent), swc.AXON), position, radius, parent))
    light += neurites
    light *= illumination(cfg.SHAPE, voxel_size, std=cfg.ILLUMINATION_STD, sigma=cfg.ILLUMINATION_SIGMA, rng=rng)
    image = camera(point_spread(light, cfg.PSF_SIGMA, voxel_size=voxel_size), cfg.GAIN, offset=cfg.OFFSET, read_noise=cfg.READ_NOISE, rng=rng)
    return Phantom(image, neurites > 0, trees)


# --- files ---

def check(cfg):
    """Raise UserError if constants cannot make a stack."""
    if cfg.N_STACKS < 1 or cfg.SEED < 0:
        raise UserError('N_STACKS=%d, SEED=%d: want at least one stack and no negative seed'
                               % (cfg.N_STACKS, cfg.SEED))
    if min(cfg.SHAPE) < 16 or min(cfg.VOXEL_SIZE) <= 0:
        raise UserError('SHAPE=%s, VOXEL_SIZE=%s: want 16 voxels or more along each axis, of a size above 0'
                               % (cfg.SHAPE, cfg.VOXEL_SIZE))
    for name, value in sorted(vars(cfg).items()):
        if isinstance(value, tuple) and len(value) == 2 and (value[0] > value[1] or value[0] < 0):
            raise UserError('%s=%s: want (low, high), neither negative' % (name, value))
    positive = 'BEND_LENGTH BRANCH_SPACING BOUTON_SIGMA DRIFT_LENGTH ILLUMINATION_SIGMA GAIN'.split()
    for name in positive:
        if getattr(cfg, name) <= 0:
            raise UserError('%s=%g: want a number above 0' % (name, getattr(cfg, name)))
    if cfg.LEVEL[0] <= 0 or cfg.BOUTON_SPACING[0] <= 0:
        raise UserError('LEVEL=%s, BOUTON_SPACING=%s: want both above 0' % (cfg.LEVEL, cfg.BOUTON_SPACING))
    diagonal = float(np.linalg.norm(cfg.VOXEL_SIZE)) / 2
    if cfg.RADIUS[0] < diagonal:
        raise UserError('RADIUS=%s: want at least half a voxel diagonal, %.2f um, or axons break up in the label'
                               % (cfg.RADIUS, diagonal))
    axon((np.array(cfg.SHAPE) - 1) * cfg.VOXEL_SIZE, cfg, rng=np.random.default_rng(0))      # one must fit; thrown away


def stale(cfg):
    """True if OUTPUT was made with other settings; such stacks must not pass for finished ones."""
    path = os.path.join(cfg.OUTPUT, 'config.json')
    if not os.path.exists(path):
        return False
    before, now = files.read_json(path), files.from_json(files.to_json(vars(cfg)))
    return any(before.get(name) != now.get(name) for name in (set(before) | set(now)) - set(MAY_CHANGE))


def clear(output, stack=None):
    """Remove what an earlier run made, images first: of one stack, or of all (stack=None)."""
    for folder, pattern in MADE:
        folder = os.path.join(output, folder)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if re.match(pattern + '$', name) and (stack is None or name[:4] == stack):
                os.remove(os.path.join(folder, name))


def write(output, stack, *, phantom, voxel_size):
    """Write one stack, the image last: an image on disk means a finished stack."""
    clear(output, stack)
    for k, tree in enumerate(phantom.trees, 1):
        swc.write(os.path.join(output, 'truth', 'swc', '%s_%d.swc' % (stack, k)), tree,
                  comment='phantom %s, neuron %d; x y z in voxels of %s um (z, y, x), radius in um' % (stack, k, voxel_size))
    stacks.write(os.path.join(output, 'truth', 'labels', stack + '.tif'), phantom.label.astype(np.uint8),
                 voxel_size=voxel_size, compress=True)
    stacks.write(os.path.join(output, 'images', stack + '.tif'), phantom.image, voxel_size=voxel_size)


def main():
    cfg = config.load('configs/demo/phantom.py', sys.argv[1:], description=__doc__)
    check(cfg)
    begun, made = time.time(), 0
    if cfg.OVERWRITE and stale(cfg):
        clear(cfg.OUTPUT)                                # before the claim, so that a kill in between is harmless
    claims.claim(cfg.OUTPUT, vars(cfg), may_change=MAY_CHANGE, overwrite=cfg.OVERWRITE)
    for i, seed in enumerate(np.random.SeedSequence(cfg.SEED).spawn(cfg.N_STACKS)):
        stack = '%04d' % (i + 1)
        path = os.path.join(cfg.OUTPUT, 'images', stack + '.tif')
        if os.path.exists(path):
            print('%s: kept' % path)
            continue
        phantom = render(cfg, np.random.default_rng(seed))
        write(cfg.OUTPUT, stack, phantom=phantom, voxel_size=cfg.VOXEL_SIZE)
        made += 1
        print('%s: %d neurons, %.1f%% of the voxels, grey levels %d (median) to %d (99.9%%)'
              % (path, len(phantom.trees), 100 * phantom.label.mean(), np.median(phantom.image),
                 np.percentile(phantom.image, 99.9)))
    print('%d phantom stacks made, %d kept, in %.1f s: %s'
          % (made, cfg.N_STACKS - made, time.time() - begun, os.path.join(cfg.OUTPUT, 'images')))


if __name__ == '__main__':
    errors.run(main)
