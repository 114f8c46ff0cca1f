"""Figures of the results on disk: each takes what it should from the folders of the steps."""
import os
import re

import matplotlib.image
import numpy as np
import pytest
from conftest import run_script
from pictures import cells, grey, panels, read

from utils.common import files
from utils.common.errors import UserError
from utils.data import bounded, patches, stacks, swc
from utils.draw import drafts, framework, gallery_results, results, training
from utils.measure import otsu
from utils.score import summary

SHAPE, STACK = (4, 6, 6), (8, 12, 10)
PLACES = results.Places('data/patches', 'data/simulated', 'data/refined', 'runs/mpgan',
                        'data/segmented', 'runs/segmentation', 'results/traces', 'results',
                        'results/reconstruction', 'imgs', 'data/truth')
TREE = swc.Tree(np.zeros(2, int), np.array([[4.0, 3, 2], [4, 3, 7]]), np.ones(2),
                np.array([-1, 0]))


def levels(count, first):
    """Patches of one grey level each: first, first + 1, ..."""
    return (np.arange(count)[:, None, None, None] + first + np.zeros(SHAPE)).astype(np.uint16)


def write_patches(path, images, *, labels=None, source='0001'):
    n = len(images)
    patches.write(str(path), images, origins=np.zeros((n, 3), int), sources=[source] * n,
                  labels=labels)


def square(path, shade):
    """A picture of one grey level."""
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    matplotlib.image.imsave(str(path), np.full((20, 20), shade), vmin=0, vmax=1, cmap='gray')


def write_tree(folder):
    """Results of all steps: 30 real patches of grey levels 100, 101, ..., 26 drafts from 200 on."""
    labels = np.zeros((26,) + SHAPE, np.uint8)
    labels[:, :, 2, 2] = 1
    write_patches(folder / 'data/patches/real.h5', levels(30, 100))
    write_patches(folder / 'data/simulated/patches.h5', levels(26, 200), labels=labels)
    write_patches(folder / 'data/refined/patches.h5', levels(26, 300), labels=labels)
    for name, shade in (('real_b', 0.7), ('real_a', 0.3), ('priors', 0.5)):
        square(folder / 'data/patches' / (name + '.png'), shade)
    files.write_json(str(folder / 'data/patches/config.json'), {'STACKS': 'data/truth/images'})
    for i in (1, 2, 3, 4):
        name, voxels = '%04d' % i, np.full(STACK, 10 * i, np.uint16)
        label = np.zeros(STACK, np.uint8)
        label[4, 3, 2:8] = 1
        for kind, array in (('simulated/images', voxels), ('simulated/labels', label),
                            ('refined/images', voxels + np.uint16(5))):
            stacks.write(str(folder / 'data' / kind / (name + '.tif')), array)
        kind = swc.SOMA if i in (2, 4) else swc.AXON                      # dendrites: 2 and 4
        swc.write(str(folder / 'data/simulated/swc' / (name + '.swc')),
                  TREE._replace(type=np.array([kind, 0])))
    os.makedirs(str(folder / 'runs/mpgan'))
    (folder / 'runs/mpgan/log.csv').write_text('step,gap\n1,0.5\n')
    probability = np.zeros(STACK, np.uint8)
    probability[4, 3, 2:8], probability[4, 6, 2:8] = 128, 127
    for name in ('b', 'a'):
        stacks.write(str(folder / 'data/segmented' / (name + '.prob.tif')),
                     probability if name == 'a' else probability[::-1])
        swc.write(str(folder / 'results/traces' / (name + '.swc')), TREE)
    square(folder / 'results/segmentation_arms.png', 0.2)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('results')
    write_tree(folder)
    return folder


@pytest.fixture
def places(folder, monkeypatch):
    monkeypatch.chdir(str(folder))
    return PLACES


