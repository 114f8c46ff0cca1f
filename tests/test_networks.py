"""The refiner and the discriminator: size, reach, what passes through them."""
import numpy as np
import pytest

from models import gan, losses, tf
from models.discriminator import discriminator
from models.layers import Moments
from models.refiner import RADIUS, refiner
from utils.common import tiling


@pytest.fixture(autouse=True)
def fresh_graph():
    tf.reset_default_graph()
    tf.set_random_seed(0)


def test_refiner_has_the_papers_number_of_parameters():
    refiner(tf.placeholder(tf.float32, [1, 32, 64, 64, 1]), 32, moments=Moments([]))
    assert sum(int(np.prod(v.shape)) for v in tf.trainable_variables('refiner/')) == 309249


def test_identity_start_passes_the_draft_on():
    rng = np.random.default_rng(0)
    x = rng.normal(-0.8, 0.02, (2, 12, 24, 24, 1)).astype(np.float32)
    y = refiner(tf.constant(x), 8, moments=Moments([]), start=(-0.8, 0.02))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        refined = session.run(y)
    assert np.corrcoef(refined.ravel(), x.ravel())[0, 1] > 0.6
    assert abs(refined.mean() + 0.8) < 0.05


@pytest.mark.parametrize('bits, background, level', [
    (16, 5, 800), (16, 100, 2000), (16, 1400, 1200), (8, 10, 150)])
def test_domain_passes_drafts_of_any_brightness_on_at_the_start(bits, background, level):
    rng = np.random.default_rng(0)
    grey = rng.normal(background, 0.1 * background, (1, 16, 16, 16, 1)).clip(0)
    grey[:, 6:9, :, 6:9] += level
    x = losses.to_network(tf.constant(grey, tf.float32), bits)
    with tf.Session() as session:
        u = np.arctanh(np.clip(session.run(x), -0.999, 0.999))
        domain = float(np.median(u)), float(u.std())
        moments = Moments([], 0.0, neutral=True)
        measuring = refiner(x, 32, moments=moments, start=domain, domain=domain)
        y = losses.to_grey(refiner(x, 32, domain=domain), bits)
        session.run(tf.global_variables_initializer())
        session.run(moments.updates)
        out, measured = session.run([y, losses.to_grey(measuring, bits)])
    np.testing.assert_allclose(out, measured, rtol=0.01, atol=1)     # the norms change nothing
    bright = grey > background + level / 2
    assert np.corrcoef(grey.ravel(), out.ravel())[0, 1] > 0.999
    assert out[bright].mean() == pytest.approx(grey[bright].mean(), rel=0.02)
    assert np.median(out) == pytest.approx(background, rel=0.1, abs=1)


def test_black_and_saturated_voxels_are_refined_like_others():
    """Their atanh is infinite."""
    x = np.tile(np.array([-1, -0.2, 0, 0.2, 1], np.float32)[:, None], (1, 2, 2, 1, 1))
    y = refiner(tf.constant(x), 4, domain=(0.0, 0.5))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert np.isfinite(session.run(y)).all()


def test_image_goes_on_mirrored_beyond_its_border():
    """Of an even image the first layer sees no border; zeros there would be a bright grey level."""
    refiner(tf.fill([1, 6, 7, 8, 1], -0.9), 4)
    first = tf.get_default_graph().get_tensor_by_name('refiner/conv1/BiasAdd:0')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        y = session.run(first)
    assert np.abs(y).max() > 0.1
    np.testing.assert_allclose(y, np.broadcast_to(y[:, 3, 3, 3][:, None, None, None], y.shape),
                               rtol=1e-4, atol=1e-5)


def test_tiles_refine_as_the_whole_stack_rim_included():
    inference = gan.build_inference(16, 3)
    stack = np.random.default_rng(0).uniform(0, 2000, (20, 32, 30)).astype(np.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())

        def run(voxels, sides=((0, 0),) * 3):
            return session.run(inference.refined_grey, {
                inference.draft: voxels[None, ..., None], inference.crop_sides: sides})[0, ..., 0]

        whole = run(stack)
        for tile in ((16, 16, 16), (20, 15, 25), (7, 35, 14)):
            for crops in (False, True):
                tiled = tiling.apply(run, stack, tile=tile, halo=RADIUS, crops=crops)
                np.testing.assert_allclose(tiled, whole, rtol=1e-4, atol=1e-2)
        short = tiling.apply(run, stack, tile=(16, 16, 16), halo=RADIUS - 2)
        cropped = run(stack, ((1, 0), (0, 1), (1, 1)))
    assert np.abs(short - whole).max() > 0
    assert not np.isclose(short, whole, rtol=1e-6).all()             # 13 voxels are needed
    assert cropped.shape == (20 - 13, 32 - 13, 30 - 26)              # and come off where asked for
    np.testing.assert_allclose(cropped, whole[13:, :-13, 13:-13], rtol=1e-4, atol=1e-2)


@pytest.mark.fault(6)
def test_discriminator_shape_and_the_released_linear_variant():
    x = tf.placeholder(tf.float32, [None, 32, 64, 64, 1])
    assert discriminator(x, 4).shape.as_list() == [None, 4, 8, 8, 1]
    ops = {op.type for op in tf.get_default_graph().get_operations()}
    tf.reset_default_graph()
    discriminator(tf.placeholder(tf.float32, [None, 32, 64, 64, 1]), 4, activation=False)
    linear = {op.type for op in tf.get_default_graph().get_operations()}
    assert 'LeakyRelu' in ops and 'LeakyRelu' not in linear


def test_discriminators_layers_are_the_papers():
    """Kernels, widths and pooling of docs/method.md, step 2."""
    discriminator(tf.placeholder(tf.float32, [None, 32, 64, 64, 1]), 64)
    kernels = {v.op.name.split('/')[1]: v.shape.as_list()
               for v in tf.trainable_variables('discriminator/') if v.op.name.endswith('kernel')}
    assert kernels == {'conv1': [3, 3, 3, 1, 64], 'conv2': [3, 3, 3, 64, 128],
                       'conv3': [3, 3, 3, 128, 128], 'conv4': [1, 1, 1, 128, 64],
                       'out': [1, 1, 1, 64, 1]}
    pools = [op for op in tf.get_default_graph().get_operations() if op.type == 'MaxPool3D']
    assert [(op.get_attr('ksize'), op.get_attr('strides')) for op in pools] == [
        ([1, 3, 3, 3, 1], [1, 1, 1, 1, 1])]
