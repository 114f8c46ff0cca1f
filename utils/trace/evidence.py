"""Grey levels as evidence for neurites, for stacks that no network has seen."""
import numpy as np
from skimage import filters

from utils.common import tiling
from utils.common.errors import UserError
from utils.measure.otsu import Settings, cut, flat, sampled

RIDGE_TILE = (64, 128, 128)   # voxels that the ridge filter sees at a time, besides a halo


def of_grey_levels(voxels, method, *, settings=Settings(), threshold=0.0, ridge_sigmas=(1.0,), name='stack'):
    """Grey levels as evidence for neurites: 0 at the background's median or below, 0.5 at the threshold, 1 as far above it.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].
        method: 'otsu', grey levels as they are, OTSU's threshold; 'gaussian', as segment; 'ridge', the largest response
            of Sato's filter over ridge_sigmas (voxels) to the flattened image, then as segment; 'threshold', a given one.
        settings: otsu.Settings; threshold: grey level of method 'threshold'; name: for error messages.

    Returns:
        uint8 [Z, Y, X], 255 for 1.

    Raises:
        UserError: constant image, or no background below the threshold.
    """
    low, high = int(voxels.min()), int(voxels.max())
    if low == high:
        raise UserError('%s is empty: every voxel is %d: leave it out' % (name, low))
    if method in ('gaussian', 'ridge'):
        image = flat(voxels, settings if method == 'gaussian' else settings._replace(smooth_sigma=0.0))
        if method == 'ridge':
            halo = int(4 * max(ridge_sigmas)) + 3
            image = tiling.apply(lambda tile: filters.sato(tile, ridge_sigmas, black_ridges=False).astype(np.float32),
                                 image, tile=RIDGE_TILE, halo=halo)
        threshold = cut(image, settings)
    else:
        image = voxels
        threshold = float(filters.threshold_otsu(sampled(voxels))) if method == 'otsu' else threshold
    middle = float(np.median(sampled(image)))
    if threshold <= middle:
        raise UserError('%s: the threshold %g is not above the median grey level %g: its neurites would be most of the stack; '
                        'take another METHOD or THRESHOLD' % (name, threshold, middle))
    result = np.empty(voxels.shape, np.uint8)
    for plane, grey in zip(result, image):                       # no second float stack
        plane[:] = np.clip(np.rint((grey - np.float32(middle)) * np.float32(127.5 / (threshold - middle))), 0, 255)
    return result
