"""One stack of the phantom: its axons, their light, the image of it."""
from typing import NamedTuple

import numpy as np

from utils.data import swc
from utils.simulate import raster
from utils.simulate.phantom import axons, fluorescence, microscope
from utils.simulate.phantom.settings import PLAIN_SHAPE


class Phantom(NamedTuple):
    """A stack and its truth."""
    image: np.ndarray           # uint16 [Z, Y, X]
    label: np.ndarray           # bool [Z, Y, X]
    trees: list                 # of swc.Tree, one per neuron; positions in voxels, radii in um


def render(settings, *, rng):
    """Make one stack.

    Args:
        settings: phantom.settings.Settings; rng: numpy Generator.

    Returns:
        Phantom.

    Raises:
        UserError: if the volume is too small for an axon.
    """
    stack, seen = settings.stack, settings.microscope
    light = fluorescence.autofluorescence(stack, settings.light, rng=rng)
    _add_specks(light, stack, kinds=settings.light, rng=rng)
    bright, trees = _neurons(settings, rng=rng)
    light += bright
    light *= microscope.illumination(stack, seen.illumination_std, sigma=seen.illumination_sigma,
                                     rng=rng)
    blurred = microscope.point_spread(light, seen.psf_sigma, voxel_size=np.array(stack.voxel_size))
    image = microscope.read_out(blurred, seen.gain, offset=seen.offset, read_noise=seen.read_noise,
                                rng=rng)
    return Phantom(image, bright > 0, trees)


def _add_specks(light, stack, *, kinds, rng):
    """Add grains and blobs, in place; as many per volume as settings.Light, `kinds`, says."""
    share = np.prod(stack.shape) / np.prod(PLAIN_SHAPE)
    for count, sigma, level in ((kinds.grains, kinds.grain_sigma, kinds.grain_level),
                                (kinds.blobs, kinds.blob_sigma, kinds.blob_level)):
        fluorescence.add_spots(light, stack.voxel_size, count=int(round(count * share)),
                               sigma=sigma, level=level, rng=rng)


def _neurons(settings, *, rng):
    """All axons of a stack.

    Returns:
        (light, trees): float32 [Z, Y, X], grey levels, the brightest where axons overlap, 0 outside
        them; list of swc.Tree as of Phantom.
    """
    stack, voxel_size = settings.stack, np.array(settings.stack.voxel_size)
    light, trees = np.zeros(stack.shape, np.float32), []
    fewest, most = settings.axons.n_axons
    for _ in range(rng.integers(fewest, most + 1)):
        axon = axons.grow(stack, settings.axons, rng=rng)
        position = axon.position / voxel_size
        mask = raster.label(stack.shape, position, radius=axon.radius, parent=axon.parent,
                            spacing=voxel_size)
        mean = rng.uniform(*np.log(settings.light.level))
        drift = axons.along(len(position), settings.axons.drift_length, rng=rng)
        level = np.exp(mean + settings.light.level_drift * drift)
        own = fluorescence.axon_light(mask, position, level=level)
        light[mask] = np.maximum(light[mask], own)
        kind = np.full(len(position), swc.AXON)
        trees.append(swc.Tree(kind, position, axon.radius, axon.parent))
    return light, trees
