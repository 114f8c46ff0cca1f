"""Bright debris: round objects above the noise, and what to draw so that drafts have as many.

Pieces of neurites are longer. Of the dim ones OTSU finds hardly any, and they are most of all.
"""
import numpy as np
from scipy import ndimage
from skimage.measure import regionprops_table

from utils.data import stacks
from utils.measure import lines, otsu, quantiles

RADII = 1.0, 4.0             # isotropic voxels, of the ball of an object's volume; smaller ones are
                             # noise, larger ones no debris
LONGEST = 2.0                # length over thickness; what is longer is a piece of a neurite
OWN = 1 / 12                 # variance of a voxel's own extent, square voxels
SURE = 1.1                   # peak over threshold that sizes are told from, at least
SHARPEST = 0.6               # voxels, smallest sigma that is drawn
MOST = 5e-4                  # objects per isotropic voxel that are drawn, and fainter ones
LIMITS = 0.4, 2.5            # factors that one round may change the density or a level by
DRAWN = 'debris_density', 'debris_levels', 'debris_sigmas'
NOTHING = {'density': 0.0, 'sigma_quantiles': None, 'level_quantiles': None}


def measure(voxels, local, *, mask, above, spacing, blur):
    """Measure debris.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; local: uint16, its background (background.local_level).
        mask: bool [Z, Y, X], what is `above` grey levels brighter (lines.standing_out).
        spacing: (z, y, x) size of a voxel.
        blur: of widths.blur_sigma; what it makes long is round. Where some of it is unknown, what
            is long counts, too.

    Returns:
        dict: `threshold`, as `above`; `density`, objects per isotropic voxel; `level_quantiles`,
        their peaks above the background, smoothed by lines.SMOOTHING; `sigma_quantiles`, isotropic
        voxels, of Gaussians with these peaks whose part above the threshold is as large. Without
        debris the density is 0 and the quantiles are None.
    """
    objects, count = ndimage.label(mask, otsu.NEIGHBOURS)
    volume = otsu.sizes(objects, count)[1:] * np.prod(spacing)
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    good = (radius >= RADII[0]) & (radius <= RADII[1])
    _keep(objects, good)
    if good.any() and None not in blur:                  # else what it made long would be left out
        good[good] = lengths(objects, scale=1 / np.array(blur)) <= LONGEST
        _keep(objects, good)
    if not good.any():
        return dict(NOTHING, threshold=float(above))
    peak = np.full(count, above, float)
    for slab in otsu.slabs(objects):
        inside = objects[slab] > 0
        np.maximum.at(peak, objects[slab][inside] - 1, lines.flat(voxels, local, slab=slab)[inside])
    peak, radius = peak[good], radius[good]
    sure = peak >= min(SURE * above, peak.max())
    sigma = radius[sure] / np.sqrt(2 * np.log(np.maximum(peak[sure] / above, SURE)))
    return {'threshold': float(above), 'density': float(len(peak) / mask.size / np.prod(spacing)),
            'level_quantiles': quantiles.of(peak), 'sigma_quantiles': quantiles.of(sigma)}


def _keep(objects, good):
    """Take all objects but the good ones (bool [N]) out of an image of them, in place."""
    keep = np.r_[False, good]
    for slab in otsu.slabs(objects):
        objects[slab] *= keep[objects[slab]]


def lengths(objects, *, scale):
    """Length of each object over its thickness, by its inertia tensor.

    Args:
        objects: int [Z, Y, X], 0 the background; scale: float [3], that z, y and x are multiplied
        by.

    Returns:
        float [N], of each number that objects have, in order: root of the largest variance over the
        geometric mean of the other two.
    """
    found = regionprops_table(objects, properties=('inertia_tensor',))
    inertia = np.stack([found['inertia_tensor-%d-%d' % place] for place in np.ndindex(3, 3)], 1)
    inertia = inertia.reshape(-1, 3, 3)
    whole = np.trace(inertia, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 2
    spread = whole - inertia + OWN * np.eye(3)
    small, middle, large = np.linalg.eigvalsh(spread * np.outer(scale, scale)).T
    return np.sqrt(large / np.sqrt(small * middle))


# --- what to draw ---

def first_guess(measured):
    """What to draw at first: as measured, without the blur and the smoothing.

    Args:
        measured: pooled measurements (pool.pool).

    Returns:
        dict of DRAWN: the density, and lists at QUANTILES; empty without debris.
    """
    seen = measured.get('debris')
    if not seen or not seen['sigma_quantiles']:
        return {}
    spacing = stacks.spacing_of(measured.get('voxel_size'))
    blur = [sigma * step for sigma, step in zip(measured['blur_sigma'], spacing) if sigma]
    by = np.hypot(np.mean(blur or [1.0]), smoothing(measured))
    return {'debris_density': min(seen['density'], MOST), 'debris_levels': seen['level_quantiles'],
            'debris_sigmas': sharper(seen['sigma_quantiles'], by=by).tolist()}


def smoothing(measured):
    """lines.SMOOTHING of stacks measured so, isotropic voxels, mean over the axes; float."""
    return lines.SMOOTHING * float(np.mean(stacks.spacing_of(measured.get('voxel_size'))))


def sharper(sigmas, *, by):
    """Sigmas that look like those given when they are blurred; float [N], isotropic voxels."""
    return np.sqrt(np.maximum(np.square(sigmas) - by ** 2, SHARPEST ** 2))


def widest(peaks, *, above):
    """Sigmas, as seen, with which specks of such peaks are just as large as debris may be.

    Args:
        peaks: float [N]; above: the threshold; both grey levels.

    Returns:
        float [N], isotropic voxels.
    """
    return RADII[1] / np.sqrt(2 * np.log(np.maximum(np.divide(peaks, above), SURE)))


def corrected(drawn, measured, *, seen, damping):
    """What to draw next.

    Pieces of neurites that are taken for debris are in both measurements.

    Args:
        drawn: dict, what the draft was drawn from; measured: of the real stacks; seen: of the
            draft (both of stack.measure); damping: share of a correction that is made.

    Returns:
        dict of those entries of first_guess that `drawn` has.
    """
    found = {key: drawn[key] for key in DRAWN if key in drawn}
    want, got = measured.get('debris'), seen.get('debris')
    if not found or not want or not got:
        return found
    ratio = np.clip(want['density'] / max(got['density'], 1e-12), *LIMITS)
    found['debris_density'] = min(found['debris_density'] * float(ratio ** damping), MOST)
    if got['sigma_quantiles']:
        ratio = np.clip(np.divide(want['level_quantiles'], got['level_quantiles']), *LIMITS)
        levels = np.array(drawn['debris_levels']) * ratio ** damping
        more = np.square(want['sigma_quantiles']) - np.square(got['sigma_quantiles'])
        square = np.square(drawn['debris_sigmas']) + damping * more
        found['debris_levels'] = np.sort(levels).tolist()
        found['debris_sigmas'] = np.sort(np.sqrt(np.maximum(square, SHARPEST ** 2))).tolist()
    return found
