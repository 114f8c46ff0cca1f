"""The rasteriser: answers known by hand or from a slow, plain reference."""
import numpy as np
import pytest
from drafting import papers_radius
from scipy import ndimage

from utils.simulate import neurons, raster


def slow_label(shape, position, *, radius, parent, spacing):
    """The rasteriser's definition, voxel by voxel."""
    points = np.asarray(position, float) * spacing
    mask = np.zeros(shape, bool)
    for index in np.ndindex(*shape):
        p = np.array(index) * spacing
        for i in range(len(points)):
            inside = np.sum((p - points[i]) ** 2) <= radius[i] ** 2
            if parent[i] >= 0 and not inside:
                a, b = points[parent[i]], points[i]
                length = np.linalg.norm(b - a)
                t = np.dot(p - a, b - a) / length ** 2
                r = radius[parent[i]] + t * (radius[i] - radius[parent[i]])
                inside = 0 <= t <= 1 and np.sum((p - a - t * (b - a)) ** 2) <= r ** 2
            if inside:
                mask[index] = True
                break
    return mask


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('spacing', [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_label_equals_the_slow_reference(seed, spacing):
    rng = np.random.default_rng(seed)
    n = 6
    position = rng.uniform(-3, 17, (n, 3)) / spacing
    radius = rng.uniform(0.3, 4, n)
    parent = np.array([-1] + [int(rng.integers(i)) for i in range(1, n)])
    shape = (int(14 / spacing[0]), 14, 14)
    found = raster.label(shape, position, radius=radius, parent=parent, spacing=spacing)
    slow = slow_label(shape, position, radius=radius, parent=parent,
                      spacing=np.array(spacing))
    np.testing.assert_array_equal(found, slow)


def test_ball_and_cylinder_known_by_hand():
    assert raster.label((9, 9, 9), [[4, 4, 4]], radius=[1.0], parent=[-1]).sum() == 7
    tube = raster.label((9, 9, 20), [[4, 4, 3], [4, 4, 16]], radius=[1.0, 1.0], parent=[-1, 0])
    # 3 to 16 and a cap at each end
    assert tube[4, 4].sum() == 16 and tube[:, :, 10].sum() == 5


def test_voxels_tell_their_node_and_their_place_on_its_edge():
    """A thin edge along x, cut into pieces: t runs from 0 at the parent to 1 at the node."""
    position = [[4, 4, 2], [4, 4, 32]]
    index, row, t, _, _ = raster.voxels((9, 9, 40), position, radius=[0.4, 0.4], parent=[-1, 0])
    z, y, x = np.unravel_index(index, (9, 9, 40))
    assert (z == 4).all() and (y == 4).all() and set(x) == set(range(2, 33))
    root = row == 0
    assert x[root].tolist() == [2] and t[root].tolist() == [1]           # the root's own ball
    ball = ~root & (x == 32) & (t == 1)
    assert ball.any()
    np.testing.assert_allclose(t[~root], (x[~root] - 2) / 30, atol=1e-6)


def test_centreline_is_one_voxel_wide_and_in_tree_order():
    line, row = raster.centreline_rows((9, 9, 9), [[1, 1, 1], [1, 1, 5], [4, 1, 5]],
                                       parent=[-1, 0, 1])
    assert line.tolist() == [[1, 1, 1], [1, 1, 2], [1, 1, 3], [1, 1, 4], [1, 1, 5],
                             [2, 1, 5], [3, 1, 5], [4, 1, 5]]
    assert row.tolist() == [0, 1, 1, 1, 1, 2, 2, 2]
    outside = raster.centreline((9, 9, 4), [[1, 1, 1], [1, 1, 5]], parent=[-1, 0])
    assert outside.tolist() == [[1, 1, 1], [1, 1, 2], [1, 1, 3]]


def test_every_node_lies_in_its_label():
    tree = neurons.dendrite((64, 128, 64), np.random.default_rng(0), draw_radius=papers_radius,
                            depth=6, base_length=20)
    position = tree.position * np.array([0.5, 1, 1])
    mask = raster.label((32, 128, 64), position, radius=tree.radius, parent=tree.parent,
                        spacing=(2, 1, 1))
    mask[tuple(raster.centreline(mask.shape, position, parent=tree.parent).T)] = True
    assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1
    assert mask[tuple(np.rint(position).astype(int).T)].all()
