"""Redraw the figures from the results on disk.

Reads   what the numbered scripts left in data/, runs/ and results/
Writes  imgs/NAME.png        figures of the names of FIGURES (docs/figures.md says what they show)
        imgs/summary.md      what was made, in numbers
        results/index.html   with FIGURES=gallery (make gallery): one page of all results
Run     python make_figures.py FIGURES=panel,curves
        python make_figures.py FIGURES=curves FORMAT=svg
        python make_figures.py --config configs/demo/figures.py        after make demo
"""
from utils.common.errors import UserError    # first: Ctrl-C while the rest is imported is one line
import os
import sys
from typing import Callable, NamedTuple

import numpy as np
from scipy import ndimage

from utils.common import claims, config, errors, files
from utils.data import bounded, stacks, swc
from utils.draw import architecture, base, folder, framework, gallery, gallery_results, results
from utils.draw import traces as trace_figures
from utils.measure import otsu
from utils.score import summary, tables
from utils.simulate import raster
from utils.trace import evidence, settings, tracing


class Figure(NamedTuple):
    """A figure of this script."""
    draw: Callable               # function (places, target): reads results, writes the file target
    caption: str
    copied: bool = False         # a PNG that an earlier step drew, whatever FORMAT is
    later: bool = False          # of steps 3 and 4, which need not have run
    of_code: bool = False        # of the code, not of results: not with FIGURES=all


STEPS = (                            # title, place and configs of each step, for the gallery
    ('Step 0: patches and priors', 'patches', ('configs/prepare_patches.py', 'configs/otsu.py')),
    ('Step 1: drafts', 'drafts', ('configs/simulator.py',)),
    ('Step 2: refiner', 'run_dir', ('configs/mpgan.py',)),
    ('Step 3: segmentation network', 'segmentation_run', ('configs/segmentation.py',)),
    ('Step 4: traces', 'traces', ('configs/reconstruction.py', 'configs/otsu.py')))


def draw_gallery(places):
    """Write the page of all results; returns its path."""
    captions = {name: figure.caption for name, figure in FIGURES.items()}
    steps = [gallery.Step(title, getattr(places, folder), *config.read_defaults(*configs))
             for title, folder, configs in STEPS]
    real, images, channel = gallery_results.stacks_given([step.folder for step in steps])
    return gallery_results.draw(places, captions=captions, steps=steps, real=real, images=images,
                                channel=channel)


def draw_framework(places, target):
    """The diagram; what steps 3 and 4 make is left blank where they have not run."""
    pictures = results.pictures(places)
    found = results.first_mask(places)
    if found:
        name, mask = found
        pictures['mask'] = base.project(mask)
        path = os.path.join(places.traces, name + '.swc')
        if os.path.exists(path):
            tree = swc.read(path)
            line = raster.centreline(np.array(mask.shape), tree.position, parent=tree.parent)
            pictures['traces'] = np.zeros(pictures['mask'].shape, bool)
            pictures['traces'][line[:, 1], line[:, 2]] = True
            pictures['traces'] = ndimage.binary_dilation(pictures['traces'])
    framework.framework(target, pictures)


def draw_traces(places, target):
    """Traces of the first stack by OTSU and of its mask, over its projection."""
    path = results.first_trace(places)
    name = stacks.name_of(path)
    made = claims.made_with(places.traces, 'configs/reconstruction.py', 'configs/otsu.py')
    folder = made.IMAGES or made.INPUT
    images = [image for image in stacks.find(folder) if stacks.name_of(image) == name]
    if not images:
        raise UserError('no stack %s in %s: run 4_reconstruction.py IMAGES=folder' % (name, folder))
    stack = bounded.read(images[0], channel=bounded.channel_of(images[0], made.CHANNEL))
    if not stack.whole:
        raise UserError('%s: too large for this figure, which traces a stack as a whole: %s.png '
                        'in %s shows its traces' % (images[0], name, places.traces))
    size = stack.voxel_size if made.VOXEL_SIZE == 'auto' else made.VOXEL_SIZE
    if isinstance(size, (str, int)) or size and not stacks.is_voxel_size(size):
        raise UserError('%s/config.json: VOXEL_SIZE=%s is none' % (places.traces, size))
    grey = evidence.of_grey_levels(stack.voxels, 'gaussian',
                                   settings=config.pick(made, otsu.Settings), name=name)
    tree = tracing.trace(grey, stacks.spacing_of(size), low=0.5, high=0.5,
                         settings=config.pick(made, settings.Settings), name=name)
    trace_figures.traces_compared(target, stack.voxels, named=[
        ('OTSU on the smoothed stack', tree),
        ('4_reconstruction.py INPUT=%s' % made.INPUT, swc.read(path))])


