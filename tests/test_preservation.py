"""Label preservation: what is lost of the labels, and what is invented beside them."""
import numpy as np
import pytest
from scipy import ndimage

from utils.score import preservation, relief

SHAPE = (24, 40, 64)
LIGHT = 30.0                  # grey levels, std of the noise
NEW = ('invented', 'invented_length', 'lost', 'contrast_kept')


def tube(shape, z, y, *, radius=1.5, start=0, stop=None):
    """A straight tube along x; bool [Z, Y, X]."""
    axes = np.ogrid[:shape[0], :shape[1], :shape[2]]
    inside = (axes[0] - z) ** 2 + (axes[1] - y) ** 2 <= radius ** 2
    return inside & (axes[2] >= start) & (axes[2] < (stop or shape[2]))


BRIGHT, DIM = tube(SHAPE, 6, 10), tube(SHAPE, 16, 28)
STRAND = tube(SHAPE, 16, 8, start=10, stop=50)           # 11 voxels off BRIGHT, 20 off DIM


def shine(*parts):
    """Light of tubes of a height each, (tube, grey levels); float [Z, Y, X]."""
    return sum(level * ndimage.gaussian_filter(part.astype(float), 0.8) for part, level in parts)


def noise(seed, std=LIGHT):
    return np.random.default_rng(seed).normal(1000, std, (3,) + SHAPE)


def grey(levels):
    return np.clip(np.rint(levels), 0, 65535).astype(np.uint16)


SIGNAL = shine((BRIGHT, 600), (DIM, 300))


@pytest.fixture(scope='module')
def drafts():
    return grey(noise(0) + SIGNAL)


@pytest.fixture(scope='module')
def kept(drafts):
    return preservation.Preservation(drafts, np.stack([BRIGHT | DIM] * 3))


@pytest.fixture(scope='module')
def own(kept, drafts):
    return kept.measure(drafts)


def test_auc_known_by_hand():
    assert preservation.auc([1, 2, 3, 4], [0, 0, 1, 1]) == 1.0
    assert preservation.auc([1, 1], [0, 1]) == 0.5
    assert preservation.auc([3, 1, 2, 2], [0, 0, 1, 1]) == 0.5       # of four pairs two
    assert preservation.auc([2, 1, 2], [0, 0, 1]) == 0.75            # a tie, and one
    with pytest.raises(ValueError, match='both classes'):
        preservation.auc([1, 2], [1, 1])


def test_drafts_lose_nothing_of_themselves(own):
    assert set(own) == set(preservation.KEPT)
    assert own['lost'] == 0 and own['contrast_kept'] == 1 and own['invented_length'] < 2
    assert own['dimmed'] == own['brightened'] == 0
    assert own['contrast_grey'] == own['contrast_noise'] == 1


# --- invented ---

@pytest.mark.parametrize('height', [100, 200, 600])      # up to the brighter label's
def test_a_strand_off_the_label_is_invented_with_its_length(kept, height):
    values = kept.measure(grey(noise(1) + SIGNAL + shine((STRAND, height))))
    assert values['invented'] == pytest.approx(1, abs=0.4)
    assert values['invented_length'] == pytest.approx(40, abs=5)
    assert values['lost'] == 0 and values['contrast_kept'] == 1


def test_strands_of_one_patch_count_for_a_third(kept, drafts, own):
    images = drafts.copy()
    images[1] = grey(drafts[1] + shine((STRAND, 300)))
    more = kept.measure(images)['invented_length'] - own['invented_length']
    assert more == pytest.approx(40 / 3, abs=2)


def test_specks_and_the_labels_own_light_are_no_strands(kept):
    speck = tube(SHAPE, 16, 8, radius=2, start=30, stop=38)         # 8 voxels long
    halo = shine((ndimage.binary_dilation(BRIGHT, iterations=2) & ~BRIGHT, 300))
    values = kept.measure(grey(noise(1) + SIGNAL + shine((speck, 600)) + halo))
    assert values['invented'] < 0.4 and values['spurious'] > 0.9


def test_many_strands_do_not_hide_each_other(kept):
    """An eighth of the background is strands, and more with their blur."""
    grid = sum(tube(SHAPE, z, y) for z in (3, 12, 20) for y in range(3, 40, 10)) > 0
    off = kept.places[0].off
    grid &= off
    assert 0.12 < grid.sum() / off.sum() < 0.14
    height = relief.heights(grey(noise(1) + SIGNAL + shine((grid, 300)))[0], kept.places[0])
    assert (height[grid] >= relief.LEVELS).mean() > 0.95


# --- noise, texture, brightness ---

def test_noise_drawn_anew_changes_nothing(kept, own):
    for seed in (1, 2):
        values = kept.measure(grey(noise(seed) + SIGNAL))
        assert values['lost'] == 0 and values['contrast_kept'] == 1
        assert abs(values['invented_length'] - own['invented_length']) < 6
        assert preservation.keeps_labels(values, own)


@pytest.mark.parametrize('sigma', [0, 1.5])
def test_texture_is_not_invented_structure_but_hides_no_strand(kept, sigma):
    """Two and a half times the noise in all, fine or correlated."""
    texture = ndimage.gaussian_filter(noise(3) - 1000, (0,) + (sigma,) * 3)
    images = noise(1) + SIGNAL + 2.3 * LIGHT * texture / texture.std()
    values = kept.measure(grey(images))
    assert values['invented_length'] < 6
    values = kept.measure(grey(images + shine((STRAND, 600))))
    assert values['invented_length'] == pytest.approx(40, abs=10)


