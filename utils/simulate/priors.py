"""Priors to draw from: the paper's own constants, or what was measured on real stacks.

Radii are isotropic voxels.
"""
import os
from typing import NamedTuple, Optional

import numpy as np
from scipy import special

from utils.common import files, schemas
from utils.common.errors import UserError
from utils.measure import debris
from utils.measure.quantiles import QUANTILES
from utils.simulate import background, structured, textures, unseen
from utils.simulate.neurons import SHRINK

# quantiles that are drawn between. Wider radii are mostly neurites that touch, and those the drafts
# get by themselves; the extremes of levels are noise and spots
RADII, LEVELS = (0.02, 0.9), unseen.LEVELS
PAPER_RADIUS = 1.0, 3.0                  # voxels at depth 0, uniform
DEBRIS_RADIUS = (1, 2, 3, 4), (0.7, 0.25, 0.04, 0.01)    # voxels, probabilities (paper)
DEBRIS_LEVEL = 0.5, 1.5                  # of the foreground's grey level, uniform (paper)
SMALLEST_BALL = 0.8                      # voxels, radius of the debris of kinds
GOLDEN = (5 ** 0.5 - 1) / 2              # its multiples fill [0, 1) evenly, however many
BRIGHTEST_BALL = 8                       # most that a smaller ball's level is raised
SPECK_REACH = 2.5                        # sigmas that a speck is drawn far
FAINTEST = 0.5                           # of the threshold of specks, of the faintest
POWERS = 1.0, 3.0                        # smallest and largest of _power
# (bits, kind) -> (low, high) grey levels of the foreground, of the background's mean, of its std
PAPER = {
    (16, 'dendrite'): ((100, 1000), (1, 200), (0, 20)),
    (16, 'axon'): ((100, 1000), (1, 200), (0, 20)),
    (8, 'dendrite'): ((50, 300), (1, 20), (0, 5)),
    (8, 'axon'): ((20, 250), (1, 20), (0, 5)),
}


class GreyLevels(NamedTuple):
    """Grey levels of one stack."""
    foreground: int             # of a stained voxel above the background
    mean: float                 # of the background
    std: float                  # of the background, voxel by voxel


def read(path):
    """Contents of priors.json.

    Raises:
        UserError: missing, or not as schemas.PRIORS says; the line names the key.
    """
    if not os.path.exists(path):
        raise UserError("no priors %s: run prepare_patches.py first, or take the paper's with "
                        "PRIORS=None" % path)
    measured, cure = files.read_json(path), 'make it anew with prepare_patches.py'
    schemas.check(measured, schemas.PRIORS, path=path, cure=cure)
    found = measured['debris']
    sized = found.get('sigma_quantiles') or found.get('radius_quantiles')
    if bool(sized) != bool(found.get('level_quantiles')):
        raise UserError('%s: debris has sizes or level_quantiles alone: %s' % (path, cure))
    known = [key for key in debris.DRAWN if key in measured['drawn']]
    if known and not (len(known) == len(debris.DRAWN) and found.get('threshold')):
        raise UserError('%s: drawn has %s, and of %s or debris.threshold not all: %s'
                        % (path, known[0], ', '.join(debris.DRAWN), cure))
    if found.get('radius_quantiles') and measured.get('threshold'):
        raise UserError('%s: debris is that of an earlier version: %s' % (path, cure))
    return measured


def of(stack, neuron, *, measured, number=0):
    """Priors of a script's settings.

    Args:
        stack, neuron: settings.Stack and settings.Neuron; measured: contents of priors.json, or
        None for the paper's constants; number: of the draft, from 0.
    """
    radius = None if neuron.radius == 'auto' else neuron.radius
    return Priors(measured, stack.bits, radius=radius, number=number)


