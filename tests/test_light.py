"""Fluorescence, optics and camera of the drafts: answers known by hand."""
from types import SimpleNamespace

import numpy as np
import pytest
from drafting import draw, settings_of
from scipy import ndimage, special

from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.simulate import camera, light, neurites, optics, priors, raster, settings


# --- fluorescence ---

def test_stain_keeps_half_the_voxels_and_their_mean():
    lit = light.stain(np.full(40000, 300.0), 0.5, rng=np.random.default_rng(0))
    assert abs((lit > 0).mean() - 0.5) < 0.01 and abs(lit.mean() - 150) < 3
    assert abs(lit[lit > 0].std() - np.sqrt(300)) < 1                    # Poisson


def test_debris_spares_the_neuron_and_keeps_its_number():
    mask = np.zeros((30, 60, 60), bool)
    mask[10:20] = True
    levels = np.arange(1.0, 51.0)
    specks = light.Specks(np.full(50, 2.0), levels, np.full(50, np.inf))
    index, ball, level = light.debris(mask.shape, mask, specks=specks, spacing=(2, 1, 1),
                                      rng=np.random.default_rng(0))
    assert not mask.ravel()[index].any()
    assert (np.diff(ball) >= 0).all() and np.array_equal(level, levels[ball])
    assert sorted(set(ball)) == list(range(50))                          # every ball found a place
    whole = np.bincount(ball).argmax()
    z, y, x = np.unravel_index(index[ball == whole], mask.shape)
    assert np.ptp(z) <= 2 and np.ptp(y) <= 4 and np.ptp(x) <= 4 and len(z) > 10


def test_specks_fall_off_by_their_sigma():
    mask, specks = np.zeros((31, 61, 61), bool), light.Specks(*np.array([[6.0], [100.0], [2.0]]))
    index, _, level = light.debris(mask.shape, mask, specks=specks, spacing=(2, 1, 1),
                                   rng=np.random.default_rng(3))
    place = np.stack(np.unravel_index(index, mask.shape), 1) * (2, 1, 1)
    centre = np.average(place, axis=0, weights=level)
    square = np.average((place - centre) ** 2, axis=0, weights=level)
    np.testing.assert_allclose(square, 2.0 ** 2, rtol=0.1)
    assert 80 < level.max() <= 100
    # 2 voxels along z are one plane
    assert 2 * level.sum() == pytest.approx(100 * (2 * np.pi) ** 1.5 * 2.0 ** 3, rel=0.05)


def node(count=1, radius=1.0):
    """A tree of some nodes in a row."""
    position = np.zeros((count, 3))
    position[:, 2] = 2 * np.arange(count)
    return swc.Tree(np.full(count, swc.AXON), position, np.full(count, radius),
                    np.arange(-1, count - 1))


def bright(tree, seed=0, *, prior=None, blur=1.0, level=100.0, **constants):
    """light.brightness of a tree by some constants."""
    return light.brightness(tree, level, light=settings_of(**constants).light, blur=[(1.0, blur)],
                            prior=prior or priors.Priors(None, 16),
                            rng=np.random.default_rng(seed))


def test_brightness_is_the_papers_or_the_given_one():
    assert bright(node(3)).tolist() == [100.0] * 3
    given = [bright(node(3), seed, LEVEL=(200.0, 300.0)) for seed in range(50)]
    assert all(len(set(values)) == 1 for values in given)
    assert 200 <= np.min(given) < 210 and 290 < np.max(given) <= 300


def test_brightness_spreads_from_neurite_to_neurite():
    logs = np.log([bright(node(2), seed, LEVEL_SPREAD=0.4)[0] / 100 for seed in range(1500)])
    assert abs(logs.mean()) < 0.04 and abs(logs.std() - 0.4) < 0.03


