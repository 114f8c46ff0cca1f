"""Labelled crops to train a segmentation network on: of drafts, and of a stack labelled by hand.

A source (Synthetic, Mixture, Manual) draws crops (deviation, label, weight), float32 [z, y, x]:
noise levels above the background, {0, 1}, and 0 where a voxel does not count in the loss.
"""
import hashlib
import os
from collections import OrderedDict

import numpy as np

from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.train import augmentation, labels, normalisation

PATCHES_MEASURED = 32           # patches that stand for a stack that is not at hand


class Synthetic:
    """Crops of a patch file whose labels were drawn: every voxel is annotated.

    Attributes:
        file: patches.PatchFile; source: name of each patch's stack [N].
        trained, held: int, patches to train on and patches of the stacks held out.
        visible_contrast: see labels.Settings.
    """

    def __init__(self, folder, settings, *, held_out=0.0):
        """Args:
            folder: with patches.h5 (and the stacks it was cut from in images/), or of TIFF pairs
                images/, labels/; or a patch file, which then is all that is looked at.
            settings: labels.Settings.
            held_out: share of the stacks, the last by name, kept for validation; where it is above
                0, one at least, and never all.

        Raises:
            UserError: as PatchFile and its check; one stack only, so that none can be held out;
                labels are to be as wide as seen, and the patches do not tell their blur.
        """
        path = folder if os.path.isfile(folder) else os.path.join(folder, 'patches.h5')
        whole = os.path.exists(path) or not os.path.isdir(folder)
        self.file = patches.PatchFile(path if whole else folder, with_labels=True)
        self.file.check()
        self.settings, self.visible_contrast = settings, settings.visible_contrast
        self.source = np.array(self.file.source)
        names = sorted(set(self.file.source))
        held = held_out_of(names, held_out)
        if held and len(held) == len(names):
            raise UserError('%s comes of one stack: make more, or none can be held out for '
                            'validation (HELD_OUT)' % self.file.path)
        labels.check(settings, self.file.blur, path=self.file.path)
        self.held = np.flatnonzero(np.isin(self.source, held))
        self.trained = np.flatnonzero(~np.isin(self.source, held))
        self.scale = {name: self._scale(folder, name) for name in names}

    @property
    def digest(self):
        """Digest of the pairs: a change of them starts a new run."""
        return self.file.digest

    def _scale(self, folder, name):
        """normalisation.Scale of the whole stack where it lies at hand, else of its patches."""
        for extension in stacks.EXTENSIONS:
            path = os.path.join(folder, 'images', name + extension)
            if os.path.exists(path) and self.file.file is not None:
                return normalisation.measure(stacks.read(path).voxels)
        some = np.flatnonzero(self.source == name)[:PATCHES_MEASURED]
        return normalisation.measure(np.concatenate([self.file.image[i] for i in some]))

    def cut(self, i, low, *, crop):
        """(deviation, label, weight) of patch i, from a corner `low` on; crop: (z, y, x) voxels.

        The label and its rim are those of the whole patch: it is read with a margin.
        """
        margin = labels.reach(self.settings, self.file.blur)
        box = tuple(slice(a, a + c) for a, c in zip(low, crop))
        wide = tuple(slice(max(b.start - margin, 0), b.stop + margin) for b in box)
        inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide))
        label = labels.as_seen(self.file.label[i][wide], self.settings, own_blur=self.file.blur)
        weight = ~labels.ignored_rim(label, self.settings.ignored_rim)[inner]
        scale = self.scale[self.source[i]]
        return (normalisation.deviation(self.file.image[i][box], scale),
                label[inner].astype(np.float32), weight.astype(np.float32))

    def draw(self, crop, rng):
        """A random crop of a training patch; crop: (z, y, x) voxels.

        Raises:
            UserError: the patches are smaller.
        """
        i = int(self.trained[rng.integers(len(self.trained))])
        return self.cut(i, self._corner(crop, rng), crop=crop)

    def validation(self, crop, count, *, held_only=True):
        """The same crops every time, as of collate.

        Args:
            crop: (z, y, x) voxels; count: crops at most; held_only: of the held-out stacks alone.
        """
        some = self.held if held_only else np.arange(len(self.source))
        rng, count = np.random.default_rng(0), min(count, len(some))
        chosen = some[np.linspace(0, len(some) - 1, count).astype(int)]
        return collate([self.cut(int(i), self._corner(crop, rng), crop=crop) for i in chosen])

    def _corner(self, crop, rng):
        if any(c > n for c, n in zip(crop, self.file.shape)):
            raise UserError('%s has patches of %s, smaller than CROP_SHAPE %s: take a smaller crop'
                            % (self.file.path, self.file.shape, tuple(crop)))
        return [int(rng.integers(n - c + 1)) for n, c in zip(self.file.shape, crop)]


