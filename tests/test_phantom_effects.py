"""Effects that the phantom is made of, against answers known by hand."""
import numpy as np
import pytest

from utils.common import config
from utils.simulate.phantom import axons, fluorescence, microscope, settings


def settings_of(*overrides):
    """The demo's settings, with some constants replaced."""
    cfg = config.load('configs/demo/phantom.py', list(overrides))
    return settings.Settings(*[config.pick(cfg, group) for group in settings.GROUPS])


# --- axons ---

def test_walk_without_bending_is_straight():
    points = axons.walk(np.zeros(3), np.array([0.0, 0.0, 1.0]), size=np.array([5.0, 5.0, 10.5]),
                        length=99, bending=0.0, bend_length=5.0, rng=np.random.default_rng(0))
    assert np.allclose(points, [(0, 0, x) for x in range(1, 11)])    # and stops before it leaves


def test_noise_along_an_axon_has_unit_std():
    noise = axons.along(200000, 25.0, rng=np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] > 0.99           # smooth from node to node


def test_boutons_swell_by_their_factor():
    factor = axons.boutons(400, (10.0, 10.0), swell=(1.7, 1.7), sigma=1.2,
                           rng=np.random.default_rng(0))
    middle = factor[1:-1]
    peaks = np.flatnonzero((middle > factor[:-2]) & (middle >= factor[2:])) + 1
    assert 1 <= factor.min() < 1.01 and 1.5 < factor.max() <= 1.7
    assert set(np.diff(peaks)) == {10}


# --- fluorescence ---

def test_smooth_field_has_its_scale():
    field = fluorescence.smooth_field((32, 64, 64), (6.0, 6.0, 6.0), rng=np.random.default_rng(0))
    assert field.shape == (32, 64, 64) and field.dtype == np.float32
    assert abs(field.mean()) < 1e-3 and field.std() == pytest.approx(1, abs=1e-3)
    near, far = [np.mean(field[:, :, d:] * field[:, :, :-d]) for d in (1, 30)]
    assert near > 0.95 and far < 0.5


# --- optics and camera ---

def test_illumination_of_no_std_is_even():
    plain = settings.Stack((16, 16, 16), (1, 1, 1))
    rng = np.random.default_rng(0)
    assert (microscope.illumination(plain, 0.0, sigma=60.0, rng=rng) == 1).all()


def test_point_spread_keeps_light_and_is_longer_in_z():
    light = np.zeros((31, 31, 31), np.float32)
    light[15, 15, 15] = 1000
    seen = microscope.point_spread(light, (2.0, 1.0, 1.0), voxel_size=np.ones(3))
    assert seen.sum() == pytest.approx(1000, rel=1e-3)
    offset = np.arange(31) - 15.0
    z2, x2 = [(seen.sum(axes) * offset ** 2).sum() / seen.sum() for axes in ((1, 2), (0, 1))]
    assert z2 == pytest.approx(4, rel=0.05) and x2 == pytest.approx(1, rel=0.05)


def test_camera_statistics():
    def image(level, side):
        return microscope.read_out(np.full((side,) * 3, level, np.float32), 3.0, offset=200.0,
                                   read_noise=8.0, rng=np.random.default_rng(0))

    seen = image(600, 40)
    assert seen.dtype == np.uint16
    assert seen.mean() == pytest.approx(800, abs=1)
    assert seen.astype(float).var() == pytest.approx(3 * 600 + 64, rel=0.03)     # gain x signal + read noise
    assert (image(1e6, 2) == 65535).all()                                        # clipped, not wrapped
