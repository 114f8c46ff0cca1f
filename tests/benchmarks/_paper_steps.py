"""Steps of the paper's experiment, by the numbered scripts: drafts, refiners, networks, critics."""
import os
from collections import OrderedDict, namedtuple
from typing import NamedTuple, Tuple

import numpy as np

import _paper_tables
from utils.common import batch, claims, config, files
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.train import checkpoints, critic

NETWORK = 'configs/segmentation.py'

# The paper's model with measured grey levels alone: constants of 1_simulator.py. A stack holds one
# neuron, with one of the measured levels
SPARSE = ('TORTUOSITY=1', 'DENSITY=0', 'STAINED_SHARE=0.5', 'PSF_WING_SHARE=0', 'FLATNESS=0',
          'EDGE=0', 'LEVEL_DRIFT=0', 'DEBRIS=1024', 'TEXTURE=0', 'SOMA_SHAPE=ball', 'RADIUS=1,3',
          'GLOW=0,0,0', 'LIGHT_NOISE=0', 'EVEN_PATCHES=0')
DRAFTS = OrderedDict([
    ('paper', SPARSE), ('measured', ()), ('no_internal', SPARSE + ('INTERNAL_PRIORS=False',)),
    ('no_external', SPARSE + ('EXTERNAL_PRIORS=False',))])
REFINERS = {'raw': None, 'simgan': ('LAMBDA_LABEL=0',), 'mpgan': ()}     # constants of 2_mpgan.py
AUGMENTATIONS = {                                                        # of 3_segmentation.py
    'plain': ('AUGMENT_PUNCTA=0', 'AUGMENT_HAZE=0', 'AUGMENT_BLUR=0', 'AUGMENT_SNR=1,1',
              'AUGMENT_CONTRAST=1,1', 'AUGMENT_GAMMA=0', 'AUGMENT_OFFSET=0', 'AUGMENT_NOISE=0'),
    'augmented': ()}

# Constants that may differ between runs into one RUNS: data is told by its contents
MAY_CHANGE = ('REAL', 'LABELLED', 'ANNOTATION', 'DATA', 'RUNS', 'RESULTS', 'ARMS', 'SEED', 'SEEDS',
              'CRITIC', 'WORKERS', 'THREADS', 'PROBABILITY_THRESHOLD', 'TILE_SHAPE', 'STAGE',
              'PAIRS', 'RUN_DIR', 'INPUT', 'OUTPUT', 'OUTPUT_FORMAT', 'CHANNEL', 'BLOCK_SHAPE',
              'SAMPLE_BLOCKS', 'EMPTY_BELOW', 'DASK')

# stack: path of the labelled stack; annotation: masks.Annotation; bits: of the real stacks
Data = namedtuple('Data', 'stack annotation bits')


class Chain(NamedTuple):
    """What is done one after the other: a refiner, its patches, networks trained on them."""
    drafts: str                          # of DRAFTS
    refiner: str                         # of REFINERS
    augmentations: Tuple[str, ...]       # of AUGMENTATIONS, a network each
    seed: int

    @property
    def name(self):
        return '%s-%s-%d' % (self.drafts, self.refiner, self.seed)


def claim(cfg):
    """Note the constants in RUNS. Raises UserError: what lies there was made with others."""
    claims.claim(cfg.RUNS, vars(cfg), may_change=MAY_CHANGE,
                 cure='give another DATA, RUNS and RESULTS')


def make_drafts(cfg, kind, *, bits, jobs):
    """Draw the drafts of a kind into DATA/KIND, see DRAFTS."""
    priors = os.path.join(cfg.DATA, 'patches', 'priors.json')
    voxel = (files.read_json(priors).get('voxel_size') or (1, 1, 1))[2]
    sparse = DRAFTS[kind] and DRAFTS[kind] + ('PSF_SIGMA=%g,%g,%g' % ((voxel,) * 3),)
    arguments = ['PRIORS=%s' % priors, 'OUTPUT=%s' % os.path.join(cfg.DATA, kind), 'AXON_SHARE=1',
                 'N_STACKS=%d' % (cfg.N_SPARSE if sparse else cfg.N_MEASURED), 'BITS=%d' % bits,
                 'VOLUME_SHAPE=%d,%d,%d' % tuple(cfg.DRAFT_SHAPE), 'WORKERS=%d' % cfg.WORKERS,
                 'PATCH_SHAPE=%d,%d,%d' % tuple(cfg.PATCH_SHAPE)]
    arguments += tuple(cfg.DRAFT_ARGS.split()) + sparse
    jobs.script(kind, ['1_simulator.py'] + arguments, kind='drafts',
                constants=constants_of('configs/simulator.py', arguments),
                inputs=[files.read_json(priors)], target=pairs_at(cfg, kind))


def refine(cfg, chain, *, jobs):
    """Train a refiner and refine its drafts' patches; returns their patch file."""
    run_dir = os.path.join(cfg.RUNS, 'refiners', chain.name)
    output = os.path.join(cfg.DATA, 'refined', chain.name)
    pairs, real = pairs_at(cfg, chain.drafts), os.path.join(cfg.DATA, 'patches', 'real.h5')
    common = refiner_arguments(cfg) + list(REFINERS[chain.refiner])
    common += ['REAL_PATCHES=%s' % real, 'DRAFTS=%s' % os.path.dirname(pairs),
               'RUN_DIR=%s' % run_dir, 'SEED=%d' % chain.seed, 'THREADS=%d' % cfg.THREADS]
    _refuse_longer(run_dir, cfg.REFINER_STEPS)
    key = [digest_of(real), digest_of(pairs)]
    for kind, more, target in (
            ('refiner', ['STAGE=train'], os.path.join(run_dir, 'checkpoints')),
            ('refining', ['STAGE=refine', 'WHOLE_STACKS=False', 'OUTPUT=%s' % output],
             pairs_at(cfg, chain.drafts, refined=chain.name))):
        key = [jobs.script(chain.name, ['2_mpgan.py'] + common + more, kind=kind, inputs=key,
                           constants=constants_of('configs/mpgan.py', common + more),
                           target=target)]
    return target