@pytest.fixture
def handed(monkeypatch):
    """Arguments that a drawing function is handed, by place and by name."""
    def watch(module, name):
        found = {}
        monkeypatch.setattr(module, name, lambda *by_place, **by_name: found.update(
            dict(enumerate(by_place)), **by_name))
        return found

    return watch


# --- steps 0 to 2 ---

@pytest.mark.parametrize('draw, target, shade', [
    (results.draw_patches, 'a.png', 0.3),                    # real_a.png, the first
    (results.draw_priors, 'a.png', 0.5),
    (results.draw_comparison, 'segmentation_arms.png', 0.2)])
def test_figures_that_a_step_left_are_copied(places, tmp_path, draw, target, shade):
    draw(places, str(tmp_path / target))
    np.testing.assert_allclose(read(tmp_path / target), shade, atol=0.01)


@pytest.mark.parametrize('axons_only, expected', [(False, ['dendrite 0002', 'axon 0001']),
                                                  (True, ['axon 0001', 'axon 0002'])])
def test_simulator_shows_a_dendrite_and_an_axon(places, handed, monkeypatch, axons_only, expected):
    if axons_only:
        monkeypatch.setattr(swc, 'SOMA', 99)
    page = handed(drafts, 'simulator_page')
    results.draw_simulator(places, 'a.png')
    assert [name for name, _, _ in page[1]] == expected
    for name, image, label in page[1]:
        assert (image.voxels == 10 * int(name[-1])).all() and label.sum() == 6


def test_drafts_are_shown_beside_real_patches(places, handed):
    """Twelve of each, evenly spaced; every second of the 24 between the first and the last."""
    page = handed(drafts, 'beside')
    results.draw_drafts(places, 'a.png')
    (_, real), (_, made), (_, labels) = page[1]
    assert list(made[:, 0, 0, 0]) == list(range(201, 225, 2))
    assert len(real) == 12 and real[0, 0, 0, 0] == 101 and real[-1, 0, 0, 0] == 126
    assert labels.shape == made.shape and labels.sum() == 12 * SHAPE[0]


def test_panel_shows_the_same_patches_as_draft_and_refined(places, handed):
    page = handed(training, 'draft_refined_real')
    results.draw_panel(places, 'a.png')
    assert list(page[1][:, 0, 0, 0]) == [205, 210, 215, 220]
    assert (page['refined'] - page[1] == 100).all()
    assert list(page['real'][:, 0, 0, 0]) == [105, 111, 117, 123]
    assert (page['labels'].sum((1, 2, 3)) == SHAPE[0]).all()


def test_refining_takes_the_same_patches_of_each_kind_of_drafts(places, tmp_path, handed):
    page = handed(drafts, 'refining')
    results.draw_refining(places, 'a.png')
    (title, made, refined, real), = page[1]
    assert title == 'measured priors' and len(made) == len(refined) == len(real) == 2
    assert (refined - made == 100).all() and real[0].min() < real[1].min()
    labels = np.zeros((26,) + SHAPE, np.uint8)
    for name, first in (('plain', 400), ('refined', 500), ('other', 600)):
        (tmp_path / name).mkdir()
        write_patches(tmp_path / name / 'patches.h5', levels(26, first), labels=labels,
                      source='0003' if name == 'other' else '0001')
    two = places._replace(plain_drafts=str(tmp_path / 'plain'),
                          plain_refined=str(tmp_path / 'refined'))
    results.draw_refining(two, 'a.png')
    plain, measured = page[1]
    assert plain[0] == "the paper's model" and (plain[2] - plain[1] == 100).all()
    assert plain[1].min() >= 400 > 226 > measured[1].min()
    assert len(np.unique(np.concatenate([plain[3], measured[3]]))) == 4      # four real patches
    with pytest.raises(UserError, match='was not refined from'):
        results.draw_refining(two._replace(plain_refined=str(tmp_path / 'other')), 'a.png')


