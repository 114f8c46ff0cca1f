"""What numbers of each step mean: one judgement each, with a light and what to change.

GREEN: as it should be. YELLOW: look at the picture. RED: the steps after it cannot be trusted.
"""
from typing import NamedTuple

import numpy as np

GREEN, YELLOW, RED = LIGHTS = 'GREEN', 'YELLOW', 'RED'

# --- step 0 ---
# share of foreground: D-LMBmap's dense bundles, the most crowded stack known here, have 0.10;
# prepare_patches.py itself warns from 0.3 on. Less than a fourth of MIN_FOREGROUND is hardly cut
CROWDED, MOSTLY, SPARSE = 0.15, 0.3, 0.0005
# contrast in noise levels: a threshold of NOISE_FLOOR = 4 leaves 4.2 of Gaussian noise and 4.5 of
# a texture without neurites; TRAILMAP, D-LMBmap and the phantom have 7 to 9, fMOST 28 to 56
CLEAR, NOISE = 5.5, 4.6
# share of specks in what is above the threshold: 0.00 to 0.04 on those stacks, 0.6 of a texture
FEW_SPECKS, MANY_SPECKS = 0.15, 0.4
ENOUGH_PATCHES, FEWEST_PATCHES = 48, 8   # 48: twice EVALUATION_PATCHES of configs/demo/mpgan.py

# --- step 1: drafts against real patches ---
# spectra, log10: 0.15 is a factor of 1.4, 0.3 one of 2; grey levels of the background in its own
# noise levels; those of neurites as a share of their height above it
ALIKE_SPECTRUM, UNLIKE_SPECTRUM = 0.15, 0.45
ALIKE_BEHIND, UNLIKE_BEHIND = 0.4, 1.0
ALIKE_HEIGHT, UNLIKE_HEIGHT = 0.25, 0.6

# --- step 2 ---
TOLD, TOLD_WELL = 0.75, 0.95     # accuracy of a critic: half-way from guessing, and nearly always
LEARNT_CRITIC = 0.55             # of the crops that it learnt from, as TOLD of utils/train/critic.py
HARMED = 0.1                     # gap above the drafts' at which 2_mpgan.py itself warns
SMALL_GAP = 0.1                  # drafts that near to real patches leave nothing to refine

# --- step 3 ---
# Dice on held-out drafts: thin neurites lose a third of their voxels to a rim of one voxel
LEARNT, HARDLY = 0.6, 0.3
# share of middling probability, 0.25 to 0.75, in what is above 0.25: good masks of thin neurites
# have 0.24 to 0.31, their rims; evenly spread probabilities would give two thirds
SHARP, BLURRED = 0.45, 0.6
# voxels of the mask over OTSU's: labels are as wide as neurites look, OTSU misses dim ones
ALIKE_MASK, UNLIKE_MASK = 3.0, 10.0

# --- step 4 ---
# cable over OTSU's centreline: dim neurites add some, smoothing takes some
ALIKE_CABLE, UNLIKE_CABLE = 2.0, 5.0
SHORT_TREES = 45.0               # x voxels of a mean tree: three times MIN_LENGTH
ONE_TREE, SEVERAL = 0.8, 1000.0  # share of the cable in one tree; x voxels from which it counts


class Finding(NamedTuple):
    """One judgement."""
    topic: str               # what was looked at
    light: str               # one of LIGHTS
    words: str               # what was found, with its figure, and what that means
    picture: str = ''        # file that shows it
    change: str = ''         # constants to change, NAME=VALUE joined by blanks; '': none


def worst(findings):
    """The worst light of some findings; GREEN of none."""
    return max((finding.light for finding in findings), key=LIGHTS.index, default=GREEN)


def _light(value, good, bad):
    """Light of a number that is good up to `good` and bad from `bad` on; NaN is RED."""
    return GREEN if value <= good else YELLOW if value <= bad else RED


# --- step 0 ---

def of_stacks(used, left_out):
    """How many stacks were used; left_out: texts that tell why others were not."""
    if not left_out:
        return Finding('stacks', GREEN, 'All %d were used.' % used)
    return Finding('stacks', YELLOW, '%d of %d were left out: %s' % (
        len(left_out), used + len(left_out), '; '.join(left_out[:3])))


def of_patches(count):
    """Whether there are enough real patches."""
    light = GREEN if count >= ENOUGH_PATCHES else YELLOW if count >= FEWEST_PATCHES else RED
    more = '' if light == GREEN else (' The refiner is judged on %d, so its figures are rough: add '
                                      'stacks.' % ENOUGH_PATCHES)
    return Finding('patches', light, '%d real patches were cut.%s' % (count, more))


