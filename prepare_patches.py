"""Step 0: cut training patches along the neurites of real stacks, and measure priors.

Reads   data/real/*.tif                        any number of 8- or 16-bit stacks
Writes  data/patches/real.h5                   patches, their corners and stacks
        data/patches/priors.json               what the neurites and their background look like, for 1_simulator.py
        data/patches/priors.png                the distributions in it
        data/patches/real_NAME.png             the four steps: stack, OTSU, centreline, patches
        data/patches/parts/                    finished stacks; a rerun does only what is missing
Run     python prepare_patches.py STACKS=folder_or_pattern         a SLURM job array shares the work
"""
import hashlib
import os
import sys

import h5py
import numpy as np
from tqdm import tqdm

from utils.common import claims, config, errors, files, shares
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.draw import priors, steps
from utils.measure import calibration, otsu, appearance, windows

MAY_CHANGE = ('STACKS', 'OUTPUT', 'OVERWRITE', 'TIFF_FOLDER', 'MAX_STACK_FIGURES')   # may change between runs


def segment(voxels, cfg, *, name='stack'):
    """OTSU mask and centreline of a stack, by the constants; (otsu.Segmentation, int [M, 3])."""
    found = otsu.segment(voxels, config.pick(cfg, otsu.Settings), name=name)
    return found, otsu.centreline(found.mask)


def prepare(path, cfg, *, part_path, figure_path):
    """Segment one stack, cut its patches and measure it; write them as one part file."""
    stack = stacks.read(path, cfg.PATCH_SHAPE)
    found, skeleton = segment(stack.voxels, cfg, name=path)
    corners = windows.slide_windows(skeleton, cfg.PATCH_SHAPE, shape=stack.voxels.shape, max_overlap=cfg.MAX_OVERLAP)
    filled = np.array([patches.cut(found.mask, c, window=cfg.PATCH_SHAPE).mean() for c in corners])
    corners = corners[filled >= cfg.MIN_FOREGROUND] if len(corners) else corners
    if len(corners) == 0:
        raise UserError('%s: no patch has %.2f %% foreground: lower MIN_FOREGROUND or leave the stack out'
                               % (path, 100 * cfg.MIN_FOREGROUND))
    if figure_path:
        shown = [patches.cut(stack.voxels, c, window=cfg.PATCH_SHAPE)
                 for c in corners[np.linspace(0, len(corners) - 1, steps.SHOWN).astype(int)]]
        steps.four_steps(figure_path, stack.voxels, mask=found.mask, skeleton=skeleton, corners=corners, window=cfg.PATCH_SHAPE, patches=shown)
    measured = appearance.measure(stack.voxels, found, skeleton=skeleton, voxel_size=stack.voxel_size, flatten_block=cfg.FLATTEN_BLOCK)
    patches.write_cut(part_path, stack.voxels, corners=corners, window=cfg.PATCH_SHAPE, name=stacks.name_of(path), voxel_size=stack.voxel_size,
                      measured=files.to_json(measured), made_from=made_from(path, cfg))
    return len(corners)


def made_from(path, cfg):
    """What a part depends on: its stack's file (size, time) and the settings. Another one is made again."""
    status = os.stat(path)
    settings = {name: value for name, value in vars(cfg).items() if name not in MAY_CHANGE}
    return files.to_json([status.st_size, status.st_mtime_ns, settings])


def join(parts, cfg):
    """Write real.h5, priors.json with its figure and the TIFF folder from the parts; returns (patches, priors)."""
    real = os.path.join(cfg.OUTPUT, 'real.h5')
    count = patches.join(parts, real)
    joined = patches.PatchFile(real)
    measured = {}
    for part in parts:
        with h5py.File(part, 'r') as file:
            measured[stacks.name_of(part)] = files.from_json(file.attrs['measured'])
    one_voxel_size(measured)
    path, origin = os.path.join(cfg.OUTPUT, 'priors.json'), [joined.digest, files.to_json(measured), cfg.CALIBRATION_ROUNDS]
    origin = hashlib.sha1(files.to_json(origin).encode()).hexdigest()
    known = files.read_json(path) if os.path.exists(path) else {}
    pooled = dict(appearance.pool(measured), dtype_max=int(np.iinfo(joined.dtype).max), made_from=origin)

    def look(voxels):
        found, skeleton = segment(voxels, cfg)
        return appearance.measure(voxels, found, skeleton=skeleton, voxel_size=pooled['voxel_size'],
                                  flatten_block=cfg.FLATTEN_BLOCK)

    if known.get('made_from') == origin:
        pooled = known                                   # nothing has changed since
    else:
        pooled['drawn'] = calibration.calibrate(pooled, look, rounds=cfg.CALIBRATION_ROUNDS)
        files.write_json(path, pooled)
        priors.priors_page(os.path.join(cfg.OUTPUT, 'priors.png'), pooled)
    if pooled['foreground_fraction'] > 0.3:
        print('warning: %.0f %% of the voxels count as neurites: look at real_NAME.png; if they are background, raise '
              'NOISE_FLOOR or MIN_OBJECT' % (100 * pooled['foreground_fraction']), file=sys.stderr)
    if cfg.TIFF_FOLDER:
        for i in range(count):
            stacks.write(os.path.join(cfg.TIFF_FOLDER, '%s_%05d.tif' % (joined.source[i], i)), joined.image[i],
                         voxel_size=joined.voxel_size)
    return count, pooled


