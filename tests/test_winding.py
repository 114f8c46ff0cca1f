"""How neurites wind, bundle and vary along their course: measured, drawn, measured again."""
import numpy as np
import pytest
from drafting import draw, settings_of
from test_branches import straight
from test_priors import known, measured_draft

from utils.measure import bends, brightness, courses
from utils.simulate import branches, fibres, winding

ISOTROPIC = 1, 1, 1
LOG2 = np.log(2)


def walks(wiggle, persistence=150.0, *, count=120, length=150.0, seed=0):
    """Walks in a volume without walls, a point for each voxel of their length."""
    rng = np.random.default_rng(seed)
    habit = fibres.Habit(persistence, np.inf, 100.0, wiggle)
    found = fibres.walk(np.full((count, 3), 1e4), np.tile([0, 0, 1.0], (count, 1)),
                        length=np.full(count, length), rng=rng, habit=habit,
                        box=fibres.Box([2e4] * 3, habit, rng=rng))
    nodes = 2.0 * np.arange(len(found[0]))
    return [np.stack([np.interp(np.arange(nodes[-1] + 1), nodes, column) for column in path.T], 1)
            for path in found]


def mean_turns(paths):
    """Mean turns of paths at each of bends.CHORDS."""
    return [np.concatenate([bends.turns(path, chord) for path in paths]).mean()
            for chord in bends.CHORDS]


# --- measured ---

def test_turns_of_a_circle_known_by_hand():
    """On a circle of radius 40 chords of 3, 6, 12 voxels turn by 3 / 40, 6 / 40, 12 / 40."""
    angle = np.arange(0, 0.9 * np.pi, 1 / 40)
    arc = 40 * np.stack([0 * angle, np.cos(angle), np.sin(angle)], 1)
    for chord in (3, 6, 12):
        np.testing.assert_allclose(bends.turns(arc, chord), 1 - np.cos(chord / 40), rtol=1e-3)
    assert len(bends.turns(arc[:7], 3)) == 1 and len(bends.turns(arc[:6], 3)) == 0
    voxels = np.rint(arc + 50).astype(int)               # on the grid: the staircase adds little
    few = bends.winding([voxels], ISOTROPIC)
    assert few == bends.Winding([None] * 4, None)
    many = bends.winding([voxels] * 4, ISOTROPIC)
    assert many.turns[2] == pytest.approx(1 - np.cos(12 / 40), rel=0.1)
    wide = bends.winding([voxels] * 4, (1, 2, 2))        # voxels twice as wide: half as curved
    assert wide.turns[3] == pytest.approx(1 - np.cos(12 / 40), rel=0.1)


def test_straight_lines_do_not_turn():
    line = np.stack([np.full(300, 5), np.full(300, 5), np.arange(300)], 1)
    found = bends.winding([line], ISOTROPIC)
    assert found.turns == [bends.STRAIGHTEST] * 4 and found.evenness == 1


@pytest.mark.parametrize('angle, wanted', [(0, 1.0), (60, 0.25), (90, 0.0)])
def test_alignment_of_two_lines_known_by_hand(angle, wanted):
    """Two lines 8 voxels apart; cos^2 of the angle between them."""
    along = np.arange(-150, 151)[:, None]
    towards = np.array([0, np.sin(np.radians(angle)), np.cos(np.radians(angle))])
    first = np.rint(along * np.array([0, 0, 1])).astype(int)
    second = np.rint(along * towards + np.array([8, 0, 0])).astype(int)
    found = bends.alignment([first, second], ISOTROPIC)
    assert found == pytest.approx(wanted, abs=0.05)
    assert bends.alignment([first], ISOTROPIC) is None and bends.alignment([], ISOTROPIC) is None


@pytest.mark.parametrize('length', [3.0, 6.0])
def test_correlation_length_of_a_known_drift(length):
    parent = np.arange(-1, 9999)
    drift = branches.along(parent, length, rng=np.random.default_rng(0), step=1.0)
    found = brightness.correlation_length(np.split(drift, 50))
    assert found == pytest.approx(length, rel=0.1)
    assert brightness.correlation_length([]) is None
    assert brightness.correlation_length([np.ones(40)]) is None
    assert brightness.correlation_length([np.arange(400.0)]) == brightness.LAGS


# --- drawn ---

