"""Training runs: session, data pipeline, processes, checkpoints that are whole or absent, log.csv, TensorBoard events.

The only module under utils/ that knows TensorFlow.
"""
import csv
import os
import pickle
import shutil
import signal
import time
from collections import namedtuple

import numpy as np
import tensorflow.compat.v1 as tf

from utils.common.errors import UserError
from utils.common.files import read_json, remove, write_json


READ_AHEAD = 4                          # batches that the data pipeline prepares while the networks compute

# The processes of a data-parallel run: this one's number, how many, and horovod.tensorflow (None: one process alone).
Ranks = namedtuple('Ranks', 'rank size horovod')


GATHERED = 2 ** 30                      # bytes that all processes together exchange at a time: MPI and Gloo count in int32


def find_ranks(training=True):
    """The processes that horovodrun (or mpirun) started, this one among them.

    Args:
        training: False: they need not talk to each other.

    Raises:
        UserError: several were started, and Horovod is not installed or does not see them.
    """
    for rank, size in (('HOROVOD_RANK', 'HOROVOD_SIZE'), ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'), ('PMI_RANK', 'PMI_SIZE')):
        if os.environ.get(rank, '').isdigit() and os.environ.get(size, '').isdigit() and int(os.environ[size]) > 1:
            started = Ranks(int(os.environ[rank]), int(os.environ[size]), None)
            break
    else:
        return Ranks(0, 1, None)
    if not training:
        return started
    try:
        import horovod.tensorflow as horovod
    except Exception as error:                           # ImportError, or what a TensorFlow that it was not built for raises
        raise UserError('started as one of %d processes, but Horovod does not import (%s): see '
                        'requirements-distributed.txt' % (started.size, str(error).split('\n')[0]))
    horovod.init()
    if horovod.size() != started.size:
        raise UserError('started as one of %d processes, but Horovod sees %d: it was built without that launcher; use '
                        'horovodrun --gloo' % (started.size, horovod.size()))
    return Ranks(horovod.rank(), horovod.size(), horovod)


def wrapper(ranks, mixed_precision=False):
    """What gan.build applies to its optimisers: gradients averaged over all processes, half precision where it is safe."""
    def wrap(optimizer):
        if ranks.horovod:
            optimizer = ranks.horovod.DistributedOptimizer(optimizer)
        if mixed_precision:
            optimizer = tf.train.experimental.enable_mixed_precision_graph_rewrite(optimizer)
        return optimizer

    return wrap


class Stream:
    """A tf.data pipeline of numbered batches, made ahead by a thread of its own.

    Attributes:
        tensors: of the next batch, one per array of it.
    """

    def __init__(self, draw, shapes, *, name):
        """Args:
            draw: function of a batch's number, int, that returns float32 arrays, any number of times.
            shapes: of the arrays, None where a size varies; name: of the file, for messages.
        """
        self.name, self.error = name, None

        def batches(first):
            number = int(first)
            while True:
                try:
                    batch = tuple(draw(number))
                except Exception as error:               # TensorFlow would wrap it in a page of its own
                    self.error = error
                    raise
                yield batch
                number += 1

        self._first = tf.placeholder(tf.int64, [], 'first_batch')
        data = tf.data.Dataset.from_generator(batches, (tf.float32,) * len(shapes),
                                              tuple(tf.TensorShape(shape) for shape in shapes), args=(self._first,))
        self._iterator = tf.data.make_initializable_iterator(data.prefetch(READ_AHEAD))
        self.tensors = self._iterator.get_next()

    def start(self, session, number):
        """Begin with this batch."""
        session.run(self._iterator.initializer, {self._first: number})


class Stop:
    """Within its block Ctrl-C and SIGTERM (batch systems send it) do not break off: `asked` becomes True, and the loop can
    end in order. A second Ctrl-C does break off."""

    def __init__(self, active=True):
        self.active, self.asked = active, False

    def __enter__(self):
        if self.active:
            self._before = [(s, signal.signal(s, self._ask)) for s in (signal.SIGINT, signal.SIGTERM)]
        return self

    def _ask(self, *_):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_):
        for number, handler in self._before if self.active else ():
            signal.signal(number, handler)


