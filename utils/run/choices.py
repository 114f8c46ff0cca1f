"""Constants chosen from the stacks and the machine, each with its reason."""
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

SMALL, FULL = 'small', 'full'            # editions
PATCHES_WANTED = 400                     # training patches of all drafts: the demo has 271
PATCHES_A_DRAFT = 60                     # at least: fewer come from few places
PATCH_EVERY = 8, 20                      # centreline voxels for a patch: small drafts, others
DENSITY_FACTOR = 2                       # times the measured density, with DIM_NEURITES: the best
                                         # of those tried on phantoms (docs/results.md)
CROWDED = 0.5                            # share of the stacks by their density, at least, that
                                         # makes all crowded, about as in utils/measure/pool.py
WIDTH_LEVEL = 0.5                        # of labels there: full width at half maximum
MOST_PATCHES = 200                       # of a draft, as MAX_PATCHES of configs/simulator.py
DRAFTS = 6, 12                           # stacks of the small edition; one in seven is held out
FULL_DRAFTS, FULL_VOLUME = 20, (256, 512, 256)           # of configs/simulator.py
SIDES = 128, 160, 192, 224, 256          # isotropic voxels of a small draft along y and x
SHORTEST = 96                            # isotropic voxels of it along z
BRANCH = 14 / 128, 22 / 128              # length of a branch over the side, as in the demo
UNLIKE = 2.0                             # ratio of contrasts from which stacks are of unlike kind
BLOCK = 76                               # voxels of a critic's blocks, as CRITIC_BLOCK
# constants that have the same name in two scripts -> that name, and of which step
STEPS_OF = {'REFINER_STEPS': ('MAX_STEPS', ' of step 2'),
            'NETWORK_STEPS': ('MAX_STEPS', ' of step 3')}
STEPS = {SMALL: (600, 400), FULL: (20000, 400)}          # of the refiner, of the network


class Choice(NamedTuple):
    """A constant's value and why."""
    value: object
    reason: str


def choose(survey, machine, *, edition='auto', judge='auto', patch_shape=(32, 64, 64)):
    """Choose.

    Args:
        survey: survey.Survey; machine: machine.Machine.
        edition, judge: of configs/run.py; patch_shape: (z, y, x) voxels.

    Returns:
        OrderedDict: name of a constant, or EDITION and JUDGE -> Choice.
    """
    found = OrderedDict()
    if edition == 'auto':
        edition = FULL if machine.gpus else SMALL
        found['EDITION'] = Choice(edition, machine.said)
    else:
        found['EDITION'] = Choice(edition, 'as given')
    first = survey.kinds[0]
    found['BITS'] = Choice(first.bits, 'the stacks have %d bits' % first.bits)
    found['VOXEL_SIZE'] = _voxel_size(first.voxel_size)
    found['AXON_SHARE'] = _axon_share(survey.looks)
    found.update(_neurites(survey.looks))
    density = float(np.mean([look.density for look in survey.looks]))
    found.update(_volume(edition, density, patch_shape=patch_shape,
                         spacing=_spacing(first.voxel_size),
                         factor=found['DENSITY_FACTOR'].value))
    found['REFINER_STEPS'], found['NETWORK_STEPS'] = [
        Choice(steps, 'steps of the %s edition: %s' % (edition, words)) for steps, words in zip(
            STEPS[edition], ('configs/%smpgan.py' % ('demo/' * (edition == SMALL)),
                             'configs/segmentation.py'))]
    found['AUGMENT_SNR'] = _snr(survey.looks)
    found['JUDGE'] = _judge(survey.kinds, judge)
    return found


def _spacing(voxel_size):
    """(z, y, x) of a voxel in x voxels."""
    return np.ones(3) if voxel_size is None else np.asarray(voxel_size) / voxel_size[2]


def _voxel_size(size):
    if size is None:
        return Choice('auto', 'the files tell no voxel size: cubes are assumed; if z is coarser, '
                      'tell it in Fiji (Image > Properties) and save')
    return Choice('auto', 'the files tell %s um (z, y, x)' % ' x '.join('%g' % v for v in size))


