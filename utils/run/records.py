"""results/NAME of a run: whose it is, what was chosen, how long steps took; names of folders."""
import os
import re
from collections import OrderedDict
from typing import NamedTuple

from utils.common import batch, claims, files
from utils.common.errors import UserError
from utils.data import stacks
from utils.run.choices import Choice
from utils.run.survey import Look

SCRIPT = 'utils.run'
OWN = 'choices.json', 'times.json', 'report.md', 'report.json', 'log.txt'
# names of folders that other commands use
TAKEN = ('real', 'patches', 'simulated', 'refined', 'segmented', 'mpgan', 'segmentation', 'demo',
         'demo_segmentation', 'demo_compare', 'demo_paper', 'compare', 'paper', 'traces',
         'reconstruction')
AGAIN = '%s_run'                         # what such a name becomes


class Chosen(NamedTuple):
    """What is written before the first step, so that a resumed run takes the same."""
    values: OrderedDict                  # name -> choices.Choice
    looks: list                          # of survey.Look
    bad: list                            # texts on stacks that were left out
    seconds: OrderedDict                 # of estimate.expected


# --- names ---

def name_of(pattern, name=None):
    """Name of a run's folders.

    Args:
        pattern: folder, file or glob pattern of stacks; name: the one that is asked for, or None.

    Raises:
        UserError: a name that is no folder's.
    """
    if name is not None:
        if name in ('', '.', '..') or os.path.basename(name) != name or '\0' in name:
            raise UserError('NAME=%s: want the name of a folder, without / in it' % name)
        return name
    path = os.path.abspath(pattern)
    if not os.path.isdir(pattern):
        path = os.path.splitext(path)[0] if os.path.isfile(pattern) else os.path.dirname(path)
    found = re.sub(r'[^\w.-]+', '_', os.path.basename(path)).strip('._-') or 'stacks'
    return AGAIN % found if found in TAKEN or _holds(found, path) else found


def _holds(name, path):
    """Whether data/NAME, runs/NAME or results/NAME holds the stacks, or lies among them."""
    for root in ('data', 'runs', 'results'):
        pair = [os.path.realpath(os.path.join(root, name)), os.path.realpath(path)]
        if os.path.commonpath(pair) in pair:
            return True
    return False


# --- whose ---

def check(name, folders):
    """Whether a run may take its folders.

    Args:
        name: of the run; folders: data/NAME, runs/NAME, results/NAME; the last is the run's own.

    Returns:
        True if the run was begun before.

    Raises:
        UserError: one of them holds something, and no run made it.
    """
    if claims.owner_of(folders[-1]) == SCRIPT:
        return True
    for folder in folders:
        if os.path.lexists(folder) and not (os.path.isdir(folder) and not os.listdir(folder)):
            raise UserError('%s is there already, and no such run made it: give NAME=another, or '
                            'move it' % folder)
    return False


def keys_of(paths):
    """dict: name of a stack -> what tells its file from another."""
    return {stacks.name_of(path): batch.file_key(path) for path in paths}


# --- choices ---

def read(folder, paths):
    """What was chosen when the run was begun; None if it has chosen nothing yet.

    Args:
        folder: results/NAME; paths: of the stacks as they are now.

    Raises:
        UserError: damaged; or it was begun on other stacks.
    """
    path = os.path.join(folder, 'choices.json')
    if not os.path.exists(path):
        return None
    kept = files.read_json(path, keys={'files': dict, 'choices': list, 'looks': list, 'bad': list,
                                       'seconds': list}, cure='give NAME=another')
    now, before = keys_of(paths), kept['files']
    if now != before:
        changed = sorted(name for name in set(now) | set(before)
                         if now.get(name) != before.get(name))
        raise UserError('%s was begun on other stacks (%s of %s: added, removed or changed): give '
                        'NAME=another' % (folder, ', '.join(changed[:3]), kept.get('stacks')))
    try:
        return Chosen(OrderedDict((name, Choice(tuple(v) if isinstance(v, list) else v, reason))
                                  for name, v, reason in kept['choices']),
                      [Look(**look) for look in kept['looks']], kept['bad'],
                      OrderedDict((name, seconds) for name, seconds in kept['seconds']))
    except (TypeError, ValueError):
        raise UserError('%s is damaged: give NAME=another' % path)


def write(folder, chosen, *, paths, stacks_given):
    """Write choices.json; chosen: Chosen; paths: of the stacks; stacks_given: constant STACKS."""
    files.write_json(os.path.join(folder, 'choices.json'), {
        'stacks': stacks_given, 'files': keys_of(paths),
        'choices': [[name, value, reason] for name, (value, reason) in chosen.values.items()],
        'looks': [look._asdict() for look in chosen.looks], 'bad': chosen.bad,
        'seconds': [[name, seconds] for name, seconds in chosen.seconds.items()]})


# --- times ---

def read_times(folder):
    """(seconds spent by step, names of steps that are done) of earlier runs."""
    path = os.path.join(folder, 'times.json')
    if not os.path.exists(path):
        return {}, []
    kept = files.read_json(path, keys={'spent': dict, 'done': list}, cure='remove it')
    return kept['spent'], kept['done']


def write_times(folder, clock):
    """Keep an estimate.Clock's times."""
    files.write_json(os.path.join(folder, 'times.json'), {'spent': clock.spent,
                                                          'done': clock.done})
