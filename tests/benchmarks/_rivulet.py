"""Rivulet2 (rivuletpy 0.3.0) on masks; run by peers.py in an environment of its own.

Usage   python _rivulet.py MASK.npy TREE.swc [MASK.npy TREE.swc ...]
        prints a line for each: the seconds of one core that tracing took, or why there is no tree

A mask is uint8 {0, 1} [Z, Y, X], cut to its foreground before. Settings are those of rivuletpy's
own program rtrace: the speed is the distance to the background, unreached segments are removed.
rivuletpy loads a module msfm, which serves its option `quality` alone and needs a compiler: an
empty one stands for it.
"""
import sys
import time
import types
import warnings

import numpy as np

COLUMNS = [0, 1, 4, 3, 2, 5, 6]         # of rivuletpy's rows (id, type, z, y, x, radius, parent)


def rows_of(array, low):
    """SWC rows (id, type, x, y, z, radius, parent) of rivuletpy's (id, type, z, y, x, ...).

    Args:
        array: float [N, 7]; low: (z, y, x), where the mask was cut.
    """
    rows = np.array(array, float)[:, :7]
    rows[:, 2:5] += low
    roots = ~np.isin(rows[:, 6], rows[:, 0]) | (rows[:, 6] == rows[:, 0])
    rows[roots, 6] = -1             # rivuletpy joins an open end to the nearest node: itself
    return rows[:, COLUMNS]


def trace(mask, target):
    """Write the tree of a mask; seconds of one core."""
    from rivuletpy.trace import R2Tracer
    filled = np.argwhere(mask)
    low, high = filled.min(0), filled.max(0) + 1
    begun = time.process_time()
    tree, _ = R2Tracer(silent=True, clean=True).trace(
        mask[tuple(slice(a, b) for a, b in zip(low, high))], 0)
    seconds = time.process_time() - begun
    np.savetxt(target, rows_of(tree.get_array(), low), '%d %d %.3f %.3f %.3f %.3f %d')
    return seconds


def main():
    warnings.simplefilter('ignore')
    sys.modules['msfm'] = types.ModuleType('msfm')
    for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
        try:
            print('%.3f' % trace(np.load(source), target), flush=True)
        except Exception as error:             # the next mask may do
            print('failed: %s' % error, flush=True)


if __name__ == '__main__':
    main()
