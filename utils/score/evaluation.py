"""How a refiner is doing: realism between the draft's and the real patches' own, and whether the labels were kept.

Everything is measured on a fixed evaluation set. Foreground is found by one rule in real patches, drafts and refined
patches alike, since real ones have no label; the label serves for the measures of its preservation alone.
"""
import numpy as np
from scipy import ndimage
from skimage import filters, morphology

from utils.score import metrics

REALISM = ('inside', 'outside', 'spectrum_z', 'spectrum_y', 'spectrum_x')
KEPT = ('dice', 'cldice', 'auc', 'contrast', 'spurious')
COLUMNS = REALISM + KEPT + ('moved', 'gap')
TOLERANCE = 0.03          # of Dice and clDice below the drafts', within which the labels count as kept
SMOOTH = 1.0              # voxels of Gaussian smoothing before the foreground rule


def flat(images):
    """Patches smoothed and less their own median; float32 [N, Z, Y, X]."""
    smooth = np.stack([ndimage.gaussian_filter(image.astype(np.float32), SMOOTH) for image in images])
    return smooth - np.median(smooth, axis=(1, 2, 3), keepdims=True)


def axis_spectra(images):
    """Mean power spectrum along each axis of patches; three float arrays, log10, without the mean's frequency."""
    found = []
    for axis in (1, 2, 3):
        n = images.shape[axis]
        view = [1] * 4
        view[axis] = n
        lines = images.astype(np.float32)
        lines = (lines - lines.mean((1, 2, 3), keepdims=True)) * np.hanning(n + 2)[1:-1].astype(np.float32).reshape(view)
        power = (np.abs(np.fft.rfft(lines, axis=axis)) ** 2)
        found.append(np.log10(power.mean(tuple(a for a in range(4) if a != axis))[1:] + 1e-6))
    return found


def verdict(values, draft, *, spread):
    """What is wrong with a refiner, in one line, or ''.

    Args:
        values: of Judge.score; draft: Judge.draft; spread: standard deviation of the drafts' grey levels.
    """
    if not np.isfinite(list(values.values())).all():
        return 'a measure is not a number: training has diverged'
    if values['contrast'] < 0.3 * draft['contrast']:
        return 'collapsed: the neurites stand out %.1f standard deviations, %.1f in the drafts' % (values['contrast'],
                                                                                              draft['contrast'])
    if values['dice'] < draft['dice'] - 0.1:
        return 'labels are being lost: Dice %.2f, %.2f in the drafts' % (values['dice'], draft['dice'])
    if values['gap'] > draft['gap'] + 0.1:
        return 'less like real patches than the drafts: gap %.2f, %.2f in the drafts' % (values['gap'], draft['gap'])
    if values['moved'] < 0.02 * spread:
        return 'the identity: the drafts are changed by %.2g grey levels only' % values['moved']
    return ''


class Judge:
    """Scores refined patches against real ones and against their labels."""

    def __init__(self, drafts, labels, *, real, more_real):
        """Args:
            drafts: grey levels [N, Z, Y, X]; labels: {0, 1}, same shape.
            real, more_real: two disjoint sets of real patches; their distance is the floor of realism.
        """
        self.labels, self.drafts = labels.astype(bool), drafts
        bright = np.clip(flat(real), 0, None)                # below its median nothing is foreground: black borders are not
        self.cut = float(filters.threshold_otsu(np.minimum(bright, np.quantile(bright, 0.995))))
        self.real = self._describe(real)
        self.skeletons = [morphology.skeletonize(label) > 0 for label in self.labels]
        self.floor = self.distances(more_real)
        self.draft = dict(self.distances(drafts), **self.kept(drafts))
        self.draft.update(self.score(drafts))
        self.spread = float(np.std(drafts))

    def _describe(self, images):
        mask = flat(images) > self.cut
        inside, outside = [images[where] if where.any() else images[:, :1, :1, :1].ravel() for where in (mask, ~mask)]
        return inside, outside[::7], axis_spectra(images)

    def distances(self, images):
        """Realism: Wasserstein-1 distance of grey levels inside and outside the foreground; mean difference of the
        log10 power spectra along each axis."""
        inside, outside, spectra = self._describe(images)
        result = {'inside': metrics.grey_distance(inside, self.real[0]), 'outside': metrics.grey_distance(outside, self.real[1])}
        for name, a, b in zip(REALISM[2:], spectra, self.real[2]):
            result[name] = float(np.abs(a - b).mean())
        return result

    def kept(self, images):
        """Label preservation: Dice and clDice at the best single threshold of each image set, AUC, contrast of the label's
        centreline to the background in background standard deviations, bright components off the label per patch."""
        dice, cut = metrics.best_dice(images, self.labels)
        found = images >= cut
        precision, recall, spurious, contrast = [], [], 0, []
        for image, mask, label, skeleton in zip(images, found, self.labels, self.skeletons):
            own = morphology.skeletonize(mask) > 0
            if own.any():
                precision.append(label[own].mean())
            if skeleton.any() and not label.all():
                recall.append(mask[skeleton].mean())
                behind = image[~label]
                contrast.append((image[skeleton].mean() - behind.mean()) / max(behind.std(), 1e-6))
            parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
            if count:
                sizes = np.bincount(parts.ravel())[1:]
                touched = np.unique(parts[label & mask])
                spurious += int((sizes[np.setdiff1d(np.arange(1, count + 1), touched) - 1] >= 10).sum())
        p, r = np.mean(precision or [0]), np.mean(recall or [0])
        return {'dice': dice, 'cldice': float(2 * p * r / max(p + r, 1e-9)), 'auc': metrics.auc(images, self.labels),
                'contrast': float(np.mean(contrast or [0])), 'spurious': spurious / len(images)}

    def score(self, refined):
        """All measures of refined patches (COLUMNS); `moved` is their mean absolute change, grey levels, `gap` the mean of
        what is left between them and real patches: 0 for real ones, at most 1 for the drafts."""
        values = dict(self.distances(refined), **self.kept(refined))
        values['moved'] = float(np.abs(refined.astype(np.float32) - self.drafts).mean())
        values['gap'] = float(np.mean([max(values[m] - self.floor[m], 0) / self._scale(m) for m in REALISM]))
        return values

    def _scale(self, measure):
        """What a measure's excess over the floor counts against: the draft's own, or the floor where that is less (a
        draft that is as good as real leaves nothing to divide by)."""
        return max(self.draft[measure] - self.floor[measure], self.floor[measure], 1e-9)

    def keeps_labels(self, values):
        """True if Dice and clDice are within TOLERANCE of the drafts'."""
        return all(values[m] >= self.draft[m] - TOLERANCE for m in ('dice', 'cldice'))