def test_panel_refuses_patches_of_other_drafts(places, tmp_path):
    labels = np.zeros((26,) + SHAPE, np.uint8)
    write_patches(tmp_path / 'patches.h5', levels(26, 0), labels=labels, source='0002')
    with pytest.raises(UserError, match='was not refined from.*run 2_mpgan.py again'):
        results.draw_panel(places._replace(refined=str(tmp_path)), 'a.png')


def test_stack_is_shown_with_its_refined_stack_and_label(places, handed):
    page = handed(drafts, 'side_by_side')
    results.draw_stack(places, 'a.png')
    assert [title for title, _ in page[1]] == ['draft', 'refined', 'label']
    draft, refined, label = (voxels for _, voxels in page[1])
    assert (draft == 10).all() and (refined == 15).all() and label.sum() == 6


def test_curves_have_the_levels_where_they_are_kept(places, handed, folder):
    page = handed(training, 'curves')
    results.draw_curves(places, 'a.png')
    assert list(page[1]['gap']) == [0.5] and page['judge'] is None
    files.write_json('runs/mpgan/evaluation.json', {'draft': {'gap': 1.0}, 'floor': {}})
    results.draw_curves(places, 'a.png')
    assert page['judge'] == {'draft': {'gap': 1.0}, 'floor': {}}


def test_curves_want_a_row(places, tmp_path):
    (tmp_path / 'log.csv').write_text('step,gap\n')
    with pytest.raises(UserError, match='log.csv has no row yet.*LOG_EVERY'):
        results.draw_curves(places._replace(run_dir=str(tmp_path)), 'a.png')


def test_histograms_are_of_all_three(places, handed):
    page = handed(drafts, 'grey_histograms')
    results.draw_levels(places, 'a.png')
    assert [(name, values.min(), values.max()) for name, values in page[1]] == [
        ('real domain', 100, 129), ('draft', 200, 225), ('refined', 300, 325)]


def test_large_files_are_sampled():
    assert len(results.some(np.zeros(99))) == 99
    assert list(results.some(np.arange(250))) == list(range(0, 250, 3))


# --- steps 3 and 4 ---

def test_first_mask_is_what_lies_above_one_half(places, tmp_path):
    name, mask = results.first_mask(places)
    assert name == 'a' and mask.dtype == bool
    assert mask.sum() == 6 and mask[4, 3, 2:8].all()         # 128 of 255; 127 is below
    probability = np.zeros(STACK, np.float32)
    probability[0, 0, 0], probability[0, 0, 1] = 0.51, 0.5
    stacks.write(str(tmp_path / 'f.prob.tif'), probability)
    assert results.first_mask(places._replace(segmented=str(tmp_path)))[1].sum() == 1
    assert results.first_mask(places._replace(segmented=str(tmp_path / 'none'))) is None


def test_masks_in_ome_zarr_are_found_and_large_ones_are_left_out_with_a_line(
        places, tmp_path, monkeypatch, capsys):
    probability = np.zeros((70, 70, 70), np.uint8)
    probability[2, 3, 4] = 255
    stacks.write(str(tmp_path / 'v.prob.ome.zarr'), probability)
    other = places._replace(segmented=str(tmp_path))
    name, mask = results.first_mask(other)
    assert name == 'v' and np.argwhere(mask).tolist() == [[2, 3, 4]]
    monkeypatch.setattr(bounded, 'MOST', 10 ** 5)
    assert results.first_mask(other) is None
    assert 'v.prob.ome.zarr is too large to be drawn' in capsys.readouterr().err


def test_first_trace_is_the_first_swc(places, tmp_path):
    assert results.first_trace(places) == os.path.join('results/traces', 'a.swc')
    with pytest.raises(UserError, match='no SWC in .*: run 4_reconstruction.py first'):
        results.first_trace(places._replace(traces=str(tmp_path)))


