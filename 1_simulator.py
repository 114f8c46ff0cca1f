"""Step 1: draw draft stacks of neurons with exact voxel labels.

Reads   data/patches/priors.json                what prepare_patches.py measured; PRIORS=None: the paper's constants
Writes  data/simulated/images/0001.tif ...      drafts, 8 or 16 bit
        data/simulated/labels/0001.tif ...      uint8 {0, 1}
        data/simulated/swc/0001.swc ...         the trees, in voxels of the written stack
        data/simulated/instances/0001.tif ...   uint16, one number per neurite, with INSTANCES=True
        data/simulated/patches.h5               training patches along the trees: image, label
Run     python 1_simulator.py N_STACKS=4        a rerun makes what is missing; a SLURM job array shares the work
"""
import os

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')        # workers fill the cores; and sums must not depend on threads

import glob              # noqa: E402
import hashlib           # noqa: E402
import multiprocessing   # noqa: E402
import sys               # noqa: E402
from concurrent import futures  # noqa: E402

import numpy as np       # noqa: E402
from tqdm import tqdm    # noqa: E402

from utils.common import claims, config, errors, files, shares  # noqa: E402
from utils.common.errors import UserError  # noqa: E402
from utils.data import patches, stacks, swc  # noqa: E402
from utils.simulate import drafts, priors  # noqa: E402

MAY_CHANGE = ('N_STACKS', 'OUTPUT', 'WORKERS', 'OVERWRITE')     # may change between runs


def simulate(job):
    """Draw stack `index` and write its files, the patches last; returns (name, kind, neurites, patches)."""
    index, seed, cfg, measured, origin = job
    name = '%04d' % (index + 1)
    if os.path.exists(part_path(cfg, index)):            # it vouches for files that are about to be replaced
        os.remove(part_path(cfg, index))
    if not cfg.INSTANCES:
        files.remove(os.path.join(cfg.OUTPUT, 'instances', name + '.tif'))       # of other settings
    rng = np.random.default_rng(seed)
    values = drafts.resolve(cfg, measured)
    radius = None if values.RADIUS == 'auto' else values.RADIUS
    prior = priors.Priors(measured, cfg.BITS, radius=radius)
    draft = drafts.draw(values, prior, rng=rng, psf=drafts.read_psf(cfg.PSF_FILE))

    def where(folder, extension):
        return os.path.join(cfg.OUTPUT, folder, name + extension)

    stacks.write(where('images', '.tif'), draft.image, voxel_size=values.VOXEL_SIZE)
    stacks.write(where('labels', '.tif'), draft.label, voxel_size=values.VOXEL_SIZE, compress=True)
    if cfg.INSTANCES:
        stacks.write(where('instances', '.tif'), draft.instance, voxel_size=values.VOXEL_SIZE, compress=True)
    swc.write(where('swc', '.swc'), draft.tree, comment='%s, voxels of %s.tif; radius in x voxels; voxel size %s um (z, y, x)'
              % (draft.kind, name, ' '.join('%g' % v for v in values.VOXEL_SIZE)), one_root=False)
    corner = drafts.patch_corners(draft, cfg.PATCH_SHAPE, every=cfg.PATCH_EVERY, most=cfg.MAX_PATCHES, rng=rng)
    patches.write_cut(part_path(cfg, index), draft.image, corners=corner, window=cfg.PATCH_SHAPE, name=name, label=draft.label, made_from=origin,
                      voxel_size=values.VOXEL_SIZE)
    return name, draft.kind, draft.neurites, len(corner)


def settings(cfg):
    """What a stack depends on besides its number: the constants, and what the files that they name hold."""
    values = {name: value for name, value in vars(cfg).items() if name not in MAY_CHANGE}
    for name in ('PRIORS', 'PSF_FILE', 'SWC_DIR'):
        if values[name]:
            digest = hashlib.sha1()
            for path in stacks.find(cfg.SWC_DIR, ('.swc',)) if name == 'SWC_DIR' else [values[name]]:
                with open(path, 'rb') as file:
                    digest.update(os.path.basename(path).encode() + file.read())
            values[name] = 'sha1 ' + digest.hexdigest()[:12]
    return values


def part_path(cfg, index):
    return os.path.join(cfg.OUTPUT, 'parts', '%04d.h5' % (index + 1))


def finished(cfg, index, *, origin):
    """True if the stack's files are there, its patches too, made with these settings."""
    wanted = [('images', 'tif'), ('labels', 'tif'), ('swc', 'swc')] + [('instances', 'tif')] * cfg.INSTANCES
    return patches.made_from(part_path(cfg, index)) == origin and all(
        os.path.exists(os.path.join(cfg.OUTPUT, folder, '%04d.%s' % (index + 1, extension)))
        for folder, extension in wanted)


def remove_stale(cfg, origin):
    """With OVERWRITE, remove stacks beyond N_STACKS that other settings made, so that the folder holds one kind."""
    for folder in ('images', 'labels', 'swc', 'instances', 'parts') if cfg.OVERWRITE else ():     # the part last: it tells
        for path in glob.glob(os.path.join(cfg.OUTPUT, folder, '[0-9][0-9][0-9][0-9].*')):
            if '.partial' in path:                       # of a killed run, or another share is writing it now
                continue
            index = int(stacks.name_of(path)) - 1
            if index >= cfg.N_STACKS and not patches.made_from(part_path(cfg, index)) == origin:
                files.remove(path)


