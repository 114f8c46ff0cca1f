"""Stages of the tracer on graphs of a few nodes, with answers known by hand."""
import numpy as np
import pytest
from scipy import ndimage
from tubes import DEFAULTS, ISOTROPIC, drawn, evidence_of

from utils.data import swc
from utils.trace import crossings, graphs, joins, somata, trees
from utils.trace.foreground import Foreground, foreground
from utils.trace.paths import paths


def chain(*positions, depth=1.0):
    """Nodes in a row."""
    n = len(positions)
    edges = np.stack([np.arange(n - 1), np.arange(1, n)], 1)
    return graphs.Nodes(np.array(positions, float), np.full(n, float(depth)), edges,
                        np.zeros(n, bool))


def together(*some):
    """Several Nodes as one, without edges between them."""
    starts = np.cumsum([0] + [len(nodes.position) for nodes in some])
    return graphs.Nodes(*[np.concatenate(values) for values in zip(*[
        nodes._replace(edges=nodes.edges + start) for nodes, start in zip(some, starts)])])


def linked(nodes, *edges):
    return nodes._replace(edges=np.concatenate([nodes.edges, np.array(edges)]))


def along_x(start, stop, y=0.0):
    return chain(*[(0, y, x) for x in range(start, stop)])


def trees_of(nodes):
    return graphs.parts(nodes.edges, len(nodes.position)).max() + 1


# --- foreground ---

def test_depth_is_the_distance_transform():
    rng = np.random.default_rng(0)
    evidence = evidence_of(ndimage.gaussian_filter(rng.standard_normal((20, 30, 25)), 2) > 0)
    spacing = np.array([2.0, 1.3, 1.0])
    found = foreground(evidence, spacing, low=0.5, high=0.5)
    wanted = ndimage.distance_transform_edt(evidence, sampling=spacing)[tuple(found.voxels.T)]
    np.testing.assert_allclose(found.depth, wanted, rtol=1e-6)
    assert found.component.max() + 1 == ndimage.label(evidence, np.ones((3, 3, 3)))[1]


def test_neighbours_are_the_26_and_do_not_wrap_around():
    mask = np.zeros((3, 4, 5), bool)
    mask[0, 1], mask[1, 2, 0] = True, True            # a row from face to face, and one diagonal
    found = foreground(evidence_of(mask), (2.0, 1.0, 1.0), low=0.5, high=0.5)
    pairs = sorted(tuple(map(tuple, found.voxels[list(pair)])) for pair in found.pairs.T)
    assert [tuple(map(tuple, sorted(pair))) for pair in pairs] == [
        ((0, 1, 0), (0, 1, 1)), ((0, 1, 0), (1, 2, 0)), ((0, 1, 1), (0, 1, 2)),
        ((0, 1, 1), (1, 2, 0)), ((0, 1, 2), (0, 1, 3)), ((0, 1, 3), (0, 1, 4))]
    lengths = {tuple(sorted(map(tuple, found.voxels[list(pair)]))): step
               for pair, step in zip(found.pairs.T, found.steps)}
    assert lengths[(0, 1, 0), (1, 2, 0)] == pytest.approx(5 ** 0.5)
    assert lengths[(0, 1, 1), (1, 2, 0)] == pytest.approx(6 ** 0.5)


def test_hysteresis_keeps_faint_voxels_that_hang_together_with_sure_ones():
    evidence = np.zeros((5, 5, 30), np.uint8)
    evidence[2, 2, 2:14], evidence[2, 2, 5], evidence[2, 2, 18:28] = 100, 200, 100
    found = foreground(evidence, ISOTROPIC, low=0.3, high=0.6)
    assert len(found.voxels) == 12 and found.p.max() == np.float32(200 / 255)


def test_small_objects_are_left_out():
    evidence = np.zeros((5, 5, 30), np.uint8)
    evidence[2, 2, 2:14], evidence[2, 2, 18:28] = 200, 200            # 12 and 10 voxels
    for least, kept in ((10, 22), (11, 12)):
        found = foreground(evidence, ISOTROPIC, low=0.3, high=0.6, min_object=least)
        assert len(found.voxels) == kept


# --- paths ---

