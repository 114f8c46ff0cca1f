"""Full disks: results on a small tmpfs, which is then made larger for the rerun."""
import os
import shutil
import subprocess

from tests.attack import inputs, runner, storm

LARGE = 256 << 20                            # bytes: room enough for all
LEAST = 8 << 10                              # bytes of a small disk


def mount(folder, size):
    """Mount a tmpfs of so many bytes; True if that is allowed here."""
    os.makedirs(folder, exist_ok=True)
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%d' % size, 'tmpfs', folder],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def resize(folder, size):
    """Give a mounted tmpfs another size, bytes."""
    subprocess.run(['mount', '-o', 'remount,size=%d' % size, folder], check=True)


def unmount(folder):
    """Take a tmpfs away."""
    subprocess.run(['umount', '-l', folder], check=True)


def allowed(folder):
    """Whether this process may mount a tmpfs."""
    try:
        if not mount(folder, 1 << 20):
            return False
    except OSError:                                          # no such command
        return False
    unmount(folder)
    return True


def on_small_disk(work, *, place, size):
    """Run a work whose results lie on a disk of `size` bytes; list of broken promises.

    A run that fits has to end well.
    """
    outcome = runner.run(work.script, work.arguments, cwd=place, limit=300)
    if outcome.status == 0:
        return []
    broken, lines = [], outcome.err.split('\n')
    if outcome.status is None or outcome.status < 0 or outcome.status > 128:
        broken.append('a disk of %d bytes: exit %s' % (size, outcome.status))
    if 'Traceback' in outcome.err:
        broken.append('a disk of %d bytes: a traceback: %s'
                      % (size, outcome.err.strip().split('\n')[-1][:160]))
    elif not any(line.startswith('error: ') for line in lines):
        broken.append('a disk of %d bytes: no error line: %s' % (size, outcome.err[-160:]))
    if outcome.orphans:
        broken.append('a disk of %d bytes: %d processes stayed' % (size, outcome.orphans))
    return broken


def run(report, *, base, folder, rng, count):
    """Fill `count` disks; report: storm.Report, the rest as for storm.run.

    Returns:
        how many were filled; 0 where mounting is not allowed.
    """
    os.makedirs(folder)
    if not allowed(os.path.join(folder, 'try')):
        print('skipped: full disks (mounting a tmpfs is not allowed here)')
        return 0
    works = [work for work in report.works if work.name != 'figures']
    order = rng.permutation(len(works))
    for turn in range(count):
        work = works[order[turn % len(works)]]
        place = os.path.join(folder, 'disk%d' % turn)
        quiet = storm.quiet_run(work, report, base=base, folder=folder)
        size = max(LEAST, int(rng.uniform(0.02, 0.95) * quiet.size))
        inputs.copy(base, place, parts=work.needs)
        os.makedirs(place, exist_ok=True)
        disk = os.path.join(place, work.result)
        mount(disk, size)
        try:
            broken = on_small_disk(work, place=place, size=size)
            resize(disk, LARGE)
            more, unequal = storm.finish(work, quiet, place=place)
        finally:
            unmount(disk)
        report.note('full disk, %s' % work.name, broken + more, unequal=unequal)
    shutil.rmtree(folder, ignore_errors=True)
    return count
