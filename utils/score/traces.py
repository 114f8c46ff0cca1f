"""Scores of a traced tree against a gold standard.

By PyNeval 1.1.1 (Zhang et al., Bioinformatics 2021): SSD, length, DIADEM (Gillette et al.,
Neuroinformatics 2011) and critical nodes; and the spatial distances of Vaa3D (Peng et al., Nature
Biotechnology 28:348, 2010). Both trees are first stretched to x voxels, so that a distance means
the same along each axis.
"""
import glob
import os
import sys
from collections import namedtuple

import numpy as np
from scipy.spatial import cKDTree

from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.score import masks, pyneval

STEP = 1.0               # x voxels between the points that spatial distances are taken from
APART = 2.0              # x voxels: nearer points count as the same structure (Peng et al.)
MOST = 5.0               # times the gold cable; longer traces, of noise, get PyNeval's length and
                         # the spatial distances alone: the rest would take hours
FARTHEST = 1e6           # voxels: a gold coordinate or radius beyond is a mistake in the file
LONGEST = 1e7            # x voxels of cable; more points would take all memory
PYNEVAL = pyneval.METRICS
MEANING = {
    'length_f1': 'PyNeval length, F1', 'length_recall': 'its recall',
    'length_precision': 'its precision', 'ssd': 'PyNeval SSD, x voxels', 'ssd_f1': 'its F1',
    'cn_f1': 'PyNeval critical nodes, F1', 'cn_recall': 'their recall',
    'cn_precision': 'their precision', 'diadem': 'PyNeval DIADEM',
    'esa': 'entire-structure average, x voxels', 'dsa': 'different-structure average, x voxels',
    'pds': 'share of different structure'}
COLUMNS = tuple(MEANING)
DISTANCES = 'ssd', 'esa', 'dsa', 'pds'                   # 0 is best; the other columns are shares
# PyNeval metric -> {column: PyNeval's key}
RESULTS = {'length': {'length_f1': 'f1_score', 'length_recall': 'recall',
                      'length_precision': 'precision'},
           'ssd': {'ssd': 'ssd_score', 'ssd_f1': 'f1_score'},
           'cn': {'cn_f1': 'f1_score', 'cn_recall': 'recall', 'cn_precision': 'precision'},
           'diadem': {'diadem': 'diadem_score'}}

# values: dict of COLUMNS, NaN where there is none; remarks: lines, why those have none, and what
# the others stand on
Scores = namedtuple('Scores', 'values remarks')


def score(gold, test, *, spacing=(1.0, 1.0, 1.0), metrics=PYNEVAL, name='a trace'):
    """Values of scored(), whose remarks are printed as warnings; dict of COLUMNS."""
    found = scored(gold, test, spacing=spacing, metrics=metrics)
    for remark in found.remarks:
        print('warning: %s: %s' % (name, remark), file=sys.stderr)
    return found.values


def scored(gold, test, *, spacing=(1.0, 1.0, 1.0), metrics=PYNEVAL):
    """All scores of a tree.

    Args:
        gold: swc.Tree or forest, position in voxels, radius in x voxels.
        test: the same, or None: nothing was traced.
        spacing: (z, y, x) of a voxel, in x voxels.
        metrics: of PYNEVAL, some of them.

    Returns:
        Scores; NaN where a metric was not asked for, or a remark says why it was not computed.
        length_* take gold edges that a traced way of like length runs along within twice the gold
        radius.

    Raises:
        UserError: PyNeval is not installed.
    """
    found, remarks = {}, []
    if test is None:
        found = {column: 0.0 for name in metrics for column in RESULTS[name]
                 if column not in DISTANCES}
        remarks = [_left_out(DISTANCES, 'nothing was traced')]
    else:
        gold, test = stretched(gold, spacing), stretched(test, spacing)
        if max(swc.length_of(gold), swc.length_of(test)) > LONGEST:
            remarks = [_left_out(COLUMNS, 'more than %g x voxels of cable' % LONGEST)]
        else:
            found, remarks = _scores(gold, test, metrics=metrics)
            found.update(spatial(gold, test))
    return Scores({column: found.get(column, float('nan')) for column in COLUMNS}, remarks)


def mean(rows):
    """Mean of scores (dicts of COLUMNS) over those that are numbers; NaN where none is."""
    columns = {name: np.array([values[name] for values in rows]) for name in COLUMNS}
    return {name: float(v[~np.isnan(v)].mean()) if (~np.isnan(v)).any() else float('nan')
            for name, v in columns.items()}


# --- trees ---

def read_gold(folder, name):
    """The gold standard of a stack: NAME.swc, or NAME_1.swc, NAME_2.swc, ... as one forest.

    Raises:
        UserError: there is none, or as swc.read.
    """
    start = os.path.join(glob.escape(folder), glob.escape(name))
    paths = glob.glob(start + '.swc') or sorted(
        path for path in glob.glob(start + '_*.swc')
        if stacks.name_of(path)[len(name) + 1:].isdigit())
    if not paths:
        raise UserError('%s has no %s.swc and no %s_1.swc: give another GOLD, or GOLD=None'
                        % (folder, name, name))
    return swc.join([_read_tree(path) for path in paths])


