"""The report of make run: each judgement on a good and a bad case, and what is read from disk."""
import csv
import os

import numpy as np
import pytest
from scipy import ndimage

from utils.common import files
from utils.data import bounded, patches, stacks, swc
from utils.draw import masks as mask_figures
from utils.measure import otsu, quantiles
from utils.run import evidence, evidence_masks, findings, findings_masks, plan, survey
from utils.run.lights import GREEN, RED, YELLOW, Finding, worst_of_each
from utils.run.report import Again, Report
from utils.score import realism

DISTANCES = dict.fromkeys(realism.REALISM, 0.1)
STEP_0 = dict(noise_floor=4.0, min_object=200)


def drafts(**distances):
    return findings.of_drafts(dict(DISTANCES, **distances), noise=50.0, height=400.0)


def refined(gap, **distances):
    return findings.of_refining(dict(DISTANCES, gap=gap, **distances), {'gap': 1.0}, noise=50.0,
                                height=400.0)


# --- each judgement ---

JUDGEMENTS = [
    (findings.of_stacks(3, []), GREEN, '3 of 3 were used', ''),
    (findings.of_stacks(2, ['b.tif is bad']), YELLOW, '1 of 3 were left out: b.tif is bad', ''),
    (findings.of_patches(76), GREEN, '76', ''),
    (findings.of_patches(20), YELLOW, 'add stacks', ''),
    (findings.of_patches(2), RED, 'add stacks', ''),
    (findings.of_share(0.03, noise_floor=4.0), GREEN, '3.00 %', ''),
    (findings.of_share(0.2, noise_floor=4.0), YELLOW, 'background', 'NOISE_FLOOR=6'),
    (findings.of_share(0.5, noise_floor=4.0), RED, 'background', 'NOISE_FLOOR=6'),
    (findings.of_share(0.0001, noise_floor=4.0), YELLOW, 'very little', 'NOISE_FLOOR=3'),
    (findings.of_background(7.5, 0.03, **STEP_0), GREEN, '3 % of it in specks', ''),
    (findings.of_background(5.0, 0.03, **STEP_0), YELLOW, 'dust', 'NOISE_FLOOR=6'),
    (findings.of_background(3.3, 0.1, **STEP_0), RED, 'dust', 'NOISE_FLOOR=6'),
    (findings.of_background(8.0, 0.6, **STEP_0), RED, 'dust', 'MIN_OBJECT=400'),
    (findings.of_haze(0.01, None, name='a', flatten_block=32), GREEN, 'a: 1 %', ''),
    (findings.of_haze(0.1, (9, 8, 7), name='a', flatten_block=32), YELLOW,
     '(z, y, x) = (9, 8, 7)', 'FLATTEN_BLOCK=16'),
    (findings.of_haze(0.4, (9, 8, 7), name='a', flatten_block=0), RED, 'no neurite',
     'FLATTEN_BLOCK=32'),
    (drafts(), GREEN, 'factor of 1.3', ''),
    (drafts(spectrum_y=0.3), YELLOW, 'factor of 2.0 (YELLOW)', 'CALIBRATION_ROUNDS=12'),
    (drafts(outside=100.0), RED, '2.0 noise levels off (RED)', 'CALIBRATION_ROUNDS=12'),
    (drafts(inside=300.0), RED, '75 % of their height', 'CALIBRATION_ROUNDS=12'),
    (findings.of_labels(True, '', lost=0.01, invented=-2.0), GREEN, '0 voxels of strands', ''),
    (findings.of_labels(False, 'labels are being lost', lost=0.4, invented=0.0), RED,
     'labels are being lost', 'LAMBDA_LABEL=20'),
    (findings.of_labels(False, 'strands are being invented', lost=0.0, invented=85.0), RED,
     '85 voxels of strands', 'MAX_STEPS=1500'),
    (refined(0.5), GREEN, 'Distance 0.50', ''),
    (refined(1.5), YELLOW, 'the drafts may serve as well', 'MAX_STEPS=1500'),
    (refined(0.9, outside=100.0), YELLOW, '2.0 noise levels off (RED)', 'MAX_STEPS=1500'),
    (refined(1.5, outside=100.0), RED, 'away from real ones', 'MAX_STEPS=1500'),
    (refined(float('nan'), outside=float('nan')), RED, 'nan', 'MAX_STEPS=1500'),
    (findings.of_critics({'texture': 0.6, 'structure': 0.55}, {'texture': 0.5}, learnt=True),
     GREEN, '0.60 of the refined patches by texture', ''),
    (findings.of_critics({'texture': 0.8}, {'texture': 0.72}, learnt=True), GREEN, '0.72', ''),
    (findings.of_critics({'texture': 0.99}, {}, learnt=True), YELLOW, 'differ visibly', 'MAX'),
    (findings.of_critics({'texture': 0.5}, {}, learnt=False), YELLOW, 'learnt nothing', 'CRITIC'),
    (findings_masks.of_network(0.75), GREEN, '0.75', ''),
    (findings_masks.of_network(0.5), YELLOW, '0.50', 'MAX_STEPS=800'),
    (findings_masks.of_network(0.1), RED, '0.10', 'MAX_STEPS=800'),
    (findings_masks.of_calibration(0.28, name='a'), GREEN, 'a: 28 %', ''),
    (findings_masks.of_calibration(0.5, name='a'), YELLOW, 'more than the rims', 'MAX_STEPS=800'),
    (findings_masks.of_calibration(0.9, name='a'), RED, 'does not know', 'MAX_STEPS=800'),
    (findings_masks.of_mask(0.03, 0.02, name='a'), GREEN, '1.5 times', ''),
    (findings_masks.of_mask(0.1, 0.02, name='a'), YELLOW, 'haze', 'PROBABILITY_THRESHOLD=0.7'),
    (findings_masks.of_mask(0.5, 0.02, name='a'), RED, 'haze', 'PROBABILITY_THRESHOLD=0.7'),
    (findings_masks.of_mask(0.001, 0.02, name='a'), RED, 'missed',
     'VISIBLE_CONTRAST=0 AUGMENT_CONTRAST=0.5,2.0'),
    (findings_masks.of_mask(0.0, 0.02, name='a'), RED, 'empty',
     'VISIBLE_CONTRAST=0 AUGMENT_CONTRAST=0.5,2.0'),
    (findings_masks.of_cable(1200.0, 1000.0, trees=9, name='a'), GREEN, '1200 voxels of cable', ''),
    (findings_masks.of_cable(2500.0, 1000.0, trees=9, name='a'), YELLOW, 'haze', 'LOW=0.6'),
    (findings_masks.of_cable(100.0, 1000.0, trees=9, name='a'), RED, 'missed', 'LOW=0.2 HIGH=0.4'),
    (findings_masks.of_cable(0.0, 1000.0, trees=0, name='a'), RED, 'nothing', 'LOW=0.2 HIGH=0.4'),
    (findings_masks.of_trees([300.0, 200.0, 90.0], name='a'), GREEN, '197 voxels', ''),
    (findings_masks.of_trees([20.0] * 50, name='a'), YELLOW, 'in pieces', 'MAX_GAP=12'),
    (findings_masks.of_trees([9000.0, 90.0, 80.0], name='a'), YELLOW, 'as one', 'MAX_GAP=0')]


