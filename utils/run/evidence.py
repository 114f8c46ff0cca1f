"""What a step left on disk, read and judged: the findings of each step."""
import csv
import glob
import os

import numpy as np

from utils.common import files
from utils.data import stacks, swc
from utils.data.patches import PatchFile
from utils.draw import masks as mask_figures
from utils.run import findings
from utils.score import preservation, realism

JUDGED = 24                      # drafts, and twice as many real patches, that are compared
MIDDLING = 0.25, 0.75            # probabilities; what is below is background
PROBABILITIES = '.prob.tif'
TRUE_MEASURES = preservation.KEPT + ('gap',)             # columns of log.csv that are needed


# --- step 0 ---

def of_patches(places, looks, *, bad):
    """Findings of step 0.

    Args:
        places: plan.Places; looks: list of survey.Look; bad: texts on stacks that were left out.
    """
    priors = files.read_json(os.path.join(places.patches, 'priors.json'))
    made = files.read_json(os.path.join(places.patches, 'config.json'))
    count = _count(os.path.join(places.patches, 'real.h5'))
    picture = _first(places.patches, 'real_*.png')
    contrast = min(look.contrast for look in looks)
    specks = max(look.specks for look in looks)
    found = [findings.of_stacks(len(priors['stacks']), bad),
             findings.of_patches(count),
             findings.of_share(priors['foreground_fraction'], noise_floor=made['NOISE_FLOOR']),
             findings.of_background(contrast, specks, noise_floor=made['NOISE_FLOOR'],
                                    min_object=made['MIN_OBJECT'])]
    return [one._replace(picture=picture) for one in found]


# --- step 1 ---

