"""Work done here or in several processes, results in order."""
import contextlib
import ctypes
import functools
import multiprocessing
import os
import signal
import threading
import time
from concurrent import futures

from utils.common.errors import UserError

PR_SET_PDEATHSIG = 1         # of Linux' prctl: the signal that a process gets when its parent ends
LOOK_EVERY = 1.0             # seconds between looks at the parent, where there is no prctl


@contextlib.contextmanager
def pool(workers, *, most):
    """Yield submit(function, *arguments), which returns a function () -> result.

    With one worker the work is done when the result is asked for, else as soon as a process is
    free. Function, arguments and results must be picklable. What has not begun when the block ends
    is dropped. Processes end with this one, even if that is killed, and at once on Ctrl-C, which
    this one alone hears.

    Args:
        workers: processes; 0: one per core. most: pieces of work, no more processes than these.

    Raises:
        UserError: from a result, if a process was killed.
    """
    workers = min(workers or multiprocessing.cpu_count(), most)
    if workers <= 1:
        yield functools.partial
        return
    begun = []

    def submit(function, *arguments):
        with _survivors(workers), _deaf():
            future = executor.submit(function, *arguments)
        begun.append(future)
        return functools.partial(_result, future, workers)

    with futures.ProcessPoolExecutor(workers, initializer=_end_with,
                                     initargs=(os.getpid(),)) as executor:
        try:
            yield submit
        except KeyboardInterrupt:
            begun.clear()                                # what they were to do fails with them
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
        finally:
            for future in begun:
                future.cancel()


@contextlib.contextmanager
def _deaf():
    """Within the block this thread puts Ctrl-C off; processes that begin there never hear it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(parent):
    """Begin a worker that ends when its parent, a process id, has ended in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        bound = ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) == 0
    except (OSError, AttributeError, TypeError):         # not Linux
        bound = False
    if os.getppid() != parent:                           # it ended before
        os._exit(1)
    if not bound:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent):
    """End this process when its parent is another."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os._exit(1)


def _result(future, workers):
    """A future's result."""
    with _survivors(workers):
        return future.result()


@contextlib.contextmanager
def _survivors(workers):
    """Within the block a process that was killed is a UserError."""
    try:
        yield
    except futures.process.BrokenProcessPool:
        raise UserError('a worker was killed, as happens when memory runs out: run the same '
                        'command again with WORKERS=%d; finished stacks are kept'
                        % max(1, workers // 2))
