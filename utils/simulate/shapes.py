"""Shapes of neurites and somata: boutons, tapering, the pyramidal soma. Beyond the paper.

Lengths are isotropic voxels.
"""
import numpy as np

from utils.data import swc
from utils.simulate import branches
from utils.simulate.directions import fork_azimuths, tilt

BOUTON_SWELL = 1.4, 2.2         # radius of a bouton over its neurite's, uniform
BOUTON_SIGMA = 1.5              # voxels, half-width of a bouton along its neurite


def boutons(tree, spacing, *, rng):
    """Swell a finely divided axon at random places (varicosities).

    Args:
        tree: swc.Tree, nodes about branches.STEP apart; spacing: mean voxels between two boutons.

    Returns:
        swc.Tree with other radii; somata keep theirs.
    """
    radius = tree.radius.copy()
    for run in branches.sections(tree.parent):
        steps = np.sqrt((np.diff(tree.position[run], axis=0) ** 2).sum(1))
        place = np.r_[0, np.cumsum(steps)]
        at = rng.uniform(0, place[-1], rng.poisson(place[-1] / spacing))
        swelling = rng.uniform(*BOUTON_SWELL, size=len(at)) - 1
        bump = swelling * np.exp(-0.5 * ((place[:, None] - at) / BOUTON_SIGMA) ** 2)
        more = bump.max(1) if len(at) else 0 * place
        radius[run[1:]] = (tree.radius[run] * (1 + more))[1:]
    return tree._replace(radius=np.where(tree.type == swc.SOMA, tree.radius, radius))


def taper(tree, share):
    """Thin branches linearly along their path from the root, by `share` at the farthest tip.

    Returns:
        swc.Tree with other radii; somata keep theirs.
    """
    edge = branches.edge_lengths(tree)
    path = np.zeros(len(edge))
    for i in np.flatnonzero(tree.parent >= 0):
        path[i] = path[tree.parent[i]] + edge[i]
    factor = 1 - share * path / max(path.max(), 1e-9)
    return tree._replace(
        radius=np.where(tree.type == swc.SOMA, tree.radius, tree.radius * factor))


def pyramid(tree, rng):
    """Give a dendrite's soma the shape of a pyramidal cell's.

    It is longer towards the apical stem and has two or three shoulders on the other side: balls of
    type soma that hang on the root. Cones join them to it, so the label stays exact.

    Returns:
        swc.Tree with three or four more nodes at its end.
    """
    stems = np.flatnonzero((tree.parent == 0) & (tree.type == swc.APICAL))
    apical = tree.position[stems[0]] - tree.position[0] if len(stems) else np.array([0.0, 1.0, 0.0])
    apical = apical / np.linalg.norm(apical)
    # (direction, distance, radius), in units of the soma's radius
    balls = [(apical, rng.uniform(0.7, 1.0), rng.uniform(0.5, 0.65))]
    for azimuth in fork_azimuths(int(rng.integers(2, 4)), rng):
        shoulder = tilt(-apical, rng.uniform(45, 75), azimuth=azimuth)
        balls.append((shoulder, rng.uniform(0.5, 0.75), rng.uniform(0.45, 0.6)))
    soma = tree.radius[0]
    position = [tree.position[0] + soma * distance * towards for towards, distance, _ in balls]
    radius = np.r_[tree.radius, [soma * share for _, _, share in balls]]
    radius[0] = 0.85 * soma
    return swc.Tree(np.r_[tree.type, np.full(len(balls), swc.SOMA)],
                    np.concatenate([tree.position, position]), radius,
                    np.r_[tree.parent, np.zeros(len(balls), int)])
