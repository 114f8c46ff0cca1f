"""How like real patches refined ones are, and what to think of a refiner by all measures.

Realism needs no label: foreground is found by one rule in real patches, drafts and refined
patches alike. What needs the label is in preservation.py.
"""
import numpy as np
from scipy import ndimage, signal, stats
from skimage import filters

from utils.score import lone, preservation

REALISM = ('inside', 'outside', 'spectrum_z', 'spectrum_y', 'spectrum_x')
COLUMNS = REALISM + lone.LONE + preservation.KEPT + ('moved', 'gap')
SMOOTH = 1.0              # voxels of Gaussian smoothing before the foreground rule
BRIGHT = 0.995            # quantile that brighter voxels are cut to before OTSU
MARGIN = 0.1              # gaps that differ by less say nothing: two sets of drafts do
LEAST_SHARE = 1e-3        # of foreground, below which differences do not matter
LEAST_SPECTRUM = 0.05     # log10, of power: an eighth; less is no whole gap
LEAST_GREY = 0.1          # noise levels, likewise
THINNED = 7               # every so many-th background voxel is compared
NORMAL = 1.4826           # standard deviation over median absolute value, of a normal variable


# --- distances of grey levels and spectra ---

def grey_distance(a, b):
    """Wasserstein-1 distance of two sets of grey levels, in grey levels."""
    return float(stats.wasserstein_distance(np.ravel(a), np.ravel(b)))


def ks_distance(a, b):
    """Kolmogorov-Smirnov distance of two samples, in [0, 1].

    It is the largest difference of their distribution functions.
    """
    return float(stats.ks_2samp(np.ravel(a), np.ravel(b)).statistic)


def share_distance(a, b):
    """How unlike shares of foreground are, by their logarithms; float, of arrays that broadcast."""
    return np.abs(np.log((a + LEAST_SHARE) / (b + LEAST_SHARE)))


def radial_spectrum(images, bins=16):
    """Mean power spectrum of patches over all directions.

    Each patch loses its mean and is tapered (Hann window): its border does not count as an edge.

    Args:
        images: grey levels [N, Z, Y, X].
        bins: rings of equal width from 0 to 0.5 cycles per voxel.

    Returns:
        float [bins], log10 of grey levels squared; NaN in a ring without a frequency.
    """
    shape = images.shape[1:]
    window = np.ones(shape, np.float32)
    for axis, n in enumerate(shape):
        view = [1, 1, 1]
        view[axis] = n
        window *= signal.windows.hann(n, sym=False).astype(np.float32).reshape(view)
    power = np.zeros(shape)
    for image in images:
        image = image.astype(np.float32)
        power += np.abs(np.fft.fftn((image - image.mean()) * window)) ** 2
    power /= len(images) * (window ** 2).sum()
    axes = np.meshgrid(*[np.fft.fftfreq(n) for n in shape], indexing='ij', sparse=True)
    radius = np.sqrt(sum(a ** 2 for a in axes))                # cycles per voxel
    ring = np.minimum(radius / 0.5 * bins, bins).astype(int).ravel()
    ring[0] = bins                                             # the mean, which was taken away
    count = np.bincount(ring, minlength=bins + 1)[:bins]
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.log10(np.bincount(ring, power.ravel(), bins + 1)[:bins] / count)


def spectrum_distance(a, b):
    """Mean absolute difference of two sets of patches' radial power spectra, log10."""
    return float(np.nanmean(np.abs(radial_spectrum(a) - radial_spectrum(b))))


def compressed(images, unit):
    """asinh of how far voxels lie from their patch's median, in units of some grey levels.

    In grey levels the few voxels of bright neurites make up a spectrum at all frequencies, so that
    texture hardly counts, which is what eyes, discriminator and critics see.

    Args:
        images: grey levels [N, Z, Y, X]; unit: grey levels, of noise_level.

    Returns:
        float32, same shape.
    """
    return np.arcsinh(_deviations(images) / np.float32(unit))


def noise_level(images):
    """Noise and texture of patches [N, Z, Y, X], as a standard deviation: grey levels, at least 1.

    It is told by the median of deviations from each patch's median, so that neurites hardly count.
    Grey levels are rounded, so that half a level, by chance, is put on or taken off.
    """
    rng = np.random.default_rng(0)
    spread = images + rng.uniform(-0.5, 0.5, images.shape).astype(np.float32)
    return max(NORMAL * float(np.median(np.abs(_deviations(spread)))), 1.0)


def _deviations(images):
    """Patches [N, Z, Y, X] less their own median; float32."""
    images = images.astype(np.float32)
    return images - np.median(images, axis=(1, 2, 3), keepdims=True)


def axis_spectra(images):
    """Mean power spectrum of patches [N, Z, Y, X] along each axis.

    Returns:
        three float arrays, log10 of the patches' unit squared, without the mean's frequency.
    """
    found = []
    for axis in (1, 2, 3):
        n = images.shape[axis]
        view = [1] * 4
        view[axis] = n
        lines = images.astype(np.float32)
        lines = ((lines - lines.mean((1, 2, 3), keepdims=True))
                 * np.hanning(n + 2)[1:-1].astype(np.float32).reshape(view))
        power = np.abs(np.fft.rfft(lines, axis=axis)) ** 2
        others = tuple(a for a in range(4) if a != axis)
        found.append(np.log10(power.mean(others)[1:] + 1e-6))
    return found


