"""All steps on a folder of stacks: make run STACKS=folder.

Reads   the stacks of STACKS: TIFF, HDF5 or Vaa3D, 8 or 16 bit, (z, y, x)
Writes  data/NAME/, runs/NAME/           what the numbered scripts make, see docs/files.md
        results/NAME/index.html          one page of everything
        results/NAME/report.md           how it went, and what to change
        results/NAME/traces/             traces (SWC) with a picture of each
        results/NAME/choices.json, times.json, log.txt
Run     python -m utils.run STACKS=folder               goes on where it was stopped
        python -m utils.run STACKS=folder DRY_RUN=True  the commands; nothing is written
"""
from utils.common import errors      # first: Ctrl-C while the rest is imported is one line
import os
import sys
import time

from utils.common import claims, config, locks
from utils.common.errors import UserError
from utils.data import stacks
from utils.measure import otsu
from utils.run import (children, choices, estimate, evidence, evidence_masks, machine, plan,
                       records, survey)
from utils.run.report import Again, Report

GIVEN = 'PATCH_ARGS', 'SIM_ARGS', 'GAN_ARGS', 'SEG_ARGS', 'TRACE_ARGS', 'FIG_ARGS'
MAY_CHANGE = 'STACKS', 'NAME', 'DRY_RUN'
SAY_EVERY = 60.0                     # seconds between lines on the time left


# --- before the start ---

def check(cfg):
    """Check the constants; dict: constant -> its arguments for a script.

    Raises:
        UserError: for constants that cannot work.
    """
    if cfg.STACKS is None:
        raise UserError('no stacks: give STACKS=folder, as in make run STACKS=data/real')
    for name, known in (('EDITION', ('auto', choices.SMALL, choices.FULL)),
                        ('JUDGE', ('auto', 'yes', 'no'))):
        if getattr(cfg, name) not in known:
            raise UserError('%s=%s: want %s' % (name, getattr(cfg, name), ' or '.join(known)))
    config.require(cfg, LOOKED_AT=(1, None), LOOKED_VOXELS=(100000, None), MIN_PATCHES=(1, None),
                   CHANNEL=(0, 10000))
    return {name: plan.split(name, getattr(cfg, name)) for name in GIVEN}


def choose(cfg, paths, *, given):
    """Survey the stacks and choose; records.Chosen.

    Raises:
        UserError: stacks that cannot be used, or too little of them.
    """
    step_0 = config.load(('configs/prepare_patches.py', 'configs/otsu.py'), given['PATCH_ARGS'])
    found = survey.survey(paths, config.pick(step_0, otsu.Settings),
                          patch_shape=step_0.PATCH_SHAPE, looked_at=cfg.LOOKED_AT,
                          looked_voxels=cfg.LOOKED_VOXELS, channel=cfg.CHANNEL)
    held = survey.patches_in(found.kinds, step_0.PATCH_SHAPE)
    if held < cfg.MIN_PATCHES:
        raise UserError('%s: too small: the stacks hold the volume of %.1f patches of %s voxels, '
                        'and at least %d are wanted to train and judge on: give larger or more '
                        'stacks' % (cfg.STACKS, held, ' x '.join(map(str, step_0.PATCH_SHAPE)),
                                    cfg.MIN_PATCHES))
    here = machine.describe()
    values = choices.choose(found, here, edition=cfg.EDITION, judge=cfg.JUDGE,
                            patch_shape=step_0.PATCH_SHAPE)
    work = estimate.work_of(found, {name: choice.value for name, choice in values.items()})
    return records.Chosen(values, found.looks, found.bad, estimate.expected(work, here))


def say(chosen, name, *, paths, clock, start=''):
    """Print what was chosen and how long it will take; start: of each line."""
    count = len(paths) - len(chosen.bad)
    print('%s%s: %d stack%s' % (start, name, count, 's' * (count != 1)))
    for text in chosen.bad:
        print('%sleft out: %s' % (start, text))
    for constant, (value, reason) in chosen.values.items():
        text = ','.join('%g' % v for v in value) if isinstance(value, tuple) else str(value)
        name_of, step = choices.STEPS_OF.get(constant, (constant, ''))
        print('%schosen: %-30s %s' % (start, '%s=%s%s' % (name_of, text, step), reason))
    print('%stime: %s for the whole, by the speed of this machine with what runs on it now; '
          'corrected while it runs' % (start, estimate.words(clock.left())))


# --- the steps ---

