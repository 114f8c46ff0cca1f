"""Step 2: train the refiner on drafts and real patches, then refine the drafts.

Reads   data/patches/real.h5                    real patches (prepare_patches.py)
        data/simulated/                         drafts: patches.h5, images/ (1_simulator.py)
Writes  runs/mpgan/  checkpoints/, best.json, evaluation.json, events/ (TensorBoard), log.csv,
                    curves.png, preview_NNNNNN.png
        data/refined/  images/0001.tif ...      refined stacks; their labels are the drafts'
        data/refined/patches.h5                 refined training patches: image, label; these alone
                                                with WHOLE_STACKS=False
Run     python 2_mpgan.py                       resumes from the last checkpoint, refines the rest
        python 2_mpgan.py STAGE=refine INPUT=folder OUTPUT=folder      refines any stacks
        python 2_mpgan.py STAGE=pack OUTPUT=models/pretrained/x        the weights alone
        python 2_mpgan.py STAGE=judge           critics tell drafts and refined patches from real
                                                ones: runs/mpgan/judge.md, judge.json
        python 2_mpgan.py --config configs/demo/mpgan.py STAGE=train MAX_STEPS=500
        horovodrun -np 4 python 2_mpgan.py STAGE=train     on four GPUs, see docs/cluster.md
"""
from utils.common.errors import UserError    # first: Ctrl-C while the rest is imported is one line
import os
import sys

from models import gan
from utils.common import batch, claims, config, errors
from utils.data import stacks
from utils.train import (checkpoints, cluster, critic, judging, processes, refiner_training, runs,
                         volume_jobs, volume_steps)
from utils.train.domains import open_domains
from utils.train.refined import (check_folders, claim_folder, cut_patches, refine_patches,
                                 stack_job, target_of)
from utils.train.refiner import Refiner

CONFIG = 'configs/mpgan.py'
STAGES = ('train', 'refine', 'train+refine', 'pack', 'judge')
# Constants that may differ between runs into one RUN_DIR: how long, how often, where to, on what
MAY_CHANGE = ('STAGE', 'REAL_PATCHES', 'DRAFTS', 'RUN_DIR', 'INPUT', 'OUTPUT', 'MAX_STEPS',
              'LOG_EVERY', 'PREVIEW_EVERY', 'SAVE_EVERY', 'THREADS', 'TILE_SHAPE',
              'EVALUATE_EVERY', 'CHECKPOINT', 'XLA', 'WHOLE_STACKS', 'CRITIC_STEPS', 'CRITIC_SEEDS',
              'CRITIC_BLOCK', 'OUTPUT_FORMAT', 'BLOCK_SHAPE', 'CHANNEL', 'DASK', 'WORKERS')
FORMAT = 3                 # of runs: raised where an older one cannot go on


# --- stages ---

def train(cfg, ranks):
    """Train up to MAX_STEPS."""
    checkpoints.check_trainable(cfg.RUN_DIR)
    domains = open_domains(cfg.REAL_PATCHES, cfg.DRAFTS, checked=ranks.rank == 0)
    if 'refine' in cfg.STAGE:                            # said before the training
        check_folders(domains.drafts.path, cfg.OUTPUT)
    model = gan.Settings(*[config.pick(cfg, group) for group in gan.GROUPS])
    rest = [config.pick(cfg, group) for group in refiner_training.GROUPS]
    owner = claims.training('2_mpgan.py')
    claims.check(cfg.RUN_DIR, owner)                     # no lock is left in another's folder
    with runs.lock(cfg.RUN_DIR, ranks):
        if ranks.rank == 0:
            constants = dict(vars(cfg), REAL_DIGEST=domains.real.digest, BITS=domains.bits,
                             DRAFT_DIGEST=domains.drafts.digest, FORMAT=FORMAT)
            claims.claim(cfg.RUN_DIR, constants, owner=owner, may_change=MAY_CHANGE,
                         overwrite=checkpoints.newest(cfg.RUN_DIR) is None,
                         cure='give another RUN_DIR, or remove this one')
        refiner_training.train(cfg.RUN_DIR, domains, ranks=ranks,
                               settings=refiner_training.Settings(model, *rest))


