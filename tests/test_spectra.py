"""Power spectra in the graph and the refiner's loss on them, by hand and beside the judge's."""
import numpy as np
import pytest
from scipy import ndimage

from models import gan, spectra, tf
from utils.score import realism


@pytest.fixture(autouse=True)
def fresh_graph():
    tf.reset_default_graph()


def textures(seed=0, shape=(2, 12, 16, 17)):
    """Noise and a bright block in it, grey levels [B, Z, Y, X]."""
    images = np.random.default_rng(seed).normal(500, 30, shape).astype(np.float32)
    images[:, 4:6, 3:9, 5:8] += 4000
    return images


def test_spectra_of_the_graph_are_those_of_the_judge():
    images = textures()
    seen = spectra.compressed(tf.constant(images[..., None]), 40.0)
    with tf.Session() as session:
        found, told = session.run([seen, spectra.axis_spectra(seen)])
    expected = realism.compressed(images, 40.0)
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-4)
    for axis in range(3):
        assert told[axis].shape == (2, images.shape[axis + 1] // 2)
        for i in range(2):
            np.testing.assert_allclose(
                told[axis][i], realism.axis_spectra(expected[i:i + 1])[axis], atol=1e-3)


def test_spectrum_loss_is_what_is_left_of_the_shift():
    """Twice the amplitude is log10(4) more power at all frequencies, whatever a crop holds."""
    draft = textures()[..., None] / 1000
    unlike = draft * np.array([4, 1], np.float32).reshape(2, 1, 1, 1, 1)
    zero = [np.zeros(n // 2, np.float32) for n in draft.shape[1:4]]
    more = [z + np.float32(np.log10(4)) for z in zero]
    smooth = ndimage.gaussian_filter1d(draft, 1.5, axis=1).astype(np.float32)
    with tf.Session() as session:
        same, left, reached, one_way, mean = session.run([
            spectra.loss(tf.constant(draft), tf.constant(refined), shift=shift)
            for refined, shift in ((draft, zero), (draft, more), (2 * draft, more),
                                   (smooth, zero), (unlike, more))])
    assert same == 0 and left == pytest.approx(np.log10(4) ** 2, rel=1e-4)
    assert reached < 1e-5 and one_way > 0.1
    assert mean < 1e-5                                   # the batch's changes count, not each one's


def test_spectrum_loss_draws_the_refined_image_to_the_shift():
    draft = tf.constant(textures()[..., None] / 1000)
    factor = tf.Variable(1.0)
    shift = [np.full(n // 2, np.log10(4), np.float32) for n in (12, 16, 17)]
    loss = spectra.loss(draft, factor * draft, shift=shift)
    step = tf.train.GradientDescentOptimizer(0.05).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(200):
            session.run(step)
        assert session.run(factor) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize('offset', [-80, 200])
def test_brightness_has_no_spectrum(offset):
    """All of a crop brighter or darker by noise levels: no change of texture, and no gradient."""
    draft = textures()[..., None]
    more = tf.Variable(np.float32(offset))
    seen = [spectra.compressed(image, 30.0) for image in (tf.constant(draft), draft + more)]
    loss = spectra.loss(*seen, shift=[np.full(n // 2, -0.3, np.float32) for n in (12, 16, 17)])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        value, slope = session.run([loss, tf.gradients(loss, more)[0]])
    assert value == pytest.approx(0.09, abs=1e-3) and abs(slope) < 1e-5


def test_the_training_graph_asks_for_the_measured_shift():
    """Of draft and refined image by NumPy; a shift of the refined image's own leaves nothing."""
    crop, rng = (8, 16, 16), np.random.default_rng(0)
    draft = (500 + 60 * rng.standard_normal((2,) + crop + (1,))).astype(np.float32)
    settings = gan.Settings(
        gan.Architecture(refiner_channels=4, discriminator_channels=2),
        gan.Losses(lambda_identity=0.0, lambda_spectrum=3.0))
    found = []
    for shift in ([np.full(n // 2, 0.2 * (i + 1), np.float32) for i, n in enumerate(crop)], None):
        tf.reset_default_graph()
        tf.set_random_seed(0)
        shift = tuple(shift or found[0][2])
        seen = gan.Intensities((-0.8, 0.1), (-0.5, 0.1), (-0.4, 0.1), 0.05,
                               spectra=gan.Spectra(25.0, shift))
        graph = gan.build(crop, 16, settings=settings, intensities=seen)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            values, refined = session.run(
                [graph.refiner_losses, graph.refined_grey],
                {graph.draft: draft, graph.label: 0 * draft, graph.label_weight: 0.0})
        before, after = [[realism.axis_spectra(realism.compressed(image[None, ..., 0], 25.0))
                          for image in images] for images in (draft, refined)]
        change = [np.mean([b[axis] - a[axis] for a, b in zip(before, after)], 0)
                  for axis in range(3)]
        left = np.mean([((c - s) ** 2).mean() for c, s in zip(change, shift)])
        assert values['spectrum'] == pytest.approx(left, abs=1e-3)
        assert values['refiner'] == pytest.approx(
            values['adversarial'] + 3 * values['spectrum'], rel=1e-4)
        found.append((values['spectrum'], left, [c.astype(np.float32) for c in change]))
    assert found[0][0] > 0.01 > 1e-4 > found[1][0]
