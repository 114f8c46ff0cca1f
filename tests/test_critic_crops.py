"""Crops for the critic: none reaches from what is learnt into what is held out."""
import itertools

import numpy as np
import pytest
from scipy import ndimage

from utils.common.errors import UserError
from utils.train import critic
from utils.train import critic_crops as crops
from utils.train import critic_views

STACK, WINDOW, CROP, BLOCK = (40, 60, 60), (12, 24, 24), (8, 12, 12), 20


def cut(sources=('a',), step=(7, 9, 9)):
    """Windows all over stacks of zeros; Images."""
    corners = list(itertools.product(*(range(0, n - w + 1, s)
                                       for n, w, s in zip(STACK, WINDOW, step))))
    n = len(corners) * len(sources)
    return crops.Images(np.zeros((n,) + WINDOW, np.uint16),
                        [name for name in sources for _ in corners], corners * len(sources))


def covered(images, regions):
    """Voxels of the first stack that any crop of some regions may hold, bool STACK."""
    found = np.zeros(STACK, bool)
    for patch, low, room in zip(regions.patch, regions.low, regions.room):
        start = np.add(images.origin[patch], low)
        end = start + np.add(room, CROP) - 1
        assert (low >= 0).all() and (low + room + CROP - 1 <= WINDOW).all() and (room > 0).all()
        found[tuple(map(slice, start, end))] = True
    return found


def test_crops_held_out_by_blocks_share_no_voxel_with_those_learnt_from():
    images = cut()
    side = crops.split(images, CROP, block=BLOCK, blocks=True)
    learnt, held = covered(images, side.train), covered(images, side.test)
    assert not (learnt & held).any() and min(learnt.sum(), held.sum()) > 0.25 * learnt.size
    z, y, x = np.indices(STACK) // BLOCK
    assert ((z + y + x) % 2 == 0)[learnt].all() and ((z + y + x) % 2 == 1)[held].all()
    assert len(set(side.train.group)) == 9 and not set(side.train.group) & set(side.test.group)
    other = crops.split(images, CROP, block=BLOCK, blocks=True, swap=1)
    np.testing.assert_array_equal(other.train.low, side.test.low)


def test_every_place_where_a_crop_fits_into_its_block_is_a_region():
    """One patch from voxel 15 on, 24 wide: 5 voxels in block 0, 19 in block 1, 12 are needed."""
    images = crops.Images(np.zeros((1,) + WINDOW), ['a'], [(18, 15, 20)])
    regions, parity = crops.by_blocks(images, CROP, block=BLOCK)
    assert regions.low.tolist() == [[2, 5, 0]]           # z: 2 voxels, then 10; x: 20, then 4
    assert regions.room.tolist() == [[3, 8, 9]] and parity.tolist() == [1]


def test_drafts_are_held_out_by_stacks():
    images = cut(sources=('1', '2', '3', '4'))
    side = crops.split(images, CROP, block=BLOCK, blocks=False)
    source = np.array(images.source)
    assert set(source[side.train.patch]) == {'1', '3'}
    assert set(source[side.test.patch]) == {'2', '4'}
    # a group is a block of a stack, so that held-out crops fall into parts of their own, too
    assert len(set(side.train.group)) == 2 * 2 * 3 * 3
    groups = [covered(images, side.test.some(side.test.group == g))
              for g in set(side.test.group[source[side.test.patch] == '2'])]
    assert np.sum(groups, axis=0).max() == 1
    one = crops.split(cut(), CROP, block=BLOCK, blocks=False)        # a single stack: by blocks
    assert not set(one.train.group) & set(one.test.group) and len(one.test.group)


def test_patches_without_origins_are_held_out_by_source():
    images = crops.Images(np.zeros((6,) + WINDOW), list('aabbcc'), np.zeros((6, 3), int))
    side = crops.split(images, CROP, block=BLOCK, blocks=True)
    assert side.train.patch.tolist() == [0, 1, 4, 5] and side.test.patch.tolist() == [2, 3]
    assert (side.train.room == np.subtract(WINDOW, CROP) + 1).all()
    assert len(set(side.train.group)) == 2               # all patches of a stack may share voxels


