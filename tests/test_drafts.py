"""Whole drafts: each switch does what it says; labels, trees and instances agree."""
import numpy as np
import pytest
from drafting import draw, settings_of
from scipy import ndimage, special
from test_priors import known

from utils.common.errors import UserError
from utils.data import swc
from utils.simulate import drafts, exposures, neurites, priors, raster, settings


# --- the light's and the camera's switches: each changes what it says, and only that ---

def inside(draft, label):
    """Mean grey level of the labelled voxels."""
    return draft.image[label == 1].mean()


@pytest.mark.parametrize('change, holds', [
    (dict(OFFSET=500.0),
     lambda a, b: np.abs(b.image[a.image > 0] - 500.0 - a.image[a.image > 0]).max() <= 1),
    (dict(SATURATION=150.0),
     lambda a, b: b.image.max() == 150 and np.array_equal(b.image, np.minimum(a.image, 150))),
    (dict(READ_NOISE=40.0),
     lambda a, b: 35 < (b.image.astype(float) - a.image)[a.image > 150].std() < 45),
    (dict(GAIN=4.0), lambda a, b: b.image.std() > a.image.std()
     and abs(b.image.mean() / a.image.mean() - 1) < 0.02),
    (dict(ATTENUATION=10.0), lambda a, b: np.array_equal(b.image[0], a.image[0]) and np.allclose(
        b.image[-1].mean() / a.image[-1].mean(), np.exp(-31 / 10), rtol=0.05)),
    (dict(ILLUMINATION=0.3),
     lambda a, b: 0.02 < np.std(b.image.mean((0, 1)) / a.image.mean((0, 1))) < 0.6),
    (dict(DEBRIS=0.0), lambda a, b: b.image[b.label == 0].max() < a.image[a.label == 0].max()),
    (dict(LEVEL=(5000.0, 6000.0)), lambda a, b: inside(b, b.label) > 1000),
    (dict(LEVEL_DRIFT=2.0),
     lambda a, b: b.image[b.label == 1].std() > a.image[a.label == 1].std()),
    (dict(STAINED_SHARE=1.0), lambda a, b: 1.8 < inside(b, a.label) / inside(a, a.label) < 2.2),
    (dict(PSF_SIGMA=(3.0, 2.0, 2.0)), lambda a, b: b.image.max() < 0.5 * a.image.max()),
    (dict(PSF_WING_SHARE=0.5), lambda a, b: inside(b, a.label) < 0.8 * inside(a, a.label)
     and abs(b.image.mean() / a.image.mean() - 1) < 0.05),
    (dict(TEXTURE=0.2), lambda a, b: b.image[b.label == 0].std() > 1),
    (dict(BITS=8), lambda a, b: b.image.dtype == np.uint8),
    (dict(EXTERNAL_PRIORS=False), lambda a, b: len(np.unique(b.image)) == 2
     and (b.image[b.label == 0] == 1).all() and 100 < b.image.max() <= 1000),
])
def test_every_switch_of_the_image(change, holds):
    base = dict(AXON_SHARE=1.0, DEBRIS=3000.0)
    before, after = draw(2, **base), draw(2, **dict(base, **change))
    assert np.array_equal(before.label, after.label)
    assert holds(before, after)


