"""The steps of a run as commands: each script with its arguments."""
import os
import shlex
import sys
from typing import NamedTuple

from utils.common import config
from utils.common.errors import UserError

# folders and inputs that a run sets itself
OWN = ('STACKS', 'OUTPUT', 'PRIORS', 'REAL_PATCHES', 'DRAFTS', 'RUN_DIR', 'PAIRS', 'INPUT',
       'IMAGES', 'STAGE', 'OVERWRITE', 'CHANNEL')
FIGURES = 'patches,priors,simulator,drafts,panel,refining,stack,curves,levels,framework,traces'
# constants that are chosen of the drafts and of the network; a run begun before one was, lacks it
DRAFTS = ('BITS', 'AXON_SHARE', 'DENSITY_FACTOR', 'DIM_NEURITES', 'N_STACKS', 'VOLUME_SHAPE',
          'BRANCH_LENGTH', 'PATCH_EVERY')
NETWORK = 'AUGMENT_SNR', 'LABEL_WIDTH_LEVEL'
SMALL_REFINER = os.path.join('configs', 'demo', 'mpgan.py')      # of the small edition


class Places(NamedTuple):
    """Folders of a run."""
    stacks: str              # folder, file or pattern of the user's stacks
    patches: str             # of step 0
    drafts: str              # of step 1
    refined: str             # of step 2
    refiner: str             # its training
    segmented: str           # of step 3
    network: str             # its training
    traces: str              # of step 4
    figures: str
    results: str             # of the run itself: choices, log, report; the page


class Step(NamedTuple):
    """A script with its arguments."""
    name: str                # 'patches', 'drafts', ...
    script: str              # relative to the project's root
    arguments: tuple
    what: str                # what it does, in a few words
    given: str = ''          # constant of configs/run.py that holds more arguments for it
    mends: str = ''          # the one whose arguments mend what is found after it; '': given
    optional: bool = False   # its failure does not end the run


def places_of(name, stacks):
    """Places of a run; name: of its folders; stacks: see Places."""
    data, runs, results = [os.path.join(root, name) for root in ('data', 'runs', 'results')]
    return Places(stacks, *[os.path.join(data, part) for part in ('patches', 'simulated')],
                  refined=os.path.join(data, 'refined'), refiner=os.path.join(runs, 'mpgan'),
                  segmented=os.path.join(data, 'segmented'),
                  network=os.path.join(runs, 'segmentation'),
                  traces=os.path.join(results, 'traces'), figures=os.path.join(results, 'figures'),
                  results=results)


def split(name, text):
    """Arguments of a text NAME=VALUE NAME=VALUE, quoted as in a shell.

    Args:
        name: of the constant that holds it.

    Raises:
        UserError: it cannot be parted, is no NAME=VALUE, or names what a run sets itself.
    """
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise UserError('%s=%s: %s' % (name, text, error))
    for argument in found:
        constant = argument.split('=', 1)[0]
        if '=' not in argument or argument.startswith('-'):
            raise UserError("%s=%s: want NAME=VALUE joined by blanks, such as %s='SEED=2'"
                            % (name, text, name))
        if constant == 'CHANNEL':
            raise UserError('%s=%s: give CHANNEL to the run itself, for all steps' % (name, text))
        if constant in OWN:
            raise UserError('%s=%s: %s is set by the run itself: leave it out, or run the script '
                            'alone' % (name, text, constant))
    return tuple(found)