def of_share(share, *, noise_floor):
    """How much of the stacks OTSU took for neurites.

    Args:
        share: of the voxels; noise_floor: constant NOISE_FLOOR of step 0.
    """
    said = '%.2f %% of the voxels are foreground.' % (100 * share)
    if share < SPARSE:
        return Finding('neurites found', YELLOW, said + ' That is very little: dim neurites may be '
                       'missed.', change='NOISE_FLOOR=%g' % max(2.0, noise_floor - 1.0))
    light = _light(share, CROWDED, MOSTLY)
    if light == GREEN:
        return Finding('neurites found', light, said)
    return Finding('neurites found', light, said + ' Neurites seldom fill so much: part of it is '
                   'background.', change='NOISE_FLOOR=%g' % (noise_floor + 2))


def of_background(contrast, specks, *, noise_floor, min_object):
    """Whether OTSU took background for neurites.

    Args:
        contrast: median foreground above the background, in its noise levels.
        specks: share of what is above the threshold in objects below min_object voxels.
        noise_floor, min_object: constants of step 0.
    """
    lights = (_light(-contrast, -CLEAR, -NOISE), _light(specks, FEW_SPECKS, MANY_SPECKS))
    light = max(lights, key=LIGHTS.index)
    said = ('The foreground stands %.1f noise levels above the background, %.0f %% of it in specks'
            % (contrast, 100 * specks))
    if light == GREEN:
        return Finding('background as neurites', light, said + ': hardly any is background.')
    change = 'NOISE_FLOOR=%g' % (max(4.0, noise_floor + 2))
    if lights[0] == GREEN:
        change = 'MIN_OBJECT=%d' % (2 * min_object)
    return Finding('background as neurites', light, said + ': part of it is background or dust.',
                   change=change)


# --- step 1 ---

def of_drafts(distances, *, noise, height):
    """How like real patches drafts are.

    Args:
        distances: dict of realism.REALISM, of drafts to real patches.
        noise: robust std of the real background, grey levels.
        height: median real foreground above the background, grey levels.
    """
    spectrum = max(distances[m] for m in ('spectrum_z', 'spectrum_y', 'spectrum_x'))
    behind, inside = distances['outside'] / max(noise, 1e-6), distances['inside'] / max(height, 1e-6)
    parts = [('texture (power spectra) within a factor of %.1f' % 10 ** spectrum,
              _light(spectrum, ALIKE_SPECTRUM, UNLIKE_SPECTRUM)),
             ("background's grey levels %.1f noise levels off" % behind,
              _light(behind, ALIKE_BEHIND, UNLIKE_BEHIND)),
             ("neurites' grey levels %.0f %% of their height off" % (100 * inside),
              _light(inside, ALIKE_HEIGHT, UNLIKE_HEIGHT))]
    light = max((light for _, light in parts), key=LIGHTS.index)
    said = 'Against real patches: %s.' % '; '.join(
        words + ('' if own == GREEN else ' (%s)' % own) for words, own in parts)
    return Finding('drafts like the stacks', light, said,
                   change='' if light == GREEN else 'CALIBRATION_ROUNDS=12')


# --- step 2 ---

def of_labels(kept, fault, *, lost, invented):
    """Whether the refiner kept the labels.

    Args:
        kept: whether a checkpoint was chosen that keeps them; fault: what is wrong with the one
            that refines, or ''.
        lost: share of the centreline that no longer stands out; invented: voxels of strands a
            patch that are not in the label, beyond the drafts' own.
    """
    said = ('%.1f %% of the labelled centreline lost, %.0f voxels of strands a patch invented.'
            % (100 * lost, max(0.0, invented)))
    if not kept:
        return Finding('labels kept', RED, 'No checkpoint kept the labels (%s). %s'
                       % (fault or 'the newest refined the drafts', said), change='LAMBDA_LABEL=20')
    if fault:
        return Finding('labels kept', YELLOW, '%s %s.' % (said, fault), change='LAMBDA_LABEL=20')
    return Finding('labels kept', GREEN, said)


def of_refining(gap, draft):
    """Whether refined patches are nearer to real ones than the drafts.

    Args:
        gap, draft: of realism.Judge, of refined patches and of the drafts; 0: as real ones.
    """
    said = ('Refined patches are %.2f from real ones, drafts %.2f (0: as real ones from each '
            'other; 1: as poor drafts).' % (gap, draft))
    if gap <= draft - 0.02 or gap <= SMALL_GAP:
        return Finding('refined like the stacks', GREEN, said)
    light = YELLOW if gap <= draft + HARMED else RED
    words = {YELLOW: ' Refining hardly changed that: the drafts may serve as well.',
             RED: ' They are less like real ones than the drafts.'}
    return Finding('refined like the stacks', light, said + words[light],
                   change='MAX_STEPS=1500 DECAY_STEPS=250')


