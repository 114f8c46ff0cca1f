"""How like each other two sets of stacks are, with answers known by hand."""
import numpy as np
import pytest
from tubes import drawn

from utils.measure import otsu
from utils.score import samples

HOW = dict(window=(12, 16, 16), max_overlap=0.5, min_foreground=0.02)
SETTINGS = otsu.Settings(noise_floor=10.0, min_object=60)
TUBE = drawn((24, 40, 60), [(12, 20, 6), (12, 20, 54)], radius=3.0)


def stack(level=0, tube=TUBE):
    """Background from 100 to 109, the tube at 500, single bright voxels at 900."""
    voxels = 100 + np.random.default_rng(0).integers(0, 10, tube.shape)
    voxels[tube] = 500
    voxels[12, 26, 4::6] = 900                            # beside the tube, in its patches
    return (voxels + level).astype(np.uint16)


def test_foreground_background_and_debris_are_told_apart():
    found = samples.sample([stack()], SETTINGS, **HOW)
    assert set(found.foreground) == {500} and found.background.max() < 110      # no debris
    assert found.images.shape[1:] == (12, 16, 16) and len(found.images) >= 3
    assert np.median(found.radii) == pytest.approx(3, abs=0.6)
    full = [(image == 500).mean() for image in found.images]
    crowded = samples.sample([stack()], SETTINGS, **dict(HOW, min_foreground=np.median(full)))
    assert 0 < len(crowded.images) < len(found.images)
    assert len(samples.sample([stack(), stack()], SETTINGS, **HOW).images) == 2 * len(full)


def test_distances_of_known_differences():
    one = samples.sample([stack()], SETTINGS, **HOW)
    assert set(samples.distances(one, one).values()) == {0}
    brighter = samples.distances(one, samples.sample([stack(level=7)], SETTINGS, **HOW))
    assert brighter['foreground'] == pytest.approx(7) == brighter['background']
    assert brighter['radius'] == 0 and brighter['spectrum'] < 1e-3
    thin = drawn(TUBE.shape, [(12, 20, 6), (12, 20, 54)], radius=1.5)
    thinner = samples.distances(one, samples.sample([stack(tube=thin)], SETTINGS, **HOW))
    assert thinner['radius'] > 0.9 and thinner['foreground'] == 0 and thinner['spectrum'] > 0.05


def test_halves_are_along_each_axis():
    whole = np.arange(24).reshape(2, 3, 4)
    pairs = samples.halves(whole)
    assert [tuple(half.shape for half in pair) for pair in pairs] == [
        ((1, 3, 4), (1, 3, 4)), ((2, 2, 4), (2, 1, 4)), ((2, 3, 2), (2, 3, 2))]
    np.testing.assert_array_equal(np.concatenate(pairs[2], 2), whole)
