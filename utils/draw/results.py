"""Figures of the results on disk: one function each reads what a step left and draws a file.

They take (places, target): Places, and the path of the figure. All raise UserError, naming the
script that makes what is missing.
"""
import csv
import glob
import os
import shutil
import sys
from typing import NamedTuple, Optional

import numpy as np

from utils.common import files
from utils.common.errors import UserError
from utils.data import bounded, stacks, swc
from utils.data.patches import PatchFile
from utils.draw import base, drafts, training
from utils.draw.traces import score_curves

HISTOGRAM_PATCHES = 100          # patches of a file, or up to twice as many, that are looked at
BESIDE, PANEL = 12, 4            # patches in `drafts` and rows in `panel`
REFINING = 2                     # rows of each kind of drafts in `refining`
PROBABILITIES = '.prob'          # in a probability map's name


class Places(NamedTuple):
    """Folders of results: the constants of configs/figures.py."""
    patches: str                 # of prepare_patches.py
    drafts: str                  # of 1_simulator.py
    refined: str                 # of 2_mpgan.py
    run_dir: str                 # of 2_mpgan.py: training
    segmented: str               # of 3_segmentation.py: probability maps
    segmentation_run: str        # of 3_segmentation.py: training
    traces: str                  # of 4_reconstruction.py
    results: str                 # of the comparison of networks; the gallery's page goes there
    benchmark: str               # of tests/benchmarks/reconstruction.py
    output: str                  # of the figures
    truth: Optional[str]         # labels of the stacks that `patches` came from; None: not known
    plain_drafts: Optional[str] = None       # of the paper's model, to be shown beside; None: none
    plain_refined: Optional[str] = None      # the same, refined


def need(path, script):
    """The path, if it is there.

    Raises:
        UserError: naming the script that makes it.
    """
    if not os.path.exists(path):
        raise UserError('no %s: run %s first' % (path, script))
    return path


def patch_files(places):
    """Patch files of the real domain, of drafts and of refined drafts; the latter two labelled."""
    return (PatchFile(os.path.join(places.patches, 'real.h5')),
            PatchFile(os.path.join(places.drafts, 'patches.h5'), with_labels=True),
            PatchFile(os.path.join(places.refined, 'patches.h5'), with_labels=True))


