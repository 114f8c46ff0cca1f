"""Calibration: what was drawn is found again, in a world known by hand and on drawn stacks."""
import numpy as np
import pytest
from scipy import special

from utils.common import config
from utils.common.errors import UserError
from utils.measure import (calibration, corrections, courses, debris, lines, noise, otsu, pool,
                           stack)
from utils.measure.quantiles import BACKGROUND, FWHM, LAGS, QUANTILES
from utils.simulate import settings, trial

MIDDLE = 12                              # place of the median among QUANTILES
TRUTH = {'radius_quantiles': np.linspace(1, 4, 25).tolist(),
         'level_quantiles': (400 * np.exp(np.linspace(-0.5, 0.5, 25))).tolist(),
         'density': 0.004, 'blur_sigma': [2.0, 1.2, 1.2], 'keep': 0.6, 'halo': 0.3}


def look(drawn, steepness=1.0):
    """Measurements of a made-up microscope: half of the length found, 60 % of the light left.

    Widths and grain follow the rules that the corrections take for granted; OTSU's radii grow
    with the wings. steepness: exponent of the length found.
    """
    radii, (_, _, sigma) = np.array(drawn['radius_quantiles']), drawn['blur_sigma']
    return {'width_quantiles': (FWHM * np.sqrt(radii ** 2 / 4 + sigma ** 2)).tolist(),
            'level_quantiles': [0.6 * v for v in drawn['level_quantiles']],
            'density': 0.004 * 0.5 * (drawn['density'] / 0.004) ** steepness,
            'grain': 0.3 * np.sqrt((1 - drawn['keep']) / drawn['keep']),
            'blur_sigma': drawn['blur_sigma'], 'threshold': 50.0,
            'radius_quantiles': (radii * (1 + drawn['halo'])).tolist()}


def calibrate(see=look, **options):
    return calibration.calibrate(look(TRUTH), see, draw=lambda drawn, seed: drawn, **options)


# --- the loop ---

def test_what_was_drawn_is_found_again():
    guess, found = calibrate(rounds=0), calibrate(rounds=12)
    for name, tolerance in (('radius_quantiles', 0.01), ('level_quantiles', 0.01),
                            ('density', 0.01), ('blur_sigma', 0.01), ('keep', 0.03),
                            ('halo', 0.03)):
        np.testing.assert_allclose(found[name], TRUTH[name], rtol=tolerance, err_msg=name)
        if name != 'blur_sigma':                         # the blur is seen as it is here
            off = np.abs(np.array(guess[name]) / TRUTH[name] - 1).max()
            assert off > 5 * tolerance, name             # the first guess is not near
    assert found['best'] == len(found['rounds']) - 1 == 11
    mismatches = [r['mismatch'] for r in found['rounds']]
    assert mismatches == sorted(mismatches, reverse=True) and mismatches[-1] < 0.001
    assert found['rounds'][0]['density'] == look(guess)['density']
    assert set(found['rounds'][0]) == set(calibration.KEPT) | {'mismatch'}


def test_without_rounds_the_first_guess_is_drawn():
    assert calibrate(rounds=0) == dict(calibration.first_guess(look(TRUTH)), rounds=[])


def test_a_correction_that_goes_too_far_is_taken_back_in_smaller_steps():
    """The length found goes with the eighth power of the density: half a step overshoots."""
    found = calibrate(see=lambda drawn: look(drawn, steepness=8.0), rounds=30)
    mismatches = [r['mismatch'] for r in found['rounds']]
    assert max(np.diff(mismatches)) > 0                  # it went too far
    assert found['best'] == int(np.argmin(mismatches))
    assert found['density'] == pytest.approx(0.004, rel=0.02)


