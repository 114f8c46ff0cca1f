"""Folders of results: the constants and the command that made them, saved beside them."""
import os
import shlex
import sys

from utils.common import files, renamed
from utils.common.config import ROOT
from utils.common.errors import UserError

CURE = 'give another OUTPUT folder, or OVERWRITE=True to redo it'


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


def claim(folder, settings, *, may_change=(), overwrite=False, cure=CURE):
    """Save the resolved constants and the command beside their results.

    Args:
        folder: of the results; made if missing.
        settings: dictionary of constants.
        may_change: names that may differ between runs into one folder (number of stacks, ...).
        overwrite: accept other settings; what was made with the old ones is then stale.
        cure: end of the error's line.

    Raises:
        UserError: if a constant that shapes the results differs and `overwrite` is off.
    """
    os.makedirs(folder, exist_ok=True)
    changed = differences(folder, settings, may_change=may_change)
    if changed and not overwrite:
        raise UserError('%s was made with other settings (%s): %s' % (
            folder, ', '.join('%s %r -> %r' % item for item in changed), cure))
    files.write_text(os.path.join(folder, 'command.txt'), command() + '\n')
    path, now = os.path.join(folder, 'config.json'), files.from_json(files.to_json(settings))
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