def test_brightness_drifts_over_its_length_on_straight_neurites_too():
    levels = []
    for seed in range(6):
        values = settings_of(AXON_SHARE=1.0, LEVEL_DRIFT=0.5, VOLUME_SHAPE=(256, 256, 256))
        prior = priors.Priors(None, 16)
        _, trees = neurites.grow(values, prior, rng=np.random.default_rng(seed))
        levels.append(np.log(light.brightness(trees[0], 100.0, light=values.light, prior=prior,
                                              blur=[(1.0, 1.0)],
                                              rng=np.random.default_rng(seed))))
    near, far = [np.mean([np.corrcoef(v[k:], v[:-k])[0, 1] for v in levels]) for k in (1, 20)]
    assert near > 0.75 and far < 0.4                     # 2 and 40 voxels apart, 20 voxels of drift


def test_drift_has_its_strength_and_length():
    logs = np.log(bright(node(20000), LEVEL_DRIFT=0.3, DRIFT_LENGTH=50.0) / 100)
    assert abs(logs.std() - 0.3) < 0.03
    assert abs(np.corrcoef(logs[25:], logs[:-25])[0, 1] - np.exp(-1)) < 0.1      # 50 voxels


def test_free_ends_are_brighter_and_cut_ones_are_not():
    """A fork: a tip of it is 10 nodes from the fork, the other at the stack's border."""
    position = np.full((22, 3), 20.0)
    position[:11, 2] = 20 + 2 * np.arange(11)            # root, trunk, free tip
    position[11:, 1] = 20 - 2 * np.arange(11)            # from node 0 to the border
    tree = swc.Tree(np.full(22, swc.AXON), position, np.ones(22),
                    np.r_[np.arange(-1, 10), 0, np.arange(11, 21)])
    found = light.of_ends(tree, (41, 60, 60), level=2.0)
    wanted = 1 + np.exp(-np.arange(20, -1, -2) / light.END_LENGTH)
    np.testing.assert_allclose(found[:11], wanted)
    np.testing.assert_allclose(found[11:], 1.0)
    soma = light.of_ends(tree._replace(type=np.full(22, swc.SOMA)), (41, 60, 60), level=2.0)
    np.testing.assert_allclose(soma, 1.0)


class Measured:
    """Priors whose measured levels are known."""

    def draw_level(self, rng, *, like, free):
        assert (like, free) == (0, 1) or abs(free) < 1
        return 300.0 + 10 * like + 1000 * (free - 1)

    def median_level(self):
        return 200.0


def test_measured_brightness_makes_up_for_blur_and_staining():
    """A cylinder of radius 1 blurred by 1 keeps 1 - exp(-1/2); half of its voxels are stained."""
    left = 1 - np.exp(-0.5)
    auto = settings_of().light._replace(level='auto', level_spread='auto', stained_share=0.5)
    how = dict(blur=[(1.0, 1.0)], prior=Measured(), rng=np.random.default_rng(0))
    assert light.brightness(node(), 1.0, light=auto, **how) == pytest.approx(300 / 0.5 / left)
    thick = auto._replace(level_width=-0.8)              # and dim, as thick ones are
    for score, wanted in ((None, 300), (1.0, 300 - 8 - 400), (-1.0, 300 + 8 - 400)):
        assert light.brightness(node(), 1.0, light=thick, thick=score, **how) == pytest.approx(
            wanted / 0.5 / left)
    alike = auto._replace(level_spread=0)
    assert light.brightness(node(), 1.0, light=alike, **how) == pytest.approx(200 / 0.5 / left)
    assert light.left_by_blur(np.array([0.1, 50.0]), how['blur']) == pytest.approx(
        [1 - np.exp(-0.56 ** 2 / 2), 1])                 # a voxel is the thinnest
    assert light.left_by_blur(1.0, [(1.0, 100.0)]) == 0.1
    both = [(0.4, 1.0), (0.6, 3.0)]                      # a core and wings
    left = 0.4 * (1 - np.exp(-2)) + 0.6 * (1 - np.exp(-2 / 9))
    assert light.left_by_blur(2.0, both) == pytest.approx(left)
    assert light.brightness(node(radius=2.0), 1.0, light=alike, **dict(how, blur=both)) \
        == pytest.approx(200 / 0.5 / left)


