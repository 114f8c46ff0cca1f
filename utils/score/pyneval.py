"""PyNeval's metrics of two trees, and what they cannot do.

PyNeval 1.1.1 (Zhang et al., Bioinformatics 2021) walks trees by nested Python generators: its time
goes with the sum of the nodes' depths, and a deep chain overflows the stack of the process. Trees
of many nodes are thinned out first. Trees beyond the limits all the same are refused, and so is
what takes too long or fails.
"""
import contextlib
import importlib
import io
import os
import signal
import sys
import tempfile
import threading
from collections import namedtuple

from utils.common.errors import UserError
from utils.data import swc
from utils.score import diadem
from utils.score.thinning import thinned

METRICS = 'length', 'ssd', 'cn', 'diadem'
DEEPEST = 5000           # nodes from a root to a tip; more may overflow the stack of the process
MANY_STEPS = 4e6         # sum of the depths of all nodes; trees of more are thinned out
MOST_STEPS = 4e7         # the same, of thinned trees; a minute for each metric
MOST_SECONDS = 120       # of a metric
RECURSION = 100000       # calls within calls: DIADEM and tree walks
TOLERANCE = 0.2          # x voxels: nodes so near the line between others are left out
LONGEST = 4.0            # x voxels between nodes that thinning leaves

# values: dict from a metric to PyNeval's results; failed: dict from a metric to the reason, a line,
# why it has none; remark: a line about what the scores stand on, or ''
Computed = namedtuple('Computed', 'values failed remark')


class _TooLong(BaseException):
    """Raised by the clock; no Exception, as PyNeval catches those."""


def computed(gold, test, *, metrics):
    """Some metrics of two trees with positions in x voxels.

    Args:
        gold, test: swc.Tree or forest; metrics: of METRICS.

    Returns:
        Computed.

    Raises:
        UserError: PyNeval is not installed.
    """
    values, failed = {}, {}
    gold, test, remark = bounded(gold, test)
    why = too_large(gold, test)
    if why or not metrics:
        return Computed({}, {name: why for name in metrics}, '')
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name + '.swc') for name in ('gold', 'test')]
        for path, tree in zip(paths, (gold, test)):
            swc.write(path, tree, one_root=False)
        for name in metrics:
            try:
                with _clock(MOST_SECONDS):
                    values[name] = (critical_nodes(*paths) if name == 'cn' else
                                    run(name, paths[0], test_path=paths[1]))
            except _TooLong:
                failed[name] = 'PyNeval took more than %d s' % MOST_SECONDS
            except (UserError, MemoryError):
                raise
            except Exception as error:                   # PyNeval fails in many ways
                failed[name] = 'PyNeval fails (%s: %s)' % (
                    type(error).__name__, str(error).split('\n')[0][:80])
    if values.get('diadem', {}).get('diadem_score', 0) < 0:      # -1: nothing to weigh
        del values['diadem']
        failed['diadem'] = 'the gold standard has single nodes alone'
    return Computed(values, failed, remark)


def bounded(gold, test):
    """Two trees, thinned out where PyNeval would take minutes; (gold, test, remark, a line or '').

    Forks, tips and roots stay, and so does the shape.
    """
    if sum(sum(_depths(tree)) for tree in (gold, test)) <= MANY_STEPS:
        return gold, test, ''
    thin = [thinned(tree, tolerance=TOLERANCE, longest=LONGEST) for tree in (gold, test)]
    return thin[0], thin[1], (
        'PyNeval scores stand on %d of %d gold nodes and %d of %d traced ones, those that make '
        'the shape to %g voxels: more take minutes' % (
            len(thin[0].parent), len(gold.parent), len(thin[1].parent), len(test.parent),
            TOLERANCE))


def too_large(gold, test):
    """Why PyNeval is not given two trees, a line, or ''."""
    steps = 0
    for which, tree in (('gold standard', gold), ('trace', test)):
        depths = _depths(tree)
        if max(depths) > DEEPEST:
            return ('%d nodes of the %s follow one another, more than %d' % (
                max(depths), which, DEEPEST))
        steps += sum(depths)
    if steps > MOST_STEPS:
        return '%d and %d nodes are more than PyNeval can walk' % (
            len(gold.parent), len(test.parent))
    return ''


def _depths(tree):
    """Number of nodes above each node; list."""
    depths = []
    for parent in tree.parent.tolist():
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    return depths


@contextlib.contextmanager
def _clock(seconds):
    """Raises _TooLong in the block after some seconds; in other threads than the first, never."""
    def ring(*_):
        raise _TooLong

    first = threading.current_thread() is threading.main_thread()
    if not (first and hasattr(signal, 'setitimer')):
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(name, gold_path, *, test_path, **settings):
    """One PyNeval metric of two SWC files, read anew since metrics change them.

    Args:
        name: of METRICS; settings: replace its defaults.

    Returns:
        dict of its results.

    Raises:
        UserError: PyNeval is not installed.
    """
    module = 'pyneval.metric.%s_metric' % ('critical_node' if name == 'cn' else name)
    try:
        read = importlib.import_module('pyneval.pyneval_io.swc_io').read_swc_tree
        utils = 'pyneval.metric.utils.'
        defaults = importlib.import_module(utils + 'config_utils').get_default_configs
        manager = importlib.import_module(utils + 'metric_manager').get_metric_manager()
        loaded = importlib.import_module(module)                 # registers the metric
    except ImportError as error:
        raise UserError('PyNeval cannot be imported (%s): pip install -r requirements.txt' % error)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION))
    try:
        mended = diadem.mended(loaded) if name == 'diadem' else contextlib.nullcontext()
        with mended, contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
            return manager.get_metric_method(name)(
                gold_swc_tree=read(gold_path), test_swc_tree=read(test_path),
                config=dict(defaults(name), **settings))[0]
    finally:
        sys.setrecursionlimit(before)


def critical_nodes(gold_path, test_path):
    """PyNeval's critical nodes; it divides by zero where no node matches: then all are 0."""
    try:
        return run('cn', gold_path, test_path=test_path)
    except ZeroDivisionError:
        return {'f1_score': 0.0, 'recall': 0.0, 'precision': 0.0}
