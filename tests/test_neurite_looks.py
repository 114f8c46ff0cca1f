"""What neurites look like across, and beside each other: headings, sections, borders, wings."""
import numpy as np
import pytest
from drafting import draw, settings_of
from test_measure import fibre, line
from test_priors import known
from test_raster import slow_label

from utils.data import swc
from utils.measure import (bends, calibration, corrections, courses, crowding, otsu, skeletons,
                           widths, wings)
from utils.measure import sections as seen_sections
from utils.simulate import fibres, light, optics, raster, sections
from utils.simulate.headings import Headings

ALONG_Z = [0.6, 0.2, 0.2, 0.0, 0.0, 0.0]
LIMITS = [200.0] * 3


# --- headings ---

def test_headings_differ_from_place_to_place_about_that_of_all():
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 200, (4000, 3))
    same = Headings(LIMITS, heading=ALONG_Z).at(places)
    assert (same == crowding.matrix(ALONG_Z)).all()
    found = Headings(LIMITS, heading=ALONG_Z, spread=0.2, rng=rng).at(places)
    np.testing.assert_allclose(np.trace(found, axis1=1, axis2=2), 1)
    np.testing.assert_allclose(found.mean(0), crowding.matrix(ALONG_Z), atol=0.03)
    aside = found - found.mean(0)
    assert np.sqrt((aside ** 2).sum((1, 2)).mean()) == pytest.approx(0.2, abs=0.03)
    apart = np.linalg.norm(places[:2000] - places[2000:], axis=1)
    alike = (aside[:2000] * aside[2000:]).sum((1, 2)) / 0.04
    assert alike[apart < 30].mean() > 0.5 and abs(alike[apart > 120].mean()) < 0.3


def test_without_a_heading_walks_are_not_turned():
    ahead = np.eye(3)
    assert Headings(LIMITS).pulled(ahead, places=ahead, persistence=50.0, step=2.0) is ahead
    turned = Headings(LIMITS, heading=ALONG_Z).pulled(ahead, places=ahead, persistence=50.0,
                                                      step=2.0)
    strength = 7.5 * 2 / 50
    np.testing.assert_allclose(np.diag(turned), 1 + strength * (np.array([0.6, 0.2, 0.2]) - 1 / 3))


def test_fibres_run_as_others_do_some_way_off():
    found = []
    for spread in (0.0, 0.45):
        grown = fibres.fibres((160, 160, 160), np.random.default_rng(1), total=20000,
                              habit=fibres.Habit(60.0, np.inf, 150.0, heading_spread=spread))
        paths = [np.unique(np.rint(tree.position), axis=0, return_index=True) for tree in grown]
        paths = [np.rint(tree.position)[np.sort(first)].astype(int)
                 for tree, (_, first) in zip(grown, paths)]
        found.append(crowding.headings_alike(paths, (1, 1, 1)))
    assert abs(found[0]) < 0.03 and found[1] > found[0] + 0.03
    assert crowding.headings_alike(paths[:1], (1, 1, 1)) is None
    assert bends.alignment(paths, (1, 1, 1), apart=bends.FAR) > found[1] + 0.3


# --- sections that are not round, borders ---

def tube(radius, *, aside=0.0, flat=None, edge=0.0):
    """A tube along z in the middle of (24, 25, 25) voxels, its axis off by `aside` along y."""
    position = np.array([[-5.0, 12 + aside, 12], [30.0, 12 + aside, 12]])
    return raster.voxels((24, 25, 25), position, radius=[radius] * 2, parent=[-1, 0], flat=flat,
                         edge=edge)


def covered(found):
    """What of (24, 25, 25) voxels is covered."""
    whole = np.zeros((24, 25, 25), np.float32)
    np.maximum.at(whole.ravel(), found.index, found.cover)
    return whole


