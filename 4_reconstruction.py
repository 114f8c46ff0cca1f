"""Step 4: trace neurons in masks, probability maps or stacks; score them against gold standards.

Reads   data/segmented/NAME.prob.tif         probability maps (3_segmentation.py), or NAME.mask.tif,
                                             or stacks
Writes  results/traces/NAME.swc              the trees: x y z in voxels of the stack, radius in
                                             x voxels, type 1: soma
        results/traces/NAME_trees/           with ONE_FILE_PER_TREE=True: a SWC for each tree
        results/traces/NAME.png              the trees over the stack's projections
        results/traces/scores.csv, .md       with GOLD=folder: each stack's scores, their mean, and
                                             why a score is blank
        results/traces/made_from.json        what each SWC was made from: a rerun does the missing
Run     python 4_reconstruction.py INPUT=folder OUTPUT=folder
        python 4_reconstruction.py INPUT=data/real METHOD=otsu OUTPUT=results/otsu
"""
from utils.common.errors import UserError    # first: Ctrl-C while the rest is imported is one line
import functools
import os
import sys
import time

from tqdm import tqdm

from utils.common import batch, claims, config, errors, files
from utils.data import stacks, swc
from utils.draw import traces as figures
from utils.measure import otsu
from utils.score import trace_tables, traces
from utils.trace import evidence, results, settings, tracing

# constants that may differ between runs into one folder; FILES: what is written besides
MAY_CHANGE = ('INPUT', 'OUTPUT', 'OVERWRITE', 'IMAGES', 'GOLD', 'MAX_FOREGROUND')
FILES = 'ONE_FILE_PER_TREE', 'TREE_UNIT'
CONFIGS = 'configs/reconstruction.py', 'configs/otsu.py'


# --- one stack ---

def job_of(name, path, *, cfg, record):
    """The work on one stack: a batch.Job. record: batch.Record."""
    targets = results.targets_of(cfg.OUTPUT, name)[:3 if cfg.ONE_FILE_PER_TREE else 2]

    def key():
        shaping = {k: v for k, v in vars(cfg).items() if k not in MAY_CHANGE}
        image = batch.file_key(image_of(name, cfg.IMAGES)) if cfg.IMAGES else ''
        return ' '.join([batch.file_key(path), image, files.to_json(shaping)])

    def make():
        begun = time.time()
        tree, length = reconstruct(name, path, targets=targets, cfg=cfg)
        record.add(name, key())
        return '%s: %d trees, %.0f x voxels of cable, %d somata, %.1f s' % (
            targets[0], (tree.parent < 0).sum(), length, (tree.type == swc.SOMA).sum(),
            time.time() - begun)

    return batch.Job(name, path, lambda: record.holds(name, key(), targets=targets), make)


def reconstruct(name, path, *, targets, cfg):
    """Trace one stack, write its figure and its SWC, the SWC last; (tree, length in x voxels)."""
    target, figure = targets[:2]
    if os.path.exists(target) and not results.is_own(target):
        raise UserError('%s was not made by this script: move it, or give another OUTPUT' % target)
    stack = stacks.read(path, (2, 2, 2), probabilities=True)
    size = voxel_size_of(stack, cfg)
    spacing = stacks.spacing_of(size)
    grey = functools.partial(
        evidence.of_grey_levels, method='gaussian' if cfg.METHOD == 'auto' else cfg.METHOD,
        settings=config.pick(cfg, otsu.Settings), threshold=cfg.GREY_THRESHOLD,
        ridge_sigmas=cfg.RIDGE_SIGMAS, name=path)
    found = evidence.of_stack(stack, low=cfg.LOW, high=cfg.HIGH, grey=grey)
    del stack                                            # tracing wants the memory
    under = functools.lru_cache(None)(functools.partial(
        image_under, name, path, shape=found.voxels.shape, cfg=cfg))
    tree = tracing.trace(found.voxels, spacing, settings=config.pick(cfg, settings.Settings),
                         low=found.low, high=found.high, image=under if cfg.IMAGES else None,
                         name=path)
    image = under()
    figures.traces(figure, found.voxels if image is None else image, tree=tree, spacing=spacing,
                   title=name)
    if cfg.ONE_FILE_PER_TREE:
        results.write_trees(targets[2], tree, name=name, unit=cfg.TREE_UNIT, voxel_size=size)
    swc.write(target, tree, one_root=False, comment=results.HEADER % (
        os.path.basename(path), ' '.join('%g' % v for v in spacing)))
    return tree, swc.length_of(tree._replace(position=tree.position * spacing))


def voxel_size_of(stack, cfg):
    """um (z, y, x), or None: not known."""
    return stack.voxel_size if cfg.VOXEL_SIZE == 'auto' else cfg.VOXEL_SIZE


def image_under(name, path, *, shape, cfg):
    """Voxels of the stack itself: of IMAGES if given, else the input if it is no mask, or None."""
    if not cfg.IMAGES:
        return None if evidence.split(path)[1] else stacks.read(path, probabilities=True).voxels
    found = image_of(name, cfg.IMAGES)
    voxels = stacks.read(found).voxels
    if voxels.shape != shape:
        raise UserError('%s is %s voxels, %s is %s: give IMAGES=folder with the stacks that they '
                        'were made from' % (found, voxels.shape, path, shape))
    return voxels


def image_of(name, images):
    """Path of a stack in the folder IMAGES; raises UserError if there is none."""
    for path in stacks.find(images):
        if stacks.name_of(path) == name:
            return path
    raise UserError('%s has no stack %s to draw the traces over: give another IMAGES, or '
                    'IMAGES=None' % (images, name))


# --- all stacks ---

def score(named, cfg):
    """Score the SWC of all stacks against GOLD; scores.csv and scores.md."""
    rows = []
    for name, path in tqdm(named, 'scores', disable=not sys.stderr.isatty()):
        size = voxel_size_of(stacks.read(path, probabilities=True), cfg)
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
        SOMA_RATIO=(0, 1e9), SOMA_RADIUS=(0, 1e9))
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
    for other in [os.path.dirname(path) for _, path in named] + [cfg.GOLD] * bool(cfg.GOLD):
        if os.path.realpath(other) == os.path.realpath(cfg.OUTPUT):
            raise UserError('OUTPUT is %s, where %s come from: give another OUTPUT' % (
                cfg.OUTPUT, 'GOLD' if other == cfg.GOLD else 'the stacks'))
    for name, _ in named:
        if cfg.GOLD:
            traces.read_gold(cfg.GOLD, name)
        if cfg.IMAGES:
            image_of(name, cfg.IMAGES)
    return named


def main():
    cfg = config.load(CONFIGS, sys.argv[1:], description=__doc__)
    check(cfg)
    named, record = inputs(cfg), batch.Record(cfg.OUTPUT)
    owner = results.owner(cfg.OUTPUT, [name for name, _ in named], record=record)
    claims.claim(cfg.OUTPUT, vars(cfg), owner=owner, may_change=MAY_CHANGE + FILES,
                 overwrite=cfg.OVERWRITE or not os.path.exists(record.path))
    outcome = batch.run([job_of(name, path, cfg=cfg, record=record) for name, path in named])
    failed = {job.name for job in outcome.failed}
    print('%s: %d stacks (%d new)' % (cfg.OUTPUT, len(named) - len(failed), len(outcome.made)))
    if cfg.GOLD and len(failed) < len(named):
        score([(name, path) for name, path in named if name not in failed], cfg)
    return batch.failure(outcome)


if __name__ == '__main__':
    errors.run(main)
