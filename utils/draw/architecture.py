"""The code's architecture as a picture: folders with their modules, arrows for imports.

Everything is read from the code itself: module names from disk, imports from the syntax trees.
"""
import ast
import glob
import os
from typing import NamedTuple

import matplotlib.pyplot as plt

from utils.draw import base

SCRIPTS = 'scripts'                  # the folder at the top: *.py of the project's root
LAST = 'make_figures'                # of the scripts; they stand in the order in which they run
COLUMN = 1.25                        # inches: width of a column of module names,
LINE, TITLE, MARGIN = 0.16, 0.30, 0.06       # height of a line, of a box's title, below the last
ACROSS, BETWEEN = 0.25, 0.50         # inches between boxes and between rows
TALL, WIDE = 7, 6                    # lines that two columns may have; columns of a box, at most
COLOURS = {True: '#f6e7d8', False: '#dde8f4'}        # folders that know TensorFlow; the others


class Box(NamedTuple):
    """A folder in the picture; inches, the origin below on the left."""
    x: float                         # of the middle
    y: float                         # of the lower edge
    width: float
    height: float
    text: list                       # names of its modules, in lines


# --- reading the code ---

def modules(root):
    """Modules of each folder.

    Args:
        root: the project's folder.

    Returns:
        dict: 'scripts', 'models', 'utils/data', ... -> list of module names; a package counts
        as one module.
    """
    scripts = sorted(_names(root), key=lambda name: (name == LAST, name[0].isdigit(), name))
    found = {SCRIPTS: scripts, 'models': _names(os.path.join(root, 'models'))}
    for path in sorted(glob.glob(os.path.join(glob.escape(root), 'utils', '*', ''))):
        folder = os.path.basename(os.path.dirname(path))
        if _names(path):
            found['utils/' + folder] = _names(path)
    return found


def _names(folder):
    """Modules of a folder, and the packages in it; without __init__."""
    found = [os.path.splitext(os.path.basename(path))[0]
             for path in glob.glob(os.path.join(glob.escape(folder), '*.py'))]
    if '__init__' in found:                      # of the root's own folders none is part of it
        found += [os.path.basename(os.path.dirname(path))
                  for path in glob.glob(os.path.join(glob.escape(folder), '*', '__init__.py'))]
    return sorted(set(found) - {'__init__'})


def imports(root):
    """Which folder imports which.

    Returns:
        dict: folder, as of modules() -> set of the other folders that a file of it imports.
    """
    folders = modules(root)
    found = {folder: set() for folder in folders}
    for folder in folders:
        deep = '*.py' if folder == SCRIPTS else os.path.join(folder, '**', '*.py')
        for path in glob.glob(os.path.join(glob.escape(root), deep), recursive=True):
            with open(path, encoding='utf-8') as file:
                found[folder] |= _folders_of(ast.parse(file.read()))
    return {folder: there & set(folders) - {folder} for folder, there in found.items()}


def _folders_of(tree):
    """Folders that the import statements of a syntax tree name."""
    dotted = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            dotted |= {'%s.%s' % (node.module, alias.name) for alias in node.names}
    parts = [name.split('.') for name in dotted]
    return {'models' if p[0] == 'models' else '/'.join(p[:2]) for p in parts}


def reduced(arrows):
    """Arrows without those that a longer way implies: a -> c where a -> b and b -> c.

    Args:
        arrows: dict of sets, without a cycle.
    """
    def reached(start):
        return set().union(*[{there} | reached(there) for there in arrows[start]])

    return {here: {there for there in some
                   if not any(there in reached(other) for other in some)}
            for here, some in arrows.items()}


def levels(arrows):
    """Row of each folder, 0 at the bottom: every arrow points downwards.

    A folder that imports nothing stands right below the lowest one that imports it.

    Args:
        arrows: dict of sets.

    Returns:
        dict: folder -> int.

    Raises:
        ValueError: the arrows make a cycle.
    """
    row = {}
    while len(row) < len(arrows):
        ready = {folder: 1 + max([row[there] for there in some], default=-1)
                 for folder, some in arrows.items() if folder not in row and some <= set(row)}
        if not ready:
            raise ValueError('a cycle among %s' % ', '.join(sorted(set(arrows) - set(row))))
        row.update(ready)
    for folder in [folder for folder, some in arrows.items() if not some]:
        users = [row[other] for other, some in arrows.items() if folder in some]
        row[folder] = min(users) - 1 if users else 0
    return row


# --- drawing ---

