"""Figures of curves, bars, traces, the diagram: each mark is found at its place, in its colour."""
import matplotlib.axes
import matplotlib.pyplot as plt
import numpy as np
import pytest
from pictures import (BLUE, GREEN, ORANGE, cells, close, frame, gradient, grey, inked, inside,
                      marked, panels, read)
from scipy import ndimage

from utils.common.errors import UserError
from utils.data import swc
from utils.draw import comparison, drafts, framework, priors, traces, training
from utils.measure.quantiles import BACKGROUND, LAGS, QUANTILES

COLOURS = BLUE, ORANGE, GREEN


@pytest.fixture
def no_legend(monkeypatch):
    """Legends hold samples of the curves, which are no curves."""
    monkeypatch.setattr(matplotlib.axes.Axes, 'legend', lambda *_, **__: None)


def seen(panel):
    """Which of the first three colours a panel has."""
    return [bool(inked(panel, colour).sum() > 15) for colour in COLOURS]


# --- the distributions that were measured ---

PLATEAUS = 0.2, 0.35, 0.5, 0.65, 0.8     # share at which the k-th distribution steps up by one


def pooled_priors():
    """priors.json: values of 1 and 2 measured, 3 and 4 on the best draft, 5 and 6 drawn."""
    def steps(low):
        return {name: list(low + (QUANTILES > share))
                for (name, _), share in zip(priors.DISTRIBUTIONS, PLATEAUS)}

    return dict(
        steps(1.0), drawn=dict(steps(5.0), best=0, rounds=[steps(3.0), steps(9.0)],
                               debris_sigmas=list(np.linspace(1, 1.5, len(QUANTILES)))),
        background={'quantiles': list(np.linspace(90, 110, len(BACKGROUND)))},
        correlation=[list(level * np.linspace(1, 0.5, len(LAGS))) for level in (0.9, 0.6, 0.3)],
        debris={'sigma_quantiles': list(np.linspace(2, 3, len(QUANTILES))), 'density': 1e-5},
        noise_std=[1.0, None, 2.0], blur_sigma=[1.0, 2.0, 3.0], density=0.01,
        saturated_fraction=0.0)


@pytest.fixture(scope='module')
def priors_picture(tmp_path_factory):
    """The page without legends."""
    path = str(tmp_path_factory.mktemp('priors') / 'a.png')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matplotlib.axes.Axes, 'legend', lambda *_, **__: None)
        priors.priors_page(path, pooled_priors())
    return read(path)


def test_each_distribution_is_shown_as_measured_on_the_best_draft_and_drawn(priors_picture):
    """Each curve is level where its distribution steps; the next one lies to its right."""
    found = panels(priors_picture, least=60)
    assert len(found) == 8
    for panel, share in zip(found[:5], PLATEAUS):
        ends = []
        for colour in COLOURS:
            x, y = marked(panel, colour, xlim=(0, 1), ylim=(-0.05, 1.05))
            level = np.abs(y - share) < 0.06                # up to the next of QUANTILES
            assert np.ptp(x[level]) > 0.08                  # to the right, and nowhere else
            assert (x[y < share - 0.08] < x[level].min() + 0.03).all()
            assert (x[y > share + 0.08] > x[level].max() - 0.03).all()
            assert y.min() < 0.03 and y.max() > 0.97
            ends.append((x.min(), x.max()))
        assert ends[0][1] < ends[1][0] and ends[1][1] < ends[2][0]


def test_background_correlation_and_specks_have_their_curves(priors_picture):
    background, correlation, specks = panels(priors_picture, least=60)[5:]
    for panel, least, curves in ((background, 100, [True, False, False]),
                                 (specks, 50, [True, True, False])):
        columns, heights = gradient(panel, BLUE)
        assert np.ptp(columns) > least and heights[-1] > heights[0] + 100
        assert seen(panel) == curves
    levels = []
    for colour in COLOURS:                                  # z, y, x fall with the lag
        columns, heights = gradient(correlation, colour)
        assert heights[5] > heights[-5] + 10
        levels.append(heights[:10].mean())
    assert levels[0] > levels[1] + 20 and levels[1] > levels[2] + 20


