"""Figures read back from their PNG: panels, cells of an image, marks by colour and place."""
import matplotlib.image
import numpy as np
from scipy import ndimage

# colours of the first three curves
BLUE, ORANGE, GREEN = (0.12, 0.47, 0.71), (1.0, 0.5, 0.05), (0.17, 0.63, 0.17)


def read(path):
    """Colours of a PNG, float [Y, X, 3] in [0, 1]."""
    return matplotlib.image.imread(str(path))[..., :3]


def panels(picture, least=30):
    """Panels of a figure, row by row: float [y, x, 3] each, spines included.

    They are what is connected, not white, and larger than `least` pixels both ways.
    """
    boxes = [box for box in ndimage.find_objects(ndimage.label((picture < 0.98).any(-1))[0])
             if min(s.stop - s.start for s in box) > least]
    rows = []
    for box in sorted(boxes, key=lambda box: box[0].start):
        if rows and box[0].start < rows[-1][0][0].stop:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [picture[box] for row in rows for box in sorted(row, key=lambda box: box[1].start)]


def frame(panel):
    """First and last row, first and last column of a panel's spines; ticks lie outside."""
    dark = (panel < 0.5).all(-1)
    rows, columns = (np.flatnonzero(dark.mean(axis) > 0.8) for axis in (1, 0))
    return rows[0], rows[-1], columns[0], columns[-1]


def cells(panel, shape):
    """Colours at the middles of an image's pixels: float [*shape, 3]."""
    top, bottom, left, right = frame(panel)
    y, x = [a + (np.arange(n) + 0.5) / n * (b - a)
            for a, b, n in ((top, bottom, shape[0]), (left, right, shape[1]))]
    return panel[np.rint(y).astype(int)[:, None], np.rint(x).astype(int)]


def grey(panel, shape):
    """The same of an image that must be grey: float [*shape]."""
    found = cells(panel, shape)
    assert np.ptp(found, -1).max() < 0.02
    return found[..., 0]


def close(picture, colour, tolerance=0.15):
    """Pixels of a colour: bool [Y, X]."""
    return (np.abs(picture - np.array(colour)) < tolerance).all(-1)


def inked(picture, colour, least=0.45):
    """Pixels of a thin line on white: at least a share of the colour, the rest white."""
    ink = 1 - np.array(colour)
    share = (1 - picture) @ ink / (ink @ ink)
    pure = (np.abs(1 - picture - share[..., None] * ink) < 0.12).all(-1)
    return pure & (share > least) & (share < 1.2)


def inside(panel):
    """What lies within a panel's spines."""
    top, bottom, left, right = frame(panel)
    return panel[top + 2:bottom - 1, left + 2:right - 1]


def marked(panel, colour, *, xlim, ylim, least=0.45):
    """Where a plot shows a colour: (x, y), float [N] each, in data units of linear axes.

    Args:
        xlim, ylim: data at the left and right, and at the lower and upper spine; least: of inked.
    """
    top, bottom, left, right = frame(panel)
    y, x = np.nonzero(inked(panel[top:bottom + 1, left:right + 1], colour, least))
    return (xlim[0] + x / (right - left) * (xlim[1] - xlim[0]),
            ylim[1] + y / (bottom - top) * (ylim[0] - ylim[1]))


def gradient(panel, colour):
    """Columns where a curve is drawn, and its height there (upwards, pixels)."""
    here = inked(panel, colour)
    columns = np.flatnonzero(here.any(0))
    return columns, np.array([-np.flatnonzero(here[:, column]).mean() for column in columns])
