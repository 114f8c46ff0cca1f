"""Effects that the phantom is made of, against answers known by hand."""
import numpy as np
import pytest

from utils.common import config
from utils.simulate import raster
from utils.simulate.phantom import axons, fluorescence, microscope, settings
from utils.simulate.phantom.stack import render


def settings_of(*overrides):
    """The demo's settings, with some constants replaced."""
    cfg = config.load('configs/demo/phantom.py', list(overrides))
    return settings.Settings(*[config.pick(cfg, group) for group in settings.GROUPS])


# --- axons ---

def test_walk_without_bending_is_straight():
    points = axons.walk(np.zeros(3), np.array([0.0, 0.0, 1.0]), size=np.array([5.0, 5.0, 10.5]),
                        length=99, bending=0.0, bend_length=5.0, rng=np.random.default_rng(0))
    assert np.allclose(points, [(0, 0, x) for x in range(1, 11)])    # and stops before it leaves


def test_noise_along_an_axon_has_unit_std():
    noise = axons.along(200000, 25.0, rng=np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] > 0.99           # smooth from node to node


def test_boutons_swell_by_their_factor():
    factor = axons.boutons(400, (10.0, 10.0), swell=(1.7, 1.7), sigma=1.2,
                           rng=np.random.default_rng(0))
    middle = factor[1:-1]
    peaks = np.flatnonzero((middle > factor[:-2]) & (middle >= factor[2:])) + 1
    assert 1 <= factor.min() < 1.01 and 1.5 < factor.max() <= 1.7
    assert set(np.diff(peaks)) == {10}


def test_axons_enter_through_a_face_and_larger_faces_more_often():
    size, rng = np.array([10.0, 20.0, 40.0]), np.random.default_rng(0)
    faces = []
    for _ in range(600):
        position, direction = axons.entry(size, rng)
        at = np.flatnonzero((position == 0) | (position == size))
        assert len(at) == 1
        axis = at[0]
        inwards = direction[axis] * (1 if position[axis] == 0 else -1)
        assert inwards >= 0.5 - 1e-9                                     # within 60 degrees
        faces.append(axis)
    area = np.array([800, 400, 200]) / 1400
    np.testing.assert_allclose(np.bincount(faces) / 600, area, atol=0.06)


def test_daughters_are_thinner_and_leave_at_their_angle():
    values = settings_of('SHAPE=64,300,300', 'RADIUS=1.1,9.0', 'RADIUS_WOBBLE=0', 'BENDING=0,0',
                         'BOUTON_SWELL=1,1', 'DAUGHTER_RADIUS=0.5', 'BRANCH_ANGLE=40,50',
                         'BRANCH_SPACING=20')
    found = 0
    for seed in range(6):
        axon = axons.grow(values.stack, values.axons, rng=np.random.default_rng(seed))
        first = np.flatnonzero(axon.parent[1:] != np.arange(len(axon.parent) - 1)) + 1
        for k in first:
            p = axon.parent[k]
            ahead, side = axon.position[[p + 1, k]] - axon.position[p]
            turn = np.degrees(np.arccos(ahead @ side))                   # steps of 1 um
            assert 39.9 <= turn <= 50.1
            assert axon.radius[k] == pytest.approx(max(0.5 * axon.radius[0], 1.1))
            found += 1
    assert found > 5


# --- fluorescence ---

def test_smooth_field_has_its_scale():
    field = fluorescence.smooth_field((32, 64, 64), (6.0, 6.0, 6.0), rng=np.random.default_rng(0))
    assert field.shape == (32, 64, 64) and field.dtype == np.float32
    assert abs(field.mean()) < 1e-3 and field.std() == pytest.approx(1, abs=1e-3)
    near, far = [np.mean(field[:, :, d:] * field[:, :, :-d]) for d in (1, 30)]
    assert near > 0.95 and far < 0.5


def test_a_voxel_shines_as_its_nearest_node():
    mask = np.zeros((1, 1, 6), bool)
    mask[0, 0, 1:5] = True
    light = fluorescence.axon_light(mask, np.array([[0, 0, 1], [0, 0, 4]]),
                                    level=np.array([7.0, 9.0]))
    assert light.tolist() == [7, 7, 9, 9] and light.dtype == np.float32


def background_of(*overrides):
    """Autofluorescence of 500 grey levels without texture or stripes, but for some constants."""
    values = settings_of('SHAPE=48,64,64', 'BACKGROUND=500,500', 'TEXTURE_STD=0,0,0',
                         'STRIPE_STD=0', *overrides)
    return fluorescence.autofluorescence(values.stack, values.light, rng=np.random.default_rng(0))


def test_textures_have_their_strength():
    assert (background_of() == 500).all()
    assert background_of('TEXTURE_STD=0.1,0,0').std() == pytest.approx(50, rel=0.02)
    both = background_of('TEXTURE_STD=0.06,0.08,0').std()                # 0.06^2 + 0.08^2 = 0.1^2
    assert both == pytest.approx(50, rel=0.1)


def test_stripes_run_along_x():
    striped = background_of('STRIPE_STD=0.1')
    assert striped.std() == pytest.approx(50, rel=0.05)
    steps = [np.diff(striped, axis=axis).std() for axis in range(3)]
    assert steps[2] < 0.2 * steps[1] and 0.8 < steps[0] / steps[1] < 1.2


