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


def background(shape=(1, 8, 16, 16, 1), noise=30.0, seed=0):
    """Noise about 500 grey levels, and a label without a voxel."""
    grey = np.random.default_rng(seed).normal(500, noise, shape).astype(np.float32)
    return grey, np.zeros(shape, np.float32)


def test_foreground_is_a_soft_threshold_at_the_backgrounds_quantile():
    grey, label = background()
    label[0, 2, 3] = 1
    cut = np.quantile(grey[label == 0], 0.95)
    found = losses.foreground(tf.constant(grey), tf.constant(label), quantile=0.95, steepness=0.1)
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(found), 1 / (1 + np.exp(-0.1 * (grey - cut))),
                                   rtol=1e-3, atol=1e-6)


def test_without_a_steepness_images_are_compared_in_their_own_noise_levels():
    """The same image, five times as noisy and brighter: the same foreground, of median 0.018."""
    grey, label = background()
    with tf.Session() as session:
        once, again = session.run([
            losses.foreground(tf.constant(x), tf.constant(label), quantile=0.95, steepness=0)
            for x in (grey, 5 * grey + 100)])
    np.testing.assert_allclose(once, again, rtol=1e-2, atol=1e-5)
    assert np.median(once) == pytest.approx(1 / (1 + np.exp(4)), rel=0.02)


@pytest.mark.parametrize('before, after, expected', [(0.1, 0.1, 0.0), (0.0, 1.0, 1.0)])
def test_label_loss_counts_crossings(before, after, expected):
    before, after = [tf.fill([2, 4, 4, 4, 1], value) for value in (before, after)]
    with tf.Session() as session:
        loss = session.run(losses.label_loss(before, after, label=0 * before))
    assert loss == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('steepness', [0.1, 0.0])
def test_label_loss_does_not_care_for_overall_brightness(steepness):
    """With the cut's gradient, making a whole refined image darker gains nothing."""
    (draft, label), (refined, _) = background(), background(noise=20, seed=1)
    shift = tf.constant(0.0)
    soft = [losses.foreground(grey, tf.constant(label), quantile=0.95, steepness=steepness)
            for grey in (tf.constant(draft), tf.constant(refined) + shift)]
    loss = losses.label_loss(*soft, label=tf.constant(label))
    with tf.Session() as session:
        assert abs(session.run(tf.gradients(loss, shift)[0])) < 1e-6


@pytest.mark.parametrize('share, expected', [(0.0, 2 / 64), (0.5, 0.5), (0.25, 0.25)])
def test_the_labels_few_voxels_carry_their_share_of_the_label_loss(share, expected):
    """Both foreground voxels of 64 are lost, no background voxel changes."""
    label = np.zeros((1, 4, 4, 4, 1), np.float32)
    label[0, 1, 2, :2] = 1
    loss = losses.label_loss(tf.constant(label), tf.constant(0 * label), label=tf.constant(label),
                             foreground_share=share)
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


def test_smoothed_label_loss_forbids_a_strand_rather_than_other_noise():
    """Noise drawn anew costs less than if it hides a new strand, or than a neurite that sinks.

    The paper's form prefers the strand to other noise.
    """
    shape = (1, 16, 32, 32, 1)
    (draft, label), (other, _) = [background(shape, noise=60, seed=seed) for seed in (0, 1)]
    label[0, 7:9, 20:22] = 1
    strand = np.zeros(shape, np.float32)
    strand[0, 8:10, :, 8:10] = 150
    draft, neurite = draft + 600 * label, 600 * label

    def loss(refined, times, **how):
        soft = [losses.foreground(losses.smoothed(tf.constant(x), times), tf.constant(label),
                                  quantile=0.95, **how) for x in (draft, refined)]
        return losses.label_loss(*soft, label=tf.constant(label), foreground_share=0.5)

    with tf.Session() as session:
        paper = session.run([loss(x, 0, steepness=0.1) for x in (other + neurite, draft + strand)])
        anew, with_strand, sunk = session.run([loss(x, 2, steepness=0) for x in (
            other + neurite, other + neurite + strand, other + neurite / 12)])
    assert paper[0] > paper[1]
    assert with_strand > 1.2 * anew and sunk > 3 * anew


@pytest.mark.parametrize('sd', [0.5, 1.2, 60])
def test_auto_threshold_is_on_the_scale_of_each_images_own_noise(sd):
    """The background's median counts as 0.02, also in 8-bit noise below a grey level."""
    grey, label = background((1, 16, 32, 32, 1), noise=sd)
    with tf.Session() as session:
        found = session.run(losses.foreground(tf.constant(grey), tf.constant(label), quantile=0.95,
                                              steepness=0))
    assert np.median(found) == pytest.approx(1 / (1 + np.exp(losses.STEEP)), rel=0.02)
    assert (found > 0.5).mean() == pytest.approx(0.00135, abs=0.001)         # 3 sigma


def test_a_crop_that_is_all_label_has_a_finite_loss():
    grey = tf.constant(background()[0])
    label = tf.ones_like(grey)
    soft = [losses.foreground(x, label, quantile=0.95, steepness=0) for x in (grey, grey + 50)]
    with tf.Session() as session:
        assert np.isfinite(session.run(losses.label_loss(*soft, label=label)))


def test_adversarial_losses_known_by_hand():
    one, half = tf.ones([4, 2]), tf.fill([4, 2], 0.5)
    with tf.Session() as session:
        assert session.run(losses.discriminator_loss(one, one)) == 1.0
        assert session.run(losses.discriminator_loss(half, half)) == 0.5
        assert session.run(losses.refiner_adversarial_loss(half)) == 0.25
        assert session.run(losses.identity_loss(one, half)) == 0.5


def test_level_and_contrast_losses_are_the_changes_of_each_images_means():
    """One image 0.2 brighter, one 0.1 darker, its foreground, a quarter, 0.5 brighter again."""
    draft = np.random.default_rng(0).uniform(-1, 0, (2, 4, 4, 4, 1)).astype(np.float32)
    label = np.zeros_like(draft)
    label[:, 1] = 1
    refined = draft + np.array([0.2, -0.1], np.float32)[:, None, None, None, None]
    refined[1] += 0.5 * label[1]
    with tf.Session() as session:
        level, contrast, none = session.run([
            losses.level_loss(draft, refined), losses.contrast_loss(draft, refined, label=label),
            losses.contrast_loss(draft, refined, label=0 * label)])
    assert level == pytest.approx((0.2 + 0.025) / 2, rel=1e-4)
    assert contrast == pytest.approx((0.2 + 0.4) / 2, rel=1e-4) and none == 0
