"""Prior knowledge: grey levels and radii, the paper's own or measured on real stacks."""
import os

import numpy as np
from scipy import ndimage

from utils import config, growth

QUANTILES = np.linspace(0, 1, 21)                          # of the radii, kept in priors.json

# METHOD, step 1: (foreground low, high), (background mean low, high), (background std low, high), grey levels
PAPER = {
    (16, 'dendrite'): ((100, 1000), (1, 200), (0, 20)),
    (16, 'axon'): ((100, 1000), (1, 200), (0, 20)),
    (8, 'dendrite'): ((50, 300), (1, 20), (0, 5)),
    (8, 'axon'): ((20, 250), (1, 20), (0, 5)),
}


def measure(voxels, mask, skeleton, voxel_size=None, block=128, margin=16):
    """Measure one segmented stack.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; mask: bool, foreground; skeleton: int [M, 3], voxels of the centreline.
        voxel_size: (z, y, x) in um, None for isotropic voxels.
        block: voxels per side of the blocks in which distances are computed, to bound memory.
        margin: voxels around a block; radii up to it are exact.

    Returns:
        dict: foreground and background {mean, std, median, p05, p95} in grey levels (background by
        median and absolute deviation, so that unsegmented neurites hardly count), its foreground
        fraction and the quantiles of the radius in voxels of x.
    """
    inside = voxels[mask]
    outside = voxels[~ndimage.binary_dilation(mask, iterations=2)]
    sampling = (1, 1, 1) if voxel_size is None else np.asarray(voxel_size) / voxel_size[2]
    radii = skeleton_radii(mask, skeleton, block, margin, sampling)
    middle = float(np.median(outside))
    spread = float(1.4826 * np.median(np.abs(outside - np.float32(middle))))
    return {
        'foreground': _levels(inside),
        'background': dict(_levels(outside), median=middle, robust_std=spread),
        'foreground_fraction': float(mask.mean()),
        'radius_quantiles': [float(q) for q in np.quantile(radii, QUANTILES)],
        'centreline_voxels': int(len(skeleton)),
    }


def _levels(values):
    low, middle, high = np.percentile(values, [5, 50, 95])
    return {'mean': float(values.mean(dtype=np.float64)), 'std': float(values.std(dtype=np.float64)),
            'median': float(middle), 'p05': float(low), 'p95': float(high)}


def skeleton_radii(mask, skeleton, block=128, margin=16, sampling=(1, 1, 1)):
    """Distance of each centreline voxel to the nearest background voxel, less half a voxel.

    Blockwise: scipy's distance transform of a whole 512 x 512 x 512 mask would take 5 GB.

    Returns:
        float [M], in units of `sampling` (the size of a voxel), in the order of `skeleton`.
    """
    radii = np.zeros(len(skeleton))
    corner = skeleton // block
    for index in np.unique(corner, axis=0):
        rows = np.flatnonzero((corner == index).all(1))
        low = np.maximum(index * block - margin, 0)
        high = np.minimum((index + 1) * block + margin, mask.shape)
        distance = ndimage.distance_transform_edt(mask[tuple(slice(a, b) for a, b in zip(low, high))], sampling)
        radii[rows] = distance[tuple((skeleton[rows] - low).T)]
    return np.minimum(radii, margin) - 0.5


def pool(measured):
    """Join the measurements of several stacks: the mean of each, weighted by centreline voxels.

    Args:
        measured: dict from stack name to the result of measure().

    Returns:
        dict for priors.json: `stacks` as given and `foreground`, `background`, `radius_quantiles` pooled.
    """
    weights = np.array([m['centreline_voxels'] for m in measured.values()], float)
    weights /= weights.sum()

    def average(*keys):
        values = []
        for m in measured.values():
            for key in keys:
                m = m[key]
            values.append(m)
        return np.tensordot(weights, np.array(values, float), 1).tolist()

    first = next(iter(measured.values()))
    return {
        'stacks': measured,
        'foreground': {key: average('foreground', key) for key in first['foreground']},
        'background': {key: average('background', key) for key in first['background']},
        'foreground_fraction': average('foreground_fraction'),
        'radius_quantiles': average('radius_quantiles'),
    }


class Priors:
    """Draws what one stack needs: foreground level, background mean and std, and radii."""

    def __init__(self, path, bits, kind, keep=0.5, radius=(1.0, 3.0)):
        """Args:
            path: priors.json, or None for the paper's constants.
            bits: 8 or 16; kind: 'dendrite' or 'axon'.
            keep: share of lit foreground voxels; a measured foreground level is divided by it, since
                the measured one is a mean over lit and unlit.
            radius: (low, high) of the paper, voxels.

        Raises:
            UserError: if the file lacks the measurements.
        """
        if path is not None and not os.path.exists(path):
            raise config.UserError("no priors %s: run prepare_patches.py first, or take the paper's with PRIORS=None" % path)
        self.measured = None if path is None else config.read_json(path)
        self.paper, self.keep, self.radius = PAPER[bits, kind], keep, radius
        if self.measured is not None:
            try:
                self.foreground, self.background = self.measured['foreground'], self.measured['background']
                self.quantiles = np.array(self.measured['radius_quantiles'], float)
                self.background['robust_std'], self.foreground['median'], self.foreground['p95']
            except (KeyError, TypeError):
                raise config.UserError('%s lacks measurements: make it with prepare_patches.py' % path)

    def grey_levels(self, rng):
        """(foreground level above the background, background mean, background std) of one stack."""
        if self.measured is None:
            (f0, f1), (m0, m1), (s0, s1) = self.paper
            return int(rng.integers(f0, f1)), int(rng.integers(m0, m1)), rng.uniform(s0, s1)
        middle = self.background['median']
        low, high = (max(self.foreground[key] - middle, 1.0) / self.keep for key in ('median', 'p95'))
        return rng.uniform(low, high), middle * rng.uniform(0.97, 1.03), self.background['robust_std']

    def draw_radius(self, rng, depth):
        """Radius in voxels of a node at a depth of the tree.

        The paper's shrinks with depth. A measured one comes from the whole centreline, whatever the depth; the
        widest tenth is left out, since there OTSU has mostly merged neighbouring neurites.
        """
        if self.measured is None:
            return rng.uniform(*self.radius) * growth.SHRINK ** depth
        return max(float(np.interp(rng.uniform(0, 0.9), QUANTILES, self.quantiles)), 0.8)