def test_priors_without_a_draft_or_specks_are_drawn_as_measured(tmp_path, no_legend,
                                                                priors_picture):
    pooled = dict(pooled_priors(), drawn={}, debris=None)
    priors.priors_page(str(tmp_path / 'a.png'), pooled)
    found = panels(read(tmp_path / 'a.png'), least=60)
    assert [seen(panel) for panel in found] == [[True, False, False]] * 6 + [[True] * 3,
                                                                             [False] * 3]
    height = len(priors_picture)
    above = read(tmp_path / 'a.png')[int(0.42 * height):int(0.6 * height), -380:-20]
    assert (above < 0.5).sum() > 500                        # the numbers


def test_numbers_stand_above_the_specks():
    axes = plt.figure().add_subplot()
    priors._specks(axes, pooled_priors())
    assert axes.get_title(loc='left').split('\n') == [
        'noise, std: 1.00, ?, 2.00 (z, y, x)', 'blur, sigma: 1.00, 2.00, 3.00 (z, y, x)',
        'neurites: 0.01 voxels / voxel^3', 'specks: 1e-05 / voxel^3', 'saturated: 0']
    plt.close(axes.figure)


# --- training ---

def full_log(steps=21):
    """Columns of a log; the evaluations are in every fifth row."""
    t = np.linspace(0, 1, steps)
    log = {'step': np.arange(steps, dtype=float), 'refiner': t, 'adversarial': 1 - t,
           'discriminator': np.full(steps, 0.5), 'identity': t, 'label': 1 - t,
           'accuracy': np.full(steps, 0.8), 'learning_rate': 1 - t}
    for names in training.EVALUATED:
        for k, name in enumerate(names):
            log[name] = np.where(np.arange(steps) % 5 == 0, t + 0.1 * k, np.nan)
    return log


@pytest.fixture(scope='module')
def curve_panels(tmp_path_factory):
    """Panels of the training's curves: without and with the judge's levels, without evaluations."""
    folder, found = tmp_path_factory.mktemp('curves'), []
    judge = {'draft': {'gap': 0.25, 'dice': 0.9}, 'floor': {'gap': 0.75}}
    plain = {name: values for name, values in full_log().items()
             if not any(name in names for names in training.EVALUATED)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matplotlib.axes.Axes, 'legend', lambda *_, **__: None)
        for log, levels in ((full_log(), None), (full_log(), judge), (plain, None)):
            training.curves(str(folder / 'a.png'), log, judge=levels)
            found.append(panels(read(folder / 'a.png'), least=60))
    return found


def test_curves_rise_and_fall_with_their_columns(curve_panels):
    found = curve_panels[0]
    assert [seen(panel) for panel in found] == [[count > k for k in range(3)] for count in
                                                (3, 2, 1, 1, 2, 3, 3, 1, 1, 4, 2, 2, 1)]
    for panel, slopes in zip(found, ((1, -1, 0), (1, -1), (0,), (-1,), (1, 1), (1, 1, 1), (1, 1, 1),
                                     (1,), (1,), (1, 1))):
        for colour, slope in zip(COLOURS, slopes):
            columns, heights = gradient(panel, colour)
            rise = heights[-5:].mean() - heights[:5].mean()
            assert abs(rise) < 3 if slope == 0 else rise * slope > 80


def test_accuracy_is_shown_from_0_to_1(curve_panels):
    x, y = marked(curve_panels[0][2], BLUE, xlim=(-1, 21), ylim=(-0.05, 1.05))       # margins 5 %
    assert np.abs(y - 0.8).max() < 0.02 and abs(x.min()) < 0.2 and abs(x.max() - 20) < 0.2


def test_rows_without_a_value_leave_no_gap(curve_panels):
    columns, _ = gradient(curve_panels[0][7], BLUE)                       # gap: every fifth row
    assert np.ptp(columns) > 200 and np.diff(columns).max() == 1


