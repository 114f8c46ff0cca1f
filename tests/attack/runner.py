"""Scripts of the project as processes of their own, which can be killed at any moment.

Such a process is a fork of this one, where the libraries are loaded already: loading TensorFlow
takes longer than most scripts here. No TensorFlow session may be open in this process.
"""
import faulthandler
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PHANTOM = 'utils.simulate.phantom'           # the one script that -m runs
NUMBERED = ('prepare_patches.py', '1_simulator.py', '2_mpgan.py', '3_segmentation.py',
            '4_reconstruction.py', 'make_figures.py')
SCRIPTS = NUMBERED + (PHANTOM,)
LIMIT = 120                                  # seconds that a tiny run may take
POLL = 0.005                                 # seconds between looks at a process
TELL = 0.5                                   # seconds that one that hangs gets to say where

# status: as the shell gives it, minus the signal's number if one ended it, None: it did not end;
# orphans: processes it left behind
Outcome = namedtuple('Outcome', 'status out err seconds orphans')


def preload(small=True):
    """Load what the scripts import, so that forks have it.

    Args:
        small: networks of one block, pictures of trainings left blank, as in the quick tests.
    """
    for folder in (ROOT, os.path.join(ROOT, 'tests')):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    import make_figures                                      # noqa: F401
    import training_data
    from utils.simulate.phantom import axons, folder, stack  # noqa: F401
    from utils.train import judging, refined, segmenter, segmenter_training    # noqa: F401
    from tensorflow.python.util import deprecation
    deprecation.silence().__enter__()
    if small:
        training_data.small_networks().__enter__()
        training_data.reports.training = training_data.without_pictures()


def run_here(script, arguments):
    """Run a script in this process as Python itself would; its exit status."""
    try:
        if script == PHANTOM:
            sys.argv = [os.path.join(ROOT, 'utils', 'simulate', 'phantom', '__main__.py')]
            sys.argv += list(arguments)
            runpy.run_module(script, run_name='__main__', alter_sys=True)
        else:
            sys.argv = [os.path.join(ROOT, script)] + list(arguments)
            runpy.run_path(sys.argv[0], run_name='__main__')
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return 1 if isinstance(end.code, str) else int(end.code or 0)
    except BaseException:                                    # what Python itself would print
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


class Process:
    """A process with its own session (in the sense of kill), its output in files."""

    def __init__(self, begin, *, cwd, environment=None):
        """Args:
            begin: function () -> exit status, called in the fork; cwd: folder that it runs in.
            environment: variables that are set for it.
        """
        self.logs, self.outcome = tempfile.mkdtemp(prefix='attack_log_'), None
        for name in ('out', 'err'):                          # it may end before it has settled
            open(os.path.join(self.logs, name), 'w').close()
        self.begun = time.time()
        sys.stdout.flush()
        sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self.pid = os.fork()
        if self.pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        else:
            status = 1
            try:
                self._settle(cwd, environment or {})
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
                status = begin()
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException:                            # of a reader that has gone
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)

    def _settle(self, cwd, environment):
        """Be a process that a shell has started: signals, streams, folder, variables."""
        from utils.common import errors

        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        errors.listen()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        for number, name in ((1, 'out'), (2, 'err')):
            os.dup2(os.open(os.path.join(self.logs, name), flags), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = [open(number, 'w', buffering=1, encoding='utf-8',
                                       errors='backslashreplace') for number in (1, 2)]
        faulthandler.register(signal.SIGUSR1, file=sys.stderr)   # tells where it hangs
        os.chdir(str(cwd))
        os.environ.update(environment)

    def ended(self):
        """True if it has ended; `outcome` then tells how."""
        if self.outcome is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._close(-os.WTERMSIG(status) if os.WIFSIGNALED(status)
                            else os.WEXITSTATUS(status))
        return self.outcome is not None

    def wait(self, limit=LIMIT):
        """Outcome; a process that takes longer than `limit` seconds is ended, with status None.

        Where it was by then is at the end of Outcome.err.
        """
        deadline = time.time() + limit
        while not self.ended():
            if time.time() > deadline:
                os.kill(self.pid, signal.SIGUSR1)
                time.sleep(TELL)
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self._close(None)
                break
            time.sleep(POLL)
        return self.outcome

    def _close(self, status):
        seconds, left = time.time() - self.begun, orphans_of(self.pid)
        texts = []
        for name in ('out', 'err'):
            path = os.path.join(self.logs, name)
            with open(path, encoding='utf-8', errors='replace') as file:
                texts.append(file.read())
        shutil.rmtree(self.logs, ignore_errors=True)
        self.outcome = Outcome(status, texts[0], texts[1], seconds, left)


def start(script, arguments, *, cwd, environment=None):
    """Begin a script with arguments; a Process."""
    return Process(lambda: run_here(script, arguments), cwd=cwd, environment=environment)


def run(script, arguments, *, cwd, environment=None, limit=LIMIT):
    """Run a script to its end; Outcome."""
    return start(script, arguments, cwd=cwd, environment=environment).wait(limit)


def command_of(script, arguments):
    """The command line that a user would give, a list."""
    first = ['-m', script] if script == PHANTOM else [os.path.join(ROOT, script)]
    return [sys.executable] + first + list(arguments)


def fresh(script, arguments, *, cwd):
    """A script in a Python of its own, not a fork: subprocess.Popen, text streams, own session."""
    def listen():
        signal.signal(signal.SIGINT, signal.SIG_DFL)         # a shell's background ignores it
        os.setsid()
    return subprocess.Popen(command_of(script, arguments), cwd=str(cwd), preexec_fn=listen,
                            env=dict(os.environ, PYTHONPATH=ROOT), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            universal_newlines=True)


# --- processes that stay ---

def session_of(session):
    """Ids of the living processes of a session, but zombies; [] where the system has no /proc."""
    found = []
    for name in os.listdir('/proc') if os.path.isdir('/proc') else ():
        if name.isdigit():
            try:
                with open('/proc/%s/stat' % name) as file:
                    fields = file.read().rpartition(')')[2].split()
            except OSError:
                continue
            if fields[0] != 'Z' and int(fields[3]) == session:
                found.append(int(name))
    return found


def orphans_of(session, patience=5.0):
    """How many processes a session's leader left behind; they get `patience` seconds, then end."""
    deadline = time.time() + patience
    left = session_of(session)
    while left and time.time() < deadline:
        time.sleep(0.05)
        left = session_of(session)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return len(left)
