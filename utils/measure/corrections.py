"""Corrections of what is drawn, each by how a draft's measurements differ from the real stacks'.

`damping` is the share of a correction that is made; 1: all of it. A measurement that is None, as on
a stack with too few neurites, corrects nothing.
"""
import numpy as np

from utils.measure import courses, debris
from utils.measure.quantiles import FWHM, QUANTILES

LIMITS = 0.2, 5.0            # factors that one round may change a level, density or grain by
STRETCHES = 0.5, 2.0         # the same of the spread of the levels
DENSEST = 0.02               # voxels of centreline per cubic voxel
SHARPEST = 0.3               # voxels, sigma of the blur
SAMPLED = 0.6                # the same of crowded stacks: what is sharper is not sampled well
KEPT = 0.8                   # least blur over the one that was measured, with lines ...
DEEPEST = 1.5                # ... and the most along z, where all widths tell it, not the least
THREAD = 0.5                 # voxels, radius of their thinnest neurites: strings that are blurred
THINNEST = 1.0               # voxels, radius: thinner neurites would be strings of single voxels
STAINED = 0.3, 1.0           # lowest and highest share of stained voxels
WIDEST = 0.85                # largest share of the light in the wings of the blur
BESIDE = 1.2                 # least width of the wings over the core's


def corrected(drawn, measured, *, seen, damping):
    """What to draw next.

    Args:
        drawn: dict, what the draft was drawn from; measured: of the real stacks; seen: of the
            draft (both of stack.measure).

    Returns:
        dict of the entries of `drawn`.
    """
    def moved(correct, name, *, by):
        return correct(drawn[name], measured[by], seen=seen[by], damping=damping)

    crowded, by_lines = bool(measured.get('glow')), bool(measured.get('lines'))
    if has_wings(drawn, measured):
        blur, more = _core_and_wings(drawn, measured, seen=seen, damping=damping)
    else:
        blur, more = _blur(drawn, measured, seen=seen, damping=damping), {}
    across = [now ** 2 - then ** 2 for now, then in zip(blur[1:], drawn['blur_sigma'][1:])
              if (crowded or by_lines) and now and then]
    found = {
        'radius_quantiles': thicker(
            drawn['radius_quantiles'], measured['width_quantiles'], seen=seen['width_quantiles'],
            damping=damping, blurred=float(np.mean(across or [0.0])), least=thinnest(measured)),
        'blur_sigma': blur, 'keep': moved(evener, 'keep', by='grain'), 'halo': drawn['halo'],
        **courses.corrected(drawn, measured, seen=seen, damping=damping),
        **debris.corrected(drawn, measured, seen=seen, damping=damping)}
    found.update(more)
    if not more and not noisy(measured):
        found['halo'] = wider_wings(drawn['halo'], measured, seen=seen, damping=damping)
    if by_lines:
        return dict(found, **as_lines(drawn, measured, seen=seen, damping=damping))
    return dict(found, density=moved(denser, 'density', by='density'),
                level_quantiles=moved(brighter, 'level_quantiles', by='level_quantiles'))


def noisy(measured):
    """Whether it is noise that hides neurites from OTSU (lines), not a crowd."""
    return bool(measured.get('lines')) and not measured.get('glow')


def has_wings(drawn, measured):
    """Whether core and wings of the blur follow what light beside neurites says (wings.py)."""
    return bool(measured.get('wings') and drawn.get('wing_sigma'))


def _blur(drawn, measured, *, seen, damping):
    """Blur that follows the thinnest neurites, and along z the middle one; list of 3."""
    least = [SAMPLED if measured.get('glow') else SHARPEST] * 3
    if noisy(measured):
        least = [max(n, KEPT * (want or 0)) for n, want in zip(least, measured['blur_sigma'])]
    blur = [blurrier(now, want, seen=got, damping=damping, least=n) for now, want, got, n in zip(
        drawn['blur_sigma'], measured['blur_sigma'], seen['blur_sigma'], least)]
    if measured.get('depth_width') and seen.get('depth_width') and blur[0]:
        deep = [side['depth_width'] / FWHM for side in (measured, seen)]
        most = DEEPEST * measured['blur_sigma'][0]
        blur[0] = max(blur[0], min(most, blurrier(
            drawn['blur_sigma'][0], deep[0], seen=deep[1], damping=damping)))
    return blur


def _core_and_wings(drawn, measured, *, seen, damping):
    """Blur, and its wings, that follow how light falls off beside neurites.

    Returns:
        (blur, entries): list of 3; dict of `wing_sigma` and `halo`.
    """
    want, got = measured['wings'], seen.get('wings')
    if not got:
        return drawn['blur_sigma'], {key: drawn[key] for key in ('wing_sigma', 'halo')}
    least = SAMPLED if measured.get('glow') else SHARPEST
    blur = [blurrier(now, core, seen=core_seen, damping=damping, least=least)
            for now, core, core_seen in zip(drawn['blur_sigma'], cores(measured), cores(seen))]
    wide = [blurrier(now, want['wide'][k], seen=got['wide'][k], damping=damping,
                     least=BESIDE * max(blur[k:k + 1 + k]))
            for k, now in enumerate(drawn['wing_sigma'])]
    odds = [side['share'] / (1 - side['share']) for side in (want, got)]
    now = drawn['halo'] / (1 - drawn['halo'])
    now *= float(np.clip(odds[0] / odds[1], *LIMITS)) ** damping
    return blur, {'wing_sigma': wide, 'halo': min(now / (1 + now), WIDEST)}


