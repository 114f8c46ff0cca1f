"""What is done to each block of a volume: predict, refine, mask (docs/cluster.md).

A step reads a block with its halo, computes it, writes whole chunks of its result. Blocks consist
of the tiles that a stack in memory is cut into, so that the results are the same.
"""
import os
from typing import Any, NamedTuple

import numpy as np

from utils.common import batch, blocks, tiling
from utils.common.errors import UserError
from utils.data import volumes
from utils.train import normalisation
from utils.train.refiner import Refiner
from utils.train.segmenter import Segmenter, mask_of

SMALLEST = 2                 # voxels along each side of a volume
MOST_OBJECT = 128            # voxels that MIN_OBJECT may be: it is a halo


class Network(NamedTuple):
    """A trained network, and how it is used."""
    kind: str                    # 'predict', a Segmenter; 'refine', a Refiner
    run_dir: str                 # absolute path
    tile: tuple                  # (z, y, x) voxels
    threads: int = 0             # of TensorFlow
    mirrors: int = 1             # of a Segmenter
    checkpoint: str = 'best'     # of a Refiner

    def open(self):
        """Segmenter or Refiner."""
        if self.kind == 'predict':
            return Segmenter(self.run_dir, threads=self.threads, tile=self.tile,
                             mirrors=self.mirrors)
        return Refiner(self.run_dir, checkpoint=self.checkpoint, threads=self.threads,
                       tile=self.tile)


class Settings(NamedTuple):
    """How a volume is walked (configs/segmentation.py, configs/mpgan.py)."""
    block_shape: tuple                   # (z, y, x) voxels; rounded up to whole tiles
    channel: int = 0                     # of a volume with several
    sample_blocks: int = 64              # that level and noise are measured on
    empty_below: float = 0.0             # noise levels: a flat block (is_empty) is skipped; 0:
    #                                      blocks of zeros alone
    probability_threshold: float = 0.5   # from which a voxel is foreground
    min_object: int = 0                  # voxels of the smallest object that stays in the mask


class Job(NamedTuple):
    """A volume, what is made of it and how; it is sent to other processes."""
    path: str                    # of the volume
    targets: tuple               # paths of the results, OME-Zarr: (map, mask) or (refined,)
    folder: str                  # of the records of finished blocks
    network: Network
    settings: Settings


class Step(NamedTuple):
    """One walk over the blocks."""
    name: str                    # 'predict', 'refine' or 'mask'
    key: str                     # what the result is made from
    grid: blocks.Grid
    halo: int                    # voxels around a block that are read
    target: str                  # path of the result
    dtype: Any                   # of the result
    chunks: tuple                # (z, y, x) voxels of a chunk of the result; blocks hold whole ones
    open: Any                    # function () -> what is read from, indexed by slices
    measure: Any                 # function () -> dict for plan.json
    how: str                     # of the pyramid: 'mean' or 'max'
    compute: Any                 # function (number, voxels, plan=) -> (block or None, note); None:
    #                              an empty block, which stays unwritten, zeros


def size_of(shape):
    """Voxels of a shape; a Python number, which does not overflow."""
    z, y, x = shape
    return int(z) * int(y) * int(x)


