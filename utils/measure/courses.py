"""What to draw so that neurites wind, branch, end, bundle and vary along their course as measured.

Entries that priors.json may lack: each is corrected only if it was measured on the real stacks and
on the draft. `damping` is the share of a correction that is made.
"""
import numpy as np

from utils.measure import crowding
from utils.measure.quantiles import QUANTILES

LIMITS = 0.4, 2.5            # factors that one round may change an entry by
RANGE = {                    # lowest and highest value of an entry
    'level_drift': (0.0, 1.0),
    'drift_length': (2.0, 60.0),
    'end_level': (0.3, 3.0),
    'branch_spacing': (30.0, 500.0),
    'ends_spacing': (30.0, 500.0),
    'winding_spread': (0.0, 0.8),
    'bundled': (0.0, 0.8),
    'clumps': (0.0, 2.0),
    'heading_spread': (0.0, 0.6),
    'flatness': (0.0, 0.5),
    'level_width': (-0.95, 0.95),
    'noise_left': (0.25, 1.0),
}
TURN = 1e-5, 1.0             # smallest and largest mean turn
TURNS_OFF = 1.5              # factor between drawn and typical turns of crowded stacks, at most
DARKEST = 0.3                # share of its level that the background is drawn darker by, at most
ANYHOW = 1 / 3               # alignment of neurites that run anyhow
RATIOS = 'level_drift', 'drift_length', 'branch_spacing', 'ends_spacing'
AS_MEASURED = 'end_level',   # not corrected: many free ends of a draft's mask are gaps, not ends
BRIGHTEST = 20.0             # share of a neurite's light that one of the Gaussians of glow spreads
CLUMPS_DRAWN = 6.0           # variance of the clumps to draw over that of a stack's light: the box
                             # that is drawn is larger, and bright fibres run everywhere
STILL_ALIKE = 0.6            # correlation of headings bends.FAR apart, as drawn
FLAT_AT_FIRST = 0.4          # flatness
FLATTER = 0.45               # roundness lost by the square of flatness, about
BUNDLES = 0.3                # alignment gained by bundling all passing fibres, about


def first_guess(measured):
    """What to draw at first: as measured.

    Args:
        measured: pooled measurements (pool.pool).

    Returns:
        dict of the entries turns, winding_spread, bundled, clumps, heading, heading_spread,
        flatness, level_width, glow, photons, noise_left, darker, RATIOS and AS_MEASURED that were
        measured.
    """
    found = {key: measured[key] for key in ('level_width', *RATIOS, *AS_MEASURED)
             if measured.get(key) is not None}
    if measured.get('turns'):
        found['turns'] = turns(measured, crowded=bool(measured.get('glow')))
    if measured.get('turn_evenness') and not measured.get('glow'):
        found['winding_spread'] = _spread(np.log(np.log(2) / measured['turn_evenness']) / 2)
    if measured.get('alignment'):
        found['bundled'] = _within((measured['alignment'] - ANYHOW) / BUNDLES, 'bundled')
    if measured.get('heading'):
        found['heading'] = _possible(crowding.matrix(measured['heading']))
    if measured.get('headings_alike') is not None:
        found['heading_spread'] = _spread(measured['headings_alike'] / STILL_ALIKE)
    if measured.get('roundness'):
        found['flatness'] = FLAT_AT_FIRST
    if measured.get('structure'):
        found['photons'] = measured['structure']['photons']
    if measured.get('glow'):
        found.update(_crowds_at_first(measured))
    return {key: _within(value, key) for key, value in found.items()}


def turns(measured, *, crowded):
    """Mean turns of some measurements; of crowded stacks typical ones, by the median.

    Masks of crowded neurites merge, and the centrelines of some places turn from one to another.

    Returns:
        list of float or None.
    """
    evenness = measured.get('turn_evenness') if crowded else None
    typical = min(evenness / np.log(2), 1.0) if evenness else 1.0
    return [turn and typical * turn for turn in measured['turns']]


def _crowds_at_first(measured):
    """What is drawn at first of crowded stacks alone, those with glow; dict."""
    found = {'glow': [min(share, BRIGHTEST) for share in measured['glow']['shares']],
             'photons': measured['glow']['photons'], 'noise_left': 1.0, 'darker': 0.0}
    if measured.get('clumps') is not None:
        found['clumps'] = _spread(CLUMPS_DRAWN * np.log1p(max(measured['clumps'], 0)))
    if measured.get('branch_spacing') is not None:
        found['branch_spacing'] = _without_contacts(measured)
    return found


def _without_contacts(measured):
    """Voxels of centreline between true branchings: neurites that touch look as if they branched.

    Straight ones that run anyhow pass others nearer than d by density d pi / 2 times a voxel.
    """
    near = 2 * np.interp(0.5, QUANTILES, measured['radius_quantiles']) + 1
    rate = 1 / measured['branch_spacing'] - measured['density'] * near * np.pi / 2
    return 1 / max(rate, 1e-9)


