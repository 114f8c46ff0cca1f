"""Cross-sections of neurites that are not round. Isotropic voxels; beyond the paper."""
import numpy as np

from utils.data import swc
from utils.simulate import branches


def draw(tree, flatness, *, length, rng):
    """Flatten a neurite: its sections are ellipses, which turn and change along it.

    Args:
        tree: swc.Tree; flatness: std of each of the two parts, across the neurite, of a vector in
        whose direction sections are wider; length: voxels over which it changes.

    Returns:
        float [N, 3], for raster.voxels, of whose edges the part across them alone counts; zero at
        the soma.
    """
    parts = [branches.along(tree.parent, length, rng=rng) for _ in range(3)]
    return flatness * np.stack(parts, 1) * (tree.type != swc.SOMA)[:, None]
