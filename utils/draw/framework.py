"""The method as a diagram: what flows from step to step, with pictures of a run."""
from collections import namedtuple

import matplotlib.pyplot as plt

from utils.draw.base import GREY, limits, save

SIZE = 13, 5.2                   # inches; places in the diagram are inches from its lower left
DATA, NETWORK = '#dfe9f5', '#f5e6d8'             # colours of boxes

Picture = namedtuple('Picture', 'name title x y size')
Box = namedtuple('Box', 'text x y width height colour')
Arrow = namedtuple('Arrow', 'start end text line')

PICTURES = (
    Picture('real', 'your stacks, unlabelled', 0.1, 0.6, 1.5),
    Picture('draft', 'draft z', 4.2, 3.3, 1.5),
    Picture('label', 'its voxel label', 4.2, 1.75, 1.2),
    Picture('refined', 'refined R(z)', 8.3, 3.3, 1.5),
    Picture('mask', 'mask of a real stack', 10.1, 1.2, 1.5),
    Picture('traces', 'SWC', 11.2, 3.3, 1.5))
MASKS = 'label', 'mask', 'traces'                # {0, 1}, not grey levels

BOXES = (
    Box('step 0\npatches, priors', 2.1, 0.95, 1.5, 0.8, DATA),
    Box('step 1\nsimulator', 2.1, 3.25, 1.5, 0.8, DATA),
    Box('step 2\nrefiner R', 6.2, 3.65, 1.5, 0.8, NETWORK),
    Box('discriminator D', 6.2, 0.55, 1.5, 0.8, NETWORK),
    Box('step 3\nsegmentation\nnetwork', 8.3, 1.5, 1.5, 1.0, DATA),
    Box('step 4\ntracing', 11.9, 1.6, 0.95, 0.8, DATA))

ARROWS = (                       # dashed: labels
    Arrow((1.65, 1.35), (2.05, 1.35), '', '-'),
    Arrow((2.85, 1.8), (2.85, 3.2), 'prior knowledge', '-'),
    Arrow((3.65, 3.85), (4.15, 4.05), '', '-'),
    Arrow((3.3, 3.2), (4.15, 2.5), '', '-'),
    Arrow((5.75, 4.05), (6.15, 4.05), '', '-'),
    Arrow((7.75, 4.05), (8.25, 4.05), '', '-'),
    Arrow((3.65, 1.0), (6.15, 0.9), 'real patches', '-'),
    Arrow((8.6, 2.85), (7.5, 1.4), 'history', '-'),
    Arrow((6.7, 1.4), (6.7, 3.6), 'adversarial', '-'),
    Arrow((5.45, 2.6), (6.45, 3.6), 'label-preserving loss', '--'),
    Arrow((9.05, 3.0), (9.05, 2.55), '', '-'),
    Arrow((5.45, 2.2), (8.25, 2.05), 'label', '--'),
    Arrow((9.85, 2.0), (10.05, 2.0), '', '-'),
    Arrow((11.65, 2.0), (11.85, 2.0), '', '-'),
    Arrow((12.3, 2.45), (12.1, 2.95), '', '-'))


def framework(path, pictures):
    """Draw the diagram.

    Args:
        path: of the figure.
        pictures: dict of [Y, X]: grey levels `real`, `draft` and `refined`, masks {0, 1} `label`,
            `mask` and `traces`; a dotted frame stands for one that is missing.

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(figsize=SIZE)
    axes.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]))
    axes.axis('off')
    for place in PICTURES:
        _picture(axes, place, image=pictures.get(place.name))
    for box in BOXES:
        axes.add_patch(plt.Rectangle((box.x, box.y), box.width, box.height, facecolor=box.colour,
                                     edgecolor='k', lw=0.8))
        axes.text(box.x + box.width / 2, box.y + box.height / 2, box.text, ha='center',
                  va='center', fontsize=8)
    for arrow in ARROWS:
        axes.annotate('', arrow.end, arrow.start,
                      arrowprops=dict(arrowstyle='->', lw=1.1, ls=arrow.line))
        x, y = ((a + b) / 2 for a, b in zip(arrow.start, arrow.end))
        axes.text(x, y + 0.06, arrow.text, ha='center', va='bottom', fontsize=7)
    save(figure, path)


def _picture(axes, place, *, image):
    """A picture, or an empty frame if it is None, and its title below."""
    if image is None:
        axes.add_patch(plt.Rectangle((place.x, place.y), place.size, place.size, fill=False,
                                     ls=':'))
    else:
        low, high = (0, 1) if place.name in MASKS else limits(image)
        inset = axes.inset_axes([place.x, place.y, place.size, place.size],
                                transform=axes.transData)
        inset.imshow(image, vmin=low, vmax=high, **GREY)
        inset.set(xticks=[], yticks=[])
    axes.text(place.x + place.size / 2, place.y - 0.08, place.title, ha='center', va='top',
              fontsize=8)
