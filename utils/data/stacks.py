"""Image stacks on disk: 8 or 16 bit, axes (z, y, x), voxel size in um.

TIFF, HDF5, Vaa3D and NIfTI files, OME-Zarr folders and addresses.
"""
import glob
import os
import stat
from collections import namedtuple

import numpy as np

from utils.common import files
from utils.common.errors import MachineError, UserError
from utils.data import hdf5, nifti, tiff, vaa3d, volumes, zarr_files

EXTENSIONS = (tiff.EXTENSIONS + hdf5.EXTENSIONS + vaa3d.EXTENSIONS + nifti.EXTENSIONS
              + (volumes.EXTENSION,))
FORMATS = {'tiff': '.tif', 'zarr': '.ome.zarr', 'nifti': '.nii.gz'}      # of results: extensions
LONG_EXTENSIONS = tuple(end for end in FORMATS.values() if end.count('.') > 1)
CHUNKS = (64, 128, 128)              # voxels (z, y, x) of a chunk of results in OME-Zarr: 1 or 2 MB
SMALLEST, LARGEST = 1e-6, 1e4        # um, sides of a voxel
LONGEST_SHAPE = 1000                 # times a voxel's shortest side that its longest may be
# bytes of a name: results are named after a stack, with up to 14 behind it and, while they are
# written, the ending of files.whole_file; systems allow 255
LONGEST_NAME = 255 - 14 - len(files.ending(4194304))
# voxels: uint8 or uint16 [Z, Y, X]; voxel_size: um (z, y, x) or None;
# notes: what ImageJ keeps besides (Info, ...)
Stack = namedtuple('Stack', 'voxels voxel_size path notes')


# --- names ---

