"""From what neurites look like to what must be drawn, so that drafts look the same when measured.

Widths are those of blurred neurites, grey levels those of blurred and stained ones, and OTSU misses
the dim ones. So a small draft is drawn and measured just as the real stacks were, and what to draw
is corrected by what differs (corrections.py); a few rounds suffice.
"""
from typing import NamedTuple

import numpy as np

from utils.common.errors import UserError
from utils.data import stacks
from utils.measure import corrections, courses, debris
from utils.measure.quantiles import FWHM, QUANTILES

DAMPING = 0.5                # share of a correction that is made: measurements of a draft are noisy
SMALLER = 0.8                # factor on DAMPING after a round that was not nearer than the last one
NEARER = 0.9                 # mismatch over that of the last round, below which one is nearer
TOO_FAR = 1.5                # mismatch over the least one, from which the nearest is corrected anew
BRIGHTER = 2.0               # factor on the levels of a draft in which nothing was found
DENSER = 1.5                 # factor on the density of a draft whose threshold fell into the noise,
                             # and on the measured density at first: OTSU misses dim neurites
STAINED = 0.9                # share of stained voxels at first
WINGS = 0.1                  # share of the light in the wings of the blur at first
LINE_WINGS = 0.5             # the same of noisy stacks, in all rounds; neither with wings.py
# measurements of each round's draft that are kept in priors.json
KEPT = ('radius_quantiles', 'width_quantiles', 'level_quantiles', 'density', 'grain', 'blur_sigma',
        'threshold')
KEPT_IF_KNOWN = (('turns', 'turn_evenness', 'alignment', 'headings_alike', 'clumps', 'heading',
                  'level_width', 'glow', 'lines', 'depth_width', 'wings', 'roundness', 'debris')
                 + courses.RATIOS + courses.AS_MEASURED)


class Trial(NamedTuple):
    """One round: what was drawn and how its draft was measured."""
    mismatch: float          # from the real stacks, see mismatch()
    drawn: dict
    seen: dict               # measurements of the draft (stack.measure)


def calibrate(measured, look, *, draw, rounds=8):
    """Find what to draw.

    Args:
        measured: pooled measurements of the real stacks (pool.pool).
        look: function (voxels) -> measurements (stack.measure), with the settings of the real
            stacks; raises UserError where it finds no neurite.
        draw: function (drawn, seed) -> voxels, uint8 or uint16 [Z, Y, X], of a small draft.
        rounds: drafts drawn and measured; 0 leaves the first guess.

    Returns:
        dict, `drawn` of priors.json: radius_quantiles, level_quantiles, density, blur_sigma, keep
        (share of stained voxels), halo (share of light in the wings) and what courses.first_guess
        tells, see averaged; `best`, number of the round whose draft came nearest; `rounds`, what
        each round's draft measured.
    """
    drawn, damping, tried = first_guess(measured), DAMPING, []
    for seed in range(rounds):
        seen = _seen(look, draw(drawn, seed), measured=measured)
        if seen is None:                                 # nothing was found: the draft is too dim
            levels = [BRIGHTER * v for v in drawn['level_quantiles']]
            drawn = dict(drawn, level_quantiles=levels)
            continue
        if seen['threshold'] < 0.5 * max(measured['threshold'], 0):
            # too little shines: OTSU parted the noise
            density = min(DENSER * drawn['density'], corrections.DENSEST)
            drawn = dict(drawn, density=density)
            continue
        tried.append(Trial(mismatch(measured, seen), drawn, seen))
        base = tried[-1]
        if len(tried) > 1 and base.mismatch > NEARER * tried[-2].mismatch:
            damping *= SMALLER
        if base.mismatch > TOO_FAR * _best(tried).mismatch:
            base = _best(tried)
        drawn = corrections.corrected(base.drawn, measured, seen=base.seen, damping=damping)
    if not tried:
        return dict(drawn, rounds=[])
    best = _best(tried)
    return dict(averaged(tried, measured), best=tried.index(best), rounds=[
        dict({key: trial.seen[key] for key in KEPT},
             **{key: trial.seen[key] for key in KEPT_IF_KNOWN if key in trial.seen},
             mismatch=trial.mismatch) for trial in tried])


def _seen(look, voxels, *, measured):
    """Measurements of a draft; None if nothing was found of what the real stacks have."""
    try:
        seen = look(voxels)
    except UserError:
        return None
    return None if measured.get('lines') and not seen.get('lines') else seen


