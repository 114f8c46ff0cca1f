"""Volumes that need not fit in memory: OME-Zarr and chunked HDF5, read and written by blocks."""
import os

import numpy as np

from utils.common import files
from utils.common.errors import MachineError, UserError
from utils.data import hdf5, ngff, pyramid, zarr_files

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
    return path.lower().endswith(hdf5.EXTENSIONS) and hdf5.is_chunked(path)


class Volume:
    """A stack on disk, axes (z, y, x), read by slices: volume[z0:z1, y0:y1, x0:x1] -> array.

    Attributes:
        path: as given.
        shape: (z, y, x) voxels.
        dtype: of what is read, in the machine's byte order.
        voxel_size: (z, y, x) um, or None if unknown.
        chunks: (z, y, x) voxels of a chunk; the shape where there are none.
    """

    def __init__(self, path, array, *, axes, voxel_size, close=None):
        """array: of zarr or h5py; axes: 'z', 'y', 'x' or a fixed index, for each of its axes."""
        self.path, self.voxel_size = path, voxel_size
        self._array, self._axes, self._close = array, axes, close
        places = [axes.index(axis) for axis in ngff.SPACE]
        self.shape = tuple(int(array.shape[place]) for place in places)
        chunks = array.chunks or array.shape
        self.chunks = tuple(int(min(chunks[place], array.shape[place])) for place in places)
        self.dtype = np.dtype(array.dtype).newbyteorder('=')
        stored = [axis for axis in axes if axis in ngff.SPACE]
        self._order = [stored.index(axis) for axis in ngff.SPACE]

    def __getitem__(self, key):
        """Read voxels; key: slices, as for numpy's arrays.

        Raises:
            UserError: a chunk is cut short, damaged, or cannot be fetched.
        """
        slices = self._slices(key)
        try:
            return self._read(slices)
        except (MemoryError, UserError):
            raise
        except Exception as error:                           # codecs and networks raise many kinds
            raise UserError('%s: the chunk of voxel %s (z, y, x) cannot be read (%s): copy or save '
                            'it again' % ((self.path,) + self._first_bad(slices, error)))

    def _slices(self, key):
        """Three slices of what stands between the brackets."""
        key = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(part, slice) for part in key) or len(key) > 3:
            raise TypeError('a volume is read by up to three slices, not by %r' % (key,))
        return key + (slice(None),) * (3 - len(key))

    def _read(self, slices):
        """Voxels of three slices."""
        named = dict(zip(ngff.SPACE, slices))
        found = self._array[tuple(named.get(axis, axis) for axis in self._axes)]
        return np.ascontiguousarray(np.transpose(found, self._order), dtype=self.dtype)

    def _first_bad(self, slices, error):
        """(corner of the first chunk that cannot be read, reason) among those of three slices."""
        starts = [range(part.indices(n)[0] // step * step, part.indices(n)[1], step)
                  for part, n, step in zip(slices, self.shape, self.chunks)]
        for corner in ((z, y, x) for z in starts[0] for y in starts[1] for x in starts[2]):
            try:
                self._read(tuple(slice(n, n + 1) for n in corner))
            except Exception as found:
                return '%d, %d, %d' % corner, zarr_files.words(found)
        return 'in %s' % (slices,), zarr_files.words(error)

    def close(self):
        """Close the file; folders need none."""
        if self._close is not None:
            self._close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class WritableVolume(Volume):
    """A volume to write by whole chunks: volume[z0:z1, y0:y1, x0:x1] = block."""

    _begun = False

    def __setitem__(self, key, block):
        """Write chunks, each of them whole or not at all.

        Raises:
            ValueError: a block that covers a chunk in part, or of another dtype or shape.
            MachineError: the disk is full, or the folder cannot be written.
        """
        slices = self._slices(key)
        bounds = [part.indices(n) for part, n in zip(slices, self.shape)]
        whole = all(a % c == 0 and (b % c == 0 or b == n) and step == 1
                    for (a, b, step), c, n in zip(bounds, self.chunks, self.shape))
        if not whole or block.shape != tuple(b - a for a, b, _ in bounds):
            raise ValueError('%s: slices %s take a block of whole chunks %s, not of %s'
                             % (self.path, bounds, self.chunks, block.shape))
        if block.dtype != self.dtype:
            raise ValueError('%s holds %s, not %s' % (self.path, self.dtype, block.dtype))
        try:
            if not self._begun:                              # lower levels would be of old voxels
                pyramid.drop(self.path)
                self._begun = True
            self._array[slices] = block
        except OSError as error:
            raise MachineError('%s cannot be written: %s'
                               % (self.path, error.strerror or error))


# --- opening ---

def open_volume(path, *, channel=0, level=0):
    """Open a volume; nothing but metadata is read.

    Args:
        path: OME-Zarr folder or address, or HDF5 file.
        channel: which of several, from 0; time point 0 is taken.
        level: of the pyramid, 0 the finest.

    Returns:
        Volume, uint8, uint16 or floating point; threads may share it.

    Raises:
        UserError: no such level or channel, 2-D, no multiscales, another dtype, no chunk at all,
            an address out of reach, a package that is missing.
    """
    if not zarr_files.is_url(path) and not os.path.isdir(path):
        stack, voxel_size, close = hdf5.open_stack(path)
        return _checked(Volume(path, stack, axes=hdf5.fixed_axes(stack.shape),
                               voxel_size=voxel_size, close=close))
    store, image, path = _image(path)
    if not 0 <= level < len(image.levels):
        raise UserError('%s has the levels 0 to %d, not %d: name one of them'
                        % (path, len(image.levels) - 1, level))
    folder = image.levels[level][0]
    array = zarr_files.array_of(store, folder, path=path)
    if array.ndim != len(image.axes):
        raise UserError('%s tells the axes %s, but level %d has %d of them: save it again'
                        % (path, ' '.join(image.axes), level, array.ndim))
    return _checked(Volume(path, array, axes=_fixed(image.axes, array.shape, channel=channel, path=path),
                           voxel_size=ngff.voxel_size(image, level)),
                    folder=None if image.sparse else folder)


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

def create(path, *, shape, dtype, chunks, voxel_size):
    """Make an OME-Zarr image (NGFF 0.4, Zarr format 2) to be written by whole chunks.

    Several processes may make the same one at a time; what is there already stays.

    Args:
        path: folder.
        shape, chunks: (z, y, x) voxels.
        dtype: uint8 or uint16.
        voxel_size: (z, y, x) um, or None if unknown.

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
    pyramid.write_head(path, voxel_size=voxel_size)
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