def refine(cfg):
    """Refine draft stacks and cut their patches, or the patches alone; or the stacks of INPUT."""
    with open_refiner(cfg) as refiner, cluster.opened(cfg.DASK, workers=cfg.WORKERS) as dask:
        if not cfg.WHOLE_STACKS:
            print('%s: %d patches by step %d' % (
                cfg.OUTPUT, refine_patches(cfg.DRAFTS, cfg.OUTPUT, refiner=refiner), refiner.step))
            return None
        paths = stacks.find(cfg.INPUT) if cfg.INPUT else [
            image for image, _ in stacks.pair_by_name(
                os.path.join(cfg.DRAFTS, 'images'), os.path.join(cfg.DRAFTS, 'labels'))]
        record = claim_folder(cfg.OUTPUT, paths, output_format=cfg.OUTPUT_FORMAT)
        jobs = [job(cfg, path, refiner=refiner, record=record, dask=dask) for path in paths]
        outcome = batch.run(jobs, strict=not cfg.INPUT)      # drafts are all needed
        said = '%s: %d stacks (%d new) by step %d' % (cfg.OUTPUT, len(paths), len(outcome.made),
                                                    refiner.step)
    if not cfg.INPUT:
        said += ', %d patches' % cut_patches(cfg.DRAFTS, cfg.OUTPUT,
                                             names={stacks.name_of(path) for path in paths})
    print(said)
    return batch.failure(outcome)


def job(cfg, path, *, refiner, record, dask):
    """The batch.Job of one stack or volume."""
    if not volume_jobs.is_streamed(path):
        return stack_job(path, cfg.OUTPUT, refiner=refiner, record=record,
                         output_format=cfg.OUTPUT_FORMAT, channel=cfg.CHANNEL)
    opened = volume_steps.Network('refine', cfg.RUN_DIR, cfg.TILE_SHAPE, cfg.THREADS,
                                  checkpoint=cfg.CHECKPOINT)
    return volume_jobs.batch_job(
        path, [target_of(cfg.OUTPUT, path)], network=refiner, dask=dask, how=opened,
        settings=volume_steps.Settings(cfg.BLOCK_SHAPE, cfg.CHANNEL))


def pack(cfg):
    """Write the weights that refine, and their settings, into OUTPUT: a small RUN_DIR."""
    with open_refiner(cfg) as refiner:
        path = refiner.pack(cfg.OUTPUT, owner=claims.packing('2_mpgan.py'), may_change=MAY_CHANGE)
        print('%s: weights of step %d of %s' % (path, refiner.step, cfg.RUN_DIR))


