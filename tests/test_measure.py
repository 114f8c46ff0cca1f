"""What is measured on a stack: answers known by hand, on lines and tubes drawn here."""
import numpy as np
import pytest
from scipy import ndimage, special, stats

from utils.common import schemas
from utils.common.errors import UserError
from utils.measure import (background, brightness, debris, lines, noise, otsu, pool, quantiles,
                           radii, skeletons, stack, widths)
from utils.simulate import raster

ISOTROPIC = (1, 1, 1)


def line(start, end):
    """Voxels of a straight line along one axis, both ends included; int [L, 3]."""
    start, end = np.array(start), np.array(end)
    n = np.abs(end - start).max()
    return start + np.arange(n + 1)[:, None] * (end - start) // n


# --- branches ---

def cross():
    """Four arms of 18 voxels in the plane z = 2, ends away from the border."""
    mask = np.zeros((5, 41, 41), bool)
    mask[2, 20, 2:39] = mask[2, 2:39, 20] = True
    return np.argwhere(mask)


def test_along_branches_follows_the_line():
    straight = line((0, 0, 0), (0, 0, 19))
    shuffled = straight[np.random.default_rng(0).permutation(20)]
    ordered = shuffled[skeletons.along_branches(shuffled)]
    assert np.abs(np.diff(ordered[:, 2])).tolist() == [1] * 19


def test_branches_of_a_cross_are_known_by_hand():
    paths, junctions, tips = skeletons.branches(cross())
    assert len(junctions) == 1 and sorted(len(p) for p in paths) == [17] * 4 and len(tips) == 4
    lengths, tortuosities, persistence = skeletons.shape_of(paths, ISOTROPIC)
    assert len(lengths) == len(tortuosities) == 4
    np.testing.assert_allclose(lengths, 16, atol=0.5)
    np.testing.assert_allclose(tortuosities, 1, atol=1e-3)
    assert persistence > 1000
    angles = skeletons.fork_angles(paths, junctions, spacing=ISOTROPIC)
    assert len(angles) == 2                              # four arms: two go on, two are branches
    np.testing.assert_allclose(angles, 90, atol=1)


def test_nothing_is_measured_on_no_centreline():
    nothing = skeletons.branches(np.zeros((0, 3), int))
    assert nothing.paths == [] and nothing.junctions == [] and nothing.tips.shape == (0, 3)
    shape = skeletons.shape_of(nothing.paths, ISOTROPIC)
    assert len(shape.lengths) == len(shape.tortuosities) == 0 and shape.persistence is None


@pytest.mark.parametrize('direction, angle', [((0, 1, 1), 45), ((0, 1, 0), 90), ((0, 1, -1), 45)])
def test_a_side_branch_leaves_at_its_angle(direction, angle):
    trunk = line((5, 10, 2), (5, 10, 42))
    side = np.array([5, 10, 22]) + np.arange(2, 20)[:, None] * direction
    near = np.array([[5, 10, 22]]) + direction           # between trunk and side branch
    found = skeletons.branches(np.concatenate([trunk, near, side]))
    angles = skeletons.fork_angles(found.paths, found.junctions, spacing=ISOTROPIC)
    np.testing.assert_allclose(angles, [angle], atol=6)
    # voxels three times as tall in y: the side branch is steeper
    steep = np.degrees(np.arctan2(3 * direction[1], abs(direction[2])))
    angles = skeletons.fork_angles(found.paths, found.junctions, spacing=(1, 3, 1))
    np.testing.assert_allclose(angles, [steep], atol=6)
    spur = skeletons.branches(np.concatenate([trunk, near, side[:3]]))
    assert len(skeletons.fork_angles(spur.paths, spur.junctions, spacing=ISOTROPIC)) == 0


def test_ends_are_counted_where_they_are_free():
    paths, _, tips = skeletons.branches(cross())
    assert skeletons.free_ends(paths, tips, shape=(5, 41, 41)) == 0      # z = 2 is the border
    inside = [path + (4, 4, 4) for path in paths]
    assert skeletons.free_ends(inside, tips + 4, shape=(12, 48, 48)) == 4
    # two arms now end within three voxels of the stack's border
    assert skeletons.free_ends(inside, tips + 4, shape=(12, 45, 48)) == 3
    spur = line((6, 20, 20), (6, 20, 23))                # four voxels
    assert skeletons.free_ends([spur], spur[[0, -1]], shape=(12, 48, 48)) == 0