def some(images):
    """Every n-th of [N, Z, Y, X], so that about HISTOGRAM_PATCHES are left."""
    return images[:: 1 + len(images) // HISTOGRAM_PATCHES]


def _spread(count, wanted):
    """Rows of a file of `count` patches, evenly spaced, neither the first nor the last."""
    return np.linspace(0, count - 1, wanted + 2).astype(int)[1:-1]


def _taken(images, rows):
    return np.stack([images[i] for i in rows])


def _copy(path, target):
    with files.whole_file(target) as partial:
        shutil.copyfile(path, partial)


def _draft_pairs(places):
    """(image, label) paths of the draft stacks."""
    images = need(os.path.join(places.drafts, 'images'), '1_simulator.py')
    return stacks.pair_by_name(images, os.path.join(places.drafts, 'labels'))


# --- step 0 ---

def draw_patches(places, target):
    """Copy the four-step figure of the first stack."""
    found = sorted(name for name in os.listdir(need(places.patches, 'prepare_patches.py'))
                   if name.startswith('real_') and name.endswith('.png'))
    if not found:
        raise UserError('no real_*.png in %s: run prepare_patches.py first' % places.patches)
    _copy(os.path.join(places.patches, found[0]), target)


def draw_priors(places, target):
    """Copy the distributions that were measured."""
    _copy(need(os.path.join(places.patches, 'priors.png'), 'prepare_patches.py'), target)


# --- step 1 ---

def draw_simulator(places, target):
    """One dendrite and one axon if there are both, else the first two drafts."""
    pairs = _draft_pairs(places)
    names = [stacks.name_of(image) for image, _ in pairs]
    dendrite = [swc.SOMA in swc.read(os.path.join(places.drafts, 'swc', name + '.swc')).type
                for name in names]
    picked = [dendrite.index(kind) for kind in (True, False) if kind in dendrite]
    if len(picked) < 2:
        picked = list(range(min(2, len(pairs))))
    drafts.simulator_page(target, [
        ('%s %s' % ('dendrite' if dendrite[i] else 'axon', names[i]),
         stacks.read(pairs[i][0]), stacks.read(pairs[i][1]).voxels) for i in picked])


def draw_drafts(places, target):
    """Real patches beside drafts, and the drafts' labels."""
    real = PatchFile(os.path.join(places.patches, 'real.h5'))
    made = PatchFile(os.path.join(places.drafts, 'patches.h5'), with_labels=True)
    rows, real_rows = [_spread(len(file), 2 * BESIDE)[::2] for file in (made, real)]
    drafts.beside(target, [('real', _taken(real.image, real_rows)),
                           ('drafts', _taken(made.image, rows)),
                           ('labels of the drafts', _taken(made.label, rows))])


# --- step 2 ---

def draw_panel(places, target):
    """Patches: draft | refined | real domain, with the labels."""
    real, made, refined = patch_files(places)
    _check_pair(made, refined)
    rows = _spread(len(made), PANEL)
    training.draft_refined_real(target, _taken(made.image, rows),
                                refined=_taken(refined.image, rows),
                                real=_taken(real.image, _spread(len(real), PANEL)),
                                labels=_taken(made.label, rows))


def draw_refining(places, target):
    """Drafts | refined | real domain, close: of the paper's model where there are some, then of
    measured priors."""
    kinds = [("the paper's model", places.plain_drafts, places.plain_refined),
             ('measured priors', places.drafts, places.refined)]
    kinds = [kind for kind in kinds if kind[1] and kind[2]]
    groups = []
    for k, (title, drafts_of, refined_of) in enumerate(kinds):
        real, made, refined = patch_files(places._replace(drafts=drafts_of, refined=refined_of))
        _check_pair(made, refined)
        rows = _spread(len(made), REFINING)
        real_rows = _spread(len(real), REFINING * len(kinds))[k::len(kinds)]
        groups.append((title, _taken(made.image, rows), _taken(refined.image, rows),
                       _taken(real.image, real_rows)))
    drafts.refining(target, groups)


def _check_pair(made, refined):
    """Raise UserError unless patches were refined from those of a file."""
    if (len(made), made.source) != (len(refined), refined.source):
        raise UserError('%s was not refined from %s: run 2_mpgan.py again'
                        % (refined.path, made.path))


def draw_stack(places, target):
    """The first draft stack, its refined stack and its label."""
    image, label = _draft_pairs(places)[0]
    refined = need(os.path.join(places.refined, 'images', os.path.basename(image)), '2_mpgan.py')
    drafts.side_by_side(target, [(title, stacks.read(path).voxels) for title, path in
                                 (('draft', image), ('refined', refined), ('label', label))])


def draw_curves(places, target):
    """Training curves, with the levels of the evaluation where they are kept."""
    log = training.read_log(need(os.path.join(places.run_dir, 'log.csv'), '2_mpgan.py'))
    if not log:
        raise UserError('%s/log.csv has no row yet: train for longer than LOG_EVERY steps'
                        % places.run_dir)
    judge = training.read_evaluation(os.path.join(places.run_dir, 'evaluation.json'))
    training.curves(target, log, judge=judge)


def draw_levels(places, target):
    """Grey-level histograms of real patches, drafts and refined drafts."""
    names = 'real domain', 'draft', 'refined'
    drafts.grey_histograms(target, [(name, some(file.image))
                                    for name, file in zip(names, patch_files(places))])


def pictures(places):
    """Pictures of steps 0 to 2 for the diagram, projected along z: dict of framework.framework."""
    real, made, refined = patch_files(places)
    i = len(made) // 2
    return {'real': base.project(real.image[len(real) // 2]), 'draft': base.project(made.image[i]),
            'label': base.project(made.label[i]), 'refined': base.project(refined.image[i])}


# --- steps 3 and 4 ---

def first_mask(places):
    """First probability map: (its stack's name, bool [Z, Y, X], above one half), or None: there is
    none, or it is too large, which is said."""
    for name, path in bounded.results_of(places.segmented, PROBABILITIES).items():
        stack = bounded.read(path, probabilities=True)
        if stack.whole:
            return name, stack.voxels > (0.5 if stack.voxels.dtype.kind == 'f' else 127)
        print('left out: %s is too large to be drawn' % path, file=sys.stderr)
    return None


def first_trace(places):
    """Path of the first SWC."""
    found = sorted(glob.glob(os.path.join(glob.escape(places.traces), '*.swc')))
    if not found:
        raise UserError('no SWC in %s: run 4_reconstruction.py first' % places.traces)
    return found[0]


def draw_comparison(places, target):
    """Copy the figure of the target's name, of the comparison of networks or the paper's arms."""
    name = os.path.basename(target)
    script = 'paper.py' if name.startswith('paper_') else 'comparison.py'
    _copy(need(os.path.join(places.results, name), 'tests/benchmarks/' + script), target)


def draw_reconstruction(places, target):
    """Length F1 of traces by each way to a mask, over noise."""
    path = need(os.path.join(places.benchmark, 'benchmark.csv'),
                'tests/benchmarks/reconstruction.py FOLDER=%s RUN_DIR=%s'
                % (places.benchmark, places.segmentation_run))
    scores = {}                                      # by kind of stacks, then by method
    try:
        with open(path, newline='', encoding='utf-8') as file:
            for row in csv.DictReader(file):
                methods = scores.setdefault(row['stacks'], {})
                methods.setdefault(row['method'], {})[float(row['noise'])] = float(row['length_f1'])
        levels = sorted({level for methods in scores.values() for at in methods.values()
                         for level in at})
        if not (levels and np.isfinite(levels).all()):
            raise ValueError('no level of noise')
        for methods in scores.values():
            for method, at in methods.items():
                if set(at) != set(levels):
                    raise ValueError('%s lacks a level of noise' % method)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError('%s is damaged (%s): make it anew with tests/benchmarks/reconstruction.py'
                        % (path, str(error)[:80]))
    score_curves(target, levels, xlabel="noise, times the phantom's", ylabel='length F1', panels=[
        (kind, [(method, [at[level] for level in levels]) for method, at in methods.items()])
        for kind, methods in scores.items()])
