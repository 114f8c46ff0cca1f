"""Attack the project: bad input, kills, races, full disks, damaged bytes (docs/attack.md).

Constants, as NAME=VALUE:
    SEED = 1          what is drawn at random; the same seed tries the same
    SHORT = False     True: 60 cases, 20 kills, less of the rest, and the training of the refiner
                      is not disturbed: for CI
    CASES = 0         bad and good inputs; 0: all (60 if short)
    KILLS = 200       signals that reach a running script (20 if short)
    RACES = 10        of two processes in one folder (2 if short)
    DISKS = 16        full disks (3 if short)
    FUZZ = 4000       damaged files that are read (600 if short)
    ONLY = ''         cases whose name holds this text, and nothing else
    OUTPUT = ''       folder to work in, which must not exist; '': a temporary one, removed

Run     python -m tests.attack SEED=7
        make attack ATTACK_ARGS='SEED=7 SHORT=True'
"""
import os
import sys

for _variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(_variable, '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')            # equal results: on one CPU thread

import shutil                                               # noqa: E402
import tempfile                                             # noqa: E402
import time                                                 # noqa: E402
from types import SimpleNamespace                           # noqa: E402

import numpy as np                                          # noqa: E402

from tests.attack import cases, disks, fuzz, inputs, races, runner, storm    # noqa: E402
from tests.attack import (cases_folders, cases_records, cases_runs, cases_stacks,     # noqa: E402
                          cases_values)

MATRIX = cases_stacks, cases_values, cases_folders, cases_runs, cases_records
SHORT = dict(CASES=60, KILLS=20, RACES=2, DISKS=3, FUZZ=600)
FULL = dict(CASES=0, KILLS=200, RACES=10, DISKS=16, FUZZ=4000)
# a part's own stream of random numbers, so that one's length does not change another's
CHOICE, BUILD, STORM, RACES, DISKS = range(5)


def constants(arguments):
    """The constants that a command line gives; SimpleNamespace.

    Raises:
        SystemExit: an unknown name, or a value of another type.
    """
    given = dict(argument.partition('=')[::2] for argument in arguments)
    texts = {'ONLY': given.pop('ONLY', ''), 'OUTPUT': given.pop('OUTPUT', '')}
    short = given.pop('SHORT', 'False')
    values = dict(SHORT if short == 'True' else FULL, SEED=1)
    for name, text in given.items():
        if name not in values or not text.isdigit():
            raise SystemExit('error: %s=%s: want whole numbers for %s, True or False for SHORT'
                             % (name, text, ', '.join(sorted(values))))
        values[name] = int(text)
    if short not in ('True', 'False'):
        raise SystemExit('error: SHORT=%s: want True or False' % short)
    works = [work for work in storm.WORKS if short == 'False' or work.name not in storm.SLOW]
    return SimpleNamespace(works=works, **dict(values, **texts))


def matrix():
    """(bad cases, good cases) of all modules."""
    return ([case for module in MATRIX for case in module.bad()],
            [case for module in MATRIX for case in module.good()])


def chosen_cases(values):
    """The cases to run; of few, a sixth are good ones."""
    bad, good = matrix()
    if values.ONLY:
        return [case for case in bad + good if values.ONLY in case.name]
    rng = np.random.default_rng([values.SEED, CHOICE])
    if not values.CASES or values.CASES >= len(bad) + len(good):
        return bad + good
    few = values.CASES // 6
    return cases.choose(bad, values.CASES - few, rng=rng) + cases.choose(good, few, rng=rng)


def run_cases(chosen, *, base, folder, seed):
    """Run the matrix and print what is broken; number of cases that kept every promise."""
    kept, begun = 0, time.time()
    for i, case in enumerate(chosen):
        rng = np.random.default_rng([seed, BUILD, i])
        broken = cases.run(case, base=base, place=os.path.join(folder, 'case%d' % i), rng=rng)
        kept += not broken
        if broken:
            print('broken: %s: %s' % (case.name, '; '.join(broken)))
    print('cases: %d, of them %d kept every promise and %d did not; %.0f s'
          % (len(chosen), kept, len(chosen) - kept, time.time() - begun))
    return kept


def disturb(values, report, *, base, folder):
    """Storm, races, full disks and fuzz."""
    parts = (('storm', storm.run, STORM, 'kills', values.KILLS),
             ('races', races.run, RACES, 'count', values.RACES),
             ('disks', disks.run, DISKS, 'count', values.DISKS))
    for name, part, number, option, most in parts:
        begun, before = time.time(), len(report.broken) + len(report.unequal)
        if most:
            part(report, base=base, folder=os.path.join(folder, name),
                 rng=np.random.default_rng([values.SEED, number]), **{option: most})
        print('%s: %d, broken or unequal %d; %.0f s' % (
            name, most, len(report.broken) + len(report.unequal) - before, time.time() - begun))
    begun, before = time.time(), len(report.broken)
    if values.FUZZ:
        fuzz.run(report, base=base, folder=os.path.join(folder, 'fuzz'), seed=values.SEED,
                 count=values.FUZZ)
    print('fuzz: %d, broken %d; %.0f s' % (values.FUZZ, len(report.broken) - before,
                                          time.time() - begun))


def main():
    sys.stdout.reconfigure(line_buffering=True)
    if {'-h', '--help'} & set(sys.argv[1:]):
        print(__doc__)
        return 0
    values, begun = constants(sys.argv[1:]), time.time()
    folder = os.path.abspath(values.OUTPUT) if values.OUTPUT else tempfile.mkdtemp(prefix='attack_')
    if values.OUTPUT:
        os.makedirs(folder)
    runner.preload()
    base = os.path.join(folder, 'base')
    try:
        inputs.make_base(base)
        print('base: every script has run once; %.0f s' % (time.time() - begun))
        chosen, report = chosen_cases(values), storm.Report(values.works)
        kept = run_cases(chosen, base=base, folder=folder, seed=values.SEED)
        for work in [work for work in storm.WORKS if work not in values.works]:
            print('skipped: %s is not disturbed (SHORT)' % work.name)
        if not values.ONLY:
            disturb(values, report, base=base, folder=folder)
    finally:
        if not values.OUTPUT:
            shutil.rmtree(folder, ignore_errors=True)
    broken = len(chosen) - kept + len(report.broken)
    print('attack: seed %d, %.0f s' % (values.SEED, time.time() - begun))
    print('result: cases=%d broken=%d kills=%d unequal=%d' % (
        len(chosen), broken, report.kills, len(report.unequal)))
    return 1 if broken or report.unequal or not chosen else 0


if __name__ == '__main__':
    sys.exit(main())
