"""Scores of a traced tree against a gold standard.

By PyNeval 1.1.1 (Zhang et al., Bioinformatics 2021): SSD, length, DIADEM (Gillette et al., Neuroinformatics 2011) and
critical nodes; and the spatial distances of Vaa3D (Peng et al., Nature Biotechnology 28:348, 2010). Both trees are
first stretched to x voxels, so that a distance means the same along each axis.
"""
import contextlib
import importlib
import io
import os
import sys
import tempfile

import numpy as np
from scipy.spatial import cKDTree

from utils.common.errors import UserError
from utils.data import swc

STEP = 1.0               # x voxels between the points that spatial distances are taken from
APART = 2.0              # x voxels: nearer points count as the same structure (Peng et al.)
MOST = 5.0               # times the gold cable: longer traces, of noise, get PyNeval's length and the spatial distances alone
DEPTH = 100000           # recursion of PyNeval's DIADEM and tree walks
COLUMNS = ('length_f1', 'length_recall', 'length_precision', 'ssd', 'ssd_f1', 'cn_f1', 'cn_recall', 'cn_precision', 'diadem',
           'esa', 'dsa', 'pds')
MEANING = {
    'length_f1': 'PyNeval length, F1', 'length_recall': 'its recall', 'length_precision': 'its precision',
    'ssd': 'PyNeval SSD, x voxels', 'ssd_f1': 'its F1', 'cn_f1': 'PyNeval critical nodes, F1', 'cn_recall': 'their recall',
    'cn_precision': 'their precision', 'diadem': 'PyNeval DIADEM', 'esa': 'entire-structure average, x voxels',
    'dsa': 'different-structure average, x voxels', 'pds': 'share of different structure'}


# --- trees ---

def stretched(tree, spacing):
    """The tree with its positions in x voxels along each axis; spacing: (z, y, x) of a voxel, in x voxels."""
    return tree._replace(position=tree.position * np.asarray(spacing, float))


def resampled(tree, step=STEP):
    """Points along the edges, `step` apart or less, single nodes included; float [N, 3]."""
    return _resampled(tree, step)[0]


def _resampled(tree, step):
    """resampled(), and int [N], the node whose edge to its parent each point is of."""
    base = np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))
    way = tree.position[base] - tree.position
    count = np.maximum(1, np.ceil(np.sqrt((way ** 2).sum(1)) / step).astype(int))      # the parent itself is its own row
    which = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return tree.position[which] + way[which] * (number / count[which])[:, None], which


# --- spatial distances ---

def spatial(gold, test):
    """Vaa3D's distances of two trees with positions in x voxels.

    Returns:
        dict: esa, mean distance from each point to the other tree's nearest, both ways; dsa, the same over the points that
        are APART or farther (0 if there is none); pds, their share.
    """
    a, b = resampled(gold), resampled(test)
    both = [cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]]
    apart = [d[d >= APART] for d in both]
    return {'esa': float(np.mean([d.mean() for d in both])),
            'dsa': float(np.mean([d.mean() if len(d) else 0.0 for d in apart])),
            'pds': float(np.mean([len(d) / len(e) for d, e in zip(apart, both)]))}


# --- PyNeval ---

def pyneval(name, gold_path, *, test_path, **settings):
    """One PyNeval metric of two SWC files, read anew since metrics change them.

    Args:
        name: ssd, length, diadem or cn; settings: replace its defaults.

    Returns:
        dict of its results.

    Raises:
        UserError: PyNeval is not installed.
    """
    try:
        read = importlib.import_module('pyneval.pyneval_io.swc_io').read_swc_tree
        defaults = importlib.import_module('pyneval.metric.utils.config_utils').get_default_configs
        manager = importlib.import_module('pyneval.metric.utils.metric_manager').get_metric_manager()
        importlib.import_module('pyneval.metric.%s_metric' % ('critical_node' if name == 'cn' else name))    # registers it
    except ImportError as error:
        raise UserError('PyNeval cannot be imported (%s): pip install -r requirements.txt' % error)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEPTH))
    try:
        with contextlib.redirect_stdout(io.StringIO()):          # it prints as it goes
            return manager.get_metric_method(name)(gold_swc_tree=read(gold_path), test_swc_tree=read(test_path),
                                                   config=dict(defaults(name), **settings))[0]
    finally:
        sys.setrecursionlimit(before)


