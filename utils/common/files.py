"""Files that are whole or absent, and JSON."""
import contextlib
import json
import os
import platform
import re
import time

from utils.common.errors import MachineError, UserError

UNFINISHED = re.compile(r'.+\..+\.\d+\.partial(\.[^.]*)?$', re.DOTALL)    # names of whole_file
DAY = 24 * 3600                 # seconds after which another host's file counts as left behind


# --- whole files ---

@contextlib.contextmanager
def whole_file(path):
    """Yield a temporary name beside `path`; it is renamed to `path` only if the block ends well.

    Raises:
        MachineError: the file cannot be written.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    stem, extension = os.path.splitext(path)
    # the machine's name: shares of a job array write to one disk; the extension tells the format
    partial = '%s.%s.%d.partial%s' % (stem, platform.node(), os.getpid(), extension)
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise MachineError('%s cannot be written: %s' % (path, error.strerror or error))
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def is_unfinished(path):
    """True for a name that whole_file gives to what is not finished."""
    return bool(UNFINISHED.match(os.path.basename(path)))


def remove_unfinished(folders):
    """Remove what killed processes left unfinished in some folders (not in those within).

    Of this host: files of processes that are gone. Of others, which cannot be asked: files that
    nobody has written for a day.
    """
    own = re.compile(r'\.%s\.(\d+)\.partial(\.[^.]*)?$' % re.escape(platform.node()))
    for folder in folders:
        for name in os.listdir(folder or '.') if os.path.isdir(folder or '.') else ():
            path, process = os.path.join(folder, name), own.search(name)
            with contextlib.suppress(OSError):           # gone by now, or not ours to remove
                if is_unfinished(name) and (
                        os.lstat(path).st_mtime < time.time() - DAY or
                        process and not is_running(int(process.group(1)))):
                    os.remove(path)


def is_running(process):
    """Whether a process of this host runs; process: its id. One that was not waited for does not.
    """
    try:
        os.kill(process, 0)
        with open('/proc/%d/stat' % process, errors='replace') as file:
            return file.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except (ProcessLookupError, OverflowError):
        return False
    except (OSError, IndexError):                        # another user's; no /proc
        return True


def write_text(path, text):
    """Write a text file (UTF-8), whole or not at all; what is no UTF-8 in names is escaped."""
    with whole_file(path) as partial:
        with open(partial, 'w', encoding='utf-8', errors='backslashreplace') as file:
            file.write(text)


# --- JSON ---

def write_json(path, values):
    """Write a dictionary as JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=1, sort_keys=True, default=list) + '\n')


def to_json(values):
    """JSON text of a dictionary, keys in order."""
    return json.dumps(values, sort_keys=True, default=list)


def from_json(text):
    """Dictionary of a JSON text."""
    return json.loads(text)


def read_json(path, kind=dict, *, keys=None, cure='remove it and make it anew'):
    """Read a JSON file.

    Args:
        kind: type of what it holds; keys: None, or dict from required key to type of its value.
        cure: end of the error's line.

    Raises:
        UserError: if it is missing, not JSON, or holds another kind of thing.
    """
    if not os.path.isfile(path):                             # a pipe would be waited for
        raise UserError('no file %s' % path)
    try:
        with open(path, encoding='utf-8') as file:
            values = json.load(file)
    except FileNotFoundError:
        raise UserError('no file %s' % path)
    except OSError as error:
        raise UserError('%s cannot be read: %s' % (path, error.strerror or error))
    except (ValueError, RecursionError):
        raise UserError('%s is not valid JSON: %s' % (path, cure))
    if not isinstance(values, kind):
        raise UserError('%s holds a %s where a %s is wanted: %s'
                        % (path, type(values).__name__, kind.__name__, cure))
    for key, wanted in (keys or {}).items():
        value = values.get(key)
        if not isinstance(value, wanted) or isinstance(value, bool) and wanted is not bool:
            raise UserError('%s has no %s, or a wrong one: %s' % (path, key, cure))
    return values


# --- files that may be gone ---

def remove(path):
    """Remove a file that may be gone already."""
    try:
        os.remove(path)
    except FileNotFoundError:
        pass
