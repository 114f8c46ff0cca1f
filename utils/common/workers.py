"""Work done here or in several processes, results in order."""
import contextlib
import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent import futures

from utils.common.errors import UserError

PR_SET_PDEATHSIG = 1         # of Linux' prctl: the signal that a process gets when its parent ends
LOOK_EVERY = 1.0             # seconds between looks at the parent, where there is no prctl
# Workers watch their parent, so it has to be this process: a server, as of `forkserver`, is not
START = 'fork' if sys.platform.startswith('linux') else 'spawn'


@contextlib.contextmanager
def pool(workers, *, most):
    """Yield submit(function, *arguments), which returns a function () -> result.

    With one worker the work is done when the result is asked for, else as soon as a process is
    free. Function, arguments and results must be picklable. What has not begun when the block ends
    is dropped. Processes end with this one, even if that is killed, and at once on Ctrl-C, which
    only this one handles.

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
        with _killed_is_an_error(workers), _ctrl_c_later():
            future = executor.submit(function, *arguments)
        begun.append(future)
        return functools.partial(_result, future, workers)

    with futures.ProcessPoolExecutor(
            workers, initializer=_end_with, initargs=(os.getpid(),),
            mp_context=multiprocessing.get_context(START)) as executor:
        try:
            yield submit
        except KeyboardInterrupt:
            begun.clear()                                # what they were to do fails with them
            # its own: a program that imports this may have other children. Python 3.14 has a
            # public name for this, terminate_workers
            for worker in list((executor._processes or {}).values()):
                worker.terminate()
            raise
        finally:
            for future in begun:
                future.cancel()


@contextlib.contextmanager
def _ctrl_c_later():
    """Ctrl-C within the block is handled after it, and never in processes that begin there."""
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
    with _killed_is_an_error(workers):
        return future.result()


@contextlib.contextmanager
def _killed_is_an_error(workers):
    """Raise UserError where a worker was killed within the block."""
    try:
        yield
    except futures.process.BrokenProcessPool:
        raise UserError('a worker was killed, as happens when memory runs out: run the same '
                        'command again with WORKERS=%d; finished stacks are kept'
                        % max(1, workers // 2))
