"""Checkpoints on disk, whole or absent: RUN_DIR/checkpoints/step-NNNNNN/ and the weights alone.

A checkpoint of a training run holds `model.*` (all variables), `history.npy` (refined patches) and
`state.json` (step, random states, seconds, best step; states.py). Packed weights are a RUN_DIR
whose one checkpoint holds `model.*` alone, with the settings beside it. Reading them runs nothing.
"""
import os
import re
import shutil

import numpy as np

from models import tf
from utils.common import claims, files, schemas
from utils.common.errors import UserError
from utils.train import states

PACKED = 'packed.json'                  # beside weights that stand alone
ASIDE = '.old.partial'                  # behind the name of a checkpoint that is being replaced
# what their folder may hold
PACKED_NAMES = {'checkpoints', 'config.json', PACKED, claims.RECORD, 'README.md'}


# --- which ---

def whole(folder):
    """Paths of a run's whole checkpoints, oldest first; [] if there is none.

    Raises:
        UserError: something else goes by such a name.
    """
    root = os.path.join(folder, 'checkpoints')
    names = [name for name in (os.listdir(root) if os.path.isdir(root) else [])
             if name.startswith('step-') and not name.endswith('.partial')]
    for name in names:
        if not re.match(r'step-[0-9]{1,18}$', name):
            raise UserError('%s is no checkpoint of a training: move it away'
                            % os.path.join(root, name))
    return sorted((os.path.join(root, name) for name in names), key=step_of)


def newest(folder):
    """Path of a run's newest whole checkpoint, or None."""
    found = whole(folder)
    return found[-1] if found else None


def best(folder):
    """Path of a run's best checkpoint by its evaluations (best.json), or None.

    Raises:
        UserError: best.json is damaged.
    """
    path = os.path.join(folder, 'best.json')
    if not os.path.exists(path):
        return None
    cure = 'remove it; STAGE=train writes it anew'
    mark = files.read_json(path, cure=cure)
    schemas.check(mark, schemas.BEST, path=path, cure=cure)
    found = path_of(folder, mark['step'])
    return found if os.path.isdir(found) else None


def best_or_newest(folder):
    """Path of the checkpoint that a run's users take: its best, else its newest; or None.

    Raises:
        UserError: as whole, best.
    """
    found = newest(folder)                               # first: it looks at all of them
    return best(folder) or found


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
    state = states.read(checkpoint)
    try:
        history = states.read_array(os.path.join(checkpoint, 'history.npy'))
        _check(state, history, step=step_of(checkpoint))
    except (OSError, EOFError, ValueError):
        raise damaged(checkpoint)
    return state, history


def _check(state, history, *, step):
    """Raise ValueError unless a state is what runs.Run.save writes."""
    fault = schemas.fault({name: value for name, value in state.items() if name != 'extra'},
                          schemas.STATE)
    if (fault or 'extra' not in state or state['step'] != step
            or history.dtype != np.float32 or not np.isfinite(history).all()):
        raise ValueError(fault or 'no state of a run')


def damaged(checkpoint):
    """The UserError that names a damaged checkpoint and the cure."""
    return UserError('%s is damaged: %s' % (checkpoint, states.CURE))


def saver_of(variables=None):
    """A Saver for write and sessions.restore; variables: list, or None: all of the graph.

    What it writes names no folder of this machine, so that it can be moved and shared.
    """
    return tf.train.Saver(variables, max_to_keep=None, save_relative_paths=True)


def write(folder, step, *, session, saver, state=None, history=None):
    """Write the checkpoint of a step, whole or not at all; one that is there already is replaced.

    Args:
        folder: of the run; session: of the variables; saver: of saver_of.
        state: dict, see states.write, with `history`, a float32 array; None: the variables alone.

    Returns:
        its path.

    Raises:
        UserError: the disk is full; TypeError: as states.write. What was there before stays.
    """
    final = path_of(folder, step)
    partial, aside = final + '.partial', final + ASIDE
    _settle(final)
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    try:
        saver.save(session, os.path.join(partial, 'model'), write_meta_graph=False)
        if state is not None:
            np.save(os.path.join(partial, 'history.npy'), history, allow_pickle=False)
            states.write(partial, state)
        if os.path.isdir(final):
            os.rename(final, aside)
        os.rename(partial, final)
    except (OSError, tf.errors.OpError) as error:
        raise UserError('%s cannot be written (%s): free some space and run again; the checkpoint '
                        'before it stays' % (final, str(error).split('\n')[0][:120]))
    finally:
        shutil.rmtree(partial, ignore_errors=True)       # gone already if all went well
        _settle(final)
    return final


def _settle(final):
    """Remove the checkpoint that another one replaced, or put it back where a kill came between."""
    if os.path.isdir(final):
        shutil.rmtree(final + ASIDE, ignore_errors=True)
    elif os.path.isdir(final + ASIDE):
        os.rename(final + ASIDE, final)


def thin(folder, keep):
    """Remove a run's checkpoints but for the best and the `keep` newest ones."""
    kept = best(folder)
    for old in whole(folder)[:-keep]:
        if old != kept:
            shutil.rmtree(old)


# --- weights that stand alone ---

def pack(folder, *, step, session, saver, settings, owner):
    """Write a network's weights and the settings it was trained with: a RUN_DIR that can be used.

    Args:
        folder: made if missing; weights packed there before, by the same script, are replaced.
        step: training step of the weights; session, saver: of the variables that are used.
        settings: dict of the training's constants, without paths and the like.
        owner: of claims.packing.

    Returns:
        the checkpoint's path.

    Raises:
        UserError: the folder holds a training run, weights of another script or other things; the
            disk is full.
    """
    there, found = set(os.listdir(folder)) if os.path.isdir(folder) else set(), whole(folder)
    if there - PACKED_NAMES or any(map(states.exists, found)):
        raise UserError('STAGE=pack: %s holds a training run or other things: give another OUTPUT'
                        % folder)
    older = claims.RECORD not in there                   # one that fits its script vouches for all
    claims.take(folder, owner._replace(known=lambda name: older, names={
        os.path.basename(path): [path] for path in found + [path_of(folder, step)]}))
    path = write(folder, step, session=session, saver=saver)
    gone = [old for old in whole(folder) if old != path]
    for old in gone:
        shutil.rmtree(old)
    claims.drop(folder, set(map(os.path.basename, gone)))
    files.write_json(os.path.join(folder, 'config.json'), settings)
    files.write_json(os.path.join(folder, PACKED), {'step': step})
    return path


def is_packed(folder):
    """True for a folder of weights that stand alone; it has no evaluations to name a best step.

    Raises:
        UserError: packed.json is damaged.
    """
    path = os.path.join(folder, PACKED)
    if not os.path.exists(path):
        return False
    cure = 'pack the weights anew (STAGE=pack)'
    schemas.check(files.read_json(path, cure=cure), schemas.PACKED, path=path, cure=cure)
    return True


def check_trainable(folder):
    """Refuse a folder of packed weights, those of an earlier version without packed.json, too.

    Raises:
        UserError: it holds weights alone; as is_packed and whole.
    """
    found = [path for path in whole(folder) if os.path.exists(os.path.join(path, 'model.index'))]
    if is_packed(folder) or found and not any(map(states.exists, found)):
        raise UserError('%s holds weights alone, which cannot be trained on: give another RUN_DIR'
                        % folder)
