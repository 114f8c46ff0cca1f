"""New HDF5 files, whole or absent. HDF5 itself never meets a full disk.

Where HDF5 cannot write what it still holds as it closes a file, the process ends by a segmentation
fault. So a file is built in memory and written by ordinary calls; a large one goes through calls
that keep an error instead of passing it to HDF5. Equal contents make equal bytes.
"""
import contextlib

import h5py

from utils.common.files import whole_file

IN_MEMORY = 2 ** 28        # bytes of the largest file built in memory, which takes twice that


@contextlib.contextmanager
def create(path, size):
    """Yield a new HDF5 file; it is at `path` if the block ends well.

    Args:
        path: of the file; size: bytes of the data sets, about; it decides how the file is built.

    Yields:
        (h5py.File, check): call check() now and then; it raises what has gone wrong so far.

    Raises:
        UserError: the disk is full.
    """
    with whole_file(path) as partial, open(partial, 'w+b', buffering=0) as disk:
        calls = _Disk(disk)
        if size > IN_MEMORY:
            with h5py.File(calls, 'w') as file:
                yield file, calls.check
        else:
            with h5py.File(partial, 'w', driver='core', backing_store=False) as file:
                yield file, calls.check
                file.flush()
                calls.write(file.id.get_file_image())
        calls.check()


class _Disk:
    """A file as HDF5 asks for it. From the first error on, what is written stays in memory, so that
    HDF5 finds all that it wrote until it has closed the file."""

    def __init__(self, file):
        """Args: file: empty, opened without a buffer."""
        self.file, self.error, self.kept = file, None, []
        self.place = self.end = 0                        # as HDF5 sees them

    def seek(self, place, whence=0):
        """Go to a place, from the start or (whence 2) from the end."""
        self.place = place + (self.end if whence == 2 else 0)

    def tell(self):
        """The place."""
        return self.place

    def write(self, data):
        """Write all bytes of `data`; their number."""
        try:
            if self.error is None:
                self.file.seek(self.place)
                left = memoryview(data)
                while len(left):
                    left = left[self.file.write(left):]
        except BaseException as error:                   # Ctrl-C, too
            self.error = error
        if self.error is not None:
            self.kept.append((self.place, bytes(data)))
        self.place += len(data)
        self.end = max(self.end, self.place)
        return len(data)

    def readinto(self, buffer):
        """Fill a buffer from the place on."""
        self.file.seek(self.place)
        self.file.readinto(buffer)
        view, stop = memoryview(buffer), self.place + len(buffer)
        for start, data in self.kept:
            low, high = max(start, self.place), min(start + len(data), stop)
            if low < high:
                view[low - self.place:high - self.place] = data[low - start:high - start]
        self.place = stop
        return len(buffer)

    def truncate(self, size):
        """Set the length of the file."""
        self.end = size
        try:
            if self.error is None:
                self.file.truncate(size)
        except BaseException as error:
            self.error = error

    def read(self, *_):
        """Never called: h5py looks for a `read`, and reads by readinto."""
        raise NotImplementedError

    def flush(self):
        """Nothing waits: the file is opened without a buffer."""

    def check(self):
        """Raise what went wrong."""
        if self.error is not None:
            raise self.error
