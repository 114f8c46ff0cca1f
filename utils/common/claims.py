"""Folders of results: whose they are, and the constants and the command that made them.

`made_by.json` names the script and the results that it has begun: {"SCRIPT": ..., "NAMES": [...]}.
A folder of an earlier version is told by its command or by what it holds. Files that no record
vouches for are neither overwritten nor removed.
"""
import glob
import os
import shlex
import sys
from typing import Callable, NamedTuple, Optional

from utils.common import files, renamed
from utils.common.config import ROOT
from utils.common.errors import UserError

CURE = 'give another OUTPUT folder, or OVERWRITE=True to redo it'
RECORD = 'made_by.json'
TRAIN = ' STAGE=train'
RUN = 'a training run or packed weights'       # of whichever script
# words of a command.txt -> whose folder that is
COMMANDS = {name: name for name in ('prepare_patches.py', '1_simulator.py', '4_reconstruction.py',
                                    'utils.simulate.phantom', 'utils.run')}
COMMANDS.update({'2_mpgan.py': '2_mpgan.py' + TRAIN,
                 '3_segmentation.py': '3_segmentation.py' + TRAIN,
                 'comparison.py': '3_segmentation.py' + TRAIN})
# what folders without record and command hold: the first that fits tells whose they are
HOLDINGS = (('prepare_patches.py', ('real.h5', 'parts/*.h5')),
            ('prepare_patches.py', ('priors.json', 'parts/*.h5')),
            ('1_simulator.py', ('labels', 'parts/[0-9][0-9][0-9][0-9].h5')),
            ('2_mpgan.py', ('made_from.json', 'images')),
            ('2_mpgan.py', ('made_from.json', 'patches.h5')),
            ('2_mpgan.py', ('made_from.json', 'parts/*.npy')),
            ('3_segmentation.py', ('made_from.json', '*.prob.tif')),
            ('3_segmentation.py', ('pairs/made_from.json',)),
            ('4_reconstruction.py', ('made_from.json', '*.swc')))
RUN_FILES = 'log.csv', 'best.json', 'evaluation.json', 'curves.png'      # of a training run


class Owner(NamedTuple):
    """A script and what it is about to write into a folder."""
    script: str                          # with STAGE=train for a training run
    names: dict = {}                     # name of each result -> paths of its files
    files: tuple = ()                    # other files, relative to the folder
    known: Optional[Callable] = None     # function (name) -> True where another record than
                                         # made_by.json vouches for a result


def training(script):
    """Owner of a training run of a script."""
    return Owner(script + TRAIN, files=RUN_FILES)


# --- whose a folder is ---

def owner_of(folder):
    """The script that made the results in a folder, as Owner.script; None if nothing tells it.

    A folder with checkpoints or packed weights is RUN unless its record or command names a
    training.

    Raises:
        UserError: made_by.json is damaged.
    """
    script = _record(folder).get('SCRIPT') or _script_of_command(folder)
    if _holds(folder, ['checkpoints/step-*']) or _holds(folder, ['packed.json']):
        return script if script and script.endswith(TRAIN) else RUN
    if script:
        return script
    return next((script for script, held in HOLDINGS if _holds(folder, held)), None)


def _holds(folder, names):
    return all(glob.glob(os.path.join(glob.escape(folder), name)) for name in names)


def _record(folder):
    """Contents of made_by.json; {} without it."""
    path = os.path.join(folder, RECORD)
    if not os.path.exists(path):
        return {}
    record = files.read_json(path)
    if not (isinstance(record, dict) and isinstance(record.get('SCRIPT'), str)
            and isinstance(record.get('NAMES'), list)):
        raise UserError('%s does not tell whose folder this is: give another folder, or remove it '
                        'if all that lies there may be overwritten' % path)
    return record


def _script_of_command(folder):
    """Whose folder it is by command.txt, or None."""
    path = os.path.join(folder, 'command.txt')
    if not os.path.isfile(path):
        return None
    with open(path, encoding='utf-8', errors='replace') as file:
        words = [os.path.basename(word) for word in file.readline().split()]
    return next((COMMANDS[word] for word in words if word in COMMANDS), None)


# --- claims ---

