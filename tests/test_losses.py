"""Losses of the refiner and the discriminator, by hand."""
import numpy as np
import pytest
from scipy import ndimage

from models import losses, tf
from utils.train import domains


@pytest.fixture(autouse=True)
def fresh_graph():
    tf.reset_default_graph()


@pytest.mark.parametrize('bits, grey, network', [
    (16, [0, 65025, 16256.25], [-1, 1, 0]),
    (8, [0, 255, 127.5], [-1, 1, 0])])
def test_intensity_transform_its_inverse_and_numpy(bits, grey, network):
    with tf.Session() as session:
        there = losses.to_network(tf.constant(grey, tf.float32), bits)
        np.testing.assert_allclose(session.run(there), network, atol=1e-6)
        np.testing.assert_allclose(session.run(losses.to_grey(there, bits)), grey, atol=0.05)
    mine = domains.to_network(np.array(grey, np.float32), bits)
    np.testing.assert_allclose(mine, network, atol=1e-6)


@pytest.mark.fault(4)
@pytest.mark.parametrize('share', [0.0, 0.1, 0.5])
def test_threshold_is_each_images_own_background_quantile(share):
    rng = np.random.default_rng(1)
    bright = np.array([50, 2000, 40000])[:, None, None, None, None]
    grey = (rng.uniform(0, 1, (3, 4, 8, 9, 1)) * bright).astype(np.float32)
    label = (rng.uniform(size=grey.shape) < share).astype(np.float32)
    with tf.Session() as session:
        cut = session.run(losses.background_quantile(tf.constant(grey), tf.constant(label),
                                                     quantile=0.95))
    assert cut.shape == (3, 1, 1, 1, 1)
    for i in range(3):                                   # no cap, no pooling over the batch
        expected = np.quantile(grey[i][label[i] == 0], 0.95)
        assert cut[i].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('level, expected', [(10.0, 0.0), (30.0, 1.0)])
def test_label_loss_counts_crossings(level, expected):
    draft = tf.constant(10.0, shape=[2, 4, 4, 4, 1])
    cut = tf.constant(20.0, shape=[2, 1, 1, 1, 1])
    loss = losses.label_loss(draft, draft * 0 + level, label=draft * 0, cuts=(cut, cut),
                             steepness=10.0)
    with tf.Session() as session:
        assert session.run(loss) == pytest.approx(expected, abs=1e-6)


def test_label_loss_does_not_care_for_overall_brightness():
    """With the cut's gradient, making a whole refined image darker gains nothing."""
    rng = np.random.default_rng(0)
    draft = tf.constant(rng.normal(500, 30, (1, 8, 16, 16, 1)).astype(np.float32))
    label = tf.zeros([1, 8, 16, 16, 1])
    shift = tf.constant(0.0)
    refined = tf.constant(rng.normal(900, 20, (1, 8, 16, 16, 1)).astype(np.float32)) + shift
    cuts = [losses.background_quantile(grey, label, quantile=0.95) for grey in (draft, refined)]
    loss = losses.label_loss(draft, refined, label=label, cuts=cuts, steepness=0.1)
    with tf.Session() as session:
        assert abs(session.run(tf.gradients(loss, shift)[0])) < 1e-6


@pytest.mark.parametrize('share, expected', [(0.0, 2 / 64), (0.5, 0.5), (0.25, 0.25)])
def test_the_labels_few_voxels_carry_their_share_of_the_label_loss(share, expected):
    """Both foreground voxels of 64 are lost, no background voxel changes."""
    label = np.zeros((1, 4, 4, 4, 1), np.float32)
    label[0, 1, 2, :2] = 1
    cut = tf.constant(20.0, shape=[1, 1, 1, 1, 1])
    loss = losses.label_loss(tf.constant(100 * label), tf.constant(0 * label), cuts=(cut, cut),
                             label=tf.constant(label), steepness=10.0, foreground_share=share)
    with tf.Session() as session:
        assert session.run(loss) == pytest.approx(expected, abs=1e-6)


def test_smoothed_is_a_mirrored_box_of_three_taken_again_and_again():
    grey = np.random.default_rng(0).uniform(0, 900, (2, 5, 6, 4, 1)).astype(np.float32)
    expected = grey
    for _ in range(2):
        expected = ndimage.uniform_filter(expected, (1, 3, 3, 3, 1), mode='reflect')
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(losses.smoothed(tf.constant(grey), 2)), expected,
                                   rtol=1e-5)
        np.testing.assert_array_equal(session.run(losses.smoothed(tf.constant(grey), 0)), grey)


def test_smoothed_label_loss_lets_noise_be_redrawn_and_no_strand():
    rng = np.random.default_rng(0)
    label = tf.zeros([1, 16, 16, 16, 1])
    draft, redrawn = [rng.normal(500, 90, (1, 16, 16, 16, 1)).astype(np.float32)
                      for _ in range(2)]
    strand = draft.copy()
    strand[0, 8:10, :, 8:10] += 300

    def loss(refined, times):
        grey = [losses.smoothed(tf.constant(x), times) for x in (draft, refined)]
        cuts = [losses.background_quantile(x, label, quantile=0.95) for x in grey]
        return losses.label_loss(*grey, label=label, cuts=cuts, steepness=1 / 90)

    with tf.Session() as session:
        plain = session.run([loss(redrawn, 0), loss(strand, 0)])
        smooth = session.run([loss(redrawn, 2), loss(strand, 2)])
    assert plain[0] > 2 * plain[1]               # redrawn noise is what costs
    assert smooth[1] > 1.0 * smooth[0]


def test_adversarial_losses_known_by_hand():
    one, half = tf.ones([4, 2]), tf.fill([4, 2], 0.5)
    with tf.Session() as session:
        assert session.run(losses.discriminator_loss(one, one)) == 1.0
        assert session.run(losses.discriminator_loss(half, half)) == 0.5
        assert session.run(losses.refiner_adversarial_loss(half)) == 0.25
        assert session.run(losses.identity_loss(one, half)) == 0.5
