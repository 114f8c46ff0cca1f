"""The simulator beyond the paper's model: shapes, light, texture, measured priors, whole drafts."""
import importlib

import numpy as np
import pytest
from scipy import ndimage

from utils.common.errors import UserError
from utils.data import swc
from utils.measure import otsu, pool, quantiles, stack
from utils.simulate import (background, branches, drafts, fibres, light, neurites, neurons, optics, priors, raster, reconstructions, shapes, textures)
from drafting import draw, settings_of


# --- trees ---

def test_subdivided_edges_are_straight_and_short():
    tree = swc.Tree(np.array([1, 2, 2]), np.array([[0., 0, 0], [0, 0, 10], [0, 7, 0]]), np.array([3., 1, 2]),
                    np.array([-1, 0, 0]))
    fine = branches.subdivide(tree, 2.0)
    swc.check(fine)
    assert len(fine.parent) == 1 + 5 + 4
    np.testing.assert_allclose(fine.position[:6, 2], [0, 2, 4, 6, 8, 10])
    np.testing.assert_allclose(fine.radius[:6], [3, 2.6, 2.2, 1.8, 1.4, 1])
    assert fine.parent.tolist() == [-1, 0, 1, 2, 3, 4, 0, 6, 7, 8]
    assert [len(run) for run in branches.sections(fine.parent)] == [6, 5]


def test_winding_keeps_ends_and_reaches_the_wanted_tortuosity():
    length, persistence = 60.0, branches.persistence_of(1.1)
    tree = swc.Tree(np.array([2, 2]), np.array([[0., 0, 0], [0, 0, length]]), np.ones(2), np.array([-1, 0]))
    found = []
    for seed in range(200):
        bent = branches.wind(tree, persistence, rng=np.random.default_rng(seed))
        np.testing.assert_allclose(bent.position[[0, -1]], tree.position)
        steps = np.sqrt((np.diff(bent.position, axis=0) ** 2).sum(1))
        found.append(steps.sum() / length)
        assert steps.max() < 6                                       # smooth: no jumps between nodes
    assert 1.08 < np.mean(found) < 1.25                              # 1 + 60 / (6 * 66.7) = 1.15 is wanted
    straight = branches.wind(tree, np.inf, rng=np.random.default_rng(0))
    assert np.abs(straight.position[:, :2]).max() == 0


@pytest.mark.parametrize('persistence', [30.0, 150.0])
def test_walks_lose_their_direction_over_the_persistence_length(persistence):
    rng = np.random.default_rng(0)
    n = 400
    walks = fibres.walk(np.zeros((n, 3)) + 1e4, np.tile([0, 0, 1.0], (n, 1)), length=np.full(n, 120.0), persistence=persistence, limits=[2e4] * 3, rng=rng)
    assert all(len(w) == 60 for w in walks)
    steps = np.diff(np.array(walks), axis=1)
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    cosine = (steps[:, 40] * steps[:, 10]).sum(1).mean()             # 60 voxels apart
    assert abs(cosine - np.exp(-60 / persistence)) < 0.12


def test_fibres_fill_to_the_wanted_length_inside_the_volume():
    shape = (60, 80, 100)
    trees = fibres.fibres(shape, np.random.default_rng(0), total=2000, habit=fibres.Habit(80.0, 60.0, 60.0))
    total = sum(swc.length_of(t) for t in trees)
    assert 1500 < total < 2600
    for tree in trees:
        swc.check(tree)
        assert (tree.position >= 0).all() and (tree.position <= np.array(shape) - 1).all()
    assert any((np.bincount(t.parent[t.parent >= 0]) > 1).any() for t in trees)          # some branch


def test_crop_makes_roots_of_cut_branches_and_join_keeps_order():
    tree = swc.Tree(np.full(6, 2), np.array([[5., 5, x] for x in (1, 3, 12, 8, 6, 4)]), np.ones(6), np.arange(-1, 5))
    cut = reconstructions.crop(tree, (10, 10, 10))
    assert cut.position[:, 2].tolist() == [1, 3, 8, 6, 4] and cut.parent.tolist() == [-1, 0, -1, 2, 3]
    both = swc.join([cut, cut])
    assert both.parent.tolist() == [-1, 0, -1, 2, 3, -1, 5, -1, 7, 8]


