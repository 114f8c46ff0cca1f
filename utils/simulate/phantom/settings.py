"""Settings of a phantom: groups of the constants of configs/demo/phantom.py.

Lengths are um, levels grey levels; a pair is (low, high) of a uniform draw unless said otherwise.
"""
from typing import NamedTuple

import numpy as np


class Stack(NamedTuple):
    """The stack."""
    shape: tuple                 # (z, y, x) voxels
    voxel_size: tuple            # (z, y, x)


class Axons(NamedTuple):
    """Shapes of the axons."""
    n_axons: tuple               # neurons per stack, both ends included
    radius: tuple                # without boutons
    radius_wobble: float         # relative std of the radius along an axon
    bending: tuple               # rad per um, std of the bending
    bend_length: float           # over which the bending keeps its direction
    min_length: float            # shortest axon kept
    branch_spacing: float        # between branchings, mean of an exponential draw
    branch_angle: tuple          # degrees between a daughter and its branch
    daughter_radius: float       # of the parent's radius
    daughter_length: tuple       # unless it leaves the volume first
    bouton_spacing: tuple        # between boutons
    bouton_swell: tuple          # radius of a bouton over the axon's
    bouton_sigma: float          # half-width of a bouton along the axon
    drift_length: float          # over which radius and brightness change


class Light(NamedTuple):
    """Fluorescence."""
    level: tuple                 # inside an axon, log-uniform
    level_drift: float           # std of the log of brightness along an axon
    background: tuple            # autofluorescence, one mean per stack
    texture_sigma: tuple         # scales of its texture
    texture_std: tuple           # relative std of each scale
    stripe_std: float            # relative std of the light sheet's shadow stripes, along x
    grains: float                # dim specks per stack of PLAIN_SHAPE
    grain_sigma: tuple
    grain_level: tuple           # at the centre, before the blur
    blobs: float                 # out-of-focus somata and vessels per stack of PLAIN_SHAPE
    blob_sigma: tuple
    blob_level: tuple            # at the centre


class Microscope(NamedTuple):
    """Optics and camera."""
    illumination_std: float      # of the log of the illumination over the field
    illumination_sigma: float    # over which it changes
    psf_sigma: tuple             # (z, y, x), Gaussian
    gain: float                  # grey levels per photon electron
    offset: float                # of a dark camera
    read_noise: float            # std


class Settings(NamedTuple):
    """All groups."""
    stack: Stack
    axons: Axons
    light: Light
    microscope: Microscope


GROUPS = Stack, Axons, Light, Microscope         # as in Settings
PLAIN_SHAPE = 64, 160, 160                       # voxels that counts of specks are stated for


def extent(stack):
    """From the first to the last voxel's centre; float [3], um."""
    return (np.array(stack.shape) - 1) * stack.voxel_size
