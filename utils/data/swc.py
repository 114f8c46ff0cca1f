"""SWC trees: (id, type, x, y, z, radius, parent) a line; here nodes are rows, axes (z, y, x).

Source of the format: Stockley et al., J Neurosci Methods 47:39, 1993 (as www.neuromorpho.org).
"""
import os
from collections import namedtuple

import numpy as np

from utils.common.errors import UserError
from utils.common.files import write_text

UNDEFINED, SOMA, AXON, BASAL, APICAL = 0, 1, 2, 3, 4     # the standard SWC node types

LARGEST_ID = 2 ** 53                                     # whole numbers that a float holds exactly

# type: int [N]; position: float [N, 3] (z, y, x) in voxels; radius: float [N];
# parent: int [N], row of the parent, or -1 for a root
Tree = namedtuple('Tree', 'type position radius parent')


# --- files ---

def check(tree, name='tree', *, one_root=True):
    """Raise UserError unless a tree has one root, parents before children and finite numbers.

    Args:
        name: for the message; one_root: False lets a forest pass (a block of a reconstruction).
    """
    n = len(tree.parent)
    if n == 0:
        raise UserError('%s has no nodes' % name)
    finite = np.isfinite(tree.position).all() and np.isfinite(tree.radius).all()
    if not (finite and (tree.radius >= 0).all()):
        raise UserError('%s has a position or radius that is no number, or a negative radius'
                        % name)
    if tree.parent[0] != -1 or (one_root and (tree.parent[1:] < 0).any()):
        raise UserError('%s must have one root, as its first node' % name)
    if (tree.parent[1:] >= np.arange(1, n)).any():
        raise UserError('%s has a child before its parent' % name)


def write(path, tree, *, comment='', one_root=True):
    """Write a checked tree as SWC, whole or not at all; ids count from 1.

    Args:
        tree: Tree, positions in voxels of its stack; comment: lines at the file's head.
        one_root: see check.

    Raises:
        UserError: see check.
    """
    check(tree, path, one_root=one_root)
    lines = ['# %s' % line for line in comment.splitlines()] + ['# id type x y z radius parent']
    for i in range(len(tree.parent)):
        z, y, x = tree.position[i]
        parent = tree.parent[i] + 1 if tree.parent[i] >= 0 else -1
        lines.append('%d %d %.3f %.3f %.3f %.3f %d'
                     % (i + 1, tree.type[i], x, y, z, tree.radius[i], parent))
    write_text(path, '\n'.join(lines) + '\n')


def _seven(row):
    """The first seven columns of a line; ValueError if there are fewer."""
    if len(row) < 7:
        raise ValueError('too few columns')
    return row[:7]


def read(path):
    """Read a SWC tree or forest; ids may be any whole numbers, in any order.

    Returns:
        Tree, parents before children; nodes keep their order where it is so already.

    Raises:
        UserError: missing file, wrong columns, unknown parent, a cycle, or an invalid tree (see
            check).
    """
    if os.path.exists(path) and not os.path.isfile(path):    # a pipe would be waited for
        raise UserError('%s is no file but a folder, pipe or device: leave it out' % path)
    try:
        with open(path, encoding='utf-8-sig', errors='replace') as file:
            rows = [line.split() for line in file
                    if line.strip() and not line.lstrip().startswith('#')]
    except OSError as error:
        raise UserError('%s cannot be read: %s' % (path, error.strerror))
    try:
        table = np.array([float(v) for row in rows for v in _seven(row)]).reshape(-1, 7)
    except ValueError:
        raise UserError('%s: every line wants seven numbers: id type x y z radius parent' % path)
    if not np.isfinite(table).all():
        raise UserError('%s has a number that is not finite' % path)
    numbers = table[:, [0, 1, 6]]
    if (numbers % 1 != 0).any() or (np.abs(numbers) > LARGEST_ID).any():
        raise UserError('%s has an id, type or parent that is no whole number: number the nodes '
                        'anew' % path)
    row_of = {int(i): row for row, i in enumerate(table[:, 0])}
    if len(row_of) < len(table):
        raise UserError('%s gives one id to two nodes: number them anew' % path)
    row_of[-1] = -1
    missing = [int(p) for p in table[:, 6] if int(p) not in row_of]
    if missing:
        raise UserError('%s: parent %d is not in the file' % (path, missing[0]))
    tree = Tree(table[:, 1].astype(int), table[:, [4, 3, 2]], table[:, 5],
                np.array([row_of[int(p)] for p in table[:, 6]], int))
    tree = _parents_first(tree, table[:, 0], path=path)
    check(tree, path, one_root=False)
    return tree


def _parents_first(tree, ids, *, path):
    """The same tree in an order in which each parent comes before its children.

    Args:
        ids: float [N], of the nodes in the file; path: of the file, for the message.

    Raises:
        UserError: a cycle.
    """
    n = len(tree.parent)
    if (tree.parent < np.arange(n)).all():
        return tree
    jump = np.append(np.where(tree.parent >= 0, tree.parent, n), n)      # n: above all roots
    depth = (jump < n).astype(int)
    for _ in range(n.bit_length() + 1):                      # pointers double: 2^k steps in k
        depth, jump = depth + depth[jump], jump[jump]
    if (jump < n).any():
        raise UserError('%s has a cycle: the parents of node %d lead back to it'
                        % (path, ids[np.flatnonzero(jump[:n] < n)[0]]))
    depth = depth[:n]
    order = np.argsort(depth, kind='stable')
    row = np.empty(n, int)
    row[order] = np.arange(n)
    parent = tree.parent[order]
    return Tree(tree.type[order], tree.position[order], tree.radius[order],
                np.where(parent >= 0, row[parent], -1))


# --- trees ---

def join(trees):
    """Several trees as one forest; Tree, one after the other."""
    first = np.cumsum([0] + [len(tree.parent) for tree in trees])[:-1]
    moved = [tree._replace(parent=np.where(tree.parent >= 0, tree.parent + at, -1))
             for tree, at in zip(trees, first)]
    return Tree(*[np.concatenate(parts) for parts in zip(*moved)])


def split(tree):
    """The trees of a forest, each with its root first: list of Tree; parents before children."""
    number = np.cumsum(tree.parent < 0) - 1
    for node in np.flatnonzero(tree.parent >= 0):
        number[node] = number[tree.parent[node]]
    made = []
    for k in range(number.max() + 1):
        rows = np.flatnonzero(number == k)
        parent = tree.parent[rows]
        made.append(Tree(tree.type[rows], tree.position[rows], tree.radius[rows],
                         np.where(parent >= 0, np.searchsorted(rows, parent), -1)))
    return made


def length_of(tree):
    """Cable length: the sum of a tree's edges, in the units of its positions."""
    child = np.flatnonzero(tree.parent >= 0)
    way = tree.position[child] - tree.position[tree.parent[child]]
    return float(np.sqrt((way ** 2).sum(1)).sum())
