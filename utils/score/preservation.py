"""Whether refined patches still show their labels, and nothing besides (docs/method.md, step 2)."""
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import morphology

from utils.score import masks, relief

KEPT = ('dice', 'cldice', 'auc', 'contrast', 'spurious',
        'invented', 'invented_length', 'lost', 'contrast_kept',
        'dimmed', 'brightened', 'contrast_grey', 'contrast_noise')
TOLERANCE = 0.03          # of Dice and clDice below the drafts', within which labels are kept
MOST_INVENTED = 1.1, 12.0  # of the drafts' own length, and voxels a patch besides: one short
                          # strand, twice what noise drawn anew changes (docs/method.md)
MOST_LOST = 0.1           # share of the centreline that stood out
DIMMED, BRIGHTENED = 0.5, 2.0    # of a centreline's contrast in the draft: below, above
MOST_CHANGED = 0.1        # share of the centreline that is dimmed, or brightened
CLEAR = 2 * relief.LEVELS  # noise levels by which a neurite stands out that counts as kept anyhow
SPURIOUS = 10             # voxels of a component off the label, at least, to be counted


class Preservation:
    """Measures patches against the labels of the drafts that they were made of."""

    def __init__(self, drafts, labels):
        """Find what stands out in the drafts.

        Args:
            drafts: grey levels [N, Z, Y, X]; labels: bool, same shape.
        """
        self.labels = labels
        self.places = [relief.place_of(label) for label in labels]
        self.before = [_outline(image, place)[0] for image, place in zip(drafts, self.places)]

    def measure(self, images):
        """How far patches still show their labels, and what they show besides; dict of KEPT.

        Dice at the best single threshold of all images, clDice there, AUC of the grey level,
        contrast of the label's centreline in background standard deviations, bright components
        off the label per patch. Then what stands out: see _standing; and how bright the neurites
        are: see _contrasts.

        Args:
            images: grey levels [N, Z, Y, X], of the drafts' shape.
        """
        values = self._by_threshold(images)
        values['auc'] = auc(images, self.labels)
        values.update(self._standing(images))
        return values

    def _by_threshold(self, images):
        """Dict of dice, cldice, contrast, spurious."""
        dice, cut = masks.best_dice(images, self.labels)
        precision, recall, contrast, spurious = [], [], [], 0
        for image, place in zip(images, self.places):
            label, mask = place.label, image >= cut
            own = morphology.skeletonize(mask) > 0
            if own.any():
                precision.append(label[own].mean())
            if place.skeleton.any() and not label.all():
                recall.append(mask[place.skeleton].mean())
                behind = image[~label]
                contrast.append((image[place.skeleton].mean() - behind.mean())
                                / max(behind.std(), 1e-6))
            spurious += _components_off(mask, label)
        return {'dice': dice,
                'cldice': masks.f1(float(np.mean(precision or [0])), float(np.mean(recall or [0]))),
                'contrast': float(np.mean(contrast or [0])), 'spurious': spurious / len(images)}

    def _standing(self, images):
        """What stands out in patches, and what did in the drafts and no longer does.

        Returns:
            dict: `invented`, strands in the background per patch; `invented_length`, voxels of
            their centrelines per patch; `lost`, share of the label's centreline that stood out in
            the draft and no longer does, mean over patches; `contrast_kept`, share of the neurites
            that stood out in the draft and have half of their height there, or CLEAR.
        """
        strands, lost, kept, after = [], [], [], []
        for image, place, before in zip(images, self.places, self.before):
            now, height = _outline(image, place)
            after.append(now)
            strands.append(relief.invented(height, place))
            stood = before.line >= relief.LEVELS
            if stood.any():
                lost.append((now.line[stood] < relief.LEVELS).mean())
            seen = before.seen
            enough = np.minimum(before.neurites[seen] / 2, CLEAR)
            kept += list(now.neurites[seen] >= enough)
        count, length = np.mean(strands, 0)
        return dict(_contrasts(self.before, after),
                    invented=float(count), invented_length=float(length),
                    lost=float(np.mean(lost or [0])), contrast_kept=float(np.mean(kept or [1])))


class Outline(NamedTuple):
    """How a patch's neurites stand out."""
    line: np.ndarray          # float [M], height along the centreline, noise levels
    neurites: np.ndarray      # float [K], of each neurite, noise levels; NaN for short ones
    noise: float              # one noise level, grey levels

    @property
    def seen(self):
        """bool [K], neurites that stand out."""
        return np.nan_to_num(self.neurites) >= relief.LEVELS


