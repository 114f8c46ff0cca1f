"""Figures, one function each; all write a PNG whole or not at all."""
import csv

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt      # noqa: E402  (after the backend is chosen)
import numpy as np                   # noqa: E402
from matplotlib.collections import LineCollection      # noqa: E402
from scipy import ndimage            # noqa: E402

from utils.common.files import whole_file  # noqa: E402
from utils.data import swc  # noqa: E402

TALLEST = 40.0                       # inches: figures of long and narrow stacks
SHOWN = 16                           # patches in the figure of the four steps
GREY = dict(cmap='gray', interpolation='nearest')


def save(figure, path, *, dpi=110):
    """Write a figure and close it."""
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=dpi, bbox_inches='tight')
    plt.close(figure)


def project(voxels, axis=0):
    """Maximum-intensity projection."""
    return np.max(voxels, axis=axis)


def limits(*images):
    """Grey levels (low, high) that show several images at one scale: their 1 % and 99.7 % quantiles."""
    values = np.concatenate([np.ravel(image)[::max(1, np.size(image) // 200000)] for image in images])
    low, high = np.percentile(values, [1, 99.7])
    return float(low), float(max(high, low + 1))


def _show(axes, image, *, title=None, scale=None):
    low, high = scale or limits(image)
    axes.imshow(image, vmin=low, vmax=high, **GREY)
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_title(title, fontsize=9)


def four_steps(path, voxels, *, mask, skeleton, corners, window, patches):
    """The four steps of prepare_patches: stack, OTSU, centreline with windows, patches.

    Args:
        voxels: [Z, Y, X]; mask: bool; skeleton: int [M, 3]; corners: int [N, 3]; window: (z, y, x);
        patches: list of SHOWN [z, y, x].
    """
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.9))
    image = project(voxels)
    _show(axes[0], image, title='stack, %s voxels' % ' x '.join(map(str, voxels.shape)))
    _show(axes[1], project(mask), title='OTSU: %.2f %% foreground' % (100 * mask.mean()), scale=(0, 1))
    _show(axes[2], image, title='centreline, %d windows' % len(corners))
    axes[2].scatter(skeleton[:, 2], skeleton[:, 1], s=0.15, c='#ff4040', linewidths=0)
    axes[2].set_xlim(-0.5, image.shape[1] - 0.5)
    axes[2].set_ylim(image.shape[0] - 0.5, -0.5)
    for corner in corners[:: max(1, len(corners) // 60)]:
        axes[2].add_patch(plt.Rectangle(corner[[2, 1]], window[2], window[1], fill=False, ec='#30c0ff', lw=0.6))
    n = int(np.sqrt(SHOWN))
    tile = np.zeros((n * (window[1] + 2), n * (window[2] + 2)), voxels.dtype)
    for k, patch in enumerate(patches):
        y, x = divmod(k, n)
        tile[y * (window[1] + 2):, x * (window[2] + 2):][:window[1], :window[2]] = project(patch)
    _show(axes[3], tile, title='%d of %d patches' % (min(SHOWN, len(corners)), len(corners)), scale=limits(image))
    save(figure, path)


def draft_refined_real(path, drafts, *, refined, real, labels, title=''):
    """Rows of patches: draft | refined | real, all at one grey scale, and draft and refined under their labels.

    Args:
        drafts, refined, real: grey levels [N, Z, Y, X]; labels: {0, 1} [N, Z, Y, X].
    """
    n = len(drafts)
    figure, axes = plt.subplots(n, 5, figsize=(10.5, 2.15 * n), squeeze=False)
    scale = limits(*[project(image) for image in real])
    for row in range(n):
        outline = project(labels[row])
        _show(axes[row, 0], project(drafts[row]), title='draft' if row == 0 else None, scale=scale)
        _show(axes[row, 1], project(refined[row]), title='refined' if row == 0 else None, scale=scale)
        _show(axes[row, 2], project(real[row]), title='real domain' if row == 0 else None, scale=scale)
        for column, image, name in ((3, drafts, 'draft + label'), (4, refined, 'refined + label')):
            _show(axes[row, column], project(image[row]), title=name if row == 0 else None, scale=scale)
            if outline.any() and not outline.all():
                axes[row, column].contour(outline, [0.5], colors='#ff4040', linewidths=0.7)
    if title:
        figure.suptitle(title, fontsize=10)
    save(figure, path)


def simulator_page(path, stacks):
    """Drafts and their labels from two sides, and in depth, one row each.

    Args:
        stacks: list of (name, image as stacks.Stack, label [Z, Y, X]).
    """
    figure, axes = plt.subplots(len(stacks), 4, figsize=(13, 3.3 * len(stacks)), squeeze=False,
                                gridspec_kw={'width_ratios': [1, 1, 1, 1]})
    for row, (name, image, label) in enumerate(stacks):
        z, _, x = image.voxel_size or (1, 1, 1)
        side = ndimage.zoom(project(label, 2), (z / x, 1), order=0)
        _show(axes[row, 0], project(image.voxels), title='%s: image, along z' % name)
        _show(axes[row, 1], project(label), title='label, along z', scale=(0, 1))
        _show(axes[row, 2], side.T, title='label, along x', scale=(0, 1))
        _show(axes[row, 3], depth_colours(label), title='label, depth as colour', scale=(0, 1))
    save(figure, path)


def beside(path, named, *, columns=4):
    """Blocks of patches side by side, projected along z; grey levels at the first block's scale, labels as masks.

    Args:
        named: list of (title, [N, Z, Y, X]), N the same in all.
    """
    figure, axes = plt.subplots(1, len(named), figsize=(4.6 * len(named), 4.6 * len(named[0][1]) / columns ** 2 + 0.4))
    scale = limits(*[project(image) for image in named[0][1]])
    for panel, (title, images) in zip(axes, named):
        views = [np.pad(project(image), 1, 'constant', constant_values=0) for image in images]
        rows = [np.concatenate(views[i:i + columns], 1) for i in range(0, len(views) - columns + 1, columns)]
        _show(panel, np.concatenate(rows), title=title, scale=(0, 1) if images.max() <= 1 else scale)
    figure.tight_layout()
    save(figure, path)


def priors_page(path, pooled, *, probabilities, background, lags):
    """The distributions of priors.json: real stacks as measured, and the last calibration draft's where there is one.

    Args:
        pooled: contents of priors.json; probabilities, background: of its quantiles; lags: voxels of its correlations.
    """
    rounds = pooled['drawn'].get('rounds') or [{}]
    figure, axes = plt.subplots(2, 4, figsize=(15, 6))
    panels = [('radius_quantiles', 'radius, voxels'), ('level_quantiles', 'neurite above background, grey levels'),
              ('length_quantiles', 'branch length, voxels'), ('tortuosity_quantiles', 'arc over chord'),
              ('angle_quantiles', 'branch angle, degrees')]
    for panel, (name, title) in zip(axes.flat, panels):
        for values, text in ((pooled[name], 'measured'), (rounds[pooled["drawn"].get("best", -1)].get(name), 'measured on a draft'),
                             (pooled['drawn'].get(name), 'drawn')):
            if values is not None:
                panel.plot(values, probabilities, label=text, lw=1, marker='.', ms=3)
        panel.set_xlabel(title)
        panel.set_ylabel('share below')
    axes[0, 1].set_xscale('log')
    axes[1, 1].plot(pooled['background']['quantiles'], background, lw=1, marker='.', ms=3, label='measured')
    axes[1, 1].set_xlabel('background, grey levels')
    for axis, name in enumerate('zyx'):
        axes[1, 2].plot(lags, [np.nan if v is None else v for v in pooled['correlation'][axis]], lw=1, marker='.', label=name)
    axes[1, 2].set_xlabel('lag, voxels')
    axes[1, 2].set_ylabel('correlation of the background')
    debris = pooled['debris'] or {}
    if debris.get('radius_quantiles'):
        axes[1, 3].plot(debris['radius_quantiles'], probabilities, lw=1, marker='.', ms=3, label='radius, voxels')
    lines = ['noise, std: ' + _numbers(pooled['noise_std']), 'blur, sigma: ' + _numbers(pooled['blur_sigma']),
             'neurites: %.2g voxels / voxel^3' % pooled['density'],
             'specks: %.2g / voxel^3' % (debris.get('density') or 0), 'saturated: %.2g' % pooled['saturated_fraction']]
    axes[1, 3].set_title('\n'.join(lines), fontsize=8, loc='left')
    axes[1, 3].set_xlabel('specks')
    for panel in axes.flat:
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize=7)
    figure.tight_layout()
    save(figure, path)


def _numbers(values):
    return ', '.join('?' if v is None else '%.2f' % v for v in values) + ' (z, y, x)'


def depth_colours(label):
    """Projection of a mask whose hue is the depth of its first voxel; float [Y, X, 3]."""
    depth = label.argmax(0) / max(1, label.shape[0] - 1)
    return plt.get_cmap('turbo')(depth)[..., :3] * label.any(0)[..., None]


def read_log(path):
    """Columns of a log.csv: dict from name to float array, NaN where a row has no value; {} if there is no row."""
    with open(path, newline='') as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or 'nan') for row in rows]) for name in rows[0]} if rows else {}