def pairs(measured, seen):
    """(wanted, got) of what both sides know; what is no ratio and AS_MEASURED are left out.

    Returns:
        list of pairs of float.
    """
    crowded = bool(measured.get('glow'))
    found = list(zip(*[turns(side, crowded=crowded) if side.get('turns') else []
                       for side in (measured, seen)]))
    found += [(measured.get(key), seen.get(key)) for key in ('alignment', 'roundness', *RATIOS)]
    if not crowded:
        found.append((measured.get('turn_evenness'), seen.get('turn_evenness')))
    if crowded and seen.get('glow'):
        found.append((measured['glow']['level'], seen['glow']['level']))
        if measured.get('clumps') is not None and seen.get('clumps') is not None:
            found.append([1 + max(m['clumps'], 0) for m in (measured, seen)])
        if measured.get('heading') and seen.get('heading'):
            found.append([np.linalg.eigvalsh(crowding.matrix(m['heading']))[-1]
                          for m in (measured, seen)])
    return [pair for pair in found if pair[0] and pair[1]]


def corrected(drawn, measured, *, seen, damping):
    """What to draw next.

    Args:
        drawn: dict, what the draft was drawn from; measured: of the real stacks; seen: of the
        draft (both of stack.measure).

    Returns:
        dict of those entries of first_guess that `drawn` has.
    """
    found = {key: drawn[key] for key in ('turns', 'heading', 'glow', 'photons', 'darker', *RANGE)
             if key in drawn}
    for key in RATIOS:
        if key in found and measured.get(key) and seen.get(key):
            found[key] = drawn[key] * _ratio(measured[key], seen[key], damping=damping)
    if 'turns' in found and seen.get('turns'):
        crowded = bool(measured.get('glow'))
        off = TURNS_OFF if crowded else np.inf
        found['turns'] = [now if not (now and want and got)
                          else min(max(now * _ratio(want, got, damping=damping), TURN[0],
                                       want / off), TURN[1], want * off)
                          for now, want, got in zip(drawn['turns'], *[
                              turns(side, crowded=crowded) for side in (measured, seen)])]
    if 'winding_spread' in found and seen.get('turn_evenness'):
        # log-normal factors of the turns: the logarithm of mean over median is 2 spread^2
        less = np.log(measured['turn_evenness'] / seen['turn_evenness']) / 2
        found['winding_spread'] = _spread(drawn['winding_spread'] ** 2 - damping * less)
    if 'bundled' in found and seen.get('alignment'):
        more = (measured['alignment'] - seen['alignment']) / BUNDLES
        found['bundled'] = drawn['bundled'] + damping * more
    if 'level_width' in found and seen.get('level_width') is not None:
        found['level_width'] += damping * (measured['level_width'] - seen['level_width'])
    if 'flatness' in found and seen.get('roundness'):
        more = (seen['roundness'] - measured['roundness']) / FLATTER
        found['flatness'] = _spread(drawn['flatness'] ** 2 + damping * more)
    found.update(_crowds(drawn, measured, seen=seen, damping=damping))
    return {key: _within(value, key) for key, value in found.items()}


def _crowds(drawn, measured, *, seen, damping):
    """Corrected clumps, heading and glow, of what is drawn and both sides know; dict."""
    found = {}
    if 'clumps' in drawn and seen.get('clumps') is not None:
        want, got = [np.log1p(max(m['clumps'], 0)) for m in (measured, seen)]
        found['clumps'] = _spread(drawn['clumps'] ** 2 + damping * CLUMPS_DRAWN * (want - got))
    if 'heading' in drawn and seen.get('heading'):
        now, want, got = [crowding.matrix(m['heading']) for m in (drawn, measured, seen)]
        found['heading'] = _possible(now + damping * (want - got))
    if 'heading_spread' in drawn and seen.get('headings_alike') is not None:
        more = (measured['headings_alike'] - seen['headings_alike']) / STILL_ALIKE
        found['heading_spread'] = _spread(drawn['heading_spread'] ** 2 + damping * more)
    if 'glow' in drawn and seen.get('glow') and seen['glow']['level'] > 0:
        ratio = _ratio(measured['glow']['level'], seen['glow']['level'], damping=damping)
        found['glow'] = [min(share * ratio, BRIGHTEST) for share in drawn['glow']]
        found.update(_behind(drawn, measured, seen=seen, damping=damping))
    return found


def _behind(drawn, measured, *, seen, damping):
    """Corrected background of crowded stacks; dict of `noise_left` and `darker`.

    The light of dim neurites, and what blur spreads of bright ones, was measured with it: its level
    and its noise.
    """
    if not (measured.get('background') and seen.get('background')):
        return {}
    want, got = [side['background']['median'] for side in (measured, seen)]
    darker, most = drawn['darker'] + damping * (got - want), DARKEST * want
    found = {'darker': float(np.clip(darker, -most, most))}
    structure, noises = measured.get('structure'), [side['glow']['noise']
                                                    for side in (measured, seen)]
    if structure and None not in noises:
        more = (noises[1] ** 2 - noises[0] ** 2) / np.mean(structure['third'])
        found['noise_left'] = drawn['noise_left'] - damping * more
    return found


def _possible(matrix):
    """Entries of the possible heading nearest to a symmetric matrix; list of 6 float."""
    found = crowding.possible(matrix)
    return [float(found[pair]) for pair in crowding.PAIRS]


def _ratio(wanted, got, *, damping):
    """Damped factor by which an entry is changed."""
    return float(np.clip(wanted / got, *LIMITS)) ** damping


def _spread(square):
    """Spread whose square is given, 0 for a negative one; float."""
    return float(np.sqrt(max(square, 0.0)))


def _within(value, key):
    """A value cut to its range; lists are left."""
    return value if key not in RANGE else float(np.clip(value, *RANGE[key]))
