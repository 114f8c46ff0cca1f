"""The training graph of MPGAN: who is updated when, rates, averages, what D sees."""
import contextlib
import functools

import numpy as np
import pytest
from training_data import small_networks

from models import gan, layers, tf
from models.discriminator import discriminator
from utils.common import config

SHAPE = (2, 8, 16, 16, 1)
SEEN = gan.Intensities(drafts=(-0.8, 0.1), drafts_atanh=(-0.5, 0.1), real=(-0.4, 0.1),
                       real_noise=0.05)
TINY = gan.Architecture(refiner_channels=4, discriminator_channels=2, average_decay=0.9)
LOSSES = gan.Losses(lambda_identity=3.0, lambda_level=2.0, label_contrast=0.7,
                    label_steepness=0.02, background_quantile=0.9)
FAST = gan.Optimiser(learning_rate=1e-3, decay_steps=2)
FROZEN = TINY._replace(frozen_moments=True, standardise=True, average_decay=0.0)


@functools.lru_cache(maxsize=None)
def _built(architecture, optimiser):
    """(tf.Graph, session, gan.Graph, gan.Inference, op of the first weights), made once.

    The refiner has one residual block of four: nothing here depends on their number.
    """
    with small_networks(layers.OWN_GRADIENT), tf.Graph().as_default() as whole:
        tf.set_random_seed(0)
        settings = gan.Settings(architecture, LOSSES, optimiser)
        graph = gan.build(SHAPE[1:4], 16, settings=settings, intensities=SEEN)
        inference = gan.build_inference(16, architecture.refiner_channels,
                                        standardised=architecture.standardise)
        return whole, tf.Session(), graph, inference, tf.global_variables_initializer()


@contextlib.contextmanager
def built(architecture=TINY, optimiser=FAST):
    """Training graph, inference graph and a session with first weights."""
    whole, session, graph, inference, first = _built(architecture, optimiser)
    with whole.as_default(), session.as_default():
        session.run(first)
        yield graph, inference, session


def feeds(graph, shape=SHAPE):
    """Noise as drafts, its brightest voxels the label."""
    rng = np.random.default_rng(0)
    draft = rng.uniform(0, 400, shape).astype(np.float32)
    return {graph.draft: draft, graph.label: (draft > 350).astype(np.float32),
            graph.label_weight: 0.5}


def discriminator_feeds(graph):
    """Noise as real patches against black ones."""
    draft = feeds(graph)[graph.draft]
    return {graph.real: draft, graph.history: 0 * draft}


def variable(scope, ending):
    return [v for v in tf.global_variables(scope + '/') if v.op.name.endswith(ending)][0]


def moved(session, update, feed, *scopes):
    """Largest change of a weight in each scope by an update."""
    variables = [tf.trainable_variables(scope) for scope in scopes]
    before = session.run(variables)
    session.run(update, feed)
    return [max(np.abs(a - b).max() for a, b in zip(x, y))
            for x, y in zip(before, session.run(variables))]


@pytest.mark.parametrize('channels', [4, 5])
def test_an_untrained_refiner_passes_drafts_on(channels):
    """Their brightness and contrast, by batch norms that change nothing."""
    start = FROZEN._replace(identity_start=True, refiner_channels=channels)
    with built(start) as (graph, _, session):
        rng = np.random.default_rng(0)
        grey = (np.tanh(rng.normal(-0.5, 0.1, SHAPE)) + 1) * 65535 / 2
        feed = {graph.draft: grey.astype(np.float32)}
        session.run(graph.calibrate, feed)
        refined = session.run(graph.refined_grey, feed)
        gamma, spread = session.run([variable('refiner', 'bn1/gamma'),
                                     variable('refiner', 'bn1/moving_variance')])
    np.testing.assert_allclose(gamma, np.sqrt(spread + layers.BN_EPSILON), rtol=1e-4)
    assert np.corrcoef(refined.ravel(), grey.ravel())[0, 1] > 0.99
    assert refined.std() == pytest.approx(grey.std(), rel=0.05)
    assert abs(refined.mean() - grey.mean()) < 0.3 * grey.std()


def test_each_optimiser_moves_only_its_own_network():
    """Adam's first update moves a weight by the rate, whatever the gradient's size."""
    with built() as (graph, _, session):
        r, d = tf.trainable_variables('refiner/'), tf.trainable_variables('discriminator/')
        assert r and d and not set(r) & set(d) and set(r) | set(d) == set(tf.trainable_variables())
        feed = feeds(graph)
        by_refiner = moved(session, graph.refiner_update, feed, 'refiner/', 'discriminator/')
        assert by_refiner == [pytest.approx(1e-3, rel=0.01), 0]
        assert session.run(graph.step) == 0
        feed = {graph.real: feed[graph.draft], graph.history: session.run(graph.refined, feed)}
        by_d = moved(session, graph.discriminator_update, feed, 'refiner/', 'discriminator/')
        assert by_d == [0, pytest.approx(1e-3, rel=0.01)] and session.run(graph.step) == 1


