"""Reading and writing stacks, and everything that can be wrong with one."""
import base64
import struct

import h5py
import numpy as np
import pytest
import tifffile
from conftest import vaa3d
from PIL import Image

from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.data import vaa3d as vaa3d_files


def noise(*shape):
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)


def test_round_trip_keeps_voxels_and_voxel_size(tmp_path):
    path = str(tmp_path / 'a.tif')
    stacks.write(path, noise(5, 6, 7), voxel_size=(2.0, 0.5, 0.25))
    stack = stacks.read(path)
    np.testing.assert_array_equal(stack.voxels, noise(5, 6, 7))
    np.testing.assert_allclose(stack.voxel_size, (2.0, 0.5, 0.25), rtol=1e-4)


@pytest.mark.parametrize('options', [{}, {'bigtiff': True}, {'compression': 'zlib'},
                                     {'ome': True,
                                      'metadata': {'axes': 'ZYX', 'PhysicalSizeX': 0.5,
                                                   'PhysicalSizeY': 0.5,
                                                                'PhysicalSizeZ': 1.5}},
                                     {'imagej': True, 'metadata': {'axes': 'TYX'}},
                                     {'byteorder': '>'}])
def test_every_common_tiff_is_read(tmp_path, options):
    path = str(tmp_path / ('a.ome.tif' if 'ome' in options else 'a.tif'))
    tifffile.imwrite(path, noise(5, 16, 17), photometric='minisblack', **options)
    stack = stacks.read(path)
    np.testing.assert_array_equal(stack.voxels, noise(5, 16, 17))
    assert stack.voxels.dtype == np.dtype('=u2')
    if 'ome' in options:
        assert stack.voxel_size == (1.5, 0.5, 0.5)


def test_lzw_as_microscopes_write_it(tmp_path):
    path = str(tmp_path / 'a.tif')
    slices = [Image.fromarray(plane) for plane in noise(5, 16, 17)]
    slices[0].save(path, save_all=True, append_images=slices[1:], compression='tiff_lzw')
    np.testing.assert_array_equal(stacks.read(path).voxels, noise(5, 16, 17))


def bad_nan():
    image = np.zeros((4, 8, 8), np.float32)
    image[1, 2, 3] = np.nan
    return image


@pytest.mark.parametrize('voxels, options, words', [
    (noise(64, 64), {}, '3-D'),
    (np.zeros((5, 8, 8, 3), np.uint8), {'photometric': 'rgb'}, 'colour'),
    (noise(5, 2, 8, 8), {'imagej': True, 'metadata': {'axes': 'ZCYX'}}, 'channels'),
    (noise(3, 5, 8, 8), {'imagej': True, 'metadata': {'axes': 'TZYX'}}, '3-D'),
    (bad_nan(), {'photometric': 'minisblack'}, 'floating point with NaN'),
    (np.zeros((4, 8, 8), np.float32), {'photometric': 'minisblack'}, 'floating point'),
    (np.zeros((4, 8, 8), np.int32), {'photometric': 'minisblack'}, 'int32'),
    (noise(4, 8, 8), {'photometric': 'minisblack'}, 'smaller than a patch')])
def test_wrong_images_are_named(tmp_path, voxels, options, words):
    path = str(tmp_path / 'wrong.tif')
    tifffile.imwrite(path, voxels, **options)
    with pytest.raises(UserError, match=words) as error:
        stacks.read(path, (5, 5, 5))
    assert 'wrong.tif' in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('imagej', [True, False])
@pytest.mark.parametrize('share', [0.0, 0.3, 0.8])
def test_truncated_files_are_named(tmp_path, share, imagej):
    path = tmp_path / 'cut.tif'
    tifffile.imwrite(str(path), noise(20, 32, 32), imagej=imagej, photometric='minisblack')
    whole = path.read_bytes()
    path.write_bytes(whole[:int(share * len(whole))])
    with pytest.raises(UserError, match='cut.tif') as error:
        stacks.read(str(path))
    assert '\n' not in str(error.value)


