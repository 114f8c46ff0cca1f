"""Settings of a draft: groups of the constants of configs/simulator.py, what 'auto' stands for.

A script fills the groups, `Settings(*[config.pick(cfg, group) for group in GROUPS])`; each field is
the constant of its name in lower case.
"""
from typing import NamedTuple

import numpy as np

from utils.common import schemas
from utils.simulate import branches, unseen, winding

PAPER_VOLUME = 256 * 512 * 256       # isotropic voxels that `debris` is stated for


class Stack(NamedTuple):
    """The stack that is written."""
    volume_shape: tuple              # (z, y, x) isotropic voxels in which neurons grow
    voxel_size: tuple                # um (z, y, x) of a written voxel
    bits: int                        # 8 or 16
    instances: bool                  # whether neurites are numbered, too


class Neuron(NamedTuple):
    """The first neuron of a stack: the paper's models, or a given reconstruction."""
    axon_share: float                # probability that it is an axon, else a dendrite
    internal_priors: bool            # False: depth 2 and branches of 100 to 150 voxels
    soma_radius: tuple               # (low, high) voxels, uniform
    soma_shape: str                  # 'ball' or 'pyramid'
    dendrite_depth: tuple            # levels of a dendrite, either
    axon_depth: tuple                # segments each way of an axon, either
    branch_length: tuple             # (low, high) voxels at depth 0, whole numbers
    radius: tuple                    # (low, high) voxels at depth 0; 'auto': as measured
    swc_dir: str                     # folder of reconstructions to draw instead, or None
    swc_scale: tuple                 # (z, y, x) voxels per unit of the SWC files


class Branches(NamedTuple):
    """What the paper's neuron lacks: winding, passing fibres, varying radii."""
    tortuosity: float                # mean arc over chord of 40 voxels of a branch; 1: straight
    wiggle: float                    # degrees, std of quick deviations from a branch's course
    wiggle_length: float             # voxels over which they change
    winding_spread: float            # std of the log of how much a place winds; 0: all alike
    density: float                   # voxels of centreline per voxel^3; 0: the first neuron alone
    density_factor: float            # times a density of 'auto'
    bundled: float                   # share of passing fibres that run beside another one
    clumps: float                    # std of the log of how many fibres start at a place
    radius_length: float             # voxels over which a fibre's measured radius changes
    flatness: float                  # how far from round neurites are across (sections.draw)
    taper: float                     # share of its radius that a branch loses, [0, 1)
    bouton_spacing: float            # voxels between boutons, mean; 0: none


class Light(NamedTuple):
    """Fluorescence of the neurites and of debris."""
    external_priors: bool            # False: constant foreground on a background of 1
    dim_neurites: bool               # whether there are neurites dimmer than any measured, too
    stained_share: float             # probability that a foreground voxel is stained
    level: tuple                     # (low, high) grey levels; None: the paper's; 'auto': measured
    level_spread: float              # std of log brightness between neurites; 'auto': measured
    level_width: float               # correlation of brightness with radius, of measured ones
    level_drift: float               # std of log brightness along a neurite
    drift_length: float              # voxels over which it changes
    end_level: float                 # brightness of a free end over its neurite's; 1: alike
    edge: float                      # voxels over which the light falls at a neurite's border
    debris: float                    # specks per PAPER_VOLUME
    glow: tuple                      # shares of the neurites' light spread by glow.SPREADS


class Optics(NamedTuple):
    """From light to an image of it."""
    psf_sigma: tuple                 # um (z, y, x), Gaussian point-spread function
    psf_wing_share: float            # share of the light in its wings
    psf_wing_width: float            # width of the wings in plane, in psf_sigma
    psf_wing_depth: float            # the same along z
    illumination: float              # std of the log of uneven illumination; 0: even
    illumination_sigma: float        # um over which it changes
    attenuation: float               # um of depth over which light falls to 1/e; 0: none


class Background(NamedTuple):
    """Autofluorescence behind the neurites."""
    texture: float                   # std over the mean; 0: white noise; 'auto': as measured
    texture_sigma: tuple             # um (z, y, x), grain of a texture given as a number


class Camera(NamedTuple):
    """From light to grey levels."""
    light_noise: float               # variance for each grey level of neurites' light and glow
    gain: float                      # grey levels per photon; 0: no photon noise
    offset: float                    # grey levels of a dark camera
    read_noise: float                # grey levels, std
    saturation: float                # highest grey level; 0: that of the bits


