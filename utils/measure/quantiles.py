"""Shares and lags at which priors.json keeps its distributions and correlations."""
import numpy as np

# shares of radii, widths, levels, lengths, bends and angles
QUANTILES = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5,
                      0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1])
# shares of the background's grey levels; the brightest 0.1 % are spots, not background
BACKGROUND = np.array([0.0002, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5,
                       0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999])
LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24)    # voxels at which the background's correlation is measured
FWHM = 2.3548                            # full width at half maximum of a Gaussian, in sigmas
MAD = 1.4826                             # std of a Gaussian, in median absolute deviations


def of(values, shares=QUANTILES):
    """Quantiles of some values: list of float, one per share; None without values."""
    return [float(q) for q in np.quantile(values, shares)] if len(values) else None


def robust_std(values):
    """Median and std by the median absolute deviation: robust to some bright voxels.

    Args:
        values: integers [N], grey levels.

    Returns:
        (float, float), grey levels.
    """
    middle = float(np.median(values))
    return middle, float(MAD * np.median(np.abs(values - np.float32(middle))))
