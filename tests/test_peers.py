"""tests/benchmarks/peers.py: what other tracers write becomes trees, what is missing is said."""
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from scipy import sparse

sys.path.insert(0, os.path.join(ROOT, 'tests', 'benchmarks'))

import _peers                                                   # noqa: E402
import _rivulet                                                 # noqa: E402
import _skeletons                                               # noqa: E402
import peers                                                    # noqa: E402

from utils.data import swc                                      # noqa: E402


def tree_of(rows, path):
    np.savetxt(str(path), np.array(rows), '%d %d %.3f %.3f %.3f %.3f %d')
    return swc.read(str(path))


def test_rivulets_open_ends_are_roots_and_positions_are_of_the_whole_mask(tmp_path):
    array = [(0, 1, 1, 2, 3, 2, 0),         # the soma, whose parent is itself
             (1, 3, 1, 2, 9, 1, 2),         # an end, whose way leads to the soma
             (2, 3, 1, 2, 6, 1, 0),
             (3, 3, 5, 5, 5, 1, -2)]        # a branch that reached nothing
    tree = tree_of(_rivulet.rows_of(array, (10, 20, 30)), tmp_path / 'a.swc')
    assert tree.position[0].tolist() == [11, 22, 33]
    assert (tree.parent < 0).sum() == 2
    assert swc.length_of(tree) == pytest.approx(6.0)


def test_skeletons_become_a_forest_without_loops(tmp_path):
    points = np.array([(0, 0, 0), (0, 0, 3), (0, 2, 3), (0, 0, 6), (5, 5, 0), (5, 5, 1),
                       (7, 7, 7)], float)
    pairs = np.array([(0, 1), (1, 2), (1, 3), (2, 3), (4, 5)])   # 1, 2, 3 is a loop; 6 is alone
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    graph = sparse.coo_matrix((length, pairs.T), (7, 7)).tocsr()
    rows = _skeletons.rows_of(points, graph + graph.T, mask=np.ones((8, 8, 8), np.uint8))
    tree = tree_of(rows, tmp_path / 'a.swc')
    assert len(tree.parent) == 6 and (tree.parent < 0).sum() == 2
    assert swc.length_of(tree) == pytest.approx(3 + 2 + 3 + 1)   # without the longest of the loop


def arguments(tmp_path, **more):
    return SimpleNamespace(**dict({'RIVULET': str(tmp_path / 'none'), 'SECONDS': 20,
                                   'SKELETONS': str(tmp_path / 'none')}, **more))


def test_a_missing_environment_is_one_line(tmp_path, capsys):
    found = _peers.commands(arguments(tmp_path, SKELETONS=sys.executable))
    assert found.keys() == {'skan', 'kimimaro'}
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and said[0].startswith('Rivulet2 left out')


def results_of(tmp_path, program, *, seconds=60):
    """What peers.peer makes of two masks and a Python program."""
    cases = [peers.Case(name, np.ones((2, 2, 2), np.uint8), None, None) for name in 'ab']
    return _peers.peer(cases, [sys.executable, '-c', program], method='peer',
                      args=arguments(tmp_path, SECONDS=seconds), folder=str(tmp_path))


@pytest.mark.parametrize('program, reason', [
    ('import sys; sys.exit("no such thing")', 'no such thing'),
    ('import sys; open(sys.argv[2], "w").write("1 1 0 0 0 1 7\\n"); print(0.5)', 'parent 7'),
])
def test_a_peer_that_fails_is_said_and_has_no_tree(tmp_path, capsys, program, reason):
    assert results_of(tmp_path, program) == [(None, None)] * 2
    assert reason in capsys.readouterr().out


ONE = ('import sys, time; open(sys.argv[2], "w").write("1 1 3 2 1 1 -1\\n2 3 3 2 5 1 1\\n"); '
       'print(0.5, flush=True); ')


@pytest.mark.parametrize('then, seconds, reason', [
    ('time.sleep(60)', 2, 'not done in 4 s'),
    ('print("failed: a loop")', 60, 'a loop'),
])
def test_what_a_peer_did_before_it_failed_counts(tmp_path, capsys, then, seconds, reason):
    (tree, took), failed = results_of(tmp_path, ONE + then, seconds=seconds)
    assert took == 0.5 and swc.length_of(tree) == pytest.approx(4.0)
    assert failed == (None, None)
    assert 'b.peer.swc: no tree: failed: ' + reason in capsys.readouterr().out