def test_drafts_too_dim_to_be_found_are_made_brighter():
    seen = []

    def see(drawn):
        seen.append(drawn['level_quantiles'][MIDDLE])
        if len(seen) < 3:
            raise UserError('nothing')
        return look(drawn)

    found = calibrate(see=see, rounds=4)
    assert np.array(seen[:3]) / seen[0] == pytest.approx([1, 2, 4])
    assert len(found['rounds']) == 2                     # rounds without a neurite tell nothing


def test_drafts_too_sparse_for_otsu_are_made_denser():
    seen = []

    def see(drawn):
        seen.append(drawn['density'])
        return dict(look(drawn), threshold=20.0 if len(seen) < 3 else 26.0)

    calibrate(see=see, rounds=4)
    assert np.array(seen[:3]) / seen[0] == pytest.approx([1, 1.5, 1.5 ** 2])
    assert seen[3] / seen[2] != pytest.approx(1.5)       # half of the real threshold will do
    with_lowest = calibrate(see=lambda drawn: dict(look(drawn), threshold=20.0), rounds=9)
    assert with_lowest['density'] == corrections.DENSEST and with_lowest['rounds'] == []


def test_the_first_guess_takes_off_the_blur():
    """A cylinder of radius 1 blurred by sigma 1 is FWHM * sqrt(1 / 4 + 1) wide."""
    measured = dict(look(TRUTH), width_quantiles=[FWHM * np.sqrt(1.25)] * 25,
                    blur_sigma=[None, 1.0, 1.0])
    guess = calibration.first_guess(measured)
    np.testing.assert_allclose(guess['radius_quantiles'], 1.0)
    assert guess['blur_sigma'] == [None, 1.0, 1.0]
    assert guess['density'] == pytest.approx(1.5 * 0.002)
    blind = dict(measured, blur_sigma=[1.0, None, None], level_quantiles=None,
                 radius_quantiles=np.linspace(0.1, 2.5, 25).tolist())
    guess = calibration.first_guess(blind)               # no width: OTSU's radii
    assert guess['radius_quantiles'][0] == 1.0 and guess['radius_quantiles'][-1] == 2.5
    assert guess['level_quantiles'] == [1.0] * 25


@pytest.mark.parametrize('change, wanted', [
    ({}, 0.0), ({'density': 0.002 * np.e}, 1 / 10), ({'threshold': 50 / np.e}, 1 / 10),
    ({'threshold': 0.0}, 0.0), ({'grain': None}, 0.0),
    ({'level_quantiles': [240 * np.e] * 25}, 3 / 10),
    ({'width_quantiles': [3 * np.e] * 25}, 3 / 10),
    ({'radius_quantiles': [2 * np.e] * 25}, 1 / 10),
    ({'grain': 0.25 * np.e - 0.05}, 1 / 10)])
def test_the_mismatch_is_the_mean_logarithm_of_ten_ratios(change, wanted):
    measured = {'density': 0.002, 'threshold': 50.0, 'grain': 0.2, 'radius_quantiles': [2.0] * 25,
                'level_quantiles': [240.0] * 25, 'width_quantiles': [3.0] * 25}
    seen = dict(measured, **change)
    assert calibration.mismatch(measured, seen) == pytest.approx(wanted)
    assert calibration.mismatch(seen, measured) == pytest.approx(wanted)


# --- each correction, made in full ---

