"""Batches of the refiner's training: samplers, history, shares of processes."""
import numpy as np
import pytest

from utils.common.errors import UserError
from utils.data import patches
from utils.train import history, samplers


# --- samplers ---

@pytest.mark.fault(9)
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


def test_processes_share_each_joint_batch(tmp_path):
    images = np.random.default_rng(0).integers(0, 999, (12, 6, 8, 8)).astype(np.uint16)
    patches.write(str(tmp_path / 'p.h5'), images, origins=np.zeros((12, 3)), sources=['s'] * 12,
                  labels=(images > 500).astype(np.uint8))
    file = patches.PatchFile(str(tmp_path / 'p.h5'), with_labels=True)
    one = samplers.Sampler(file, 4, crop=(4, 6, 6), seed=[3], augment=True)
    two = [samplers.Sampler(file, 2, crop=(4, 6, 6), seed=[3], augment=True, rank=rank, ranks=2)
           for rank in range(2)]
    for i in range(5):
        parts = [sampler.batch(i) for sampler in two]
        for k in range(2):
            joined = np.concatenate([part[k] for part in parts])
            np.testing.assert_array_equal(joined, one.batch(i)[k])


# --- history ---

@pytest.mark.fault(1)
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


def test_history_samples_old_patches_and_keeps_them():
    buffer = history.History(6, np.random.default_rng(0))
    batch = np.full((2, 3), 7.0)
    assert buffer.sample(batch) is batch                 # none yet
    for i in range(3):
        buffer.mix(np.array([[2.0 * i] * 3, [2.0 * i + 1] * 3]))
    before = buffer.state()[0]
    found = buffer.sample(batch)
    assert found.shape == batch.shape and found[0, 0] != found[1, 0]
    assert {v for v in found[:, 0]} <= {v for v in before[:, 0]}
    np.testing.assert_array_equal(buffer.state()[0], before)


def test_history_of_none_hands_the_batch_back():
    buffer = history.History(0, np.random.default_rng(0))
    for i in range(3):
        np.testing.assert_array_equal(buffer.mix(np.full((2, 3), i)), np.full((2, 3), i))
    assert len(buffer) == 0 and buffer.state()[0].shape == (0,)


def test_half_of_an_odd_batch_is_old_on_average():
    buffer = history.History(30, np.random.default_rng(0))
    buffer.mix(np.zeros((30, 1)))
    old = [(buffer.mix(np.ones((3, 1))) == 0).sum() for _ in range(5)]
    assert set(old) == {1, 2}


def test_histories_of_processes_are_saved_together_and_dealt_out_again():
    states = [(np.full((n, 2), n, np.float32), {'state': n}) for n in (3, 0, 2)]
    joined = history.join(states)
    for rank, (some, random_state) in enumerate(states):
        found = history.share(joined[0], joined[1], rank=rank, size=3)
        np.testing.assert_array_equal(found[0].reshape(-1, 2), some.reshape(-1, 2))
        assert found[1] == random_state
    fewer = [history.share(joined[0], joined[1], rank=rank, size=2) for rank in range(2)]
    assert [len(some) for some, _ in fewer] == [3, 2]    # by another number of processes
    assert all(state is None for _, state in fewer)