# --- a refiner ---

def verdict(values, draft, *, noise):
    """What is wrong with a refiner, in one line, or ''.

    Args:
        values: of Judge.score; draft: Judge.draft.
        noise: noise_level of the drafts.
    """
    if not np.isfinite(list(values.values())).all():
        return 'a measure is not a number: training has diverged'
    wrong = preservation.fault(values, draft)
    if wrong:
        return wrong
    if values['gap'] > draft['gap'] + MARGIN:
        return ('less like real patches than the drafts: gap %.2f, %.2f in the drafts'
                % (values['gap'], draft['gap']))
    if values['moved'] < 0.02 * noise and draft['gap'] > MARGIN:     # else little is to be done
        return 'the identity: the drafts are changed by %.2g grey levels only' % values['moved']
    return ''


class Judge:
    """Scores refined patches against real ones and against their labels (docs/method.md, step 2).

    draft: the drafts' own scores, dict of COLUMNS; floor: dict of REALISM and lone.LONE, of one set
    of real patches to another; noise: noise_level of the drafts.
    """

    def __init__(self, drafts, labels, *, real, more_real):
        """Measure the drafts and the floor.

        Args:
            drafts: grey levels [N, Z, Y, X]; labels: {0, 1}, same shape.
            real, more_real: two disjoint sets of real patches, [M, Z, Y, X]. What is scored is
                compared with both.
        """
        self.labels, self.drafts = labels.astype(bool), drafts
        whole = np.concatenate([real, more_real])
        self.cut, self.unit = foreground_cut(flat(whole)), noise_level(whole)
        self.preservation = preservation.Preservation(drafts, self.labels)
        together = self._describe(whole)
        self.lone_cuts = lone.cuts(together[3])
        self.real = self._describe(real)
        self.floor = self.distances(more_real)
        self.real = together
        self.draft = self.distances(drafts)              # whole gaps, before gaps are measured
        self.draft = self.score(drafts)
        self.noise = noise_level(drafts)

    def _describe(self, images):
        """(grey levels of the foreground, of the background, spectra along the axes, lone.steps of
        the background)."""
        mask = flat(images) > self.cut
        inside, outside = [images[where] if where.any() else images[:, :1, :1, :1].ravel()
                           for where in (mask, ~mask)]
        return (inside, outside[::THINNED], axis_spectra(compressed(images, self.unit)),
                lone.steps(images, ~mask))

    def distances(self, images):
        """Distances of patches to the real ones; dict of REALISM and lone.LONE.

        Wasserstein-1 distance of grey levels inside and outside the foreground, in grey levels;
        mean difference of the spectra along each axis, log10, of `compressed` patches; lone voxels
        per million of the background.
        """
        inside, outside, spectra, steps = self._describe(images)
        result = {'inside': grey_distance(inside, self.real[0]),
                  'outside': grey_distance(outside, self.real[1])}
        for name, a, b in zip(REALISM[2:], spectra, self.real[2]):
            result[name] = float(np.abs(a - b).mean())
        result.update(lone.share(steps, self.lone_cuts))
        return result

    def score(self, refined):
        """All measures of refined patches; dict of COLUMNS.

        `moved` is their mean absolute change, grey levels. `gap` is the mean over REALISM of what
        is left between them and real patches: 0 for real ones, at most 1 for the drafts.
        """
        values = dict(self.distances(refined), **self.preservation.measure(refined))
        values['moved'] = float(np.abs(refined.astype(np.float32) - self.drafts).mean())
        values['gap'] = float(np.mean([max(values[m] - self.floor[m], 0) / self._scale(m)
                                       for m in REALISM]))
        return values

    def _scale(self, measure):
        """Excess over the floor that counts as a whole gap: the drafts' own.

        The floor, or what hardly anybody sees, where that is more: drafts as good as real leave
        nothing to divide by.
        """
        least = LEAST_SPECTRUM if measure.startswith('spectrum') else LEAST_GREY * self.unit
        return max(self.draft[measure] - self.floor[measure], self.floor[measure], least)

    def keeps_labels(self, values):
        """True if the labels are as true as the drafts' (preservation.keeps_labels)."""
        return preservation.keeps_labels(values, self.draft)


def foreground_cut(flattened):
    """OTSU's cut of real patches that are flat(): foreground is above it; grey levels."""
    bright = np.clip(flattened, 0, None)          # black borders lie below the median: no part
    return float(filters.threshold_otsu(np.minimum(bright, np.quantile(bright, BRIGHT))))


def flat(images):
    """Patches smoothed and less their own median; float32 [N, Z, Y, X]."""
    smooth = np.stack([ndimage.gaussian_filter(image.astype(np.float32), SMOOTH)
                       for image in images])
    return smooth - np.median(smooth, axis=(1, 2, 3), keepdims=True)