def test_pyramid_boutons_and_taper_change_radii_only_where_they_should():
    tree = neurons.dendrite((128, 256, 128), np.random.default_rng(1), draw_radius=lambda rng, depth: 1.5, depth=6, base_length=30)
    soma = shapes.pyramid(tree, np.random.default_rng(0))
    extra = np.arange(len(tree.parent), len(soma.parent))
    assert len(extra) in (3, 4) and (soma.type[extra] == swc.SOMA).all() and (soma.parent[extra] == 0).all()
    reach = np.linalg.norm(soma.position[extra] - soma.position[0], axis=1) + soma.radius[extra]
    assert (reach <= 1.7 * tree.radius[0]).all() and (reach > soma.radius[0]).any()
    fine = branches.subdivide(neurons.axon((128, 256, 128), np.random.default_rng(1), draw_radius=lambda rng, depth: 1.0, depth=10, base_length=30))
    swollen = shapes.boutons(fine, 20.0, rng=np.random.default_rng(0))
    ratio = swollen.radius / fine.radius
    assert ratio.min() >= 1 and ratio.max() > 1.3 and np.median(ratio) < 1.2
    assert np.isclose(shapes.taper(fine, 0.5).radius.min(), 0.5) and shapes.taper(fine, 0.5).radius[0] == 1


def test_pose_keeps_lengths_and_fills_the_volume():
    rng = np.random.default_rng(0)
    tree = neurons.axon((400, 400, 400), rng, draw_radius=lambda rng, depth: 2.0, depth=10, base_length=40)
    placed = reconstructions.pose(tree, (1000, 1000, 1000), scale=(1, 1, 1), rng=rng)
    assert np.isclose(swc.length_of(placed), swc.length_of(tree)) and (placed.radius == 2).all()
    assert len(reconstructions.pose(tree, (40, 40, 40), scale=(1, 1, 1), rng=rng).parent) < len(placed.parent)


@pytest.mark.parametrize('seed', range(40))
def test_fibres_that_leave_at_once_are_no_trouble(seed):
    fibres.fibres((24, 40, 40), np.random.default_rng(seed), total=300, habit=fibres.Habit(80.0, 40.0, 40.0))


def test_brightness_drifts_over_its_length_on_straight_neurites_too():
    levels = []
    for seed in range(6):
        cfg = settings_of(AXON_SHARE=1.0, LEVEL_DRIFT=0.5, VOLUME_SHAPE=(256, 256, 256))
        _, trees = neurites.grow(cfg, priors.Priors(None, 16), rng=np.random.default_rng(seed))
        levels.append(np.log(light.brightness(trees[0], 100.0, light=cfg.light, blur=1.0, prior=priors.Priors(None, 16), rng=np.random.default_rng(seed))))
    near, far = [np.mean([np.corrcoef(v[k:], v[:-k])[0, 1] for v in levels]) for k in (1, 20)]
    assert near > 0.75 and far < 0.4                                 # 2 and 40 voxels apart, 20 voxels of drift


# --- light ---

def test_sparse_blur_equals_the_dense_one_and_slabs_add_up():
    rng = np.random.default_rng(0)
    shape, sigma = (50, 90, 110), (0.6, 1.0, 1.3)
    dark = np.zeros(shape, np.float32)
    at = rng.integers(0, dark.size, 4)
    dark.ravel()[at] = rng.uniform(1, 100, 4)
    dense = ndimage.gaussian_filter(dark, sigma, mode='constant')
    index, ball, level = np.array([5, 6, 7, dark.size - 1]), np.array([0, 0, 0, 2]), np.array([30.0, 30, 30, 10])
    spot = np.zeros(shape, np.float32)
    spot.ravel()[index] = level
    dense += ndimage.gaussian_filter(spot, sigma, mode='constant')
    boxes = optics.blur(dark.copy(), at, sigma=sigma)
    assert len(boxes) > 1                                            # the sparse way was taken
    boxes = sorted(boxes + optics.blur_balls(shape, light.Balls(index, ball, level), sigma=sigma), key=lambda b: b[0])
    found = np.zeros(shape, np.float32)
    for z in range(0, 50, 8):
        rows = slice(z, min(z + 8, 50))
        boxes = optics.add_light(found[rows], rows, boxes=boxes)
    np.testing.assert_allclose(found, dense, atol=1e-4)
    everywhere = optics.blur(np.ones(shape, np.float32), np.arange(dark.size), sigma=sigma)
    assert len(everywhere) == 1 and everywhere[0][1].shape == shape


def test_measured_point_spread_function_is_used_as_it_is():
    kernel = np.zeros((3, 5, 5))
    kernel[1, 2, 2], kernel[1, 2, 4] = 0.75, 0.25
    light = np.zeros((9, 20, 20), np.float32)
    light[4, 10, 10] = 8
    found = optics.convolve(light, kernel)
    assert abs(found[4, 10, 10] - 6) < 1e-4 and abs(found[4, 10, 12] - 2) < 1e-4 and abs(found.sum() - 8) < 1e-3