def test_judges_levels_are_dashed_and_dotted_lines(curve_panels):
    """The drafts' gap is 0.25 and other real patches' 0.75; the gap itself runs from 0 to 1."""
    for panel, there in zip((curve_panels[0][7], curve_panels[1][7]), (False, True)):
        width, gaps = inside(panel).shape[1], []
        x, y = marked(panel, BLUE, xlim=(0, width), ylim=(-0.05, 1.05), least=0.25)
        for level in (0.25, 0.75):
            row = (np.abs(y - level) < 0.015) & (np.abs(x - width * (level + 0.05) / 1.1) > 12)
            columns = np.unique(np.rint(x[row]))
            gaps.append(width - len(columns))
            assert len(columns) > 0.4 * width if there else len(columns) < 0.1 * width
        assert not there or (20 < gaps[0] < gaps[1])                      # dots are rarer
    changed = [(a.shape != b.shape) or np.abs(a - b).max() > 0.1 for a, b in
               zip(*[found[:7] for found in curve_panels[:2]])]
    assert changed == [False] * 6 + [True]                                # Dice has a level, too


def test_evaluations_that_the_log_lacks_have_no_panel(curve_panels):
    assert [seen(panel) for panel in curve_panels[2]] == [[True] * 3, [True, True, False]] + [
        [True, False, False]] * 2


def test_log_is_read_with_gaps(tmp_path):
    (tmp_path / 'log.csv').write_text('step,gap\n1,\n2,0.5\n')
    log = training.read_log(str(tmp_path / 'log.csv'))
    np.testing.assert_array_equal(log['step'], [1, 2])
    np.testing.assert_array_equal(log['gap'], [np.nan, 0.5])
    (tmp_path / 'log.csv').write_text('step,gap\n')
    assert training.read_log(str(tmp_path / 'log.csv')) == {}


@pytest.mark.parametrize('log', [b'step,gap\n1,much\n', b'step,gap\n1,2,3\n', b'gap\n1\n',
                                 b'step,gap\n\xff,1\n'])
def test_a_damaged_log_is_one_line(tmp_path, log):
    (tmp_path / 'log.csv').write_bytes(log)
    with pytest.raises(UserError, match='log.csv is damaged .*: mend it, or remove it and train'):
        training.read_log(str(tmp_path / 'log.csv'))


@pytest.mark.parametrize('text', ['[]', '{}', '{"draft": {}, "floor": []}', '{"draft": 1}', 'x',
                                  '{"draft": {"gap": "a"}, "floor": {}}'])
def test_damaged_levels_are_one_line(tmp_path, text):
    path = tmp_path / 'evaluation.json'
    assert training.read_evaluation(str(path)) is None
    path.write_text(text)
    with pytest.raises(UserError, match='evaluation.json.*: remove it; STAGE=train writes it anew'):
        training.read_evaluation(str(path))


def test_histograms_stand_where_the_grey_levels_are(tmp_path, no_legend):
    rng = np.random.default_rng(0)
    dark, bright = rng.normal(200, 20, 20000), rng.normal(800, 20, (10, 20, 100))
    drafts.grey_histograms(str(tmp_path / 'a.png'), [('dark', dark), ('bright', bright)])
    panel, = panels(read(tmp_path / 'a.png'), least=100)
    high = np.percentile(bright, 99.9)
    for colour, level in ((BLUE, 200), (ORANGE, 800)):
        x, y = marked(panel, colour, xlim=(-0.05 * high, 1.05 * high), ylim=(0, 1))   # margins
        assert np.abs(x - level).max() < 6 * 20 and abs(np.median(x) - level) < 30
        assert np.ptp(y) > 0.5                                            # up and down
        assert abs(x[y > y.max() - 0.02].mean() - level) < 15             # the peak


# --- patches, close ---