def test_a_path_covers_what_lies_within_its_scale_and_margin():
    """A comb whose teeth leave the shaft's surface by 3: bumps within the cover, else branches."""
    mask = np.zeros((9, 20, 40), bool)
    mask[4, 8, 4:36] = True
    mask[4, 8:13, 12::8] = True                                      # tips 4 from the shaft
    found = foreground(evidence_of(mask), ISOTROPIC, low=0.5, high=0.5)

    def tips(**values):
        settings = DEFAULTS._replace(spur_length=0.0, spur_radii=0.0, **values)
        nodes = paths(found, mask.shape, spacing=ISOTROPIC, settings=settings)
        return int((graphs.degrees(nodes) == 1).sum())

    assert tips(cover_scale=1.5, cover_margin=0.0) == 2 + 3
    assert tips(cover_scale=1.5, cover_margin=3.0) == 2
    assert tips(cover_scale=4.5, cover_margin=0.0) == 2


@pytest.mark.parametrize('values, branches', [
    ({'spur_length': 3.0, 'spur_radii': 0.0}, 1), ({'spur_length': 9.0, 'spur_radii': 0.0}, 0),
    ({'spur_length': 0.0, 'spur_radii': 5.0}, 0)])
def test_spurs_must_leave_their_parent_by_a_length(values, branches):
    """Of a tube of radius 3, a branch that leads 10 from its axis: 7 from its surface."""
    mask = drawn((20, 40, 70), [(10, 14, 6), (10, 14, 64)], radius=3.0)
    mask |= drawn(mask.shape, [(10, 14, 36), (10, 24, 36)], radius=1.0)
    found = foreground(evidence_of(mask), ISOTROPIC, low=0.5, high=0.5)
    nodes = paths(found, mask.shape, spacing=ISOTROPIC, settings=DEFAULTS._replace(**values))
    assert (graphs.degrees(nodes) == 1).sum() == 2 + branches


def test_a_branch_begins_at_its_parents_surface():
    """A tube of radius 6 with its axis at y = 20, and a thin branch: no node in between."""
    mask = drawn((30, 70, 90), [(15, 20, 8), (15, 20, 82)], radius=6.0)
    mask |= drawn(mask.shape, [(15, 20, 45), (15, 60, 45)], radius=1.5)
    found = foreground(evidence_of(mask), ISOTROPIC, low=0.5, high=0.5)
    nodes = paths(found, mask.shape, spacing=ISOTROPIC, settings=DEFAULTS)
    y = nodes.position[:, 1]
    assert (np.abs(y - 20) < 1).sum() > 60 and ((y > 21.5) & (y < 25)).sum() == 0
    assert (y > 25).sum() > 30 and trees_of(nodes) == 1


@pytest.mark.parametrize('ends, wanted', [((-8, 68), (0, 59)), ((12, 48), (12, 48))])
def test_a_neurite_is_traced_to_the_face_it_leaves_by_or_to_its_last_balls_centre(ends, wanted):
    mask = drawn((20, 20, 60), *[[(10, 10, x) for x in ends]], radius=4.0)
    found = foreground(evidence_of(mask), ISOTROPIC, low=0.5, high=0.5)
    nodes = paths(found, mask.shape, spacing=ISOTROPIC, settings=DEFAULTS)
    x = nodes.position[:, 2]
    assert (x.min(), x.max()) == pytest.approx(wanted, abs=1)


@pytest.mark.parametrize('shade, detour', [(120, True), (255, False)])
def test_paths_follow_the_evidence_where_there_is_no_middle(shade, detour):
    """A sheet one voxel thick with a bright line at its rim, which is a detour."""
    evidence = np.zeros((3, 12, 40), np.uint8)
    evidence[1, 1:10, 2:38] = shade
    evidence[1, 4:9, [2, 37]], evidence[1, 8, 2:38] = 255, 255
    evidence[1, 4, [1, 38]] = 255                        # both ends
    found = foreground(evidence, ISOTROPIC, low=0.3, high=0.6)
    nodes = paths(found, evidence.shape, spacing=ISOTROPIC,
                  settings=DEFAULTS._replace(cover_scale=10.0))
    middle = np.abs(nodes.position[:, 2] - 20) < 8
    assert middle.any() and (np.abs(nodes.position[middle, 1] - 8) < 1.5).all() == detour


# --- somata ---

