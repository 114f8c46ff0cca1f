"""Backgrounds of the drafts: white noise, smooth fields, measured textures."""
import numpy as np
import pytest
from scipy import ndimage, special

from utils.measure.quantiles import BACKGROUND, LAGS
from utils.simulate import background, textures


def whole(slabs):
    """A stack of a generator of slabs."""
    return np.concatenate([slab for _, slab in slabs])


def correlation(image, lag, axis):
    """Of voxels `lag` apart along an axis."""
    n = image.shape[axis]
    a, b = np.take(image, range(lag, n), axis), np.take(image, range(n - lag), axis)
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_the_papers_background_has_its_moments():
    image = whole(background.white((30, 60, 60), 120, std=7, rng=np.random.default_rng(0)))
    assert image.shape == (30, 60, 60)
    assert abs(image.mean() - 120) < 0.2 and abs(image.std() - 7) < 0.1
    assert abs(correlation(image, 1, 2)) < 0.01


def test_smooth_fields_have_their_variance_and_width():
    shape, sigma = (64, 128, 128), (2.0, 3.0, 3.0)
    field = whole(background.smooth_field(shape, [(sigma, 4.0)], rng=np.random.default_rng(0)))
    assert field.shape == shape and abs(field.std() - 2) < 0.15
    noise = np.random.default_rng(1).standard_normal(shape)
    gaussian = ndimage.gaussian_filter(noise, sigma)
    for lag in (2, 4):
        assert abs(correlation(field, lag, 2) - correlation(gaussian, lag, 2)) < 0.07
    assert abs(correlation(field, 2, 0) - correlation(gaussian, 2, 0)) < 0.07


def test_a_smooth_field_has_the_mean_that_is_asked_for_and_is_else_as_others():
    parts, shape = [((12.0, 6.0, 3.0), 3.0), ((40.0, 40.0, 40.0), 1.0)], (32, 48, 48)
    free = np.array([whole(background.smooth_field(shape, parts, rng=np.random.default_rng(seed)))
                     for seed in range(60)])
    held = np.array([whole(background.smooth_field(shape, parts, rng=np.random.default_rng(seed),
                                                   mean=2.0)) for seed in range(60)])
    means = held.mean((1, 2, 3))
    assert np.ptp(means) < 0.03 * means[0]               # the knots' phases differ
    assert means.mean() == pytest.approx(2 * free.mean((1, 2, 3)).std(), rel=0.25)
    assert held.var((1, 2, 3)).mean() == pytest.approx(free.var((1, 2, 3)).mean(), rel=0.02)
    steps = [np.diff(fields, axis=1).var() for fields in (held, free)]
    assert steps[0] == pytest.approx(steps[1], rel=0.02)


def test_variances_of_smooth_fields_add_up():
    parts = [((2.0, 2.0, 2.0), 1.0), ((4.0, 4.0, 4.0), 3.0)]
    field = whole(background.smooth_field((96, 96, 96), parts, rng=np.random.default_rng(0)))
    assert abs(field.std() - 2) < 0.15


def test_textures_keep_grey_levels_and_correlation():
    levels = 1000 + 400 * BACKGROUND ** 3                                # skewed
    lags = np.array(LAGS)
    wanted = [0.5 * np.exp(-lags ** 2 / (4 * 3.0 ** 2)) + 0.3 * (lags == 1) for _ in range(3)]
    texture = textures.fit(levels, wanted)
    image = whole(background.textured((64, 128, 128), texture, rng=np.random.default_rng(0)))
    shares = [0.05, 0.5, 0.95]
    np.testing.assert_allclose(np.quantile(image, shares), np.interp(shares, BACKGROUND, levels),
                               atol=15)
    for axis in range(3):
        for k, lag in enumerate(lags[:4]):
            assert abs(correlation(image, lag, axis) - wanted[axis][k]) < 0.1