def find(pattern, extensions=EXTENSIONS):
    """List the stacks that a folder, a stack or a glob pattern names, sorted.

    An OME-Zarr folder is one stack; so is an address, which is not looked at. Patch files
    (patches.h5, real.h5) of a folder or pattern are passed over, and so are .raw files of other
    programs than Vaa3D, and what a killed run has left unfinished. What cannot be opened is listed:
    reading it tells why.

    Raises:
        UserError: if there is none, or two have the same name but for the extension.
    """
    if zarr_files.is_url(pattern) or os.path.isdir(pattern) and volumes.is_volume(pattern):
        return [pattern]
    if os.path.isdir(pattern):
        paths = [os.path.join(pattern, name) for name in os.listdir(pattern)]
    else:
        paths = [pattern] if os.path.lexists(pattern) else glob.glob(pattern)
    paths = sorted(p for p in (p.rstrip(os.sep) for p in paths) if p.lower().endswith(extensions)
                   and (p == pattern or not files.is_unfinished(p) and _may_be_stack(p)))
    if not paths:
        raise UserError('no file %s matches %s: put some there or name others (folder, file or '
                        'pattern)' % (' or '.join('*' + e for e in extensions), pattern))
    names = [name_of(path) for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError('%s: two stacks are named %s: rename one or give one kind (*.tif), results '
                        'are kept by name' % (pattern, twice[0]))
    return paths


def _may_be_stack(path):
    """False for what only looks like a stack by its extension."""
    if not os.path.isfile(path):                             # opening a pipe would wait for ever
        return True
    if path.lower().endswith(hdf5.EXTENSIONS):
        return hdf5.is_stack(path)
    return not path.lower().endswith('.raw') or vaa3d.is_raw(path)


def name_of(path):
    """Name of a file, folder or address without what leads to it and its extension."""
    name = os.path.basename(path.split('?')[0] if zarr_files.is_url(path) else path)
    name = name or os.path.basename(path.rstrip('/'))
    long = next((end for end in LONG_EXTENSIONS if name.lower().endswith(end)), None)
    return name[:-len(long)] if long else os.path.splitext(name)[0]


def pair_by_name(image_dir, label_dir):
    """List (image, label) paths that share a file name, sorted by it.

    Raises:
        UserError: if an image has no label or the reverse (up to five are named).
    """
    images = {name_of(path): path for path in find(image_dir)}
    labels = {name_of(path): path for path in find(label_dir)}
    alone = sorted(set(images) ^ set(labels))
    if alone:
        left = any('.partial' in name for name in alone)     # by an earlier version
        raise UserError('%s and %s do not pair: no partner for %s%s' % (
            image_dir, label_dir, ', '.join(alone[:5]),
            '; what killed runs have left (*.partial.*) may be removed' * left))
    return [(images[name], labels[name]) for name in sorted(images)]


# --- voxels ---

def read(path, smallest=(1, 1, 1), *, probabilities=False, channel=0):
    """Read one stack.

    Args:
        path: TIFF (ImageJ, OME or plain; BigTIFF too), HDF5, Vaa3D raw or pbd, NIfTI, by its
            extension; an OME-Zarr folder or address.
        smallest: (z, y, x) voxels that it must have at least.
        probabilities: floating point passes, too, if it is from 0 to 1; it comes as float32.
        channel: of an OME-Zarr image with several, from 0; others have one, 0.

    Returns:
        Stack; voxel_size is None where the file does not tell it.

    Raises:
        UserError: unreadable, truncated, 2-D, colour, several channels in a file, no such channel,
            floating point or other dtype, or too small. The message names the file and the cure.
        MachineError: it does not fit in memory.
    """
    check_file(path)
    try:
        if _is_zarr(path):
            (voxels, voxel_size), notes = _read_whole(path, channel), {}
        elif path.lower().endswith(nifti.EXTENSIONS):
            (voxels, voxel_size), notes = nifti.read(path), {}
        elif path.lower().endswith(hdf5.EXTENSIONS):
            (voxels, voxel_size), notes = hdf5.read(path), {}
        elif path.lower().endswith(vaa3d.EXTENSIONS):
            voxels, voxel_size, notes = vaa3d.read(path), None, {}
        else:
            voxels, voxel_size, notes = tiff.read(path)
    except OSError as error:
        raise UserError('%s cannot be opened: %s' % (path, error.strerror or error))
    except MemoryError:
        raise MachineError('%s: not enough memory to read it: take smaller stacks, or fewer at a '
                           'time' % path)
    if not _is_zarr(path):
        volumes.check_channel(path, channel)
    voxels = np.ascontiguousarray(voxels, dtype=voxels.dtype.newbyteorder('='))
    if voxels.dtype.kind == 'f':
        voxels = _probabilities(voxels, path, wanted=probabilities)
    elif voxels.dtype not in (np.dtype('u1'), np.dtype('u2')):
        raise UserError('%s is %s: convert it to 8 or 16 bit unsigned' % (path, voxels.dtype))
    check_sides(path, voxels.shape, smallest=smallest, voxel_size=voxel_size)
    return Stack(voxels, voxel_size, path, notes)


def check_sides(path, shape, *, smallest, voxel_size):
    """Raise UserError for a stack that is too small, or tells voxels that cannot be.

    Args: shape, smallest: (z, y, x) voxels; voxel_size: um (z, y, x), or None.
    """
    if any(n < least for n, least in zip(shape, smallest)):
        raise UserError('%s is %s voxels (z, y, x), smaller than a patch of %s: leave it out or '
                        'take smaller patches' % ((path,) + tuple(
                            ' x '.join(map(str, sides)) for sides in (shape, smallest))))
    if voxel_size is not None and not is_voxel_size(voxel_size):
        raise UserError('%s tells voxels of %s um (z, y, x), which cannot be: correct it (Fiji: '
                        'Image > Properties)' % (path, ' x '.join('%g' % v for v in voxel_size)))


def _is_zarr(path):
    """True for an address, and a folder that volumes reads."""
    return zarr_files.is_url(path) or os.path.isdir(path) and volumes.is_volume(path)


def _read_whole(path, channel):
    """(voxels, voxel size) of an OME-Zarr image that fits in memory."""
    with volumes.open_volume(path, channel=channel) as volume:
        size = float(np.prod(volume.shape, dtype=float)) * volume.dtype.itemsize
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
        if size > memory:
            raise MachineError('%s is %.0f GB, more than the memory of this machine (%.0f GB): '
                               'take a lower level of it, or a part' % (path, size / 1e9,
                                                                        memory / 1e9))
        return volume[:], volume.voxel_size


def check_file(path):
    """Whether a path is a file, or an OME-Zarr folder, that results can be named after.

    Raises:
        UserError: a link to nothing, a folder, a pipe; not readable; a name that is no UTF-8, or
            too long.
    """
    try:
        length = len(name_of(path).encode('utf-8'))
    except UnicodeEncodeError:
        raise UserError('%s has a name that is no UTF-8 text: rename it' % path)
    if length > LONGEST_NAME:
        raise UserError('%s has a name of %d bytes, and results are named after it: rename it, at '
                        'most %d bytes' % (path, length, LONGEST_NAME))
    if _is_zarr(path):
        return
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISREG(kind):
            open(path, 'rb').close()
    except OSError as error:                                 # a link to nothing, or to itself
        raise UserError('%s cannot be opened: %s' % (path, error.strerror or error))
    if not stat.S_ISREG(kind):
        raise UserError('%s is no file but a folder, pipe or device: leave it out' % path)


def _probabilities(voxels, path, *, wanted):
    """Floating-point voxels as float32, if probabilities are wanted and these are some."""
    if not wanted:
        raise UserError('%s is floating point%s: convert it to 8 or 16 bit'
                        % (path, ' with NaN' if np.isnan(voxels).any() else ''))
    if not (np.isfinite(voxels).all() and voxels.min() >= 0 and voxels.max() <= 1):
        raise UserError('%s is floating point, but not from 0 to 1: it is no probability map; save '
                        'probabilities, or convert it to 8 or 16 bit' % path)
    return voxels.astype(np.float32)


def write(path, voxels, *, voxel_size=None, compress=False, notes=None):
    """Write a stack, whole or not at all: ImageJ TIFF; OME-Zarr or NIfTI by the path's extension.

    Args:
        path: ends with one of FORMATS, or another TIFF extension.
        voxels: uint8 or uint16 [Z, Y, X].
        voxel_size: (z, y, x) in um, or None if unknown.
        compress: deflate it (labels shrink a hundredfold, noise hardly).
        notes: of a Stack, to carry over; TIFF alone has a place for them.
    """
    if path.endswith(nifti.EXTENSIONS):
        nifti.write(path, voxels, voxel_size=voxel_size)
        return
    if path.endswith(volumes.EXTENSION):
        with files.whole_folder(path) as partial:
            volumes.create(partial, shape=voxels.shape, dtype=voxels.dtype, chunks=CHUNKS,
                           voxel_size=voxel_size, name=name_of(path))[:] = voxels
            volumes.build_pyramid(partial, how='max' if voxels.max(initial=0) <= 1 else 'mean')
        return
    tiff.write(path, voxels, voxel_size=voxel_size, compress=compress, notes=notes)


def check_format(name, *, only_tiff=False):
    """Raise UserError for an OUTPUT_FORMAT that is none of FORMATS, or no TIFF for drafts."""
    if name not in FORMATS:
        raise UserError('OUTPUT_FORMAT=%s: want one of %s' % (name, ', '.join(FORMATS)))
    if only_tiff and name != 'tiff':
        raise UserError('OUTPUT_FORMAT=%s: refined drafts are TIFF; give INPUT with it' % name)


def is_voxel_size(size):
    """True for three numbers (z, y, x), um, that voxels of a microscope may have."""
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in size)
    return (len(size) == 3 and numbers and all(SMALLEST <= v <= LARGEST for v in size)
            and max(size) <= LONGEST_SHAPE * min(size))


def spacing_of(voxel_size):
    """Size of a voxel in x voxels: float [3], (z, y, x).

    Args:
        voxel_size: (z, y, x) in um; None, unknown: cubes.
    """
    if voxel_size is None:
        return np.ones(3)
    return np.asarray(voxel_size, float) / voxel_size[2]
