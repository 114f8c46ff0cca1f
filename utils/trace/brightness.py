"""Brightness along what is traced: what the stack tells and a mask does not."""
import numpy as np

from utils.trace import graphs

BLOCK = 16               # voxels: side of the blocks whose median is the background
EVERY = 2                # voxels: of these, one of so many along each axis counts for the median
FAINT = 0.42             # of the typical contrast: a short tree below is a speck of the background
LONG = 50.0              # x voxels of cable: no such tree is a speck


def contrast(nodes, image):
    """Brightness above the background around at nodes; float [M], grey levels.

    It is the mean of the 3 x 3 x 3 voxels around a node, less the median of its block.

    Args:
        nodes: graphs.Nodes; image: [Z, Y, X], grey levels.
    """
    last = np.array(image.shape) - 1
    voxels = np.clip(np.rint(nodes.position).astype(int), 0, last)
    total = np.zeros(len(voxels))
    for offset in np.ndindex(3, 3, 3):
        total += image[tuple(np.clip(voxels + np.array(offset) - 1, 0, last).T)]
    background = {}
    blocks, which = np.unique(voxels // BLOCK, axis=0, return_inverse=True)
    for k, block in enumerate(blocks):
        first = np.minimum(block * BLOCK, np.maximum(last + 1 - BLOCK, 0))
        part = image[tuple(slice(f, f + BLOCK, EVERY) for f in first)]
        background[k] = np.median(part)
    return total / 27 - np.array([background[k] for k in range(len(blocks))])[which.ravel()]


def drop_faint(nodes, image, *, spacing):
    """Leave out short trees much dimmer than what is traced; none with a soma.

    Args:
        nodes: graphs.Nodes; image: [Z, Y, X], grey levels; spacing: (z, y, x), x voxels.

    Returns:
        graphs.Nodes without trees shorter than LONG whose mean contrast is below FAINT of the
        typical one: the median over all cable. All stay where that is not above the background.
    """
    if len(nodes.edges) == 0:
        return nodes
    part = graphs.parts(nodes.edges, len(nodes.position))
    a, b = nodes.edges.T
    step = np.sqrt((((nodes.position[a] - nodes.position[b]) * spacing) ** 2).sum(1))
    cable = np.bincount(part[a], step, part.max() + 1)
    light = contrast(nodes, image)
    mean = np.bincount(part, light) / np.bincount(part)
    order = np.argsort(mean)
    typical = mean[order][np.searchsorted(np.cumsum(cable[order]), cable.sum() / 2)]
    if typical <= 0:                         # dark on bright: brightness tells nothing
        return nodes
    gone = (cable < LONG) & (mean < FAINT * typical) & (np.bincount(part, nodes.soma) == 0)
    return graphs.select(nodes, ~gone[part])
