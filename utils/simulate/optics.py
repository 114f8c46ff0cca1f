"""Optics of the drafts: point-spread function, illumination, attenuation (docs/method.md, step 1).

Light is float32 [Z, Y, X] in grey levels. Blurred light comes as boxes, list of (corner (z, y, x),
float32 box): the blurred light is their sum, and nothing elsewhere, so that work follows the
neurites' volume. Sigmas are voxels of the stack (z, y, x).
"""
import numpy as np
from scipy import ndimage, signal

from utils.common.errors import UserError
from utils.data import stacks
from utils.simulate import background

TRUNCATE = 4.0          # sigmas at which the Gaussian ends
BLOCK = 16, 16, 16      # voxels of the blocks in which light is blurred
LARGEST_PSF = 65        # voxels a side of a measured point-spread function


# --- point-spread function ---

def read_psf(path):
    """Read a measured point-spread function; its light's centre becomes the kernel's.

    Returns:
        float [z, y, x], odd sides, sum 1; None for no path.

    Raises:
        UserError: as stacks.read, or if it is no small bright spot on a dark background.
    """
    if not path:
        return None
    kernel = stacks.read(path).voxels.astype(float)
    kernel -= min(kernel.min(), np.median(kernel))
    kernel = np.maximum(kernel, 0)
    if kernel.sum() > 0:
        middle = [int(round(c)) for c in ndimage.center_of_mass(kernel)]
        half = [min(c, n - 1 - c) for c, n in zip(middle, kernel.shape)]
        kernel = kernel[tuple(slice(c - h, c + h + 1) for c, h in zip(middle, half))]
    if max(kernel.shape) > LARGEST_PSF or kernel.sum() <= 0:
        raise UserError('%s is no point-spread function (%s voxels): crop it to at most %d voxels '
                        'a side, the spot in the middle'
                        % (path, ' x '.join(map(str, kernel.shape)), LARGEST_PSF))
    return kernel / kernel.sum()


def convolve(light, kernel):
    """Blur by a measured point-spread function; nothing shines in from beyond the border.

    Args:
        light: float32 [Z, Y, X]; kernel: float [z, y, x] on the stack's voxels, sum 1, odd sides.

    Returns:
        float32 [Z, Y, X].
    """
    seen = signal.oaconvolve(light, kernel.astype(np.float32), mode='same')
    return np.maximum(seen, 0).astype(np.float32)


def blur_of(settings, *, voxel_size, psf=None):
    """Sigma of the point-spread function along z, y, x; list of 3 floats, voxels.

    Args:
        settings: settings.Optics, resolved; voxel_size: um (z, y, x).
        psf: float [z, y, x], sum 1, instead of the Gaussian: the root of its second moments.
    """
    if psf is None:
        return [float(s / v) for s, v in zip(settings.psf_sigma, voxel_size)]
    sigma = []
    for axis, n in enumerate(psf.shape):
        share = psf.sum(tuple(other for other in range(3) if other != axis))
        place = np.arange(n) - (np.arange(n) * share).sum()
        sigma.append(float(np.sqrt((place ** 2 * share).sum())))
    return sigma


def blurs(settings, *, psf=None):
    """The Gaussians that the point-spread function is made of, or is about.

    Args:
        settings: settings.Settings, resolved; psf: as of blur_of.

    Returns:
        list of (share of the light, sigma in isotropic voxels, mean over the axes).
    """
    optics, size = settings.optics, settings.stack.voxel_size
    core = np.multiply(blur_of(optics, voxel_size=size, psf=psf), size) / size[2]
    share = optics.psf_wing_share
    if psf is not None or not share:
        return [(1.0, float(core.mean()))]
    wide = core * wing_times(optics)
    return [(1 - share, float(core.mean())), (share, float(wide.mean()))]


def wing_times(settings):
    """Sigma of the wings over the core's along z, y, x, float [3]; settings: settings.Optics."""
    return np.array([settings.psf_wing_depth] + 2 * [settings.psf_wing_width])


def _halo(sigma):
    """Voxels that the Gaussian reaches to each side; list of 3."""
    return [int(TRUNCATE * s + 0.5) for s in sigma]


