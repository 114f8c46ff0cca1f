"""The processes of a data-parallel run: which they are, and what they tell each other (Horovod)."""
import os
import pickle
from typing import Any, NamedTuple

import numpy as np

from models import tf
from utils.common.errors import UserError

GATHERED = 2 ** 30         # bytes that all exchange at a time: MPI and Gloo count in int32
LAUNCHERS = (('HOROVOD_RANK', 'HOROVOD_SIZE'), ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'),
             ('PMI_RANK', 'PMI_SIZE'))


class Ranks(NamedTuple):
    """Where this process stands among those of its run."""
    rank: int = 0          # number of this one, from 0
    size: int = 1          # how many there are
    horovod: Any = None    # module horovod.tensorflow; None: one process alone


def find_ranks(training=True):
    """The processes that horovodrun (or mpirun) started, this one among them.

    Args:
        training: False: they need not talk to each other.

    Returns:
        Ranks.

    Raises:
        UserError: several were started, and Horovod is not installed or does not see them.
    """
    numbers = [[os.environ.get(name, '') for name in names] for names in LAUNCHERS]
    several = [(int(rank), int(size)) for rank, size in numbers
               if rank.isdigit() and size.isdigit() and int(size) > 1]
    if not several:
        return Ranks()
    rank, size = several[0]
    if not training:
        return Ranks(rank, size)
    try:
        import horovod.tensorflow as horovod
    except Exception as error:     # ImportError, or what a TensorFlow it was not built for raises
        raise UserError('started as one of %d processes, but Horovod does not import (%s): see '
                        'requirements-distributed.txt' % (size, str(error).split('\n')[0]))
    horovod.init()
    if horovod.size() != size:
        raise UserError('started as one of %d processes, but Horovod sees %d: it was built without '
                        'that launcher; use horovodrun --gloo' % (size, horovod.size()))
    return Ranks(horovod.rank(), horovod.size(), horovod)


def wrapper(ranks, mixed_precision=False):
    """What gan.build applies to its optimisers.

    Returns:
        function of an optimiser: the same with its gradients averaged over all processes, and in
        half precision where that is safe.
    """
    def wrap(optimizer):
        if ranks.horovod:
            optimizer = ranks.horovod.DistributedOptimizer(optimizer)
        if mixed_precision:
            optimizer = tf.train.experimental.enable_mixed_precision_graph_rewrite(optimizer)
        return optimizer

    return wrap


class Exchange:
    """Values and weights from process to process, in a session; does nothing for one alone."""

    def __init__(self, ranks, session):
        """Adds ops to the graph; make it after all variables.

        Args:
            ranks: Ranks; session: tf.Session of this process.
        """
        self.ranks, self.session = ranks, session
        if ranks.horovod:
            # fed: TensorFlow 2 folds a collective operation on a constant, and so runs it alone
            self._bytes = tf.placeholder(tf.uint8, [None])
            self._length = tf.placeholder(tf.int64, [1])
            self._all_bytes = ranks.horovod.allgather(self._bytes, name='gather_bytes')
            self._all_lengths = ranks.horovod.allgather(self._length, name='gather_lengths')

    def share_weights(self):
        """Give all processes the first one's variables; all have to call it."""
        horovod = self.ranks.horovod
        if horovod:
            self.session.run(horovod.broadcast_variables(tf.global_variables(), root_rank=0))

    def gather(self, value):
        """The list of all processes' values, anything that pickles; all have to call it."""
        if not self.ranks.horovod:
            return [value]
        # pickled: from process to process of one run, never from a file
        own = np.frombuffer(pickle.dumps(value, protocol=4), np.uint8)
        lengths = self.session.run(self._all_lengths, {self._length: [len(own)]})
        step, parts = GATHERED // self.ranks.size, [[] for _ in lengths]
        for first in range(0, int(lengths.max()), step):
            joined = self.session.run(self._all_bytes, {self._bytes: own[first:first + step]})
            sizes = np.clip(lengths - first, 0, step)
            for part, piece in zip(parts, np.split(joined, np.cumsum(sizes)[:-1])):
                part.append(piece)
        return [pickle.loads(np.concatenate(part).tobytes()) for part in parts]
