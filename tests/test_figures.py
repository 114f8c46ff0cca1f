"""Figures of images: what is put in is found in the PNG, at its place and in its colour."""
import os

import matplotlib.pyplot as plt
import numpy as np
import pytest
from pictures import cells, close, frame, grey, panels, read

from utils.common.errors import UserError
from utils.data.stacks import Stack
from utils.draw import base, comparison, drafts, steps, training

RED, WINDOW = (1.0, 0.25, 0.25), (0.19, 0.75, 1.0)


def block(shape, *spots, low=0, high=1000, dtype=np.uint16):
    """A stack of one grey level with bright boxes at some places ((z, y, x) slices)."""
    voxels = np.full(shape, low, dtype)
    for spot in spots:
        voxels[spot] = high
    return voxels


# --- what all share ---

def test_saved_figures_hold_what_was_drawn_and_are_closed(tmp_path):
    figure, axes = plt.subplots()
    axes.set_facecolor('#ff0000')
    base.save(figure, str(tmp_path / 'a.png'))
    assert close(read(tmp_path / 'a.png'), (1, 0, 0)).mean() > 0.5
    (tmp_path / 'b.png').mkdir()                                   # in the way
    figure, _ = plt.subplots()
    with pytest.raises(UserError, match='cannot be written'):
        base.save(figure, str(tmp_path / 'b.png'))
    assert plt.get_fignums() == [] and sorted(os.listdir(str(tmp_path))) == ['a.png', 'b.png']


def test_more_dots_per_inch_make_a_larger_picture(tmp_path):
    for dpi in (50, 100):
        base.save(plt.subplots(figsize=(2, 2))[0], str(tmp_path / ('%d.png' % dpi)), dpi=dpi)
    small, large = (read(tmp_path / name).shape[0] for name in ('50.png', '100.png'))
    assert abs(large - 2 * small) <= 4


def test_projection_takes_the_brightest_voxel_along_an_axis():
    voxels = np.arange(24).reshape(2, 3, 4)
    assert (base.project(voxels) == voxels[1]).all()
    assert (base.project(voxels, 1) == voxels[:, 2]).all()


@pytest.mark.parametrize('images, expected', [
    ([np.arange(1001)], (10.0, 997.0)),
    ([np.arange(501), np.arange(501, 1001)], (10.0, 997.0)),       # one scale for both
    ([np.full((4, 4), 7)], (7.0, 8.0)),                            # constant: one grey level
])
def test_limits_are_quantiles_of_all_images(images, expected):
    np.testing.assert_allclose(base.limits(*images), expected)


def test_limits_of_a_large_image_are_those_of_every_nth_voxel():
    image = np.tile(np.array([5, 5000]), 300000)                   # every third: both levels
    assert base.limits(image) == (5.0, 5000.0)


def test_images_are_shown_upright_at_their_scale_under_their_title(tmp_path):
    image = np.array([[0, 50, 100], [200, 100, 0]])
    pictures = []
    for title in (None, 'a title'):
        figure, axes = plt.subplots(figsize=(3, 3))
        base.show(axes, image, title=title, scale=(0, 100))
        base.save(figure, str(tmp_path / 'a.png'))
        pictures.append(read(tmp_path / 'a.png'))
    panel, = panels(pictures[0])
    np.testing.assert_allclose(grey(panel, (2, 3)), [[0, 0.5, 1], [1, 1, 0]], atol=0.01)
    assert pictures[1].shape[0] > pictures[0].shape[0] + 10        # room for the title
    assert (pictures[1][:14] < 0.5).any()


# --- step 0 ---

