"""Where noise is weaker or stronger than its level explains: measured, pooled and drawn."""
import numpy as np
import pytest

from tests.test_priors import known
from tests.test_structure import behind, drawn, measured, stack
from utils.common import schemas
from utils.common.errors import UserError
from utils.measure import pool, seams, structure
from utils.simulate import structured

SHAPE = (40, 90, 120)
SEAM = slice(50, 70)


def noisy(*, seam=None, shape=SHAPE, level=1000.0, photons=0.0, seed=0):
    """A background of noise, std 20 at the level 1000, weaker by root 2 in a seam across x."""
    std = np.sqrt(np.maximum(400 + photons * (level - 1000.0), 1)) * np.ones(shape)
    if seam is not None:
        std[:, :, seam] /= np.sqrt(2)
    return level + std * np.random.default_rng(seed).standard_normal(shape)


def found(image, *, outside=None, local=1000):
    """seams.measure of an image, all of it background unless said."""
    voxels = stack(image)
    outside = np.ones(voxels.shape, bool) if outside is None else outside
    local = np.broadcast_to(np.rint(local).astype(np.uint16), voxels.shape)
    return seams.measure(voxels, outside, local=local, side=structure.SIDE)


def test_a_seam_is_found_across_its_axis_alone():
    for axis in range(3):
        image = np.moveaxis(noisy(seam=SEAM), 2, axis)
        told = found(image)
        assert [row is not None for row in told] == [k == axis for k in range(3)]
        std = np.array(told[axis])
        assert len(std) == image.shape[axis]
        inside, beyond = std[53:67], np.r_[std[:47], std[73:]]
        assert inside.mean() / beyond.mean() == pytest.approx(np.sqrt(0.5), abs=0.02)
        assert np.ptp(beyond) < 0.1


def test_even_noise_has_none_nor_has_what_its_level_explains():
    assert found(noisy()) == [None] * 3
    rise = 1000 + 3.0 * np.arange(90)[:, None]
    ramp = noisy(level=rise, photons=2.0)                    # its variance grows by 2.3 times
    assert found(ramp, local=rise) == [None] * 3
    assert found(ramp) != [None] * 3                         # of one level, they are seams


def test_a_seam_in_a_rising_level_is_found_at_its_place():
    rise = 1000 + 2.0 * np.arange(120)
    told = found(noisy(level=rise, photons=1.0, seam=SEAM), local=rise)
    assert told[0] is None and told[1] is None
    assert 53 <= np.argmin(told[2]) <= 67 and min(told[2]) / np.median(told[2]) < 0.8


def test_neurites_do_not_count_and_planes_that_they_fill_are_bridged():
    image, outside = noisy(seam=SEAM), np.ones(SHAPE, bool)
    outside[:, :, 20:26] = False
    image[:, :, 20:26] += 300 * np.random.default_rng(1).standard_normal((40, 90, 6))
    std = np.array(found(image, outside=outside)[2])
    assert std[15:30] == pytest.approx(np.median(std), rel=0.05)


def test_a_plane_counts_by_both_ends_of_its_differences():
    image, outside = noisy(seam=SEAM), np.ones(SHAPE, bool)
    outside[:, :, 80:83] = False                             # as along x, for z and y
    image[:, :, 80:83] += 4000
    assert found(image, outside=outside)[:2] == [None, None]


def test_blank_planes_are_no_seams():
    image = noisy()
    image[:, :, 40:60] = 1000
    assert found(image)[2] is None


def test_factors_are_those_over_the_noise_of_the_cubes():
    image = noisy(seam=slice(180, 220), shape=(48, 64, 400))     # 24 planes of the middle cube's 48
    told = measured(image)
    weak = np.array(told['seams'][2])
    assert np.median(weak[:150]) * np.sqrt(np.mean(told['third'])) == pytest.approx(20, rel=0.05)
    assert drawn(told, std=20.0, shape=(48, 64, 400)).std() == pytest.approx(image.std(), rel=0.03)


def test_what_a_level_explains_neither_falls_with_it_nor_to_nothing():
    level = np.linspace(1000, 1100, 50)
    assert np.ptp(seams._explained(300 - level / 5, level)) == 0         # falls: no photons
    rising = seams._explained(level - 900, np.r_[0.0, level[1:]])
    assert rising[0] == pytest.approx(0.2 * 150) and rising[1:] == pytest.approx(level[1:] - 900)


def test_planes_of_wild_noise_have_a_limit():
    image = noisy(shape=(48, 64, 400))
    image[:, :, 100:110] += 800 * np.random.default_rng(1).standard_normal((48, 64, 10))
    assert max(found(image + 3000)[2]) == 10             # beside the cubes; 40 times as strong


def test_some_odd_planes_do_not_bend_what_a_level_explains():
    rise = 1000 + 3.0 * np.arange(120)
    image = noisy(level=rise, photons=1.0)
    image[:, :, :12] += 40 * np.random.default_rng(1).standard_normal((40, 90, 12))
    std = np.array(found(image, local=rise)[2])
    assert std[20:] == pytest.approx(np.median(std), rel=0.05) and std[:8].min() > 2 * std[30]


