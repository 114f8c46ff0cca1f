"""Scores whose answers are known by hand."""
import contextlib
import warnings

import numpy as np
import pytest

from utils.common.errors import UserError
from utils.data import swc
from utils.score import pyneval, trace_tables, traces
from utils.score.thinning import thinned

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
    found = traces.scored(line(), far)
    assert found.values['length_f1'] == 0 and len(found.remarks) == 1
    assert found.remarks[0] == ('ssd, ssd_f1, cn_f1, cn_recall, cn_precision, diadem not computed: '
                                'the trace has more than 5 times the gold cable')


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
        assert pyneval.run('length', path, test_path=path)['f1_score'] == 1
    assert capfd.readouterr().err == ''


def test_means_are_over_the_numbers():
    nothing, found = [dict.fromkeys(traces.COLUMNS, value) for value in (float('nan'), 0.5)]
    means = traces.mean([nothing, found, dict(found, esa=1.5, dsa=float('nan'))])
    assert means['esa'] == 1.0 and means['dsa'] == 0.5
    assert np.isnan(traces.mean([nothing])['esa'])


# --- what cannot be scored ---

@pytest.mark.parametrize('row, words', [
    ('2 2 1e300 0 0 1 1', 'node at 1e.300'), ('2 2 0 3e7 0 1 1', 'node at 3e.07'),
    ('2 2 0 0 -2e6 1 1', 'node at 2e.06'), ('2 2 0 0 0 1e9 1', 'radius of 1e.09')])
def test_gold_standards_beyond_any_stack_are_refused(tmp_path, row, words):
    (tmp_path / 'a.swc').write_text('1 2 0 0 0 1 -1\n%s\n' % row)
    with pytest.raises(UserError, match='a.swc has a %s: .*voxels of the stack' % words):
        traces.read_gold(str(tmp_path), 'a')


def test_a_gold_standard_of_endless_cable_is_refused(tmp_path):
    rows = ['%d 2 %d 0 0 1 %d' % (i + 1, 9e5 * (i % 2), i or -1) for i in range(20)]
    (tmp_path / 'a.swc').write_text('\n'.join(rows))
    with pytest.raises(UserError, match='a.swc has 1.71e.07 voxels of cable'):
        traces.read_gold(str(tmp_path), 'a')


def test_very_many_nodes_get_distances_alone_and_a_line_says_so(tmp_path, capsys):
    n = 50000                                # of a straight line thinning leaves every fourth
    rows = ['%d 2 %d 20 20 1 %d' % (i, i, i - 1 or -1) for i in range(1, n + 1)]
    (tmp_path / 'a.swc').write_text('\n'.join(rows))
    gold = traces.read_gold(str(tmp_path), 'a')
    found = traces.score(gold, line(shift=(0, 5, 0)), name='big')
    assert found['esa'] > 5 and 0 < found['pds'] <= 1 and np.isnan(found['diadem'])
    assert np.isnan(found['length_f1']) and np.isnan(found['ssd'])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and all(text.startswith('warning: big: ') for text in lines)
    assert 'warning: big: diadem not computed: 12500 nodes of the gold standard' in lines[-1]
    # a broad tree of many nodes is too much, too
    rows = np.arange(9000)
    broad = swc.Tree(np.full(9000, 2), rows[:, None] * np.ones(3), np.ones(9000),
                     np.where(rows % 4500, rows - 1, 0) - (rows == 0))
    assert pyneval.too_large(broad, broad) == '9000 and 9000 nodes are more than PyNeval can walk'
    assert pyneval.too_large(line(), branched(line())) == ''


def test_a_metric_that_fails_or_takes_too_long_is_left_out(monkeypatch, capsys):
    real = pyneval.run

    def broken(name, gold_path, *, test_path, **settings):
        if name == 'diadem':
            raise KeyError('a node\nof its own')
        while name == 'ssd':                                 # for ever
            pass
        return real(name, gold_path, test_path=test_path, **settings)

    monkeypatch.setattr(pyneval, 'run', broken)
    monkeypatch.setattr(pyneval, 'MOST_SECONDS', 0.2)
    found = traces.score(line(50), line(50), metrics=('ssd', 'diadem'), name='x')
    assert np.isnan(found['ssd']) and np.isnan(found['diadem']) and found['esa'] == 0
    err = capsys.readouterr().err
    assert 'warning: x: ssd, ssd_f1 not computed: PyNeval took more than' in err
    assert "warning: x: diadem not computed: PyNeval fails (KeyError: 'a node" in err
    monkeypatch.setattr(pyneval, 'MOST_SECONDS', 60)
    assert traces.score(line(50), line(50), metrics=('length',))['length_f1'] == 1


