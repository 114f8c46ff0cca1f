"""Intensities of the segmentation network, and each effect of the augmentation by hand."""
import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from utils.train import augmentation, normalisation

OFF = augmentation.Strength(puncta=0, haze=0, blur=0, snr=(1, 1), contrast=(1, 1), gamma=0,
                            offset=0, noise=0)
ALL = augmentation.Strength(puncta=20, haze=2.0, blur=0.7, snr=(0.1, 1.0), contrast=(0.3, 1.5),
                            gamma=0.2, offset=3.0, noise=1.0)


def changed(image, count=40, **strength):
    """An image changed `count` times with one effect on: float32 [count, Z, Y, X]."""
    strength = OFF._replace(**strength)
    return np.stack([augmentation.change_grey(image, strength, rng=np.random.default_rng(i))
                     for i in range(count)])


def touched(images, image):
    """Those that differ from the image."""
    return images[[not np.array_equal(i, image) for i in images]]


# --- normalisation ---

def test_normalisation_is_independent_of_brightness_and_density():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 20, (20, 60, 60))
    plain = normalisation.measure((500 + noise).astype(np.uint16))
    assert abs(plain.level - 500) < 2 and abs(plain.scale - 20) < 1.5
    crowded = 500 + noise
    crowded[:, :, 10:14] += 3000
    assert abs(normalisation.measure(crowded.astype(np.uint16)).scale - 20) < 4
    assert normalisation.measure(np.full((3, 4, 5), 7, np.uint8)) == (7.0, 1.0)
    a, b = [normalisation.normalise(v, normalisation.measure(v)) for v in
            [(k * (500 + noise)).astype(np.uint16) for k in (1, 3)]]
    np.testing.assert_allclose(a, b, atol=0.1)


def test_normalised_intensities_by_hand():
    """asinh(d / 4) of the deviation in noise levels."""
    seen = normalisation.normalise(np.array([[[100, 140, 20, 1300]]], np.uint16),
                                   normalisation.Scale(100.0, 10.0))
    np.testing.assert_allclose(seen[0, 0], np.arcsinh([0, 1, -2, 30]), rtol=1e-6)
    assert seen.dtype == np.float32


@pytest.mark.parametrize('shape, dtype', [
    ((70, 128, 160), np.uint16), ((3, 4, 5), np.uint8), ((2, 3, 1), np.uint16)])
def test_a_stack_is_measured_by_medians_without_a_copy_of_it(shape, dtype):
    high = np.iinfo(dtype).max
    voxels = np.random.default_rng(0).integers(0, high, shape, dtype, endpoint=True)
    some = voxels[::2 if len(voxels) > 64 else 1].astype(float)
    noise = 1.0
    if shape[2] > 1:
        noise = 1.4826 * np.median(np.abs(np.diff(some, axis=2))) / np.sqrt(2)
    tracemalloc.start()
    measured = normalisation.measure(voxels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert measured == pytest.approx((np.median(some), noise))
    assert peak < 4e6                     # histograms are 3e6; float32 copies grow with the stack


# --- all effects ---

def test_turns_keep_arrays_together_and_grey_changes_are_repeatable():
    image = np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4)
    seen = set()
    for seed in range(8):
        a, b = augmentation.turn([image, image + 1], np.random.default_rng(seed))
        np.testing.assert_array_equal(a + 1, b)
        assert sorted(a.ravel()) == sorted(image.ravel()) and a.shape == image.shape
        seen.add(a.tobytes())
        flat = augmentation.turn([image[:, :2]], np.random.default_rng(seed))[0]
        assert flat.shape == (2, 2, 4)                   # not square: turned by 180 degrees at most
    assert len(seen) > 4                                 # of 16
    one, two = [augmentation.change_grey(image, ALL, rng=np.random.default_rng(5))
                for _ in range(2)]
    np.testing.assert_array_equal(one, two)
    still = augmentation.change_grey(image, OFF, rng=np.random.default_rng(5))
    np.testing.assert_allclose(still, image)


def test_a_seed_draws_the_same_change_as_ever():
    """Effects, their order and their draws: a change of any makes other batches of a seed."""
    image = np.linspace(-3, 30, 8 * 8 * 8, dtype=np.float32).reshape(8, 8, 8)
    found = [augmentation.change_grey(image, ALL, rng=np.random.default_rng(seed))
             for seed in range(6)]
    np.testing.assert_allclose([f.mean() for f in found],
                               [12.216, 6.3424, 9.1635, 1.5654, 10.057, 0.073862], rtol=1e-3)
    np.testing.assert_allclose([f.std() for f in found],
                               [7.883, 1.8923, 5.0435, 2.1426, 5.8826, 1.4326], rtol=1e-3)


# --- each effect ---

def test_puncta_are_as_many_and_as_bright_as_said():
    light = augmentation.puncta((64, 64, 64), 40, rng=np.random.default_rng(3))
    peaks = (light == ndimage.maximum_filter(light, 5)) & (light > 0.9)
    assert 20 < peaks.sum() < 8 * 40 and 0.9 < light[peaks].min() and np.median(light[peaks]) < 8
    assert not augmentation.puncta((8, 8, 8), 0, rng=np.random.default_rng(3)).any()


