"""Kinds of stacks at random: in their ranges, drawable, as bright and as noisy as they say."""
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from utils.common import config, schemas
from utils.measure.quantiles import QUANTILES
from utils.simulate import checks, drafts, kinds, priors, settings

CFG = config.load(('configs/segmentation.py', 'configs/universal.py'), [])
RANGES = config.pick(CFG, kinds.Ranges, prefix='KIND_')
PLAIN = RANGES._replace(                         # fibres alike, white noise, no other effect
    radius=(2.0, 2.0), blur=(1.0, 1.0), axial=(1.0, 1.0), spread=(0, 0), drift=(0, 0), dim=0.0,
    debris=(1e-9, 1e-9), wings=(0, 0), boutons=(0, 0), illumination=(0, 0), taper=(0, 0),
    somata=0.0, anisotropy=(1, 1), eight_bit=0.0, stained=(1, 1), volume_share=(0.004, 0.004),
    fine=(1e-3, 1e-3), granular=(1e-3, 1e-3), slow=(1e-3, 1e-3), skew=(0, 0))


def values_of(constants, **more):
    """settings.Settings of a kind, not resolved."""
    known = dict(vars(config.load('configs/simulator.py', [])), **constants)
    cfg = SimpleNamespace(**dict(known, **more))
    return settings.Settings(*[config.pick(cfg, group) for group in settings.GROUPS])


def many(count=200):
    return [kinds.draw(RANGES, rng=np.random.default_rng([3, i])) for i in range(count)]


def drawn(ranges, *, seed=4, shape=(48, 64, 64)):
    """(priors.json, draft) of one kind."""
    measured, constants = kinds.draw(ranges, rng=np.random.default_rng(seed))
    values = settings.resolve(values_of(constants, VOLUME_SHAPE=shape, END_LEVEL=1.0), measured)
    prior = priors.of(values.stack, values.neuron, measured=measured)
    return measured, drafts.draw(values, prior, rng=np.random.default_rng(0))


def test_the_simulator_takes_every_kind():
    for measured, constants in many(50):
        assert schemas.fault(measured, schemas.PRIORS) == ''
        checks.check(values_of(constants, VOLUME_SHAPE=CFG.DRAFT_SHAPE,
                               PATCH_SHAPE=CFG.PATCH_SHAPE), measured)


def test_kinds_fill_their_ranges_and_stay_inside():
    found = many()
    middle = list(QUANTILES).index(0.5)
    radius = np.array([priors['drawn']['radius_quantiles'][middle] for priors, _ in found])
    blur = np.array([priors['drawn']['blur_sigma'][2] for priors, _ in found])
    for values, (low, high) in ((radius, RANGES.radius), (blur, RANGES.blur)):
        assert low * 0.999 <= values.min() < 1.15 * low and 0.87 * high < values.max() <= high
        # log-uniform: half of them below the geometric mean
        assert np.mean(values < np.sqrt(low * high)) == pytest.approx(0.5, abs=0.12)
    heights = np.array([priors['voxel_size'][0] for priors, _ in found])
    assert np.mean(heights > 1) == pytest.approx(0.5, abs=0.12) and heights.max() <= 3
    assert np.mean([constants['BITS'] == 8 for _, constants in found]) == pytest.approx(0.35,
                                                                                        abs=0.1)
    low, high = RANGES.density
    assert all(low <= priors['drawn']['density'] <= high for priors, _ in found)
    assert {constants['AXON_SHARE'] for _, constants in found} == {0.5, 1.0}


def test_half_of_the_kinds_have_dim_neurites():
    dim = [constants['DIM_NEURITES'] for _, constants in many()]
    assert 0.4 < np.mean(dim) < 0.6 and RANGES.dim == 0.5
    _, plain = kinds.draw(PLAIN, rng=np.random.default_rng(1))
    assert not plain['DIM_NEURITES']


def test_the_same_seed_gives_the_same_kind_and_another_seed_another():
    one, same, other = [kinds.draw(RANGES, rng=np.random.default_rng(s)) for s in (1, 1, 2)]
    assert one == same and one != other


@pytest.mark.parametrize('snr', [5.0, 20.0])
def test_a_neurite_stands_out_by_the_signal_to_noise_ratio_asked_for(snr):
    _, made = drawn(PLAIN._replace(snr=(snr, snr)))
    image, line = made.image.astype(float), made.line
    background = image[ndimage.distance_transform_edt(made.label == 0) > 8]
    inside = ((line > 4) & (line < np.array(made.image.shape) - 5)).all(1)
    bright = np.median(image[tuple(line[inside].T)]) - np.median(background)
    assert bright / background.std() == pytest.approx(snr, rel=0.35)


@pytest.mark.parametrize('field, lag', [('fine', 1), ('granular', 3), ('slow', 12)])
def test_grain_of_each_scale_shows_in_the_draft(field, lag):
    """Voxels so far apart correlate where the background has that grain, and not without."""
    def correlated(strength):
        ranges = PLAIN._replace(**{field: (strength, strength)})
        rho = []
        for seed in range(5):                            # half of the kinds have it
            measured, made = drawn(ranges, seed=seed, shape=(40, 64, 64))
            away = made.image.astype(float)
            away[ndimage.distance_transform_edt(made.label == 0) < 6] = np.nan
            one, other = away[..., lag:].ravel(), away[..., :-lag].ravel()
            both = np.isfinite(one) & np.isfinite(other)
            rho.append(np.corrcoef(one[both], other[both])[0, 1])
            told = measured['correlation'][2][{1: 0, 3: 2, 12: 6}[lag]]
            if field != 'slow':          # a small stack holds too little of it
                assert rho[-1] == pytest.approx(told, abs=0.25)
        return max(rho)

    assert correlated(2.0) > 0.3 and abs(correlated(1e-3)) < 0.1


def test_nothing_is_brighter_than_the_bits_tell():
    for measured, constants in many():
        middle = list(QUANTILES).index(0.5)
        level = measured['drawn']['level_quantiles'][middle] + measured['background']['median']
        assert level < 2 ** constants['BITS']
