"""Segmentation networks compared: scores, precision against recall, masks on one slice."""
import matplotlib.pyplot as plt
import numpy as np

from utils.draw.base import save, show

RIGHT, WRONG, MISSED = (1, 1, 1), (0.95, 0.2, 0.2), (0.2, 0.5, 1)     # colours of voxels
COUNTED, UNCOUNTED = 0.3, 0.12   # grey of background that counts, and of what does not count


def arms(path, rows, *, measures):
    """Bars of each arm's mean over its trainings, with a dot for each training.

    Args:
        path: of the figure.
        rows: dicts with `arm` and the measures, each in [0, 1].
        measures: names of the measures, a panel each.

    Raises:
        UserError: if the file cannot be written.
    """
    names = list(dict.fromkeys(row['arm'] for row in rows))
    size = 3.6 * len(measures), max(3.6, 0.8 + 0.3 * len(names))
    figure, axes = plt.subplots(1, len(measures), figsize=size, sharey=True, squeeze=False)
    for panel, measure in zip(axes[0], measures):
        for k, name in enumerate(names):
            values = [row[measure] for row in rows if row['arm'] == name]
            panel.barh(k, np.mean(values), color='0.75')
            panel.plot(values, [k] * len(values), 'k.', ms=5)
            panel.text(0.01, k, '%.3f' % np.mean(values), va='center', fontsize=8)
        panel.set_title(measure)
        panel.set_xlim(0, 1)
        panel.grid(alpha=0.3, axis='x')
    axes[0, 0].set_yticks(range(len(names)))
    axes[0, 0].set_yticklabels(names)
    axes[0, 0].invert_yaxis()
    figure.tight_layout()
    save(figure, path)


def precision_recall(path, curves):
    """Precision against recall, one line per arm; a dot marks threshold 0.5.

    Args:
        path: of the figure.
        curves: list of (name, (precision, recall, threshold)), float [N] each, thresholds falling.

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(figsize=(5, 4.5))
    for name, (precision, recall, threshold) in curves:
        line, = axes.plot(recall, precision, lw=1, label=name)
        at = max(int(np.searchsorted(-threshold, -0.5, side='right')) - 1, 0)   # lowest >= 0.5
        axes.plot(recall[at], precision[at], 'o', ms=4, color=line.get_color())
    axes.set_xlabel('recall')
    axes.set_ylabel('precision')
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


def overlays(path, image, *, truth, valid, masks, columns=4):
    """Each arm's mask on the same slice: right white, wrong red, missed blue.

    The remaining voxels that count are grey, those that do not count dark grey.

    Args:
        path: of the figure.
        image: grey levels [Y, X]; truth, valid: bool [Y, X], the labels and what counts.
        masks: list of (name, bool [Y, X]); columns: panels in a row.

    Raises:
        UserError: if the file cannot be written.
    """
    rows = -(-(len(masks) + 1) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3 * columns, 3.2 * rows), squeeze=False)
    panels = list(axes.flat)
    show(panels[0], image, title='image')
    for panel, (name, mask) in zip(panels[1:], masks):
        panel.imshow(_coloured(mask, truth, valid=valid), interpolation='nearest')
        panel.set_title(name, fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
    for panel in panels[len(masks) + 1:]:
        panel.axis('off')
    figure.tight_layout()
    save(figure, path)


def _coloured(mask, truth, *, valid):
    """Float [Y, X, 3] in [0, 1] from bool [Y, X]."""
    picture = np.where(valid, COUNTED, UNCOUNTED)[..., None] * np.ones(3)
    picture[mask & valid & truth] = RIGHT
    picture[mask & valid & ~truth] = WRONG
    picture[~mask & valid & truth] = MISSED
    return picture


def reliability(path, probability, *, share, voxels):
    """Share of foreground against probability: on the diagonal, probabilities mean what they say.

    Args:
        path: of the figure; probability, share: float [N], in [0, 1], of bins of voxels.
        voxels: int [N], of each bin, above it on a logarithmic scale.

    Raises:
        UserError: if the file cannot be written.
    """
    figure, (count, axes) = plt.subplots(2, 1, figsize=(4.5, 5.5), sharex=True,
                                         gridspec_kw={'height_ratios': (1, 3)})
    count.bar(probability, voxels, width=0.05, color='0.75')
    count.set_yscale('log')
    count.set_ylabel('voxels')
    axes.plot((0, 1), (0, 1), '0.6', lw=1)
    axes.plot(probability, share, 'k.-', lw=1)
    axes.set_xlabel('probability that the network gives')
    axes.set_ylabel('share that is foreground')
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    save(figure, path)


def tradeoff(path, named, *, floor, realism, kept, words):
    """What a setting keeps against what it reaches: a row for each way to reach, a dot for each.

    Args:
        path: of the figure.
        named: dict from setting to dicts (its trainings) of numbers by names of both; in the order
            of the line that joins them, the last one apart: where all begin.
        floor: dict of the best that can be reached, by names of `realism`.
        realism, kept: dicts from name to axis title; words: dict from setting to what it is called.

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(len(realism), len(kept), squeeze=False,
                                figsize=(3.6 * len(kept), 3.3 * len(realism)))
    for row, (across, title) in zip(axes, realism.items()):
        for panel, (up, heading) in zip(row, kept.items()):
            means = [[np.mean([r[name] for r in rows]) for name in (across, up)]
                     for rows in named.values()]
            panel.axvline(floor[across], color='0.6', ls=':', lw=1)
            panel.plot(*np.transpose(means[:-1]), color='0.7', lw=1)
            for (name, rows), mean in zip(named.items(), means):
                begin = name == list(named)[-1]
                panel.plot([r[across] for r in rows], [r[up] for r in rows],
                           'ks' if begin else 'k.', ms=5 if begin else 6)
                panel.annotate(words.get(name, name), mean, fontsize=7, xytext=(4, 4),
                               textcoords='offset points')
            panel.set_xlabel(title, fontsize=8)
            panel.set_ylabel(heading, fontsize=8)
            panel.margins(0.15)
            panel.grid(alpha=0.3)
    figure.tight_layout()
    save(figure, path)
