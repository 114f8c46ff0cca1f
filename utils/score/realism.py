"""How like real stacks drafts are: the same segmentation, patches and measurements for both."""
from collections import namedtuple

import numpy as np

from utils.data import patches
from utils.measure import otsu, windows
from utils.measure.radii import skeleton_radii
from utils.score import metrics

# grey levels of foreground and background voxels of the patches (samples), radii in voxels along the centrelines,
# and the patches themselves, [N, Z, Y, X]
Sample = namedtuple('Sample', 'foreground background radii images')

MEASURES = ('foreground', 'background', 'radius', 'spectrum')
UNITS = {'foreground': 'W1, grey levels', 'background': 'W1, grey levels', 'radius': 'KS', 'spectrum': 'log10 power'}


def sample(stacks, settings, *, window, max_overlap, min_foreground, most=400, seed=0):
    """Segment stacks by OTSU, cut patches along their centrelines, collect what is compared.

    Args:
        stacks: list of uint8 or uint16 [Z, Y, X], real or drafts.
        settings: otsu.Settings.
        window: (z, y, x) of a patch; max_overlap, min_foreground: as in configs/prepare_patches.py.
        most: patches kept, at random.

    Returns:
        Sample.
    """
    rng = np.random.default_rng(seed)
    foreground, background, radii, images = [], [], [], []
    for voxels in stacks:
        found = otsu.segment(voxels, settings)
        skeleton = otsu.centreline(found.mask)
        radii.append(skeleton_radii(found.mask, skeleton))
        corners = windows.slide_windows(skeleton, window, shape=voxels.shape, max_overlap=max_overlap)
        corners = corners[rng.permutation(len(corners))[:most]]
        for corner in corners:
            mask = patches.cut(found.mask, corner, window=window)
            if mask.mean() >= min_foreground:
                image = patches.cut(voxels, corner, window=window)
                outside = ~mask & ~patches.cut(found.specks, corner, window=window)
                foreground.append(image[mask][:: 1 + mask.sum() // 2000])
                background.append(image[outside][:: 1 + outside.sum() // 5000])
                images.append(image)
    return Sample(np.concatenate(foreground), np.concatenate(background), np.concatenate(radii), np.stack(images))


def distances(a, b):
    """Distances of two Samples; dict of MEASURES."""
    return {'foreground': metrics.grey_distance(a.foreground, b.foreground),
            'background': metrics.grey_distance(a.background, b.background),
            'radius': metrics.ks_distance(a.radii, b.radii),
            'spectrum': metrics.spectrum_distance(a.images, b.images)}


def halves(voxels):
    """The two halves of a stack along each axis; list of three pairs."""
    return [tuple(np.array_split(voxels, 2, axis)) for axis in range(3)]
