"""How long the steps take: rates measured on one machine, scaled to this one, then corrected.

Before the start: RATES, seconds of one core of an AMD EPYC with TensorFlow 2.15, times what a
short piece of work takes here over what it took there (machine.slowness). TensorFlow is taken to
use the cores that are free at the start. While it runs: the time that finished steps took over what
was expected of them, and the steps' own lines of progress.
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
    'refiner': 0.23,             # a step of the small refiner, evaluations and pictures included
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


class Work(NamedTuple):
    """Amounts of work."""
    stacks: float                # million voxels of the user's stacks
    drafts: float                # million voxels of all drafts
    steps: tuple                 # of the refiner, of the network
    full: bool                   # the full edition


def expected(work, machine):
    """Seconds of each step.

    Args:
        work: Work; machine: machine.Machine.

    Returns:
        OrderedDict: name of a step -> seconds; None: not known, the full edition on a GPU.
    """
    many = min(machine.cores, MOST_CORES) ** GAIN * (1 / OLD if machine.old else 1)
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
        """Seconds left for the whole, and names of steps whose time is not known: (float, list)."""
        if self.name:
            self.tick()
        total, unknown, ratio = 0.0, [], self.ratio()
        for name, seconds in self.seconds.items():
            if name in self.done:
                continue
            here = self.spent.get(name, 0.0)
            if name == self.name and self.share > HEARD:
                now = time.time() - self.begun
                total += now * (1 - self.share) / self.share
            elif seconds is None:
                unknown.append(name)
            else:
                total += max(ratio * seconds - here, OVERDUE * here, OVERDUE * seconds)
        return total, unknown


def words(seconds, unknown=()):
    """'about 3 min', and what is not known."""
    if seconds < 90:
        text = 'less than %d s' % (10 * np.ceil(max(seconds, 1) / 10))
    elif seconds < 90 * 60:
        text = 'about %.0f min' % (seconds / 60)
    else:
        text = 'about %.1f h' % (seconds / 3600)
    if unknown:
        text += ', and %s, for which no rate is known here' % ' and '.join(unknown)
    return text
