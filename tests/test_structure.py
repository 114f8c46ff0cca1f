"""Backgrounds measured by differences of their voxels, and drawn so."""
import numpy as np
import pytest
from scipy import ndimage, special

from tests.test_priors import known
from utils.common import schemas
from utils.common.errors import UserError
from utils.measure import background, courses, noise, pool, structure
from utils.measure.quantiles import BACKGROUND, LAGS
from utils.simulate import priors, structured

SHAPE = (48, 120, 120)


def stack(image):
    """Grey levels of an image as a 16-bit stack."""
    return np.clip(np.rint(image), 0, 65535).astype(np.uint16)


def measured(image, *, outside=None, local=1000, glow=None):
    """structure.measure of an image, all of it background unless said."""
    voxels = stack(image)
    outside = np.ones(voxels.shape, bool) if outside is None else outside
    local = np.broadcast_to(np.rint(local).astype(np.uint16), voxels.shape)
    return structure.measure(voxels, outside, local=local, glow=glow)


def behind(found, *, std, quantiles=None):
    """priors.Behind of a measured structure on a background of normal grey levels about 1000."""
    levels = quantiles or background.grey_levels(
        np.rint(np.random.default_rng(0).normal(1000, std, 200000)))['quantiles']
    return priors.Behind(1000.0, std, levels, [[0.0] * len(LAGS)] * 3, None, found)


def drawn(found, *, std, shape=SHAPE, seed=0):
    """A background drawn from a measured structure."""
    slabs = behind(found, std=std).draw(shape, rng=np.random.default_rng(seed))
    parts = list(slabs)
    assert [rows.start for rows, _ in parts] == list(range(0, shape[0], 8))
    image = np.concatenate([slab for _, slab in parts])
    assert image.shape == shape and image.dtype == np.float32
    return image


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_third_differences_begin_and_end_in_the_background(axis):
    image = np.zeros((20, 20, 20), np.float32)
    across = np.moveaxis(image, axis, 0)                 # of the same voxels
    across[8:11] = 1000
    assert len(noise.third(image, image == 0, axis=axis)) == (17 - 6) * 400
    assert not noise.third(image, image == 0, axis=axis).any()
    across[8:11] = np.array([1.0, 3.0, 6.0])[:, None, None]
    assert noise.third(image, np.ones(image.shape, bool), axis=axis).max() > 0


def test_white_noise_has_no_structure():
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal(SHAPE))
    every = found['third'] + found['near'] + sum(found['steps'], [])
    assert every == pytest.approx([400] * len(every), rel=0.02)
    assert found['photons'] == 0 and max(found['stripes']) < 0.5
    assert len(found['near']) == len(structure.offsets()) == schemas.NEIGHBOURS


def test_neighbours_are_looked_at_in_every_direction_once():
    offsets = structure.offsets()
    both = offsets + [tuple(-np.array(offset)) for offset in offsets]
    assert len(set(both)) == len(both) == 5 ** 3 - 1 and (0, 0, 0) not in both


def test_bright_neurites_count_little():
    rng = np.random.default_rng(0)
    image = 1000 + 20 * rng.standard_normal(SHAPE)
    plain, bright = measured(image), image.copy()
    bright[:, 40:44, 40:44] += 3000
    assert measured(bright)['third'] == pytest.approx(plain['third'], rel=0.05)
    outside = np.ones(SHAPE, bool)
    outside[:, 38:46, 38:46] = False
    assert measured(bright, outside=outside)['third'] == pytest.approx(plain['third'], rel=0.01)


def test_photons_are_told_by_the_noise_of_bright_and_dark_places():
    level = np.linspace(400, 1600, SHAPE[1])[:, None]
    image = level + np.sqrt(2.5 * (level - 100)) * np.random.default_rng(0).standard_normal(SHAPE)
    assert measured(image, local=level)['photons'] == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize('dim, left', [(50.0, 250), (200.0, 100), (0.0, 400), (None, 400)])
