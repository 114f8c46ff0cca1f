"""Files and folders that are whole or absent, and JSON."""
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import time

from utils.common.errors import MachineError, UserError

DAY = 24 * 3600        # seconds without a write after which a file that another machine's process
                       # began counts as left behind
OLD_AGE = 600          # the same for files of an earlier version, of this machine by its name alone


NOBODY = 10 ** 9       # above all process numbers: of what goes whoever runs


def _place():
    """Where process numbers are those of this process: 8 digits for machine, boot and namespace."""
    told = [platform.node()]
    with contextlib.suppress(OSError):                   # no /proc
        with open('/proc/sys/kernel/random/boot_id') as file:
            told.append(file.read())
        told.append(os.readlink('/proc/self/ns/pid'))
    return hashlib.sha1(' '.join(told).encode('utf-8', 'replace')).hexdigest()[:8]


PLACE = _place()
# names of whole_file, and those of an earlier version
UNFINISHED = re.compile(r'(?P<stem>.+)\.mpgan-(?P<place>[0-9a-f]{8})-(?P<process>\d+)\.partial'
                        r'(?P<extension>\.[^.]*)?\Z', re.DOTALL)
OLDER = re.compile(r'(?P<stem>.+)\.%s\.(?P<process>\d+)\.partial(?P<extension>\.[^.]*)?\Z'
                   % re.escape(platform.node()), re.DOTALL)


# --- whole files ---

@contextlib.contextmanager
def whole_file(path):
    """Yield a temporary name beside `path`; it is renamed to `path` only if the block ends well.

    Raises:
        MachineError: the file cannot be written.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    stem, extension = os.path.splitext(path)
    partial = stem + ending(os.getpid()) + extension     # the extension tells the format
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise MachineError('%s cannot be written: %s' % (path, error.strerror or error))
    finally:
        if os.path.exists(partial):
            os.remove(partial)


@contextlib.contextmanager
def whole_folder(path):
    """Yield a temporary name beside `path`; the folder is renamed to it if the block ends well.

    What was there before stays until then.

    Raises:
        MachineError: the folder cannot be written.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    stem, extension = os.path.splitext(path)
    partial, old = [stem + ending(number + os.getpid()) + extension for number in (0, NOBODY)]
    try:
        shutil.rmtree(partial, ignore_errors=True)
        yield partial
        if os.path.lexists(path):
            os.rename(path, old)
        try:
            os.rename(partial, path)
        except OSError:
            if os.path.lexists(old):
                os.rename(old, path)
            raise
    except OSError as error:
        raise MachineError('%s cannot be written: %s' % (path, error.strerror or error))
    finally:
        for left in (partial, old):
            _remove_any(left)


def _remove_any(path):
    """Remove a file or a folder, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.remove(path)


def ending(process):
    """What stands before the extension while a process, by its number, writes a file.

    Machines and containers that write to one disk differ in it, though their names may be alike.
    """
    return '.mpgan-%s-%d.partial' % (PLACE, process)


def is_unfinished(path):
    """True for a name that whole_file gives to what is not finished."""
    return bool(UNFINISHED.match(os.path.basename(path)))


def remove_unfinished(folders, *, is_ours):
    """Remove what killed processes left unfinished in some folders (not in those within).

    Processes of this machine are asked whether they live. Those of others cannot be: their files
    go when nobody has written them for a day.

    Args:
        is_ours: function (path) -> True for the files, by their finished names, whose beginnings
            are removed; others stay, whatever they are called.
    """
    for folder in folders:
        for name in os.listdir(folder or '.') if os.path.isdir(folder or '.') else ():
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):           # gone by now, or not ours to remove
                finished = _left_behind(path)
                if finished and is_ours(finished):
                    _remove_any(path)


def _left_behind(path):
    """The finished name of a file whose process is gone; None for any other file."""
    folder, name = os.path.split(path)
    match = UNFINISHED.match(name) or OLDER.match(name)
    if not match:
        return None
    idle, found = time.time() - os.lstat(path).st_mtime, match.groupdict()       # idle: seconds
    if found.get('place', PLACE) != PLACE:
        gone = idle > DAY
    else:
        gone = not is_running(int(found['process'])) and ('place' in found or idle > OLD_AGE)
    return os.path.join(folder, found['stem'] + (found['extension'] or '')) if gone else None


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
