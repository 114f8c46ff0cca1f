"""Updates of both networks with TensorFlow's own gradients of 3-D convolutions and with ours.

Networks, crop and batch are configs/demo/mpgan.py's.

Reads   nothing
Writes  nothing
Run     python tests/benchmarks/convolution_gradient.py
"""
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from models import gan, layers, tf      # noqa: E402

CROP, BATCH, REPEATS = (16, 32, 32), 2, 8
NETWORKS = gan.Architecture(refiner_channels=8, discriminator_channels=16)


def seconds(own):
    """Median seconds of (refiner update, discriminator update), with our own gradients or not."""
    layers.OWN_GRADIENT = own
    tf.reset_default_graph()
    graph = gan.build(CROP, 16, settings=gan.Settings(NETWORKS))
    draft = np.random.default_rng(0).uniform(0, 1000, (BATCH,) + CROP + (1,)).astype(np.float32)
    feeds = [{graph.draft: draft, graph.label: draft > 900, graph.label_weight: 0.5},
             {graph.real: draft, graph.history: np.zeros_like(draft)}]
    medians = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for update, feed in zip((graph.refiner_update, graph.discriminator_update), feeds):
            session.run(update, feed)
            times = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                session.run(update, feed)
                times.append(time.perf_counter() - start)
            medians.append(float(np.median(times)))
    return medians


def main():
    chosen = layers.OWN_GRADIENT
    theirs, ours = seconds(False), seconds(True)
    print('TensorFlow %s; this runtime takes %s gradients'
          % (tf.__version__, 'our' if chosen else "TensorFlow's"))
    print('%-16s %12s %12s %8s' % ('update', 'TensorFlow s', 'ours s', 'ratio'))
    for name, a, b in zip(('refiner', 'discriminator'), theirs, ours):
        print('%-16s %12.3f %12.3f %8.2f' % (name, a, b, a / b))
    print('result: refiner_ratio=%.3f discriminator_ratio=%.3f'
          % (theirs[0] / ours[0], theirs[1] / ours[1]))


if __name__ == '__main__':
    main()
