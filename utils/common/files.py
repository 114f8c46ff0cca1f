"""Files that are whole or absent, and JSON."""
import contextlib
import json
import os
import platform

from utils.common.errors import UserError


@contextlib.contextmanager
def whole_file(path):
    """Yield a temporary name beside `path`; it is renamed to `path` only if the block ends well.

    Raises:
        UserError: if the file cannot be written.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    stem, extension = os.path.splitext(path)
    # the machine's name: shares of a job array write to one disk; the extension tells the format
    partial = '%s.%s.%d.partial%s' % (stem, platform.node(), os.getpid(), extension)
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise UserError('%s cannot be written: %s' % (path, error.strerror or error))
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def write_text(path, text):
    """Write a text file (UTF-8), whole or not at all."""
    with whole_file(path) as partial:
        with open(partial, 'w', encoding='utf-8') as file:
            file.write(text)


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


def remove(path):
    """Remove a file that may be gone already."""
    try:
        os.remove(path)
    except FileNotFoundError:
        pass
