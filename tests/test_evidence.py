"""Evidence of grey levels, masks and probability maps."""
import numpy as np
import pytest
from scipy import ndimage
from tubes import DEFAULTS, ISOTROPIC, drawn, off

from utils.common.errors import UserError
from utils.data.stacks import Stack
from utils.measure import otsu
from utils.trace import evidence, tracing


@pytest.mark.parametrize('method', ['otsu', 'gaussian', 'ridge', 'threshold'])
def test_grey_levels_become_evidence_with_one_half_at_the_threshold(method):
    line = [(12, 16, 6), (12, 32, 58)]
    truth = drawn((24, 48, 64), line)
    voxels = np.random.default_rng(0).normal(200, 10, truth.shape)
    voxels = (voxels + 800 * ndimage.gaussian_filter(truth.astype(float), 1)).astype(np.uint16)
    grey = evidence.of_grey_levels(voxels, method, settings=otsu.Settings(0, 1.0, 0.995, 4.0),
                                   threshold=500.0, ridge_sigmas=(1.0, 2.0))
    assert grey.dtype == np.uint8 and grey[truth].mean() > 100 > 40 > grey[~truth].mean()
    if method == 'threshold':
        median = np.median(voxels)
        wanted = np.clip(np.rint((voxels - median) * 127.5 / (500 - median)), 0, 255)
        np.testing.assert_array_equal(grey, wanted)
    tree = tracing.trace(grey, ISOTROPIC, settings=DEFAULTS, low=0.5, high=0.5)
    assert off(tree, line) < 3


def test_constant_stack_and_threshold_below_the_background_are_refused():
    with pytest.raises(UserError, match='empty'):
        evidence.of_grey_levels(np.full((4, 4, 4), 7, np.uint8), 'otsu')
    with pytest.raises(UserError, match='median'):
        evidence.of_grey_levels(np.arange(64, dtype=np.uint8).reshape(4, 4, 4), 'threshold',
                                threshold=5.0)


def test_gaussian_is_step_zeros_mask_and_ridges_are_not_smoothed_before():
    truth = drawn((24, 48, 64), [(12, 12, 6), (12, 36, 58)])
    voxels = np.random.default_rng(0).normal(200, 5, truth.shape) + np.linspace(0, 300, 64)
    voxels, how = (voxels + 200 * truth).astype(np.uint16), otsu.Settings(16, 1.0, 0.995, 4.0)

    def found(method, settings=how):
        return evidence.of_grey_levels(voxels, method, settings=settings, ridge_sigmas=(1.0, 2.0))

    mask = otsu.segment(voxels, how).mask
    assert mask[truth].mean() > 0.8
    assert ((found('gaussian') > 127) != mask).sum() < 3             # ties round up
    np.testing.assert_array_equal(found('ridge'), found('ridge', how._replace(smooth_sigma=0.0)))


# --- files ---

def grey_of(voxels):
    return np.full(voxels.shape, 77, np.uint8)


PROBABILITY = np.array([[[0, 128, 255]]], np.uint8)


@pytest.mark.parametrize('name, voxels, wanted, low', [
    ('a.prob.tif', PROBABILITY, [0, 128, 255], 0.3),
    ('a.tif', (PROBABILITY / 255).astype(np.float32), [0, 128, 255], 0.3),
    ('a.mask.tif', PROBABILITY // 128, [0, 255, 255], 0.3),
    ('a.tif', PROBABILITY // 128, [0, 255, 255], 0.3),          # two levels, one of them 0
    ('a.tif', PROBABILITY // 128 + 1, [77, 77, 77], 0.5),
    ('a.tif', PROBABILITY, [77, 77, 77], 0.5)])
def test_a_file_is_taken_by_its_name_its_dtype_and_its_levels(name, voxels, wanted, low):
    found = evidence.of_stack(Stack(voxels, None, name, {}), low=0.3, high=0.6, grey=grey_of)
    assert found.voxels.dtype == np.uint8 and list(found.voxels.ravel()) == wanted
    assert (found.low, found.high) == (low, 0.6 if low == 0.3 else 0.5)


@pytest.mark.parametrize('name, voxels, words', [
    ('a.prob.tif', PROBABILITY.astype(np.uint16), 'uint16'),
    ('a.mask.tif', PROBABILITY, 'no mask')])
def test_a_file_that_is_not_what_its_name_says_is_refused(name, voxels, words):
    with pytest.raises(UserError, match=words):
        evidence.of_stack(Stack(voxels, None, name, {}), low=0.3, high=0.6, grey=grey_of)


def test_a_probability_map_goes_before_a_mask_and_a_mask_before_a_stack(tmp_path):
    for name in ('a.tif', 'a.mask.tif', 'a.prob.tif', 'b.tif', 'b.mask.tif', 'c.x.tif'):
        (tmp_path / name).write_bytes(b'')
    found = evidence.find(str(tmp_path))
    assert [(name, path[len(str(tmp_path)) + 1:]) for name, path in found] == [
        ('a', 'a.prob.tif'), ('b', 'b.mask.tif'), ('c.x', 'c.x.tif')]
