"""What a checkpoint holds besides the variables, in files that run nothing: JSON and .npy.

state.json holds numbers, texts, None, lists, and dicts whose keys are texts. What JSON lacks is
a dict with one key: {"tuple": [...]}, {"float": "nan"}, {"dict": [[key, value], ...]}, or
{"array": "state-0.npy"}, a file beside it.
"""
import json
import os

import numpy as np

from utils.common.errors import UserError

NAME = 'state.json'
EARLIER = 'state.pickle'             # of an earlier version; it is never opened
MARKS = {'tuple', 'float', 'dict', 'array'}
CURE = 'remove it to go on from the checkpoint before it'


# --- writing ---

def write(folder, state):
    """Write a state into a checkpoint's folder: state.json, and an .npy file for each array.

    Args:
        folder: of the checkpoint.
        state: dict; nested dicts, lists, tuples, numbers, texts, None and arrays of numbers.

    Raises:
        TypeError: it holds anything else; nothing is written.
        OSError: the disk is full.
    """
    arrays = []
    text = json.dumps(_encode(state, arrays), allow_nan=False)
    for i, array in enumerate(arrays):
        np.save(os.path.join(folder, _array_name(i)), array, allow_pickle=False)
    with open(os.path.join(folder, NAME), 'w', encoding='utf-8') as file:
        file.write(text)


def _array_name(i):
    return 'state-%d.npy' % i


def _encode(value, arrays):
    """A value as JSON has it; arrays are appended to `arrays`."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else {'float': repr(value)}
    if isinstance(value, list):
        return [_encode(item, arrays) for item in value]
    if isinstance(value, tuple):
        return {'tuple': [_encode(item, arrays) for item in value]}
    if isinstance(value, dict):
        plain = all(isinstance(key, str) for key in value) and not (
            len(value) == 1 and MARKS & set(value))
        if plain:
            return {key: _encode(item, arrays) for key, item in value.items()}
        return {'dict': [[_encode(part, arrays) for part in pair] for pair in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        arrays.append(value)
        return {'array': _array_name(len(arrays) - 1)}
    raise TypeError('a checkpoint holds numbers, texts, lists, dicts and arrays of numbers, not %s'
                    % type(value).__name__)


# --- reading ---

def exists(folder):
    """True if a checkpoint holds a state: it is of a training run, not weights alone."""
    return any(os.path.exists(os.path.join(folder, name)) for name in (NAME, EARLIER))


def read(folder):
    """Read a state.

    Returns:
        dict, as written.

    Raises:
        UserError: damaged, missing, or of an earlier version.
    """
    path = os.path.join(folder, NAME)
    if not os.path.exists(path) and os.path.exists(os.path.join(folder, EARLIER)):
        raise UserError('%s is of an earlier version, whose %s is not read: use it to refine, '
                        'predict or pack, or train anew in another RUN_DIR' % (folder, EARLIER))
    try:
        with open(path, encoding='utf-8') as file:
            state = _decode(json.load(file), folder)
        if not isinstance(state, dict):
            raise ValueError('no dict')
    except Exception:                                    # a damaged file may raise any kind
        raise UserError('%s is damaged: %s' % (folder, CURE))
    return state


def _decode(value, folder):
    """The value that _encode made JSON of."""
    if isinstance(value, list):
        return [_decode(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and MARKS & set(value):
        (mark, held), = value.items()
        if mark == 'float':
            return float(held)
        if mark == 'array':
            return read_array(os.path.join(folder, os.path.basename(held)))
        items = [_decode(item, folder) for item in held]
        return tuple(items) if mark == 'tuple' else dict(items)
    return {key: _decode(item, folder) for key, item in value.items()}


def read_array(path):
    """Read an .npy file of numbers; array in memory.

    Raises:
        ValueError: damaged, cut short, or of objects, which could run code.
        OSError: missing.
    """
    # mapped first: a damaged header may tell a size that no memory holds
    return np.array(np.load(path, mmap_mode='r', allow_pickle=False))
