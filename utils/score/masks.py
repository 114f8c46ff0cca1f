"""Scores of a mask or a probability map against a label, wholly or sparsely annotated.

Masks have any number of dimensions. `valid` tells the voxels that count; None: all of them.
"""
from collections import namedtuple

import numpy as np
from scipy import ndimage
from skimage import filters, morphology

from utils.common.errors import UserError
from utils.data import stacks

# measure -> its words in a table; all in [0, 1] but betti0, a number of components
HEADINGS = {'dice': 'Dice', 'iou': 'IoU', 'precision': 'precision', 'recall': 'recall',
            'f1_1': 'F1, 1 voxel', 'f1_2': 'F1, 2 voxels', 'cldice': 'clDice',
            'ap': 'average precision', 'betti0': 'Betti-0 error'}
MEASURES = tuple(HEADINGS)

BACKGROUND, FOREGROUND, ARTEFACT, RIM = 1, 2, 3, 4    # codes of a label; 0: not annotated

# truth: bool [Z, Y, X], foreground; valid: bool [Z, Y, X], voxels that count; slices: z of the
# annotated slices, which are then scored one by one, or None: every slice is, and all in 3-D
Annotation = namedtuple('Annotation', 'truth valid slices')


# --- shares ---

def ratio(part, whole):
    """part / whole, 1 where there is nothing to be wrong about."""
    return 1.0 if whole == 0 else float(part) / float(whole)


def f1(precision, recall):
    """Harmonic mean of two shares; 0 if both are 0."""
    total = precision + recall
    return 0.0 if total == 0 else 2.0 * precision * recall / total


def f1_of(counts):
    """F1 of (right, all) voxels of the mask and (found, all) voxels of the truth.

    Args:
        counts: int [4], of near_counts or centreline_counts, or a sum of them.
    """
    right, own, found, wanted = counts
    return f1(ratio(right, own), ratio(found, wanted))


# --- one mask against another ---

def dice(a, b):
    """Dice coefficient of two masks, in [0, 1]; 1 if both are empty."""
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    return ratio(2.0 * (a & b).sum(), a.sum() + b.sum())


def overlap(mask, truth, *, valid=None):
    """Dice, IoU, precision and recall of a mask, each in [0, 1]; dict.

    A measure is 1 where its masks have no voxel.
    """
    mask, truth, _ = _counted(mask, truth, valid=valid)
    both = (mask & truth).sum()
    return {'dice': dice(mask, truth), 'iou': ratio(both, (mask | truth).sum()),
            'precision': ratio(both, mask.sum()), 'recall': ratio(both, truth.sum())}


def near_counts(mask, truth, *, tolerance, valid=None):
    """Voxels of each mask that lie near the other one.

    Args:
        tolerance: voxels, Euclidean; 1 takes the face neighbours, too.

    Returns:
        int [4]: mask voxels near the truth, mask voxels, truth voxels near the mask, truth
        voxels. A voxel that does not count is near to none.
    """
    mask, truth, _ = _counted(mask, truth, valid=valid)
    near = [ndimage.distance_transform_edt(~other) <= tolerance if other.any()
            else np.zeros(other.shape, bool) for other in (truth, mask)]
    return np.array([(mask & near[0]).sum(), mask.sum(), (truth & near[1]).sum(), truth.sum()])


def centreline_counts(mask, truth, *, valid=None):
    """Voxels of each centreline inside the other mask, 2-D or 3-D: clDice (Shit et al. 2021).

    The centreline of `mask` is that of the whole mask, voxels that do not count included: a mask
    is not cut at a rim that is left out.

    Returns:
        int [4]: voxels of the mask's skeleton in the truth, of the mask's skeleton, of the
        truth's skeleton in the mask, of the truth's skeleton.
    """
    whole = np.asarray(mask, bool)
    mask, truth, valid = _counted(mask, truth, valid=valid)
    own, wanted = [(morphology.skeletonize(m) > 0) & valid if m.any() else np.zeros(m.shape, bool)
                   for m in (whole, truth)]
    return np.array([(own & truth).sum(), own.sum(), (wanted & mask).sum(), wanted.sum()])


def betti0(mask):
    """Number of connected components, diagonal neighbours included."""
    return int(ndimage.label(mask, np.ones((3,) * np.ndim(mask), bool))[1])


def betti0_error(mask, truth, *, valid=None):
    """Absolute difference of the numbers of connected components of what counts."""
    mask, truth, _ = _counted(mask, truth, valid=valid)
    return abs(betti0(mask) - betti0(truth))


def _counted(mask, truth, *, valid):
    """Both masks as bool, cleared where nothing counts, and `valid` itself."""
    mask, truth = np.asarray(mask, bool), np.asarray(truth, bool)
    valid = np.ones(mask.shape, bool) if valid is None else np.asarray(valid, bool)
    return mask & valid, truth & valid, valid


# --- every threshold of a grey level or probability ---