class Behind(NamedTuple):
    """Background of one stack, as measured."""
    median: float               # grey levels
    robust_std: float
    quantiles: list             # of grey levels, at quantiles.BACKGROUND
    correlation: list           # of noise.correlation
    noise: Optional[float]      # grey levels, std of what is noise, if glow was taken off
    structure: Optional[dict]   # of structure.measure; None: correlation tells all
    noise_left: float = 1.0     # share of the structure's noise, beside that of neurites' light
    turn: Optional[float] = None     # 0 to 1: share of this stack's drafts whose level is lower;
                                # None: chance decides

    def draw(self, shape, *, rng):
        """Yield it, slab by slab (background.py); shape: (z, y, x) voxels."""
        if self.structure and self.robust_std:
            return structured.draw(shape, structured.fit(self), rng=rng, turn=self.turn)
        return background.textured(shape, self.texture(), rng=rng)

    def darker(self, less):
        """The same by so many grey levels darker, at least 0."""
        return self._replace(median=max(self.median - less, 0.0),
                             quantiles=[max(level - less, 0.0) for level in self.quantiles])

    def texture(self):
        """What draws it without a structure; background.Texture."""
        known = self.noise is not None and self.robust_std
        return textures.fit(self.quantiles, self.correlation,
                            noise=(self.noise / self.robust_std) ** 2 if known else None)


