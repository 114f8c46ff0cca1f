"""Evidence for neurites of a volume that the memory does not hold, box by box.

What a stack is judged by as a whole, whether it is a mask and where its threshold lies, is measured
once, on a sample of blocks, so that all blocks of all processes see the same.
"""
from collections import namedtuple

import numpy as np
from skimage import filters

from utils.common.errors import UserError
from utils.measure import otsu, sampling
from utils.trace import evidence
from utils.trace.evidence import CERTAIN

BLOCK = (64, 128, 128)        # (z, y, x) voxels of a block of the sample
BY_VOXEL = 'otsu', 'threshold'      # methods that look at one voxel at a time

# read: function (slices z, y, x) -> uint8 [Z, Y, X], 255 for certain; low, high: in (0, 1], of the
# foreground's hysteresis
VolumeEvidence = namedtuple('VolumeEvidence', 'read low high')


def of_volume(volume, path, *, low, high, method='otsu', threshold=0.0, count=16):
    """Evidence of a volume, by its name, dtype and values.

    Args:
        volume: [Z, Y, X], sliced, with shape and dtype; floats are probabilities, two levels with
            0 in the sample are a mask.
        path: names it; NAME.prob.* is a probability map, NAME.mask.* a mask.
        low, high: of probabilities and masks.
        method, threshold: of grey levels, as evidence.of_grey_levels; of BY_VOXEL.
        count: of blocks in the sample.

    Returns:
        VolumeEvidence.

    Raises:
        UserError: a .prob file of 16 bit, an empty sample, grey levels and another method.
            `read` raises it for a .mask file of more than two levels, floats beyond 0 to 1.
    """
    kind = evidence.split(path)[1]
    if volume.dtype.kind == 'f':
        return VolumeEvidence(lambda box: _of_floats(volume[box], path), low, high)
    if kind == '.prob':
        if volume.dtype != np.uint8:
            raise UserError('%s is %s: want a probability map of uint8, 255 for certain, or of '
                            'floats from 0 to 1' % (path, volume.dtype))
        return VolumeEvidence(lambda box: volume[box], low, high)
    if kind != '.mask':
        sample = _sample(volume, path, count=count)
        if len(np.unique(sample)) > 2 or sample.min() > 0:
            cut, middle = _threshold(sample, method, threshold=threshold, path=path)
            return VolumeEvidence(
                lambda box: evidence.scaled(volume[box], threshold=cut, middle=middle), 0.5, 0.5)
    return VolumeEvidence(lambda box: _of_mask(volume[box], path), low, high)


def _sample(volume, path, *, count):
    """Grey levels of a sample of blocks; [N]."""
    found = [otsu.sampled(voxels).ravel()
             for _, voxels in sampling.filled(volume, BLOCK, count=count)]
    if not found:
        raise UserError('%s: each of the blocks looked at is of one grey level: name it NAME.mask '
                        'or NAME.prob if it is one, raise SAMPLE_BLOCKS, or leave it out' % path)
    return np.concatenate(found)


def _threshold(sample, method, *, threshold, path):
    """(threshold, median) of grey levels."""
    if method not in BY_VOXEL:
        raise UserError('%s is traced block by block, where METHOD=%s cannot be: take METHOD=otsu '
                        'or threshold, or the probability map of 3_segmentation.py'
                        % (path, method))
    middle = float(np.median(sample))
    if method == 'otsu':
        threshold = float(filters.threshold_otsu(sample))
    evidence.check_threshold(threshold, middle, name=path)
    return threshold, middle


def _of_mask(voxels, path):
    """Evidence of a mask's voxels."""
    most = voxels.max()
    if not ((voxels == 0) | (voxels == most)).all():
        raise UserError('%s is no mask: it has more than two grey levels: name it NAME.prob if it '
                        'is a probability map' % path)
    return (voxels > 0).astype(np.uint8) * CERTAIN


def _of_floats(voxels, path):
    """Evidence of probabilities."""
    if not (np.isfinite(voxels).all() and voxels.min() >= 0 and voxels.max() <= 1):
        raise UserError('%s is floating point, but not from 0 to 1: it is no probability map; save '
                        'probabilities, or convert it to 8 or 16 bit' % path)
    return np.rint(255 * voxels).astype(np.uint8)
