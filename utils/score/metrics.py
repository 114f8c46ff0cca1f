"""Measures of realism, of label preservation, and of segmentation."""
import numpy as np
from scipy import ndimage, signal, stats
from skimage import morphology


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


# --- segmentation: masks of any number of dimensions; `valid` tells the voxels that count (None: all) ---

def _counted(mask, truth, *, valid):
    """Both masks as bool, cleared where nothing counts, and `valid` itself."""
    mask, truth = np.asarray(mask, bool), np.asarray(truth, bool)
    valid = np.ones(mask.shape, bool) if valid is None else np.asarray(valid, bool)
    return mask & valid, truth & valid, valid


def ratio(part, whole):
    """part / whole, 1 where there is nothing to be wrong about."""
    return 1.0 if whole == 0 else float(part) / float(whole)


def f1(precision, recall):
    """Harmonic mean of two shares; 0 if both are 0."""
    return 0.0 if precision + recall == 0 else 2.0 * precision * recall / (precision + recall)


def overlap(mask, truth, *, valid=None):
    """Dice, IoU, precision and recall of a mask, each in [0, 1] (1 where neither has a voxel); dict."""
    mask, truth, _ = _counted(mask, truth, valid=valid)
    both = (mask & truth).sum()
    return {'dice': dice(mask, truth), 'iou': ratio(both, (mask | truth).sum()),
            'precision': ratio(both, mask.sum()), 'recall': ratio(both, truth.sum())}


def tolerant_counts(mask, truth, *, tolerance, valid=None):
    """How many voxels lie within a distance of the other mask.

    Args:
        tolerance: voxels, Euclidean; 1 takes the face neighbours, too.

    Returns:
        int [4]: mask voxels near the truth, mask voxels, truth voxels near the mask, truth voxels. What does not count
        is no partner either.
    """
    mask, truth, _ = _counted(mask, truth, valid=valid)
    near = [np.zeros(mask.shape, bool) if not m.any() else ndimage.distance_transform_edt(~m) <= tolerance
            for m in (truth, mask)]
    return np.array([(mask & near[0]).sum(), mask.sum(), (truth & near[1]).sum(), truth.sum()])


def tolerant_f1(mask, truth, *, tolerance, valid=None):
    """F1 with a tolerance, in [0, 1]: of the shares of mask and of truth voxels that lie near the other."""
    a, b, c, d = tolerant_counts(mask, truth, tolerance=tolerance, valid=valid)
    return f1(ratio(a, b), ratio(c, d))


def cldice_counts(mask, truth, *, valid=None):
    """Voxels of centrelines inside the other mask (Shit et al. 2021), 2-D or 3-D.

    Args:
        mask: where `valid` leaves a rim out, the rim's voxels still take part in finding the mask's centreline.

    Returns:
        int [4]: voxels of the mask's skeleton in the truth, of the mask's skeleton, of the truth's skeleton in the mask,
        of the truth's skeleton; of voxels that count.
    """
    counted, truth, valid = _counted(mask, truth, valid=valid)
    own, wanted = [(morphology.skeletonize(m) > 0) & valid if m.any() else np.zeros(m.shape, bool)
                   for m in (np.asarray(mask, bool), truth)]
    return np.array([(own & truth).sum(), own.sum(), (wanted & counted).sum(), wanted.sum()])


def cldice(mask, truth, *, valid=None):
    """Centreline Dice in [0, 1]; see cldice_counts."""
    a, b, c, d = cldice_counts(mask, truth, valid=valid)
    return f1(ratio(a, b), ratio(c, d))


def betti0(mask):
    """Number of connected components, diagonal neighbours included."""
    return int(ndimage.label(mask, np.ones((3,) * np.ndim(mask), bool))[1])


def betti0_error(mask, truth, *, valid=None):
    """Absolute difference of the numbers of connected components of what counts."""
    mask, truth, _ = _counted(mask, truth, valid=valid)
    return abs(betti0(mask) - betti0(truth))


def precision_recall(score, truth):
    """Precision and recall at every threshold, from the highest down.

    Args:
        score: larger where foreground is likelier; truth: {0, 1}, same shape, with a foreground voxel.

    Returns:
        (precision, recall, threshold): float arrays; voxels at or above a threshold count as foreground.

    Raises:
        ValueError: without a foreground voxel.
    """
    score, truth = np.ravel(score), np.ravel(truth).astype(bool)
    if not truth.any():
        raise ValueError('precision_recall needs a foreground voxel')
    order = np.argsort(score, kind='stable')[::-1]
    ranked = score[order]
    last = np.r_[ranked[1:] != ranked[:-1], True]              # equal scores fall together
    hits = np.cumsum(truth[order])[last]
    return hits / (np.flatnonzero(last) + 1.0), hits / float(truth.sum()), ranked[last]


def average_precision(score, truth):
    """Area under the precision-recall steps, in (0, 1]: the sum of precision times the gain in recall."""
    precision, recall, _ = precision_recall(score, truth)
    return float((precision * np.diff(np.r_[0.0, recall])).sum())