@pytest.mark.parametrize('persistence, degrees, length', [
    (120.0, 15.0, 6.0), (300.0, 25.0, 4.0), (60.0, 0.0, 3.0)])
def test_winding_is_told_from_its_turns(persistence, degrees, length):
    chords = np.array(bends.CHORDS, float)
    angle = winding.chain_turn(chords) / persistence \
        + np.radians(degrees) ** 2 * winding.wiggle_turn(chords, length)
    found = winding.fit((1 - np.exp(-angle)).tolist())
    assert found[0] == pytest.approx(persistence, rel=0.01)
    assert found[1] == pytest.approx(degrees, abs=0.1)
    assert not degrees or found[2] == length
    assert winding.fit([None] * 4) is None and winding.fit([]) is None
    assert winding.fit([None, 0.02, None, None])[0] > 0
    assert winding.fit([bends.STRAIGHTEST] * 4)[0] > 1e4


def test_a_drawn_curvature_is_measured_again():
    """The slow bends keep their direction over 6 voxels: short chords turn less by them."""
    wiggle = winding.Wiggle(18.0, 8.0)
    chords = np.array(bends.CHORDS, float)
    wanted = 1 - np.exp(-winding.chain_turn(chords) / 200
                        - np.radians(18) ** 2 * winding.wiggle_turn(chords, 8.0))
    found = mean_turns(walks(wiggle, 200.0))
    np.testing.assert_allclose(found, wanted, rtol=0.15)
    plain = mean_turns(walks(winding.Wiggle(), 200.0))
    assert plain[0] < 0.2 * found[0] and plain[3] < 0.7 * found[3]
    persistence, degrees, _ = winding.fit(found)
    assert degrees == pytest.approx(18, rel=0.15) and 120 < persistence < 350


@pytest.mark.parametrize('spread', [0.0, 0.5])
def test_unequal_winding_has_its_spread_and_the_same_mean(spread):
    """Turns are exponential (median ln 2 of the mean), times a log-normal factor of mean 1."""
    even, found = [np.concatenate([bends.turns(path, 6) for path in walks(
        winding.Wiggle(18.0, 4.0, s), 1e6, count=300, seed=1)]) for s in (0.0, spread)]
    assert found.mean() == pytest.approx(even.mean(), rel=0.12)
    ratio = np.median(found) / found.mean()
    if spread:
        assert np.median(even) / even.mean() - ratio > 0.15
    else:
        assert ratio == pytest.approx(LOG2, abs=0.04)


def test_a_wiggling_branch_keeps_its_ends():
    tree = straight(200, step=2.0)
    bent = winding.wiggle_tree(tree, winding.Wiggle(15.0, 6.0), rng=np.random.default_rng(0))
    np.testing.assert_allclose(bent.position[[0, -1]], tree.position[[0, -1]])
    aside = bent.position[:, :2]
    slope = np.degrees(np.arctan(np.diff(aside, axis=0) / 2))
    assert slope.std() == pytest.approx(15, rel=0.2)
    assert np.abs(bent.position[:, 2] - tree.position[:, 2]).max() < 1e-6      # across it
    still = winding.wiggle_tree(tree, winding.Wiggle(), rng=np.random.default_rng(0))
    np.testing.assert_array_equal(still.position, tree.position)


@pytest.mark.parametrize('bundled, low, high', [(0.0, 0.26, 0.42), (0.8, 0.6, 0.95)])
def test_bundled_fibres_run_along_each_other(bundled, low, high):
    grown = fibres.fibres((200, 200, 200), np.random.default_rng(3), total=6000,
                          habit=fibres.Habit(1e6, np.inf, 60.0, bundled=bundled))
    paths = [np.rint(np.concatenate([tree.position[:0:-1][:0], tree.position[1:]])).astype(int)
             for tree in grown]
    straights = []
    for tree, path in zip(grown, paths):                 # its two halves are one path each
        cut = int(np.flatnonzero(tree.parent[1:] == 0)[-1]) if len(path) else 0
        straights += [half for half in (path[:cut], path[cut:]) if len(half) > 8]
    assert low < bends.alignment(straights, ISOTROPIC) < high
    length = sum(2.0 * (len(tree.parent) - 1) for tree in grown)
    assert 5500 < length < 7000                          # as much is drawn in either case


# --- what 'auto' stands for ---

