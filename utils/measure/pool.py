"""Measurements of several stacks, joined into one."""
import numpy as np

from utils.common.errors import UserError

WEIGHT = 'centreline_voxels'             # entry of a stack's measurements that weights them
MAJORITY = 0.5                           # share of the weight of stacks with glow, or with lines,
                                         # at least, that gives the pooled measurements one


def pool(measured):
    """Join the measurements of stacks: the mean of each entry, weighted by centreline voxels.

    A quantile is pooled as the mean of the stacks' quantiles, so no stack's outliers stand out.

    Args:
        measured: dict from stack name to the result of stack.measure.

    Returns:
        dict for priors.json: the same entries pooled, over the stacks that have them (None: no
        stack has; `glow`: less than MAJORITY have; `lines`, `structure`: of the stacks with a glow,
        or without, as the pool, `lines` if MAJORITY of these have it; `debris`: of those of them
        that have lines, or none, as the pool; `seams` of the structure: those of the stack of most
        centrelines); and `stacks`, as given.
    """
    weights = [m[WEIGHT] for m in measured.values()]
    pooled = _mean(list(measured.values()), weights)
    if _share(measured.values(), 'glow') < MAJORITY:     # one stack does not make all crowded
        pooled['glow'] = None
    alike = [m for m in measured.values() if bool(m.get('glow')) == bool(pooled.get('glow'))]
    for key in ('lines', 'structure'):
        pooled[key] = _mean([m.get(key) for m in alike], [m[WEIGHT] for m in alike])
    if (pooled['structure'] or {}).get('seams'):         # no mean of them is like any stack's
        heaviest = max([m for m in alike if m.get('structure')], key=lambda m: m[WEIGHT])
        pooled['structure']['seams'] = heaviest['structure'].get('seams')
    if _share(alike, 'lines') < MAJORITY:
        pooled['lines'] = None
    pooled['debris'] = _debris([m for m in alike
                                if bool(m.get('lines')) == bool(pooled['lines'])])
    return dict(pooled, stacks=measured)


def _debris(stacks):
    """Debris of stacks: levels as shares of each one's threshold; dict, or None without any."""
    known = [(m['debris'], m[WEIGHT]) for m in stacks if m.get('debris')]
    found = _mean([entry for entry, _ in known], [weight for _, weight in known])
    shares = [entry['level_quantiles'] and np.divide(entry['level_quantiles'], entry['threshold'])
              for entry, _ in known]
    shares = _mean([None if s is None else s.tolist() for s in shares], [w for _, w in known])
    if shares:
        found['level_quantiles'] = np.multiply(shares, found['threshold']).tolist()
    return found


def _share(stacks, key):
    """Share of the weight of stacks that have an entry."""
    return sum(m[WEIGHT] for m in stacks if m.get(key)) / sum(m[WEIGHT] for m in stacks)


def priors(measured):
    """What step 0 measured for priors.json: the pool of the stacks, with each one's background."""
    pooled = pool(measured)
    return dict(pooled, backgrounds=backgrounds(pooled))


def backgrounds(pooled):
    """The background of each stack, as pooled grey levels are no stack's; pooled: of pool.

    Returns:
        list of dicts for priors.json: `median`, `robust_std` and `quantiles` of the background, its
        `correlation`, the `noise` of the glow and the `structure`, or None, the `share` of all
        centrelines. Without
        stacks that have no glow where the pool has one, or the other way: theirs is not the same.
    """
    glows = bool(pooled.get('glow'))
    alike = [m for m in pooled['stacks'].values() if bool(m.get('glow')) == glows]
    total = sum(m[WEIGHT] for m in alike)
    return [dict(m['background'], correlation=m['correlation'], share=m[WEIGHT] / total,
                 noise=(m.get('glow') or {}).get('noise'), structure=m.get('structure'))
            for m in alike]


def _mean(values, weights):
    """Weighted mean of like trees of dicts, lists and numbers; None where no tree has the entry."""
    known = [(v, w) for v, w in zip(values, weights) if v is not None]
    if not known:
        return None
    values, weights = zip(*known)
    if isinstance(values[0], dict):
        return {key: _mean([v.get(key) for v in values], weights)
                for key in values[0] if key != WEIGHT}
    if isinstance(values[0], (list, tuple)):
        return [_mean(list(v), weights) for v in zip(*values)]
    return float(np.average(values, weights=weights))


def check_voxel_size(measured):
    """Refuse stacks of different voxel sizes: their lengths in voxels cannot be pooled.

    Raises:
        UserError: naming two stacks and their voxel sizes.
    """
    names = sorted(measured)
    for name in names[1:]:
        a, b = [measured[n]['voxel_size'] for n in (names[0], name)]
        if (a is None) != (b is None) or (a and not np.allclose(a, b, rtol=0.01)):
            raise UserError('%s has voxels of %s um, %s of %s: prepare each kind apart, with its '
                            'own OUTPUT' % (names[0], a or 'unknown size', name,
                                            b or 'unknown size'))