def of(job, network, *, volume):
    """The steps of a Job, in order; each starts where the one before is finished.

    Args:
        network: Segmenter or Refiner; volume: of job.path.

    Raises:
        UserError: values that cannot be; a volume of floating point, flat, or of other bits than
            the refiner's.
    """
    if volume.dtype.kind != 'u':
        raise UserError('%s is %s: convert it to 8 or 16 bit unsigned' % (job.path, volume.dtype))
    if min(volume.shape) < SMALLEST:
        raise UserError('%s is %s voxels (z, y, x): want at least %d along each side' % (
            job.path, ' x '.join(map(str, volume.shape)), SMALLEST))
    tile = tuple(network.tile)
    grid = blocks.Grid(tuple(volume.shape), tuple(
        -(-b // t) * t for b, t in zip(job.settings.block_shape, tile)))
    key = '%s %s channel %d blocks %s tiles %s' % (
        network.digest, key_of(job.path, volume), job.settings.channel, grid.block, tile)
    parts = dict(grid=grid, chunks=tuple(np.minimum(tile, volume.shape).tolist()))
    if job.network.kind == 'refine':
        network.check(volume, job.path)
        return [_refine(network, key, volume=volume, target=job.targets[0], parts=parts)]
    first = _predict(job, key, network=network, volume=volume, parts=parts)
    return [first, _mask(job, first.key, parts=parts)]


def key_of(path, volume):
    """What tells a volume from another of its name, a text.

    Of a local store size and time of its metadata count; of a remote one shape and chunks.
    """
    if os.path.isfile(path):
        return batch.file_key(path)
    names = sorted(os.listdir(path)) if os.path.isdir(path) else []
    found = [name + ' ' + batch.file_key(os.path.join(path, name))
             for name in names if os.path.isfile(os.path.join(path, name))]
    return ', '.join(found + ['%s %s' % (tuple(volume.shape), volume.dtype)])


def _predict(job, key, *, network, volume, parts):
    """Step: probabilities."""
    settings, grid = job.settings, parts['grid']

    def measure():
        scale, used = normalisation.measure_volume(volume, grid.block, most=settings.sample_blocks)
        return {'LEVEL': scale.level, 'NOISE': scale.scale, 'SAMPLED_BLOCKS': used}

    def compute(number, voxels, *, plan):
        core, read, _ = grid.box(number, network.halo)
        scale = normalisation.Scale(plan['LEVEL'], plan['NOISE'])
        if is_empty(voxels, scale, below=settings.empty_below):
            return None, {'empty': 1}
        window = tiling.Window(voxels, read, shape=volume.shape)
        return network.predict(window, scale=scale, within=core), {'empty': 0}

    key += ' mirrors %d sample %d flat %g' % (
        job.network.mirrors, settings.sample_blocks, settings.empty_below)
    return Step('predict', key, halo=network.halo, target=job.targets[0], dtype=np.uint8,
                open=lambda: volume, measure=measure, compute=compute, how='mean', **parts)


def is_empty(voxels, scale, *, below):
    """True for a block without a neurite: zeros; or no brighter than noise, and flat as noise is.

    A neurite on a background below the level (a darker part of a brain) may be below it, too: so
    the range counts as well, from the darkest to the brightest voxel.

    Args:
        voxels: uint8 or uint16 [Z, Y, X], of a block and its halo; scale: normalisation.Scale.
        below: noise levels that the brightest voxel may lie above the level; the range may be
            twice as many; 0: zeros alone.
    """
    least, most = int(voxels.min()), int(voxels.max())
    flat = most < scale.level + below * scale.scale and most - least < 2 * below * scale.scale
    return most == 0 or below > 0 and flat


def _refine(network, key, *, volume, target, parts):
    """Step: refined grey levels."""
    grid = parts['grid']

    def compute(number, voxels, *, plan):
        core, read, _ = grid.box(number, network.halo)
        if not voxels.any():
            return None, {'empty': 1}
        window = tiling.Window(voxels, read, shape=volume.shape)
        return network.refine(window, within=core), {'empty': 0}

    return Step('refine', key, halo=network.halo, target=target, dtype=volume.dtype,
                open=lambda: volume, measure=dict, compute=compute, how='mean', **parts)


def _mask(job, key, *, parts):
    """Step: the mask of the map, exact: an object that a block cuts is seen as far as counts.

    From a voxel to the end of what is read around its block there are min_object - 1 voxels or
    more: an object that reaches it is large enough.

    Raises:
        UserError: a smallest object above MOST_OBJECT.
    """
    settings, grid = job.settings, parts['grid']
    halo = max(settings.min_object - 1, 0)
    if settings.min_object > MOST_OBJECT:
        raise UserError('MIN_OBJECT=%d: want at most %d for a volume: so many voxels around each '
                        'block are read' % (settings.min_object, MOST_OBJECT))

    def compute(number, probability, *, plan):
        _, _, inner = grid.box(number, halo)
        count = int((probability[inner] >= settings.probability_threshold * 255).sum())
        if not count:
            return None, {'foreground': 0}
        mask = mask_of(probability, settings.probability_threshold, smallest=settings.min_object)
        return mask[inner], {'foreground': count}

    key += ' threshold %g objects %d' % (settings.probability_threshold, settings.min_object)
    return Step('mask', key, halo=halo, target=job.targets[1], dtype=np.uint8,
                open=lambda: volumes.open_volume(job.targets[0], unfinished=True), measure=dict,
                compute=compute, how='max', **parts)
