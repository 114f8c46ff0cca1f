"""The critic's verdicts on a patch file; run by paper.py and label_weight.py.

Run     python tests/benchmarks/_judge.py REAL.h5 JUDGED.h5 SEED THREADS OUTPUT.json [STEPS [SCALE]]
        JUDGED.h5 = REAL.h5: the floor, real patches against real ones of other blocks
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from utils.common import errors, files           # noqa: E402
from utils.common.errors import UserError        # noqa: E402
from utils.data import patches                   # noqa: E402
from utils.train import critic                   # noqa: E402


def main():
    real, judged, seed, threads, output = sys.argv[1:6]
    settings, scales, found = critic.Settings(threads=int(threads)), critic.SCALES, {}
    if sys.argv[6:]:
        settings = settings._replace(max_steps=int(sys.argv[6]))
    for scale in sys.argv[7:] or scales:
        how = dict(settings=settings, scale=scale, seed=int(seed))
        try:
            verdict = (critic.floor(patches.PatchFile(real), **how) if real == judged else
                       critic.judge(patches.PatchFile(real), patches.PatchFile(judged), **how))
            found[scale] = verdict._asdict()
        except UserError as error:                   # the other scale's verdict is kept
            print('no critic of %s: %s' % (scale, error))
            failed = error
    if not found:
        raise failed
    files.write_json(output, found)


if __name__ == '__main__':
    errors.run(main)
