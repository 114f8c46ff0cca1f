"""Optics and camera of the phantom."""
import numpy as np
from scipy import ndimage

from utils.simulate.phantom.fluorescence import smooth_field


def illumination(stack, std, *, sigma, rng):
    """Uneven light, a factor on everything that shines.

    Args:
        stack: settings.Stack; std: of the factor's log; sigma: um over which it changes.

    Returns:
        float32 [Z, Y, X] > 0, about 1.
    """
    return np.exp(std * smooth_field(stack.shape, sigma / np.asarray(stack.voxel_size), rng=rng))


def point_spread(light, sigma, *, voxel_size):
    """Blur by a Gaussian; light: float32 [Z, Y, X]; sigma, voxel_size: (z, y, x) um."""
    return ndimage.gaussian_filter(light, np.asarray(sigma) / voxel_size, mode='nearest')


def read_out(light, gain, *, offset, read_noise, rng):
    """Photon noise, gain, offset and read noise.

    Args:
        light: float32 [Z, Y, X], mean grey levels; gain: grey levels per photon electron.
        offset, read_noise: grey levels.

    Returns:
        uint16 [Z, Y, X], clipped to [0, 65535].
    """
    image = gain * rng.poisson(np.maximum(light, 0) / gain) + offset
    image += read_noise * rng.standard_normal(light.shape)
    return np.clip(np.rint(image), 0, 65535).astype(np.uint16)