def of_drafts(places):
    """Findings of step 1: the drafts against real patches, by the measures of step 2."""
    priors = files.read_json(os.path.join(places.patches, 'priors.json'))
    target, = _some(os.path.join(places.patches, 'real.h5'), 2 * JUDGED, labelled=False)
    image, label = _some(os.path.join(places.drafts, 'patches.h5'), JUDGED, labelled=True)
    box = (slice(None),) + tuple(slice(min(a, b)) for a, b in zip(target.shape[1:],
                                                                  image.shape[1:]))
    target, image, label = target[box], image[box], label[box]
    half = max(1, len(target) // 2)
    judge = realism.Judge(image, label, real=target[:half], more_real=target[-half:])
    found = findings.of_drafts(
        judge.draft, noise=priors['background']['robust_std'],
        height=priors['foreground']['median'] - priors['background']['median'])
    return [found._replace(picture=os.path.join(places.figures, 'drafts.png'))]


# --- step 2 ---

def of_refiner(places):
    """Findings of step 2: labels and looks at the checkpoint that refined."""
    rows = [row for row in _rows(places.refiner) if row.get('gap')]
    draft = files.read_json(os.path.join(places.refiner, 'evaluation.json'))['draft']
    path = os.path.join(places.refiner, 'best.json')
    best = files.read_json(path)['step'] if os.path.exists(path) else None
    picture = _last(places.refiner, 'preview_*.png')
    if not rows:
        return [findings.Finding('labels kept', findings.YELLOW, 'Nothing was evaluated.', picture)]
    row = next((row for row in rows if int(row['step']) == best), rows[-1])
    values = {name: float(row[name]) for name in TRUE_MEASURES}
    return [
        findings.of_labels(best is not None, preservation.fault(values, draft),
                           lost=values['lost'],
                           invented=values['invented_length'] - draft['invented_length'],
                           )._replace(picture=picture),
        findings.of_refining(values['gap'], draft['gap'])._replace(picture=picture)]


def of_critics(places):
    """Findings of STAGE=judge; [] where there is none."""
    path = os.path.join(places.refiner, 'judge.json')
    if not os.path.exists(path):
        return []
    rows = files.read_json(path)['verdicts']

    def of(name):
        return {row['scale']: row['accuracy'] for row in rows if row['patches'] == name}

    learnt = [row['train_accuracy'] >= findings.LEARNT_CRITIC for row in rows
              if row['patches'] == 'refined' and row['scale'] == 'texture']
    if not of('refined'):
        return []
    return [findings.of_critics(of('refined'), of('real'), learnt=all(learnt))._replace(
        picture=_last(places.refiner, 'preview_*.png'))]


# --- step 3 ---

def of_network(places):
    """Findings of the training of step 3."""
    rows = [row for row in _rows(places.network) if row.get('validation_dice')]
    if not rows:
        return []
    best = min(rows, key=lambda row: float(row['validation_loss']))
    return [findings.of_network(float(best['validation_dice']))]


def of_masks(places, images):
    """Findings of the masks of step 3; draws a picture of the first one and of the worst.

    Args:
        images: dict from a stack's name to its path.
    """
    measured = files.read_json(os.path.join(places.patches, 'priors.json'))['stacks']
    found = []
    for path in _all(places.segmented, '*' + PROBABILITIES):
        name = os.path.basename(path)[:-len(PROBABILITIES)]
        probability = stacks.read(path, probabilities=True).voxels
        share, middling = of_probabilities(probability)
        own = [findings.of_mask(share, measured.get(name, {}).get('foreground_fraction', share),
                                name=name),
               findings.of_calibration(middling, name=name)]
        picture = os.path.join(places.results, 'mask_%s.png' % name)
        if name in images and (not found or findings.worst(own) != findings.GREEN):
            mask_figures.stack_and_mask(picture, stacks.read(images[name]).voxels,
                                        probability=probability, band=MIDDLING)
        found.append([one._replace(picture=picture if os.path.exists(picture) else '')
                      for one in own])
    return _worst_of_each(found)


def of_probabilities(voxels):
    """(share of the voxels from 0.5 on, share of MIDDLING ones in what is above its lower end).

    Args:
        voxels: uint8, probability * 255.
    """
    count = np.bincount(voxels.ravel(), minlength=256)
    low, high = [int(np.ceil(255 * p)) for p in MIDDLING]
    return float(count[128:].sum() / voxels.size), float(
        count[low:high].sum() / max(1, count[low:].sum()))


# --- step 4 ---

def of_traces(places):
    """Findings of step 4."""
    measured = files.read_json(os.path.join(places.patches, 'priors.json'))['stacks']
    found = []
    for path in _all(places.segmented, '*' + PROBABILITIES):
        name = os.path.basename(path)[:-len(PROBABILITIES)]
        traced = os.path.join(places.traces, name + '.swc')
        stack = stacks.read(path, probabilities=True)
        spacing = stacks.spacing_of(stack.voxel_size)
        lengths = (lengths_of(swc.read(traced), spacing) if os.path.exists(traced)
                   else np.zeros(0))
        volume = stack.voxels.size * np.prod(spacing)
        expected = measured.get(name, {}).get('density', 0.0) * volume
        own = [findings.of_cable(lengths.sum(), expected or lengths.sum(), trees=len(lengths),
                                 name=name)]
        if len(lengths):
            own.append(findings.of_trees(lengths, name=name))
        picture = os.path.join(places.traces, name + '.png')
        found.append([one._replace(picture=picture) for one in own])
    return _worst_of_each(found)


def lengths_of(tree, spacing):
    """Length of each tree of a forest, x voxels: float [trees].

    Args:
        tree: swc.Tree, positions in voxels; spacing: (z, y, x) of a voxel, x voxels.
    """
    number = np.cumsum(tree.parent < 0) - 1
    child = np.flatnonzero(tree.parent >= 0)
    for node in child:
        number[node] = number[tree.parent[node]]
    way = (tree.position[child] - tree.position[tree.parent[child]]) * spacing
    step = np.sqrt((way ** 2).sum(1))
    return np.bincount(number[child], step, minlength=number.max() + 1)


# --- helpers ---

def _worst_of_each(found):
    """Of the findings of several stacks the worst of each topic, told how many are alike."""
    by_topic = {}
    for own in found:
        for one in own:
            by_topic.setdefault(one.topic, []).append(one)
    result = []
    for several in by_topic.values():
        worst = max(several, key=lambda one: findings.LIGHTS.index(one.light))
        alike = sum(one.light == worst.light for one in several)
        if len(several) > 1:
            worst = worst._replace(words='%s (%d of %d stacks %s)' % (
                worst.words, alike, len(several), worst.light))
        result.append(worst)
    return result


def _count(path):
    """Patches of a patch file."""
    file = PatchFile(path)
    file.file.close()
    return len(file.source)


def _some(path, count, *, labelled):
    """Images, and labels, of at most `count` patches of a file, drawn at random; a list."""
    file = PatchFile(path, with_labels=labelled)
    rows = np.sort(np.random.default_rng(0).permutation(len(file))[:count])
    found = [np.stack([array[int(i)] for i in rows])
             for array in [file.image] + [file.label] * labelled]
    file.file.close()
    return found


def _rows(run_dir):
    """Rows of log.csv; [] without it."""
    path = os.path.join(run_dir, 'log.csv')
    if not os.path.exists(path):
        return []
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def _all(folder, pattern):
    return sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))


def _first(folder, pattern):
    """First file that matches, or ''."""
    return (_all(folder, pattern) or [''])[0]


def _last(folder, pattern):
    """Last file that matches, or ''."""
    return (_all(folder, pattern) or [''])[-1]
