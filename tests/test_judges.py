"""Which patches a judge compares: sets that share no voxel, alike in content."""
from typing import NamedTuple

import numpy as np
import pytest

from tests.test_realism import patches
from utils.common.errors import UserError
from utils.data.patches import PatchFile, write
from utils.score import judges, realism

SHAPE = 16, 32, 32


class Places(NamedTuple):
    """Patches by their corners alone."""
    source: list
    origin: np.ndarray
    shape: tuple = SHAPE


def crowded(extent, count=80, seed=0):
    """Patches anywhere in a stack of `extent` voxels."""
    rng = np.random.default_rng(seed)
    room = np.array(extent) - SHAPE + 1
    return Places(['a'] * count, rng.integers(0, room, (count, 3)))


def overlap(places, one, other):
    """Whether two patches of like source share a voxel."""
    near = np.abs(places.origin[one] - places.origin[other]) < SHAPE
    return places.source[one] == places.source[other] and near.all()


@pytest.mark.parametrize('extent', [(33, 70, 70), (60, 70, 70), (20, 200, 70), (128, 128, 128)])
def test_sets_share_no_voxel(extent):
    places = crowded(extent)
    first, second = judges.sets(places, np.random.default_rng(0))
    assert min(len(first), len(second)) >= judges.FEWEST
    assert not any(overlap(places, one, other) for one in first for other in second)


def test_large_stacks_are_parted_many_times():
    """Both sets are from everywhere: a stack may be brighter at one end."""
    places = crowded((32, 64, 400), count=400)
    found = judges.sets(places, np.random.default_rng(0))
    first, second = [places.origin[rows, 2] for rows in found]
    assert abs(first.mean() - second.mean()) < 100 and np.ptp(first) > 250 < np.ptp(second)


def test_each_stack_is_parted_by_itself():
    near, far = crowded((20, 100, 32)), crowded((20, 100, 32), seed=1)
    places = Places(['a'] * 80 + ['b'] * 80, np.concatenate([near.origin, far.origin + 1000]))
    for rows in judges.sets(places, np.random.default_rng(0)):
        assert {places.source[i] for i in rows} == {'a', 'b'}


def test_neither_set_has_the_upper_slabs_of_all_stacks():
    one = crowded((60, 40, 40))
    places = Places(['a'] * 80 + ['b'] * 80, np.concatenate([one.origin] * 2))
    first, second = [places.origin[rows, 0].mean()
                     for rows in judges.sets(places, np.random.default_rng(0))]
    assert abs(first - second) < 8


@pytest.mark.parametrize('places', [
    crowded((18, 40, 40)),
    Places([str(i) for i in range(9)], np.zeros((9, 3), int))])
def test_stacks_hardly_larger_than_a_patch_and_unknown_places_are_halved_at_random(places):
    first, second = judges.sets(places, np.random.default_rng(0))
    assert sorted([*first, *second]) == list(range(len(places.source)))
    assert abs(len(first) - len(second)) <= 1


def test_small_stacks_are_not_parted():
    one = crowded((18, 40, 40))
    places = Places([str(i // 8) for i in range(80)], one.origin)
    first, second = judges.sets(places, np.random.default_rng(0))
    assert len(first) == len(second) == 40
    assert not {places.source[i] for i in first} & {places.source[i] for i in second}


def test_patches_of_like_content_are_taken_once_each():
    there = [0.01, 0.5, 0.02, 0.1, 0.2]
    assert sorted(judges.alike([0.021, 0.09], there)) == [2, 3]
    assert sorted(judges.alike([0.1, 0.1, 0.1], there)) in ([2, 3, 4], [1, 3, 4])
    assert sorted(judges.alike([0.1] * 9, there)) == [0, 1, 2, 3, 4]     # no more than there are


def stored(path, *, count, seed, labels=False, **how):
    """A patch file of fibres in a row along x, apart from each other."""
    images, masks = patches(count, seed, **how)
    origins = np.zeros((count, 3), int)
    origins[:, 2] = 32 * np.arange(count)
    write(str(path), images, origins=origins, sources=['a'] * count,
          labels=masks if labels else None)
    return PatchFile(str(path), with_labels=labels)


def test_a_judge_compares_drafts_with_real_patches_as_full(tmp_path):
    """Half of the real stack is empty, which drafts are not."""
    empty, _ = patches(24, 1, level=0.0)
    full, _ = patches(24, 2)
    origins = np.stack([np.zeros(48, int)] * 2 + [32 * np.arange(48)], 1)
    mixed = np.stack([image for pair in zip(empty, full) for image in pair])
    write(str(tmp_path / 'real.h5'), mixed, origins=origins, sources=['a'] * 48)
    drafts = stored(tmp_path / 'drafts.h5', count=10, seed=3, labels=True)
    judge, chosen = judges.open_judge(PatchFile(str(tmp_path / 'real.h5')), drafts, count=8)
    assert len(chosen) == len(set(chosen)) == 8 and judge.drafts.shape == (8,) + SHAPE
    assert judge.draft['gap'] < 0.3                      # they are as full as the full ones
    whole = realism.Judge(judge.drafts, judge.labels, real=mixed[::3], more_real=mixed[1::3])
    assert whole.draft['spectrum_x'] > 3 * judge.draft['spectrum_x']


def test_patches_that_nothing_can_be_compared_with(tmp_path):
    drafts = stored(tmp_path / 'drafts.h5', count=6, seed=0, labels=True)
    real = stored(tmp_path / 'real.h5', count=8, seed=1)
    with pytest.raises(UserError, match='one patch only'):
        judges.open_judge(stored(tmp_path / 'one.h5', count=1, seed=2), drafts, count=4)
    images, _ = patches(4, 5)
    write(str(tmp_path / 'dark.h5'), images, origins=np.zeros((4, 3), int), sources=['a'] * 4,
          labels=np.zeros(images.shape, np.uint8))
    with pytest.raises(UserError, match='no patch of the evaluation set has a label voxel'):
        judges.open_judge(real, PatchFile(str(tmp_path / 'dark.h5'), with_labels=True), count=4)
