"""Folders of results: whose they are, and the constants and the command that made them.

`made_by.json` names the script, its version and the results that it has begun (schemas.MADE_BY). A
folder of an earlier version is told by its command or by what it holds. Files that no record
vouches for are neither overwritten nor removed.
"""
import fnmatch
import glob
import os
import shlex
import sys
from types import SimpleNamespace
from typing import Callable, NamedTuple, Optional

from utils.common import config, files, renamed, schemas
from utils.common.config import ROOT
from utils.common.errors import UserError
from utils.common.version import VERSION

CURE = 'give another OUTPUT folder, or OVERWRITE=True to redo it'
RECORD = 'made_by.json'
LOOKED_AT = 2000                # bytes
TRAIN, PACK = ' STAGE=train', ' STAGE=pack'
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
RUN_FILES = ('log.csv', 'best.json', 'evaluation.json', 'curves.png',   # of a training run
             'preview_*.png')
# constants in config.json by which packed weights without record are told
PACKED = {'2_mpgan.py' + PACK: {'REFINER_CHANNELS'},
          '3_segmentation.py' + PACK: {'CHANNELS', 'LEVELS'}}


class Owner(NamedTuple):
    """A script and what it is about to write into a folder."""
    script: str                          # with STAGE=train for a training run
    names: dict = {}                     # name of each result -> paths of its files
    files: tuple = ()                    # other files, relative to the folder; may be patterns
    known: Optional[Callable] = None     # function (name) -> True where another record than
                                         # made_by.json vouches for a result
    more: tuple = ()                     # patterns of further files, relative to the folder, of
                                         # which killed runs may have left the beginning


def training(script):
    """Owner of a training run of a script."""
    return Owner(script + TRAIN, files=RUN_FILES)


def packing(script):
    """Owner of the packed weights of a script's trainings."""
    return Owner(script + PACK, files=('config.json', 'packed.json'))


# --- whose a folder is ---

def owner_of(folder):
    """The script that made the results in a folder, as Owner.script; None if nothing tells it.

    A folder with checkpoints or packed weights is RUN unless its record or command names a
    training or a packing.

    Raises:
        UserError: made_by.json is damaged.
    """
    script = _record(folder).get('SCRIPT') or _script_of_command(folder)
    if _holds(folder, ['checkpoints/step-*']) or _holds(folder, ['packed.json']):
        return script if script and script.endswith((TRAIN, PACK)) else RUN
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
    cure = ('it does not tell whose folder this is: give another folder, or remove it if all that '
            'lies there may be overwritten')
    record = files.read_json(path, cure=cure)
    schemas.check(record, schemas.MADE_BY, path=path, cure=cure)
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
    others = [path for pattern in _patterns(folder, owner.files) for path in glob.glob(pattern)]
    script = owner_of(folder)
    own = script == owner.script or script == RUN and _may_be(folder, owner.script)
    if script and not own:
        raise UserError('%s is a folder of %s: give another %s' % (
            folder, script, 'RUN_DIR' if owner.script.endswith(TRAIN) else 'OUTPUT'))
    known = vouches(folder, owner)
    foreign = [path for name, path in there if not known(name)] + others * (not own)
    if foreign:
        raise UserError('%s was not made by this script: move it, or give another folder'
                        % foreign[0])


def _may_be(folder, script):
    """Whether a folder that is RUN may be a script's, by its constants."""
    path = os.path.join(folder, 'config.json')
    if script.endswith(TRAIN):
        return True                      # its constants are compared where it is claimed
    return (script in PACKED and os.path.exists(path)
            and PACKED[script] <= set(files.read_json(path)))


def vouches(folder, owner):
    """function (name) -> True where a record tells that a result's files are the Owner's."""
    record = _record(folder)
    names, older = set(record.get('NAMES', ())), record.get('OLDER', False)
    if not record:
        older = owner_of(folder) == owner.script
    return lambda name: name in names or bool(owner.known(name) if owner.known else older)


def is_signed(path, sign):
    """Whether a file begins as the script's own do, which where no record tells vouches for it.

    Args:
        path: of the file, may be missing; sign: bytes that its first LOOKED_AT bytes hold.
    """
    if not os.path.isfile(path):                             # a pipe would be waited for
        return False
    with open(path, 'rb') as file:
        return sign in file.read(LOOKED_AT)


def take(folder, owner):
    """Note in made_by.json that a script writes into a folder; what killed runs left goes.

    Args and Raises: as check.
    """
    check(folder, owner)
    older = owner_of(folder) is not None
    record = _record(folder)
    names = set(record.get('NAMES', ())) | set(owner.names)
    now = {'SCRIPT': owner.script, 'VERSION': VERSION, 'NAMES': sorted(names),
           'OLDER': record.get('OLDER', False) if record else older}
    if now != record:
        files.write_json(os.path.join(folder, RECORD), now)
    _remove_unfinished(folder, owner)


def _remove_unfinished(folder, owner):
    """Remove what killed runs have left of the files that an Owner writes."""
    paths = {os.path.normpath(path) for paths in owner.names.values() for path in paths}
    others = tuple(owner.files) + tuple(owner.more) + (RECORD, 'config.json', 'command.txt')
    patterns = list(map(os.path.normpath, _patterns(folder, others)))
    folders = {os.path.dirname(path) for path in
               paths | {os.path.normpath(os.path.join(folder, name)) for name in others}}
    files.remove_unfinished(folders, is_ours=lambda path: os.path.normpath(path) in paths or any(
        fnmatch.fnmatchcase(os.path.normpath(path), pattern) for pattern in patterns))


def _patterns(folder, names):
    """Patterns of the paths of files in a folder; names: relative to it, may be patterns."""
    return [os.path.join(glob.escape(folder), name) for name in names]


def drop(folder, names):
    """Forget results that were removed: later files of these names are not the script's.

    All that an earlier version left has been looked at by then, so that the names that stay are
    the only ones that the record vouches for.

    Args:
        names: of the results, a set; those that are not in the record do not matter.
    """
    record = _record(folder)
    before = record.get('NAMES', [])
    left = [name for name in before if name not in names]
    if left != before or record.get('OLDER'):
        files.write_json(os.path.join(folder, RECORD), dict(record, NAMES=left, OLDER=False))


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


def made_with(folder, *configs):
    """Constants that a folder's results were made with, of the configs where it does not tell.

    Args:
        folder: of the results; configs: of its script, relative to the project's root.

    Returns:
        SimpleNamespace.

    Raises:
        UserError: no config.json, a damaged one, or values of another kind.
    """
    now, _ = config.read_defaults(*configs)
    path = os.path.join(folder, 'config.json')
    return SimpleNamespace(**config.restored(files.read_json(path), now, path=path))


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
