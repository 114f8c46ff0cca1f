"""Step 0: cut training patches along the neurites of real stacks, and measure priors.

Reads   data/real/*.tif                        any number of 8- or 16-bit stacks
Writes  data/patches/real.h5                   patches, their corners and stacks
        data/patches/priors.json               what neurites and background look like, for step 1
        data/patches/priors.png                the distributions in it
        data/patches/real_NAME.png             the four steps: stack, OTSU, centreline, patches
        data/patches/parts/                    finished stacks; a rerun does only what is missing
Run     python prepare_patches.py STACKS=folder_or_pattern      a SLURM job array shares the work
"""
import hashlib
import os
import sys

import h5py
import numpy as np

from utils.common import batch, claims, config, errors, files, shares
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.draw import figures
from utils.measure import calibration, otsu, pool, quantiles, stack, windows
from utils.simulate import drafts, priors

# constants that may differ between runs into one folder
MAY_CHANGE = ('STACKS', 'OUTPUT', 'OVERWRITE', 'TIFF_FOLDER', 'MAX_STACK_FIGURES')
CROWDED = 0.3                # share of foreground above which it is more likely background


# --- one stack ---

def job_of(path, cfg, *, with_figure):
    """The work on one stack: a batch.Job."""
    part = part_of(path, cfg)
    figure = os.path.join(cfg.OUTPUT, 'real_%s.png' % stacks.name_of(path)) if with_figure else None

    def finished():
        return is_made(path, cfg) and (figure is None or os.path.exists(figure))

    def make():
        refusal = part_of(path, cfg, extension='.bad')
        files.remove(refusal)
        try:
            count = prepare(path, cfg, part_path=part, figure_path=figure)
        except UserError:
            files.write_text(refusal, made_from(path, cfg))      # other shares need not wait for it
            raise
        return '%s: %d patches' % (path, count)

    return batch.Job(stacks.name_of(path), path, finished, make)


def part_of(path, cfg, *, extension='.h5'):
    """File of a stack's patches and measurements, or of its refusal (.bad)."""
    return os.path.join(cfg.OUTPUT, 'parts', stacks.name_of(path) + extension)


def made_from(path, cfg):
    """What a stack's part depends on: its file and the constants. Another one is made again."""
    settings = {name: value for name, value in vars(cfg).items() if name not in MAY_CHANGE}
    return files.to_json([batch.file_key(path), settings])


def is_made(path, cfg):
    """True if a stack's part was made from it as it is now."""
    return patches.made_from(part_of(path, cfg)) == made_from(path, cfg)


def is_refused(path, cfg):
    """True if a stack was refused as it is now, perhaps by another share."""
    refusal = part_of(path, cfg, extension='.bad')
    if not os.path.exists(refusal):
        return False
    with open(refusal, encoding='utf-8') as file:
        return file.read() == made_from(path, cfg)


def prepare(path, cfg, *, part_path, figure_path):
    """Segment one stack, cut its patches, measure it, write its part file.

    Returns:
        number of patches.

    Raises:
        UserError: unreadable, without foreground, or without a patch that has enough of it.
    """
    real = stacks.read(path, cfg.PATCH_SHAPE)
    found, skeleton = segment(real.voxels, cfg, name=path)
    corners = windows.slide_windows(skeleton, cfg.PATCH_SHAPE, shape=real.voxels.shape,
                                    max_overlap=cfg.MAX_OVERLAP)
    shares_filled = [patches.cut(found.mask, c, window=cfg.PATCH_SHAPE).mean() for c in corners]
    corners = corners[np.array(shares_filled) >= cfg.MIN_FOREGROUND]
    if len(corners) == 0:
        raise UserError('%s: no patch has %.2f %% foreground: lower MIN_FOREGROUND or leave the '
                        'stack out' % (path, 100 * cfg.MIN_FOREGROUND))
    if figure_path:
        some = corners[np.linspace(0, len(corners) - 1, figures.SHOWN).astype(int)]
        figures.four_steps(
            figure_path, real.voxels, mask=found.mask, skeleton=skeleton, corners=corners,
            window=cfg.PATCH_SHAPE,
            patches=[patches.cut(real.voxels, c, window=cfg.PATCH_SHAPE) for c in some])
    measured = stack.measure(real.voxels, found, skeleton=skeleton, voxel_size=real.voxel_size,
                             flatten_block=cfg.FLATTEN_BLOCK)
    patches.write_cut(part_path, real.voxels, corners=corners, window=cfg.PATCH_SHAPE,
                      name=stacks.name_of(path), voxel_size=real.voxel_size,
                      measured=files.to_json(measured), made_from=made_from(path, cfg))
    return len(corners)


def segment(voxels, cfg, *, name='stack'):
    """(otsu.Segmentation, int [M, 3] centreline) of a stack."""
    found = otsu.segment(voxels, config.pick(cfg, otsu.Settings), name=name)
    return found, otsu.centreline(found.mask)


# --- all stacks ---

def join(parts, cfg):
    """Write real.h5, priors.json with its figure and the TIFF folder from the parts.

    Returns:
        (number of patches, contents of priors.json).
    """
    count = patches.join(parts, os.path.join(cfg.OUTPUT, 'real.h5'))
    real = patches.PatchFile(os.path.join(cfg.OUTPUT, 'real.h5'))
    measured = {}
    for part in parts:
        with h5py.File(part, 'r') as file:
            measured[stacks.name_of(part)] = files.from_json(file.attrs['measured'])
    pool.check_voxel_size(measured)
    pooled = write_priors(measured, cfg, digest=real.digest, highest=np.iinfo(real.dtype).max)
    if cfg.TIFF_FOLDER:
        for i in range(count):
            path = os.path.join(cfg.TIFF_FOLDER, '%s_%05d.tif' % (real.source[i], i))
            stacks.write(path, real.image[i], voxel_size=real.voxel_size)
    return count, pooled


