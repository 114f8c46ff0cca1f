"""The one error that users see, and the call of a script that turns it into one line.

Scripts import this module before all others: Ctrl-C while those are imported gives one line, too.
"""
import io
import os
import signal
import sys
import threading

STOPPED = 'stopped: run the same command again to go on'
NO_MEMORY = 'not enough memory: take smaller stacks, tiles or batches, or fewer workers'
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AGAIN = 0.05                     # seconds until a Ctrl-C that could not be raised is sent again


class UserError(ValueError):
    """Bad input or settings; the message is one line: what is wrong, in which file, the cure."""


class MachineError(UserError):
    """The input may be good, but the disk is full or the memory is not enough."""


# --- Ctrl-C outside of run() ---

_seen = set()                    # 'pressed': there was Ctrl-C; 'told': its line is printed


class _Mute(io.TextIOBase):
    """Standard error after Ctrl-C: the one line is printed, all other text is dropped."""

    def __init__(self, before):
        """before: the stream that the line goes to."""
        super().__init__()
        self.before = before

    def write(self, text):
        # Python 3.7 has no sys.unraisablehook
        if text.startswith('Exception ignored') and sys.version_info < (3, 8):
            _send_again()
        return len(text)


def on_interrupt(_=None, frame=None):
    """Handle SIGINT as Python does, and note it: C code may drop the exception.

    Args:
        frame: that is interrupted. While Python 3.7 tells of an exception that it ignores, another
            one would be lost: the signal is sent again.
    """
    _seen.add('pressed')
    if frame is not None and frame.f_code is _Mute.write.__code__:
        _send_again()
        return
    if not isinstance(sys.stderr, _Mute):
        sys.stderr = _Mute(sys.stderr)
    raise KeyboardInterrupt


def _tell(text):
    """Print a line to standard error, after Ctrl-C, too."""
    print(text, file=sys.stderr.before if isinstance(sys.stderr, _Mute) else sys.stderr)


def _unhandled(kind, *details):
    """Replace sys.excepthook: a traceback of an error that nothing caught; for Ctrl-C one line.

    Ctrl-C while a library is imported may become that library's ImportError, or be followed by it.
    """
    first = details[0]
    while first is not None and not isinstance(first, KeyboardInterrupt):
        first = first.__cause__ or first.__context__
    if first is None and 'pressed' not in _seen:
        sys.__excepthook__(kind, *details)
    elif 'told' not in _seen:
        _seen.add('told')
        _tell(STOPPED)


def _send_again():
    """Send SIGINT to this process in AGAIN seconds: now its exception cannot be raised."""
    again = threading.Timer(AGAIN, signal.pthread_kill,
                            [threading.main_thread().ident, signal.SIGINT])
    again.daemon = True
    try:
        again.start()
    except RuntimeError:                             # Python ends anyway
        pass


def _unraisable(lost):
    """Replace sys.unraisablehook: errors that Python cannot raise, as in an object's __del__.

    For Ctrl-C Python would print a traceback and the script would go on; it is sent again. After
    Ctrl-C nothing is printed of objects that were not finished.
    """
    if isinstance(lost.exc_value, KeyboardInterrupt):
        _send_again()
    elif 'pressed' not in _seen:
        sys.__unraisablehook__(lost)


def _of_a_script():
    """True if a script of this project runs, and not another program that imports its modules."""
    path = os.path.realpath(getattr(sys.modules.get('__main__'), '__file__', None) or os.sep)
    inside = os.path.relpath(path, os.path.realpath(ROOT)).split(os.sep)
    return not any(part.startswith('.') for part in inside)      # nor one of an environment


def listen():
    """Handle Ctrl-C, and errors that nothing catches, as the scripts do."""
    sys.excepthook, sys.unraisablehook = _unhandled, _unraisable
    if (signal.getsignal(signal.SIGINT) is signal.default_int_handler
            and threading.current_thread() is threading.main_thread()
            and not hasattr(sys, 'ps1')):            # an interactive session goes on after Ctrl-C
        signal.signal(signal.SIGINT, on_interrupt)


if _of_a_script():
    listen()


# --- lines ---

def line(text):
    """A text as one printable line: breaks and what is no UTF-8, as in names of files, escaped."""
    return text.encode('utf-8', 'backslashreplace').decode().replace('\r', '\\r').replace(
        '\n', '\\n')


def words_of(error, path):
    """What an exception says: of an OSError the file's name, or `path`, and the reason."""
    if isinstance(error, MemoryError):
        return '%s: %s' % (path, NO_MEMORY)
    if not isinstance(error, OSError):
        return str(error)
    return '%s: %s' % (error.filename or path, error.strerror or error)


# --- scripts ---

def run(main):
    """Call a script's main() and exit; bad input and full disks become one line and status 1.

    Args:
        main: function () -> None, an exit status, or a text: an error's line.
    """
    # progress shows in a log as it happens; names of files may hold what is no UTF-8
    sys.stdout.reconfigure(line_buffering=True, errors='backslashreplace')
    status = STOPPED if 'pressed' in _seen else _status(main)
    if isinstance(status, str):
        _tell(line(status))
        status = 1
    if signal.getsignal(signal.SIGINT) in (on_interrupt, signal.default_int_handler):
        signal.signal(signal.SIGINT, signal.SIG_DFL)     # Ctrl-C while Python ends says nothing
    raise SystemExit(status or 0)


def _status(main):
    """main()'s exit status, or the text of an error's line."""
    try:
        return main()
    except UserError as error:
        return 'error: %s' % error
    except KeyboardInterrupt as stop:
        return str(stop) or STOPPED
    except BrokenPipeError:                          # the reader, head or less, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return 'error: %s: %s' % (error.filename or 'file', error.strerror or error)
    except MemoryError:
        return 'error: ' + NO_MEMORY