def _read_tree(path):
    """A tree of a gold standard; raises UserError as swc.read, or for what no stack can hold."""
    tree = swc.read(path)
    for what, values in (('node at', tree.position), ('radius of', tree.radius)):
        if np.abs(values).max() > FARTHEST:
            raise UserError('%s has a %s %g: no stack is as large; give x y z in voxels of the '
                            'stack' % (path, what, np.abs(values).max()))
    if swc.length_of(tree) > LONGEST:
        raise UserError('%s has %.3g voxels of cable, more than %g: give x y z in voxels of the '
                        'stack, or a part of the tree' % (path, swc.length_of(tree), LONGEST))
    return tree


def stretched(tree, spacing):
    """The tree with its positions in x voxels; spacing: (z, y, x) of a voxel, in x voxels."""
    return tree._replace(position=tree.position * np.asarray(spacing, float))


def resampled(tree, step=STEP):
    """Points along the edges, `step` apart or less, single nodes included; float [N, 3]."""
    return _resampled(tree, step)[0]


def _resampled(tree, step):
    """resampled(), and int [N], the node whose edge to its parent each point is of."""
    base = np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))
    way = tree.position[base] - tree.position
    length = np.sqrt((way ** 2).sum(1))
    count = np.maximum(1, np.ceil(length / step).astype(int))    # the parent is its own point
    which = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return tree.position[which] + way[which] * (number / count[which])[:, None], which


def near(tree, gold, *, reach):
    """The edges of a tree that come within `reach` of a gold one, as a forest."""
    points, which = _resampled(tree, STEP)
    distance = cKDTree(resampled(gold)).query(points, distance_upper_bound=reach)[0]
    close = np.zeros(len(tree.parent), bool)
    close[which[np.isfinite(distance)]] = True
    linked = close & (tree.parent >= 0)
    keep = close.copy()
    keep[tree.parent[linked]] = True
    row = np.cumsum(keep) - 1
    return swc.Tree(tree.type[keep], tree.position[keep], tree.radius[keep],
                    np.where(linked, row[tree.parent], -1)[keep])


# --- spatial distances ---

def spatial(gold, test):
    """Vaa3D's distances of two trees with positions in x voxels.

    Returns:
        dict: esa, mean distance from each point to the other tree's nearest, both ways; dsa, the
        same over the points that are APART or farther (0 if there is none); pds, their share.
    """
    a, b = resampled(gold), resampled(test)
    both = [cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]]
    apart = [d[d >= APART] for d in both]
    return {'esa': float(np.mean([d.mean() for d in both])),
            'dsa': float(np.mean([d.mean() if len(d) else 0.0 for d in apart])),
            'pds': float(np.mean([len(d) / len(e) for d, e in zip(apart, both)]))}


# --- PyNeval ---

def _left_out(columns, why):
    """A remark."""
    return '%s not computed: %s' % (', '.join(columns), why)


def _scores(gold, test, *, metrics):
    """PyNeval's metrics; of length alone for a trace longer than MOST. (columns, remarks)."""
    if swc.length_of(test) <= MOST * swc.length_of(gold):
        return _by_pyneval(gold, test, metrics=metrics)
    found, remarks = (_length_of_noise(gold, test) if 'length' in metrics else ({}, []))
    others = [column for name in metrics if name != 'length' for column in RESULTS[name]]
    if others:
        remarks.append(_left_out(others, 'the trace has more than %g times the gold cable' % MOST))
    return found, remarks


def _by_pyneval(gold, test, *, metrics):
    """Some metrics of two trees, positions in x voxels; (columns without what failed, remarks)."""
    computed = pyneval.computed(gold, test, metrics=metrics)
    remarks = [_left_out(RESULTS[metric], why) for metric, why in computed.failed.items()]
    found = {column: float(value[key]) for metric, value in computed.values.items()
             for column, key in RESULTS[metric].items()}
    return found, remarks + [computed.remark] * bool(computed.remark)


def _length_of_noise(gold, test):
    """PyNeval's length of a long trace: what is near the gold is matched, all of it counts.

    No edge farther away than twice the gold radius can match.

    Returns:
        (columns, remarks).
    """
    close = near(test, gold, reach=2 * gold.radius.max() + 2 * STEP)
    share = swc.length_of(close) / swc.length_of(test)
    if not share:
        return {column: 0.0 for column in RESULTS['length']}, []
    found, remarks = _by_pyneval(gold, close, metrics=('length',))
    if found and share < 1:
        found['length_precision'] *= share
        found['length_f1'] = masks.f1(found['length_precision'], found['length_recall'])
    return found, remarks
