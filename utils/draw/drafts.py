"""Drafts: with their labels, beside real patches, before and after refinement."""
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from utils.draw.base import limits, project, save, show

CLOSE = 40                       # voxels a side of a slice that is shown close


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


def close_ups(path, named, *, same):
    """Patches, a row each: their projection along z, and part of one slice, in noise levels.

    A slice shows the texture that a projection hides: asinh of the deviations from the patch's
    median in units of its noise, from -2 to 4.5. It goes through the patch's brightest voxel.

    Args:
        path: of the figure.
        named: list of (title, grey levels [N, Z, Y, X]), N the same in all. The last block gives
            the grey scale of the projections.
        same: blocks, from the first on, that show the same patches: cut where the first is.

    Raises:
        UserError: if the file cannot be written.
    """
    count = len(named[0][1])
    figure, axes = plt.subplots(count, 2 * len(named), squeeze=False,
                                figsize=(4.6 * len(named), 2.4 * count))
    _show_close_ups(axes, named, same=same)
    figure.tight_layout()
    save(figure, path)


def _show_close_ups(axes, named, *, same):
    """Fill the panels of close_ups, [N, 2 * blocks]."""
    scale = limits(*[project(image) for image in named[-1][1]])
    for k, (title, images) in enumerate(named):
        for row, (place, image) in enumerate(zip(named[0][1] if k < same else images, images)):
            left, right = axes[row, 2 * k:2 * k + 2]
            show(left, project(image), title='' if row else title, scale=scale)
            show(right, _close(image, place), title='' if row else 'one slice, close',
                 scale=(-2, 4.5))


def refining(path, groups):
    """What refining does to drafts of some kinds: draft | refined | real, a group of rows each.

    Patches are shown as in close_ups, at the grey scale of each group's real patches.

    Args:
        path: of the figure.
        groups: list of (title, drafts, refined, real), grey levels [N, Z, Y, X], N the same in all.

    Raises:
        UserError: if the file cannot be written.
    """
    count = len(groups[0][1])
    figure, axes = plt.subplots(count * len(groups), 6, squeeze=False,
                                figsize=(13.8, 2.4 * count * len(groups)))
    for k, (title, draft, refined, real) in enumerate(groups):
        rows = axes[k * count:(k + 1) * count]
        _show_close_ups(rows, [('draft', draft), ('refined by MPGAN', refined),
                               ('real domain', real)], same=2)
        for row in rows:
            row[0].set_ylabel(title, fontsize=9)
    figure.tight_layout()
    save(figure, path)


def _close(image, place):
    """CLOSE x CLOSE voxels of the slice [Y, X] through another image's brightest voxel."""
    z, y, x = np.unravel_index(np.argmax(place), place.shape)
    corner = [min(max(0, c - CLOSE // 2), max(0, n - CLOSE))
              for c, n in zip((y, x), place.shape[1:])]
    deviation = image - np.median(image).astype(float)
    noise = max(1.4826 * np.median(np.abs(deviation)), 1e-6)     # of a normal variable
    return np.arcsinh(deviation[z][tuple(slice(c, c + CLOSE) for c in corner)] / noise)


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