def test_lengths_and_bends_of_an_arc_known_by_hand():
    """A quarter of a circle of radius 40: arc over chord pi / 2 / sqrt(2); and a straight line."""
    side = np.arange(29)                                 # an eighth of it, one voxel of x each
    eighth = np.stack([0 * side, np.rint(np.sqrt(40 ** 2 - side ** 2)).astype(int), side], 1)
    arc = np.concatenate([eighth[:-1], eighth[::-1, [0, 2, 1]]])
    shape = skeletons.shape_of([arc, line((0, 0, 0), (0, 0, 20)), arc[:9]], ISOTROPIC)
    np.testing.assert_allclose(shape.lengths, [20 * np.pi, 20], rtol=0.03)
    np.testing.assert_allclose(shape.tortuosities, [np.pi / 2 / np.sqrt(2), 1], rtol=0.03)
    assert skeletons.shape_of([arc], (1, 2, 2)).lengths[0] == pytest.approx(40 * np.pi, rel=0.03)
    # seven voxels on it has turned by so much of a radian
    apart = 7 * 20 * np.pi / (len(arc) - 1)
    wanted = -apart / np.log(np.cos(apart / 40))
    assert skeletons.shape_of([arc], ISOTROPIC).persistence == pytest.approx(wanted, rel=0.1)
    assert skeletons.shape_of([arc], (1, 2, 2)).persistence == pytest.approx(2 * wanted, rel=0.1)


def test_a_closed_loop_has_a_length_and_no_bend():
    t = np.linspace(0, 2 * np.pi, 80)[:-1]
    ring = np.rint(np.stack([0 * t, 15 * np.cos(t), 15 * np.sin(t)], 1)).astype(int)
    shape = skeletons.shape_of([ring], ISOTROPIC)
    assert len(shape.lengths) == 1 and len(shape.tortuosities) == 0


# --- radii and widths ---

def test_skeleton_radii_of_a_tube():
    tube = raster.label((21, 21, 300), [[10, 10, -5], [10, 10, 305]], radius=[4.0, 4.0],
                        parent=[-1, 0])
    skeleton = np.array([[10, 10, x] for x in range(0, 300, 7)])
    assert np.allclose(radii.skeleton_radii(tube, skeleton, block=64),
                       radii.skeleton_radii(tube, skeleton, block=512))
    assert np.abs(radii.skeleton_radii(tube, skeleton) - 4).max() < 0.6
    # in voxels twice as wide along all axes the tube is twice as thick, up to the margin
    twice = radii.skeleton_radii(tube, skeleton, sampling=(2, 2, 2))
    np.testing.assert_allclose(twice, 2 * (radii.skeleton_radii(tube, skeleton) + 0.5) - 0.5)
    assert (radii.skeleton_radii(tube, skeleton, margin=3) == 2.5).all()


@pytest.mark.parametrize('sampling', [(1, 1, 1), (2.5, 1, 1)])
def test_skeleton_radii_are_those_of_a_distance_transform(sampling):
    rng = np.random.default_rng(0)
    mask = ndimage.gaussian_filter(rng.random((30, 50, 60)), 3) > 0.5
    points = np.argwhere(mask)[::7]
    away = ndimage.distance_transform_edt(mask, sampling)[tuple(points.T)]
    assert away.max() > 5
    for block in (16, 128):
        np.testing.assert_allclose(
            radii.skeleton_radii(mask, points, block=block, sampling=sampling) + 0.5, away)
    assert (radii.skeleton_radii(np.ones((9, 9, 9), bool), points[:3] * 0 + 4) == 15.5).all()


def fibre(shape, *, centre, sigma, peak, axis=2):
    """A straight fibre whose cross section is a Gaussian; float [Z, Y, X], zero background."""
    others = [i for i in range(3) if i != axis]
    grid = np.indices(shape, float)
    sigmas = np.broadcast_to(sigma, 2)
    square = sum(((grid[i] - c) / s) ** 2 for i, c, s in zip(others, centre, sigmas))
    return peak * np.exp(-square / 2)


def test_widths_of_a_gaussian_fibre_known_by_hand():
    """Sigma of 1.5 along x and of 2 along z: full widths at half maximum of 2.3548 sigmas."""
    shape = (33, 33, 60)
    image = 500 + fibre(shape, centre=(16, 16), sigma=1.5, peak=4000)
    upright = 500 + fibre((60, 33, 33), centre=(16, 16), sigma=2.0, peak=4000, axis=0)
    local = np.full(shape, 500, np.uint16)
    along_x = widths.apparent(image.astype(np.uint16), local,
                              paths=[line((16, 16, 0), (16, 16, 59))])
    along_z = widths.apparent(upright.astype(np.uint16), np.full(upright.shape, 500, np.uint16),
                              paths=[line((0, 16, 16), (59, 16, 16))])
    assert [len(w) > 40 for w in along_x] == [True, True, False]
    assert [len(w) > 40 for w in along_z] == [False, True, True]
    for found, sigma in ((along_x[:2], 1.5), (along_z[1:], 2.0)):
        np.testing.assert_allclose(np.concatenate(found), quantiles.FWHM * sigma, rtol=0.03)
    blur = widths.blur_sigma(along_x)
    assert blur[:2] == pytest.approx([1.5, 1.5], rel=0.03) and blur[2] is None


