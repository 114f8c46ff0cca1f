"""Layers: own convolution gradients, batch norm."""
import numpy as np
import pytest

from models import layers, tf
from models.layers import Conv, Moments


@pytest.mark.parametrize('size, stride, shape, padding', [
    (3, 1, (5, 6, 7), 'SAME'), (5, 1, (6, 5, 7), 'SAME'), (3, 2, (4, 6, 8), 'SAME'),
    (3, 2, (5, 7, 9), 'SAME'), (3, 2, (4, 5, 6), 'SAME'), (5, 1, (7, 8, 9), 'VALID')])
def test_own_convolution_gradient_equals_tensorflows(size, stride, shape, padding):
    rng = np.random.default_rng(0)
    tf.reset_default_graph()
    x = tf.constant(rng.normal(size=(2,) + shape + (3,)).astype(np.float32))
    kernel = tf.constant(rng.normal(size=(size, size, size, 3, 4)).astype(np.float32))
    results = []
    for y in (tf.nn.conv3d(x, kernel, [1, stride, stride, stride, 1], padding),
              layers.conv3d_own_gradient(x, kernel, stride=stride, padding=padding)):
        results.append([y] + tf.gradients(tf.reduce_sum(tf.sin(y)), [x, kernel]))
    with tf.Session() as session:
        theirs, ours = session.run(results)
    for a, b in zip(theirs, ours):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)


def test_batch_norm_uses_the_batch_in_training_and_moving_averages_after():
    tf.reset_default_graph()
    values = np.random.default_rng(0).normal(5.0, 2.0, (2, 4, 5, 6, 3)).astype(np.float32)
    x = tf.constant(values)
    updates = []
    with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
        trained = layers.batch_norm(x, 'bn', moments=Moments(updates))
        factor, offset = layers.frozen_norm(3, 'bn')
        used = x * factor + offset
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        np.testing.assert_allclose(session.run(used), values / np.sqrt(1 + layers.BN_EPSILON),
                                   rtol=1e-5)
        y = session.run(trained)
        np.testing.assert_allclose(y.mean((0, 1, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(y.std((0, 1, 2, 3)), 1, atol=1e-3)
        session.run(updates)
        mean = session.run([v for v in tf.global_variables() if 'moving_mean' in v.name][0])
        np.testing.assert_allclose(mean, 0.1 * values.mean((0, 1, 2, 3)), rtol=1e-4)


def test_norm_folded_into_the_convolution_is_the_norm_after_it():
    tf.reset_default_graph()
    x = tf.constant(np.random.default_rng(0).normal(size=(1, 4, 5, 6, 2)).astype(np.float32))
    rng = np.random.default_rng(1)
    with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
        factor, offset = layers.frozen_norm(3, 'bn')
        plain = layers.conv3d(x, Conv('conv', 3)) * factor + offset
        folded = layers.normed(x, Conv('conv', 3), norm='bn')
    weights = tf.global_variables()
    with tf.Session() as session:
        for variable in weights:
            value = rng.uniform(0.5, 2, variable.shape.as_list())
            variable.load(value.astype(np.float32), session)
        a, b = session.run([plain, folded])
        ga, gb = session.run([tf.gradients(tf.reduce_sum(tf.sin(y)), tf.trainable_variables())
                              for y in (plain, folded)])
    np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)
    assert len(ga) == 4
    for g, h in zip(ga, gb):
        np.testing.assert_allclose(h, g, rtol=1e-3, atol=1e-3)