def test_noise_between_neighbours_has_its_correlation_along_each_axis():
    """A weight w gives neighbours a correlation of 2 w / (1 + 2 w^2), across slabs, too."""
    fine = 0.2, 0.0, 0.5
    normal = background.grey_table([1e-9, 1 - 1e-9], [0.0, 1.0])         # ranks
    texture = background.Texture([], fine, normal, background.steady(normal))
    image = whole(background.textured((40, 60, 60), texture, rng=np.random.default_rng(0)))
    for axis, w in enumerate(fine):
        assert abs(correlation(image, 1, axis) - 2 * w / (1 + 2 * w * w)) < 0.03
        assert abs(correlation(image, 3, axis)) < 0.02
    for z in (7, 8):                                     # slabs end between slices 7 and 8
        a, b = image[z].ravel(), image[z + 1].ravel()
        assert abs(np.corrcoef(a, b)[0, 1] - 0.4 / 1.08) < 0.06
    assert abs(image.std() - np.sqrt(1 / 12)) < 0.01                     # of uniform ranks


def test_a_fitted_texture_finds_its_own_smooth_fields():
    """The correlation of two known fields gives their shares back."""
    rng = np.random.default_rng(5)
    rows = [[0.3 * a + 0.4 * b for a, b in zip(
        textures.field_correlation(3.0, rng=rng), textures.field_correlation(12.0, rng=rng))]
        for _ in range(3)]
    texture = textures.fit(90 + 20 * BACKGROUND, rows)
    shares = {}
    for sigma, share in texture.components:
        shares[sigma[2]] = shares.get(sigma[2], 0) + share
    assert abs(shares[3.0] - 0.3) < 0.06 and abs(shares[12.0] - 0.4) < 0.06
    assert sum(shares.values()) < 0.78


def test_what_is_sharp_in_a_background_is_no_noise_of_neighbours():
    """Sharp fields beside white noise: neighbours correlate by the fields alone."""
    rng = np.random.default_rng(5)
    rows = [[0.4 * a for a in textures.field_correlation(sigma, rng=rng)]
            for sigma in (2.0, 1.0, 1.0)]
    texture = textures.fit(90 + 20 * BACKGROUND, rows)
    assert sum(share for _, share in texture.components) == pytest.approx(0.4, abs=0.05)
    assert max(texture.fine) < 0.05


def test_noise_is_as_strong_in_dark_places_as_in_bright_ones():
    """A skewed background: its table is five times as steep where it is bright."""
    normal = special.ndtri(BACKGROUND)
    levels = 100 + 20 * np.where(normal > 0, 2 * normal, 0.4 * normal)
    rows = [[0.9 * v for v in textures.field_correlation(12.0, rng=np.random.default_rng(1))]] * 3
    texture = textures.fit(levels, rows)
    image = whole(background.textured((48, 128, 128), texture, rng=np.random.default_rng(0)))
    smooth = ndimage.uniform_filter(image, 5)
    noise = np.abs(image[:, :, 1:] - image[:, :, :-1])
    dark, bright = [noise[where[:, :, 1:]].mean() for where in (smooth < 95, smooth > 120)]
    assert bright < 1.8 * dark                           # without: more than 3
    flat = texture._replace(even=np.ones_like(texture.even))
    image = whole(background.textured((48, 128, 128), flat, rng=np.random.default_rng(0)))
    smooth = ndimage.uniform_filter(image, 5)
    noise = np.abs(image[:, :, 1:] - image[:, :, :-1])
    assert noise[smooth[:, :, 1:] > 120].mean() > 3 * noise[smooth[:, :, 1:] < 95].mean()


def test_noise_of_a_background_that_is_cut_off_at_0_is_left():
    levels = 5 * np.maximum(special.ndtri(BACKGROUND) - 2, 0)            # 97.7 % are 0
    assert (background.steady(background.grey_table(BACKGROUND, levels)) == 1).all()


def test_texture_without_correlation_is_white():
    texture = textures.fit(90 + 20 * BACKGROUND, [[0.0] * len(LAGS)] * 3)
    assert texture.components == [] and texture.fine == (0, 0, 0)
    image = whole(background.textured((20, 50, 60), texture, rng=np.random.default_rng(0)))
    assert image.shape == (20, 50, 60) and abs(image.mean() - 100) < 0.2


def test_unknown_correlations_do_not_count():
    """A thin stack has no long lags along z."""
    rows = [[0.0] * len(LAGS) for _ in range(3)]
    rows[0][1:] = [None] * (len(LAGS) - 1)
    assert textures.fit(90 + 20 * BACKGROUND, rows).components == []
