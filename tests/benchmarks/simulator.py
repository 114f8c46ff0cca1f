"""How fast the simulator is: seconds per default stack (the paper's constants), files written, on one core.

The floor is what any program must do: draw one float32 normal per output voxel, cast, and write the same files.
Also: the plain, voxel-by-voxel geometry that the tests compare with, a stack with measured-like extras, and the gain
from a second worker.
"""
import os

for variable in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ[variable] = '1'

import shutil        # noqa: E402
import subprocess    # noqa: E402
import sys           # noqa: E402
import tempfile      # noqa: E402
import time          # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests')]

import h5py          # noqa: E402
import numpy as np   # noqa: E402

from test_raster import slow_label           # noqa: E402
from utils.common import config   # noqa: E402
from utils.data import patches, stacks, swc   # noqa: E402
from utils.simulate import drafts, neurites, priors, raster, settings  # noqa: E402

STACKS = 6           # timed; the median counts
SCALING = 12         # stacks of the runs with one and with two workers


def constants(*arguments):
    cfg = config.load('configs/simulator.py', ['PRIORS=None', 'SEED=1'] + list(arguments))
    groups = [config.pick(cfg, group) for group in settings.GROUPS]
    return settings.resolve(settings.Settings(*groups), None)


def one_stack(values, seed, *, folder):
    """What 1_simulator.py does for a stack, with the time; returns (seconds, draft, files' contents)."""
    begun = time.perf_counter()
    rng = np.random.default_rng(seed)
    draft = drafts.draw(values, priors.of(values.stack, values.neuron, measured=None), rng=rng)
    write(folder, draft.image, label=draft.label, tree=draft.tree,
          corners=drafts.patch_corners(draft, values.patches, rng=rng),
          window=values.patches.patch_shape, voxel_size=values.stack.voxel_size)
    return time.perf_counter() - begun, draft


def write(folder, image, *, label, tree, corners, window, voxel_size):
    stacks.write(os.path.join(folder, 'image.tif'), image, voxel_size=voxel_size)
    stacks.write(os.path.join(folder, 'label.tif'), label, voxel_size=voxel_size, compress=True)
    swc.write(os.path.join(folder, 'tree.swc'), tree, one_root=False)
    patches.write_cut(os.path.join(folder, 'patches.h5'), image, corners=corners, window=window, name='0001', label=label)


def floor(values, draft, *, folder):
    """Seconds for one normal per voxel, a cast, and the same files."""
    with h5py.File(os.path.join(folder, 'patches.h5'), 'r') as file:
        corners = file['origin'][:]
    rng = np.random.default_rng(0)
    begun = time.perf_counter()
    noise = rng.standard_normal(draft.image.shape, dtype=np.float32)
    image = noise.astype(draft.image.dtype)
    write(folder, image, label=draft.label, tree=draft.tree, corners=corners, window=values.patches.patch_shape, voxel_size=(1.0, 0.5, 0.5))
    return time.perf_counter() - begun


def whole_script(workers, folder):
    begun = time.perf_counter()
    subprocess.run([sys.executable, os.path.join(ROOT, '1_simulator.py'), 'PRIORS=None', 'N_STACKS=%d' % SCALING,
                    'WORKERS=%d' % workers, 'OUTPUT=' + folder], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def geometry():
    """Seconds of the plain reference and of the rasteriser for one small tree, on the same grid."""
    shape, spacing = (12, 48, 24), np.array([2.0, 1.0, 1.0])
    cfg = constants('VOLUME_SHAPE=24,48,24', 'BRANCH_LENGTH=6,9', 'SOMA_RADIUS=2.0,3.0', 'AXON_SHARE=0')
    _, trees = neurites.grow(cfg, priors.Priors(None, 16), rng=np.random.default_rng(0))
    tree = trees[0]
    position = tree.position / spacing
    begun = time.perf_counter()
    slow = slow_label(shape, position, tree.radius, tree.parent, spacing)
    middle = time.perf_counter()
    fast = raster.label(shape, position, radius=tree.radius, parent=tree.parent, spacing=spacing)
    end = time.perf_counter()
    assert (slow == fast).all()
    return middle - begun, end - middle, shape


def main():
    if hasattr(os, 'sched_setaffinity'):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
    cfg = constants()
    extras = constants('TORTUOSITY=1.08', 'DENSITY=0.0005', 'LEVEL_SPREAD=0.3', 'LEVEL_DRIFT=0.2', 'BOUTON_SPACING=15.0',
                       'TEXTURE=0.1', 'ILLUMINATION=0.1', 'ATTENUATION=300.0', 'READ_NOISE=5.0', 'SOMA_SHAPE=pyramid')
    with tempfile.TemporaryDirectory() as folder:
        times, floors, rich = [], [], []
        for seed in range(STACKS):
            seconds, draft = one_stack(cfg, seed, folder=folder)
            times.append(seconds)
            floors.append(floor(cfg, draft, folder=folder))
            rich.append(one_stack(extras, seed, folder=folder)[0])
        seconds, low = np.median(times), np.median(floors)
        print('%-58s %6.2f s' % ('default stack (%s voxels written), files included' % ' x '.join(map(str, draft.image.shape)),
                                 seconds))
        print('%-58s %6.2f s' % ('floor: a normal per voxel, a cast, the same files', low))
        print('%-58s %6.2f' % ('ratio', seconds / low))
        print('%-58s %6.2f s' % ('the same stack with fibres, texture, drift, boutons, uneven light', np.median(rich)))
        slow, fast, shape = geometry()
        print('%-58s %6.2f s, here %.4f s (%.0f times)' % ('plain geometry, one small tree on %d x %d x %d' % shape, slow, fast,
                                                         slow / fast))
        if hasattr(os, 'sched_setaffinity'):
            os.sched_setaffinity(0, cores)
        one, two = [whole_script(workers, os.path.join(folder, 'w%d' % workers)) for workers in (1, 2)]
        shutil.rmtree(os.path.join(folder, 'w1'))
        print('%-58s %6.2f s, two %.2f s (%.2f times)' % ('%d stacks by the script, one worker' % SCALING, one, two, one / two))
    print('result: seconds=%.3f floor=%.3f ratio=%.3f scaling=%.3f' % (seconds, low, seconds / low, one / two))


if __name__ == '__main__':
    main()