def test_a_flat_tube_is_as_wide_and_as_thin_as_told():
    mask = np.zeros((24, 25, 25), bool)
    mask.ravel()[tube(5.0, flat=np.array([[0, 0.5, 0]] * 2)).index] = True
    assert mask[12, :, 12].sum() == 2 * int(5 * np.exp(0.5)) + 1         # along the vector
    assert mask[12, 12].sum() == 2 * int(5 * np.exp(-0.5)) + 1
    assert mask[12].sum() == pytest.approx(np.pi * 25, rel=0.03)
    turned = tube(5.0, flat=np.array([[3.0, 0.5, 0]] * 2))               # what lies along it is
    assert set(turned.index) >= set(np.flatnonzero(mask))                # no matter of its tube


def test_round_sections_are_as_without_flattening():
    position = np.array([[4.0, 5, 3], [9, 8, 12], [3, 12, 9]])
    radius, parent = np.array([2.0, 3.0, 1.0]), [-1, 0, 1]
    found = raster.voxels((14, 16, 16), position, radius=radius, parent=parent,
                          flat=np.zeros((3, 3)))
    mask = np.zeros((14, 16, 16), bool)
    mask.ravel()[found.index] = True
    slow = slow_label(mask.shape, position, radius=radius, parent=parent, spacing=np.ones(3))
    np.testing.assert_array_equal(mask, slow)


def test_what_flattens_a_neurite_spares_its_soma():
    n = 4000
    tree = swc.Tree(np.where(np.arange(n) < 10, swc.SOMA, swc.AXON), np.zeros((n, 3)), np.ones(n),
                    np.arange(n) - 1)
    found = sections.draw(tree, 0.3, length=4.0, rng=np.random.default_rng(0))
    assert (found[:10] == 0).all() and found[10:].std() == pytest.approx(0.3, rel=0.1)


def test_partly_covered_voxels_take_the_steps_from_thin_neurites():
    """The light of a tube that shifts by parts of a voxel: nearly the same, its label is not."""
    flat = np.array([[0, 0, 0.4]] * 2)                   # thin along y
    for how, wanted in ((dict(), 0.1), (dict(flat=flat), 0.15)):
        hard, soft = [], []
        for aside in (0.0, 0.25, 0.5, 0.75):
            hard.append(len(set(tube(0.8, aside=aside, **how).index)))
            soft.append(covered(tube(0.8, aside=aside, edge=1.0, **how)).sum())
        assert np.ptp(hard) > 0.3 * np.mean(hard) and np.ptp(soft) < wanted * np.mean(soft)
    found, inside = tube(2.3, aside=0.3, edge=1.0), tube(2.3, aside=0.3)
    assert inside.cover is None
    assert set(found.index[found.inside]) == set(inside.index)     # the label is the same
    assert found.cover.max() == 1 and 0 < found.cover.min() < 0.5


def test_the_label_of_a_draft_does_not_know_the_edge():
    plain, soft = [draw(3, AXON_SHARE=1.0, EDGE=edge, LEVEL=(900.0, 900.0)) for edge in (0.0, 1.0)]
    np.testing.assert_array_equal(plain.label, soft.label)
    assert (plain.image != soft.image).any()


def test_where_neurites_overlap_the_brightest_shows():
    found = raster.Found(np.array([2, 2, 5]), np.array([0, 1, 1]), np.ones(3, np.float32),
                         np.float32([1.0, 0.25, 0.5]), np.ones(3, bool))
    shining = light.on_voxels((1, 1, 7), found, shine=np.array([40.0, 100.0]),
                              parent=np.array([-1, -1]))
    assert shining.ravel().tolist() == [0, 0, 40, 0, 0, 50, 0]


# --- roundness ---

def upright(sigma_y, sigma_x):
    """Roundness of a line along z whose light falls off as told."""
    image = 500 + 4000 * np.exp(
        -((np.arange(33)[:, None] - 16) / sigma_y) ** 2 / 2
        - ((np.arange(33) - 16) / sigma_x) ** 2 / 2)
    voxels = np.broadcast_to(image, (90, 33, 33)).astype(np.uint16)
    return seen_sections.roundness(voxels, np.full(voxels.shape, 500, np.uint16),
                                   paths=[line((0, 16, 16), (89, 16, 16))])


