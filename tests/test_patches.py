"""Patch files, batches, tiles, history and measures."""
import numpy as np
import pytest

from utils.common import tiling
from utils.common.errors import UserError
from utils.data import patches, stacks


def test_patch_file_round_trip_and_tiff_folder(tmp_path):
    images = np.random.default_rng(0).integers(0, 999, (5, 4, 6, 6)).astype(np.uint16)
    labels = (images > 800).astype(np.uint8)
    path = str(tmp_path / 'p.h5')
    patches.write(path, images, origins=np.zeros((5, 3)), sources=list('abcde'), labels=labels,
                  voxel_size=(2.0, 1.0, 1.0))
    first = open(path, 'rb').read()
    patches.write(path, images, origins=np.zeros((5, 3)), sources=list('abcde'), labels=labels,
                  voxel_size=(2.0, 1.0, 1.0))
    assert open(path, 'rb').read() == first                          # same content, same bytes
    file = patches.PatchFile(path, with_labels=True)
    np.testing.assert_array_equal(file.image[:], images)
    np.testing.assert_array_equal(file.label[:], labels)
    assert file.source == list('abcde') and file.image.chunks == (1, 4, 6, 6)
    for i in range(5):
        stacks.write(str(tmp_path / 'set' / 'images' / ('%d.tif' % i)), images[i])
        stacks.write(str(tmp_path / 'set' / 'labels' / ('%d.tif' % i)), labels[i])
    folder = patches.PatchFile(str(tmp_path / 'set'), with_labels=True)
    np.testing.assert_array_equal(folder.image, images)
    np.testing.assert_array_equal(folder.label, labels)
    empty = str(tmp_path / 'empty.h5')
    patches.write(empty, images[:0], origins=np.zeros((0, 3)), sources=[], labels=labels[:0])
    both = str(tmp_path / 'both.h5')
    assert patches.join([empty, path], both) == 5
    np.testing.assert_array_equal(patches.PatchFile(both, with_labels=True).label[:], labels)
    assert list(patches.PatchFile(both).voxel_size) == [2, 1, 1]
    assert patches.PatchFile(both).blur is None
    patches.write(path, images, origins=np.zeros((5, 3)), sources=list('abcde'), blur=[2, 1, 0.5])
    patches.join([path], both)
    assert list(patches.PatchFile(both).blur) == [2, 1, 0.5]
    with pytest.raises(UserError, match='no patch'):
        patches.join([empty], both)
    (tmp_path / 'cut.h5').write_bytes(first[:len(first) // 2])
    with pytest.raises(UserError, match='cut.h5'):
        patches.PatchFile(str(tmp_path / 'cut.h5'))


@pytest.mark.parametrize('tile', [(4, 4, 4), (5, 7, 16), (100, 100, 100)])
def test_tiles_with_a_halo_equal_the_whole(tile):
    from scipy import ndimage
    voxels = np.random.default_rng(0).normal(size=(11, 13, 17))

    def blur(x):
        return ndimage.convolve(x, np.ones((5, 5, 5)), mode='constant')

    np.testing.assert_allclose(tiling.apply(blur, voxels, tile=tile, halo=2), blur(voxels))


def test_a_patch_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, 'No space left on device')

    path, images = str(tmp_path / 'p.h5'), np.zeros((2, 4, 6, 6), np.uint16)
    for name in ('File', 'Dataset.resize'):
        with monkeypatch.context() as patch:
            patch.setattr('h5py.' + name, full)
            with pytest.raises(UserError, match='p.h5 cannot be written: No space left'):
                patches.write(path, images, origins=np.zeros((2, 3)), sources=['a', 'b'])
        assert not list(tmp_path.iterdir())