class Patches(NamedTuple):
    """Training patches cut from a draft."""
    patch_shape: tuple               # (z, y, x) voxels
    patch_every: float               # one centreline voxel in so many becomes a centre
    max_patches: int                 # of a stack
    random_patches: float = 0.0      # share of them that are cut anywhere
    even_patches: float = 0.0        # how far crowded places have no more than others; 0: not


class Settings(NamedTuple):
    """All groups."""
    stack: Stack
    neuron: Neuron
    branches: Branches
    light: Light
    optics: Optics
    background: Background
    camera: Camera
    patches: Patches


GROUPS = Stack, Neuron, Branches, Light, Optics, Background, Camera, Patches     # as in Settings


# --- 'auto' ---

class Auto(NamedTuple):
    """A constant that may be 'auto', and the values it may have instead."""
    count: int                       # numbers wanted; 0: one of SOMA_SHAPES
    paper: object                    # the paper's value
    low: float = None                # smallest number
    high: float = None               # largest; None: any


SOMA_SHAPES = 'ball', 'pyramid'
AUTO = {
    'voxel_size': Auto(3, (1.0, 0.5, 0.5), 1e-6, 1e4),
    'soma_shape': Auto(0, 'ball'),
    'radius': Auto(2, (1.0, 3.0), 0.1, 1000.0),
    'tortuosity': Auto(1, 1.0, 1.0, 1.3),
    'wiggle': Auto(1, 0.0, 0.0, 40.0),
    'wiggle_length': Auto(1, 6.0, 2.0, 100.0),
    'winding_spread': Auto(1, 0.0, 0.0, 0.8),
    'density': Auto(1, 0.0, 0.0, 0.02),
    'bundled': Auto(1, 0.0, 0.0, 0.9),
    'clumps': Auto(1, 0.0, 0.0, 2.0),
    'radius_length': Auto(1, 20.0, 0.1, 1e6),
    'flatness': Auto(1, 0.0, 0.0, 1.0),
    'stained_share': Auto(1, 0.5, 0.01, 1.0),
    'level': Auto(2, None, 0.0, 65535.0),                # paper: priors.PAPER, by bits and kind
    'level_spread': Auto(1, 0.0, 0.0, 3.0),
    'level_width': Auto(1, 0.0, -0.95, 0.95),
    'level_drift': Auto(1, 0.0, 0.0, 3.0),
    'drift_length': Auto(1, 20.0, 0.1, 1e6),
    'end_level': Auto(1, 1.0, 0.1, 5.0),
    'edge': Auto(1, 0.0, 0.0, 2.0),
    'even_patches': Auto(1, 0.0, 0.0, 1.0),
    'debris': Auto(1, 1024, 0.0, schemas.SPECKS[1] * PAPER_VOLUME),
    'glow': Auto(3, (0.0, 0.0, 0.0), 0.0, 20.0),
    'light_noise': Auto(1, 0.0, 0.0, 65535.0),
    'psf_sigma': Auto(3, None, 0.0, 1e4),                # paper: one isotropic voxel
    'psf_wing_share': Auto(1, 0.0, 0.0, 0.85),
    'psf_wing_width': Auto(1, 3.0, 1.0, 20.0),
    'psf_wing_depth': Auto(1, 3.0, 1.0, 20.0),
    'texture': Auto(1, 0.0, 0.0, 3.0),
}


def resolve(settings, measured):
    """Put values for 'auto': the measured ones, or the paper's if `measured` is None.

    Args:
        settings: Settings; measured: contents of priors.json, or None.

    Returns:
        Settings. 'auto' is left where a value is drawn from a measured distribution: radius, level,
        level_spread and texture.
    """
    size = settings.stack.voxel_size
    if measured is None:
        values = {name: auto.paper for name, auto in AUTO.items()}
        size = values['voxel_size'] if size == 'auto' else size
    else:
        size = _voxel_size(measured) if size == 'auto' else size
        values = _of_measured(measured, size)
        values['density'] *= settings.branches.density_factor
        if has_unseen(settings.light):                   # on top of those that were seen
            values['density'] /= 1 - unseen.of(measured).share
        values['density'] = min(values['density'], AUTO['density'].high)
        if settings.branches.tortuosity != 'auto':       # winding as it is given, no more
            values.update(wiggle=0.0, winding_spread=0.0)
        if settings.light.level_drift != 'auto':         # so is brightness along a neurite
            values.update(drift_length=AUTO['drift_length'].paper, end_level=1.0)
    if values['psf_sigma'] is None:
        values['psf_sigma'] = (size[2],) * 3
    return Settings(*[_filled(group, values) for group in settings])


