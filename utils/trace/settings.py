"""How a stack is traced."""
from typing import NamedTuple


class Settings(NamedTuple):
    """Constants of configs/reconstruction.py that tracing uses. Lengths are in x voxels."""
    min_object: int          # voxels of the smallest object kept
    max_foreground: int      # voxels that may be foreground, a limit of memory; 0: any number
    cover_scale: float       # a path covers what lies within cover_scale times its radius ...
    cover_margin: float      # ... plus cover_margin
    spur_length: float       # a branch leaves its parent's surface by spur_length at least ...
    spur_radii: float        # ... plus spur_radii times the parent's radius
    soma_ratio: float        # of a soma's radius to the neurites' median, at least; 0: no somata
    soma_radius: float       # of a soma, at least
    cross_reach: float       # of tree between forks that count as one place; 0: no crossings
    cross_angle: float       # degrees by which a fibre may bend where it crosses another
    max_gap: float           # dark length of a bridge between trees, at most; 0: no bridges
    max_angle: float         # degrees between a tip's direction and a bridge, at most
    min_length: float        # cable of the smallest tree kept, but for those with a soma
    smooth_rounds: int       # of Taubin's smoothing; 0: the voxels' staircase