def _outline(image, place):
    """(Outline, heights: see relief.heights) of a patch."""
    height, noise = relief.measure(image, place)
    return Outline(relief.along(height, place), relief.by_neurite(height, place), noise), height


def _contrasts(before, after):
    """How bright neurites are beside what they were; dict.

    In grey levels, as the eye sees it in two images at one scale. A change counts that is larger
    than noise is: by relief.LEVELS noise levels, of the noisier image.

    Args:
        before, after: lists of Outline, of drafts and of patches made of them.

    Returns:
        dict: `dimmed`, share of the centreline that stood out in the draft whose contrast fell
        below DIMMED of that; `brightened`, share of all the centreline whose contrast rose above
        BRIGHTENED times that, both means over patches; `contrast_grey` and `contrast_noise`,
        median over the neurites that stood out of their contrast over that in the draft, in grey
        levels and in noise levels.
    """
    dimmed, brightened, grey, noise = [], [], [], []
    for old, new in zip(before, after):
        was, now = old.line * old.noise, new.line * new.noise
        clear = relief.LEVELS * max(old.noise, new.noise)
        stood = old.line >= relief.LEVELS
        if stood.any():
            dimmed.append(((now < DIMMED * was) & (was - now >= clear))[stood].mean())
        if len(was):
            brightened.append(((now > BRIGHTENED * was) & (now - was >= clear)).mean())
        ratio = new.neurites[old.seen] / old.neurites[old.seen]
        noise += list(ratio)
        grey += list(ratio * new.noise / old.noise)
    return {'dimmed': float(np.mean(dimmed or [0])),
            'brightened': float(np.mean(brightened or [0])),
            'contrast_grey': float(np.median(grey or [1])),
            'contrast_noise': float(np.median(noise or [1]))}


def auc(image, label):
    """Probability that a foreground voxel is brighter than a background voxel, ties counting half.

    Raises:
        ValueError: without a voxel of either class.
    """
    image, label = np.ravel(image), np.ravel(label).astype(bool)
    if label.all() or not label.any():
        raise ValueError('auc needs voxels of both classes')
    behind = np.sort(image[~label], kind='stable')       # by radix: fast for 8 and 16 bit
    ranks = [np.searchsorted(behind, image[label], side) for side in ('left', 'right')]
    return float(np.mean(ranks) / len(behind))


def _components_off(mask, label):
    """Number of a mask's components of SPURIOUS voxels or more that do not touch the label."""
    parts, count = ndimage.label(mask, relief.TOUCHING)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[np.unique(parts[label & mask])] = 0
    return int((sizes[1:] >= SPURIOUS).sum())


# --- judgement ---

def invents(values, draft):
    """True if more strands stand out in the background than noise accounts for.

    Their length is judged: a number of strands would allow one more of any length.

    Args:
        values, draft: of Preservation.measure.
    """
    factor, more = MOST_INVENTED
    return values['invented_length'] > factor * draft['invented_length'] + more


def keeps_labels(values, draft):
    """True if the labels are as true as the drafts': nothing lost, nothing invented.

    Dice and clDice within TOLERANCE of the drafts', see `invents`, at most MOST_LOST lost.

    Args:
        values, draft: of Preservation.measure.
    """
    return (all(values[m] >= draft[m] - TOLERANCE for m in ('dice', 'cldice'))
            and not invents(values, draft) and values['lost'] <= MOST_LOST)


def fault(values, draft):
    """What is wrong with the labels, in one line, or ''.

    Args:
        values, draft: of Preservation.measure; those of an older log lack `dimmed`, `brightened`.
    """
    if values['contrast'] < 0.3 * draft['contrast']:
        return ('collapsed: the neurites stand out %.1f standard deviations, %.1f in the drafts'
                % (values['contrast'], draft['contrast']))
    if values['dice'] < draft['dice'] - 0.1:
        return ('labels are being lost: Dice %.2f, %.2f in the drafts'
                % (values['dice'], draft['dice']))
    if values['lost'] > MOST_LOST:
        return ('neurites are being lost: %.0f %% of the centreline that stood out does no longer'
                % (100 * values['lost']))
    if invents(values, draft):
        return ('strands are being invented: %.0f voxels a patch off the labels, %.0f in the drafts'
                % (values['invented_length'], draft['invented_length']))
    for name, words in (('dimmed', 'less than half'), ('brightened', 'more than double')):
        if values.get(name, 0) > MOST_CHANGED:
            return ('neurites are being %s: %.0f %% of the centreline has %s of its contrast'
                    % (name, 100 * values[name], words))
    return ''
