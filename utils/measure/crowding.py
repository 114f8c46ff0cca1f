"""How unevenly neurites fill a stack, and which way they run in all. Isotropic voxels."""
import numpy as np

from utils.measure import bends, coarse

BLOCK = 32.0                 # voxels per side of the blocks whose light is compared
FEWEST = 8                   # neighbouring blocks, at least
THINNEST = 0.02              # eigenvalue of a heading: no neurites lie wholly in a plane
AHEAD = 3                    # voxels to each side over which a direction is taken


def clumps(voxels, *, base, spacing):
    """How much bright places lie beside bright ones: where neurites are many, and their glow.

    Centrelines would not tell: in the most crowded places those of several neurites are one.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; base: grey level of the background without glow.
        spacing: (z, y, x) isotropic voxels per voxel.

    Returns:
        float: covariance of the light in neighbouring blocks over its mean, squared. 0: none; what
        shines in one block alone does not count. None: the stack has too few blocks, or no light.
    """
    counts = [min(n, max(1, int(round(n * step / BLOCK))))       # no block without a plane
              for n, step in zip(voxels.shape, spacing)]
    edges = [np.linspace(0, n, count + 1).astype(int) for n, count in zip(voxels.shape, counts)]
    light = coarse.means(voxels, edges) - base
    if light.mean() <= 0:
        return None
    even = light / light.mean() - 1
    products = []
    for axis in range(3):
        along = even.swapaxes(0, axis)
        products.append((along[1:] * along[:-1]).ravel())
    products = np.concatenate(products)
    return float(products.mean()) if len(products) >= FEWEST else None


def heading(paths, spacing):
    """Which way neurites run: the mean of the products of their directions' parts.

    Args:
        paths: list of int [L, 3] (skeletons.branches); spacing: (z, y, x) size of a voxel.

    Returns:
        list of 6 float: zz, yy, xx, zy, zx, yx; the first three add up to 1. A third each, and 0:
        they run anyhow. None without a path that is long enough.
    """
    total, count = np.zeros((3, 3)), 0
    for path in paths:
        walk = bends.even_steps(path, spacing)
        if len(walk) > 2 * AHEAD:
            ahead = walk[2 * AHEAD:] - walk[:-2 * AHEAD]
            ahead /= np.maximum(np.sqrt((ahead ** 2).sum(1, keepdims=True)), 1e-9)
            total, count = total + ahead.T @ ahead, count + len(ahead)
    if not count:
        return None
    total /= np.trace(total)
    return [float(total[i, j]) for i, j in PAIRS]


def headings_alike(paths, spacing):
    """How much more alike neurites of a region run than any two of the stack do.

    Args: as of heading.

    Returns:
        float: the mean squared cosine of directions bends.FAR apart, less that of any two, the sum
        of the squared entries of the heading; 0: regions do not differ. None with too few.
    """
    alike, all_of_them = bends.alignment(paths, spacing, apart=bends.FAR), heading(paths, spacing)
    if alike is None or all_of_them is None:
        return None
    return float(alike - (matrix(all_of_them) ** 2).sum())


PAIRS = (0, 0), (1, 1), (2, 2), (1, 0), (2, 0), (2, 1)   # axes of the entries of a heading


def matrix(entries):
    """The symmetric matrix, float [3, 3], of the six entries of a heading."""
    whole = np.zeros((3, 3))
    for value, (i, j) in zip(entries, PAIRS):
        whole[i, j] = whole[j, i] = value
    return whole


def possible(matrices):
    """The headings nearest to symmetric matrices, float [..., 3, 3]: of positive eigenvalues, whose
    sum is 1.
    """
    values, vectors = np.linalg.eigh(matrices)
    values = np.maximum(values, THINNEST)
    values = values / values.sum(-1, keepdims=True)
    return (vectors * values[..., None, :]) @ np.swapaxes(vectors, -1, -2)