def test_auto_winding_is_what_is_drawn():
    chords = np.array(bends.CHORDS, float)
    angle = winding.chain_turn(chords) / 100 + 0.3 ** 2 * winding.wiggle_turn(chords, 8.0)
    more = {'turns': (1 - np.exp(-angle)).tolist(), 'winding_spread': 0.4, 'bundled': 0.3,
            'level_drift': 0.5, 'drift_length': 7.0, 'end_level': 1.4, 'branch_spacing': 200.0}
    measured = known()
    measured['drawn'].update(more)
    found = settings_of(measured)
    assert found.branches.wiggle == pytest.approx(np.degrees(0.3), rel=0.01)
    assert found.branches.wiggle_length == 8 and found.branches.winding_spread == 0.4
    assert branches.persistence_of(found.branches.tortuosity) == pytest.approx(100, rel=0.01)
    assert found.branches.bundled == 0.3 and found.branches.radius_length == 7
    assert found.light.level_drift == 0.5 and found.light.drift_length == 7
    assert found.light.end_level == 1.4
    given = settings_of(measured, TORTUOSITY=1.1, LEVEL_DRIFT=0.2)       # as given, no more
    assert given.branches.wiggle == given.branches.winding_spread == 0
    assert given.light.drift_length == 20 and given.light.end_level == 1
    both = settings_of(measured, TORTUOSITY=1.1, WIGGLE=9.0, DRIFT_LENGTH=3.0, BUNDLED=0.0)
    assert both.branches.wiggle == 9 and both.light.drift_length == 3 and not both.branches.bundled


@pytest.mark.parametrize('measured', [None, known()])
def test_priors_without_winding_draw_as_the_paper(measured):
    found = settings_of(measured)
    assert found.branches.wiggle == found.branches.winding_spread == found.branches.bundled == 0
    assert found.light.drift_length == found.branches.radius_length == 20
    assert found.light.end_level == 1


def test_winding_changes_nothing_where_constants_are_given():
    """The paper's model on measured grey levels: the same bytes with and without new entries."""
    more = known()
    more['drawn'].update(turns=[0.05, 0.1, 0.2, 0.3], winding_spread=0.5, bundled=0.5,
                         drift_length=5.0, level_drift=0.4, end_level=2.0)
    paper = dict(TORTUOSITY=1.0, DENSITY=0.0, LEVEL_DRIFT=0.0, RADIUS=(1.0, 3.0), AXON_SHARE=1.0)
    plain, same = [draw(0, measured=m, **paper) for m in (known(), more)]
    np.testing.assert_array_equal(plain.image, same.image)
    new = draw(0, measured=more, AXON_SHARE=1.0)
    assert not np.array_equal(new.image, draw(0, measured=known(), AXON_SHARE=1.0).image)
    np.testing.assert_array_equal(new.image, draw(0, measured=more, AXON_SHARE=1.0).image)


# --- calibration ---

TRUTH = {'turns': [0.03, 0.07, 0.12, 0.2], 'winding_spread': 0.4, 'bundled': 0.25,
         'level_drift': 0.3, 'drift_length': 5.0, 'end_level': 1.6,
         'branch_spacing': 90.0, 'ends_spacing': 120.0, 'level_width': -0.6}


def look(drawn):
    """A made-up microscope: half of the turns seen, drift over 1.5 times the length, and so on."""
    return {'turns': [0.5 * turn for turn in drawn['turns'][:3]] + [None],
            'turn_evenness': LOG2 * np.exp(-2 * drawn['winding_spread'] ** 2) - 0.05,
            'alignment': 1 / 3 + 0.5 * drawn['bundled'], 'level_drift': 0.8 * drawn['level_drift'],
            'drift_length': 1.5 * drawn['drift_length'],
            'end_level': drawn['end_level'], 'branch_spacing': 0.7 * drawn['branch_spacing'],
            'ends_spacing': 0.5 * drawn['ends_spacing'],
            'level_width': 0.6 * drawn['level_width'] + 0.05}


def test_courses_are_found_again():
    real = look(TRUTH)
    drawn = courses.first_guess(real)
    assert courses.corrected(drawn, real, seen=dict(real, end_level=9.0),
                             damping=1.0)['end_level'] == 1.6            # not corrected
    assert drawn['turns'] == real['turns'] and drawn['drift_length'] == 7.5
    drawn['turns'][3] = 0.2                              # not measured: kept
    for _ in range(12):
        drawn = courses.corrected(drawn, real, seen=look(drawn), damping=0.7)
    for key, wanted in TRUTH.items():
        np.testing.assert_allclose(drawn[key], wanted, rtol=0.02, err_msg=key)
    pairs = courses.pairs(real, look(drawn))
    assert len(pairs) == 3 + 6 and np.allclose(*zip(*pairs), rtol=0.02)