@pytest.mark.fault(2)
def test_learning_rate_falls_in_steps_of_the_discriminator():
    with built() as (graph, _, session):
        rates = []
        for _ in range(5):
            rates.append(session.run(graph.learning_rate))
            session.run(graph.discriminator_update, discriminator_feeds(graph))
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 0.9e-3, 0.9e-3, 0.81e-3], rtol=1e-5)


def test_discriminator_may_have_a_rate_of_its_own_that_falls_too():
    optimiser = FAST._replace(discriminator_rate=5e-3, decay_steps=1, decay_rate=0.01, beta1=0.0)
    with built(optimiser=optimiser) as (graph, _, session):
        assert moved(session, graph.refiner_update, feeds(graph), 'refiner/') == [
            pytest.approx(1e-3, rel=0.01)]
        (first,), (second,) = [moved(session, graph.discriminator_update,
                                     discriminator_feeds(graph), 'discriminator/')
                               for _ in range(2)]
    assert first == pytest.approx(5e-3, rel=0.01) and 0 < second < 0.1 * first


def test_refiners_loss_is_its_terms_by_their_weights():
    """The label term by NumPy; a weight of 0 is SimGAN."""
    with built() as (graph, _, session):
        feed = feeds(graph)
        values, refined = session.run([graph.refiner_losses, graph.refined_grey], feed)
        feed[graph.label_weight] = 0.0
        simgan = session.run(graph.refiner_losses, feed)
    draft, label = feed[graph.draft], feed[graph.label]
    before, after = [[1 / (1 + np.exp(-0.02 * (image - np.quantile(image[mask == 0], 0.9))))
                      for image, mask in zip(images, label)] for images in (draft, refined)]
    expected = np.abs(np.array(before) - np.array(after)).mean()
    assert values['label'] == pytest.approx(expected, rel=1e-3) and expected > 0.01
    alone = values['adversarial'] + 3 * values['identity'] + 2 * values['level']
    assert simgan['refiner'] == pytest.approx(alone, rel=1e-5)
    kept = values['label'] + 0.7 * values['label_contrast']
    assert values['refiner'] == pytest.approx(alone + 0.5 * kept, rel=1e-5)


@pytest.mark.fault(5)
def test_training_moves_the_moving_averages_and_inference_ignores_batch_mates():
    with built() as (graph, inference, session):
        feed = feeds(graph)
        means = [v for v in tf.global_variables('refiner/') if 'moving_mean' in v.name]
        before = session.run(means)
        session.run(graph.refiner_update, feed)
        assert all((a != b).any() for a, b in zip(before, session.run(means)))
        pair = session.run(inference.refined_grey, {inference.draft: feed[graph.draft]})
        alone = session.run(inference.refined_grey, {inference.draft: feed[graph.draft][:1]})
    np.testing.assert_allclose(alone[0], pair[0], rtol=1e-4, atol=1e-2)


