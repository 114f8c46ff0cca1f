"""What numbers of steps 3 and 4 mean: one judgement each, with a light and what to change."""
import numpy as np

from utils.run.lights import GREEN, RED, YELLOW, Finding, light_of

# --- step 3 ---
# Dice on held-out drafts: thin neurites lose a third of their voxels to a rim of one voxel
LEARNT = 0.6, 0.3
# share of middling probability, 0.25 to 0.75, in what is above 0.25: good masks of thin neurites
# have 0.24 to 0.31, their rims; evenly spread probabilities would give two thirds
SHARP = 0.45, 0.6
# voxels of the mask over OTSU's: labels are as wide as neurites look, OTSU misses dim ones
MASKS = 3.0, 10.0
# what to try where a mask holds too little; dimmed crops with it would find noise, too
BOLDER = 'VISIBLE_CONTRAST=0 AUGMENT_CONTRAST=0.5,2.0'

# --- step 4 ---
# cable over the length of OTSU's centreline, which is its voxels times the mean step between
# neighbours in 3-D (1, 1.4 or 1.7). OTSU misses dim neurites: true axons of the phantom are 1.2 to
# 1.5 of it, traces of TRAILMAP's stack 1.0; in D-LMBmap's tangle 1.9 are too many
VOXEL_STEP = 1.35
CABLES = 1.75, 4.0
SHORT_TREES = 45.0               # x voxels of a mean tree: three times MIN_LENGTH
ONE_TREE, SEVERAL = 0.8, 1000.0  # share of the cable in one tree; x voxels from which it counts


# --- step 3 ---

def of_network(dice):
    """Whether the segmentation network learnt; dice: on held-out drafts, at its best step."""
    light = light_of(dice, LEARNT)
    said = 'Dice %.2f on drafts that it never saw.' % dice
    return Finding('segmentation network', light, said, change='' if light == GREEN else (
        'MAX_STEPS=800'))


def of_calibration(middling, *, name):
    """Whether a probability map is certain but for rims; middling: share, see SHARP."""
    said = '%s: %.0f %% of what may be neurite has a middling probability (0.25 to 0.75)' % (
        name, 100 * middling)
    light = light_of(middling, SHARP)
    words = {GREEN: ': the rims.', YELLOW: ': more than the rims; the mask depends on the '
             'threshold.', RED: ': the network does not know.'}
    return Finding('masks calibrated', light, said + words[light],
                   change='' if light == GREEN else 'MAX_STEPS=800 AUGMENT_SNR=0.1,1.0')


def of_mask(share, otsu, *, name):
    """How much a mask holds against OTSU's; share, otsu: of the stack's voxels."""
    if share == 0:
        return Finding('masks', RED, '%s: the mask is empty.' % name, change=BOLDER)
    ratio = share / max(otsu, 1e-9)
    said = '%s: %.2f %% of the voxels, %.1f times as many as OTSU' % (name, 100 * share, ratio)
    light = light_of(max(ratio, 1 / ratio), MASKS)
    if light == GREEN:
        return Finding('masks', light, said + '.')
    if ratio < 1:
        return Finding('masks', light, said + ': dim neurites may be missed.', change=BOLDER)
    return Finding('masks', light, said + ': haze or background may be in it.',
                   change='PROBABILITY_THRESHOLD=0.7')


# --- step 4 ---

def of_cable(cable, line, *, trees, name):
    """How much was traced.

    Args:
        cable: x voxels; line: voxels of OTSU's centreline; trees: number.
    """
    if not trees:
        return Finding('cable traced', RED, '%s: nothing was traced.' % name,
                       change='LOW=0.2 HIGH=0.4')
    ratio = cable / max(VOXEL_STEP * line, 1e-9)
    said = ("%s: %.0f voxels of cable in %d trees, %.1f times OTSU's centreline"
            % (name, cable, trees, ratio))
    light = light_of(max(ratio, 1 / max(ratio, 1e-9)), CABLES)
    if light == GREEN:
        return Finding('cable traced', light, said + '.')
    if ratio < 1:
        return Finding('cable traced', light, said + ': neurites may be missed.',
                       change='LOW=0.2 HIGH=0.4')
    return Finding('cable traced', light, said + ': some of it may be haze or noise, or '
                   'thick bundles traced many times.', change='LOW=0.6 HIGH=0.8 COVER_SCALE=2.5')


def of_trees(lengths, *, name):
    """Whether trees are whole, and neurons apart; lengths: of each tree, x voxels, not empty."""
    lengths = np.asarray(lengths, float)
    share = lengths.max() / lengths.sum()
    if len(lengths) > 1 and lengths.mean() < SHORT_TREES:
        return Finding('trees', YELLOW, '%s: trees of %.0f voxels in the mean: neurites are in '
                       'pieces.' % (name, lengths.mean()), change='MAX_GAP=12')
    if share > ONE_TREE and lengths.max() > SEVERAL:
        return Finding('trees', YELLOW, '%s: one tree holds %.0f %% of the cable: neurites that '
                       'touch are traced as one.' % (name, 100 * share), change='MAX_GAP=0')
    return Finding('trees', GREEN, '%s: trees of %.0f voxels in the mean.' % (
        name, lengths.mean()))
