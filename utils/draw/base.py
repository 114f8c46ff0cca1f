"""What all figures share: projections, one grey scale for several images, saving."""
import os

import matplotlib.pyplot as plt
import numpy as np

from utils.common.files import whole_file

GREY = dict(cmap='gray', interpolation='nearest')
RED = '#ff4040'                  # centrelines, outlines of labels
TALLEST = 40.0                   # inches; long and narrow stacks end there
SAMPLED = 200000                 # grey levels of an image that its scale is taken from
SCALE = 1, 99.7                  # percentiles of the grey levels shown black and white
# extension -> what says in a figure whose it is, see folder.SIGNS
SIGNED = {'.png': {'Software': 'MPGAN'}, '.svg': {'Creator': 'MPGAN'}}


def save(figure, path, *, dpi=110):
    """Write a figure, whole or not at all, and close it.

    Args:
        path: PNG or SVG file, by its extension; dpi: pixels per inch.

    Raises:
        UserError: if the file cannot be written.
    """
    try:
        with whole_file(path) as partial:
            figure.savefig(partial, dpi=dpi, bbox_inches='tight',
                           metadata=SIGNED.get(os.path.splitext(path)[1]))
    finally:
        plt.close(figure)


def project(voxels, axis=0):
    """Maximum-intensity projection along an axis: [Z, Y, X] -> [Y, X] for axis 0."""
    return np.max(voxels, axis=axis)


def limits(*images):
    """Grey levels (low, high) that show several images at one scale: 1 % and 99.7 % quantiles.

    The two differ by at least one grey level, so that a constant image is drawn, too.
    """
    values = np.concatenate([np.ravel(image)[::max(1, np.size(image) // SAMPLED)]
                             for image in images])
    low, high = np.percentile(values, SCALE)
    return float(low), float(max(high, low + 1))


def show(axes, image, *, title=None, scale=None):
    """Show a picture without ticks.

    Args:
        image: grey levels [Y, X], or colours [Y, X, 3] in [0, 1].
        scale: grey levels (low, high) shown black and white; None: of limits.
    """
    low, high = scale or limits(image)
    axes.imshow(image, vmin=low, vmax=high, **GREY)
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_title(title, fontsize=9)
