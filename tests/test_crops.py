"""Labels as they count, and crops of drafts and of a stack labelled by hand."""
import numpy as np
import pytest
from scipy import ndimage

from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.score import masks
from utils.train import augmentation, crops, labels

AS_DRAWN = labels.Settings(label_width_level=1.0, label_blur=0.85, ignored_rim=0,
                           visible_contrast=0.0)
STILL = augmentation.Strength(puncta=0, haze=0, blur=0, snr=(1, 1), contrast=(1, 1), gamma=0,
                              offset=0, noise=0)
STRONG = augmentation.Strength(puncta=20, haze=2.0, blur=0.7, snr=(0.1, 1.0), contrast=(0.3, 1.5),
                               gamma=0.2, offset=3.0, noise=1.0)


def write(folder, image, *, label, sources):
    """A patch file in a folder."""
    patches.write(str(folder / 'patches.h5'), image, origins=np.zeros((len(image), 3), int),
                  sources=sources, labels=label.astype(np.uint8))


def write_patches(folder, stack_count=3, n=4, shape=(8, 16, 16)):
    """n patches of each stack s0, s1 ..., a tenth of their voxels foreground."""
    rng = np.random.default_rng(0)
    label = rng.random((stack_count * n,) + shape) > 0.9
    image = (1000 + 300 * label + rng.normal(0, 20, label.shape)).astype(np.uint16)
    write(folder, image, label=label, sources=['s%d' % (i // n) for i in range(len(image))])


# --- labels ---

def test_widened_label_is_wider_than_the_drawn_one_and_the_rim_lies_around_it():
    label = np.zeros((9, 11, 11), np.uint8)
    label[4, 5, :] = 1                                   # a line of single voxels along x
    assert labels.widened(label, 1.0, blur=0.85).sum() == 11
    wide = labels.widened(label, 0.3, blur=0.85)
    assert wide[4, 4:7, 5].all() and wide[3:6, 5, 5].all()
    assert not wide[2, 5, 5] and not wide[4, 3, 5]
    rim = labels.ignored_rim(label > 0, 1)
    assert not (rim & (label > 0)).any() and rim[:, :, 5].sum() == 4
    assert not labels.ignored_rim(label > 0, 0).any()


@pytest.mark.parametrize('level, voxels', [(0.6, 1), (0.4, 5), (0.2, 9)])
def test_width_level_is_the_share_of_the_middles_light(level, voxels):
    """Sigma 0.85: a line's light falls to 0.50 one voxel away, to 0.25 on the diagonal."""
    label = np.zeros((9, 11, 11), np.uint8)
    label[4, 5, :] = 1
    cross = labels.widened(label, level, blur=0.85)[:, :, 5]
    assert cross.sum() == voxels and cross[4, 5]


@pytest.mark.parametrize('radius, blur, seen', [(1.0, 2.5, 3.0), (6.0, 2.5, 6.0), (1.0, 0.7, 1.2)])
def test_a_label_at_half_maximum_is_as_wide_as_the_image_shows_it(radius, blur, seen):
    """A thin fibre in much blur is as wide as the blur's half maximum, 1.18 sigma; a thick one as
    it was drawn."""
    z, y = np.indices((41, 41)) - 20
    label = np.repeat((np.hypot(z, y) <= radius)[..., None], 41, 2)
    wide = labels.widened(label, 0.5, blur=blur)[:, :, 20]
    assert np.sqrt(wide.sum() / np.pi) == pytest.approx(seen, abs=0.35)


def test_labels_are_as_wide_as_the_blur_of_their_drafts_shows_them(tmp_path):
    """LABEL_SEEN_LEVEL: along each axis that of the patch file, which has to tell it."""
    label = np.zeros((2, 24, 24, 24), np.uint8)
    label[:, 12, 12] = 1
    image = np.full(label.shape, 1000, np.uint16)
    half = AS_DRAWN._replace(label_seen_level=0.5)
    for blur in ((3.0, 1.0, 1.0), None):
        patches.write(str(tmp_path / 'patches.h5'), image, origins=np.zeros((2, 3), int),
                      sources=['a', 'b'], labels=label, blur=blur)
        if blur:
            source = crops.Synthetic(str(tmp_path), half)
            _, found, _ = source.cut(0, (0, 0, 0), crop=(24, 24, 24))
            assert found[:, 12, 12].sum() == 7 and found[12, :, 12].sum() == 3
            near = source.cut(0, (9, 0, 0), crop=(6, 24, 24))[1]         # with a margin
            np.testing.assert_array_equal(near, found[9:15])
            both = crops.Synthetic(str(tmp_path), half._replace(label_width_level=0.04))
            wider = both.cut(0, (0, 0, 0), crop=(24, 24, 24))[1]
            assert (wider >= found).all() and wider.sum() > found.sum()
    with pytest.raises(UserError, match='LABEL_SEEN_LEVEL=1'):
        crops.Synthetic(str(tmp_path), half)
    assert crops.Synthetic(str(tmp_path), AS_DRAWN).file.blur is None


def test_visible_contrast_is_what_stands_out_of_the_background():
    image = np.full((24, 24, 24), 7.0, np.float32)       # an even background does not count
    label = np.zeros(image.shape, bool)
    label[8:16, 8:16] = True
    image[label] += 5
    found = labels.visible_contrast(image, label)
    assert abs(found[12, 12, 12] - 5) < 0.1 and abs(found[2, 2, 12]) < 0.1


def test_foreground_too_dim_to_be_seen_does_not_count(tmp_path):
    label = np.zeros((8, 8, 16, 16), np.uint8)
    label[:, 2:5, 3:6] = 1                               # bright
    label[:, 2:5, 10:13] = 1                             # as dark as the background
    noise = np.random.default_rng(0).normal(0, 10, label.shape)
    image = (1000 + noise + 300 * label * (np.arange(16)[:, None] < 8)).astype(np.uint16)
    write(tmp_path, image, label=label, sources=['s%d' % i for i in range(8)])
    for visible, share in ((0.0, 1.0), (2.0, 0.5)):
        source = crops.Synthetic(str(tmp_path), AS_DRAWN._replace(visible_contrast=visible))
        _, truth, weight = crops.batch([source] * 4, (8, 16, 16), strength=STILL, seed=[1],
                                       index=0)
        assert weight[truth > 0].mean() == pytest.approx(share, abs=0.1)
        assert weight[truth == 0].all()


# --- drafts ---

def test_batches_depend_on_the_seed_alone(tmp_path):
    write_patches(tmp_path)
    source = crops.Synthetic(str(tmp_path), AS_DRAWN._replace(visible_contrast=2.0))
    one, two, other, seeded = [
        crops.batch([source] * 2, (8, 8, 8), strength=STRONG, seed=[seed], index=k)
        for seed, k in ((1, 3), (1, 3), (1, 4), (2, 3))]
    for a, b in zip(one, two):
        np.testing.assert_array_equal(a, b)
    assert one[0].shape == (2, 8, 8, 8, 1) == one[1].shape
    assert (one[0] != other[0]).any() and (one[0] != seeded[0]).any()


def test_held_out_stacks_are_validated_on_and_never_trained_on(tmp_path):
    """Grey levels tell the stacks: 1000, 2000, and 3000, which is held out."""
    label = np.zeros((6, 8, 8, 8), np.uint8)
    label[:, 4, 4] = 1
    image = 1000 * (1 + np.arange(6)[:, None, None, None] // 2) + 50 * label.astype(int)
    write(tmp_path, image.astype(np.uint16), label=label, sources=['a', 'a', 'b', 'b', 'c', 'c'])
    source = crops.Synthetic(str(tmp_path), AS_DRAWN, held_out=0.34)
    assert set(source.source[source.held]) == {'c'}
    assert set(source.source[source.trained]) == {'a', 'b'}
    source.scale = {name: crops.normalisation.Scale(0.0, 1.0) for name in 'abc'}
    rng = np.random.default_rng(0)
    trained = [source.draw((8, 8, 8), rng)[0].min() for _ in range(40)]
    assert set(trained) == {1000, 2000}
    held = source.validation((8, 8, 8), 10)
    assert len(held[0]) == 2 and held[2].all() and held[1].sum() == 16
    np.testing.assert_allclose(held[0].min(), np.arcsinh(3000 / 4), rtol=1e-6)
    for again, before in zip(source.validation((8, 8, 8), 10), held):
        np.testing.assert_array_equal(again, before)


def test_validation_crops_show_their_foreground(tmp_path):
    write_patches(tmp_path)
    source = crops.Synthetic(str(tmp_path), AS_DRAWN, held_out=0.34)
    held = source.validation((8, 8, 8), 10)
    assert len(held[0]) == 4 and held[2].all()
    assert held[0][held[1] > 0].mean() > held[0][held[1] == 0].mean() + 1
    assert len(source.validation((8, 8, 8), 3)[0]) == 3


def test_a_large_share_leaves_a_stack_to_train_on(tmp_path):
    write_patches(tmp_path)
    source = crops.Synthetic(str(tmp_path), AS_DRAWN, held_out=0.9)
    assert set(source.source[source.trained]) == {'s0'}


@pytest.mark.parametrize('blur', [0.85, 1.5, 3.0])
def test_a_crop_has_the_labels_of_the_whole_patch(tmp_path, blur):
    seeds = np.random.default_rng(0).random((2, 16, 32, 32)) < 0.001
    label = ndimage.binary_dilation(seeds, np.ones((1, 3, 3, 3)))
    write(tmp_path, label.astype(np.uint16), label=label, sources=['a', 'b'])
    settings = labels.Settings(0.15, blur, 1, 0.0)
    source = crops.Synthetic(str(tmp_path), settings, held_out=0.5)
    whole = source.cut(0, (0, 0, 0), crop=(16, 32, 32))
    assert (whole[1] > label[0]).any() and not whole[2].all()        # wider, and with a rim
    assert not (whole[2] < 1)[whole[1] > 0].any()
    for low in ((0, 0, 0), (4, 6, 8), (8, 17, 22), (2, 12, 3)):
        box = tuple(slice(a, a + 8) for a in low)
        for part, everything in zip(source.cut(0, low, crop=(8, 8, 8)), whole):
            np.testing.assert_array_equal(part, everything[box])


def test_a_patch_is_normalised_by_its_whole_stack(tmp_path):
    """Where the stack lies beside the patches; a patch of foreground alone would tell nothing."""
    image = np.random.default_rng(0).normal(500, 20, (16, 32, 32)).astype(np.uint16)
    stacks.write(str(tmp_path / 'images/a.tif'), image)
    write(tmp_path, np.full((1, 8, 8, 8), 900, np.uint16), label=np.ones((1, 8, 8, 8)),
          sources=['a'])
    scale = crops.Synthetic(str(tmp_path), AS_DRAWN).scale['a']
    assert scale.level == pytest.approx(500, abs=2) and scale.scale == pytest.approx(20, abs=2)
    alone = crops.Synthetic(str(tmp_path / 'patches.h5'), AS_DRAWN)  # no stack is looked at
    (tmp_path / 'images/a.tif').unlink()
    assert crops.Synthetic(str(tmp_path), AS_DRAWN).scale['a'] == (900.0, 1.0)
    assert alone.scale['a'] == (900.0, 1.0)


def test_pairs_of_tiff_are_told_by_their_labels_too(tmp_path):
    for i in range(2):
        for kind in ('images', 'labels'):
            stacks.write(str(tmp_path / kind / ('%d.tif' % i)), np.full((4, 5, 6), i, np.uint8))
    before = patches.PatchFile(str(tmp_path), with_labels=True).digest
    stacks.write(str(tmp_path / 'labels/1.tif'), np.zeros((4, 5, 6), np.uint8))
    assert patches.PatchFile(str(tmp_path), with_labels=True).digest != before
    stacks.write(str(tmp_path / 'labels/1.tif'), np.zeros((3, 5, 6), np.uint8))
    with pytest.raises(UserError, match='1.tif is .3, 5, 6. voxels'):
        patches.PatchFile(str(tmp_path), with_labels=True)


# --- a stack labelled by hand ---

def test_manual_crops_stay_in_their_end_and_hold_an_annotated_slice():
    codes = np.zeros((20, 40, 24), bool)
    valid = codes.copy()
    valid[[3, 12]] = True
    truth = valid.copy()
    truth[:, :, 5:] = False
    voxels = np.broadcast_to(np.arange(40, dtype=np.uint16)[None, :, None], codes.shape).copy()
    annotation = masks.Annotation(truth, valid, [3, 12])
    box = masks.halves(codes.shape, 1, gap=16)[1]
    assert box == (slice(0, 20), slice(28, 40), slice(0, 24))
    source, rng = crops.Manual(voxels, annotation, box=box), np.random.default_rng(0)
    for _ in range(50):
        deviation, label, weight = source.draw((8, 8, 8), rng)
        grey = deviation * source.scale.scale + source.scale.level
        assert grey.min() >= 27.9 and weight.any() and not (label > weight).any()
    with pytest.raises(ValueError, match='SPLIT_GAP'):
        source.draw((8, 16, 8), rng)


def test_all_that_an_annotator_labelled_counts():
    """However dim: what is invisible is ignored in drafts alone."""
    voxels = np.random.default_rng(0).normal(500, 20, (8, 16, 16)).astype(np.uint16)
    truth = np.zeros(voxels.shape, bool)
    truth[:, 8] = True
    annotation = masks.Annotation(truth, np.ones(truth.shape, bool), None)
    source = crops.Manual(voxels, annotation, box=(slice(0, 8), slice(0, 16), slice(0, 16)))
    _, label, weight = crops.batch([source], (8, 16, 16), strength=STILL, seed=[1], index=0)
    assert label.any() and weight.all()


# --- several data sets ---

def write_sets(folder, levels):
    """A data set of two patches for each grey level, an eighth of a plane foreground."""
    for k, level in enumerate(levels):
        label = np.zeros((2, 8, 8, 8), np.uint8)
        label[:, 4, 4] = 1
        (folder / str(k)).mkdir()
        write(folder / str(k), (level + 50 * label.astype(int)).astype(np.uint16), label=label,
              sources=['a', 'b'])


def test_sets_of_a_folder_are_drawn_alike_and_whole_ones_are_held_out(tmp_path):
    write_sets(tmp_path, [1000, 2000, 3000, 4000])
    source = crops.synthetic(str(tmp_path), AS_DRAWN, held_out=0.25)
    assert isinstance(source, crops.Mixture) and len(source.held) == 1
    for one in source.trained + source.held:
        one.scale = {name: crops.normalisation.Scale(0.0, 1.0) for name in 'ab'}
    rng = np.random.default_rng(0)
    levels = [source.draw((8, 8, 8), rng)[0].min() for _ in range(300)]
    counts = [levels.count(level) for level in (1000, 2000, 3000)]
    assert sum(counts) == 300 and min(counts) > 70
    image, label, weight = source.validation((8, 8, 8), 10)
    assert image.shape == (2, 8, 8, 8, 1) and label.sum() == 16 and weight.all()
    np.testing.assert_allclose(image.min(), np.arcsinh(4000 / 4), rtol=1e-6)


def test_digest_of_sets_tells_another_set(tmp_path):
    write_sets(tmp_path, [1000, 2000])
    before = crops.synthetic(str(tmp_path), AS_DRAWN).digest
    assert crops.synthetic(str(tmp_path), AS_DRAWN).digest == before
    (tmp_path / '2').mkdir()
    write(tmp_path / '2', np.full((1, 8, 8, 8), 9, np.uint16), sources=['c'],
          label=np.ones((1, 8, 8, 8)))
    assert crops.synthetic(str(tmp_path), AS_DRAWN).digest != before


def test_one_set_leaves_none_to_hold_out(tmp_path):
    write_sets(tmp_path, [1000])
    with pytest.raises(UserError, match='only set'):
        crops.synthetic(str(tmp_path), AS_DRAWN, held_out=0.1)


def test_a_folder_with_patches_is_one_set(tmp_path):
    write_patches(tmp_path)
    (tmp_path / 'sub').mkdir()
    write(tmp_path / 'sub', np.full((1, 8, 8, 8), 9, np.uint16), sources=['c'],
          label=np.ones((1, 8, 8, 8)))
    assert isinstance(crops.synthetic(str(tmp_path), AS_DRAWN), crops.Synthetic)