def test_missing_files_and_twin_names(tmp_path):
    with pytest.raises(UserError, match='no file'):
        stacks.find(str(tmp_path / '*.tif'))
    with pytest.raises(UserError, match='cannot be opened'):
        stacks.read(str(tmp_path / 'gone.tif'))
    for name in ('a.tif', 'a.tiff'):
        stacks.write(str(tmp_path / name), noise(3, 4, 5))
    with pytest.raises(UserError, match='two stacks'):
        stacks.find(str(tmp_path))


@pytest.mark.fault(3)
def test_pairs_go_by_name_not_by_order(tmp_path):
    for folder, names in (('images', '10 9 8'), ('labels', '8 9 10')):
        for name in names.split():
            stacks.write(str(tmp_path / folder / (name + '.tif')), noise(3, 4, 5))
    pairs = stacks.pair_by_name(str(tmp_path / 'images'), str(tmp_path / 'labels'))
    names = [(stacks.name_of(a), stacks.name_of(b)) for a, b in pairs]
    assert names == [('10', '10'), ('8', '8'), ('9', '9')]
    (tmp_path / 'labels' / '9.tif').unlink()
    with pytest.raises(UserError, match='no partner for 9'):
        stacks.pair_by_name(str(tmp_path / 'images'), str(tmp_path / 'labels'))


# --- HDF5 ---

def write_hdf5(path, attributes=(), **datasets):
    with h5py.File(str(path), 'w') as file:
        for name, values in datasets.items():
            file.create_dataset(name.replace('__', '/'), data=values,
                                compression='gzip' if values.size else None
                                ).attrs.update(attributes)


@pytest.mark.parametrize('datasets', [
    {'exported_data': noise(5, 6, 7)}, {'t0__channel0': noise(5, 6, 7)},
    {'exported_data': noise(1, 5, 6, 7, 1)},
    {'image': noise(5, 6, 7), 'mask': noise(5, 6, 7)},
    {'volumes__Raw': noise(5, 6, 7), 'a': noise(5, 6, 8), 'b': noise(9, 9)}])
def test_the_stack_of_an_hdf5_file_is_found(tmp_path, datasets):
    write_hdf5(tmp_path / 'a.h5', {'element_size_um': np.array([2, 0.5, 0.25])}, **datasets)
    stack = stacks.read(str(tmp_path / 'a.h5'))
    np.testing.assert_array_equal(stack.voxels, noise(5, 6, 7))
    assert stack.voxel_size == (2.0, 0.5, 0.25)
    assert stack.voxels.dtype == np.dtype('=u2') and stack.notes == {}


@pytest.mark.parametrize('attribute, expected', [
    ([3, 2, 1], (3.0, 2.0, 1.0)), ([0.0, 1, 1], None), ([1, 1], None), ([np.nan, 1, 1], None),
    ('1 1 1', None)])
def test_voxel_sizes_that_tell_nothing_are_unknown(tmp_path, attribute, expected):
    write_hdf5(tmp_path / 'a.hdf5', {'element_size_um': attribute},
               data=noise(5, 6, 7).astype('>u2'))
    stack = stacks.read(str(tmp_path / 'a.hdf5'))
    assert stack.voxel_size == expected and stack.voxels.dtype == np.dtype('=u2')
    np.testing.assert_array_equal(stack.voxels, noise(5, 6, 7))


@pytest.mark.parametrize('datasets, words', [
    ({'x': noise(6, 7)}, 'x is 6 x 7: want a 3-D'),
    ({'x': noise(2, 5, 6, 7)}, 'want a 3-D.*one channel'),
    ({}, 'no 3-D dataset'), ({'x': noise(0, 6, 7)}, 'no 3-D dataset'),
    ({'a': noise(5, 6, 7), 'b': noise(5, 6, 7)}, '2 3-D datasets .*/a, /b.*: keep one'),
    ({'image': noise(5, 6, 7), 'data': noise(5, 6, 7)}, 'just one'),
    ({'x': noise(5, 6, 7) / 2}, 'floating point'),
    ({'x': noise(5, 6, 7).astype(int)}, 'int64: convert'),
    ({'x': noise(4, 6, 7)}, 'smaller than a patch'),
    ({'image': noise(3, 5, 6, 7), 'origin': noise(3, 3), 'source': noise(3)},
     'patches, not a stack')])