def steps(places, values, *, given, channel=0):
    """All steps in order.

    Args:
        places: Places; values: dict of the chosen constants, see choices.choose.
        given: dict: constant of configs/run.py -> arguments, see split.
        channel: of stacks with several.

    Returns:
        list of Step.
    """
    def step(name, script, *, own, chosen=(), more, **how):
        return Step(name, script, tuple(chosen) + given[more] + tuple(own), given=more, **how)

    which = ['CHANNEL=%d' % channel] * bool(channel)
    small = values['EDITION'] == 'small'
    refiner = ['--config', SMALL_REFINER] * small + ['MAX_STEPS=%d' % values['REFINER_STEPS']]
    pairs = ['REAL_PATCHES=' + os.path.join(places.patches, 'real.h5'), 'DRAFTS=' + places.drafts,
             'RUN_DIR=' + places.refiner, 'OUTPUT=' + places.refined]
    network = ['MAX_STEPS=%d' % values['NETWORK_STEPS']] + _arguments(NETWORK, values)
    drafts = _arguments(DRAFTS, values)
    found = [
        step('patches', 'prepare_patches.py', what='patches and priors of your stacks',
             own=['STACKS=' + places.stacks, 'OUTPUT=' + places.patches] + which,
             more='PATCH_ARGS'),
        step('drafts', '1_simulator.py', chosen=drafts, what='drafts with labels', own=[
            'PRIORS=' + os.path.join(places.patches, 'priors.json'),
            'OUTPUT=' + places.drafts], more='SIM_ARGS', mends='PATCH_ARGS'),
        _figure(places, 'look', figures='drafts', more=given['FIG_ARGS'],
                what='picture of the drafts'),
        step('refiner', '2_mpgan.py', chosen=refiner, own=pairs, more='GAN_ARGS',
             what='training of the refiner, refined drafts'),
        step('critics', '2_mpgan.py', chosen=refiner, own=['STAGE=judge'] + pairs, more='GAN_ARGS',
             what='critics of drafts and refined patches', optional=True),
        step('network', '3_segmentation.py', chosen=network, more='SEG_ARGS', own=[
            'PAIRS=' + places.refined, 'RUN_DIR=' + places.network],
            what='training of the segmentation network'),
        step('masks', '3_segmentation.py', chosen=network, more='SEG_ARGS', own=[
            'STAGE=predict', 'INPUT=' + places.stacks, 'RUN_DIR=' + places.network,
            'OUTPUT=' + places.segmented] + which, what='masks of your stacks'),
        step('traces', '4_reconstruction.py', what='traces of the masks', own=[
            'INPUT=' + places.segmented, 'IMAGES=' + places.stacks, 'OUTPUT=' + places.traces]
             + which, more='TRACE_ARGS')]
    if values['JUDGE'] != 'yes':
        found = [one for one in found if one.name != 'critics']
    return found + [_figure(places, name, figures=figures, more=given['FIG_ARGS'], what=what)
                    for name, figures, what in (('figures', FIGURES, 'figures'),
                                                ('page', 'gallery', 'one page of everything'))]


def _figure(places, name, *, figures, more, what):
    """A step that draws; figures: constant FIGURES; more: of FIG_ARGS."""
    own = ('PATCHES=' + places.patches, 'DRAFTS=' + places.drafts, 'REFINED=' + places.refined,
           'RUN_DIR=' + places.refiner, 'SEGMENTED=' + places.segmented,
           'SEGMENTATION_RUN=' + places.network, 'TRACES=' + places.traces,
           'RESULTS=' + places.results, 'OUTPUT=' + places.figures)
    return Step(name, 'make_figures.py', ('FIGURES=' + figures,) + more + own, what, 'FIG_ARGS',
                optional=True)


def _arguments(names, values):
    """NAME=VALUE of those constants that were chosen; list."""
    found = []
    for name in names:
        if name in values:
            value = values[name]
            numbers = value if isinstance(value, (tuple, list)) else (value,)
            found.append('%s=%s' % (name, ','.join(
                str(v) if isinstance(v, bool) else '%g' % v for v in numbers)))
    return found


# --- commands ---

def command(step):
    """Words of a step's command, for this Python and whatever folder it is run in."""
    return [sys.executable, config.rooted(step.script)] + list(step.arguments)


def text_of(step):
    """A step's command as a line for a shell, short where it runs in the project's folder."""
    python, script = sys.executable, config.rooted(step.script)
    here = os.path.realpath(os.getcwd()) == os.path.realpath(config.ROOT)
    if here:
        script = step.script
        if python.startswith(config.ROOT + os.sep):
            python = os.path.relpath(python, config.ROOT)
    return ' '.join(shlex.quote(word) for word in [python, script] + list(step.arguments))