def ball(radius, centre, shape=(40, 40, 90)):
    grid = np.indices(shape).reshape(3, -1).T
    return (((grid - centre) ** 2).sum(1) <= radius ** 2).reshape(shape)


@pytest.mark.parametrize('ratio, least, second, radii', [
    (3.0, 4.0, 9.0, [9, 9]),                             # two somata
    (3.0, 4.0, 5.0, [9]),                                # a ball of 5 is a stem beside one of 9
    (3.0, 12.0, 9.0, []), (12.0, 4.0, 9.0, []),          # too thin; not thick for such neurites
    (0.0, 4.0, 9.0, [])])                                # no somata
def test_somata_are_balls_much_thicker_than_the_neurites(ratio, least, second, radii):
    mask = ball(9, (20, 20, 20)) | ball(second, (20, 20, 70))
    found = foreground(evidence_of(mask), ISOTROPIC, low=0.5, high=0.5)
    centres, got = somata.find(along_x(0, 9), found, spacing=ISOTROPIC, ratio=ratio, least=least)
    np.testing.assert_allclose(got, radii, atol=0.6)
    wanted = np.array([(20, 20, 20), (20, 20, 70)])[:len(radii)]
    np.testing.assert_allclose(centres, wanted, atol=0.5)


def test_a_soma_takes_the_edges_of_what_is_inside_and_drops_stubs():
    """Radius 5 at x = 10: arms end 10 and 7 from it; a stem must reach 5 + 3."""
    nodes = together(along_x(0, 18), chain((0, 3, 60), (0, 4, 60)))
    found = somata.collapse(nodes, np.array([[0.0, 0, 10]]), radii=[5.0], spacing=ISOTROPIC,
                            spur_length=3.0)
    assert found.soma.sum() == 1 and found.depth[found.soma] == 5
    # x = 0 to 4 stays, 5 to 15 is the soma, 16 and 17 are a stub; the far tree is another's
    assert sorted(found.position[:, 2]) == [0, 1, 2, 3, 4, 10, 60, 60] and trees_of(found) == 2
    assert graphs.degrees(found)[found.soma] == 1


# --- crossings ---

def cross(bend=0.0):
    """Two chains of 21 nodes that share their middle; the second bends there, degrees."""
    arm = np.arange(1, 11)[:, None]
    turned = np.radians(90 + bend)
    ends = [(0, 0, 1), (0, 0, -1), (0, -1, 0), (0, np.sin(turned), np.cos(turned))]
    nodes = together(chain((0, 0, 0)), *[chain(*(arm * np.array(end))) for end in ends])
    return linked(nodes, *[(0, 1 + 10 * k) for k in range(4)])


@pytest.mark.parametrize('bend, max_angle, count', [
    (0, 70, 2), (40, 70, 2), (40, 30, 1), (0, 0.01, 2), (60, 50, 1)])
def test_arms_that_go_straight_on_are_parted(bend, max_angle, count):
    found = crossings.uncross(cross(bend), ISOTROPIC, reach=6.0, max_angle=max_angle)
    assert trees_of(found) == count
    assert (graphs.degrees(found) > 2).sum() == (0 if count == 2 else 1)
    if count == 2:
        part = graphs.parts(found.edges, len(found.position))
        tips = {tuple(np.rint(found.position[k]).astype(int)): part[k]
                for k in np.flatnonzero(graphs.degrees(found) == 1)}
        assert len(tips) == 4 and tips[0, 0, 10] == tips[0, 0, -10] != tips[0, -10, 0]


def test_crossings_need_four_arms_near_each_other_and_no_body():
    three = graphs.select(cross(), np.arange(41) < 31)
    assert trees_of(crossings.uncross(three, ISOTROPIC, reach=6.0, max_angle=70)) == 1
    thick = cross()
    thick.depth[0] = 2.5
    assert trees_of(crossings.uncross(thick, ISOTROPIC, reach=6.0, max_angle=70)) == 1
    body = cross()
    body.soma[0] = True
    assert trees_of(crossings.uncross(body, ISOTROPIC, reach=6.0, max_angle=70)) == 1
    for gap, count in ((5, 2), (8, 1)):                  # two forks on a shaft, gap apart
        shaft = along_x(0, 40)
        sides = [chain(*[(0, sign * y, 18 + x) for y in range(1, 12)])
                 for sign, x in ((1, 0), (-1, gap))]
        nodes = linked(together(shaft, *sides), (18, 40), (18 + gap, 51))
        found = crossings.uncross(nodes, ISOTROPIC, reach=6.0, max_angle=70)
        assert trees_of(found) == count


