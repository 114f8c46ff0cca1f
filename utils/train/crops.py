"""Labelled crops to train a segmentation network on: of drafts or refined drafts, and of a stack labelled by hand."""
import os

import numpy as np
from scipy import ndimage

from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.train import augmentation

def seen(label, share, *, sigma):
    """What one sees of a drawn label in a blurred image: voxels that have at least `share` of the light of the brightest
    place within two voxels, and the label itself.

    Args:
        label: {0, 1} [Z, Y, X]; share: in (0, 1]; 0.5: full width at half maximum; 1: the label as it is; sigma: voxels.

    Returns:
        bool [Z, Y, X].
    """
    label = np.asarray(label) > 0
    if share >= 1 or not label.any():
        return label
    light = ndimage.gaussian_filter(label.astype(np.float32), sigma, truncate=3.0)
    return label | ((light >= share * ndimage.maximum_filter(light, 5)) & (light > 0.05))


def reach(sigma, rim_width):
    """Voxels around a crop that its label and weight depend on: the blur, half of seen()'s window, the rim."""
    return int(3 * sigma + 0.5) + 2 + int(rim_width)


def rim(label, width):
    """Voxels outside a mask, within `width` steps across faces; bool."""
    if not width or not label.any():
        return np.zeros(label.shape, bool)
    return ndimage.binary_dilation(label, iterations=int(width)) & ~label


def contrast(deviation, label):
    """How much brighter a smoothed image is than the background around each voxel, in the unit of `deviation`.

    Args:
        deviation: float32 [Z, Y, X]; label: bool [Z, Y, X], what is no background.
    """
    around = (~label).astype(np.float32)
    light, share = [ndimage.gaussian_filter(values, AROUND, truncate=2.0) for values in (deviation * around, around)]
    return ndimage.gaussian_filter(deviation, 1.0) - light / np.maximum(share, 1e-3)


AROUND = 4.0             # voxels, sigma of the neighbourhood that contrast() looks at


class Synthetic:
    """Crops of a patch file whose labels were drawn: every voxel is annotated."""

    def __init__(self, folder, share, *, sigma, rim_width, held_out=0.0):
        """Args:
            folder: with patches.h5 (and the stacks it was cut from in images/), or of TIFF pairs images/, labels/.
            share, sigma: see seen; rim_width: voxels around foreground that do not count.
            held_out: share of the stacks kept for validation, the last ones by name; where it is above 0, one at least, not all.

        Raises:
            UserError: as PatchFile; or one stack only, so that none can be held out.
        """
        path = os.path.join(folder, 'patches.h5')
        self.file = patches.PatchFile(path if os.path.exists(path) or not os.path.isdir(folder) else folder, with_labels=True)
        self.share, self.sigma, self.rim_width = share, sigma, rim_width
        self.source = np.array(self.file.source)
        names = sorted(set(self.file.source))
        held = names[-max(1, min(int(round(held_out * len(names))), len(names) - 1)):] if held_out else []
        if held and len(held) == len(names):
            raise UserError('%s comes of one stack: make more, or none can be held out for validation (HELD_OUT)'
                            % self.file.path)
        self.held = np.flatnonzero(np.isin(self.source, held))
        self.trained = np.flatnonzero(~np.isin(self.source, held))
        self.scale = {name: self._scale(folder, name) for name in names}

    def _scale(self, folder, name):
        """Of the whole stack where it lies beside the patches, else of its patches."""
        for extension in stacks.EXTENSIONS:
            path = os.path.join(folder, 'images', name + extension)
            if os.path.exists(path) and self.file.file is not None:
                return augmentation.measure(stacks.read(path).voxels)
        some = np.flatnonzero(self.source == name)[:32]
        return augmentation.measure(np.concatenate([self.file.image[i] for i in some]))

    def cut(self, i, low, *, crop):
        """(deviation, label, weight) float32 [z, y, x] of patch i."""
        box = tuple(slice(a, a + c) for a, c in zip(low, crop))
        margin = reach(self.sigma, self.rim_width)
        wide = tuple(slice(max(a - margin, 0), a + c + margin) for a, c in zip(low, crop))
        inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide))
        label = seen(self.file.label[i][wide], self.share, sigma=self.sigma)
        weight = ~rim(label, self.rim_width)[inner]
        scale = self.scale[self.source[i]]
        return ((self.file.image[i][box].astype(np.float32) - scale.level) / scale.scale,
                label[inner].astype(np.float32), weight.astype(np.float32))

    def draw(self, crop, rng):
        """A random crop of a training patch."""
        i = int(self.trained[rng.integers(len(self.trained))])
        return self.cut(i, self._corner(crop, rng), crop=crop)

    def validation(self, crop, count):
        """The same `count` crops of the held-out stacks every time: (image, label, weight), see collate."""
        rng = np.random.default_rng(0)
        chosen = self.held[np.linspace(0, len(self.held) - 1, min(count, len(self.held))).astype(int)]
        return collate([self.cut(int(i), self._corner(crop, rng), crop=crop) for i in chosen])

    def _corner(self, crop, rng):
        if any(c > n for c, n in zip(crop, self.file.shape)):
            raise UserError('%s has patches of %s, smaller than CROP_SHAPE %s: take a smaller crop'
                            % (self.file.path, self.file.shape, tuple(crop)))
        return [int(rng.integers(n - c + 1)) for n, c in zip(self.file.shape, crop)]