def test_corrections_known_by_hand():
    full = dict(damping=1.0)
    widths = [FWHM * np.sqrt(r ** 2 / 4 + 1) for r in (1.0, 2.0)]
    assert corrections.thicker([1.0, 1.0], widths, seen=[widths[0]] * 2, **full) \
        == pytest.approx([1.0, 2.0])
    assert corrections.thicker([1.0, 1.0], [1.0] * 2, seen=[5.0] * 2, **full) == [1.0, 1.0]
    assert corrections.thicker([2.0] * 2, [3.0] * 2, seen=[3.0] * 2, blurred=0.75, **full) \
        == pytest.approx([1.0, 1.0])                     # 4 - 4 x 0.75: the blur makes up for it
    assert corrections.blurrier(1.0, 2.0, seen=1.5, **full) == pytest.approx(np.sqrt(1 + 4 - 2.25))
    assert corrections.blurrier(1.0, 0.5, seen=3.0, **full) == 0.3
    assert corrections.blurrier(1.0, 0.5, seen=3.0, least=0.6, **full) == pytest.approx(0.6)
    assert corrections.denser(0.001, 0.004, seen=0.002, **full) == pytest.approx(0.002)
    assert corrections.denser(0.001, 0.1, seen=0.001, **full) == pytest.approx(0.005)
    assert corrections.denser(0.01, 0.1, seen=0.02, **full) == 0.02
    # twice the grain: four times as many unstained voxels for each stained one
    assert corrections.evener(0.8, 0.09, seen=0.04, **full) == pytest.approx(0.5)
    assert corrections.evener(0.5, 1.0, seen=0.01, **full) == 0.3
    for correct in (corrections.thicker, corrections.blurrier, corrections.brighter,
                    corrections.evener):
        assert correct(0.7, None, seen=1.0, **full) == 0.7 == correct(0.7, 1.0, seen=None, **full)


