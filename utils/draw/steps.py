"""The four steps of prepare_patches.py on one stack."""
import matplotlib.pyplot as plt
import numpy as np

from utils.draw.base import RED, limits, project, save, show

SHOWN = 16                       # patches in the figure: a square number
MOST_WINDOWS = 60                # window rectangles drawn, or up to twice as many
WINDOW = '#30c0ff'
GAP = 2                          # pixels between patches


def four_steps(path, voxels, *, mask, skeleton, corners, window, patches):
    """Stack, OTSU's mask, centreline with windows, and patches, all projected along z.

    Args:
        path: of the figure.
        voxels: uint8 or uint16 [Z, Y, X]; mask: bool [Z, Y, X].
        skeleton: int [M, 3], voxels of the centreline (z, y, x).
        corners: int [N, 3], the windows' first voxels; window: (z, y, x), their size.
        patches: list of SHOWN [z, y, x].

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.9))
    image = project(voxels)
    show(axes[0], image, title='stack, %s voxels' % ' x '.join(map(str, voxels.shape)))
    show(axes[1], project(mask), title='OTSU: %.2f %% foreground' % (100 * mask.mean()),
         scale=(0, 1))
    show(axes[2], image, title='centreline, %d windows' % len(corners))
    axes[2].scatter(skeleton[:, 2], skeleton[:, 1], s=0.15, c=RED, linewidths=0)
    axes[2].set_xlim(-0.5, image.shape[1] - 0.5)
    axes[2].set_ylim(image.shape[0] - 0.5, -0.5)
    for corner in corners[:: max(1, len(corners) // MOST_WINDOWS)]:
        axes[2].add_patch(plt.Rectangle(corner[[2, 1]], window[2], window[1], fill=False,
                                        ec=WINDOW, lw=0.6))
    show(axes[3], _tiled(patches, window), scale=limits(image),
         title='%d of %d patches' % (min(SHOWN, len(corners)), len(corners)))
    save(figure, path)


def _tiled(patches, window):
    """Projections of the patches as one picture, rows of sqrt(SHOWN), black between them."""
    side = int(np.sqrt(SHOWN))
    height, width = window[1] + GAP, window[2] + GAP
    picture = np.zeros((side * height, side * width), patches[0].dtype)
    for k, patch in enumerate(patches):
        row, column = divmod(k, side)
        picture[row * height:, column * width:][:window[1], :window[2]] = project(patch)
    return picture
