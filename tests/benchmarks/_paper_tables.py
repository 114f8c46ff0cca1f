"""Tables and figures of the paper's experiment."""
import csv
import os
from collections import OrderedDict

import numpy as np

from utils.common import files
from utils.data import patches
from utils.draw import comparison as figures
from utils.draw import drafts as pictures
from utils.score import masks, tables

DRAFTS = OrderedDict([
    ('paper', "the paper's model, with measured grey levels"), ('measured', 'measured priors'),
    ('no_internal', "the paper's model without internal priors"),
    ('no_external', "the paper's model without external priors")])
REAL = 'real'                    # in place of drafts and of a refiner: real against real patches
REFINERS = {'raw': 'raw drafts', 'simgan': 'SimGAN', 'mpgan': 'MPGAN', REAL: 'real against real'}
AUGMENTATIONS = {'plain': 'without', 'augmented': 'with'}        # ... grey-level augmentation
NETWORK_COLUMNS = OrderedDict(list(masks.HEADINGS.items()) + [
    ('best_dice', 'Dice, best threshold')])
# of the refined patches against the drafts' labels, and the critic's accuracy
KEPT = OrderedDict([('dice', 'Dice with the label'), ('cldice', 'clDice'),
                    ('invented_length', 'invented, voxels'), ('lost', 'lost'),
                    ('dimmed', 'dimmed'), ('contrast_grey', 'contrast, of the drafts\''),
                    ('lone_dark', 'lone dark voxels')])
REFINER_COLUMNS = OrderedDict([
    ('texture', 'critic, texture'), ('texture_train', 'in training'),
    ('structure', 'critic, structure'), ('structure_train', 'in training')] + list(KEPT.items()) + [
        ('step', 'refined by step')])
SHOWN = ('dice', 'cldice', 'precision', 'recall')                # measures of the figure
PATCHES = 3                                                      # of a block of the pictures


def evaluation_of(run_dir, step=None):
    """A row of a refiner's log.csv with an evaluation: of a step, or the last; dict of text."""
    with open(os.path.join(run_dir, 'log.csv'), newline='') as file:
        rows = [row for row in csv.DictReader(file)
                if row.get('dice') and step in (None, int(row['step']))]
    return rows[-1] if rows else {}


def labels_kept(run_dir, step=None):
    """An evaluation of a refiner's run, see evaluation_of: those of KEPT that it has; dict."""
    row = evaluation_of(run_dir, step)
    return {name: float(row[name]) for name in KEPT if row.get(name)}


def spectra(evaluation):
    """Mean distance of the spectra along z, y and x to real patches', of an evaluation."""
    return float(np.mean([float(evaluation['spectrum_' + axis]) for axis in 'zyx']))


def labels_of_drafts(run_dirs):
    """As labels_kept, of the drafts themselves, by the first run that measured them; dict."""
    for run_dir in run_dirs:
        path = os.path.join(run_dir, 'evaluation.json')
        if os.path.exists(path):
            draft = files.read_json(path)['draft']
            return {name: float(draft[name]) for name in KEPT if name in draft}
    return {}


def write_networks(folder, rows, *, title, judged=(), times=()):
    """Write paper.csv, paper_refiners.csv, paper.md and paper_arms.png.

    Args:
        rows: dicts of a network: drafts, refiner, augmentation, seed and NETWORK_COLUMNS.
        judged: dicts of a refiner: drafts, refiner, seed, some of REFINER_COLUMNS, notes; those
            of REAL are shown with all drafts.
        title: first line of the text; times: lines for its end.

    Returns:
        the text, Markdown: means and standard deviations over the seeds.
    """
    tables.write_csv(os.path.join(folder, 'paper.csv'), rows, columns=[
        'drafts', 'refiner', 'augmentation', 'seed'] + list(NETWORK_COLUMNS))
    text = title + '\n'
    for drafts in OrderedDict.fromkeys(row['drafts'] for row in rows):
        for name, words in AUGMENTATIONS.items():
            here = [row for row in rows if (row['drafts'], row['augmentation']) == (drafts, name)]
            if here:
                text += '\nNetworks: drafts of %s, %s grey-level augmentation\n\n%s' % (
                    DRAFTS[drafts], words, _means(here, NETWORK_COLUMNS))
    if judged:
        text += _write_refiners(folder, judged)
    text += ''.join('\n- %s' % line for line in times) + '\n' * bool(times)
    files.write_text(os.path.join(folder, 'paper.md'), text)
    figures.arms(os.path.join(folder, 'paper_arms.png'), [
        dict(row, arm='%s, %s%s' % (row['drafts'], REFINERS[row['refiner']],
                                    ', augmented' * (row['augmentation'] == 'augmented')))
        for row in rows], measures=SHOWN)
    return text


def _write_refiners(folder, judged):
    """Write paper_refiners.csv; returns a table for each kind of drafts, Markdown."""
    columns = OrderedDict((name, heading) for name, heading in REFINER_COLUMNS.items()
                          if any(name in row for row in judged))
    judged = [dict(dict.fromkeys(columns, float('nan')), **dict({'notes': ''}, **row))
              for row in judged]
    tables.write_csv(os.path.join(folder, 'paper_refiners.csv'), judged,
                     columns=['drafts', 'refiner', 'seed'] + list(columns) + ['notes'])
    if any(row['notes'] for row in judged):
        columns['notes'] = 'of the critics'
    kinds = OrderedDict.fromkeys(row['drafts'] for row in judged)
    return ''.join('\nPatches: drafts of %s\n\n%s' % (DRAFTS[drafts], _means(
        [row for row in judged if row['drafts'] in (drafts, REAL)], columns))
        for drafts in kinds if drafts != REAL)


def _means(rows, columns):
    """A table: a row for each refiner, mean and spread over the seeds; all notes of the seeds."""
    def of(values, column):
        if column == 'notes':
            return '; '.join(sorted(set(filter(None, values))))
        form = {'betti0': '%.1f', 'step': '%.0f'}.get(column, '%.3f')
        return '' if np.isnan(values).any() else tables.spread(values, form)

    return tables.markdown([(REFINERS[refiner], {
        column: of([row[column] for row in rows if row['refiner'] == refiner], column)
        for column in columns}) for refiner in OrderedDict.fromkeys(
            row['refiner'] for row in rows)], columns, corner='refiner')


def result_line(rows):
    """Mean Dice of each arm, as NAME=VALUE."""
    arms = OrderedDict()
    for row in rows:
        name = '%s_%s_%s' % (row['drafts'], row['refiner'], row['augmentation'])
        arms.setdefault(name, []).append(row['dice'])
    return ' '.join('dice_%s=%.4f' % (name, np.mean(values)) for name, values in arms.items())


def draw_patches(path, named, *, real, title='real'):
    """The same patches of each file beside real ones, whole and close.

    Args:
        path: of the figure; named: list of (title, patch file), of the same drafts.
        real: patch file; title: of its patches.
    """
    blocks = []
    for name, place in list(named) + [(title, real)]:
        file = patches.PatchFile(place)
        rows = np.linspace(0, len(file) - 1, PATCHES + 2).astype(int)[1:-1]
        blocks.append((name, np.stack([file.image[i] for i in rows])))
        file.file.close()
    pictures.close_ups(path, blocks, same=len(named))