def judge(name, places, *, chosen, images, channel):
    """Findings of a step that is done; images: dict from a stack's name to its path."""
    if name == 'patches':
        return evidence.of_patches(places, chosen.looks, bad=chosen.bad, images=images,
                                   channel=channel)
    if name == 'masks':
        return evidence_masks.of_masks(places, images, channel=channel)
    known = {'drafts': evidence.of_drafts, 'refiner': evidence.of_refiner,
             'critics': evidence.of_critics, 'network': evidence_masks.of_network,
             'traces': evidence_masks.of_traces}
    return known[name](places) if name in known else []


def run_step(step, number, *, total, clock, folder):
    """Run one step; True if some of its stacks were left out.

    Raises:
        UserError: it failed, and the run cannot go on; KeyboardInterrupt: stopped.
    """
    print('\nstep %d of %d, %s; %s left\n$ %s' % (
        number, total, step.what, estimate.words(clock.left()), plan.text_of(step)))
    clock.start(step.name)
    said = [time.time()]

    def hear(line):
        clock.hear(line)
        if time.time() - said[0] > SAY_EVERY:
            said[0] = time.time()
            clock.tick()
            records.write_times(folder, clock)
            print('time: %s left' % estimate.words(clock.left()))

    with open(os.path.join(folder, 'log.txt'), 'a', encoding='utf-8') as log:
        log.write('\n$ %s\n' % plan.text_of(step))
        try:
            status, last = children.run(plan.command(step), log=log, hear=hear)
        except KeyboardInterrupt:
            raise KeyboardInterrupt('%s: stopped in step %d of %d (%s); what is done is kept: run '
                                    'the same command again to go on' % (folder, number, total,
                                                                         step.what))
    partly = children.is_partly_done(last)
    if status and not partly and not step.optional:
        raise UserError(children.reason(step, status, last=last))
    if status:
        print('warning: %s' % children.reason(step, status, last=last), file=sys.stderr)
    clock.finish()
    records.write_times(folder, clock)
    return partly


def run(steps, places, *, chosen, clock, report, paths, channel):
    """Run all steps and judge each; the exit line, or None. channel: of the stacks of `paths`."""
    images = {stacks.name_of(path): path for path in paths}
    left_out = False
    for number, step in enumerate(steps, 1):
        if step.name == 'critics' and evidence.are_judged(places):       # it begins anew otherwise
            print('\nstep %d of %d, %s: done before' % (number, len(steps), step.what))
            continue
        left_out |= run_step(step, number, total=len(steps), clock=clock, folder=places.results)
        lines = report.add(step.name, judge(
            step.name, places, chosen=chosen, images=images, channel=channel))
        with open(os.path.join(places.results, 'log.txt'), 'a', encoding='utf-8') as log:
            for line in map(errors.line, lines):
                print(line)
                log.write(line + '\n')
    print('\n%s: %s\npage: %s' % (os.path.join(places.results, 'report.md'), report.count(),
                                  os.path.join(places.results, 'index.html')))
    return 'error: some stacks of %s were left out, see %s' % (
        places.stacks, os.path.join(places.results, 'report.md')) if left_out else None


def main():
    cfg = config.load('configs/run.py', sys.argv[1:], description=__doc__)
    given = check(cfg)
    paths = stacks.find(cfg.STACKS)
    name = records.name_of(cfg.STACKS, cfg.NAME)
    places = plan.places_of(name, cfg.STACKS)
    folders = [os.path.join(root, name) for root in ('data', 'runs', 'results')]
    records.check(name, folders)
    chosen = records.read(places.results, paths)
    fresh = chosen or choose(cfg, paths, given=given)
    steps = plan.steps(places, {k: choice.value for k, choice in fresh.values.items()},
                       given=given, channel=cfg.CHANNEL)
    clock = estimate.Clock(estimate.of_steps(fresh.seconds, steps),
                           **dict(zip(('spent', 'done'), records.read_times(places.results))))
    if cfg.DRY_RUN:
        say(fresh, name, paths=paths, clock=clock, start='# ')
        print('\n'.join(map(plan.text_of, steps)))
        return None
    with locks.hold(places.results, purpose='running the steps'):
        claims.claim(places.results, vars(cfg), owner=claims.Owner(records.SCRIPT,
                                                                   files=records.OWN),
                     may_change=MAY_CHANGE, cure='give NAME=another')
        if not chosen:
            records.write(places.results, fresh, paths=paths, stacks_given=cfg.STACKS)
        say(fresh, name, paths=paths, clock=clock)
        again = Again(cfg.STACKS, name, {key: getattr(cfg, key) for key in GIVEN},
                      {step.name: (step.mends or step.given, plan.text_of(step)) for step in steps},
                      places.traces, cfg.CHANNEL)
        return run(steps, places, chosen=fresh, clock=clock, paths=paths, channel=cfg.CHANNEL,
                   report=Report(places.results, again))


if __name__ == '__main__':
    errors.run(main)