class Run:
    """One training run in a folder. Use as a context manager; restores the newest whole checkpoint.

    Of several processes the first alone reads and writes the folder; all start from its weights.

    Attributes:
        step: int, finished training steps.
        session: tf.Session.
        first: True in the process that logs and saves.
    """

    def __init__(self, folder, columns, *, threads=0, keep=2, ranks=Ranks(0, 1, None), xla=False):
        """Args:
            folder: of the run; made if missing.
            columns: names of the values that `log` gets, after step and seconds.
            threads: of TensorFlow; 0 takes all cores.
            keep: newest checkpoints that stay.
            ranks: of find_ranks; xla: see open_session.
        """
        self.folder, self.columns, self.keep = folder, ['step', 'seconds'] + list(columns), keep
        self.ranks, self.first = ranks, ranks.rank == 0
        self.session = open_session(threads, xla, gpu=ranks.horovod and ranks.horovod.local_rank())
        self.saver = tf.train.Saver(max_to_keep=None)
        self.session.run(tf.global_variables_initializer())
        self.step, self.history, self.extra, self.seconds, self.best = 0, None, None, 0.0, None
        self.events, self.streams, self.lenient = None, [], ()
        if ranks.horovod:        # fed, since TensorFlow 2 folds a collective operation on a constant and so runs it alone
            self._bytes, self._length = tf.placeholder(tf.uint8, [None]), tf.placeholder(tf.int64, [1])
            self._all_bytes, self._all_lengths = [ranks.horovod.allgather(part, name=name) for part, name in (
                (self._bytes, 'gather_bytes'), (self._length, 'gather_lengths'))]
        if self.first:
            self._open()
        if ranks.horovod:
            self.share_weights()
            self.step, self.history, self.extra = self.gather((self.step, self.history, self.extra) if self.first else None)[0]

    def _open(self):
        folder = self.folder
        os.makedirs(os.path.join(folder, 'checkpoints'), exist_ok=True)
        newest = newest_checkpoint(folder)
        if newest:
            restore(self.session, self.saver, checkpoint=newest)
            try:
                with open(os.path.join(newest, 'state.pickle'), 'rb') as file:
                    state = pickle.load(file)
                self.history = np.load(os.path.join(newest, 'history.npy'))
            except (OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
                raise UserError('%s is damaged: remove it to go on from the checkpoint before it' % newest)
            self.step, self.extra, self.seconds, self.best = [state[n] for n in ('step', 'extra', 'seconds', 'best')]
        self._write_best()                               # a kill may have come between the checkpoint and its mark
        self._start = time.time() - self.seconds
        self._trim_log()
        self.events = tf.summary.FileWriter(os.path.join(folder, 'events'), self.session.graph)
        if self.step:                                     # TensorBoard drops what a killed run logged beyond here
            self.events.add_session_log(tf.SessionLog(status=tf.SessionLog.START), self.step)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.events:
            self.events.close()
        self.session.close()

    def start(self, stream, number):
        """Begin a Stream with this batch."""
        self.streams.append(stream)
        stream.start(self.session, number)

    def update(self, fetches, feed):
        """session.run of a training step.

        Raises:
            UserError: a stream cannot read its file.
        """
        try:
            return self.session.run(fetches, feed)
        except tf.errors.OpError:
            for stream in self.streams:
                if isinstance(stream.error, MemoryError):
                    raise stream.error
                if stream.error is not None:
                    raise UserError('%s cannot be read (%s): make it anew; the checkpoints stay' % (
                        stream.name, str(stream.error).split('\n')[0]))
            raise

    def share_weights(self):
        """Give all processes the first one's variables."""
        if self.ranks.horovod:
            self.session.run(self.ranks.horovod.broadcast_variables(tf.global_variables(), root_rank=0))

    def gather(self, value):
        """The list of all processes' values; all have to call it."""
        if not self.ranks.horovod:
            return [value]
        own = np.frombuffer(pickle.dumps(value, protocol=4), np.uint8)
        lengths = self.session.run(self._all_lengths, {self._length: [len(own)]})
        step, parts = GATHERED // self.ranks.size, [[] for _ in lengths]
        for first in range(0, int(lengths.max()), step):
            joined = self.session.run(self._all_bytes, {self._bytes: own[first:first + step]})
            sizes = np.clip(lengths - first, 0, step)
            for part, piece in zip(parts, np.split(joined, np.cumsum(sizes)[:-1])):
                part.append(piece)
        return [pickle.loads(np.concatenate(part).tobytes()) for part in parts]

    def _trim_log(self):
        """Drop rows of log.csv after the restored step; start the file if there is none."""
        path = os.path.join(self.folder, 'log.csv')
        rows = []
        if os.path.exists(path) and self.step:
            with open(path, newline='') as file:
                rows = [row for row in list(csv.reader(file))[1:]
                        if len(row) == len(self.columns) and int(row[0]) <= self.step]
        with open(path + '.partial', 'w', newline='') as file:
            csv.writer(file).writerows([self.columns] + rows)
        os.replace(path + '.partial', path)

    def log(self, values):
        """Append one row to log.csv, blank where a column has no value, and to the TensorBoard events.

        Raises:
            UserError: see check.
        """
        self.check(values)
        row = [self.step, '%.1f' % (time.time() - self._start)] + [
            '%.6g' % values[c] if c in values else '' for c in self.columns[2:]]
        with open(os.path.join(self.folder, 'log.csv'), 'a', newline='') as file:
            csv.writer(file).writerow(row)
        self.events.add_summary(tf.Summary(value=[
            tf.Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]), self.step)

    def check(self, values):
        """Raise UserError if a value is not finite: the run has diverged, its last checkpoint stays."""
        bad = [name for name, value in values.items() if not np.isfinite(value) and not name.endswith(self.lenient or ('\n',))]
        if bad:
            raise UserError('%s: training diverged at step %d (%s is not finite): lower LEARNING_RATE and use another '
                            'RUN_DIR; the checkpoints before it stay' % (self.folder, self.step, ', '.join(bad)))

    def save(self, history, extra):
        """Write checkpoints/step-NNNNNN as a whole: variables, history buffer, random states.

        Args:
            history: float32 array; extra: anything that pickles.
        """
        final = os.path.join(self.folder, 'checkpoints', 'step-%06d' % self.step)
        if os.path.isdir(final):
            return
        partial = final + '.partial'
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial)
        try:
            self.saver.save(self.session, os.path.join(partial, 'model'), write_meta_graph=False)
            np.save(os.path.join(partial, 'history.npy'), history)
            with open(os.path.join(partial, 'state.pickle'), 'wb') as file:
                pickle.dump({'step': self.step, 'extra': extra, 'seconds': time.time() - self._start,
                             'best': self.best}, file, protocol=4)
            os.rename(partial, final)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise UserError('%s cannot be written (%s): free some space and run again; the checkpoint before it stays'
                            % (final, str(error).split('\n')[0][:120]))
        self._write_best()
        best = best_checkpoint(self.folder)
        for old in checkpoints(self.folder)[:-self.keep]:
            if old != best:
                shutil.rmtree(old)

    def save_best(self, score, history, *, extra):
        """Save this step as the best checkpoint, which is kept until another one is."""
        self.best = {'step': self.step, 'score': score}
        self.save(history, extra)

    def _write_best(self):
        path = os.path.join(self.folder, 'best.json')
        if self.best is None:
            remove(path)
        else:
            write_json(path, self.best)


