"""Random changes of training crops, so that a network serves stacks of unlike brightness.

Grey levels are deviations from the background in noise levels (normalisation.deviation), float32
[Z, Y, X]. Each effect draws its strength anew for each crop (docs/segmentation.md).
"""
from typing import NamedTuple, Tuple

import numpy as np
from scipy import ndimage

PUNCTA_SHARE = 0.75             # of the crops get puncta
HALF = 0.5                      # of the crops get haze, blur, a lower signal-to-noise ratio, noise
PUNCTA_SIGMAS = (0.8, 1.2, 1.7)       # voxels, a third of the puncta each
PUNCTA_PEAK = 8                 # noise levels of the brightest; the dimmest has 1
HAZE_SIGMA = (3, 6)             # voxels
GAMMA_FIXED = np.float32(10.0)  # noise levels that gamma leaves as they are
SMOOTH_NOISE_SIGMA = 1.0        # voxels


class Strength(NamedTuple):
    """How far each effect may go; 0, or (1, 1) of a range, switches it off."""
    puncta: float                   # granules that are no neurites, most in 32 x 32 x 32 voxels
    haze: float                     # light from out of focus, most, times the crop's own light
    blur: float                     # voxels, largest sigma
    snr: Tuple[float, float]        # factor on the signal-to-noise ratio, log-uniform, at most 1
    contrast: Tuple[float, float]   # factor on the deviation, log-uniform
    gamma: float                    # largest logarithm of the exponent, either way
    offset: float                   # noise levels, largest, either way
    noise: float                    # noise levels, largest standard deviation


def turn(arrays, rng):
    """Mirror along any axis, turn by 90 degrees in plane (180 where it is not square), all alike.

    Args:
        arrays: list of [Z, Y, X] of one shape.
    """
    shape = arrays[0].shape
    flips = tuple(slice(None, None, -1 if flip else 1) for flip in rng.integers(2, size=3))
    square = shape[1] == shape[2]
    turns = int(rng.integers(4)) if square else 2 * int(rng.integers(2))
    return [np.rot90(a[flips], turns, (1, 2)) for a in arrays]


def change_grey(deviation, strength, *, rng):
    """Change the grey levels of a crop by every effect, in this order.

    Args:
        deviation: float32 [Z, Y, X], noise levels; strength: Strength.

    Returns:
        float32, same shape.
    """
    deviation = add_puncta(deviation, strength.puncta, rng=rng)
    deviation = add_haze(deviation, strength.haze, rng=rng)
    deviation = blur(deviation, strength.blur, rng=rng)
    deviation = lower_snr(deviation, strength.snr, rng=rng)
    deviation = scale_contrast(deviation, strength.contrast, rng=rng)
    deviation = bend_grey(deviation, strength.gamma, rng=rng)
    deviation = shift(deviation, strength.offset, rng=rng)
    return add_noise(deviation, strength.noise, rng=rng)


def puncta(shape, most, *, rng):
    """Light of granules (autofluorescence, debris): Gaussian dots, their peaks log-uniform.

    Args:
        shape: (z, y, x); most: dots in 32^3 voxels; their mean number is uniform in [0, most].

    Returns:
        float32 of that shape, noise levels.
    """
    light, mean = np.zeros(shape, np.float32), rng.uniform(0, most) * np.prod(shape) / 32 ** 3
    for sigma in PUNCTA_SIGMAS:
        count = rng.poisson(mean / len(PUNCTA_SIGMAS))
        peak = np.exp(rng.uniform(0, np.log(PUNCTA_PEAK), count))
        total = peak * (2 * np.pi * sigma ** 2) ** 1.5           # sum of a dot with that peak
        dots = np.zeros(shape, np.float32)
        np.add.at(dots, tuple(rng.integers(n, size=count) for n in shape), total.astype(np.float32))
        light += ndimage.gaussian_filter(dots, sigma, mode='constant')
    return light


def add_puncta(deviation, most, *, rng):
    """Add puncta() to PUNCTA_SHARE of the crops."""
    if most and rng.random() < PUNCTA_SHARE:
        deviation = deviation + puncta(deviation.shape, most, rng=rng)
    return deviation


def add_haze(deviation, most, *, rng):
    """Add the crop's own light, blurred by HAZE_SIGMA, up to `most` times, to half of the crops."""
    if most and rng.random() < HALF:
        spread = ndimage.gaussian_filter(np.maximum(deviation, 0), rng.uniform(*HAZE_SIGMA))
        deviation = deviation + np.float32(rng.uniform(0, most)) * spread
    return deviation


def blur(deviation, largest, *, rng):
    """Blur half of the crops, sigma uniform up to `largest` voxels."""
    if largest and rng.random() < HALF:
        deviation = ndimage.gaussian_filter(deviation, rng.uniform(0, largest))
    return deviation


def lower_snr(deviation, factors, *, rng):
    """Lower the signal-to-noise ratio of half of the crops.

    A stack is normalised by its noise, so a worse one has less signal in the same noise: the crop
    is scaled by s, and white noise of sqrt(1 - s^2) makes up for the noise that s took.

    Args:
        factors: (low, high) of s, log-uniform, at most 1.
    """
    low, high = factors
    if low < 1 and rng.random() < HALF:
        share = np.exp(rng.uniform(np.log(low), np.log(high)))
        lost = rng.standard_normal(deviation.shape, dtype=np.float32)
        deviation = deviation * np.float32(share) + lost * np.float32(np.sqrt(1 - share ** 2))
    return deviation


def scale_contrast(deviation, factors, *, rng):
    """Scale a crop by a factor between the two, log-uniform."""
    low, high = factors
    return deviation * np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def bend_grey(deviation, largest, *, rng):
    """sign(d) |d / GAMMA_FIXED|^p GAMMA_FIXED, with log p uniform in +- `largest`."""
    if largest:
        power = np.float32(np.exp(rng.uniform(-largest, largest)))
        size = np.abs(deviation / GAMMA_FIXED) ** power
        deviation = np.sign(deviation) * size * GAMMA_FIXED
    return deviation


def shift(deviation, largest, *, rng):
    """Add one offset, uniform in +- `largest` noise levels."""
    if largest:
        deviation = deviation + np.float32(rng.uniform(-largest, largest))
    return deviation


def add_noise(deviation, largest, *, rng):
    """Add noise, std uniform up to `largest` noise levels, to half of the crops.

    Half of the noise is white, half is smooth over SMOOTH_NOISE_SIGMA.
    """
    if largest and rng.random() < HALF:
        grain = rng.standard_normal(deviation.shape, dtype=np.float32)
        if rng.random() < HALF:
            grain = ndimage.gaussian_filter(grain, SMOOTH_NOISE_SIGMA)
            grain /= max(float(grain.std()), 1e-6)
        deviation = deviation + grain * np.float32(rng.uniform(0, largest))
    return deviation
