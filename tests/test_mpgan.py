"""Losses, networks and the training graph, on tiny networks; and the full-size refiner's size."""
import numpy as np
import pytest

from models import gan, losses, tf
from models.discriminator import discriminator
from models.refiner import RADIUS, refiner
from utils.common import tiling


@pytest.fixture(autouse=True)
def fresh_graph():
    tf.reset_default_graph()
    tf.set_random_seed(0)


def build(**changes):
    settings = dict(crop=(8, 16, 16), bits=16, refiner_channels=4, discriminator_channels=4, activation=True,
                    lambda_identity=5.0, steepness=0.1, background_quantile=0.95, learning_rate=1e-3, decay_rate=0.9,
                    decay_steps=2, beta1=0.5)
    return gan.build(**dict(settings, **changes))


def feeds(graph, shape=(2, 8, 16, 16, 1)):
    rng = np.random.default_rng(0)
    draft = rng.uniform(0, 400, shape).astype(np.float32)
    return {graph.draft: draft, graph.label: (draft > 350).astype(np.float32), graph.label_weight: 0.5}


def test_refiner_has_the_papers_number_of_parameters():
    refiner(tf.placeholder(tf.float32, [1, 32, 64, 64, 1]), 32, training=True)
    assert sum(int(np.prod(v.shape)) for v in tf.trainable_variables('refiner/')) == 309249


@pytest.mark.parametrize('bits, grey, network', [(16, [0, 65025, 16256.25], [-1, 1, 0]), (8, [0, 255, 127.5], [-1, 1, 0])])
def test_intensity_transform_and_its_inverse(bits, grey, network):
    with tf.Session() as session:
        there = losses.to_network(tf.constant(grey, tf.float32), bits)
        np.testing.assert_allclose(session.run(there), network, atol=1e-6)
        np.testing.assert_allclose(session.run(losses.to_grey(there, bits)), grey, atol=0.05)


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5])
def test_threshold_is_each_images_own_background_quantile(share):
    rng = np.random.default_rng(1)
    grey = rng.uniform(0, 1, (3, 4, 8, 9, 1)).astype(np.float32) * np.array([50, 2000, 40000])[:, None, None, None, None]
    label = (rng.uniform(size=grey.shape) < share).astype(np.float32)
    with tf.Session() as session:
        cut = session.run(losses.background_quantile(tf.constant(grey.astype(np.float32)), tf.constant(label), quantile=0.95))
    assert cut.shape == (3, 1, 1, 1, 1)
    for i in range(3):                                   # no cap, no pooling over the batch
        assert cut[i].item() == pytest.approx(np.quantile(grey[i][label[i] == 0].astype(np.float32), 0.95), rel=1e-5)


@pytest.mark.parametrize('level, expected', [(10.0, 0.0), (30.0, 1.0)])
def test_label_loss_counts_crossings(level, expected):
    draft = tf.constant(10.0, shape=[2, 4, 4, 4, 1])
    cut = tf.constant(20.0, shape=[2, 1, 1, 1, 1])
    with tf.Session() as session:
        value = session.run(losses.label_loss(draft, draft * 0 + level, draft_cut=cut, refined_cut=cut, steepness=10.0))
    assert value == pytest.approx(expected, abs=1e-6)


def test_label_loss_does_not_care_for_overall_brightness():
    """With the cut's gradient, making the whole refined image darker gains nothing; without, it would."""
    rng = np.random.default_rng(0)
    draft = tf.constant(rng.normal(500, 30, (1, 8, 16, 16, 1)).astype(np.float32))
    label = tf.zeros([1, 8, 16, 16, 1])
    shift = tf.constant(0.0)
    refined = tf.constant(rng.normal(900, 20, (1, 8, 16, 16, 1)).astype(np.float32)) + shift
    loss = losses.label_loss(draft, refined, draft_cut=losses.background_quantile(draft, label, quantile=0.95),
                             refined_cut=losses.background_quantile(refined, label, quantile=0.95), steepness=0.1)
    with tf.Session() as session:
        assert abs(session.run(tf.gradients(loss, shift)[0])) < 1e-6


def test_adversarial_losses_known_by_hand():
    one, half = tf.ones([4, 2]), tf.fill([4, 2], 0.5)
    with tf.Session() as session:
        assert session.run(losses.discriminator_loss(one, one)) == 1.0
        assert session.run(losses.discriminator_loss(half, half)) == 0.5
        assert session.run(losses.refiner_adversarial_loss(half)) == 0.25
        assert session.run(losses.identity_loss(one, half)) == 0.5


