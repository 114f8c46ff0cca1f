"""How like real stacks drafts are: both segmented, cut into patches and measured alike."""
from collections import namedtuple

import numpy as np

from utils.data import patches
from utils.measure import otsu, windows
from utils.measure.radii import skeleton_radii
from utils.score import realism

# foreground, background: grey levels of some of the patches' voxels, [K]; radii: along the
# centrelines, voxels, [M]; images: the patches, grey levels [N, Z, Y, X]
Sample = namedtuple('Sample', 'foreground background radii images')

MEASURES = {'foreground': 'W1, grey levels', 'background': 'W1, grey levels', 'radius': 'KS',
            'spectrum': 'log10 power'}                   # and their units
MOST = 400                                               # patches kept of a stack, at random
VOXELS = 2000, 5000                                      # of a patch, inside and outside, about


def sample(stacks, settings, *, window, max_overlap, min_foreground, seed=0):
    """Segment stacks by OTSU, cut patches along their centrelines, collect what is compared.

    Args:
        stacks: list of uint8 or uint16 [Z, Y, X], real or drafts.
        settings: otsu.Settings.
        window: (z, y, x) of a patch, voxels.
        max_overlap, min_foreground: as in configs/prepare_patches.py.
        seed: of the choice of patches.

    Returns:
        Sample.

    Raises:
        UserError: of a stack without foreground.
        ValueError: no patch has enough of it.
    """
    rng = np.random.default_rng(seed)
    foreground, background, radii, images = [], [], [], []
    for voxels in stacks:
        found = otsu.segment(voxels, settings)
        skeleton = otsu.centreline(found.mask)
        radii.append(skeleton_radii(found.mask, skeleton))
        corners = windows.slide_windows(skeleton, window, shape=voxels.shape,
                                        max_overlap=max_overlap)
        for corner in corners[rng.permutation(len(corners))[:MOST]]:
            mask, specks, image = [patches.cut(stack, corner, window=window)
                                   for stack in (found.mask, found.specks, voxels)]
            if mask.mean() >= min_foreground:
                outside = ~mask & ~specks
                foreground.append(image[mask][:: 1 + mask.sum() // VOXELS[0]])
                background.append(image[outside][:: 1 + outside.sum() // VOXELS[1]])
                images.append(image)
    return Sample(np.concatenate(foreground), np.concatenate(background), np.concatenate(radii),
                  np.stack(images))


def distances(a, b):
    """Distances of two Samples; dict of MEASURES."""
    return {'foreground': realism.grey_distance(a.foreground, b.foreground),
            'background': realism.grey_distance(a.background, b.background),
            'radius': realism.ks_distance(a.radii, b.radii),
            'spectrum': realism.spectrum_distance(a.images, b.images)}


def halves(voxels):
    """The two halves of a stack along each axis; list of three pairs."""
    return [tuple(np.array_split(voxels, 2, axis)) for axis in range(3)]
