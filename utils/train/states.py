"""What a checkpoint holds besides the variables, in files that run nothing: JSON and .npy.

state.json holds numbers, texts, None, lists, and dicts whose keys are texts. What JSON lacks is
a dict with one key: {"tuple": [...]}, {"float": "nan"}, {"dict": [[key, value], ...]}, or
{"array": "state-0.npy"}, a file beside it. Older checkpoints have state.pickle; of that no more
than the same kinds are read.
"""
import json
import os
import pickle

import numpy as np

from utils.common.errors import UserError

NAME, OLD = 'state.json', 'state.pickle'
MARKS = {'tuple', 'float', 'dict', 'array'}
CURE = 'remove it to go on from the checkpoint before it'
# All that an older state may call: numbers and arrays of NumPy, whichever release wrote them
ALLOWED = {('numpy', 'dtype'), ('numpy', 'ndarray')} | {
    ('numpy.%s.multiarray' % core, name) for core in ('core', '_core')
    for name in ('_reconstruct', 'scalar')}


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
    return any(os.path.exists(os.path.join(folder, name)) for name in (NAME, OLD))


def read(folder):
    """Read a state, of write() or an older one.

    Returns:
        dict, as written.

    Raises:
        UserError: damaged, or an older one that holds more than numbers.
    """
    old = not os.path.exists(os.path.join(folder, NAME))
    try:
        state = _read_old(os.path.join(folder, OLD)) if old else _read_new(folder)
        if not isinstance(state, dict):
            raise ValueError('no dict')
    except UserError:
        raise
    except Exception:                                    # a damaged pickle may raise any kind
        raise UserError('%s is damaged: %s' % (folder, CURE))
    return state


def _read_new(folder):
    with open(os.path.join(folder, NAME), encoding='utf-8') as file:
        return _decode(json.load(file), folder)


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


class _Reader(pickle.Unpickler):
    """Reads numbers, texts, containers and arrays of them; nothing else is looked up or called."""

    def find_class(self, module, name):
        if (module, name) in ALLOWED:
            return super().find_class(module, name)
        raise UserError('%s.%s' % (module, name))


def _read_old(path):
    """A state that was pickled.

    Raises:
        UserError: it holds more than numbers, texts, containers and arrays; nothing of it has run.
    """
    with open(path, 'rb') as file:
        try:
            state = _Reader(file).load()
            _encode(state, [])                           # arrays of objects and the like
            return state
        except (UserError, TypeError) as error:
            raise UserError('%s: its %s holds more than numbers (%s) and is not read: %s'
                            % (os.path.dirname(path), OLD, str(error)[:100], CURE))
