"""The one loop over stacks: skip what is done, survive the bad one, record, report."""
import os
import stat
import sys
from collections import namedtuple

from tqdm import tqdm

from utils.common import errors, files, schemas
from utils.common.errors import MachineError, UserError

# name: of the stack; path: named where it fails; finished: function () -> bool; make: function ()
# that does the work and returns a line to print, or None
Job = namedtuple('Job', 'name path finished make')
# made, kept, failed: jobs that were done now, before, and not
Outcome = namedtuple('Outcome', 'made kept failed')


def run(jobs, *, title='stacks', strict=False):
    """Do what is missing; a job whose stack is bad is reported, and the others are done.

    Args:
        jobs: list of Job; title: of the progress bar.
        strict: a bad stack stops the batch.

    Returns:
        Outcome, three lists of Job.

    Raises:
        UserError: of a bad stack, or one that the memory does not hold, if strict.
    """
    outcome = Outcome([], [], [])
    for job in tqdm(jobs, title, disable=not sys.stderr.isatty()):
        try:
            if job.finished():
                outcome.kept.append(job)
                continue
            line = job.make()
        except BrokenPipeError:                          # of this script's own output
            raise
        except (UserError, OSError, MemoryError) as error:
            if strict and not isinstance(error, MemoryError):
                raise
            if strict:                                   # the line is to name the stack
                raise MachineError(errors.words_of(error, job.path))
            tqdm.write(errors.line('error: %s' % errors.words_of(error, job.path)),
                       file=sys.stderr)
            outcome.failed.append(job)
            continue
        outcome.made.append(job)
        if line:
            tqdm.write(line)
    return outcome


def failure(outcome):
    """A script's exit line: None, or how many stacks of a batch were left out, and which."""
    count = sum(map(len, outcome))
    if not outcome.failed:
        return None
    return errors.line('error: %d of %d stacks were left out: %s' % (
        len(outcome.failed), count, ', '.join(job.path for job in outcome.failed[:5])))


def file_key(path):
    """What tells a file from another of its name: 'SIZE TIME', bytes and nanoseconds.

    Of a folder, an OME-Zarr image, 'ENTRIES TIME': how many it and its folders hold, and when the
    last was added or replaced. 'missing' for a link to nothing, an address and the like: reading
    it tells what is wrong.
    """
    try:
        status = os.stat(path)
    except OSError:
        return 'missing'
    if stat.S_ISDIR(status.st_mode):
        inside = [(len(names) + len(folders), os.stat(folder).st_mtime_ns)
                  for folder, folders, names in os.walk(path)]
        return '%d %d' % (sum(count for count, _ in inside), max(time for _, time in inside))
    return '%d %d' % (status.st_size, status.st_mtime_ns)


class Record:
    """made_from.json of a folder of results: what each of them was made from."""

    def __init__(self, folder):
        """Raises UserError: the file is there, and damaged."""
        self.path, self.keys = os.path.join(folder, 'made_from.json'), {}
        if os.path.exists(self.path):
            self.keys = files.read_json(self.path)
            schemas.check(self.keys, schemas.RECORD, path=self.path,
                          cure='remove it, and the results beside it are made anew')

    def holds(self, name, key, *, targets):
        """True if `name` was made from `key` and all its files are there."""
        return self.keys.get(name) == key and all(map(os.path.exists, targets))

    def add(self, name, key):
        """Note what a finished result was made from."""
        self.keys[name] = key
        files.write_json(self.path, self.keys)

    def drop(self, name):
        """Forget a result."""
        del self.keys[name]
        files.write_json(self.path, self.keys)