def draw(path, root):
    """Draw the scripts, models/ and the folders of utils/, and the one direction of imports.

    An arrow leads from a folder to one that it imports; those that other arrows imply are left out.

    Args:
        path: PNG or SVG file; root: the project's folder.

    Raises:
        ValueError: folders import each other in a cycle.
    """
    arrows = imports(root)
    row = levels(arrows)                         # first: it tells of a cycle
    shown = reduced(arrows)
    boxes = _layout(modules(root), shown, row=row)
    width = max(box.x + box.width / 2 for box in boxes.values()) + ACROSS
    height = max(box.y + box.height for box in boxes.values())
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes([0, 0, 1, 1])
    axes.set_xlim(0, width)
    axes.set_ylim(-MARGIN, height + MARGIN)
    axes.axis('off')
    for folder, some in shown.items():
        for there in some:
            _arrow(axes, boxes[folder], end=boxes[there])
    for folder, box in boxes.items():
        knows = folder == 'models' or 'models' in arrows[folder]
        _box(axes, box, title=folder, colour=COLOURS[knows])
    base.save(figure, path)


def _layout(names, arrows, *, row):
    """A Box for each folder: rows from below, each in order of the folders that import them."""
    columns = {folder: _columns(len(some)) for folder, some in names.items()}
    columns[SCRIPTS] = 0
    order = _order(arrows, row=row)
    total = max(sum(COLUMN * columns[f] + ACROSS for f in some) for some in order) + ACROSS
    boxes, low = {}, 0.0
    for here in order:                           # from the bottom
        space = total - sum(COLUMN * columns[folder] for folder in here)
        x = gap = space / (len(here) + 1)
        lines = []
        for folder in here:
            width = COLUMN * columns[folder] or total - 2 * ACROSS
            lines.append(_lines(names[folder], columns[folder] or len(names[folder])))
            boxes[folder] = Box(x + width / 2, low, width, 0.0, lines[-1])
            x += width + gap
        height = TITLE + LINE * max(map(len, lines)) + MARGIN
        for folder in here:
            boxes[folder] = boxes[folder]._replace(height=height)
        if len(here) == 1 and here != [SCRIPTS]:
            below = [boxes[there].x for there in arrows[here[0]]]
            middle = sum(below) / len(below) if below else total / 2
            boxes[here[0]] = boxes[here[0]]._replace(x=middle)
        low += height + BETWEEN
    boxes[SCRIPTS] = boxes[SCRIPTS]._replace(x=total / 2)
    return boxes


def _order(arrows, *, row):
    """Folders of each row, rows from the bottom; as little crossed by arrows as a look above tells.

    Returns:
        list of lists.
    """
    place, order = {}, []
    for level in sorted(set(row.values()), reverse=True):
        def users(folder):
            above = [place[other] for other, some in arrows.items() if folder in some]
            return sum(above) / len(above) if above else 0.5

        here = sorted((f for f in row if row[f] == level), key=lambda f: (users(f), f))
        # a lone folder stands to the left: arrows from above pass on its right
        place.update({f: (i + 0.5) / len(here) if len(here) > 1 or f == SCRIPTS else 0.25
                      for i, f in enumerate(here)})
        order.insert(0, here)
    return order


def _columns(count):
    """Columns for so many names: two of up to TALL lines, or more."""
    return min(max(2, -(-count // TALL)), WIDE)


def _lines(names, columns):
    """Names column by column, as lines; the last ones may be shorter."""
    count = -(-len(names) // columns)
    return [names[i::count] for i in range(count)]


def _box(axes, box, *, title, colour):
    """A folder: its name, and those of its modules in columns."""
    axes.add_patch(plt.Rectangle((box.x - box.width / 2, box.y), box.width, box.height,
                                 facecolor=colour, edgecolor='black', linewidth=0.8, zorder=2))
    top = box.y + box.height
    axes.text(box.x, top - TITLE / 2, title, ha='center', va='center', fontsize=10.5,
              weight='bold', zorder=3)
    columns = max(map(len, box.text))
    for i, line in enumerate(box.text):
        for j, name in enumerate(line):
            x = box.x + box.width * ((j + 0.5) / columns - 0.5)
            axes.text(x, top - TITLE - LINE * (i + 0.5), name, ha='center', va='center',
                      fontsize=8, zorder=3)


def _arrow(axes, start, *, end):
    """From a folder to one that it imports, as upright as the two boxes allow."""
    def inside(x, box):
        half = box.width / 2 - 0.15
        return min(max(x, box.x - half), box.x + half)

    x = inside(end.x, start)
    axes.annotate('', (inside(x, end), end.y + end.height), (x, start.y), zorder=1,
                  arrowprops=dict(arrowstyle='-|>', color='black', linewidth=1.0, shrinkA=0,
                                  shrinkB=1))
