"""Training runs: session, checkpoints that are whole or absent, log.csv and TensorBoard events.

The only module under utils/ that knows TensorFlow.
"""
import csv
import os
import pickle
import shutil
import time

import numpy as np
import tensorflow.compat.v1 as tf

from utils.config import UserError, read_json, remove, write_json


class Run:
    """One training run in a folder. Use as a context manager; restores the newest whole checkpoint.

    Attributes:
        step: int, finished training steps.
        session: tf.Session.
    """

    def __init__(self, folder, columns, threads=0, keep=2):
        """Args:
            folder: of the run; made if missing.
            columns: names of the values that `log` gets, after step and seconds.
            threads: of TensorFlow; 0 takes all cores.
            keep: newest checkpoints that stay.
        """
        self.folder, self.columns, self.keep = folder, ['step', 'seconds'] + list(columns), keep
        os.makedirs(os.path.join(folder, 'checkpoints'), exist_ok=True)
        self.session = open_session(threads)
        self.saver = tf.train.Saver(max_to_keep=None)
        self.session.run(tf.global_variables_initializer())
        self.step, self.history, self.extra, self.seconds, self.best = 0, None, None, 0.0, None
        newest = newest_checkpoint(folder)
        if newest:
            restore(self.session, self.saver, newest)
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
        self.events.close()
        self.session.close()

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
        bad = [name for name, value in values.items() if not np.isfinite(value)]
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

    def save_best(self, score, history, extra):
        """Save this step as the best checkpoint, which is kept until another one is."""
        self.best = {'step': self.step, 'score': score}
        self.save(history, extra)

    def _write_best(self):
        path = os.path.join(self.folder, 'best.json')
        if self.best is None:
            remove(path)
        else:
            write_json(path, self.best)


def open_session(threads=0):
    """A session that takes GPU memory as it needs it; threads 0 takes all cores."""
    options = tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
    options.gpu_options.allow_growth = True
    return tf.Session(config=options)


def checkpoints(folder):
    """Whole checkpoints of a run, oldest first."""
    root = os.path.join(folder, 'checkpoints')
    names = os.listdir(root) if os.path.isdir(root) else []
    return [os.path.join(root, name) for name in sorted(names)
            if name.startswith('step-') and not name.endswith('.partial')]


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


def restore(session, saver, checkpoint):
    """Restore variables from a checkpoint folder, of either TensorFlow.

    Raises:
        UserError: damaged, or of networks of another size.
    """
    try:
        saver.restore(session, os.path.join(checkpoint, 'model'))
    except (tf.errors.OpError, ValueError) as error:
        raise UserError('%s does not fit these networks or is damaged (%s): use the settings that it was trained with, '
                        'or another RUN_DIR' % (checkpoint, str(error).split('\n')[0][:120]))


def save_weights(folder, step, session, saver):
    """Write a saver's variables alone as the one checkpoint of a folder; returns its path."""
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