def test_roundness_of_lines_along_z():
    assert upright(1.5, 1.5) == pytest.approx(1, abs=0.01)
    assert upright(1.2, 2.0) < upright(1.3, 1.7) < 0.9
    across = 500 + fibre((33, 33, 90), centre=(16, 16), sigma=1.5, peak=4000)
    assert seen_sections.roundness(across.astype(np.uint16), np.full((33, 33, 90), 500, np.uint16),
                                   paths=[line((16, 16, 0), (16, 16, 89))]) is None


def test_flat_neurites_are_told_from_round_ones():
    found = []
    for flatness in (0.0, 0.5):
        image = draw(1, FLATNESS=flatness, AXON_SHARE=1.0, LEVEL=(4000.0, 4000.0), DENSITY=0.008,
                     TEXTURE=0, LEVEL_DRIFT=0, RADIUS=(1.5, 1.5), STAINED_SHARE=1.0,
                     TORTUOSITY=1.02, VOLUME_SHAPE=(128, 128, 128)).image
        mask = otsu.segment(image, otsu.Settings(32, 1.0, 0.995, 4.0, 100)).mask
        found.append(seen_sections.roundness(
            image, np.full(image.shape, int(np.median(image)), np.uint16),
            paths=skeletons.branches(otsu.centreline(mask)).paths))
    assert found[1] < found[0] - 0.05


# --- wings ---

def lines_of_light(share, core, wide):
    """Profiles along z, y, x of lines of light: a core and wings, both [z, in plane]."""
    away = np.arange(-widths.REACH, widths.REACH + 1.0)
    rng, found = np.random.default_rng(0), []
    for k in (0, 1, 1):
        fall = (share * np.exp(-away ** 2 / (2 * wide[k] ** 2))
                + (1 - share) * np.exp(-away ** 2 / (2 * core[k] ** 2)))
        levels = rng.uniform(500, 3000, (400, 1))
        found.append((levels * fall + rng.normal(0, 10, (400, len(away)))).astype(np.float32))
    return found


def test_core_and_wings_are_told_from_how_light_falls():
    found = wings.measure(lines_of_light(0.4, (1.2, 0.8), (3.5, 2.2)))
    assert found['share'] == pytest.approx(0.4, abs=0.03)
    np.testing.assert_allclose(found['core'], [1.2, 0.8], rtol=0.05)
    np.testing.assert_allclose(found['wide'], [3.5, 2.2], rtol=0.08)
    few = [profiles[:150] for profiles in lines_of_light(0.4, (1.2, 0.8), (3.5, 2.2))]
    assert wings.measure(few) is None                    # 150 along z


TRUE = {'blur_sigma': [1.0, 0.6, 0.7], 'wing_sigma': [3.4, 1.9], 'halo': 0.7}


def look(drawn):
    """A line 0.4 voxels wide through the blur: variances add, light in its middle as 1 / area."""
    own = 0.4 ** 2
    core = [np.sqrt(drawn['blur_sigma'][0] ** 2 + own),
            np.sqrt(np.mean(drawn['blur_sigma'][1:]) ** 2 + own)]
    wide = np.sqrt(np.square(drawn['wing_sigma']) + own).tolist()
    odds = drawn['halo'] / (1 - drawn['halo']) * np.prod(core) / np.prod(wide)
    return {'wings': {'share': odds / (1 + odds), 'core': core, 'wide': wide},
            'blur_sigma': drawn['blur_sigma'], 'width_quantiles': None, 'grain': None,
            'level_quantiles': None, 'density': 0.001, 'radius_quantiles': [1.0] * 25}


