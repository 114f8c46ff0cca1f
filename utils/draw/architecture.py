"""The code's architecture as a picture: folders with their modules, arrows for imports.

Everything is read from the code itself: module names from disk, imports from the syntax trees.
"""
import ast
import glob
import os
from typing import NamedTuple

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt      # noqa: E402

from utils.common import files       # noqa: E402

SCRIPTS = 'scripts'                  # the folder at the top: *.py of the project's root
LAST = 'make_figures'                # of the scripts; they stand in the order in which they run
SLOTS = 5                            # boxes side by side
LINE, TITLE, GAP = 0.16, 0.30, 0.50  # inches: a line of module names, a box's title, between rows
WIDTH = 2.3                          # inches of a slot
COLOURS = {True: '#f6e7d8', False: '#dde8f4'}        # folders that know TensorFlow; the others


class Box(NamedTuple):
    """A folder in the picture; inches, the origin below on the left."""
    x: float                         # of the middle
    y: float                         # of the lower edge
    width: float
    height: float
    names: list                      # of its modules, in rows of text


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
    """Draw the folders of utils/, models/ and the scripts, and the one direction of imports.

    Args:
        path: of the picture; root: the project's folder.
    """
    names, arrows = modules(root), imports(root)
    row = levels(arrows)                         # first: it tells of a cycle
    shown = reduced(arrows)
    boxes = _layout(names, shown, row=row)
    height = max(box.y + box.height for box in boxes.values())
    figure = plt.figure(figsize=(SLOTS * WIDTH, height + 0.3))
    axes = figure.add_axes([0, 0, 1, 1])
    axes.set_xlim(0, SLOTS * WIDTH)
    axes.set_ylim(-0.15, height + 0.15)
    axes.axis('off')
    knows = {folder: folder == 'models' or 'models' in some for folder, some in arrows.items()}
    for folder, some in shown.items():
        for there in some:
            _arrow(axes, boxes[folder], end=boxes[there])
    for folder, box in boxes.items():
        _box(axes, box, title=folder, colour=COLOURS[knows[folder]])
    with files.whole_file(path) as partial:
        figure.savefig(partial, dpi=110, format=os.path.splitext(path)[1][1:])
    plt.close(figure)


def _layout(names, arrows, *, row):
    """A Box for each folder, row by row from below; as near as can be to what it imports."""
    boxes, low = {}, 0.0
    for level in sorted(set(row.values())):
        here = sorted(folder for folder in row if row[folder] == level)
        users = {there for folder in row if row[folder] == level + 1 for there in arrows[folder]}
        if row[SCRIPTS] > level + 1:             # what the row above imports goes to the left
            here.sort(key=lambda folder: (folder not in users, folder))
        spans = [SLOTS if folder == SCRIPTS else 1 if len(here) > 1 else
                 min(SLOTS - 2, -(-len(names[folder]) // 4)) for folder in here]
        texts = [_rows(names[folder], 2 * span) for folder, span in zip(here, spans)]
        height = TITLE + LINE * max(map(len, texts)) + 0.06
        for i, (folder, span, text) in enumerate(zip(here, spans, texts)):
            width = span * WIDTH - 0.2
            below = [boxes[there].x for there in arrows[folder]]
            x = WIDTH * SLOTS / len(here) * (i + 0.5)
            if len(here) == 1 and below:
                x = sum(below) / len(below)
            x = min(max(x, width / 2 + 0.1), SLOTS * WIDTH - width / 2 - 0.1)
            boxes[folder] = Box(x, low, width, height, text)
        low += height + GAP
    return boxes


def _rows(names, columns):
    """Names column by column, as rows of `columns` names; the last rows may be shorter."""
    count = -(-len(names) // columns)
    return [names[i::count] for i in range(count)]


def _box(axes, box, *, title, colour):
    """A folder: its name, and those of its modules in columns."""
    axes.add_patch(plt.Rectangle((box.x - box.width / 2, box.y), box.width, box.height,
                                 facecolor=colour, edgecolor='black', linewidth=0.8, zorder=2))
    top = box.y + box.height
    axes.text(box.x, top - 0.16, title, ha='center', va='center', fontsize=10.5, weight='bold',
              zorder=3)
    columns = max(map(len, box.names))
    for i, some in enumerate(box.names):
        for j, name in enumerate(some):
            axes.text(box.x + box.width * ((j + 0.5) / columns - 0.5),
                      top - TITLE - LINE * (i + 0.5), name, ha='center', va='center', fontsize=8,
                      zorder=3)


def _arrow(axes, start, *, end):
    """From a folder to one that it imports, as upright as the two boxes allow."""
    inside = min(start.width, end.width) / 2 - 0.15
    x = min(max(end.x, start.x - start.width / 2 + 0.15), start.x + start.width / 2 - 0.15)
    to = min(max(x, end.x - inside), end.x + inside)
    axes.annotate('', (to, end.y + end.height), (x, start.y), zorder=1,
                  arrowprops=dict(arrowstyle='-|>', color='black', linewidth=1.0, shrinkA=0,
                                  shrinkB=1))
