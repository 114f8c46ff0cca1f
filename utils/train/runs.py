"""One training run in a folder: session, newest checkpoint, log.csv, TensorBoard events."""
import contextlib
import csv
import os
import time

import numpy as np

from models import tf
from utils.common import files, locks
from utils.common.errors import UserError
from utils.train import checkpoints, sessions
from utils.train.events import Events
from utils.train.processes import Exchange, Ranks


def lock(folder, ranks=Ranks()):
    """Context manager: no other run trains in a folder; see locks.hold. Of several processes the
    first one holds the lock for all."""
    return contextlib.nullcontext() if ranks.rank else locks.hold(folder, purpose='training')


class Run:
    """One training run. Use as a context manager; it starts from the newest whole checkpoint.

    Of several processes the first alone reads and writes the folder; all start from its weights.
    Another run in the same folder is refused as long as this one is open.

    Attributes:
        folder: of the run; columns: of log.csv.
        session: tf.Session; ranks: Ranks; first: True in the process that logs and saves.
        step: whole number, the step that is under way or was done last; see loop.steps.
        history, extra: what `save` was given, of the checkpoint; None for a new run.
        best: None, or dict with `step` of the best evaluation and `score`, as save_best has it.
    """

    def __init__(self, folder, columns, *, threads=0, keep=2, ranks=Ranks(), xla=False):
        """Make all variables before.

        Args:
            folder: of the run; made if missing.
            columns: names of the values that `log` gets, after step and seconds.
            threads: of TensorFlow; 0 takes all cores.
            keep: newest checkpoints that stay.
            ranks: of processes.find_ranks; xla: see sessions.open_session.

        Raises:
            UserError: the newest checkpoint or the log is damaged, or of other networks; another
                process trains in the folder.
        """
        self.folder, self.columns, self.keep = folder, ['step', 'seconds'] + list(columns), keep
        self.ranks, self.first = ranks, ranks.rank == 0
        gpu = ranks.horovod.local_rank() if ranks.horovod else None
        self.session = sessions.open_session(threads, xla=xla, gpu=gpu)
        self.saver = checkpoints.saver_of()
        self.session.run(tf.global_variables_initializer())
        self.step, self.history, self.extra, self.best = 0, None, None, None
        self.events, self.streams, self.may_overflow = None, [], ()
        self._start = time.time()
        exchange = Exchange(ranks, self.session)
        self.gather, self.share_weights = exchange.gather, exchange.share_weights
        with contextlib.ExitStack() as opened:           # closed again if one of them fails
            opened.callback(self.session.close)
            if self.first:
                opened.enter_context(lock(folder))
                self._open()
                opened.callback(self.events.close)
            self.share_weights()
            self.step, self.history, self.extra = self.gather(
                (self.step, self.history, self.extra) if self.first else None)[0]
            self._opened = opened.pop_all()

    def _open(self):
        """Restore the newest checkpoint, and bring log and events to its step."""
        os.makedirs(os.path.join(self.folder, 'checkpoints'), exist_ok=True)
        newest = checkpoints.newest(self.folder)
        if newest:
            sessions.restore(self.session, self.saver, checkpoint=newest)
            state, self.history = checkpoints.read_state(newest)
            self.step, self.extra, self.best = [state[name] for name in ('step', 'extra', 'best')]
            self._start -= state['seconds']
        self._write_best()               # a kill may have come between the checkpoint and its mark
        self._trim_log()
        self.events = Events(os.path.join(self.folder, 'events'), graph=self.session.graph,
                             step=self.step)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._opened.close()

    # --- training ---

    def start(self, stream, number):
        """Begin a Stream with the batch of this number."""
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
                stream.check()
            raise

    # --- log ---

    def _trim_log(self):
        """Drop rows of log.csv after the restored step; start the file if there is none.

        A log with other columns gets those of now: blank where it has none.

        Raises:
            UserError: it is damaged.
        """
        path = os.path.join(self.folder, 'log.csv')
        rows = []
        if os.path.exists(path) and self.step:
            with open(path, newline='', encoding='utf-8') as file:
                try:
                    names, *old = list(csv.reader(file)) or [[]]
                    for row in old:
                        [float(cell or 'nan') for cell in row]
                        cells = dict(zip(names, row))
                        if len(row) == len(names) and int(cells['step']) <= self.step:
                            rows.append([cells.get(name, '') for name in self.columns])
                except (ValueError, KeyError, csv.Error) as error:   # no number, no text
                    raise UserError('%s is damaged (%s): mend it, or remove it to go on with a new '
                                    'one' % (path, str(error)[:80]))
        with files.whole_file(path) as partial:
            with open(partial, 'w', newline='', encoding='utf-8') as file:
                csv.writer(file).writerows([self.columns] + rows)

    def log(self, values):
        """Append one row to log.csv, blank where a column has no value, and to the events.

        Args:
            values: dict from column to number.

        Raises:
            UserError: see check; the disk is full.
        """
        self.check(values)
        row = [self.step, '%.1f' % (time.time() - self._start)] + [
            '%.6g' % values[name] if name in values else '' for name in self.columns[2:]]
        path = os.path.join(self.folder, 'log.csv')
        try:
            with open(path, 'a', newline='', encoding='utf-8') as file:
                csv.writer(file).writerow(row)
        except OSError as error:
            raise UserError('%s cannot be written: %s: the checkpoints stay'
                            % (path, error.strerror or error))
        self.events.add(values, self.step)

    def check(self, values):
        """Stop where training has diverged; the checkpoints before it stay.

        Names that end as `may_overflow` says pass: mixed precision raises its loss scale until
        gradients overflow, and skips those updates.

        Raises:
            UserError: a value is not finite.
        """
        bad = [name for name, value in values.items()
               if not np.isfinite(value) and not name.endswith(tuple(self.may_overflow))]
        if bad:
            raise UserError('%s: training diverged at step %d (%s is not finite): lower '
                            'LEARNING_RATE and use another RUN_DIR; the checkpoints before it stay'
                            % (self.folder, self.step, ', '.join(bad)))

    # --- checkpoints ---

    def save(self, *, history=np.zeros(0, np.float32), extra=None):
        """Write checkpoints/step-NNNNNN as a whole: variables, history buffer, random states.

        Args:
            history: float32 array; extra: as states.write takes it. A resumed run finds both again.

        Raises:
            UserError: the disk is full.
        """
        if os.path.isdir(checkpoints.path_of(self.folder, self.step)):
            return
        state = {'step': self.step, 'extra': extra, 'seconds': time.time() - self._start,
                 'best': self.best}
        checkpoints.write(self.folder, self.step, session=self.session, saver=self.saver,
                          state=state, history=history)
        self._write_best()
        checkpoints.thin(self.folder, self.keep)

    def save_best(self, score, *, against=None, history=np.zeros(0, np.float32), extra=None):
        """Save this step as the best one, which stays until another one is.

        Args:
            score: that the next ones are held against; against: number that it is told by, or None;
            scores of unlike ones are not to be compared. history, extra: as of save.
        """
        self.best = {'step': self.step, 'score': score}
        if against is not None:
            self.best['against'] = against
        self.save(history=history, extra=extra)

    def _write_best(self):
        path = os.path.join(self.folder, 'best.json')
        if self.best is None:
            files.remove(path)
        else:
            files.write_json(path, self.best)
