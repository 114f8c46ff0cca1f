"""Haze that was taken for neurites, told block by block."""
import numpy as np
import pytest

from utils.measure import haze, otsu

SETTINGS = otsu.Settings(flatten_block=0, smooth_sigma=1.0, clip_quantile=0.995, noise_floor=4.0,
                         min_object=50)


def scene(level=0):
    """Four fibres on noise, in two blocks of 32; beyond x = 32 all lies in haze. Half as bright."""
    image = np.random.default_rng(0).normal(200 + level, 5, (32, 32, 96))
    image[:, :, 26:] += 150
    for z, y in ((8, 8), (8, 24), (24, 8), (24, 24)):
        image[z - 1:z + 2, y - 1:y + 2] += 100
    return np.rint(image).astype(np.uint16)


def measured(image, **how):
    return haze.measure(image, SETTINGS, radius=1.5, **how)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(haze, 'BLOCK', 32)


@pytest.mark.parametrize('level', [0, 1000])
def test_a_block_that_is_all_foreground_counts(level):
    """The last block, its surroundings included, has no background: it is haze, and most of it."""
    image = scene(level)
    assert (image[:, :, 58:] > 250 + level).all()
    found = measured(image, threshold=250.0 + level)
    assert found.share > 0.9 and found.place[2] > 26


def test_such_a_block_is_measured_by_the_background_of_the_others():
    """Smoothed, neurites stand 57 grey levels above haze of 150: it has 0.72 of their height."""
    how = dict(reach=np.array([8, 8, 8]), settings=SETTINGS, threshold=1250.0)
    image, corner = scene(1000), np.array([0, 0, 64])
    assert haze._block(image, corner, **how) is None
    ridges = haze._block(image, corner, level=1200.0, **how)
    z, y, _ = ridges.where.T
    fibres = np.isin(z, (8, 24)) & np.isin(y, (8, 24))
    assert fibres.sum() > 20 and ridges.count == 32 ** 3
    assert ridges.ratios[fibres].mean() == pytest.approx(0.72, abs=0.05)
    assert ridges.ratios[~fibres].mean() > 0.8


def test_a_stack_that_is_all_foreground_or_has_none():
    image = scene()[:, :, 40:]
    assert measured(image, threshold=250.0).share > 0.9
    assert measured(image, threshold=60000.0) == (0.0, None)