FIGURES = {
    'patches': Figure(results.draw_patches, 'The four steps of step 0, first stack', copied=True),
    'priors': Figure(results.draw_priors, 'What step 0 measured', copied=True),
    'simulator': Figure(results.draw_simulator, 'Drafts and their labels'),
    'drafts': Figure(results.draw_drafts, 'Real patches beside drafts at one grey scale'),
    'panel': Figure(results.draw_panel, 'Draft, refined and real patches, with labels'),
    'refining': Figure(results.draw_refining, 'Drafts, refined and real patches, close'),
    'stack': Figure(results.draw_stack, 'A draft stack, its refined stack and its label'),
    'curves': Figure(results.draw_curves, 'Training of the refiner'),
    'levels': Figure(results.draw_levels, 'Grey-level histograms'),
    'framework': Figure(draw_framework, 'The method, with pictures of this run'),
    'traces': Figure(draw_traces, 'Traces by OTSU, and of the mask', later=True),
    'reconstruction': Figure(results.draw_reconstruction, 'Traces over noise', later=True)}
for _name, _caption in (
        ('segmentation_arms', 'Segmentation networks: scores'),
        ('segmentation_curves', 'Segmentation networks: precision against recall'),
        ('segmentation_overlays', 'Segmentation networks: masks on one slice'),
        ('paper_paper', "The paper's drafts beside real patches: draft, SimGAN, MPGAN"),
        ('paper_measured', 'Drafts of measured priors beside real patches: the same'),
        ('paper_arms', "The paper's experiment: networks trained on each")):
    FIGURES[_name] = Figure(results.draw_comparison, _caption, copied=True, later=True)
PAPER = [n for n in FIGURES if n not in ('priors', 'drafts', 'refining', 'stack', 'levels')]
FIGURES['architecture'] = Figure(lambda _, target: architecture.draw(target, config.ROOT),
                                 'Folders, modules, imports', of_code=True)


def wanted(cfg):
    """Names of the figures asked for.

    Raises:
        UserError: unknown FORMAT, or a name that is none.
    """
    if cfg.FORMAT not in ('png', 'svg'):
        raise UserError('FORMAT=%s: want png or svg' % cfg.FORMAT)
    if cfg.FIGURES == 'all':
        return [name for name, figure in FIGURES.items() if not figure.of_code]
    if cfg.FIGURES == 'paper':
        return list(PAPER)
    names = [name.strip() for name in cfg.FIGURES.split(',')]
    if not set(names) <= set(FIGURES):
        raise UserError('FIGURES=%s: want some of %s' % (cfg.FIGURES, ', '.join(FIGURES)))
    return names


def write_summary(places):
    """Write summary.md and print it."""
    real, drafts, refined = results.patch_files(places)
    rows = summary.rows(real, drafts=drafts, refined=refined)
    if places.truth:
        made = claims.made_with(places.patches, 'configs/prepare_patches.py', 'configs/otsu.py')
        pairs = stacks.pair_by_name(made.STACKS, places.truth)
        dice = summary.otsu_dice(pairs, config.pick(made, otsu.Settings))
        rows.append(('OTSU of the real domain against its truth (Dice; scoring only)',
                     '%.3f' % dice))
    text = tables.markdown([(what, {'figure': number}) for what, number in rows], ['figure'],
                           corner='what')
    path = os.path.join(places.output, 'summary.md')
    files.write_text(path, text)
    print('\n%s\n%s' % (path, text))


def main():
    cfg = config.load('configs/figures.py', sys.argv[1:], description=__doc__)
    places = config.pick(cfg, results.Places)
    if cfg.FIGURES == 'gallery':
        print(draw_gallery(places))
        return None
    names, missing = wanted(cfg), 0
    targets = [os.path.join(cfg.OUTPUT, '%s.%s' % (
        name, 'png' if FIGURES[name].copied else cfg.FORMAT)) for name in names]
    folder.claim(cfg.OUTPUT, targets + [os.path.join(cfg.OUTPUT, 'summary.md')]
                 * (cfg.FIGURES == 'all'))
    for name, target in zip(names, targets):
        figure = FIGURES[name]
        try:
            figure.draw(places, target)
            print('%-28s %s' % (target, figure.caption))
        except UserError as error:                       # the other figures are still worth drawing
            late = cfg.FIGURES in ('all', 'paper') and figure.later
            print('%s: %s: %s' % ('left out' if late else 'error', target, error), file=sys.stderr)
            missing += not late
    if cfg.FIGURES == 'all' and not missing:
        write_summary(places)
    return 'error: %d of %d figures could not be drawn' % (missing, len(names)) if missing else None


if __name__ == '__main__':
    errors.run(main)
