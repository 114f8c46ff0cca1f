"""A place in a stack: the three planes through it."""
import matplotlib.pyplot as plt

from utils.draw.base import save, show

PLANES = 'z', 'y', 'x'


def place(path, voxels, *, where):
    """The planes through a voxel, the other two of its coordinates marked at their rims.

    Args:
        path: of the figure; voxels: uint8 or uint16 [Z, Y, X]; where: (z, y, x) voxels.

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.8))
    for axis, (plot, name) in enumerate(zip(axes, PLANES)):
        show(plot, voxels.take(where[axis], axis), title='plane %s = %d' % (name, where[axis]))
        down, across = [v for i, v in enumerate(where) if i != axis]
        for ends in ((0.0, 0.04), (0.96, 1.0)):
            plot.axvline(across, *ends, color='#ffb000')
            plot.axhline(down, *ends, color='#ffb000')
    figure.tight_layout()
    save(figure, path)
