"""The critic's verdict on a patch file, at both scales; run by paper.py.

Run     python tests/benchmarks/_judge.py REAL.h5 JUDGED.h5 SEED THREADS OUTPUT.json
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from utils.common import errors, files           # noqa: E402
from utils.data import patches                   # noqa: E402
from utils.train import critic                   # noqa: E402


def main():
    real, judged, seed, threads, output = sys.argv[1:]
    settings = critic.Settings(threads=int(threads))
    files.write_json(output, {scale: critic.judge(
        patches.PatchFile(real), patches.PatchFile(judged), settings=settings, scale=scale,
        seed=int(seed))._asdict() for scale in ('texture', 'structure')})


if __name__ == '__main__':
    errors.run(main)
