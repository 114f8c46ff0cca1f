"""A trial draft for the calibration: small, drawn from the priors that are tried."""
import numpy as np

from utils.simulate import drafts, priors
from utils.simulate.settings import resolve

SHAPE = 128, 192, 192           # voxels, as wide as the real stacks' along each axis


def draw(measured, drawn, *, settings, seed=0):
    """Draw axons alone, as dense and bright as `drawn` says.

    Args:
        measured: pooled measurements of the real stacks, contents of priors.json but for `drawn`.
        drawn: dict of what is tried, the entry `drawn` of priors.json.
        settings: settings.Settings, not resolved; the shape, the bits and the kind of neuron do
        not count. seed: of the draft.

    Returns:
        uint8 or uint16 [Z, Y, X], grey levels.
    """
    known = dict(measured, drawn=drawn, backgrounds=None)    # measured ones are compared pooled
    bits = 8 if measured['dtype_max'] == 255 else 16
    values = resolve(settings._replace(
        stack=settings.stack._replace(bits=bits),
        neuron=settings.neuron._replace(axon_share=1.0, soma_shape='ball')), known)
    size = np.asarray(values.stack.voxel_size)
    shape = tuple(int(n * s) for n, s in zip(SHAPE, size / size[2]))
    values = values._replace(stack=values.stack._replace(volume_shape=shape))
    prior = priors.of(values.stack, values.neuron, measured=known, number=seed)
    return drafts.draw(values, prior, rng=np.random.default_rng(seed)).image