def near(tree, gold, *, reach):
    """The edges of a tree that come within `reach` of a gold one, as a forest."""
    points, which = _resampled(tree, STEP)
    close = np.zeros(len(tree.parent), bool)
    close[which[np.isfinite(cKDTree(resampled(gold)).query(points, distance_upper_bound=reach)[0])]] = True
    linked = close & (tree.parent >= 0)
    keep = close.copy()
    keep[tree.parent[linked]] = True
    row = np.cumsum(keep) - 1
    return swc.Tree(tree.type[keep], tree.position[keep], tree.radius[keep], np.where(linked, row[tree.parent], -1)[keep])


def critical_nodes(gold_path, test_path):
    """PyNeval's critical nodes; it divides by zero where no node matches: then all scores are 0."""
    try:
        return pyneval('cn', gold_path, test_path=test_path)
    except ZeroDivisionError:
        return {'f1_score': 0.0, 'recall': 0.0, 'precision': 0.0}


def score(gold, test, *, spacing=(1.0, 1.0, 1.0), metrics=('length', 'ssd', 'cn', 'diadem')):
    """All scores of a tree.

    Args:
        gold, test: swc.Tree, forests too, positions in voxels, radii in x voxels; test may be None: nothing was traced.
        spacing: (z, y, x) of a voxel, in x voxels; metrics: of PyNeval, some of them.

    Returns:
        dict of COLUMNS; NaN where a metric was not asked for, or the trace is so long that it would take hours. length_* take gold edges that a traced way of like length runs along within
        twice the gold radius. DIADEM's implementation is not quite deterministic on trees that differ.
    """
    if test is None:
        return {name: float('nan') if name in ('ssd', 'esa', 'dsa', 'pds') or name.split('_')[0] not in metrics else 0.0
                for name in COLUMNS}
    gold, test = stretched(gold, spacing), stretched(test, spacing)
    found, share, whole = {}, 1.0, test
    if swc.length_of(test) > MOST * swc.length_of(gold):         # noise was traced: PyNeval would take hours
        metrics = tuple(name for name in metrics if name == 'length')
        test = near(test, gold, reach=2 * gold.radius.max() + 2 * STEP)        # no edge farther away can match
        share = swc.length_of(test) / swc.length_of(whole)
        if not share:
            metrics, found = (), {'length_f1': 0.0, 'length_recall': 0.0, 'length_precision': 0.0}
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name + '.swc') for name in ('gold', 'test')]
        for path, tree in zip(files, (gold, test) if metrics else ()):
            swc.write(path, tree, one_root=False)
        for name in metrics:
            values = critical_nodes(*files) if name == 'cn' else pyneval(name, files[0], test_path=files[1])
            if name == 'diadem':
                found['diadem'] = float(values['diadem_score'])
            else:
                found.update({'%s_f1' % name: float(values['f1_score'])})
                if name == 'ssd':
                    found['ssd'] = float(values['ssd_score'])
                else:
                    found.update({'%s_%s' % (name, key): float(values[key]) for key in ('recall', 'precision')})
    if share < 1 and 'length' in metrics:
        found['length_precision'] *= share
        total = found['length_precision'] + found['length_recall']
        found['length_f1'] = 2 * found['length_precision'] * found['length_recall'] / total if total else 0.0
    found.update(spatial(gold, whole))
    return {name: found.get(name, float('nan')) for name in COLUMNS}


def mean(rows):
    """Mean of scores (dicts of COLUMNS) over those that are numbers."""
    columns = {name: np.array([values[name] for values in rows]) for name in COLUMNS}
    return {name: float(v[~np.isnan(v)].mean()) if (~np.isnan(v)).any() else float('nan') for name, v in columns.items()}


def table(rows, columns):
    """Markdown of rows (name, dict)."""
    lines = ['| | %s |' % ' | '.join(columns), '| --- |' + ' --- |' * len(columns)]
    for name, values in rows:
        lines.append('| %s | %s |' % (name, ' | '.join('' if np.isnan(values[c]) else '%.3f' % values[c] for c in columns)))
    return '\n'.join(lines) + '\n'
