"""Reading and writing stacks, and everything that can be wrong with one."""
import numpy as np
import pytest
import tifffile
from PIL import Image

from utils import config, stacks


def noise(*shape):
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)


def test_round_trip_keeps_voxels_and_voxel_size(tmp_path):
    path = str(tmp_path / 'a.tif')
    stacks.write(path, noise(5, 6, 7), (2.0, 0.5, 0.25))
    stack = stacks.read(path)
    np.testing.assert_array_equal(stack.voxels, noise(5, 6, 7))
    np.testing.assert_allclose(stack.voxel_size, (2.0, 0.5, 0.25), rtol=1e-4)


@pytest.mark.parametrize('options', [{}, {'bigtiff': True}, {'compression': 'zlib'},
                                     {'ome': True, 'metadata': {'axes': 'ZYX', 'PhysicalSizeX': 0.5, 'PhysicalSizeY': 0.5,
                                                                'PhysicalSizeZ': 1.5}},
                                     {'imagej': True, 'metadata': {'axes': 'TYX'}}, {'byteorder': '>'}])
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
    with pytest.raises(config.UserError, match=words) as error:
        stacks.read(path, (5, 5, 5))
    assert 'wrong.tif' in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('imagej', [True, False])
@pytest.mark.parametrize('share', [0.0, 0.3, 0.8])
def test_truncated_files_are_named(tmp_path, share, imagej):
    path = tmp_path / 'cut.tif'
    tifffile.imwrite(str(path), noise(20, 32, 32), imagej=imagej, photometric='minisblack')
    whole = path.read_bytes()
    path.write_bytes(whole[:int(share * len(whole))])
    with pytest.raises(config.UserError, match='cut.tif') as error:
        stacks.read(str(path))
    assert '\n' not in str(error.value)


def test_missing_files_and_twin_names(tmp_path):
    with pytest.raises(config.UserError, match='no file'):
        stacks.find(str(tmp_path / '*.tif'))
    with pytest.raises(config.UserError, match='cannot be opened'):
        stacks.read(str(tmp_path / 'gone.tif'))
    for name in ('a.tif', 'a.tiff'):
        stacks.write(str(tmp_path / name), noise(3, 4, 5))
    with pytest.raises(config.UserError, match='two stacks'):
        stacks.find(str(tmp_path))


def test_pairs_go_by_name_not_by_order(tmp_path):
    for folder, names in (('images', '10 9 8'), ('labels', '8 9 10')):
        for name in names.split():
            stacks.write(str(tmp_path / folder / (name + '.tif')), noise(3, 4, 5))
    pairs = stacks.pair_by_name(str(tmp_path / 'images'), str(tmp_path / 'labels'))
    assert [stacks.name_of(a) for a, _ in pairs] == [stacks.name_of(b) for _, b in pairs] == ['10', '8', '9']
    (tmp_path / 'labels' / '9.tif').unlink()
    with pytest.raises(config.UserError, match='no partner for 9'):
        stacks.pair_by_name(str(tmp_path / 'images'), str(tmp_path / 'labels'))
