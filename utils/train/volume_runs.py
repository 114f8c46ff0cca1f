"""A volume predicted or refined block by block, alone or with other processes (docs/cluster.md).

Steps, blocks and their records are the same for one process, for the tasks of a SLURM array and for
the workers of a Dask cluster. Each block is locked while a process works on it.
"""
import os
import shutil
import sys
import time

from tqdm import tqdm

from utils.common import blocks, files, locks, pipeline, shares
from utils.common.errors import UserError
from utils.data import volumes
from utils.train import volume_steps

# locks: setting up; the results and their plans, shared by all who work; finishing; the first block
SETUP, USED, FINISH, FIRST = 0, 1, 2, 3
SAY_EVERY = 600                      # seconds between lines of progress in a log


class Run:
    """A volume_steps.Job in this process. Use as a context manager.

    Attributes:
        steps: list of volume_steps.Step; records: blocks.Progress of each; grid: blocks.Grid.
        clock: pipeline.Clock; made: blocks that this process did.
    """

    def __init__(self, job, network):
        """Args:
            job: volume_steps.Job; network: Segmenter or Refiner, opened.

        Raises:
            UserError: as volumes.open_volume and volume_steps.of.
        """
        self.job, self.clock, self.made, self.started = job, pipeline.Clock(), 0, time.time()
        self.volume = volumes.open_volume(job.path, channel=job.settings.channel)
        self.steps = volume_steps.of(job, network, volume=self.volume)
        self.grid = self.steps[0].grid
        self.size = volume_steps.size_of(self.grid.shape)
        self.records = [blocks.Progress(os.path.join(job.folder, step.name))
                        for step in self.steps]
        self.slots = locks.Slots(os.path.join(job.folder, '.lock'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.slots.__exit__()
        self.volume.close()

    # --- beginning and end ---

    @property
    def _finished(self):
        return os.path.join(self.job.folder, 'finished.json')

    def is_finished(self):
        """True if all results are there, of these keys, pyramids included."""
        if not (os.path.exists(self._finished) and all(map(os.path.exists, self.job.targets))):
            return False
        return files.read_json(self._finished).get('KEY') == self.steps[-1].key

    def set_up(self):
        """Make the results' stores and plans; what was made from other keys is made anew.

        One process at a time; the others wait and take what it has measured.

        Raises:
            UserError: another process works on a result that would be removed.
        """
        self.slots.take(SETUP, wait=True)
        try:
            for step, record in zip(self.steps, self.records):
                if not (record.load(step.key) and os.path.exists(step.target)):
                    self._begin(step, record)
            self.slots.share(USED)
        finally:
            self.slots.free(SETUP)

    def _begin(self, step, record):
        """Make a step's store and plan; what was there before goes."""
        if not self.slots.take(USED):
            raise UserError('%s is in use with other settings: wait for that process, stop it, or '
                            'give another OUTPUT' % self.job.folder)
        files.remove(self._finished)
        record.clear()
        if os.path.isdir(step.target) and not os.path.islink(step.target):
            shutil.rmtree(step.target)
        volumes.create(step.target, shape=self.grid.shape, dtype=step.dtype, chunks=step.chunks,
                       voxel_size=self.volume.voxel_size, unfinished=True)
        record.begin(step.key, step.measure())

    def join(self):
        """Work beside the process that has set up; False if its plans are of other keys."""
        self.slots.share(USED)
        return all([record.load(step.key) for step, record in zip(self.steps, self.records)])

    def finish(self):
        """Write the pyramids and finished.json, once; False if another process is at it.

        Raises:
            UserError: a record is damaged.
        """
        if not self.slots.take(FINISH):
            return False
        try:
            if not self.is_finished():
                totals = {}
                for step, record in zip(self.steps, self.records):
                    totals.update(record.total(len(self.grid)))
                    volumes.build_pyramid(step.target, how=step.how)
                files.write_json(self._finished, dict(totals, KEY=self.steps[-1].key))
        finally:
            self.slots.free(FINISH)
        return True

    # --- blocks ---

    def walk(self, index, numbers):
        """Do those of some blocks that are not finished and that no other process works on.

        Args:
            index: of the step; numbers: of blocks.

        Raises:
            UserError: of a chunk that cannot be read or written.
        """
        step, record = self.steps[index], self.records[index]
        source, target = step.open(), volumes.open_writable(step.target)

        def write(number, result):
            block, note = result
            if block is not None:
                target[self.grid.box(number)[0]] = block
            record.add(number, note)
            self.slots.free(self._slot(index, number))

        pipeline.run(
            self._free(index, numbers), write=write, clock=self.clock,
            read=lambda number: source[self.grid.box(number, step.halo)[1]],
            compute=lambda number, voxels: step.compute(number, voxels, plan=record.plan))

    def _slot(self, index, number):
        return FIRST + index * len(self.grid) + number

    def _free(self, index, numbers):
        """Yield numbers of unfinished blocks, locked; show how far it is."""
        record, said = self.records[index], time.time()
        done = record.done()
        bar = tqdm(numbers, '%s, %s' % (os.path.basename(self.job.path), self.steps[index].name),
                   leave=False, disable=not sys.stderr.isatty())
        for i, number in enumerate(bar):
            if not sys.stderr.isatty() and time.time() - said > SAY_EVERY:
                said = time.time()
                print('%s: %s, %d of %d blocks, %s' % (
                    self.job.path, self.steps[index].name, i, len(numbers), self.speed()))
                sys.stdout.flush()
            if number in done or not self.slots.take(self._slot(index, number)):
                continue
            if record.holds(number):                     # by another process, meanwhile
                self.slots.free(self._slot(index, number))
                continue
            self.made += 1
            yield number

    def open_blocks(self, index):
        """Numbers of unfinished blocks, where the step before has finished what they read; list.

        Args:
            index: of the step.
        """
        done = self.records[index].done()
        missing = [n for n in range(len(self.grid)) if n not in done]
        if index == 0 or not missing:
            return missing
        before = self.records[index - 1].done()
        halo = self.steps[index].halo
        return [n for n in missing if before.issuperset(self.grid.around(n, halo))]

    def missing(self):
        """How many blocks of all steps are not finished."""
        return sum(len(self.grid) - len(record.done()) for record in self.records)

    # --- the whole ---

    def share(self):
        """Do this process' share of the blocks; then what others have left of later steps, if all
        of the first is finished."""
        mine = shares.shard(len(self.grid))
        for index in range(len(self.steps)):
            ready = set(self.open_blocks(index))
            self.walk(index, [n for n in mine if n in ready])
        for index in range(1, len(self.steps)):
            if len(self.records[index - 1].done()) == len(self.grid):
                self.walk(index, self.open_blocks(index))

    def speed(self):
        """'0.52 Mvoxel/s, 3 % of the time waiting', of this process or its workers."""
        seconds = max(time.time() - self.started, 1e-9)
        voxels = self.clock.pieces / len(self.steps) * self.size / len(self.grid)
        return '%.3g Mvoxel/s, %.0f %% of the time waiting for files' % (
            voxels / seconds / 1e6, 100 * self.clock.waiting_share)

    def report(self):
        """The line that says what was done."""
        begun = '%s: %d blocks' % (self.job.targets[-1], len(self.grid))
        if self.clock.pieces:                            # else there is nothing to tell a speed of
            begun += ', ' + self.speed()
        if not self.is_finished():
            return '%s; %d pieces of other shares or tasks are not done, the last one ends it' % (
                begun, self.missing())
        found = files.read_json(self._finished)
        share = ''
        if 'foreground' in found:
            share = ', %.2f %% foreground' % (100 * found['foreground'] / self.size)
        return '%s, %d empty ones skipped%s, %.1f s' % (
            begun, found.get('empty', 0), share, time.time() - self.started)
