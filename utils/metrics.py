"""Measures of realism and of label preservation."""
import numpy as np
from scipy import signal, stats


def dice(a, b):
    """Dice coefficient of two masks, in [0, 1]; 1 if both are empty."""
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    total = a.sum() + b.sum()
    return 1.0 if total == 0 else float(2.0 * (a & b).sum() / total)


def best_dice(image, label):
    """Dice of the single threshold that fits a label best (the oracle threshold).

    Args:
        image: grey levels; label: {0, 1}, same shape. Every grey level is tried as a threshold.

    Returns:
        (dice, threshold); voxels at or above the threshold count as foreground.
    """
    image, label = np.ravel(image), np.ravel(label).astype(bool)
    order = np.argsort(image, kind='stable')[::-1]
    ranked = image[order]
    last = np.r_[ranked[1:] != ranked[:-1], True]              # equal grey levels fall together
    hits = np.cumsum(label[order])
    scores = 2.0 * hits / (np.arange(1, len(order) + 1) + max(label.sum(), 1))
    scores = np.where(last, scores, -1.0)
    best = int(np.argmax(scores))
    return float(scores[best]), float(ranked[best])


def auc(image, label):
    """Probability that a foreground voxel is brighter than a background voxel, ties counting half."""
    label = np.ravel(label).astype(bool)
    n1, n0 = int(label.sum()), int((~label).sum())
    if n1 == 0 or n0 == 0:
        raise ValueError('auc needs voxels of both classes')
    ranks = stats.rankdata(np.ravel(image))
    return float((ranks[label].sum() - n1 * (n1 + 1) / 2) / (float(n1) * n0))


def grey_distance(a, b):
    """Wasserstein-1 distance of two sets of grey levels, in grey levels."""
    return float(stats.wasserstein_distance(np.ravel(a), np.ravel(b)))


def ks_distance(a, b):
    """Kolmogorov-Smirnov distance of two samples: the largest difference of their distribution functions, in [0, 1]."""
    return float(stats.ks_2samp(np.ravel(a), np.ravel(b)).statistic)


def radial_spectrum(images, bins=16):
    """Mean power spectrum of patches over all directions.

    Each patch loses its mean and is tapered (Hann window), so that its border does not count as an edge.

    Args:
        images: grey levels [N, Z, Y, X]; bins: rings of equal width from 0 to 0.5 cycles per voxel.

    Returns:
        float [bins], log10 of grey levels squared; NaN in a ring without a frequency.
    """
    shape = images.shape[1:]
    window = np.ones(shape, np.float32)
    for axis, n in enumerate(shape):
        view = [1, 1, 1]
        view[axis] = n
        window *= signal.windows.hann(n, sym=False).astype(np.float32).reshape(view)
    power = np.zeros(shape)
    for image in images:
        image = image.astype(np.float32)
        power += np.abs(np.fft.fftn((image - image.mean()) * window)) ** 2
    power /= len(images) * (window ** 2).sum()
    axes = np.meshgrid(*[np.fft.fftfreq(n) for n in shape], indexing='ij', sparse=True)
    ring = np.minimum(np.sqrt(sum(a ** 2 for a in axes)) / 0.5 * bins, bins).astype(int).ravel()
    ring[0] = bins                                             # the mean, which was taken away
    count = np.bincount(ring, minlength=bins + 1)[:bins]
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.log10(np.bincount(ring, power.ravel(), bins + 1)[:bins] / count)


def spectrum_distance(a, b):
    """Mean absolute difference of the logarithms (base 10) of two sets of patches' radial power spectra."""
    return float(np.nanmean(np.abs(radial_spectrum(a) - radial_spectrum(b))))
