"""Image formation of the drafts (METHOD, step 1): from labelled voxels to grey levels, one effect a function.

Light is float32 [Z, Y, X] in grey levels; `spacing` is the size of a voxel in isotropic voxels, (2, 1, 1) for the
paper's stacks. Work on the light follows the neurites' volume; the background and the camera are one pass over the
stack, some slices at a time, so that they stay in the processor's cache.
"""
from collections import namedtuple

import numpy as np
from scipy import ndimage, signal, special

from utils.simulate import raster

DEBRIS_RADIUS = (1, 2, 3, 4), (0.7, 0.25, 0.04, 0.01)     # isotropic voxels, probabilities
DEBRIS_LEVEL = 0.5, 1.5                                   # of the foreground's grey level
TRUNCATE = 4.0                                            # sigmas of the Gaussian blur
BLOCK = 16, 16, 16     # voxels of the blocks in which light is blurred
SLAB = 8                                                  # slices of a pass
TABLE = 4096, 8.0                                         # entries of a background's table, and standard deviations

# What makes a background that is not the paper's: components [(sigma in voxels (z, y, x), share of the variance)],
# fine (z, y, x): weight of the next voxel in the noise that has the rest of the variance, table float32 [4096]: grey
# level of a standard normal value from -4 to 4.
Texture = namedtuple('Texture', 'components fine table')


# --- light of the neurites ---

def stain(level, keep, *, rng):
    """Punctate staining with photon noise: each foreground voxel shines with probability `keep`.

    Args:
        level: float [M], grey level of each foreground voxel.

    Returns:
        float32 [M]: Poisson counts of mean `level` where the stain took, else 0.
    """
    lit = rng.random(len(level)) < keep
    light = np.zeros(len(level), np.float32)
    light[lit] = rng.poisson(level[lit])
    return light


def blur(light, at, *, sigma):
    """Gaussian point-spread function, only in blocks that hold light; uses up `light`.

    Args:
        light: float32 [Z, Y, X], zero but for the voxels `at` (int [M], into the flattened stack).
        sigma: (z, y, x) in voxels of the stack.

    Returns:
        list of (corner (z, y, x), float32 box): the blurred light is their sum, and nothing elsewhere.
    """
    halo = [int(TRUNCATE * s + 0.5) for s in sigma]
    blocks = _blocks_near(light.shape, at, halo=halo)
    if len(blocks) * np.prod([b + 2 * h for b, h in zip(BLOCK, halo)]) > 1.2 * light.size:
        ndimage.gaussian_filter(light, sigma, output=light, mode='constant', truncate=TRUNCATE)
        return [((0, 0, 0), light)]
    shape, block, halo = [np.array(a) for a in (light.shape, BLOCK, halo)]
    windows = np.zeros((len(blocks),) + tuple(block + 2 * halo), np.float32)       # beyond the border no light
    first, last = np.maximum(blocks - halo, 0), np.minimum(blocks + block + halo, shape)
    for window, low, a, b in zip(windows, blocks - halo, first, last):
        window[tuple(map(slice, a - low, b - low))] = light[tuple(map(slice, a, b))]
    # the filter as a matrix, one for each axis: many small boxes at once go faster through a product
    z, y, x = [ndimage.gaussian_filter1d(np.eye(b + 2 * h, dtype=np.float32), max(s, 1e-3), 0, mode='constant', truncate=TRUNCATE)
               [:, h:h + b] for b, h, s in zip(block, halo, sigma)]
    boxes = np.matmul(y.T, np.matmul(windows, x))
    boxes = np.matmul(z.T, boxes.reshape(len(blocks), len(z), -1)).reshape((-1,) + BLOCK)
    size = np.minimum(block, shape - blocks)
    return [(tuple(low), box[tuple(map(slice, n))]) for low, n, box in zip(blocks, size, boxes)]


