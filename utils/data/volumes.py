"""Volumes that need not fit in memory: OME-Zarr and chunked HDF5, read and written by blocks."""
import os

import numpy as np

from utils.common import files
from utils.common.errors import UserError
from utils.data import hdf5, ngff, pyramid, zarr_files
from utils.data.sliced import Volume, WritableVolume

EXTENSION = '.zarr'


def is_volume(path):
    """True for what open_volume reads by blocks, judged by its name and kind.

    An OME-Zarr folder (*.zarr, or one with .zgroup, .zattrs, .zarray or zarr.json), an address
    (s3://, https://), or an HDF5 file whose stack lies in chunks.
    """
    if zarr_files.is_url(path):
        return True
    if os.path.isdir(path):
        return path.rstrip('/').lower().endswith(EXTENSION) or any(
            os.path.isfile(os.path.join(path, name)) for name in zarr_files.MARKS)
    return (os.path.isfile(path)                         # opening a pipe would wait for its writer
            and path.lower().endswith(hdf5.EXTENSIONS) and hdf5.is_chunked(path))


# --- opening ---

def is_larger(path, most, *, channel=0):
    """True for a volume of more than `most` voxels. Raises UserError: as open_volume."""
    if not is_volume(path):
        return False
    with open_volume(path, channel=channel) as volume:
        return np.prod(volume.shape, dtype=float) > most


def open_volume(path, *, channel=0, level=0, unfinished=False):
    """Open a volume; nothing but metadata is read.

    Args:
        path: OME-Zarr folder or address, or HDF5 file.
        channel: which of several, from 0, which one without an axis for them has, too; time point
            0 is taken.
        level: of the pyramid, 0 the finest.
        unfinished: open it even if blocks of it are still being made.

    Returns:
        Volume, uint8, uint16 or floating point; threads may share it.

    Raises:
        UserError: no such level or channel, 2-D, no multiscales, another dtype, no chunk at all,
            an address out of reach, a package that is missing, an unfinished volume.
    """
    if not zarr_files.is_url(path) and not os.path.isdir(path):
        check_channel(path, channel)
        stack, voxel_size, close = hdf5.open_stack(path)
        return _checked(Volume(path, stack, axes=hdf5.fixed_axes(stack.shape),
                               voxel_size=voxel_size, close=close))
    store, image, path = _image(path)
    if image.unfinished and not unfinished:
        raise UserError('%s is not finished: wait for the processes that make it, or give their '
                        'command again' % path)
    if not 0 <= level < len(image.levels):
        raise UserError('%s has the levels 0 to %d, not %d: name one of them'
                        % (path, len(image.levels) - 1, level))
    folder = image.levels[level][0]
    array = zarr_files.array_of(store, folder, path=path)
    if array.ndim != len(image.axes):
        raise UserError('%s tells the axes %s, but level %d has %d of them: save it again'
                        % (path, ' '.join(image.axes), level, array.ndim))
    axes = _fixed(image.axes, array.shape, channel=channel, path=path)
    return _checked(Volume(path, array, axes=axes, voxel_size=ngff.voxel_size(image, level)),
                    folder=None if image.sparse else folder)


def check_channel(path, channel):
    """Raise UserError for any channel but 0 of a stack that has no axis for channels."""
    if channel:
        raise UserError('%s has no channels, and CHANNEL=%d is asked for: leave CHANNEL away, or '
                        'give another stack' % (path, channel))


def has_channels(path):
    """True for an OME-Zarr image with several channels. Raises UserError: as open_volume."""
    if not (zarr_files.is_url(path) or os.path.isdir(path) and is_volume(path)):
        return False
    store, image, path = _image(path)
    shape = zarr_files.array_of(store, image.levels[0][0], path=path).shape
    return dict(zip(image.axes, shape)).get('c', 1) > 1


