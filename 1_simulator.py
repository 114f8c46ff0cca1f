"""Step 1: draw draft stacks of neurons with exact voxel labels.

Reads   data/patches/priors.json                of prepare_patches.py; PRIORS=None: the paper's
Writes  data/simulated/images/0001.tif ...      drafts, 8 or 16 bit
        data/simulated/labels/0001.tif ...      uint8 {0, 1}
        data/simulated/swc/0001.swc ...         the trees, in voxels of the written stack
        data/simulated/instances/0001.tif ...   uint16, a number per neurite, with INSTANCES=True
        data/simulated/patches.h5               training patches along the trees: image, label
Run     python 1_simulator.py N_STACKS=4        a rerun makes what is missing; the tasks of a SLURM
                                                job array share the work
"""
import utils.common.errors   # noqa: F401  first: Ctrl-C during the other imports is one line
import os

# workers fill the cores, and sums must not depend on the number of threads
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

import functools         # noqa: E402
import hashlib           # noqa: E402
import sys               # noqa: E402

import numpy as np       # noqa: E402

from utils.common import batch, claims, config, errors, files, shares, workers  # noqa: E402
from utils.common.errors import UserError  # noqa: E402
from utils.common.renamed import ADDED  # noqa: E402
from utils.data import patches, stacks, swc  # noqa: E402
from utils.simulate import checks, drafts, optics, priors, results, settings  # noqa: E402

MAY_CHANGE = ('N_STACKS', 'OUTPUT', 'WORKERS', 'OVERWRITE')     # may change between runs


def simulate(index, seed, *, values, measured, psf, folder, constants):
    """Draw one stack and write its files.

    Args:
        index: of the stack, from 0; seed: numpy SeedSequence; values: settings.Settings, resolved.
        measured: contents of priors.json, or None; psf: as for drafts.draw; folder: results.Folder.
        constants: dict, of the folder's config.json.

    Returns:
        a line that says what was drawn.
    """
    rng = np.random.default_rng(seed)
    prior = priors.of(values.stack, values.neuron, measured=measured, number=index)
    draft = drafts.draw(values, prior, rng=rng, psf=psf)
    corners = drafts.patch_corners(draft, values.patches, rng=rng)
    alone(folder.path, constants)
    folder.write(index, draft, corners=corners, window=values.patches.patch_shape,
                 voxel_size=values.stack.voxel_size,
                 blur=optics.blur_of(values.optics, voxel_size=values.stack.voxel_size, psf=psf))
    return '%04d: %s, %d neurites, %d patches' % (index + 1, draft.kind, draft.neurites,
                                                  len(corners))


def alone(path, constants):
    """Raise UserError if another run has claimed a folder of drafts with other constants."""
    changed = claims.differences(path, constants, may_change=MAY_CHANGE)
    if changed:
        raise UserError('%s: another run with other settings writes into it (%s): give each its '
                        'own OUTPUT' % (path, ', '.join(name for name, _, _ in changed)))


def made_from(cfg):
    """What a stack depends on but for its number: constants, and digests of files that they name.

    Returns:
        dict of constants.
    """
    values = {name: value for name, value in vars(cfg).items()
              if name not in MAY_CHANGE and (name, value) not in ADDED.items()}
    for name in ('PRIORS', 'PSF_FILE', 'SWC_DIR'):
        if values[name]:
            found = stacks.find(cfg.SWC_DIR, ('.swc',)) if name == 'SWC_DIR' else [values[name]]
            digest = hashlib.sha1()
            for path in found:
                with open(path, 'rb') as file:
                    digest.update(os.path.basename(path).encode() + file.read())
            values[name] = 'sha1 ' + digest.hexdigest()[:12]
    return values


