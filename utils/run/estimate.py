"""How long the steps take: rates measured on one machine, scaled to this one, then corrected.

Before the start: RATES, seconds of one core of an AMD EPYC with TensorFlow 2.15, times what a
short piece of work, and a step of a small network, take here over what they took there
(machine.slowness, machine.network). While it runs: the time that finished steps took over what
was expected of them, and the steps' own lines of progress. A range is told: other jobs come and go.
"""
import re
import time
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

# seconds: a call of a script, by what it loads; then for each unit of its work
START, START_TF = 3.0, 9.0
RATES = {
    'read': 1.2,                 # a million voxels of a stack cut and measured (step 0)
    'calibrate': 75.0,           # the calibration of step 0
    'draw': 0.9,                 # a million voxels of a draft
    'refiner': 0.42,             # a step of the small refiner, evaluations and pictures included:
                                 # 0.23 of narrower networks, whose bare steps took 1 / 1.8
    'full': 180.0,               # a step of the full one on a CPU, from that of smaller crops
    'refine': 2.0,               # a million voxels of a draft refined
    'critic': 45.0,              # a critic
    'network': 0.28,             # a step of the segmentation network
    'predict': 2.3,              # a million voxels of a stack predicted
    'trace': 1.0,                # a million voxels of a map traced
    'figures': 10.0}
CRITICS = 6                      # of real patches, drafts and refined ones at two scales
OLD = 2.9                        # TensorFlow 1.15 against 2.15, docs/results.md
GAIN = 0.7                       # TensorFlow on n cores is n ** GAIN times as fast ...
MOST_CORES = 8                   # ... on up to so many
TRUST = 60.0                     # seconds of finished steps that count as much as the estimate
PROGRESS = re.compile(r'step (\d+) of (\d+)')
HEARD = 0.03                     # share of a step from which its own progress is believed
OVERDUE = 0.1                    # of its time so far that is left of a step that takes too long
LOW, HIGH = 0.7, 2.0             # of the estimate, its range before anything is done ...
SHARPEST = 0.6                   # ... and the share of that width that finished steps take off
HEARD_HIGH = 1.3                 # of a step that tells its own progress


class Work(NamedTuple):
    """Amounts of work."""
    stacks: float                # million voxels of the user's stacks
    drafts: float                # million voxels of all drafts
    steps: tuple                 # of the refiner, of the network
    full: bool                   # the full edition


class Left(NamedTuple):
    """Time left, seconds."""
    seconds: float               # most likely
    low: float                   # if other jobs end
    high: float                  # if more of them come
    unknown: list                # names of steps whose time is not known


def expected(work, machine):
    """Seconds of each step.

    Args:
        work: Work; machine: machine.Machine.

    Returns:
        OrderedDict: name of a step -> seconds; None: not known, the full edition on a GPU.
    """
    many = min(machine.cores, MOST_CORES) ** GAIN
    if machine.network:                                  # measured: cores and other jobs at once
        many = machine.slowness / machine.network
    many /= OLD if machine.old else 1
    alone = OrderedDict([
        ('patches', START + RATES['calibrate'] + RATES['read'] * work.stacks),
        ('drafts', START + RATES['draw'] * work.drafts / machine.cores),
        ('look', 2 * START),
        ('refiner', START_TF + (RATES['full' if work.full else 'refiner'] * work.steps[0]
                                + RATES['refine'] * work.drafts) / many),
        ('critics', START_TF + CRITICS * RATES['critic'] / many),
        ('network', START_TF + RATES['network'] * work.steps[1] / many),
        ('masks', START_TF + RATES['predict'] * work.stacks / many),
        ('traces', START + RATES['trace'] * work.stacks),
        ('figures', START + RATES['figures']),
        ('page', 2 * START)])
    found = OrderedDict((name, seconds * machine.slowness) for name, seconds in alone.items())
    if work.full and machine.gpus:
        found.update(refiner=None, critics=None)
    return found


