"""Scores of masks against cases worked by hand and against the libraries that have them."""
import numpy as np
import pytest
from scipy.spatial.distance import dice as scipy_dice
from skimage import measure

from utils.common.errors import UserError
from utils.data import stacks
from utils.score import masks


def near_f1(mask, truth, *, tolerance):
    return masks.f1_of(masks.near_counts(mask, truth, tolerance=tolerance))


def cldice(mask, truth):
    return masks.f1_of(masks.centreline_counts(mask, truth))


def test_dice_and_its_best_threshold_by_hand():
    assert masks.dice([1, 1, 0, 0], [1, 0, 1, 0]) == 0.5 and masks.dice([0, 0], [0, 0]) == 1.0
    assert masks.best_dice([1, 2, 3, 9], [0, 0, 1, 1]) == (1.0, 3.0)
    # equal levels cannot be split
    assert masks.best_dice([5, 5, 5, 5], [0, 0, 0, 1])[0] == pytest.approx(0.4)


def test_overlap_by_hand_and_by_scipy():
    # 2 right, 1 wrong, 2 missed
    mask, truth = np.array([1, 1, 1, 0, 0, 0]), np.array([0, 1, 1, 1, 1, 0])
    assert masks.overlap(mask, truth) == pytest.approx(
        {'dice': 4 / 7, 'iou': 2 / 5, 'precision': 2 / 3, 'recall': 1 / 2})
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = rng.random((2, 4, 5, 6)) > 0.6
        assert masks.overlap(a, b)['dice'] == pytest.approx(1 - scipy_dice(a.ravel(), b.ravel()))
    assert set(masks.overlap(mask, truth, valid=[0, 1, 1, 0, 0, 1]).values()) == {1}
    assert masks.overlap([0, 0], [0, 0])['precision'] == 1
    assert masks.overlap([0, 1], [0, 0])['precision'] == 0


def test_tolerance_forgives_a_shift_and_no_more():
    truth, mask = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    truth[4, :], mask[5, :] = True, True
    assert near_f1(mask, truth, tolerance=1) == 1 and masks.overlap(mask, truth)['dice'] == 0
    mask = np.roll(mask, 1, 0)                                       # two voxels off
    assert near_f1(mask, truth, tolerance=1) == 0 and near_f1(mask, truth, tolerance=2) == 1
    mask[0, 0] = True                                                # one of ten is far off
    assert near_f1(mask, truth, tolerance=2) == pytest.approx(2 * 0.9 / 1.9)
    below = np.indices((9, 9))[0] > 0
    assert list(masks.near_counts(mask, truth, tolerance=2, valid=below)) == [9, 9, 9, 9]
    assert list(masks.near_counts(mask, truth, tolerance=2)) == [9, 10, 9, 9]
    assert near_f1(np.zeros((3, 3)), np.ones((3, 3)), tolerance=2) == 0
    assert near_f1(np.zeros((3, 3)), np.zeros((3, 3)), tolerance=2) == 1


def test_cldice_looks_at_centrelines():
    truth = np.zeros((20, 30), bool)
    truth[8:13, 2:28] = True
    thin = np.zeros_like(truth)
    thin[10, 2:28] = True
    # a skeleton forks at blunt ends
    assert cldice(thin, truth) > 0.95 > 0.4 > masks.overlap(thin, truth)['dice']
    half = thin.copy()
    half[:, 15:] = False                      # all of it right, half of the centreline found
    a, b, c, d = masks.centreline_counts(half, truth)
    assert (a, b) == (13, 13) and c / d == pytest.approx(0.5, abs=0.1)
    assert cldice(half, truth) == pytest.approx(2 * (c / d) / (1 + c / d))
    assert cldice(np.zeros_like(truth), truth) == 0


def test_a_centreline_is_the_whole_masks_where_a_rim_is_left_out():
    """A bar of rows 8 to 12, of which rows 8 and 9 do not count: its centreline is row 10."""
    mask, truth, valid = [np.zeros((20, 40), bool) for _ in range(3)]
    mask[8:13, 2:38], truth[10, 2:38], valid[10:] = True, True, True
    right, own, found, wanted = masks.centreline_counts(mask, truth, valid=valid)
    assert right >= 30 and own - right <= 4 and found == wanted      # it forks at blunt ends


def test_components_as_skimage_counts_them():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]])    # two touch at a corner
    assert masks.betti0(mask) == 3 == measure.label(mask, connectivity=2).max()
    assert masks.betti0_error(mask, [[1, 1, 1, 1]] + 2 * [[0] * 4]) == 2
    valid = np.ones_like(mask)
    valid[2] = 0
    assert masks.betti0_error(mask, np.zeros_like(mask), valid=valid) == 2
    volume = np.random.default_rng(0).random((6, 7, 8)) > 0.8
    assert masks.betti0(volume) == measure.label(volume, connectivity=3).max()