def judge(cfg):
    """Train critics on drafts and on refined patches, and say how well they tell them from real."""
    settings = critic.Settings(cfg.CRITIC_STEPS, block=cfg.CRITIC_BLOCK, threads=cfg.THREADS,
                               test_every=max(1, min(100, cfg.CRITIC_STEPS // 16)))
    text, failed = judging.judge_run(cfg.RUN_DIR, real=cfg.REAL_PATCHES, drafts=cfg.DRAFTS,
                                     refined=cfg.OUTPUT, seeds=cfg.CRITIC_SEEDS, settings=settings)
    print(text)
    return 'error: %s' % failed[0] if failed else None


def open_refiner(cfg):
    """The trained refiner of RUN_DIR; packed weights bring their own width. Raises UserError: no
    checkpoint, or one of another width."""
    refiner = Refiner(cfg.RUN_DIR, checkpoint=cfg.CHECKPOINT, threads=cfg.THREADS,
                      tile=cfg.TILE_SHAPE)
    if checkpoints.is_packed(cfg.RUN_DIR):
        return refiner
    width = refiner.settings['REFINER_CHANNELS']
    if width != cfg.REFINER_CHANNELS:
        raise UserError('%s was trained with REFINER_CHANNELS=%d, not %d: give that, or another '
                        'RUN_DIR' % (cfg.RUN_DIR, width, cfg.REFINER_CHANNELS))
    if cfg.CHECKPOINT == 'best' and checkpoints.best(cfg.RUN_DIR) is None:
        print('%s: no evaluation has kept the labels: the newest checkpoint refines' % cfg.RUN_DIR)
    return refiner


# --- run ---

def check(cfg):
    """Raise UserError for constants that cannot work."""
    for name, known in (('STAGE', STAGES), ('CHECKPOINT', ('best', 'newest'))):
        if getattr(cfg, name) not in known:
            raise UserError('%s=%s: want %s or %s' % (name, getattr(cfg, name),
                                                      ', '.join(known[:-1]), known[-1]))
    own = cfg.OUTPUT != config.read_constants(config.rooted(CONFIG))['OUTPUT']
    if cfg.INPUT and not own:
        raise UserError('INPUT=%s: give an OUTPUT of its own with it; %s is for refined drafts'
                        % (cfg.INPUT, cfg.OUTPUT))
    stacks.check_format(cfg.OUTPUT_FORMAT, only_tiff=not cfg.INPUT)
    if cfg.CHANNEL and not cfg.INPUT:
        raise UserError('CHANNEL=%d: drafts have no channels: leave it away' % cfg.CHANNEL)
    if cfg.INPUT and cfg.STAGE != 'refine':
        raise UserError('INPUT=%s: give STAGE=refine with it' % cfg.INPUT)
    if cfg.INPUT and not cfg.WHOLE_STACKS:
        raise UserError('INPUT=%s: WHOLE_STACKS=False is for drafts alone' % cfg.INPUT)
    if cfg.STAGE == 'pack' and not own:
        raise UserError('STAGE=pack into %s: give an OUTPUT of its own, such as '
                        'models/pretrained/refiner' % cfg.OUTPUT)
    steepness = cfg.LABEL_STEEPNESS
    if steepness != 'auto' and not (isinstance(steepness, (int, float)) and steepness > 0):
        raise UserError("LABEL_STEEPNESS=%s: want a number above 0, or 'auto'" % (steepness,))
    config.require(cfg, REFINER_CHANNELS=(1, 1024), DISCRIMINATOR_CHANNELS=(1, 1024),
                   THREADS=(0, None), PRETRAIN_STEPS=(0, None), LAMBDA_IDENTITY=(0, 1e6),
                   LAMBDA_LEVEL=(0, 1e6), LAMBDA_SPECTRUM=(0, 1e6), LAMBDA_LABEL=(0, 1e6),
                   BETA1=(0, 0.9999), DECAY_RATE=(0, 1), DISCRIMINATOR_RATE=(0, 1),
                   LEARNING_RATE=(0, 1), AVERAGE_DECAY=(0, 0.99999), LABEL_SMOOTHING=(0, 10),
                   LABEL_FOREGROUND_SHARE=(0, 1), LABEL_CONTRAST=(0, 1000), TILE_SHAPE=(2, None),
                   BACKGROUND_QUANTILE=(0.5, 0.9999), HISTORY_BATCHES=(0, None), SEED=(0, None),
                   DISCRIMINATOR_FIRST=(0, None), CHANNEL=(0, 10000), WORKERS=(0, 1000), **{
                       name: (1, None) for name in (
                           'BATCH_SIZE', 'REFINER_UPDATES', 'DISCRIMINATOR_UPDATES', 'LOG_EVERY',
                           'PREVIEW_EVERY', 'SAVE_EVERY', 'EVALUATE_EVERY', 'EVALUATION_PATCHES',
                           'DECAY_STEPS', 'MAX_STEPS', 'CROP_SHAPE', 'CRITIC_STEPS', 'CRITIC_SEEDS',
                           'CRITIC_BLOCK', 'BLOCK_SHAPE')})


def main():
    cfg = config.load(CONFIG, sys.argv[1:], description=__doc__)
    check(cfg)
    ranks = processes.find_ranks('train' in cfg.STAGE)
    if cfg.STAGE in ('pack', 'judge'):
        return {'pack': pack, 'judge': judge}[cfg.STAGE](cfg)
    if 'train' in cfg.STAGE:
        train(cfg, ranks)
    if 'refine' in cfg.STAGE and ranks.rank == 0:
        return refine(cfg)


if __name__ == '__main__':
    errors.run(main)
