"""What stands out of a patch: how high its voxels lie above their surroundings, in noise levels.

One noise level is the spread of the smoothed patch in its own background. So brightness and
contrast of a whole patch do not count, and noise may be redrawn. A voxel *stands out* by LEVELS of
them or more.
"""
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import morphology

SMOOTH = 1.0              # voxels, sigma of the smoothing before anything stands out
SURROUND = 4.0            # voxels, sigma over which the surroundings are averaged
MARGIN = 5.0              # voxels off the label where its blur and halo end, background begins
RIM = 1                   # voxels at a patch's faces, left out: smoothing leaves more noise
LEVELS = 3.0              # noise levels above the surroundings
FLAT = 0.05               # grey levels of smoothed noise, at least: what rounding leaves
SPREAD = 0.1587           # quantile one standard deviation below a Gaussian's median
LEAST = 100               # background voxels of a patch in which noise is measured, at least
LONG = 12                 # voxels of centreline of an invented strand; shorter ones are specks
                          # and peaks of the noise
ALONG = 5                 # voxels, side of the cube in which a centreline's voxels are averaged
NEURITE = 5               # voxels of centreline of a neurite whose contrast is measured, at least
THINNED = 5               # every so many-th background voxel tells the noise
TOUCHING = np.ones((3, 3, 3))


class Place(NamedTuple):
    """Where a patch's label and background lie."""
    label: np.ndarray         # bool [Z, Y, X]
    skeleton: np.ndarray      # bool [Z, Y, X], the label's centreline
    off: np.ndarray           # bool [Z, Y, X], background: MARGIN off the label, off the RIM
    weight: np.ndarray        # float32 [Z, Y, X], share of background in the surroundings
    near: np.ndarray          # float [M], share of centreline around each centreline voxel
    neurite: np.ndarray       # int [M], component of the label, of each centreline voxel


def place_of(label):
    """The Place of a label, bool [Z, Y, X]."""
    skeleton = morphology.skeletonize(label) > 0
    off = np.zeros(label.shape, bool)
    inner = (slice(RIM, -RIM),) * 3
    off[inner] = (ndimage.distance_transform_edt(~label)[inner] > MARGIN if label.any() else True)
    parts, _ = ndimage.label(label, TOUCHING)
    return Place(label, skeleton, off, _around(off), _beside(skeleton)[skeleton], parts[skeleton])


def heights(image, place):
    """Height of each voxel above its surroundings, in noise levels; see measure."""
    return measure(image, place)[0]


def measure(image, place):
    """Height of each voxel above its surroundings, in noise levels, and what one of them is.

    Smoothed (SMOOTH), less the mean of the background nearby (SURROUND), over the noise. The noise
    is what lies between the background's median and the quantile SPREAD below it: bright strands,
    drawn or invented, lie above the median and hardly raise it.

    Args:
        image: grey levels [Z, Y, X]; place: Place.

    Returns:
        (float32 [Z, Y, X], zeros where the patch has too little background; grey levels).
    """
    if place.off.sum() < LEAST:
        return np.zeros(image.shape, np.float32), FLAT
    smooth = ndimage.gaussian_filter(image.astype(np.float32), SMOOTH)
    middle, noise = _middle_and_noise(smooth[place.off])
    smooth -= middle                                     # what counts where no background is near
    mild = np.clip(smooth, -LEVELS * noise, LEVELS * noise)      # a strand must not hide itself
    smooth -= _around(mild * place.off) / np.maximum(place.weight, 1e-6)
    middle, noise = _middle_and_noise(smooth[place.off])
    return (smooth - middle) / noise, float(noise)


def _middle_and_noise(levels):
    """Median of grey levels [N], and their spread below it; two float."""
    low, middle = np.quantile(levels[::THINNED], [SPREAD, 0.5])
    return np.float32(middle), np.float32(max(middle - low, FLAT))


def _around(values):
    """Mean of the surroundings, what lies outside the patch being 0; float32 [Z, Y, X].

    Of every second voxel along each axis, for speed.
    """
    mean = ndimage.gaussian_filter(values[::2, ::2, ::2].astype(np.float32), SURROUND / 2,
                                   mode='constant')
    for axis, length in enumerate(values.shape):
        mean = mean.repeat(2, axis).take(range(length), axis)
    return mean


def _beside(values):
    """Mean in a cube of ALONG voxels, what lies outside the patch being 0; float32 [Z, Y, X]."""
    return ndimage.uniform_filter(values.astype(np.float32), ALONG, mode='constant')


def invented(height, place):
    """Strands in the background: (how many, voxels of their centrelines), two whole numbers.

    Args:
        height: of heights; place: Place.
    """
    parts, count = ndimage.label((height >= LEVELS) & place.off, TOUCHING)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    large = sizes >= LONG                                # voxels, no fewer than of a centreline
    large[0] = False
    if not large.any():
        return 0, 0
    lengths = np.bincount(parts[morphology.skeletonize(large[parts]) > 0])
    lengths = lengths[lengths >= LONG]
    return len(lengths), int(lengths.sum())


def along(height, place):
    """Height along the label's centreline, averaged over the centreline nearby; float [M]."""
    return _beside(height * place.skeleton)[place.skeleton] / place.near


def by_neurite(height, place):
    """Mean height along the centreline of each neurite; float [K], NaN for short ones."""
    count = np.bincount(place.neurite)
    total = np.bincount(place.neurite, height[place.skeleton])
    return np.where(count >= NEURITE, total / np.maximum(count, 1), np.nan)
