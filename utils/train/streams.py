"""Batches made ahead: a tf.data pipeline over a function of a batch's number."""
from models import tf
from utils.common.errors import UserError

READ_AHEAD = 4             # batches prepared while the networks compute


class Stream:
    """A tf.data pipeline of numbered batches, made ahead by a thread of its own.

    Attributes:
        tensors: of the next batch, one per array of it.
        error: what `draw` has raised, or None; TensorFlow would wrap it in a page of its own.
    """

    def __init__(self, draw, shapes, *, name):
        """Args:
            draw: function of a batch's number, int, that returns float32 arrays; a batch may be
                asked for any number of times.
            shapes: of the arrays, None where a size varies.
            name: of the file, for messages.
        """
        self.name, self.error = name, None

        def batches(first):
            number = int(first)
            while True:
                try:
                    batch = tuple(draw(number))
                except Exception as error:
                    self.error = error
                    raise
                yield batch
                number += 1

        self._first = tf.placeholder(tf.int64, [], 'first_batch')
        data = tf.data.Dataset.from_generator(
            batches, (tf.float32,) * len(shapes),
            tuple(tf.TensorShape(shape) for shape in shapes), args=(self._first,))
        self._iterator = tf.data.make_initializable_iterator(data.prefetch(READ_AHEAD))
        self.tensors = self._iterator.get_next()

    def start(self, session, number):
        """Begin with the batch of this number."""
        session.run(self._iterator.initializer, {self._first: number})

    def check(self):
        """Raise what went wrong while a batch was drawn, if anything did.

        Raises:
            UserError: the file cannot be read.
            MemoryError: as it was raised.
        """
        if isinstance(self.error, MemoryError):
            raise self.error
        if self.error is not None:
            raise UserError('%s cannot be read (%s): make it anew; the checkpoints stay'
                            % (self.name, str(self.error).split('\n')[0]))