def test_wrong_hdf5_files_are_named(tmp_path, datasets, words):
    write_hdf5(tmp_path / 'wrong.h5', **datasets)
    with pytest.raises(UserError, match=words) as error:
        stacks.read(str(tmp_path / 'wrong.h5'), (5, 5, 5))
    assert 'wrong.h5' in str(error.value) and '\n' not in str(error.value)


def test_probabilities_of_any_float_are_read_where_they_are_asked_for(tmp_path):
    write_hdf5(tmp_path / 'a.h5', exported_data=noise(5, 6, 7).astype('>f8') / 4096)
    stack = stacks.read(str(tmp_path / 'a.h5'), probabilities=True)
    np.testing.assert_allclose(stack.voxels, noise(5, 6, 7) / 4096, rtol=1e-6)
    assert stack.voxels.dtype == np.float32


# --- Vaa3D ---

@pytest.mark.parametrize('dtype', ['u1', 'u2'])
@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('name', ['a.v3draw', 'b.RAW'])
def test_vaa3d_raw_is_read(tmp_path, name, order, dtype):
    (tmp_path / name).write_bytes(vaa3d(noise(5, 6, 7).astype(dtype), order))
    stack = stacks.read(str(tmp_path / name))
    np.testing.assert_array_equal(stack.voxels, noise(5, 6, 7).astype(dtype))
    assert stack.voxels.dtype == np.dtype(dtype) and stack.voxel_size is None


def test_the_sample_pair_has_the_same_voxels_in_both_formats(shared):
    for name in ('17109_4332_crop', '18869_8933_crop'):
        a, b = [stacks.read('%s/fmost/%s%s' % (shared, name, kind)).voxels
                for kind in ('.tif', '.v3draw')]
        np.testing.assert_array_equal(a, b)
        assert b.shape == (32, 64, 64)


def pbd(dtype, shape, runs):
    """Bytes of a Vaa3D pbd file."""
    header = vaa3d(np.zeros(shape, dtype))[:vaa3d_files.HEADER]
    return header.replace(vaa3d_files.RAW, vaa3d_files.PBD) + runs


# written by v3d-py-helper 0.4.1; every kind of run is there
@pytest.mark.parametrize('dtype, steps, runs', [
    ('u1', (1, 2),
     'nQc+EhMTExMTEwMe8Jd8nwCffJfwh1xvwE8cJ3D3vL8Afzw3cOecj8AvliMIAJYjCACWIwgAliMIAJYjCACW'
     'IwgAliMIAZaW'),
    ('u2', (7, 14),
     '/AcAbSBw8HDwcPBw8HDwcPBw8B7wAJcAfACfAAAAnwB8AJcA8ACHAFwAbwDAAE8AHAAnAHAA9wC8AL8AAAB'
     '/ADwANwBwAOcAnA'
                    'CPAMAALwCWANMDgeA4HgOB4DgeA4HgOB4DgeAA'),
    ('u2', (3, 4),
     '/AcAPUGOGOGOGOGOGOGOAB7wAJcAfACfAAAAnwB8AJcA8ACHAFwAbwDAAE8AHAAnAHAA9wC8AL8AAAB/ADwANwBw'
     'AOcAnACPAMA'
                   'ALwCWACIQAACWACIQAACWACIQAACWACIQAACWACIQAACWACIQAACWACIQAAGWAJYA')])
def test_pbd_is_read_as_another_program_wrote_it(tmp_path, dtype, steps, runs):
    i = np.arange(120)
    step = (i + 2) % 4 // 2
    expected = np.concatenate([np.full(30, 7), 9 + step[30:60] * steps[0], i[60:90] ** 2 * 31 % 256,
                               150 + step[90:] * steps[1]])
    (tmp_path / 'a.v3dpbd').write_bytes(pbd(dtype, (4, 5, 6), base64.b64decode(runs)))
    stack = stacks.read(str(tmp_path / 'a.v3dpbd'))
    np.testing.assert_array_equal(stack.voxels, expected.reshape(4, 5, 6))
    assert stack.voxels.dtype == np.dtype(dtype)


