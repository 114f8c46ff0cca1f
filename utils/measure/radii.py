"""Radii of a mask along its centreline."""
import numpy as np
from scipy import ndimage


def skeleton_radii(mask, skeleton, *, block=128, margin=16, sampling=(1, 1, 1)):
    """Distance of each centreline voxel to the nearest background voxel, less half a voxel.

    Blockwise: the distance transform of a mask of 512 x 512 x 512 voxels would take 5 GB.

    Args:
        mask: bool [Z, Y, X]; skeleton: int [M, 3], centreline voxels.
        block: voxels per side of a block; margin: voxels around it, the largest radius found.
        sampling: (z, y, x) size of a voxel.

    Returns:
        float [M], in the unit of `sampling`, in the order of `skeleton`.
    """
    radii = np.zeros(len(skeleton))
    corner = skeleton // block
    for index in np.unique(corner, axis=0):
        rows = np.flatnonzero((corner == index).all(1))
        low = np.maximum(index * block - margin, 0)
        high = np.minimum((index + 1) * block + margin, mask.shape)
        box = mask[tuple(slice(a, b) for a, b in zip(low, high))]
        distance = ndimage.distance_transform_edt(box, sampling)
        radii[rows] = distance[tuple((skeleton[rows] - low).T)]
    return np.minimum(radii, margin) - 0.5
