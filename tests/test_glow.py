"""Crowded stacks: glow of the neurites, clumps and heading; measured, drawn, measured again."""
import numpy as np
import pytest
from drafting import draw
from scipy import ndimage

from utils.measure import background, bends, coarse, courses, crowding, glow, otsu, stack
from utils.simulate import fibres
from utils.simulate.branches import STEP
from utils.simulate.crowds import Crowds

ISOTROPIC = 1, 1, 1
SEGMENTATION = otsu.Settings(32, 1.0, 0.995, 4.0, 50)
# a crowded draft of the paper's levels, in one corner more than in the others
CROWDED = dict(AXON_SHARE=1.0, VOLUME_SHAPE=(64, 96, 96), VOXEL_SIZE=(1.0, 1.0, 1.0), DEBRIS=0.0,
               DENSITY=0.006, CLUMPS=1.0, LEVEL=(3000.0, 3000.0), RADIUS=(1.0, 1.3), OFFSET=2000.0,
               STAINED_SHARE=1.0, PSF_SIGMA=(1.0, 1.0, 1.0))


# --- coarse grids ---

def test_blocks_of_a_stack_and_what_lies_between_them():
    voxels = np.arange(6 * 9 * 4).reshape(6, 9, 4).astype(np.uint16)
    edges = [coarse.ends(n, 3) for n in voxels.shape]
    assert [list(edge) for edge in edges] == [[0, 3, 6], [0, 3, 6, 9], [0, 4]]
    means = coarse.means(voxels, edges)
    assert means.shape == (2, 3, 1) and means[1, 2, 0] == voxels[3:, 6:].mean()
    where = np.ones(voxels.shape, bool)
    where[:3, :3] = False
    where[0, 0, 0] = where[2, 2, 2] = True
    medians = coarse.medians(voxels, where, edges=edges, least=0.05)
    assert medians[0, 0, 0] == voxels[0, 0, 0]           # the lower one of two
    assert medians[1, 1, 0] == np.sort(voxels[3:, 3:6].ravel())[17]
    assert np.isnan(coarse.medians(voxels, where, edges=edges)[0, 0, 0])
    # a linear ramp comes back as it was
    ramp = np.add.outer(np.add.outer(np.arange(12.0), 2 * np.arange(9)), 3 * np.arange(6))
    edges = [coarse.ends(n, 3) for n in ramp.shape]
    back = np.concatenate([slab for _, slab in coarse.between(coarse.means(ramp, edges), edges,
                                                              slab=5)])
    np.testing.assert_allclose(back, ramp, atol=1e-4)


# --- glow ---