def test_halves_of_a_set_have_four_parts_of_their_own():
    images = cut()
    sides = crops.halves(images, CROP, block=BLOCK, rng=np.random.default_rng(0))
    parts = [covered(images, part) for side in sides for part in (side.train, side.test)]
    assert np.sum(parts, axis=0).max() == 1 and min(p.sum() for p in parts) > 0.1 * parts[0].size


def test_what_cannot_be_parted_is_said():
    single = crops.Images(np.zeros((3,) + WINDOW), ['a'] * 3, np.zeros((3, 3), int))
    with pytest.raises(UserError, match='held out'):
        crops.split(single, CROP, block=BLOCK, blocks=True)
    with pytest.raises(UserError, match='no crop of .* take a larger block'):
        crops.split(cut(), CROP, block=8, blocks=True)
    with pytest.raises(UserError, match='smaller than the crops'):
        crops.split(single, (16, 16, 16), block=BLOCK, blocks=True)
    two = crops.Images(np.zeros((2,) + WINDOW), ['a', 'b'], np.zeros((2, 3), int))
    with pytest.raises(UserError, match='too few blocks'):
        crops.halves(two, CROP, block=BLOCK, rng=np.random.default_rng(0))


def test_every_corner_is_drawn_as_often_and_tells_its_patch():
    regions = crops.Regions(np.array([4, 7]), np.array([[0, 0, 0], [1, 2, 3]]),
                            np.array([[1, 1, 3], [1, 2, 3]]), np.array([0, 5]))
    patch, corner, group = crops.draw(regions, 9000, rng=np.random.default_rng(0))
    places, counts = np.unique(np.column_stack([patch, corner]), axis=0, return_counts=True)
    assert places.tolist() == ([[4, 0, 0, x] for x in range(3)]
                               + [[7, 1, y, x] for y in (2, 3) for x in (3, 4, 5)])
    np.testing.assert_allclose(counts, 1000, rtol=0.15)
    np.testing.assert_array_equal(group, np.where(patch == 7, 5, 0))


@pytest.mark.parametrize('blocks', [True, False])
def test_no_voxel_of_a_crop_is_in_a_crop_of_another_part(blocks):
    """Voxels hold their own numbers: learnt from, held out and chosen on, held out and read."""
    number = np.arange(2 * np.prod(STACK)).reshape((2,) + STACK).astype(np.int32)
    images = cut(sources=('1', '2'))
    voxels = np.stack([number[int(name) - 1][tuple(slice(o, o + n) for o, n in zip(origin, WINDOW))]
                       for name, origin in zip(images.source, images.origin)])
    side = crops.split(images._replace(image=voxels), CROP, block=BLOCK, blocks=blocks)
    view = critic_views.VIEWS['texture']._replace(crop=CROP)
    eye = critic_views.Eye(side, view, rng=np.random.default_rng(0))
    held = critic.HeldOut([side] * 2, [eye] * 2, count=200, rng=np.random.default_rng(0))
    assert len(held.halves) == 2

    def seen(regions, some, seed):
        patch, corners, _ = crops.draw(regions, 200, rng=np.random.default_rng(seed))
        return {int(v) for i in np.flatnonzero(some) for v in voxels[patch[i]][tuple(
            slice(c, c + n) for c, n in zip(corners[i], CROP))].ravel()}

    rng = np.random.default_rng(0)                       # HeldOut draws its first set's crops first
    patch, corners, group = crops.draw(side.test, 200, rng=rng)
    np.testing.assert_array_equal(group, held.groups[0])
    parts = [seen(side.train, np.ones(200), 1)] + [
        seen(side.test, half[:200], 0) for half in held.halves]
    assert all(len(part) > 1000 for part in parts)
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


# --- what is shown ---