def test_levels_are_moved_and_stretched():
    levels = np.exp(np.linspace(4, 6, 25))
    wanted = np.exp(np.linspace(4.5, 7.5, 25))           # e times as bright, 1.5 times the spread
    found = corrections.brighter(levels.tolist(), wanted, seen=levels, damping=1.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    half = corrections.brighter(levels.tolist(), wanted, seen=levels, damping=0.5)
    assert half[MIDDLE] == pytest.approx(np.exp(5.5))
    far = corrections.brighter(levels.tolist(), levels * 100, seen=levels, damping=1.0)
    np.testing.assert_allclose(far, 5 * levels)          # a round's limit


def test_wings_follow_the_radii_of_otsu():
    real, wide = [{'radius_quantiles': [r] * 25} for r in (2.0, 2.4)]
    assert corrections.wider_wings(0.3, real, seen=wide, damping=1.0) == pytest.approx(0.2)
    assert corrections.wider_wings(0.3, wide, seen=real, damping=0.5) \
        == pytest.approx(0.3 + 0.5 * 0.5 / 6)
    assert corrections.wider_wings(0.0, real, seen=wide, damping=1.0) == 0
    # the outer tenths of the radii are spots and junctions
    odd = {'radius_quantiles': np.where((QUANTILES < 0.1) | (QUANTILES > 0.9), 50, 2).tolist()}
    assert corrections.middle_radius(odd) == pytest.approx(2.0)


# --- on stacks that the simulator draws ---

def test_a_known_width_level_and_density_are_found_again_on_a_drawn_stack(monkeypatch):
    """Optics are held and courses left, so that widths tell of radii alone; one seed for all.

    What is drawn at first is off by more than the tolerance.
    """
    monkeypatch.setattr(trial, 'SHAPE', (48, 80, 80))
    monkeypatch.setattr(noise, 'correlation', lambda *_, **__: [[0.0] * len(LAGS)] * 3)    # slow
    optics = {'blur_sigma': [1.0] * 3, 'keep': 0.8, 'halo': 0.1}
    truth = dict(optics, radius_quantiles=[2.0] * 25, density=0.004,
                 level_quantiles=(800 * np.exp(0.3 * np.linspace(-1, 1, 25))).tolist())
    constants = config.load('configs/simulator.py', [])
    how = settings.Settings(*[config.pick(constants, group) for group in settings.GROUPS])
    segmentation = otsu.Settings(32, 1.0, 0.995, 4.0, 100)

    def see(voxels):
        found = otsu.segment(voxels, segmentation)
        return stack.measure(voxels, found, skeleton=otsu.centreline(found.mask))

    gaussian = 1000 + 20 * np.sqrt(2) * special.erfinv(2 * BACKGROUND - 1)
    world = {'background': {'median': 1000.0, 'robust_std': 20.0, 'quantiles': gaussian.tolist()},
             'correlation': [[0.0] * len(LAGS)] * 3, 'persistence': 150.0, 'level_drift': 0.1,
             'debris': {'density': 0.0, 'radius_quantiles': None, 'level_quantiles': None},
             'branch_spacing': 80.0, 'ends_spacing': 80.0, 'voxel_size': None, 'dtype_max': 65535}
    real = trial.draw(world, truth, settings=how)
    measured = dict(pool.pool({'real': see(real)}), dtype_max=65535)
    for name in calibration.KEPT_IF_KNOWN:
        measured[name] = None

    def draw(drawn, seed):
        return trial.draw(world, dict(drawn, **optics), settings=how)

    guess = calibration.first_guess(measured)
    found = calibration.calibrate(measured, see, draw=draw, rounds=8)
    for name, tolerance in (('radius_quantiles', 0.1), ('level_quantiles', 0.07),
                            ('density', 0.1)):
        wanted, at_first, at_last = [
            v[name] if name == 'density' else v[name][MIDDLE] for v in (truth, guess, found)]
        assert abs(at_first / wanted - 1) > tolerance
        assert abs(at_last / wanted - 1) < tolerance
    first, best = found['rounds'][0], found['rounds'][found['best']]
    assert best['mismatch'] < 0.3 * first['mismatch']
    assert best['width_quantiles'][MIDDLE] == pytest.approx(
        measured['width_quantiles'][MIDDLE], rel=0.05)


def test_heading_is_drawn_for_any_stack_and_in_the_end_by_the_rounds_that_came_near():
    """Small drafts that ran further along z, or less, than they were drawn to."""
    wanted = [0.45, 0.275, 0.275, 0.0, 0.0, 0.0]
    measured = dict(look(TRUTH), heading=wanted)         # no glow: not crowded
    assert courses.first_guess(measured)['heading'] == pytest.approx(wanted)
    tried = [calibration.Trial(mismatch, dict(TRUTH, heading=wanted), dict(
        measured, heading=[z, (1 - z) / 2, (1 - z) / 2, 0.0, 0.0, 0.0]))
        for mismatch, z in ((0.1, 0.9), (0.1, 0.9), (0.1, 0.48), (0.1, 0.42), (0.2, 0.9))]
    found = calibration.averaged(tried, measured)        # neither the first half nor what is far
    assert found['heading'] == pytest.approx(wanted, abs=1e-3)
    assert found['keep'] == pytest.approx(0.6) and found['blur_sigma'] == TRUTH['blur_sigma']
    far = [trial._replace(mismatch=9.0) for trial in tried[2:]]
    assert calibration.averaged(tried[:1] + far, measured)['heading'][0] < 0.3   # the near one's


def test_each_round_has_a_draft_of_its_own():
    seeds = []
    calibration.calibrate(look(TRUTH), look, rounds=3,
                          draw=lambda drawn, seed: seeds.append(seed) or drawn)
    assert seeds == [0, 1, 2]


# --- by all centrelines ---

def striped(level, *, width, noise=20.0, step=12, seed=0):
    """Straight bars along x in noise: uint16 [36, 48, 64] and a background of 1000, uint16."""
    image = np.random.default_rng(seed).normal(1000, noise, (36, 48, 64))
    for z in range(6, 36, step):
        for y in range(6, 48, step):
            image[z:z + width, y:y + width, 6:58] += level
    return image.astype(np.uint16), np.full(image.shape, 1000, np.uint16)


def centrelines(voxels, local, *, above, spacing=(1, 1, 1)):
    mask = lines.standing_out(voxels, local, above=above)
    return lines.measure(voxels, local, mask=mask, spacing=spacing, above=above)


def test_centrelines_are_measured_down_to_the_noise():
    def measured(voxels, local, above=None, spacing=(1, 1, 1)):
        return centrelines(voxels, local, spacing=spacing,
                           above=above or lines.threshold(voxels, local))

    voxels, local = striped(400, width=5)
    found = measured(voxels, local)
    assert found['threshold'] == pytest.approx(4 * 20 * 0.36, rel=0.15)  # of a Gaussian of 0.7
    assert found['density'] == pytest.approx(12 * 50 / (36 * 48 * 64), rel=0.2)
    assert found['level_quantiles'][MIDDLE] == pytest.approx(400, rel=0.1)
    thin, bright = [measured(*striped(level, width=width))
                    for level, width in ((400, 3), (800, 5))]
    assert thin['radius'] < found['radius'] - 0.5
    assert bright['level_quantiles'][MIDDLE] == pytest.approx(800, rel=0.1)
    assert measured(voxels, local, above=600.0) is None
    assert measured(voxels, local, spacing=(2, 1, 1))['density'] \
        == pytest.approx(found['density'] / 2)
    flat = np.full((8, 16, 16), 7, np.uint8)
    assert lines.threshold(flat, flat.astype(np.uint16)) is None


@pytest.mark.parametrize('planes', [5, 8, 1000])
def test_centrelines_do_not_depend_on_how_many_planes_are_worked_on_at_once(monkeypatch, planes):
    """Bars that cross the edges of slabs, and a speck that is no neurite."""
    voxels, local = striped(400, width=5)
    voxels, local = [np.moveaxis(v, 2, 0).copy() for v in (voxels, local)]       # along z
    speck = voxels.copy()
    speck[30, 0, 0] += 1500
    whole = centrelines(voxels, local, above=90.0)
    monkeypatch.setattr(otsu, 'SLAB', planes)
    assert centrelines(voxels, local, above=90.0) == whole
    assert centrelines(speck, local, above=150.0)['density'] \
        == centrelines(voxels, local, above=150.0)['density']


def test_centrelines_are_those_of_noisy_stacks_and_of_drafts_like_them():
    """A draft's are above the real stacks' threshold; where OTSU misses nothing there are none."""
    for deviation, known in ((60.0, True), (5.0, False)):
        voxels, _ = striped(400, width=5, noise=deviation)
        found = otsu.segment(voxels, otsu.Settings(32, 1.0, 0.995, 4.0, 100))
        how = dict(skeleton=otsu.centreline(found.mask))
        real = stack.measure(voxels, found, **how)
        assert bool(real['lines']) == known
        at = {'threshold': 150.0}
        draft = stack.measure(voxels, found, like=dict(real, lines=at, debris=at), **how)
        assert draft['lines']['threshold'] == draft['debris']['threshold'] == 150.0
        assert stack.measure(voxels, found, like=dict(real, lines=None), **how)['lines'] is None
        if real['lines']:                                # OTSU's at most
            lower = stack.measure(voxels, found._replace(threshold=70.0), **how)['lines']
            assert lower['threshold'] == 70.0 < real['lines']['threshold'] < found.threshold


def test_a_draft_without_centrelines_is_made_brighter():
    measured = dict(look(TRUTH), lines={'threshold': 90.0, 'radius': 2.0, 'density': 0.002,
                                        'level_quantiles': [300.0] * 25})
    seen = []

    def see(drawn):
        seen.append(drawn['level_quantiles'][MIDDLE])
        return dict(look(drawn), lines=measured['lines'] if len(seen) > 2 else None)

    found = calibration.calibrate(measured, see, draw=lambda drawn, seed: drawn, rounds=4)
    assert np.array(seen[:3]) / seen[0] == pytest.approx([1, 2, 4])
    assert len(found['rounds']) == 2 and found['halo'] == 0.5


def test_all_centrelines_correct_levels_and_density():
    """Widths correct radii, wings stay."""
    sides = [dict(look(TRUTH), lines={'threshold': 90.0, 'radius': radius, 'density': density,
                                      'level_quantiles': [level] * 25})
             for radius, density, level in ((2.0, 0.002, 300.0), (1.6, 0.001, 600.0))]
    sides = [dict(side, drift_length=5.0, ends_spacing=spacing)
             for side, spacing in zip(sides, (120.0, 60.0))]
    drawn = dict(TRUTH, drift_length=5.0, ends_spacing=120.0)
    found = corrections.corrected(drawn, sides[0], seen=sides[1], damping=1.0)
    np.testing.assert_allclose(found['radius_quantiles'], TRUTH['radius_quantiles'])
    np.testing.assert_allclose(found['level_quantiles'], np.array(TRUTH['level_quantiles']) / 2)
    assert found['density'] == pytest.approx(0.008) and found['halo'] == TRUTH['halo']
    assert found['ends_spacing'] == pytest.approx(240)
    assert found['drift_length'] == pytest.approx(5)
    for want, got in (((200, 400, 800), (300, 400, 533)), ((300, 400, 533), (200, 400, 800))):
        wide = [dict(side, lines=dict(side['lines'], level_quantiles=np.interp(
            QUANTILES, (0, 0.5, 1), levels).tolist())) for side, levels in zip(sides, (want, got))]
        levels = corrections.corrected(drawn, wide[0], seen=wide[1], damping=1.0)['level_quantiles']
        spread = np.ptp(np.log(levels)) / np.ptp(np.log(TRUTH['level_quantiles']))
        assert (spread > 1.5) == (want[0] == 200) and (spread < 0.7) == (want[0] == 300)
        assert levels[MIDDLE] == pytest.approx(TRUTH['level_quantiles'][MIDDLE])
    deep = [dict(side, depth_width=width) for side, width in zip(sides, (3.6, 3.0))]
    found = corrections.corrected(drawn, deep[0], seen=deep[1], damping=1.0)
    assert found['blur_sigma'][0] == pytest.approx(
        np.sqrt(TRUTH['blur_sigma'][0] ** 2 + (3.6 ** 2 - 3.0 ** 2) / FWHM ** 2))
    found = corrections.corrected(drawn, dict(deep[0], depth_width=30.0), seen=deep[1], damping=1.0)
    assert found['blur_sigma'][0] == pytest.approx(1.5 * TRUTH['blur_sigma'][0])     # no more
    blurred = dict(sides[1], blur_sigma=[4.0] * 3)
    found = corrections.corrected(drawn, sides[0], seen=blurred, damping=1.0)
    sharper = np.mean(np.square(TRUTH['blur_sigma'][1:])) * (1 - 0.8 ** 2)       # thicker by that
    assert found['radius_quantiles'][MIDDLE] == pytest.approx(
        np.sqrt(TRUTH['radius_quantiles'][MIDDLE] ** 2 + 4 * sharper))
    assert found['blur_sigma'] == pytest.approx([0.8 * s for s in TRUTH['blur_sigma']])
    guess = calibration.first_guess(sides[0])
    assert guess['halo'] == 0.5 and calibration.first_guess(look(TRUTH))['halo'] == 0.1
    assert calibration.mismatch(*sides) > calibration.mismatch(sides[0], dict(
        sides[1], lines=sides[0]['lines']))


def test_lines_are_of_most_stacks_of_the_pools_kind():
    one = {'centreline_voxels': 10, 'glow': None, 'lines': {'radius': 1.0}}
    both = dict(one, glow={'level': 5.0}, lines={'radius': 3.0})
    other = {'centreline_voxels': 30, 'glow': None, 'lines': None}
    assert pool.pool({'a': both, 'b': dict(one, centreline_voxels=5)})['lines'] == {'radius': 3.0}
    assert pool.pool({'a': one, 'b': other})['lines'] is None            # a minority
    assert pool.pool({'a': one, 'b': dict(other, centreline_voxels=5)})['lines'] == {'radius': 1.0}
    assert pool.pool({'a': one, 'b': dict(both, centreline_voxels=5)})['lines'] == {'radius': 1.0}


# --- debris ---

def specked(density, *, level=400.0, sigma=2.0):
    """Measurements of debris above 200 grey levels."""
    return {'debris': {'threshold': 200.0, 'density': density, 'sigma_quantiles': [sigma] * 25,
                       'level_quantiles': [level] * 25}}


def test_debris_is_drawn_at_first_as_it_would_look_without_the_blur():
    measured = dict(look(TRUTH), **specked(1e-4), blur_sigma=[2.0, 1.0, None])
    found = debris.first_guess(measured)
    assert found['debris_density'] == 1e-4 and found['debris_levels'] == [400.0] * 25
    own = np.sqrt(2.0 ** 2 - 1.5 ** 2 - lines.SMOOTHING ** 2)            # the mean of what is known
    assert found['debris_sigmas'] == pytest.approx([own] * 25)
    assert debris.first_guess(dict(measured, **specked(1e-4, sigma=1.0)))['debris_sigmas'] \
        == pytest.approx([debris.SHARPEST] * 25)
    flat = dict(measured, voxel_size=[3.0, 1.0, 1.0], blur_sigma=[0.4, 1.0, 1.0])
    own = np.sqrt(2.0 ** 2 - (3.2 / 3) ** 2 - (lines.SMOOTHING * 5 / 3) ** 2)
    assert debris.first_guess(flat)['debris_sigmas'] == pytest.approx([own] * 25)
    assert debris.first_guess(dict(measured, **specked(1.0)))['debris_density'] == debris.MOST
    assert debris.first_guess(look(TRUTH)) == {}
    none = dict(debris.NOTHING, threshold=200.0)
    assert debris.first_guess(dict(measured, debris=none)) == {}


def test_debris_is_corrected_by_what_a_draft_shows():
    """Pieces of neurites count in both; what a draft lacks altogether corrects the number alone."""
    drawn = debris.first_guess(dict(look(TRUTH), **specked(2e-4)))
    seen = specked(1e-4, level=500.0, sigma=2.2)
    found = debris.corrected(drawn, specked(2e-4), seen=seen, damping=0.5)
    assert found['debris_density'] == pytest.approx(2e-4 * 2 ** 0.5)
    assert found['debris_levels'] == pytest.approx([400 * 0.8 ** 0.5] * 25)
    assert np.square(found['debris_sigmas']) == pytest.approx(
        np.square(drawn['debris_sigmas']) + 0.5 * (2.0 ** 2 - 2.2 ** 2))
    bare = {'debris': dict(debris.NOTHING, threshold=200.0)}
    found = debris.corrected(drawn, specked(2e-4), seen=bare, damping=1.0)
    assert found == dict(drawn, debris_density=pytest.approx(2e-4 * debris.LIMITS[1]))
    crowd = dict(drawn, debris_density=debris.MOST)
    assert debris.corrected(crowd, specked(2e-4), seen=seen, damping=0.5)['debris_density'] \
        == debris.MOST
    assert debris.corrected(drawn, specked(2e-4), seen={}, damping=0.5) == drawn
    assert debris.corrected({}, specked(2e-4), seen=seen, damping=0.5) == {}


def test_drafts_with_too_much_debris_come_to_have_as_much_as_the_stack():
    measured = dict(look(TRUTH), **specked(1e-4))

    def see(drawn):                                      # half of what is drawn, and pieces
        return dict(look(drawn), **specked(drawn['debris_density'] / 2 + 3e-5))

    found = calibration.calibrate(measured, see, draw=lambda drawn, seed: drawn, rounds=12)
    assert found['debris_density'] == pytest.approx(1.4e-4, rel=0.03)
    assert found['rounds'][-1]['debris']['density'] == pytest.approx(1e-4, rel=0.03)
