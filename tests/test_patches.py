"""Patch files, batches, tiles, history and measures."""
import numpy as np
import pytest

from utils.common import tiling
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.train import history, samplers


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
    with pytest.raises(UserError, match='no patch'):
        patches.join([empty], both)
    (tmp_path / 'cut.h5').write_bytes(first[:len(first) // 2])
    with pytest.raises(UserError, match='cut.h5'):
        patches.PatchFile(str(tmp_path / 'cut.h5'))


def test_batches_depend_on_the_seed_alone_and_each_patch_comes_once_an_epoch(tmp_path):
    images = np.arange(10, dtype=np.uint16)[:, None, None, None] * np.ones((1, 4, 6, 6), np.uint16)
    path = str(tmp_path / 'p.h5')
    patches.write(path, images, origins=np.zeros((10, 3)), sources=list('abcdefghij'))
    a = samplers.Sampler(patches.PatchFile(path), 2, crop=(2, 4, 4), seed=[7])
    b = samplers.Sampler(patches.PatchFile(path), 2, crop=(2, 4, 4), seed=[7])
    forward = [a.batch(i)[0] for i in range(10)]
    # no need to draw the batches before it
    np.testing.assert_array_equal(b.batch(8)[0], forward[8])
    for epoch in (forward[:5], forward[5:]):
        assert sorted(int(batch[k].max()) for batch in epoch for k in range(2)) == list(range(10))
    assert forward[0].shape == (2, 2, 4, 4, 1)
    with pytest.raises(UserError, match='smaller crop'):
        samplers.Sampler(patches.PatchFile(path), 2, crop=(8, 4, 4), seed=[7])


@pytest.mark.parametrize('tile', [(4, 4, 4), (5, 7, 16), (100, 100, 100)])
def test_tiles_with_a_halo_equal_the_whole(tile):
    from scipy import ndimage
    voxels = np.random.default_rng(0).normal(size=(11, 13, 17))

    def blur(x):
        return ndimage.convolve(x, np.ones((5, 5, 5)), mode='constant')

    np.testing.assert_allclose(tiling.apply(blur, voxels, tile=tile, halo=2), blur(voxels))


def test_history_fills_stays_bounded_and_returns_what_went_in():
    buffer = history.History(6, np.random.default_rng(0))
    seen = set()
    for i in range(20):
        batch = np.full((4, 2), i, np.float32) + np.arange(4)[:, None] / 10
        seen.update(batch[:, 0].tolist())
        mixed = buffer.mix(batch)
        assert set(mixed[:, 0].tolist()) <= seen and len(buffer) <= 6
        old = sum(value not in batch[:, 0] for value in mixed[:, 0])
        assert old == (0 if i == 0 else 2)                           # half a batch from the buffer
    assert len(buffer) == 6
    twin = history.History(6, np.random.default_rng(9))
    twin.restore(*buffer.state())
    batch = np.zeros((4, 2), np.float32)
    np.testing.assert_array_equal(twin.mix(batch), buffer.mix(batch))


def test_augmented_crops_are_mirrored_and_turned_with_their_labels(tmp_path):
    voxels = np.arange(4 * 6 * 6, dtype=np.uint16).reshape(4, 6, 6)
    patches.write(str(tmp_path / 'a.h5'), voxels[None], origins=[[0, 0, 0]], sources=['a'],
                  labels=(voxels[None] % 2).astype(np.uint8))
    file = patches.PatchFile(str(tmp_path / 'a.h5'), with_labels=True)
    plain = samplers.Sampler(file, 1, crop=(4, 6, 6), seed=[1])
    augmented = samplers.Sampler(file, 1, crop=(4, 6, 6), seed=[1], augment=True)
    seen = set()
    for i in range(200):
        image, label = augmented.batch(i)
        assert np.array_equal(image % 2, label) and sorted(image.ravel()) == sorted(voxels.ravel())
        assert np.array_equal(augmented.batch(i)[0], image)          # by its number alone
        seen.add(image.tobytes())
        np.testing.assert_array_equal(plain.batch(i)[0][0, ..., 0], voxels)
    assert len(seen) == 16                               # 2 mirrors of z, and the 8 of a square