@pytest.mark.parametrize('at_a_time', [1, 7, 1 << 14])
@pytest.mark.parametrize('dtype', ['u1', 'u2'])
def test_pbd_of_any_runs_equals_decoding_them_one_by_one(tmp_path, monkeypatch, dtype, at_a_time):
    rng = np.random.default_rng(3)
    size, runs, expected = np.dtype(dtype).itemsize, b'', []
    kinds = {1: ((0, 8), (33, 2), (128, 0)),
             2: ((0, 16), (32, 3), (80, 4), (183, 5), (223, 0))}[size]
    codes = [3] + rng.integers(0, 256, 300).tolist()
    if sum(code - max(kind for kind in kinds if kind[0] <= code)[0] + 1 for code in codes) % 2:
        # one voxel more, for planes of one size
        codes.append(0)
    for code in codes:
        first, bits = max(kind for kind in kinds if kind[0] <= code)
        count = code - first + 1
        payload = rng.integers(0, 256, (count * bits + 7) // 8 or size, dtype=np.uint8)
        runs += bytes([code]) + payload.tobytes()
        # 8 bit begins at the low end
        digits = np.unpackbits(payload[::-1] if size == 1 else payload)
        for k in range(count):
            if bits in (0, 8 * size):
                value = int(payload.view(np.dtype(dtype).newbyteorder('<'))[k if bits else 0])
            else:
                begin = len(digits) - (k + 1) * bits if size == 1 else k * bits
                some = digits[begin:begin + bits]
                difference = int(''.join(map(str, some)), 2)
                half = 1 << (bits - 1)
                value = expected[-1] + (difference if difference <= half else half - difference)
            expected.append(value % 256 ** size)
    monkeypatch.setattr(vaa3d_files, 'PBD_RUNS', at_a_time)
    (tmp_path / 'a.v3dpbd').write_bytes(pbd(dtype, (2, 1, len(expected) // 2), runs))
    np.testing.assert_array_equal(stacks.read(str(tmp_path / 'a.v3dpbd')).voxels.ravel(), expected)


HUGE = vaa3d(noise(5, 6, 7))[:27] + struct.pack('<4i', 1 << 30, 1 << 30, 16, 1)


@pytest.mark.parametrize('name, contents, words', [
    ('wrong.v3draw', b'', 'no Vaa3D stack'),
    ('wrong.v3draw', vaa3d(noise(5, 6, 7))[:40], 'cut short'),
    ('wrong.raw', noise(5, 6, 7).tobytes(), 'no Vaa3D stack.*TIFF'),
    ('wrong.v3draw', vaa3d(noise(5, 6, 7)) + b'x', 'longer'),
    ('wrong.v3draw', vaa3d(noise(5, 6, 7), channels=3), '3 channels'),
    ('wrong.v3draw', vaa3d(noise(1, 6, 7)), '2 dimensions'),
    ('wrong.v3draw', vaa3d(noise(5, 6, 7).astype('f4')), 'floating point'),
    ('wrong.v3draw', vaa3d(noise(5, 6, 0)), '5 x 6 x 0'),
    ('wrong.v3draw', vaa3d(noise(5, 6, 7), kind=8), 'data type 8'),
    # 2^64 voxels: 0 if they are counted in 64 bits
    ('wrong.v3draw', HUGE, 'cut short .43 bytes, 36893488147419103275 wanted'),
    ('wrong.v3dpbd', HUGE.replace(vaa3d_files.RAW, vaa3d_files.PBD), 'do not unpack to 18446744'),
    ('wrong.v3draw', vaa3d(noise(4, 6, 7)), 'smaller than a patch'),
    ('wrong.v3dpbd', pbd('u1', (5, 6, 7), b'\xff\0'), 'cut short or damaged'),
    ('wrong.v3dpbd', pbd('u1', (5, 6, 7), b'\xff\0\xff'), 'cut short or damaged'),
    ('wrong.v3dpbd', pbd('u1', (5, 6, 7), b'\xff\0' * 3), 'cut short or damaged'),
    ('wrong.v3dpbd', pbd('u1', (5, 600, 70000), b'\xff\0' * 3), 'cut short or damaged'),
    ('wrong.v3dpbd', pbd('u2', (5, 6, 7), b''), 'cut short or damaged'),
    ('wrong.v3dpbd', vaa3d(noise(5, 6, 7), '>').replace(vaa3d_files.RAW, vaa3d_files.PBD),
     'big-endian'),
    ('wrong.v3dpbd', pbd('f4', (5, 6, 7), b''), 'data type 4')])
def test_wrong_vaa3d_files_are_named(tmp_path, name, contents, words):
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(UserError, match=words) as error:
        stacks.read(str(tmp_path / name), (5, 5, 5))
    assert name in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('kind', ['.h5', '.v3draw', '.v3dpbd'])
def test_other_truncated_and_missing_files_are_named(tmp_path, kind):
    path = tmp_path / ('cut' + kind)
    with pytest.raises(UserError, match='cannot be opened'):
        stacks.read(str(path))
    if kind == '.h5':
        write_hdf5(path, image=noise(20, 32, 32))
    else:
        path.write_bytes(vaa3d(noise(20, 32, 32)) if kind == '.v3draw' else pbd('u1', (20, 32, 32),
                                                                                b'\xff\1' * 160))
    whole = path.read_bytes()
    assert stacks.read(str(path)).voxels.shape == (20, 32, 32)
    for share in (0.0, 0.05, 0.3, 0.8, 0.999):
        path.write_bytes(whole[:int(share * len(whole))])
        with pytest.raises(UserError, match='cut') as error:
            stacks.read(str(path))
        assert '\n' not in str(error.value)


# --- folders of several formats ---

def test_a_folder_may_mix_formats_but_patch_files_are_no_stacks(tmp_path):
    stacks.write(str(tmp_path / 'a.tif'), noise(5, 6, 7))
    write_hdf5(tmp_path / 'b.h5', image=noise(5, 6, 7))
    (tmp_path / 'c.v3draw').write_bytes(vaa3d(noise(5, 6, 7)))
    singly = b''.join(b'\0' + struct.pack('<H', voxel) for voxel in noise(5, 6, 7).flat)
    (tmp_path / 'd.v3dpbd').write_bytes(pbd('u2', (5, 6, 7), singly))
    (tmp_path / 'e.raw').write_bytes(vaa3d(noise(5, 6, 7)))
    # of another program, beside its TIFF
    (tmp_path / 'a.raw').write_bytes(noise(5, 6, 7).tobytes())
    (tmp_path / 'f.h5').write_bytes(b'damaged')
    for name in ('patches', 'real'):
        patches.write(str(tmp_path / (name + '.h5')), noise(2, 4, 4, 4),
                      origins=np.zeros((2, 3), int), sources=['a', 'a'])
    found = stacks.find(str(tmp_path))
    assert [stacks.name_of(path) for path in found] == list('abcdef')
    for path in found[:-1]:
        np.testing.assert_array_equal(stacks.read(path).voxels, noise(5, 6, 7))
    for name, words in (('real.h5', 'patches, not a stack'), ('a.raw', 'no Vaa3D stack'),
                        ('f.h5', 'damaged')):
        # named by itself, it is not passed over
        assert stacks.find(str(tmp_path / name)) == [str(tmp_path / name)]
        with pytest.raises(UserError, match=words):
            stacks.read(str(tmp_path / name))
    with pytest.raises(UserError, match='no file'):
        stacks.find(str(tmp_path / 'pa*.h5'))
    (tmp_path / 'a.v3draw').write_bytes(vaa3d(noise(5, 6, 7)))
    with pytest.raises(UserError, match='two stacks are named a'):
        stacks.find(str(tmp_path))