def rooted(*rows):
    """A tree of nodes (y, x, row of the parent)."""
    rows = np.array(rows, float)
    position = np.c_[np.zeros(len(rows)), rows[:, :2]]
    return swc.Tree(np.full(len(rows), 2), position, np.ones(len(rows)), rows[:, 2].astype(int))


def test_diadem_takes_the_nearest_where_no_descendant_confirms_a_match(monkeypatch):
    """The traced tree forks twice near the gold fork; its arms end away from the gold tips."""
    gold = rooted((0, 0, -1), (0, 20, 0), (12, 30, 1), (-12, 30, 1))
    test = rooted((0, 0, -1), (-0.9, 18.3, 0), (-0.5, 21.5, 1), (13.4, 30, 2), (-12.7, 29.3, 2),
                  (1.2, 19.7, 1))
    found = traces.scored(gold, test, metrics=('diadem',))
    assert found.remarks == [] and found.values['diadem'] == 0.5
    monkeypatch.setattr(pyneval.diadem, 'mended', lambda _: contextlib.nullcontext())
    assert 'KeyError' in traces.scored(gold, test, metrics=('diadem',)).remarks[0]


@pytest.mark.parametrize('off, seed, score', [(0.8, 2, 45 / 54), (1.2, 1, 36 / 55)])
def test_diadem_is_the_same_each_time(off, seed, score):
    """A comb whose nodes are a little off; without mending the one varies, the other fails."""
    stem = [(0, 8 * i, i - 1) for i in range(13)]
    comb = rooted(*stem, *[(10 if i % 2 else -10, 8 * i + 3, i) for i in range(1, 12)])
    noise = np.random.default_rng(seed).normal(0, off, comb.position.shape) * (0.3, 1, 1)
    test = comb._replace(position=comb.position + noise)
    for _ in range(3):
        assert traces.score(comb, test, metrics=('diadem',))['diadem'] == pytest.approx(score)


def test_diadem_of_single_nodes_is_blank():
    found = traces.scored(line(1), line(1), metrics=('diadem',))
    assert np.isnan(found.values['diadem']) and found.remarks == [
        'diadem not computed: the gold standard has single nodes alone']


def test_thinning_keeps_shape_forks_and_tips():
    tree = branched(line(), length=50)
    thin = thinned(tree, tolerance=0.2, longest=10.0)
    assert 25 <= len(thin.parent) < 60 and abs(swc.length_of(thin) - swc.length_of(tree)) < 1e-9
    assert (np.bincount(thin.parent[1:], minlength=len(thin.parent)) > 1).sum() == 1
    bent = line(41)
    bent.position[20:, 1] += np.arange(21)                       # a corner: it stays
    thin = thinned(bent, tolerance=0.2, longest=100.0)
    np.testing.assert_array_equal(thin.position[:, 2], [0, 20, 40])
    forest = thinned(swc.join([line(30), line(30, shift=(9, 0, 0))]), tolerance=1, longest=99)
    assert forest.parent.tolist() == [-1, 0, -1, 2]


def test_many_nodes_are_thinned_and_a_remark_says_so(monkeypatch):
    whole = traces.scored(branched(line()), branched(line()))
    monkeypatch.setattr(pyneval, 'MANY_STEPS', 1000)
    thin = traces.scored(branched(line()), branched(line()))
    assert whole.remarks == [] and whole.values == pytest.approx(thin.values)
    assert len(thin.remarks) == 1 and 'of 250 gold nodes' in thin.remarks[0]


def test_a_blank_score_has_its_reason_in_the_tables(tmp_path):
    found = [('a', traces.scored(line(), line())), ('b', traces.scored(line(), None))]
    text = trace_tables.write(str(tmp_path), found)
    assert '- b: ssd, esa, dsa, pds not computed: nothing was traced' in text
    rows = (tmp_path / 'scores.csv').read_text().splitlines()
    assert [row.split(',')[0] for row in rows] == ['stack', 'a', 'b', 'mean']
    assert rows[0].endswith(',remarks') and rows[1].endswith(',') and 'nothing' in rows[2]
    assert (tmp_path / 'scores.md').read_text().startswith(text)
