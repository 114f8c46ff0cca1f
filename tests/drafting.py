"""Small drafts for the tests of the simulator."""
from types import SimpleNamespace

import numpy as np

from utils.common import config
from utils.simulate import drafts, priors, settings

CONSTANTS = config.read_constants(config.rooted('configs/simulator.py'))
SMALL = dict(PRIORS=None, VOLUME_SHAPE=(64, 96, 80), BRANCH_LENGTH=(12, 18),
             SOMA_RADIUS=(4.0, 6.0), PATCH_SHAPE=(16, 24, 24))


def given(**constants):
    """Settings of a small stack, not resolved, with some constants replaced."""
    assert not set(constants) - set(CONSTANTS)
    cfg = SimpleNamespace(**dict(CONSTANTS, **dict(SMALL, **constants)))
    return settings.Settings(*[config.pick(cfg, group) for group in settings.GROUPS])


def settings_of(measured=None, **constants):
    """The same, resolved."""
    return settings.resolve(given(**constants), measured)


def draw(seed=0, *, measured=None, psf=None, **constants):
    """A small draft; the paper's, but for the constants given."""
    values = settings_of(measured, **constants)
    prior = priors.of(values.stack, values.neuron, measured=measured, number=seed)
    return drafts.draw(values, prior, rng=np.random.default_rng(seed), psf=psf)


def papers_radius(rng, depth):
    """A radius as the paper draws it: U(1, 3) x 0.9^depth, voxels."""
    return rng.uniform(1, 3) * 0.9 ** depth


def constant(radius):
    """A function that draws this radius always."""
    return lambda rng, depth: radius
