"""Folders of step 0: patches and priors, and TIFF patches; what may be written into them."""
import fnmatch
import glob
import os
import re

from utils.common import claims, files
from utils.common.errors import UserError
from utils.data import stacks

SCRIPT = 'prepare_patches.py'
TIFF = '%s_%05d.tif'             # of a patch: name of its stack, number
NAMED = re.compile(r'(.+)_[0-9]{5,}\.tif$', re.DOTALL)       # the same, its stack's name in (1)


def figure_of(output, stack):
    """Figure of a stack's four steps."""
    return os.path.join(output, 'real_%s.png' % stacks.name_of(stack))


def owner_of(output, found, *, store):
    """claims.Owner of the patches and priors of some stacks.

    Args:
        found: paths of the stacks; store: Parts of the folder.
    """
    return claims.Owner(SCRIPT, {
        stacks.name_of(path): [figure_of(output, path)] + store.targets(path) for path in found},
        ('real.h5', 'priors.json', 'priors.png'))


def tiff_owner(folder, found, *, pattern, output):
    """claims.Owner of a folder of TIFF patches, after a look at what lies there.

    Args:
        found: paths of the stacks; pattern: constant STACKS, which names them.
        output: folder of their patches, which vouches for TIFF patches of an earlier version.

    Raises:
        UserError: TIFF patches would be stacks themselves; as claims.check.
    """
    if is_among(folder, pattern, found=found):
        raise UserError('TIFF_FOLDER=%s lies where STACKS=%s come from, and would be cut into '
                        'patches itself: give another' % (folder, pattern))
    path = os.path.join(output, 'config.json')
    older = (claims.owner_of(output) == SCRIPT and os.path.exists(path)
             and files.read_json(path).get('TIFF_FOLDER') == folder)
    there = _tiffs(folder)
    names = {_claimed(name): [path for path, stack in there if stack == name]
             for name in map(stacks.name_of, found)}
    owner = claims.Owner(SCRIPT, names, known=lambda name: older and name in names,
                         more=tuple(glob.escape(name) + '_[0-9]*.tif'
                                    for name in map(stacks.name_of, found)))
    claims.check(folder, owner)
    return owner


def _claimed(stack):
    """Name by which the TIFF patches of a stack are claimed."""
    return stack + ' as TIFF'


def _tiffs(folder):
    """[(path, name of the stack)] of the files in a folder that are named as TIFF patches are."""
    found = [(name, NAMED.match(name)) for name in
             (sorted(os.listdir(folder)) if os.path.isdir(folder) else ())]
    return [(os.path.join(folder, name), match.group(1)) for name, match in found if match]


def write_tiffs(folder, real, *, owner):
    """Write patches as TIFF, and remove those of earlier runs: other numbers, other stacks.

    Args:
        real: patches.PatchFile; owner: claims.Owner of the folder, see tiff_owner. It tells which
            files are patches of an earlier run; others stay.

    Raises:
        MachineError: a file cannot be written.
    """
    written = [os.path.join(folder, TIFF % (source, i)) for i, source in enumerate(real.source)]
    for i, path in enumerate(written):
        stacks.write(path, real.image[i], voxel_size=real.voxel_size)
    ours, now = claims.vouches(folder, owner), set(written)
    stale = [(path, stack) for path, stack in _tiffs(folder)
             if path not in now and ours(_claimed(stack))]
    for path, _ in stale:
        files.remove(path)
    claims.drop(folder, {_claimed(stack) for _, stack in stale} - set(map(_claimed, real.source)))


def is_among(folder, pattern, *, found):
    """Whether TIFF patches in a folder would be stacks of a pattern.

    Args:
        pattern: of stacks (folder, file or glob pattern); found: paths that it matches now.
    """
    if os.path.isdir(pattern):
        return os.path.realpath(folder) == os.path.realpath(pattern)
    if os.path.lexists(pattern):                             # one file
        return False
    above, last = os.path.split(os.path.abspath(pattern))
    if not any(fnmatch.fnmatch(TIFF % (stacks.name_of(path), 0), last) for path in found):
        return False
    if os.path.realpath(folder) in {os.path.realpath(os.path.dirname(path)) for path in found}:
        return True
    places, parts = os.path.abspath(folder).split(os.sep), above.split(os.sep)
    return len(places) == len(parts) and all(map(fnmatch.fnmatch, places, parts))