def test_the_blur_is_told_from_the_thinnest_neurites():
    sigmas = np.linspace(1, 3, 21)                       # the 15 % quantile of them is 1.3
    found = widths.blur_sigma([quantiles.FWHM * sigmas, quantiles.FWHM * sigmas[:9], sigmas[:0]])
    assert found[0] == pytest.approx(1.3) and found[1:] == [None, None]


def test_a_width_without_a_fall_to_half_is_left_out():
    shape = (33, 33, 60)
    broad = (500 + fibre(shape, centre=(16, 16), sigma=9.0, peak=4000)).astype(np.uint16)
    found = widths.apparent(broad, np.full(shape, 500, np.uint16),
                            paths=[line((16, 16, 0), (16, 16, 59))])
    assert [len(w) for w in found] == [0, 0, 0]


def fibres_of(sigmas, peaks):
    """Straight fibres side by side on a background of 500: (voxels, background, paths)."""
    shape = (33, 24 * len(sigmas), 40)
    image, paths = np.full(shape, 500.0), []
    for i, (sigma, peak) in enumerate(zip(sigmas, peaks)):
        image += fibre(shape, centre=(16, 12 + 24 * i), sigma=sigma, peak=peak)
        paths.append(line((16, 12 + 24 * i, 0), (16, 12 + 24 * i, 39)))
    return image.astype(np.uint16), np.full(shape, 500, np.uint16), paths


@pytest.mark.parametrize('sign', [-1, 1])
def test_widths_are_compared_with_brightness(sign):
    sigmas = np.linspace(0.8, 2.5, 40)
    peaks = 3000 + sign * 800 * sigmas
    voxels, local, paths = fibres_of(sigmas, peaks)
    assert widths.with_level(voxels, local, paths=paths) == pytest.approx(sign, abs=0.02)
    assert widths.with_level(voxels, local, paths=paths[:20]) is None
    assert widths.with_level(voxels, local, paths=[path[:9] for path in paths]) is None
    shuffled = np.random.default_rng(0).permutation(peaks)
    voxels, local, paths = fibres_of(sigmas, shuffled)
    rank = stats.spearmanr(sigmas, shuffled)[0]
    assert widths.with_level(voxels, local, paths=paths) == pytest.approx(rank, abs=0.02)


# --- brightness ---

def brightness_of(levels, noise=0.0):
    """Brightness of a straight path with given levels above a background of 500."""
    levels = np.asarray(levels, float)
    voxels = np.full((5, 5, len(levels)), 500, np.uint16)
    voxels[2, 2] = np.rint(500 + levels)
    path = line((2, 2, 0), (2, 2, len(levels) - 1))
    local = np.full(voxels.shape, 500, np.uint16)
    return brightness.along(voxels, local, paths=[path], noise=noise)


def test_an_even_neurite_has_neither_drift_nor_grain():
    found = brightness_of(np.full(100, 800.0))
    assert found.levels.tolist() == [800.0] * 100 and found.drift == 0 and found.grain == 0


@pytest.mark.parametrize('strength', [0.2, 0.5])
def test_drift_is_the_spread_of_slow_changes(strength):
    """The logarithm of the level is a slow sine: its std is its amplitude over sqrt(2)."""
    x = np.arange(400)
    found = brightness_of(5000 * np.exp(strength * np.sin(2 * np.pi * x / 100)))
    assert found.drift == pytest.approx(strength / np.sqrt(2), rel=0.05) and found.grain < 0.02


@pytest.mark.parametrize('strength', [0.1, 0.3])
def test_grain_is_the_spread_of_fast_changes_without_the_noise(strength):
    """Levels alternate by a share of the median; half the background's variance is taken off."""
    levels = 5000 * (1 + strength * (-1) ** np.arange(400))
    assert brightness_of(levels).grain == pytest.approx(strength, rel=0.05)
    assert brightness_of(levels).drift < 0.02
    noisy = brightness_of(levels, noise=500).grain
    assert noisy == pytest.approx(np.sqrt(max(strength ** 2 - 0.5 * 0.1 ** 2, 0)), rel=0.05)
    assert brightness_of(levels, noise=5000).grain == 0


