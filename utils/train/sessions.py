"""TensorFlow sessions, and the weights of a checkpoint in them."""
import os

from models import tf
from utils.common.errors import UserError


def open_session(threads=0, *, xla=False, gpu=None):
    """A session that takes GPU memory as it needs it.

    Args:
        threads: of TensorFlow; 0 takes all cores. A process's first session decides for all.
        xla: compile what XLA can.
        gpu: None: any; or the number of the one to use, if there are any.

    Raises:
        UserError: fewer threads than none, at which TensorFlow would abort.
    """
    if threads < 0:
        raise UserError('THREADS=%d: want at least 0' % threads)
    options = tf.ConfigProto(intra_op_parallelism_threads=threads,
                             inter_op_parallelism_threads=threads)
    options.gpu_options.allow_growth = True
    if gpu is not None and tf.config.experimental.list_physical_devices('GPU'):
        options.gpu_options.visible_device_list = str(gpu)
    if xla:
        options.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    return tf.Session(config=options)


def restore(session, saver, *, checkpoint):
    """Restore a saver's variables from a checkpoint folder, written by either TensorFlow.

    Raises:
        UserError: damaged, or of networks of another size.
    """
    try:
        saver.restore(session, os.path.join(checkpoint, 'model'))
    except (tf.errors.OpError, ValueError) as error:
        raise UserError('%s does not fit these networks or is damaged (%s): use the settings that '
                        'it was trained with, or another RUN_DIR'
                        % (checkpoint, str(error).split('\n')[0][:120]))
