"""Checkpoints on disk, whole or absent: RUN_DIR/checkpoints/step-NNNNNN/ and the weights alone.

A checkpoint of a training run holds `model.*` (all variables), `history.npy` (refined patches) and
`state.pickle` (step, random states, seconds, best step). Packed weights are a RUN_DIR whose one
checkpoint holds `model.*` alone, with the settings beside it.
"""
import os
import pickle
import shutil

import numpy as np

from models import tf
from utils.common import files
from utils.common.errors import UserError

PACKED = 'packed.json'                  # beside weights that stand alone
PACKED_NAMES = {'checkpoints', 'config.json', PACKED, 'README.md'}      # what their folder may hold


# --- which ---

def whole(folder):
    """Paths of a run's whole checkpoints, oldest first; [] if there is none."""
    root = os.path.join(folder, 'checkpoints')
    names = os.listdir(root) if os.path.isdir(root) else []
    return sorted((os.path.join(root, name) for name in names
                   if name.startswith('step-') and not name.endswith('.partial')), key=step_of)


def newest(folder):
    """Path of a run's newest whole checkpoint, or None."""
    found = whole(folder)
    return found[-1] if found else None


def best(folder):
    """Path of a run's best checkpoint by its evaluations (best.json), or None."""
    path = os.path.join(folder, 'best.json')
    if not os.path.exists(path):
        return None
    found = path_of(folder, files.read_json(path)['step'])
    return found if os.path.isdir(found) else None


def path_of(folder, step):
    """Path of the checkpoint of a step, int."""
    return os.path.join(folder, 'checkpoints', 'step-%06d' % step)


def step_of(checkpoint):
    """Training step, int, of a checkpoint's path."""
    return int(os.path.basename(checkpoint).split('-')[1])


# --- reading and writing ---

def read_state(checkpoint):
    """What a checkpoint holds besides the variables.

    Returns:
        (dict with step, extra, seconds and best; history, float32 array), as written.

    Raises:
        UserError: a file is missing or damaged.
    """
    try:
        with open(os.path.join(checkpoint, 'state.pickle'), 'rb') as file:
            state = pickle.load(file)
        history = np.load(os.path.join(checkpoint, 'history.npy'))
    except (OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        raise UserError('%s is damaged: remove it to go on from the checkpoint before it'
                        % checkpoint)
    return state, history


def write(folder, step, *, session, saver, state=None, history=None):
    """Write the checkpoint of a step, whole or not at all; one that is there already is replaced.

    Args:
        folder: of the run; session, saver: of the variables.
        state: dict that pickles, with `history`, a float32 array; None: the variables alone.

    Returns:
        its path.

    Raises:
        UserError: the disk is full; what was there before stays.
    """
    final = path_of(folder, step)
    partial = final + '.partial'
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    try:
        saver.save(session, os.path.join(partial, 'model'), write_meta_graph=False)
        if state is not None:
            np.save(os.path.join(partial, 'history.npy'), history)
            with open(os.path.join(partial, 'state.pickle'), 'wb') as file:
                pickle.dump(state, file, protocol=4)
        shutil.rmtree(final, ignore_errors=True)
        os.rename(partial, final)
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError('%s cannot be written (%s): free some space and run again; the checkpoint '
                        'before it stays' % (final, str(error).split('\n')[0][:120]))
    return final


def thin(folder, keep):
    """Remove a run's checkpoints but for the best and the `keep` newest ones."""
    kept = best(folder)
    for old in whole(folder)[:-keep]:
        if old != kept:
            shutil.rmtree(old)


# --- weights that stand alone ---

def pack(folder, *, step, session, saver, settings, may_change):
    """Write a network's weights and the settings it was trained with: a RUN_DIR that can be used.

    Args:
        folder: made if missing; weights packed there before are replaced.
        step: training step of the weights; session, saver: of the variables that are used.
        settings: dict of the training's constants; may_change: names that are left out (paths ...).

    Returns:
        the checkpoint's path.

    Raises:
        UserError: the folder holds a training run or other things, or the disk is full.
    """
    there = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    runs = [path for path in whole(folder) if os.path.exists(os.path.join(path, 'state.pickle'))]
    if there - PACKED_NAMES or runs:
        raise UserError('STAGE=pack: %s holds a training run or other things: give another OUTPUT'
                        % folder)
    path = write(folder, step, session=session, saver=saver)
    for old in whole(folder):
        if old != path:
            shutil.rmtree(old)
    files.write_json(os.path.join(folder, 'config.json'),
                     {name: value for name, value in settings.items() if name not in may_change})
    files.write_json(os.path.join(folder, PACKED), {'step': step})
    return path


def is_packed(folder):
    """True for a folder of weights that stand alone; it has no evaluations to name a best step."""
    return os.path.exists(os.path.join(folder, PACKED))