def test_thickness_is_told_among_the_neurites_of_a_draft():
    """By ranks: what makes all of them thinner, or a soma, changes nothing."""
    radii = [np.full(3, 1.0), np.array([1.0, 3.0]), np.full(2, 1.5), np.array([1.5, 1.5, 1.5])]
    low, high, even, too = light.thickness_scores(radii)
    assert low == -high == special.ndtri(1 / 8) and even == too == 0
    assert light.thickness_scores([radius / 2 for radius in radii]) == [low, high, even, too]
    assert light.thickness_scores(radii[:1]) == [None]
    assert light.thickness_scores([np.full(3, 0.8)] * 4) == [None] * 4


def test_the_share_of_dim_neurites_is_dimmer_than_any_measured():
    class Dim(Measured):
        unseen = SimpleNamespace(share=0.3)

        def draw_unseen(self, rng):
            return 20.0

    auto = settings_of().light._replace(level='auto', level_spread='auto', stained_share=1.0)
    rng = np.random.default_rng(0)
    for wanted, on in ((0.3, True), (0, False)):
        values = [light.brightness(node(), 1.0, light=auto._replace(dim_neurites=on),
                                   blur=[(1.0, 1.0)], prior=Dim(), rng=rng)[0] for _ in range(1000)]
        assert np.mean(np.array(values) < 100) == pytest.approx(wanted, abs=0.05)


def test_light_changes_linearly_along_an_edge():
    found = raster.Found(np.array([4, 6, 8]), np.array([1, 1, 0]), np.array([0.25, 1.0, 1.0]),
                         None, None)
    shining = light.on_voxels((1, 1, 10), found, shine=np.array([100.0, 200.0]),
                              parent=np.array([-1, 0]))
    assert shining[0, 0].tolist() == [0, 0, 0, 0, 125, 0, 200, 0, 100, 0]


# --- optics ---

def test_sparse_blur_equals_the_dense_one_and_slabs_add_up():
    rng = np.random.default_rng(0)
    shape, sigma = (50, 90, 110), (0.6, 1.0, 1.3)
    dark = np.zeros(shape, np.float32)
    at = rng.integers(0, dark.size, 4)
    dark.ravel()[at] = rng.uniform(1, 100, 4)
    dense = ndimage.gaussian_filter(dark, sigma, mode='constant')
    balls = light.Balls(np.array([5, 6, 7, dark.size - 1]), np.array([0, 0, 0, 2]),
                        np.array([30.0, 30, 30, 10]))
    spot = np.zeros(shape, np.float32)
    spot.ravel()[balls.index] = balls.level
    dense += ndimage.gaussian_filter(spot, sigma, mode='constant')
    boxes = optics.blur(dark.copy(), at, sigma=sigma)
    assert len(boxes) > 1                                # the sparse way was taken
    boxes += optics.blur_balls(shape, balls, sigma=sigma)
    boxes = sorted(boxes, key=lambda box: box[0])
    found = np.zeros(shape, np.float32)
    for z in range(0, 50, 8):
        rows = slice(z, min(z + 8, 50))
        boxes = optics.add_light(found[rows], rows, boxes=boxes)
    np.testing.assert_allclose(found, dense, atol=1e-4)
    everywhere = optics.blur(np.ones(shape, np.float32), np.arange(dark.size), sigma=sigma)
    assert len(everywhere) == 1 and everywhere[0][1].shape == shape


def test_measured_point_spread_function_is_used_as_it_is():
    kernel = np.zeros((3, 5, 5))
    kernel[1, 2, 2], kernel[1, 2, 4] = 0.75, 0.25
    dark = np.zeros((9, 20, 20), np.float32)
    dark[4, 10, 10] = 8
    found = optics.convolve(dark, kernel)
    assert abs(found[4, 10, 10] - 6) < 1e-4 and abs(found[4, 10, 12] - 2) < 1e-4
    assert abs(found.sum() - 8) < 1e-3


