"""Priors: the paper's numbers, and what was measured on real stacks."""
import json

import numpy as np
import pytest
from drafting import draw, settings_of
from scipy import ndimage, stats

from utils.common.errors import UserError
from utils.data import swc
from utils.measure import debris, lines, otsu, pool, stack
from utils.measure.quantiles import BACKGROUND, LAGS, QUANTILES
from utils.simulate import exposures, light, priors, unseen


def known(**values):
    """A priors.json with distributions known by hand: uniform radii, levels, debris."""
    drawn = {'radius_quantiles': list(1 + QUANTILES),
             'level_quantiles': list(100 + 100 * QUANTILES), 'density': 0.001, 'keep': 0.7,
             'halo': 0.2, 'blur_sigma': [1.5, 1.0, 1.0]}
    debris = {'density': 1e-4, 'radius_quantiles': list(2 + QUANTILES),
              'level_quantiles': list(300 + 0 * QUANTILES)}
    background = {'quantiles': list(50 + 10 * BACKGROUND), 'median': 55.0, 'robust_std': 3.0}
    return dict({'drawn': drawn, 'debris': debris, 'background': background, 'dtype_max': 65535,
                 'correlation': [[0.0] * len(LAGS)] * 3, 'voxel_size': [2.0, 1.0, 1.0],
                 'persistence': 40 / 0.6, 'level_drift': 0.25, 'branch_spacing': 90.0,
                 'ends_spacing': 70.0}, **values)


def test_the_papers_priors():
    paper = priors.Priors(None, 16)
    draws = np.array([paper.grey_levels('axon', rng=np.random.default_rng(i))
                      for i in range(300)])
    assert draws[:, 0].min() >= 100 and draws[:, 0].max() < 1000
    assert draws[:, 1].min() >= 1 and draws[:, 1].max() < 200
    assert draws[:, 2].max() < 20
    radii = [paper.draw_radius(np.random.default_rng(i), 2) for i in range(200)]
    assert min(radii) >= 0.81 and max(radii) <= 3 * 0.81 and max(radii) > 2


@pytest.mark.parametrize('kind, low, high', [('dendrite', 50, 300), ('axon', 20, 250)])
def test_the_papers_levels_of_8_bit_differ_by_kind(kind, low, high):
    paper = priors.Priors(None, 8)
    draws = np.array([paper.grey_levels(kind, rng=np.random.default_rng(i)) for i in range(400)])
    assert low <= draws[:, 0].min() < low + 10 and high - 10 < draws[:, 0].max() < high
    assert draws[:, 1].max() < 20 and draws[:, 2].max() < 5


def test_the_papers_debris():
    """Balls of 1, 2, 3, 4 voxels with p .7, .25, .04, .01; half to one and a half as bright."""
    radius, level, sigma = priors.Priors(None, 16).draw_debris(20000, 400, blur=1.0,
                                                               rng=np.random.default_rng(0))
    assert np.isinf(sigma).all()
    share = np.bincount(radius.astype(int), minlength=5)[1:] / 20000
    np.testing.assert_allclose(share, [0.7, 0.25, 0.04, 0.01], atol=0.01)
    assert 200 <= level.min() < 205 and 595 < level.max() <= 600


def test_measured_radii_and_levels_are_drawn_without_their_extremes():
    measured = priors.Priors(known(), 16)
    rng = np.random.default_rng(0)
    radii = [measured.draw_radius(rng, depth) for depth in (0, 9) for _ in range(500)]
    assert 1.02 <= min(radii) < 1.05 and 1.87 < max(radii) <= 1.9        # 2 to 90 %, at any depth
    levels = [measured.draw_level(rng) for _ in range(500)]
    assert 102 <= min(levels) < 105 and 195 < max(levels) <= 198         # 2 to 98 %
    assert measured.median_level() == 150
    np.testing.assert_allclose(measured.radii_along(np.array([-9.0, 0, 9])), [1.02, 1.5, 1.9])
    given = priors.Priors(known(), 16, radius=(4.0, 5.0))
    assert 4 <= given.draw_radius(rng, 0) <= 5 and given.fixed and not measured.fixed