def test_point_spread_function_files_are_centred_or_refused(tmp_path):
    from utils.data import stacks
    spot = np.full((11, 20, 21), 10, np.uint16)
    spot[3, 8, 12] = 500
    stacks.write(str(tmp_path / 'psf.tif'), spot)
    kernel = optics.read_psf(str(tmp_path / 'psf.tif'))
    assert all(n % 2 for n in kernel.shape) and np.isclose(kernel.sum(), 1)
    assert np.unravel_index(kernel.argmax(), kernel.shape) == tuple(n // 2 for n in kernel.shape)
    stacks.write(str(tmp_path / 'psf.tif'), np.full((80, 80, 80), 7, np.uint16))
    with pytest.raises(UserError, match='point-spread'):
        optics.read_psf(str(tmp_path / 'psf.tif'))
    assert draw(1, PSF_SIGMA=(0.0, 0.0, 0.0)).image.max() > 0


# --- background ---

def test_smooth_fields_have_their_variance_and_width():
    shape, sigma = (64, 128, 128), (2.0, 3.0, 3.0)
    field = np.concatenate([f for _, f in background.smooth_field(shape, [(sigma, 4.0)], rng=np.random.default_rng(0))])
    assert field.shape == shape and abs(field.std() - 2) < 0.15
    gaussian = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(shape), sigma)
    for lag in (2, 4):
        a, b = [np.corrcoef(f[:, :, lag:].ravel(), f[:, :, :-lag].ravel())[0, 1] for f in (field, gaussian)]
        assert abs(a - b) < 0.07


def test_textures_keep_grey_levels_and_correlation():
    levels = 1000 + 400 * quantiles.BACKGROUND ** 3                     # skewed
    lags = np.array(quantiles.LAGS)
    wanted = [0.5 * np.exp(-lags ** 2 / (4 * 3.0 ** 2)) + 0.3 * (lags == 1) for _ in range(3)]
    texture = textures.fit(levels, wanted)
    image = np.concatenate([f for _, f in background.textured((64, 128, 128), texture, rng=np.random.default_rng(0))])
    np.testing.assert_allclose(np.quantile(image, [0.05, 0.5, 0.95]), np.interp([0.05, 0.5, 0.95], quantiles.BACKGROUND, levels), atol=15)
    for axis in range(3):
        for k, lag in enumerate(lags[:4]):
            a, b = np.take(image, range(lag, 64), axis), np.take(image, range(0, 64 - lag), axis)
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1] - wanted[axis][k]) < 0.1


def test_texture_without_correlation_is_white():
    texture = textures.fit(90 + 20 * quantiles.BACKGROUND, [[0.0] * len(quantiles.LAGS)] * 3)
    assert texture.components == [] and texture.fine == (0, 0, 0)
    image = np.concatenate([f for _, f in background.textured((20, 50, 60), texture, rng=np.random.default_rng(0))])
    assert image.shape == (20, 50, 60) and abs(image.mean() - 100) < 0.2


# --- the camera's and the light's switches: each changes what it says, and only that ---

@pytest.mark.parametrize('change, holds', [
    (dict(OFFSET=500.0), lambda a, b: np.abs(b.image[a.image > 0] - 500.0 - a.image[a.image > 0]).max() <= 1),
    (dict(SATURATION=150.0), lambda a, b: b.image.max() == 150 and np.array_equal(b.image, np.minimum(a.image, 150))),
    (dict(READ_NOISE=40.0), lambda a, b: 35 < (b.image.astype(float) - a.image)[a.image > 150].std() < 45),
    (dict(GAIN=4.0), lambda a, b: b.image.std() > a.image.std() and abs(b.image.mean() / a.image.mean() - 1) < 0.02),
    (dict(ATTENUATION=10.0), lambda a, b: np.array_equal(b.image[0], a.image[0])
     and np.allclose(b.image[-1].mean() / a.image[-1].mean(), np.exp(-31 / 10), rtol=0.05)),
    (dict(ILLUMINATION=0.3), lambda a, b: 0.02 < np.std(b.image.mean((0, 1)) / a.image.mean((0, 1))) < 0.6),
    (dict(DEBRIS=0.0), lambda a, b: b.image[b.label == 0].max() < a.image[a.label == 0].max()),
    (dict(LEVEL=(5000.0, 6000.0)), lambda a, b: b.image[b.label == 1].mean() > 1000),
    (dict(LEVEL_DRIFT=2.0), lambda a, b: b.image[b.label == 1].std() > a.image[a.label == 1].std()),
    (dict(PSF_SIGMA=(3.0, 2.0, 2.0)), lambda a, b: b.image.max() < 0.5 * a.image.max()),
    (dict(PSF_WING_SHARE=0.5), lambda a, b: b.image[a.label == 1].mean() < 0.8 * a.image[a.label == 1].mean()
     and abs(b.image.mean() / a.image.mean() - 1) < 0.05),
    (dict(TEXTURE=0.2), lambda a, b: b.image[b.label == 0].std() > 1),
    (dict(BITS=8), lambda a, b: b.image.dtype == np.uint8),
    (dict(EXTERNAL_PRIORS=False), lambda a, b: len(np.unique(b.image)) == 2),
])
def test_every_switch_of_the_image(change, holds):
    base = dict(AXON_SHARE=1.0, DEBRIS=3000.0)
    before, after = draw(2, **base), draw(2, **dict(base, **change))
    assert np.array_equal(before.label, after.label)
    assert holds(before, after)


