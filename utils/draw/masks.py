"""A stack beside its probability map, and how certain the map is."""
import matplotlib.pyplot as plt
import numpy as np

from utils.draw.base import project, save, show

SLAB = 16                        # planes that are projected: more would hide each other
BINS = 64                        # of the histogram, four levels of the map each


def stack_and_mask(path, voxels, *, probability, band):
    """Projections of a slab of a stack and of its map, and a histogram of the whole map.

    The slab is that with the most foreground.

    Args:
        path: of the figure; voxels: uint8 or uint16 [Z, Y, X].
        probability: uint8 [Z, Y, X], 255 for certain; band: (low, high), middling probabilities.

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.6))
    planes = fullest(probability)
    show(axes[0], project(voxels[planes]), title='stack, planes %d to %d of %d along z' % (
        planes.start, planes.stop - 1, len(voxels)))
    show(axes[1], project(probability[planes]), title='probability, largest of these planes',
         scale=(0, 255))
    count = np.bincount(probability.ravel(), minlength=256).reshape(BINS, -1).sum(1)
    edges = np.arange(BINS) / BINS
    axes[2].bar(edges, count / probability.size, width=1 / BINS, align='edge', color='0.4')
    axes[2].axvspan(*band, color='#ffd27f', alpha=0.6, zorder=0, label='middling')
    axes[2].set_yscale('log')
    axes[2].set_xlabel('probability of the foreground')
    axes[2].set_ylabel('share of the voxels')
    axes[2].legend(fontsize=8)
    figure.tight_layout()
    save(figure, path)


def fullest(probability):
    """Slice of the SLAB planes of a map (uint8 [Z, Y, X]) that hold the most foreground."""
    held = np.array([np.count_nonzero(plane >= 128) for plane in probability])
    count = min(SLAB, len(held))
    total = np.convolve(held, np.ones(count, int), 'valid')
    first = int(np.argmax(total))
    return slice(first, first + count)
