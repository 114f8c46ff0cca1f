"""Step 0: cut training patches along the neurites of real stacks, and measure priors.

Reads   data/real/*.tif                        8- or 16-bit stacks; SAMPLE_BLOCKS of a large volume
Writes  data/patches/real.h5                   patches, their corners and stacks
        data/patches/priors.json               what neurites and background look like, for step 1
        data/patches/priors.png                the distributions in it
        data/patches/real_NAME.png             the four steps: stack, OTSU, centreline, patches
        data/patches/parts/                    finished stacks; a rerun does only what is missing
Run     python prepare_patches.py STACKS=folder_or_pattern      a SLURM job array shares the work
"""
from utils.common.errors import MachineError, UserError      # first: Ctrl-C from here on is a line
import hashlib
import os
import sys

import numpy as np

from utils.common import batch, claims, config, errors, files, schemas, shares
from utils.data import parts, patches, prepared, stacks, volumes
from utils.draw.priors import priors_page
from utils.draw.steps import SHOWN, four_steps
from utils.measure import calibration, cutting, otsu, pool, sampled_volume, stack
from utils.simulate import settings, trial

# constants that may differ between runs into one folder
MAY_CHANGE = ('STACKS', 'OUTPUT', 'OVERWRITE', 'TIFF_FOLDER', 'MAX_STACK_FIGURES')
VOLUMES = 'WHOLE_UP_TO', 'SAMPLE_BLOCKS', 'SAMPLE_SHAPE', 'SAMPLE_SEED', 'CHANNEL'
CROWDED = 0.3                # share of foreground above which it is rather background


# --- one stack ---

def job_of(path, cfg, *, store, figure):
    """The work on one stack: a batch.Job. store: parts.Parts; figure: its file, or None."""
    def finished():
        return store.is_made(path) and (figure is None or os.path.exists(figure))

    def make():
        store.forget_refusal(path)
        try:
            count = prepare(path, cfg, store=store, figure=figure)
        except UserError as error:
            if not isinstance(error, MachineError):      # else the stack may be good
                store.refuse(path)
            raise
        return '%s: %d patches' % (path, count)

    return batch.Job(stacks.name_of(path), path, finished=finished, make=make)


def prepare(path, cfg, *, store, figure):
    """Cut and measure one stack, or a sample of a large volume, write its part; patches' number.

    Raises:
        UserError: unreadable, without foreground, or without a patch that has enough of it.
    """
    how, finder = config.pick(cfg, cutting.Settings), config.pick(cfg, otsu.Settings)

    def draw(voxels, cut):
        some = cut.corners[np.linspace(0, len(cut.corners) - 1, SHOWN).astype(int)]
        four_steps(figure, voxels, mask=cut.found.mask, skeleton=cut.skeleton,
                   corners=cut.corners, window=cfg.PATCH_SHAPE, patches=[
                       patches.cut(voxels, c, window=cfg.PATCH_SHAPE) for c in some])

    where = dict(name=stacks.name_of(path), made_from=store.key(path))
    if volumes.is_larger(path, cfg.WHOLE_UP_TO, channel=cfg.CHANNEL):
        with volumes.open_volume(path, channel=cfg.CHANNEL) as volume:
            return sampled_volume.prepare(
                volume, store.path(path), sample=config.pick(cfg, sampled_volume.Sample),
                settings=how, otsu_settings=finder, draw=draw if figure else None, **where)
    real = stacks.read(path, cfg.PATCH_SHAPE, channel=cfg.CHANNEL)
    cut = cutting.find(real.voxels, how, otsu_settings=finder, name=path)
    if figure:
        draw(real.voxels, cut)
    measured = cutting.measure(real.voxels, cut, voxel_size=real.voxel_size, settings=how)
    cutting.write(store.path(path), real.voxels, cut=cut, settings=how, measured=measured,
                  voxel_size=real.voxel_size, **where)
    return len(cut.corners)


# --- all stacks ---

def join(paths, cfg, *, store, tiff):
    """Write real.h5, priors.json and TIFF folder from parts; (number of patches, priors)."""
    joined = os.path.join(cfg.OUTPUT, 'real.h5')
    count = patches.join([store.path(path) for path in paths], joined)
    real = patches.PatchFile(joined)
    measured = {stacks.name_of(path): store.measured(path) for path in paths}
    pool.check_voxel_size(measured)
    pooled = write_priors(measured, cfg, real=real)
    if cfg.TIFF_FOLDER:
        prepared.write_tiffs(cfg.TIFF_FOLDER, real, owner=tiff)
    return count, pooled


