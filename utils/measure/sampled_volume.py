"""Patches and measurements of a volume, from a sample of its blocks.

OTSU's threshold is pooled over the sample. Then each block is cut and measured as a stack is, with
that threshold; blocks in which it finds no neurite are replaced by further ones. The measurements
are pooled as those of stacks are.
"""
import os
import shutil
import sys
from typing import NamedTuple

import h5py
import numpy as np
from tqdm import tqdm

from utils.common import files
from utils.common.errors import MachineError, UserError
from utils.data import patch_checks, patches
from utils.measure import cutting, otsu, pool, sampling

MOST = 8                 # blocks that are segmented for each that is wanted, at most
POOLED = 256 ** 3        # voxels that OTSU's threshold is told from, at most about


class Sample(NamedTuple):
    """How a volume is sampled (configs/prepare_patches.py)."""
    sample_blocks: int       # blocks that are cut
    sample_shape: tuple      # (z, y, x) voxels of a block
    sample_seed: int         # of their places


def threshold_of(volume, sample, *, otsu_settings):
    """OTSU's threshold pooled over the sample, grey levels above the background; None: all empty.

    Args:
        volume: [Z, Y, X], sliced, with a shape; sample: Sample; otsu_settings: otsu.Settings.
    """
    total = sample.sample_blocks * np.prod(np.minimum(sample.sample_shape, volume.shape),
                                           dtype=float)
    step = max(1, int(np.ceil((total / POOLED) ** (1 / 3))))
    found = [otsu.flat(voxels, otsu_settings)[::step, ::step, ::step].ravel()
             for _, voxels in _filled(volume, sample)]
    return otsu.cut_of(np.concatenate(found), otsu_settings) if found else None


def prepare(volume, target, *, name, made_from, sample, settings, otsu_settings, draw=None):
    """Cut and measure a volume's sample; write its part (parts.py).

    Args:
        volume: volumes.Volume of uint8 or uint16; target: path of the part. Finished blocks lie
            beside it, in NAME_blocks/, until it is written: a killed run goes on.
        name: of the volume; made_from: str, what the part depends on.
        sample: Sample; settings: cutting.Settings; otsu_settings: otsu.Settings.
        draw: function (voxels, cutting.Cut) that draws the first block's figure, or None.

    Returns:
        number of patches. Their `origin` counts in the volume.

    Raises:
        UserError: floating point, smaller than a patch, or no block has a patch.
    """
    _check(volume, name=volume.path, smallest=settings.patch_shape)
    threshold = threshold_of(volume, sample, otsu_settings=otsu_settings)
    folder, parts, measured = target[:-len('.h5')] + '_blocks', [], {}
    bar = tqdm(total=sample.sample_blocks, desc='blocks', disable=not sys.stderr.isatty())
    for box, voxels in _filled(volume, sample, most=MOST):
        corner = [s.start for s in box]
        path = os.path.join(folder, '%d_%d_%d.h5' % tuple(corner))
        key = '%s %s %r' % (made_from, corner, threshold)
        figure = draw if not parts else None
        done = None if figure else _measured(path, key)
        if done is None:
            cut = _cut(voxels, settings, otsu_settings=otsu_settings, threshold=threshold)
            if cut is None:
                continue
            if figure:
                figure(voxels, cut)
            done = cutting.measure(voxels, cut, voxel_size=volume.voxel_size, settings=settings)
            cutting.write(path, voxels, cut=cut, settings=settings, measured=done, name=name,
                          voxel_size=volume.voxel_size, made_from=key, start=corner)
        parts.append(path)
        measured['%d %d %d' % tuple(corner)] = done
        bar.update()
        if len(parts) == sample.sample_blocks:
            break
    bar.close()
    return _join(parts, target, measured=measured, made_from=made_from, path=volume.path)


def _cut(voxels, settings, **how):
    """cutting.find of a block; None where there is no neurite."""
    try:
        return cutting.find(voxels, settings, **how)
    except MachineError:
        raise
    except UserError:
        return None


def _join(parts, target, *, measured, made_from, path):
    """Write the part of a volume from those of its blocks, which go; number of patches."""
    if not parts:
        raise UserError('%s: none of the blocks looked at has a patch of neurites: raise '
                        'SAMPLE_BLOCKS, lower NOISE_FLOOR or MIN_FOREGROUND, or leave it out'
                        % path)
    count = patches.join(parts, target, made_from=made_from,
                         measured=files.to_json(_pooled(measured)))
    shutil.rmtree(os.path.dirname(parts[0]), ignore_errors=True)
    return count


def _filled(volume, sample, *, most=1):
    """Blocks of more than one grey level (sampling.filled), `most` times as many as wanted."""
    return sampling.filled(volume, sample.sample_shape, count=most * sample.sample_blocks,
                           seed=sample.sample_seed)


def _pooled(measured):
    """Measurements of a volume from those of its blocks, as of one stack."""
    pooled = pool.pool(measured)
    del pooled['stacks']
    return dict(pooled, **{pool.WEIGHT: sum(m[pool.WEIGHT] for m in measured.values())})


def _measured(path, key):
    """Measurements in a block's part that was made from `key`; None if there is none."""
    if patches.made_from(path) != key:
        return None
    try:
        with h5py.File(path, 'r') as file:
            patch_checks.structure(file)
            return files.from_json(file.attrs['measured'])
    except patch_checks.DAMAGE:
        return None


def _check(volume, *, name, smallest):
    """Raise UserError for a volume that cannot be cut."""
    if volume.dtype not in (np.uint8, np.uint16):
        raise UserError('%s is %s: convert it to 8 or 16 bit unsigned' % (name, volume.dtype))
    if any(n < least for n, least in zip(volume.shape, smallest)):
        shape, least = [' x '.join(map(str, sides)) for sides in (volume.shape, smallest)]
        raise UserError('%s is %s voxels (z, y, x), smaller than a patch of %s: leave it out or '
                        'take smaller patches' % (name, shape, least))
