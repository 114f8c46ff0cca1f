"""Lone voxels: counted where no neighbour is like them."""
import numpy as np
import pytest
from scipy import ndimage

from utils.score import lone, realism


def smooth_noise(seed, count=6):
    """Patches of blurred noise, 1,000 +- 20 grey levels."""
    rng = np.random.default_rng(seed)
    noise = np.stack([ndimage.gaussian_filter(one, 0.8) for one in rng.normal(
        0, 1, (count, 16, 32, 32))])
    return 1000 + 20 * noise / noise.std()


def found(images):
    return lone.steps(images, np.ones(images.shape, bool))


def test_steps_known_by_hand():
    image = np.full((1, 5, 5, 5), 100.0)
    image[0, 2, 2, 2] = 130
    image[0, 2, 2, 1] = 110                              # its brightest neighbour
    above, below = found(image)
    assert above.shape == (27,) and above.max() == 20 and below.max() == 0
    above, below = found(200 - image)
    assert above.max() == 0 and below.max() == 20


def test_voxels_that_stand_alone_are_counted_by_their_sign():
    limits = lone.cuts(found(smooth_noise(0)))
    images = smooth_noise(1)
    before = lone.share(found(images), limits)
    assert max(before.values()) < 400                    # 100 in the patches that gave the cut
    images[:, 3::6, 3::6, 3::6] = 800                    # dark
    images[:, 3::6, 3::6, 6::12] = 1200                  # half as many bright
    after = lone.share(found(images), limits)
    inner = 14 * 30 * 30
    count = {sign: (images[0, 1:-1, 1:-1, 1:-1] == level).sum()
             for sign, level in (('lone_dark', 800), ('lone_bright', 1200))}
    assert count['lone_dark'] > count['lone_bright'] > 20
    for sign in count:
        assert after[sign] - before[sign] == pytest.approx(1e6 * count[sign] / inner, abs=400)


def test_pairs_specks_and_strands_are_not_lone():
    limits = lone.cuts(found(smooth_noise(0)))
    images = smooth_noise(1)
    images[:, 5:7, 8:10, :] = 2000
    images[:, 11, 20, 10:12] = 500
    images[:, 11, 20, 20:22] = 2000
    assert max(lone.share(found(images), limits).values()) < 400


def test_a_judge_counts_them_in_the_background_beside_real_patches():
    real, label = smooth_noise(0, 12), np.zeros((6, 16, 32, 32), bool)
    label[:, 7:10, 15:18] = True
    real[:, 7:10, 15:18] += 600
    drafts = smooth_noise(2) + 600 * label
    judge = realism.Judge(drafts, label, real=real[:6], more_real=real[6:])
    assert max(judge.floor[name] for name in lone.LONE) < 400
    drafts[:, 3::6, 3, 3::6] = 700
    drafts[:, 8, 16, 4::4] = 2500                        # within the neurite: not looked at
    scores = judge.score(drafts)
    assert scores['lone_dark'] - judge.draft['lone_dark'] > 500
    assert scores['lone_bright'] == pytest.approx(judge.draft['lone_bright'], abs=50)


def test_patches_without_background_or_variation_are_no_trouble():
    flat = np.full((2, 8, 8, 8), 7, np.uint8)
    nothing = lone.steps(flat, np.zeros(flat.shape, bool))
    assert lone.share(nothing, lone.cuts(nothing)) == dict.fromkeys(lone.LONE, 0)
    assert lone.share(found(flat), lone.cuts(found(flat))) == dict.fromkeys(lone.LONE, 0)
