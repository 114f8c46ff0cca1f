"""Step 4: trace neurons in masks, probability maps or stacks; score them against gold standards.

Reads   data/segmented/NAME.prob.tif         probability maps (3_segmentation.py), or NAME.mask.tif,
                                             or stacks
Writes  results/traces/NAME.swc              the trees: x y z in voxels of the stack, radius in
                                             x voxels, type 1: soma
        results/traces/NAME_trees/           with ONE_FILE_PER_TREE=True: a SWC for each tree
        results/traces/NAME.png              the trees over the stack's projections
        results/traces/NAME_blocks/          finished blocks of a volume that is traced by blocks
        results/traces/scores.csv, .md       with GOLD=folder: each stack's scores, their mean, and
                                             why a score is blank
        results/traces/made_from.json        what each SWC was made from: a rerun does the missing
Run     python 4_reconstruction.py INPUT=folder OUTPUT=folder
        python 4_reconstruction.py INPUT=data/real METHOD=otsu OUTPUT=results/otsu
        a large volume's blocks are shared among the tasks of a SLURM job array
"""
from utils.common.errors import UserError    # first: Ctrl-C while the rest is imported is one line
import functools
import os
import sys
import time

from tqdm import tqdm

from utils.common import batch, claims, config, errors, files
from utils.data import bounded, stacks, swc, volumes
from utils.draw import traces as figures
from utils.measure import otsu
from utils.score import trace_tables, traces
from utils.trace import evidence, results, settings, tracing, volume_traces

# constants that may differ between runs into one folder; FILES: what is written besides
MAY_CHANGE = ('INPUT', 'OUTPUT', 'OVERWRITE', 'IMAGES', 'GOLD', 'MAX_FOREGROUND')
FILES = 'ONE_FILE_PER_TREE', 'TREE_UNIT'
VOLUMES = 'WHOLE_UP_TO', 'BLOCK_SHAPE', 'BLOCK_HALO', 'CHANNEL', 'SAMPLE_BLOCKS'
CONFIGS = 'configs/reconstruction.py', 'configs/otsu.py'


# --- one stack ---

def job_of(name, path, *, cfg, record):
    """The work on one stack: a batch.Job. record: batch.Record."""
    targets = results.targets_of(cfg.OUTPUT, name)[:3 if cfg.ONE_FILE_PER_TREE else 2]

    def make():
        begun = time.time()
        tree, length = reconstruct(name, path, targets=targets, cfg=cfg)
        record.add(name, key_of(path, cfg))
        return '%s: %d trees, %.0f x voxels of cable, %d somata, %.1f s' % (
            targets[0], (tree.parent < 0).sum(), length, (tree.type == swc.SOMA).sum(),
            time.time() - begun)

    return batch.Job(name, path, lambda: record.holds(name, key_of(path, cfg), targets=targets),
                     volume_traces.waiting(make))


def reconstruct(name, path, *, targets, cfg):
    """Trace one stack, write its figure and its SWC, the SWC last; (tree, length in x voxels)."""
    target, figure = targets[:2]
    if os.path.exists(target) and not results.is_own(target):
        raise UserError('%s was not made by this script: move it, or give another OUTPUT' % target)
    large = volumes.is_larger(path, cfg.WHOLE_UP_TO, channel=own_channel(path, cfg))
    tree, image, cell, size = (of_volume if large else of_stack)(name, path, cfg=cfg)
    spacing = stacks.spacing_of(size)
    figures.traces(figure, image, tree=tree._replace(
        position=(tree.position + 0.5) / cell - 0.5, radius=tree.radius / cell), spacing=spacing,
        title=name)
    if cfg.ONE_FILE_PER_TREE:
        results.write_trees(targets[2], tree, name=name, unit=cfg.TREE_UNIT, voxel_size=size)
    swc.write(target, tree, one_root=False, comment=results.HEADER % (
        os.path.basename(path), ' '.join('%g' % v for v in spacing)))
    return tree, swc.length_of(tree._replace(position=tree.position * spacing))


def of_stack(name, path, *, cfg):
    """Trace a stack as a whole: (tree, voxels to draw over, 1, voxel size)."""
    stack = stacks.read(path, (2, 2, 2), probabilities=True, channel=own_channel(path, cfg))
    size = results.voxel_size_of(stack, cfg.VOXEL_SIZE)
    grey = functools.partial(
        evidence.of_grey_levels, method='gaussian' if cfg.METHOD == 'auto' else cfg.METHOD,
        settings=config.pick(cfg, otsu.Settings), threshold=cfg.GREY_THRESHOLD,
        ridge_sigmas=cfg.RIDGE_SIGMAS, name=path)
    found = evidence.of_stack(stack, low=cfg.LOW, high=cfg.HIGH, grey=grey)
    del stack                                            # tracing wants the memory
    under = functools.lru_cache(None)(lambda: results.image_under(
        name, path, shape=found.voxels.shape, images=cfg.IMAGES, channel=cfg.CHANNEL))
    tree = tracing.trace(found.voxels, stacks.spacing_of(size),
                         settings=config.pick(cfg, settings.Settings), low=found.low,
                         high=found.high, image=under if cfg.IMAGES else None, name=path)
    image = under()
    return tree, found.voxels if image is None else image, 1, size


def of_volume(name, path, *, cfg):
    """Trace a volume block by block: as of_stack, but the voxels to draw over are `cell` wide."""
    return volume_traces.trace(
        path, results.blocks_of(cfg.OUTPUT, name), key=key_of(path, cfg),
        voxel_size=cfg.VOXEL_SIZE, settings=config.pick(cfg, settings.Settings),
        by=config.pick(cfg, volume_traces.Settings)._replace(channel=own_channel(path, cfg)))