def one_spot(levels=priors.GreyLevels(1, 0, 0.0), spot=1e4, **constants):
    """The image of a single voxel's light, voxels of 2, 1, 1 um, on a background."""
    values = settings_of(VOLUME_SHAPE=(48, 48, 48), VOXEL_SIZE=(2.0, 1.0, 1.0), DEBRIS=0.0,
                         STAINED_SHARE=1.0, **constants)
    shape, _ = settings.grid(values.stack)
    light, label = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    middle = tuple(n // 2 for n in shape)
    light[middle], label[middle] = spot, 1
    image = exposures.expose(exposures.Scene(light, label, levels), values,
                             prior=priors.Priors(None, 16), rng=np.random.default_rng(0))
    return image.astype(float)


def variances(image):
    """Of the light along z, y, x; voxels^2."""
    found = []
    for axis in range(3):
        line = image.sum(tuple(a for a in range(3) if a != axis))
        place = np.arange(len(line))
        mean = (line * place).sum() / line.sum()
        found.append((line * (place - mean) ** 2).sum() / line.sum())
    return found


def test_the_point_spread_function_is_um_of_each_axis():
    image = one_spot(PSF_SIGMA=(3.0, 1.0, 2.0))          # voxels of 2, 1, 1 um
    np.testing.assert_allclose(variances(image), [2.25, 1, 4], rtol=0.1)
    assert abs(image.sum() / 1e4 - 1) < 0.05


def test_wings_have_their_share_and_width():
    """A share s with sigmas w times as wide: variance (1 - s) + s w^2 of the narrow one's."""
    image = one_spot(PSF_SIGMA=(2.0, 1.0, 1.0), PSF_WING_SHARE=0.5, PSF_WING_WIDTH=2.0,
                     PSF_WING_DEPTH=3.0)
    np.testing.assert_allclose(variances(image), [5.0, 2.5, 2.5], rtol=0.15)
    assert abs(image.sum() / 1e4 - 1) < 0.05


def test_a_measured_point_spread_function_takes_the_gaussians_place():
    kernel = np.zeros((1, 1, 3))
    kernel[0, 0] = 0.25, 0.5, 0.25
    base = dict(AXON_SHARE=1.0, LEVEL=(5000.0, 5000.0))
    sharp, seen = draw(2, PSF_SIGMA=(0.0, 0.0, 0.0), **base), draw(2, psf=kernel, **base)
    image = sharp.image.astype(float)
    wanted = 0.5 * image[:, :, 1:-1] + 0.25 * (image[:, :, :-2] + image[:, :, 2:])
    near = ndimage.binary_dilation(sharp.label[:, :, 1:-1] > 0)
    assert np.corrcoef(seen.image[:, :, 1:-1][near], wanted[near])[0, 1] > 0.99


def test_a_texture_is_as_strong_and_as_coarse_as_it_says():
    """Std 0.2 of the mean; sigmas of 4, 2, 2 um on voxels of 2, 1, 1 um are 2 voxels each."""
    image = one_spot(priors.GreyLevels(1, 3000, 0.0), 0, TEXTURE=0.2, TEXTURE_SIGMA=(4.0, 2.0, 2.0))
    assert abs(image.mean() / 3000 - 1) < 0.03 and abs(image.std() / 600 - 1) < 0.15
    rough = [np.diff(image, axis=axis).std() for axis in range(3)]
    assert max(rough) < 1.15 * min(rough)


def test_uneven_illumination_falls_on_all_light_in_um_of_each_axis():
    image = one_spot(priors.GreyLevels(1, 3000, 0.0), 0, ILLUMINATION=0.2, ILLUMINATION_SIGMA=4.0)
    assert 0.1 < np.log(image / 3000).std() < 0.3
    rough = [np.diff(image, axis=axis).std() for axis in range(3)]       # sigmas of 2, 4, 4 voxels
    assert 1.5 < rough[0] / rough[2] < 2.7 and 0.75 < rough[1] / rough[2] < 1.3


def test_debris_is_as_many_as_the_volume_holds():
    base = dict(AXON_SHARE=1.0, VOLUME_SHAPE=(64, 128, 64), PSF_SIGMA=(0.0, 0.0, 0.0),
                VOXEL_SIZE=(1.0, 1.0, 1.0), LEVEL=(0.0, 0.0), OFFSET=10.0)
    counts = []
    for seed in range(4):
        without, some = draw(seed, DEBRIS=0.0, **base), draw(seed, DEBRIS=2048, **base)
        bright = some.image > without.image.max() + 20
        counts.append(ndimage.label(bright, np.ones((3, 3, 3)))[1])
    assert 24 <= np.mean(counts) <= 32                   # 2048 / 64, some of them dim or touching


def test_debris_is_seen_through_a_measured_blur_where_there_is_one(monkeypatch):
    blurs, plain = [], priors.Priors.draw_debris

    def watched(self, *given, blur, rng):
        blurs.append(blur)
        return plain(self, *given, blur=blur, rng=rng)
    monkeypatch.setattr(priors.Priors, 'draw_debris', watched)
    kernel = np.zeros((1, 1, 7))
    kernel[0, 0, ::6] = 0.5                              # 3 voxels to either side
    for psf in (None, kernel):
        draw(0, AXON_SHARE=1.0, PSF_SIGMA=(0.5, 0.5, 0.5), VOXEL_SIZE=(1.0, 1.0, 1.0), psf=psf)
    assert blurs == pytest.approx([0.5, 1.0])            # mean over the axes


def test_no_debris_lies_in_a_neurite():
    draft = draw(0, AXON_SHARE=1.0, RADIUS=(8.0, 9.0), LEVEL=(0.0, 0.0), DEBRIS=60000,
                 PSF_SIGMA=(0.0, 0.0, 0.0), OFFSET=10.0)
    bright = draft.image > draft.image[draft.label == 1].max() + 20
    assert bright[draft.label == 0].mean() > 0.02 and draft.label.mean() > 0.02
    assert draft.image[draft.label == 1].max() < np.quantile(draft.image[draft.label == 0], 0.98)


# --- switches of the shape ---

@pytest.mark.parametrize('change', [
    dict(DENSITY=0.002), dict(TORTUOSITY=1.15, AXON_SHARE=1.0),
    dict(SOMA_SHAPE='pyramid', AXON_SHARE=0.0), dict(RADIUS=(4.0, 4.5)),
    dict(BOUTON_SPACING=8.0, AXON_SHARE=1.0), dict(TAPER=0.8),
])
def test_every_switch_of_the_shape(change):
    before, after = draw(3, AXON_SHARE=change.get('AXON_SHARE', 0.5)), draw(3, **change)
    assert not np.array_equal(before.label, after.label)


def grown(seed=0, **constants):
    """(kind, trees) of a stack in a wide volume."""
    values = settings_of(**dict(dict(VOLUME_SHAPE=(600, 600, 600), BRANCH_LENGTH=(40, 40)),
                                **constants))
    prior = priors.of(values.stack, values.neuron, measured=None)
    return neurites.grow(values, prior, rng=np.random.default_rng(seed))


@pytest.mark.parametrize('share, depths', [(0.0, {6, 7}), (1.0, {10, 11})])
def test_internal_priors_give_the_depth_and_the_length_of_branches(share, depths):
    """Without them: two levels, of 100 to 150 voxels at depth 0 (docs/method.md, step 1)."""
    for on in (True, False):
        deepest = set()
        for seed in range(8):
            _, (tree,) = grown(seed, AXON_SHARE=share, INTERNAL_PRIORS=on)
            level = np.zeros(len(tree.parent), int)
            for i in range(1, len(level)):
                level[i] = level[tree.parent[i]] + 1
            deepest.add(level.max())
            edges = np.flatnonzero(level >= (1 if share else 2))
            steps = tree.position[edges] - tree.position[tree.parent[edges]]
            base = np.linalg.norm(steps, axis=1) / 0.9 ** level[edges]
            low, high = (40, 40) if on else (100, 150)
            assert 0.8 * low - 1e-6 <= base.min() and base.max() <= 1.2 * high + 1e-6
        assert deepest == (depths if on else {2})


def test_the_share_of_axons_is_drawn_per_stack():
    kinds = [grown(seed, AXON_SHARE=0.3, INTERNAL_PRIORS=False)[0] for seed in range(300)]
    assert 0.2 < kinds.count('axon') / 300 < 0.4 and set(kinds) == {'axon', 'dendrite'}


def test_density_counts_the_first_neuron_and_fills_up_with_fibres():
    shape = dict(VOLUME_SHAPE=(128, 128, 128), AXON_SHARE=1.0)
    _, trees = grown(DENSITY=0.003, **shape)
    assert 0.95 < sum(map(swc.length_of, trees)) / (0.003 * 128 ** 3) < 1.15 and len(trees) > 5
    assert len(grown(DENSITY=1e-6, **shape)[1]) == 1


def test_tortuosity_winds_the_first_neuron_and_the_fibres():
    for on in (1.0, 1.15):
        _, trees = grown(TORTUOSITY=on, DENSITY=2e-5, AXON_SHARE=1.0)
        for tree in trees[:4]:
            step = np.diff(tree.position[tree.parent >= 0], axis=0)[:-1]
            step = step[(np.linalg.norm(step, axis=1) > 0) & (np.linalg.norm(step, axis=1) < 5)]
            if len(step) < 8:
                continue                                 # a node at each end of a straight branch
            step /= np.linalg.norm(step, axis=1, keepdims=True)
            turn = np.degrees(np.arccos(np.clip((step[1:] * step[:-1]).sum(1), -1, 1)))
            assert (np.median(turn) > 2) == (on > 1)


def test_measured_radii_differ_by_half_from_fibre_to_fibre_and_by_half_along():
    """Normal scores of two far nodes of a fibre correlate by 1/2, those of neighbours by 1."""
    prior = priors.Priors(known(), 16)                   # radii of 1 to 2, uniform
    line = swc.Tree(np.full(101, swc.AXON), np.zeros((101, 3)), np.ones(101), np.arange(-1, 100))
    radius = np.array([neurites._radii(line, prior, length=20.0, rng=np.random.default_rng(seed))
                       for seed in range(600)])
    score = special.ndtri(radius - 1)
    assert abs(np.corrcoef(score[:, 0], score[:, 100])[0, 1] - 0.5) < 0.12
    assert np.corrcoef(score[:, 50], score[:, 51])[0, 1] > 0.9
    fixed = neurites._radii(line, priors.Priors(None, 16), length=20.0,
                           rng=np.random.default_rng(0))
    assert (fixed == fixed[0]).all() and 1 <= fixed[0] <= 3


# --- labels, trees, instances ---

@pytest.mark.parametrize('change', [
    dict(AXON_SHARE=0.0),
    dict(AXON_SHARE=1.0, TORTUOSITY=1.2, DENSITY=0.003, BOUTON_SPACING=10.0),
    dict(AXON_SHARE=0.0, SOMA_SHAPE='pyramid', TORTUOSITY=1.1, VOXEL_SIZE=(1.5, 1.0, 1.0),
         RADIUS=(0.3, 0.5))])
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
    assert set(np.unique(draft.instance)) <= set(range(draft.neurites + 1))


def test_instances_are_drawn_only_if_wanted_and_the_later_one_shows():
    assert draw(5, AXON_SHARE=1.0).instance is None
    inside = raster.Found(np.array([1, 0, 1]), np.array([1, 0, 0]), np.ones(3), None, None)
    found = drafts.instances((1, 1, 3), np.array([1, 2]), found=inside)
    assert found.ravel().tolist() == [1, 2, 0]
    half = inside._replace(cover=np.ones(3), inside=np.array([False, True, True]))
    assert drafts.instances((1, 1, 3), np.array([1, 2]), found=half).ravel().tolist() == [1, 1, 0]
    with pytest.raises(UserError, match='DENSITY'):
        drafts.instances((1, 1, 1), np.array([65536]), found=inside)


def test_paper_neuron_is_what_rasteriser_and_growth_give():
    """With every extra off the draft's label is the plain union of balls and cones."""
    values = settings_of(AXON_SHARE=0.0)
    prior = priors.Priors(None, 16)
    kind, trees = neurites.grow(values, prior, rng=np.random.default_rng(11))
    assert kind == 'dendrite' and len(trees) == 1
    draft = drafts.draw(values, prior, rng=np.random.default_rng(11))
    tree, position = trees[0], trees[0].position / [2, 1, 1]
    plain = raster.label((32, 96, 80), position, radius=tree.radius, parent=tree.parent,
                         spacing=(2, 1, 1))
    plain[tuple(raster.centreline(plain.shape, position, parent=tree.parent).T)] = True
    np.testing.assert_array_equal(draft.label > 0, plain)
    np.testing.assert_allclose(draft.tree.position, position)


def test_patches_lie_inside_and_have_a_centreline_in_the_middle():
    draft = draw(1, AXON_SHARE=1.0)
    window = (8, 12, 10)
    corners = drafts.patch_corners(draft, settings.Patches(window, 3, 1000),
                                   rng=np.random.default_rng(0))
    line = set(map(tuple, draft.line))
    assert len(corners) > 5 and (corners >= 0).all()
    assert (corners + window <= draft.image.shape).all()
    assert all(tuple(corner + [4, 6, 5]) in line for corner in corners)
    inner = ((draft.line >= [4, 6, 5]) & (draft.line + [4, 6, 5] <= draft.image.shape)).all(1).sum()
    assert 0.5 < len(corners) / (inner / 3) < 1.5
    few = drafts.patch_corners(draft, settings.Patches(window, 3, 4), rng=np.random.default_rng(0))
    assert len(few) == 4 and set(map(tuple, few)) <= set(map(tuple, corners))


def test_a_share_of_the_patches_lies_anywhere():
    """Of small windows in a sparse stack, few that lie anywhere meet the centreline."""
    draft = draw(1, AXON_SHARE=1.0)
    window, line = (4, 4, 4), set(map(tuple, draft.line))

    def on_line(share):
        corners = drafts.patch_corners(draft, settings.Patches(window, 2, 1000, share),
                                       rng=np.random.default_rng(0))
        assert (corners >= 0).all() and (corners + window <= draft.image.shape).all()
        return len(corners), np.mean([tuple(corner + 2) in line for corner in corners])

    count, all_on = on_line(0.0)
    assert all_on == 1 and count > 20
    assert on_line(0.5)[1] == pytest.approx(0.5, abs=0.2)
    assert on_line(1.0)[0] >= count and on_line(1.0)[1] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize('even, crowded', [(1.0, 0.5), (0.5, 0.75), (0.0, 0.9)])
def test_crowded_places_have_as_many_patches_as_others(even, crowded):
    """Nine neurites beside each other, as long as one that is alone."""
    alone, z = draw(1, AXON_SHARE=1.0), np.arange(8, 392)
    bundle = np.concatenate([np.stack([z, 0 * z + 8 + k, 0 * z + 10], 1) for k in range(9)]
                            + [np.stack([z, 0 * z + 60, 0 * z + 10], 1)])
    draft = alone._replace(image=np.zeros((400, 80, 20), np.uint16), line=bundle)
    corners = drafts.patch_corners(
        draft, settings.Patches((16, 16, 16), 10, 10000, even_patches=even),
        rng=np.random.default_rng(0))
    assert np.mean(corners[:, 1] < 40) == pytest.approx(crowded, abs=0.05)
    assert len(corners) == pytest.approx(len(bundle) / 10, rel=0.15)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('even', [0.0, 1.0])
def test_without_a_voxel_that_a_patch_fits_around_there_is_no_patch(even):
    """None without a centreline, nor in a stack smaller than a patch, nor, as in the paper, near
    the border."""
    alone, border = draw(1, AXON_SHARE=1.0), np.array([[1, 1, 1], [1, 2, 1]])
    for line, window, none in ((border[:0], (8, 8, 8), True), (border, (8, 8, 800), True),
                               (border, (8, 8, 8), even == 0)):
        corners = drafts.patch_corners(
            alone._replace(line=line), settings.Patches(window, 1, 10, even_patches=even),
            rng=np.random.default_rng(0))
        assert corners.shape[1:] == (3,) and (len(corners) == 0) == none


def test_patches_near_the_border_are_shifted_inside():
    """As step 0 shifts them: where most of the centreline lies at the border, so do patches."""
    z = np.arange(8, 392)
    line = np.concatenate([np.stack([z, 0 * z + 2, 0 * z + 10], 1)] * 3
                          + [np.stack([z, 0 * z + 60, 0 * z + 10], 1)])
    draft = draw(1, AXON_SHARE=1.0)._replace(image=np.zeros((400, 80, 20), np.uint16), line=line)
    corners = drafts.patch_corners(
        draft, settings.Patches((16, 16, 16), 4, 10000, even_patches=1.0),
        rng=np.random.default_rng(0))
    near = corners[:, 1] < 40                            # three times as many voxels, no more alike
    assert near.sum() == pytest.approx((~near).sum(), rel=0.25) and (corners[near, 1] == 0).all()
    assert len(corners) > len(z) / 2 and len(np.unique(corners, axis=0)) == len(corners)
    plain = drafts.patch_corners(draft, settings.Patches((16, 16, 16), 4, 10000),
                                 rng=np.random.default_rng(0))
    assert len(plain) == pytest.approx(len(z) / 4, rel=0.2) and (plain[:, 1] > 40).all()