def test_slices_are_shown_in_noise_levels_where_the_first_block_is_brightest(monkeypatch):
    """Grey levels 100, 101, 102 in turn: noise 1.4826; 8 of these more in one voxel."""
    drawn = []
    monkeypatch.setattr(drafts, 'save', lambda figure, path: drawn.append(figure))
    draft = np.indices((4, 60, 60)).sum(0) % 3 + 100.0
    other = draft.copy()
    draft[2, 50, 8], other[1, 5, 5] = 101 + 8 * 1.4826, 500              # box [20:60, 0:40]
    other[2, 40, 30] = 101 + 3 * 1.4826
    drafts.close_ups('a.png', [('a', draft[None]), ('b', other[None]), ('c', other[None])], same=2)
    shown = [axes.images[0].get_array() for axes in drawn[0].axes]
    np.testing.assert_array_equal(shown[0], draft.max(0))
    assert [image.shape for image in shown[1::2]] == [(40, 40)] * 3
    assert shown[1][30, 8] == pytest.approx(np.arcsinh(8), abs=1e-6)
    assert shown[3][20, 30] == pytest.approx(np.arcsinh(3), abs=1e-6)    # not at its own brightest
    assert shown[5][5, 5] > np.arcsinh(100)
    assert -shown[1].min() == pytest.approx(np.arcsinh(1 / 1.4826))
    scales = {axes.images[0].get_clim() for axes in drawn[0].axes[::2]}
    assert len(scales) == 1 and drawn[0].axes[1].images[0].get_clim() == (-2, 4.5)
    plt.close(drawn[0])


# --- segmentation networks compared ---

def test_bars_end_at_the_mean_and_dots_are_the_trainings(tmp_path):
    rows = [dict(arm=arm, dice=value, ap=0.9)
            for arm, values in (('low', (0.2, 0.3)), ('high', (0.6, 0.8))) for value in values]
    comparison.arms(str(tmp_path / 'a.png'), rows, measures=('dice', 'ap'))
    panel, other = (inside(panel) for panel in panels(read(tmp_path / 'a.png'), least=60))
    height, width = panel.shape[:2]
    numbers = []
    for share, mean, values in ((0.26, 0.25, (0.2, 0.3)), (0.74, 0.7, (0.6, 0.8))):
        band = panel[int(share * height) - 20:int(share * height) + 20]   # the first arm above
        bar = close(band, (0.75,) * 3, 0.03).mean(0) > 0.4
        assert abs(np.flatnonzero(bar).max() / width - mean) < 0.02
        dark = close(band, (0, 0, 0), 0.3)
        numbers.append(dark[:, :int(0.16 * width)])
        columns = np.flatnonzero(dark[:, int(0.16 * width):].any(0)) / width + 0.16
        assert all((np.abs(columns - value) < 0.02).sum() >= 3 for value in values)
        assert all(min(abs(c - value) for value in values) < 0.03 for c in columns)
    assert numbers[0].any() and numbers[1].any() and (numbers[0] != numbers[1]).any()
    bar = close(other, (0.75,) * 3, 0.03).any(0)
    assert abs(np.flatnonzero(bar).max() / width - 0.9) < 0.02


def test_a_settings_trainings_are_dots_a_line_joins_their_means(monkeypatch):
    drawn = []
    monkeypatch.setattr(comparison, 'save', lambda figure, path: drawn.append(figure))
    named = {'0': [dict(x=0.8, y=0.2), dict(x=0.6, y=0.4)], '5': [dict(x=0.9, y=0.5)],
             'drafts': [dict(x=1.0, y=0.6)]}
    comparison.tradeoff('a.png', named, floor={'x': 0.5}, realism={'x': 'told'},
                        kept={'y': 'kept'}, words={'0': 'none'})
    panel, = drawn[0].axes
    assert (panel.get_xlabel(), panel.get_ylabel()) == ('told', 'kept')
    lines = [np.transpose(line.get_data()).tolist() for line in panel.lines]
    assert [x for x, _ in lines[0]] == [0.5, 0.5]                        # the floor
    np.testing.assert_allclose(lines[1], [[0.7, 0.3], [0.9, 0.5]])
    assert lines[2:] == [[[0.8, 0.2], [0.6, 0.4]], [[0.9, 0.5]], [[1.0, 0.6]]]
    assert [text.get_text() for text in panel.texts] == ['none', '5', 'drafts']
    np.testing.assert_allclose(panel.texts[0].xy, [0.7, 0.3])
    plt.close(drawn[0])


