"""Volumes that need not fit in memory: OME-Zarr of this project and of others, chunked HDF5."""
import contextlib
import functools
import http.server
import json
import os
import sys
import threading
from concurrent import futures

import h5py
import numpy as np
import pytest
from volume_stores import foreign, put

from utils.common.errors import UserError
from utils.data import ngff, pyramid, stacks, volumes, zarr_files
from utils.trace import results

SHAPE, CHUNKS = (20, 37, 41), (8, 16, 16)
BLOCK = np.s_[3:19, 5:30, 7:33]


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(1, 4000, SHAPE).astype(np.uint16)


def written(path, voxels, **more):
    """A volume as this project writes it."""
    volume = volumes.create(str(path), shape=voxels.shape, dtype=voxels.dtype, **dict(
        {'chunks': CHUNKS, 'voxel_size': (2.0, 0.5, 0.25)}, **more))
    volume[:] = voxels
    return str(path)


def change(path, function):
    """Change a JSON file by function (dict)."""
    values = json.loads(path.read_text())
    function(values)
    path.write_text(json.dumps(values))


def contents(folder):
    """dict from path in a folder to bytes, of all files."""
    return {os.path.relpath(os.path.join(place, name), str(folder)):
            open(os.path.join(place, name), 'rb').read()
            for place, _, names in os.walk(str(folder)) for name in names}


# --- writing and reading ---

def test_what_is_written_is_read_by_any_slices(tmp_path, voxels):
    path = written(tmp_path / 'a.zarr', voxels)
    with volumes.open_volume(path) as volume:
        assert (volume.shape, volume.chunks, volume.dtype) == (SHAPE, CHUNKS, np.dtype('u2'))
        assert volume.voxel_size == (2.0, 0.5, 0.25) and volume.path == path
        for key in (BLOCK, np.s_[4:5], np.s_[:, 36:], np.s_[-3:, :, :1000], np.s_[5:5]):
            np.testing.assert_array_equal(volume[key], voxels[key])
        with futures.ThreadPoolExecutor(4) as pool:
            assert all(np.array_equal(found, voxels[BLOCK])
                       for found in pool.map(lambda _: volume[BLOCK], range(20)))
    path = written(tmp_path / 'b.ome.zarr', voxels, voxel_size=None)
    assert volumes.open_volume(path).voxel_size is None
    assert json.loads((tmp_path / 'b.ome.zarr/.zattrs').read_text())['multiscales'][0][
        'name'] == 'b'


def test_processes_that_create_the_same_volume_agree(tmp_path, voxels):
    """Each begins it, in whatever order, and writes its chunks; the bytes are those of one."""
    path = str(tmp_path / 'a.zarr')
    begun = dict(shape=SHAPE, dtype='u2', chunks=CHUNKS, voxel_size=(2, 0.5, 0.25))
    first, second = volumes.create(path, **begun), volumes.create(path, **begun)
    second[16:, :16, :] = voxels[16:, :16]
    first[:16] = voxels[:16]
    volumes.open_writable(path)[16:, 16:] = voxels[16:, 16:]
    assert contents(path) == contents(written(tmp_path / 'b/a.zarr', voxels))
    with pytest.raises(UserError, match='another volume'):
        volumes.create(path, **dict(begun, shape=(21, 37, 41)))
    with pytest.raises(UserError, match='another volume'):
        volumes.create(path, **dict(begun, voxel_size=(1, 1, 1)))
    np.testing.assert_array_equal(volumes.open_volume(path)[:], voxels)


@pytest.mark.parametrize('key, shape', [
    (np.s_[0:7], (7, 37, 41)), (np.s_[4:8], (4, 37, 41)), (np.s_[0:8], (8, 37, 40))])
def test_parts_of_chunks_are_refused(tmp_path, voxels, key, shape):
    volume = volumes.open_writable(written(tmp_path / 'a.zarr', voxels))
    with pytest.raises(ValueError, match='whole chunks'):
        volume[key] = np.zeros(shape, 'u2')
    with pytest.raises(ValueError, match='uint16'):
        volume[:] = voxels.astype('u1')


