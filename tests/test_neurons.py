"""Growth, SWC, rasteriser and image formation: answers known by hand or from a slow, plain reference."""
import numpy as np
import pytest
from scipy import ndimage

from utils.common.errors import UserError
from utils.data import swc
from utils.simulate import background, camera, directions, light, neurons, priors, raster


def slow_label(shape, position, radius, parent, spacing):
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
    position = rng.uniform(-3, 23, (n, 3)) / spacing
    radius = rng.uniform(0.3, 4, n)
    parent = np.array([-1] + [int(rng.integers(i)) for i in range(1, n)])
    shape = (int(20 / spacing[0]), 20, 20)
    np.testing.assert_array_equal(raster.label(shape, position, radius=radius, parent=parent, spacing=spacing),
                                  slow_label(shape, position, radius, parent, np.array(spacing)))


def test_ball_and_cylinder_known_by_hand():
    assert raster.label((9, 9, 9), [[4, 4, 4]], radius=[1.0], parent=[-1]).sum() == 7
    tube = raster.label((9, 9, 20), [[4, 4, 3], [4, 4, 16]], radius=[1.0, 1.0], parent=[-1, 0])
    assert tube[4, 4].sum() == 16 and tube[:, :, 10].sum() == 5          # 3..16 and a cap at each end


def uniform(rng, depth):
    return rng.uniform(1, 3) * 0.9 ** depth