def test_precision_against_recall_and_a_dot_at_one_half(tmp_path, no_legend):
    recall = np.linspace(0.1, 0.9, 9)
    falling = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    comparison.precision_recall(str(tmp_path / 'a.png'), [
        ('good', (np.full(9, 0.9), recall, falling)),                     # 0.5 at recall 0.5
        ('bad', (np.full(9, 0.4), recall, falling - 0.25))])              # 0.55 at 0.2, then 0.45
    panel, = panels(read(tmp_path / 'a.png'), least=100)
    for colour, level, at in ((BLUE, 0.9, 0.5), (ORANGE, 0.4, 0.2)):
        x, y = marked(panel, colour, xlim=(0, 1), ylim=(0, 1.02))
        assert abs(x.min() - 0.1) < 0.02 and abs(x.max() - 0.9) < 0.02
        assert np.abs(y - level).max() < 0.02
        tall = [column for column in np.unique(x) if (x == column).sum() >= 4]
        assert len(tall) >= 3 and abs(np.mean(tall) - at) < 0.01          # the dot


def test_scores_over_noise_stand_at_their_level(tmp_path, no_legend):
    levels = np.array([1.0, 10.0, 100.0])
    traces.score_curves(str(tmp_path / 'a.png'), levels, xlabel='noise', ylabel='F1', panels=[
        ('one', [('a', np.array([0.9, 0.6, 0.3])), ('b', np.full(3, 0.1))]),
        ('two', [('a', np.full(3, 0.5))])])
    one, two = panels(read(tmp_path / 'a.png'), least=100)
    x, y = marked(one, BLUE, xlim=(-0.1, 2.1), ylim=(0, 1.02))            # decades, margins of 5 %
    for decade, level in enumerate((0.9, 0.6, 0.3)):
        marker = np.abs(x - decade) < 0.015
        assert abs(y[marker].mean() - level) < 0.02 and np.ptp(y[marker]) > 0.015
    between = np.abs(x - 0.5) < 0.01
    assert abs(y[between].mean() - 0.75) < 0.02                           # a line between them
    x, y = marked(one, ORANGE, xlim=(-0.1, 2.1), ylim=(0, 1.02))
    assert np.abs(y - 0.1).max() < 0.03 and np.ptp(x) > 1.9
    x, y = marked(two, BLUE, xlim=(-0.1, 2.1), ylim=(0, 1.02))
    assert np.abs(y - 0.5).max() < 0.03 and seen(two) == [True, False, False]


def drawn_with(name, path):
    """A figure whose curve is named so."""
    t = np.linspace(0, 1, 5)
    yield lambda: drafts.grey_histograms(path, [(name, t)])
    yield lambda: comparison.precision_recall(path, [(name, (t, t, t[::-1]))])
    yield lambda: traces.score_curves(path, t + 1, panels=[('', [(name, t)])], xlabel='', ylabel='')
    yield lambda: comparison.arms(path, [{'arm': name, 'ap': 0.5}],
                                  measures=('ap',))


@pytest.mark.parametrize('which', range(4))
def test_curves_and_bars_are_named(tmp_path, which):
    pictures = []
    for name in ('iiiii', 'WWWWW'):
        list(drawn_with(name, str(tmp_path / 'a.png')))[which]()
        pictures.append(read(tmp_path / 'a.png'))
    a, b = pictures
    assert a.shape != b.shape or (np.abs(a - b).max(-1) > 0.3).sum() > 20


# --- traces ---