def segment(cfg, chain, *, augmentation, pairs, data, jobs):
    """Train a network on a patch file, map the labelled stack; float32 [Z, Y, X] in [0, 1]."""
    name = '%s-%s-%s-%d' % (chain.drafts, chain.refiner, augmentation, chain.seed)
    run_dir = os.path.join(cfg.RUNS, 'networks', name)
    common = network_arguments(cfg) + list(AUGMENTATIONS[augmentation])
    common += ['RUN_DIR=%s' % run_dir, 'SEED=%d' % chain.seed]
    output = os.path.join(run_dir, 'map')
    target = os.path.join(output, stacks.name_of(data.stack) + '.prob.tif')
    _refuse_longer(run_dir, cfg.MAX_STEPS)
    key = [digest_of(pairs)]
    for kind, more, made in (
            ('network', ['STAGE=train', 'PAIRS=%s' % pairs], os.path.join(run_dir, 'checkpoints')),
            ('map', ['STAGE=predict', 'INPUT=%s' % data.stack, 'OUTPUT=%s' % output], target)):
        key = [jobs.script(name, ['3_segmentation.py'] + common + more, kind=kind, inputs=key,
                           constants=constants_of(NETWORK, common + more), target=made),
               batch.file_key(data.stack)]
    return stacks.read(target).voxels.astype(np.float32) / 255


def _refuse_longer(run_dir, steps):
    """Raise UserError for a training of more steps than are asked for: it would serve as it is."""
    path = checkpoints.newest(run_dir)
    if path and checkpoints.step_of(path) > steps:
        raise UserError('%s was trained for %d steps, not %d: give another RUNS'
                        % (run_dir, checkpoints.step_of(path), steps))


def judge(cfg, chain, *, jobs):
    """A chain's patches in numbers: what critics make of them, labels kept; see _paper_tables.

    A chain of real patches gives the floor: real against real.
    """
    row = dict(drafts=chain.drafts, refiner=chain.refiner, seed=chain.seed)
    judged = real = os.path.join(cfg.DATA, 'patches', 'real.h5')
    if chain.refiner != _paper_tables.REAL:
        refined = chain.name if REFINERS[chain.refiner] is not None else None
        judged = pairs_at(cfg, chain.drafts, refined=refined)
        row.update(_kept(cfg, chain))
    if cfg.CRITIC:
        output = os.path.join(cfg.RUNS, 'critics', chain.name + '.json')
        told = [real, judged, str(chain.seed), str(cfg.THREADS), output]
        jobs.script(chain.name, [os.path.join('tests', 'benchmarks', '_judge.py')] + told,
                    kind='critic', constants=told,
                    inputs=[digest_of(path) for path in (real, judged)], target=output)
        row.update(verdicts_of(output))
    return row


def _kept(cfg, chain):
    """Labels kept by the checkpoint that refined a chain's patches, or of the drafts; dict."""
    run_dir = os.path.join(cfg.RUNS, 'refiners', chain.name)
    if REFINERS[chain.refiner] is None:
        return _paper_tables.labels_of_drafts([
            os.path.join(cfg.RUNS, 'refiners', chain._replace(refiner=name).name)
            for name in REFINERS])
    best = checkpoints.best(run_dir) if cfg.REFINER_CHECKPOINT == 'best' else None
    used = checkpoints.step_of(best or checkpoints.newest(run_dir))
    return dict(_paper_tables.labels_kept(run_dir, used), step=used)


def verdicts_of(path):
    """What _judge.py wrote: accuracies in testing and training at each scale, and notes; dict."""
    said, found = files.read_json(path), {}
    notes = ['%s: none' % scale for scale in critic.SCALES if scale not in said]
    for scale, verdict in said.items():
        found.update({scale: verdict['accuracy'], scale + '_train': verdict['train_accuracy']})
        notes += ['%s: has learnt nothing' % scale] * (verdict['train_accuracy'] < critic.TOLD)
        notes += ['%s: not settled' % scale] * (not verdict['settled'])
    return dict(found, notes=', '.join(notes))


def pairs_at(cfg, drafts, *, refined=None):
    """Path of the patch file of drafts, or of a chain that refined them."""
    return os.path.join(cfg.DATA, *(('refined', refined) if refined else (drafts,)) + (
        'patches.h5',))


def digest_of(path):
    """Digest of a patch file's patches."""
    file = patches.PatchFile(path)
    file.file.close()
    return file.digest


def constants_of(path, arguments):
    """All constants that a script is run with; dict."""
    return vars(config.load(path, arguments))


def refiner_arguments(cfg):
    """Arguments of 2_mpgan.py that all refiners have."""
    return ['--config', cfg.REFINER_CONFIG] + cfg.REFINER_ARGS.split() + [
        'MAX_STEPS=%d' % cfg.REFINER_STEPS, 'CHECKPOINT=%s' % cfg.REFINER_CHECKPOINT]


def network_arguments(cfg):
    """Arguments of 3_segmentation.py that all networks have: constants that were changed."""
    defaults = config.read_constants(config.rooted(NETWORK))
    return ['%s=%s' % (name, getattr(cfg, name)) for name, value in defaults.items()
            if getattr(cfg, name) != value and name not in ('LABELLED', 'ANNOTATION', 'SEED')]
