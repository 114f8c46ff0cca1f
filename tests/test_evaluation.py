"""Measures of a refiner: realism between the draft's and the real patches' own, and label preservation."""
import numpy as np
import pytest
from scipy import ndimage

from utils.score import evaluation
from utils.simulate import raster


def patch(rng, level=400.0, background=1000.0, noise=20.0):
    """A bright winding fibre on noise, and its label."""
    t = np.linspace(0, 6, 30)
    position = np.stack([8 + 3 * np.sin(t + rng.uniform(0, 6)), 16 + 9 * np.cos(t + rng.uniform(0, 6)), np.linspace(2, 29, 30)], 1)
    mask = raster.label((16, 32, 32), position, radius=np.full(30, 1.6), parent=np.arange(-1, 29))
    image = rng.normal(background, noise, mask.shape) + level * ndimage.gaussian_filter(mask.astype(float), 0.8)
    return image.astype(np.uint16), mask.astype(np.uint8)


def patches(n, seed, **how):
    rng = np.random.default_rng(seed)
    return [np.stack(a) for a in zip(*[patch(rng, **how) for _ in range(n)])]


@pytest.fixture(scope='module')
def judge():
    drafts, labels = patches(8, 0, level=300.0, background=1100.0, noise=35.0)
    return evaluation.Judge(drafts, labels, real=patches(8, 1)[0], more_real=patches(8, 2)[0])


def test_real_patches_are_at_the_floor_and_drafts_above_it(judge):
    assert judge.draft['outside'] > 90 > 10 > judge.floor['outside']           # backgrounds 100 grey levels apart
    assert all(judge.draft[m] > judge.floor[m] for m in evaluation.REALISM)
    assert judge.draft['gap'] == pytest.approx(1, abs=0.4) and judge.draft['moved'] == 0
    like_real = patches(8, 0)[0]                         # the drafts' fibres as the real domain shows them
    scores = judge.score(like_real)
    assert scores['gap'] < 0.3 and judge.keeps_labels(scores) and scores['dice'] >= judge.draft['dice'] - 0.01


def test_each_loss_of_labels_is_seen(judge):
    gone = judge.drafts.copy()
    gone[judge.labels] = 1100
    scores = judge.score(gone)
    assert not judge.keeps_labels(scores) and scores['auc'] < 0.6 and scores['contrast'] < 0.3 * judge.draft['contrast']
    assert 'collapsed' in evaluation.verdict(scores, judge.draft, spread=judge.spread)
    spotted = judge.drafts.copy()
    spotted[:, 2:5, 2:5, 2:5] = 1600                     # a bright spot beside the fibre
    assert judge.score(spotted)['spurious'] >= 0.9 > judge.draft['spurious']
    half = judge.drafts.copy()
    half[..., 16:] = np.random.default_rng(0).normal(1100, 35, half[..., 16:].shape)
    scores = judge.score(half)
    assert scores['dice'] < judge.draft['dice'] - 0.1 and scores['cldice'] < judge.draft['cldice'] - 0.1
    assert 'labels are being lost' in evaluation.verdict(scores, judge.draft, spread=judge.spread)


def test_identity_and_divergence_are_named(judge):
    same = judge.score(judge.drafts)
    assert same['moved'] == 0 and 'identity' in evaluation.verdict(same, judge.draft, spread=judge.spread)
    assert 'diverged' in evaluation.verdict(dict(same, gap=float('nan')), judge.draft, spread=judge.spread)
    assert evaluation.verdict(dict(same, moved=20.0), judge.draft, spread=judge.spread) == ''


def test_spectra_tell_the_axis_apart():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (6, 16, 24, 24))
    smooth_z = ndimage.gaussian_filter(noise, (0, 1.5, 0, 0))
    changes = [np.abs(a - b)[-4:].mean() / 1 for a, b in zip(evaluation.axis_spectra(noise), evaluation.axis_spectra(smooth_z))]
    level = [(a - b)[-4:].mean() - (a - b)[:2].mean() for a, b in zip(evaluation.axis_spectra(noise), evaluation.axis_spectra(smooth_z))]
    assert level[0] > 2 and abs(level[1]) < 0.3 and abs(level[2]) < 0.3 and changes[0] > 2


def test_black_borders_and_full_labels_are_no_trouble(judge):
    real = patches(8, 1)[0]
    real[:, :, :10] = 0                                  # 31 % of a patch: outside the tissue
    drafts, labels = patches(8, 0, level=300.0)
    labels[0] = 1
    other = evaluation.Judge(drafts, labels, real=real, more_real=real)
    assert other.cut > 20 and np.isfinite(list(other.draft.values())).all()