def two_trees():
    """A soma of radius 4 at y 10, x 10 with a neurite to x 30, and a neurite along y at x 45."""
    position = np.array([[5, 10, 10], [5, 10, 30], [15, 5, 45], [15, 25, 45]], float)
    return swc.Tree(np.array([swc.SOMA, 0, 0, 0]), position, np.array([4.0, 1, 1, 1]),
                    np.array([-1, 0, -1, 2]))


def saturated(panel, extent):
    """Where a grey panel has colour: x, y float [N] in data units, rgb [N, 3], is it yellow [N].

    Args:
        extent: data at the left, right, upper and lower spine.
    """
    top, bottom, left, right = frame(panel)
    y, x = np.nonzero(np.ptp(panel, -1) > 0.3)
    rgb = panel[y, x]
    yellow = (np.abs(rgb[:, 0] - rgb[:, 1]) < 0.2) & (rgb[:, 2] < 0.6 * rgb[:, 0])
    return (extent[0] + (x - left) / (right - left) * (extent[1] - extent[0]),
            extent[2] + (y - top) / (bottom - top) * (extent[3] - extent[2]), rgb, yellow)


def check_tree(x, y, *, rgb, ring, line, other, soma):
    """Lines lie at (y, x from, x to) and (x, y from, y to), a ring around (y, x, radius)."""
    distance = np.hypot(y[ring] - soma[0], x[ring] - soma[1])
    assert ring.sum() > 20 and np.abs(distance - soma[2]).max() < 0.8
    assert np.ptp(x[ring]) > 1.8 * soma[2] and np.ptp(y[ring]) > 1.8 * soma[2]
    on = ~ring & (np.abs(y - line[0]) < 0.6) & (x < line[2] + 1)
    assert np.ptp(x[on]) > 0.7 * (line[2] - line[1]) and x[on].max() < line[2] + 0.8
    off = ~ring & (np.abs(x - other[0]) < 0.6)
    assert np.ptp(y[off]) > 0.9 * (other[2] - other[1])
    assert np.abs(np.median(rgb[on], 0) - np.median(rgb[off], 0)).max() > 0.2      # two colours


def test_traces_lie_over_both_projections_with_somata_as_circles(tmp_path):
    voxels = np.zeros((20, 30, 60), np.uint16)
    voxels[5, 10, 10:31] = 1000
    voxels[15, 5:26, 45] = 1000
    traces.traces(str(tmp_path / 'a.png'), voxels, tree=two_trees(), spacing=(2.0, 1.0, 1.0))
    found = panels(read(tmp_path / 'a.png'))
    assert len(found) == 4
    np.testing.assert_allclose(grey(found[0], (30, 60)), voxels.max(0) / 1000, atol=0.01)
    np.testing.assert_allclose(grey(found[2], (20, 60)), voxels.max(1) / 1000, atol=0.01)
    x, y, rgb, ring = saturated(found[1], (-0.5, 59.5, -0.5, 29.5))
    check_tree(x, y, rgb=rgb, ring=ring, line=(10, 14, 30), other=(45, 5, 25), soma=(10, 10, 4))
    x, y, rgb, ring = saturated(found[3], (-0.5, 59.5, -1, 39))                 # z counts twice
    assert np.abs(np.hypot(y[ring] - 10, x[ring] - 10) - 4).max() < 0.8
    assert (np.abs(y[~ring & (x < 40)] - 10) <= 1.01).all()
    assert (np.abs(y[x > 40] - 30) <= 1.01).all()
    # the picture below the traces is the plain one
    plain, traced = (cells(panel, (30, 60)) for panel in found[:2])
    same = np.abs(plain - traced).max(-1) < 0.02
    assert same[:, 32:44].all() and same[26:].all() and same.mean() > 0.9


