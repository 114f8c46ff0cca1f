"""The segmentation network, its losses and its training graph."""
import numpy as np
import pytest

from models import losses, segmenter, tf, unet
from utils.common import tiling
from utils.train import sessions


@pytest.mark.parametrize('levels, reach', [(0, 2), (1, 8), (2, 20)])
def test_halo_is_what_the_network_sees(levels, reach):
    """By the gradient: no voxel farther than halo() moves an output, wherever in its block."""
    halo = unet.halo(levels)
    assert halo == reach and halo % 2 ** levels == 0
    n = 2 * (halo + 2 ** levels)
    tf.reset_default_graph()
    x = tf.placeholder(tf.float32, [1, n, 2 ** levels, 2 ** levels, 1])
    y = unet.unet(x, 2, levels=levels)
    at = [n // 2 + i for i in range(2 ** levels)]
    gradients = [tf.gradients(y[0, k, 0, 0, 0], x)[0][0, :, :, :, 0] for k in at]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        # max-pooling passes gradients to one voxel of a block alone: many images are tried
        rng = np.random.default_rng(0)
        seen = sum(np.abs(session.run(gradients, {x: rng.normal(size=x.shape)})).sum((2, 3))
                   for _ in range(20))
    far = 0
    for k, row in zip(at, seen):
        place = np.flatnonzero(row)
        far = max(far, k - place.min(), place.max() - k)
    assert halo - 2 ** levels < far <= halo


@pytest.mark.parametrize('shape', [(24, 40, 48), (21, 30, 43)])
def test_tiles_equal_the_whole(shape):
    tf.reset_default_graph()
    tf.set_random_seed(1)
    levels, voxels = 1, np.random.default_rng(0).normal(size=shape).astype(np.float32)
    inference = segmenter.build_inference(3, levels)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for variable in segmenter.inference_variables():         # moments that do something
            if '/moving_' in variable.op.name or '/beta' in variable.op.name:
                value = session.run(variable)
                noise = np.random.default_rng(1).random(value.shape).astype(np.float32)
                variable.load(value + 0.3 * noise, session)

        def function(tile):
            padded = np.pad(tile, [(0, -n % 2) for n in tile.shape], 'symmetric')
            p = session.run(inference.probability, {inference.image: padded[None, ..., None]})
            return p[0, ..., 0][tuple(slice(n) for n in tile.shape)]

        whole = function(voxels)
        tiled = tiling.apply(function, voxels, tile=(8, 12, 16), halo=unet.halo(levels))
    assert whole.std() > 1e-3
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_doubling_repeats_each_voxel():
    values = np.arange(2 * 3 * 2 * 2).reshape(1, 2, 3, 2, 2).astype(np.float32)
    with tf.Session() as session:
        doubled = session.run(unet.double(tf.constant(values)))
    np.testing.assert_array_equal(doubled, values.repeat(2, 1).repeat(2, 2).repeat(2, 3))


def run_losses(logits, label, weight):
    logits, label, weight = [tf.constant(np.asarray(a, np.float32).reshape(1, 1, 1, -1, 1))
                             for a in (logits, label, weight)]
    with tf.Session() as session:
        return session.run([losses.masked_dice_loss(logits, label, weight=weight),
                            losses.masked_cross_entropy(logits, label, weight=weight)])


def test_losses_by_hand_and_masked():
    """p = 1/2 on a foreground and a background voxel: Dice (2 / 2 + 1) / (2 + 1), entropy log 2."""
    dice, entropy = run_losses([0, 0], [1, 0], [1, 1])
    np.testing.assert_allclose([dice, entropy], [1 - 2 / 3, np.log(2)], rtol=1e-5)
    masked = run_losses([0, 0, 50, -50], [1, 0, 0, 1], [1, 1, 0, 0])     # two wrong ones ignored
    np.testing.assert_allclose(masked, [dice, entropy], rtol=1e-5)
    np.testing.assert_allclose(run_losses([30, -30], [1, 0], [1, 1]), 0, atol=1e-5)
    np.testing.assert_allclose(run_losses([3, 4], [1, 0], [0, 0]), 0, atol=1e-5)


@pytest.fixture(scope='module')
def built():
    """(graph, inference, feed, session, init) of a network that learns cubes of noisy labels."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        graph = segmenter.build((8, 8, 8), 3, levels=1, learning_rate=0.01, max_steps=30,
                                average_decay=0.3, dice_weight=0.25)
        inference = segmenter.build_inference(3, 1)
        rng = np.random.default_rng(0)
        label = (rng.random((2, 8, 8, 8, 1)) > 0.7).astype(np.float32)
        feed = {graph.image: 3 * label + rng.normal(size=label.shape), graph.label: label,
                graph.weight: np.ones_like(label)}
        with sessions.open_session(1) as session:
            yield graph, inference, feed, session, tf.global_variables_initializer()


@pytest.fixture
def small(built):
    """The same (graph, inference, feed, session), before the first step."""
    graph, inference, feed, session, init = built
    session.run(init)
    session.run(graph.start_average)
    return graph, inference, feed, session


def test_the_loss_weighs_dice_as_asked(small):
    graph, _, feed, session = small
    found = session.run(graph.losses, feed)
    assert found['loss'] == pytest.approx(0.25 * found['dice_loss'] + found['cross_entropy'], 1e-6)
    assert found['dice_loss'] > 0.1


def test_weights_are_averaged_as_said(small):
    """mean <- d mean + (1 - d) weight, with d = (1 + step) / (10 + step) at first, then 0.3."""
    graph, _, feed, session = small
    network = tf.trainable_variables('unet/')
    averages = {v.op.name: v for v in segmenter.inference_variables()}
    averages = [averages[v.op.name.replace('unet', segmenter.AVERAGE, 1)] for v in network]
    for a, b in zip(*session.run([network, averages])):
        np.testing.assert_array_equal(a, b)                          # at the start
    shares = []
    for _ in range(5):
        before = session.run(averages)
        session.run(graph.update, feed)
        for old, new, weight in zip(before, *session.run([averages, network])):
            far = np.abs(old - weight) > 1e-3
            shares.append(np.mean((new - weight)[far] / (old - weight)[far])
                          if far.any() else np.nan)
    shares = np.nanmean(np.reshape(shares, (5, -1)), 1)
    assert 0.09 < shares[0] < 0.2 and (np.diff(shares) > -0.01).all()
    assert shares[4] == pytest.approx(0.3, abs=0.01)


def test_weights_can_be_set_to_their_averages(small):
    """All of them, the moving moments too; nothing else moves."""
    graph, _, feed, session = small
    for _ in range(3):
        session.run(graph.update, feed)
    names = {v.op.name: v for v in segmenter.inference_variables()}
    pairs = [(v, names[v.op.name.replace('unet', segmenter.AVERAGE, 1)])
             for v in tf.global_variables('unet/')]
    before = session.run(pairs)
    assert len(pairs) == len(names) and max(np.abs(a - b).max() for a, b in before) > 1e-4
    session.run(graph.adopt_average)
    for (_, mean), (weight, now) in zip(before, session.run(pairs)):
        np.testing.assert_array_equal(weight, mean)
        np.testing.assert_array_equal(now, mean)


def test_training_moves_the_network_and_the_average_follows(small):
    graph, inference, feed, session = small
    label = feed[graph.label]
    first = session.run(graph.losses, feed)['loss']
    for _ in range(30):
        session.run(graph.update, feed)
    assert session.run(graph.losses, feed)['loss'] < 0.75 * first
    p = session.run(inference.probability, {inference.image: feed[graph.image]})
    assert p[label > 0].mean() > p[label == 0].mean() + 0.2
    np.testing.assert_allclose(session.run(graph.learning_rate), 1e-4, rtol=1e-4)