def test_neurites_that_step_0_does_not_see_go_on_to_the_noise():
    """Levels are 102 to 198; as many in each factor of brightness: ln(low/noise)/ln(high/noise)."""
    found = unseen.of(known(noise_std=[80.0, None, 90.0]))
    assert found == pytest.approx((np.log(102 / 85) / np.log(198 / 85), 85, 102))
    assert unseen.of(known()) == pytest.approx((unseen.MOST, 3, 102))    # noise: the background's
    assert unseen.of(known(noise_std=[103.0] * 3)).share == 0            # none is dimmer
    assert unseen.of(known(noise_std=[0.0] * 3)).lowest == 3
    measured, rng = priors.Priors(known(noise_std=[25.5] * 3), 16), np.random.default_rng(0)
    levels = np.log([measured.draw_unseen(rng) for _ in range(2000)])
    assert np.exp(levels.min()) >= 25.5 and np.exp(levels.max()) <= 102
    assert np.exp(np.median(levels)) == pytest.approx(51, rel=0.05)      # log-uniform


def test_measured_debris_is_smaller_than_it_looks_and_as_much_brighter():
    radius, level, sigma = priors.Priors(known(), 16).draw_debris(2000, 0, blur=1.5,
                                                                  rng=np.random.default_rng(0))
    assert np.isinf(sigma).all()                         # no threshold is known
    seen = np.sqrt(radius ** 2 + 1.5 ** 2)
    assert 2 <= seen.min() < 2.05 and 2.95 < seen.max() <= 3
    np.testing.assert_allclose(level * radius ** 3, 300 * seen ** 3)     # the same light
    radius, level, _ = priors.Priors(known(), 16).draw_debris(50, 0, blur=9.0,
                                                              rng=np.random.default_rng(0))
    assert (radius == 0.8).all() and (level == 8 * 300).all()


def with_specks(levels, *, sigmas):
    """Priors of specks above 150 grey levels, of those peaks, and of sigmas to draw."""
    measured = known(voxel_size=None)
    measured['debris'] = {'density': 1e-4, 'threshold': 150.0, 'sigma_quantiles': [2.0] * 25,
                          'level_quantiles': list(levels)}
    measured['drawn'].update(debris_density=1e-4, debris_levels=list(levels),
                             debris_sigmas=list(sigmas))
    return priors.Priors(measured, 16)


@pytest.mark.parametrize('blur', [0.3, 0.8])
def test_specks_look_as_measured_above_the_threshold(blur):
    """Peaks of 300 to 600, blurred and smoothed; fainter ones come on top."""
    prior = with_specks(300 + 300 * QUANTILES, sigmas=1.2 + 0.4 * QUANTILES)
    specks = light.Specks(*prior.draw_debris(40, 0, blur=blur, rng=np.random.default_rng(0)))
    specks = light.Specks(*[column[:40] for column in specks])
    shape = (90, 180, 180)
    balls = light.debris(shape, np.zeros(shape, bool), specks=specks, spacing=(1, 1, 1),
                         rng=np.random.default_rng(0))
    image = np.zeros(shape, np.float32)
    np.add.at(image.ravel(), balls.index, balls.level)
    image = np.rint(ndimage.gaussian_filter(image, blur)).astype(np.uint16)
    dark = np.zeros(shape, np.uint16)
    mask = lines.standing_out(image, dark, above=150.0)
    seen = debris.measure(image, dark, mask=mask, above=150.0, spacing=(1, 1, 1), blur=[1.0] * 3)
    assert 36 <= seen['density'] * image.size <= 40      # some lie beside each other
    wide = np.sqrt(1.4 ** 2 + lines.SMOOTHING ** 2 + blur ** 2)
    assert seen['sigma_quantiles'][12] == pytest.approx(wide, rel=0.06)
    assert np.interp((0.1, 0.5, 0.9), QUANTILES, seen['level_quantiles']) == pytest.approx(
        [330, 450, 570], rel=0.08)