def eye(image, scale, noise=0.0):
    """An Eye on patches [N, Z, Y, X] of two stacks."""
    images = crops.Images(image, [str(i % 2) for i in range(len(image))],
                          np.zeros((len(image), 3), int))
    view = critic_views.VIEWS[scale]._replace(crop=(12, 16, 16), noise=noise)
    side = crops.split(images, view.crop, block=BLOCK, blocks=False)
    return critic_views.Eye(side, view, rng=np.random.default_rng(0))


def look(shown, patch=0, corner=(0, 0, 0), seed=0, **how):
    return shown.crop(patch, corner, rng=np.random.default_rng(seed), **how)


@pytest.mark.parametrize('scale', critic_views.VIEWS)
def test_brightness_and_contrast_of_a_set_are_not_shown(scale):
    image = np.random.default_rng(0).gamma(2, 100, (6, 12, 16, 20))
    noise = critic_views.VIEWS[scale].noise
    seen, same = [look(eye(i, scale, noise), 1, (0, 0, 3)) for i in (image, 3 * image + 500)]
    np.testing.assert_allclose(same, seen, atol=1e-2)                # whole levels are dithered
    assert seen.shape == ((12, 16, 16) if scale == 'texture' else (6, 8, 8))
    assert abs(np.median(seen)) < 0.1 < seen.std()


def test_spread_is_the_unit_of_texture():
    image = np.random.default_rng(0).normal(900, 40, (6, 12, 16, 16))
    assert eye(image, 'texture').unit == pytest.approx(40, rel=0.05)
    assert eye(np.zeros((4, 12, 16, 16)), 'texture').unit == 1


def test_structure_is_smoothed_and_thinned():
    image = np.random.default_rng(0).normal(0, 100, (2, 12, 16, 16)).astype(np.float32)
    image += np.linspace(0, 2000, 16, dtype=np.float32)
    shown = eye(image, 'structure')
    want = ndimage.gaussian_filter(image[1], 1.5, truncate=6)[::2, ::2, ::2]
    inside = (slice(2, -2), slice(3, -3), slice(3, -3))   # borders are smoothed otherwise
    seen = np.sinh(look(shown, 1)) / shown.view.gain * shown.unit
    np.testing.assert_allclose(seen[inside] - seen[inside].mean(),
                               want[inside] - want[inside].mean(), atol=15)


@pytest.mark.parametrize('scale', critic_views.VIEWS)
def test_noise_is_added_as_strong_as_it_is_said(scale, monkeypatch):
    """A ramp of contrast 1 in the view's units; noise 0.2 of them, the borders' a little more."""
    monkeypatch.setattr(critic_views, 'NOISES', (1, 1))
    image = np.zeros((2, 12, 16, 16)) + np.linspace(0, 1000, 16)
    plain, noisy = eye(image, scale), eye(image, scale, noise=0.2)
    added = [np.sinh(look(noisy, seed=i)) - np.sinh(look(plain)) for i in range(8)]
    assert np.std(np.array(added)[:, 2:-2, 2:-2, 2:-2]) / plain.view.gain == pytest.approx(
        0.2, rel=0.15)
    assert (added[0] != added[1]).any()


def test_training_changes_crops_and_keeps_what_they_show():
    shown = eye(np.random.default_rng(0).gamma(2, 100, (4, 12, 16, 16)), 'texture')
    plain = look(shown)
    changed = [look(shown, seed=i, change=True) for i in range(3)]
    assert len({c.tobytes() for c in changed + [plain]}) == 4
    np.testing.assert_array_equal(look(shown, seed=2, change=True), changed[2])
    for c in changed:            # voxels are elsewhere; deviations are those times one factor
        mine, its = np.sort(np.sinh(c), None), np.sort(np.sinh(plain), None)
        factor = np.ptp(mine) / np.ptp(its)
        np.testing.assert_allclose(mine, factor * its, atol=0.02 * np.ptp(its))
        assert 1 / 1.41 <= factor <= 1.41