def test_each_optimiser_moves_only_its_own_network():
    graph = build()
    r, d = tf.trainable_variables('refiner/'), tf.trainable_variables('discriminator/')
    assert r and d and not set(r) & set(d) and set(r) | set(d) == set(tf.trainable_variables())
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())

        def moved(update, feed):
            before = session.run([r, d])
            session.run(update, feed)
            after = session.run([r, d])
            return [any((a != b).any() for a, b in zip(x, y)) for x, y in zip(before, after)]

        feed = feeds(graph)
        assert moved(graph.refiner_update, feed) == [True, False]
        assert session.run(graph.step) == 0
        refined = session.run(graph.refined, feed)
        assert moved(graph.discriminator_update, {graph.real: feed[graph.draft], graph.history: refined}) == [False, True]


def test_learning_rate_falls_in_steps_of_the_discriminator():
    graph = build()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        rates = []
        for _ in range(5):
            rates.append(session.run(graph.learning_rate))
            session.run(graph.discriminator_update, {graph.real: np.ones((1, 8, 16, 16, 1)),
                                                     graph.history: np.zeros((1, 8, 16, 16, 1))})
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 0.9e-3, 0.9e-3, 0.81e-3], rtol=1e-5)


def test_label_weight_zero_is_simgan():
    graph = build()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        feed = feeds(graph)
        with_label = session.run(graph.refiner_losses, feed)
        feed[graph.label_weight] = 0.0
        values = session.run(graph.refiner_losses, feed)
    assert values['refiner'] == pytest.approx(values['adversarial'] + 5 * values['identity'], rel=1e-5)
    assert with_label['refiner'] == pytest.approx(values['refiner'] + 0.5 * values['label'], rel=1e-5)


def test_training_moves_the_moving_averages_and_inference_ignores_batch_mates():
    graph = build()
    inference = gan.build_inference(16, 4)
    feed = feeds(graph)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        means = [v for v in tf.global_variables('refiner/') if 'moving_mean' in v.name]
        before = session.run(means)
        session.run(graph.refiner_update, feed)
        assert all((a != b).any() for a, b in zip(before, session.run(means)))
        pair = session.run(inference.refined_grey, {inference.draft: feed[graph.draft]})
        alone = session.run(inference.refined_grey, {inference.draft: feed[graph.draft][:1]})
    np.testing.assert_allclose(alone[0], pair[0], rtol=1e-4, atol=1e-2)


def test_identity_start_passes_the_draft_on():
    rng = np.random.default_rng(0)
    x = rng.normal(-0.8, 0.02, (2, 12, 24, 24, 1)).astype(np.float32)
    y = refiner(tf.constant(x), 8, training=True, start=(-0.8, 0.02))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        refined = session.run(y)
    assert np.corrcoef(refined.ravel(), x.ravel())[0, 1] > 0.6 and abs(refined.mean() + 0.8) < 0.05


def test_tiles_refine_as_the_whole_stack_rim_included():
    inference = gan.build_inference(16, 3)
    stack = np.random.default_rng(0).uniform(0, 2000, (30, 45, 40)).astype(np.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())

        def run(voxels):
            return session.run(inference.refined_grey, {inference.draft: voxels[None, ..., None]})[0, ..., 0]

        whole = run(stack)

        def shed(voxels, sides):
            return session.run(inference.refined_grey, {inference.draft: voxels[None, ..., None],
                                                        inference.shed: sides})[0, ..., 0]

        for tile in ((16, 16, 16), (30, 20, 33), (7, 50, 14)):
            np.testing.assert_allclose(tiling.apply(run, stack, tile=tile, halo=RADIUS), whole, rtol=1e-4, atol=1e-2)
            np.testing.assert_allclose(tiling.apply(shed, stack, tile=tile, halo=RADIUS, crops=True), whole, rtol=1e-4, atol=1e-2)
        short = tiling.apply(run, stack, tile=(16, 16, 16), halo=RADIUS - 2)
    assert np.abs(short - whole).max() > np.abs(tiling.apply(lambda v: v, whole, tile=(16, 16, 16), halo=0) - whole).max()
    assert not np.isclose(short, whole, rtol=1e-6).all()                 # 13 voxels are needed


def test_discriminator_shape_and_the_released_linear_variant():
    x = tf.placeholder(tf.float32, [None, 32, 64, 64, 1])
    assert discriminator(x, 4).shape.as_list() == [None, 4, 8, 8, 1]
    ops = {op.type for op in tf.get_default_graph().get_operations()}
    tf.reset_default_graph()
    discriminator(tf.placeholder(tf.float32, [None, 32, 64, 64, 1]), 4, activation=False)
    assert 'LeakyRelu' in ops and 'LeakyRelu' not in {op.type for op in tf.get_default_graph().get_operations()}