def test_scores_over_noise_come_by_method_and_rising_noise(places, handed, tmp_path):
    (tmp_path / 'benchmark.csv').write_text(
        'stacks,noise,method,length_f1\nphantom,3,OTSU,0.3\nphantom,1,OTSU,0.9\n'
        'phantom,3,network,0.8\nphantom,1,network,0.95\n'
        'simulated,1,OTSU,0.5\nsimulated,3,OTSU,0.4\n')
    page = handed(results, 'score_curves')
    results.draw_reconstruction(places._replace(benchmark=str(tmp_path)), 'a.png')
    assert page[1] == [1.0, 3.0]
    assert page['panels'] == [('phantom', [('OTSU', [0.9, 0.3]), ('network', [0.95, 0.8])]),
                              ('simulated', [('OTSU', [0.5, 0.4])])]
    for text in ('', 'a,b\n1,2\n', 'stacks,noise,method,length_f1\nphantom,x,OTSU,0.3\n',
                 'stacks,noise,method,length_f1\nphantom,3\n',
                 'stacks,noise,method,length_f1\na,3,OTSU,1\nb,4,OTSU,1\n', '\udcff'):
        (tmp_path / 'benchmark.csv').write_bytes(text.encode('utf-8', 'surrogateescape'))
        with pytest.raises(UserError, match='benchmark.csv is damaged .*: make it anew with'):
            results.draw_reconstruction(places._replace(benchmark=str(tmp_path)), 'a.png')


@pytest.mark.parametrize('draw, words', [
    (results.draw_patches, 'prepare_patches.py'), (results.draw_priors, 'prepare_patches.py'),
    (results.draw_simulator, '1_simulator.py'), (results.draw_drafts, 'prepare_patches.py'),
    (results.draw_panel, 'prepare_patches.py'), (results.draw_stack, '1_simulator.py'),
    (results.draw_curves, '2_mpgan.py'), (results.draw_comparison, 'omparison'),
    (results.draw_reconstruction, 'tests/benchmarks/reconstruction.py FOLDER='
                                  'results/reconstruction RUN_DIR=runs/segmentation')])
def test_what_is_missing_is_told_with_its_script(tmp_path, monkeypatch, draw, words):
    monkeypatch.chdir(str(tmp_path))
    with pytest.raises(UserError) as told:
        draw(PLACES, str(tmp_path / 'imgs' / 'a.png'))
    assert words in str(told.value) and os.listdir(str(tmp_path)) == []


# --- the script ---

def test_diagram_shows_the_mask_and_the_traces_of_its_stack(places, folder):
    status, out, err = run_script('make_figures.py', 'FIGURES=framework', cwd=folder)
    assert status == 0 and 'imgs/framework.png' in out, err
    found = panels(read(folder / 'imgs/framework.png'), least=80)
    mask, traces = np.zeros(STACK[1:]), np.zeros(STACK[1:])
    mask[3, 2:8] = traces[3, 1:9] = traces[(2, 4), 2:8] = 1               # widened by one
    shown = [cells(panel, STACK[1:])[..., 0] for panel in found
             if (panel[:, [3, -4]] < 0.5).mean() > 0.9]                   # pictures, not arrows
    for expected in (mask, traces):
        assert any(np.abs(picture - expected).max() < 0.02 for picture in shown)


