"""Stacks on disk as objects that are sliced: reading any box of voxels, writing whole chunks."""
import numpy as np

from utils.common.errors import MachineError, UserError
from utils.data import ngff, pyramid, zarr_files


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