def blur(light, at, *, sigma):
    """Gaussian point-spread function, only in blocks that hold light; uses up `light`.

    Args:
        light: float32 [Z, Y, X], zero but for the voxels `at` (int [M], into the flattened stack).

    Returns:
        boxes.
    """
    halo = _halo(sigma)
    blocks = _blocks_near(light.shape, at, halo=halo)
    if not len(blocks):
        return []
    if len(blocks) * np.prod([b + 2 * h for b, h in zip(BLOCK, halo)]) > 1.2 * light.size:
        ndimage.gaussian_filter(light, sigma, output=light, mode='constant', truncate=TRUNCATE)
        return [((0, 0, 0), light)]
    shape, block, halo = [np.array(a) for a in (light.shape, BLOCK, halo)]
    windows = np.zeros((len(blocks),) + tuple(block + 2 * halo), np.float32)     # dark outside
    first, last = np.maximum(blocks - halo, 0), np.minimum(blocks + block + halo, shape)
    for window, low, a, b in zip(windows, blocks - halo, first, last):
        window[tuple(map(slice, a - low, b - low))] = light[tuple(map(slice, a, b))]
    # the filter as a matrix an axis: many small boxes at once go faster through a product
    z, y, x = [_filter_matrix(b, h, sigma=s) for b, h, s in zip(block, halo, sigma)]
    boxes = np.matmul(y.T, np.matmul(windows, x))
    boxes = np.matmul(z.T, boxes.reshape(len(blocks), len(z), -1)).reshape((-1,) + BLOCK)
    size = np.minimum(block, shape - blocks)
    return [(tuple(low), box[tuple(map(slice, n))]) for low, n, box in zip(blocks, size, boxes)]


def _filter_matrix(block, halo, *, sigma):
    """Gaussian filter along an axis as a matrix; float32 [block + 2 halo, block]."""
    impulses = np.eye(block + 2 * halo, dtype=np.float32)
    seen = ndimage.gaussian_filter1d(impulses, max(sigma, 1e-3), 0, mode='constant',
                                     truncate=TRUNCATE)
    return seen[:, halo:halo + block]


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


def blur_balls(shape, balls, *, sigma):
    """Blur debris, each ball on its own.

    Args:
        shape: (z, y, x) voxels of the stack; balls: light.Balls.

    Returns:
        boxes, all inside the stack.
    """
    boxes = []
    if len(balls.index) == 0:
        return boxes
    halo = np.array(_halo(sigma))
    place = np.stack(np.unravel_index(balls.index, shape), 1)
    begin = np.flatnonzero(np.r_[True, np.diff(balls.ball) > 0])
    number = np.repeat(np.arange(len(begin)), np.diff(np.r_[begin, len(balls.ball)]))
    low = np.minimum.reduceat(place, begin) - halo
    sizes = np.maximum.reduceat(place, begin) + halo + 1 - low
    sizes, kind = np.unique(sizes, axis=0, return_inverse=True)
    kind = kind.ravel()
    first, last = np.maximum(low, 0), np.minimum(low + sizes[kind], shape)
    for k, size in enumerate(sizes):                     # balls of one size are filtered together
        members = np.flatnonzero(kind == k)
        where = np.full(len(begin), -1)
        where[members] = np.arange(len(members))
        voxel = np.flatnonzero(where[number] >= 0)
        light = np.zeros((len(members),) + tuple(size), np.float32)
        inside = (place[voxel] - low[number[voxel]]).T
        light[(where[number[voxel]],) + tuple(inside)] = balls.level[voxel]
        light = ndimage.gaussian_filter(light, (0,) + tuple(sigma), mode='constant',
                                        truncate=TRUNCATE)
        for box, m in zip(light, members):
            cut = tuple(map(slice, first[m] - low[m], last[m] - low[m]))
            boxes.append((tuple(first[m]), box[cut]))
    return boxes


def add_light(slab, rows, *, boxes):
    """Add to some slices the light of the boxes that reach into them, in place.

    Args:
        slab: float32 [z, Y, X], the slices `rows`; boxes: in order of their corners' z.

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


# --- what happens to the light of a slab ---

def illumination(shape, std, *, sigma, rng):
    """Uneven illumination: a smooth factor about 1, exp of a Gaussian field.

    Args:
        std: of its logarithm; sigma: voxels over which it changes.

    Yields:
        (slice of z, float32 [z, Y, X]).
    """
    for rows, field in background.smooth_field(shape, [(sigma, 1.0)], rng=rng):
        yield rows, np.exp(np.float32(std) * field)


def attenuate(slab, rows, *, length):
    """Depth attenuation, in place: light falls to 1/e over `length` slices below the first."""
    depth = np.arange(rows.start, rows.stop, dtype=np.float32)
    slab *= np.exp(-depth / length)[:, None, None]
