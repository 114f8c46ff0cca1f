"""How verdicts of critics are read, the network, and STAGE=judge of 2_mpgan.py."""
import copy
import functools
import json
import shutil

import numpy as np
import pytest
from training_data import bad, fibre, good, write_folder, write_patches

from models import critic as network
from models import tf
from utils.common import claims, files
from utils.common.errors import UserError
from utils.data import stacks
from utils.score import lone
from utils.train import critic, critic_crops, critic_views, judging


SETTINGS = critic.Settings(max_steps=4)


# --- how a verdict is read ---

@pytest.fixture
def held():
    """Held-out crops: five blocks a set; HeldOut, with nothing said yet."""
    sets = [critic_crops.Images(np.zeros((10, 4, 4, 4)), [str(i) for i in range(10)],
                                np.zeros((10, 3), int))] * 2
    view = critic_views.VIEWS['texture']._replace(crop=(4, 4, 4))
    sides = [critic_crops.split(s, view.crop, block=8, blocks=False) for s in sets]
    eyes = [critic_views.Eye(s, view, rng=np.random.default_rng(0)) for s in sides]
    return critic.HeldOut(sides, eyes, count=40, rng=np.random.default_rng(0))


def say(held, *readings):
    """Let a critic say (share of the first half told, of the second half told) at each test."""
    for step, shares in enumerate(readings, 1):
        right = np.zeros(len(held.target), bool)
        for where, share in zip(held.halves, shares):
            for side in (False, True):
                own = np.flatnonzero(where & (held.target == side))
                right[own[:int(round(share * len(own)))]] = True
        logits = np.where(right == held.target, 1.0, -1.0)
        said = iter(np.array_split(logits, range(critic.AT_A_TIME, len(logits), critic.AT_A_TIME)))
        held.read(lambda crops, said=said: next(said), step=step, train_accuracy=step / 10)


def test_each_half_is_read_where_the_other_was_told_best(held):
    """Best of the first half at the second test (0.5 there for the second), of the second at the
    third (0.75 there for the first): neither best figure is the result."""
    assert len(set(held.groups[0])) == 5
    assert not {g for g, h in zip(held.groups[0], held.halves[0][:40]) if h} \
        & {g for g, h in zip(held.groups[0], held.halves[0][:40]) if not h}
    say(held, (0.5, 0.5), (1.0, 0.5), (0.75, 1.0), (0.5, 0.5))
    verdict = held.verdict(SETTINGS, rng=np.random.default_rng(0))
    first = held.halves[0].mean()
    assert verdict.accuracy == pytest.approx(0.75 * first + 0.5 * (1 - first), abs=0.03)
    assert verdict.auc == pytest.approx(0.625, abs=0.03)
    assert verdict.train_accuracy == pytest.approx(0.25) and verdict.steps == 2
    assert not verdict.learnt


def test_a_critic_that_learns_nothing_is_trained_from_other_weights(held, monkeypatch):
    starts, accuracies = [], [0.5, 0.54, 0.6, 0.9]

    def trained(*_, start, **__):
        starts.append(start)
        one = copy.copy(held)
        one.train = [0.5, accuracies[start]]
        return one
    monkeypatch.setattr(critic, '_trained', trained)
    monkeypatch.setattr(critic.HeldOut, 'verdict', lambda self, *_, **__: self.train[1])
    assert critic.contest([], None, settings=SETTINGS, seed=3) == 0.6 and starts == [0, 1, 2]
    accuracies[0] = 0.55
    assert critic.contest([], None, settings=SETTINGS, seed=3) == 0.55 and starts[3:] == [0]
    accuracies[:3] = [0.5, 0.54, 0.53]                       # none learns: the first counts
    assert critic.contest([], None, settings=SETTINGS, seed=3) == 0.5 and starts[4:] == [0, 1, 2]