def test_short_and_dark_paths_have_no_brightness():
    assert brightness_of(np.full(19, 800.0)).levels.tolist() == [800.0] * 19
    assert brightness_of(np.full(19, 800.0)).drift is None is brightness_of(np.full(19, 800.)).grain
    for levels in (np.full(7, 800.0), np.zeros(50)):
        assert brightness_of(levels).levels.tolist() == []


def test_levels_are_medians_of_paths_once_for_each_voxel():
    voxels = np.full((5, 20, 60), 100, np.uint16)
    voxels[2, 5, :40], voxels[2, 15, :10] = 400, 900
    paths = [line((2, 5, 0), (2, 5, 39)), line((2, 15, 0), (2, 15, 9))]
    found = brightness.along(voxels, np.full(voxels.shape, 100, np.uint16), paths=paths, noise=0)
    assert found.levels.tolist() == [300.0] * 40 + [800.0] * 10


# --- the background ---

def test_the_background_keeps_off_neurites_and_debris():
    voxels = np.full((20, 40, 40), 100, np.uint16)
    mask, specks = np.zeros((2,) + voxels.shape, bool)
    mask[10, 20], specks[5, 5, 5] = True, True
    voxels[ndimage.binary_dilation(mask | specks)] = 999             # blurred beyond the mask
    outside, levels = background.behind(voxels, otsu.Segmentation(mask, specks, 0.0))
    assert (levels == 100).all() and len(levels) == outside.sum()
    assert not outside[8:13, 20, 7].any() and outside[7, 20, 7] and not outside[5, 5, 3]
    everywhere = np.ones(voxels.shape, bool)
    everywhere[:, ::4] = False                                       # no voxel is far from them
    outside, levels = background.behind(voxels, otsu.Segmentation(everywhere, specks & False, 0.0))
    assert np.array_equal(outside, ~everywhere)


def test_grey_levels_of_the_background_known_by_hand():
    found = background.grey_levels(np.repeat(np.arange(98, 103), 20).astype(np.uint16))
    assert found['median'] == 100 and found['robust_std'] == pytest.approx(1.4826)
    np.testing.assert_allclose(np.interp([0.1, 0.5, 0.9], quantiles.BACKGROUND, found['quantiles']),
                               [98, 100, 102])


def test_noise_is_that_between_neighbouring_voxels():
    rng = np.random.default_rng(0)
    white = rng.normal(1000, 30, (40, 50, 60))
    slope = 2.0 * np.arange(60)                                      # far more than the noise, slow
    everywhere = np.ones(white.shape, bool)
    found = noise.noise_std(np.rint(white + slope).astype(np.uint16), everywhere)
    assert found == pytest.approx([30, 30, 30], rel=0.03)
    same_along_y = np.repeat(np.rint(white[:, :1]), 50, 1).astype(np.uint16)
    found = noise.noise_std(same_along_y, everywhere)
    assert found[0] == pytest.approx(30, rel=0.1) and found[1] < 0.5
    assert found[2] == pytest.approx(30, rel=0.1)
    spots = everywhere.copy()
    spots[::2] = False                                               # no two neighbours along z
    assert noise.noise_std(np.rint(white).astype(np.uint16), spots)[0] == 0


@pytest.mark.parametrize('coarse', [1, 20, 37, 60])
def test_noise_of_stretched_stacks_is_told_through_their_coarse_steps(coarse):
    """A stretched stack, divided by a flat field: along z each column has its own few levels."""
    rng = np.random.default_rng(0)
    white = rng.normal(2000, 87, (40, 60, 60)) / coarse
    flat = 1 + 0.02 * rng.standard_normal((60, 60))
    voxels = np.rint(coarse * (np.rint(white / flat) * flat)).astype(np.uint16)
    found = noise.noise_std(voxels, np.ones(voxels.shape, bool))
    assert found[0] == pytest.approx(np.hypot(87, coarse / np.sqrt(12)), rel=0.05)


def test_a_variance_passes_over_what_is_far_out():
    steps = np.random.default_rng(0).normal(0, 100, 200000).astype(np.float32)
    steps[:10000] *= 20
    assert noise.variance([steps], of=4.0) == pytest.approx(2500, rel=0.15)
    assert noise.variance([steps[:0]], of=1.0) is None
    assert noise.variance([np.float32([3.0])], of=1.0) > 0


