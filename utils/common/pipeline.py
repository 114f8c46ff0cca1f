"""Pieces of work whose reading and writing go on while others are computed."""
import collections
import time
from concurrent import futures

AHEAD = 2          # pieces that are read before their turn, and that wait to be written
THREADS = 2        # that read, and that write


class Clock:
    """Where the time of a run goes.

    Attributes:
        computing, waiting: seconds of the thread that computes; pieces: how many it did.
    """

    def __init__(self):
        self.computing, self.waiting, self.pieces = 0.0, 0.0, 0
        self._last = time.perf_counter()

    def note(self, name):
        """Add the time since the last note to the attribute `name`."""
        now = time.perf_counter()
        setattr(self, name, getattr(self, name) + now - self._last)
        self._last = now

    def add(self, other):
        """Add another clock's figures, (computing, waiting, pieces)."""
        self.computing, self.waiting, self.pieces = [a + b for a, b in zip(self.figures, other)]

    @property
    def figures(self):
        """(computing, waiting, pieces)."""
        return self.computing, self.waiting, self.pieces

    @property
    def waiting_share(self):
        """Share of the time spent waiting for reading and writing."""
        return self.waiting / max(self.computing + self.waiting, 1e-9)


def run(pieces, *, read, compute, write, clock):
    """Read, compute and write pieces of work, in order; a few are held at a time.

    Args:
        pieces: iterable, asked for the next as soon as there is room.
        read: function (piece) -> data, in a thread of its own.
        compute: function (piece, data) -> result, in this thread.
        write: function (piece, result), in a thread of its own; several may run at a time.
        clock: Clock.

    Raises:
        what a function raises; pieces that are being written are written first.
    """
    ahead, behind = collections.deque(), collections.deque()
    with futures.ThreadPoolExecutor(THREADS) as reader, \
            futures.ThreadPoolExecutor(THREADS) as writer:

        def one():
            piece, data = ahead.popleft()
            data = data.result()
            clock.note('waiting')
            result = compute(piece, data)
            clock.note('computing')
            clock.pieces += 1
            behind.append(writer.submit(write, piece, result))
            while len(behind) > AHEAD:
                behind.popleft().result()
            clock.note('waiting')

        clock.note('waiting')
        try:
            for piece in pieces:
                ahead.append((piece, reader.submit(read, piece)))
                if len(ahead) > AHEAD:
                    one()
            while ahead:
                one()
            while behind:
                behind.popleft().result()
            clock.note('waiting')
        finally:
            for _, data in ahead:
                data.cancel()