def averaged(tried, measured):
    """What the rounds that came near say is to be drawn, on the average; dict like `drawn`.

    Each is corrected once more, by DAMPING. One draft has too few neurites to tell. The first half
    of the rounds counts only if none of the others came near.
    """
    limit = TOO_FAR * _best(tried).mismatch
    near = ([trial for trial in tried[len(tried) // 2:] if trial.mismatch <= limit]
            or [trial for trial in tried if trial.mismatch <= limit])
    wanted = [corrections.corrected(trial.drawn, measured, seen=trial.seen, damping=DAMPING)
              for trial in near]
    return {key: _mean([entry[key] for entry in wanted]) for key in wanted[0]}


def _best(tried):
    """The trial that came nearest."""
    return min(tried, key=lambda trial: trial.mismatch)


def _mean(values):
    """Mean of numbers or of lists, entry by entry; None where one is."""
    if isinstance(values[0], list):
        return [_mean(entries) for entries in zip(*values)]
    return None if None in values else float(np.mean(values))


def first_guess(measured):
    """What to draw at first: radii without the blur, levels as measured.

    Args:
        measured: pooled measurements (pool.pool).

    Returns:
        dict, as of calibrate but for `best` and `rounds`.
    """
    sharp, wings = _wings(measured)
    blur = [sigma for sigma in sharp[1:] if sigma]
    widths = measured['width_quantiles']
    if wings and widths is not None:         # those of the core alone
        core = FWHM * measured['wings']['core'][1]
        widths = np.array(widths) * core / np.interp(0.5, QUANTILES, widths)
    radii = corrections.thickness(widths, blur)
    if radii is None:                        # no width could be measured: take OTSU's radii
        radii = np.array(measured['radius_quantiles'])
    return {'radius_quantiles': np.maximum(radii, corrections.thinnest(measured)).tolist(),
            'level_quantiles': measured['level_quantiles'] or [1.0] * len(QUANTILES),
            'density': min(DENSER * measured['density'], corrections.DENSEST),
            'blur_sigma': sharp, 'keep': STAINED,
            'halo': LINE_WINGS if corrections.noisy(measured) else WINGS,
            **wings, **courses.first_guess(measured), **debris.first_guess(measured)}


def _wings(measured):
    """Blur at first, and its wings where they were measured.

    A long line's light in the middle goes with 1 over both widths across it.

    Returns:
        (blur, entries): list of 3; dict of `wing_sigma` and `halo`, empty without measurement.
    """
    seen, blur = measured.get('wings'), measured['blur_sigma']
    if not seen or None in blur:
        return blur, {}
    thin = corrections.thinnest(measured) / 2 / stacks.spacing_of(measured.get('voxel_size'))
    blur = [float(np.sqrt(max(core ** 2 - own ** 2, corrections.SHARPEST ** 2)))
            for core, own in zip(corrections.cores(measured), thin)]
    odds = seen['share'] / (1 - seen['share']) * np.prod(seen['wide']) / np.prod(seen['core'])
    return blur, {'wing_sigma': seen['wide'],
                  'halo': float(min(odds / (1 + odds), corrections.WIDEST))}


def mismatch(measured, seen):
    """How far a draft's measurements are from those of the real stacks.

    Returns:
        float: mean absolute logarithm of the ratios of density, threshold, OTSU's radius, grain,
        the quartiles of levels and of widths, the same of lines (density, radius, levels), and what
        is known of courses.pairs. 0: alike.
    """
    pairs = [(measured['density'], seen['density'])]
    if measured['threshold'] > 0 and seen['threshold'] > 0:
        pairs.append((measured['threshold'], seen['threshold']))
    pairs.append((corrections.middle_radius(measured), corrections.middle_radius(seen)))
    if measured['grain'] and seen['grain']:
        pairs.append((measured['grain'] + 0.05, seen['grain'] + 0.05))   # small ones are alike
    for key in ('level_quantiles', 'width_quantiles'):
        if measured[key] and seen[key]:
            pairs += zip(*[np.interp((0.25, 0.5, 0.75), QUANTILES, m[key])
                           for m in (measured, seen)])
    if measured.get('lines') and seen.get('lines'):
        pairs += [[side['lines'][key] for side in (measured, seen)]
                  for key in ('density', 'radius')]
        pairs += zip(*[np.interp((0.25, 0.5, 0.75), QUANTILES, side['lines']['level_quantiles'])
                       for side in (measured, seen)])
    pairs += courses.pairs(measured, seen)
    return float(np.mean([abs(np.log(max(a, 1e-9) / max(b, 1e-9))) for a, b in pairs]))