def _filled(group, values):
    """A group with the known values in place of 'auto'."""
    return group._replace(**{name: values[name] for name in group._fields
                             if name in values and getattr(group, name) == 'auto'})


def _voxel_size(measured):
    """(z, y, x) um of the measured stacks' voxels; ones if they do not tell it."""
    size = measured.get('voxel_size')
    return tuple(size) if size else (1.0, 1.0, 1.0)


def _of_measured(measured, voxel_size):
    """Values of 'auto' that follow from priors.json; dict.

    Args:
        voxel_size: (z, y, x) um; measured blurs are voxels of each axis.
    """
    drawn = measured['drawn']
    blur = drawn['blur_sigma']
    known = [b for b in blur if b] or [1.0]              # an axis without a width takes another's
    length = drawn.get('drift_length') or AUTO['drift_length'].paper
    return {
        'voxel_size': voxel_size,
        'soma_shape': 'pyramid',
        **_winding(measured, drawn),
        'density': drawn['density'],
        'bundled': drawn.get('bundled') or 0.0,
        'clumps': drawn.get('clumps') or 0.0,
        'radius_length': length,
        'flatness': drawn.get('flatness') or 0.0,
        'stained_share': drawn['keep'],
        **_wings(drawn, [b or known[0] for b in blur]),
        'level_width': drawn.get('level_width') or 0.0,
        'level_drift': drawn.get('level_drift', measured.get('level_drift')) or 0.0,
        'drift_length': length,
        'end_level': drawn.get('end_level') or 1.0,
        'edge': 1.0,
        'even_patches': 1.0,
        'debris': drawn.get('debris_density', measured['debris']['density']) * PAPER_VOLUME,
        'glow': tuple(drawn.get('glow') or AUTO['glow'].paper),
        'light_noise': drawn.get('photons') or 0.0,
        'psf_sigma': tuple((b or known[0]) * s for b, s in zip(blur, voxel_size)),
    }


def _wings(drawn, blur):
    """Share and widths of the wings of the blur, list of 3 sigmas; dict."""
    deep, wide = drawn.get('wing_sigma') or [AUTO[name].paper * sigma for name, sigma in (
        ('psf_wing_depth', blur[0]), ('psf_wing_width', np.mean(blur[1:])))]
    return {'psf_wing_share': drawn['halo'], 'psf_wing_depth': max(deep / blur[0], 1.0),
            'psf_wing_width': max(wide / float(np.mean(blur[1:])), 1.0)}


def _winding(measured, drawn):
    """Values of 'auto' for how neurites wind: by `drawn`, else by the persistence alone; dict."""
    fitted = winding.fit(drawn.get('turns') or [])
    if fitted is None:
        persistence, degrees, length = measured.get('persistence'), 0.0, AUTO['wiggle_length'].paper
    else:
        persistence, degrees, length = fitted
    return {'tortuosity': branches.tortuosity_of(persistence) if persistence else 1.0,
            'wiggle': degrees, 'wiggle_length': length,
            'winding_spread': drawn.get('winding_spread') or 0.0}


# --- what follows from settings ---

def has_unseen(light):
    """Whether some neurites are dimmer than any measured (Light): not where levels are given."""
    return light.dim_neurites and light.level == light.level_spread == 'auto'


def grid(stack):
    """Grid of the written stack.

    Args:
        stack: Stack, resolved.

    Returns:
        (shape, spacing): (z, y, x) voxels; float [3], isotropic voxels per voxel along z, y, x.
    """
    spacing = np.asarray(stack.voxel_size, float) / stack.voxel_size[2]
    return tuple(int(n / s + 1e-6) for n, s in zip(stack.volume_shape, spacing)), spacing


def volume(stack):
    """Isotropic voxels of the volume; float."""
    return float(np.prod(np.asarray(stack.volume_shape, float)))