def test_every_try_has_a_seed_of_its_own(monkeypatch):
    seeds = []
    monkeypatch.setattr(critic, 'TOLD', 2.0)                 # nothing is ever learnt
    monkeypatch.setattr(tf, 'set_random_seed', lambda seed, real=tf.set_random_seed:
                        seeds.append(seed) or real(seed))
    rng = np.random.default_rng(0)
    images = critic_crops.Images(rng.normal(100, 9, (4, 8, 8, 8)).astype(np.float32),
                                 [str(i) for i in range(4)], np.zeros((4, 3), int))
    view = critic_views.VIEWS['texture']._replace(crop=(8, 8, 8))
    sides = [critic_crops.split(images, view.crop, block=8, blocks=False)] * 2
    critic.contest(sides, view, seed=5, settings=SETTINGS._replace(max_steps=1, test_crops=4,
                                                                   batch=1))
    assert len(set(seeds)) == critic.TRIES and seeds[0] == 5


def test_training_ends_once_neither_half_gains(held):
    settings = SETTINGS._replace(max_steps=6, patience=2)
    say(held, (0.75, 0.75), (0.5, 0.5), (0.5, 0.5))
    assert held.settled(settings)                            # waited twice, and half of the steps
    assert not held.settled(settings._replace(max_steps=7))
    assert not held.settled(settings._replace(patience=3))
    say(held, (0.5, 0.9))
    assert not held.settled(settings)                        # one half gained


def test_interval_is_of_blocks(held):
    """All crops of a block are told or none: as wide as five blocks a set leave it."""
    say(held, (0.5, 0.5))
    right = np.concatenate([np.isin(group, np.unique(group)[:3]) for group in held.groups])
    low, high = held._interval(right, np.random.default_rng(0))
    # binomial: the mean of two means of five draws of 0.6 has a standard deviation of 0.155
    assert low == pytest.approx(0.6 - 1.96 * 0.155, abs=0.09)
    assert high == pytest.approx(0.6 + 1.96 * 0.155, abs=0.09)
    assert held._interval(np.ones(80, bool), np.random.default_rng(0)) == (1.0, 1.0)


@pytest.mark.parametrize('values, target, cut', [
    ([-3, -1, 1, 3], [0, 0, 1, 1], 0.0),
    ([1, 2, 5, 6], [0, 0, 1, 1], 3.5),               # all looked a little judged
    ([1, 2, 5, 6, 7], [0, 1, 0, 1, 1], 5.5),         # two thirds of one class, all of the other
    ([2, 2, 2, 2], [0, 1, 0, 1], 1.0),               # no cut between equals
    ([-4, -2, 3, 4], [1, 1, 0, 0], -5.0)])           # the wrong way round: one side of all
def test_best_cut(values, target, cut):
    assert critic.best_cut(np.array(values, np.float32), np.array(target, bool)) == cut


def test_without_parts_nothing_is_chosen():
    """One stack is held out: the last test counts, though the second told best."""
    images = critic_crops.Images(np.zeros((4, 4, 4, 4)), list('abab'), np.zeros((4, 3), int))
    view = critic_views.VIEWS['texture']._replace(crop=(4, 4, 4))
    side = critic_crops.split(images, view.crop, block=8, blocks=True)
    eye = critic_views.Eye(side, view, rng=np.random.default_rng(0))
    held = critic.HeldOut([side] * 2, [eye] * 2, count=8, rng=np.random.default_rng(0))
    say(held, (0.5,), (1.0,), (0.75,))
    verdict = held.verdict(SETTINGS, rng=np.random.default_rng(0))
    assert verdict.accuracy == 0.75 and verdict.steps == 3 and verdict.auc == 0.75
    assert held.settled(SETTINGS._replace(max_steps=4, patience=1))


# --- the network ---

