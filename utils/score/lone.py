"""Lone voxels: far brighter or darker than every neighbour, as no optics makes them.

A blurred image has few. A network that redraws noise may leave black and white voxels; the eye
sees them at once, and neither spectra nor grey levels tell them.
"""
import numpy as np
from scipy import ndimage

LONE = ('lone_bright', 'lone_dark')
QUANTILE = 0.9999         # of real patches' own steps: what a step is larger than counts
INNER = (slice(None),) + (slice(1, -1),) * 3     # voxels that have all neighbours
AROUND = np.ones((3, 3, 3), bool)
AROUND[1, 1, 1] = False


def steps(images, background):
    """How far voxels lie above all their 26 neighbours, and below all of them.

    Args:
        images: grey levels [N, Z, Y, X]; background: bool, same shape, voxels that are looked at:
            bright neurites have steps of their own.

    Returns:
        (above, below): float32 [M] each, grey levels, negative for most.
    """
    above = [image - ndimage.maximum_filter(image, footprint=AROUND)
             for image in images.astype(np.float32)]
    below = [ndimage.minimum_filter(image, footprint=AROUND) - image
             for image in images.astype(np.float32)]
    where = background[INNER]
    return tuple(np.stack(found)[INNER][where] for found in (above, below))


def cuts(real):
    """Steps that few voxels of real patches exceed; two float.

    Args:
        real: of steps.
    """
    return tuple(float(max(np.quantile(values, QUANTILE), 0)) if len(values) else 0.0
                 for values in real)


def share(found, limits):
    """Lone voxels per million; dict of LONE.

    Args:
        found: of steps; limits: of cuts.
    """
    return {name: float(1e6 * (values > limit).mean()) if len(values) else 0.0
            for name, values, limit in zip(LONE, found, limits)}