def crowd(shares, *, photons=0.0, noise=30.0, seed=0):
    """A stack of thick straight neurites, more of them at one end, with glow; (stack, mask)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((64, 80, 96), bool)
    for z, y in zip(64 * rng.beta(1, 2.5, 60), 80 * rng.beta(1, 2.5, 60)):
        mask[int(z):int(z) + 2, int(y):int(y) + 2] = True
    light = 4000.0 * mask
    image = 2000 + light + sum(share * ndimage.gaussian_filter(light, sigma, mode='reflect')
                               for share, sigma in zip(shares, glow.SPREADS))
    image += np.sqrt(noise ** 2 + photons * (image - 2000)) * rng.standard_normal(mask.shape)
    return np.rint(np.clip(image, 0, 65535)).astype(np.uint16), mask


def found_in(voxels, mask):
    found = otsu.Segmentation(mask, mask & False, 500.0)
    outside, _ = background.behind(voxels, found)
    return found, outside


def test_glow_of_known_shares_is_found_and_taken_off():
    voxels, mask = crowd((0.0, 0.0, 4.0), photons=3.0)
    found, outside = found_in(voxels, mask)
    shine = glow.measure(voxels, found, outside=outside, spacing=ISOTROPIC)
    truth = 4.0 * 4000 * mask.mean()
    assert shine.explained > 0.95 and shine.level == pytest.approx(truth, rel=0.1)
    assert shine.shares[2] > 5 * (shine.shares[0] + shine.shares[1])
    dark = glow.cleared(voxels, shine)
    assert dark.dtype == np.uint16
    assert abs(np.median(dark[outside]) - 2000) < 40 < np.std(voxels[outside]) / 5
    half = glow.dim(shine, outside)
    std, photons = glow.noises(voxels, shine, outside=outside)
    assert photons == pytest.approx(3.0, rel=0.15)
    assert 20 < std < 45                                 # 30, and nothing of the photons
    assert half.sum() == pytest.approx(outside.sum() / 2, rel=0.05) and not (half & ~outside).any()
    assert voxels[half].mean() < voxels[outside & ~half].mean() - 300


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_fine_neurites_in_the_glow_are_no_photons(axis):
    """Where neurites crowd, those that run along one axis make neighbours along others differ."""
    voxels, mask = crowd((0.0, 0.0, 4.0), photons=3.0)
    found, outside = found_in(voxels, mask)
    shine = glow.measure(voxels, found, outside=outside, spacing=ISOTROPIC)
    threads = np.random.default_rng(1).standard_normal(mask.shape)
    threads = ndimage.gaussian_filter1d(threads, 3.0, axis=axis)
    light = np.concatenate([slab for _, slab in coarse.between(shine.grid, shine.edges, slab=16)])
    finer = voxels + np.sqrt(4 * np.maximum(light, 0)) * threads / threads.std()
    _, photons = glow.noises(np.rint(finer).astype(np.uint16), shine, outside=outside)
    assert photons == pytest.approx(3.0, rel=0.15)


def test_noise_that_is_alike_along_one_axis_does_not_hide_photons():
    voxels, mask = crowd((0.0, 0.0, 4.0), photons=3.0)
    found, outside = found_in(voxels, mask)
    shine = glow.measure(voxels, found, outside=outside, spacing=ISOTROPIC)
    smooth = ndimage.uniform_filter1d(voxels.astype(float), 3, axis=0)
    _, photons = glow.noises(np.rint(smooth).astype(np.uint16), shine, outside=outside)
    assert photons == pytest.approx(1.0, rel=0.2)        # of three planes' mean, in the plane


def test_the_mean_glow_of_a_place():
    edges = [coarse.ends(n, 4) for n in (40, 8, 8)]
    grid = np.arange(10, dtype=np.float32)[:, None, None] + np.zeros((10, 2, 2), np.float32)
    shine, where = glow.Glow([], 1.0, 4.5, grid, edges), np.zeros((40, 8, 8), bool)
    assert glow.mean_light(shine, where) == 0
    assert glow.mean_light(shine, ~where) == pytest.approx(4.5, abs=1e-5)
    where[20:24, 2:5] = True                             # the block of 5, and both its neighbours
    assert glow.mean_light(shine, where) == pytest.approx(5.0, abs=1e-5)


def test_a_background_that_does_not_follow_the_neurites_has_no_glow():
    voxels, mask = crowd((0.0, 0.0, 0.0))
    waves = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal(mask.shape), 6)
    voxels = (voxels + 300 * waves / waves.std()).clip(0, 65535).astype(np.uint16)
    found, outside = found_in(voxels, mask)
    shine = glow.measure(voxels, found, outside=outside, spacing=ISOTROPIC)
    assert shine.explained < 0.5
    seen = stack.measure(voxels, found, skeleton=otsu.centreline(mask))
    assert seen['glow'] is None
    flat = np.full_like(voxels, 7)
    assert glow.measure(flat, found, outside=outside, spacing=ISOTROPIC) is None


def test_noise_of_too_few_voxels_is_unknown():
    voxels, mask = [part[:6, :8, :12] for part in crowd((0.0, 0.0, 4.0))]
    shine = glow.Glow([0.0, 0.0, 4.0], 1.0, 10.0, np.zeros((1, 1, 1), np.float32),
                      [coarse.ends(n, n) for n in voxels.shape])
    assert glow.noises(voxels, shine, outside=~mask) == (None, None)
    level = {'shares': [0.0, 0.0, 4.0], 'level': 10.0, 'noise': None, 'photons': None}
    assert courses.first_guess({'glow': level})['photons'] is None


def test_dim_neurites_are_no_background():
    rng = np.random.default_rng(0)
    dark = rng.normal(1000, 30, (40, 40, 40))
    dark[:, 10:13, 10:13] += 250
    kept = glow.without_dim_neurites(dark.astype(np.uint16), np.ones(dark.shape, bool))
    assert not kept[5:35, 11, 11].any() and kept[:, 20:, 20:].mean() > 0.98


# --- a dense phantom ---

def test_a_dense_phantom_is_measured_as_it_was_drawn():
    """Background, its noise and the neurites' light, of a draft whose truth is known."""
    truth = dict(CROWDED, GLOW=(0.0, 0.0, 5.0), LIGHT_NOISE=2.0, READ_NOISE=60.0)
    drawn, dark = draw(4, **truth), draw(4, **dict(truth, GLOW=(0.0, 0.0, 0.0)))
    found = otsu.segment(drawn.image, SEGMENTATION)
    how = dict(skeleton=otsu.centreline(found.mask))
    seen, unmended = [stack.measure(drawn.image, found, like=like, **how)
                      for like in (None, {'glow': None})]
    assert seen['glow']['explained'] > glow.HOLDS
    level = float(drawn.image.mean()) - float(dark.image.mean())
    assert seen['glow']['level'] == pytest.approx(level, rel=0.25)
    alone = dark.image[ndimage.binary_dilation(dark.label, iterations=6) == 0]
    assert abs(seen['background']['median'] - np.median(alone)) < 0.1 * level
    assert abs(unmended['background']['median'] - np.median(alone)) > 0.5 * level
    assert seen['background']['robust_std'] == pytest.approx(np.std(alone), rel=0.35)
    assert unmended['background']['robust_std'] > 1.3 * np.std(alone)
    assert seen['glow']['photons'] == pytest.approx(2.0, rel=0.5)