def check(cfg, measured):
    """Check the constants and the files that they name.

    Returns:
        settings.Settings, not resolved.

    Raises:
        UserError: for constants that cannot work.
    """
    config.require(
        cfg, N_STACKS=(1, 9999), PATCH_EVERY=(1, None), MAX_PATCHES=(1, None), SEED=(0, None),
        AXON_SHARE=(0, 1), DENDRITE_DEPTH=(1, 12), AXON_DEPTH=(1, 100), TAPER=(0, 0.99),
        RANDOM_PATCHES=(0, 1), DENSITY_FACTOR=(0.01, 100), BOUTON_SPACING=(0, 1e6),
        ILLUMINATION=(0, 3), ILLUMINATION_SIGMA=(0.1, 1e6), ATTENUATION=(0, 1e6),
        TEXTURE_SIGMA=(0, 1e4), GAIN=(0, 65535),
        OFFSET=(-65535, 65535), READ_NOISE=(0, 65535), SATURATION=(0, 65535), SWC_SCALE=(1e-6, 1e6),
        VOLUME_SHAPE=(4, None), PATCH_SHAPE=(2, None))
    values = settings.Settings(*[config.pick(cfg, group) for group in settings.GROUPS])
    checks.check(values, measured, source=cfg.PRIORS)
    for path in stacks.find(cfg.SWC_DIR, ('.swc',)) if cfg.SWC_DIR else ():
        stacks.check_file(path)
        if os.path.realpath(os.path.dirname(path)) == os.path.realpath(
                os.path.join(cfg.OUTPUT, 'swc')):
            raise UserError('SWC_DIR=%s is where OUTPUT=%s has its own trees: give another OUTPUT'
                            % (cfg.SWC_DIR, cfg.OUTPUT))
        swc.read(path)
    return values


def main():
    cfg = config.load('configs/simulator.py', sys.argv[1:], description=__doc__)
    measured = priors.read(cfg.PRIORS) if cfg.PRIORS else None
    values = settings.resolve(check(cfg, measured), measured)
    psf = optics.read_psf(cfg.PSF_FILE)
    folder = results.Folder(cfg.OUTPUT, files.to_json(made_from(cfg)), cfg.INSTANCES)
    owner = folder.owner(cfg.N_STACKS)
    constants = dict(vars(cfg), **made_from(cfg))
    claims.claim(cfg.OUTPUT, constants, owner=owner, may_change=MAY_CHANGE, overwrite=cfg.OVERWRITE)
    if cfg.OVERWRITE:                            # so that the folder holds one kind
        folder.remove_stale(cfg.N_STACKS, ours=claims.vouches(cfg.OUTPUT, owner))
    seeds = np.random.SeedSequence(cfg.SEED).spawn(cfg.N_STACKS)
    mine = shares.shard(cfg.N_STACKS)
    missing = [i for i in mine if not folder.finished(i)]
    joined = os.path.join(cfg.OUTPUT, 'patches.h5')
    if missing:
        files.remove(joined)                     # it holds patches of stacks that are replaced
    job = functools.partial(simulate, values=values, measured=measured, psf=psf, folder=folder,
                            constants=constants)
    with workers.pool(cfg.WORKERS, most=len(missing)) as submit:
        batch.run([batch.Job('%04d' % (i + 1), folder.file('images', i), finished=lambda: False,
                             make=submit(job, i, seeds[i])) for i in missing], strict=True)
    alone(cfg.OUTPUT, constants)
    waiting = [i for i in range(cfg.N_STACKS) if not folder.finished(i)]
    if set(waiting) & set(mine):
        raise UserError('%s: another run has replaced or removed stacks of this one: give each its '
                        'own OUTPUT, or run again' % cfg.OUTPUT)
    if waiting:
        print('%s: this share is done (%d stacks, %d new); %d of other shares are not, the last '
              'one writes patches.h5' % (cfg.OUTPUT, len(mine), len(missing), len(waiting)))
        return
    count = patches.join([folder.part(i) for i in range(cfg.N_STACKS)], joined)
    print('%s: %d stacks (%d new), %d patches' % (cfg.OUTPUT, cfg.N_STACKS, len(missing), count))


if __name__ == '__main__':
    errors.run(main)
