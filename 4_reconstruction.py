"""Step 4: trace neurons in masks, probability maps or stacks, and score them where there is a gold standard.

Reads   data/segmented/NAME.prob.tif            probability maps (3_segmentation.py); or NAME.mask.tif, or stacks
Writes  results/traces/NAME.swc                 the trees; x y z in voxels of the stack, radius in x voxels, type 1: soma
        results/traces/NAME.png                 the trees over the stack's projections
        results/traces/scores.csv, scores.md    with GOLD=folder: each stack's scores, and their mean
        results/traces/made_from.json           what each SWC was made from; a rerun traces only what is missing
Run     python 4_reconstruction.py INPUT=folder_or_pattern OUTPUT=folder
        python 4_reconstruction.py INPUT=data/real METHOD=otsu OUTPUT=results/otsu
"""
import csv
import glob
import os
import sys
import time

import numpy as np
from tqdm import tqdm

from utils.common import claims, config, errors, files
from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.draw import traces as pictures
from utils.measure import otsu
from utils.score import tables, traces
from utils.trace import evidence, tracing

MAY_CHANGE = ('INPUT', 'OUTPUT', 'OVERWRITE', 'IMAGES', 'GOLD', 'MAX_FOREGROUND')      # may change between runs
KINDS = ('.prob', '.mask')                               # ends of names; a probability map goes before a mask
HEADER = '%s; x y z in voxels, radius in x voxels; voxel (z, y, x) %s x voxels'
METHODS = ('auto', 'otsu', 'gaussian', 'ridge', 'threshold')


def find(pattern):
    """Inputs by name: [(NAME, path)]; of NAME.prob.tif, NAME.mask.tif and NAME.tif the first that is there."""
    if pattern == config.read_constants(config.rooted('configs/reconstruction.py'))['INPUT'] and not os.path.isdir(pattern):
        raise UserError('no folder %s: run 3_segmentation.py STAGE=predict first, or give INPUT=stacks_or_masks' % pattern)
    best = {}
    for path in stacks.find(pattern):
        name, kind = split(path)
        rank = KINDS.index(kind) if kind else len(KINDS)
        if name not in best or rank < best[name][0]:
            best[name] = rank, path
    return [(name, best[name][1]) for name in sorted(best)]


def split(path):
    """(NAME, '.prob', '.mask' or '') of a path."""
    name, kind = os.path.splitext(stacks.name_of(path))
    return (name, kind) if kind in KINDS else (name + kind, '')


def evidence_of(stack, cfg):
    """(uint8 evidence, LOW, HIGH) of a file, by its name, dtype and values."""
    voxels, kind = stack.voxels, split(stack.path)[1]
    if voxels.dtype == np.float32:
        scaled = np.empty(voxels.shape, np.uint8)
        for plane, p in zip(scaled, voxels):
            plane[:] = np.rint(255 * p)
        return scaled, cfg.LOW, cfg.HIGH
    if kind == '.prob':
        if voxels.dtype != np.uint8:
            raise UserError('%s is %s: want a probability map of uint8, 255 for certain, or of floats from 0 to 1'
                                   % (stack.path, voxels.dtype))
        return voxels, cfg.LOW, cfg.HIGH
    low, high = int(voxels.min()), int(voxels.max())
    two = all(((plane == low) | (plane == high)).all() for plane in voxels)
    if kind or (two and low == 0):
        if not two:
            raise UserError('%s is no mask: it has more than two grey levels: name it NAME.prob.tif if it is a '
                                   'probability map' % stack.path)
        return (voxels > 0).astype(np.uint8) * np.uint8(255), cfg.LOW, cfg.HIGH
    method = 'gaussian' if cfg.METHOD == 'auto' else cfg.METHOD
    found = evidence.of_grey_levels(voxels, method, settings=config.pick(cfg, otsu.Settings), threshold=cfg.GREY_THRESHOLD,
                                    ridge_sigmas=cfg.RIDGE_SIGMAS, name=stack.path)
    return found, 0.5, 0.5


def spacing_of(stack, cfg):
    """(z, y, x) of a voxel, in x voxels."""
    size = np.array((stack.voxel_size or (1.0, 1.0, 1.0)) if cfg.VOXEL_SIZE == 'auto' else cfg.VOXEL_SIZE, float)
    return size / size[2]


