"""Kills at random moments, a last run to the end, and its results beside those of a quiet run."""
import os
import shutil
import signal
import time
from collections import namedtuple

from tests.attack import compare, inputs, runner
from utils.common import errors

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)    # in turn
POLITE = 30                                  # seconds in which SIGTERM and Ctrl-C have to end it
A_ROUND = 4                                  # kills of one folder, before the run to the end
# name; script, arguments; needs: parts of the base; result: folder that it makes
Work = namedtuple('Work', 'name script arguments needs result')
WORKS = (
    Work('prepare', 'prepare_patches.py', inputs.PREPARE + ['CALIBRATION_ROUNDS=1', 'OUTPUT=out',
                                                            'TIFF_FOLDER=tiff'],
         ('data/real',), 'out'),
    Work('simulate', '1_simulator.py', inputs.SIMULATE + ['OUTPUT=out', 'N_STACKS=6'], (), 'out'),
    Work('simulate in workers', '1_simulator.py',
         inputs.SIMULATE + ['OUTPUT=out', 'N_STACKS=6', 'WORKERS=2'], (), 'out'),
    Work('train and refine', '2_mpgan.py', inputs.GAN + ['RUN_DIR=out/run', 'OUTPUT=out/refined'],
         ('data/patches', 'data/simulated'), 'out'),
    Work('refine', '2_mpgan.py', inputs.GAN + ['STAGE=refine', 'INPUT=data/real', 'OUTPUT=out'],
         ('runs/mpgan', 'data/real'), 'out'),
    Work('train the segmenter', '3_segmentation.py', inputs.SEGMENT + ['RUN_DIR=out'],
         ('data/simulated',), 'out'),
    Work('predict', '3_segmentation.py', inputs.SEGMENT + ['STAGE=predict', 'OUTPUT=out'],
         ('runs/segmentation', 'data/real'), 'out'),
    Work('export', '3_segmentation.py', inputs.SEGMENT + ['STAGE=export', 'OUTPUT=out'],
         ('data/simulated',), 'out'),
    Work('reconstruct', '4_reconstruction.py', inputs.TRACE + ['INPUT=data/real', 'OUTPUT=out'],
         ('data/real',), 'out'),
    Work('figures', 'make_figures.py', ['OUTPUT=out', 'FIGURES=levels,simulator'],
         ('data/patches', 'data/simulated', 'data/refined'), 'out'),
    Work('draw the phantom', runner.PHANTOM, inputs.DRAW + ['OUTPUT=out', 'N_STACKS=6'], (), 'out'))
SLOW = ('train and refine',)                 # half a minute with TensorFlow 1.15
# a quiet run: results, names of all files, seconds, bytes on disk of Work.result
Quiet = namedtuple('Quiet', 'results names seconds size')
PAGE = 4096                                  # bytes: files take whole pages


class Report:
    """What the storm, the races and the full disks have found.

    Attributes:
        kills: signals that reached a living process; broken, unequal: lists of texts.
        quiet: name of a work -> Quiet, once it has run; works: those that are disturbed.
    """

    def __init__(self, works=WORKS):
        self.kills, self.broken, self.unequal, self.quiet = 0, [], [], {}
        self.works = list(works)

    def note(self, name, problems, *, unequal=()):
        """Add what was found and print it."""
        for problem in problems:
            self.broken.append('%s: %s' % (name, problem))
            print('broken: %s' % self.broken[-1])
        if unequal:
            self.unequal.append('%s: %s' % (name, ', '.join(list(unequal)[:5])))
            print('unequal: %s' % self.unequal[-1])


def quiet_run(work, report, *, base, folder):
    """Run a work undisturbed, once for the whole attack; Quiet.

    Args:
        report: Report, which keeps it; base: of inputs; folder: to work in.

    Raises:
        RuntimeError: it failed.
    """
    if work.name not in report.quiet:
        place = os.path.join(folder, 'quiet')
        inputs.copy(base, place, parts=work.needs)
        os.makedirs(place, exist_ok=True)
        done = runner.run(work.script, work.arguments, cwd=place, limit=300)
        if done.status != 0:
            raise RuntimeError('%s: %s' % (work.name, done.err))
        report.quiet[work.name] = Quiet(compare.results(place), names_of(place), done.seconds,
                                        size_of(os.path.join(place, work.result)))
        shutil.rmtree(place)
    return report.quiet[work.name]


def names_of(folder):
    """Names of what a run promises: all its files but locks and events, named by the second."""
    return {path for path in compare.files_in(folder)
            if 'events' not in path.split(os.sep) and not path.endswith('.lock')}