def test_spots_have_their_number_width_and_level():
    image = np.zeros((60, 60, 60), np.float32)
    fluorescence.add_spots(image, (2.0, 1.0, 1.0), count=5, sigma=(3.0, 3.0), level=(100.0, 100.0),
                           rng=np.random.default_rng(3))
    centres = np.random.default_rng(3).uniform(0, 1, (5, 3)) * [60, 60, 60] * [2, 1, 1]
    for centre in centres:
        z, y, x = np.rint(centre / [2, 1, 1]).astype(int).clip(0, 59)
        assert 90 < image[z, y, x] < 200                 # two may overlap
    place = np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing='ij'), -1) * [2, 1, 1]
    wanted = sum(100 * np.exp(-((place - c) ** 2).sum(-1) / 18) for c in centres)
    np.testing.assert_allclose(image, wanted, atol=5)    # cut off at 3 sigma: exp(-4.5) = 1 %


# --- a stack of chosen parts ---

PLAIN = ('SHAPE=48,80,80', 'BACKGROUND=400,400', 'TEXTURE_STD=0,0,0', 'STRIPE_STD=0', 'GRAINS=0',
         'BLOBS=0', 'ILLUMINATION_STD=0', 'PSF_SIGMA=0,0,0', 'GAIN=0.001', 'READ_NOISE=0',
         'LEVEL_DRIFT=0', 'LEVEL=1000,1000', 'N_AXONS=3,3', 'OFFSET=100')


def rendered(*overrides, seed=0):
    return render(settings_of(*(PLAIN + overrides)), rng=np.random.default_rng(seed))


def test_a_plain_stack_is_background_axons_and_offset():
    phantom = rendered()
    assert len(phantom.trees) == 3
    np.testing.assert_allclose(phantom.image[~phantom.label], 500, atol=4)
    np.testing.assert_allclose(phantom.image[phantom.label], 1500, atol=6)
    drawn = np.zeros(phantom.label.shape, bool)
    for tree in phantom.trees:
        drawn |= raster.label(drawn.shape, tree.position, radius=tree.radius, parent=tree.parent,
                              spacing=(1.5, 1, 1))
    np.testing.assert_array_equal(drawn, phantom.label)


@pytest.mark.parametrize('change, holds', [
    (('GRAINS=3000', 'GRAIN_LEVEL=900,900'), lambda a, b: 0.001 < (b - a > 300).mean() < 0.1),
    (('BLOBS=60', 'BLOB_LEVEL=200,200'), lambda a, b: (b - a > 20).mean() > 0.2),
    (('LEVEL_DRIFT=0.5',), lambda a, b: 200 < b[a > 1000].std() < 1500),
    (('LEVEL=300,300',), lambda a, b: abs(b[a > 1000].mean() - 800) < 6),
    (('ILLUMINATION_STD=0.3', 'ILLUMINATION_SIGMA=20'),
     lambda a, b: 0.2 < np.log((b - 100) / (a - 100)).std() < 0.4),
    (('PSF_SIGMA=1.5,1.5,1.5',), lambda a, b: abs(b.mean() - a.mean()) < 10 and b.max() < 1400),
    (('READ_NOISE=20',), lambda a, b: abs((b - a).std() - 20) < 1),
    (('GAIN=4',), lambda a, b: abs((b - a)[a < 1000].std() - 40) < 2),   # 4 x 400 is 40^2
    (('OFFSET=300',), lambda a, b: abs((b - a).mean() - 200) < 0.1),
])
def test_every_part_of_the_image(change, holds):
    before, after = rendered(), rendered(*change)
    assert np.array_equal(before.label, after.label) or change[0].startswith(('GRAINS', 'BLOBS'))
    assert holds(before.image.astype(float), after.image.astype(float))


def test_levels_are_log_uniform_from_axon_to_axon():
    levels = []
    for seed in range(25):
        phantom = rendered('LEVEL=100,10000', 'N_AXONS=1,1', 'SHAPE=20,40,40', 'MIN_LENGTH=15',
                           seed=seed)
        levels.append(np.median(phantom.image[phantom.label]) - 500.0)
    logs = np.log10(levels)
    assert 1.9 < logs.min() and logs.max() < 4.1 and abs(np.median(logs) - 3) < 0.5


# --- optics and camera ---

def test_illumination_of_no_std_is_even():
    plain = settings.Stack((16, 16, 16), (1, 1, 1))
    rng = np.random.default_rng(0)
    assert (microscope.illumination(plain, 0.0, sigma=60.0, rng=rng) == 1).all()


def test_point_spread_keeps_light_and_is_longer_in_z():
    light = np.zeros((31, 31, 31), np.float32)
    light[15, 15, 15] = 1000
    seen = microscope.point_spread(light, (2.0, 1.0, 1.0), voxel_size=np.ones(3))
    assert seen.sum() == pytest.approx(1000, rel=1e-3)
    offset = np.arange(31) - 15.0
    z2, x2 = [(seen.sum(axes) * offset ** 2).sum() / seen.sum() for axes in ((1, 2), (0, 1))]
    assert z2 == pytest.approx(4, rel=0.05) and x2 == pytest.approx(1, rel=0.05)


def test_camera_statistics():
    def image(level, side):
        return microscope.read_out(np.full((side,) * 3, level, np.float32), 3.0, offset=200.0,
                                   read_noise=8.0, rng=np.random.default_rng(0))

    seen = image(600, 40)
    assert seen.dtype == np.uint16
    assert seen.mean() == pytest.approx(800, abs=1)
    # gain x signal + read noise^2
    assert seen.astype(float).var() == pytest.approx(3 * 600 + 64, rel=0.03)
    assert (image(1e6, 2) == 65535).all()                # clipped, not wrapped