def test_network_is_small_and_its_average_is_what_is_tested():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        graph = network.build((32, 32, 32), network.Architecture())
        count = sum(int(np.prod(v.shape)) for v in tf.trainable_variables('critic/'))
        # 27 weights a pair of channels, biases, and the sum of 48 features
        assert count == 27 * (12 + 12 * 24 + 24 * 48 + 48 * 48) + 12 + 24 + 48 + 48 + 49
        crops = np.random.default_rng(0).normal(size=(4, 32, 32, 32, 1))
        feed = {graph.image: crops, graph.target: [0, 1, 0, 1]}
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run(graph.start)
            before = session.run(graph.steady, feed)
            assert before.shape == (4,) and np.ptp(before) > 0
            np.testing.assert_array_equal(session.run(graph.steady, feed), before)   # no dropout
            assert (session.run(graph.logit, feed) != session.run(graph.logit, feed)).any()
            losses = [session.run([graph.loss, graph.update], feed)[0] for _ in range(40)]
            after = session.run(graph.steady, feed)
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert ((after > before) == [False, True, False, True]).all()


# --- STAGE=judge ---

def test_script_judges_drafts_and_refined_patches(tmp_path, monkeypatch):
    monkeypatch.setattr(critic, 'Settings', functools.partial(
        critic.Settings, test_crops=8, channels=(2, 2, 2, 2)))
    write_folder(tmp_path)
    few = ['STAGE=judge', 'CRITIC_STEPS=2', 'THREADS=1']
    out = good(*few, cwd=tmp_path)
    assert 'no data/refined/patches.h5: the drafts alone are judged' in out
    assert 'no floor: data/patches/real.h5: too few blocks of 76 voxels' in out
    assert len(json.loads((tmp_path / 'runs/mpgan/judge.json').read_text())['verdicts']) == 2
    write_patches(tmp_path / 'data/patches/real.h5', [fibre(0, level=900)[0]] * 4)
    shutil.copytree(str(tmp_path / 'data/simulated'), str(tmp_path / 'data/refined'))
    out = good(*few, cwd=tmp_path)
    run = tmp_path / 'runs/mpgan'
    found = json.loads((run / 'judge.json').read_text())
    assert [(v['scale'], v['patches'], v['seed']) for v in found['verdicts']] == [
        (scale, name, 0) for scale in ('texture', 'structure')
        for name in ('real', 'drafts', 'refined')]
    assert set(found['digests']) == {'real', 'drafts', 'refined'}
    text = (run / 'judge.md').read_text()
    assert text in out and len(text.split('\n\n')[0].splitlines()) == 2 + 6
    kept = {row.pop('patches'): row for row in found['kept']}
    assert list(kept) == ['drafts', 'refined', 'real'] and kept['drafts'] == kept['refined']
    assert set(kept['drafts']) == set(judging.KEPT) and set(kept['real']) == set(lone.LONE)
    assert kept['refined']['dimmed'] == 0 and '| refined | %.3f |' % kept['drafts']['dice'] in text
    assert files.read_json(str(run / 'made_by.json'))['NAMES'] == ['judge']
    (run / 'made_by.json').unlink()                      # as an earlier version left it
    claims.check(str(run), judging.owner_of(str(run)))
    (run / 'judge.json').write_text('{"mine": {}}')
    bad(*few, cwd=tmp_path, words=['judge.json was not made by this script: move it'])
    shutil.rmtree(str(run))
    bad('STAGE=judge', 'CRITIC_BLOCK=0', cwd=tmp_path, words=['CRITIC_BLOCK=0'])
    write_patches(tmp_path / 'data/patches/real.h5', [fibre(0, level=900)[0]])
    bad('STAGE=judge', cwd=tmp_path, words=['data/patches/real.h5', 'block of 76', 'held out'])