def size_of(folder):
    """Bytes that the files below a folder take on a disk."""
    return sum(-(-os.path.getsize(os.path.join(folder, path)) // PAGE) * PAGE
               for path in compare.files_in(folder))


def finish(work, quiet, *, place):
    """Run a work to its end where others were disturbed.

    Returns:
        (list of broken promises, list of unequal results).
    """
    done = runner.run(work.script, work.arguments, cwd=place, limit=300)
    if done.status != 0:
        return ['the rerun failed, exit %s: %s' % (done.status, done.err.strip()[-200:])], []
    broken = ['the rerun left %d processes' % done.orphans] if done.orphans else []
    left = compare.leftovers(place)
    if left:
        broken.append('the rerun left temporary files: %s' % ', '.join(left[:3]))
    missing = quiet.names - names_of(place)
    if missing:
        broken.append('the rerun did not make %s' % ', '.join(sorted(missing)[:3]))
    return broken, compare.unequal(quiet.results, compare.results(place))


def disturb(work, number, *, place, delay):
    """Start a work and send it a signal after `delay` seconds.

    Returns:
        (whether the signal reached it, list of broken promises).
    """
    process = runner.start(work.script, work.arguments, cwd=place)
    deadline = time.time() + delay
    while time.time() < deadline and not process.ended():
        time.sleep(runner.POLL)
    if process.ended():
        return False, _plain(process.outcome, number, ended=True)
    os.kill(process.pid, number)
    outcome = process.wait(POLITE)
    broken = _plain(outcome, number, ended=False)
    if outcome.status is None:
        where = outcome.err[max(0, outcome.err.rfind('Current thread')):][:1600]
        broken.append('%s did not end it in %d s: %s' % (number.name, POLITE, errors.line(where)))
    if outcome.orphans:
        broken.append('%d processes stayed after %s' % (outcome.orphans, number.name))
    return True, broken


def _plain(outcome, number, *, ended):
    broken = []
    if 'Traceback' in outcome.err:
        broken.append('a traceback%s: %s' % ('' if ended else ' after ' + number.name,
                                             errors.line(outcome.err.strip()[-800:])))
    if ended and outcome.status not in (0, None):
        broken.append('it failed by itself, exit %s: %s' % (outcome.status,
                                                            outcome.err.strip()[-160:]))
    return broken


def one_round(work, quiet, *, place, rng, report, most):
    """Disturb one folder up to `most` times, finish it and compare."""
    name, before = work.name, report.kills
    for turn in range(2 * most):
        if report.kills - before >= most:
            break
        number = SIGNALS[report.kills % len(SIGNALS)]
        # most of the work is young: a folder's later runs begin where it stands
        delay = float(rng.uniform(0, 1.05) * quiet.seconds)
        hit, broken = disturb(work, number, place=place, delay=delay)
        report.kills += hit
        report.note('%s, kill %d' % (name, report.kills), broken)
        if not hit:
            break
    broken, unequal = finish(work, quiet, place=place)
    report.note('%s, after %d kills' % (name, report.kills - before), broken, unequal=unequal)


def interrupted_imports(report, *, folder, rng, count):
    """Ctrl-C while some scripts, each in a Python of its own, load their libraries."""
    for i in rng.permutation(len(runner.SCRIPTS))[:count]:
        script = runner.SCRIPTS[i]
        process = runner.fresh(script, [], cwd=folder)
        while process.poll() is None and 'numpy' not in _mapped(process.pid):
            time.sleep(runner.POLL)
        time.sleep(float(rng.uniform(0, 0.1)))
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            report.kills += 1
        _, err = process.communicate(timeout=120)
        report.note('%s, Ctrl-C during the imports' % script,
                    ['a traceback'] if 'Traceback' in err else [])


def _mapped(pid):
    try:
        with open('/proc/%d/maps' % pid) as file:
            return file.read()
    except OSError:
        return ''


def run(report, *, base, folder, rng, kills):
    """The storm: rounds over all works until so many signals have hit.

    Args:
        report: Report; base: inputs.make_base's folder; folder: for this part, removed in the end.
        rng: numpy Generator; kills: signals that reach a living process.
    """
    os.makedirs(folder)
    if os.path.isdir('/proc/self'):
        interrupted_imports(report, folder=folder, rng=rng, count=kills // 8)
    else:
        print('skipped: Ctrl-C during the imports, and processes that stay (no /proc)')
    works, turn = [report.works[i] for i in rng.permutation(len(report.works))], 0
    while report.kills < kills:
        work = works[turn % len(works)]
        place = os.path.join(folder, 'round%d' % turn)
        quiet = quiet_run(work, report, base=base, folder=folder)
        os.makedirs(place)
        inputs.copy(base, place, parts=work.needs)
        one_round(work, quiet, place=place, rng=rng, report=report,
                  most=max(1, min(A_ROUND, kills // len(works), kills - report.kills)))
        shutil.rmtree(place)
        turn += 1
    shutil.rmtree(folder)