def test_compared_traces_lie_over_one_projection(tmp_path):
    voxels = np.zeros((20, 30, 60), np.uint16)
    voxels[5, 10, 10:31] = 1000
    tree = two_trees()
    alone = swc.Tree(*[values[2:] for values in tree])._replace(parent=np.array([-1, 0]))
    traces.traces_compared(str(tmp_path / 'a.png'), voxels, named=[('both', tree), ('one', alone)])
    plain, both, one = panels(read(tmp_path / 'a.png'))
    np.testing.assert_allclose(grey(plain, (30, 60)), voxels.max(0) / 1000, atol=0.01)
    x, y, rgb, ring = saturated(both, (-0.5, 59.5, -0.5, 29.5))
    check_tree(x, y, rgb=rgb, ring=ring, line=(10, 14, 30), other=(45, 5, 25), soma=(10, 10, 4))
    x, y, rgb, ring = saturated(one, (-0.5, 59.5, -0.5, 29.5))
    assert np.abs(x - 45).max() < 0.6 and np.ptp(y) > 18 and (np.abs(rgb[:, 0] - 1) < 0.4).all()
    assert (cells(one, (30, 60))[10, 12:29] > 0.9).all()                  # the stack behind


# --- the diagram ---

DATA, NETWORK = (0.875, 0.914, 0.961), (0.961, 0.902, 0.847)             # colours of the boxes


def diagram(tmp_path, pictures):
    """(figure, function from diagram inches to its pixel): fitted to two boxes of known place."""
    framework.framework(str(tmp_path / 'a.png'), pictures)
    picture = read(tmp_path / 'a.png')
    boxes = coloured(picture, DATA)
    first = min(boxes, key=lambda box: (box[1].start, -box[0].start))     # step 0 at (2.1, 0.95)
    last = max(boxes, key=lambda box: box[1].start)                       # step 4 at (11.9, 1.6)
    scale = (last[1].start - first[1].start) / (11.9 - 2.1)

    def pixel(x, y):                                    # a box begins behind half of its line
        return first[0].stop + 0.6 - (y - 0.95) * scale, first[1].start - 1 + (x - 2.1) * scale

    return picture, pixel


def coloured(picture, colour):
    """Boxes (slices y, x) of connected pixels of a colour."""
    return [box for box in ndimage.find_objects(ndimage.label(close(picture, colour, 0.01))[0])
            if min(s.stop - s.start for s in box) > 20]


def run_pictures():
    """Pictures that differ: a bright square at another place in each."""
    pictures = {}
    for k, place in enumerate(framework.PICTURES):
        picture = np.zeros((8, 8), np.uint16)
        picture[k:k + 2, 3:5] = 1 if place.name in framework.MASKS else 500
        pictures[place.name] = picture
    return pictures


def inset(picture, pixel, *, place):
    """The part of the diagram that holds a picture, from its lower left corner on."""
    (bottom, left), (top, right) = pixel(place.x, place.y), pixel(place.x + place.size,
                                                                 place.y + place.size)
    y, x = [np.rint(a + (np.arange(8) + 0.5) / 8 * (b - a)).astype(int)
            for a, b in ((top, bottom), (left, right))]
    return picture[y[:, None], x]


def test_diagram_shows_the_runs_pictures(tmp_path):
    pictures = run_pictures()
    picture, pixel = diagram(tmp_path, pictures)
    for place in framework.PICTURES:
        found = inset(picture, pixel, place=place)
        expected = (pictures[place.name] > 0)[..., None] * np.ones(3)
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_diagram_leaves_dotted_frames_where_steps_have_not_run(tmp_path):
    pictures = {name: image for name, image in run_pictures().items()
                if name not in ('mask', 'traces')}
    picture, pixel = diagram(tmp_path, pictures)
    for place in framework.PICTURES:
        found = inset(picture, pixel, place=place)
        assert (found > 0.98).all() == (place.name in ('mask', 'traces'))
        if place.name == 'mask':
            row = int(pixel(place.x, place.y + place.size)[0])
            left, right = (int(pixel(x, 0)[1]) for x in (place.x, place.x + place.size))
            dark = (picture[row - 2:row + 3, left:right] < 0.6).all(-1).any(0)
            assert 0.2 < dark.mean() < 0.9                                # dotted