def test_empty_chunks_are_not_stored_and_read_as_zeros(tmp_path, voxels):
    voxels[8:16] = 0
    path = written(tmp_path / 'a.zarr', voxels)
    assert not os.path.exists(path + '/0/1') and os.path.exists(path + '/0/2')
    np.testing.assert_array_equal(volumes.open_volume(path)[:], voxels)
    empty = volumes.open_volume(written(tmp_path / 'b.zarr', voxels * 0))      # it may have none
    assert not empty[:].any()


# --- pyramid ---

def test_levels_are_means_of_the_one_above(tmp_path, monkeypatch):
    """z is four times as coarse: it is halved from the third level on. 37 voxels become 19."""
    monkeypatch.setattr(pyramid, 'SMALLEST', 10)
    voxels = np.random.default_rng(0).integers(0, 250, (20, 37, 41)).astype(np.uint8)
    path = written(tmp_path / 'a.zarr', voxels, voxel_size=(1, 0.25, 0.25))
    volumes.build_pyramid(path)
    levels = [volumes.open_volume(path, level=level) for level in range(4)]
    assert [level.shape for level in levels] == [
        (20, 37, 41), (20, 19, 21), (20, 10, 11), (10, 5, 6)]
    assert [level.voxel_size for level in levels] == [
        (1, 0.25, 0.25), (1, 0.5, 0.5), (1, 1, 1), (2, 2, 2)]
    pairs = levels[0][:][:, :36, :40].reshape(20, 18, 2, 20, 2).astype(float)
    np.testing.assert_array_equal(levels[1][:][:, :18, :20], np.rint(pairs.mean((2, 4))))
    np.testing.assert_array_equal(levels[1][:][:, 18, 20], voxels[:, 36, 40])
    levels = json.loads((tmp_path / 'a.zarr/.zattrs').read_text())['multiscales'][0]['datasets']
    assert levels[3]['coordinateTransformations'][1] == {    # middle of 2 x 8 x 8 voxels
        'type': 'translation', 'translation': [0.5, 0.875, 0.875]}


def test_masks_stay_visible(tmp_path, monkeypatch):
    monkeypatch.setattr(pyramid, 'SMALLEST', 4)
    line = np.zeros((3, 16, 16), np.uint8)
    line[1, 5] = 1
    path = written(tmp_path / 'a.zarr', line, voxel_size=None)
    volumes.build_pyramid(path, how='max')
    assert volumes.open_volume(path, level=2)[:].sum() == 4


def test_a_killed_pyramid_is_gone_on_with(tmp_path, voxels, monkeypatch):
    """Chunks that are there stay; with others the levels are made anew."""
    monkeypatch.setattr(pyramid, 'SMALLEST', 12)
    path = written(tmp_path / 'a.zarr', voxels)
    before = contents(path)
    volumes.build_pyramid(path)
    whole, kept = contents(path), os.stat(path + '/1/0/0/0').st_mtime_ns
    (tmp_path / 'a.zarr/.zattrs').write_bytes(before['.zattrs'])
    os.remove(path + '/1/0/1/1')
    (tmp_path / 'a.zarr/2/0/0/0.1234.partial').write_bytes(b'x')
    assert volumes.open_volume(path)[:].any()                # it can be read meanwhile
    volumes.build_pyramid(path)
    assert contents(path) == whole and os.stat(path + '/1/0/0/0').st_mtime_ns == kept
    volumes.open_writable(path)[:] = voxels
    assert contents(path) == before
    volumes.build_pyramid(path)
    assert contents(path) == whole


# --- metadata of others ---

@pytest.mark.parametrize('unit, scale, size', [
    ('nanometer', (2000, 350, 350), (2, 0.35, 0.35)), ('millimeter', (0.002, 5e-4, 5e-4),
                                                       (2, 0.5, 0.5)),
    ('Micrometre', (2, 0.5, 0.5), (2, 0.5, 0.5)), ('angstrom', (1e4, 1e4, 1e4), (1, 1, 1)),
    (None, (2, 0.5, 0.5), (2, 0.5, 0.5)), (None, (1, 1, 1), None), (None, None, None),
    ('micrometer', (1, 1, 1), (1, 1, 1)), ('pixel', (2, 1, 1), None), (7, (2, 1, 1), None),
    ('micrometer', (0, 1, 1), None), ('micrometer', (float('nan'), 1, 1), None)])