# --- joins ---

NOTHING = np.zeros((9, 60, 60), np.uint8)


def bridged(*some, evidence=NOTHING, **values):
    nodes = together(*some)
    nodes = nodes._replace(position=nodes.position + (4, 30, 0))
    how = dict(dict(spacing=ISOTROPIC, low=0.4, max_gap=8.0, max_angle=45.0), **values)
    return joins.bridge(nodes, evidence, **how)


@pytest.mark.parametrize('gap, values, count', [
    (7, {}, 1), (9, {}, 2), (7, {'max_gap': 5.0}, 2), (7, {'max_gap': 0.0}, 2)])
def test_tips_are_joined_over_a_gap_of_so_many_dark_voxels(gap, values, count):
    found = bridged(along_x(5, 20), along_x(19 + gap, 40), **values)
    assert trees_of(found) == count
    if count == 1:                                       # a voxel a step, straight over
        assert sorted(found.position[:, 2]) == list(range(5, 40))


@pytest.mark.parametrize('outside', [-4.8, 4.8])
def test_tips_a_little_outside_of_the_stack_are_joined(outside):
    parts = [part._replace(position=part.position + (outside, 0, 0))
             for part in (along_x(5, 20), along_x(25, 40))]
    assert trees_of(bridged(*parts)) == 1


@pytest.mark.parametrize('shift, max_angle, count', [
    (2, 45, 1), (8, 45, 2), (8, 80, 1), (2, 10, 2)])
def test_bridges_go_on_in_the_tips_direction(shift, max_angle, count):
    """The other tip is 5 ahead and `shift` aside."""
    found = bridged(along_x(5, 20), along_x(24, 40, y=shift), max_angle=max_angle, max_gap=12.0)
    assert trees_of(found) == count


def test_a_tip_that_turns_its_back_is_not_joined():
    """A tip's side 7 ahead: as far as tips may be, but not sides."""
    side = chain(*[(0, y, 26) for y in range(-9, 10)])
    assert trees_of(bridged(along_x(5, 20), side)) == 2
    assert trees_of(bridged(along_x(5, 20), side._replace(position=side.position - (0, 0, 2)))) == 1


def test_a_tip_that_points_elsewhere_is_not_joined():
    """It is straight ahead, 6 away, and points across; its sides are farther than sides may be."""
    across = chain(*[(0, y, 25) for y in range(-15, 1)])
    assert trees_of(bridged(along_x(5, 20), across)) == 2
    assert trees_of(bridged(along_x(5, 20), across, max_angle=95.0)) == 1


@pytest.mark.parametrize('shift, count', [(2, 1), (4, 2)])
def test_tips_close_to_each_other_are_joined_whatever_their_directions(shift, count):
    beside = chain(*[(0, shift, 18 - k) for k in range(12)])
    assert trees_of(bridged(along_x(5, 20), beside)) == count


def test_evidence_makes_a_way_shorter_and_bridges_leave_no_loop():
    bright = NOTHING.copy()
    bright[4, 30] = 90                                   # 0.35 of 1, of a LOW of 0.4
    apart = along_x(5, 20), along_x(31, 50)
    assert [trees_of(bridged(*apart, evidence=e)) for e in (NOTHING, bright)] == [2, 1]
    three = bridged(along_x(5, 20), along_x(24, 40), along_x(24, 40, y=2))
    assert trees_of(three) == 1 and len(three.edges) == len(three.position) - 1


@pytest.mark.parametrize('gap, aside, hinted, count', [
    (24, 0, 60, 1),          # evidence of 0.3 of LOW all the way
    (24, 0, 31, 2),          # on half of it
    (24, 0, 0, 2),
    (24, 16, 60, 2),         # 34 degrees: less than the 45 of a near one, more than a far one may
    (35, 0, 60, 2),          # farther than FAR
])
def test_far_tips_are_joined_where_faint_evidence_leads_there(gap, aside, hinted, count):
    faint = NOTHING.copy()
    faint[:, :, :hinted] = 30
    found = bridged(along_x(5, 20), along_x(19 + gap, 58, y=aside), evidence=faint)
    assert trees_of(found) == count


