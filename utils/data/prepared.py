"""Folders of step 0: patches and priors, and TIFF patches; what may be written into them."""
import fnmatch
import glob
import os

from utils.common import claims, files
from utils.common.errors import UserError
from utils.data import stacks

SCRIPT = 'prepare_patches.py'
TIFF = '%s_%05d.tif'             # of a patch: name of its stack, number


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
    start = {name: os.path.join(glob.escape(folder), glob.escape(name) + '_')
             for name in map(stacks.name_of, found)}
    owner = claims.Owner(SCRIPT, {
        name + ' as TIFF': [path for path in glob.glob(start[name] + '[0-9]' * 5 + '*.tif')
                            if not files.is_unfinished(path)] for name in start},
                         known=lambda name: older,
                         more=tuple(glob.escape(name) + '_[0-9]*.tif'
                                    for name in map(stacks.name_of, found)))
    claims.check(folder, owner)
    return owner


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
