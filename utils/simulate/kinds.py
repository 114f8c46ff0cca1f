"""Kinds of stacks at random: priors and constants of 1_simulator.py drawn from wide ranges.

A network that is to work on stacks without priors is trained on many kinds of drafts (domain
randomisation, Tobin et al. 2017; of vessels: Wittmann et al., CVPR 2025). Lengths are isotropic
voxels; um and voxels are the same across (VOXEL_SIZE's x is 1).
"""
from typing import NamedTuple, Tuple

import numpy as np
from scipy import special

from utils.measure.quantiles import BACKGROUND, LAGS, QUANTILES

HALF = 0.5                      # of the kinds have an effect that not all have
LEVEL = {16: (150.0, 8000.0), 8: (20.0, 150.0)}      # grey levels of a neurite in the image
LEAST_NOISE = 0.5               # grey levels between neighbouring voxels
FULL = 0.9                      # of the grey levels that the bits tell, the brightest neurites
ABOVE_ZERO = 2.5, 12.0          # of the background's middle, in its standard deviations
TAIL = 0.005                    # share at which distributions are cut off
RADIUS_SPREAD = 0.3             # std of the log of a stack's radii
SPECK_RADIUS = 0.8, 3.0         # voxels, of debris in its kind's middle
SPECK_SPREAD = 0.3              # std of the log of its radii
THINNEST = 0.3                  # voxels, radius


class Ranges(NamedTuple):
    """What kinds are drawn from: (low, high), or the share of the kinds that have it."""
    radius: Tuple[float, float]             # voxels, log-uniform
    volume_share: Tuple[float, float]       # of the voxels that are neurites, log-uniform
    density: Tuple[float, float]            # voxels of centreline per voxel^3, limits
    tortuosity: Tuple[float, float]         # arc over chord of 40 voxels
    wiggle: Tuple[float, float]             # degrees
    bundled: Tuple[float, float]            # share of fibres beside another one; of half
    branch_spacing: Tuple[float, float]     # voxels of centreline between branchings, log-uniform
    ends_spacing: Tuple[float, float]       # voxels of centreline between free ends, log-uniform
    taper: Tuple[float, float]              # share of the radius lost to a tip; of half
    boutons: Tuple[float, float]            # voxels between boutons; of half
    somata: float                           # share of the kinds that may have a dendrite first
    snr: Tuple[float, float]                # brightness over the background's std, log-uniform
    stained: Tuple[float, float]            # share of stained voxels
    spread: Tuple[float, float]             # std of log brightness between neurites
    drift: Tuple[float, float]              # std of log brightness along one
    dim: float                              # share of the kinds with DIM_NEURITES
    debris: Tuple[float, float]             # balls per voxel, log-uniform
    debris_level: Tuple[float, float]       # of a neurite's brightness, log-uniform
    fine: Tuple[float, float]               # std of the background's grain of about a voxel, in
                                            # that of its white noise, log-uniform; of half
    granular: Tuple[float, float]           # the same of grain of 1.5 to 4 voxels
    slow: Tuple[float, float]               # the same of grain of 6 to 24 voxels
    skew: Tuple[float, float]               # std of the log of a log-normal background
    illumination: Tuple[float, float]       # std of the log of light; of half
    blur: Tuple[float, float]               # voxels, sigma, log-uniform
    axial: Tuple[float, float]              # factor on the blur along z
    wings: Tuple[float, float]              # share of light; of half
    anisotropy: Tuple[float, float]         # height of a voxel over its width; of half
    eight_bit: float                        # share of the kinds


class Grain(NamedTuple):
    """The background's noise: Gaussian fields, in units of the white one's standard deviation."""
    sigma: np.ndarray           # float [fields], voxels; 0: white
    std: np.ndarray             # float [fields]; of the white one 1

    def local(self):
        """Standard deviation of what changes within a neurite's surroundings; float."""
        return float(np.sqrt((self.std[self.sigma < GRAINS['slow'][0]] ** 2).sum()))


GRAINS = {'fine': (0.6, 1.3), 'granular': (1.5, 4.0), 'slow': (6.0, 24.0)}      # voxels, sigma


def draw(ranges, *, rng):
    """One kind.

    Args:
        ranges: Ranges; rng: numpy Generator.

    Returns:
        (contents of a priors.json, dict of constants of 1_simulator.py that are not its 'auto').
    """
    bits = 8 if rng.random() < ranges.eight_bit else 16
    height = _some(ranges.anisotropy, rng) or 1.0
    radius, grain = _log(ranges.radius, rng), _grain(ranges, rng=rng)
    level, unit, base = _levels(ranges, bits, grain=grain, rng=rng)
    priors = {
        'dtype_max': 2 ** bits - 1, 'voxel_size': [height, 1.0, 1.0],
        'drawn': dict(_neurites(ranges, radius, level=level, rng=rng),
                      blur_sigma=_blur(ranges, height, rng=rng)),
        'debris': _debris(ranges, level, rng=rng),
        'background': _background(base, unit, grain=grain, skew=rng.uniform(*ranges.skew)),
        'correlation': [correlation(grain, height), correlation(grain), correlation(grain)]}
    photons = rng.uniform(0, 0.3) if rng.random() < HALF else 0.0    # share of the white variance
    constants = dict(
        BITS=bits, AXON_SHARE=HALF if rng.random() < ranges.somata else 1.0,
        SOMA_SHAPE='pyramid' if rng.random() < HALF else 'ball', DENDRITE_DEPTH=(3, 5),
        SOMA_RADIUS=(1.5 * radius + 3, 2.5 * radius + 4), AXON_DEPTH=(3, 6), BRANCH_LENGTH=(25, 55),
        TORTUOSITY=_uniform(ranges.tortuosity, rng), WIGGLE=_uniform(ranges.wiggle, rng),
        WIGGLE_LENGTH=_uniform((4, 12), rng), WINDING_SPREAD=_uniform((0, 0.6), rng),
        TAPER=_some(ranges.taper, rng), BOUTON_SPACING=_some(ranges.boutons, rng),
        ILLUMINATION=_some(ranges.illumination, rng), ILLUMINATION_SIGMA=_uniform((30, 100), rng),
        GAIN=max(photons * unit ** 2 / base, 1e-3) if photons else 0.0,
        DIM_NEURITES=bool(rng.random() < ranges.dim))
    return priors, constants


