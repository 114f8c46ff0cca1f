"""What to draw so that neurites wind, branch, end, bundle and vary along their course as measured.

Entries that priors.json may lack: each is corrected only if it was measured on the real stacks and
on the draft. `damping` is the share of a correction that is made.
"""
import numpy as np

LIMITS = 0.4, 2.5            # factors that one round may change an entry by
RANGE = {                    # lowest and highest value of an entry
    'level_drift': (0.0, 1.0),
    'drift_length': (2.0, 60.0),
    'end_level': (0.3, 3.0),
    'branch_spacing': (30.0, 500.0),
    'ends_spacing': (30.0, 500.0),
    'winding_spread': (0.0, 0.8),
    'bundled': (0.0, 0.8),
}
TURN = 1e-5, 1.0             # smallest and largest mean turn
ANYHOW = 1 / 3               # alignment of neurites that run anyhow
RATIOS = 'level_drift', 'drift_length', 'branch_spacing', 'ends_spacing'
AS_MEASURED = 'end_level',   # not corrected: many free ends of a draft's mask are gaps, not ends
BUNDLES = 0.3                # alignment gained by bundling all passing fibres, about


def first_guess(measured):
    """What to draw at first: as measured.

    Args:
        measured: pooled measurements (pool.pool).

    Returns:
        dict of the entries turns, winding_spread, bundled, RATIOS and AS_MEASURED that were
        measured.
    """
    found = {key: measured[key] for key in ('turns', *RATIOS, *AS_MEASURED)
             if measured.get(key) is not None}
    if measured.get('turn_evenness'):
        found['winding_spread'] = _spread(np.log(np.log(2) / measured['turn_evenness']) / 2)
    if measured.get('alignment'):
        found['bundled'] = _within((measured['alignment'] - ANYHOW) / BUNDLES, 'bundled')
    return {key: _within(value, key) for key, value in found.items()}


def pairs(measured, seen):
    """(wanted, got) of what both sides know: turns, their evenness, alignment, RATIOS.

    Returns:
        list of pairs of float.
    """
    found = list(zip(measured.get('turns') or [], seen.get('turns') or []))
    found += [(measured.get(key), seen.get(key))
              for key in ('turn_evenness', 'alignment', *RATIOS)]
    return [pair for pair in found if pair[0] and pair[1]]


def corrected(drawn, measured, *, seen, damping):
    """What to draw next.

    Args:
        drawn: dict, what the draft was drawn from; measured: of the real stacks; seen: of the
        draft (both of stack.measure).

    Returns:
        dict of those entries of first_guess that `drawn` has.
    """
    found = {key: drawn[key] for key in ('turns', *RANGE) if key in drawn}
    for key in RATIOS:
        if key in found and measured.get(key) and seen.get(key):
            found[key] = drawn[key] * _ratio(measured[key], seen[key], damping=damping)
    if 'turns' in found and seen.get('turns'):
        found['turns'] = [now if not (now and want and got)
                          else min(max(now * _ratio(want, got, damping=damping), TURN[0]), TURN[1])
                          for now, want, got in zip(drawn['turns'], measured['turns'],
                                                    seen['turns'])]
    if 'winding_spread' in found and seen.get('turn_evenness'):
        # log-normal factors of the turns: the logarithm of mean over median is 2 spread^2
        less = np.log(measured['turn_evenness'] / seen['turn_evenness']) / 2
        found['winding_spread'] = _spread(drawn['winding_spread'] ** 2 - damping * less)
    if 'bundled' in found and seen.get('alignment'):
        more = (measured['alignment'] - seen['alignment']) / BUNDLES
        found['bundled'] = drawn['bundled'] + damping * more
    return {key: _within(value, key) for key, value in found.items()}


def _ratio(wanted, got, *, damping):
    """Damped factor by which an entry is changed."""
    return float(np.clip(wanted / got, *LIMITS)) ** damping


def _spread(square):
    """Spread whose square is given, 0 for a negative one; float."""
    return float(np.sqrt(max(square, 0.0)))


def _within(value, key):
    """A value cut to its range; lists are left."""
    return value if key not in RANGE else float(np.clip(value, *RANGE[key]))