class Priors:
    """Draws what one stack needs: grey levels, radii, debris."""

    def __init__(self, measured, bits, *, radius=None, number=0):
        """Args:
            measured: contents of priors.json, or None for the paper's constants; bits: 8 or 16.
            radius: (low, high) voxels to draw from instead of measured radii, or None.
            number: of the draft, which tells whose background it has.

        `fixed` tells that radii are not measured ones; `unseen` what dim neurites there may be
        (unseen.Unseen).
        """
        self.measured, self.bits, self.number = measured, bits, number
        self.radius = radius or PAPER_RADIUS
        self.fixed = measured is None or radius is not None
        if measured is not None:
            self.radii = np.array(measured['drawn']['radius_quantiles'], float)
            self.levels = np.array(measured['drawn']['level_quantiles'], float)
            self.unseen = unseen.of(measured)

    def grey_levels(self, kind, *, rng):
        """The paper's grey levels of one stack; kind: 'dendrite' or 'axon'. Returns GreyLevels."""
        (f0, f1), (m0, m1), (s0, s1) = PAPER[self.bits, kind]
        return GreyLevels(int(rng.integers(f0, f1)), int(rng.integers(m0, m1)), rng.uniform(s0, s1))

    def background(self):
        """Background of this draft: of one of the real stacks, which differ; or of all, pooled.

        Drafts take turns, each stack by its share, and within it from dark to bright: a few drafts
        drawn at random would leave out some.

        Returns:
            Behind; None without measurements.
        """
        if self.measured is None:
            return None
        among, turn = self.measured.get('backgrounds'), (self.number + 0.5) * GOLDEN % 1
        if not among:
            glow = self.measured.get('glow') or {}
            chosen = dict(self.measured['background'], noise=glow.get('noise'),
                          correlation=self.measured['correlation'],
                          structure=self.measured.get('structure'))
        else:
            shares = np.cumsum([entry['share'] for entry in among])
            place = turn * shares[-1]
            i = min(int(np.searchsorted(shares, place)), len(among) - 1)
            chosen = among[i]
            turn = 1 - (shares[i] - place) / chosen['share']
        drawn = self.measured['drawn']
        found = Behind(*[chosen.get(name) for name in Behind._fields[:-2]], turn=turn,
                       noise_left=drawn.get('noise_left', 1.0))
        level = self.measured['background']['median']    # of all stacks; a dim one loses less
        return found.darker(drawn.get('darker', 0.0) * found.median / max(level, 1.0))

    def draw_level(self, rng, *, like=0.0, free=1.0):
        """Measured grey level of a centreline above the background, blurred and stained; float.

        Args:
            like: what its standard normal score has in common with another; free: std of the rest.
        """
        low, high = LEVELS
        share = special.ndtr(like + free * special.ndtri(rng.random()))
        return float(np.interp(low + (high - low) * share, QUANTILES, self.levels))

    def draw_unseen(self, rng):
        """The same of a neurite dimmer than any measured, log-uniform; grey level, float."""
        return float(np.exp(rng.uniform(*np.log([self.unseen.lowest, self.unseen.highest]))))

    def median_level(self):
        """The median of the same."""
        return float(np.interp(0.5, QUANTILES, self.levels))

    def draw_radius(self, rng, depth):
        """Radius of a node at a depth of the tree, voxels; the paper's shrinks with depth."""
        if self.fixed:
            return rng.uniform(*self.radius) * SHRINK ** depth
        return float(np.interp(rng.uniform(*RADII), QUANTILES, self.radii))

    def radii_along(self, normal):
        """Measured radii, voxels, for standard normal values; float [N], as given."""
        return np.interp(np.clip(special.ndtr(normal), *RADII), QUANTILES, self.radii)

    def draw_debris(self, count, level, *, blur, rng):
        """Bright specks: the paper's balls, or Gaussians of measured size and brightness.

        Specks become the more the dimmer they are, by a power of their brightness: so does the
        number of those below the threshold that they were counted from, down to FAINTEST of it.
        Balls of kinds (kinds.py) are seen blurred: smaller ones are drawn, of the same light.

        Args:
            count: how many are above the threshold; level: the paper's foreground grey level.
            blur: isotropic voxels, sigma.

        Returns:
            (radii, levels, sigmas) of light.Specks, float [N] each.
        """
        drawn = self.measured['drawn'] if self.measured else {}
        found = self.measured and self.measured['debris']
        if drawn.get('debris_sigmas') and found.get('threshold'):
            return self._gaussians(count, blur=blur, rng=rng)
        if not found or not found.get('radius_quantiles'):
            radius = rng.choice(DEBRIS_RADIUS[0], count, p=DEBRIS_RADIUS[1]).astype(float)
            foreground = self.median_level() if self.measured else level
            return (radius, foreground * rng.uniform(*DEBRIS_LEVEL, size=count),
                    np.full(count, np.inf))
        seen = np.interp(rng.uniform(size=count), QUANTILES, found['radius_quantiles'])
        shine = np.interp(rng.uniform(size=count), QUANTILES, found['level_quantiles'])
        radius = np.sqrt(np.maximum(seen ** 2 - blur ** 2, SMALLEST_BALL ** 2))
        return (radius, shine * np.minimum((seen / radius) ** 3, BRIGHTEST_BALL),
                np.full(count, np.inf))

    def _gaussians(self, count, *, blur, rng):
        """Measured specks and fainter ones, as of draw_debris."""
        drawn, cut = self.measured['drawn'], self.measured['debris']['threshold']
        power = _power(drawn['debris_levels'], cut)
        peak = np.interp(rng.uniform(size=count), QUANTILES, drawn['debris_levels'])
        share = rng.uniform(size=int(round(count * (FAINTEST ** -power - 1))))
        faint = cut * FAINTEST * (1 - share * (1 - FAINTEST ** power)) ** (-1 / power)
        peak = np.concatenate([peak, faint])
        own = np.interp(rng.uniform(size=len(peak)), QUANTILES, drawn['debris_sigmas'])
        wider = np.hypot(blur, debris.smoothing(self.measured))
        own = np.minimum(own, debris.sharper(debris.widest(peak, above=cut), by=wider))
        return SPECK_REACH * own, peak * (1 + (wider / own) ** 2) ** 1.5, own


def _power(levels, cut):
    """Power by which specks become more the dimmer they are: Hill's estimate, within POWERS.

    Args:
        levels: of specks above `cut`, grey levels, at QUANTILES.
    """
    even = np.interp((np.arange(100) + 0.5) / 100, QUANTILES, levels)
    return float(np.clip(1 / max(np.log(np.maximum(even / cut, 1)).mean(), 1e-9), *POWERS))
