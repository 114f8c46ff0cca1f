"""How round neurites look across. Voxels of the stack."""
import numpy as np
from scipy import ndimage

FINE, COARSE = 1.0, 2.0      # voxels: sigma of the image whose gradient is taken, and of the window
REACH = 6                    # voxels to each side of a place that are looked at
SHORTEST = 8                 # voxels of the shortest path measured
EDGE = 3                     # voxels of its ends that are left out, and to each side over which a
                             # path's direction is taken
UPRIGHT = 0.8                # least cosine between a path and z
MOST = 2000                  # places
FEWEST = 50                  # places from which it is told
BATCH = 250                  # places looked at together


def roundness(voxels, local, *, paths):
    """Middle over largest eigenvalue of the structure tensor along neurites that run along z.

    The least is that along the neurite; the others say how steep it falls across. They are alike
    for a round one. The blur, which is wider along z, makes others flat.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; local: uint16, its background (background.local_level).
        paths: list of int [L, 3] (skeletons.branches).

    Returns:
        float in [0, 1], mean of the places; None with too few.
    """
    at = [np.zeros((0, 3), int)]
    for path in paths:
        if len(path) >= SHORTEST:
            ahead = (path[2 * EDGE:] - path[:-2 * EDGE]).astype(float)
            upright = np.abs(ahead[:, 0]) > UPRIGHT * np.sqrt((ahead ** 2).sum(1))
            at.append(path[EDGE:-EDGE][upright])
    at = np.concatenate(at)
    inside = ((at >= REACH) & (at < np.array(voxels.shape) - REACH)).all(1)
    at = at[inside]
    at = at[::1 + len(at) // MOST]
    if len(at) < FEWEST:
        return None
    found = [_ratios(voxels, local, at=at[i:i + BATCH]) for i in range(0, len(at), BATCH)]
    return float(np.concatenate(found).mean())


def _ratios(voxels, local, *, at):
    """Ratios of the eigenvalues of places, int [N, 3]; float [N]."""
    side = np.arange(-REACH, REACH + 1)
    box = tuple(at[:, axis].reshape(-1, 1, 1, 1) + side.reshape([-1 if a == axis else 1
                                                                 for a in range(3)])
                for axis in range(3))
    cut = voxels[box].astype(np.float32) - local[box]
    sigma = (0, FINE, FINE, FINE)
    slopes = [ndimage.gaussian_filter(cut, sigma, order=[int(a == axis + 1) for a in range(4)])
              for axis in range(3)]
    falls = np.exp(-side ** 2 / (2 * COARSE ** 2))
    window = np.einsum('i,j,k->ijk', falls, falls, falls)
    tensor = np.array([[(a * b * window).sum((1, 2, 3)) for b in slopes] for a in slopes])
    values = np.linalg.eigvalsh(np.moveaxis(tensor, 2, 0))
    return values[:, 1] / np.maximum(values[:, 2], 1e-9)
