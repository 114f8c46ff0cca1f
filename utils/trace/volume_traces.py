"""A volume's traces, from its path to its trees, in shares of blocks."""
import sys
from collections import namedtuple
from typing import NamedTuple

from tqdm import tqdm

from utils.common import files, shares
from utils.data import stacks, volumes
from utils.trace import blocks, streaming, volume_evidence


class Settings(NamedTuple):
    """Constants of configs/reconstruction.py for volumes."""
    whole_up_to: int         # voxels up to which a volume is read and traced as a whole
    block_shape: tuple       # (z, y, x) voxels of a block
    block_halo: int          # voxels around a block that are read, too
    channel: int             # of a volume with several
    sample_blocks: int       # that tell whether it is a mask, and OTSU's threshold
    low: float               # of probabilities and masks: foreground's hysteresis
    high: float
    method: str              # of grey levels: 'auto', 'otsu' or 'threshold'
    grey_threshold: float    # grey level of method 'threshold'


# tree: swc.Tree; image: uint8 [z, y, x] to draw over, whose voxels are `cell` voxels wide;
# voxel_size: um (z, y, x), or None: not known
Traces = namedtuple('Traces', 'tree image cell voxel_size')


class Waiting(Exception):
    """Blocks of other shares are not traced yet; the message says how many."""


def waiting(make):
    """`make`, a function of batch.Job, that returns the message of Waiting as its line."""
    def made():
        try:
            return make()
        except Waiting as message:
            return str(message)

    return made


def trace(path, folder, *, key, voxel_size, settings, by):
    """Trace this process's share of a volume's blocks, and the volume once none is missing.

    Args:
        path: of the volume; folder: of the blocks' files, made if missing.
        key: str, what the result is made from.
        voxel_size: um (z, y, x), None: not known, 'auto': as the volume tells.
        settings: settings.Settings; by: Settings.

    Returns:
        Traces.

    Raises:
        Waiting: other tasks of a SLURM job array have not done their blocks.
        UserError: as volume_evidence.of_volume and tracing.trace.
    """
    with volumes.open_volume(path, channel=by.channel) as volume:
        found = volume_evidence.of_volume(
            volume, path, low=by.low, high=by.high, threshold=by.grey_threshold,
            method='otsu' if by.method == 'auto' else by.method, count=by.sample_blocks)
        size = volume.voxel_size if voxel_size == 'auto' else voxel_size
        every = blocks.of_volume(volume.shape, by.block_shape, halo=by.block_halo)
        how = blocks.How(tuple(volume.shape), stacks.spacing_of(size), settings, found.low,
                         found.high, path)
        _share(found.read, every, folder=folder, key=key, how=how)
        tree = streaming.trees_of(found.read, every, folder=folder, how=how)
        return Traces(tree, streaming.coarse_of(every, folder=folder, shape=how.shape),
                      streaming.cell_of(how.shape), size)


def _share(read, every, *, folder, key, how):
    """Trace this process's blocks; raise Waiting if others' are missing then."""
    files.remove_unfinished([folder], is_ours=lambda path: path.endswith('.npz'))
    mine = [every[i] for i in shares.shard(len(every))]
    streaming.trace_blocks(
        read, mine, folder=folder, key=key, how=how,
        progress=lambda some: tqdm(some, 'blocks', disable=not sys.stderr.isatty()))
    missing = sum(not blocks.is_made(blocks.path_of(folder, block), key) for block in every)
    if missing:
        raise Waiting('%s: this share is done (%d blocks); %d of other shares are not, the last '
                      'one joins them' % (how.name, len(mine), missing))
