"""Segmentation metrics against cases worked by hand and against the libraries that have them."""
import numpy as np
import pytest
from scipy.spatial.distance import dice as scipy_dice
from skimage import measure

from utils.common.errors import UserError
from utils.data import stacks
from utils.score import masks, metrics


def test_overlap_by_hand_and_by_scipy():
    mask, truth = np.array([1, 1, 1, 0, 0, 0]), np.array([0, 1, 1, 1, 1, 0])      # 2 right, 1 wrong, 2 missed
    assert metrics.overlap(mask, truth) == pytest.approx({'dice': 4 / 7, 'iou': 2 / 5, 'precision': 2 / 3, 'recall': 1 / 2})
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = rng.random((2, 4, 5, 6)) > 0.6
        assert metrics.overlap(a, b)['dice'] == pytest.approx(1 - scipy_dice(a.ravel(), b.ravel()))
    assert metrics.overlap(mask, truth, valid=[0, 1, 1, 0, 0, 1]) == {'dice': 1, 'iou': 1, 'precision': 1, 'recall': 1}
    assert metrics.overlap([0, 0], [0, 0])['precision'] == 1 and metrics.overlap([0, 1], [0, 0])['precision'] == 0


def test_tolerance_forgives_a_shift_and_no_more():
    truth, mask = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    truth[4, :], mask[5, :] = True, True
    assert metrics.tolerant_f1(mask, truth, tolerance=1) == 1 and metrics.overlap(mask, truth)['dice'] == 0
    mask = np.roll(mask, 1, 0)                                       # two voxels off
    assert metrics.tolerant_f1(mask, truth, tolerance=1) == 0 and metrics.tolerant_f1(mask, truth, tolerance=2) == 1
    mask[0, 0] = True                                                # one of ten is far off
    assert metrics.tolerant_f1(mask, truth, tolerance=2) == pytest.approx(2 * 0.9 / 1.9)
    assert list(metrics.tolerant_counts(mask, truth, tolerance=2, valid=np.indices((9, 9))[0] > 0)) == [9, 9, 9, 9]
    assert metrics.tolerant_f1(np.zeros((3, 3)), np.ones((3, 3)), tolerance=2) == 0
    assert metrics.tolerant_f1(np.zeros((3, 3)), np.zeros((3, 3)), tolerance=2) == 1


def test_cldice_looks_at_centrelines():
    truth = np.zeros((20, 30), bool)
    truth[8:13, 2:28] = True
    thin = np.zeros_like(truth)
    thin[10, 2:28] = True
    assert metrics.cldice(thin, truth) > 0.95 > 0.4 > metrics.overlap(thin, truth)['dice']     # a skeleton forks at blunt ends
    half = thin.copy()
    half[:, 15:] = False                                             # all of it right, half of the centreline found
    a, b, c, d = metrics.cldice_counts(half, truth)
    assert (a, b) == (13, 13) and c / d == pytest.approx(0.5, abs=0.1)
    assert metrics.cldice(half, truth) == pytest.approx(2 * (c / d) / (1 + c / d))
    assert metrics.cldice(np.zeros_like(truth), truth) == 0


def test_components_as_skimage_counts_them():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]])      # the first two touch at a corner
    assert metrics.betti0(mask) == 3 == measure.label(mask, connectivity=2).max()
    assert metrics.betti0_error(mask, [[1, 1, 1, 1]] + 2 * [[0] * 4]) == 2
    valid = np.ones_like(mask)
    valid[2] = 0
    assert metrics.betti0_error(mask, np.zeros_like(mask), valid=valid) == 2
    volume = np.random.default_rng(0).random((6, 7, 8)) > 0.8
    assert metrics.betti0(volume) == measure.label(volume, connectivity=3).max()


def test_average_precision_by_hand():
    """Hits at ranks 1 and 3 of 4: (1 + 2 / 3) / 2; ties fall together: both at rank 2 of 4."""
    assert metrics.average_precision([4, 3, 2, 1], [1, 0, 1, 0]) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.average_precision([4, 4, 2, 1], [1, 0, 1, 0]) == pytest.approx((0.5 + 2 / 3) / 2)
    assert metrics.average_precision([1, 1], [1, 0]) == 0.5
    precision, recall, threshold = metrics.precision_recall([4, 3, 2, 1], [1, 0, 1, 0])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(recall, [0.5, 0.5, 1, 1])
    assert list(threshold) == [4, 3, 2, 1]
    with pytest.raises(ValueError):
        metrics.average_precision([1, 2], [0, 0])


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
    assert annotation.slices == [1, 4] and annotation.truth.sum() == 40 and annotation.valid.sum() == 2 * 60
    fat = np.zeros(codes.shape)
    fat[:, 2:6] = 1                                                  # over the rim, and in slices without labels
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


def test_perfect_scores_one_even_without_a_centreline():
    """The skeleton of a stack that is all foreground, and of an even cube, has no voxel."""
    everything = np.ones((6, 6, 6), bool)
    cube = np.pad(np.ones((2, 2, 2), bool), 2, 'constant')
    for truth in (everything, cube):
        assert metrics.cldice_counts(truth, truth)[3] == 0
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


def test_table_has_means_and_deviations(tmp_path):
    base = {m: 0.5 for m in masks.MEASURES}
    rows = [dict(base, arm='mpgan', seed=s, region=r, dice=d) for r in ('whole', 'ends') for s, d in ((1, 0.7), (2, 0.8))]
    rows.append(dict(base, arm='otsu', seed=1, region='whole'))
    text = masks.write_table(str(tmp_path), rows, title='a stack')
    assert '| mpgan | 0.750 +- 0.071 |' in text and '| otsu | 0.500 |' in text
    assert len((tmp_path / 'segmentation.csv').read_text().splitlines()) == 6