def test_ranks_by_a_table_are_those_of_a_search():
    rng = np.random.default_rng(0)
    ranked = np.sort(rng.normal(1400, 60, 20000).astype(np.float32))
    ranked[-1] = 65535                                   # a spot
    values = rng.uniform(1250, 1550, 5000).astype(np.float32)    # 2.5 std: beyond few are ranked
    share = (np.searchsorted(ranked, values) + 0.5) / (len(ranked) + 1)
    np.testing.assert_allclose(noise._ranks(ranked).of(values),
                               special.ndtri(np.clip(share, 1e-4, 1 - 1e-4)), atol=0.02)
    assert np.isfinite(noise._ranks(np.full(5, 7.0, np.float32)).of(values)).all()


def test_correlation_of_smoothed_noise_known_by_hand():
    """White noise blurred by sigma correlates as exp(-lag^2 / (4 sigma^2))."""
    white = np.random.default_rng(0).standard_normal((64, 64, 64))
    smooth = ndimage.gaussian_filter(white, (0, 1.5, 3), mode='wrap')
    voxels = np.rint(1000 + 100 * smooth / smooth.std()).astype(np.uint16)
    found = noise.correlation(voxels, np.ones(voxels.shape, bool), levels=voxels.ravel())
    lags = np.array(quantiles.LAGS)
    for row, sigma in zip(found, (0.01, 1.5, 3.0)):
        np.testing.assert_allclose(np.array(row, float), np.exp(-lags ** 2 / (4 * sigma ** 2)),
                                   atol=0.1)
    thin = noise.correlation(voxels[:8], np.ones((8, 64, 64), bool), levels=voxels[:8].ravel())
    assert [v is None for v in thin[0]] == [lag >= 8 for lag in quantiles.LAGS]


def test_correlation_is_that_of_the_background_alone():
    """Bright stripes, left out, would make an even background look striped."""
    voxels = np.random.default_rng(0).integers(100, 200, (64, 64, 64)).astype(np.uint16)
    outside = np.ones(voxels.shape, bool)
    outside[:, :, ::8] = False
    voxels[~outside] = 60000
    found = noise.correlation(voxels, outside, levels=voxels[outside])
    assert np.abs(found).max() < 0.05
    assert noise.correlation(voxels, np.ones(voxels.shape, bool), levels=voxels.ravel())[2][5] > 0.2


# --- debris ---

def specks_of(image, *, above, blur, spacing=ISOTROPIC):
    """Debris of grey levels on a background of 1000."""
    voxels, local = np.rint(1000 + image).astype(np.uint16), np.full(image.shape, 1000, np.uint16)
    mask = lines.standing_out(voxels, local, above=above)
    return debris.measure(voxels, local, mask=mask, above=above, spacing=spacing, blur=blur)


def spots(shape, *, at, sigma, peak):
    """Gaussian spots; at: int [N, 3], sigma and peak: float [N]."""
    away = np.indices(shape)[:, None] - np.array(at).T.reshape(3, -1, 1, 1, 1)
    return (np.array(peak).reshape(-1, 1, 1, 1) * np.exp(
        -(away ** 2).sum(0) / (2 * np.array(sigma).reshape(-1, 1, 1, 1) ** 2))).sum(0)


def test_debris_is_counted_and_sized():
    """Two spots whose peaks and widths are those of the smoothed image; a single voxel is noise."""
    sharp = np.sqrt(np.array([2.0, 2.5]) ** 2 - lines.SMOOTHING ** 2)
    peak = np.array([400, 700]) * ([2.0, 2.5] / sharp) ** 3
    image = spots((30, 40, 50), at=[(15, 20, 12), (15, 20, 36)], sigma=sharp, peak=peak)
    image[24, 34, 30] = 3000                             # 555 when smoothed
    found = specks_of(image, above=250.0, blur=[None] * 3)
    assert found['threshold'] == 250 and found['density'] == pytest.approx(2 / image.size)
    assert found['level_quantiles'][0] == pytest.approx(400, rel=0.03)
    assert found['level_quantiles'][-1] == pytest.approx(700, rel=0.03)
    assert found['sigma_quantiles'][0] == pytest.approx(2.0, rel=0.05)
    assert found['sigma_quantiles'][-1] == pytest.approx(2.5, rel=0.05)
    tall = specks_of(image, above=250.0, blur=[None] * 3, spacing=(1.3, 1.0, 1.0))
    assert tall['density'] == pytest.approx(2 / (1.3 * image.size))      # per isotropic voxel
    np.testing.assert_allclose(tall['sigma_quantiles'],
                               np.multiply(found['sigma_quantiles'], 1.3 ** (1 / 3)), rtol=1e-6)
    assert specks_of(image, above=500.0, blur=[None] * 3)['density'] == pytest.approx(
        1 / image.size)