@pytest.mark.parametrize('found, light, words, change', JUDGEMENTS)
def test_judgements(found, light, words, change):
    assert found.light == light and words in found.words, found
    assert bool(found.change) == bool(change) and change in found.change


def test_changes_are_constants_of_the_steps_that_they_are_for():
    """What the report tells to change is taken by the script."""
    from utils.common import config
    for names, changes in (
            (('prepare_patches', 'otsu'), ['NOISE_FLOOR=6 MIN_OBJECT=400 '
                                             'CALIBRATION_ROUNDS=12 FLATTEN_BLOCK=16']),
            (('mpgan',), ['LAMBDA_LABEL=20 MAX_STEPS=1500 DECAY_STEPS=250 CRITIC_STEPS=1600']),
            (('segmentation',), ['MAX_STEPS=800 AUGMENT_SNR=0.1,1.0 VISIBLE_CONTRAST=0 '
                                 'AUGMENT_CONTRAST=0.5,2.0 PROBABILITY_THRESHOLD=0.7']),
            (('reconstruction', 'otsu'), ['LOW=0.6 HIGH=0.8 COVER_SCALE=2.5 MAX_GAP=12'])):
        config.load(['configs/%s.py' % name for name in names], changes[0].split())


# --- what is read from disk ---

@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return plan.places_of('mine', 'in')