def cores(measured):
    """Cores of what light beside neurites looks like, list of 3 sigmas, voxels.

    The two in plane are as unlike as the blurs that the thinnest neurites tell.
    """
    deep, plane = measured['wings']['core']
    _, *blur = measured['blur_sigma']
    if None in blur:
        return [deep, plane, plane]
    return [deep] + [plane * sigma / np.mean(blur) for sigma in blur]


def as_lines(drawn, measured, *, seen, damping):
    """Levels, their median and spread, and density by all centrelines (lines.py).

    OTSU leaves the dim ones out, more of them in a draft that has more: corrected by what it finds,
    drafts would fill with neurites that it does not see.
    """
    want, got = measured['lines'], seen['lines']
    return {'level_quantiles': brighter(drawn['level_quantiles'], want['level_quantiles'],
                                        seen=got['level_quantiles'], damping=damping),
            'density': denser(drawn['density'], want['density'], seen=got['density'],
                              damping=damping)}


# --- widths ---

def thickness(widths, blur):
    """Radii of cylinders whose blurred images have given full widths at half maximum.

    The variance across a cylinder of radius r is r^2 / 4; the blur adds its own.

    Args:
        widths: list of float, voxels, or None; blur: list of sigmas, voxels; may be empty.

    Returns:
        float array, voxels; None if widths or blur are unknown.
    """
    if widths is None or not blur:
        return None
    rest = np.maximum((np.array(widths) / FWHM) ** 2 - np.mean(blur) ** 2, 0)
    return np.minimum(2 * np.sqrt(rest), np.array(widths) / 2)


def thinnest(measured):
    """Radius of the thinnest neurites that are drawn, voxels, of stacks measured so."""
    return THREAD if measured.get('glow') else THINNEST


def thicker(radii, wanted, *, seen, damping, blurred=0.0, least=THINNEST):
    """Radii whose images are wider by as much as is wanted (variances add, see thickness).

    Args:
        radii: list of float, voxels; wanted, seen: lists of full widths at half maximum, voxels.
        blurred: what the square of the blur's sigma is raised by: so much need not be corrected.
        least: voxels, smallest radius.
    """
    if wanted is None or seen is None:
        return radii
    more = (np.array(wanted) ** 2 - np.array(seen) ** 2) * 4 / FWHM ** 2
    squares = np.maximum(np.array(radii) ** 2 + damping * more - 4 * blurred, least ** 2)
    return np.sort(np.sqrt(squares)).tolist()


def blurrier(sigma, wanted, *, seen, damping, least=SHARPEST):
    """Blur by which the thinnest neurites look as wide as is wanted; sigmas of one axis, voxels.

    None, an unknown blur, stays None.
    """
    if sigma is None or wanted is None or seen is None:
        return sigma
    square = sigma ** 2 + damping * (wanted ** 2 - seen ** 2)
    return float(np.sqrt(max(square, least ** 2)))


def wider_wings(share, measured, *, seen, damping):
    """Share of the light in the wings of the blur.

    Wings make OTSU's masks wider, but hardly the widths at half maximum.
    """
    more = 0.5 * (1 - middle_radius(seen) / middle_radius(measured))
    return float(np.clip(share + damping * more, 0, WIDEST))


def middle_radius(measured):
    """Mean of OTSU's radii between their 10 and 90 % quantiles, voxels."""
    shares = np.linspace(0.1, 0.9, 17)
    return float(np.interp(shares, QUANTILES, measured['radius_quantiles']).mean())


# --- brightness and number ---

def brighter(levels, wanted, *, seen, damping):
    """Levels of which the median and the spread (logarithm, 10 to 90 %) are corrected.

    The lowest quantiles cannot be corrected one by one: OTSU misses the dim neurites.

    Args:
        levels, wanted, seen: lists of float at QUANTILES, grey levels above the background.
    """
    if wanted is None or seen is None:
        return levels
    (now, _), (want, want_spread), (got, got_spread) = map(
        _middle_and_spread, (levels, wanted, seen))
    stretch = np.clip(want_spread / got_spread, *STRETCHES) ** damping
    shift = np.clip(want - got, *np.log(LIMITS)) * damping
    return np.exp(now + shift + stretch * (np.log(np.maximum(levels, 1)) - now)).tolist()


def _middle_and_spread(levels):
    """Logarithms of levels: the median, and the range from 10 to 90 %."""
    low, middle, high = np.log(np.maximum(np.interp((0.1, 0.5, 0.9), QUANTILES, levels), 1))
    return middle, max(high - low, 0.1)


def denser(density, wanted, *, seen, damping):
    """Density times the ratio of the wanted one to what was seen; voxels per cubic voxel."""
    ratio = np.clip(max(wanted, 1e-9) / max(seen, 1e-9), *LIMITS)
    return min(density * float(ratio ** damping), DENSEST)


def evener(share, wanted, *, seen, damping):
    """Share of stained voxels that gives the wanted grain.

    The variance of a blurred stain goes with (1 - share) / share.
    """
    if wanted is None or seen is None:
        return share
    ratio = np.clip((wanted + 0.01) / (seen + 0.01), *LIMITS)
    odds = (1 - share) / share * ratio ** (2 * damping)
    return float(np.clip(1 / (1 + odds), *STAINED))
