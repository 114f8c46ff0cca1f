"""Scores whose answers are known by hand."""
import warnings

import numpy as np
import pytest

from utils.data import swc
from utils.score import traces

LENGTH = 200


def line(n=LENGTH, shift=(0, 0, 0), start=0, parent=-1, radius=1.0):
    """Nodes along x, one voxel apart."""
    x = np.arange(start, start + n)
    position = np.stack([np.full(n, 20.0), np.full(n, 20.0), x], 1) + shift
    return swc.Tree(np.full(n, 2), position, np.full(n, radius), np.r_[parent, np.arange(n - 1)])


def half(tree):
    keep = len(tree.parent) // 2 + 1
    return swc.Tree(*[values[:keep] for values in tree])


def branched(tree, length=50):
    """With a spurious branch along y from the middle."""
    n, middle = len(tree.parent), len(tree.parent) // 2
    side = tree.position[middle] + np.outer(np.arange(1, length + 1), (0, 1, 0))
    return swc.Tree(np.full(n + length, 2), np.concatenate([tree.position, side]),
                    np.full(n + length, 1.0), np.r_[tree.parent, middle, n + np.arange(length - 1)])


def test_a_tree_against_itself_is_perfect():
    found = traces.score(branched(line()), branched(line()))
    for name in traces.COLUMNS:
        perfect = 0 if name in ('ssd', 'esa', 'dsa', 'pds') else 1
        assert abs(found[name] - perfect) < 1e-6, (name, found)


@pytest.mark.parametrize('d', [1.0, 5.0])
def test_a_shifted_tree_is_as_far_as_it_was_shifted(d):
    found = traces.score(line(), line(shift=(0, d, 0)))
    assert abs(found['esa'] - d) < 1e-6 and abs(found['dsa'] - (d if d >= 2 else 0)) < 1e-6
    assert found['pds'] == (1 if d >= 2 else 0)
    assert found['length_f1'] == (0 if d > 2 else 1) and found['cn_f1'] == (0 if d > 3 else 1)


def test_half_a_tree_has_half_the_recall_and_full_precision():
    found = traces.score(line(), half(line()))
    assert abs(found['length_recall'] - 0.5) < 0.01 and found['length_precision'] == 1
    # of the missing half's points from the trace's end; the trace's points are on the gold
    far = np.r_[np.zeros(101), np.arange(1, 99)]
    assert abs(found['esa'] - far.mean() / 2) < 0.3 and abs(found['pds'] - (97 / 199) / 2) < 0.01


def test_a_spurious_branch_costs_precision_alone():
    found = traces.score(line(), branched(line()))
    assert found['length_recall'] == 1 and abs(found['length_precision'] - 199 / 249) < 0.01
    assert found['cn_recall'] == 1 and found['cn_precision'] < 1


def test_voxel_size_counts():
    """Three voxels aside in z of two x voxels each are six x voxels."""
    found = traces.score(line(), line(shift=(3, 0, 0)), spacing=(2.0, 1.0, 1.0), metrics=())
    assert abs(found['esa'] - 6) < 1e-6 and np.isnan(found['length_f1'])


def test_forests_are_scored_and_joined():
    forest = swc.join([line(100), line(99, start=150)])
    assert (forest.parent < 0).sum() == 2 and forest.parent[101] == 100
    assert swc.length_of(forest) == 99 + 98
    found = traces.score(forest, forest)
    assert found['length_f1'] == 1 and found['diadem'] > 0.99


def test_a_trace_of_noise_keeps_its_recall_and_pays_in_precision():
    """Far more cable than gold: PyNeval sees what is near, the precision counts all."""
    noise = swc.join([line()] + [line(shift=(30.0 + 5 * k, 0, 0)) for k in range(19)])
    found = traces.score(line(), noise)
    assert found['length_recall'] == 1 and abs(found['length_precision'] - 0.05) < 1e-6
    assert np.isnan(found['cn_f1']) and np.isnan(found['diadem']) and found['pds'] > 0.4
    far = swc.join([line(shift=(90.0 + k, 0, 0)) for k in range(9)])
    assert traces.score(line(), far)['length_f1'] == 0


def test_nothing_traced_is_zero():
    found = traces.score(line(), None)
    assert found['length_f1'] == found['cn_f1'] == found['diadem'] == 0 and np.isnan(found['esa'])


def test_resampling_is_one_voxel_apart_at_most():
    sparse = swc.Tree(np.zeros(2, int), np.array([[0.0, 0, 0], [3, 4, 12]]), np.ones(2),
                      np.array([-1, 0]))
    points = traces.resampled(sparse)
    assert len(points) == 14 and swc.length_of(sparse) == 13
    np.testing.assert_allclose(np.diff(np.sort(np.linalg.norm(points, axis=1))), 1, atol=1e-9)


def test_pyneval_reads_what_is_written_without_a_warning(tmp_path, capfd):
    path = str(tmp_path / 'a.swc')
    swc.write(path, branched(line()), one_root=False)
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        assert traces.pyneval('length', path, test_path=path)['f1_score'] == 1
    assert capfd.readouterr().err == ''


def test_means_are_over_the_numbers():
    nothing, found = [dict.fromkeys(traces.COLUMNS, value) for value in (float('nan'), 0.5)]
    means = traces.mean([nothing, found, dict(found, esa=1.5, dsa=float('nan'))])
    assert means['esa'] == 1.0 and means['dsa'] == 0.5
    assert np.isnan(traces.mean([nothing])['esa'])