def test_dim_neurites_of_crowded_stacks_are_counted():
    """Centrelines from half of OTSU's threshold on, of the stack without its glow."""
    drawn = draw(4, **dict(CROWDED, GLOW=(0.0, 0.0, 5.0), READ_NOISE=60.0, LEVEL_SPREAD=0.8))
    found = otsu.segment(drawn.image, SEGMENTATION)
    seen = stack.measure(drawn.image, found, skeleton=otsu.centreline(found.mask))
    assert seen['glow'] and seen['lines']['threshold'] == pytest.approx(found.threshold / 2)
    assert seen['lines']['density'] > 1.1 * seen['density']
    assert seen['lines']['level_quantiles'][12] < seen['level_quantiles'][12]


def test_half_of_a_threshold_that_is_absolute():
    """Where nothing is flattened, OTSU's threshold is a grey level."""
    voxels, _ = crowd((0.0, 0.0, 4.0))
    found = otsu.segment(voxels, SEGMENTATION._replace(flatten_block=0))
    seen = stack.measure(voxels, found, skeleton=otsu.centreline(found.mask), flatten_block=0)
    assert seen['glow'] and seen['lines']['threshold'] == pytest.approx(
        (found.threshold - seen['background']['median']) / 2)


def test_clumps_are_of_the_light_with_its_glow():
    """More neurites, and their glow, at one end; none of a stack without glow."""
    voxels, mask = crowd((0.0, 0.0, 4.0))
    found, _ = found_in(voxels, mask)
    seen = stack.measure(voxels, found, skeleton=otsu.centreline(mask))
    base = seen['background']['median']
    assert seen['clumps'] == crowding.clumps(voxels, base=base, spacing=ISOTROPIC) > 0.03
    dark, mask = crowd((0.0, 0.0, 0.0))
    found, _ = found_in(dark, mask)
    assert stack.measure(dark, found, skeleton=otsu.centreline(mask))['clumps'] is None


def test_the_papers_drafts_have_no_glow():
    plain, other = [draw(1, AXON_SHARE=1.0, **more) for more in ({}, dict(GLOW=(0.0, 0.0, 0.0)))]
    np.testing.assert_array_equal(plain.image, other.image)
    lit = draw(1, AXON_SHARE=1.0, GLOW=(1.0, 0.0, 1.0))
    np.testing.assert_array_equal(lit.label, plain.label)
    assert lit.image.mean() > plain.image.mean() + 1


# --- clumps and heading ---

def light_at(places, shape):
    """A stack that shines at some places; uint16 of 100 elsewhere."""
    places = np.rint(places).astype(int)
    places = places[((places >= 0) & (places < shape)).all(1)]
    voxels = np.full(shape, 100, np.uint16)
    np.add.at(voxels, tuple(places.T), 1000)
    return voxels


def clumps_of(places, shape):
    return crowding.clumps(light_at(places, shape), base=100, spacing=ISOTROPIC)