def test_a_crowded_stack_tells_none():
    glow = {'photons': 2.0, 'noise': 10.0, 'dim': 5.0}
    assert measured(noisy(seam=SEAM), glow=glow)['seams'] is None
    assert measured(noisy(seam=SEAM))['seams'][2] is not None


def test_too_little_background_tells_nothing():
    image = noisy(seam=SEAM)
    assert found(image[:, :12, :]) == [None] * 3             # planes of too few voxels
    most = np.zeros(SHAPE, bool)
    most[:, :, :50] = True                                   # less than half of the planes
    assert found(image, outside=most)[2] is None
    assert found(np.full(SHAPE, 1000.0)) == [None] * 3


def test_of_long_stacks_the_middle_is_looked_at(monkeypatch):
    monkeypatch.setattr(seams, 'LONGEST', 40)
    told = found(noisy(seam=SEAM))
    assert len(told[2]) == 40 and 13 <= np.argmin(told[2]) <= 27     # planes 40 to 80


def test_drafts_have_the_seams_that_were_measured():
    told = measured(noisy(seam=SEAM))
    for shape in ((48, 64, 120), (40, 64, 300)):             # as it is; longer than the stack
        image = drawn(told, std=20.0, shape=shape)
        again = found(image)
        assert again[0] is None and again[1] is None
        assert min(again[2]) / np.median(again[2]) == pytest.approx(np.sqrt(0.5), abs=0.05)
        assert image.std() == pytest.approx(noisy(seam=SEAM).std(), rel=0.03)
    plain = drawn(dict(told, seams=None), std=20.0, shape=(48, 64, 120))
    assert found(plain) == [None] * 3


def test_windows_of_a_draft_lie_anywhere_and_are_mirrored_beyond_the_stack():
    along, rng = [float(v) for v in range(20)], np.random.default_rng(0)
    starts = set()
    for _ in range(60):
        part = structured._window(along, 5, rng=rng)
        assert part.dtype == np.float32 and (np.diff(part) == 1).all()
        starts.add(part[0])
    assert min(starts) == 0 and max(starts) == 15
    firsts = set()
    for _ in range(60):
        part = structured._window(along, 30, rng=rng)
        assert len(part) == 30 and (np.abs(np.diff(part)) == 1).all()        # no step, no plateau
        firsts.add(part[0])
    assert len(firsts) > 5
    assert structured._window(None, 5, rng=rng) is None


def test_seams_along_z_pass_through_slabs():
    told = measured(np.moveaxis(noisy(seam=SEAM), 2, 0))
    image = drawn(told, std=20.0, shape=(120, 64, 64))
    std = image.std((1, 2))
    assert abs(np.argmin(np.convolve(std, np.ones(9) / 9, 'valid')) + 4 - 60) < 8
    assert np.median(std[55:65]) / np.median(std[:40]) == pytest.approx(np.sqrt(0.5), abs=0.06)


def test_a_pool_has_the_seams_of_its_largest_stack_and_each_stack_its_own():
    one, other = [dict(measured(noisy(seam=seam))) for seam in (SEAM, slice(10, 30))]
    entry = {'glow': None, 'background': known()['background'], 'correlation': None}
    stacks = {'a': dict(entry, structure=one, centreline_voxels=10),
              'b': dict(entry, structure=other, centreline_voxels=11),
              'c': dict(entry, structure=one, centreline_voxels=15, glow={'level': 1.0})}
    pooled = pool.pool(stacks)
    assert pooled['structure']['seams'] == other['seams']
    assert [b['structure']['seams'] for b in pool.backgrounds(pooled)] == [one['seams'],
                                                                          other['seams']]
    assert pool.pool({'a': stacks['a']})['structure']['seams'] == one['seams']
    old = dict(entry, centreline_voxels=1, structure={'photons': 1.0})
    assert pool.pool({'old': old})['structure'] == {'photons': 1.0}


def test_seams_that_cannot_be_are_refused():
    good = measured(noisy(seam=SEAM))
    schemas.check(known(structure=good), schemas.PRIORS, path='priors.json', cure='')
    for bad in ([None, None], [[1.0] * 5, None, None], [None, None, [1.0] * 19 + [-1.0]]):
        with pytest.raises(UserError, match='seams'):
            schemas.check(known(structure=dict(good, seams=bad)), schemas.PRIORS,
                          path='priors.json', cure='make it anew')


def test_priors_without_seams_are_drawn_as_before():
    told = measured(noisy())
    assert told['seams'] == [None] * 3
    old = {key: value for key, value in told.items() if key != 'seams'}
    rng = [np.random.default_rng(0) for _ in range(2)]
    one, other = [np.concatenate([slab for _, slab in behind(entry, std=20.0).draw(
        (16, 40, 40), rng=generator)]) for entry, generator in zip((told, old), rng)]
    np.testing.assert_array_equal(one, other)