def test_noise_that_photons_of_the_glow_leave_is_taken_off(dim, left):
    glow = {'photons': None if dim is None else 3.0, 'dim': dim}
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal(SHAPE), glow=glow)
    assert found['photons'] == (glow['photons'] or 0)
    every = found['third'] + found['near'] + sum(found['steps'], [])
    assert every == pytest.approx([left] * len(every), abs=12)               # a quarter stays


def test_less_of_the_noise_is_drawn_and_all_else_as_measured():
    found = {'steps': [[400.0, None, 900.0]] * 3, 'near': [500.0, None],
             'third': [300.0, 400.0, 500.0], 'photons': 2.0}
    assert structure.quieter(found, 100.0) == dict(
        found, steps=[[300.0, None, 800.0]] * 3, near=[400.0, None], third=[200.0, 300.0, 400.0])
    assert structure.quieter(found, 1000.0)['third'] == [75.0, 175.0, 275.0]     # a quarter stays
    assert structure.quieter(found, -5.0) == found
    rng = np.random.default_rng(0)
    wide = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 4.0)
    found = measured(1000 + 20 * rng.standard_normal(SHAPE) + 30 * wide / wide.std())
    how = behind(found, std=36.0)
    full, less = [measured(np.concatenate([slab for _, slab in one.draw(
        SHAPE, rng=np.random.default_rng(1))])) for one in (how, how._replace(noise_left=0.5))]
    np.testing.assert_allclose(less['third'], 0.5 * np.array(full['third']), rtol=0.1)
    far = LAGS.index(12)
    assert less['steps'][2][far] == pytest.approx(full['steps'][2][far] - 200, rel=0.1)


def test_a_darker_background_is_darker_by_as_much():
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal((40, 64, 64)))
    contents = known(structure=found)
    contents['drawn'] = dict(contents['drawn'], darker=30.0, noise_left=0.4)
    schemas.check(contents, schemas.PRIORS, path='priors.json', cure='')
    how = priors.Priors(contents, 16).background()
    assert (how.median, how.noise_left) == (25.0, 0.4)
    assert how.quantiles == [max(v - 30, 0) for v in contents['background']['quantiles']]
    plain = priors.Priors(known(structure=found), 16).background()
    assert (plain.median, plain.noise_left) == (55.0, 1.0)
    dim = dict(contents['background'], median=11.0, share=1.0, structure=found)
    contents['backgrounds'] = [dict(dim, correlation=contents['correlation'])]
    assert priors.Priors(contents, 16).background().median == pytest.approx(11 - 30 / 5)


def test_one_brightness_tells_no_photons():
    rng = np.random.default_rng(0)
    image = 1000 + 40 * rng.standard_normal(SHAPE)
    level = 1000 + 3 * rng.standard_normal((SHAPE[1], 1))                    # by chance
    assert measured(image, local=level)['photons'] == 0


def test_stripes_of_rows_and_planes():
    rng = np.random.default_rng(0)
    image = 1000 + 20 * rng.standard_normal(SHAPE)
    image += 200 * ndimage.gaussian_filter(rng.standard_normal(SHAPE), 4)    # what is smooth
    image += 3 * rng.standard_normal((48, 1, 1)) + 6 * rng.standard_normal((120, 1))
    assert measured(image)['stripes'] == pytest.approx([3, 6, 0], abs=0.9)


def test_stripes_are_those_of_the_background_alone():
    rng = np.random.default_rng(0)
    image = 1000 + 20 * rng.standard_normal(SHAPE) + 6 * rng.standard_normal((120, 1))
    image[:, ::7, 40:44] += 3000
    outside = np.ones(SHAPE, bool)
    outside[:, :, 38:46] = False
    assert measured(image, outside=outside)['stripes'] == pytest.approx([0, 6, 0], abs=0.9)
    image[:, 3::7, 80] += 3000                                               # few, and not known
    assert measured(image, outside=outside)['stripes'][1] < 9