def test_puncta_are_added_to_three_quarters_of_the_crops():
    image = np.full((24, 24, 24), -2.0, np.float32)
    found = touched(changed(image, puncta=40), image)
    assert 0.6 * 40 <= len(found) <= 0.9 * 40
    assert (found >= -2).all() and found.max() > 0       # light is added, never taken away


def test_haze_adds_the_crops_own_light_far_around_it():
    """A bright plane: its light is added once more, up to twice, three voxels wide or more."""
    image = np.full((4, 48, 4), -1.0, np.float32)
    image[:, 24] = 60
    found = touched(changed(image, haze=2.0), image)
    assert 0.3 * 40 <= len(found) <= 0.7 * 40                        # half of the crops
    light = (found - image)[:, 0, :, 0]
    factor = light.sum(1) / 60                                       # darkness shines nowhere
    assert factor.min() > 0 and 1.5 < factor.max() <= 2.0
    place = np.arange(48) - 24
    width = np.sqrt((light * place ** 2).sum(1) / light.sum(1))
    assert width.min() > 2.9 and width.max() < 6.1


def test_blur_widens_and_keeps_the_light():
    image = np.zeros((16, 16, 16), np.float32)
    image[8, 8, 8] = 1
    found = touched(changed(image, blur=1.5), image)
    assert 0.25 * 40 <= len(found) <= 0.7 * 40
    np.testing.assert_allclose(found.sum((1, 2, 3)), 1, rtol=1e-4)
    variance = (found * (np.arange(16) - 8) ** 2).sum((1, 2, 3))
    assert variance.max() < 1.5 ** 2 + 0.1 and variance.max() > 1.0 and variance.min() < 0.5


def test_lower_signal_to_noise_keeps_the_noise_at_one():
    """A stack is normalised by its noise, so a worse one has less signal in the same noise."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((40, 64, 64)).astype(np.float32)
    image[18:22] += 50
    worse = touched(changed(image, count=8, snr=(0.2, 0.2)), image)
    assert 0 < len(worse) < 8                                        # half of the crops
    for crop in worse:
        assert abs(crop[:18].std() - 1) < 0.02 and abs(crop[18:22].mean() - 10) < 0.2


def test_contrast_is_one_factor_a_crop_log_uniform():
    image = np.linspace(-5, 50, 64, dtype=np.float32).reshape(4, 4, 4)
    factor = changed(image, count=200, contrast=(0.25, 4.0)) / image
    np.testing.assert_allclose(factor.reshape(200, -1).std(1), 0, atol=1e-5)
    power = np.log(factor[:, 0, 0, 0]) / np.log(4)                   # uniform in [-1, 1]
    assert power.min() >= -1.001 and power.max() <= 1.001
    assert abs(power.mean()) < 0.15 and abs(power.std() - 1 / np.sqrt(3)) < 0.06


def test_gamma_bends_about_ten_noise_levels_and_keeps_the_sign():
    image = np.array([-20, -10, 0, 1, 10, 40], np.float32).reshape(1, 2, 3)
    bent = changed(image, gamma=0.3).reshape(40, -1)
    np.testing.assert_allclose(bent[:, [1, 2, 4]], [[-10, 0, 10]] * 40, rtol=1e-5)     # fixed
    power = np.log(bent[:, 5] / 10) / np.log(4)                      # 40 = 10 * 4 -> 10 * 4^p
    np.testing.assert_allclose(bent[:, 0], -10 * 2 ** power, rtol=1e-4)
    np.testing.assert_allclose(bent[:, 3], 10 * 0.1 ** power, rtol=1e-4)
    log = np.log(power)
    assert np.abs(log).max() <= 0.3 + 1e-4 and log.min() < -0.2 and log.max() > 0.2


def test_offset_is_one_shift_a_crop_either_way():
    image = np.linspace(-5, 50, 64, dtype=np.float32).reshape(4, 4, 4)
    shift = (changed(image, offset=3.0) - image).reshape(40, -1)
    np.testing.assert_allclose(shift.std(1), 0, atol=1e-5)
    assert -3 <= shift.min() < -2 and 2 < shift.max() <= 3


def test_noise_is_added_to_half_of_the_crops_white_or_smooth():
    image = np.full((16, 32, 32), 5.0, np.float32)
    found = touched(changed(image, count=60, noise=2.0), image) - image
    assert 0.3 * 60 <= len(found) <= 0.7 * 60
    spread = found.std((1, 2, 3))
    assert spread.max() <= 2.05 and spread.max() > 1.5 and np.median(spread) > 0.5
    alike = np.array([np.corrcoef(f[:, :, 1:].ravel(), f[:, :, :-1].ravel())[0, 1] for f in found])
    smooth = alike > 0.4                                 # sigma of one voxel: exp(-1 / 4) = 0.78
    assert 0.2 < smooth.mean() < 0.8
    assert np.abs(alike[~smooth]).max() < 0.05 and np.abs(alike[smooth] - 0.78).max() < 0.05