def test_diagram_has_a_box_for_each_step_and_network(tmp_path):
    picture, pixel = diagram(tmp_path, run_pictures())
    for colour, count in ((DATA, 4), (NETWORK, 2)):
        boxes = coloured(picture, colour)
        assert len(boxes) == count
        for box in boxes:
            assert (picture[box] < 0.5).all(-1).mean() > 0.02             # its words


def reached(x, y):
    """Names of the boxes and of the pictures, with their titles, that a place is near."""
    near = [box.text.split('\n')[0] for box in framework.BOXES
            if -0.2 <= x - box.x <= box.width + 0.2 and -0.2 <= y - box.y <= box.height + 0.2]
    return near + [place.name for place in framework.PICTURES
                   if -0.2 <= x - place.x <= place.size + 0.2
                   and -0.5 <= y - place.y <= place.size + 0.2]


@pytest.mark.parametrize('start, end, label', [
    ('real', 'step 0', ''), ('step 0', 'step 1', 'prior knowledge'), ('step 1', 'draft', ''),
    ('step 1', 'label', ''), ('draft', 'step 2', ''), ('step 2', 'refined', ''),
    ('step 0', 'discriminator D', 'real patches'), ('refined', 'discriminator D', 'history'),
    ('discriminator D', 'step 2', 'adversarial'), ('label', 'step 2', 'label-preserving loss'),
    ('refined', 'step 3', ''), ('label', 'step 3', 'label'), ('step 3', 'mask', ''),
    ('mask', 'step 4', ''), ('step 4', 'traces', '')])
def test_diagram_tells_what_flows_where(start, end, label):
    assert any(start in reached(*arrow.start) and end in reached(*arrow.end) and arrow.text == label
               for arrow in framework.ARROWS)


def test_diagram_draws_every_arrow(tmp_path):
    picture, pixel = diagram(tmp_path, run_pictures())
    dark = (picture < 0.4).all(-1)
    for arrow in framework.ARROWS:
        start, end = np.array(pixel(*arrow.start)), np.array(pixel(*arrow.end))
        along = (end - start) / np.hypot(*(end - start))
        points = start + np.linspace(0.25, 0.7, 200)[:, None] * (end - start)
        across = np.arange(-1, 2)[:, None, None] * along[::-1] * (1, -1)  # a pixel to each side
        y, x = np.rint(points + across).astype(int).transpose(2, 0, 1)
        share = dark[y, x].any(0).mean()
        assert 0.5 < share < 0.9 if arrow.line == '--' else share > 0.95, arrow
        y, x = np.rint(end).astype(int)
        assert dark[y - 8:y + 9, x - 8:x + 9].sum() > 12, arrow           # its head


def test_refining_shows_each_kind_of_drafts_in_its_own_rows(monkeypatch):
    drawn = []
    monkeypatch.setattr(drafts, 'save', lambda figure, path: drawn.append(figure))
    blocks = np.random.default_rng(0).normal(100, 2, (6, 2, 4, 50, 50))
    blocks[2] *= 2                                       # real patches of the first kind: brighter
    drafts.refining('a.png', [('plain', *blocks[:3]), ('measured', *blocks[3:])])
    axes = np.reshape(drawn[0].axes, (4, 6))
    assert [[panel.get_title() for panel in row] for row in axes[::2]] == 2 * [
        ['draft', 'one slice, close', 'refined by MPGAN', 'one slice, close', 'real domain',
         'one slice, close']]
    assert [row[0].get_ylabel() for row in axes] == ['plain'] * 2 + ['measured'] * 2
    for row, panels_of_row in enumerate(axes):
        for k in range(3):
            image = blocks[3 * (row // 2) + k][row % 2]
            np.testing.assert_array_equal(panels_of_row[2 * k].images[0].get_array(), image.max(0))
    scales = [row[0].images[0].get_clim() for row in axes]
    assert scales[0] == scales[1] != scales[2] == scales[3]
    plt.close(drawn[0])
