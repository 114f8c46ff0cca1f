"""How fast the simulator is: seconds per default stack (the paper's constants) on one core.

Files are written, too. The floor is what any program must do: draw one float32 normal per output
voxel, cast, and write the same files. Also: the plain, voxel-by-voxel geometry that the tests
compare with, a stack with measured-like extras, and the gain from a second worker.
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
from utils.simulate import drafts, neurites, priors, raster, results, settings  # noqa: E402

STACKS = 6           # timed; the median counts
SCALING = 12         # stacks of the runs with one and with two workers
EXTRAS = ('TORTUOSITY=1.08', 'DENSITY=0.0005', 'LEVEL_SPREAD=0.3', 'LEVEL_DRIFT=0.2',
          'BOUTON_SPACING=15.0', 'TEXTURE=0.1', 'ILLUMINATION=0.1', 'ATTENUATION=300.0',
          'READ_NOISE=5.0', 'SOMA_SHAPE=pyramid')


def constants(*arguments):
    """settings.Settings of the paper with some constants replaced."""
    cfg = config.load('configs/simulator.py', ['PRIORS=None', 'SEED=1'] + list(arguments))
    groups = [config.pick(cfg, group) for group in settings.GROUPS]
    return settings.resolve(settings.Settings(*groups), None)


def one_stack(values, seed, *, folder):
    """Seconds of what 1_simulator.py does for a stack, and its Draft."""
    begun = time.perf_counter()
    rng = np.random.default_rng(seed)
    draft = drafts.draw(values, priors.of(values.stack, values.neuron, measured=None), rng=rng)
    folder.write(0, draft, corners=drafts.patch_corners(draft, values.patches, rng=rng),
                 window=values.patches.patch_shape, voxel_size=values.stack.voxel_size)
    return time.perf_counter() - begun, draft


def floor(values, draft, *, folder):
    """Seconds for one normal per voxel, a cast, and the files that one_stack wrote last."""
    with h5py.File(folder.part(0), 'r') as file:
        corners = file['origin'][:]
    rng = np.random.default_rng(0)
    begun = time.perf_counter()
    noise = rng.standard_normal(draft.image.shape, dtype=np.float32)
    folder.write(0, draft._replace(image=noise.astype(draft.image.dtype)), corners=corners,
                 window=values.patches.patch_shape, voxel_size=values.stack.voxel_size)
    return time.perf_counter() - begun


def whole_script(workers, folder):
    """Seconds of the script for SCALING stacks."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, os.path.join(ROOT, '1_simulator.py'), 'PRIORS=None',
                    'N_STACKS=%d' % SCALING, 'WORKERS=%d' % workers, 'OUTPUT=' + folder],
                   check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def geometry():
    """Seconds of the plain reference and of the rasteriser for one small tree, on the same grid."""
    shape, spacing = (12, 48, 24), np.array([2.0, 1.0, 1.0])
    values = constants('VOLUME_SHAPE=24,48,24', 'BRANCH_LENGTH=6,9', 'SOMA_RADIUS=2.0,3.0',
                       'AXON_SHARE=0')
    prior = priors.Priors(None, 16)
    _, (tree,) = neurites.grow(values, prior, rng=np.random.default_rng(0))
    position = tree.position / spacing
    begun = time.perf_counter()
    slow = slow_label(shape, position, radius=tree.radius, parent=tree.parent, spacing=spacing)
    middle = time.perf_counter()
    fast = raster.label(shape, position, radius=tree.radius, parent=tree.parent, spacing=spacing)
    end = time.perf_counter()
    assert (slow == fast).all()
    return middle - begun, end - middle, shape


def row(title, text):
    print('%-64s %s' % (title, text))


def main():
    cores = os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else None
    if cores:
        os.sched_setaffinity(0, {min(cores)})
    values, extras = constants(), constants(*EXTRAS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = results.Folder(os.path.join(temporary, 'timed'), '', False)
        times, floors, rich = [], [], []
        for seed in range(STACKS):
            seconds, draft = one_stack(values, seed, folder=folder)
            times.append(seconds)
            floors.append(floor(values, draft, folder=folder))
            rich.append(one_stack(extras, seed, folder=folder)[0])
        seconds, low = np.median(times), np.median(floors)
        shape = ' x '.join(map(str, draft.image.shape))
        row('default stack (%s voxels written), files included' % shape, '%6.2f s' % seconds)
        row('floor: a normal per voxel, a cast, the same files', '%6.2f s' % low)
        row('ratio', '%6.2f' % (seconds / low))
        row('the same stack with fibres, texture, drift, boutons, uneven light',
            '%6.2f s' % np.median(rich))
        slow, fast, shape = geometry()
        row('plain geometry, one small tree on %d x %d x %d' % shape,
            '%6.2f s, here %.4f s (%.0f times)' % (slow, fast, slow / fast))
        if cores:
            os.sched_setaffinity(0, cores)
        one = whole_script(1, os.path.join(temporary, 'w1'))
        shutil.rmtree(os.path.join(temporary, 'w1'))
        two = whole_script(2, os.path.join(temporary, 'w2'))
        row('%d stacks by the script, one worker' % SCALING,
            '%6.2f s, two %.2f s (%.2f times)' % (one, two, one / two))
    print('result: seconds=%.3f floor=%.3f ratio=%.3f scaling=%.3f'
          % (seconds, low, seconds / low, one / two))


if __name__ == '__main__':
    main()
