"""Intensities for the segmentation network, and their augmentation, so that it generalises across brightness."""
from collections import namedtuple

import numpy as np
from scipy import ndimage

# level: grey level that is 0; scale: grey levels that are 1
Scale = namedtuple('Scale', 'level scale')


def measure(voxels):
    """What a whole stack is normalised by.

    Level is its median, scale the noise between neighbouring voxels along x (normal, from the median absolute difference):
    neither asks how many neurites there are or how bright, and neither changes where a stack is cut into tiles, since
    both are taken once per stack, on every voxel of up to 64 slices.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].

    Returns:
        Scale, grey levels. An even image has a scale of 1.
    """
    some = voxels[:: 1 + (len(voxels) - 1) // 64]
    grey, step = np.zeros((2, 65536), np.int64)           # histograms, slice by slice: no second stack is held
    for plane in some:
        grey += np.bincount(plane.ravel(), minlength=65536)
        step += np.bincount(np.abs(np.diff(plane.astype(np.int32), axis=1)).ravel(), minlength=65536)
    noise = 1.4826 * _median(step) / np.sqrt(2) if step.any() else 0.0
    return Scale(_median(grey), max(noise, 1.0))


def _median(counts):
    """Median of whole numbers of which there are counts[0] zeros, counts[1] ones and so on."""
    below, n = np.cumsum(counts), int(counts.sum())
    return float(np.searchsorted(below, [(n - 1) // 2, n // 2], 'right').mean())


def normalise(voxels, scale):
    """Grey levels to what the network sees: asinh((v - level) / (SOFT * scale)), which is linear in the noise and the
    dim neurites and logarithmic in the bright ones; float32."""
    return compress((voxels.astype(np.float32) - np.float32(scale.level)) / np.float32(scale.scale))


SOFT = 4.0              # noise levels up to which intensities stay about linear


def compress(deviation):
    """asinh of deviations from the background, in noise levels; float32."""
    return np.arcsinh(deviation * np.float32(1 / SOFT))


def turn(arrays, rng):
    """The same mirroring along any axis and turn by 90 degrees in plane (180 where it is not square) for all arrays."""
    shape = arrays[0].shape
    flips = tuple(slice(None, None, -1 if flip else 1) for flip in rng.integers(2, size=3))
    turns = int(rng.integers(4)) if shape[1] == shape[2] else 2 * int(rng.integers(2))
    return [np.rot90(a[flips], turns, (1, 2)) for a in arrays]


def puncta(shape, most, *, rng):
    """Light of granules that are no neurites (autofluorescence, debris): Gaussian dots, 0.8 to 1.7 voxels wide, 1 to 8 noise
    levels bright, log-uniform; up to `most` in 32^3 voxels, uniform. float32 of a shape (z, y, x)."""
    light, share = np.zeros(shape, np.float32), rng.uniform(0, most) * np.prod(shape) / 32 ** 3
    for sigma in (0.8, 1.2, 1.7):
        count, dots = rng.poisson(share / 3), np.zeros(shape, np.float32)
        peak = np.exp(rng.uniform(0, np.log(8), count)) * (2 * np.pi * sigma ** 2) ** 1.5
        np.add.at(dots, tuple(rng.integers(n, size=count) for n in shape), peak.astype(np.float32))
        light += ndimage.gaussian_filter(dots, sigma, mode='constant')
    return light


def change_grey(deviation, strength, *, rng):
    """Puncta, haze, blur, signal-to-noise ratio, gain, gamma, offset and noise of a crop, each drawn anew.

    Args:
        deviation: float32 [Z, Y, X], (v - level) / scale.
        strength: (puncta, haze, blur, snr low, snr high, gain low, gain high, gamma, offset, noise): see puncta, in three quarters
            of the crops; light that is spread 3 to 6 voxels wide, up to so many times what there is, in half of the crops; sigma
            of the blur up to so many voxels, in half of them;
            factor on the signal-to-noise ratio, log-uniform between the two, at most 1, in half of them (white noise makes
            up for the noise that went with the signal, since a stack is normalised by its noise);
            gain log-uniform between the two; exponent exp(+- gamma) on the absolute value; offset +- and noise up to so
            many noise levels (noise in half of the crops, white or smooth over a voxel).

    Returns:
        float32, same shape.
    """
    dots, haze, blur, least, most, low, high, gamma, offset, noise = strength
    if dots and rng.random() < 0.75:
        deviation = deviation + puncta(deviation.shape, dots, rng=rng)
    if haze and rng.random() < 0.5:
        spread = ndimage.gaussian_filter(np.maximum(deviation, 0), rng.uniform(3, 6))
        deviation = deviation + np.float32(rng.uniform(0, haze)) * spread
    if blur and rng.random() < 0.5:
        deviation = ndimage.gaussian_filter(deviation, rng.uniform(0, blur))
    if least < 1 and rng.random() < 0.5:
        share = np.exp(rng.uniform(np.log(least), np.log(most)))
        deviation = deviation * np.float32(share) + rng.standard_normal(deviation.shape, dtype=np.float32) * np.float32(
            np.sqrt(1 - share ** 2))
    deviation = deviation * np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))
    if gamma:
        power = np.float32(np.exp(rng.uniform(-gamma, gamma)))
        deviation = np.sign(deviation) * np.abs(deviation / GAMMA_AT) ** power * GAMMA_AT
    if offset:
        deviation = deviation + np.float32(rng.uniform(-offset, offset))
    if noise and rng.random() < 0.5:
        grain = rng.standard_normal(deviation.shape, dtype=np.float32)
        if rng.random() < 0.5:
            grain = ndimage.gaussian_filter(grain, 1.0)
            grain /= max(float(grain.std()), 1e-6)
        deviation = deviation + grain * np.float32(rng.uniform(0, noise))
    return deviation


GAMMA_AT = np.float32(10.0)     # noise levels that gamma leaves as they are