def test_the_threshold_of_debris_is_above_the_background():
    """OTSU's is below it where most voxels are bright."""
    image = 1000 + 20 * np.random.default_rng(0).standard_normal((20, 30, 30))
    voxels, local = np.rint(image).astype(np.uint16), np.full(image.shape, 1000, np.uint16)
    for crowded in (True, False):
        found = stack._bright(voxels, local, cut=-5.0, crowded=crowded, spacing=ISOTROPIC,
                              blur=[None] * 3, like=None)['debris']
        assert found['threshold'] == lines.ROUNDING


def test_large_things_are_no_debris():
    image = spots((48, 48, 90), at=[(24, 24, 24), (24, 24, 66)], sigma=[2.0, 6.0], peak=[600, 600])
    found = specks_of(image, above=200.0, blur=[1.0] * 3)
    assert found['density'] == pytest.approx(1 / image.size)
    assert found['sigma_quantiles'][12] == pytest.approx(2.1, rel=0.05)


@pytest.mark.parametrize('planes', [3, 1000])
def test_debris_does_not_depend_on_how_many_planes_are_worked_on_at_once(monkeypatch, planes):
    image = spots((30, 40, 50), at=[(12, 12, 12), (15, 12, 36)], sigma=[2, 1.5], peak=[600, 800])
    whole = specks_of(image, above=150.0, blur=[1.0] * 3)
    monkeypatch.setattr(otsu, 'SLAB', planes)
    assert specks_of(image, above=150.0, blur=[1.0] * 3) == whole


def test_pieces_of_neurites_are_no_debris():
    """A rod, a disc, a cube; and what is long by the blur."""
    solid = np.zeros((40, 40, 40), bool)
    solid[5, 5, 5:20] = solid[20, 20, 20] = True
    solid[5:9, 25:29, 25:29] = solid[30, 5:12, 5:12] = True
    lengths = debris.lengths(ndimage.label(solid)[0], scale=np.ones(3))
    # a rod of 15 voxels: variances of 15^2 / 12 and 1 / 12
    assert sorted(np.round(lengths, 2)) == [1.0, 1.0, round(7 ** 0.5, 2), 15.0]
    rod = np.zeros((30, 30, 40))
    rod[8:11, 8:11, 5:20] = 900.0
    rod[18:22, 18:22, 28:32] = 500.0
    found = specks_of(rod, above=200.0, blur=[1.0] * 3)
    assert found['density'] == pytest.approx(1 / rod.size)               # the cube of 4 voxels
    assert max(found['level_quantiles']) < 510
    unknown = specks_of(rod, above=200.0, blur=[None, 1.0, 1.0])
    assert unknown['density'] == pytest.approx(2 / rod.size)
    tall = np.zeros((30, 30, 40))
    tall[8:14, 20:22, 20:22] = 900.0
    found = [specks_of(tall, above=200.0, blur=blur)['density'] * tall.size
             for blur in ([None, 1.0, 1.0], [1.0, 1.0, 1.0], [3.0, 1.0, 1.0])]
    assert found == pytest.approx([1, 0, 1])


def test_a_stack_without_debris_says_so():
    single = np.zeros((9, 9, 9))
    for image in (single, single + 1000 * (np.arange(729).reshape(9, 9, 9) == 364)):
        found = specks_of(image, above=100.0, blur=[None] * 3)
        assert found == {'threshold': 100.0, 'density': 0.0, 'sigma_quantiles': None,
                         'level_quantiles': None}


# --- a whole stack ---

@pytest.fixture(scope='module')
def forked():
    """A trunk along x with two side branches that end inside the stack, and a bright speck.

    A trunk of 128 voxels, a branch of 38 along +y at x = 48, one of 18 along -y at x = 88.

    Returns:
        (voxels uint16, Segmentation, centreline, its measurements).
    """
    nodes = [[20, 30, -9], [20, 30, 48], [20, 30, 88], [20, 30, 140], [20, 70, 48], [20, 10, 88]]
    mask = raster.label((40, 90, 128), nodes, radius=[2.0] * 6, parent=[-1, 0, 1, 2, 1, 2]) > 0
    specks = raster.label(mask.shape, [[8, 8, 100]], radius=[1.5], parent=[-1]) > 0
    light = 2000.0 * mask + 3000 * specks
    image = 500 + ndimage.gaussian_filter(light, 1.0)
    image = np.random.default_rng(0).normal(image, 20)
    voxels = np.rint(image).astype(np.uint16)
    voxels[0, 0, :10] = 65535                            # saturated
    found = otsu.Segmentation(mask, specks, 700.0)
    skeleton = otsu.centreline(mask)
    return voxels, found, skeleton, stack.measure(voxels, found, skeleton=skeleton)


