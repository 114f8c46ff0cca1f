"""What a run made, in numbers: how many patches, and how like real ones drafts and refined are."""
import os

import numpy as np

from utils.data import stacks
from utils.measure import otsu
from utils.score import masks, preservation, realism

SAMPLED = 100            # patches of a file, or up to twice as many, that are scored


def rows(real, *, drafts, refined):
    """Numbers of a run.

    Args:
        real, drafts, refined: PatchFile; drafts and refined with labels, which are the same.

    Returns:
        list of (what, text of its number).
    """
    a, b, c = [_sample(file.image) for file in (real, drafts, refined)]
    label = _sample(drafts.label)
    halves = realism.grey_distance(a[::2], a[1::2]) if len(a) > 1 else float('nan')
    both = 'draft %.3f, refined %.3f'
    return [
        ('patches of the real domain',
         '%d of %s voxels, `%s`' % (len(real), real.shape, real.path)),
        ('draft stacks and patches', _counts(drafts)),
        ('refined stacks and patches', _counts(refined)),
        ('grey-level distance to the real domain (Wasserstein-1)',
         'draft %.1f, refined %.1f; real against real %.1f'
         % (realism.grey_distance(b, a), realism.grey_distance(c, a), halves)),
        ('Dice with the label at the best single threshold',
         both % (masks.best_dice(b, label)[0], masks.best_dice(c, label)[0])),
        ('AUC of the grey level for the label',
         both % (preservation.auc(b, label), preservation.auc(c, label)))]


def otsu_dice(pairs, settings):
    """Mean Dice of OTSU's masks with true labels, which nothing but this score reads.

    Args:
        pairs: list of (image, label) paths; settings: otsu.Settings.

    Raises:
        UserError: an image or a label that cannot be read, or OTSU as in otsu.segment.
    """
    scores = []
    for image, truth in pairs:
        found = otsu.segment(stacks.read(image).voxels, settings, name=image)
        scores.append(masks.dice(found.mask, stacks.read(truth).voxels))
    return float(np.mean(scores))


def _sample(images):
    """Every n-th of [N, Z, Y, X], so that about SAMPLED are left."""
    return images[:: 1 + len(images) // SAMPLED]


def _counts(file):
    """How many stacks and patches a patch file holds, and its folder."""
    return '%d and %d, `%s`' % (len(set(file.source)), len(file), os.path.dirname(file.path))