def of_critics(accuracy, floor, *, learnt):
    """How well networks tell refined patches from real ones.

    Args:
        accuracy: dict from 'texture' and 'structure' to share told rightly.
        floor: the same of real patches against real ones; may lack some.
        learnt: whether the critics learnt anything.
    """
    if not learnt:
        return Finding('critics', YELLOW, 'The critics learnt nothing: they tell nothing.',
                       change='CRITIC_STEPS=1600')
    texture = accuracy['texture']
    said = 'A network tells %s (0.5: none%s).' % (
        ', '.join('%.2f of the refined patches by %s' % (accuracy[scale], scale)
                  for scale in sorted(accuracy, reverse=True)),
        '; real against real %.2f' % floor['texture'] if 'texture' in floor else '')
    light = _light(texture, TOLD, TOLD_WELL)
    if light == RED:                     # told by something; the network may still learn from them
        light, said = YELLOW, said + (' They differ visibly; the segmentation network is trained '
                                      'to bear that.')
    return Finding('critics', light, said,
                   change='' if light == GREEN else 'MAX_STEPS=1500 DECAY_STEPS=250')


# --- step 3 ---

def of_network(dice):
    """Whether the segmentation network learnt; dice: on held-out drafts, at its best step."""
    light = _light(-dice, -LEARNT, -HARDLY)
    said = 'Dice %.2f on drafts that it never saw.' % dice
    return Finding('segmentation network', light, said, change='' if light == GREEN else (
        'MAX_STEPS=800'))


def of_calibration(middling, *, name):
    """Whether a probability map is certain but for rims; middling: share, see SHARP."""
    said = '%s: %.0f %% of what may be neurite has a middling probability (0.25 to 0.75)' % (
        name, 100 * middling)
    light = _light(middling, SHARP, BLURRED)
    words = {GREEN: ': the rims.', YELLOW: ': more than the rims; the mask depends on the '
             'threshold.', RED: ': the network does not know.'}
    return Finding('masks calibrated', light, said + words[light],
                   change='' if light == GREEN else 'MAX_STEPS=800 AUGMENT_SNR=0.1,1.0')


def of_mask(share, otsu, *, name):
    """How much a mask holds against OTSU's; share, otsu: of the stack's voxels."""
    if share == 0:
        return Finding('masks', RED, '%s: the mask is empty.' % name, change='VISIBLE_CONTRAST=0')
    ratio = share / max(otsu, 1e-9)
    said = '%s: %.2f %% of the voxels, %.1f times as many as OTSU' % (name, 100 * share, ratio)
    light = _light(max(ratio, 1 / ratio), ALIKE_MASK, UNLIKE_MASK)
    if light == GREEN:
        return Finding('masks', light, said + '.')
    if ratio < 1:
        return Finding('masks', light, said + ': dim neurites may be missed.',
                       change='VISIBLE_CONTRAST=0')
    return Finding('masks', light, said + ': haze or background may be in it.',
                   change='PROBABILITY_THRESHOLD=0.7')


# --- step 4 ---

def of_cable(cable, expected, *, trees, name):
    """How much was traced.

    Args:
        cable: x voxels; expected: length of OTSU's centreline, x voxels; trees: number.
    """
    if not trees:
        return Finding('cable traced', RED, '%s: nothing was traced.' % name,
                       change='LOW=0.2 HIGH=0.4')
    ratio = cable / max(expected, 1e-9)
    said = ("%s: %.0f voxels of cable in %d trees, %.1f times OTSU's centreline"
            % (name, cable, trees, ratio))
    light = _light(max(ratio, 1 / max(ratio, 1e-9)), ALIKE_CABLE, UNLIKE_CABLE)
    if light == GREEN:
        return Finding('cable traced', light, said + '.')
    if ratio < 1:
        return Finding('cable traced', light, said + ': neurites may be missed.',
                       change='LOW=0.2 HIGH=0.4')
    return Finding('cable traced', light, said + ': some of it may be haze or noise.',
                   change='LOW=0.6 HIGH=0.8')


def of_trees(lengths, *, name):
    """Whether trees are whole, and neurons apart; lengths: of each tree, x voxels, not empty."""
    lengths = np.asarray(lengths, float)
    share = lengths.max() / lengths.sum()
    if len(lengths) > 1 and lengths.mean() < SHORT_TREES:
        return Finding('trees', YELLOW, '%s: trees of %.0f voxels in the mean: neurites are in '
                       'pieces.' % (name, lengths.mean()), change='MAX_GAP=12')
    if share > ONE_TREE and lengths.max() > SEVERAL:
        return Finding('trees', YELLOW, '%s: one tree holds %.0f %% of the cable: neurites that '
                       'touch are traced as one.' % (name, 100 * share), change='MAX_GAP=4')
    return Finding('trees', GREEN, '%s: trees of %.0f voxels in the mean.' % (
        name, lengths.mean()))