def reconstruct(name, path, *, cfg):
    """Trace one stack and write its figure and its SWC, the SWC last; returns the tree."""
    target = os.path.join(cfg.OUTPUT, name + '.swc')
    if os.path.exists(target) and not is_own(target):
        raise UserError('%s was not made by this script: move it, or give another OUTPUT' % target)
    stack = stacks.read(path, (2, 2, 2), probabilities=True)
    spacing = spacing_of(stack, cfg)
    grey, low, high = evidence_of(stack, cfg)
    del stack
    tree = tracing.trace(grey, spacing, low=low, high=high, values=cfg, name=path)
    image = picture(name, path, shape=grey.shape, cfg=cfg)
    pictures.traces(os.path.join(cfg.OUTPUT, name + '.png'), grey if image is None else image, tree=tree, spacing=spacing, title=name)
    swc.write(target, tree, comment=HEADER % (os.path.basename(path), ' '.join('%g' % v for v in spacing)), one_root=False)
    return tree


def is_own(path):
    """Whether a SWC has this script's first line."""
    with open(path, errors='replace') as file:
        return HEADER.split('%s')[1] in file.readline()


def image_of(name, cfg):
    """Path of the stack in IMAGES.

    Raises:
        UserError: if there is none.
    """
    found = [path for path in stacks.find(cfg.IMAGES) if stacks.name_of(path) == name]
    if not found:
        raise UserError('%s has no stack %s to draw the traces over: give another IMAGES, or IMAGES=None'
                               % (cfg.IMAGES, name))
    return found[0]


def picture(name, path, *, shape, cfg):
    """Voxels to draw over: of IMAGES if it is given, else of the input if that is a stack, else None."""
    if not cfg.IMAGES:
        return None if split(path)[1] else stacks.read(path, probabilities=True).voxels
    found = image_of(name, cfg)
    voxels = stacks.read(found).voxels
    if voxels.shape != shape:
        raise UserError('%s is %s voxels, %s is %s: give IMAGES=folder with the stacks that they were made from'
                               % (found, voxels.shape, path, shape))
    return voxels


def made_from(path, cfg):
    """What a SWC depends on: its input's file (size, time) and the settings."""
    status = os.stat(path)
    return files.to_json([status.st_size, status.st_mtime_ns, {k: v for k, v in vars(cfg).items() if k not in MAY_CHANGE}])


def gold_of(name, cfg):
    """The gold standard of a stack: NAME.swc, or NAME_1.swc, NAME_2.swc, ... as one forest.

    Raises:
        UserError: if there is none.
    """
    paths = glob.glob(os.path.join(glob.escape(cfg.GOLD), glob.escape(name) + '.swc')) or sorted(
        path for path in glob.glob(os.path.join(glob.escape(cfg.GOLD), glob.escape(name) + '_*.swc'))
        if stacks.name_of(path)[len(name) + 1:].isdigit())
    if not paths:
        raise UserError('%s has no %s.swc and no %s_1.swc: give another GOLD, or GOLD=None' % (cfg.GOLD, name, name))
    return swc.join([swc.read(path) for path in paths])


def score(named, cfg):
    """Score the SWC of all stacks against GOLD; scores.csv and scores.md."""
    rows = []
    for name, path in tqdm(named, 'scores', disable=not sys.stderr.isatty()):
        size = stacks.read(path, probabilities=True)
        rows.append((name, traces.score(gold_of(name, cfg), swc.read(os.path.join(cfg.OUTPUT, name + '.swc')),
                                        spacing=spacing_of(size, cfg))))
    rows.append(('mean', traces.mean([values for _, values in rows])))
    with files.whole_file(os.path.join(cfg.OUTPUT, 'scores.csv')) as partial:
        with open(partial, 'w', newline='') as file:
            csv.writer(file).writerows([['stack'] + list(traces.COLUMNS)] + [
                [name] + ['%.6g' % values[column] for column in traces.COLUMNS] for name, values in rows])
    text = tables.markdown(rows, traces.COLUMNS) + '\n' + '\n'.join('- `%s`: %s' % item for item in traces.MEANING.items()) + '\n'
    with files.whole_file(os.path.join(cfg.OUTPUT, 'scores.md')) as partial:
        with open(partial, 'w') as file:
            file.write(text)
    print(tables.markdown(rows, traces.COLUMNS))


