"""Patches of one stack: OTSU, centreline, windows; and what is measured on it."""
from typing import NamedTuple

import numpy as np

from utils.common import files
from utils.common.errors import UserError
from utils.data import patches
from utils.measure import otsu, stack, windows


class Settings(NamedTuple):
    """Constants of configs/prepare_patches.py that shape the patches of a stack."""
    patch_shape: tuple       # (z, y, x) voxels
    max_overlap: float       # share of its volume that a window may share with another, [0, 1)
    min_foreground: float    # share of a patch's voxels that must be foreground
    flatten_block: int       # voxels per side of the blocks of the background


class Cut(NamedTuple):
    """Where the patches of a stack lie, and why."""
    found: otsu.Segmentation
    skeleton: np.ndarray     # int [M, 3], centreline voxels
    corners: np.ndarray      # int [N, 3], of the patches, at least one


def find(voxels, settings, *, otsu_settings, threshold=None, name='stack'):
    """Segment a stack and choose its patches.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; settings: Settings; otsu_settings: otsu.Settings.
        threshold: as otsu.segment; name: for error messages.

    Returns:
        Cut.

    Raises:
        UserError: without foreground, or without a patch that has enough of it.
    """
    found = otsu.segment(voxels, otsu_settings, threshold=threshold, name=name)
    skeleton = otsu.centreline(found.mask)
    corners = windows.slide_windows(skeleton, settings.patch_shape, shape=voxels.shape,
                                    max_overlap=settings.max_overlap)
    filled = [patches.cut(found.mask, c, window=settings.patch_shape).mean() for c in corners]
    corners = corners[np.array(filled) >= settings.min_foreground]
    if len(corners) == 0:
        raise UserError('%s: no patch has %.2f %% foreground: lower MIN_FOREGROUND or leave the '
                        'stack out' % (name, 100 * settings.min_foreground))
    return Cut(found, skeleton, corners)


def measure(voxels, cut, *, voxel_size, settings):
    """Measurements of a stack (stack.measure); cut: Cut; settings: Settings."""
    return stack.measure(voxels, cut.found, skeleton=cut.skeleton, voxel_size=voxel_size,
                         flatten_block=settings.flatten_block)


def write(path, voxels, *, cut, settings, voxel_size, measured, **where):
    """Write the patches of a stack, with its measurements, as a part (parts.py).

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; cut: Cut; settings: Settings; measured: of measure.
        where: name, made_from, start, as patches.write_cut.
    """
    patches.write_cut(path, voxels, corners=cut.corners, window=settings.patch_shape,
                      voxel_size=voxel_size, measured=files.to_json(measured), **where)