def test_traces_by_otsu_are_drawn_beside_those_on_disk(tmp_path):
    """One bright fibre, which OTSU traces from end to end; the SWC on disk is another tree."""
    voxels = np.random.default_rng(0).normal(100, 5, (16, 40, 60)).astype(np.uint16)
    voxels[6:10, 18:22, 5:55] = 1000
    stacks.write(str(tmp_path / 'images/a.tif'), voxels)
    swc.write(str(tmp_path / 'results/traces/a.swc'), TREE._replace(
        position=np.array([[8.0, 5, 30], [8, 35, 30]])))
    made = {'IMAGES': None, 'INPUT': 'images', 'VOXEL_SIZE': 'auto', 'THRESHOLD': 0.0}
    files.write_json(str(tmp_path / 'results/traces/config.json'), made)
    status, _, err = run_script('make_figures.py', 'FIGURES=traces', cwd=tmp_path)
    assert status == 0, err
    stack, by_otsu, on_disk = panels(read(tmp_path / 'imgs/traces.png'))
    bright = grey(stack, (40, 60))
    assert (bright[18:22, 5:55] > 0.95).all() and (bright[:17] < 0.3).all()
    coloured = [np.nonzero(np.ptp(panel, -1) > 0.3) for panel in (by_otsu, on_disk)]
    for (y, x), panel, wide in zip(coloured, (by_otsu, on_disk), (True, False)):
        height, width = panel.shape[:2]
        assert (np.ptp(x) > 0.7 * width and np.ptp(y) < 0.1 * height) == wide
        assert (np.ptp(y) > 0.7 * height and np.ptp(x) < 0.1 * width) != wide
    files.write_json(str(tmp_path / 'results/traces/config.json'), dict(made, INPUT='results'))
    status, _, err = run_script('make_figures.py', 'FIGURES=traces', cwd=tmp_path)
    assert status == 1 and 'results' in err and 'Traceback' not in err
    for name, value in [('VOXEL_SIZE', 'abc'), ('VOXEL_SIZE', [1, 0, 1]), ('NOISE_FLOOR', 'x'),
                        ('NOISE_FLOOR', None), ('SMOOTH_SIGMA', [1]), ('INPUT', 5), ('IMAGES', 5),
                        ('MIN_OBJECT', 1.5), ('LOW', float('inf'))]:
        files.write_json(str(tmp_path / 'results/traces/config.json'), dict(made, **{name: value}))
        status, _, err = run_script('make_figures.py', 'FIGURES=traces', cwd=tmp_path)
        assert status == 1 and 'config.json: %s=' % name in err and 'Traceback' not in err, err


@pytest.mark.parametrize('arguments, words', [
    (('FIGURES=panels',), ['FIGURES=panels', 'panel, refining, stack']),
    (('FORMAT=jpg',), ['FORMAT=jpg', 'png or svg'])])
def test_unknown_names_are_told(tmp_path, arguments, words):
    status, _, err = run_script('make_figures.py', *arguments, cwd=tmp_path)
    assert status == 1 and err.startswith('error: ') and all(word in err for word in words)


def test_one_missing_figure_does_not_stop_the_others(folder):
    status, out, err = run_script('make_figures.py', 'FIGURES=reconstruction,priors', 'OUTPUT=two',
                                  'FORMAT=svg', cwd=folder)
    assert status == 1 and err.split('\n')[0].startswith('error: two/reconstruction.svg: no ')
    assert err.strip().endswith('error: 1 of 2 figures could not be drawn')
    assert sorted(os.listdir(str(folder / 'two'))) == ['made_by.json', 'priors.png']
    assert 'two/priors.png' in out


def test_gallery_shows_each_figure_once_with_its_words(places, folder, tmp_path):
    for k, name in enumerate(('imgs/panel.png', 'runs/mpgan/curves.png', 'results/panel.png')):
        square(folder / name, 0.33 + 0.11 * k)        # unlike any other figure's
    (folder / 'results/scores.md').write_text('| a |\n| --- |\n| 1.5 |\n')
    asked = dict(steps=[], real=None, images=[])
    path = gallery_results.draw(places._replace(traces=str(tmp_path)), captions={'panel': 'PANEL'},
                                **asked)
    assert path == os.path.join('results', 'index.html')
    page = (folder / path).read_text(encoding='utf-8')
    assert page.count('alt="PANEL"') == 1 and page.count('<td>1.5</td>') == 1
    for name in ('results/segmentation_arms.png', 'runs/mpgan/curves.png'):
        assert page.count('alt="%s"' % name) == 1
    with pytest.raises(UserError, match='no figure in nowhere: run make_figures.py first'):
        gallery_results.draw(places._replace(output='nowhere', results=str(tmp_path),
                                             traces='nowhere', run_dir='nowhere'), captions={},
                             **asked)


