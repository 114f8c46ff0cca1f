"""Realism of a refiner, and the verdict on it by all measures."""
import numpy as np
import pytest
from scipy import ndimage

from utils.score import realism
from utils.simulate import raster


def patch(rng, level=400.0, background=1000.0, noise=20.0):
    """A bright winding fibre on noise, and its label."""
    t = np.linspace(0, 6, 30)
    position = np.stack([8 + 3 * np.sin(t + rng.uniform(0, 6)),
                         16 + 9 * np.cos(t + rng.uniform(0, 6)), np.linspace(2, 29, 30)], 1)
    mask = raster.label((16, 32, 32), position, radius=np.full(30, 1.6), parent=np.arange(-1, 29))
    image = rng.normal(background, noise, mask.shape)
    image += level * ndimage.gaussian_filter(mask.astype(float), 0.8)
    return image.astype(np.uint16), mask.astype(np.uint8)


def patches(n, seed, **how):
    rng = np.random.default_rng(seed)
    return [np.stack(a) for a in zip(*[patch(rng, **how) for _ in range(n)])]


@pytest.fixture(scope='module')
def judge():
    drafts, labels = patches(8, 0, level=300.0, background=1100.0, noise=35.0)
    return realism.Judge(drafts, labels, real=patches(8, 1)[0], more_real=patches(8, 2)[0])


def test_distances_known_by_hand():
    assert realism.grey_distance([0, 0], [3, 5]) == 4.0
    assert realism.ks_distance([0, 1, 2, 3], [2, 3, 4, 5]) == 0.5
    assert realism.ks_distance([1, 2], [1, 2]) == 0


def test_spectra_tell_amplitude_and_smoothness():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (20, 16, 16, 16))
    assert realism.spectrum_distance(noise[:10], noise[10:]) < 0.1
    # ten times the amplitude, 10^2 the power
    assert abs(realism.spectrum_distance(noise, 10 * noise) - 2) < 1e-6
    spectrum = realism.radial_spectrum(np.stack([ndimage.gaussian_filter(n, 1.5) for n in noise]))
    assert spectrum[2] - spectrum[12] > 2


def test_real_patches_are_at_the_floor_and_drafts_above_it(judge):
    # backgrounds are 100 grey levels apart
    assert judge.draft['outside'] > 90 > 10 > judge.floor['outside']
    assert all(judge.draft[m] > judge.floor[m] for m in realism.REALISM)
    assert judge.draft['gap'] == pytest.approx(1, abs=0.4) and judge.draft['moved'] == 0
    like_real = patches(8, 0)[0]           # the drafts' fibres as the real domain shows them
    scores = judge.score(like_real)
    assert scores['gap'] < 0.3 and judge.keeps_labels(scores)
    assert scores['dice'] >= judge.draft['dice'] - 0.01
    assert judge.score(patches(8, 2)[0])['gap'] == 0     # the real patches that the floor is of


def test_contrast_is_in_standard_deviations_of_the_background():
    """A centreline of 1,100 on a background of 1,000 and 1,020 in turn: 90 / 10."""
    labels = np.zeros((2, 8, 16, 16), bool)
    labels[:, 4, 8, 2:14] = True
    images = 1000 + 20.0 * (np.indices(labels.shape)[3] % 2)
    images[labels] = 1100
    judge = realism.Judge(images, labels, real=images, more_real=images)
    assert judge.draft['contrast'] == pytest.approx(9, abs=0.01) and judge.draft['dice'] == 1
    assert judge.draft['cldice'] == 1 and judge.draft['spurious'] == 0


def test_each_loss_of_labels_is_seen(judge):
    gone = judge.drafts.copy()
    gone[judge.labels] = 1100
    scores = judge.score(gone)
    assert not judge.keeps_labels(scores) and scores['auc'] < 0.6
    assert scores['contrast'] < 0.3 * judge.draft['contrast']
    assert 'collapsed' in realism.verdict(scores, judge.draft, noise=judge.noise)
    spotted = judge.drafts.copy()
    spotted[:, 2:5, 2:5, 2:5] = 1600                     # a bright spot beside the fibre
    assert judge.score(spotted)['spurious'] >= 0.9 > judge.draft['spurious']
    half = judge.drafts.copy()
    half[..., 16:] = np.random.default_rng(0).normal(1100, 35, half[..., 16:].shape)
    scores = judge.score(half)
    assert scores['dice'] < judge.draft['dice'] - 0.1
    assert scores['cldice'] < judge.draft['cldice'] - 0.1
    assert 'labels are being lost' in realism.verdict(scores, judge.draft, noise=judge.noise)


def test_identity_and_divergence_are_named(judge):
    def verdict(**changes):
        return realism.verdict(dict(same, **changes), judge.draft, noise=judge.noise)

    same = judge.score(judge.drafts)
    assert same['moved'] == 0 and 'identity' in verdict()
    assert 'diverged' in verdict(gap=float('nan'))
    assert verdict(moved=20.0) == ''
    assert 'less like real patches' in verdict(moved=20.0, gap=judge.draft['gap'] + 0.2)


