"""Crops of real patches that hold as much foreground as those of the drafts."""
import numpy as np
import pytest

from utils.data import patches
from utils.train import content, samplers

CROP = (8, 16, 16)


def fibres(path, counts):
    """A patch file of bright bars on a dim background, counts[i] of them in patch i."""
    images = np.random.default_rng(0).normal(500, 20, (len(counts), 16, 32, 32))
    for image, count in zip(images, counts):
        for k in range(count):
            image[:, :, 2 + 5 * k:4 + 5 * k] += 2000
    patches.write(str(path), images.astype(np.uint16), origins=np.zeros((len(counts), 3)),
                  sources=[str(i) for i in range(len(counts))])
    return patches.PatchFile(str(path))


def test_share_is_that_of_the_foreground(tmp_path):
    file = fibres(tmp_path / 'a', [0, 1, 4])
    found = content.Content(file, content.foreground_cut(file))
    shares = [found.share(i, (0, 0, 0), crop=file.shape) for i in range(3)]
    assert shares[0] == 0
    assert 2 / 32 <= shares[1] <= 4 / 32                 # two voxels wide, a little more by blur
    assert 8 / 32 <= shares[2] <= 16 / 32


def test_share_counts_blocks_that_a_crop_touches(tmp_path):
    file = fibres(tmp_path / 'a', [1])
    found = content.Content(file, content.foreground_cut(file))
    assert found.share(0, (0, 0, 16), crop=CROP) == 0    # the bar lies at x of 2 and 3
    assert found.share(0, (0, 0, 0), crop=CROP) > 0


@pytest.mark.parametrize('wanted', [1, 6])
def test_matched_crops_are_as_crowded_as_the_others(wanted, tmp_path):
    real = fibres(tmp_path / 'real', [0, 1, 1, 6, 6, 6])
    drafts = fibres(tmp_path / 'drafts', [wanted] * 3)
    cut = content.foreground_cut(real)
    own, other = content.Content(real, cut), content.Content(drafts, cut)
    match = content.Match(own, other, crop=CROP, seed=[1])
    rng = np.random.default_rng(0)
    shares = [own.share(*match.draw(rng), crop=CROP) for _ in range(600)]
    assert np.mean(shares) == pytest.approx(match.wanted.mean(), rel=0.25)


def test_matched_batches_follow_from_the_seed(tmp_path):
    real = fibres(tmp_path / 'real', [0, 1, 1, 6, 6, 6])
    own = content.Content(real, content.foreground_cut(real))
    batches = [samplers.Sampler(real, 2, crop=CROP, seed=[seed, 0], match=content.Match(
        own, own, crop=CROP, seed=[seed])).batch(3)[0] for seed in (1, 1, 2)]
    assert (batches[0] == batches[1]).all() and (batches[0] != batches[2]).any()


def test_crop_lies_inside_its_patch():
    rng = np.random.default_rng(0)
    drawn = [content.random_crop(3, (9, 16, 20), crop=CROP, rng=rng) for _ in range(200)]
    assert {i for i, _ in drawn} == {0, 1, 2}
    assert {low[0] for _, low in drawn} == {0, 1} and {low[1] for _, low in drawn} == {0}
    assert max(low[2] for _, low in drawn) == 4