def test_noise_alone_has_no_stripes():
    found = [measured(1000 + 20 * np.random.default_rng(seed).standard_normal((20, 24, 24)))
             for seed in range(6)]
    stripes = sum([one['stripes'] for one in found], [])
    assert sum(std > 0 for std in stripes) <= 2 and max(stripes) < 1.5       # of 18, by chance


@pytest.mark.parametrize('image', [
    np.full((40, 40, 40), 7), np.zeros((40, 40, 40)),
    np.random.default_rng(0).normal(20, 0.7, (40, 40, 40)),                  # whole levels hide it
    np.where(np.random.default_rng(1).random((40, 40, 40)) < 0.05, 0,
             np.random.default_rng(0).normal(100, 20, (40, 40, 40)))])       # cut off at 0
def test_a_background_without_noise_has_no_structure_to_tell(image):
    assert measured(image) is None


def test_a_stack_that_is_all_foreground_has_none():
    image = 1000 + 20 * np.random.default_rng(0).standard_normal((40, 40, 40))
    assert measured(image, outside=np.zeros(image.shape, bool)) is None


def test_small_stacks_are_measured_as_far_as_they_reach():
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal((10, 40, 40)))
    assert found['steps'][0][LAGS.index(12)] is None and found['steps'][1][LAGS.index(12)]
    assert found['stripes'][0] == 0 and np.isfinite(drawn(found, std=20.0)).all()


def test_what_is_drawn_measures_as_what_was_measured():
    rng = np.random.default_rng(0)
    noise_ = 30 * rng.standard_normal(SHAPE)
    noise_ += 0.3 * np.roll(noise_, (1, 1), (1, 2))                          # along a diagonal
    fine = ndimage.gaussian_filter(rng.standard_normal(SHAPE), (1.0, 2.0, 2.0))
    far = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 12.0)
    image = 1000 + noise_ + 25 * fine / fine.std() + 60 * far / far.std()
    image += 6 * rng.standard_normal((120, 1))
    found, std = measured(image), float(image.std())
    image = drawn(found, std=std)
    again = measured(image)
    for key in ('third', 'near'):
        np.testing.assert_allclose(again[key], found[key], rtol=0.04)
    np.testing.assert_allclose(np.array(again['steps'])[:, :5], np.array(found['steps'])[:, :5],
                               rtol=0.15)
    assert again['stripes'][1] == pytest.approx(found['stripes'][1], rel=0.2)
    diagonal = [offset for offset in structure.offsets() if offset in ((0, 1, 1), (0, 1, -1))]
    one, other = [again['near'][structure.offsets().index(offset)] for offset in diagonal]
    assert abs(one - other) > 150                                            # of some 1,500
    assert abs(image.std() - std) < 0.25 * std


def test_noise_and_structure_grow_with_the_level():
    level = np.linspace(400, 1600, SHAPE[1])[:, None]
    rng = np.random.default_rng(0)
    image = level + np.sqrt(2.0 * level) * rng.standard_normal(SHAPE)
    found = measured(image, local=level)
    quantiles = background.grey_levels(stack(image).ravel())['quantiles']
    how = structured.fit(behind(found, std=350.0, quantiles=quantiles))
    how = how._replace(level=[((8.0, 12.0, 12.0), 1.0)])                     # it varies, here
    image = np.concatenate([slab for _, slab in structured.draw(SHAPE, how, rng=rng)])
    smooth = ndimage.uniform_filter(image, 5)
    rest = np.diff(image, 3, 2) ** 2 / 20
    rise, alone = np.polyfit(smooth[:, :, 1:-2].ravel(), rest.ravel(), 1)
    assert rise == pytest.approx(2.0, rel=0.2) and abs(alone) < 500


