"""Redraw the figures from the results on disk.

Reads   what the numbered scripts left in data/ and runs/
Writes  imgs/patches.png     the four steps of prepare_patches.py
        imgs/priors.png      what prepare_patches.py measured, and the same on a calibration draft
        imgs/simulator.png   drafts, their labels from two sides and in depth
        imgs/drafts.png      real patches beside drafts at one grey scale
        imgs/panel.png       draft | refined | real domain, and the labels over them
        imgs/stack.png       a whole draft stack, its label and its refined stack
        imgs/curves.png      losses, the discriminator's accuracy and the learning rate
        imgs/levels.png      grey levels of real patches, drafts and refined patches
        imgs/framework.png   the method as a diagram, with pictures of this run
        imgs/segmentation_arms.png, _curves.png, _overlays.png         of 3_segmentation.py ARMS=all
        imgs/traces.png      before and after: traces of the stack itself and of its mask
        imgs/reconstruction.png        length F1 over noise, of tests/benchmarks/reconstruction.py
        imgs/summary.md      what was made, in figures
        results/index.html   with FIGURES=gallery (make gallery): figures, tables, commands, settings, in one page
Run     python make_figures.py FIGURES=panel,curves
        python make_figures.py FIGURES=curves FORMAT=svg
        python make_figures.py --config configs/demo/figures.py        after make demo
"""
import argparse
import csv
import glob
import os
import shutil
import sys

import numpy as np
from scipy import ndimage

from utils.common import config, errors, files
from utils.common.errors import UserError
from utils.data import patches, stacks, swc
from utils.draw import base, drafts as draft_figures, framework, gallery, training
from utils.draw import traces as trace_figures
from utils.measure import otsu
from utils.score import metrics
from utils.simulate import raster
from utils.trace import evidence, tracing


def need(path, script):
    """The path, if it is there.

    Raises:
        UserError: naming the script that makes it.
    """
    if not os.path.exists(path):
        raise UserError('no %s: run %s first' % (path, script))
    return path


def draw_patches(cfg, target):
    """The four-step figure that prepare_patches.py left for the first stack."""
    found = sorted(name for name in os.listdir(need(cfg.PATCHES, 'prepare_patches.py'))
                   if name.startswith('real_') and name.endswith('.png'))
    if not found:
        raise UserError('no real_*.png in %s: run prepare_patches.py first' % cfg.PATCHES)
    with files.whole_file(target) as partial:
        shutil.copyfile(os.path.join(cfg.PATCHES, found[0]), partial)


def draw_simulator(cfg, target):
    """One dendrite and one axon if there are both, else the first two drafts."""
    pairs = stacks.pair_by_name(need(os.path.join(cfg.DRAFTS, 'images'), '1_simulator.py'),
                                os.path.join(cfg.DRAFTS, 'labels'))
    dendrites = [swc.SOMA in swc.read(os.path.join(cfg.DRAFTS, 'swc', stacks.name_of(image) + '.swc')).type
                 for image, _ in pairs]
    picked = [dendrites.index(kind) for kind in (True, False) if kind in dendrites]
    picked = picked if len(picked) > 1 else list(range(min(2, len(pairs))))
    rows = [('%s %s' % ('dendrite' if dendrites[i] else 'axon', stacks.name_of(pairs[i][0])),
             stacks.read(pairs[i][0]), stacks.read(pairs[i][1]).voxels) for i in picked]
    draft_figures.simulator_page(target, rows)


def draw_priors(cfg, target):
    """The distributions that prepare_patches.py measured."""
    with files.whole_file(target) as partial:
        shutil.copyfile(need(os.path.join(cfg.PATCHES, 'priors.png'), 'prepare_patches.py'), partial)


def draw_drafts(cfg, target):
    """Real patches beside drafts, all at one grey scale, and the drafts' labels."""
    real = patches.PatchFile(os.path.join(cfg.PATCHES, 'real.h5'))
    drafts = patches.PatchFile(os.path.join(cfg.DRAFTS, 'patches.h5'), with_labels=True)
    pick, pick_real = [np.linspace(0, len(file) - 1, 26).astype(int)[1:-1:2] for file in (drafts, real)]
    draft_figures.beside(target, [('real', np.stack([real.image[i] for i in pick_real])),
                            ('drafts', np.stack([drafts.image[i] for i in pick])),
                            ('labels of the drafts', np.stack([drafts.label[i] for i in pick]))])


