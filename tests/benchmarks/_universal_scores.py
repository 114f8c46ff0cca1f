"""Scores of the universal network: held-out kinds, thickness, phantoms over noise, real labels."""
import os
from typing import NamedTuple

import numpy as np
from scipy import spatial

import _neurons
from utils.common import config
from utils.data import patches, stacks
from utils.score import masks
from utils.simulate import drafts, priors, settings
from utils.train import labels, normalisation
from utils.train.segmenter import mask_of

BINS = 15                           # of a reliability curve
POSSIBLE = 5                        # probability * 255 below which the network rules foreground out
REACH = 5                           # voxels beyond a neurite's radius that its mask may lie in
ONE_FIBRE = ('PRIORS=None', 'AXON_SHARE=1', 'VOXEL_SIZE=1,1,1',
             'AXON_DEPTH=3,3', 'BRANCH_LENGTH=35,40', 'DENSITY=0.0002', 'STAINED_SHARE=0.8',
             'DEBRIS=0', 'READ_NOISE=60', 'OFFSET=300')
BRIGHTNESS = 1500.0                 # grey levels of these fibres in the image


class Counts(NamedTuple):
    """Voxels by probability * 255: of all that count, and of those that are foreground."""
    all: np.ndarray                 # int64 [256]
    foreground: np.ndarray          # int64 [256]


def count(probability, truth, *, valid):
    """Counts of a map; probability: uint8, truth, valid: bool, all of one shape."""
    return Counts(*[np.bincount(probability[which], minlength=256)
                    for which in (valid, valid & truth)])


def scores_of(counts, threshold):
    """Dice, precision and recall of the mask at a threshold, and calibration; dict.

    `ece` is the expected calibration error in BINS bins of the voxels whose foreground the network
    does not rule out (Guo et al. 2017), `ece_all` that of all voxels.
    """
    found = slice(int(np.ceil(threshold * 255)), None)
    right, own, wanted = [int(n) for n in (
        counts.foreground[found].sum(), counts.all[found].sum(), counts.foreground.sum())]
    precision, recall = masks.ratio(right, own), masks.ratio(right, wanted)
    return {'dice': masks.f1(precision, recall), 'precision': precision, 'recall': recall,
            'ece': calibration_error(counts, lowest=POSSIBLE), 'ece_all': calibration_error(counts)}