def curves(path, log, *, judge=None):
    """Training curves from log.csv: losses of both networks, accuracy of D, learning rate; and the evaluations.

    Args:
        log: of read_log.
        judge: None, or dict with `draft` and `floor`, dicts of the evaluation's measures, drawn as lines.
    """
    panels = [('refiner', 'adversarial', 'discriminator'), ('identity', 'label'), ('accuracy',), ('learning_rate',)]
    panels += [names for names in (('inside', 'outside'), ('spectrum_z', 'spectrum_y', 'spectrum_x'),
                                   ('dice', 'cldice', 'auc'), ('gap',)) if names[0] in log]
    figure, axes = plt.subplots(-(-len(panels) // 4), 4, figsize=(15, 3 * -(-len(panels) // 4)), squeeze=False)
    for panel, names in zip(axes.flat, panels):
        for name in names:
            there = np.isfinite(log[name])
            line, = panel.plot(log['step'][there], log[name][there], label=name, lw=1)
            for level, style in (('draft', '--'), ('floor', ':')) if judge else ():
                if name in judge[level]:
                    panel.axhline(judge[level][name], color=line.get_color(), ls=style, lw=0.8,
                                  label='%s of %s' % (name, 'the drafts' if level == 'draft' else 'real patches'))
        panel.set_xlabel('step')
        panel.legend(fontsize=6)
        panel.grid(alpha=0.3)
    axes[0, 2].set_ylim(-0.05, 1.05)
    figure.tight_layout()
    save(figure, path)


def grey_histograms(path, named):
    """Grey-level histograms on one logarithmic axis.

    Args:
        named: list of (name, grey levels).
    """
    high = max(np.percentile(values, 99.9) for _, values in named)
    figure, axes = plt.subplots(figsize=(6, 3.4))
    for name, values in named:
        axes.hist(np.ravel(values), bins=120, range=(0, high), density=True, histtype='step', label=name)
    axes.set_yscale('log')
    axes.set_xlabel('grey level')
    axes.set_ylabel('density')
    axes.legend(fontsize=8)
    save(figure, path)


def side_by_side(path, named):
    """Projections of whole stacks in one row, grey-level images at one scale.

    Args:
        named: list of (title, [Z, Y, X]); a stack of {0, 1} is shown as a mask.
    """
    figure, axes = plt.subplots(1, len(named), figsize=(4.2 * len(named), 4.6), squeeze=False)
    images = [project(voxels) for _, voxels in named]
    scale = limits(*[image for image in images if image.max() > 1])
    for panel, (title, _), image in zip(axes[0], named, images):
        _show(panel, image, title=title, scale=scale if image.max() > 1 else (0, 1))
    save(figure, path)


def arms(path, rows, *, measures):
    """Bars of each arm's mean, a dot for each training.

    Args:
        rows: dicts with arm, region ('whole', 'ends') and the measures; those of the ends are drawn.
    """
    rows = [row for row in rows if row['region'] == 'ends']
    names = list(dict.fromkeys(row['arm'] for row in rows))
    figure, axes = plt.subplots(1, len(measures), figsize=(3.6 * len(measures), 3.6), sharey=True)
    for panel, measure in zip(axes, measures):
        for k, name in enumerate(names):
            values = [row[measure] for row in rows if row['arm'] == name]
            panel.barh(k, np.mean(values), color='0.75')
            panel.plot(values, [k] * len(values), 'k.', ms=5)
            panel.text(0.01, k, '%.3f' % np.mean(values), va='center', fontsize=8)
        panel.set_title(measure)
        panel.set_xlim(0, 1)
        panel.grid(alpha=0.3, axis='x')
    axes[0].set_yticks(range(len(names)))
    axes[0].set_yticklabels(names)
    axes[0].invert_yaxis()
    figure.tight_layout()
    save(figure, path)


def precision_recall(path, curves):
    """Precision against recall, one line per arm.

    Args:
        curves: list of (name, (precision, recall, threshold)) of metrics.precision_recall; a dot marks threshold 0.5.
    """
    figure, axes = plt.subplots(figsize=(5, 4.5))
    for name, (precision, recall, threshold) in curves:
        line, = axes.plot(recall, precision, lw=1, label=name)
        at = max(int(np.searchsorted(-threshold, -0.5, side='right')) - 1, 0)          # thresholds fall
        axes.plot(recall[at], precision[at], 'o', ms=4, color=line.get_color())
    axes.set_xlabel('recall')
    axes.set_ylabel('precision')
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


def overlays(path, image, *, truth, valid, masks, columns=4):
    """Each arm's mask on the same slice: white right, red wrong, blue missed, and the rest of what counts grey.

    Args:
        image: grey levels [Y, X]; truth, valid: bool [Y, X]; masks: list of (name, bool [Y, X]).
    """
    rows = -(-(len(masks) + 1) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3 * columns, 3.2 * rows), squeeze=False)
    _show(axes.flat[0], image, title='image')
    for panel, (name, mask) in zip(list(axes.flat)[1:], masks):
        picture = np.where(valid, 0.3, 0.12)[..., None] * np.ones(3)
        picture[mask & valid & truth] = 1, 1, 1
        picture[mask & valid & ~truth] = 0.95, 0.2, 0.2
        picture[~mask & valid & truth] = 0.2, 0.5, 1
        panel.imshow(picture, interpolation='nearest')
        panel.set_title(name, fontsize=9)
    for panel in axes.flat:
        panel.set_xticks([])
        panel.set_yticks([])
    for panel in list(axes.flat)[len(masks) + 1:]:
        panel.axis('off')
    figure.tight_layout()
    save(figure, path)


def framework(path, pictures):
    """The method as a diagram: what flows from step to step, with pictures of this run.

    Args:
        pictures: dict of 2-D grey levels: real, draft, label, refined, and, where steps 3 and 4 have run, mask and traces (drawn).
    """
    figure, axes = plt.subplots(figsize=(13, 5.2))
    axes.set(xlim=(0, 13), ylim=(0, 5.2))
    axes.axis('off')

    def show(name, title, x, y, size=1.5):
        image = pictures.get(name)
        if image is not None:
            options = dict(GREY) if image.ndim == 2 else {'interpolation': 'nearest'}
            if image.ndim == 2:
                options['vmin'], options['vmax'] = (0, 1) if name in ('label', 'mask', 'traces') else limits(image)
            place = axes.inset_axes([x, y, size, size], transform=axes.transData)
            place.imshow(image, **options)
            place.set(xticks=[], yticks=[])
        else:
            axes.add_patch(plt.Rectangle((x, y), size, size, fill=False, ls=':'))
        axes.text(x + size / 2, y - 0.08, title, ha='center', va='top', fontsize=8)

    def box(text, x, y, width=1.5, height=0.8, colour='#dfe9f5'):
        axes.add_patch(plt.Rectangle((x, y), width, height, facecolor=colour, edgecolor='k', lw=0.8))
        axes.text(x + width / 2, y + height / 2, text, ha='center', va='center', fontsize=8)

    def arrow(a, b, text='', **style):
        axes.annotate('', b, a, arrowprops=dict(dict(arrowstyle='->', lw=1.1), **style))
        axes.text((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 0.06, text, ha='center', va='bottom', fontsize=7)

    show('real', 'your stacks, unlabelled', 0.1, 0.6)
    box('step 0\npatches, priors', 2.1, 0.95)
    box('step 1\nsimulator', 2.1, 3.25)
    show('draft', 'draft z', 4.2, 3.3)
    show('label', 'its voxel label', 4.2, 1.75, 1.2)
    box('step 2\nrefiner R', 6.2, 3.65, colour='#f5e6d8')
    box('discriminator D', 6.2, 0.55, colour='#f5e6d8')
    show('refined', 'refined R(z)', 8.3, 3.3)
    box('step 3\nsegmentation\nnetwork', 8.3, 1.5, height=1.0)
    show('mask', 'mask of a real stack', 10.1, 1.2)
    box('step 4\ntracing', 11.9, 1.6, 0.95)
    show('traces', 'SWC', 11.2, 3.3)
    arrow((1.65, 1.35), (2.05, 1.35))
    arrow((2.85, 1.8), (2.85, 3.2), 'prior knowledge')
    arrow((3.65, 3.85), (4.15, 4.05))
    arrow((3.3, 3.2), (4.15, 2.5))
    arrow((5.75, 4.05), (6.15, 4.05))
    arrow((7.75, 4.05), (8.25, 4.05))
    arrow((3.65, 1.0), (6.15, 0.9), 'real patches')
    arrow((8.6, 2.85), (7.5, 1.4), 'history')
    arrow((6.7, 1.4), (6.7, 3.6), 'adversarial')
    arrow((5.45, 2.6), (6.45, 3.6), 'label-preserving loss', ls='--')
    arrow((9.05, 3.0), (9.05, 2.55))
    arrow((5.45, 2.2), (8.25, 2.05), 'label', ls='--')
    arrow((9.85, 2.0), (10.05, 2.0))
    arrow((11.65, 2.0), (11.85, 2.0))
    arrow((12.3, 2.45), (12.1, 2.95))
    save(figure, path)


def _draw_tree(panel, tree, *, spacing, up=1):
    """A tree's lines, each tree in its colour, and its somata as circles; y of the panel is axis `up`."""
    number = np.cumsum(tree.parent < 0) - 1              # trees come one after the other, parents first
    for node in np.flatnonzero(tree.parent >= 0):
        number[node] = number[tree.parent[node]]
    colours = plt.get_cmap('hsv')(np.random.default_rng(0).permutation(np.linspace(0, 0.92, number.max() + 1)))
    child, points = np.flatnonzero(tree.parent >= 0), tree.position * np.asarray(spacing)
    ends = np.stack([points[child], points[tree.parent[child]]], 1)[:, :, [2, up]]
    panel.add_collection(LineCollection(ends, colors=colours[number[child]], linewidths=0.9))
    for soma in np.flatnonzero(tree.type == swc.SOMA):
        panel.add_patch(plt.Circle(points[soma, [2, up]], tree.radius[soma], fill=False, ec='#ffff40'))


def traces_compared(path, voxels, *, named):
    """A stack's projection along z, plain and under several traces.

    Args:
        voxels: [Z, Y, X]; named: list of (title, swc.Tree in voxels).
    """
    image = project(voxels)
    figure, axes = plt.subplots(1, 1 + len(named), figsize=(
        5 * (1 + len(named)), min(5 * image.shape[0] / image.shape[1] + 0.4, TALLEST)))
    for panel, (title, tree) in zip(axes, [('stack', None)] + named):
        _show(panel, image, title=title)
        if tree is not None:
            _draw_tree(panel, tree, spacing=(1.0, 1.0, 1.0))
            panel.set_title('%s: %d trees' % (title, (tree.parent < 0).sum()), fontsize=9)
    figure.tight_layout()
    save(figure, path, dpi=130)


def traces(path, voxels, *, tree, spacing=(1.0, 1.0, 1.0), title=''):
    """A stack's projections along z and y, plain and under its traces; each tree has its colour, somata are circles.

    Args:
        voxels: [Z, Y, X]; tree: swc.Tree, positions in voxels, radii in x voxels; spacing: (z, y, x), x voxels.
    """
    depth, height, width = np.array(voxels.shape) * spacing
    figure, axes = plt.subplots(2, 2, figsize=(11, min(11 * (height + depth) / (2 * width) + 0.5, TALLEST)),
                                gridspec_kw={'height_ratios': [height, depth]})
    for row, (axis, up) in enumerate(((0, 1), (1, 0))):
        image = project(voxels, axis)
        low, high = limits(image)
        for column, panel in enumerate(axes[row]):
            panel.imshow(image, vmin=low, vmax=high, aspect='auto', extent=(
                -0.5 * spacing[2], width - 0.5 * spacing[2], (image.shape[0] - 0.5) * spacing[up], -0.5 * spacing[up]), **GREY)
            panel.set_xticks([])
            panel.set_yticks([])
            if column:
                _draw_tree(panel, tree, spacing=spacing, up=up)
    axes[0, 0].set_title(title or 'along z; below: along y', fontsize=9)
    axes[0, 1].set_title('%d trees, %d nodes' % ((tree.parent < 0).sum(), len(tree.parent)), fontsize=9)
    figure.tight_layout()
    save(figure, path, dpi=130)


def score_curves(path, levels, *, panels, xlabel, ylabel):
    """Scores by method over noise levels.

    Args:
        levels: float [N]; panels: list of (title, list of (method, float [N])).
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 3.8), squeeze=False, sharey=True)
    for panel, (title, named) in zip(axes[0], panels):
        for name, values in named:
            panel.plot(levels, values, marker='o', ms=4, lw=1.2, label=name)
        panel.set_xscale('log')
        panel.set_xticks(levels)
        panel.set_xticklabels(['%g' % level for level in levels])
        panel.minorticks_off()
        panel.set_ylim(0, 1.02)
        panel.set_xlabel(xlabel)
        panel.set_title(title, fontsize=9)
        panel.grid(alpha=0.3)
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].legend(fontsize=7)
    figure.tight_layout()
    save(figure, path)
