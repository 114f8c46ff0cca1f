"""What prepare_patches.py measured: the distributions of priors.json."""
import matplotlib.pyplot as plt
import numpy as np

from utils.draw.base import save
from utils.measure.quantiles import BACKGROUND, LAGS, QUANTILES

DISTRIBUTIONS = (                # names in priors.json and what they are
    ('radius_quantiles', 'radius, voxels'),
    ('level_quantiles', 'neurite above background, grey levels'),
    ('length_quantiles', 'branch length, voxels'),
    ('tortuosity_quantiles', 'arc over chord'),
    ('angle_quantiles', 'branch angle, degrees'))


def priors_page(path, pooled):
    """The real stacks as measured, and the best calibration draft's where there is one.

    Args:
        path: of the figure.
        pooled: dict of priors.json; its quantiles are those of the shares QUANTILES, the
            background's those of BACKGROUND, and correlations are at LAGS voxels.

    Raises:
        UserError: if the file cannot be written.
    """
    figure, axes = plt.subplots(2, 4, figsize=(15, 6))
    for panel, (name, title) in zip(axes.flat, DISTRIBUTIONS):
        _distribution(panel, pooled, name=name, title=title)
    axes[0, 1].set_xscale('log')
    _line(axes[1, 1], pooled['background']['quantiles'], shares=BACKGROUND, label='measured')
    axes[1, 1].set_xlabel('background, grey levels')
    for axis, name in enumerate('zyx'):
        values = [np.nan if value is None else value for value in pooled['correlation'][axis]]
        axes[1, 2].plot(LAGS, values, lw=1, marker='.', label=name)
    axes[1, 2].set_xlabel('lag, voxels')
    axes[1, 2].set_ylabel('correlation of the background')
    _specks(axes[1, 3], pooled)
    for panel in axes.flat:
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize=7)
    figure.tight_layout()
    save(figure, path)


def _line(panel, values, *, shares, label):
    panel.plot(values, shares, lw=1, marker='.', ms=3, label=label)


def _distribution(panel, pooled, *, name, title):
    """One quantity's distribution: measured, measured on the calibration draft, and drawn from."""
    drawn = pooled['drawn']
    rounds = drawn.get('rounds') or [{}]
    best = rounds[drawn.get('best', -1)]
    for values, label in ((pooled[name], 'measured'), (best.get(name), 'measured on a draft'),
                          (drawn.get(name), 'drawn')):
        if values is not None:
            _line(panel, values, shares=QUANTILES, label=label)
    panel.set_xlabel(title)
    panel.set_ylabel('share below')


def _specks(panel, pooled):
    """Widths of specks, and above them the quantities that are single numbers."""
    debris, drawn = pooled['debris'] or {}, pooled['drawn'].get('debris_sigmas')
    for values, label in ((debris.get('sigma_quantiles'), 'measured'), (drawn, 'drawn')):
        if values is not None:
            _line(panel, values, shares=QUANTILES, label=label)
    panel.set_title('\n'.join((
        'noise, std: ' + _numbers(pooled['noise_std']),
        'blur, sigma: ' + _numbers(pooled['blur_sigma']),
        'neurites: %.2g voxels / voxel^3' % pooled['density'],
        'specks: %.2g / voxel^3' % (debris.get('density') or 0),
        'saturated: %.2g' % pooled['saturated_fraction'])), fontsize=8, loc='left')
    panel.set_xlabel('sigma of specks, voxels')


def _numbers(values):
    """Text of one number per axis; '?' where it is not known."""
    return ', '.join('?' if v is None else '%.2f' % v for v in values) + ' (z, y, x)'