# --- trees ---

def test_short_trees_are_left_out_but_for_somata():
    nodes = together(along_x(0, 20), along_x(0, 8, y=9), along_x(0, 3, y=20))
    nodes.soma[-1] = True
    found = trees.drop_short(nodes, ISOTROPIC, min_length=10.0)
    assert len(found.position) == 20 + 3
    assert len(trees.drop_short(nodes, (1, 1, 2), min_length=10.0).position) == 20 + 8 + 3
    alone = together(chain((0, 0, 0)), chain((0, 0, 9)))
    alone.soma[1] = True
    assert list(trees.drop_short(alone, ISOTROPIC, min_length=0.0).position[0]) == [0, 0, 9]


def test_smoothing_takes_the_staircase_and_keeps_bends_and_ends():
    stairs = chain(*[(0, (x // 3) % 2, x) for x in range(60)], depth=2)
    stairs.depth[30] = 5
    found = trees.smooth(stairs, ISOTROPIC, rounds=30)
    assert np.abs(found.position[8:-8, 1] - 0.5).max() < 0.15       # of 0.5
    np.testing.assert_array_equal(found.position[[0, -1]], stairs.position[[0, -1]])
    assert 2 < found.depth[30] < 3 and found.depth[30] > found.depth[25]
    angle = np.linspace(0, np.pi, 60)
    bend = chain(*np.stack([0 * angle, 20 * np.sin(angle), 20 * np.cos(angle)], 1))
    radius = np.linalg.norm(trees.smooth(bend, ISOTROPIC, rounds=30).position, axis=1)
    assert np.abs(radius - 20).max() < 0.2               # plain averaging: 19.5 and less


def test_a_side_branch_does_not_pull_at_its_fork():
    nodes = linked(together(along_x(0, 41), chain(*[(0, y, 20) for y in range(1, 20)])), (20, 41))
    found = trees.smooth(nodes, ISOTROPIC, rounds=30)
    np.testing.assert_allclose(found.position[:41, 1], 0, atol=1e-9)


def test_nodes_move_across_their_direction_into_the_middle():
    """A band two voxels wide, y = 10 and 11: within 2 voxels lie 5 of one and 3 of the other."""
    voxels = np.array([(5, y, x) for x in range(30) for y in (10, 11)])
    n = len(voxels)
    found = Foreground(voxels, np.ones(n), np.ones(n, np.float32), None, None, None)
    nodes = chain(*[(5, 10, x) for x in range(30)])
    moved = trees.centre(nodes, found, spacing=ISOTROPIC).position
    np.testing.assert_allclose(moved[2:-2], nodes.position[2:-2] + (0, 3 / 8, 0))
    np.testing.assert_array_equal(moved[[0, -1]], nodes.position[[0, -1]])
    bright = found._replace(p=np.where(voxels[:, 1] == 11, 1, 1 / 3).astype(np.float32))
    np.testing.assert_allclose(trees.centre(nodes, bright, spacing=ISOTROPIC).position[9, 1],
                               10 + 3 / (5 / 3 + 3), atol=1e-6)
    thick = nodes._replace(depth=np.full(30, 4.1))
    np.testing.assert_array_equal(trees.centre(thick, found, spacing=ISOTROPIC).position,
                                  nodes.position)


def test_largest_tree_comes_first():
    tree = trees.to_tree(together(chain((0, 1, 2), (3, 4, 5)), along_x(0, 8)))
    assert list(np.flatnonzero(tree.parent < 0)) == [0, 8]
    assert (tree.parent < np.arange(10)).all()


def test_roots_are_somata_or_the_thickest_nodes():
    nodes = together(along_x(0, 8), along_x(0, 6, y=9))
    nodes.depth[[2, 10]] = 3.0, 4.0
    nodes.soma[6] = True
    tree = trees.to_tree(nodes)
    roots = np.flatnonzero(tree.parent < 0)
    assert [tuple(p) for p in tree.position[roots]] == [(0, 0, 6), (0, 9, 2)]
    assert list(tree.type[roots]) == [swc.SOMA, swc.UNDEFINED] and tree.radius[roots[1]] == 4