def test_turns_of_crowded_neurites_are_typical_ones():
    """The median tells them: some centrelines of merged masks turn from one to another."""
    shine = dict(level=300.0, shares=[0.0, 0.0, 4.0], photons=2.0)
    real = dict(look(TRUTH), turn_evenness=LOG2 / 2, glow=shine, radius_quantiles=[1.0] * 25,
                density=0.001, clumps=0.5)
    drawn = courses.first_guess(real)
    assert drawn['turns'] == [turn and turn / 2 for turn in real['turns']]
    assert 'winding_spread' not in drawn
    seen = dict(real, turns=[2 * turn for turn in real['turns'][:3]] + [None])
    found = courses.corrected(dict(drawn, turns=drawn['turns'][:3] + [0.1]), real, seen=seen,
                              damping=0.5)
    assert found['turns'] == pytest.approx([turn / 2 ** 0.5 for turn in drawn['turns'][:3]] + [0.1])
    low = courses.corrected(drawn, real, seen=dict(seen, turns=[2.0] * 4), damping=1.0)['turns']
    assert low[:3] == pytest.approx([turn / 1.5 for turn in drawn['turns'][:3]])
    even = dict(real, turn_evenness=0.9)                 # nothing to take off
    assert courses.first_guess(even)['turns'] == real['turns']
    (want, got), *_ = courses.pairs(real, seen)
    assert (want, got) == pytest.approx((drawn['turns'][0], 2 * drawn['turns'][0]))


def test_what_was_not_measured_is_left():
    bare = {'turns': [None] * 4, 'turn_evenness': None, 'alignment': None, 'level_drift': None}
    drawn = courses.first_guess(bare)
    assert drawn == {'turns': [None] * 4} and courses.first_guess({}) == {}
    assert courses.corrected(drawn, bare, seen=look(TRUTH), damping=1.0) == drawn
    assert courses.corrected({}, look(TRUTH), seen=look(TRUTH), damping=1.0) == {}
    assert courses.pairs(bare, look(TRUTH)) == courses.pairs({}, {}) == []
    drawn = dict(TRUTH)
    assert courses.corrected(drawn, look(TRUTH), seen=bare, damping=1.0) == drawn


def test_a_wiggle_is_seen_in_what_a_draft_measures():
    constants = dict(LEVEL=(1500.0, 1500.0), DENSITY=0.003)
    plain, wiggling = [measured_draft(WIGGLE=degrees, **constants)[1] for degrees in (0.0, 30.0)]
    assert wiggling['turns'][1] > 1.8 * plain['turns'][1]
    for seen in (plain, wiggling):
        assert len(seen['turns']) == len(bends.CHORDS) and 0 < seen['turn_evenness'] < 1
        assert 0.1 < seen['alignment'] < 0.7 and 1 < seen['drift_length'] <= brightness.LAGS


@pytest.mark.parametrize('level', [0.5, 2.0])
def test_brightness_of_free_ends_known_by_hand(level):
    """Ten lines of 30 voxels with two free ends each, four voxels of which are brighter."""
    voxels, paths = np.full((9, 70, 40), 50, np.uint16), []
    for y in range(5, 65, 6):
        voxels[4, y, 5:35] = 150
        voxels[4, y, [5, 6, 7, 8, 31, 32, 33, 34]] = 50 + 100 * level
        paths.append(np.stack([np.full(30, 4), np.full(30, y), np.arange(5, 35)], 1))
    local, tips = np.full(voxels.shape, 50, np.uint16), np.array([p[[0, -1]] for p in paths])
    how = dict(paths=paths, tips=tips.reshape(-1, 3))
    assert brightness.of_ends(voxels, local, **how) == pytest.approx(level, rel=0.1)
    short = [path[:19] for path in paths]
    assert brightness.of_ends(voxels, local, **dict(how, paths=short)) is None
    # cut close to one end of each, nine lines have nine free ends
    cut = dict(how, paths=paths[:9])
    assert brightness.of_ends(voxels[..., :36], local[..., :36], **cut) is None
