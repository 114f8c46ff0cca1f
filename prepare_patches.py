"""Step 0: cut training patches along the neurites of real stacks, and measure priors.

Reads   data/real/*.tif                        any number of 8- or 16-bit stacks
Writes  data/patches/real.h5                   patches, their corners and stacks
        data/patches/priors.json               grey levels and radii, for 1_simulator.py PRIORS=...
        data/patches/real_NAME.png             the four steps: stack, OTSU, centreline, patches
        data/patches/parts/                    finished stacks; a rerun does only what is missing
Run     python prepare_patches.py STACKS=folder_or_pattern
"""
import os
import sys

import h5py
import numpy as np
from tqdm import tqdm

from utils import config, figures, patches, priors, segmentation, stacks

FREE = ('STACKS', 'OUTPUT', 'OVERWRITE', 'TIFF_FOLDER', 'MAX_STACK_FIGURES')   # may change between runs


def prepare(path, cfg, part_path, figure_path):
    """Segment one stack, cut its patches and measure it; write them as one part file."""
    stack = stacks.read(path, cfg.PATCH_SHAPE)
    mask, threshold = segmentation.segment(stack.voxels, cfg.FLATTEN_BLOCK, cfg.SMOOTH_SIGMA, cfg.CLIP_QUANTILE,
                                           cfg.MIN_OBJECT, path)
    skeleton = segmentation.centreline(mask)
    corners = patches.slide_windows(skeleton, cfg.PATCH_SHAPE, stack.voxels.shape, cfg.MAX_OVERLAP)
    filled = np.array([patches.cut(mask, c, cfg.PATCH_SHAPE).mean() for c in corners])
    corners = corners[filled >= cfg.MIN_FOREGROUND] if len(corners) else corners
    if len(corners) == 0:
        raise config.UserError('%s: no patch has %.2f %% foreground: lower MIN_FOREGROUND or leave the stack out'
                               % (path, 100 * cfg.MIN_FOREGROUND))
    images = np.empty((len(corners),) + tuple(cfg.PATCH_SHAPE), stack.voxels.dtype)
    for i, corner in enumerate(corners):
        images[i] = patches.cut(stack.voxels, corner, cfg.PATCH_SHAPE)
    if figure_path:
        figures.four_steps(figure_path, stack.voxels, mask, skeleton, corners, cfg.PATCH_SHAPE, images)
    measured = dict(priors.measure(stack.voxels, mask, skeleton, stack.voxel_size), threshold=threshold)
    patches.write(part_path, images, corners, [stacks.name_of(path)] * len(corners), voxel_size=stack.voxel_size,
                  measured=config.to_json(measured), made_from=made_from(path, cfg))
    return len(images)


def made_from(path, cfg):
    """What a part depends on: its stack's file (size, time) and the settings. Another one is made again."""
    status = os.stat(path)
    settings = {name: value for name, value in vars(cfg).items() if name not in FREE}
    return config.to_json([status.st_size, status.st_mtime_ns, settings])


def join(parts, cfg):
    """Write real.h5, priors.json and the TIFF folder from the parts; returns (number of patches, priors)."""
    real = os.path.join(cfg.OUTPUT, 'real.h5')
    count = patches.join(parts, real)
    joined = patches.PatchFile(real)
    measured = {}
    for part in parts:
        with h5py.File(part, 'r') as file:
            measured[stacks.name_of(part)] = config.from_json(file.attrs['measured'])
    pooled = dict(priors.pool(measured), dtype_max=int(np.iinfo(joined.dtype).max))
    config.write_json(os.path.join(cfg.OUTPUT, 'priors.json'), pooled)
    if cfg.TIFF_FOLDER:
        for i in range(count):
            stacks.write(os.path.join(cfg.TIFF_FOLDER, '%s_%05d.tif' % (joined.source[i], i)), joined.image[i],
                         joined.voxel_size)
    return count, pooled


def main():
    cfg = config.load('configs/prepare_patches.py', sys.argv[1:], __doc__)
    config.require(cfg, MAX_OVERLAP=(0, 0.99), CLIP_QUANTILE=(0.5, 1), MIN_FOREGROUND=(0, 1), MIN_OBJECT=(1, None),
                   FLATTEN_BLOCK=(0, None), SMOOTH_SIGMA=(0, None), PATCH_SHAPE=(2, None))
    found = stacks.find(cfg.STACKS)
    done = os.path.exists(os.path.join(cfg.OUTPUT, 'real.h5'))
    config.claim(cfg.OUTPUT, vars(cfg), FREE, cfg.OVERWRITE or not done)
    parts, bad, made = [], [], 0
    for i, path in enumerate(tqdm(found, 'stacks', disable=not sys.stderr.isatty())):
        name = stacks.name_of(path)
        part = os.path.join(cfg.OUTPUT, 'parts', name + '.h5')
        figure = os.path.join(cfg.OUTPUT, 'real_%s.png' % name) if i < cfg.MAX_STACK_FIGURES else None
        try:
            if patches.made_from(part) != made_from(path, cfg) or (figure and not os.path.exists(figure)):
                count = prepare(path, cfg, part, figure)
                print('%s: %d patches' % (path, count))
                made += 1
            parts.append(part)
        except config.UserError as error:                # the other stacks are still worth doing
            print('error: %s' % error, file=sys.stderr)
            bad.append(path)
    if not parts:
        raise config.UserError('none of the %d stacks of %s could be used' % (len(found), cfg.STACKS))
    count, pooled = join(parts, cfg)
    print('%s: %d patches of %d stacks (%d new, %d kept); foreground about %.0f, background %.0f +- %.0f grey levels'
          % (os.path.join(cfg.OUTPUT, 'real.h5'), count, len(parts), made, len(parts) - made, pooled['foreground']['median'],
             pooled['background']['median'], pooled['background']['robust_std']))
    if bad:
        return 'error: %d of %d stacks were left out: %s' % (len(bad), len(found), ', '.join(bad[:5]))


if __name__ == '__main__':
    config.run(main)
