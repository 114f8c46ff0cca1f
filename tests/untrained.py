"""Networks with random weights, packed as trained ones are: for tests and benchmarks."""
from models import gan, segmenter, tf
from utils.common import claims
from utils.train import checkpoints, sessions

BITS = 16


def write_segmenter(folder, *, channels=2, levels=1):
    """Pack a segmentation network of some width; a RUN_DIR of 3_segmentation.py."""
    _write(folder, lambda: segmenter.build_inference(channels, levels),
           segmenter.inference_variables, settings={'CHANNELS': channels, 'LEVELS': levels},
           script='3_segmentation.py')


def write_refiner(folder, *, channels=2):
    """Pack a refiner of some width, for 16 bits; a RUN_DIR of 2_mpgan.py."""
    _write(folder, lambda: gan.build_inference(BITS, channels), gan.inference_variables,
           settings={'REFINER_CHANNELS': channels, 'BITS': BITS, 'STANDARDISE': False},
           script='2_mpgan.py')


def _write(folder, build, variables, *, settings, script):
    tf.reset_default_graph()
    tf.set_random_seed(1)
    build()
    saver = tf.train.Saver(variables())
    with sessions.open_session(1) as session:
        session.run(tf.global_variables_initializer())
        checkpoints.pack(str(folder), step=1, session=session, saver=saver, settings=settings,
                         owner=claims.packing(script))