@pytest.fixture(scope='module')
def four_panels(tmp_path_factory):
    """(figure, its panels): an object at y 2-3, x 4-6; the mask elsewhere; a centreline at y 15."""
    path = str(tmp_path_factory.mktemp('steps') / 'a.png')
    voxels = block((4, 20, 30), np.s_[1, 2:4, 4:7])
    mask = block(voxels.shape, np.s_[2, 10:13, 20:25], high=1) > 0
    skeleton = np.array([[1, 15, x] for x in np.linspace(3, 26, 400)])
    patches = [np.full((2, 3, 4), 60 * k, np.uint16) for k in range(steps.SHOWN)]
    steps.four_steps(path, voxels, mask=mask, skeleton=skeleton,
                     corners=np.array([[0, 5, 10], [0, 11, 22]]), window=(2, 3, 4), patches=patches)
    picture = read(path)
    return picture, panels(picture)


def test_four_steps_show_the_stack_and_the_mask(four_panels):
    stack, mask = (grey(panel, (20, 30)) for panel in four_panels[1][:2])
    expected = np.zeros((20, 30))
    expected[2:4, 4:7] = 1
    np.testing.assert_allclose(stack, expected, atol=0.01)
    expected = np.zeros((20, 30))
    expected[10:13, 20:25] = 1
    np.testing.assert_allclose(mask, expected, atol=0.01)


def test_four_steps_show_the_centreline_over_the_stack(four_panels):
    panel = four_panels[1][2]
    reddish = panel[..., 0] - panel[..., 1:].max(-1) > 0.2
    top, bottom, left, right = frame(panel)
    rows, columns = np.nonzero(reddish)
    rows = (rows - top) / (bottom - top) * 20 - 0.5                # voxels, y
    columns = (columns - left) / (right - left) * 30 - 0.5
    assert np.abs(rows - 15).max() < 0.3
    assert abs(columns.min() - 3) < 0.5 and abs(columns.max() - 26) < 0.5
    assert cells(panel, (20, 30))[2, 5].min() > 0.9                # the object behind it


def test_four_steps_show_the_windows(four_panels):
    panel = four_panels[1][2]
    top, bottom, left, right = frame(panel)
    rows, columns = np.nonzero(panel[..., 2] - panel[..., 0] > 0.3)
    y, x = (rows - top) / (bottom - top) * 20 - 0.5, (columns - left) / (right - left) * 30 - 0.5
    for corner in ((5, 10), (11, 22)):                             # windows of 3 x 4 voxels
        for at in (corner[0], corner[0] + 3):                      # upper and lower edge
            assert (np.abs(y - at) < 0.3)[(x > corner[1]) & (x < corner[1] + 4)].sum() > 10
        for at in (corner[1], corner[1] + 4):                      # left and right edge
            assert (np.abs(x - at) < 0.3)[(y > corner[0]) & (y < corner[0] + 3)].sum() > 5
    assert not ((y > 8.5) & (y < 10.5)).any()                      # between the two