def check(folder, owner):
    """Whether a script may write what it is about to write into a folder; changes nothing.

    Args:
        folder: of the results, may be missing; owner: Owner.

    Raises:
        UserError: it is another script's, or holds files of these names that nothing vouches for.
    """
    # files first, then the record: another process writes its record before its files
    there = [(name, path) for name, paths in sorted(owner.names.items())
             for path in paths if os.path.lexists(path)]
    others = [path for path in (os.path.join(folder, name) for name in owner.files)
              if os.path.lexists(path)]
    script = owner_of(folder)
    own = script == owner.script or (script == RUN and owner.script.endswith(TRAIN))
    if script and not own:
        raise UserError('%s is a folder of %s: give another %s' % (
            folder, script, 'RUN_DIR' if owner.script.endswith(TRAIN) else 'OUTPUT'))
    known = vouches(folder, owner)
    foreign = [path for name, path in there if not known(name)] + others * (not own)
    if foreign:
        raise UserError('%s was not made by this script: move it, or give another folder'
                        % foreign[0])


def vouches(folder, owner):
    """function (name) -> True where a record tells that a result's files are the Owner's."""
    record = _record(folder)
    names, older = set(record.get('NAMES', ())), record.get('OLDER')
    if not record:
        older = owner_of(folder) == owner.script
    return lambda name: name in names or bool(owner.known(name) if owner.known else older)


def take(folder, owner):
    """Note in made_by.json that a script writes into a folder; what killed runs left goes.

    Args and Raises: as check.
    """
    check(folder, owner)
    older = owner_of(folder) is not None
    record = _record(folder)
    names = set(record.get('NAMES', ())) | set(owner.names)
    now = {'SCRIPT': owner.script, 'NAMES': sorted(names),
           'OLDER': bool(record['OLDER'] if record else older)}
    if now != record:
        files.write_json(os.path.join(folder, RECORD), now)
    files.remove_unfinished({folder} | {os.path.dirname(path) for paths in owner.names.values()
                                        for path in paths})


def differences(folder, settings, *, may_change=()):
    """What a folder's results were made with, where it is not as now.

    Args:
        folder: of the results; settings: dict of constants; may_change: names that do not count.

    Returns:
        list of (name, value before, value now), sorted; [] for a folder without config.json.
    """
    path = os.path.join(folder, 'config.json')
    if not os.path.exists(path):
        return []
    now = files.from_json(files.to_json(settings))
    before = renamed.updated(files.read_json(path), now)
    return [(name, before.get(name), now.get(name)) for name in sorted(set(before) | set(now))
            if name not in may_change and before.get(name) != now.get(name)]


def claim(folder, settings, *, owner=None, may_change=(), overwrite=False, cure=CURE):
    """Save the resolved constants and the command beside their results.

    Args:
        folder: of the results; made if missing.
        settings: dictionary of constants.
        owner: Owner; None: whose the folder is does not count.
        may_change: names that may differ between runs into one folder (number of stacks, ...).
        overwrite: accept other settings; what was made with the old ones is then stale.
        cure: end of the error's line.

    Raises:
        UserError: if a constant that shapes the results differs and `overwrite` is off; as check.
    """
    path = os.path.join(folder, 'config.json')
    if owner:
        owner = owner._replace(files=tuple(owner.files) + ('config.json', 'command.txt'))
        check(folder, owner)
    changed = differences(folder, settings, may_change=may_change)
    if changed and not overwrite:
        raise UserError('%s was made with other settings (%s): %s' % (
            folder, ', '.join('%s %r -> %r' % item for item in changed), cure))
    if owner:
        take(folder, owner)
    os.makedirs(folder, exist_ok=True)
    files.write_text(os.path.join(folder, 'command.txt'), command() + '\n')
    now = files.from_json(files.to_json(settings))
    if not os.path.exists(path) or files.read_json(path) != now:
        files.write_json(path, now)


def command():
    """The command line of this process, with the script's path from the project's folder."""
    script = os.path.realpath(sys.argv[0])
    start = [script]
    if script.startswith(ROOT + os.sep):
        start = [os.path.relpath(script, ROOT)]
        if start[0].startswith('utils' + os.sep):            # a module, run by -m
            name = os.path.splitext(start[0])[0].replace(os.sep, '.')
            start = ['-m', name[:-len('.__main__')] if name.endswith('.__main__') else name]
    return ' '.join(shlex.quote(part) for part in ['python'] + start + sys.argv[1:])