def precision_recall(score, truth):
    """Precision and recall at every threshold, from the highest down.

    Args:
        score: larger where foreground is likelier.
        truth: {0, 1}, same shape, with a foreground voxel.

    Returns:
        (precision, recall, threshold), float arrays; foreground is at or above a threshold.

    Raises:
        ValueError: without a foreground voxel.
    """
    if not np.any(truth):
        raise ValueError('precision_recall needs a foreground voxel')
    hits, count, threshold = _ranked(score, truth)
    return hits / count, hits / float(hits[-1]), threshold


def average_precision(score, truth):
    """Area under the precision-recall steps, in (0, 1]: sum of precision times gain in recall."""
    precision, recall, _ = precision_recall(score, truth)
    return float((precision * np.diff(np.r_[0.0, recall])).sum())


def best_dice(image, label):
    """Dice of the single threshold that fits a label best (the oracle threshold).

    Args:
        image: grey levels; label: {0, 1}, same shape. Every grey level is tried as a threshold.

    Returns:
        (dice, threshold); voxels at or above the threshold count as foreground.
    """
    hits, count, threshold = _ranked(image, label)
    scores = 2.0 * hits / (count + max(hits[-1], 1))
    best = int(np.argmax(scores))
    return float(scores[best]), float(threshold[best])


def _ranked(score, truth):
    """Foreground voxels and voxels at or above each value of a score, and the values, falling."""
    score, truth = np.ravel(score), np.ravel(truth).astype(bool)
    order = np.argsort(score, kind='stable')[::-1]
    ranked = score[order]
    last = np.r_[ranked[1:] != ranked[:-1], True]              # equal scores fall together
    return np.cumsum(truth[order])[last], np.flatnonzero(last) + 1.0, ranked[last]


# --- annotated stacks ---

def read_annotation(path, shape):
    """Read labels: a mask of {0, 1}, annotated everywhere, or codes 0 to 4 (TRAILMAP's; above).

    Raises:
        UserError: as stacks.read; of another shape than its image; other values; no foreground.
    """
    codes = stacks.read(path).voxels
    if codes.shape != tuple(shape):
        raise UserError('%s is %s voxels, its image %s: give the labels of this very stack'
                        % (path, codes.shape, tuple(shape)))
    found = np.unique(codes)
    if found.max() > RIM:
        raise UserError('%s holds values other than 0 and 1 (a mask) or 0 to 4 (not annotated, '
                        'background, foreground, artefact, rim): %s'
                        % (path, ', '.join(map(str, found[:8]))))
    if found.max() <= 1:
        truth, valid = codes > 0, np.ones(codes.shape, bool)
    else:
        truth, valid = codes == FOREGROUND, np.isin(codes, (BACKGROUND, FOREGROUND, ARTEFACT))
    if not truth.any():
        raise UserError('%s has no foreground voxel: there is nothing to score' % path)
    annotated = valid.any((1, 2))
    slices = None if annotated.all() else [int(z) for z in np.flatnonzero(annotated)]
    return Annotation(truth, valid, slices)


def within(annotation, boxes):
    """The same annotation, counting only inside some boxes (tuples of slices)."""
    inside = np.zeros(annotation.valid.shape, bool)
    for box in boxes:
        inside[box] = True
    return annotation._replace(valid=annotation.valid & inside)


def halves(shape, axis, *, gap):
    """Two boxes at the ends of an axis, `gap` voxels apart; list of two tuples of slices."""
    side = (shape[axis] - gap) // 2
    ends = slice(0, side), slice(shape[axis] - side, shape[axis])
    return [tuple(end if a == axis else slice(0, n) for a, n in enumerate(shape)) for end in ends]


def score(probability, annotation, *, threshold=0.5):
    """All MEASURES of a segmentation.

    Args:
        probability: [Z, Y, X] of the foreground.
        threshold: at or above it a voxel is foreground.

    Returns:
        dict of floats. Counts of all annotated slices are pooled before a ratio is taken; betti0
        is the mean absolute error per slice (of the whole where it is scored in 3-D).
    """
    probability = np.asarray(probability)
    mask, truth, valid = probability >= threshold, annotation.truth, annotation.valid
    pieces = [(mask[z], truth[z], valid[z])
              for z in ([slice(None)] if annotation.slices is None else annotation.slices)]

    def pooled(count, **how):
        return f1_of(np.sum([count(m, t, valid=v, **how) for m, t, v in pieces], 0))

    return dict(overlap(mask, truth, valid=valid),
                f1_1=pooled(near_counts, tolerance=1), f1_2=pooled(near_counts, tolerance=2),
                cldice=pooled(centreline_counts),
                ap=average_precision(probability[valid], truth[valid]),
                betti0=float(np.mean([betti0_error(m, t, valid=v) for m, t, v in pieces])))


# --- masks without a network ---

def otsu(voxels):
    """OTSU's threshold of a stack as a mask; float32 {0, 1}."""
    return (voxels > filters.threshold_otsu(voxels)).astype(np.float32)


def oracle(voxels, annotation):
    """The single threshold with the best Dice, chosen by the label itself; float32 {0, 1}."""
    _, threshold = best_dice(voxels[annotation.valid], annotation.truth[annotation.valid])
    return (voxels >= threshold).astype(np.float32)
