"""How fast TensorFlow trains: python -m utils.train.probe prints the seconds of a small step."""
import time

import numpy as np

from models import segmenter, tf

CROP, CHANNELS, LEVELS = (16, 48, 48), 8, 2      # of the segmentation network; two patches a step
SECONDS = 1.5                                    # that are timed, at least two steps of them


def seconds_of_a_step():
    """Median seconds of a training step of a small segmentation network, the first one left out."""
    graph = segmenter.build(CROP, CHANNELS, levels=LEVELS, learning_rate=1e-3, max_steps=100,
                            average_decay=0.9)
    rng = np.random.default_rng(0)
    voxels = rng.normal(size=(2,) + CROP + (1,)).astype(np.float32)
    feed = {graph.image: voxels, graph.label: (voxels > 1).astype(np.float32),
            graph.weight: np.ones_like(voxels)}
    taken = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(graph.update, feed)
        while len(taken) < 2 or sum(taken) < SECONDS:
            begun = time.perf_counter()
            session.run(graph.update, feed)
            taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


if __name__ == '__main__':
    print(seconds_of_a_step())
