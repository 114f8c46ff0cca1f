"""What of a drawn label a segmentation network is trained on (docs/segmentation.md).

A neurite is wider in a blurred image than it was drawn, its outline is a matter of taste, and
where it is too dim nobody sees it: the label is widened, a rim is ignored, and so is invisible
foreground.
"""
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from utils.common.errors import UserError

LEAST_WITHIN = 2                # voxels each way, at least, in which a neurite's middle is looked
                                # for; else 1.5 sigma
LEAST_LIGHT = 1e-3              # of a wide neurite's light, below which nothing is foreground
CUT_OFF = 3.0                   # sigma at which the blur ends
SURROUNDINGS = 4.0              # voxels, sigma of the neighbourhood that is a voxel's background


class Settings(NamedTuple):
    """Which voxels of a drawn label count, and as what."""
    label_width_level: float    # share of the light of a neurite's middle that counts, (0, 1]
    label_blur: float           # voxels, sigma of the blur assumed when the label is widened
    ignored_rim: int            # voxels around the foreground that do not count
    visible_contrast: float     # noise levels above the surroundings, from which foreground counts
    label_seen_level: float = 1.0   # the same share under the blur that the drafts were drawn with


def widened(label, level, *, blur):
    """A drawn label as wide as its blurred image shows it; it holds the drawn one.

    Args:
        label: {0, 1} [Z, Y, X]; level: share of the brightest light nearby from which a voxel
            is foreground, 0.5: full width at half maximum, 1: the label as it is.
        blur: sigma, voxels; one, or (z, y, x).

    Returns:
        bool [Z, Y, X].
    """
    label = np.asarray(label) > 0
    if level >= 1 or not label.any():
        return label
    light = ndimage.gaussian_filter(label.astype(np.float32), blur, truncate=CUT_OFF)
    bright = light >= level * ndimage.maximum_filter(light, [2 * n + 1 for n in _within(blur)])
    return label | (bright & (light > LEAST_LIGHT))


def ignored_rim(label, width):
    """Voxels outside a mask within `width` steps across faces; bool [Z, Y, X]."""
    if not width or not label.any():
        return np.zeros(label.shape, bool)
    return ndimage.binary_dilation(label, iterations=int(width)) & ~label


def _within(blur):
    """Voxels each way along z, y, x in which a neurite's middle is looked for; int array [3]."""
    return np.maximum(np.broadcast_to(1.5 * np.asarray(blur), 3).round().astype(int), LEAST_WITHIN)


def as_seen(label, settings, *, own_blur):
    """A drawn label as wide as it counts: widened by either of both blurs.

    Args:
        label: {0, 1} [Z, Y, X]; settings: Settings.
        own_blur: (z, y, x) sigma that the draft was drawn with, voxels; None where it is not told,
            which `check` has allowed.

    Returns:
        bool [Z, Y, X].
    """
    wide = widened(label, settings.label_width_level, blur=settings.label_blur)
    if settings.label_seen_level < 1:
        wide = wide | widened(label, settings.label_seen_level, blur=own_blur)
    return wide


def check(settings, own_blur, *, path):
    """Raise UserError if labels are to be as wide as seen and `path` does not tell its blur."""
    if settings.label_seen_level < 1 and own_blur is None:
        raise UserError('%s does not tell how its drafts were blurred: draw them anew, or give '
                        'LABEL_SEEN_LEVEL=1' % path)


def reach(settings, own_blur):
    """Voxels around a crop that its label and rim depend on: blur, brightest place, rim; int.

    Args:
        settings: Settings; own_blur: see as_seen.
    """
    blurs = [settings.label_blur] + [own_blur] * (settings.label_seen_level < 1)
    far = [(np.floor(CUT_OFF * np.asarray(blur) + 0.5) + _within(blur)).max() for blur in blurs]
    return int(max(far)) + int(settings.ignored_rim)


def visible_contrast(deviation, label):
    """How much brighter a smoothed image is than the background around each voxel.

    Args:
        deviation: float32 [Z, Y, X]; label: bool [Z, Y, X], what is no background.

    Returns:
        float32 [Z, Y, X], in the unit of `deviation`.
    """
    around = (~label).astype(np.float32)
    light, share = [ndimage.gaussian_filter(values, SURROUNDINGS, truncate=2.0)
                    for values in (deviation * around, around)]
    return ndimage.gaussian_filter(deviation, 1.0) - light / np.maximum(share, 1e-3)