def _image(path):
    """(store, its ngff.Image, path) of a folder; of Bio-Formats' folder with one image, of that."""
    store = zarr_files.store_of(path)
    attributes = zarr_files.attributes_of(store, path=path)
    if 'bioformats2raw.layout' in attributes.get('ome', attributes) and (
            'multiscales' not in attributes.get('ome', attributes)):
        path = path.rstrip('/') + '/0'
        return _image(path)
    return store, ngff.image_of(attributes, path=path), path


def _fixed(axes, shape, *, channel, path):
    """For each axis 'z', 'y', 'x', or the index that is taken of it.

    Raises:
        UserError: there is no such channel; an unknown axis is longer than 1.
    """
    if 'c' not in axes:
        check_channel(path, channel)
    fixed = []
    for axis, length in zip(axes, shape):
        if axis == 'c' and not 0 <= channel < length:
            raise UserError('%s has the channels 0 to %d, not %d: name one of them'
                            % (path, length - 1, channel))
        if axis not in ngff.SPACE + ('t', 'c') and length > 1:
            raise UserError('%s has %d places along its axis %s: save one of them alone'
                            % (path, length, axis))
        fixed.append(axis if axis in ngff.SPACE else channel if axis == 'c' else 0)
    return fixed


def _checked(volume, *, folder=None):
    """The volume, if its voxels can be used.

    Raises:
        UserError: another dtype; a local OME-Zarr level without a single chunk.
    """
    path = volume.path
    if volume.dtype not in (np.dtype('u1'), np.dtype('u2')) and volume.dtype.kind != 'f':
        raise UserError('%s is %s: convert it to 8 or 16 bit unsigned' % (path, volume.dtype))
    if not all(volume.shape):
        raise UserError('%s is %s voxels (z, y, x): it holds none'
                        % (path, ' x '.join(map(str, volume.shape))))
    if folder is not None and not zarr_files.is_url(path) and not _has_chunk(path, folder):
        raise UserError('%s holds not a single chunk of its level %s: copy it again, with all that '
                        'is in its folder' % (path, folder))
    return volume


def _has_chunk(path, folder):
    """True once a file is found that is no metadata and not left unfinished."""
    return any(not name.startswith('.') and name != 'zarr.json' and not name.endswith('.partial')
               for _, _, names in os.walk(os.path.join(path, folder)) for name in names)


# --- writing ---

def create(path, *, shape, dtype, chunks, voxel_size, name=None, unfinished=False):
    """Make an OME-Zarr image (NGFF 0.4, Zarr format 2) to be written by whole chunks.

    Several processes may make the same one at a time; what is there already stays.

    Args:
        path: folder.
        shape, chunks: (z, y, x) voxels.
        dtype: uint8 or uint16.
        voxel_size: (z, y, x) um, or None if unknown.
        name: of the image; None: the folder's.
        unfinished: until build_pyramid, open_volume refuses it unless told otherwise.

    Returns:
        WritableVolume.

    Raises:
        UserError: the folder holds another volume.
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.dtype('u1'), np.dtype('u2')):
        raise ValueError('volumes are uint8 or uint16, not %s' % dtype)
    chunks = [min(a, b) for a, b in zip(chunks, shape)]
    zarr_files.write_array(os.path.join(path, '0'), shape=shape, dtype=dtype, chunks=chunks)
    pyramid.write_head(path, name=name, voxel_size=voxel_size, unfinished=unfinished)
    return open_writable(path)


def open_writable(path):
    """Open a volume that create() has made, in this or another process, to write to it."""
    attributes = files.read_json(os.path.join(path, '.zattrs'))
    image = ngff.image_of(attributes, path=path)
    return WritableVolume(path, zarr_files.writable_array(os.path.join(path, '0')),
                          axes=list(ngff.SPACE), voxel_size=ngff.voxel_size(image, 0))


def build_pyramid(path, *, how='mean'):
    """Add the lower levels to a volume that is written; see pyramid.build."""
    pyramid.build(path, how=how)
