"""From what neurites look like to what must be drawn, so that drafts look the same to the same measurements.

Widths are those of blurred neurites, grey levels those of blurred and stained ones, and OTSU misses the dim ones. So
a small draft is drawn and measured just as the real stacks were, and the radii, levels, density, blur, its wings and
staining to draw are corrected by what differs; a few rounds suffice.
"""
from types import SimpleNamespace

import numpy as np

from utils.common import config
from utils.common.errors import UserError
from utils.measure import appearance
from utils.simulate import drafts, priors

SHAPE = (128, 192, 192)       # voxels of the draft that is measured
DAMPING = 0.7                 # of a correction, in the exponent: what is measured on one draft is noisy
LIMITS = 0.2, 5.0             # of a round's corrections
DENSEST = 0.02                # voxels of centreline per cubic voxel
KEYS = 'radius_quantiles', 'width_quantiles', 'level_quantiles', 'density', 'grain', 'blur_sigma', 'threshold'
SHARPEST = 0.3                # voxels, sigma of the blur
THINNEST = 0.8                # voxels: thinner neurites would be strings of single voxels, and only dimmer


def first_guess(measured):
    """Radii, levels and density as measured, the blur taken off."""
    radii = thickness(measured['width_quantiles'], [b for b in measured['blur_sigma'][1:] if b])
    if radii is None:                                    # no width could be measured: OTSU's radii are all there is
        radii = np.array(measured['radius_quantiles'])
    return {'radius_quantiles': np.maximum(radii, THINNEST).tolist(),
            'level_quantiles': measured['level_quantiles'] or [1.0] * len(appearance.QUANTILES),
            'density': min(1.5 * measured['density'], DENSEST), 'blur_sigma': measured['blur_sigma'], 'keep': 0.8, 'halo': 0.1}


def thickness(widths, blur):
    """Radii of cylinders whose blurred images have these full widths at half maximum; None if a width is unknown.

    The variance across a cylinder of radius r is r^2 / 4, and that of its image is more by the blur's.
    """
    if widths is None or not blur:
        return None
    rest = np.maximum((np.array(widths) / appearance.FWHM) ** 2 - np.mean(blur) ** 2, 0)
    return np.minimum(2 * np.sqrt(rest), np.array(widths) / 2)


def calibrate(measured, look, *, rounds=6, seed=0):
    """Find what to draw.

    Args:
        measured: pooled measurements (appearance.pool) with dtype_max.
        look: function voxels -> measurements (appearance.measure), with the settings of the real stacks.
        rounds: drafts drawn and measured; 0 leaves the first guess.
        seed: of the drafts.

    Returns:
        dict: radius_quantiles, level_quantiles, density, blur_sigma, keep, halo, of the round whose draft came nearest;
        its number `best`, and `rounds`, what each round's draft measured.
    """
    drawn = first_guess(measured)
    cfg = SimpleNamespace(**config.read_constants(config.rooted('configs/simulator.py')))
    cfg.BITS = 8 if measured['dtype_max'] == 255 else 16
    cfg.AXON_SHARE, cfg.SOMA_SHAPE = 1.0, 'ball'
    tried, damping = [], DAMPING
    for _ in range(rounds):
        known = dict(measured, drawn=drawn)
        values = drafts.resolve(cfg, known)
        spacing = np.asarray(values.VOXEL_SIZE) / values.VOXEL_SIZE[2]
        values.VOLUME_SHAPE = tuple(int(n * s) for n, s in zip(SHAPE, spacing))
        draft = drafts.draw(values, priors.Priors(known, cfg.BITS), rng=np.random.default_rng(seed))
        try:
            seen = look(draft.image)
        except UserError:                         # nothing was found: the draft is too dim
            drawn = dict(drawn, level_quantiles=[2 * v for v in drawn['level_quantiles']])
            continue
        if seen['threshold'] < 0.5 * max(measured['threshold'], 0):      # too little shines: OTSU fell into the noise
            drawn = dict(drawn, density=min(1.5 * drawn['density'], DENSEST))
            continue
        tried.append((mismatch(measured, seen), drawn, seen))
        best = min(tried, key=lambda t: t[0])
        if best is not tried[-1]:                        # it went too far: back, and on in smaller steps
            damping /= 2
        drawn = corrected(best[1], measured, seen=best[2], damping=damping)
    if not tried:
        return dict(drawn, rounds=[])
    best = min(range(len(tried)), key=lambda k: tried[k][0])
    return dict(tried[best][1], best=best,
                rounds=[dict({key: seen[key] for key in KEYS}, mismatch=m) for m, _, seen in tried])


