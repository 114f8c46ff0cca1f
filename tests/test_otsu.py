"""OTSU and the windows that patches are cut by."""
import numpy as np
import pytest

from utils.common.errors import UserError
from utils.measure import background, otsu, windows
from utils.score import masks
from utils.simulate import raster


def helix(shape=(48, 96, 96)):
    t = np.linspace(0, 4 * np.pi, 60)
    position = np.stack([np.linspace(6, shape[0] - 7, 60), 48 + 30 * np.cos(t),
                         48 + 30 * np.sin(t)], 1)
    return raster.label(shape, position, radius=np.full(60, 2.0), parent=np.arange(-1, 59))


def acquired(mask, gradient=0.0):
    rng = np.random.default_rng(0)
    image = 500 + 300 * mask + gradient * np.linspace(0, 1, mask.shape[1])[None, :, None]
    return np.clip(rng.normal(image, 30), 0, 65535).astype(np.uint16)


# --- the mask ---

@pytest.mark.parametrize('gradient', [0.0, 800.0])
def test_segmentation_finds_the_neurite_even_under_a_gradient(gradient):
    mask = helix()
    found = otsu.segment(acquired(mask, gradient), otsu.Settings(16, 1.0, min_object=100)).mask
    assert masks.dice(found, mask) > 0.75
    if gradient:
        slanted = otsu.segment(acquired(mask, gradient), otsu.Settings(0, 1.0, min_object=100)).mask
        assert masks.dice(slanted, mask) < 0.3                     # what flattening is for


@pytest.mark.fault(12)
@pytest.mark.parametrize('voxels, words', [
    (np.full((8, 8, 8), 7, np.uint8), 'empty'),
    (np.arange(512).reshape(8, 8, 8).astype(np.uint8) % 2, 'mask'),
    (np.random.default_rng(0).integers(0, 99, (16, 16, 16)).astype(np.uint16), 'no foreground')])
def test_segmentation_refuses_what_holds_no_neurite(voxels, words):
    with pytest.raises(UserError, match=words):
        otsu.segment(voxels, otsu.Settings(8, min_object=5000), name='some.tif')


def test_noise_floor_saves_otsu_where_little_is_foreground():
    rng = np.random.default_rng(0)
    image = rng.normal(1000, 30, (40, 80, 80))
    image[19:22, 39:42, 10:60] += 400                                # 450 voxels of 256,000
    image = image.astype(np.uint16)
    truth = np.zeros(image.shape, bool)
    truth[19:22, 39:42, 10:60] = True
    alone = otsu.segment(image, otsu.Settings(0, 1.0, 0.995, min_object=30)).mask
    helped = otsu.segment(image, otsu.Settings(0, 1.0, 0.995, 4.0, 30)).mask
    assert masks.dice(alone, truth) < 0.1 and masks.dice(helped, truth) > 0.4


def test_small_objects_are_specks_and_touch_by_corners():
    image = np.full((12, 20, 20), 100, np.uint16)
    image[0, 0, 0] = 101                                             # not a mask of two levels
    image[2:5, 2:5, 2:5] = 900                                       # 27 voxels
    image[8, 10, 10] = image[9, 11, 11] = 900                        # 2 that touch by a corner
    found = otsu.segment(image, otsu.Settings(min_object=3))
    assert found.mask.sum() == 27 and found.specks.sum() == 2
    assert 100 < found.threshold < 900
    assert otsu.segment(image, otsu.Settings(min_object=2)).mask.sum() == 29


def test_clipping_keeps_few_bright_spots_from_raising_the_threshold():
    """Background 0 to 9, neurites of 100 and 50 spots of 60,000."""
    image = np.tile(np.arange(10.0, dtype=np.float32), (20, 20, 10))
    image[:, :4] += 100
    image[0, 0, ::2] = 60000
    assert 8.5 < otsu.cut(image, otsu.Settings(clip_quantile=0.98)) < 100
    assert otsu.cut(image, otsu.Settings()) > 109                    # above all neurites


def test_noise_floor_in_standard_deviations_known_by_hand():
    """Levels -2 to 2 in equal numbers: median 0, median absolute deviation 1."""
    image = np.repeat(np.arange(-2.0, 3.0, dtype=np.float32), 25).reshape(5, 5, 5)
    assert otsu.cut(image, otsu.Settings(noise_floor=4.0)) == pytest.approx(4 * 1.4826)


# --- the smooth background ---

def test_block_medians_follow_a_ramp_and_ignore_a_neurite():
    ramp = np.tile(np.arange(128.0), (32, 64, 1))
    with_neurite = ramp.copy()
    with_neurite[14:18, 30:34] += 1000                               # 0.8 % of the voxels
    for image in (ramp, with_neurite):
        slabs = list(background.block_medians(image, 16))
        assert [rows.stop for rows, _ in slabs] == [16, 32]
        level = np.concatenate([slab for _, slab in slabs])
        assert level.shape == ramp.shape
        assert np.abs(level - ramp)[:, :, 48:-48].max() < 0.5        # the outer blocks are smoothed


def test_local_level_does_not_follow_a_block_full_of_neurites():
    image = np.full((16, 16, 32), 100, np.uint16)
    image[:, :, 16:] = 5000
    level = background.local_level(image, 16, middle=100.0, std=10.0)
    assert level.dtype == np.uint16 and level.max() == 140   # 100 + 4 * 10
    whole = background.local_level(image[:, :, :20], 0, middle=100.0, std=10.0)
    assert (whole == 100).all()                                      # one median for the stack


# --- windows ---

@pytest.mark.parametrize('max_overlap', [0.2, 0.5])
def test_windows_are_centred_inside_and_overlap_little(max_overlap):
    mask, window = helix(), np.array([16, 32, 32])
    line = otsu.centreline(mask)
    corners = windows.slide_windows(line, window, shape=mask.shape, max_overlap=max_overlap)
    assert (corners >= 0).all() and (corners + window <= mask.shape).all() and len(corners) > 5
    for i in range(len(corners)):
        others = np.delete(corners, i, 0)
        shared = np.clip(1 - np.abs(others - corners[i]) / window, 0, None).prod(1)
        assert shared.max() <= max_overlap + 1e-9
    on_line = {tuple(v) for v in line}
    interior = (corners > 0).all(1) & (corners + window < mask.shape).all(1)
    assert interior.any() and all(tuple(c) in on_line for c in corners[interior] + window // 2)
    shared = [np.clip(1 - np.abs(corners - v) / window, 0, None).prod(1).max()
              for v in windows.corners(line, window, shape=mask.shape)]
    # no window that would still fit was left out
    assert min(shared) > max_overlap or len(corners) == len(line)


def test_windows_along_a_line_known_by_hand():
    """30 voxels along x in a stack of 40, windows of 8 that may share half: every 4th voxel."""
    line = np.array([[5, 5, x] for x in range(30)])
    corners = windows.slide_windows(line, (4, 4, 8), shape=(10, 10, 40), max_overlap=0.5)
    assert (corners[:, :2] == 3).all()
    # voxels 4 to 29 hold a window of their own; the ones before are covered by its neighbours
    assert sorted(corners[:, 2]) == [0, 4, 8, 12, 16, 20, 24]
    assert len(windows.slide_windows(line[:0], (4, 4, 8), shape=(10, 10, 40), max_overlap=0.5)) == 0
