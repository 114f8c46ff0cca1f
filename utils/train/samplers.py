"""Batches of random crops of a patch file."""
import numpy as np

from utils.common.errors import UserError


def check(patches, crop):
    """Raise UserError if crops of (z, y, x) voxels are larger than the patches of a PatchFile."""
    if any(c > n for c, n in zip(crop, patches.shape)):
        raise UserError('%s has patches of %s, smaller than CROP_SHAPE %s: take a smaller crop'
                        % (patches.path, patches.shape, tuple(crop)))


class Sampler:
    """Draws batches of random crops of patches.

    What the n-th draw gives depends on the seed and n alone, so a resumed run goes on with the
    batches that it would have had. Every patch is drawn once before any is drawn twice.
    """

    def __init__(self, patches, batch_size, *, crop, seed, augment=False, rank=0, ranks=1,
                 match=None):
        """Args:
            patches: PatchFile; batch_size: patches per batch.
            crop: (z, y, x) voxels to cut out of each at random; seed: list of whole numbers.
            augment: mirror crops along any axis, and turn them by 90 degrees in the image plane
                (by 180 where it is not square).
            rank, ranks: this process draws share `rank` of each joint batch, which has
                ranks * batch_size patches.
            match: None, or content.Match: crops that hold as much foreground as others; patches
                are then drawn at random.

        Raises:
            UserError: if the crop is larger than the patches.
        """
        check(patches, crop)
        self.patches, self.batch_size = patches, batch_size
        self.crop, self.seed = tuple(crop), list(seed)
        self.augment, self.rank, self.ranks, self.match = augment, rank, ranks, match
        self._epoch = None, None         # (number, order), set in one go: two threads may draw

    def _patch(self, number):
        """Patch index of the `number`-th draw: each epoch is a fresh permutation."""
        epoch, place = divmod(number, len(self.patches))
        known, order = self._epoch
        if epoch != known:
            order = np.random.default_rng(self.seed + [0, epoch]).permutation(len(self.patches))
            self._epoch = epoch, order
        return int(order[place])

    def _crop(self, number, rng):
        """(patch index, corner) of the `number`-th draw."""
        return self._patch(number), [int(rng.integers(n - c + 1))
                                     for n, c in zip(self.patches.shape, self.crop)]

    def _turned(self, crop, flips, *, turns):
        """A crop [Z, Y, X], mirrored where `flips` [3] is 1, turned `turns` times, if augmented."""
        if not self.augment:
            return crop
        crop = crop[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
        return np.rot90(crop, turns if crop.shape[1] == crop.shape[2] else 2 * (turns // 2), (1, 2))

    def batch(self, index):
        """The batch of a number, int >= 0.

        Returns:
            (image, label): float32 [B, Z, Y, X, 1], grey levels and {0, 1}; label is None if the
            patches have none.
        """
        images, labels = [], []
        for number in range(self.batch_size * (index * self.ranks + self.rank),
                            self.batch_size * (index * self.ranks + self.rank + 1)):
            rng = np.random.default_rng(self.seed + [1, number])
            i, low = self.match.draw(rng) if self.match else self._crop(number, rng)
            box = tuple(slice(a, a + c) for a, c in zip(low, self.crop))
            flips, turns = rng.integers(2, size=3), int(rng.integers(4))
            images.append(self._turned(self.patches.image[i][box], flips, turns=turns))
            if self.patches.label is not None:
                labels.append(self._turned(self.patches.label[i][box], flips, turns=turns))
        image = np.stack(images)[..., None].astype(np.float32)
        return image, np.stack(labels)[..., None].astype(np.float32) if labels else None