def three(cfg):
    """The patch files of the real domain, the drafts and the refined drafts."""
    return (patches.PatchFile(os.path.join(cfg.PATCHES, 'real.h5')),
            patches.PatchFile(os.path.join(cfg.DRAFTS, 'patches.h5'), with_labels=True),
            patches.PatchFile(os.path.join(cfg.REFINED, 'patches.h5'), with_labels=True))


def draw_panel(cfg, target):
    """Four patches: draft | refined | real domain, with the labels."""
    real, drafts, refined = three(cfg)
    if (len(drafts), drafts.source) != (len(refined), refined.source):
        raise UserError('%s was not refined from %s: run 2_mpgan.py again' % (refined.path, drafts.path))
    pick = np.linspace(0, len(drafts) - 1, 6).astype(int)[1:-1]
    pick_real = np.linspace(0, len(real) - 1, 6).astype(int)[1:-1]
    training.draft_refined_real(target, np.stack([drafts.image[i] for i in pick]),
                               refined=np.stack([refined.image[i] for i in pick]),
                               real=np.stack([real.image[i] for i in pick_real]),
                               labels=np.stack([drafts.label[i] for i in pick]))


def draw_stack(cfg, target):
    """The first draft stack, its label and its refined stack, side by side."""
    image, label = stacks.pair_by_name(need(os.path.join(cfg.DRAFTS, 'images'), '1_simulator.py'),
                                       os.path.join(cfg.DRAFTS, 'labels'))[0]
    refined = need(os.path.join(cfg.REFINED, 'images', os.path.basename(image)), '2_mpgan.py')
    draft_figures.side_by_side(target, [(title, stacks.read(path).voxels) for title, path in
                                  (('draft', image), ('refined', refined), ('label', label))])


def draw_curves(cfg, target):
    """Training curves."""
    log = training.read_log(need(os.path.join(cfg.RUN_DIR, 'log.csv'), '2_mpgan.py'))
    if not log:
        raise UserError('%s/log.csv has no row yet: train for longer than LOG_EVERY steps' % cfg.RUN_DIR)
    scale = os.path.join(cfg.RUN_DIR, 'evaluation.json')
    training.curves(target, log, judge=files.read_json(scale) if os.path.exists(scale) else None)