def test_bright_places_beside_bright_ones_are_clumps():
    rng = np.random.default_rng(0)
    shape = (128, 128, 128)
    even = rng.integers(0, shape, (4000, 3))
    assert abs(clumps_of(even, shape)) < 0.05
    half = even[even[:, 2] < 64]                         # twice the mean in one half, none beyond
    # pairs along x: (1 - 1 + 1) / 3 of the square; along y and z: 1
    assert clumps_of(half, shape) == pytest.approx(7 / 9, abs=0.05)
    flat = crowding.clumps(light_at(half, shape), base=100, spacing=(1, 0.1, 1))
    assert flat == pytest.approx(2 / 3, abs=0.05)        # no pairs along y
    assert clumps_of(even[:100], (32, 32, 32)) is None
    assert crowding.clumps(light_at(even, shape), base=9000, spacing=ISOTROPIC) is None
    assert np.isfinite(crowding.clumps(light_at(even, (8, 128, 128)), base=100, spacing=(40, 1, 1)))


def test_heading_of_straight_paths():
    along = np.stack([np.full(20, 3), np.arange(20), np.arange(20)], 1)
    np.testing.assert_allclose(crowding.heading([along], ISOTROPIC), [0, 0.5, 0.5, 0, 0, 0.5],
                               atol=1e-6)
    assert crowding.heading([along[:3]], ISOTROPIC) is None
    np.testing.assert_allclose(crowding.matrix([1, 2, 3, 4, 5, 6]),
                               [[1, 4, 5], [4, 2, 6], [5, 6, 3]])


@pytest.mark.parametrize('heading', [None, [0.2, 0.2, 0.6, 0.0, 0.0, 0.0]])
def test_fibres_keep_their_heading_and_gather(heading):
    habit = fibres.Habit(60.0, np.inf, 150.0, clumps=1.5 if heading else 0.0, heading=heading)
    grown = fibres.fibres((160, 160, 160), np.random.default_rng(0), total=40000, habit=habit)
    paths = [tree.position[1:40] for tree in grown if len(tree.parent) > 60]
    seen = np.mean([crowding.heading([path], ISOTROPIC) for path in paths], 0)
    wanted = heading or [1 / 3] * 3 + [0] * 3
    np.testing.assert_allclose(seen, wanted, atol=0.16)  # those that stay long run straight
    gathered = clumps_of(np.concatenate([tree.position for tree in grown]), (160, 160, 160))
    assert gathered > 0.15 if heading else gathered < 0.15
    assert len(bends.even_steps(paths[0], ISOTROPIC)) > 20


@pytest.mark.parametrize('heading, off', [(None, 0.03), ([0.1, 0.1, 0.8, 0, 0, 0], 0.1)])
def test_fibres_stay_as_many_as_start_at_a_place(heading, off):
    """Walkers 100 voxels on, where all came from inside the box: their density is the starts'."""
    count, limits = 40000, np.full(3, 400.0)
    habit = fibres.Habit(60.0, np.inf, np.inf, clumps=1.0, heading=heading)
    box = fibres.Box(limits, habit, rng=np.random.default_rng(3))
    field, slope = box.crowds.field, box.crowds.slope

    def inner(places):
        """The field at places that no walk from outside reaches."""
        places = places[((places > 110) & (places < 290)).all(1)]
        return field[tuple((places / limits * field.shape).astype(int).T)]

    def walked(strength):
        box.crowds.slope = strength * slope
        start, towards = box.starts(count, rng=np.random.default_rng(0))
        paths = fibres.walk(start, towards, length=np.full(count, 100.0), habit=habit, box=box,
                            rng=np.random.default_rng(2))
        return inner(np.array([path[-1] for path in paths if len(path) == 100 / STEP])).mean()

    even = inner(np.random.default_rng(1).uniform(0, 400, (100000, 3)))
    wanted = (even * np.exp(even)).mean() / np.exp(even).mean()
    kept = walked(1.0)
    assert kept == pytest.approx(wanted, abs=off)
    assert walked(0.0) < wanted - 0.12 and walked(2.0) > kept + 0.05
    if heading:                                          # all of the slope would be too much
        box.headings.gathered = lambda ahead, slope, places: 1.0
        assert walked(1.0) > wanted + off


def test_crowds_of_a_single_place_turn_nothing():
    single = Crowds([9, 9, 9], 1.5, rng=np.random.default_rng(0))
    assert not single.slope_at(np.ones((4, 3))).any()
    places = single.starts(50, rng=np.random.default_rng(0))
    assert (places >= 0).all() and (places <= 9).all()
    assert Crowds([9, 9, 9], 0.0).field is None