def key_of(path, cfg):
    """What the traces of a stack are made from, a text."""
    left_out = MAY_CHANGE + (() if volumes.is_volume(path) else VOLUMES)
    shaping = {k: v for k, v in vars(cfg).items() if k not in left_out}
    large = volumes.is_larger(path, cfg.WHOLE_UP_TO, channel=own_channel(path, cfg))
    image = '' if large else results.image_key(path, cfg.IMAGES, channel=cfg.CHANNEL)
    return ' '.join([batch.file_key(path), image, files.to_json(shaping)])


def own_channel(path, cfg):
    """CHANNEL; with IMAGES it is theirs, and masks have none."""
    return bounded.channel_of(path, cfg.CHANNEL) if cfg.IMAGES else cfg.CHANNEL


# --- all stacks ---

def score(named, cfg):
    """Score the SWC of all stacks against GOLD; scores.csv and scores.md."""
    rows = []
    for name, path in tqdm(named, 'scores', disable=not sys.stderr.isatty()):
        size = results.voxel_size_at(path, cfg.VOXEL_SIZE, channel=own_channel(path, cfg))
        tree = swc.read(os.path.join(cfg.OUTPUT, name + '.swc'))
        rows.append((name, traces.scored(traces.read_gold(cfg.GOLD, name), tree,
                                         spacing=stacks.spacing_of(size))))
    print(trace_tables.write(cfg.OUTPUT, rows))


def check(cfg):
    """Raise UserError for constants that cannot work."""
    config.require(
        cfg, LOW=(0.004, 1), HIGH=(0.004, 1), MIN_OBJECT=(1, None), MAX_FOREGROUND=(1, None),
        FLATTEN_BLOCK=(0, None), SMOOTH_SIGMA=(0, 1000), CLIP_QUANTILE=(0.5, 1),
        NOISE_FLOOR=(0, 1e6), RIDGE_SIGMAS=(0.3, 50), COVER_SCALE=(1, 10), COVER_MARGIN=(0, 1e9),
        SPUR_LENGTH=(0, 1e9), SPUR_RADII=(0, 1e9), SMOOTH_ROUNDS=(0, 1000), MIN_LENGTH=(0, 1e9),
        CROSS_REACH=(0, 100), CROSS_ANGLE=(0, 180), MAX_GAP=(0, 100), MAX_ANGLE=(0, 180),
        SOMA_RATIO=(0, 1e9), SOMA_RADIUS=(0, 1e9), WHOLE_UP_TO=(0, None), BLOCK_SHAPE=(32, 4096),
        BLOCK_HALO=(16, 1024), CHANNEL=(0, None), SAMPLE_BLOCKS=(1, None))
    if cfg.LOW > cfg.HIGH:
        raise UserError('LOW=%g, HIGH=%g: want LOW at most as high as HIGH' % (cfg.LOW, cfg.HIGH))
    if cfg.METHOD not in ('auto',) + evidence.METHODS:
        raise UserError('METHOD=%s: want one of %s'
                        % (cfg.METHOD, ', '.join(('auto',) + evidence.METHODS)))
    if cfg.TREE_UNIT not in results.UNITS:
        raise UserError('TREE_UNIT=%s: want one of %s' % (cfg.TREE_UNIT, ', '.join(results.UNITS)))
    size = cfg.VOXEL_SIZE
    if size != 'auto' and not (isinstance(size, tuple) and stacks.is_voxel_size(size)):
        raise UserError("VOXEL_SIZE=%s: want three numbers above 0, um (z, y, x), or 'auto'"
                        % (size,))


def inputs(cfg):
    """[(NAME, path)] of what is traced; raises UserError now for what would fail later."""
    default = config.read_constants(config.rooted(CONFIGS[0]))['INPUT']
    if cfg.INPUT == default and not os.path.isdir(default):
        raise UserError('no folder %s: run 3_segmentation.py STAGE=predict first, or give '
                        'INPUT=stacks_or_masks' % default)
    named = evidence.find(cfg.INPUT)
    results.check_apart(cfg.OUTPUT, [path for _, path in named], gold=cfg.GOLD)
    for name, _ in named:
        if cfg.GOLD:
            traces.read_gold(cfg.GOLD, name)
        if cfg.IMAGES:
            results.image_of(name, cfg.IMAGES)
    return named


def main():
    cfg = config.load(CONFIGS, sys.argv[1:], description=__doc__)
    check(cfg)
    named, record = inputs(cfg), batch.Record(cfg.OUTPUT)
    owner = results.owner(cfg.OUTPUT, [name for name, _ in named], record=record)
    claims.claim(cfg.OUTPUT, vars(cfg), owner=owner, may_change=MAY_CHANGE + FILES,
                 overwrite=cfg.OVERWRITE or not os.path.exists(record.path))
    jobs = [job_of(name, path, cfg=cfg, record=record) for name, path in named]
    outcome = batch.run(jobs)
    there = {job.name for job in jobs if job not in outcome.failed and job.finished()}
    print('%s: %d stacks (%d new)' % (cfg.OUTPUT, len(there), len(there) - len(outcome.kept)))
    if cfg.GOLD and there:
        score([(name, path) for name, path in named if name in there], cfg)
    return batch.failure(outcome)


if __name__ == '__main__':
    errors.run(main)
