"""Skeletons of masks as trees; run by peers.py in an environment of its own.

Usage   python _skeletons.py NAME MASK.npy TREE.swc [MASK.npy TREE.swc ...]
        prints a line for each: the seconds of one core, or why there is no tree

skan        scikit-image's thinning (Lee et al. 1994) and skan's graph (Nunez-Iglesias et al. 2018);
            end branches shorter than SPUR are pruned once, loops opened by a spanning tree
kimimaro    TEASAR (Sato et al. 2000) as in connectomics; its lengths are voxels here

A mask is uint8 {0, 1} [Z, Y, X].
"""
import sys
import time
import warnings

import numpy as np
from scipy import ndimage, sparse

SPUR = 5.0                       # voxels
TEASAR = {'scale': 1.5, 'const': 5.0, 'pdrf_scale': 100000, 'pdrf_exponent': 4,
          'soma_acceptance_threshold': 1e9, 'soma_detection_threshold': 1e9,
          'soma_invalidation_const': 0.0, 'soma_invalidation_scale': 0.0}


def by_skan(mask):
    """(positions float [N, 3], sparse [N, N] of edge lengths) of a mask's pruned thinning."""
    import skan
    from skimage.morphology import skeletonize
    skeleton = skan.Skeleton(skeletonize(mask > 0))
    branches = skan.summarize(skeleton, separator='_')
    spurs = (branches['branch_type'] == 1) & (branches['branch_distance'] < SPUR)
    if spurs.any():
        skeleton = skeleton.prune_paths(list(np.flatnonzero(spurs)))
    return np.asarray(skeleton.coordinates, float), sparse.csr_matrix(skeleton.graph)


def by_kimimaro(mask):
    """As by_skan, of kimimaro's skeletons of all objects."""
    import kimimaro
    objects, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    found = kimimaro.skeletonize(objects.astype(np.uint32), teasar_params=TEASAR, progress=False,
                                 dust_threshold=30, fix_borders=True)
    points, edges, count = [np.zeros((0, 3))], [np.zeros((0, 2), int)], 0
    for skeleton in found.values():
        points.append(np.asarray(skeleton.vertices, float))
        edges.append(np.asarray(skeleton.edges, int) + count)
        count += len(points[-1])
    points, edges = np.concatenate(points), np.concatenate(edges)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    graph = sparse.coo_matrix((np.maximum(length, 1e-3), edges.T), (len(points),) * 2)
    return points, sparse.csr_matrix(graph.maximum(graph.T))


def rows_of(points, graph, *, mask):
    """SWC rows (id, type, x, y, z, radius, parent) of a spanning forest of a graph."""
    radius = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
    forest = sparse.csgraph.minimum_spanning_tree(graph)
    forest, seen, rows = forest + forest.T, set(), []
    ends = np.flatnonzero(np.diff(forest.tocsr().indptr) == 1)
    for start in list(ends) + list(range(len(points))):
        if start in seen:
            continue
        order, before = sparse.csgraph.breadth_first_order(forest, start, directed=False)
        seen.update(order)
        for node in order if len(order) > 1 else ():
            z, y, x = points[node]
            at = tuple(np.clip(np.rint(points[node]).astype(int), 0, np.array(mask.shape) - 1))
            rows.append((node + 1, 3, x, y, z, radius[at],
                         before[node] + 1 if before[node] >= 0 else -1))
    return rows


def main():
    warnings.simplefilter('ignore')
    way = {'skan': by_skan, 'kimimaro': by_kimimaro}[sys.argv[1]]
    way(np.pad(np.ones((3, 3, 40), np.uint8), 2))                 # loads and compiles
    for source, target in zip(sys.argv[2::2], sys.argv[3::2]):
        try:
            mask, begun = np.load(source), time.process_time()
            rows = rows_of(*way(mask), mask=mask)
            seconds = time.process_time() - begun
            np.savetxt(target, np.array(rows).reshape(-1, 7), '%d %d %.3f %.3f %.3f %.3f %d')
            print('%.3f' % seconds, flush=True)
        except Exception as error:             # the next mask may do
            print('failed: %s' % error, flush=True)


if __name__ == '__main__':
    main()
