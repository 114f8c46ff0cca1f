"""Fit a background's texture to the measured grey levels and correlation of real stacks."""
import numpy as np
from scipy import optimize

from utils.measure.quantiles import BACKGROUND, LAGS
from utils.simulate import background

SCALES = (0.7, 1.0, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0)     # voxels, sigmas of its smooth fields
STRETCH = (0.5, 1.0, 2.0, 4.0)                   # of z against y and x
SIGMAS = [(scale * stretch, scale, scale) for scale in SCALES for stretch in STRETCH]
MOST_SMOOTH = 0.95                               # share of the variance in smooth fields
SMALLEST_SHARE = 0.005                           # a smooth field with less is left out
FINE_RANGE = 0.02, 0.66                          # correlation of neighbours in fine noise


def fit(levels, correlations, *, noise=None):
    """Make a background that has measured grey levels and a measured correlation.

    The correlation is a sum of smooth fields (non-negative least squares over SCALES and STRETCH)
    and of noise that gets what is left: white, but for what a lag of 1 still lacks. The sharpest
    fields are structure seen through the blur; a camera's noise has no such shape.

    Args:
        levels: grey levels of the background at the probabilities BACKGROUND.
        correlations: three lists (z, y, x) at LAGS; None where it is unknown.
        noise: share of the variance that is noise from voxel to voxel, if it was measured on its
        own; the smooth fields have all the rest.

    Returns:
        background.Texture.
    """
    measured = np.array([[np.nan if v is None else v for v in row] for row in correlations], float)
    rng = np.random.default_rng(0)                       # phases of the knots, which hardly matter
    columns = [[field_correlation(s, rng=rng) for s in sigma] for sigma in SIGMAS]
    matrix = np.array(columns).reshape(len(SIGMAS), -1).T        # [3 axes x lags, sigmas]
    known = np.isfinite(measured.ravel())
    shares = optimize.nnls(matrix[known], np.clip(measured.ravel()[known], 0, 1))[0]
    if noise is None or not shares.any():
        shares *= min(1, MOST_SMOOTH / max(shares.sum(), 1e-9))
    else:
        shares *= np.clip(1 - noise, 0, MOST_SMOOTH) / shares.sum()
    rest = 1 - shares.sum()
    smooth = [row @ shares for row in matrix.reshape(3, len(LAGS), -1)[:, 0]]    # at a lag of 1
    fine = tuple(_neighbour_weight((near - part) / rest)
                 for near, part in zip(measured[:, 0], smooth))
    components = [(sigma, float(share)) for sigma, share in zip(SIGMAS, shares)
                  if share > SMALLEST_SHARE]
    table = background.grey_table(BACKGROUND, levels)
    return background.Texture(components, fine, table, background.steady(table))


def _neighbour_weight(correlation):
    """Weight w of the next voxel in noise whose neighbours correlate by 2 w / (1 + 2 w w)."""
    low, high = FINE_RANGE
    rho = 0.0 if np.isnan(correlation) else float(np.clip(correlation, 0, high))
    return (1 - np.sqrt(1 - 2 * rho * rho)) / (2 * rho) if rho > low else 0.0


def field_correlation(sigma, *, rng, n=128, lags=LAGS):
    """Correlation of background.smooth_field along an axis of n voxels; list of float at lags."""
    basis = background.spline_basis(n, sigma, rng=rng).astype(float)
    gram = basis @ basis.T
    return [float(np.mean(np.diagonal(gram, lag))) for lag in lags]