def test_core_and_wings_that_were_drawn_are_found_again():
    real = look(TRUE)
    drawn = {'blur_sigma': [1.3, 1.0, 1.0], 'wing_sigma': [2.5, 2.5], 'halo': 0.5, 'keep': 0.9,
             'radius_quantiles': [1.2] * 25, 'level_quantiles': [100.0] * 25, 'density': 0.001}
    kept = corrections.corrected(drawn, real, seen=dict(look(drawn), wings=None), damping=1.0)
    assert all(kept[key] == drawn[key] for key in TRUE)  # nothing was seen of them
    for _ in range(25):
        drawn = corrections.corrected(drawn, real, seen=look(drawn), damping=0.7)
    for key, wanted in TRUE.items():
        np.testing.assert_allclose(drawn[key], wanted, rtol=0.02, err_msg=key)


def test_brightness_knows_core_and_wings():
    values = settings_of(PSF_SIGMA=(1.0, 1.0, 1.0), PSF_WING_SHARE=0.6, PSF_WING_WIDTH=2.0,
                         PSF_WING_DEPTH=4.0, VOXEL_SIZE=(1.0, 1.0, 1.0))
    (near, core), (far, wide) = optics.blurs(values)
    assert (near, far) == pytest.approx((0.4, 0.6)) and core == pytest.approx(1)
    assert wide == pytest.approx((4 + 2 + 2) / 3)
    kernel = np.zeros((1, 1, 3))
    kernel[0, 0] = 0.25, 0.5, 0.25
    assert optics.blurs(values, psf=kernel) == [(1.0, pytest.approx(np.sqrt(0.5) / 3))]


def test_measured_wings_are_drawn():
    drawn = dict(known()['drawn'], blur_sigma=[1.0, 0.5, 0.7], wing_sigma=[3.5, 1.8], halo=0.7)
    optic = settings_of(dict(known(), drawn=drawn)).optics
    assert (optic.psf_wing_share, optic.psf_wing_depth) == pytest.approx((0.7, 3.5))
    assert optic.psf_wing_width == pytest.approx(3.0)
    before = settings_of(dict(known(), drawn=dict(drawn, wing_sigma=None)))
    assert (before.optics.psf_wing_depth, before.optics.psf_wing_width) == pytest.approx((3, 3))
    assert before.light.edge == 1 and settings_of().light.edge == 0      # paper: sharp
    seen = {'share': 0.4, 'core': [1.2, 0.9], 'wide': [3.0, 2.0]}
    measured = dict(look(TRUE), wings=seen, blur_sigma=[1.2, 0.8, 1.0], threshold=50.0)
    guess = calibration.first_guess(measured)
    odds = 0.4 / 0.6 * 6 / (1.2 * 0.9)
    assert guess['wing_sigma'] == [3.0, 2.0]
    assert guess['halo'] == pytest.approx(odds / (1 + odds))
    np.testing.assert_allclose(guess['blur_sigma'], np.sqrt(np.square([1.2, 0.8, 1.0]) - 0.25))


def test_neurites_too_wide_tell_no_wings():
    away = np.arange(-widths.REACH, widths.REACH + 1.0)
    broad = np.tile(1000 * np.exp(-away ** 2 / (2 * 7.0 ** 2)), (400, 1)).astype(np.float32)
    assert wings.measure([broad] * 3) is None
    assert wings.measure([-broad] * 3) is None           # darker than the background


# --- calibration ---

def test_flatness_and_spread_of_headings_are_found_again():
    true = {'flatness': 0.35, 'heading_spread': 0.3, 'heading': ALONG_Z}

    def see(drawn):
        return {'roundness': 0.8 - 0.4 * drawn['flatness'] ** 2, 'heading': drawn['heading'],
                'headings_alike': 0.5 * drawn['heading_spread'] ** 2}

    real = see(true)
    drawn = courses.first_guess(real)
    for _ in range(20):
        drawn = courses.corrected(drawn, real, seen=see(drawn), damping=0.7)
    for key in ('flatness', 'heading_spread'):
        assert drawn[key] == pytest.approx(true[key], rel=0.02)
    bare = dict(real, roundness=None, headings_alike=None)
    assert courses.first_guess(bare).keys() == {'heading'}
