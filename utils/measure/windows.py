"""Where patches are cut: windows along a centreline (docs/method.md, step 0)."""
import numpy as np

from utils.measure import skeletons


def corners(centres, window, *, shape):
    """Corners of windows centred on voxels, shifted where needed to lie inside the stack.

    Args:
        centres: int [M, 3]; window, shape: (z, y, x) voxels of a patch and of the stack.

    Returns:
        int [M, 3].
    """
    window = np.asarray(window)
    return np.clip(np.asarray(centres) - window // 2, 0, np.asarray(shape) - window)


def slide_windows(voxels, window, *, shape, max_overlap):
    """Slide a window along the centreline.

    Windows that fit around their centreline voxel come first and are centred on it exactly; the
    rest of the centreline, near the stack's border, is then covered by windows shifted inside.

    Args:
        voxels: int [M, 3], centreline; window, shape: (z, y, x) of the patch and of the stack.
        max_overlap: largest share of its volume that a window may share with any other, [0, 1).

    Returns:
        int [N, 3], corners of the windows.
    """
    if len(voxels) == 0:
        return np.zeros((0, 3), int)
    window = np.asarray(window)
    voxels = voxels[skeletons.along_branches(voxels)]
    corner = corners(voxels, window, shape=shape)
    fits = (corner == voxels - window // 2).all(1)
    waiting = np.concatenate([corner[fits], corner[~fits]])
    chosen = []
    while len(waiting):
        first = waiting[0].copy()                        # a view would keep the whole array alive
        chosen.append(first)
        shared = np.clip(1 - np.abs(waiting - first) / window, 0, None).prod(1)
        waiting = waiting[shared <= max_overlap]
    return np.array(chosen)
