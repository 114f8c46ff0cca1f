"""Prior knowledge, the paper's own or measured on real stacks: what neurites look like, and what lies behind them."""

import numpy as np
from scipy import ndimage, special

from utils.measure import otsu, skeletons

# of radii, levels, lengths and angles, kept in priors.json
QUANTILES = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75,
                      0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1])
# of the background's grey levels; above the last one lies what is no background
BACKGROUND = np.array([0.0002, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98,
                       0.99, 0.995, 0.999])
LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24)                    # voxels at which the background's correlation is measured
THIN = 0.15                                              # quantile of apparent widths that is taken for the blur's
FWHM = 2.3548                                            # of a Gaussian, in sigmas
REACH = 7                                                # voxels to each side of a centreline in which a width is sought


# --- measuring one stack ---

def measure(voxels, found, *, skeleton, voxel_size=None, flatten_block=32, block=128, margin=16):
    """Measure one segmented stack.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; found: otsu.Segmentation; skeleton: int [M, 3], centreline voxels.
        voxel_size: (z, y, x) in um, None for isotropic voxels.
        flatten_block: voxels per side of the blocks whose medians are the local background; 0: one for the stack.
        block: voxels per side of the blocks in which distances are computed, to bound memory.
        margin: voxels around a block; radii up to it are exact.

    Returns:
        dict of numbers and lists, as in priors.json (README, "priors.json"). Lengths are voxels of x ("isotropic
        voxels"), blur and correlation are voxels of each axis, grey levels those of the stack. What cannot be
        measured on this stack is None.
    """
    spacing = np.ones(3) if voxel_size is None else np.asarray(voxel_size, float) / voxel_size[2]
    local = local_background(voxels, flatten_block)
    outside = ~ndimage.binary_dilation(found.mask | found.specks, iterations=2)
    behind = _sample(voxels, outside)
    if len(behind) < 1000:                               # a stack so dense that no voxel is far from a neurite
        outside = ~(found.mask | found.specks)
        behind = _sample(voxels, outside)
    middle = float(np.median(behind))
    spread = float(1.4826 * np.median(np.abs(behind - np.float32(middle))))
    radii = skeleton_radii(found.mask, skeleton, block=block, margin=margin, sampling=spacing)
    # where neurites fill most of a block its median is theirs, not the background's
    np.minimum(local, int(np.clip(middle + 4 * spread, 0, 65535)), out=local)
    paths, junctions, tips = skeletons.branches(skeleton)
    lengths, tortuosities, persistence = skeletons.shape_of(paths, spacing)
    angles = skeletons.fork_angles(paths, junctions, spacing=spacing)
    widths = apparent_widths(voxels, local, paths=paths)
    levels, drift, grain = _levels_along(voxels, local, paths=paths, noise=spread)
    top = np.iinfo(voxels.dtype).max
    return {
        'foreground': _levels(voxels[found.mask]),
        'background': dict(_levels(behind), median=middle, robust_std=spread,
                           quantiles=_quantiles(behind, BACKGROUND)),
        'noise_std': noise_std(voxels, outside),
        'correlation': correlation(voxels, outside, behind=behind),
        # the thinnest neurites show the optics alone: an upper bound, close where some are thinner than the blur
        'blur_sigma': [float(np.quantile(w, THIN) / FWHM) if len(w) >= 10 else None for w in widths],
        'width_quantiles': _quantiles(np.concatenate(widths[1:])),
        'foreground_fraction': float(found.mask.mean()),
        'saturated_fraction': float((voxels == top).mean()),
        'radius_quantiles': _quantiles(radii),
        'level_quantiles': _quantiles(levels),
        'level_drift': drift,
        'grain': grain,
        'length_quantiles': _quantiles(lengths),
        'tortuosity_quantiles': _quantiles(tortuosities),
        'persistence': None if np.isnan(persistence) else persistence,
        'angle_quantiles': _quantiles(angles),
        'threshold': found.threshold,
        'density': float(len(skeleton) / found.mask.size / np.prod(spacing)),
        'branch_spacing': float(len(skeleton) / max(1, len(angles))),
        'ends_spacing': float(len(skeleton) / max(1, _ends(paths, tips, shape=voxels.shape))),
        'debris': _debris(voxels, local, specks=found.specks, spacing=spacing),
        'centreline_voxels': int(len(skeleton)),
        'voxel_size': None if voxel_size is None else [float(v) for v in voxel_size],
    }