def test_blur_is_told_in_voxels_of_each_axis():
    values = SimpleNamespace(psf_sigma=(3.0, 1.0, 0.5))
    assert optics.blur_of(values, voxel_size=(2, 1, 0.5)) == [1.5, 1.0, 1.0]
    z, y, x = np.indices((31, 31, 31)) - 15.0
    psf = np.exp(-z ** 2 / 18 - y ** 2 / 8 - (x - 2) ** 2 / 2)
    found = optics.blur_of(values, voxel_size=(1, 1, 1), psf=psf / psf.sum())
    np.testing.assert_allclose(found, (3, 2, 1), rtol=1e-3)


def test_point_spread_function_files_are_centred_or_refused(tmp_path):
    spot = np.full((11, 20, 21), 10, np.uint16)
    spot[3, 8, 12] = 500
    path = str(tmp_path / 'psf.tif')
    stacks.write(path, spot)
    kernel = optics.read_psf(path)
    assert all(n % 2 for n in kernel.shape) and np.isclose(kernel.sum(), 1)
    assert np.unravel_index(kernel.argmax(), kernel.shape) == tuple(n // 2 for n in kernel.shape)
    stacks.write(path, np.full((80, 80, 80), 7, np.uint16))
    with pytest.raises(UserError, match='point-spread'):
        optics.read_psf(path)
    assert draw(1, PSF_SIGMA=(0.0, 0.0, 0.0)).image.max() > 0


def test_illumination_has_its_strength_and_its_length_along_each_axis():
    fields = [np.log(np.concatenate([factor for _, factor in optics.illumination(
        (48, 48, 48), 0.2, sigma=(1.0, 3.0, 9.0), rng=np.random.default_rng(seed))]))
        for seed in range(6)]
    assert abs(np.mean([f.std() for f in fields]) - 0.2) < 0.03
    steps = [np.mean([np.diff(f, axis=axis).std() for f in fields]) for axis in range(3)]
    # three times as smooth along the next axis
    assert 2 < steps[0] / steps[1] < 4 and 2 < steps[1] / steps[2] < 4


def test_attenuation_starts_at_the_first_slice_of_the_stack():
    slab = np.ones((2, 1, 1), np.float32)
    optics.attenuate(slab, slice(3, 5), length=10.0)
    np.testing.assert_allclose(slab.ravel(), np.exp([-0.3, -0.4]), rtol=1e-6)


# --- camera ---

def test_photons_are_counted_in_their_gain():
    seen = camera.photons(np.full((40, 40, 40), 200, np.float32), 5.0,
                          rng=np.random.default_rng(0))
    assert abs(seen.mean() - 200) < 1 and abs(seen.var() / (5 * 200) - 1) < 0.03
    assert (seen % 5 == 0).all()


def test_light_brings_noise_that_its_background_has_not():
    slab = np.full((40, 40, 40), 500, np.float32)
    slab[20:] = 100                                      # no light there
    behind = np.full((40, 40, 40), 100, np.float32)
    camera.shot(slab, behind, variance=2.5, rng=np.random.default_rng(0))
    assert abs(slab[:20].mean() - 500) < 1 and abs(slab[:20].var() / (2.5 * 400) - 1) < 0.03
    assert (slab[20:] == 100).all()


def test_read_out_adds_noise_and_offset_and_cuts_off():
    def read(**values):
        slab = np.full((40, 40, 40), 100, np.float32)
        known = dict(light_noise=0.0, gain=0.0, offset=0.0, read_noise=0.0, saturation=0.0)
        camera.read_out(slab, settings.Camera(**dict(known, **values)),
                        rng=np.random.default_rng(0))
        return slab

    assert (read() == 100).all() and (read(offset=-30.0) == 70).all()
    noise = read(read_noise=8.0)
    assert abs(noise.mean() - 100) < 0.2 and abs(noise.std() - 8) < 0.1
    assert (read(offset=30.0, saturation=120.0) == 120).all()            # the offset counts


@pytest.mark.parametrize('dtype, high', [(np.uint8, 255), (np.uint16, 65535)])
def test_to_dtype_rounds_and_clips(dtype, high):
    result = camera.to_dtype(np.array([-5, 0.4, 1.6, 1e6], np.float32), dtype)
    assert result.tolist() == [0, 0, 2, high] and result.dtype == dtype
