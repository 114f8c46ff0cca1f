"""Stacks whose trees are known, for benchmarks of tracing: phantoms and drafts."""
from types import SimpleNamespace

from utils.common import config
from utils.data import swc
from utils.simulate import drafts, priors, settings
from utils.simulate.phantom import settings as phantom_settings
from utils.simulate.phantom.stack import render


def phantom(constants, rng):
    """(image, label, gold, voxel size) of a phantom."""
    values = picked(constants, phantom_settings)
    made = render(values, rng=rng)
    return made.image, made.label, swc.join(made.trees), constants['VOXEL_SIZE']


def simulate(constants, rng):
    """(image, label, gold, voxel size) of a draft."""
    values = settings.resolve(picked(constants, settings), None)
    prior = priors.of(values.stack, values.neuron, measured=None)
    made = drafts.draw(values, prior, rng=rng)
    return made.image, made.label > 0, made.tree, values.stack.voxel_size


def picked(constants, module):
    """Settings of a module that groups them."""
    cfg = SimpleNamespace(**constants)
    return module.Settings(*[config.pick(cfg, group) for group in module.GROUPS])