def test_verdicts_at_one_scale_are_kept_where_the_other_fails(tmp_path, monkeypatch):
    def judge(real, judged, *, settings, scale, seed):
        if scale == 'structure':
            raise UserError('no block can be held out')
        return critic.Verdict(0.75, 0.8, (0.7, 0.8), 0.9, 4, True)

    monkeypatch.setattr(critic, 'judge', judge)
    monkeypatch.setattr(critic, 'floor', functools.partial(judge, None))
    write_folder(tmp_path)
    bad('STAGE=judge', cwd=tmp_path, words=['No verdict on drafts, structure: no block can be'])
    found = json.loads((tmp_path / 'runs/mpgan/judge.json').read_text())['verdicts']
    assert [(v['scale'], v['patches']) for v in found] == [('texture', 'real'),
                                                           ('texture', 'drafts')]
    other = tmp_path / 'data/refined/patches.h5'         # as of other drafts
    write_patches(other, [fibre(0, level=900)[0]] * 3)
    bad('STAGE=judge', cwd=tmp_path, words=['No verdict on drafts, structure'])
    assert 'does not hold the patches of' in (tmp_path / 'runs/mpgan/judge.md').read_text()
    other.unlink()
    bad('STAGE=judge', cwd=tmp_path, words=['No verdict on drafts, structure'])
    text = (tmp_path / 'runs/mpgan/judge.md').read_text()
    assert 'Labels and lone voxels' in text and 'does not hold the patches' not in text
    assert '| drafts | texture | 0.750 |' in text and 'No verdict on drafts, structure' in text
    with pytest.raises(UserError, match='no block can be held out'):         # nothing is left
        judging.verdicts(None, {'drafts': None}, seeds=1, settings=SETTINGS, scales=['structure'])


def test_patches_without_places_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(critic, 'judge', lambda *_, **__: critic.Verdict(
        0.75, 0.8, (0.7, 0.8), 0.9, 4, True))
    monkeypatch.setattr(critic, 'floor', critic.judge)
    write_folder(tmp_path)
    for i, info in enumerate(['source=a\norigin=0,8,16'] * 2):
        stacks.write(str(tmp_path / ('tiff/%d.tif' % i)), fibre(i, level=900)[0],
                     notes={'Info': info})
    said = 'tiff does not tell where its patches were cut'
    assert said not in good('STAGE=judge', 'REAL_PATCHES=tiff', cwd=tmp_path)
    stacks.write(str(tmp_path / 'tiff/2.tif'), fibre(2, level=900)[0])
    assert said in good('STAGE=judge', 'REAL_PATCHES=tiff', cwd=tmp_path)


@pytest.mark.parametrize('name', ['judge.md', 'judge.json', 'preview_000002.png'])
def test_verdicts_and_trainings_replace_no_files_of_others(tmp_path, name):
    run = tmp_path / 'run'
    run.mkdir()
    (run / name).write_text('mine')
    calls = {'judge': lambda: claims.check(str(run), judging.owner_of(str(run))),
             'train': lambda: claims.check(str(run), claims.training('2_mpgan.py'))}
    for what in ('judge', 'train') if 'preview' in name else ('judge',):
        with pytest.raises(UserError, match='run/%s was not made by this script' % name):
            calls[what]()
    if 'judge' in name:                                  # a training leaves it, and it stays so
        claims.take(str(run), claims.training('2_mpgan.py'))
        with pytest.raises(UserError, match='run/%s was not made by this script' % name):
            calls['judge']()
    (run / 'packed.json').write_text('{"step": 1}')
    with pytest.raises(UserError, match='run holds weights alone'):
        calls['judge']()


def test_table_tells_spread_and_what_critics_did_not_learn():
    one = dict(patches='drafts', scale='texture', seed=0, accuracy=0.8, auc=0.9, settled=True,
               interval=(0.7, 0.9), train_accuracy=0.9, steps=400)
    text = judging.table([one, dict(one, accuracy=0.6, interval=(0.5, 0.6)), dict(
        one, patches='refined', train_accuracy=0.5, settled=False)])
    rows = [[cell.strip() for cell in line.split('|')] for line in text.splitlines()]
    assert rows[2][1:5] == ['drafts', 'texture', '0.700 +- 0.141', '0.60 to 0.75']
    assert rows[2][-2] == ''
    assert rows[3][-2] == 'has learnt nothing; not settled: raise CRITIC_STEPS'
