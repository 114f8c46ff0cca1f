"""Kinds of stacks at random: in their ranges, drawable, as noisy as they say."""
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from utils.common import config
from utils.simulate import checks, drafts, kinds, priors, settings

CFG = config.load(('configs/segmentation.py', 'configs/universal.py'), [])
RANGES = config.pick(CFG, kinds.Ranges, prefix='KIND_')


def values_of(kind, **more):
    """settings.Settings of a kind, resolved."""
    constants = dict(vars(config.load('configs/simulator.py', [])), **kind)
    cfg = SimpleNamespace(**dict(constants, **more))
    return settings.Settings(*[config.pick(cfg, group) for group in settings.GROUPS])


def many(count=300, ranges=RANGES):
    return [kinds.draw(ranges, rng=np.random.default_rng([3, i])) for i in range(count)]


def test_the_simulator_takes_every_kind():
    for kind in many():
        checks.check(values_of(kind, VOLUME_SHAPE=CFG.DRAFT_SHAPE, PATCH_SHAPE=CFG.PATCH_SHAPE),
                     None)


def test_kinds_fill_their_ranges_and_stay_inside():
    found = many()
    radius = np.array([np.mean(kind['RADIUS']) for kind in found])
    blur = np.array([kind['PSF_SIGMA'][2] for kind in found])
    for values, (low, high) in ((radius, RANGES.radius), (blur, RANGES.blur)):
        assert low * 0.999 <= values.min() < 1.15 * low and 0.87 * high < values.max() <= high
        # log-uniform: half of them below the geometric mean
        assert np.mean(values < np.sqrt(low * high)) == pytest.approx(0.5, abs=0.1)
    assert np.mean([kind['BITS'] == 8 for kind in found]) == pytest.approx(0.35, abs=0.1)
    assert np.mean([kind['VOXEL_SIZE'][0] > 1 for kind in found]) == pytest.approx(0.5, abs=0.1)
    assert all(low <= kind['DENSITY'] <= high for kind in found for low, high in [RANGES.density])
    assert {kind['AXON_SHARE'] for kind in found} == {0.5, 1.0}


def test_the_same_seed_gives_the_same_kind_and_another_seed_another():
    one, same, other = [kinds.draw(RANGES, rng=np.random.default_rng(s)) for s in (1, 1, 2)]
    assert one == same and one != other


@pytest.mark.parametrize('snr', [5.0, 20.0])
def test_a_neurite_stands_out_by_the_signal_to_noise_ratio_asked_for(snr):
    """Fibres of one radius, without spread, debris, texture or wings."""
    ranges = RANGES._replace(
        radius=(2.0, 2.0), blur=(1.0, 1.0), axial=(1.0, 1.0), snr=(snr, snr), spread=(0, 0),
        drift=(0, 0), debris=(1e-3, 1e-3), texture=(1e-3, 1e-3), wings=(0, 0), boutons=(0, 0),
        illumination=(0, 0), taper=(0, 0), somata=0.0, anisotropy=(1, 1), eight_bit=0.0,
        stained=(1, 1), volume_share=(0.004, 0.004))
    kind = kinds.draw(ranges, rng=np.random.default_rng(4))
    values = settings.resolve(values_of(kind, VOLUME_SHAPE=(48, 64, 64), END_LEVEL=1.0), None)
    made = drafts.draw(values, priors.of(values.stack, values.neuron, measured=None),
                       rng=np.random.default_rng(0))
    image, line = made.image.astype(float), made.line
    background = image[ndimage.distance_transform_edt(made.label == 0) > 8]
    inside = ((line > 4) & (line < np.array(made.image.shape) - 5)).all(1)
    bright = np.median(image[tuple(line[inside].T)]) - np.median(background)
    assert bright / background.std() == pytest.approx(snr, rel=0.5)