def test_brightness_and_contrast_of_a_patch_change_nothing(kept, drafts, own):
    images = grey(noise(1) + SIGNAL + shine((STRAND, 200), (DIM, -290)))
    values = kept.measure(images)
    scaled = kept.measure(3 * images + 500)
    for name in NEW:
        assert scaled[name] == values[name], name
        assert kept.measure(3 * drafts + 500)[name] == own[name], name
    assert values['invented_length'] > 30 and values['lost'] > 0.3


def test_uneven_light_is_no_structure(kept):
    z, y, x = np.indices(SHAPE)
    far = (z - 12) ** 2 + (y - 20) ** 2 + (x - 32) ** 2
    uneven = 5 * x + 100 * np.exp(-far / (2 * 20 ** 2))             # 20 noise levels, 70 along x
    values = kept.measure(grey(noise(1) + SIGNAL + uneven))
    assert values['invented_length'] < 6 and values['lost'] == 0


# --- lost ---

def test_a_neurite_dimmed_below_the_noise_is_lost(kept):
    """The dim one of two of equal length."""
    values = kept.measure(grey(noise(1) + SIGNAL + shine((DIM, -300))))
    assert values['lost'] == pytest.approx(0.5, abs=0.03)
    assert values['contrast_kept'] == 0.5 and values['invented'] < 0.4
    half = DIM & (np.arange(SHAPE[2]) < 32)
    assert kept.measure(grey(noise(1) + SIGNAL + shine((half, -300))))['lost'] == pytest.approx(
        0.25, abs=0.04)


def test_a_neurite_keeps_its_contrast_if_half_of_it_or_enough_is_left(kept):
    """The dim one stands out by 40 noise levels, of which 24, 12 and 5 are left."""
    assert kept.before[0].neurites[2] == pytest.approx(40, abs=1)
    for less, whole in ((0.4, 1.0), (0.7, 1.0), (0.88, 0.5)):
        values = kept.measure(grey(noise(1) + SIGNAL + shine((DIM, -300 * less))))
        assert values['contrast_kept'] == whole and values['lost'] < 0.05


def test_what_never_stood_out_cannot_be_lost():
    plain = grey(noise(0))
    kept = preservation.Preservation(plain, np.stack([BRIGHT] * 3))
    values = kept.measure(grey(noise(1)))
    assert values['lost'] < 1 and values['contrast_kept'] == 1
    assert kept.before[0].line.max() < relief.LEVELS


def test_patches_without_background_or_label_are_no_trouble(drafts):
    labels = np.stack([np.ones(SHAPE, bool), BRIGHT, np.zeros(SHAPE, bool)])
    values = preservation.Preservation(drafts, labels).measure(np.full_like(drafts, 1000))
    assert np.isfinite(list(values.values())).all()
    assert values['lost'] == 1 and values['invented'] == 0


# --- contrast ---

@pytest.mark.parametrize('factor, dimmed, brightened', [
    (0.4, 0.5, 0), (0.6, 0, 0), (1.7, 0, 0), (2.4, 0, 0.5)])
def test_a_strand_dimmed_or_brightened_is_told(kept, factor, dimmed, brightened):
    """The dim one of two of equal length: 40 noise levels high, so 'lost' sees nothing of it."""
    values = kept.measure(grey(noise(1) + SIGNAL + shine((DIM, 300 * (factor - 1)))))
    assert values['dimmed'] == pytest.approx(dimmed, abs=0.03)
    assert values['brightened'] == pytest.approx(brightened, abs=0.03)
    assert values['lost'] == 0
    assert values['contrast_grey'] == pytest.approx((1 + factor) / 2, abs=0.03)   # of 2 neurites


def test_half_of_a_strand_counts_by_its_length(kept):
    half = DIM & (np.arange(SHAPE[2]) < 32)
    values = kept.measure(grey(noise(1) + SIGNAL + shine((half, -200))))
    assert values['dimmed'] == pytest.approx(0.25, abs=0.03)


def test_contrast_is_told_in_grey_levels_and_in_noise_levels(kept):
    """All neurites at half; then the noise alone doubled."""
    values = kept.measure(grey(noise(1) + SIGNAL / 2))
    assert values['contrast_grey'] == pytest.approx(0.5, abs=0.02)
    assert values['contrast_noise'] == pytest.approx(0.5, abs=0.03)
    values = kept.measure(grey(noise(1, 2 * LIGHT) + SIGNAL))
    assert values['contrast_grey'] == pytest.approx(1, abs=0.03)
    assert values['contrast_noise'] == pytest.approx(0.5, abs=0.03)
    assert values['dimmed'] == values['brightened'] == 0


def test_noise_drawn_anew_neither_dims_nor_brightens(kept):
    """Also of neurites that hardly stand out: 4 and 2 noise levels."""
    faint = preservation.Preservation(grey(noise(0) + SIGNAL / 20), np.stack([BRIGHT | DIM] * 3))
    assert 1 < faint.before[0].line.mean() < 5
    for seed in (1, 2):
        for found, level in ((kept, 1), (faint, 1 / 20)):
            values = found.measure(grey(noise(seed) + level * SIGNAL))
            assert values['dimmed'] < 0.05 and values['brightened'] < 0.05


# --- judgement ---

@pytest.mark.parametrize('changes, true', [
    ({}, True),
    ({'dice': 0.78}, True), ({'dice': 0.76}, False),
    ({'cldice': 0.88}, True), ({'cldice': 0.86}, False),
    ({'lost': 0.09}, True), ({'lost': 0.11}, False),
    ({'invented_length': 121.0}, True), ({'invented_length': 123.0}, False),   # 100, a tenth, 12
])
def test_labels_are_kept_within_each_limit(changes, true):
    draft = {'contrast': 4.0, 'dice': 0.8, 'cldice': 0.9, 'lost': 0.0, 'invented_length': 100.0}
    values = dict(draft, **changes)
    assert preservation.keeps_labels(values, draft) == true