def write_priors(measured, cfg, *, real):
    """Pool, calibrate, write priors.json and its figure; kept if nothing changed. Returns the dict.

    measured: dict from stack name to its measurements; real: PatchFile of all stacks.
    """
    path = os.path.join(cfg.OUTPUT, 'priors.json')
    found = pool.priors(measured)
    origin = files.to_json([real.digest, files.to_json(found), cfg.CALIBRATION_ROUNDS])
    origin = hashlib.sha1(origin.encode()).hexdigest()
    figure = os.path.join(cfg.OUTPUT, 'priors.png')
    pooled = files.read_json(path) if os.path.exists(path) else {}
    if pooled.get('made_from') != origin or schemas.fault(pooled, schemas.PRIORS):
        pooled = dict(found, made_from=origin, dtype_max=int(np.iinfo(real.dtype).max))
        pooled['drawn'] = calibrate(pooled, cfg)
        files.remove(figure)                             # it is of other priors
        files.write_json(path, pooled)
    if not os.path.exists(figure):
        priors_page(figure, pooled)
    return pooled


def calibrate(pooled, cfg):
    """What to draw so that drafts, measured as the real stacks were, come out like them."""
    constants = config.load('configs/simulator.py', [])
    simulator = settings.Settings(*[config.pick(constants, group) for group in settings.GROUPS])

    def look(voxels):
        found = otsu.segment(voxels, config.pick(cfg, otsu.Settings))
        return stack.measure(
            voxels, found, skeleton=otsu.centreline(found.mask), like=pooled,
            voxel_size=pooled['voxel_size'], flatten_block=cfg.FLATTEN_BLOCK)
    return calibration.calibrate(
        pooled, look, rounds=cfg.CALIBRATION_ROUNDS,
        draw=lambda drawn, seed: trial.draw(pooled, drawn, settings=simulator, seed=seed))


def check(cfg):
    """Raise UserError for constants that cannot work."""
    config.require(cfg, PATCH_SHAPE=(2, None), MAX_OVERLAP=(0, 0.99), MIN_FOREGROUND=(0, 1),
                   FLATTEN_BLOCK=(0, None), SMOOTH_SIGMA=(0, 1000), CLIP_QUANTILE=(0.5, 1),
                   NOISE_FLOOR=(0, 1e6), MIN_OBJECT=(1, None), CALIBRATION_ROUNDS=(0, 20),
                   WHOLE_UP_TO=(0, None), SAMPLE_BLOCKS=(1, 10000), SAMPLE_SHAPE=(8, 1024),
                   SAMPLE_SEED=(0, None), CHANNEL=(0, None))
    if any(n < least for n, least in zip(cfg.SAMPLE_SHAPE, cfg.PATCH_SHAPE)):
        raise UserError('SAMPLE_SHAPE is smaller than PATCH_SHAPE: raise it')


def main():
    cfg = config.load(('configs/prepare_patches.py', 'configs/otsu.py'), sys.argv[1:],
                      description=__doc__)
    check(cfg)
    found, joined = stacks.find(cfg.STACKS), os.path.join(cfg.OUTPUT, 'real.h5')
    made_with = {k: v for k, v in vars(cfg).items() if k not in MAY_CHANGE}
    store = parts.Parts(cfg.OUTPUT, dict(made_with, MEASURES=stack.MEASURES), of_volumes=VOLUMES)
    tiff = cfg.TIFF_FOLDER and prepared.tiff_owner(cfg.TIFF_FOLDER, found, pattern=cfg.STACKS,
                                                   output=cfg.OUTPUT)
    claims.claim(cfg.OUTPUT, vars(cfg), owner=prepared.owner_of(cfg.OUTPUT, found, store=store),
                 may_change=MAY_CHANGE, overwrite=cfg.OVERWRITE or not os.path.exists(joined))
    if tiff:
        claims.take(cfg.TIFF_FOLDER, tiff)
    jobs = [job_of(path, cfg, store=store, figure=prepared.figure_of(cfg.OUTPUT, path)
                   if i < cfg.MAX_STACK_FIGURES else None) for i, path in enumerate(found)]
    mine = [jobs[i] for i in shares.shard(len(jobs))]
    done = batch.run(mine)

    ready = [path for path in found if store.is_made(path)]
    refused = [job for job in jobs if job in done.failed or store.is_refused(job.path)]
    waiting = len(jobs) - len(ready) - len(refused)
    if waiting > 0:
        print('%s: this share is done (%d stacks); %d of other shares are not, the last one writes '
              'real.h5' % (cfg.OUTPUT, len(mine), waiting))
    elif not ready:
        raise UserError('none of the %d stacks of %s could be used' % (len(found), cfg.STACKS))
    else:
        count, pooled = join(ready, cfg, store=store, tiff=tiff)
        level, behind = pooled['foreground']['median'], pooled['background']
        print('%s: %d patches of %d stacks (%d new, %d kept); foreground about %.0f, background '
              '%.0f +- %.0f grey levels'
              % (joined, count, len(ready), len(done.made), len(ready) - len(done.made), level,
                 behind['median'], behind['robust_std']))
        if pooled['foreground_fraction'] > CROWDED:
            print('warning: %.0f %% of the voxels count as neurites: look at real_NAME.png; if '
                  'they are background, raise NOISE_FLOOR or MIN_OBJECT'
                  % (100 * pooled['foreground_fraction']), file=sys.stderr)
    return batch.failure(done._replace(
        made=[], kept=[job for job in jobs if job not in refused], failed=refused))


if __name__ == '__main__':
    errors.run(main)
