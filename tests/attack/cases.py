"""A case: one run of a script on something bad (or good), and the promises that it has to keep."""
import os
import re
import shutil
from typing import Callable, NamedTuple

from tests.attack import compare, inputs, runner

LOADS_TENSORFLOW = ('2_mpgan.py', '3_segmentation.py')
# lines of standard error that are no error's: what was left out, and why
ASIDE = re.compile(r'error: |left out: |warning: |stopped')
# endings of paths that say who was at work, and may change in any run
MAY_CHANGE = ('command.txt', '.lock')


class Case(NamedTuple):
    """One run of a script."""
    name: str
    script: str
    arguments: list
    build: Callable = None       # function (place, rng): makes what is bad, in the folder `place`
    words: tuple = ()            # of the error; a tuple within: any of these
    needs: tuple = ()            # parts of the base that are copied before
    good: bool = False           # it has to succeed; None: it may, else with an error line
    check: Callable = None       # function (place) -> what is broken, or None
    may_change: tuple = ()       # endings of paths that need not keep their bytes
    batch: bool = False          # several error lines; the rest of the stacks is done


def judge(case, outcome, *, before, place):
    """What a run has broken: list of texts, [] if it kept every promise.

    Args:
        outcome: runner.Outcome; before: compare.bytes_in of the place before the run.
    """
    broken = []
    if outcome.status is None:
        broken.append('did not end within its time')
    elif outcome.status < 0 or outcome.status > 128:
        broken.append('ended by signal or crash: %d' % outcome.status)
    if 'Traceback' in outcome.out + outcome.err:
        broken.append('a traceback: %s' % outcome.err.strip().split('\n')[-1][:160])
    if outcome.orphans:
        broken.append('%d processes stayed' % outcome.orphans)
    gone = [path for path in compare.lost(before, place)
            if not path.endswith(MAY_CHANGE + case.may_change)]
    if gone:
        broken.append('lost or changed: %s' % ', '.join(gone[:4]))
    left = set(compare.leftovers(place)) - set(before)
    if left:
        broken.append('temporary files: %s' % ', '.join(sorted(left)[:3]))
    well = case.good or (case.good is None and outcome.status == 0)
    broken += (_judge_good if well else _judge_bad)(case, outcome)
    told = case.check(place) if case.check else None
    return broken + ([told] if told else [])


def _judge_good(case, outcome):
    broken = [] if outcome.status == 0 else [
        'has to succeed, exit %s: %s' % (outcome.status, outcome.err.strip()[-160:])]
    return broken + _missing(case.words if case.good else (), outcome.out)


def _judge_bad(case, outcome):
    broken = []
    if outcome.status == 0:
        broken.append('exit 0')
    lines = [line for line in outcome.err.split('\n') if line.strip()]
    errors = [line for line in lines if line.startswith('error: ')]
    if not errors:
        broken.append('no error line: %s' % (lines[-1][:160] if lines else 'nothing said'))
    elif len(errors) > 1 and not case.batch:
        broken.append('%d error lines' % len(errors))
    others = [line for line in lines if not ASIDE.match(line)]
    if others and case.script not in LOADS_TENSORFLOW and 'Traceback' not in outcome.err:
        broken.append('another line: %s' % others[0][:120])
    return broken + _missing(case.words, '\n'.join(errors))


def _missing(words, text):
    wanted = [word if isinstance(word, tuple) else (word,) for word in words]
    missing = ['|'.join(any_of) for any_of in wanted
               if not any(word.lower() in text.lower() for word in any_of)]
    return ['not said: %s (%s)' % (', '.join(missing), text[:200])] if missing else []


def run(case, *, base, place, rng, limit=60):
    """Run a case in a new folder, which is removed; list of what it has broken."""
    os.makedirs(place)
    try:
        inputs.copy(base, place, parts=case.needs)
        if case.build:
            try:
                case.build(place, rng)
            except Exception as error:
                return ['it could not be made: %r' % error]
        before = compare.bytes_in(place)
        outcome = runner.run(case.script, case.arguments, cwd=place, limit=limit)
        return judge(case, outcome, before=before, place=place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def choose(cases, count, *, rng):
    """`count` of the cases, drawn evenly from all scripts; all of them if there are no more."""
    if not count or count >= len(cases):
        return list(cases)
    waiting = {}
    for i in rng.permutation(len(cases)):
        waiting.setdefault(cases[i].script, []).append(int(i))
    chosen = []
    while len(chosen) < count:
        for script in sorted(waiting):
            if waiting[script] and len(chosen) < count:
                chosen.append(waiting[script].pop())
    return [cases[i] for i in sorted(chosen)]