class Manual:
    """Crops of one stack whose labels may be sparse; each holds voxels of an annotated slice."""

    def __init__(self, voxels, annotation, *, box, name='stack'):
        """Args:
            voxels: uint8 or uint16 [Z, Y, X]; annotation: masks.Annotation; box: slices that crops stay inside; name: for
                error messages.
        """
        self.voxels, self.annotation, self.box, self.name = voxels, annotation, box, name
        self.scale = augmentation.measure(voxels)
        self.slices = [z for z in np.flatnonzero(annotation.valid[box].any((1, 2))) + box[0].start]

    def draw(self, crop, rng):
        """A random crop in the box with an annotated slice."""
        z = int(self.slices[rng.integers(len(self.slices))])
        low = []
        for axis, (c, span) in enumerate(zip(crop, self.box)):
            first, last = span.start, span.stop - c
            if first > last:
                raise UserError('%s: the half to train on is %d voxels along axis %d, smaller than CROP_SHAPE %s: lower '
                                'SPLIT_GAP or CROP_SHAPE' % (self.name, span.stop - span.start, axis, tuple(crop)))
            if axis == 0:
                first, last = max(first, min(z - c + 1, last)), min(last, max(z, first))
            low.append(int(rng.integers(first, last + 1)))
        box = tuple(slice(a, a + c) for a, c in zip(low, crop))
        return ((self.voxels[box].astype(np.float32) - self.scale.level) / self.scale.scale,
                self.annotation.truth[box].astype(np.float32), self.annotation.valid[box].astype(np.float32))


def collate(crops):
    """Crops (deviation, label, weight) as a batch the network sees: three float32 [N, z, y, x, 1]."""
    image, label, weight = [np.stack(part)[..., None].astype(np.float32) for part in zip(*crops)]
    return augmentation.compress(image), label, weight


def batch(places, crop, *, strength, visible, seed, index):
    """Batch number `index`, which depends on the seed alone.

    Args:
        places: the source (Synthetic or Manual) of each crop of the batch; strength: see augmentation.change_grey.
        visible: noise levels above its surroundings from which drawn foreground counts; where it is dimmer, in the image as the
            network gets it, no annotator would have seen it either.
        seed: list of whole numbers.
    """
    rng, crops = np.random.default_rng(seed + [index]), []
    for source in places:
        deviation, label, weight = augmentation.turn(source.draw(crop, rng), rng)
        deviation = augmentation.change_grey(deviation, strength, rng=rng)
        if visible and isinstance(source, Synthetic) and label.any():
            weight = weight * ~((label > 0) & (contrast(deviation, label > 0) < visible))
        crops.append((deviation, label, weight))
    return collate(crops)