def test_one_full_size_training_step():
    """configs/mpgan.py's networks and patch on this CPU, one patch in the batch."""
    from utils.common import config
    cfg = config.load('configs/mpgan.py', [])
    graph = build(crop=cfg.CROP_SHAPE, refiner_channels=cfg.REFINER_CHANNELS,
                  discriminator_channels=cfg.DISCRIMINATOR_CHANNELS)
    feed = feeds(graph, (1,) + cfg.CROP_SHAPE + (1,))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        refined, values, _ = session.run([graph.refined, graph.refiner_losses, graph.refiner_update], feed)
        more, _ = session.run([graph.discriminator_losses, graph.discriminator_update],
                              {graph.real: feed[graph.draft], graph.history: refined})
    assert refined.shape == (1, 32, 64, 64, 1) and np.isfinite(list(values.values()) + list(more.values())).all()


def test_frozen_moments_make_training_and_refining_the_same_network():
    graph = build(frozen=True, domain=(-0.5, 0.1), target=(-0.4, 0.1), average_decay=0.0)
    inference = gan.build_inference(16, 4, standardised=True)
    values = feeds(graph)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(graph.calibrate, values)
        session.run(graph.start_average)
        moments = [v for v in tf.global_variables('refiner/') if 'moving' in v.op.name]
        before = session.run(moments)
        assert any(np.abs(m).max() > 0.01 for m, v in zip(before, moments) if 'mean' in v.op.name)     # they were measured
        for _ in range(3):
            session.run(graph.refiner_update, values)
        np.testing.assert_array_equal(np.concatenate([m.ravel() for m in session.run(moments)]),
                                      np.concatenate([m.ravel() for m in before]))                     # and stay
        trained = session.run(graph.refined_grey, values)
        used = session.run(inference.refined_grey, {inference.draft: values[graph.draft]})
        np.testing.assert_allclose(trained, used, atol=0.05)
        assert np.abs(used - values[graph.draft]).max() > 1


def test_average_weights_follow_the_trained_ones_slowly():
    graph = build(frozen=True, average_decay=0.9)
    one = [v for v in tf.trainable_variables('refiner/') if v.op.name == 'refiner/conv2/kernel'][0]
    mean = [v for v in tf.global_variables(gan.AVERAGE + '/') if v.op.name.endswith('conv2/kernel')][0]
    values = feeds(graph)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(graph.start_average)
        expected = session.run(one)
        np.testing.assert_array_equal(session.run(mean), expected)
        for _ in range(3):
            session.run(graph.refiner_update, values)
            decay = min(0.9, 1 / 10)                     # the first steps of the discriminator count for little
            expected = decay * expected + (1 - decay) * session.run(one)
            np.testing.assert_allclose(session.run(mean), expected, atol=1e-6)


def test_discriminator_that_does_not_see_levels_scores_brighter_patches_alike():
    for sees, same in ((False, True), (True, False)):
        tf.reset_default_graph()
        graph = build(sees_level=sees, target=(-0.5, 0.05))
        history = np.random.default_rng(0).uniform(-0.6, -0.4, (2, 8, 16, 16, 1)).astype(np.float32)
        real = feeds(graph)[graph.draft]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            a, b = [session.run(graph.discriminator_losses['discriminator'], {graph.real: real, graph.history: history + shift})
                    for shift in (0, 0.1)]
        assert (abs(a - b) < 1e-4) == same


@pytest.mark.parametrize('bits, background, level', [(16, 5, 800), (16, 100, 2000), (16, 1400, 1200), (8, 10, 150)])
def test_domain_passes_drafts_of_any_brightness_on_at_the_start(bits, background, level):
    rng = np.random.default_rng(0)
    grey = rng.normal(background, 0.1 * background, (1, 16, 16, 16, 1)).clip(0)
    grey[:, 6:9, :, 6:9] += level
    x = losses.to_network(tf.constant(grey, tf.float32), bits)
    with tf.Session() as session:
        u = np.arctanh(np.clip(session.run(x), -0.999, 0.999))
        domain = float(np.median(u)), float(u.std())
        y = losses.to_grey(refiner(x, 32, training=True, start=domain, domain=domain), bits)
        session.run(tf.global_variables_initializer())
        out = session.run(y)
    bright = grey > background + level / 2
    assert np.corrcoef(grey.ravel(), out.ravel())[0, 1] > 0.8
    assert 0.3 < out[bright].mean() / grey[bright].mean() < 2        # neither lost nor saturated
    assert abs(np.median(out) / background - 1) < 0.5