def test_average_precision_by_hand():
    """Hits at ranks 1 and 3 of 4: (1 + 2 / 3) / 2; ties fall together: both at rank 2 of 4."""
    assert masks.average_precision([4, 3, 2, 1], [1, 0, 1, 0]) == pytest.approx((1 + 2 / 3) / 2)
    assert masks.average_precision([4, 4, 2, 1], [1, 0, 1, 0]) == pytest.approx((0.5 + 2 / 3) / 2)
    assert masks.average_precision([1, 1], [1, 0]) == 0.5
    precision, recall, threshold = masks.precision_recall([4, 3, 2, 1], [1, 0, 1, 0])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(recall, [0.5, 0.5, 1, 1])
    assert list(threshold) == [4, 3, 2, 1]
    with pytest.raises(ValueError):
        masks.average_precision([1, 2], [0, 0])


def codes_of(shape=(6, 8, 10)):
    codes = np.zeros(shape, np.uint8)
    for z in (1, 4):
        codes[z] = 1
        codes[z, 3:5] = 2
        codes[z, [2, 5]] = 4
        codes[z, 0, 0] = 3
    return codes


def test_only_annotated_voxels_count_and_the_rim_is_left_out(tmp_path):
    codes, path = codes_of(), str(tmp_path / 'codes.tif')
    stacks.write(path, codes)
    annotation = masks.read_annotation(path, codes.shape)
    assert annotation.slices == [1, 4]
    assert annotation.truth.sum() == 40 and annotation.valid.sum() == 2 * 60
    fat = np.zeros(codes.shape)
    fat[:, 2:6] = 1                           # over the rim, and in slices without labels
    values = masks.score(fat, annotation)
    assert all(values[m] == 1 for m in masks.MEASURES[:8]) and values['betti0'] == 0
    fat[1, 0, 0] = 1                                                 # an artefact is background
    assert masks.score(fat, annotation)['precision'] == pytest.approx(40 / 41)
    ends = masks.within(annotation, masks.halves(codes.shape, 2, gap=4))
    assert ends.valid.sum() == annotation.valid.sum() * 6 / 10 and not ends.valid[:, :, 3:7].any()


def test_masks_are_scored_in_three_dimensions(tmp_path):
    mask, path = np.zeros((5, 6, 7), np.uint8), str(tmp_path / 'mask.tif')
    mask[:, 2, 3] = 1
    stacks.write(path, mask)
    annotation = masks.read_annotation(path, mask.shape)
    assert annotation.slices is None and annotation.valid.all()
    moved = np.roll(mask, 1, 0)
    assert masks.score(moved, annotation)['f1_1'] == 1             # it wraps round onto itself
    assert masks.score(np.roll(mask, 3, 2), annotation)['f1_2'] == 0
    aside = masks.score(np.roll(mask, 2, 2), annotation)
    assert aside['f1_1'] == 0 and aside['f1_2'] == 1


def test_counts_are_pooled_over_slices_and_components_are_not():
    """Of 1 + 9 truth voxels 1 + 0 are found: a recall of 0.1, not the mean of 1 and 0."""
    truth, mask = np.zeros((2, 3, 20)), np.zeros((2, 3, 20))
    truth[0, 1, 1], truth[1, 1, 1:18:2] = 1, 1                       # 1 and 9 single voxels
    mask[0, 1, 1], mask[1, 0, 19] = 0.7, 0.4
    annotation = masks.Annotation(truth > 0, np.ones(truth.shape, bool), [0, 1])
    values = masks.score(mask, annotation)
    assert values['recall'] == pytest.approx(0.1) and values['precision'] == 1
    assert values['f1_1'] == pytest.approx(0.2 / 1.1) and values['cldice'] == values['f1_1']
    assert values['betti0'] == (0 + 9) / 2
    assert masks.score(mask, annotation, threshold=0.4)['precision'] == 0.5
    assert masks.score(mask, annotation, threshold=0.71)['recall'] == 0
    assert values['ap'] == pytest.approx(0.1 + 0.9 * 10 / 120)       # then all voxels of value 0


def test_perfect_scores_one_even_without_a_centreline():
    """The skeleton of a stack that is all foreground, and of an even cube, has no voxel."""
    everything = np.ones((6, 6, 6), bool)
    cube = np.pad(np.ones((2, 2, 2), bool), 2, 'constant')
    for truth in (everything, cube):
        assert masks.centreline_counts(truth, truth)[3] == 0
        values = masks.score(truth, masks.Annotation(truth, everything, None))
        assert all(values[m] == 1 for m in masks.MEASURES[:8])


def test_wrong_annotations_are_one_line(tmp_path):
    for name, values, words in (('shape', np.ones((2, 3, 4), np.uint8), 'this very stack'),
                                ('values', np.full((3, 3, 4), 9, np.uint8), '0 to 4'),
                                ('empty', np.zeros((3, 3, 4), np.uint8), 'no foreground')):
        path = str(tmp_path / (name + '.tif'))
        stacks.write(path, values)
        with pytest.raises(UserError, match=words):
            masks.read_annotation(path, (3, 3, 4))


def test_oracle_and_otsu_part_two_levels():
    voxels = np.full((3, 4, 5), 100, np.uint16)
    voxels[1] = 900
    annotation = masks.Annotation(voxels > 500, np.ones(voxels.shape, bool), None)
    for mask in (masks.otsu(voxels), masks.oracle(voxels, annotation)):
        np.testing.assert_array_equal(mask, annotation.truth)
