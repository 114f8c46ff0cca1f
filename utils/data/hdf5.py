"""Stacks in HDF5 files: one 3-D dataset, axes (z, y, x). Reader only."""
import functools
import os
import subprocess
import sys

import h5py
import numpy as np

from utils.common.errors import UserError

EXTENSIONS = ('.h5', '.hdf5')
NAMES = 'image', 'volume', 'data', 'raw'     # of the stack, where a file holds several
CRASHES = h5py.version.hdf5_version_tuple < (1, 14, 0)      # on some damaged files (Python 3.7's)
LOOK = """
import sys, h5py
def look(_, item):
    list(item.attrs.items()), getattr(item, "external", None), getattr(item, "is_virtual", None)
with h5py.File(sys.argv[1], "r") as file:
    list(file), file.visititems(look)
"""                                          # at all groups and attributes of a file
LONGEST = 60                                 # seconds for that


def check_whole(path):
    """Look at a file in a process of its own, where HDF5's library may end the one that reads it.

    Raises:
        UserError: it ended that process by a signal, or held it up.
        OSError: the file cannot be opened.
    """
    found = os.stat(path)
    if CRASHES and not _is_readable(os.path.abspath(path), found.st_mtime_ns, found.st_size):
        raise UserError('%s is damaged: HDF5 cannot read it: copy or save it again' % path)


@functools.lru_cache(maxsize=None)
def _is_readable(path, *_):
    """Whether a look at a file ends by itself; the file's time and size follow."""
    try:
        return subprocess.run([sys.executable, '-Ic', LOOK, path], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=LONGEST).returncode >= 0
    except subprocess.TimeoutExpired:
        return False


def holds_patches(file):
    """True if an open HDF5 file is a patch file (utils/data/patches.py), not a stack."""
    patched = {'image', 'origin', 'source'} <= set(file)
    return patched and len(getattr(file['image'], 'shape', ())) == 4


def is_stack(path):
    """False for a patch file; True for what reading will judge."""
    try:
        check_whole(path)
        with h5py.File(path, 'r') as file:
            return not holds_patches(file)
    except Exception:                        # reading it tells what is wrong
        return True


def is_own(dataset, *, path):
    """True if the file at `path` holds a dataset's values: through external or virtual ones, and
    links to other files, any file of the system could be read."""
    return not (dataset.external or dataset.is_virtual
                or not os.path.samefile(dataset.file.filename, path))


def own(dataset, *, path):
    """The dataset itself, if the file at `path`, which it was opened by, holds its voxels.

    Raises:
        UserError: it does not, see is_own.
    """
    if not is_own(dataset, path=path):
        raise UserError('%s: dataset %s lies in other files (external, virtual or a link): save it '
                        'as one file of its own' % (path, dataset.name))
    return dataset


def read(path):
    """Read the only 3-D dataset of a file, or of several the one with a name of NAMES.

    Returns:
        (array [Z, Y, X] of any number type, (z, y, x) um of its attribute element_size_um or None).

    Raises:
        UserError: no HDF5, cut short; no 3-D dataset, several; patches; voxels that lie in other
            files.
        OSError: it cannot be opened.
    """
    stack, voxel_size, close = open_stack(path)
    try:
        return stack[()].reshape(_squeezed(stack.shape)), voxel_size
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(path, error)
    finally:
        close()


def open_stack(path):
    """Open the dataset that read() would read, to be read by parts.

    Returns:
        (h5py dataset, (z, y, x) um or None, function that closes the file).

    Raises:
        UserError, OSError: as read().
    """
    open(path, 'rb').close()                 # h5py reports a missing file as it does a damaged one
    check_whole(path)
    file = None
    try:
        file = h5py.File(path, 'r')
        stack = _the_stack(file, path)
        return stack, _voxel_size(stack), file.close
    except Exception as error:               # h5py raises many kinds on damaged files
        if file is not None:
            file.close()
        if isinstance(error, (UserError, MemoryError)):
            raise
        raise _damaged(path, error)


def _damaged(path, error):
    """The error of a file that h5py cannot read."""
    return UserError('%s is damaged, cut short or no HDF5 (%s): copy or save it again'
                     % (path, str(error).split('\n')[0][:100]))


def is_chunked(path):
    """True for a file whose stack can be read by chunks; False for others, and for bad files."""
    try:
        stack, _, close = open_stack(path)
    except (UserError, OSError):
        return False
    chunked = stack.chunks is not None
    close()
    return chunked


def fixed_axes(shape):
    """For each axis of a dataset 'z', 'y', 'x', or 0 for those of length 1 beyond three."""
    fixed, left, names = [], len(shape) - 3, iter('zyx')
    for length in shape:
        drop = left > 0 and length == 1
        left -= drop
        fixed.append(0 if drop else next(names))
    return fixed


def _the_stack(file, path):
    """The dataset to read.

    Raises:
        UserError: there is none, or it cannot be told which.
    """
    if holds_patches(file):
        raise UserError('%s holds patches, not a stack: give the stacks that they were cut from'
                        % path)
    found = []

    def note(_, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind in 'uifb':
            if item.ndim > 1 and item.size:
                found.append(item)

    file.visititems(note)
    stacks = [item for item in found if len(_squeezed(item.shape)) == 3]
    if not stacks and found:
        raise UserError('%s: dataset %s is %s: want a 3-D stack of (z, y, x), one channel'
                        % (path, found[0].name, ' x '.join(map(str, found[0].shape))))
    if not stacks:
        raise UserError('%s holds no 3-D dataset: save the stack as one, (z, y, x)' % path)
    named = [item for item in stacks if item.name.split('/')[-1].lower() in NAMES]
    if len(stacks) > 1 and len(named) != 1:
        raise UserError('%s holds %d 3-D datasets (%s): keep one, or name just one of them %s' % (
            path, len(stacks), ', '.join(item.name for item in stacks[:5]), ' or '.join(NAMES)))
    return own(stacks[0] if len(stacks) == 1 else named[0], path=path)


def _voxel_size(stack):
    """(z, y, x) in um of a dataset's attribute element_size_um, or None."""
    size = np.ravel(stack.attrs.get('element_size_um', ()))
    known = len(size) == 3 and size.dtype.kind in 'uif' and np.isfinite(size).all()
    return tuple(map(float, size)) if known and (size > 0).all() else None


def _squeezed(shape):
    """A shape without axes of length 1 (time, channel) beyond three, the first of them first."""
    shape = list(shape)
    while len(shape) > 3 and 1 in shape:
        shape.remove(1)
    return tuple(shape)
