"""Evidence for neurites, of masks, probability maps and stacks that no network has seen."""
import os
from collections import namedtuple

import numpy as np
from skimage import filters

from utils.common import tiling
from utils.common.errors import UserError
from utils.data import stacks
from utils.measure import otsu

METHODS = 'otsu', 'gaussian', 'ridge', 'threshold'
KINDS = '.prob', '.mask'      # ends of names; a probability map goes before a mask
RIDGE_TILE = (64, 128, 128)   # voxels that the ridge filter sees at a time, besides a halo
CERTAIN = np.uint8(255)

# voxels: uint8 [Z, Y, X], 255 for certain; low, high: in (0, 1], of the foreground's hysteresis
Evidence = namedtuple('Evidence', 'voxels low high')


# --- files ---

def split(path):
    """(NAME, '.prob', '.mask' or '') of a path."""
    name, kind = os.path.splitext(stacks.name_of(path))
    return (name, kind) if kind in KINDS else (name + kind, '')


def find(pattern):
    """Inputs by name: of NAME.prob.tif, NAME.mask.tif and NAME.tif the first that is there.

    Args:
        pattern: folder, file or glob pattern.

    Returns:
        list of (NAME, path), sorted.

    Raises:
        UserError: as stacks.find.
    """
    best = {}
    for path in stacks.find(pattern):
        name, kind = split(path)
        rank = (KINDS + ('',)).index(kind)
        if name not in best or rank < best[name][0]:
            best[name] = rank, path
    return [(name, best[name][1]) for name in sorted(best)]


def of_stack(stack, *, low, high, grey):
    """Evidence of a file, by its name, dtype and values.

    Args:
        stack: stacks.Stack; floats are probabilities, two levels with 0 are a mask.
        low, high: of probabilities and masks.
        grey: function (voxels) -> uint8 evidence of grey levels, 0.5 at their threshold.

    Returns:
        Evidence.

    Raises:
        UserError: a .prob file of other than probabilities, a .mask file of more than two levels.
    """
    voxels, kind = stack.voxels, split(stack.path)[1]
    if voxels.dtype == np.float32:
        scaled = np.empty(voxels.shape, np.uint8)
        for plane, p in zip(scaled, voxels):                     # no second float stack
            plane[:] = np.rint(255 * p)
        return Evidence(scaled, low, high)
    if kind == '.prob':
        if voxels.dtype != np.uint8:
            raise UserError('%s is %s: want a probability map of uint8, 255 for certain, or of '
                            'floats from 0 to 1' % (stack.path, voxels.dtype))
        return Evidence(voxels, low, high)
    least, most = int(voxels.min()), int(voxels.max())
    two = all(((plane == least) | (plane == most)).all() for plane in voxels)
    if not kind and not (two and least == 0):
        return Evidence(grey(voxels), 0.5, 0.5)
    if not two:
        raise UserError('%s is no mask: it has more than two grey levels: name it NAME.prob.tif '
                        'if it is a probability map' % stack.path)
    return Evidence((voxels > 0).astype(np.uint8) * CERTAIN, low, high)


# --- grey levels ---

def of_grey_levels(voxels, method, *, settings=otsu.Settings(), threshold=0.0, ridge_sigmas=(1.0,),
                   name='stack'):
    """Grey levels as evidence for neurites.

    It is 0 at the background's median or below, 0.5 at the threshold, 1 as far above it.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].
        method: 'otsu', grey levels as they are, OTSU's threshold; 'gaussian', flattened, smoothed,
            OTSU, as otsu.segment; 'ridge', the largest response of Sato's filter (Medical Image
            Analysis 1998) to the flattened image, OTSU; 'threshold', a given one.
        settings: otsu.Settings; threshold: grey level of method 'threshold'.
        ridge_sigmas: voxels, half-widths of the neurites that the ridge filter looks for.
        name: for error messages.

    Returns:
        uint8 [Z, Y, X], 255 for 1.

    Raises:
        UserError: constant image, or no background below the threshold.
    """
    low, high = int(voxels.min()), int(voxels.max())
    if low == high:
        raise UserError('%s is empty: every voxel is %d: leave it out' % (name, low))
    image = voxels
    if method == 'gaussian':
        image = otsu.flat(voxels, settings)
    elif method == 'ridge':
        image = _ridges(otsu.flat(voxels, settings._replace(smooth_sigma=0.0)), ridge_sigmas)
    if method == 'otsu':
        threshold = float(filters.threshold_otsu(otsu.sampled(voxels)))
    elif method != 'threshold':
        threshold = otsu.cut(image, settings)
    middle = float(np.median(otsu.sampled(image)))
    check_threshold(threshold, middle, name=name)
    return scaled(image, threshold=threshold, middle=middle)


def check_threshold(threshold, middle, *, name):
    """Raise UserError unless a threshold is above the median grey level; name: of the stack."""
    if threshold <= middle:
        raise UserError('%s: the threshold %g is not above the median grey level %g: its neurites '
                        'would be most of the stack; take another METHOD or GREY_THRESHOLD'
                        % (name, threshold, middle))


def scaled(image, *, threshold, middle):
    """Grey levels [Z, Y, X] as evidence: 0 at `middle`, 0.5 at the threshold; uint8, 255 for 1."""
    scale = np.float32(127.5 / (threshold - middle))
    result = np.empty(image.shape, np.uint8)
    for plane, grey in zip(result, image):                       # no second float stack
        plane[:] = np.clip(np.rint((grey - np.float32(middle)) * scale), 0, 255)
    return result


def _ridges(image, sigmas):
    """Sato's filter, bright ridges, tile by tile; float32 [Z, Y, X]."""
    def ridge(tile):
        return filters.sato(tile, sigmas, black_ridges=False).astype(np.float32)

    return tiling.apply(ridge, image, tile=RIDGE_TILE, halo=int(4 * max(sigmas)) + 3)
