"""Measures of realism and of label preservation."""
import numpy as np
from scipy import stats


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
