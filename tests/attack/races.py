"""Two processes with one folder of results."""
import os
import shutil
import signal
import time

from tests.attack import inputs, runner, storm

TRAININGS = {'train the segmenter': 'out', 'train and refine': 'out/run'}    # work -> its RUN_DIR
HEAD_START = 0.5                             # of a run's time, most, that the first is ahead


def race(work, quiet, *, place, delay):
    """Run a work twice at a time; list of broken promises of the two.

    Two that share stacks both end well or refuse with a line; of two trainings in one RUN_DIR the
    second is refused while the first, which is held up meanwhile, lives.

    Args:
        delay: seconds that the first is ahead.
    """
    first = runner.start(work.script, work.arguments, cwd=place)
    held = work.name in TRAININGS
    if held:
        wait_for(os.path.join(place, TRAININGS[work.name], 'log.csv'), first)
        _signal(first, signal.SIGSTOP)
    else:
        time.sleep(delay)
    second = runner.start(work.script, work.arguments, cwd=place)
    if held:
        second.wait(runner.LIMIT)
        _signal(first, signal.SIGCONT)
    done = [first.wait(300), second.wait(300)]
    return _judge(work, done)


def _signal(process, number):
    if not process.ended():
        os.kill(process.pid, number)


def _judge(work, done):
    broken = []
    for which, outcome in zip(('first', 'second'), done):
        if outcome.status is None or outcome.status < 0:
            broken.append('the %s did not end well (%s)' % (which, outcome.status))
        if 'Traceback' in outcome.err:
            broken.append('the %s: a traceback: %s' % (which,
                                                       outcome.err.strip().split('\n')[-1][:160]))
        elif outcome.status != 0 and 'error: ' not in outcome.err:
            broken.append('the %s ended with %s and no error line' % (which, outcome.status))
    if all(outcome.status != 0 for outcome in done):
        broken.append('neither of the two ended well: %s' % done[0].err.strip()[-160:])
    if work.name in TRAININGS and done[1].status == 0:
        broken.append('the second training was not refused')
    return broken


def wait_for(path, process):
    """Wait until a file is there or the process has ended."""
    while not os.path.exists(path) and not process.ended():
        time.sleep(runner.POLL)


def run(report, *, base, folder, rng, count):
    """Race `count` works, each twice; report: storm.Report, the rest as for storm.run."""
    works = [work for work in report.works if work.name != 'figures']
    trainings = [work for work in works if work.name in TRAININGS]
    others = [work for work in works if work not in trainings]
    order = [others[i] for i in rng.permutation(len(others))]
    chosen = ([order[0]] + trainings[:1] + order[1:] + trainings[1:])[:count]
    for turn, work in enumerate(chosen):
        place = os.path.join(folder, 'race%d' % turn)
        quiet = storm.quiet_run(work, report, base=base, folder=folder)
        os.makedirs(place)
        inputs.copy(base, place, parts=work.needs)
        broken = race(work, quiet, place=place,
                      delay=float(rng.uniform(0, HEAD_START) * quiet.seconds))
        more, unequal = storm.finish(work, quiet, place=place)
        report.note('race, %s' % work.name, broken + more, unequal=unequal)
    shutil.rmtree(folder, ignore_errors=True)
    return len(chosen)