def _axon_share(looks):
    """Half of the drafts begin with a dendrite and its soma if there are somata."""
    seen = sum(look.somata for look in looks)
    if seen:
        return Choice(0.5, '%d somata seen: round, three times as thick as neurites, as bright'
                      % seen)
    return Choice(1.0, 'no soma seen: nothing round, three times as thick as neurites, as bright')


def _neurites(looks):
    """How many neurites, and how wide their labels; dict of Choice."""
    weights = [max(look.density, 1e-9) for look in looks]
    if np.average([look.crowded for look in looks], weights=weights) < CROWDED:
        return OrderedDict([
            ('DENSITY_FACTOR', Choice(DENSITY_FACTOR,
                                      'crowded drafts train networks that find more')),
            ('DIM_NEURITES', Choice(True, "neurites dimmer than OTSU's threshold are drawn, too"))])
    reason = "crowded: the dim ones, too, are measured, down to half of OTSU's threshold"
    return OrderedDict([
        ('DENSITY_FACTOR', Choice(1, reason)), ('DIM_NEURITES', Choice(False, reason)),
        ('LABEL_WIDTH_LEVEL', Choice(WIDTH_LEVEL, 'crowded: wider masks of neighbours would '
                                                  'merge'))])


def _volume(edition, density, *, patch_shape, spacing, factor):
    """Size and number of the drafts, of `factor` times the density; dict of Choice."""
    if edition == FULL:
        return OrderedDict([
            ('VOLUME_SHAPE', Choice(FULL_VOLUME, "the paper's")),
            ('N_STACKS', Choice(FULL_DRAFTS, 'of the full edition'))])
    deep = max(SHORTEST, int(16 * np.ceil(2 * patch_shape[0] * spacing[0] / 16)))
    wide = max(SHORTEST, int(2 * max(patch_shape[1] * spacing[1], patch_shape[2])))

    def patches(side, every):
        return min(MOST_PATCHES, density * deep * side ** 2 / every)

    fitting = [side for side in SIDES if side >= wide] or [wide]
    side = next((side for side in fitting if patches(side, PATCH_EVERY[1]) >= PATCHES_A_DRAFT),
                fitting[-1])
    every = PATCH_EVERY[patches(side, PATCH_EVERY[1]) >= PATCHES_A_DRAFT]
    expected = max(1.0, patches(side, every))
    count = int(np.clip(np.ceil(PATCHES_WANTED / expected), *DRAFTS))
    branch = tuple(int(round(side * share)) for share in BRANCH)
    return OrderedDict([
        ('VOLUME_SHAPE', Choice((deep, side, side), 'small drafts: twice a patch, and about %d '
                                'patches in each at %.5f voxels of centreline per voxel'
                                % (expected, density))),
        ('N_STACKS', Choice(count, 'about %d patches in all; one draft in seven is held out'
                            % (count * expected))),
        ('BRANCH_LENGTH', Choice(branch, 'longer ones leave drafts of this size')),
        ('PATCH_EVERY', Choice(factor * every, 'voxels of centreline for each patch'))])


def _snr(looks):
    """Wide augmentation of noise for stacks of unlike quality."""
    contrasts = [look.contrast for look in looks]
    if max(contrasts) > UNLIKE * min(contrasts):
        return Choice((0.1, 1.0), 'stacks of unlike quality: contrast from %.1f to %.1f noise '
                      'levels' % (min(contrasts), max(contrasts)))
    return Choice((1.0, 1.0), 'stacks of like quality: contrast %.1f noise levels'
                  % np.mean(contrasts))


def _judge(kinds, judge):
    """Critics need stacks or blocks to hold out."""
    if judge != 'auto':
        return Choice(judge, 'as given')
    if len(kinds) > 1:
        return Choice('yes', 'critics can hold out some of the %d stacks' % len(kinds))
    blocks = int(np.prod([max(1, n // BLOCK) for n in kinds[0].shape]))
    if blocks >= 8:
        return Choice('yes', 'the stack holds %d blocks of %d voxels a side' % (blocks, BLOCK))
    return Choice('no', 'the stack holds %d blocks of %d voxels a side; critics need 8'
                  % (blocks, BLOCK))