def reliability(counts, *, lowest=0):
    """Mean probability, share of foreground and voxels of each bin that has some.

    Args:
        counts: Counts; lowest: probability * 255 from which voxels are looked at.

    Returns:
        (probability, share, voxels): float, float, int [bins].
    """
    level = np.arange(lowest, 256)
    bins = np.minimum(level * BINS // 256, BINS - 1)
    voxels, right, total = [np.bincount(bins, weights, BINS) for weights in (
        counts.all[lowest:], counts.foreground[lowest:], counts.all[lowest:] * level / 255)]
    some = voxels > 0
    return total[some] / voxels[some], right[some] / voxels[some], voxels[some].astype(int)


def calibration_error(counts, *, lowest=0):
    """Expected calibration error: mean of |probability - share of foreground| over the voxels."""
    probability, share, voxels = reliability(counts, lowest=lowest)
    return float((np.abs(probability - share) * voxels).sum() / max(voxels.sum(), 1))


# --- held-out kinds ---

def kind(folder, network, *, settings_):
    """Counts of the drafts of one kind.

    The truth is what the network is trained on: the widened label; foreground that nobody could see
    does not count.

    Args:
        folder: of 1_simulator.py; network: Segmenter; settings_: labels.Settings.
    """
    total = np.zeros((2, 256), np.int64)
    own = patches.PatchFile(os.path.join(folder, 'patches.h5')).blur
    for path in stacks.find(os.path.join(folder, 'images')):
        voxels = stacks.read(path).voxels
        drawn = stacks.read(os.path.join(folder, 'labels', os.path.basename(path))).voxels
        truth = labels.as_seen(drawn, settings_, own_blur=own)
        deviation = normalisation.deviation(voxels, normalisation.measure(voxels))
        seen = labels.visible_contrast(deviation, truth) >= settings_.visible_contrast
        total += count(network.predict(voxels), truth, valid=~truth | seen)
    return Counts(*total)


# --- thickness ---

class Tubes(NamedTuple):
    """Fibres whose masks' thickness is measured."""
    radii: tuple                    # voxels
    blurs: tuple                    # voxels, sigma
    shape: tuple                    # (z, y, x) voxels of a draft of one radius and one blur


def thickness(network, tubes, *, threshold, seed):
    """Error of the radius of masks, over drawn radii and blurs; voxels.

    Returns:
        float [radii, blurs]: of the mask minus of the drawn label, NaN where nothing was found.
    """
    found, rng = np.full((len(tubes.radii), len(tubes.blurs)), np.nan), np.random.default_rng(seed)
    for i, radius in enumerate(tubes.radii):
        for k, blur in enumerate(tubes.blurs):
            image, label, line = fibre(radius, blur, shape=tubes.shape, rng=rng)
            mask = mask_of(network.predict(image), threshold, smallest=30) > 0
            found[i, k] = radius_error(mask, label, line=line, reach=radius + REACH)
    return found


def fibre(radius, blur, *, shape, rng):
    """A draft of fibres of one radius: (image, label: bool [Z, Y, X], line: int [M, 3])."""
    level = BRIGHTNESS / 0.8 / float(1 - np.exp(-max(radius, 0.56) ** 2 / (2 * blur ** 2)))
    given = ['RADIUS=%g,%g' % (radius, radius), 'PSF_SIGMA=%g,%g,%g' % ((blur,) * 3),
             'LEVEL=%g,%g' % (level, level), 'VOLUME_SHAPE=%d,%d,%d' % tuple(shape)]
    constants = vars(config.load('configs/simulator.py', list(ONE_FIBRE) + given))
    values = settings.resolve(_neurons.picked(constants, settings), None)
    draft = drafts.draw(values, priors.of(values.stack, values.neuron, measured=None), rng=rng)
    return draft.image, draft.label > 0, draft.line


def radius_error(mask, label, *, line, reach):
    """Radius of a mask minus that of the label, of cylinders of their volume; voxels.

    Only where the mask holds the centreline: what is missed has no thickness.

    Args:
        mask, label: bool [Z, Y, X]; line: int [M, 3], voxels of the centrelines.
        reach: voxels around the centreline within which a voxel is the neurite's.

    Returns:
        float; NaN if the mask holds nothing of the centreline.
    """
    held = mask[tuple(line.T)]
    if not held.any():
        return float('nan')
    tree, radii = spatial.cKDTree(line), []
    for which in (mask, label):
        away, nearest = tree.query(np.argwhere(which), distance_upper_bound=reach)
        near = np.isfinite(away)
        volume = held[nearest[near]].sum()
        radii.append(np.sqrt(volume / (np.pi * length_of(line[held]))))
    return float(radii[0] - radii[1])


def length_of(line):
    """Length of the voxels of a centreline: voxels by the mean step between neighbours.

    A line's voxels lie 1, 1.4 or 1.7 apart; the mean of the distances to the two nearest.
    """
    distance, _ = spatial.cKDTree(line).query(line, k=min(3, len(line)))
    return len(line) * float(np.minimum(distance[:, 1:], np.sqrt(3)).mean())


# --- phantoms, real labels ---

def phantom(network, *, settings_, noise, shape, seed):
    """Counts of a phantom of `noise` times the phantom's own noise, truth widened as above."""
    own = dict(vars(config.load('configs/demo/phantom.py', [])), SHAPE=tuple(shape))
    camera = dict(GAIN=own['GAIN'] * noise ** 2, READ_NOISE=own['READ_NOISE'] * noise)
    image, label, _, _ = _neurons.phantom(dict(own, **camera), np.random.default_rng(seed))
    truth = labels.as_seen(label, settings_,
                           own_blur=np.array(own['PSF_SIGMA']) / own['VOXEL_SIZE'])
    return count(network.predict(image), truth, valid=np.ones(truth.shape, bool))


def labelled(network, stack, *, annotation, threshold):
    """masks.score of a stack labelled by hand, and its Counts; stack, annotation: paths."""
    voxels = stacks.read(stack).voxels
    known = masks.read_annotation(annotation, voxels.shape)
    found = network.predict(voxels)
    counts = count(found, known.truth, valid=known.valid)
    return dict(masks.score(found / 255.0, known, threshold=threshold),
                **{key: value for key, value in scores_of(counts, threshold).items()
                   if key.startswith('ece')}), counts
