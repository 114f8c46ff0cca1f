"""Training of the refiner: curves of its log, and drafts beside what it made of them."""
import csv
import os

import matplotlib.pyplot as plt
import numpy as np

from utils.common import files
from utils.common.errors import UserError
from utils.draw.base import RED, limits, project, save, show

ALWAYS = (('refiner', 'adversarial', 'discriminator'), ('identity', 'label'), ('accuracy',),
          ('learning_rate',))    # columns of log.csv by panel
EVALUATED = (('inside', 'outside'), ('spectrum_z', 'spectrum_y', 'spectrum_x'),
             ('dice', 'cldice', 'auc'), ('gap',), ('invented_length',),
             ('lost', 'contrast_kept', 'dimmed', 'brightened'), ('contrast_grey', 'contrast_noise'),
             ('lone_bright', 'lone_dark'), ('spectrum',))     # where the log has them
ACROSS = 4                       # panels in a row
JUDGED = (('draft', '--', 'the drafts'), ('floor', ':', 'real patches'))


def read_log(path):
    """Columns of a log.csv: dict from name to float array, NaN where a row has no value.

    Returns:
        {} if the log has no row yet.

    Raises:
        UserError: it has no steps, or something else than numbers.
    """
    try:
        with open(path, newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        log = {name: np.array([float(row[name] or 'nan') for row in rows])
               for name in (rows[0] if rows else ())}
        if log and 'step' not in log:
            raise ValueError('no column step')
        return log
    except (ValueError, TypeError, csv.Error) as error:
        raise UserError('%s is damaged (%s): mend it, or remove it and train on'
                        % (path, str(error)[:80]))


def read_evaluation(path):
    """The levels of evaluation.json, see curves, or None without the file.

    Raises:
        UserError: it is damaged.
    """
    if not os.path.exists(path):
        return None
    cure = 'remove it; STAGE=train writes it anew'
    levels = files.read_json(path, keys={level: dict for level, _, _ in JUDGED}, cure=cure)
    for level, _, _ in JUDGED:
        if not all(isinstance(value, (int, float)) for value in levels[level].values()):
            raise UserError('%s: %s holds more than numbers: %s' % (path, level, cure))
    return levels


def curves(path, log, *, judge=None):
    """Losses of both networks, the discriminator's accuracy, learning rate, and evaluations.

    Args:
        path: of the figure; log: of read_log.
        judge: None, or dict with `draft` and `floor`: dicts of the evaluation's measures on the
            drafts as they are and on other real patches, drawn as level lines.

    Raises:
        UserError: if the file cannot be written.
    """
    panels = ALWAYS + tuple(names for names in EVALUATED if names[0] in log)
    rows = -(-len(panels) // ACROSS)
    figure, axes = plt.subplots(rows, ACROSS, figsize=(15, 3 * rows), squeeze=False)
    for panel, names in zip(axes.flat, panels):
        for name in [name for name in names if name in log]:
            there = np.isfinite(log[name])
            line, = panel.plot(log['step'][there], log[name][there], label=name, lw=1)
            for level, style, words in JUDGED if judge else ():
                if name in judge[level]:
                    panel.axhline(judge[level][name], color=line.get_color(), ls=style, lw=0.8,
                                  label='%s of %s' % (name, words))
        panel.set_xlabel('step')
        panel.legend(fontsize=6)
        panel.grid(alpha=0.3)
    for panel in axes.flat[len(panels):]:
        panel.remove()
    axes[0, 2].set_ylim(-0.05, 1.05)                     # accuracy
    figure.tight_layout()
    save(figure, path)


def draft_refined_real(path, drafts, *, refined, real, labels, title=''):
    """Rows of patches: draft | refined | real at one grey scale, then the first two with labels.

    The scale is the real patches'; a red line runs around each label's projection.

    Args:
        path: of the figure.
        drafts, refined, real: uint8 or uint16 [N, Z, Y, X], projected along z.
        labels: {0, 1} [N, Z, Y, X]; title: above all.

    Raises:
        UserError: if the file cannot be written.
    """
    n = len(drafts)
    figure, axes = plt.subplots(n, 5, figsize=(10.5, 2.15 * n), squeeze=False)
    scale = limits(*[project(image) for image in real])
    columns = (('draft', drafts), ('refined', refined), ('real domain', real),
               ('draft + label', drafts), ('refined + label', refined))
    for row in range(n):
        for panel, (name, images) in zip(axes[row], columns):
            show(panel, project(images[row]), title=name if row == 0 else None, scale=scale)
        outline = project(labels[row])
        if outline.any() and not outline.all():          # else there is no line to draw
            for panel in axes[row, 3:]:
                panel.contour(outline, [0.5], colors=RED, linewidths=0.7)
    if title:
        figure.suptitle(title, fontsize=10)
    save(figure, path)