def angle(a, b):
    return np.degrees(np.arccos(np.clip(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))


def test_dendrites_follow_the_papers_numbers():
    branches, singles, deepest = [], [], 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        tree = neurons.dendrite((256, 512, 256), rng, draw_radius=uniform, depth=6, base_length=45)
        swc.check(tree)
        assert tree.type[0] == swc.SOMA and 6 <= tree.radius[0] <= 10
        stems = np.flatnonzero(tree.parent == 0)
        assert sorted(tree.type[stems]) == [swc.BASAL, swc.APICAL]
        for stem in stems:
            step = tree.position[stem] - tree.position[0]
            assert min(angle(step, [0, 1, 0]), angle(step, [0, -1, 0])) <= 15.001
            assert np.isclose(np.linalg.norm(step), 2 * tree.radius[0]) and tree.radius[stem] == tree.radius[0] / 2
        level = np.zeros(len(tree.parent), int)
        for i in range(1, len(level)):
            level[i] = level[tree.parent[i]] + 1
        assert level.max() <= 6
        deepest = max(deepest, level.max())
        for i in np.flatnonzero(level >= 2):
            p = tree.parent[i]
            siblings = np.flatnonzero(tree.parent == p)
            turn = angle(tree.position[i] - tree.position[p], tree.position[p] - tree.position[tree.parent[p]])
            length = np.linalg.norm(tree.position[i] - tree.position[p]) / (45 * 0.9 ** level[i])
            assert 0.8 - 1e-6 <= length <= 1.2 + 1e-6 and turn <= 45.001
            assert 1 * 0.9 ** level[i] <= tree.radius[i] <= 3 * 0.9 ** level[i]
            (singles if len(siblings) == 1 else branches).append(turn)
            if tree.type[i] == swc.APICAL and level[i] <= 4:
                assert len(siblings) == 1                                # the unbranched trunk
        assert (tree.position - tree.radius[:, None] >= 0).all()
        assert (tree.position + tree.radius[:, None] <= np.array([255, 511, 255])).all()
    assert min(branches) >= 19.999 and np.median(singles) < 15 and deepest == 6


def test_axons_are_unbranched_and_smooth():
    for seed in range(12):
        tree = neurons.axon((256, 512, 256), np.random.default_rng(seed), draw_radius=uniform, depth=10, base_length=45)
        swc.check(tree)
        children = np.bincount(tree.parent[1:], minlength=len(tree.parent))
        assert (tree.type == swc.AXON).all() and children[0] <= 2 and (children[1:] <= 1).all()
        for i in range(1, len(tree.parent)):
            p = tree.parent[i]
            if p > 0:
                assert angle(tree.position[i] - tree.position[p],
                             tree.position[p] - tree.position[tree.parent[p]]) <= 30.001


def test_siblings_stay_in_the_middle_third_of_their_sectors():
    rng = np.random.default_rng(0)
    for n in (2, 3, 4):
        for _ in range(50):
            gaps = np.diff(np.sort(directions.fork_azimuths(n, rng)))
            assert (gaps >= 360 / n * 2 / 3 - 1e-9).all() and (gaps <= 360 / n * 4 / 3 + 1e-9).all()


def test_swc_round_trip_and_bad_files(tmp_path):
    tree = neurons.dendrite((256, 512, 256), np.random.default_rng(3), draw_radius=uniform, depth=6, base_length=45)
    path = tmp_path / 'a.swc'
    swc.write(str(path), tree, comment='a comment')
    back = swc.read(str(path))
    np.testing.assert_array_equal(back.parent, tree.parent)
    np.testing.assert_array_equal(back.type, tree.type)
    np.testing.assert_allclose(back.position, tree.position, atol=5e-4)
    for text, words in (('1 1 0 0 0 1 7\n', 'parent 7'), ('1 1 0 0 0\n', 'seven'), ('', 'no nodes'),
                        ('1 1 0 0 0 1 2\n2 1 0 0 0 1 -1\n', 'root')):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            swc.read(str(path))
    with pytest.raises(UserError, match='one root'):
        swc.write(str(path), tree._replace(parent=np.where(np.arange(len(tree.parent)) == 3, -1, tree.parent)))


def test_gold_swc_files_are_read(shared):
    for name in ('6656_2304_21504_gold.swc', '6656_2304_22016_gold.swc'):
        assert len(swc.read('%s/swc/%s' % (shared, name)).parent) > 100


def test_every_node_lies_in_its_label():
    tree = neurons.dendrite((64, 128, 64), np.random.default_rng(0), draw_radius=uniform, depth=6, base_length=20)
    scale = np.array([0.5, 1, 1])
    mask = raster.label((32, 128, 64), tree.position * scale, radius=tree.radius, parent=tree.parent, spacing=(2, 1, 1))
    mask[tuple(raster.centreline(mask.shape, tree.position * scale, parent=tree.parent).T)] = True
    assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1
    assert mask[tuple(np.rint(tree.position * scale).astype(int).T)].all()


def test_stain_keeps_half_the_voxels_and_their_mean():
    lit = light.stain(np.full(40000, 300.0), 0.5, rng=np.random.default_rng(0))
    assert abs((lit > 0).mean() - 0.5) < 0.01 and abs(lit.mean() - 150) < 3
    assert abs(lit[lit > 0].std() - np.sqrt(300)) < 1                  # Poisson


def test_debris_spares_the_neuron_and_keeps_its_number():
    mask = np.zeros((30, 60, 60), bool)
    mask[10:20] = True
    radii, levels = np.full(50, 2.0), np.arange(1.0, 51.0)
    balls = light.debris(mask.shape, mask, radii=radii, levels=levels, spacing=(2, 1, 1), rng=np.random.default_rng(0))
    index, ball, level = balls
    assert not mask.ravel()[index].any() and (np.diff(ball) >= 0).all() and np.array_equal(level, levels[ball])
    assert sorted(set(ball)) == list(range(50))                            # every ball found a place
    whole = np.bincount(ball).argmax()
    z, y, x = np.unravel_index(index[ball == whole], mask.shape)
    assert np.ptp(z) <= 2 and np.ptp(y) <= 4 and np.ptp(x) <= 4 and len(z) > 10


def test_the_papers_background_has_its_moments():
    image = np.concatenate([slab for _, slab in background.white((30, 60, 60), 120, std=7, rng=np.random.default_rng(0))])
    assert image.shape == (30, 60, 60) and abs(image.mean() - 120) < 0.2 and abs(image.std() - 7) < 0.1
    assert abs(np.corrcoef(image[:, :, 1:].ravel(), image[:, :, :-1].ravel())[0, 1]) < 0.01


@pytest.mark.parametrize('dtype, high', [(np.uint8, 255), (np.uint16, 65535)])
def test_to_dtype_rounds_and_clips(dtype, high):
    result = camera.to_dtype(np.array([-5, 0.4, 1.6, 1e6], np.float32), dtype)
    assert result.tolist() == [0, 0, 2, high] and result.dtype == dtype


def test_the_papers_priors():
    paper = priors.Priors(None, 16)
    draws = np.array([paper.grey_levels('axon', rng=np.random.default_rng(i)) for i in range(300)])
    assert draws[:, 0].min() >= 100 and draws[:, 0].max() < 1000 and draws[:, 1].min() >= 1 and draws[:, 1].max() < 200
    assert draws[:, 2].max() < 20
    radii = [paper.draw_radius(np.random.default_rng(i), 2) for i in range(200)]
    assert min(radii) >= 0.81 and max(radii) <= 3 * 0.81 and max(radii) > 2
