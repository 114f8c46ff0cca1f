"""One script at a time as a process of its own: its lines, its log, its end with this one."""
import ctypes
import os
import re
import signal
import subprocess

from utils.common import errors
from utils.common.workers import PR_SET_PDEATHSIG

ERROR = 'error: '
LEFT_OUT = re.compile(r'error: (\d+) of (\d+) stacks were left out')       # of batch.failure

try:
    _PRCTL = ctypes.CDLL(None).prctl
except (OSError, AttributeError, TypeError):             # not Linux
    _PRCTL = None


def run(words, *, log, hear=lambda line: None):
    """Run a command; its lines are shown and logged as they come.

    On Ctrl-C the command is sent it, too, once, and what it then says goes to the log alone; a
    second one kills it. It gets SIGTERM when this process dies.

    Args:
        words: of the command; log: open text file; hear: function (line), called with each line.

    Returns:
        (exit status, last line). The last line is not shown where the command failed.

    Raises:
        KeyboardInterrupt: Ctrl-C came, and the command has ended.
    """
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=_alone)
    waiting = None                       # a line is shown when the next one comes
    try:
        for line in _lines(process):
            if waiting is not None:
                print(waiting)
            waiting = line
            _note(log, line)
            hear(line)
        status = process.wait()
    except BaseException as stop:
        _end(process, log, gently=isinstance(stop, KeyboardInterrupt))
        raise
    if waiting is not None and status == 0:
        print(waiting)
    return status, waiting or ''


def _alone():
    """In the child: a process group of its own, which Ctrl-C does not reach; an end with this."""
    os.setpgid(0, 0)
    if _PRCTL:
        _PRCTL(PR_SET_PDEATHSIG, signal.SIGTERM)         # a training saves its step
    signal.signal(signal.SIGINT, signal.SIG_DFL)         # also where this one was told to ignore it


def _lines(process):
    for raw in process.stdout:
        yield errors.line(raw.decode('utf-8', 'backslashreplace').rstrip('\n'))


def _note(log, line):
    log.write(line + '\n')
    log.flush()


def _end(process, log, *, gently):
    """Stop the command and wait for it."""
    if gently:
        process.send_signal(signal.SIGINT)
        try:
            for line in _lines(process):
                _note(log, line)
            process.wait()
            return
        except (KeyboardInterrupt, OSError):
            pass
    process.kill()
    process.wait()


def reason(step, status, *, last):
    """The error's line of a step that failed.

    Args:
        step: plan.Step; status, last: of run.
    """
    if last.startswith(ERROR):
        last = last[len(ERROR):]
    if status < 0:
        last = 'killed by signal %d%s' % (-status, ', as happens when memory runs out' * (
            status == -signal.SIGKILL))
    return '%s (%s): %s' % (step.script, step.what, last or 'exit status %d' % status)


def is_partly_done(last):
    """Whether a script's last line says that it left out some of its stacks, but not all."""
    found = LEFT_OUT.match(last)
    return bool(found) and int(found.group(1)) < int(found.group(2))