def work_of(survey, values):
    """Work of a run; survey: survey.Survey; values: dict of chosen constants."""
    voxels = sum(float(np.prod(kind.shape)) for kind in survey.kinds)
    size = survey.kinds[0].voxel_size
    spacing = np.prod(size) / size[2] ** 3 if size else 1.0
    drafts = values['N_STACKS'] * np.prod([float(n) for n in values['VOLUME_SHAPE']]) / spacing
    return Work(voxels / 1e6, drafts / 1e6, (values['REFINER_STEPS'], values['NETWORK_STEPS']),
                values['EDITION'] == 'full')


def of_steps(seconds, steps):
    """Seconds of the steps of a run, in their order; None: not known.

    Args:
        seconds: of expected; steps: list of plan.Step.
    """
    return OrderedDict((step.name, seconds.get(step.name)) for step in steps)


class Clock:
    """Time left for the whole, corrected by what steps took.

    Attributes:
        spent: dict: name of a step -> seconds in it so far, of earlier runs, too.
        done: names of finished steps.
    """

    def __init__(self, seconds, *, spent=None, done=()):
        """Args:
            seconds: of expected, of the steps of this run; spent, done: of earlier runs.
        """
        self.seconds, self.spent, self.done = seconds, dict(spent or {}), list(done)
        self.name, self.begun, self.before, self.share = None, 0.0, 0.0, 0.0

    def start(self, name):
        """A step begins."""
        self.name, self.begun, self.share = name, time.time(), 0.0
        self.before = 0.0 if name in self.done else self.spent.get(name, 0.0)

    def hear(self, line):
        """A line of the step: progress."""
        found = PROGRESS.search(line)
        if found and int(found.group(2)):
            self.share = int(found.group(1)) / int(found.group(2))

    def tick(self):
        """Note the time that the step has taken so far; spent."""
        if self.name not in self.done:
            self.spent[self.name] = self.before + time.time() - self.begun
        return self.spent

    def finish(self):
        """The step is done."""
        self.tick()
        if self.name not in self.done:
            self.done.append(self.name)
        self.name = None

    def ratio(self):
        """Time that steps took over what was expected; the estimate counts as TRUST.

        Finished steps count, and one that has taken longer than expected already.
        """
        known = [name for name, seconds in self.seconds.items() if seconds and (
            name in self.done or self.spent.get(name, 0.0) > seconds)]
        return ((TRUST + sum(self.spent.get(name, 0.0) for name in known))
                / (TRUST + sum(self.seconds[name] for name in known)))

    def left(self):
        """Time left for the whole: Left."""
        if self.name:
            self.tick()
        total, unknown, ratio, heard = 0.0, [], self.ratio(), 0.0
        for name, seconds in self.seconds.items():
            if name in self.done:
                continue
            here = self.spent.get(name, 0.0)
            if name == self.name and self.share > HEARD:
                heard = (time.time() - self.begun) * (1 - self.share) / self.share
            elif seconds is None:
                unknown.append(name)
            else:
                total += max(ratio * seconds - here, OVERDUE * here, OVERDUE * seconds)
        done = sum(self.seconds[name] or 0 for name in self.seconds if name in self.done)
        wide = 1 - SHARPEST * done / max(1e-9, done + total)
        return Left(heard + total, heard + total * (1 - wide * (1 - LOW)),
                    HEARD_HIGH * heard + total * (1 + wide * (HIGH - 1)), unknown)


def words(left):
    """'10 to 30 min', and what is not known; left: Left."""
    if left.high < 90:
        text = 'less than %d s' % (10 * np.ceil(max(left.high, 1) / 10))
    elif left.high < 90 * 60:
        text = _span(*['%.0f' % max(1, seconds / 60) for seconds in left[1:3]]) + ' min'
    else:
        text = _span(*['%.1f' % (seconds / 3600) for seconds in left[1:3]]) + ' h'
    if left.unknown:
        text += ', and %s, for which no rate is known here' % ' and '.join(left.unknown)
    return text


def _span(low, high):
    """'2 to 5', or 'about 2'."""
    return 'about ' + low if low == high else '%s to %s' % (low, high)