def test_measurements_of_a_forked_neurite_known_by_hand(forked):
    voxels, found, skeleton, seen = forked
    assert seen['centreline_voxels'] == len(skeleton) == pytest.approx(128 + 38 + 18, abs=8)
    assert seen['density'] == pytest.approx(len(skeleton) / (40 * 90 * 128))
    assert seen['branch_spacing'] == len(skeleton) / 2   # two side branches
    assert seen['ends_spacing'] == len(skeleton) / 2     # two free ends
    assert seen['angle_quantiles'] == pytest.approx([90] * 25, abs=8)
    assert seen['length_quantiles'][0] == pytest.approx(18, abs=4)
    assert seen['length_quantiles'][-1] == pytest.approx(48, abs=4)
    assert seen['tortuosity_quantiles'] == pytest.approx([1] * 25, abs=0.02)
    assert seen['persistence'] > 1000
    assert seen['radius_quantiles'][12] == pytest.approx(2, abs=0.3)
    assert seen['foreground_fraction'] == pytest.approx(found.mask.mean())
    assert seen['saturated_fraction'] == pytest.approx(10 / voxels.size)
    assert seen['threshold'] == 700 and seen['voxel_size'] is None


def test_light_of_a_forked_neurite_known_by_hand(forked):
    """A cylinder of radius 2, blurred by 1: 1 - exp(-2) of its level is left on its axis."""
    voxels, found, _, seen = forked
    assert seen['foreground'] == {'median': np.median(voxels[found.mask])}
    level = 2000 * (1 - np.exp(-2))
    assert seen['level_quantiles'][12] == pytest.approx(level, rel=0.05)
    # variance across it: r^2 / 4 and the blur's; its profile is flatter than a Gaussian
    assert seen['width_quantiles'][12] == pytest.approx(quantiles.FWHM * np.sqrt(2), rel=0.2)
    assert seen['blur_sigma'][2] == pytest.approx(np.sqrt(2), rel=0.2)
    assert seen['level_drift'] < 0.05 and seen['grain'] < 0.03
    assert seen['background']['median'] == pytest.approx(500, abs=2)
    assert seen['background']['robust_std'] == pytest.approx(20, rel=0.05)
    assert len(seen['background']['quantiles']) == len(quantiles.BACKGROUND)
    assert seen['noise_std'] == pytest.approx([20] * 3, rel=0.05)
    assert np.abs(np.array(seen['correlation'], float)).max() < 0.05
    assert seen['debris']['density'] == pytest.approx(1 / voxels.size)


def test_voxels_larger_in_z_and_y_make_lengths_longer_and_densities_lower(forked):
    voxels, found, skeleton, seen = forked
    tall = stack.measure(voxels, found, skeleton=skeleton, voxel_size=(1.0, 1.0, 0.5))
    assert tall['voxel_size'] == [1.0, 1.0, 0.5]
    assert tall['density'] == pytest.approx(seen['density'] / 4)
    assert tall['debris']['density'] == pytest.approx(seen['debris']['density'] / 4)
    assert tall['ends_spacing'] == seen['ends_spacing'] and tall['noise_std'] == seen['noise_std']
    assert tall['radius_quantiles'][12] > 1.5 * seen['radius_quantiles'][12]
    # the side branches, along y, are twice as long now
    assert tall['length_quantiles'][0] == pytest.approx(2 * seen['length_quantiles'][0], rel=0.1)
    assert tall['length_quantiles'][-1] == pytest.approx(2 * 38, abs=8)


def test_widths_are_those_in_plane_and_blur_that_of_each_axis():
    """A fibre along x with a Gaussian section, twice as wide along z as along y."""
    image = 500 + fibre((41, 41, 60), centre=(20, 20), sigma=(2.4, 1.2), peak=4000)
    image = np.random.default_rng(0).normal(image, 5)
    mask = image > 2500
    seen = stack.measure(np.rint(image).astype(np.uint16), otsu.Segmentation(mask, mask & False, 9),
                         skeleton=line((20, 20, 0), (20, 20, 59)))
    np.testing.assert_allclose(seen['width_quantiles'], quantiles.FWHM * 1.2, rtol=0.05)
    assert seen['blur_sigma'][:2] == pytest.approx([2.4, 1.2], rel=0.05)
    assert seen['blur_sigma'][2] is None
    assert seen['debris']['density'] == 0 and seen['debris']['sigma_quantiles'] is None


# --- several stacks ---

