"""Traces over projections of their stack, and their scores over noise."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection

from utils.data import swc
from utils.draw.base import GREY, TALLEST, limits, project, save, show

SOMA = '#ffff40'                 # colour of the circles
LAST_HUE = 0.92                  # of the trees: red would come twice


def traces(path, voxels, *, tree, spacing=(1.0, 1.0, 1.0), title=''):
    """A stack's projections along z (above) and y (below), plain and under its traces.

    Args:
        path: of the figure; voxels: [Z, Y, X]; title: above the plain projection.
        tree: swc.Tree, positions in voxels, radii in x voxels.
        spacing: (z, y, x) of a voxel, in x voxels.

    Raises:
        UserError: if the file cannot be written.
    """
    depth, height, width = np.array(voxels.shape) * spacing
    tall = 11 * (height + depth) / (2 * width) + 0.5
    figure, axes = plt.subplots(2, 2, figsize=(11, min(tall, TALLEST)),
                                gridspec_kw={'height_ratios': [height, depth]})
    for row, (axis, up) in enumerate(((0, 1), (1, 0))):
        image = project(voxels, axis)
        low, high = limits(image)
        edges = (-0.5 * spacing[2], width - 0.5 * spacing[2],
                 (image.shape[0] - 0.5) * spacing[up], -0.5 * spacing[up])
        for panel in axes[row]:
            panel.imshow(image, vmin=low, vmax=high, aspect='auto', extent=edges, **GREY)
            panel.set_xticks([])
            panel.set_yticks([])
        draw_tree(axes[row, 1], tree, spacing=spacing, up=up)
    axes[0, 0].set_title(title or 'along z; below: along y', fontsize=9)
    axes[0, 1].set_title('%d trees, %d nodes' % ((tree.parent < 0).sum(), len(tree.parent)),
                         fontsize=9)
    figure.tight_layout()
    save(figure, path, dpi=130)


def traces_compared(path, voxels, *, named):
    """A stack's projection along z, plain and under several traces.

    Args:
        path: of the figure; voxels: [Z, Y, X].
        named: list of (title, swc.Tree), positions and radii in voxels.

    Raises:
        UserError: if the file cannot be written.
    """
    image = project(voxels)
    panels = 1 + len(named)
    tall = 5 * image.shape[0] / image.shape[1] + 0.4
    figure, axes = plt.subplots(1, panels, figsize=(5 * panels, min(tall, TALLEST)))
    show(axes[0], image, title='stack')
    for panel, (title, tree) in zip(axes[1:], named):
        show(panel, image, title='%s: %d trees' % (title, (tree.parent < 0).sum()))
        draw_tree(panel, tree, spacing=(1.0, 1.0, 1.0))
    figure.tight_layout()
    save(figure, path, dpi=130)


def draw_tree(panel, tree, *, spacing, up=1):
    """Draw a forest's edges, each tree in its colour, and its somata as circles.

    Args:
        tree: swc.Tree, trees one after the other, parents first.
        spacing: (z, y, x) of a voxel, in units of the panel; up: axis of the panel's y, 0 or 1.
    """
    number, child = tree_numbers(tree), np.flatnonzero(tree.parent >= 0)
    hues = np.random.default_rng(0).permutation(np.linspace(0, LAST_HUE, number.max() + 1))
    colours = plt.get_cmap('hsv')(hues)
    points = (tree.position * np.asarray(spacing))[:, [2, up]]
    ends = np.stack([points[child], points[tree.parent[child]]], 1)      # [edges, 2, 2]
    panel.add_collection(LineCollection(ends, colors=colours[number[child]], linewidths=0.9))
    for soma in np.flatnonzero(tree.type == swc.SOMA):
        panel.add_patch(plt.Circle(points[soma], tree.radius[soma], fill=False, ec=SOMA))


def tree_numbers(tree):
    """Number of the tree that each node of a forest belongs to, from 0: int [N]; parents first."""
    number = np.cumsum(tree.parent < 0) - 1
    for node in np.flatnonzero(tree.parent >= 0):
        number[node] = number[tree.parent[node]]
    return number


def score_curves(path, levels, *, panels, xlabel, ylabel):
    """Scores by method over noise levels, on a logarithmic axis.

    Args:
        path: of the figure; levels: float [N].
        panels: list of (title, list of (method, float [N])), scores in [0, 1].

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 3.8), squeeze=False,
                                sharey=True)
    for panel, (title, named) in zip(axes[0], panels):
        for name, values in named:
            panel.plot(levels, values, marker='o', ms=4, lw=1.2, label=name)
        panel.set_xscale('log')
        panel.set_xticks(levels)
        panel.set_xticklabels(['%g' % level for level in levels])
        panel.minorticks_off()
        panel.set_ylim(0, 1.02)
        panel.set_xlabel(xlabel)
        panel.set_title(title, fontsize=9)
        panel.grid(alpha=0.3)
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].legend(fontsize=7)
    figure.tight_layout()
    save(figure, path)