def draw_levels(cfg, target):
    """Grey-level histograms."""
    real, drafts, refined = three(cfg)
    draft_figures.grey_histograms(target, [(name, file.image[:: 1 + len(file) // 100]) for name, file in
                                     (('real domain', real), ('draft', drafts), ('refined', refined))])


def draw_framework(cfg, target):
    """The method as a diagram, with pictures of this run; steps 3 and 4 are left blank where they have not run."""
    real, drafts, refined = three(cfg)
    i = len(drafts) // 2
    pictures = {'real': base.project(real.image[len(real) // 2]), 'draft': base.project(drafts.image[i]),
                'label': base.project(drafts.label[i]), 'refined': base.project(refined.image[i])}
    found = glob.glob(os.path.join(glob.escape(cfg.SEGMENTED), '*.prob.tif'))
    if found:
        path = sorted(found)[0]
        stack = stacks.read(path, (2, 2, 2), probabilities=True).voxels
        pictures['mask'] = base.project((stack > (0.5 if stack.dtype.kind == 'f' else 127)).astype(np.uint8))
        traced = os.path.join(cfg.TRACES, os.path.basename(path)[:-len('.prob.tif')] + '.swc')
        if os.path.exists(traced):
            tree = swc.read(traced)
            drawn = np.zeros(pictures['mask'].shape, bool)
            drawn[tuple(raster.centreline(np.array(stack.shape), tree.position, parent=tree.parent)[:, 1:].T)] = True
            pictures['traces'] = ndimage.binary_dilation(drawn)
    framework.framework(target, pictures)


def copied(name):
    """A figure that 3_segmentation.py's comparison left in RESULTS."""
    def draw(cfg, target):
        with files.whole_file(target) as partial:
            shutil.copyfile(need(os.path.join(cfg.RESULTS, name + '.png'), '3_segmentation.py ARMS=all'), partial)

    draw.__doc__ = 'Comparison of segmentation networks: %s.' % name.split('_')[1]
    return draw


def draw_traces(cfg, target):
    """Traces of the first stack by OTSU and of its probability map, over its projection."""
    paths = sorted(glob.glob(os.path.join(glob.escape(cfg.TRACES), '*.swc')))
    if not paths:
        raise UserError('no SWC in %s: run 4_reconstruction.py first' % cfg.TRACES)
    name = stacks.name_of(paths[0])
    made = files.read_json(os.path.join(cfg.TRACES, 'config.json'))
    images = [path for path in stacks.find(made['IMAGES'] or made['INPUT']) if stacks.name_of(path) == name]
    if not images:
        raise UserError('no stack %s in %s: run 4_reconstruction.py IMAGES=folder' % (name, made['IMAGES'] or made['INPUT']))
    stack = stacks.read(images[0])
    constants = argparse.Namespace(**dict(config.read_constants(config.rooted('configs/reconstruction.py')), **made))
    size = (stack.voxel_size or (1.0, 1.0, 1.0)) if made['VOXEL_SIZE'] == 'auto' else made['VOXEL_SIZE']
    spacing = np.array(size) / size[2]
    grey = evidence.of_grey_levels(stack.voxels, 'gaussian', settings=config.pick(constants, otsu.Settings), name=name)
    trace_figures.traces_compared(target, stack.voxels, named=[
        ('OTSU on the smoothed stack', tracing.trace(grey, spacing, low=0.5, high=0.5, values=constants, name=name)),
        ('4_reconstruction.py INPUT=%s' % made['INPUT'], swc.read(paths[0]))])


def draw_reconstruction(cfg, target):
    """Length F1 of traces by each way to a mask, over noise."""
    with open(need(os.path.join(cfg.BENCHMARK, 'benchmark.csv'), 'tests/benchmarks/reconstruction.py FOLDER=%s RUN_DIR=%s' % (
            cfg.BENCHMARK, cfg.SEGMENTATION_RUN)), newline='') as file:
        rows = list(csv.DictReader(file))
    levels = sorted({float(row['noise']) for row in rows})
    panels = []
    for kind in dict.fromkeys(row['stacks'] for row in rows):
        here = [row for row in rows if row['stacks'] == kind]
        panels.append((kind, [(method, [float(row['length_f1']) for row in sorted(here, key=lambda row: float(row['noise']))
                                        if row['method'] == method]) for method in dict.fromkeys(row['method'] for row in here)]))
    trace_figures.score_curves(target, levels, panels=panels, xlabel='noise, times the phantom\'s', ylabel='length F1')


def make_gallery(cfg):
    """One page of everything that there is; returns its path."""
    found = sorted(path for folder in (cfg.OUTPUT, cfg.RESULTS, cfg.TRACES) for path in glob.glob(os.path.join(
        glob.escape(folder), '*.png')))
    found += [path for path in (os.path.join(cfg.RUN_DIR, 'curves.png'),) if os.path.exists(path)]
    names, images = set(), []
    for path in found:
        if os.path.basename(path) not in names:          # the copy of a figure is not shown again
            names.add(os.path.basename(path))
            stem = os.path.splitext(os.path.basename(path))[0]
            images.append((DRAW[stem].__doc__.split('\n')[0] if stem in DRAW else path, path))
    tables = sorted({path for folder in (cfg.OUTPUT, cfg.RESULTS, cfg.TRACES) for path in glob.glob(os.path.join(
        glob.escape(folder), '*.md'))})
    if not images:
        raise UserError('no figure in %s: run make_figures.py first' % cfg.OUTPUT)
    path = os.path.join(cfg.RESULTS, 'index.html')
    gallery.page(path, 'MPGAN: %s' % cfg.RUN_DIR, images=images, tables=[(os.path.basename(table), table) for table in tables],
                 folders=[cfg.PATCHES, cfg.DRAFTS, cfg.RUN_DIR, cfg.SEGMENTATION_RUN, cfg.TRACES])
    return path


def summary(cfg):
    """What was made, as Markdown."""
    real, drafts, refined = three(cfg)
    lines = ['| what | figure |', '| --- | --- |']

    def row(name, text, *values):
        lines.append('| %s | %s |' % (name, text % values))

    row('patches of the real domain', '%d of %s voxels, `%s`', len(real), real.shape, real.path)
    row('draft stacks and patches', '%d and %d, `%s`', len(set(drafts.source)), len(drafts), cfg.DRAFTS)
    row('refined stacks and patches', '%d and %d, `%s`', len(set(refined.source)), len(refined), cfg.REFINED)
    sample = [file.image[:: 1 + len(file) // 100] for file in (real, drafts, refined)]
    halves = metrics.grey_distance(sample[0][::2], sample[0][1::2]) if len(sample[0]) > 1 else float('nan')
    row('grey-level distance to the real domain (Wasserstein-1)', 'draft %.1f, refined %.1f; real against real %.1f',
        metrics.grey_distance(sample[1], sample[0]), metrics.grey_distance(sample[2], sample[0]), halves)
    label = drafts.label[:: 1 + len(drafts) // 100]
    row('Dice with the label at the best single threshold', 'draft %.3f, refined %.3f',
        metrics.best_dice(sample[1], label)[0], metrics.best_dice(sample[2], label)[0])
    row('AUC of the grey level for the label', 'draft %.3f, refined %.3f', metrics.auc(sample[1], label),
        metrics.auc(sample[2], label))
    if cfg.TRUTH:
        row('OTSU of the real domain against its truth (Dice; scoring only)', '%.3f', otsu_dice(cfg))
    return '\n'.join(lines) + '\n'


def otsu_dice(cfg):
    """Dice of prepare_patches.py's masks against the truth, which nothing but this score reads."""
    settings = files.read_json(os.path.join(cfg.PATCHES, 'config.json'))
    how = config.pick(argparse.Namespace(**settings), otsu.Settings)
    scores = []
    for image, truth in stacks.pair_by_name(settings['STACKS'], cfg.TRUTH):
        found = otsu.segment(stacks.read(image).voxels, how, name=image)
        scores.append(metrics.dice(found.mask, stacks.read(truth).voxels))
    return float(np.mean(scores))


DRAW = {'patches': draw_patches, 'priors': draw_priors, 'simulator': draw_simulator, 'drafts': draw_drafts,
        'panel': draw_panel, 'stack': draw_stack,
        'curves': draw_curves, 'levels': draw_levels, 'framework': draw_framework, 'traces': draw_traces,
        'reconstruction': draw_reconstruction}
DRAW.update((name, copied(name)) for name in ('segmentation_arms', 'segmentation_curves', 'segmentation_overlays'))
COPIED = ('patches', 'priors', 'segmentation_arms', 'segmentation_curves', 'segmentation_overlays')       # PNG as they were left
LATER = ('traces', 'reconstruction', 'segmentation_arms', 'segmentation_curves', 'segmentation_overlays')       # of steps 3 and 4


def main():
    cfg = config.load('configs/figures.py', sys.argv[1:], description=__doc__)
    if cfg.FIGURES == 'gallery':
        print(make_gallery(cfg))
        return
    if cfg.FORMAT not in ('png', 'svg'):
        raise UserError('FORMAT=%s: want png or svg' % cfg.FORMAT)
    wanted = list(DRAW) if cfg.FIGURES == 'all' else [name.strip() for name in cfg.FIGURES.split(',')]
    unknown = [name for name in wanted if name not in DRAW]
    if unknown:
        raise UserError('FIGURES=%s: want some of %s' % (cfg.FIGURES, ', '.join(DRAW)))
    missing = 0
    for name in wanted:
        target = os.path.join(cfg.OUTPUT, name + ('.png' if name in COPIED else '.' + cfg.FORMAT))
        try:
            DRAW[name](cfg, target)
            print('%-28s %s' % (target, DRAW[name].__doc__.split('\n')[0]))
        except UserError as error:                 # the other figures are still worth drawing
            late = cfg.FIGURES == 'all' and name in LATER     # steps 3 and 4 need not have run
            print('%s: %s: %s' % ('left out' if late else 'error', target, error), file=sys.stderr)
            missing += not late
    if cfg.FIGURES == 'all' and not missing:
        text = summary(cfg)
        path = os.path.join(cfg.OUTPUT, 'summary.md')
        with files.whole_file(path) as partial:
            with open(partial, 'w') as file:
                file.write(text)
        print('\n%s\n%s' % (path, text))
    if missing:
        return 'error: %d of %d figures could not be drawn' % (missing, len(wanted))


if __name__ == '__main__':
    errors.run(main)
