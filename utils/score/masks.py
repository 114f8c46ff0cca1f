"""Scores of a segmentation against labels that may be sparse: human labels on a few slices, with a rim left out."""
import csv
import os
from collections import namedtuple

import numpy as np
from skimage import filters

from utils.common.errors import UserError
from utils.common.files import whole_file
from utils.data import stacks
from utils.score import metrics

BACKGROUND, FOREGROUND, ARTEFACT, RIM = 1, 2, 3, 4            # codes of an annotated stack; 0: not annotated
CODES = (0, BACKGROUND, FOREGROUND, ARTEFACT, RIM)

# truth, valid: bool [Z, Y, X], foreground and the voxels that count; slices: z of the annotated slices, None if every
# slice is, and then all is measured in 3-D, else slice by slice
Annotation = namedtuple('Annotation', 'truth valid slices')
MEASURES = ('dice', 'iou', 'precision', 'recall', 'f1_1', 'f1_2', 'cldice', 'ap', 'betti0')


def read_annotation(path, shape):
    """Read labels: a mask of {0, 1}, annotated everywhere, or codes 0 to 4 as TRAILMAP's (see above).

    Raises:
        UserError: as stacks.read; of another shape than its image; other values; no foreground.
    """
    codes = stacks.read(path).voxels
    if codes.shape != tuple(shape):
        raise UserError('%s is %s voxels, its image %s: give the labels of this very stack' % (path, codes.shape, tuple(shape)))
    found = np.unique(codes)
    if not set(found) <= set(CODES):
        raise UserError('%s holds values other than 0 and 1 (a mask) or 0 to 4 (not annotated, background, foreground, '
                        'artefact, rim): %s' % (path, ', '.join(map(str, found[:8]))))
    if found.max() <= 1:
        truth, valid = codes > 0, np.ones(codes.shape, bool)
    else:
        truth, valid = codes == FOREGROUND, np.isin(codes, (BACKGROUND, FOREGROUND, ARTEFACT))
    if not truth.any():
        raise UserError('%s has no foreground voxel: there is nothing to score' % path)
    annotated = valid.any((1, 2))
    return Annotation(truth, valid, None if annotated.all() else [int(z) for z in np.flatnonzero(annotated)])


def within(annotation, boxes):
    """The same annotation, counting only inside some boxes (tuples of slices)."""
    inside = np.zeros(annotation.valid.shape, bool)
    for box in boxes:
        inside[box] = True
    return annotation._replace(valid=annotation.valid & inside)


def halves(shape, axis, *, gap):
    """Two boxes at the ends of an axis with `gap` voxels between them; list of two tuples of slices."""
    side = (shape[axis] - gap) // 2
    ends = slice(0, side), slice(shape[axis] - side, shape[axis])
    return [tuple(end if a == axis else slice(0, n) for a, n in enumerate(shape)) for end in ends]


def score(probability, annotation, *, threshold=0.5):
    """All MEASURES of a segmentation.

    Args:
        probability: [Z, Y, X] of the foreground; threshold: at or above it a voxel is foreground.

    Returns:
        dict of floats. Counts of all annotated slices are pooled before a ratio is taken; betti0 is the mean absolute error
        per slice (of the whole where it is 3-D).
    """
    mask = np.asarray(probability) >= threshold
    pieces = [slice(None)] if annotation.slices is None else annotation.slices
    pieces = [(mask[z], annotation.truth[z], annotation.valid[z]) for z in pieces]
    values = metrics.overlap(mask, annotation.truth, valid=annotation.valid)
    for name, count in (('f1_1', lambda *p: metrics.tolerant_counts(p[0], p[1], tolerance=1, valid=p[2])),
                        ('f1_2', lambda *p: metrics.tolerant_counts(p[0], p[1], tolerance=2, valid=p[2])),
                        ('cldice', lambda *p: metrics.cldice_counts(p[0], p[1], valid=p[2]))):
        a, b, c, d = np.sum([count(*piece) for piece in pieces], 0)
        values[name] = metrics.f1(metrics.ratio(a, b), metrics.ratio(c, d))
    values['ap'] = metrics.average_precision(np.asarray(probability)[annotation.valid], annotation.truth[annotation.valid])
    values['betti0'] = float(np.mean([metrics.betti0_error(m, t, valid=v) for m, t, v in pieces]))
    return values


def otsu(voxels):
    """OTSU's threshold of a stack as a mask; float32 {0, 1}."""
    return (voxels > filters.threshold_otsu(voxels)).astype(np.float32)


def oracle(voxels, annotation):
    """The single threshold with the best Dice, chosen with the labels in hand; float32 {0, 1}."""
    _, threshold = metrics.best_dice(voxels[annotation.valid], annotation.truth[annotation.valid])
    return (voxels >= threshold).astype(np.float32)


NAMES = {'dice': 'Dice', 'iou': 'IoU', 'precision': 'precision', 'recall': 'recall', 'f1_1': 'F1, 1 voxel', 'f1_2': 'F1, 2 voxels',
         'cldice': 'clDice', 'ap': 'average precision', 'betti0': 'Betti-0 error'}
REGIONS = {'whole': 'all that is annotated (the manual arms have seen half of it and are left out)',
           'ends': 'the two ends (each manual network is scored on the end that it has not seen)'}


def write_table(folder, rows, *, title):
    """Write segmentation.csv, one row per training, and segmentation.md, mean and standard deviation over the seeds.

    Args:
        rows: dicts of MEASURES, arm, seed and region.

    Returns:
        the Markdown text.
    """
    columns = ['region', 'arm', 'seed'] + list(MEASURES)
    rows = sorted(rows, key=lambda row: list(REGIONS).index(row['region']))
    with whole_file(os.path.join(folder, 'segmentation.csv')) as partial:
        with open(partial, 'w', newline='') as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([['%.5f' % row[c] if c in MEASURES else row[c] for c in columns] for row in rows])
    lines = [title]
    for region, text in REGIONS.items():
        here = [row for row in rows if row['region'] == region]
        lines += ['', 'On %s:' % text, '', '| arm | ' + ' | '.join(NAMES[m] for m in MEASURES) + ' |']
        lines += ['| --- ' * (len(MEASURES) + 1) + '|']
        for arm in dict.fromkeys(row['arm'] for row in here):
            values = np.array([[row[m] for m in MEASURES] for row in here if row['arm'] == arm])
            cells = [_cell(column, '%.1f' if m == 'betti0' else '%.3f') for m, column in zip(MEASURES, values.T)]
            lines.append('| %s | %s |' % (arm, ' | '.join(cells)))
    text = '\n'.join(lines) + '\n'
    with whole_file(os.path.join(folder, 'segmentation.md')) as partial:
        with open(partial, 'w') as file:
            file.write(text)
    return text


def _cell(values, form):
    """Mean, and with several values their standard deviation."""
    return form % values.mean() + (' +- ' + form % values.std(ddof=1) if len(values) > 1 else '')
