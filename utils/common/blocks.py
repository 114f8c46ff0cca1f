"""A volume cut into blocks, and the record of those that are finished."""
import itertools
import os
from typing import NamedTuple

from utils.common import files, tiling
from utils.common.errors import UserError

CURE = 'remove it, and the blocks are made anew'


class Grid(NamedTuple):
    """Blocks that cover a volume, numbered from 0, x fastest."""
    shape: tuple                 # (z, y, x) voxels of the volume
    block: tuple                 # (z, y, x) voxels of a block; those at the end may be smaller

    @property
    def counts(self):
        """(z, y, x) blocks."""
        return tuple(-(-n // b) for n, b in zip(self.shape, self.block))

    def __len__(self):
        z, y, x = self.counts
        return z * y * x

    def place(self, number):
        """(z, y, x) of a block, in blocks."""
        _, y, x = self.counts
        return number // (y * x), number // x % y, number % x

    def box(self, number, halo=0):
        """(core, read, inner) of a block, as tiling.around."""
        corner = [p * b for p, b in zip(self.place(number), self.block)]
        return tiling.around(corner, shape=self.shape, tile=self.block, halo=halo)

    def around(self, number, halo):
        """Numbers of the blocks that hold a block and `halo` voxels around it; list."""
        _, y, x = self.counts
        sides = [range(read.start // b, -(-read.stop // b))
                 for read, b in zip(self.box(number, halo)[1], self.block)]
        return [(k * y + j) * x + i for k, j, i in itertools.product(*sides)]


class Progress:
    """A folder with a small file for each finished block, and plan.json: what all are made from.

    Each file is written whole or not at all, after the block: a kill at any moment leaves blocks
    that are recorded and whole, or that are made again.

    Attributes:
        folder: path; plan: contents of plan.json, {} before `begin`.
    """

    def __init__(self, folder):
        self.folder, self.plan = folder, {}

    def load(self, key):
        """True if the blocks recorded here were made from `key`; `plan` is read then.

        Raises:
            UserError: plan.json is damaged.
        """
        path = os.path.join(self.folder, 'plan.json')
        self.plan = files.read_json(path, cure=CURE) if os.path.exists(path) else {}
        return self.plan.get('KEY') == key

    def clear(self):
        """Forget all blocks; plan.json goes first."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        for name in sorted(names, key='plan.json'.__ne__):
            if name.endswith('.json'):
                files.remove(os.path.join(self.folder, name))
        self.plan = {}

    def begin(self, key, values):
        """Write plan.json: `values`, a dict, beside the key."""
        self.plan = dict(values, KEY=key)
        files.write_json(os.path.join(self.folder, 'plan.json'), self.plan)

    def _path(self, number):
        return os.path.join(self.folder, '%07d.json' % number)

    def holds(self, number):
        """True if a block is finished."""
        return os.path.exists(self._path(number))

    def add(self, number, note):
        """Record a finished block; note: dict of numbers."""
        files.write_json(self._path(number), note)

    def done(self):
        """Numbers of the finished blocks, a set."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return {int(name[:7]) for name in names if name[:-5].isdigit() and len(name) == 12}

    def total(self, count):
        """Sums of the notes of all `count` blocks, a dict.

        Raises:
            UserError: a note is missing or damaged.
        """
        found = {}
        for number in range(count):
            for name, value in files.read_json(self._path(number), cure=CURE).items():
                if not isinstance(value, (int, float)):
                    raise UserError('%s holds no numbers: %s' % (self._path(number), CURE))
                found[name] = found.get(name, 0) + value
        return found
