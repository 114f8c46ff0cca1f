"""Drafts: with their labels, beside real patches, before and after refinement."""
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from utils.draw.base import limits, project, save, show


def simulator_page(path, stacks):
    """Drafts, a row each: image, label from two sides, label with its depth as colour.

    Args:
        path: of the figure.
        stacks: list of (name, image as stacks.Stack, label {0, 1} [Z, Y, X]).

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(len(stacks), 4, figsize=(13, 3.3 * len(stacks)), squeeze=False)
    for row, (name, image, label) in zip(axes, stacks):
        z, _, x = image.voxel_size or (1, 1, 1)
        side = ndimage.zoom(project(label, 2), (z / x, 1), order=0)     # z in x voxels
        show(row[0], project(image.voxels), title='%s: image, along z' % name)
        show(row[1], project(label), title='label, along z', scale=(0, 1))
        show(row[2], side.T, title='label, along x', scale=(0, 1))
        show(row[3], depth_colours(label), title='label, depth as colour', scale=(0, 1))
    save(figure, path)


def depth_colours(label):
    """Projection of a mask along z whose hue is the depth of its first voxel.

    Args:
        label: {0, 1} [Z, Y, X].

    Returns:
        float [Y, X, 3] in [0, 1]: blue at the first slice, red at the last, black without label.
    """
    depth = label.argmax(0) / max(1, label.shape[0] - 1)
    return plt.get_cmap('turbo')(depth)[..., :3] * label.any(0)[..., None]


def beside(path, named, *, columns=4, scaled_to=0):
    """Blocks of patches side by side, projected along z.

    Grey levels are at one block's scale; a block without any above 1 is shown as masks.

    Args:
        path: of the figure.
        named: list of (title, [N, Z, Y, X]), N the same in all; a last row that is not full is
            left out.
        columns: patches in a row of a block; scaled_to: index of the block that gives the scale.

    Raises:
        UserError: if the file cannot be written.
    """
    height = 4.6 * len(named[0][1]) / columns ** 2 + 0.4
    figure, axes = plt.subplots(1, len(named), figsize=(4.6 * len(named), height))
    scale = limits(*[project(image) for image in named[scaled_to][1]])
    for panel, (title, images) in zip(axes, named):
        views = [np.pad(project(image), 1, 'constant', constant_values=0) for image in images]
        rows = [np.concatenate(views[i:i + columns], 1)
                for i in range(0, len(views) - columns + 1, columns)]
        show(panel, np.concatenate(rows), title=title, scale=(0, 1) if images.max() <= 1 else scale)
    figure.tight_layout()
    save(figure, path)


def side_by_side(path, named):
    """Projections of whole stacks along z in one row, grey-level images at one scale.

    Args:
        path: of the figure.
        named: list of (title, [Z, Y, X]); a stack of {0, 1} is shown as a mask.

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(1, len(named), figsize=(4.2 * len(named), 4.6), squeeze=False)
    images = [project(voxels) for _, voxels in named]
    scale = limits(*[image for image in images if image.max() > 1])
    for panel, (title, _), image in zip(axes[0], named, images):
        show(panel, image, title=title, scale=scale if image.max() > 1 else (0, 1))
    save(figure, path)


def grey_histograms(path, named):
    """Grey-level histograms on one logarithmic axis, up to the highest 99.9 % quantile.

    Args:
        path: of the figure; named: list of (name, grey levels of any shape).

    Raises:
        UserError: if the file cannot be written.
    """
    high = max(np.percentile(values, 99.9) for _, values in named)
    figure, axes = plt.subplots(figsize=(6, 3.4))
    for name, values in named:
        axes.hist(np.ravel(values), bins=120, range=(0, high), density=True, histtype='step',
                  label=name)
    axes.set_yscale('log')
    axes.set_xlabel('grey level')
    axes.set_ylabel('density')
    axes.legend(fontsize=8)
    save(figure, path)