class Mixture:
    """Crops of several data sets, each as often as any other; whole sets are held out.

    Attributes:
        trained, held: lists of Synthetic; visible_contrast: see labels.Settings.
        digest: of all pairs.
    """

    def __init__(self, folders, settings, *, held_out=0.0):
        """Args:
            folders: paths of data sets, each as Synthetic takes it.
            settings, held_out: as for Synthetic; the last sets by name are kept for validation.

        Raises:
            UserError: as Synthetic; one set only, so that none can be held out.
        """
        sets = OrderedDict((path, Synthetic(path, settings)) for path in sorted(folders))
        held = held_out_of(list(sets), held_out)
        if held and len(held) == len(sets):
            raise UserError('%s is the only set of its folder: make more, or none can be held out '
                            'for validation (HELD_OUT)' % held[0])
        self.trained = [one for path, one in sets.items() if path not in held]
        self.held = [sets[path] for path in held]
        self.visible_contrast = settings.visible_contrast
        told = ['%s %s' % (os.path.basename(path), one.digest) for path, one in sets.items()]
        self.digest = hashlib.sha1('\n'.join(told).encode()).hexdigest()

    def draw(self, crop, rng):
        """A random crop of a random set; crop: (z, y, x) voxels."""
        return self.trained[int(rng.integers(len(self.trained)))].draw(crop, rng)

    def validation(self, crop, count):
        """The same crops of the held-out sets every time, as of collate; `count` in all, about."""
        each = -(-count // len(self.held))
        parts = [one.validation(crop, each, held_only=False) for one in self.held]
        return tuple(np.concatenate(arrays) for arrays in zip(*parts))


def synthetic(path, settings, *, held_out=0.0):
    """Crops of a data set, or of each data set in a folder of them.

    Args:
        path: as Synthetic takes it, or a folder of such folders with a patches.h5 each.
        settings, held_out: as for Synthetic.

    Returns:
        Synthetic or Mixture.

    Raises:
        UserError: as they.
    """
    sets = []
    if os.path.isdir(path) and not os.path.exists(os.path.join(path, 'patches.h5')):
        sets = [os.path.join(path, name) for name in sorted(os.listdir(path))
                if os.path.exists(os.path.join(path, name, 'patches.h5'))]
    if sets:
        return Mixture(sets, settings, held_out=held_out)
    return Synthetic(path, settings, held_out=held_out)


def held_out_of(names, share):
    """The last names of a sorted list: a share of them, one at least and not all; [] for 0."""
    if not share:
        return []
    return names[-max(1, min(int(round(share * len(names))), len(names) - 1)):]


class Manual:
    """Crops of one stack whose labels may be sparse; each holds voxels of an annotated slice."""
    visible_contrast = 0.0      # an annotator labelled what is to be seen: all of it counts

    def __init__(self, voxels, annotation, *, box, name='stack'):
        """Args:
            voxels: uint8 or uint16 [Z, Y, X]; annotation: score.masks.Annotation.
            box: three slices that crops stay inside; name: of the stack, for error messages.
        """
        self.voxels, self.annotation, self.box, self.name = voxels, annotation, box, name
        self.scale = normalisation.measure(voxels)
        self.slices = list(np.flatnonzero(annotation.valid[box].any((1, 2))) + box[0].start)

    def draw(self, crop, rng):
        """A random crop in the box with an annotated slice; crop: (z, y, x) voxels.

        Raises:
            UserError: the box is smaller.
        """
        z = int(self.slices[rng.integers(len(self.slices))])
        low = []
        for axis, (c, span) in enumerate(zip(crop, self.box)):
            first, last = span.start, span.stop - c
            if first > last:
                raise UserError(
                    '%s: the half to train on is %d voxels along axis %d, smaller than CROP_SHAPE '
                    '%s: lower SPLIT_GAP or CROP_SHAPE'
                    % (self.name, span.stop - span.start, axis, tuple(crop)))
            if axis == 0:                                     # the slice is inside
                first, last = max(first, min(z - c + 1, last)), min(last, max(z, first))
            low.append(int(rng.integers(first, last + 1)))
        box = tuple(slice(a, a + c) for a, c in zip(low, crop))
        return (normalisation.deviation(self.voxels[box], self.scale),
                self.annotation.truth[box].astype(np.float32),
                self.annotation.valid[box].astype(np.float32))


def collate(crops):
    """Crops as a batch that the network sees: image, label, weight, float32 [N, z, y, x, 1]."""
    image, label, weight = [np.stack(part)[..., None].astype(np.float32) for part in zip(*crops)]
    return normalisation.compress(image), label, weight


def batch(sources, crop, *, strength, seed, index):
    """Batch number `index`, which depends on the seed alone.

    Foreground that is too dim to be seen in the image that the network gets is ignored: training
    on it gives false positives.

    Args:
        sources: the source of each crop of the batch; crop: (z, y, x) voxels.
        strength: augmentation.Strength; seed: list of whole numbers.

    Returns:
        as collate.
    """
    rng, crops = np.random.default_rng(seed + [index]), []
    for source in sources:
        deviation, label, weight = augmentation.turn(source.draw(crop, rng), rng)
        deviation = augmentation.change_grey(deviation, strength, rng=rng)
        if source.visible_contrast and label.any():
            contrast = labels.visible_contrast(deviation, label > 0)
            weight = weight * ~((label > 0) & (contrast < source.visible_contrast))
        crops.append((deviation, label, weight))
    return collate(crops)