def test_crowded_places_are_tracts_along_the_heading():
    field = Crowds([300, 300, 300], 1.0, heading=[0.1, 0.1, 0.8, 0, 0, 0],
                   rng=np.random.default_rng(0)).field
    steps = [np.diff(field, axis=axis).std() for axis in range(3)]
    assert steps[2] < 0.25 * min(steps[:2])              # 0.8 over 0.1, squared, is 64
    habit = fibres.Habit(60.0, np.inf, np.inf, clumps=1.0, heading=[0.1, 0.1, 0.8, 0, 0, 0])
    box = fibres.Box([300, 300, 300], habit, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(box.crowds.field, field)
    even = Crowds([300, 300, 300], 1.0, rng=np.random.default_rng(0)).field
    steps = [np.diff(even, axis=axis).std() for axis in range(3)]
    assert max(steps) < 2 * min(steps)
    assert even.std() == pytest.approx(1) and abs(even.mean()) < 1e-9


def test_crowds_are_corrected_by_what_a_draft_shows():
    level = dict(shares=[0.0, 0.0, 4.0], photons=2.0, noise=5.0)
    behind = {'median': 1000.0}
    real = dict(clumps=np.expm1(0.5), heading=[0.2, 0.2, 0.6, 0, 0, 0], glow=dict(level, level=300),
                background=behind)
    guess = courses.first_guess(real)
    assert guess['clumps'] == pytest.approx(np.sqrt(6 * 0.5)) and guess['photons'] == 2.0
    assert guess['glow'] == [0.0, 0.0, 4.0]
    seen = dict(clumps=np.expm1(0.25), heading=[0.3, 0.3, 0.4, 0, 0, 0],
                glow=dict(level, level=200), background=behind)
    found = courses.corrected(guess, real, seen=seen, damping=1.0)
    assert found['clumps'] == 2                          # the most, of the root of 4.5
    nearer = dict(seen, clumps=np.expm1(0.4))
    assert courses.corrected(guess, real, seen=nearer, damping=0.5)['clumps'] \
        == pytest.approx(np.sqrt(3 + 0.5 * 6 * 0.1))
    assert found['glow'] == pytest.approx([0.0, 0.0, 6.0]) and found['photons'] == 2.0
    np.testing.assert_allclose(found['heading'][:3], [0.098, 0.098, 0.804], atol=0.01)
    assert courses.corrected(guess, real, seen={}, damping=1.0)['glow'] == guess['glow']


@pytest.mark.parametrize('seen, darker, left', [
    ((1000.0, 10.0), 0.0, 1.0), ((1100.0, 14.0), 100.0, 0.52), ((900.0, 8.0), -100.0, 1.0),
    ((1900.0, 40.0), 300.0, 0.25), ((1100.0, None), 100.0, 1.0)])
def test_light_of_neurites_is_not_drawn_twice_with_the_background(seen, darker, left):
    """Where a draft's background is brighter than the stack's, and noisier, less is drawn."""
    glow_ = dict(shares=[0.0, 0.0, 4.0], photons=2.0, noise=10.0, level=300.0)
    real = dict(glow=glow_, background={'median': 1000.0},
                structure={'photons': 2.0, 'third': [150.0, 200.0, 250.0]})
    draft = dict(glow=dict(glow_, noise=seen[1]), background={'median': seen[0]})
    guess = courses.first_guess(real)
    assert guess['darker'] == 0 and guess['noise_left'] == 1
    found = courses.corrected(guess, real, seen=draft, damping=1.0)
    assert found['darker'] == darker and found['noise_left'] == pytest.approx(left)
    if abs(darker) < 300:
        half = courses.corrected(guess, real, seen=draft, damping=0.5)
        assert half['darker'] == darker / 2 and half['noise_left'] == pytest.approx((1 + left) / 2)
    assert 'darker' not in courses.first_guess(dict(real, glow=None))


def test_neurites_that_touch_are_no_branches():
    level = dict(shares=[0.0, 0.0, 4.0], photons=2.0, noise=5.0, level=300)
    crowded = dict(branch_spacing=60.0, density=0.004, radius_quantiles=[1.5] * 25, glow=level)
    thinner, sparse = dict(crowded, density=0.0001), dict(crowded, glow=None, clumps=1.0)
    assert courses.first_guess(crowded)['branch_spacing'] == 500.0
    assert courses.first_guess(thinner)['branch_spacing'] == pytest.approx(62.3, abs=0.5)
    # without glow nothing is drawn otherwise than before
    assert courses.first_guess(sparse) == {'branch_spacing': 60.0}
