"""What shines in the phantom: axons, autofluorescence, specks.

Light is float32 [Z, Y, X], grey levels before optics and camera.
"""
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

MARGIN = 2              # voxels of the coarse grid that are cut off on each side


def smooth_field(shape, sigma, *, rng):
    """Gaussian random field of zero mean and unit std over the volume.

    Args:
        sigma: (z, y, x) voxels of smoothing; wide ones are drawn on a coarser grid.

    Returns:
        float32 [Z, Y, X].
    """
    step = np.maximum(np.asarray(sigma, float) / 3, 1)
    coarse = np.ceil(np.asarray(shape) / step).astype(int) + 2 * MARGIN + 1
    noise = rng.standard_normal(tuple(coarse), dtype=np.float32)
    field = ndimage.gaussian_filter(noise, np.asarray(sigma) / step, mode='wrap')
    for axis in range(3):
        at = MARGIN + np.arange(shape[axis]) / step[axis]
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


def autofluorescence(stack, light, *, rng):
    """Textured background: several scales and a light sheet's stripes.

    Args:
        stack, light: settings.Stack and settings.Light.

    Returns:
        float32 [Z, Y, X], >= 0.
    """
    mean = rng.uniform(*light.background)
    texture = np.ones(stack.shape, np.float32)
    for sigma, std in zip(light.texture_sigma, light.texture_std):
        texture += std * smooth_field(stack.shape, sigma / np.asarray(stack.voxel_size), rng=rng)
    along_x = 1.0, 1.0, stack.shape[2]               # each slice is lit from the side, along x
    stripes = smooth_field(stack.shape, along_x, rng=rng)
    return mean * np.maximum(texture * (1 + light.stripe_std * stripes), 0)


def add_spots(image, voxel_size, *, count, sigma, level, rng):
    """Add Gaussian spots, in place, up to 3 sigma from their centres.

    Args:
        image: float32 [Z, Y, X]; voxel_size: (z, y, x) um; count: of spots.
        sigma: (low, high) um; level: (low, high) grey levels at the centre.
    """
    voxel_size = np.asarray(voxel_size)
    centres = rng.uniform(0, 1, (count, 3)) * image.shape * voxel_size
    sigmas, levels = rng.uniform(*sigma, count), rng.uniform(*level, count)
    reach = 3 * sigmas[:, None]
    first = np.maximum(np.ceil((centres - reach) / voxel_size), 0).astype(int)
    last = np.floor((centres + reach) / voxel_size)
    last = np.minimum(last, np.asarray(image.shape) - 1).astype(int)
    for i in np.flatnonzero((first <= last).all(1)):
        box = tuple(slice(a, b + 1) for a, b in zip(first[i], last[i]))
        axes = [np.arange(s.start, s.stop) * v - c for s, v, c in zip(box, voxel_size, centres[i])]
        z, y, x = [np.exp(-0.5 * (a / sigmas[i]) ** 2).astype(np.float32) for a in axes]
        image[box] += np.float32(levels[i]) * z[:, None, None] * y[:, None] * x