def grown(*, photons, median=1000.0, lowest=0.0, noise_=0.0, grain=20.0):
    """A background of a level from 400 to 1600, of kernels of one voxel."""
    one = np.zeros((13, 13, 13), np.float32)
    one[6, 6, 6] = 1
    table = np.linspace(400, 1600, structured.background.TABLE_SIZE).astype(np.float32)
    how = structured.Structured([((8.0, 12.0, 12.0), 4.0)], table, [], grain * one, noise_ * one,
                                median, lowest, photons / 400, photons, [3.0, 0.0, 0.0])
    rng = np.random.default_rng(0)
    return np.concatenate([slab for _, slab in structured.draw(SHAPE, how, rng=rng)])


def test_structure_grows_with_the_level():
    image = grown(photons=0.4)                           # 20 at 1000, by a thousandth a grey level
    smooth, fine = ndimage.uniform_filter(image, 5), np.diff(image, 2, 2) / np.sqrt(6)
    for low, high in ((500, 700), (900, 1100), (1300, 1500)):
        there = (smooth[:, :, 1:-1] > low) & (smooth[:, :, 1:-1] < high)
        wanted = 20 * (1 + ((low + high) / 2 - 1000) / 1000)
        assert fine[there].std() == pytest.approx(wanted, rel=0.1)


def test_nothing_besides_noise_is_darker_than_all_that_was_measured():
    assert grown(photons=0.0, grain=200.0).min() < 100
    image = grown(photons=0.0, grain=200.0, lowest=700.0)
    assert 650 < image.min() <= 700 and (image < 690).mean() < 0.1           # but for the stripes


def test_planes_are_offset_and_slabs_show_no_seams():
    image = grown(photons=0.0, grain=0.0, noise_=20.0)
    offsets = np.diff(image.mean((1, 2)), 3) / np.sqrt(20)
    assert offsets.std() == pytest.approx(3, rel=0.5)
    rng, kernel = np.random.default_rng(0), np.zeros((13, 13, 13), np.float32)
    kernel[6:8, 6, 6] = 0.5
    slabs = list(structured._convolved((40, 50, 300), kernel, rng=rng))
    assert [len(slab) for slab in slabs] == [8] * 5
    found = np.concatenate(slabs)
    near = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(found, found[1:])]
    assert near == pytest.approx([0.5] * 39, abs=0.04)
    along = [np.corrcoef(found[:, :, i].ravel(), found[:, :, i + 1].ravel())[0, 1]
             for i in (127, 128, 200)]
    assert along == pytest.approx([0] * 3, abs=0.1)


@pytest.mark.parametrize('change', [
    {'photons': 60000.0}, {'stripes': [60000.0] * 3}, {'third': [1e-6] * 3}, {'near': [None] * 62},
    {'steps': [[None] * len(LAGS)] * 3}, {'near': [0.0] * 62}])
def test_an_odd_structure_is_drawn_without_going_wild(change):
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal((40, 64, 64)))
    image = drawn(dict(found, **change), std=25.0, shape=(20, 40, 50))
    assert np.isfinite(image).all() and 0.5 < image.std() < 100


def test_photon_noise_is_skewed():
    rng = np.random.default_rng(0)
    level = np.linspace(50, 150, SHAPE[1])[:, None]
    found = measured(10.0 * rng.poisson(np.broadcast_to(level / 10, SHAPE)), local=level)
    assert found['photons'] == pytest.approx(10, rel=0.1)
    how = structured.fit(behind(found, std=32.0)._replace(median=100.0))
    noise_ = structured._shot(structured._convolved((40, 60, 60), how.noise, rng=rng).__next__(),
                              np.full((8, 60, 60), 100, np.float32), how=how)
    skew = np.mean((noise_ - noise_.mean()) ** 3) / noise_.std() ** 3
    assert skew == pytest.approx(10 / np.sqrt(1000), rel=0.25)               # 1 / sqrt(10 photons)