def test_four_steps_show_the_patches_in_order(four_panels):
    found = grey(four_panels[1][3], (20, 24))                      # 4 x 4 patches of 3 + 2, 4 + 2
    for k in range(steps.SHOWN):
        y, x = 5 * (k // 4), 6 * (k % 4)
        np.testing.assert_allclose(found[y:y + 3, x:x + 4], 60 * k / 1000, atol=0.01)
        assert (found[y + 3:y + 5] < 0.01).all() and (found[:, x + 4:x + 6] < 0.01).all()


def test_at_most_twice_sixty_windows_are_drawn(tmp_path, monkeypatch):
    drawn, rectangle = [], plt.Rectangle

    def noted(corner, *arguments, **style):
        drawn.append(tuple(corner))
        return rectangle(corner, *arguments, **style)

    monkeypatch.setattr(plt, 'Rectangle', noted)
    corners = np.array([[0, 0, x] for x in range(200)])
    steps.four_steps(str(tmp_path / 'a.png'), block((2, 4, 4)), mask=np.zeros((2, 4, 4), bool),
                     skeleton=corners[:1], corners=corners, window=(2, 3, 4),
                     patches=[np.zeros((2, 3, 4), np.uint16)] * steps.SHOWN)
    assert drawn == [(x, 0) for x in range(0, 200, 3)]             # every third of 200


# --- drafts ---

def test_panel_shows_patches_at_the_real_scale_and_labels_over_them(tmp_path):
    shape, n = (2, 12, 12), 2
    spots = [np.s_[:, 1:3, 1:3], np.s_[:, 1:3, 8:10]]              # of the first and second patch
    draft, refined, real = (np.stack([block(shape, spot, high=high) for spot in spots])
                            for high in (400, 700, 1000))
    labels = np.zeros((n,) + shape, np.uint8)
    labels[0, :, 5:10, 4:9] = 1                                    # away from the objects
    training.draft_refined_real(str(tmp_path / 'a.png'), draft, refined=refined, real=real,
                                labels=labels)
    found = panels(read(tmp_path / 'a.png'))
    assert len(found) == 5 * n
    for k, panel in enumerate(found):
        row, column = divmod(k, 5)
        middles = cells(panel, shape[1:])
        expected = np.zeros(shape[1:])
        expected[spots[row][1:]] = (0.4, 0.7, 1.0, 0.4, 0.7)[column]
        away = np.ones(shape[1:], bool)
        away[4:11, 3:10] = False                                   # around the label
        np.testing.assert_allclose(middles[away], expected[away][:, None] * np.ones(3), atol=0.01)
        reddish = panel[..., 0] - panel[..., 1:].max(-1) > 0.3
        assert reddish.any() == (column >= 3 and row == 0)
        if reddish.any():                                          # half way between voxel centres
            rows, columns = np.nonzero(reddish)
            top, bottom, left, right = frame(panel)
            y = (rows - top) / (bottom - top) * 12
            x = (columns - left) / (right - left) * 12
            edges = [y.min(), y.max(), x.min(), x.max()]
            np.testing.assert_allclose(edges, [5, 10, 4, 9], atol=0.4)
            assert not ((y > 6) & (y < 9) & (x > 5) & (x < 8)).any()          # an outline


def test_panel_shows_its_title_above_all(tmp_path):
    one = np.ones((1, 2, 4, 4), np.uint8)
    heights = []
    for title in ('', 'step 7'):
        training.draft_refined_real(str(tmp_path / 'a.png'), one, refined=one, real=one, labels=one,
                                    title=title)
        heights.append(len(read(tmp_path / 'a.png')))
    assert heights[1] > heights[0] + 5


def test_simulator_page_shows_image_and_label_from_two_sides_and_in_depth(tmp_path):
    image = block((3, 6, 8), np.s_[0, 1, 2])
    label = block((3, 6, 8), np.s_[0, 1, 2], np.s_[2, 4, 5:7], high=1, dtype=np.uint8)
    drafts.simulator_page(str(tmp_path / 'a.png'), [
        ('deep', Stack(image, (2.0, 1.0, 1.0), 'a.tif', {}), label),
        ('cubes', Stack(image, None, 'a.tif', {}), label)])
    found = panels(read(tmp_path / 'a.png'))
    assert len(found) == 8
    flat, side = np.zeros((6, 8)), np.zeros((6, 3))
    flat[1, 2] = flat[4, 5:7] = side[1, 0] = side[4, 2] = 1
    for row in (0, 4):
        expected = np.zeros((6, 8))
        expected[1, 2] = 1
        np.testing.assert_allclose(grey(found[row], (6, 8)), expected, atol=0.01)
        np.testing.assert_allclose(grey(found[row + 1], (6, 8)), flat, atol=0.01)
        colours = cells(found[row + 3], (6, 8))
        np.testing.assert_allclose(colours, drafts.depth_colours(label), atol=0.01)
    np.testing.assert_allclose(grey(found[2], (6, 6)), np.repeat(side, 2, 1), atol=0.01)
    np.testing.assert_allclose(grey(found[6], (6, 3)), side, atol=0.01)
    for panel, share in ((found[2], 1.0), (found[6], 0.5)):        # z counts twice in the first
        assert panel.shape[1] / panel.shape[0] == pytest.approx(share, rel=0.1)


def test_depth_is_hue():
    label = block((5, 2, 3), np.s_[0, 0, 0], np.s_[2, 0, 1], np.s_[4, 0, 2], np.s_[3:, 1, 0],
                  high=1)
    first, middle, last = drafts.depth_colours(label)[0]
    assert (drafts.depth_colours(label)[1, 1:] == 0).all()         # no label: black
    assert first.argmax() == 2 and middle.argmax() == 1 and last.argmax() == 0
    assert (drafts.depth_colours(label)[1, 0] != last).any()       # the first voxel's depth counts
    one = drafts.depth_colours(np.ones((1, 1, 1), np.uint8))
    np.testing.assert_allclose(one[0, 0], first)                   # one slice


def test_blocks_of_patches_stand_side_by_side(tmp_path):
    images = np.stack([np.full((2, 3, 3), 100 * k, np.uint16) for k in range(11)])
    labels = np.zeros((11, 2, 3, 3), np.uint8)
    labels[5, 1, 1] = 1
    drafts.beside(str(tmp_path / 'a.png'), [('real', images), ('drafts', images // 2),
                                            ('labels', labels)])
    found = panels(read(tmp_path / 'a.png'))
    assert len(found) == 3
    low, high = base.limits(*[base.project(image) for image in images])
    for panel, block_, scale in zip(found, (images, images // 2, labels),
                                    ((low, high), (low, high), (0, 1))):
        expected = np.zeros((10, 20))                              # 2 full rows of 4, rims of 1
        for k in range(8):
            y, x = 1 + 5 * (k // 4), 1 + 5 * (k % 4)
            expected[y:y + 3, x:x + 3] = block_[k].max(0)
        expected = np.clip((expected - scale[0]) / (scale[1] - scale[0]), 0, 1)
        np.testing.assert_allclose(grey(panel, expected.shape), expected, atol=0.01)


def test_stacks_stand_side_by_side_at_one_scale_and_labels_as_masks(tmp_path):
    draft = block((2, 5, 6), np.s_[0, 1, 1], low=100, high=500)
    refined = block((2, 5, 6), np.s_[1, 2, 2], low=100, high=900)
    label = block((2, 5, 6), np.s_[1, 3, 3], high=1, dtype=np.uint8)
    drafts.side_by_side(str(tmp_path / 'a.png'), [('draft', draft), ('refined', refined),
                                                  ('label', label)])
    low, high = base.limits(base.project(draft), base.project(refined))
    for panel, voxels, scale in zip(panels(read(tmp_path / 'a.png')), (draft, refined, label),
                                    ((low, high), (low, high), (0, 1))):
        expected = np.clip((voxels.max(0) - scale[0]) / (scale[1] - scale[0]), 0, 1)
        np.testing.assert_allclose(grey(panel, (5, 6)), expected, atol=0.01)


# --- masks of segmentation networks ---

def test_overlays_colour_right_wrong_missed_and_what_does_not_count(tmp_path):
    truth = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    mask = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    valid = np.array([[1, 1, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]], bool)
    image = np.arange(12).reshape(3, 4)
    comparison.overlays(str(tmp_path / 'a.png'), image, truth=truth, valid=valid,
                        masks=[('a', mask), ('b', ~mask)], columns=2)
    found = panels(read(tmp_path / 'a.png'))
    assert len(found) == 3                                         # the fourth place is empty
    low, high = base.limits(image)
    np.testing.assert_allclose(grey(found[0], (3, 4)), np.clip((image - low) / (high - low), 0, 1),
                               atol=0.01)
    white, red, blue, ground, dark = (1, 1, 1), (.95, .2, .2), (.2, .5, 1), (.3,) * 3, (.12,) * 3
    np.testing.assert_allclose(cells(found[1], (3, 4)), [
        [white, blue, red, ground], [dark, dark, dark, ground], [ground] * 4], atol=0.01)
    np.testing.assert_allclose(cells(found[2], (3, 4)), [
        [blue, white, ground, red], [dark, dark, dark, red], [red] * 4], atol=0.01)