def check(cfg):
    """Raise UserError for constants that cannot work."""
    config.require(cfg, LOW=(0.004, 1), HIGH=(0.004, 1), MIN_OBJECT=(1, None), MAX_FOREGROUND=(1, None), FLATTEN_BLOCK=(0, None),
                   SMOOTH_SIGMA=(0, None), CLIP_QUANTILE=(0.5, 1), NOISE_FLOOR=(0, None), RIDGE_SIGMAS=(0.3, 50),
                   COVER_SCALE=(1, 10), COVER_MARGIN=(0, None), SPUR_LENGTH=(0, None), SPUR_RADII=(0, None), SMOOTH_ROUNDS=(0, 1000),
                   MIN_LENGTH=(0, None), CROSS_REACH=(0, 100), CROSS_ANGLE=(0, 90), MAX_GAP=(0, 100),
                   MAX_ANGLE=(0, 180), SOMA_RATIO=(0, None), SOMA_RADIUS=(0, None))
    if cfg.LOW > cfg.HIGH:
        raise UserError('LOW=%g, HIGH=%g: want LOW at most as high as HIGH' % (cfg.LOW, cfg.HIGH))
    if cfg.METHOD not in METHODS:
        raise UserError('METHOD=%s: want one of %s' % (cfg.METHOD, ', '.join(METHODS)))
    size = cfg.VOXEL_SIZE
    if size != 'auto' and not (isinstance(size, tuple) and len(size) == 3 and
                               all(isinstance(v, (int, float)) and v > 0 for v in size)):
        raise UserError("VOXEL_SIZE=%s: want three numbers above 0, um (z, y, x), or 'auto'" % (size,))


def main():
    cfg = config.load(('configs/reconstruction.py', 'configs/otsu.py'), sys.argv[1:], description=__doc__)
    check(cfg)
    named = find(cfg.INPUT)
    for other in [os.path.dirname(path) for _, path in named] + [cfg.GOLD] * bool(cfg.GOLD):
        if os.path.realpath(other) == os.path.realpath(cfg.OUTPUT):
            raise UserError('OUTPUT is %s, where %s come from: give another OUTPUT'
                                   % (cfg.OUTPUT, 'GOLD' if other == cfg.GOLD else 'the stacks'))
    for name, _ in named:                                # said now, not after the tracing
        if cfg.GOLD:
            gold_of(name, cfg)
        if cfg.IMAGES:
            image_of(name, cfg)
    record_path = os.path.join(cfg.OUTPUT, 'made_from.json')
    claims.claim(cfg.OUTPUT, vars(cfg), may_change=MAY_CHANGE, overwrite=cfg.OVERWRITE or not os.path.exists(record_path))
    record = files.read_json(record_path) if os.path.exists(record_path) else {}
    done, bad = 0, []
    for name, path in tqdm(named, 'stacks', disable=not sys.stderr.isatty()):
        target = os.path.join(cfg.OUTPUT, name + '.swc')
        if record.get(name) == made_from(path, cfg) and os.path.exists(target) and os.path.exists(target[:-4] + '.png'):
            continue
        begun = time.time()
        try:
            tree = reconstruct(name, path, cfg=cfg)
        except UserError as error:                # the other stacks are still worth doing
            tqdm.write('error: %s' % error, file=sys.stderr)
            bad.append(name)
            continue
        record[name] = made_from(path, cfg)
        files.write_json(record_path, record)
        done += 1
        tqdm.write('%s: %d trees, %.0f x voxels of cable, %d somata, %.1f s' % (
            target, (tree.parent < 0).sum(), swc.length_of(tree), (tree.type == swc.SOMA).sum(), time.time() - begun))
    print('%s: %d stacks (%d new)' % (cfg.OUTPUT, len(named) - len(bad), done))
    if cfg.GOLD and len(bad) < len(named):
        score([(name, path) for name, path in named if name not in bad], cfg)
    if bad:
        return 'error: %d of %d stacks were left out: %s' % (len(bad), len(named), ', '.join(bad[:5]))


if __name__ == '__main__':
    errors.run(main)
