"""Step 1: draw draft stacks of neurons with exact voxel labels.

Reads   priors.json of prepare_patches.py       only with PRIORS=...
Writes  data/simulated/images/0001.tif ...      drafts, 8 or 16 bit
        data/simulated/labels/0001.tif ...      uint8 {0, 1}
        data/simulated/swc/0001.swc ...         the trees, in voxels of the written stack
        data/simulated/patches.h5               training patches along the trees: image, label
Run     python 1_simulator.py N_STACKS=4        a rerun makes what is missing
"""
import contextlib
import glob
import hashlib
import multiprocessing
import os
import sys

import numpy as np
from tqdm import tqdm

from utils import config, growth, imaging, patches, priors, raster, stacks, swc

FREE = ('N_STACKS', 'OUTPUT', 'WORKERS', 'OVERWRITE')     # may change between runs


def grow(cfg, rng):
    """Grow one neuron; returns (kind, tree in isotropic voxels, grey levels of the stack)."""
    kind = 'axon' if rng.random() < cfg.AXON_SHARE else 'dendrite'
    prior = priors.Priors(cfg.PRIORS, cfg.BITS, kind, cfg.KEEP, cfg.RADIUS)
    levels = prior.grey_levels(rng)
    depth = int(rng.choice(cfg.AXON_DEPTH if kind == 'axon' else cfg.DENDRITE_DEPTH))
    length = int(rng.integers(cfg.BRANCH_LENGTH[0], cfg.BRANCH_LENGTH[1] + 1))
    if not cfg.INTERNAL_PRIORS:
        depth, length = 2, rng.uniform(100, 150)
    if kind == 'axon':
        return kind, growth.axon(cfg.VOLUME_SHAPE, rng, prior.draw_radius, depth, length), levels
    return kind, growth.dendrite(cfg.VOLUME_SHAPE, rng, prior.draw_radius, depth, length, cfg.SOMA_RADIUS), levels


def form_image(mask, levels, cfg, rng):
    """From a label to the draft's grey levels."""
    foreground, mean, std = levels
    dtype = np.uint8 if cfg.BITS == 8 else np.uint16
    if not cfg.EXTERNAL_PRIORS:
        return imaging.to_dtype(mask * np.float32(foreground) + np.float32(1), dtype)
    spacing = (cfg.Z_STEP, 1, 1)
    image = imaging.stain(mask, foreground, cfg.KEEP, rng)
    imaging.add_debris(image, mask, foreground, cfg.DEBRIS, spacing, rng)
    image = imaging.blur(image, cfg.BLUR_SIGMA, spacing)
    imaging.add_background(image, mean, std, rng)
    return imaging.to_dtype(image, dtype)


