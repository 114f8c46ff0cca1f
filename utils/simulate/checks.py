"""Checks of a draft's settings: against each other, and against the priors."""
import numpy as np

from utils.common.errors import UserError
from utils.data import stacks
from utils.simulate.settings import AUTO, SOMA_SHAPES, grid, resolve

MOST_VOXELS = 1e10           # of a stack; more is a mistake


def check(settings, measured, *, source='priors.json'):
    """Check settings against each other and against the priors.

    Args:
        settings: Settings, not resolved; measured: contents of priors.json, or None.
        source: path of priors.json, for messages.

    Raises:
        UserError: naming the first constant that cannot work.
    """
    _check_auto(settings)
    stack, neuron = settings.stack, settings.neuron
    if stack.bits not in (8, 16):
        raise UserError('BITS=%d: want 8 or 16' % stack.bits)
    if 0 < settings.camera.gain < 1e-3:
        raise UserError('GAIN=%g: want 0, or at least 0.001 grey levels a photon'
                        % settings.camera.gain)
    if 0 < settings.camera.saturation < 1:
        raise UserError('SATURATION=%g: want 0, or at least 1 grey level'
                        % settings.camera.saturation)
    for name in ('branch_length', 'soma_radius'):
        low, high = getattr(neuron, name)
        if not 0 < low <= high:
            raise UserError('%s=%s: want two positive numbers, the smaller first'
                            % (name.upper(), (low, high)))
    shape = _check_size(resolve(settings, measured).stack)
    window = settings.patches.patch_shape
    if any(p > n for p, n in zip(window, shape)):
        raise UserError('PATCH_SHAPE %s is larger than the written stack %s: take a larger '
                        'VOLUME_SHAPE' % (window, shape))
    if (neuron.axon_share < 1 and not neuron.swc_dir
            and min(stack.volume_shape) < 2 * neuron.soma_radius[1] + 1):
        raise UserError('VOLUME_SHAPE %s is too small for a soma of radius %g: take a larger one '
                        'or AXON_SHARE=1' % (stack.volume_shape, neuron.soma_radius[1]))
    if measured is not None:
        _check_measured(stack, measured, source=source)


def _check_size(stack):
    """(z, y, x) voxels of the written stack; raises UserError for sizes that no machine draws."""
    if not stacks.is_voxel_size(stack.voxel_size):
        raise UserError('VOXEL_SIZE=%s: want three numbers above 0, um (z, y, x), of at most %g, '
                        'not too unlike' % (tuple(stack.voxel_size), stacks.LARGEST))
    shape, _ = grid(stack)
    for name, sides in (('VOLUME_SHAPE', stack.volume_shape), ('the written stack', shape)):
        if np.prod([float(n) for n in sides]) > MOST_VOXELS:
            raise UserError('%s %s is more than %g voxels: take a smaller VOLUME_SHAPE or other '
                            'VOXEL_SIZE' % (name, tuple(sides), MOST_VOXELS))
    return shape


def _check_auto(settings):
    """Raise UserError for a constant that may be 'auto' and has a value that it cannot have."""
    for group in settings:
        for name, value in group._asdict().items():
            auto = AUTO.get(name)
            if auto is None or value == 'auto' or _fits(value, auto):
                continue
            raise UserError("%s=%s: want %s, or 'auto'" % (name.upper(), value, _wanted(auto)))


def _fits(value, auto):
    """True if a value is as many numbers as wanted, in their range, a pair in order."""
    if auto.count == 0:
        return value in SOMA_SHAPES
    numbers = value if isinstance(value, (tuple, list)) else (value,)
    return (len(numbers) == auto.count
            and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in numbers)
            and all(auto.low is None or v >= auto.low for v in numbers)
            and all(auto.high is None or v <= auto.high for v in numbers)
            and (auto.count != 2 or numbers[0] <= numbers[1]))


def _wanted(auto):
    """Words for the values that a constant may have."""
    if auto.count == 0:
        return ' or '.join(map(repr, SOMA_SHAPES))
    words = {1: 'a number', 2: 'two numbers, the smaller first,', 3: 'three numbers (z,y,x)'}
    span = '' if auto.low is None else ' of at least %g' % auto.low
    return words[auto.count] + span + ('' if auto.high is None else ' and at most %g' % auto.high)


def _check_measured(stack, measured, *, source):
    """Raise UserError if the stack's voxels or bits are not those of the measured stacks."""
    size, top = measured.get('voxel_size'), measured.get('dtype_max')
    if size and stack.voxel_size != 'auto' and not np.allclose(stack.voxel_size, size, rtol=0.01):
        raise UserError("VOXEL_SIZE=%s: %s was measured on voxels of %s um: leave it 'auto'"
                        % (stack.voxel_size, source, tuple(size)))
    bits = 8 if top == 255 else 16
    if top and bits != stack.bits:
        raise UserError('%s was measured on %d-bit stacks: BITS=%d' % (source, bits, bits))