def test_one_training_step_of_the_papers_networks():
    """configs/mpgan.py's networks on this CPU, one patch of a quarter of its size in the batch."""
    cfg = config.load('configs/mpgan.py', ['LABEL_STEEPNESS=0.1'])
    settings = gan.Settings(*[config.pick(cfg, group) for group in gan.GROUPS])
    tf.reset_default_graph()
    crop = tuple(n // 4 for n in cfg.CROP_SHAPE)
    spectra = gan.Spectra(40.0, tuple(np.zeros(n // 2, np.float32) for n in crop))
    graph = gan.build(crop, 16, settings=settings, intensities=SEEN._replace(spectra=spectra))
    feed = feeds(graph, (1,) + crop + (1,))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        refined, values, _ = session.run(
            [graph.refined, graph.refiner_losses, graph.refiner_update], feed)
        more, _ = session.run([graph.discriminator_losses, graph.discriminator_update],
                              {graph.real: feed[graph.draft], graph.history: refined})
    assert refined.shape == (1, 8, 16, 16, 1)
    assert np.isfinite(list(values.values()) + list(more.values())).all()


def test_frozen_moments_make_training_and_refining_the_same_network():
    with built(FROZEN) as (graph, inference, session):
        values = feeds(graph)
        session.run(graph.calibrate, values)
        session.run(graph.start_average)
        moments = [v for v in tf.global_variables('refiner/') if 'moving' in v.op.name]
        before = session.run(moments)
        assert any(np.abs(m).max() > 0.01 for m, v in zip(before, moments)
                   if 'mean' in v.op.name)                           # they were measured
        session.run(graph.calibrate, values)                         # all at once, not a tenth
        for a, b in zip(before, session.run(moments)):
            np.testing.assert_allclose(b, a, rtol=1e-5)
        for _ in range(3):
            session.run(graph.refiner_update, values)
        for a, b in zip(before, session.run(moments)):               # and stay
            np.testing.assert_array_equal(b, a)
        trained = session.run(graph.refined_grey, values)
        used = session.run(inference.refined_grey, {inference.draft: values[graph.draft]})
        np.testing.assert_allclose(trained, used, atol=0.05)
        assert np.abs(used - values[graph.draft]).max() > 1


def test_average_weights_follow_the_trained_ones_slowly():
    with built() as (graph, _, session):
        one, mean = [variable(scope, 'conv2/kernel') for scope in ('refiner', gan.AVERAGE)]
        session.run(graph.start_average)
        expected = session.run(one)
        np.testing.assert_array_equal(session.run(mean), expected)
        for steps, decay in ((0, 1 / 10), (0, 1 / 10), (1, 2 / 11)):     # (1 + n) / (10 + n)
            if session.run(graph.step) < steps:          # the discriminator's are what is counted
                session.run(graph.discriminator_update, discriminator_feeds(graph))
            session.run(graph.refiner_update, feeds(graph))
            expected = decay * expected + (1 - decay) * session.run(one)
            np.testing.assert_allclose(session.run(mean), expected, atol=1e-6)


def test_moments_are_not_averaged():
    with built() as (graph, _, session):
        for _ in range(2):
            session.run(graph.refiner_update, feeds(graph))
        for name in ('moving_mean', 'moving_variance'):
            own, used = [session.run(variable(scope, '/bn1/' + name))
                         for scope in ('refiner', gan.AVERAGE)]
            np.testing.assert_array_equal(used, own)


@pytest.mark.parametrize('sees, same', [(False, True), (True, False)])
def test_discriminator_that_does_not_see_levels_scores_brighter_patches_alike(sees, same):
    with built(FROZEN._replace(discriminator_sees_level=sees)) as (graph, _, session):
        history = np.random.default_rng(0).uniform(-0.6, -0.4, SHAPE).astype(np.float32)
        real = feeds(graph)[graph.draft]
        a, b = [session.run(graph.discriminator_losses['discriminator'],
                            {graph.real: real, graph.history: history + shift})
                for shift in (0, 0.1)]
    assert (abs(a - b) < 1e-4) == same


def test_discriminator_that_sees_detail_has_it_as_a_second_channel():
    image = np.random.default_rng(0).normal(0, 1, (1, 8, 8, 8, 1)).astype(np.float32)
    image[0, 4, 4, 4, 0] = -50
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(gan.detail(tf.constant(image)))
    cut = np.clip(image, -gan.DETAIL_LIMIT, gan.DETAIL_LIMIT)
    middle = cut[0, 2:5, 1:4, 1:4, 0]
    assert found[0, 3, 2, 2, 0] == pytest.approx(middle[1, 1, 1] - middle.mean(), abs=1e-5)
    assert found[0, 4, 4, 4, 0] < -2                     # a lone dark voxel
    with built(FROZEN._replace(discriminator_sees_detail=True)) as (graph, _, session):
        kernel, = [v for v in tf.trainable_variables('discriminator/conv1')
                   if v.name.endswith('kernel:0')]
        assert int(kernel.shape[3]) == 2
        assert np.isfinite(session.run(graph.discriminator_losses, discriminator_feeds(graph))[
            'discriminator'])


@pytest.mark.parametrize('compresses', [False, True])
def test_discriminator_sees_intensities_in_the_real_patches_spread_or_noise(compresses):
    with built(FROZEN._replace(discriminator_compresses=compresses)) as (graph, _, session):
        image = np.random.default_rng(0).uniform(-0.9, 0.1, SHAPE).astype(np.float32)
        real = 255 ** 2 * ((image + 1) / 2) ** 2         # 16 bit
        level, spread = SEEN.real
        seen = np.arcsinh((image - level) / 0.05) if compresses else (image - level) / spread
        score = discriminator(tf.constant(seen.astype(np.float32)), 2)
        value = session.run(score)
        loss = session.run(graph.discriminator_losses['discriminator'],
                           {graph.real: real, graph.history: image})
    assert loss == pytest.approx(np.mean((value - 1) ** 2) + np.mean(value ** 2), rel=1e-3)