def test_specks_go_on_below_the_threshold_as_they_do_above_it():
    """The number above a level falls with its square: as many again below, down to half of it."""
    power = 2.0
    levels = 150 * (1 - 0.999 * QUANTILES) ** (-1 / power)
    radius, level, sigma = with_specks(levels, sigmas=[2.0] * 25).draw_debris(
        20000, 0, blur=1.0, rng=np.random.default_rng(0))
    peak = level * (1 + (1 + lines.SMOOTHING ** 2) / sigma ** 2) ** -1.5
    np.testing.assert_allclose(radius, 2.5 * sigma)
    wide = 4 / np.sqrt(2 * np.log(np.maximum(peak / 150, 1.1)))          # seen 4 voxels large
    np.testing.assert_allclose(sigma, np.minimum(2, np.sqrt(np.maximum(
        wide ** 2 - 1 - lines.SMOOTHING ** 2, 0.36))))
    assert 0.01 < (sigma < 2).mean() < 0.5
    counts = [(peak > 150 * share).sum() for share in (0.4999, 0.7, 1.0, 1.4)]
    np.testing.assert_allclose(counts, 20000 / np.square([0.5, 0.7, 1.0, 1.4]), rtol=0.06)
    assert peak.min() >= 75
    steep = with_specks([150.1] * 25, sigmas=[2.0] * 25).draw_debris(
        100, 0, blur=1.0, rng=np.random.default_rng(0))
    assert len(steep[0]) == 800                          # no more than by the third power


def straight(radius):
    """An axon along x, of some radii."""
    position = np.zeros((len(radius), 3))
    position[:, 2] = 2 * np.arange(len(radius))
    return swc.Tree(np.full(len(radius), swc.AXON), position, radius,
                    np.arange(-1, len(radius) - 1))


def test_thick_neurites_of_a_draft_are_as_bright_as_told():
    """Of 200 neurites, the rank correlation of the levels drawn with the radii."""
    radii = [np.full(3, radius) for radius in np.random.default_rng(0).uniform(1, 3, 200)]
    prior = priors.Priors(known(), 16)
    for wanted in (-0.8, 0.0, 0.5):
        how = settings_of().light._replace(level='auto', level_spread='auto', stained_share=1.0,
                                           level_width=wanted, dim_neurites=False)
        rng, levels = np.random.default_rng(1), []
        for radius, thick in zip(radii, light.thickness_scores(radii)):
            levels.append(light.brightness(straight(radius), 1.0, light=how, blur=[(1.0, 0.01)],
                                           prior=prior, rng=rng, thick=thick)[0])
        assert stats.spearmanr([radius[0] for radius in radii], levels)[0] == pytest.approx(
            wanted, abs=0.12)
        assert np.quantile(levels, (0.05, 0.95)) == pytest.approx((107, 193), abs=6)


def test_backgrounds_are_those_of_the_real_stacks_in_turn():
    """Each by its share, in any few drafts that follow one another."""
    assert priors.Priors(None, 16).background() is None
    assert priors.Priors(known(), 16).background()[:2] == (55.0, 3.0)        # pooled
    dark, bright = [dict(known()['background'], median=level, share=share, noise=None,
                         correlation=[[0.0] * len(LAGS)] * 3)
                    for level, share in ((40.0, 0.25), (60.0, 0.75))]
    drawn = [priors.Priors(known(backgrounds=[dark, bright]), 16, number=i).background().median
             for i in range(100)]
    assert set(drawn) == {40.0, 60.0} and 74 <= drawn.count(60.0) <= 76
    for first in range(0, 96, 7):
        assert 2 <= drawn[first:first + 4].count(60.0) <= 4


@pytest.mark.parametrize('shares', [None, (0.25, 0.75), (0.5, 0.5)])
def test_drafts_of_a_stack_take_turns_from_dark_to_bright(shares):
    among = shares and [dict(known()['background'], median=share, share=share)
                        for share in shares]
    drawn = [priors.Priors(known(backgrounds=among), 16, number=i).background() for i in range(60)]
    for median in {behind.median for behind in drawn}:
        turns = sorted(behind.turn for behind in drawn if behind.median == median)
        even = (np.arange(len(turns)) + 0.5) / len(turns)
        assert turns == pytest.approx(list(even), abs=2.5 / len(turns))


@pytest.mark.parametrize('noise, smooth', [(None, True), (3.0, False)])
def test_what_noise_is_known_to_be_is_no_smooth_field(noise, smooth):
    correlation = [[float(np.exp(-lag / 12)) for lag in LAGS]] * 3
    behind = priors.Behind(55.0, 3.0, list(50 + 10 * BACKGROUND), correlation, noise, None)
    assert bool(behind.texture().components) is smooth               # all 3 of 3 grey levels