@pytest.mark.parametrize('change', [
    dict(DENSITY=0.002), dict(TORTUOSITY=1.15, AXON_SHARE=1.0), dict(SOMA_SHAPE='pyramid', AXON_SHARE=0.0),
    dict(RADIUS=(4.0, 4.5)), dict(BOUTON_SPACING=8.0, AXON_SHARE=1.0), dict(TAPER=0.8),
])
def test_every_switch_of_the_shape(change):
    before, after = draw(3, AXON_SHARE=change.get('AXON_SHARE', 0.5)), draw(3, **change)
    assert not np.array_equal(before.label, after.label)


@pytest.mark.parametrize('change', [
    dict(AXON_SHARE=0.0), dict(AXON_SHARE=1.0, TORTUOSITY=1.2, DENSITY=0.003, BOUTON_SPACING=10.0),
    dict(AXON_SHARE=0.0, SOMA_SHAPE='pyramid', TORTUOSITY=1.1, VOXEL_SIZE=(1.5, 1.0, 1.0), RADIUS=(0.3, 0.5))])
def test_every_node_lies_in_its_label_and_instances_cover_it(change):
    draft = draw(5, INSTANCES=True, **change)
    swc.check(draft.tree, one_root=False)
    assert draft.label[tuple(np.rint(draft.tree.position).astype(int).T)].all()
    assert np.array_equal(draft.instance > 0, draft.label > 0)
    assert draft.label[tuple(draft.line.T)].all()
    owner = np.zeros(len(draft.tree.parent), int)                    # tree of each node
    for i, p in enumerate(draft.tree.parent):
        owner[i] = i if p < 0 else owner[p]
    assert draft.instance.max() <= len(set(owner))


def test_given_reconstructions_are_drawn(tmp_path):
    tree = neurons.axon((200, 200, 200), np.random.default_rng(0), draw_radius=lambda rng, depth: 0.0, depth=10, base_length=40)
    swc.write(str(tmp_path / 'a.swc'), tree)
    draft = draw(1, SWC_DIR=str(tmp_path))
    assert draft.kind == 'swc' and (draft.tree.radius >= 1).all() and draft.label.sum() > 300   # radius 0 filled
    (tmp_path / 'a.swc').write_text('1 2 0 0 0 1 -1\n2 2 3 0 0 1 1\n')                      # three voxels long
    with pytest.raises(UserError, match='SWC_SCALE'):
        draw(1, SWC_DIR=str(tmp_path))


@pytest.mark.parametrize('text, words', [
    (b'# Ren\xe9\n1 2 0 0 0 1 -1\n1 2 3 0 0 1 -1\n', 'one id to two'), (b'1 2 nan 0 0 1 -1\n', 'not finite'),
    (b'\x00\xff\xfe', 'seven numbers'), (b'1 2 0 0 0 1 -1\n2 2 1e9 0 0 1 1\n', 'SWC_SCALE')])
def test_odd_reconstructions_are_refused_in_one_line(tmp_path, text, words):
    (tmp_path / 'a.swc').write_bytes(text)
    with pytest.raises(UserError, match=words):
        draw(1, SWC_DIR=str(tmp_path))


def test_gold_reconstructions_are_drawn(shared):
    draft = draw(0, SWC_DIR='%s/swc' % shared)
    assert draft.kind == 'swc' and draft.label[tuple(np.rint(draft.tree.position).astype(int).T)].all()