def open_session(threads=0, xla=False, *, gpu=None):
    """A session that takes GPU memory as it needs it.

    Args:
        threads: 0 takes all cores; xla: compile what XLA can; gpu: None, or the number of the one to use, if there are any.

    Raises:
        UserError: fewer threads than none, at which TensorFlow would abort.
    """
    if threads < 0:
        raise UserError('THREADS=%d: want at least 0' % threads)
    options = tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
    options.gpu_options.allow_growth = True
    if gpu is not None and tf.config.experimental.list_physical_devices('GPU'):
        options.gpu_options.visible_device_list = str(gpu)
    if xla:
        options.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    return tf.Session(config=options)


def checkpoints(folder):
    """Whole checkpoints of a run, oldest first."""
    root = os.path.join(folder, 'checkpoints')
    names = os.listdir(root) if os.path.isdir(root) else []
    return sorted((os.path.join(root, name) for name in names if name.startswith('step-') and not name.endswith('.partial')),
                  key=step_of)


def newest_checkpoint(folder):
    """Path of the newest whole checkpoint, or None."""
    found = checkpoints(folder)
    return found[-1] if found else None


def best_checkpoint(folder):
    """Path of the best checkpoint of the evaluations, or None."""
    path = os.path.join(folder, 'best.json')
    if not os.path.exists(path):
        return None
    found = os.path.join(folder, 'checkpoints', 'step-%06d' % read_json(path)['step'])
    return found if os.path.isdir(found) else None


def step_of(checkpoint):
    """Training step of a checkpoint's path."""
    return int(os.path.basename(checkpoint).split('-')[1])


def restore(session, saver, *, checkpoint):
    """Restore variables from a checkpoint folder, of either TensorFlow.

    Raises:
        UserError: damaged, or of networks of another size.
    """
    try:
        saver.restore(session, os.path.join(checkpoint, 'model'))
    except (tf.errors.OpError, ValueError) as error:
        raise UserError('%s does not fit these networks or is damaged (%s): use the settings that it was trained with, '
                        'or another RUN_DIR' % (checkpoint, str(error).split('\n')[0][:120]))


def save_weights(folder, step, *, session, saver):
    """Write a saver's variables alone as the one checkpoint of a folder; returns its path.

    Raises:
        UserError: the folder holds a training run, which would be lost; or the disk is full.
    """
    if any(os.path.exists(os.path.join(path, 'state.pickle')) for path in checkpoints(folder)):
        raise UserError('%s holds a training run, whose checkpoints packing would replace: give another OUTPUT' % folder)
    final = os.path.join(folder, 'checkpoints', 'step-%06d' % step)
    shutil.rmtree(final + '.partial', ignore_errors=True)
    os.makedirs(final + '.partial')
    try:
        saver.save(session, os.path.join(final + '.partial', 'model'), write_meta_graph=False)
    except tf.errors.OpError as error:
        raise UserError('%s cannot be written (%s): free some space and run again' % (final, str(error).split('\n')[0][:120]))
    for old in checkpoints(folder):
        shutil.rmtree(old)
    os.rename(final + '.partial', final)
    return final
