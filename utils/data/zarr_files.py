"""What the versions of the library zarr differ in: stores, arrays, checks of chunks.

Format 2 is written and read by both (zarr 2 on Python up to 3.10, zarr 3 on newer ones), format 3
read by zarr 3. The library takes a second to import, so functions import it when they run.
"""
import contextlib
import importlib
import os
import re

from utils.common import files
from utils.common.errors import UserError

URL = re.compile(r'[a-z][a-z0-9+.-]+://', re.IGNORECASE)
MARKS = '.zgroup', '.zattrs', '.zarray', 'zarr.json'         # files by which a folder is a store's
EXTRAS = 'requirements-volumes.txt'
COMPRESSOR = {'id': 'blosc', 'cname': 'zstd', 'clevel': 3, 'shuffle': 1, 'blocksize': 0}
BLOSC_HEAD = 16                                              # bytes; its length is in the last four


def library(name='zarr', *, of='requirements.txt', path=''):
    """A module that OME-Zarr needs, imported.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError('%s needs the Python package %s: install it (pip install -r %s)'
                        % (path or 'OME-Zarr', name, of))


def is_url(path):
    """True for an address (s3://, https://), which fsspec reads."""
    return bool(URL.match(path))


def is_format_3():
    """True if the library reads format 3, too."""
    return int(library().__version__.split('.')[0]) >= 3


# --- stores ---

def store_of(path):
    """A read-only store of a folder or an address, whose chunks are checked for being whole.

    Raises:
        UserError: the package that an address needs is missing.
    """
    if is_format_3():
        return _store_3(path)
    zarr = library()
    if not is_url(path):
        inner = zarr.storage.DirectoryStore(path)
    else:
        # without getitems, in which zarr 2 takes chunks that could not be fetched as empty ones
        options = _options(path)
        with _of_address(path):
            inner = library('fsspec').get_mapper(path, **options)
    return _checked_mapping(zarr)(inner)


def _options(path):
    """fsspec's options for an address.

    Raises:
        UserError: a package is missing.
    """
    library('fsspec', of=EXTRAS, path=path)
    if path.lower().startswith('http'):
        library('aiohttp', of=EXTRAS, path=path)
    if not path.lower().startswith('s3://'):
        return {}
    library('s3fs', of=EXTRAS, path=path)
    credentials = importlib.import_module('botocore.session').get_session().get_credentials()
    return {'anon': credentials is None}                     # public data need no account


@contextlib.contextmanager
def _of_address(path):
    """Within the block fsspec's complaints of an address become a UserError."""
    try:
        yield
    except (ImportError, ValueError) as error:
        raise UserError('%s cannot be read: %s; pip install -r %s has what s3:// and https:// need'
                        % (path, words(error), EXTRAS))


def _check_blosc(data, key):
    """Raise ValueError if a chunk that Blosc compressed is shorter than its head says.

    Blosc does not look, and reads what lies behind it in memory.
    """
    data = bytes(data[:BLOSC_HEAD]), len(data)
    if data[1] < BLOSC_HEAD or int.from_bytes(data[0][12:16], 'little') > data[1]:
        raise ValueError('%s holds %d bytes, more are wanted' % (key, data[1]))


def _checked_mapping(zarr):
    """Class of zarr 2's stores: a mapping that checks chunks."""
    class Checked(zarr.storage.KVStore):
        """A mapping of keys to bytes; blosc: whether its chunks are compressed by it."""

        blosc = False

        def __getitem__(self, key):
            data = super().__getitem__(key)
            if self.blosc and _is_chunk(key):
                _check_blosc(data, key)
            return data
    return Checked


def _store_3(path):
    """store_of for zarr 3."""
    storage = library('zarr.storage')

    class Checked(storage.WrapperStore):
        """A store that checks chunks; blosc: whether they are compressed by it."""

        blosc = False

        async def get(self, key, prototype, byte_range=None):
            """As every store of zarr."""
            found = await super().get(key, prototype, byte_range)
            if self.blosc and found is not None and byte_range is None and _is_chunk(key):
                _check_blosc(found.to_bytes(), key)
            return found

        def with_read_only(self, read_only=False):
            """As every store of zarr; this one only reads."""
            return self

    if not is_url(path):
        return Checked(storage.LocalStore(path, read_only=True))
    options = _options(path)
    with _of_address(path):
        return Checked(storage.FsspecStore.from_url(path, storage_options=options,
                                                    read_only=True))


def _is_chunk(key):
    """True for a key of a chunk, not of metadata."""
    return not key.rsplit('/', 1)[-1].startswith(('.z', 'zarr.json'))


# --- groups and arrays ---

def attributes_of(store, *, path):
    """Attributes of a store's root group.

    Raises:
        UserError: no group; format 3 where the library reads 2 alone; an address out of reach.
    """
    zarr = library()
    try:
        if not is_format_3() and 'zarr.json' in store:
            raise UserError('%s is Zarr format 3 (NGFF 0.5), which the zarr of Python 3.11 or '
                            'newer reads: run it there, or save it as NGFF 0.4' % path)
        return dict(zarr.open_group(store, mode='r').attrs.asdict())
    except (UserError, MemoryError):
        raise
    except Exception as error:                       # many kinds: zarr's, fsspec's, aiohttp's
        if is_url(path) and not _is_absent(error):
            raise UserError('%s cannot be reached (%s): check the address and the network'
                            % (path, words(error)))
        if not is_url(path) and isinstance(error, PermissionError):
            raise UserError('%s cannot be opened: %s' % (path, error.strerror or error))
        if not is_url(path) and any(os.path.exists(os.path.join(path, name))
                                    for name in ('.zgroup', 'zarr.json')):
            raise UserError('%s has damaged metadata (%s): copy or save it again'
                            % (path, words(error)))
        raise UserError('%s holds no OME-Zarr image (no .zgroup or zarr.json of a group): give '
                        'the folder of one' % path)


def _is_absent(error):
    """True for an exception that says that there is no such group."""
    return isinstance(error, (FileNotFoundError, KeyError)) or 'NotFound' in type(error).__name__ \
        or 'ContainsArray' in type(error).__name__


def array_of(store, name, *, path):
    """An array of a store, read-only; the store's checks are set for it.

    Raises:
        UserError: there is none; unknown codecs; damaged metadata.
    """
    zarr = library()
    try:
        array = zarr.open_array(store=store, path=name, mode='r')
        store.blosc = _uses_blosc(array)
        if array.fill_value is None:
            array._fill_value = 0                    # zarr 2 would leave absent chunks unset
        return array
    except MemoryError:
        raise
    except Exception as error:                       # zarr raises many kinds
        raise UserError('%s/%s cannot be opened (%s): copy or save it again; a missing codec can '
                        'be installed' % (path, name, words(error)))


def _uses_blosc(array):
    """True if each stored chunk is one buffer of Blosc, by the array's metadata."""
    if getattr(array, 'shards', None):                       # several, and a checksum
        return False
    found = getattr(array, 'compressors', None)              # zarr 3
    if found is None:
        found = [array.compressor]
    return bool(found) and 'blosc' in type(found[-1]).__name__.lower()


def writable_array(folder):
    """An array of a local folder, to write whole chunks to.

    Blosc compresses in the calling thread alone, which gives the same bytes each time; empty
    chunks are not stored.
    """
    zarr = library()
    library('numcodecs.blosc').use_threads = False
    if is_format_3():
        return zarr.open_array(store=folder, mode='r+', zarr_format=2)
    return zarr.open_array(folder, mode='r+', write_empty_chunks=False)


def write_array(folder, *, shape, dtype, chunks):
    """Write the metadata of an array of format 2, if it is not there; whole or not at all.

    Raises:
        UserError: there is another one.
    """
    wanted = {'zarr_format': 2, 'shape': [int(n) for n in shape],
              'chunks': [int(n) for n in chunks], 'dtype': dtype.newbyteorder('<').str,
              'compressor': COMPRESSOR, 'fill_value': 0, 'order': 'C', 'filters': None,
              'dimension_separator': '/'}
    write_once(os.path.join(folder, '.zarray'), wanted)


def write_once(path, values):
    """Write JSON, or see that the same is there already.

    Raises:
        UserError: the file holds something else.
    """
    if not os.path.exists(path):
        files.write_json(path, values)
    elif files.read_json(path) != files.from_json(files.to_json(values)):
        raise UserError('%s is of another volume: remove the folder, or name another one' % path)


def words(error):
    """First words of an exception, on one line."""
    return (str(error).split('\n')[0] or type(error).__name__)[:100]