def _quantiles(values, probabilities=QUANTILES):
    return [float(q) for q in np.quantile(values, probabilities)] if len(values) else None


def _levels(values):
    low, middle, high = np.percentile(values, [5, 50, 95])
    return {'mean': float(values.mean(dtype=np.float64)), 'std': float(values.std(dtype=np.float64)),
            'median': float(middle), 'p05': float(low), 'p95': float(high)}


def _sample(voxels, where, *, most=2000000):
    """Grey levels at about `most` of the voxels of a mask, evenly spread."""
    index = np.flatnonzero(where)
    return voxels.ravel()[index[:: 1 + len(index) // most]]


def local_background(voxels, block):
    """The median of blocks, interpolated (otsu.background), as int32-safe uint16 [Z, Y, X]."""
    local = np.empty(voxels.shape, np.uint16)
    if not block:
        local[:] = int(np.median(voxels[::2, ::2, ::2]))
        return local
    for rows, level in otsu.background(voxels, block):
        local[rows] = np.clip(np.rint(level), 0, 65535)
    return local


def skeleton_radii(mask, skeleton, *, block=128, margin=16, sampling=(1, 1, 1)):
    """Distance of each centreline voxel to the nearest background voxel, less half a voxel.

    Blockwise: scipy's distance transform of a whole 512 x 512 x 512 mask would take 5 GB.

    Returns:
        float [M], in units of `sampling` (the size of a voxel), in the order of `skeleton`.
    """
    radii = np.zeros(len(skeleton))
    corner = skeleton // block
    for index in np.unique(corner, axis=0):
        rows = np.flatnonzero((corner == index).all(1))
        low = np.maximum(index * block - margin, 0)
        high = np.minimum((index + 1) * block + margin, mask.shape)
        distance = ndimage.distance_transform_edt(mask[tuple(slice(a, b) for a, b in zip(low, high))], sampling)
        radii[rows] = distance[tuple((skeleton[rows] - low).T)]
    return np.minimum(radii, margin) - 0.5


def noise_std(voxels, outside):
    """Standard deviation of the noise that changes from voxel to voxel along each axis: of the difference of
    neighbours, by its median absolute deviation, over the square root of 2; float [3], grey levels."""
    found = []
    for axis in range(3):
        box = _middle(voxels.shape)
        a = voxels[box].astype(np.float32)
        both = outside[box]
        first, second = [tuple(slice(None, -1) if i == axis else slice(None) for i in range(3)),
                         tuple(slice(1, None) if i == axis else slice(None) for i in range(3))]
        steps = np.abs(a[second] - a[first])[both[first] & both[second]]
        # rounding to whole grey levels would make the median a step: spread each over its width
        steps = steps + np.random.default_rng(0).uniform(-0.5, 0.5, steps.shape) if len(steps) else np.zeros(1)
        found.append(float(1.4826 * np.median(np.abs(steps)) / np.sqrt(2)))
    return found


def _middle(shape, most=160):
    """Slices of the middle of a stack, at most `most` voxels a side."""
    return tuple(slice((n - min(n, most)) // 2, (n + min(n, most)) // 2) for n in shape)


def correlation(voxels, outside, *, behind, side=64):
    """Correlation of the background at LAGS voxels along each axis, after its grey levels are made Gaussian by rank.

    Ranks make it robust to spots and to a clipped background. Measured in up to 27 cubes of `side` voxels, spread over
    the stack, so that a large stack takes no longer than a small one.

    Returns:
        list of three lists of float in [-1, 1]; None at lags that the cubes are too small for.
    """
    rng = np.random.default_rng(0)
    ranked = behind[:: 1 + len(behind) // 200000].astype(np.float32)
    ranked = np.sort(ranked + rng.uniform(-0.5, 0.5, len(ranked)).astype(np.float32))
    product, weight = np.zeros((3, len(LAGS))), np.zeros((3, len(LAGS)))
    power = count = 0.0
    starts = [sorted({0, max(0, (n - side) // 2), max(0, n - side)}) for n in voxels.shape]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                box = tuple(slice(a, a + side) for a in (z, y, x))
                cube = voxels[box].astype(np.float32)
                cube += rng.uniform(-0.5, 0.5, cube.shape).astype(np.float32)
                rank = np.searchsorted(ranked, cube.ravel()).reshape(cube.shape)
                normal = special.ndtri(np.clip((rank + 0.5) / (len(ranked) + 1), 1e-4, 1 - 1e-4))
                there = outside[box].astype(np.float32)
                normal = (normal * there).astype(np.float32)
                power, count = power + np.vdot(normal, normal), count + there.sum()
                for axis in range(3):
                    for k, lag in enumerate(LAGS):
                        if lag < cube.shape[axis]:
                            a = [slice(None)] * 3
                            b = [slice(None)] * 3
                            a[axis], b[axis] = slice(None, -lag), slice(lag, None)
                            product[axis, k] += np.vdot(normal[tuple(a)], normal[tuple(b)])
                            weight[axis, k] += np.vdot(there[tuple(a)], there[tuple(b)])
    with np.errstate(invalid='ignore', divide='ignore'):
        found = product / weight / (power / count)
    return [[float(v) if np.isfinite(v) else None for v in row] for row in found]


def apparent_widths(voxels, local, *, paths):
    """Full widths at half maximum across neurites that run at right angles to each axis.

    Returns:
        list of three float arrays, voxels of that axis.
    """
    points, towards = [np.zeros((0, 3), int)], [np.zeros((0, 3))]
    for path in paths:
        if len(path) >= 8:
            points.append(path[3:-3])
            towards.append((path[6:] - path[:-6]).astype(float))
    at, ahead = np.concatenate(points), np.concatenate(towards)
    found = []
    for axis in range(3):
        across = np.abs(ahead[:, axis]) < 0.35 * np.sqrt((ahead ** 2).sum(1))
        across &= (at[:, axis] >= REACH) & (at[:, axis] < voxels.shape[axis] - REACH)
        found.append(_widths(voxels, local, at=at[across][:: 1 + across.sum() // 4000], axis=axis))
    return found


def _widths(voxels, local, *, at, axis):
    """Full widths at half maximum along an axis of the profiles through some voxels; those that never fall that low
    within REACH are left out."""
    offset = np.arange(-REACH, REACH + 1)
    index = [np.repeat(at[:, i, None], len(offset), 1) for i in range(3)]
    index[axis] = index[axis] + offset
    profile = voxels[tuple(index)].astype(np.float32) - local[tuple(at.T)].astype(np.float32)[:, None]
    peak = profile[:, REACH - 1:REACH + 2].argmax(1) + REACH - 1
    half = profile[np.arange(len(at)), peak] / 2
    widths = np.zeros(len(at))
    good = half > 0
    for sign in (-1, 1):
        place = peak.copy()
        for _ in range(REACH):
            step = (profile[np.arange(len(at)), place] > half) & (place > 0) & (place < 2 * REACH)
            place = place + sign * step
        above, below = profile[np.arange(len(at)), place - sign * (place != peak)], profile[np.arange(len(at)), place]
        good &= below <= half
        share = np.where(above > below, (above - half) / np.maximum(above - below, 1e-6), 0)
        widths += np.abs(place - peak) - 1 + share
    return widths[good]


def _levels_along(voxels, local, *, paths, noise):
    """Brightness of the neurites above the local background, along their centrelines.

    Args:
        noise: std of the background, grey levels.

    Returns:
        (levels, drift, grain): the median of each path of 8 voxels or more, once per voxel of it; std of the
        logarithm within paths of 20 or more, smoothed over 2 voxels; std of what the smoothing takes away, over the
        median and without the background's noise. None without such a path.
    """
    levels, within, rough = [], [], []
    for path in paths:
        if len(path) < 8:
            continue
        at = tuple(path.T)
        excess = _along(voxels, path) - local[at]
        middle = np.median(excess)
        if middle <= 0:
            continue
        levels.append(np.full(len(path), middle))
        if len(path) >= 20:
            even = ndimage.gaussian_filter1d(excess, 2.0)
            within.append(np.log(np.maximum(even, 0.1 * middle) / middle))
            rough.append((np.mean((excess - even) ** 2) - 0.5 * noise ** 2) / middle ** 2)
    drift = float(np.concatenate(within).std()) if within else None
    grain = float(np.sqrt(max(np.median(rough), 0.0))) if rough else None
    return np.concatenate(levels) if levels else np.zeros(0), drift, grain


def _along(voxels, path):
    """Grey levels along a path without its staircase, which runs up to a voxel beside the neurite; float32 [L]."""
    low = np.maximum(path.min(0) - 2, 0)
    box = voxels[tuple(slice(a, b + 3) for a, b in zip(low, path.max(0)))]
    if box.size > 1 << 22:                               # a path across the stack: its box would be most of it
        half = len(path) // 2
        return np.concatenate([_along(voxels, path[:half]), _along(voxels, path[half:])])
    points = skeletons.smooth(path, (1, 1, 1)) - low
    return ndimage.map_coordinates(box.astype(np.float32), points.T, order=1, mode='nearest')


def _ends(paths, tips, *, shape, border=3):
    """Number of free ends of paths that are no spurs, away from the stack's border."""
    tips = {tuple(t) for t in tips[((tips >= border) & (tips < np.asarray(shape) - border)).all(1)]}
    return sum((tuple(p[0]) in tips) + (tuple(p[-1]) in tips) for p in paths if len(p) >= skeletons.SPUR)


def _debris(voxels, local, *, specks, spacing, most=20000):
    """Bright objects too small for neurites: how many per isotropic voxel, their radii and levels (None without)."""
    objects, count = ndimage.label(specks, np.ones((3, 3, 3), bool))
    volume = np.bincount(objects.ravel(), minlength=count + 1)[1:] * np.prod(spacing)
    if count == 0:
        return {'density': 0.0, 'radius_quantiles': None, 'level_quantiles': None}
    which = np.arange(1, count + 1)[:: 1 + count // most]
    at = objects > 0
    excess = voxels[at].astype(np.float32) - local[at]
    level = ndimage.mean(excess, objects[at], which)
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    big = radius >= 1                                    # less is noise
    if not big.any():
        return {'density': 0.0, 'radius_quantiles': None, 'level_quantiles': None}
    return {'density': float(big.sum() / specks.size / np.prod(spacing)), 'radius_quantiles': _quantiles(radius[big]),
            'level_quantiles': _quantiles(np.maximum(level[big[which - 1]], 0)) or _quantiles(np.maximum(level, 0))}


# --- several stacks ---

def pool(measured):
    """Join the measurements of several stacks: the mean of each, weighted by centreline voxels.

    Args:
        measured: dict from stack name to the result of measure().

    Returns:
        dict for priors.json: `stacks` as given, and the same entries pooled. A stack that lacks one does not count.
    """
    weights = [m['centreline_voxels'] for m in measured.values()]
    return dict(_mean(list(measured.values()), weights), stacks=measured)


def _mean(values, weights):
    """Weighted mean of like trees of dicts, lists and numbers; None where no tree has the entry."""
    known = [(v, w) for v, w in zip(values, weights) if v is not None]
    if not known:
        return None
    values, weights = zip(*known)
    if isinstance(values[0], dict):
        return {key: _mean([v.get(key) for v in values], weights) for key in values[0] if key != 'centreline_voxels'}
    if isinstance(values[0], (list, tuple)):
        return [_mean(list(v), weights) for v in zip(*values)]
    return float(np.average(values, weights=weights))


# --- from measurements to what is drawn ---
