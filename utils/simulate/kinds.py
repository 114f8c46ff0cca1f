"""Kinds of stacks at random: constants of 1_simulator.py drawn from wide ranges.

A network that is to work on stacks without priors is trained on many kinds of drafts (domain
randomisation). Lengths are isotropic voxels, um and voxels are the same across (VOXEL_SIZE's x
is 1).
"""
from typing import NamedTuple, Tuple

import numpy as np

from utils.simulate import light

HALF = 0.5                      # of the kinds have an effect that not all have
TEXTURED = 2 / 3                # of the kinds have a texture
LEVEL = {16: (500.0, 5000.0), 8: (40.0, 160.0)}        # grey levels of a neurite in the image
BRIGHTEST = 40000.0             # grey levels of a neurite before it is blurred, at most
MEAN = {16: 100.0, 8: 10.0}     # grey levels, mean of the paper's backgrounds, about
RADIUS_SPREAD = 0.4             # of a stack's radii, either way
AROUND = 0.7, 1.4               # of the level, within a stack
ONE_BIT = 0.6                   # grey levels, least noise of a camera


class Ranges(NamedTuple):
    """What kinds are drawn from: (low, high), or the share of the kinds that have it."""
    radius: Tuple[float, float]             # voxels, log-uniform
    volume_share: Tuple[float, float]       # of the voxels that are neurites, log-uniform
    density: Tuple[float, float]            # voxels of centreline per voxel^3, limits
    tortuosity: Tuple[float, float]         # arc over chord of 40 voxels
    wiggle: Tuple[float, float]             # degrees
    bundled: Tuple[float, float]            # share of fibres beside another one; of half
    taper: Tuple[float, float]              # share of the radius lost to a tip; of half
    boutons: Tuple[float, float]            # voxels between boutons; of half
    somata: float                           # share of the kinds that may have a dendrite first
    snr: Tuple[float, float]                # brightness in noise levels, log-uniform
    stained: Tuple[float, float]            # share of stained voxels
    spread: Tuple[float, float]             # std of log brightness between neurites
    drift: Tuple[float, float]              # std of log brightness along one
    debris: Tuple[float, float]             # balls per PAPER_VOLUME, log-uniform
    texture: Tuple[float, float]            # noise levels, log-uniform; of two thirds
    grain: Tuple[float, float]              # voxels, log-uniform
    illumination: Tuple[float, float]       # std of the log of light; of half
    blur: Tuple[float, float]               # voxels, sigma, log-uniform
    axial: Tuple[float, float]              # factor on the blur along z
    wings: Tuple[float, float]              # share of light; of half
    anisotropy: Tuple[float, float]         # height of a voxel over its width; of half
    eight_bit: float                        # share of the kinds


def draw(ranges, *, rng):
    """Constants of 1_simulator.py of one kind.

    The noise follows from the signal-to-noise ratio: that of a neurite of the kind's middle radius,
    as bright as blur and stain leave it.

    Args:
        ranges: Ranges; rng: numpy Generator.

    Returns:
        dict, constant -> value; PRIORS=None, all that is 'auto' by default is given.
    """
    bits = 8 if rng.random() < ranges.eight_bit else 16
    radius = _log(ranges.radius, rng)
    blur = _log(ranges.blur, rng)
    kind = dict(PRIORS=None, BITS=bits, **_neurites(ranges, radius, rng=rng))
    kind.update(_optics(ranges, blur, rng=rng))
    kind.update(_light(ranges, kind, radius=radius, blur=blur, rng=rng))
    return kind


def _neurites(ranges, radius, *, rng):
    """Constants of the morphology; dict."""
    density = _log(ranges.volume_share, rng) / (np.pi * max(radius, light.THINNEST) ** 2)
    somata = rng.random() < ranges.somata
    spread = 1 + RADIUS_SPREAD * np.array([-1, 1])
    return dict(
        AXON_SHARE=HALF if somata else 1.0, SOMA_SHAPE='pyramid' if rng.random() < HALF else 'ball',
        SOMA_RADIUS=(1.5 * radius + 3, 2.5 * radius + 4), DENDRITE_DEPTH=(3, 5),
        AXON_DEPTH=(3, 6), BRANCH_LENGTH=(25, 55), RADIUS=_numbers(radius * spread),
        TORTUOSITY=_uniform(ranges.tortuosity, rng), WIGGLE=_uniform(ranges.wiggle, rng),
        WIGGLE_LENGTH=_uniform((4, 12), rng), WINDING_SPREAD=_uniform((0, 0.6), rng),
        DENSITY=float(np.clip(density, *ranges.density)), BUNDLED=_some(ranges.bundled, rng),
        TAPER=_some(ranges.taper, rng), BOUTON_SPACING=_some(ranges.boutons, rng))


def _optics(ranges, blur, *, rng):
    """Constants of the voxels and the optics; dict. blur: sigma across, voxels."""
    height = _some(ranges.anisotropy, rng) or 1.0
    axial = blur * max(_uniform(ranges.axial, rng), HALF * height)
    return dict(
        VOXEL_SIZE=_numbers([height, 1, 1]), PSF_SIGMA=_numbers([axial, blur, blur]),
        PSF_WING_SHARE=_some(ranges.wings, rng), ILLUMINATION=_some(ranges.illumination, rng),
        ILLUMINATION_SIGMA=_uniform((30, 100), rng))


def _light(ranges, kind, *, radius, blur, rng):
    """Constants of fluorescence, background and camera; dict.

    Args:
        kind: constants drawn before; radius, blur: voxels.
    """
    bits, stained = kind['BITS'], _uniform(ranges.stained, rng)
    left = stained * float(light.left_by_blur(radius, blur))
    seen = min(_log(LEVEL[bits], rng), left * BRIGHTEST)     # grey levels in the image
    level, noise = seen / left, max(seen / _log(ranges.snr, rng), ONE_BIT)
    photons = rng.uniform(0, 1) if rng.random() < HALF else 0.0      # share of the noise
    textured = rng.random() < TEXTURED
    grain = _log(ranges.grain, rng)
    return dict(
        STAINED_SHARE=stained, LEVEL=_numbers(level * np.array(AROUND)),
        LEVEL_SPREAD=_uniform(ranges.spread, rng), LEVEL_DRIFT=_uniform(ranges.drift, rng),
        DRIFT_LENGTH=_uniform((10, 60), rng), END_LEVEL=_uniform((0.6, 1.6), rng),
        DEBRIS=_log(ranges.debris, rng),
        TEXTURE=min(_log(ranges.texture, rng) * noise / MEAN[bits], 3.0) if textured else 0.0,
        TEXTURE_SIGMA=_numbers([grain] * 3),
        GAIN=max(photons * noise ** 2 / seen, 1e-3) if photons else 0.0,
        READ_NOISE=noise, OFFSET=_uniform((4, 30), rng) * (1 if bits == 8 else 30))


# --- draws ---

def _uniform(span, rng):
    """A number of (low, high), to four digits so that it can be told on a command line."""
    return float('%.4g' % rng.uniform(*span))


def _log(span, rng):
    """The same, log-uniform."""
    return float('%.4g' % np.exp(rng.uniform(*np.log(span))))


def _some(span, rng):
    """A number of (low, high) for HALF of the kinds, else 0."""
    return _uniform(span, rng) if rng.random() < HALF else 0.0


def _numbers(values):
    """A tuple of floats of four digits."""
    return tuple(float('%.4g' % v) for v in values)
