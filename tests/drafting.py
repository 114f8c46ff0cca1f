"""Small drafts for the tests of the simulator."""
from types import SimpleNamespace

import numpy as np

from utils.common import config
from utils.simulate import drafts, priors, settings

SMALL = dict(PRIORS=None, VOLUME_SHAPE=(64, 96, 80), BRANCH_LENGTH=(12, 18),
             SOMA_RADIUS=(4.0, 6.0), PATCH_SHAPE=(16, 24, 24))


def settings_of(measured=None, **constants):
    """Resolved settings of a small stack with some constants replaced."""
    known = config.read_constants(config.rooted('configs/simulator.py'))
    assert not set(constants) - set(known)
    cfg = SimpleNamespace(**dict(known, **dict(SMALL, **constants)))
    groups = [config.pick(cfg, group) for group in settings.GROUPS]
    return settings.resolve(settings.Settings(*groups), measured)


def draw(seed=0, *, measured=None, psf=None, **constants):
    """A small draft; the paper's, but for the constants given."""
    values = settings_of(measured, **constants)
    prior = priors.of(values.stack, values.neuron, measured=measured)
    return drafts.draw(values, prior, rng=np.random.default_rng(seed), psf=psf)