def test_the_same_seed_draws_the_same_background():
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal((40, 64, 64)))
    shape = (20, 40, 50)
    np.testing.assert_array_equal(drawn(found, std=25.0, shape=shape),
                                  drawn(found, std=25.0, shape=shape))
    assert (drawn(found, std=25.0, shape=shape, seed=1)
            != drawn(found, std=25.0, shape=shape)).mean() > 0.9


def test_drafts_take_turns_from_dark_to_bright_and_else_differ():
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal((40, 64, 64)))
    of, images = behind(found, std=60.0), []
    for turn in (0.1, 0.5, 0.9):
        slabs = of._replace(turn=turn).draw((20, 40, 50), rng=np.random.default_rng(0))
        images.append(np.concatenate([slab for _, slab in slabs]))
    means = [image.mean() for image in images]
    spread = np.std([drawn(found, std=60.0, shape=(20, 40, 50), seed=seed).mean()
                     for seed in range(30)])
    assert means[1] == pytest.approx(1000, abs=0.2 * spread)
    assert np.diff(means) == pytest.approx([1.28 * spread] * 2, rel=0.35)
    assert (images[0] != images[1]).all()


def test_priors_hand_the_structure_to_the_draft_and_photons_to_its_neurites():
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal((40, 64, 64)))
    entry = dict(known()['background'], correlation=[[0.0] * len(LAGS)] * 3, share=1.0)
    contents = known(structure=found, backgrounds=[dict(entry, structure=found)])
    schemas.check(contents, schemas.PRIORS, path='priors.json', cure='')
    assert priors.Priors(contents, 16).background().structure == found
    assert priors.Priors(known(structure=found), 16).background().structure == found
    assert priors.Priors(known(), 16).background().structure is None
    guess = courses.first_guess(dict(contents, structure=dict(found, photons=2.5)))
    assert guess['photons'] == 2.5 and 'photons' not in courses.first_guess(known())


def test_a_pool_has_the_structure_of_stacks_like_it():
    found = {'photons': 2.0, 'steps': [[4.0, None]]}
    plain = {'glow': None, 'structure': found, 'centreline_voxels': 10}
    other = dict(plain, structure=None)
    hazy = {'glow': {'level': 1.0}, 'structure': dict(found, photons=9.0), 'centreline_voxels': 15}
    for several in ({'a': plain, 'b': hazy}, {'a': hazy, 'b': plain}):
        assert pool.pool(several)['structure']['photons'] == 9
    for several in ({'a': plain, 'b': hazy, 'c': other}, {'a': hazy, 'b': other, 'c': plain}):
        assert pool.pool(several)['structure'] == found
    assert pool.pool({'a': other})['structure'] is None


@pytest.mark.parametrize('key, value', [
    ('near', [1.0] * 3), ('third', [-1.0] * 3), ('stripes', [1.0, None, 1.0]), ('photons', 'much')])
def test_a_structure_that_cannot_be_is_refused(key, value):
    found = measured(1000 + 20 * np.random.default_rng(0).standard_normal((40, 64, 64)))
    with pytest.raises(UserError, match=key):
        schemas.check(known(structure=dict(found, **{key: value})), schemas.PRIORS,
                      path='priors.json', cure='make it anew')


def test_boxes_are_spread_over_a_stack():
    assert len(list(noise.boxes((64, 160, 160), 48))) == 27
    assert [box[0] for box in noise.boxes((10, 10, 10), 48)] == [slice(0, 48)]


def test_the_few_darkest_voxels_make_no_black_places():
    """Vessels are a thousandth of the stack: quantiles go on below 0.5 % as above it."""
    even = 1000 + 100 * special.ndtri(BACKGROUND)
    np.testing.assert_allclose(structured.without_holes(even), even)
    holes = even.copy()
    holes[:2] = 100, 400
    np.testing.assert_allclose(structured.without_holes(holes), even)
    narrow = even.copy()
    narrow[:2] = even[2]                                 # what is cut off stays so
    np.testing.assert_allclose(structured.without_holes(narrow), narrow)