@pytest.mark.parametrize('changes, words', [
    ({}, ''),
    ({'contrast': float('inf')}, 'diverged'),
    ({'contrast': 1.3}, ''), ({'contrast': 1.1}, 'collapsed'),         # of 4.0
    ({'dice': 0.71}, ''), ({'dice': 0.69}, 'labels are being lost'),
    ({'gap': 1.09}, ''), ({'gap': 1.11}, 'less like real patches'),
    ({'moved': 2.1}, ''), ({'moved': 1.9}, 'identity'),                # of noise of 100
    ({'lost': 0.09}, ''), ({'lost': 0.11}, '11 % of the centreline'),
    ({'invented_length': 33.0}, ''), ({'invented_length': 35.0}, 'invented: 35 voxels'),   # of 20
    ({'dimmed': 0.09}, ''), ({'dimmed': 0.11}, 'dimmed: 11 % of the centreline has less than half'),
    ({'brightened': 0.09}, ''), ({'brightened': 0.11}, 'brightened: 11 %'),
])
def test_each_verdict_has_its_limit(changes, words):
    draft = {'contrast': 4.0, 'dice': 0.8, 'gap': 1.0, 'lost': 0.0, 'invented_length': 20.0}
    found = realism.verdict(dict(dict(draft, moved=20.0), **changes), draft, noise=100.0)
    assert words in found and bool(words) == bool(found)
    near = dict(draft, gap=0.1)                          # there is little that could be changed
    assert realism.verdict(dict(near, moved=0.0), near, noise=100.0) == ''
    assert realism.verdict(dict(near, moved=0.0), dict(near, gap=0.11), noise=100.0) != ''


def test_spectra_tell_the_axis_apart():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (6, 16, 24, 24))
    smooth_z = ndimage.gaussian_filter(noise, (0, 1.5, 0, 0))
    lost = [a - b for a, b in zip(realism.axis_spectra(noise), realism.axis_spectra(smooth_z))]
    fine = [loss[-4:].mean() - loss[:2].mean() for loss in lost]
    assert fine[0] > 2 and abs(fine[1]) < 0.3 and abs(fine[2]) < 0.3
    assert np.abs(lost[0])[-4:].mean() > 2


def test_texture_counts_beside_bright_neurites():
    """Fibres of hundreds of noise levels in white noise, and in noise that is smooth along x."""
    drafts, labels = patches(6, 0, level=20000.0, background=0.0, noise=0.0)
    rng = np.random.default_rng(1)
    white = rng.normal(1000, 30, (3,) + drafts.shape)
    smooth = 1000 + 3 * (ndimage.gaussian_filter1d(white[2], 1.5, axis=3) - 1000)
    judge = realism.Judge(drafts + smooth, labels, real=drafts + white[0],
                          more_real=drafts + white[1])
    assert judge.unit == pytest.approx(30, rel=0.5)
    assert judge.draft['spectrum_x'] > 10 * judge.floor['spectrum_x']
    in_grey_levels = [realism.axis_spectra(drafts + noise)[2] for noise in (white[0], smooth)]
    assert np.abs(np.subtract(*in_grey_levels)).mean() < 0.3 * judge.draft['spectrum_x']


def test_what_is_scored_is_compared_with_both_sets():
    """Real sets of unlike texture: one that lies between is nearer than either is to the other."""
    sets = [patches(6, seed, noise=noise)[0] for seed, noise in ((1, 20.0), (2, 60.0))]
    drafts, labels = patches(12, 0, noise=200.0)
    between = np.concatenate([patches(6, 0, noise=20.0)[0], patches(6, 0, noise=60.0)[0]])
    judge = realism.Judge(drafts, labels, real=sets[0], more_real=sets[1])
    values = judge.score(between)
    assert all(values[m] < 0.5 * judge.floor[m] for m in realism.REALISM[2:])
    assert values['gap'] < 0.1 < 0.5 < judge.draft['gap']


def test_what_nobody_sees_is_no_gap():
    """Noise that is 2 % stronger: a spectrum off by 0.017, far above a floor of alike patches."""
    drafts, labels = patches(24, 0, noise=30.0)
    weaker = [1000 + (images - 1000.0) / 1.02 for images in (drafts, patches(24, 0, noise=30.0)[0])]
    judge = realism.Judge(drafts, labels, real=weaker[0], more_real=weaker[1])
    assert judge.draft['spectrum_x'] > 3 * judge.floor['spectrum_x']
    assert judge.draft['gap'] < 0.4


def test_noise_levels_and_compression_by_hand():
    noise = np.random.default_rng(0).normal(500, 10, (2, 20, 20, 20))
    noise[0] += 300                                      # of each patch's own median
    noise[:, :2] += 5000
    assert realism.noise_level(noise) == pytest.approx(10, rel=0.15)
    assert realism.noise_level(np.zeros((1, 4, 4, 4), np.uint8)) == 1
    seen = realism.compressed(np.array([[[[7.0, 7.0, 27.0]]]]), 10.0)
    np.testing.assert_allclose(seen.ravel(), [0, 0, np.arcsinh(2)], rtol=1e-6)


def test_black_borders_and_full_labels_are_no_trouble(judge):
    real = patches(8, 1)[0]
    real[:, :, :10] = 0                                  # 31 % of a patch: outside the tissue
    drafts, labels = patches(8, 0, level=300.0)
    labels[0] = 1
    other = realism.Judge(drafts, labels, real=real, more_real=real)
    assert other.cut > 20 and np.isfinite(list(other.draft.values())).all()