def test_pictures_that_the_report_names_are_shown_once_and_linked(places, folder, tmp_path):
    """One of them is the same as a figure: one picture, two names."""
    square(folder / 'imgs/curves.png', 0.3)
    square(folder / 'data/real_a.png', 0.7)
    (tmp_path / 'copy.png').write_bytes((folder / 'imgs/curves.png').read_bytes())
    (tmp_path / 'report.md').write_text(
        '| light | picture |\n| --- | --- |\n| RED | data/real_a.png |\n| GREEN | %s |\n'
        '| RED | gone.png |\n' % (tmp_path / 'copy.png'))
    path = gallery_results.draw(places._replace(results=str(tmp_path), traces='nowhere'),
                                captions={'curves': 'CURVES'}, steps=[], real=None, images=[])
    page = open(path, encoding='utf-8').read()
    alts = re.findall('<img alt="([^"]+)"', page)
    assert alts.count('data/real_a.png') == alts.count('CURVES') == 1
    assert str(tmp_path / 'copy.png') not in alts
    for name, shown in (('real_a', 'data/real_a.png'), ('copy', 'CURVES')):
        assert '<td><a href="#figure-%d">%s.png</a></td>' % (alts.index(shown), name) in page
    assert '<td>gone.png</td>' in page and '<h3>report.md</h3>' not in page


# --- the summary ---

def test_summary_tells_counts_and_distances(places):
    rows = dict(summary.rows(results.patch_files(places)[0], **dict(zip(
        ('drafts', 'refined'), results.patch_files(places)[1:]))))
    assert rows['patches of the real domain'] == '30 of (4, 6, 6) voxels, `data/patches/real.h5`'
    assert rows['draft stacks and patches'] == '1 and 26, `data/simulated`'
    assert rows['refined stacks and patches'] == '1 and 26, `data/refined`'
    # means: real 114.5, drafts 212.5, refined 312.5; even against odd real patches: 1
    assert rows['grey-level distance to the real domain (Wasserstein-1)'] == (
        'draft 98.0, refined 198.0; real against real 1.0')
    # every patch is flat: no threshold tells the label, 1 voxel in 36
    assert rows['Dice with the label at the best single threshold'] == (
        'draft %.3f, refined %.3f' % ((2 / 37,) * 2))
    assert rows['AUC of the grey level for the label'] == 'draft 0.500, refined 0.500'


def test_otsu_is_scored_against_the_truth(tmp_path):
    voxels = np.random.default_rng(0).normal(100, 2, (16, 32, 32)).astype(np.uint16)
    truth = np.zeros(voxels.shape, np.uint8)
    truth[6:10, 14:18] = 1
    voxels[truth > 0] = 1000
    half = truth * (np.arange(32) < 16)
    pairs = []
    for name, label in (('a', truth), ('b', half.astype(np.uint8))):
        stacks.write(str(tmp_path / (name + '.tif')), voxels)
        stacks.write(str(tmp_path / (name + '_label.tif')), label)
        pairs.append((str(tmp_path / (name + '.tif')), str(tmp_path / (name + '_label.tif'))))
    settings = otsu.Settings(flatten_block=0, smooth_sigma=0.0, clip_quantile=1.0, noise_floor=0.0)
    assert summary.otsu_dice(pairs, settings) == pytest.approx((1 + 2 / 3) / 2, abs=0.005)


def test_pictures_of_the_diagram_are_the_middle_patches(places):
    pictures = results.pictures(places)
    assert set(pictures) == {place.name for place in framework.PICTURES} - {'mask', 'traces'}
    assert [pictures[name].max() for name in ('real', 'draft', 'refined')] == [115, 213, 313]
    assert pictures['label'].sum() == 1