def test_pooled_priors_are_weighted_means_and_skip_what_is_unknown():
    a = {'x': 1.0, 'list': [1.0, 2.0], 'none': None, 'deep': {'y': 4.0}, 'centreline_voxels': 100}
    b = {'x': 4.0, 'list': [4.0, 5.0], 'none': 7.0, 'deep': {'y': 1.0}, 'centreline_voxels': 200}
    pooled = pool.pool({'a': a, 'b': b})
    assert pooled['x'] == 3.0 and pooled['list'] == [3.0, 4.0] and pooled['none'] == 7.0
    assert pooled['deep'] == {'y': 2.0} and pooled['stacks'] == {'a': a, 'b': b}
    assert pool.pool({'a': a})['none'] is None


def specked(threshold, *, lines, level, weight):
    """Measurements of a stack with debris of one level; None: without."""
    levels, sigmas = (None, None) if level is None else ([level] * 25, [2.0] * 25)
    return {'lines': {'threshold': threshold} if lines else None, 'centreline_voxels': weight,
            'debris': {'threshold': threshold, 'density': 1e-4 if level else 0.0,
                       'level_quantiles': levels, 'sigma_quantiles': sigmas}}


def test_debris_is_pooled_of_the_stacks_whose_lines_are():
    """Drafts are measured from one threshold; levels are shares of each stack's own."""
    few = specked(400.0, lines=False, level=900.0, weight=40)
    found = pool.pool({'a': specked(100.0, lines=True, level=150.0, weight=60), 'b': few})
    assert found['lines']['threshold'] == found['debris']['threshold'] == 100
    assert found['debris']['level_quantiles'] == [150.0] * 25
    found = pool.pool({'a': specked(100.0, lines=True, level=150.0, weight=60),
                       'b': specked(300.0, lines=True, level=None, weight=60)})
    assert found['debris']['threshold'] == found['lines']['threshold'] == 200
    assert found['debris']['level_quantiles'] == pytest.approx([300.0] * 25)     # 1.5 thresholds
    assert found['debris']['density'] == pytest.approx(5e-5)
    bright = pool.pool({'a': specked(100.0, lines=True, level=60000.0, weight=60),
                        'b': specked(300.0, lines=True, level=None, weight=60)})['debris']
    assert schemas.fault(bright, schemas.PRIORS['properties']['debris']) == ''   # 120,000 is read
    alone = pool.pool({'a': specked(100.0, lines=False, level=None, weight=60)})
    assert alone['debris'] == {'threshold': 100.0, 'density': 0.0, 'level_quantiles': None,
                               'sigma_quantiles': None}


def test_glow_of_a_few_stacks_is_none_of_all():
    a = {'glow': {'level': 300.0}, 'centreline_voxels': 100}
    b = {'glow': None, 'centreline_voxels': 200}
    assert pool.pool({'a': a, 'b': b})['glow'] is None
    assert pool.pool({'a': a, 'b': dict(b, centreline_voxels=90)})['glow'] == {'level': 300.0}


def test_backgrounds_are_those_of_each_stack_like_the_mean():
    """Two stacks without glow, one with it: it is a minority, and its background lacks its haze."""
    plain = {'background': {'median': 5.0}, 'correlation': [[0.5]], 'glow': None,
             'centreline_voxels': 10}
    other = dict(plain, background={'median': 9.0}, centreline_voxels=30)
    hazy = dict(plain, background={'median': 7.0}, glow={'noise': 2.0}, centreline_voxels=20)
    found = pool.backgrounds(pool.pool({'a': plain, 'b': other, 'c': hazy}))
    assert found == [
        {'median': 5.0, 'correlation': [[0.5]], 'share': 0.25, 'noise': None,
         'structure': None},
        {'median': 9.0, 'correlation': [[0.5]], 'share': 0.75, 'noise': None,
         'structure': None}]
    found = pool.backgrounds(pool.pool({'a': plain, 'c': hazy}))
    assert [(entry['median'], entry['noise'], entry['share']) for entry in found] == [(7, 2, 1)]
    both = pool.priors({'a': plain, 'c': hazy})
    assert both.pop('backgrounds') == found and both == pool.pool({'a': plain, 'c': hazy})


@pytest.mark.parametrize('sizes, words', [
    ([[1.0, 0.5, 0.5], [2.0, 1.0, 1.0]], 'a has voxels of .*1.0, 0.5, 0.5.* b of'),
    ([None, [2.0, 1.0, 1.0]], 'a has voxels of unknown size')])
def test_stacks_of_unlike_voxel_size_are_refused(sizes, words):
    with pytest.raises(UserError, match=words):
        pool.check_voxel_size({n: {'voxel_size': s} for n, s in zip('ab', sizes)})
    pool.check_voxel_size({n: {'voxel_size': sizes[0]} for n in 'ab'})