def test_a_background_without_texture_is_the_papers_or_as_measured():
    scene = exposures.Scene(None, np.zeros((16, 40, 40), np.uint8),
                            priors.GreyLevels(500, 70, 4.0))
    for measured, level, std in ((None, 70, 4.0), (known(), 55.0, 3.0)):
        values = settings_of(measured, TEXTURE=0.0)
        slabs = exposures._behind(scene, values, prior=priors.Priors(measured, 16),
                                  rng=np.random.default_rng(0))
        image = np.concatenate([slab for _, slab in slabs])
        assert image.mean() == pytest.approx(level, abs=0.2)
        assert image.std() == pytest.approx(std, abs=0.1)


def test_drafts_of_a_dark_and_a_bright_stack():
    entries = [dict(known()['background'], median=level, share=0.5, noise=None,
                    quantiles=list(level - 5 + 10 * BACKGROUND),
                    correlation=[[0.0] * len(LAGS)] * 3)
               for level in (100.0, 900.0)]
    medians = {round(float(np.median(draw(seed, measured=known(backgrounds=entries)).image)), -2)
               for seed in range(8)}
    assert medians == {100.0, 900.0}


def test_files_without_measurements_are_refused(tmp_path):
    path = tmp_path / 'priors.json'
    with pytest.raises(UserError, match='prepare_patches.py first'):
        priors.read(str(path))
    path.write_text(json.dumps(known()))
    assert priors.read(str(path))['drawn']['keep'] == 0.7
    for key in ('keep', 'halo', 'density', 'blur_sigma', 'radius_quantiles'):
        broken = known()
        del broken['drawn'][key]
        path.write_text(json.dumps(broken))
        with pytest.raises(UserError, match='make it anew'):
            priors.read(str(path))


# --- drafts, measured ---

def measured_draft(bits=16, **values):
    constants = dict(AXON_SHARE=1.0, VOLUME_SHAPE=(64, 160, 64), VOXEL_SIZE=(1.0, 1.0, 1.0),
                     DENSITY=0.0012, TORTUOSITY=1.06, DEBRIS=0.0, BITS=bits, RADIUS=(1.2, 1.6),
                     STAINED_SHARE=0.9)
    draft = draw(7, **dict(constants, **values))
    found = otsu.segment(draft.image, otsu.Settings(32, 1.0, 0.995, min_object=50))
    return draft, stack.measure(draft.image, found, skeleton=otsu.centreline(found.mask))


def test_measurements_find_what_was_drawn():
    _, seen = measured_draft(LEVEL=(1500.0, 1500.0), PSF_SIGMA=(1.6, 1.0, 1.0), OFFSET=300.0)
    assert 0.5 < seen['density'] / 0.0012 < 1.5
    assert 1.2 < seen['blur_sigma'][0] / seen['blur_sigma'][2] < 2
    assert 1.0 <= np.median(seen['tortuosity_quantiles']) < 1.2 and 20 < seen['persistence'] < 400
    assert 500 < seen['level_quantiles'][12] < 1500 and seen['background']['median'] > 300
    assert all(-0.2 < v < 0.3 for v in seen['correlation'][2][1:5])      # white noise
    assert seen['saturated_fraction'] == 0


@pytest.mark.parametrize('change', [
    dict(bits=8, LEVEL=(150.0, 200.0), OFFSET=-15.0),                    # background clipped at 0
    dict(LEVEL=(90000.0, 90000.0)),                                      # saturated neurites
    dict(DENSITY=0.012, LEVEL=(1500.0, 1500.0)),                         # crowded
])
def test_measurements_stand_hard_stacks_and_can_be_drawn_from(change):
    draft, seen = measured_draft(**change)
    keys = 'radius_quantiles', 'level_quantiles', 'width_quantiles', 'background'
    assert all(seen[key] is not None for key in keys)
    pooled = pool.pool({'a': seen})
    pooled['drawn'] = dict({key: seen[key] for key in (
        'radius_quantiles', 'level_quantiles', 'density', 'blur_sigma')}, keep=0.8, halo=0.1)
    again = draw(0, measured=pooled, AXON_SHARE=1.0,
                 BITS=8 if draft.image.dtype == np.uint8 else 16)
    low, high = [np.median(made.image[made.label == 0]) for made in (draft, again)]
    assert abs(high - low) <= 0.2 * max(low, 10)