def test_units_become_micrometres(tmp_path, voxels, unit, scale, size):
    path = foreign(tmp_path / 'a.zarr', voxels, unit=unit, scale=scale)
    assert volumes.open_volume(path).voxel_size == size


def test_traces_lie_over_the_channel_that_was_asked_for(tmp_path, voxels):
    (tmp_path / 'images').mkdir()
    foreign(tmp_path / 'images' / 'a.zarr', np.stack([voxels, voxels + 1]), axes='czyx')
    for channel in (0, 1):
        found = results.image_under('a', 'maps/a.prob.tif', shape=SHAPE, channel=channel,
                                    images=str(tmp_path / 'images'))
        np.testing.assert_array_equal(found, voxels + channel)


def test_channels_and_time_points(tmp_path, voxels):
    five = np.stack([np.stack([voxels, voxels + 1]), np.stack([voxels + 2, voxels + 3])])
    path = foreign(tmp_path / 'a.zarr', five, axes='tczyx')
    for channel in (0, 1):
        volume = volumes.open_volume(path, channel=channel)
        assert volume.shape == volume.chunks == SHAPE and volume.voxel_size == (2, 0.5, 0.25)
        np.testing.assert_array_equal(volume[BLOCK], voxels[BLOCK] + channel)
    with pytest.raises(UserError, match='channels 0 to 1, not 2'):
        volumes.open_volume(path, channel=2)
    with pytest.raises(UserError, match='levels 0 to 0, not 1'):
        volumes.open_volume(path, level=1)


def test_axes_of_older_versions_and_other_orders(tmp_path, voxels):
    head = tmp_path / 'a.zarr/.zattrs'
    path = foreign(tmp_path / 'a.zarr', voxels)
    change(head, lambda values: values['multiscales'][0].update(
        version='0.3', axes=['z', 'y', 'x']))
    np.testing.assert_array_equal(volumes.open_volume(path)[BLOCK], voxels[BLOCK])
    path = foreign(tmp_path / 'a.zarr', voxels[None, None])
    change(head, lambda values: values['multiscales'][0].pop('axes'))        # 0.1
    np.testing.assert_array_equal(volumes.open_volume(path)[BLOCK], voxels[BLOCK])
    path = foreign(tmp_path / 'b.zarr', voxels.transpose(2, 0, 1).astype('>u2'), axes='xzy')
    found = volumes.open_volume(path)
    assert found.dtype == np.dtype('=u2') and found.voxel_size == (2, 0.5, 0.25)
    np.testing.assert_array_equal(found[BLOCK], voxels[BLOCK])
    assert found[BLOCK].dtype.isnative


def test_scales_of_all_levels_and_of_one_multiply(tmp_path, voxels):
    path = foreign(tmp_path / 'a.zarr', voxels, scale=(1, 1, 1))
    change(tmp_path / 'a.zarr/.zattrs', lambda values: values['multiscales'][0].update(
        coordinateTransformations=[{'type': 'scale', 'scale': [3, 0.5, 0.5]}]))
    assert volumes.open_volume(path).voxel_size == (3, 0.5, 0.5)


def test_folders_of_bioformats2raw(tmp_path, voxels):
    put(tmp_path / 'a.zarr/.zgroup', {'zarr_format': 2})
    put(tmp_path / 'a.zarr/.zattrs', {'bioformats2raw.layout': 3})
    foreign(tmp_path / 'a.zarr/0', voxels)
    np.testing.assert_array_equal(volumes.open_volume(str(tmp_path / 'a.zarr'))[:], voxels)


def format_3(path, voxels):
    """A store of NGFF 0.5 on Zarr format 3, made without zarr."""
    axes = [{'name': axis, 'type': 'space', 'unit': 'micrometer'} for axis in 'zyx']
    put(path / 'zarr.json', {'zarr_format': 3, 'node_type': 'group', 'attributes': {'ome': {
        'version': '0.5', 'multiscales': [{'axes': axes, 'datasets': [{
            'path': 'full', 'coordinateTransformations': [
                {'type': 'scale', 'scale': [2, 0.5, 0.25]}]}]}]}}})
    put(path / 'full/zarr.json', {
        'zarr_format': 3, 'node_type': 'array', 'shape': voxels.shape, 'data_type': 'uint16',
        'chunk_grid': {'name': 'regular', 'configuration': {'chunk_shape': voxels.shape}},
        'chunk_key_encoding': {'name': 'default', 'configuration': {'separator': '/'}},
        'fill_value': 0, 'codecs': [{'name': 'bytes', 'configuration': {'endian': 'little'}}]})
    (path / 'full/c/0/0').mkdir(parents=True)
    (path / 'full/c/0/0/0').write_bytes(voxels.tobytes())
    return str(path)