def one_voxel_size(measured):
    """Raise UserError if stacks have different voxel sizes: lengths in voxels could not be pooled."""
    names = sorted(measured)
    for name in names[1:]:
        a, b = [measured[n]['voxel_size'] for n in (names[0], name)]
        if (a is None) != (b is None) or (a and not np.allclose(a, b, rtol=0.01)):
            raise UserError('%s has voxels of %s um, %s of %s: prepare each kind apart, with its own OUTPUT'
                                   % (names[0], a or 'unknown size', name, b or 'unknown size'))


def main():
    cfg = config.load(('configs/prepare_patches.py', 'configs/otsu.py'), sys.argv[1:], description=__doc__)
    config.require(cfg, MAX_OVERLAP=(0, 0.99), CLIP_QUANTILE=(0.5, 1), MIN_FOREGROUND=(0, 1), MIN_OBJECT=(1, None),
                   FLATTEN_BLOCK=(0, None), SMOOTH_SIGMA=(0, None), NOISE_FLOOR=(0, None), PATCH_SHAPE=(2, None), CALIBRATION_ROUNDS=(0, 20))
    found = stacks.find(cfg.STACKS)
    done = os.path.exists(os.path.join(cfg.OUTPUT, 'real.h5'))
    claims.claim(cfg.OUTPUT, vars(cfg), may_change=MAY_CHANGE, overwrite=cfg.OVERWRITE or not done)

    def part_of(path, extension='.h5'):
        return os.path.join(cfg.OUTPUT, 'parts', stacks.name_of(path) + extension)

    mine, bad, made = shares.shard(len(found)), [], 0
    for i in tqdm(mine, 'stacks', disable=not sys.stderr.isatty()):
        path = found[i]
        figure = os.path.join(cfg.OUTPUT, 'real_%s.png' % stacks.name_of(path)) if i < cfg.MAX_STACK_FIGURES else None
        try:
            if patches.made_from(part_of(path)) != made_from(path, cfg) or (figure and not os.path.exists(figure)):
                files.remove(part_of(path, '.bad'))
                count = prepare(path, cfg, part_path=part_of(path), figure_path=figure)
                print('%s: %d patches' % (path, count))
                made += 1
        except UserError as error:                # the other stacks are still worth doing
            print('error: %s' % error, file=sys.stderr)
            with files.whole_file(part_of(path, '.bad')) as partial:       # other shares need not wait for it
                with open(partial, 'w') as file:
                    file.write(made_from(path, cfg))
            bad.append(path)
    parts = [part_of(path) for path in found if patches.made_from(part_of(path)) == made_from(path, cfg)]
    refused = [path for path in found if path in bad or is_refused(part_of(path, '.bad'), made_from(path, cfg))]
    if len(parts) + len(refused) < len(found):
        print('%s: this share is done (%d stacks); %d of other shares are not, the last one writes real.h5'
              % (cfg.OUTPUT, len(mine), len(found) - len(parts) - len(refused)))
    elif not parts:
        raise UserError('none of the %d stacks of %s could be used' % (len(found), cfg.STACKS))
    else:
        count, pooled = join(parts, cfg)
        print('%s: %d patches of %d stacks (%d new, %d kept); foreground about %.0f, background %.0f +- %.0f grey levels'
              % (os.path.join(cfg.OUTPUT, 'real.h5'), count, len(parts), made, len(parts) - made,
                 pooled['foreground']['median'], pooled['background']['median'], pooled['background']['robust_std']))
    if refused:
        return 'error: %d of %d stacks were left out: %s' % (len(refused), len(found), ', '.join(refused[:5]))


def is_refused(path, origin):
    """True if a stack was refused as it is now, perhaps by another share."""
    if not os.path.exists(path):
        return False
    with open(path) as file:
        return file.read() == origin


if __name__ == '__main__':
    errors.run(main)