def simulate(job):
    """Draw stack `index` and write its files, the patches last; returns (name, kind, nodes, patches)."""
    index, seed, cfg, origin = job
    name = '%04d' % (index + 1)
    if os.path.exists(part_path(cfg, index)):            # it vouches for files that are about to be replaced
        os.remove(part_path(cfg, index))
    rng = np.random.default_rng(seed)
    kind, tree, levels = grow(cfg, rng)
    scale = np.array([1.0 / cfg.Z_STEP, 1, 1])
    tree = tree._replace(position=tree.position * scale)
    shape = (cfg.VOLUME_SHAPE[0] // cfg.Z_STEP,) + tuple(cfg.VOLUME_SHAPE[1:])
    mask = raster.label(shape, tree.position, tree.radius, tree.parent, (cfg.Z_STEP, 1, 1))
    line = raster.centreline(shape, tree.position, tree.parent)
    mask[tuple(line.T)] = True                           # a twig thinner than a voxel falls between voxel centres
    image = form_image(mask, levels, cfg, rng)
    label = mask.astype(np.uint8)

    chosen = line[rng.random(len(line)) < 1.0 / cfg.PATCH_EVERY]
    corner = chosen - np.array(cfg.PATCH_SHAPE) // 2
    corner = corner[((corner >= 0) & (corner + cfg.PATCH_SHAPE <= shape)).all(1)]     # wholly inside the stack

    def where(folder, extension):
        return os.path.join(cfg.OUTPUT, folder, name + extension)

    stacks.write(where('images', '.tif'), image, cfg.VOXEL_SIZE)
    stacks.write(where('labels', '.tif'), label, cfg.VOXEL_SIZE, compress=True)
    swc.write(where('swc', '.swc'), tree, '%s, voxels of %s.tif; radius in y and x voxels, %d of which make a slice'
              % (kind, name, cfg.Z_STEP))
    empty = np.zeros((0,) + tuple(cfg.PATCH_SHAPE))
    patches.write(part_path(cfg, index),
                  np.stack([patches.cut(image, c, cfg.PATCH_SHAPE) for c in corner]) if len(corner)
                  else empty.astype(image.dtype),
                  corner, [name] * len(corner),
                  np.stack([patches.cut(label, c, cfg.PATCH_SHAPE) for c in corner]) if len(corner)
                  else empty.astype(np.uint8), made_from=origin, voxel_size=cfg.VOXEL_SIZE)
    return name, kind, len(tree.parent), len(corner)


def settings(cfg):
    """What a stack depends on besides its number: the constants, and what the file PRIORS holds."""
    values = {name: value for name, value in vars(cfg).items() if name not in FREE}
    if cfg.PRIORS:
        with open(cfg.PRIORS, 'rb') as file:
            values['PRIORS'] = 'sha1 ' + hashlib.sha1(file.read()).hexdigest()[:12]
    return values


def part_path(cfg, index):
    return os.path.join(cfg.OUTPUT, 'parts', '%04d.h5' % (index + 1))


def finished(cfg, index, origin):
    """True if the stack's files are there, its patches too, made with these settings."""
    return patches.made_from(part_path(cfg, index)) == origin and all(
        os.path.exists(os.path.join(cfg.OUTPUT, folder, '%04d.%s' % (index + 1, extension)))
        for folder, extension in (('images', 'tif'), ('labels', 'tif'), ('swc', 'swc')))


def remove_stale(cfg, origin):
    """With OVERWRITE, remove stacks beyond N_STACKS that other settings made, so that the folder holds one kind."""
    for folder in ('images', 'labels', 'swc', 'parts') if cfg.OVERWRITE else ():      # the part last: it tells
        for path in glob.glob(os.path.join(cfg.OUTPUT, folder, '[0-9][0-9][0-9][0-9].*')):
            index = int(stacks.name_of(path)) - 1
            if index >= cfg.N_STACKS and not patches.made_from(part_path(cfg, index)) == origin:
                os.remove(path)


def check(cfg):
    """Raise UserError for constants that cannot work."""
    config.require(cfg, Z_STEP=(1, None), N_STACKS=(1, None), PATCH_EVERY=(1, None), SEED=(0, None), KEEP=(0.01, 1),
                   AXON_SHARE=(0, 1), DEBRIS=(0, None), BLUR_SIGMA=(0, None), VOXEL_SIZE=(1e-6, None))
    for name in ('BRANCH_LENGTH', 'RADIUS', 'SOMA_RADIUS'):
        low, high = getattr(cfg, name)
        if not 0 < low <= high:
            raise config.UserError('%s=%s: want two positive numbers, the smaller first' % (name, getattr(cfg, name)))
    shape = (cfg.VOLUME_SHAPE[0] // cfg.Z_STEP,) + tuple(cfg.VOLUME_SHAPE[1:])
    if any(p > n for p, n in zip(cfg.PATCH_SHAPE, shape)):
        raise config.UserError('PATCH_SHAPE %s is larger than the written stack %s: take a larger VOLUME_SHAPE'
                               % (cfg.PATCH_SHAPE, shape))
    if cfg.BITS not in (8, 16):
        raise config.UserError('BITS=%d: want 8 or 16' % cfg.BITS)
    if cfg.AXON_SHARE < 1 and min(cfg.VOLUME_SHAPE) < 2 * cfg.SOMA_RADIUS[1] + 1:
        raise config.UserError('VOLUME_SHAPE %s is too small for a soma of radius %g: take a larger one or AXON_SHARE=1'
                               % (cfg.VOLUME_SHAPE, cfg.SOMA_RADIUS[1]))
    if cfg.PRIORS is not None:
        maximum = priors.Priors(cfg.PRIORS, cfg.BITS, 'axon', cfg.KEEP).measured.get('dtype_max')
        if maximum is not None and maximum != 2 ** cfg.BITS - 1:
            raise config.UserError('%s was measured on %d-bit stacks: BITS=%d'
                                   % (cfg.PRIORS, 8 if maximum == 255 else 16, 8 if maximum == 255 else 16))


def main():
    cfg = config.load('configs/simulator.py', sys.argv[1:], __doc__)
    check(cfg)
    joined = os.path.join(cfg.OUTPUT, 'patches.h5')
    config.claim(cfg.OUTPUT, dict(vars(cfg), **settings(cfg)), FREE,
                 cfg.OVERWRITE or not os.path.exists(os.path.join(cfg.OUTPUT, 'parts')))
    origin = config.to_json(settings(cfg))
    remove_stale(cfg, origin)
    seeds = np.random.SeedSequence(cfg.SEED).spawn(cfg.N_STACKS)
    missing = [i for i in range(cfg.N_STACKS) if not finished(cfg, i, origin)]
    jobs = [(i, seeds[i], cfg, origin) for i in missing]
    if jobs and os.path.exists(joined):
        os.remove(joined)                                # it holds patches of stacks that are about to be replaced
    workers = min(cfg.WORKERS or multiprocessing.cpu_count(), max(1, len(jobs)))
    with multiprocessing.get_context('fork').Pool(workers) if workers > 1 else contextlib.nullcontext() as pool:
        results = pool.imap(simulate, jobs) if pool else map(simulate, jobs)
        for name, kind, nodes, count in tqdm(results, 'stacks', len(jobs), disable=not sys.stderr.isatty()):
            tqdm.write('%s: %s of %d nodes, %d patches' % (name, kind, nodes, count))
    count = patches.join([part_path(cfg, i) for i in range(cfg.N_STACKS)], joined)
    print('%s: %d stacks (%d new), %d patches' % (cfg.OUTPUT, cfg.N_STACKS, len(jobs), count))


if __name__ == '__main__':
    config.run(main)
