"""Draw a phantom: stacks of unknown neurons for a demo without real data.

Reads   configs/demo/phantom.py
Writes  OUTPUT/images/0001.tif ...          uint16, all that the pipeline may see
        OUTPUT/truth/labels/0001.tif ...    uint8 {0, 1}, for scoring only
        OUTPUT/truth/swc/0001_1.swc ...     one tree per neuron, coordinates in voxels of the stack
Run     python -m utils.simulate.phantom OUTPUT=data/demo/phantom
        keeps finished stacks, redoes unfinished ones
"""
from utils.common.errors import UserError    # first: Ctrl-C while the rest is imported is one line
import os
import sys
import time

import numpy as np

from utils.common import batch, claims, config, errors
from utils.data import stacks
from utils.simulate.phantom import axons, folder, settings
from utils.simulate.phantom.stack import render

MAY_CHANGE = ('N_STACKS', 'OVERWRITE', 'OUTPUT')               # may change between runs
LARGEST = 1e6                        # um, grey levels, stacks ...: more is a mistake
SPREADS = 'RADIUS_WOBBLE', 'LEVEL_DRIFT', 'TEXTURE_STD', 'STRIPE_STD', 'ILLUMINATION_STD'
POSITIVE = ('BEND_LENGTH', 'BRANCH_SPACING', 'BOUTON_SIGMA', 'DRIFT_LENGTH', 'ILLUMINATION_SIGMA',
            'GAIN')


def check(cfg):
    """Check the constants.

    Returns:
        settings.Settings.

    Raises:
        UserError: for constants that cannot make a stack.
    """
    config.require(cfg, N_STACKS=(1, folder.MOST), SEED=(0, None), SHAPE=(16, None),
                   DRIFT_LENGTH=(0, 1e4), BEND_LENGTH=(0, 1e4))
    if not stacks.is_voxel_size(cfg.VOXEL_SIZE):
        raise UserError('VOXEL_SIZE=%s: want sizes above 0' % (cfg.VOXEL_SIZE,))
    for name, value in sorted(vars(cfg).items()):
        if name != 'SEED' and not isinstance(value, str):
            config.require(cfg, **{name: (0, 3) if name in SPREADS else (-LARGEST, LARGEST)})
        pair = isinstance(value, tuple) and len(value) == 2
        if pair and (value[0] > value[1] or value[0] < 0):
            raise UserError('%s=%s: want (low, high), neither negative' % (name, value))
    for name in POSITIVE:
        if getattr(cfg, name) <= 0:
            raise UserError('%s=%g: want a number above 0' % (name, getattr(cfg, name)))
    if cfg.LEVEL[0] <= 0 or cfg.BOUTON_SPACING[0] <= 0:
        raise UserError('LEVEL=%s, BOUTON_SPACING=%s: want both above 0'
                        % (cfg.LEVEL, cfg.BOUTON_SPACING))
    diagonal = float(np.linalg.norm(cfg.VOXEL_SIZE)) / 2
    if cfg.RADIUS[0] < diagonal:
        raise UserError('RADIUS=%s: want at least half a voxel diagonal, %.2f um, or axons break '
                        'up in the label' % (cfg.RADIUS, diagonal))
    values = settings.Settings(*[config.pick(cfg, group) for group in settings.GROUPS])
    axons.grow(values.stack, values.axons, rng=np.random.default_rng(0))     # one must fit
    return values


def make(output, name, *, values, seed):
    """Draw one stack and write it; a line that says what is in it.

    Args:
        name: such as '0001'; values: settings.Settings; seed: numpy SeedSequence.
    """
    phantom = render(values, rng=np.random.default_rng(seed))
    folder.write(output, name, phantom=phantom, voxel_size=values.stack.voxel_size)
    return '%s: %d neurons, %.1f%% of the voxels, grey levels %d (median) to %d (99.9%%)' % (
        folder.image_path(output, name), len(phantom.trees), 100 * phantom.label.mean(),
        np.median(phantom.image), np.percentile(phantom.image, 99.9))


def main():
    cfg = config.load('configs/demo/phantom.py', sys.argv[1:], description=__doc__)
    values, begun = check(cfg), time.time()
    owner = folder.owner(cfg.OUTPUT, cfg.N_STACKS)
    claims.check(cfg.OUTPUT, owner)
    if cfg.OVERWRITE and claims.differences(cfg.OUTPUT, vars(cfg), may_change=MAY_CHANGE):
        # before the claim: a kill in between is harmless
        folder.clear_all(cfg.OUTPUT, owner)
    claims.claim(cfg.OUTPUT, vars(cfg), owner=owner, may_change=MAY_CHANGE,
                 overwrite=cfg.OVERWRITE)

    def job(index, seed):
        name = '%04d' % (index + 1)
        path = folder.image_path(cfg.OUTPUT, name)
        return batch.Job(name, path, finished=lambda: folder.finished(cfg.OUTPUT, name),
                         make=lambda: make(cfg.OUTPUT, name, values=values, seed=seed))

    seeds = np.random.SeedSequence(cfg.SEED).spawn(cfg.N_STACKS)
    outcome = batch.run([job(i, seed) for i, seed in enumerate(seeds)], strict=True)
    print('%d phantom stacks made, %d kept, in %.1f s: %s'
          % (len(outcome.made), len(outcome.kept), time.time() - begun,
             os.path.join(cfg.OUTPUT, 'images')))


if __name__ == '__main__':
    errors.run(main)