def test_format_3_is_read_where_the_library_can(tmp_path, voxels):
    path = format_3(tmp_path / 'a.zarr', voxels)
    if not zarr_files.is_format_3():
        with pytest.raises(UserError, match='format 3.*Python 3.11'):
            volumes.open_volume(path)
        return
    volume = volumes.open_volume(path)
    assert volume.voxel_size == (2, 0.5, 0.25)
    np.testing.assert_array_equal(volume[BLOCK], voxels[BLOCK])
    (tmp_path / 'a.zarr/full/c/0/0/0').write_bytes(voxels.tobytes()[:1000])
    with pytest.raises(UserError, match='cannot be read'):
        volume[:]


# --- bad stores ---

def lacking(name):
    return lambda place: os.remove(str(place / name))


def cut(place):
    (place / '0/0.0.0').write_bytes((place / '0/0.0.0').read_bytes()[:999])


BAD = [
    ('dtype complex', lambda a: a.astype('c8'), {'fill_value': None}, None, 'complex64: convert'),
    ('dtype text', lambda a: a.astype('S4'), {'fill_value': None}, None, 'S4: convert'),
    ('dtype signed', lambda a: a.astype('i4'), {}, None, 'int32: convert'),
    ('2-D', lambda a: a[0], {'axes': 'yx', 'scale': None}, None, '3-D stack'),
    ('no multiscales', None, {}, lambda place: put(place / '.zattrs', {}), 'no multiscales'),
    ('no attributes', None, {}, lacking('.zattrs'), 'no multiscales'),
    ('no group', None, {}, lacking('.zgroup'), 'no OME-Zarr'),
    ('damaged attributes', None, {}, lambda place: (place / '.zattrs').write_text('{"mul'),
     'damaged metadata'),
    ('no array', None, {}, lacking('0/.zarray'), '0 cannot be opened'),
    ('damaged array', None, {}, lambda place: (place / '0/.zarray').write_text('{'),
     '0 cannot be opened'),
    ('unknown codec', None, {'compressor': {'id': 'jpegxyz'}}, None, 'jpegxyz'),
    ('no chunk at all', None, {}, lacking('0/0.0.0'), 'not a single chunk'),
    ('cut chunk', None, {}, cut, '0, 0, 0 .z, y, x. cannot be read'),
    ('cut chunk, compressed', None, {'compressor': {'id': 'zlib', 'level': 1}}, None,
     'cannot be read'),
    ('axes and array', lambda a: a[None], {}, None, 'has 4 of them'),
    ('two axes of one name', None, {'axes': 'zzx'}, None, 'damaged multiscales'),
    ('unknown axis', lambda a: np.stack([a, a]), {'axes': 'azyx'}, None, '2 places along its axis'),
    ('plate', None, {}, lambda place: put(place / '.zattrs', {'plate': {}}), 'plate'),
    ('no voxel', lambda a: a[:0], {'chunks': (1, 1, 1)}, None, 'holds none'),
    ('a voxel of 1 m', None, {'unit': 'meter', 'scale': (1, 1, 1)}, None, 'cannot be')]


@pytest.mark.parametrize('voxels_of, store, spoil, words', [case[1:] for case in BAD],
                         ids=[case[0] for case in BAD])
def test_bad_stores_are_named_in_one_line(tmp_path, voxels, voxels_of, store, spoil, words):
    path = foreign(tmp_path / 'bad.zarr', voxels_of(voxels) if voxels_of else voxels, **store)
    if spoil:
        spoil(tmp_path / 'bad.zarr')
    with pytest.raises(UserError, match=words) as error:
        stacks.read(path)
    assert 'bad.zarr' in str(error.value) and '\n' not in str(error.value)