# --- neurites and debris ---

def _neurites(ranges, radius, *, level, rng):
    """What priors.json says is to be drawn, but for the blur; dict.

    Args:
        radius: voxels, and level: grey levels, of the kind's middle.
    """
    density = _log(ranges.volume_share, rng) / (np.pi * max(radius, 0.6) ** 2)
    return {
        'radius_quantiles': log_normal(radius, RADIUS_SPREAD, lowest=THINNEST),
        'level_quantiles': log_normal(level, rng.uniform(*ranges.spread)),
        'density': float(np.clip(density, *ranges.density)), 'keep': rng.uniform(*ranges.stained),
        'halo': _some(ranges.wings, rng), 'bundled': _some(ranges.bundled, rng),
        'branch_spacing': _log(ranges.branch_spacing, rng),
        'ends_spacing': _log(ranges.ends_spacing, rng), 'level_drift': rng.uniform(*ranges.drift),
        'drift_length': rng.uniform(10, 60), 'end_level': rng.uniform(0.6, 1.6)}


def _blur(ranges, height, *, rng):
    """Sigma of the point-spread function along z, y, x; voxels of each axis."""
    blur = _log(ranges.blur, rng)
    return [blur * max(rng.uniform(*ranges.axial) / height, HALF), blur, blur]


def _debris(ranges, level, *, rng):
    """Bright specks that are no neurites; dict. level: of neurites, grey levels."""
    low, high = [level * share for share in ranges.debris_level]
    shares = np.linspace(0, 1, len(QUANTILES))
    return {'density': _log(ranges.debris, rng),
            'radius_quantiles': log_normal(_log(SPECK_RADIUS, rng), SPECK_SPREAD, lowest=THINNEST),
            'level_quantiles': np.minimum(low * (high / low) ** shares, 65535.0).tolist()}


def log_normal(median, spread, *, lowest=0.0):
    """Quantiles at QUANTILES of a log-normal distribution, cut off at TAIL; list of float."""
    normal = special.ndtri(np.clip(QUANTILES, TAIL, 1 - TAIL))
    return np.maximum(median * np.exp(spread * normal), lowest).tolist()


# --- background ---

def _grain(ranges, *, rng):
    """Grain of one kind: white noise and, each in half of the kinds, fields of three scales."""
    fields = [(0.0, 1.0)]
    for name, sizes in GRAINS.items():
        if rng.random() < HALF:
            fields.append((_log(sizes, rng), _log(getattr(ranges, name), rng)))
    return Grain(*np.array(fields).T)


def _levels(ranges, bits, *, grain, rng):
    """Grey levels of a neurite, of the background's white noise (std) and of its middle.

    What would be brighter than the bits tell is made darker as a whole.
    """
    level, snr = _log(LEVEL[bits], rng), _log(ranges.snr, rng)
    unit = max(level / (snr * grain.local()), LEAST_NOISE)
    level = snr * grain.local() * unit
    base = unit * float(np.sqrt((grain.std ** 2).sum())) * rng.uniform(*ABOVE_ZERO)
    scale = min(1.0, FULL * 2 ** bits / (level + 2 * base))
    return level * scale, unit * scale, base * scale


def _background(base, unit, *, grain, skew):
    """Grey levels of the background; dict.

    Args:
        base: grey level of its middle; unit: grey levels of the white noise; skew: std of the log
        of the log-normal distribution that it is like, 0: normal.
    """
    std = unit * float(np.sqrt((grain.std ** 2).sum()))
    normal = special.ndtri(BACKGROUND)
    bent = np.expm1(skew * normal) / skew if skew > 1e-3 else normal
    levels = np.clip(base + std * bent, 0, 65535)
    return {'median': float(base), 'robust_std': std, 'quantiles': levels.tolist()}


def correlation(grain, height=1.0):
    """Correlation of the background at LAGS along an axis; list of float.

    A field of smoothing sigma s correlates by exp(-d^2 / (4 s^2)) over a distance d.

    Args:
        grain: Grain; height: of a voxel along the axis, isotropic voxels.
    """
    distance = np.array(LAGS)[:, None] * height
    share = grain.std ** 2 / (grain.std ** 2).sum()
    fields = np.exp(-distance ** 2 / (4 * np.maximum(grain.sigma, 1e-3) ** 2))
    return (fields @ share).tolist()


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