def _blocks_near(shape, at, *, halo):
    """Corners int [N, 3] of the blocks that have one of the voxels within `halo`."""
    count = [-(-n // b) for n, b in zip(shape, BLOCK)]
    near = np.zeros(count, bool)
    place = np.unravel_index(at, shape)
    ends = [(np.maximum(p - h, 0) // b, np.minimum(p + h, n - 1) // b)
            for p, h, b, n in zip(place, halo, BLOCK, shape)]
    for z in ends[0]:
        for y in ends[1]:
            for x in ends[2]:
                near[z, y, x] = True
    return np.argwhere(near) * BLOCK


def convolve(light, kernel):
    """Measured point-spread function; kernel float [z, y, x] at the stack's voxel size, sum 1, odd sides.

    Returns:
        float32, as light; nothing shines in from beyond the border.
    """
    return np.maximum(signal.oaconvolve(light, kernel.astype(np.float32), mode='same'), 0).astype(np.float32)


def debris(shape, mask, *, radii, levels, spacing, rng):
    """Place bright balls outside the neuron: one that would touch it is put somewhere else.

    Args:
        mask: bool [Z, Y, X], the neuron; radii: float [N], isotropic voxels; levels: float [N], grey levels.

    Returns:
        (index, ball, level): int [M], voxels of the flattened stack; int [M], the ball each belongs to, in order; float
        [M], its grey level. Balls that find no place in ten tries or fall between voxels have no voxel.
    """
    waiting, found = np.arange(len(radii)), [(np.zeros(0, int), np.zeros(0, int))]
    for _ in range(10):
        if len(waiting) == 0:
            break
        n = len(waiting)
        centres = rng.uniform(0, 1, (n, 3)) * np.asarray(shape)
        index, row, _ = raster.voxels(shape, centres, radius=radii[waiting], parent=np.full(n, -1), spacing=spacing)
        touching = np.zeros(n, bool)
        touching[row[mask.ravel()[index]]] = True
        good = ~touching[row]
        found.append((index[good], waiting[row[good]]))
        waiting = waiting[touching]
    index, ball = [np.concatenate(parts) for parts in zip(*found)]
    order = np.argsort(ball, kind='stable')
    return index[order], ball[order], levels[ball[order]]


def blur_balls(shape, index, *, ball, level, sigma):
    """Blur debris, each ball on its own.

    Args:
        index, ball, level: of debris(); sigma: (z, y, x) voxels.

    Returns:
        list of (corner (z, y, x), float32 box), all inside the stack, as of blur().
    """
    boxes = []
    if len(index) == 0:
        return boxes
    halo = np.array([int(TRUNCATE * s + 0.5) for s in sigma])
    place = np.stack(np.unravel_index(index, shape), 1)
    begin = np.flatnonzero(np.r_[True, np.diff(ball) > 0])
    number = np.repeat(np.arange(len(begin)), np.diff(np.r_[begin, len(ball)]))
    low = np.minimum.reduceat(place, begin) - halo
    sizes, kind = np.unique(np.maximum.reduceat(place, begin) + halo + 1 - low, axis=0, return_inverse=True)
    first, last = np.maximum(low, 0), np.minimum(low + sizes[kind.ravel()], shape)
    for k, size in enumerate(sizes):
        members = np.flatnonzero(kind.ravel() == k)
        where = np.full(len(begin), -1)
        where[members] = np.arange(len(members))
        voxel = np.flatnonzero(where[number] >= 0)
        light = np.zeros((len(members),) + tuple(size), np.float32)
        light[(where[number[voxel]],) + tuple((place[voxel] - low[number[voxel]]).T)] = level[voxel]
        light = ndimage.gaussian_filter(light, (0,) + tuple(sigma), mode='constant', truncate=TRUNCATE)
        for box, m in zip(light, members):
            boxes.append((tuple(first[m]), box[tuple(map(slice, first[m] - low[m], last[m] - low[m]))]))
    return boxes


def add_light(slab, rows, *, boxes):
    """Add to some slices the light of the boxes that reach into them, in place.

    Args:
        slab: float32 [z, Y, X], the slices `rows`; boxes: list of (corner, box) in order of their corners' z.

    Returns:
        the boxes that end further below, for the next slab.
    """
    rest = []
    for k, (low, box) in enumerate(boxes):
        if low[0] >= rows.stop:
            return rest + boxes[k:]
        first, last = max(low[0], rows.start), min(low[0] + box.shape[0], rows.stop)
        if last > first:
            slab[first - rows.start:last - rows.start, low[1]:low[1] + box.shape[1],
                 low[2]:low[2] + box.shape[2]] += box[first - low[0]:last - low[0]]
        if low[0] + box.shape[0] > rows.stop:
            rest.append((low, box))
    return rest


# --- background ---

def spline_basis(n, sigma, *, rng):
    """Cubic B-splines whose random sum is a smooth Gaussian field of unit variance along one axis.

    Args:
        n: voxels; sigma: voxels, standard deviation of a spline; at least 0.6.

    Returns:
        float32 [n, splines]; rows have unit norm. The knots' phase is random.
    """
    knot = np.sqrt(3.0) * sigma                          # a cubic B-spline of unit knots has a variance of 1 / 3
    place = (np.arange(n) + knot * rng.random()) / knot
    distance = np.abs(place[:, None] - np.arange(-1, int(place[-1]) + 3))
    near = 2 / 3 - distance ** 2 + distance ** 3 / 2
    basis = np.where(distance < 1, near, np.clip(2 - distance, 0, None) ** 3 / 6)
    return (basis / np.sqrt((basis ** 2).sum(1, keepdims=True))).astype(np.float32)


def smooth_field(shape, components, *, rng):
    """Gaussian random field as a sum of independent smooth ones, slab by slab.

    Args:
        components: [(sigma (z, y, x) in voxels, share of the variance)].

    Yields:
        (slice of z, float32 [z, Y, X]); the variance of the whole is the sum of the shares.
    """
    columns, planes = [], []
    for sigma, share in components:
        z, y, x = [spline_basis(n, max(s, 0.6), rng=rng) for n, s in zip(shape, sigma)]
        coarse = rng.standard_normal((z.shape[1], y.shape[1], x.shape[1]), dtype=np.float32)
        coarse *= np.float32(np.sqrt(share))
        planes.append(np.matmul(y, np.matmul(coarse, x.T)).reshape(z.shape[1], -1))
        columns.append(z)
    column, plane = np.concatenate(columns, 1), np.concatenate(planes)
    for z0 in range(0, shape[0], SLAB):
        rows = slice(z0, min(z0 + SLAB, shape[0]))
        near = np.flatnonzero(column[rows].any(0))       # few splines reach into a slab
        yield rows, (column[rows][:, near] @ plane[near]).reshape((-1,) + tuple(shape[1:]))


def white(shape, mean, *, std, rng):
    """The paper's background: Gaussian, every voxel on its own. Yields (slice of z, float32 [z, Y, X])."""
    for z0 in range(0, shape[0], SLAB):
        rows = slice(z0, min(z0 + SLAB, shape[0]))
        noise = rng.standard_normal((rows.stop - z0,) + tuple(shape[1:]), dtype=np.float32)
        noise *= np.float32(std)
        noise += np.float32(mean)
        yield rows, noise


def textured(shape, texture, *, rng):
    """A background of a measured distribution and correlation: autofluorescence, uneven light and camera noise in one.

    A Gaussian field of the texture's correlation is sent through its table of grey levels.

    Yields:
        (slice of z, float32 [z, Y, X]) grey levels.
    """
    share = 1 - sum(s for _, s in texture.components)
    fields = smooth_field(shape, texture.components, rng=rng) if texture.components else None
    last = None                                          # two slices of noise that the next slab needs, too
    z, y, x = texture.fine
    gain = np.float32(np.sqrt(max(share, 0) / np.prod([1 + 2 * w * w for w in texture.fine])))
    entries, width = TABLE
    n = shape[0]
    for z0 in range(0, n, SLAB):
        rows = slice(z0, min(z0 + SLAB, n))
        depth = rows.stop - z0 + (2 if last is None else 0)         # slices z0 - 1 ... rows.stop, two of them kept
        fresh = rng.standard_normal((depth,) + tuple(shape[1:]), dtype=np.float32)
        for axis, w in ((1, y), (2, x)):
            fresh = _with_neighbours(fresh, axis, weight=w)
        noise = fresh if last is None else np.concatenate([last, fresh])
        last = noise[-2:].copy()
        field = noise[1:-1] + np.float32(z) * (noise[:-2] + noise[2:]) if z else noise[1:-1].copy()
        field *= gain
        if fields is not None:
            field += next(fields)[1]
        field *= np.float32(entries / width)
        field += np.float32(entries / 2)
        yield rows, np.take(texture.table, field.astype(np.int32), mode='clip')


def _with_neighbours(noise, axis, *, weight):
    """noise + weight * (both neighbours along an axis); beyond the border the stack goes on at its other end."""
    if not weight:
        return noise
    sides = np.roll(noise, 1, axis)
    sides += np.roll(noise, -1, axis)
    sides *= np.float32(weight)
    sides += noise
    return sides


def grey_table(probabilities, levels):
    """Table of a Texture from quantiles of the background's grey levels: normal value to grey level, float32 [4096]."""
    entries, width = TABLE
    value = (np.arange(entries) + 0.5 - entries / 2) * width / entries
    return np.interp(special.ndtr(value), probabilities, levels).astype(np.float32)


# --- optics and camera, on slabs ---

def illumination(shape, std, *, sigma, rng):
    """Uneven illumination: a smooth factor about 1, exp of a Gaussian field.

    Args:
        std: of its logarithm; sigma: (z, y, x) voxels over which it changes.

    Yields:
        (slice of z, float32 [z, Y, X]).
    """
    for rows, field in smooth_field(shape, [(sigma, 1.0)], rng=rng):
        yield rows, np.exp(np.float32(std) * field)


def attenuate(slab, rows, *, length):
    """Depth attenuation, in place: light falls by a factor of e over `length` slices below the first."""
    slab *= np.exp(-np.arange(rows.start, rows.stop, dtype=np.float32) / length)[:, None, None]


def photons(slab, gain, *, rng):
    """Photon noise: Poisson counts of light that makes `gain` grey levels a photon; float32."""
    return (gain * rng.poisson(np.maximum(slab, 0) / gain)).astype(np.float32)


def read_out(slab, offset, *, noise, saturation, rng):
    """Camera, in place: Gaussian read noise of std `noise`, `offset`, and no level above `saturation` (None: any)."""
    if noise:
        slab += rng.standard_normal(slab.shape, dtype=np.float32) * np.float32(noise)
    if offset:
        slab += np.float32(offset)
    if saturation is not None:
        np.minimum(slab, np.float32(saturation), out=slab)


def to_dtype(image, dtype):
    """Round and clip grey levels to uint8 or uint16; uses up `image`."""
    limits = np.iinfo(dtype)
    image += np.float32(0.5)
    np.clip(image, limits.min, limits.max + np.float32(0.5), out=image)
    return image.astype(dtype)                           # cuts off what is behind the point