def test_a_cut_chunk_is_named_whatever_it_is_compressed_by(tmp_path):
    """Noise, which Blosc copies as it is: its library would read on behind the chunk's end."""
    noise = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    path = written(tmp_path / 'a.zarr', noise)
    chunk = tmp_path / 'a.zarr/0/1/0/2'
    for length in (len(chunk.read_bytes()) // 2, 5, 0):
        chunk.write_bytes(chunk.read_bytes()[:length])
        volume = volumes.open_volume(path)
        np.testing.assert_array_equal(volume[:8], noise[:8])         # the others can be read
        with pytest.raises(UserError, match='a.zarr: the chunk of voxel 8, 0, 32 .*copy or save'):
            volume[:]


def test_floats_are_read_as_probabilities_alone(tmp_path, voxels):
    path = foreign(tmp_path / 'a.zarr', (voxels / 4000).astype('f4'))
    np.testing.assert_allclose(stacks.read(path, probabilities=True).voxels, voxels / 4000)
    with pytest.raises(UserError, match='floating point'):
        stacks.read(path)


def test_volumes_above_the_memory_are_not_read_whole(tmp_path, voxels):
    path = foreign(tmp_path / 'a.zarr', voxels, shape=(10 ** 6, 10 ** 6, 10 ** 3))
    with pytest.raises(UserError, match='2000000 GB, more than the memory'):
        stacks.read(path)
    assert volumes.open_volume(path).shape == (10 ** 6, 10 ** 6, 10 ** 3)


# --- addresses ---

@contextlib.contextmanager
def served(folder, status=None):
    """The address of a web server of a folder; status: None, or its answer to chunks of z = 1."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if status and '.zarr/0/1/' in self.path:
                self.send_error(status)
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(('127.0.0.1', 0), functools.partial(Handler,
                                                                       directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield 'http://127.0.0.1:%d' % server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_address_is_read_as_a_folder_is(tmp_path, voxels):
    pytest.importorskip('fsspec')
    pytest.importorskip('aiohttp')
    voxels[8:16, :16, :16] = 0                               # a chunk that is not stored
    written(tmp_path / 'a.ome.zarr', voxels)
    with served(tmp_path) as address:
        path = address + '/a.ome.zarr'
        assert stacks.find(path) == [path] and stacks.name_of(path + '?a=b/c') == 'a'
        found = stacks.read(path)
        assert found.voxel_size == (2, 0.5, 0.25)
        np.testing.assert_array_equal(found.voxels, voxels)
        with pytest.raises(UserError, match='b.zarr holds no OME-Zarr'):
            stacks.read(address + '/b.zarr')
    with served(tmp_path, status=503) as address:            # no such chunk counts as empty
        with pytest.raises(UserError, match='chunk of voxel 8, 0, 0 .*cannot be read'):
            stacks.read(address + '/a.ome.zarr')
    with pytest.raises(UserError, match='cannot be reached') as error:
        stacks.read(address + '/a.ome.zarr')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('path', ['s3://bucket/a.zarr', 'https://example.org/a.zarr'])
def test_addresses_need_a_package(monkeypatch, path):
    monkeypatch.setitem(sys.modules, 'fsspec', None)
    assert volumes.is_volume(path)
    with pytest.raises(UserError, match='a.zarr needs .* fsspec.*requirements-volumes.txt'):
        stacks.read(path)


# --- HDF5 ---

def test_chunked_hdf5_is_read_by_blocks(tmp_path, voxels):
    path = str(tmp_path / 'a.h5')
    with h5py.File(path, 'w') as file:
        stack = file.create_dataset('image', data=voxels[None], chunks=(1,) + CHUNKS)
        stack.attrs['element_size_um'] = (2, 0.5, 0.25)
        file['plain'] = voxels
    assert volumes.is_volume(path)
    with volumes.open_volume(path) as volume:
        assert (volume.shape, volume.chunks) == (SHAPE, CHUNKS)
        assert volume.voxel_size == (2, 0.5, 0.25)
        np.testing.assert_array_equal(volume[BLOCK], voxels[BLOCK])
    with h5py.File(path, 'w') as file:
        file['plain'] = voxels
    assert not volumes.is_volume(path)
    assert volumes.open_volume(path).chunks == SHAPE


def test_what_counts_as_a_volume(tmp_path, voxels):
    written(tmp_path / 'plain', voxels)
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'a.tif').write_bytes(b'')
    (tmp_path / 'bad.h5').write_bytes(b'no HDF5')
    found = {name: volumes.is_volume(str(tmp_path / name))
             for name in ('plain', 'folder', 'a.tif', 'bad.h5', 'missing.zarr')}
    assert found == {'plain': True, 'folder': False, 'a.tif': False, 'bad.h5': False,
                     'missing.zarr': False}


# --- public readers and writers ---

def test_ome_zarr_reads_what_is_written(tmp_path, voxels, monkeypatch):
    """Its reader, and the models by which it checks metadata."""
    reader = pytest.importorskip('ome_zarr.reader')
    from ome_zarr.io import parse_url
    monkeypatch.setattr(pyramid, 'SMALLEST', 20)
    path = written(tmp_path / 'a.ome.zarr', voxels)
    volumes.build_pyramid(path)
    node = list(reader.Reader(parse_url(path))())[0]
    assert [level.shape for level in node.data] == [(20, 37, 41), (20, 37, 21), (20, 19, 11)]
    np.testing.assert_array_equal(np.asarray(node.data[0]), voxels)
    changes = node.metadata['coordinateTransformations']
    assert changes[0][0] == {'type': 'scale', 'scale': [2.0, 0.5, 0.25]}
    assert changes[2][0] == {'type': 'scale', 'scale': [2.0, 1.0, 1.0]}
    assert [axis['unit'] for axis in node.metadata['axes']] == ['micrometer'] * 3


def test_what_ome_zarr_writes_is_read(tmp_path, voxels):
    writer = pytest.importorskip('ome_zarr.writer')
    import zarr
    from ome_zarr import format
    for number, version in enumerate((format.FormatV04(), format.FormatV05())):
        path = str(tmp_path / ('%d.zarr' % number))
        group = zarr.open_group(path, mode='w', zarr_format=version.zarr_format)
        writer.write_image(np.stack([voxels, voxels + 1]), group, fmt=version, axes='czyx',
                           scale={'c': 1, 'z': 2000, 'y': 500, 'x': 250},
                           axes_units=dict.fromkeys('zyx', 'nanometer'))
        found = volumes.open_volume(path, channel=1)
        assert found.voxel_size == (2, 0.5, 0.25)
        np.testing.assert_array_equal(found[BLOCK], voxels[BLOCK] + 1)


@pytest.mark.parametrize('kind', [2, 3])
def test_what_bioio_writes_is_read(tmp_path, voxels, kind):
    """Five axes; on format 3 chunks lie in shards."""
    writers = pytest.importorskip('bioio_ome_zarr.writers')
    five = np.stack([voxels, voxels + 1])[None]
    more = {'shard_shape': (1, 1, 16, 32, 64)} if kind == 3 else {}
    writer = writers.OMEZarrWriter(
        str(tmp_path / 'a.zarr'), five.shape, 'uint16', chunk_shape=(1, 1, 8, 16, 32),
        zarr_format=kind, axes_units=[None, None] + ['millimeter'] * 3,
        physical_pixel_size=[1, 1, 0.002, 0.0005, 0.00025], **more)
    writer.write_full_volume(five)
    found = volumes.open_volume(str(tmp_path / 'a.zarr'), channel=1)
    assert found.voxel_size == (2, 0.5, 0.25)
    np.testing.assert_array_equal(found[BLOCK], voxels[BLOCK] + 1)
    np.testing.assert_array_equal(found[:], voxels + 1)


def test_every_level_is_described_by_ngff():
    """Attributes by the text of NGFF 0.4: the scale first, each of as many numbers as axes."""
    head = ngff.attributes('a', voxel_size=(2, 0.5, 0.5), factors=[(1, 1, 1), (1, 2, 2)])
    scales = head['multiscales'][0]
    assert scales['version'] == '0.4' and [a['name'] for a in scales['axes']] == list('zyx')
    for level in scales['datasets']:
        kinds = [change['type'] for change in level['coordinateTransformations']]
        assert kinds in (['scale'], ['scale', 'translation'])
        assert all(len(change[change['type']]) == 3
                   for change in level['coordinateTransformations'])