def check(cfg, measured):
    """Raise UserError for constants that cannot work."""
    config.require(cfg, N_STACKS=(1, 9999), PATCH_EVERY=(1, None), MAX_PATCHES=(1, None), SEED=(0, None), AXON_SHARE=(0, 1),
                   TAPER=(0, 0.99), BOUTON_SPACING=(0, None), DRIFT_LENGTH=(0.1, None), PSF_WING_WIDTH=(1, 10), ILLUMINATION=(0, 3),
                   ILLUMINATION_SIGMA=(0.1, None), ATTENUATION=(0, None), TEXTURE_SIGMA=(0, None), GAIN=(0, None),
                   OFFSET=(-65535, 65535), READ_NOISE=(0, None), SATURATION=(0, None), SWC_SCALE=(1e-6, None),
                   VOLUME_SHAPE=(4, None), PATCH_SHAPE=(2, None))
    if 0 < cfg.GAIN < 1e-3:
        raise UserError('GAIN=%g: want 0, or at least 0.001 grey levels a photon' % cfg.GAIN)
    for name in ('BRANCH_LENGTH', 'SOMA_RADIUS'):
        low, high = getattr(cfg, name)
        if not 0 < low <= high:
            raise UserError('%s=%s: want two positive numbers, the smaller first' % (name, getattr(cfg, name)))
    drafts.check_auto(cfg)
    shape, _ = drafts.grid(drafts.resolve(cfg, measured))
    if any(p > n for p, n in zip(cfg.PATCH_SHAPE, shape)):
        raise UserError('PATCH_SHAPE %s is larger than the written stack %s: take a larger VOLUME_SHAPE'
                               % (cfg.PATCH_SHAPE, shape))
    size = measured and measured.get('voxel_size')
    if size and cfg.VOXEL_SIZE != 'auto' and not np.allclose(cfg.VOXEL_SIZE, size, rtol=0.01):
        raise UserError("VOXEL_SIZE=%s: %s was measured on voxels of %s um: leave it 'auto'"
                               % (cfg.VOXEL_SIZE, cfg.PRIORS, tuple(size)))
    if cfg.BITS not in (8, 16):
        raise UserError('BITS=%d: want 8 or 16' % cfg.BITS)
    if cfg.AXON_SHARE < 1 and not cfg.SWC_DIR and min(cfg.VOLUME_SHAPE) < 2 * cfg.SOMA_RADIUS[1] + 1:
        raise UserError('VOLUME_SHAPE %s is too small for a soma of radius %g: take a larger one or AXON_SHARE=1'
                               % (cfg.VOLUME_SHAPE, cfg.SOMA_RADIUS[1]))
    bits = 8 if measured and measured.get('dtype_max') == 255 else 16
    if measured and measured.get('dtype_max') and bits != cfg.BITS:
        raise UserError('%s was measured on %d-bit stacks: BITS=%d' % (cfg.PRIORS, bits, bits))
    for path in stacks.find(cfg.SWC_DIR, ('.swc',)) if cfg.SWC_DIR else ():
        swc.read(path)
    drafts.read_psf(cfg.PSF_FILE)


def main():
    cfg = config.load('configs/simulator.py', sys.argv[1:], description=__doc__)
    measured = priors.read(cfg.PRIORS) if cfg.PRIORS else None
    check(cfg, measured)
    joined = os.path.join(cfg.OUTPUT, 'patches.h5')
    claims.claim(cfg.OUTPUT, dict(vars(cfg), **settings(cfg)), may_change=MAY_CHANGE,
                 overwrite=cfg.OVERWRITE or not os.path.exists(os.path.join(cfg.OUTPUT, 'parts')))
    origin = files.to_json(settings(cfg))
    remove_stale(cfg, origin)
    seeds = np.random.SeedSequence(cfg.SEED).spawn(cfg.N_STACKS)
    mine = shares.shard(cfg.N_STACKS)
    jobs = [(i, seeds[i], cfg, measured, origin) for i in mine if not finished(cfg, i, origin=origin)]
    if jobs:
        files.remove(joined)                            # it holds patches of stacks that are about to be replaced
    for name, kind, neurites, count in tqdm(results(jobs, cfg.WORKERS), 'stacks', len(jobs),
                                            disable=not sys.stderr.isatty()):
        tqdm.write('%s: %s, %d neurites, %d patches' % (name, kind, neurites, count))
    waiting = sum(not finished(cfg, i, origin=origin) for i in range(cfg.N_STACKS)) if len(mine) < cfg.N_STACKS else 0
    if waiting:
        print('%s: this share is done (%d stacks, %d new); %d of other shares are not, the last one writes patches.h5'
              % (cfg.OUTPUT, len(mine), len(jobs), waiting))
        return
    count = patches.join([part_path(cfg, i) for i in range(cfg.N_STACKS)], joined)
    print('%s: %d stacks (%d new), %d patches' % (cfg.OUTPUT, cfg.N_STACKS, len(jobs), count))


def results(jobs, workers):
    """Run the jobs, here or in `workers` processes (0: one per core), and yield their results in order."""
    workers = min(workers or multiprocessing.cpu_count(), len(jobs))
    if workers <= 1:
        yield from map(simulate, jobs)
        return
    with futures.ProcessPoolExecutor(workers) as pool:
        try:
            yield from pool.map(simulate, jobs)
        except futures.process.BrokenProcessPool:
            raise UserError('a worker was killed, as happens when memory runs out: run the same command again '
                                   'with WORKERS=%d; finished stacks are kept' % max(1, workers // 2))


if __name__ == '__main__':
    errors.run(main)
