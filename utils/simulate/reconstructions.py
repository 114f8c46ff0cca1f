"""Given reconstructions (SWC files) as neurons of a draft: turned, placed, cropped.

This is beyond the paper. Coordinates are isotropic voxels (z, y, x) but for crop().
"""
import numpy as np
from scipy.spatial.transform import Rotation

from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.simulate import branches

LONGEST = 1e4           # voxels; a longer edge is taken for a mistake in the file
TRIES = 20              # a small reconstruction may miss the volume
FEWEST_NODES = 6        # that must lie in the volume


def draw(neuron, shape, *, prior, drift_length, rng):
    """Place one of a folder's reconstructions at random; missing radii (0) are drawn.

    Args:
        neuron: settings.Neuron, of which swc_dir and swc_scale count; shape: (z, y, x) voxels.
        prior: priors.Priors; drift_length: voxels over which drawn radii change.

    Returns:
        swc.Tree, finely divided, inside the volume.

    Raises:
        UserError: no file, a damaged one, or none that reaches into the volume.
    """
    paths = stacks.find(neuron.swc_dir, ('.swc',))
    for _ in range(TRIES):
        path = paths[int(rng.integers(len(paths)))]
        tree = pose(swc.read(path), shape, scale=neuron.swc_scale, rng=rng)
        if len(tree.parent) >= FEWEST_NODES:
            missing = tree.radius <= 0
            radius = tree.radius.copy()
            if prior.fixed:
                radius[missing] = prior.draw_radius(rng, 0)
            else:
                normal = branches.along(tree.parent, drift_length, rng=rng)
                radius[missing] = prior.radii_along(normal)[missing]
            return tree._replace(radius=radius)
    raise UserError('%s: nothing of it lies in a volume of %s: check SWC_SCALE=%s'
                    % (path, shape, neuron.swc_scale))


def pose(tree, shape, *, scale, rng):
    """Turn, mirror and place a reconstruction so that one of its nodes is the volume's centre.

    Args:
        tree: swc.Tree in its file's coordinates; shape: (z, y, x) voxels of the volume.
        scale: (z, y, x) voxels per unit of the file; radii scale with that of x.

    Returns:
        swc.Tree, finely divided, cropped to the volume (see crop); it may be empty.

    Raises:
        UserError: if an edge is longer than LONGEST.
    """
    position = tree.position * np.asarray(scale, float)
    longest = np.abs(position - position[branches.parents_or_self(tree)]).max()
    if longest > LONGEST:
        raise UserError('a reconstruction has an edge of %.3g voxels: check its coordinates and '
                        'SWC_SCALE' % longest)
    axes = Rotation.random(random_state=rng).as_matrix()
    axes[:, 0] *= rng.choice([-1, 1])                    # mirrored or not
    node = position[rng.integers(len(position))]
    position = (position - node) @ axes.T + (np.asarray(shape, float) - 1) / 2
    placed = tree._replace(position=position, radius=tree.radius * scale[2])
    return crop(branches.subdivide(placed), shape)


def crop(tree, shape):
    """Drop nodes outside a grid; a node whose parent is dropped becomes a root.

    Args:
        tree: swc.Tree in voxels of the grid; shape: (z, y, x) voxels. A node on the border is in
        the voxel that it rounds to.

    Returns:
        swc.Tree, parents first. A node that loses both its parent and its children is dropped, too;
        the tree may be empty.
    """
    inside = ((tree.position > -0.5) & (tree.position < np.asarray(shape) - 0.5)).all(1)
    parent = np.where((tree.parent >= 0) & inside[tree.parent], tree.parent, -1)
    used = np.zeros(len(parent), bool)
    used[parent[inside & (parent >= 0)]] = True
    keep = inside & (used | (parent >= 0) | (tree.parent < 0))
    row = np.cumsum(keep) - 1
    return swc.Tree(tree.type[keep], tree.position[keep], tree.radius[keep],
                    np.where(parent[keep] >= 0, row[parent[keep]], -1))
