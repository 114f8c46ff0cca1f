"""From evidence for neurites to trees.

The foreground becomes paths; somata become nodes; crossings are parted, short breaks bridged;
what is left is smoothed and rooted. Lengths are in x voxels: z and y count as many as the voxel
size says.
"""
import functools
from typing import Any, Callable, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from utils.common.errors import UserError
from utils.trace import brightness, crossings, ends, fits, forks, joins, somata, trees
from utils.trace.foreground import foreground
from utils.trace.paths import paths

LOOSE = 0.5              # of MIN_LENGTH: cable of a tree that ends a chain of joined ones


class Sources(NamedTuple):
    """What the stages from paths to trees look at, besides the nodes."""
    evidence: Any            # uint8 [Z, Y, X], or what is sliced and has a shape like it
    deep: Any                # Foreground; voxels as deep as somata suffice
    faces: Any               # Foreground; the voxels at the stack's faces suffice
    centre: Callable         # function (nodes) -> nodes, moved into the middle of the foreground
    image: Any = None        # function () -> grey levels [Z, Y, X], or None


def trace(evidence, spacing, *, settings, low, high, image=None, name='stack'):
    """Trace a stack.

    Args:
        evidence: uint8 [Z, Y, X], 255 for certain foreground.
        spacing: (z, y, x) of a voxel, in x voxels.
        settings: settings.Settings.
        low, high: evidence in (0, 1] of the foreground's hysteresis.
        image: function () -> [Z, Y, X], the stack's grey levels, called once the paths are found,
            when memory is free again; with it, specks are told by their brightness. None: by the
            evidence alone.
        name: for error messages.

    Returns:
        swc.Tree, a forest: position in voxels, radius in x voxels, the largest tree first.

    Raises:
        UserError: no foreground, too much of it, or no tree of min_length.
    """
    spacing = np.asarray(spacing, float)
    found = foreground(evidence, spacing, low=low, high=high, min_object=settings.min_object,
                       most=settings.max_foreground, name=name)
    nodes = paths(found, evidence.shape, spacing=spacing, settings=settings)
    around = cKDTree(found.voxels * spacing) if settings.smooth_rounds else None
    centre = functools.partial(trees.centre, found=found, spacing=spacing, tree=around)
    return finish(nodes, Sources(evidence, found, found, centre, image), spacing=spacing,
                  settings=settings, low=low, name=name)


def finish(nodes, sources, *, spacing, settings, low, name):
    """Trees of paths: somata, forks, crossings, gaps, the middle, the ends.

    Args:
        nodes: graphs.Nodes of paths, loops among them, no soma yet; sources: Sources.
        spacing, settings, low, name: as trace; spacing float [3].

    Returns and raises: as trace.
    """
    centres, radii = somata.find(nodes, sources.deep, spacing=spacing, ratio=settings.soma_ratio,
                                 least=settings.soma_radius)
    nodes = somata.collapse(nodes, centres, radii=radii, spacing=spacing,
                            spur_length=settings.spur_length)
    if settings.cross_reach:
        smooth = trees.smooth(nodes, spacing, rounds=settings.smooth_rounds)
        nodes = forks.relocate(smooth._replace(depth=nodes.depth), spacing)
        nodes = crossings.uncross(nodes, spacing, reach=settings.cross_reach,
                                  max_angle=settings.cross_angle)
    nodes = crossings.opened(nodes, spacing)
    if sources.image:
        nodes = brightness.drop_faint(nodes, sources.image(), spacing=spacing)
    certain = None if sources.image else sources.evidence
    nodes = joins.bridge(nodes, sources.evidence, spacing=spacing, low=low,
                         max_gap=settings.max_gap, max_angle=settings.max_angle,
                         least=0 if sources.image else LOOSE * settings.min_length)
    nodes = trees.drop_short(nodes, spacing, min_length=settings.min_length, evidence=certain,
                             low=low)
    if len(nodes.position) == 0:
        raise UserError('%s has no neurite of MIN_LENGTH=%g x voxels: lower it or leave the stack '
                        'out' % (name, settings.min_length))
    return trees.to_tree(_finished(nodes, sources, spacing=spacing, low=low,
                                   rounds=settings.smooth_rounds))


def _finished(nodes, sources, *, spacing, low, rounds):
    """Nodes in the middle of their neurites, forks and ends at their places; graphs.Nodes.

    sources: Sources; rounds: of smoothing; the rest as in trace.
    """
    if rounds:
        for _ in range(2):
            nodes = trees.smooth(nodes, spacing, rounds=rounds // 2)
            nodes = sources.centre(nodes)
        nodes = trees.smooth(nodes, spacing, rounds=rounds)
    nodes = forks.relocate(nodes, spacing)
    nodes = fits.refine(nodes, sources.evidence, spacing=spacing, low=low)
    return ends.centre_cuts(nodes, sources.faces, shape=sources.evidence.shape, spacing=spacing)