def write_priors(measured, cfg, *, digest, highest):
    """Pool measurements, calibrate, write priors.json and its figure; kept if nothing changed.

    Args:
        measured: dict from stack name to its measurements; digest: of the patches; highest: grey
            level of their dtype.

    Returns:
        dict, contents of priors.json.
    """
    path = os.path.join(cfg.OUTPUT, 'priors.json')
    origin = files.to_json([digest, files.to_json(measured), cfg.CALIBRATION_ROUNDS])
    origin = hashlib.sha1(origin.encode()).hexdigest()
    if os.path.exists(path):
        known = files.read_json(path)
        if known.get('made_from') == origin:
            return known
    pooled = dict(pool.pool(measured), dtype_max=int(highest), made_from=origin)
    pooled['drawn'] = calibrate(pooled, cfg)
    files.write_json(path, pooled)
    figures.priors_page(os.path.join(cfg.OUTPUT, 'priors.png'), pooled,
                        probabilities=quantiles.QUANTILES, background=quantiles.BACKGROUND,
                        lags=quantiles.LAGS)
    return pooled


def calibrate(pooled, cfg):
    """What to draw so that drafts, measured as the real stacks were, come out like them."""
    simulator = config.load('configs/simulator.py', [])

    def draw(drawn):
        known = dict(pooled, drawn=drawn)
        simulator.BITS = 8 if pooled['dtype_max'] == 255 else 16
        simulator.AXON_SHARE, simulator.SOMA_SHAPE = 1.0, 'ball'
        values = drafts.resolve(simulator, known)
        spacing = stacks.spacing_of(values.VOXEL_SIZE)
        values.VOLUME_SHAPE = tuple(int(n * s) for n, s in zip((128, 192, 192), spacing))
        return drafts.draw(values, priors.Priors(known, simulator.BITS),
                           rng=np.random.default_rng(0)).image

    def look(voxels):
        found, skeleton = segment(voxels, cfg)
        return stack.measure(voxels, found, skeleton=skeleton, voxel_size=pooled['voxel_size'],
                             flatten_block=cfg.FLATTEN_BLOCK)

    return calibration.calibrate(pooled, look, draw=draw, rounds=cfg.CALIBRATION_ROUNDS)


def load(argv):
    """Constants, checked."""
    cfg = config.load(('configs/prepare_patches.py', 'configs/otsu.py'), argv, description=__doc__)
    config.require(cfg, PATCH_SHAPE=(2, None), MAX_OVERLAP=(0, 0.99), MIN_FOREGROUND=(0, 1),
                   FLATTEN_BLOCK=(0, None), SMOOTH_SIGMA=(0, None), CLIP_QUANTILE=(0.5, 1),
                   NOISE_FLOOR=(0, None), MIN_OBJECT=(1, None), CALIBRATION_ROUNDS=(0, 20))
    return cfg


def main():
    cfg = load(sys.argv[1:])
    found = stacks.find(cfg.STACKS)
    real = os.path.join(cfg.OUTPUT, 'real.h5')
    claims.claim(cfg.OUTPUT, vars(cfg), may_change=MAY_CHANGE,
                 overwrite=cfg.OVERWRITE or not os.path.exists(real))
    jobs = [job_of(path, cfg, with_figure=i < cfg.MAX_STACK_FIGURES)
            for i, path in enumerate(found)]
    mine = [jobs[i] for i in shares.shard(len(jobs))]
    done = batch.run(mine)
    ready = [job for job in jobs if is_made(job.path, cfg)]
    refused = [job for job in jobs if job in done.failed or is_refused(job.path, cfg)]
    waiting = len(jobs) - len(ready) - len(refused)
    if waiting > 0:
        print('%s: this share is done (%d stacks); %d of other shares are not, the last one writes '
              'real.h5' % (cfg.OUTPUT, len(mine), waiting))
    elif not ready:
        raise UserError('none of the %d stacks of %s could be used' % (len(jobs), cfg.STACKS))
    else:
        count, pooled = join([part_of(job.path, cfg) for job in ready], cfg)
        report(real, count, stacks_made=(len(done.made), len(ready) - len(done.made)),
               pooled=pooled)
    return batch.failure(batch.Outcome(done.made, ready, refused))


def report(path, count, *, stacks_made, pooled):
    """Print the closing line, and a warning where too much counts as neurites."""
    level, behind = pooled['foreground']['median'], pooled['background']
    if pooled['foreground_fraction'] > CROWDED:
        print('warning: %.0f %% of the voxels count as neurites: look at real_NAME.png; if they '
              'are background, raise NOISE_FLOOR or MIN_OBJECT'
              % (100 * pooled['foreground_fraction']), file=sys.stderr)
    print('%s: %d patches of %d stacks (%d new, %d kept); foreground about %.0f, background %.0f '
          '+- %.0f grey levels' % ((path, count, sum(stacks_made)) + stacks_made
                                   + (level, behind['median'], behind['robust_std'])))


if __name__ == '__main__':
    errors.run(main)
