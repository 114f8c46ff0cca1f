"""Data of the comparisons: a phantom where none is given, and pairs by the earlier scripts."""
import glob
import os
import subprocess
import sys

from utils.common import config, files
from utils.common.errors import UserError
from utils.data import stacks


def load(configs, argv, *, small, description):
    """The constants; without data and without a config those of the phantom's small edition.

    Args:
        configs: as of config.load; argv: arguments; small: path of the small edition.
        description: as of config.load.
    """
    cfg = config.load(configs, argv, description=description)
    if cfg.REAL or any(argument.startswith('--config') for argument in argv):
        return cfg
    print('no REAL: the phantom, with %s' % small)
    return config.load(configs, ['--config', small] + list(argv))


def find_data(cfg):
    """Paths of the data that are given, or of a phantom, drawn here: its third stack is labelled.

    Returns:
        (stacks of the domain, labelled stack, its labels).

    Raises:
        UserError: some are given and some are not.
    """
    given = (cfg.REAL, cfg.LABELLED, cfg.ANNOTATION)
    if all(given):
        return given
    if any(given):
        raise UserError('REAL, LABELLED and ANNOTATION go together: give all three, or none for '
                        'the phantom')
    folder = os.path.join(cfg.DATA, 'phantom')
    script('-m', 'utils.simulate.phantom', 'OUTPUT=%s' % folder,
           'SHAPE=%d,%d,%d' % tuple(cfg.PHANTOM_SHAPE))
    images = stacks.find(os.path.join(folder, 'images'))
    return (os.path.join(glob.escape(folder), 'images', '000[12].tif'), images[2],
            os.path.join(folder, 'truth', 'labels', os.path.basename(images[2])))


def make_pairs(cfg, real, *, folders):
    """Run the earlier scripts; each finds what it has done already.

    Makes DATA/patches, then DATA/paper (drafts with the paper's constants), DATA/drafts (with the
    priors measured on `real`) and these refined: DATA/mpgan, and DATA/simgan without the
    label-preserving loss. 8- or 16-bit as the real stacks.

    Args:
        real: stacks, folder, file or pattern; folders: set of the names that are wanted.

    Raises:
        UserError: a script fails.
    """
    def at(name, root=cfg.DATA):
        return os.path.join(root, name)

    if not folders:
        return
    bits = measure(cfg, real)
    measured = 'PRIORS=%s' % at('patches/priors.json')
    common = ['N_STACKS=%d' % cfg.N_DRAFTS, 'AXON_SHARE=1', 'BITS=%d' % bits,
              'VOLUME_SHAPE=%d,%d,%d' % tuple(cfg.DRAFT_SHAPE)]
    if 'paper' in folders:
        script('1_simulator.py', *common, 'PRIORS=None', 'OUTPUT=%s' % at('paper'))
    if folders - {'paper'}:
        script('1_simulator.py', *common, measured, 'DENSITY=%g' % cfg.DRAFT_DENSITY,
               'OUTPUT=%s' % at('drafts'))
    refined = [name for name in ('mpgan', 'simgan') if name in folders]
    if refined:                              # a refiner learns from drafts as dense as the patches
        script('1_simulator.py', *common, measured, 'OUTPUT=%s' % at('matched'))
    for name in refined:
        settings = ['--config', 'configs/demo/mpgan.py', 'MAX_STEPS=%d' % cfg.REFINER_STEPS]
        settings += ['LAMBDA_LABEL=0'] if name == 'simgan' else []
        settings += ['REAL_PATCHES=%s' % at('patches/real.h5'), 'THREADS=%d' % cfg.THREADS,
                     'RUN_DIR=%s' % at('refiner_' + name, cfg.RUNS)]
        script('2_mpgan.py', *settings, 'STAGE=train', 'DRAFTS=%s' % at('matched'))
        script('2_mpgan.py', *settings, 'STAGE=refine', 'DRAFTS=%s' % at('drafts'),
               'OUTPUT=%s' % at(name))


def measure(cfg, real, *, arguments=()):
    """Run step 0 into DATA/patches; returns the bits of the real stacks, 8 or 16.

    Args:
        real: stacks, folder, file or pattern; arguments: more of prepare_patches.py.
    """
    folder = os.path.join(cfg.DATA, 'patches')
    small = [] if cfg.REAL else ['--config', 'configs/demo/prepare_patches.py']
    script('prepare_patches.py', *small, 'STACKS=%s' % real, 'OUTPUT=%s' % folder,
           'CALIBRATION_ROUNDS=%d' % cfg.CALIBRATION_ROUNDS, *arguments)
    priors = files.read_json(os.path.join(folder, 'priors.json'))
    return 8 if priors.get('dtype_max') == 255 else 16


def script(*arguments):
    """Run one of the project's scripts, as a user would.

    Raises:
        UserError: if it fails; what it said stands above.
    """
    command = list(arguments)
    if command[0] != '-m':
        command[0] = config.rooted(command[0])
    print('\n$ python %s' % ' '.join(arguments))
    environment = dict(os.environ, PYTHONPATH=config.ROOT)
    if subprocess.call([sys.executable] + command, env=environment):
        raise UserError('%s failed (see above): set right what it names and run the same command '
                        'again, what is done is kept; or, for other data or settings, give another '
                        'DATA and RUNS' % ' '.join(arguments[:2]))
