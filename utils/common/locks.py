"""A folder that one process at a time works in, as long as it lives.

The lock is POSIX's (fcntl.lockf) on the file FOLDER/.lock. The kernel frees it when its process
ends, however it ends; NFS and most parallel file systems hold it for all machines. The file itself
stays and says who had the lock last.
"""
import contextlib
import errno
import fcntl
import os
import platform
import sys

from utils.common.errors import MachineError, UserError

NAME = '.lock'
_held = {}                 # real path of a folder: [open file, how many blocks hold it]


@contextlib.contextmanager
def hold(folder, *, purpose):
    """Keep other processes out of a folder; blocks of one process may lie in each other.

    Where the file system has no locks, a warning is printed and nobody is kept out.

    Args:
        folder: made if missing; purpose: what it is held for, 'training'.

    Raises:
        UserError: another process holds it, which is named; or it cannot be written.
    """
    key = os.path.realpath(folder)
    if key not in _held:
        _held[key] = [_take(folder, purpose), 0]
    _held[key][1] += 1
    try:
        yield
    finally:
        _held[key][1] -= 1
        if not _held[key][1]:
            _held.pop(key)[0].close()                    # which frees the lock


def _take(folder, purpose):
    """The open lock file."""
    path = os.path.join(folder, NAME)
    try:
        os.makedirs(folder, exist_ok=True)
        file = open(path, 'a+', encoding='utf-8', errors='replace')
    except OSError as error:
        raise UserError('%s cannot be written: %s' % (path, error.strerror or error))
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _sign(file)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            file.seek(0)
            holder = file.read(200).strip() or 'of another machine'
            file.close()
            raise UserError('%s is in use: process %s is %s in it; wait for it, stop it, or give '
                            'another folder' % (folder, holder, purpose))
        print('warning: %s cannot be locked (%s): start no second %s in it'
              % (folder, error.strerror, purpose), file=sys.stderr)
    return file


def _sign(file):
    """Write who holds the lock; without it, on a full disk, the lock still holds."""
    with contextlib.suppress(OSError):
        file.truncate(0)
        os.write(file.fileno(), ('%d on %s' % (os.getpid(), platform.node())).encode())


class Slots:
    """Numbered pieces of work, each locked by one process at a time: bytes of one file.

    Where the file system has no locks, a warning is printed once and each piece counts as free. As
    POSIX has it, one process has at most one of these open for a file. Use as a context manager.
    """

    def __init__(self, path):
        """Args:
            path: of the file; it is made if missing, and stays.

        Raises:
            MachineError: it cannot be written.
        """
        self.path, self.warned = path, False
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            self.file = open(path, 'a+b')
        except OSError as error:
            raise MachineError('%s cannot be written: %s' % (path, error.strerror or error))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()                                # which frees all

    def take(self, number, *, wait=False):
        """Lock a piece: True, or False if another process holds it and `wait` is off."""
        return self._lock(number, fcntl.LOCK_EX, wait=wait)

    def share(self, number):
        """Hold a piece beside others that share it; who takes it alone waits, or is refused."""
        return self._lock(number, fcntl.LOCK_SH, wait=True)

    def free(self, number):
        """Unlock a piece."""
        with contextlib.suppress(OSError):
            fcntl.lockf(self.file, fcntl.LOCK_UN, 1, number)

    def _lock(self, number, kind, *, wait):
        try:
            fcntl.lockf(self.file, kind | (0 if wait else fcntl.LOCK_NB), 1, number)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            if not self.warned:
                print('warning: %s cannot be locked (%s): give each task its own share'
                      % (self.path, error.strerror), file=sys.stderr)
            self.warned = True
        return True