def tubes(count, *, seed=0, noise=20.0, level=400.0, background=1000.0):
    """Patches with a straight tube in noise, and their labels."""
    rng = np.random.default_rng(seed)
    label = np.zeros((count, 16, 32, 32), np.uint8)
    for i, one in enumerate(label):
        y = 4 + i % 24
        one[7:10, y:y + 3] = 1
    image = rng.normal(background, noise, label.shape) + level * label
    return np.clip(image, 0, 65535).astype(np.uint16), label


def write(path, image, label=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    patches.write(path, image, labels=label, origins=np.zeros((len(image), 3), int),
                  sources=['a'] * len(image))


def priors(places, **stack):
    files.write_json(os.path.join(places.patches, 'priors.json'), {
        'stacks': {'a': dict({'foreground_fraction': 0.05, 'density': 0.001}, **stack)},
        'foreground_fraction': 0.05, 'foreground': {'median': 1400.0},
        'background': {'median': 1000.0, 'robust_std': 20.0}})


def test_drafts_like_the_stack_are_told_from_others(places):
    priors(places)
    write(os.path.join(places.patches, 'real.h5'), tubes(48)[0])
    for how, light in (({}, GREEN), ({'background': 1100.0}, RED), ({'noise': 60.0}, RED)):
        write(os.path.join(places.drafts, 'patches.h5'), *tubes(24, seed=1, **how))
        found, = evidence.of_drafts(places)
        assert found.light == light and found.picture.endswith('drafts.png'), how


def test_step_0_is_judged_by_its_priors_and_the_looks(places):
    priors(places)
    write(os.path.join(places.patches, 'real.h5'), tubes(50)[0])
    files.write_json(os.path.join(places.patches, 'config.json'),
                     {'NOISE_FLOOR': 4.0, 'MIN_OBJECT': 200})
    look = survey.Look('a', share=0.05, specks=0.02, contrast=8.0, density=0.001, somata=0)
    assert {one.light for one in evidence.of_patches(places, [look], bad=[], images={})} == {GREEN}
    found = evidence.of_patches(places, [look, look._replace(specks=0.7)], bad=['b.tif: no'],
                                 images={})
    assert [one.light for one in found] == [YELLOW, GREEN, GREEN, RED]


@pytest.mark.parametrize('haze, light', [(0.0, GREEN), (300.0, YELLOW)])
def test_haze_in_a_corner_is_seen_and_shown(places, haze, light):
    """Twelve fibres in noise; a ball of haze of half their height in a corner."""
    rng = np.random.default_rng(0)
    image = np.zeros((48, 96, 96), np.float32)
    for _ in range(12):
        image[rng.integers(4, 44), rng.integers(4, 92)] = 8000.0
    image = ndimage.gaussian_filter(image, 1.5)
    distance = np.sqrt((((np.indices(image.shape).T - (40, 12, 80)) / 16.0) ** 2).sum(-1)).T
    image = np.maximum(image, haze * (distance < 1))
    image = (1000 + image + rng.normal(0, 30, image.shape)).astype(np.uint16)
    stacks.write('in/a.tif', image)
    found = otsu.segment(image, otsu.Settings(32, 1.0, 0.995, 4.0, 200))
    assert found.mask[38:42, 10:14, 78:82].all() == bool(haze)           # OTSU took it
    priors(places, threshold=found.threshold, radius_quantiles=[1.5] * len(quantiles.QUANTILES))
    write(os.path.join(places.patches, 'real.h5'), tubes(50)[0])
    files.write_json(os.path.join(places.patches, 'config.json'), {
        'FLATTEN_BLOCK': 32, 'SMOOTH_SIGMA': 1.0, 'CLIP_QUANTILE': 0.995, 'NOISE_FLOOR': 4.0,
        'MIN_OBJECT': 200})
    look = survey.Look('a', share=0.05, specks=0.02, contrast=8.0, density=0.001, somata=0)
    one = evidence.of_patches(places, [look], bad=[], images={'a': 'in/a.tif'})[-1]
    assert one.topic == 'haze' and one.light == light, one
    assert os.path.exists(one.picture) == bool(haze)


def log(places, *rows):
    path = os.path.join(places.refiner, 'log.csv')
    names = ('step',) + evidence.MEASURES
    with files.whole_file(path) as partial:
        with open(partial, 'w', newline='') as file:
            csv.writer(file).writerows([names] + [[row.get(name, '') for name in names]
                                                  for row in rows])


def test_the_checkpoint_that_refined_is_judged(places):
    priors(places)
    draft = dict(dict.fromkeys(evidence.MEASURES, 0.0), dice=0.6, cldice=0.8, contrast=5.0,
                 contrast_kept=1.0, gap=1.0)
    files.write_json(os.path.join(places.refiner, 'evaluation.json'), {'draft': draft})
    log(places, dict(draft, step=100, gap=0.4), {'step': 150},
        dict(draft, step=200, gap=0.7, lost=0.5))
    labels, _ = evidence.of_refiner(places)              # no best.json: the newest refined
    assert labels.light == RED and 'no longer' in labels.words
    files.write_json(os.path.join(places.refiner, 'best.json'), {'step': 100})
    labels, looks = evidence.of_refiner(places)
    assert (labels.light, looks.light) == (GREEN, GREEN) and '0.40' in looks.words
    older = [name for name in evidence.MEASURES if name not in ('dimmed', 'lone_dark')]
    log(places, {name: dict(draft, step=100, gap=0.4)[name] for name in ['step'] + older})
    assert [one.light for one in evidence.of_refiner(places)] == [GREEN, GREEN]
    log(places, dict(draft, step=100, gap=0.4, dimmed=0.5))
    labels, _ = evidence.of_refiner(places)
    assert labels.light == YELLOW and 'dimmed: 50 %' in labels.words


def test_critics_are_read_where_there_are_some(places):
    assert evidence.of_critics(places) == []
    row = {'patches': 'refined', 'scale': 'texture', 'accuracy': 0.6, 'train_accuracy': 0.9}
    files.write_json(os.path.join(places.refiner, 'judge.json'), {'verdicts': [row]})
    assert evidence.of_critics(places)[0].light == GREEN
    files.write_json(os.path.join(places.refiner, 'judge.json'),
                     {'verdicts': [dict(row, train_accuracy=0.5)]})
    assert 'learnt nothing' in evidence.of_critics(places)[0].words


def test_middling_probabilities_are_counted_beside_certain_ones():
    voxels = np.repeat(np.array([0, 63, 64, 191, 192, 255], np.uint8), [50, 10, 5, 5, 10, 20])
    assert evidence_masks.of_probabilities(np.bincount(voxels, minlength=256)) == (0.35, 0.25)


def test_masks_are_judged_and_drawn(places, monkeypatch):
    priors(places)
    image, label = tubes(1)
    stacks.write('in/a.tif', image[0])
    for probability, lights in ((240 * label[0], [GREEN, GREEN]),
                                (100 + 50 * label[0], [GREEN, RED]),
                                (np.full_like(label[0], 250), [RED, GREEN])):
        stacks.write(os.path.join(places.segmented, 'a.prob.tif'), probability)
        found = evidence_masks.of_masks(places, {'a': 'in/a.tif'})
        assert [one.light for one in found] == lights
        assert os.path.getsize(found[0].picture) > 5000
    os.remove(os.path.join(places.segmented, 'a.prob.tif'))
    os.remove(found[0].picture)
    stacks.write(os.path.join(places.segmented, 'a.prob.ome.zarr'), 240 * label[0])
    monkeypatch.setattr(bounded, 'MOST', 10 ** 5)        # a large one: its middle is drawn
    found = evidence_masks.of_masks(places, {'a': 'in/a.tif'})
    assert [one.light for one in found] == [GREEN, GREEN]
    assert os.path.getsize(found[0].picture) > 5000


def test_the_picture_shows_the_planes_that_hold_most():
    probability = np.zeros((40, 4, 4), np.uint8)
    probability[20:30] = 255
    assert mask_figures.fullest(probability) == slice(14, 30)
    assert mask_figures.fullest(probability[:5]) == slice(0, 5)


def forest(path, *lengths):
    """Straight trees along x of these lengths."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    position = [(z, 0.0, x) for z, n in enumerate(lengths) for x in range(n + 1)]
    parent = [-1 if x == 0 else len_before + x - 1 for len_before, n in zip(
        np.cumsum([0] + [n + 1 for n in lengths]), lengths) for x in range(n + 1)]
    n = len(parent)
    swc.write(path, swc.Tree(np.zeros(n, int), np.array(position), np.ones(n), np.array(parent)),
              one_root=False)


def test_cable_is_held_against_the_centreline_of_otsu(places):
    priors(places, density=0.01)                         # 163.84 voxels of 16 x 32 x 32
    stacks.write(os.path.join(places.segmented, 'a.prob.tif'), 255 * tubes(1)[1][0])
    missing, = evidence_masks.of_traces(places)
    assert missing.light == RED and 'nothing was traced' in missing.words
    forest(os.path.join(places.traces, 'a.swc'), 130, 90)
    assert [one.light for one in evidence_masks.of_traces(places)] == [GREEN, GREEN]
    forest(os.path.join(places.traces, 'a.swc'), 20, 10)
    assert [one.light for one in evidence_masks.of_traces(places)] == [RED, YELLOW]


def test_lengths_are_of_each_tree_in_x_voxels():
    tree = swc.Tree(np.zeros(5, int), np.array([[0, 0, 0], [3, 0, 4], [0, 5, 0], [0, 6, 0],
                                                [1, 6, 0.0]]), np.ones(5),
                    np.array([-1, 0, -1, 2, 3]))
    assert np.allclose(evidence_masks.lengths_of(tree, np.ones(3)), [5.0, 2.0])
    assert np.allclose(evidence_masks.lengths_of(tree, np.array([2.0, 1, 1])), [np.sqrt(52), 3.0])


def test_of_several_stacks_the_worst_is_told():
    good, bad = Finding('masks', GREEN, 'a: fine'), Finding('masks', RED, 'b: empty')
    found = worst_of_each([[good], [bad], [good]])
    assert found == [Finding('masks', RED, 'b: empty 1 of 3 stacks are RED.')]


# --- the report ---

@pytest.fixture
def again():
    return Again('my stacks', 'mine', {'PATCH_ARGS': 'SEED=1', 'SEG_ARGS': ''},
                 {'patches': ('PATCH_ARGS', 'python a.py'), 'network': ('SEG_ARGS', 'python b.py'),
                  'traces': ('TRACE_ARGS', 'python c.py OUTPUT=results/mine/traces')},
                 'results/mine/traces')


def test_report_has_a_row_for_each_finding_and_commands_that_change_it(tmp_path, again):
    report = Report(str(tmp_path), again)
    report.add('network', [Finding('net', RED, 'bad', change='MAX_STEPS=800'),
                           Finding('map', YELLOW, 'bad', change='MAX_STEPS=800')])
    lines = report.add('patches', [Finding('share', YELLOW, 'much | more', 'a.png',
                                           'NOISE_FLOOR=6'), Finding('stacks', GREEN, 'all')])
    assert lines[0].startswith(
        'report: YELLOW share: much | more See a.png. To change: NOISE_FLOOR=6 (PA')
    assert lines[1] == 'report: GREEN  stacks: all'
    text = (tmp_path / 'report.md').read_text()
    assert '| patches | share | YELLOW | much / more | a.png |' in text
    assert text.index('share') < text.index('| network | net | RED')             # in order of steps
    assert ("`make run 'STACKS=my stacks' NAME=mine_2 'PATCH_ARGS=SEED=1 NOISE_FLOOR=6'`" in text)
    assert "`make run 'STACKS=my stacks' NAME=mine_2 PATCH_ARGS=SEED=1 SEG_ARGS=MAX_STEPS=800`" \
        in text
    assert text.count('MAX_STEPS=800') == 1 and '- net (RED), map (YELLOW): ' in text
    assert report.count() == '1 GREEN, 2 YELLOW, 1 RED'


def test_traces_are_made_again_alone_and_names_count_on(tmp_path, again):
    report = Report(str(tmp_path), again._replace(name='mine_2'))
    assert "'PATCH_ARGS=A=1 SEED=2'" in Report(
        str(tmp_path), again._replace(given={'PATCH_ARGS': 'SEED=1 A=1'})).command(
            'patches', 'SEED=2')
    assert report.command('traces', 'MAX_GAP=4') == (
        'python c.py OUTPUT=results/mine/traces MAX_GAP=4 OUTPUT=results/mine/traces_2')
    assert 'NAME=mine_3' in report.command('patches', 'A=1')
    second = Report(str(tmp_path), again._replace(channel=1))
    assert ' NAME=mine_2 CHANNEL=1 ' in second.command('patches', 'A=1')


def test_a_resumed_run_has_the_findings_before_it(tmp_path, again):
    Report(str(tmp_path), again).add('patches', [Finding('share', RED, 'words')])
    report = Report(str(tmp_path), again)
    report.add('network', [Finding('net', GREEN, 'good')])
    assert report.count() == '1 GREEN, 0 YELLOW, 1 RED'
