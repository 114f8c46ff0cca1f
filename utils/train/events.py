"""TensorBoard's event files, written at once.

tf.summary.FileWriter writes from a thread of its own: on a full disk it ends in a traceback, or
waits for ever.
"""
import os
import platform
import time

from models import tf
from utils.common.errors import UserError


class Events:
    """One event file in a folder; each value is on disk when `add` returns."""

    def __init__(self, folder, *, graph, step):
        """Args:
            folder: made if missing; graph: tf.Graph, shown by TensorBoard.
            step: from which training goes on; what other files hold beyond it is dropped.

        Raises:
            UserError: the disk is full.
        """
        # TensorBoard reads files by their names' order: by time, to the millisecond
        self.path = os.path.join(folder, 'events.out.tfevents.%014.3f.%d.%s' % (
            time.time(), os.getpid(), platform.node()))
        try:
            os.makedirs(folder, exist_ok=True)
            self._writer = tf.io.TFRecordWriter(self.path)
        except (OSError, tf.errors.OpError) as error:
            raise self._full(error)
        self._add(file_version='brain.Event:2')
        self._add(graph_def=graph.as_graph_def(add_shapes=True).SerializeToString())
        if step:
            self._add(session_log=tf.SessionLog(status=tf.SessionLog.START), step=step)

    def add(self, values, step):
        """Add a step's values, dict from tag to number.

        Raises:
            UserError: the disk is full.
        """
        self._add(step=step, summary=tf.Summary(value=[
            tf.Summary.Value(tag=name, simple_value=float(value))
            for name, value in values.items()]))

    def _add(self, **event):
        try:
            self._writer.write(tf.Event(wall_time=time.time(), **event).SerializeToString())
            self._writer.flush()
        except tf.errors.OpError as error:
            raise self._full(error)

    def _full(self, error):
        words = str(error).split('\n')[0].split('; ')[-1]             # PATH; No space left ...
        return UserError('%s cannot be written (%s): free some space and run again; the '
                         'checkpoints stay' % (self.path, words[:120]))

    def close(self):
        """Close the file, of which all is written; it may be called again."""
        try:
            self._writer.close()
        except tf.errors.OpError:                        # what is lost was reported
            pass
