"""How much foreground training crops hold, so that the discriminator compares like with like.

Where real patches are more crowded than drafts, a discriminator tells them by that, and the
refiner learns to invent fibres. Source of the idea: Richter, AlHaija and Koltun, PAMI 2022, who
match the patches that their discriminators compare.
"""
import numpy as np

from utils.score import realism

BLOCK = 4                # voxels, side of the cubes whose foreground is counted
SAMPLE = 64              # patches that the cut is found on, at most
CROPS = 1024             # random crops whose shares are what is wanted
CANDIDATES = 16          # crops of which the nearest to the wanted share is taken


class Content:
    """Foreground of the patches of a file, by one rule for real patches and drafts."""

    def __init__(self, patches, cut):
        """Args:
            patches: PatchFile; cut: of foreground_cut.
        """
        self.shape = patches.shape
        self.counts = np.stack([_counts(realism.flat(patches.image[i][None])[0] > cut)
                                for i in range(len(patches))])

    def share(self, i, low, *, crop):
        """Share of foreground voxels of a crop of patch i, about: whole blocks are counted.

        Args:
            low, crop: (z, y, x) voxels, its corner and shape.
        """
        box = tuple(slice(a // BLOCK, -(-(a + c) // BLOCK)) for a, c in zip(low, crop))
        return float(self.counts[i][box].mean()) / BLOCK ** 3

    def sample(self, crop, rng):
        """Shares of CROPS random crops; float [CROPS]."""
        return np.array([self.share(*random_crop(len(self.counts), self.shape, crop=crop, rng=rng),
                                    crop=crop) for _ in range(CROPS)])


def foreground_cut(patches):
    """Grey levels above a patch's median from which a voxel is foreground, of real patches."""
    some = patches.image[:: 1 + len(patches) // SAMPLE]
    return realism.foreground_cut(realism.flat(some))


def random_crop(count, shape, *, crop, rng):
    """(number of a patch, corner of a crop inside it), uniform."""
    return (int(rng.integers(count)),
            [int(rng.integers(n - c + 1)) for n, c in zip(shape, crop)])


class Match:
    """Draws crops of one file that hold as much foreground as those of another."""

    def __init__(self, own, other, *, crop, seed):
        """Args:
            own, other: Contents; crop: (z, y, x) voxels; seed: list of whole numbers.
        """
        self.own, self.crop = own, tuple(crop)
        self.wanted = other.sample(self.crop, np.random.default_rng(seed))

    def draw(self, rng):
        """(number of a patch, corner of the crop): the best of CANDIDATES for a wanted share."""
        wanted = self.wanted[rng.integers(len(self.wanted))]
        drawn = [random_crop(len(self.own.counts), self.own.shape, crop=self.crop, rng=rng)
                 for _ in range(CANDIDATES)]
        shares = np.array([self.own.share(i, low, crop=self.crop) for i, low in drawn])
        return drawn[int(np.argmin(realism.share_distance(shares, wanted)))]


def _counts(mask):
    """Foreground voxels of each BLOCK^3 cube of a mask [Z, Y, X]; uint8."""
    wide = np.pad(mask, [(0, -n % BLOCK) for n in mask.shape])
    cubes = wide.reshape([m for n in wide.shape for m in (n // BLOCK, BLOCK)])
    return cubes.sum((1, 3, 5)).astype(np.uint8)
