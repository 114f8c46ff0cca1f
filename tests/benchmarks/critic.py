"""How well critics tell sets of patches from real ones, at both scales.

Reads   REAL      real patches (prepare_patches.py)
        JUDGED    patches of drafts or refined drafts, separated by commas
Writes  nothing
Run     python tests/benchmarks/critic.py       what the scripts left in data/, or nothing
        python tests/benchmarks/critic.py REAL=real.h5 JUDGED=a.h5,b.h5 SEEDS=3 STEPS=1600
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

import numpy as np                                  # noqa: E402

from utils.common import errors                     # noqa: E402
from utils.common.errors import UserError           # noqa: E402
from utils.data import patches                      # noqa: E402
from utils.train import critic, judging             # noqa: E402

DEFAULTS = {'REAL': 'data/patches/real.h5', 'SEEDS': '1', 'STEPS': '1600', 'BLOCK': '76',
            'JUDGED': 'data/simulated/patches.h5,data/refined/patches.h5'}


def main():
    given = dict(argument.split('=', 1) for argument in sys.argv[1:])
    if set(given) - set(DEFAULTS):
        raise UserError('unknown: %s' % ', '.join(sorted(set(given) - set(DEFAULTS))))
    values = dict(DEFAULTS, **given)
    missing = [path for path in [values['REAL']] + values['JUDGED'].split(',')
               if not os.path.exists(path)]
    if missing:
        print('no %s: nothing to judge' % ', '.join(missing))
        print('result: skipped=1')
        return
    sets = {path: patches.PatchFile(path) for path in values['JUDGED'].split(',')}
    rows, failed = judging.verdicts(
        patches.PatchFile(values['REAL']), sets, seeds=int(values['SEEDS']),
        settings=critic.Settings(int(values['STEPS']), block=int(values['BLOCK'])))
    print(judging.table(rows) + ''.join('%s\n' % line for line in failed), end='')
    names = dict(zip([judging.REAL] + list(sets), [judging.REAL] + [
        'judged%d' % (i + 1) for i in range(len(sets))]))
    print('result: ' + ' '.join('%s_%s=%.3f' % (names[name], scale, np.mean([
        row['accuracy'] for row in rows if (row['patches'], row['scale']) == (name, scale)]))
        for scale, name in dict.fromkeys((row['scale'], row['patches']) for row in rows)))
    return 'error: %s' % failed[0] if failed else None


if __name__ == '__main__':
    errors.run(main)
