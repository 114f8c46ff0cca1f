"""Probability maps and masks on disk: of stacks, whole; of volumes, block by block."""
import os
import time
from typing import NamedTuple

from utils.common import batch, claims
from utils.common.errors import UserError
from utils.data import stacks
from utils.train import volume_jobs
from utils.train.segmenter import mask_of


class Masks(NamedTuple):
    """What shapes map and mask besides the network (configs/segmentation.py)."""
    probability_threshold: float     # from which a voxel is foreground
    min_object: int                  # voxels of the smallest object that stays in the mask
    mirrors: int                     # copies whose probabilities are averaged
    output_format: str = 'tiff'      # of stacks.FORMATS


def targets_of(folder, path, *, output_format='tiff'):
    """Paths of map and mask of a stack (output_format: of stacks.FORMATS) or volume (OME-Zarr)."""
    extension = stacks.FORMATS['zarr' if volume_jobs.is_streamed(path) else output_format]
    return [os.path.join(folder, '%s.%s%s' % (stacks.name_of(path), kind, extension))
            for kind in ('prob', 'mask')]


def claim_folder(folder, paths, *, output_format='tiff'):
    """Claim a folder for the maps and masks of some stacks and volumes.

    Args:
        output_format: of stacks.FORMATS, for the stacks.

    Returns:
        batch.Record of the folder.

    Raises:
        UserError: maps would lie among the stacks; the folder is another script's, or holds files
            of these names that nothing vouches for.
    """
    for path in paths:
        if os.path.realpath(os.path.dirname(path)) == os.path.realpath(folder):
            raise UserError('INPUT and OUTPUT are both %s: give another OUTPUT' % folder)
    record = batch.Record(folder)
    claims.take(folder, claims.Owner(
        '3_segmentation.py', {
            stacks.name_of(path): targets_of(folder, path, output_format=output_format)
            for path in paths},
        ('made_from.json',), record.keys.__contains__))
    return record


def stack_job(path, masks, *, folder, network, record, channel=0):
    """batch.Job that predicts one stack.

    Its key tells the network's weights, the stack's file and what shapes map and mask: a map that
    was made from another key is made anew.

    Args:
        path: of the stack; masks: Masks; folder: of the results; network: Segmenter.
        record: batch.Record of the folder; channel: of the stack.
    """
    name = stacks.name_of(path)
    targets = targets_of(folder, path, output_format=masks.output_format)
    key = '%s %s %g %d %d' % (network.digest, batch.file_key(path), masks.probability_threshold,
                              masks.min_object, masks.mirrors)

    def make():
        stack, started = stacks.read(path, channel=channel), time.time()
        probability = network.predict(stack.voxels, name)
        mask = mask_of(probability, masks.probability_threshold, smallest=masks.min_object)
        for target, voxels in zip(targets, (probability, mask)):
            stacks.write(target, voxels, voxel_size=stack.voxel_size, compress=True)
        record.add(name, key)
        foreground = 100 * (probability >= masks.probability_threshold * 255).mean()
        return '%s: %.2f %% foreground, %.1f s' % (targets[1], foreground, time.time() - started)

    return batch.Job(name, path, finished=lambda: record.holds(name, key, targets=targets),
                     make=make)