def corrected(drawn, measured, *, seen, damping):
    """What to draw next: each entry moved towards what is measured, as far as `damping` (1: all the way) says."""
    def ratio(wanted, got):
        return float(np.clip(max(wanted, 1e-9) / max(got, 1e-9), *LIMITS) ** damping)

    return {
        'radius_quantiles': _thicker(drawn['radius_quantiles'], measured['width_quantiles'], seen=seen['width_quantiles'],
                                     damping=damping),
        'level_quantiles': _moved(drawn['level_quantiles'], measured['level_quantiles'], seen=seen['level_quantiles'], damping=damping),
        'density': min(drawn['density'] * ratio(measured['density'], seen['density']), DENSEST),
        'blur_sigma': [_wider(now, want, seen=got, damping=damping) for now, want, got in zip(drawn['blur_sigma'], measured['blur_sigma'],
                                                                        seen['blur_sigma'])],
        'keep': _kept(drawn['keep'], measured['grain'], seen=seen['grain'], damping=damping),
        # wings make OTSU's masks wider, but hardly the widths at half maximum
        'halo': float(np.clip(drawn['halo'] + damping * 0.5 * (1 - _middle_radius(seen) / _middle_radius(measured)), 0, 0.6)),
    }


def mismatch(measured, seen):
    """How far a draft's measurements are from the real ones: mean absolute logarithm of the ratios of density,
    threshold, OTSU's radius, grain, and the quartiles of levels and widths."""
    pairs = [(measured['density'], seen['density'])]
    if measured['threshold'] > 0 and seen['threshold'] > 0:
        pairs.append((measured['threshold'], seen['threshold']))
    pairs.append((_middle_radius(measured), _middle_radius(seen)))
    if measured['grain'] and seen['grain']:
        pairs.append((measured['grain'] + 0.05, seen['grain'] + 0.05))
    for key in ('level_quantiles', 'width_quantiles'):
        if measured[key] and seen[key]:
            pairs += zip(*[np.interp((0.25, 0.5, 0.75), appearance.QUANTILES, m[key]) for m in (measured, seen)])
    return float(np.mean([abs(np.log(max(a, 1e-9) / max(b, 1e-9))) for a, b in pairs]))


def _middle_radius(measured):
    """Mean of OTSU's radii between their 10 and 90 % quantiles, voxels."""
    return float(np.interp(np.linspace(0.1, 0.9, 17), appearance.QUANTILES, measured['radius_quantiles']).mean())


def _thicker(drawn, wanted, *, seen, damping):
    """Radii whose images are as much wider as is wanted; see thickness."""
    if wanted is None or seen is None:
        return drawn
    more = (np.array(wanted) ** 2 - np.array(seen) ** 2) * 4 / appearance.FWHM ** 2
    return np.sort(np.sqrt(np.maximum(np.array(drawn) ** 2 + damping * more, THINNEST ** 2))).tolist()


def _wider(drawn, wanted, *, seen, damping):
    """Blur whose images' thinnest widths are as much wider as is wanted; None stays."""
    if drawn is None or wanted is None or seen is None:
        return drawn
    return float(np.sqrt(max(drawn ** 2 + damping * (wanted ** 2 - seen ** 2), SHARPEST ** 2)))


def _moved(drawn, wanted, *, seen, damping):
    """Levels whose median and whose spread (logarithm, 10 to 90 %) are corrected; their lowest quantiles cannot be, one
    by one, since OTSU finds only the neurites that are not too dim."""
    if wanted is None or seen is None:
        return drawn

    def middle_and_spread(values):
        low, middle, high = np.log(np.maximum(np.interp((0.1, 0.5, 0.9), appearance.QUANTILES, values), 1))
        return middle, max(high - low, 0.1)

    (now, width), (want, want_width), (got, got_width) = map(middle_and_spread, (drawn, wanted, seen))
    stretch = np.clip(want_width / got_width, 0.5, 2.0) ** damping
    shift = np.clip(want - got, *np.log(LIMITS)) * damping
    return np.exp(now + shift + stretch * (np.log(np.maximum(drawn, 1)) - now)).tolist()


def _kept(keep, wanted, *, seen, damping):
    """Share of stained voxels that gives the wanted grain: the variance of a blurred stain goes with (1 - keep) / keep."""
    if wanted is None or seen is None:
        return keep
    odds = (1 - keep) / keep * np.clip((wanted + 0.01) / (seen + 0.01), *LIMITS) ** (2 * damping)
    return float(np.clip(1 / (1 + odds), 0.3, 1.0))
