"""The frame of a training loop: progress, saving, stopping in order, the closing line."""
import signal
import sys
import time
from typing import NamedTuple

from tqdm import tqdm

SAY_EVERY = 20.0           # seconds between lines of progress where there is no terminal


class Step(NamedTuple):
    """One training step."""
    index: int             # steps before this one, which tells its batches
    number: int            # index + 1, which tells checkpoints and the log
    last: bool             # no step follows

    def due(self, every):
        """True every so many steps, and at the last one."""
        return self.last or self.number % every == 0


class Stop:
    """Within its block Ctrl-C and SIGTERM (batch systems send it) do not break off: `asked` becomes
    True, and the loop can end in order. A second one does break off."""

    def __init__(self, active=True):
        self.active, self.asked, self._before = active, False, []

    def __enter__(self):
        if self.active:
            self._before = [(number, signal.signal(number, self._ask))
                            for number in (signal.SIGINT, signal.SIGTERM)]
        return self

    def _ask(self, *_):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_):
        for number, handler in self._before:
            signal.signal(number, handler)


class Watch:
    """How long steps take, told now and then."""

    def __init__(self, first):
        """Args: first: steps that were done before."""
        self.first, self.started = first, time.time()
        self.said = self.started

    def each(self, done):
        """Seconds a step, mean, after `done` steps."""
        return (time.time() - self.started) / (done - self.first)

    def say(self, done, steps):
        """Print a line of progress, at most one every SAY_EVERY seconds."""
        if time.time() - self.said > SAY_EVERY:
            self.said, each = time.time(), self.each(done)
            print('step %d of %d, %.2f s each, %.0f s left'
                  % (done, steps, each, each * (steps - done)))


def steps(run, max_steps, *, save, save_every, closing=str):
    """Yield the steps that a run still lacks, and do around them what every training does.

    The caller's block trains, logs and evaluates; run.step is the step's number by then. After it
    the step is saved if it is due. Ctrl-C or SIGTERM saves the step that is under way, too. Of
    several processes the first one prints; they cannot stop in order, since none knows of the
    others' signals.

    Args:
        run: runs.Run; max_steps: whole number.
        save: function () that checks and saves the run; save_every: steps between two calls.
        closing: function () -> end of the last line, for what only the caller knows.

    Yields:
        Step.

    Raises:
        KeyboardInterrupt: stopped by a signal; the message says which step is saved.
    """
    terminal, first = sys.stderr.isatty(), run.step
    if run.first and 0 < first < max_steps:
        print('%s: goes on from step %d' % (run.folder, first))
    watch = Watch(first)
    with Stop(active=run.ranks.size == 1) as stop:
        for index in tqdm(range(first, max_steps), 'training',
                          disable=not (run.first and terminal)):
            run.step = index + 1
            step = Step(index, run.step, run.step == max_steps)
            yield step
            stopping = stop.asked                    # read once: it may change any time
            if stopping or step.due(save_every):
                save()
            if stopping:
                raise KeyboardInterrupt(
                    '%s: stopped after step %d, which is saved: run the same command again to go on'
                    % (run.folder, run.step))
            if run.first and not terminal:
                watch.say(run.step, max_steps)
    if run.first and run.step > first:
        print('%s: %d steps, %.3f s each%s'
              % (run.folder, run.step - first, watch.each(run.step), closing()))
    elif run.first:
        print('%s: has its %d steps already' % (run.folder, run.step))
