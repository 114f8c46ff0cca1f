"""Tubes whose trees are known, and what traces of them are compared by."""
import numpy as np

from utils.common import config
from utils.data import swc
from utils.score import traces
from utils.simulate import raster
from utils.trace import settings, tracing

ISOTROPIC = np.ones(3)
DEFAULTS = config.pick(config.load('configs/reconstruction.py', []), settings.Settings)


def drawn(shape, *lines, radius=2.0, spacing=ISOTROPIC):
    """Mask of polylines, lists of (z, y, x) in x voxels; bool."""
    mask = np.zeros(shape, bool)
    for line in lines:
        line = np.array(line, float)
        mask |= raster.label(shape, line / spacing, radius=np.full(len(line), radius),
                             parent=np.arange(-1, len(line) - 1), spacing=spacing)
    return mask


def evidence_of(mask):
    """A mask as certain evidence, uint8."""
    return mask.astype(np.uint8) * 255


def traced(mask, spacing=ISOTROPIC, **values):
    """Trace of a mask, or of evidence (uint8), by the defaults and some other settings."""
    evidence = evidence_of(mask) if mask.dtype == bool else mask
    return tracing.trace(evidence, spacing, settings=DEFAULTS._replace(**values), low=0.3,
                         high=0.6, name='here.tif')


def count(tree):
    """(roots, tips, forks), a root of one child counting as a tip."""
    children = np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.parent))
    neighbours = children + (tree.parent >= 0)
    return int((tree.parent < 0).sum()), int((neighbours == 1).sum()), int((neighbours > 2).sum())


def path_of(line):
    """A polyline as a swc.Tree."""
    n = len(line)
    return swc.Tree(np.zeros(n, int), np.array(line, float), np.ones(n), np.arange(-1, n - 1))


def off(tree, *lines, spacing=ISOTROPIC):
    """Largest distance of a node from polylines, x voxels."""
    points = traces.resampled(swc.join([path_of(line) for line in lines]), 0.1)
    return max(np.sqrt(((points - p * spacing) ** 2).sum(1)).min() for p in tree.position)


def missed(tree, *lines):
    """Largest distance of polylines from a tree's edges, x voxels."""
    points, edges = [traces.resampled(some, 0.5) for some in (
        swc.join([path_of(line) for line in lines]), tree)]
    return max(np.sqrt(((edges - p) ** 2).sum(1)).min() for p in points)
