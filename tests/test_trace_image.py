"""What the tracer takes from the evidence and the stack besides the mask: answers known by hand."""
import numpy as np
import pytest
from tubes import DEFAULTS, ISOTROPIC, drawn, evidence_of

from utils.trace import brightness, fits, graphs, joins, tracing, trees


def along_x(start, stop, *, y=4.0):
    """Nodes in a row."""
    places = np.arange(start, stop, dtype=float)
    position = np.stack([np.full(len(places), 4.0), np.full(len(places), y), places], 1)
    edges = np.stack([np.arange(len(places) - 1), np.arange(1, len(places))], 1)
    return graphs.Nodes(position, np.full(len(places), 2.0), edges, np.zeros(len(places), bool))


def together(*some):
    """Several Nodes as one, without edges between them."""
    starts = np.cumsum([0] + [len(nodes.position) for nodes in some])
    return graphs.Nodes(*[np.concatenate(values) for values in zip(*[
        nodes._replace(edges=nodes.edges + start) for nodes, start in zip(some, starts)])])


def test_contrast_is_the_mean_around_a_node_less_the_background():
    image = np.full((16, 16, 16), 100, np.uint16)
    image[4, 4] = 370
    light = brightness.contrast(along_x(3, 13), image)
    np.testing.assert_allclose(light, 270 / 9)           # one of nine voxels of a cut is bright


@pytest.mark.parametrize('level, length, kept', [
    (135, 20, False),       # 0.35 of the typical contrast, and short
    (150, 20, True),        # 0.5
    (135, 60, True),        # dim, but no speck is as long
])
def test_short_trees_much_dimmer_than_the_others_are_left_out(level, length, kept):
    image = np.full((9, 32, 160), 100, np.uint16)
    image[:, 2:8], image[:, 22:28, :100] = 200, level
    nodes = together(along_x(5, 155), along_x(5, 5 + length, y=25.0))
    left = brightness.drop_faint(nodes, image, spacing=ISOTROPIC)
    assert len(left.position) == 150 + kept * length


def test_a_soma_is_no_speck():
    image = np.full((9, 32, 160), 100, np.uint16)
    image[:, 2:8] = 200
    nodes = together(along_x(5, 155), along_x(5, 15, y=25.0))
    nodes.soma[152] = True
    assert len(brightness.drop_faint(nodes, image, spacing=ISOTROPIC).position) == 160


def test_where_what_is_traced_is_not_bright_nothing_is_a_speck():
    """Neurites darker than the background: brightness tells nothing there."""
    image = np.full((9, 32, 160), 200, np.uint16)
    image[:, 2:8], image[:, 22:28, :100] = 100, 140
    nodes = together(along_x(5, 45), along_x(5, 15, y=25.0))
    assert len(brightness.drop_faint(nodes, image, spacing=ISOTROPIC).position) == 50


def test_specks_go_from_a_trace_only_with_the_stack():
    mask = drawn((20, 60, 120), [(10, 12, 6), (10, 12, 113)], [(10, 45, 40), (10, 45, 70)])
    image = (100 + 200 * mask).astype(np.uint16)
    image[:, 30:] = 100 + 30 * mask[:, 30:]
    found = [tracing.trace(evidence_of(mask), ISOTROPIC, settings=DEFAULTS, low=0.4, high=0.6,
                           image=given) for given in (None, lambda: image)]
    assert [np.count_nonzero(tree.parent < 0) for tree in found] == [2, 1]


def test_doubtful_cable_counts_less():
    evidence = np.full((9, 16, 40), 255, np.uint8)
    evidence[:, 8:] = 178                                 # 0.7: midway between low and certain
    nodes = together(along_x(5, 25), along_x(5, 25, y=12.0))
    found = trees.certain_cable(nodes, evidence, spacing=ISOTROPIC, low=0.4)
    np.testing.assert_allclose(found, [19, 9.5], rtol=0.01)
    assert len(trees.drop_short(nodes, ISOTROPIC, min_length=15).position) == 40
    left = trees.drop_short(nodes, ISOTROPIC, min_length=15, evidence=evidence, low=0.4)
    assert len(left.position) == 20 and left.position[0, 1] == 4


@pytest.mark.parametrize('second, count', [(26, 10 + 20 + 20), (None, 20)])
def test_a_short_tree_stays_only_between_two_others(second, count):
    """A chain of joined trees ends in none that is short."""
    evidence = np.full((9, 9, 80), 100, np.uint8)
    parts = [along_x(0, 20), along_x(23, 33)] + ([along_x(36, 56)] if second else [])
    for part in parts:
        evidence[tuple(part.position.astype(int).T)] = 255
    nodes = joins.bridge(together(*parts), evidence, spacing=ISOTROPIC, low=0.4, max_gap=8,
                         max_angle=60, least=12.0)
    sure = evidence[tuple(np.rint(nodes.position).astype(int).T)] == 255
    assert np.count_nonzero(sure) == count


@pytest.mark.parametrize('angle, own', [(30, 12.0), (60, 6.0)])
def test_forks_lie_where_the_branch_leaves_its_parent(angle, own):
    """From a fork placed too late by four voxels; the branch is by itself from `own` voxels on."""
    way = np.array([0, np.sin(np.radians(angle)), np.cos(np.radians(angle))])
    start = np.array([12.0, 20, 30])
    mask = drawn((24, 70, 100), [(12, 20, 5), (12, 20, 95)], [start, start + 45 * way], radius=2.0)
    trunk = along_x(5, 96)
    trunk.position[:] += [8, 16, 0]
    branch = start + np.arange(own, 45)[:, None] * way
    late = np.linspace([12, 20, 34], branch[0], 10)[1:-1]
    branch = np.concatenate([late, branch])
    n, m = len(trunk.position), len(branch)
    side = np.stack([np.r_[29, n + np.arange(m - 1)], n + np.arange(m)], 1)
    nodes = graphs.Nodes(np.concatenate([trunk.position, branch]), np.full(n + m, 2.5),
                         np.concatenate([trunk.edges, side]), np.zeros(n + m, bool))
    found = fits.refine(nodes, evidence_of(mask), spacing=ISOTROPIC, low=0.4)
    fork = found.position[graphs.degrees(found) == 3]
    assert len(fork) == 1 and np.linalg.norm(fork[0] - start) < 2