def test_pyneval_scores_a_written_tree_against_itself_as_perfect(tmp_path):
    swc_io = importlib.import_module('pyneval.pyneval_io.swc_io')
    defaults = importlib.import_module('pyneval.metric.utils.config_utils').get_default_configs
    manager = importlib.import_module('pyneval.metric.utils.metric_manager').get_metric_manager()
    draft = draw(4, AXON_SHARE=0.0, DENSITY=0.001)
    path = str(tmp_path / 'a.swc')
    swc.write(path, draft.tree, one_root=False)
    for module, name, wanted in (('ssd', 'ssd', {'recall': 1, 'precision': 1, 'ssd_score': 0}),
                                 ('length', 'length', {'recall': 1, 'precision': 1}),
                                 ('critical_node', 'cn', {'recall': 1, 'precision': 1}),
                                 ('diadem', 'diadem', {'diadem_score': 1})):
        importlib.import_module('pyneval.metric.%s_metric' % module)            # importing registers it
        score = manager.get_metric_method(name)(gold_swc_tree=swc_io.read_swc_tree(path),
                                                test_swc_tree=swc_io.read_swc_tree(path), config=defaults(name))[0]
        for key, value in wanted.items():
            assert abs(score[key] - value) < 1e-6, (name, score)


# --- measuring ---

def measured_draft(bits=16, **values):
    cfg = dict(AXON_SHARE=1.0, VOLUME_SHAPE=(96, 128, 128), VOXEL_SIZE=(1.0, 1.0, 1.0), DENSITY=0.0012, TORTUOSITY=1.06,
               DEBRIS=0.0, BITS=bits, RADIUS=(1.2, 1.6), STAINED_SHARE=0.9)
    draft = draw(7, **dict(cfg, **values))
    found = otsu.segment(draft.image, otsu.Settings(32, 1.0, 0.995, min_object=50))
    return draft, stack.measure(draft.image, found, skeleton=otsu.centreline(found.mask))


def test_measurements_find_what_was_drawn():
    _, seen = measured_draft(LEVEL=(1500.0, 1500.0), PSF_SIGMA=(1.6, 1.0, 1.0), OFFSET=300.0)
    assert 0.5 < seen['density'] / 0.0012 < 1.5
    assert 1.2 < seen['blur_sigma'][0] / seen['blur_sigma'][2] < 2
    assert 1.0 <= np.median(seen['tortuosity_quantiles']) < 1.2 and 20 < seen['persistence'] < 400
    assert 500 < seen['level_quantiles'][12] < 1500 and seen['background']['median'] > 300
    assert all(-0.2 < v < 0.3 for v in seen['correlation'][2][1:5])      # white noise
    assert seen['saturated_fraction'] == 0


@pytest.mark.parametrize('change', [
    dict(bits=8, LEVEL=(150.0, 200.0), OFFSET=-15.0),                    # background clipped at 0
    dict(LEVEL=(90000.0, 90000.0)),                                      # saturated neurites
    dict(DENSITY=0.012, LEVEL=(1500.0, 1500.0)),                         # crowded
])
def test_measurements_stand_hard_stacks_and_can_be_drawn_from(change):
    draft, seen = measured_draft(**change)
    assert all(seen[key] is not None for key in ('radius_quantiles', 'level_quantiles', 'width_quantiles', 'background'))
    known = pool.pool({'a': seen})
    known['drawn'] = {'radius_quantiles': seen['radius_quantiles'], 'level_quantiles': seen['level_quantiles'],
                      'density': seen['density'], 'keep': 0.8, 'halo': 0.1, 'blur_sigma': seen['blur_sigma']}
    again = draw(0, measured=known, AXON_SHARE=1.0, BITS=8 if draft.image.dtype == np.uint8 else 16)
    low, high = [np.median(image[label == 0]) for image, label in ((draft.image, draft.label), (again.image, again.label))]
    assert abs(high - low) <= 0.2 * max(low, 10)


def test_paper_neuron_is_what_rasteriser_and_growth_give():
    """With every extra off the draft's label is the plain union of balls and cones."""
    cfg = settings_of(AXON_SHARE=0.0)
    rng = np.random.default_rng(11)
    kind, trees = neurites.grow(cfg, priors.Priors(None, 16), rng=rng)
    assert kind == 'dendrite' and len(trees) == 1
    draft = drafts.draw(cfg, priors.Priors(None, 16), rng=np.random.default_rng(11))
    position = trees[0].position / [2, 1, 1]
    plain = raster.label((32, 96, 80), position, radius=trees[0].radius, parent=trees[0].parent, spacing=(2, 1, 1))
    plain[tuple(raster.centreline(plain.shape, position, parent=trees[0].parent).T)] = True
    np.testing.assert_array_equal(draft.label > 0, plain)
    np.testing.assert_allclose(draft.tree.position, position)
