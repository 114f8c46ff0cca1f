"""The refiner's training and the trained refiner, in this process, on tiny networks and patches."""
import csv
import json
import os
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from scipy import ndimage
from training_data import newest, write_folder

from models import gan, losses, tf
from utils.common import config, files
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.score import realism
from utils.train import (checkpoints, domains, history, processes, refined, refiner_training,
                         reports, runs, samplers)
from utils.train.refiner import Refiner, refine_patch

pytestmark = pytest.mark.usefixtures('small_networks')
SMALL = dict(REFINER_CHANNELS=4, DISCRIMINATOR_CHANNELS=2, MAX_STEPS=2, DISCRIMINATOR_FIRST=1,
             REFINER_UPDATES=2, BATCH_SIZE=2, CROP_SHAPE=(8, 16, 16), HISTORY_BATCHES=3,
             LOG_EVERY=1, PREVIEW_EVERY=99, SAVE_EVERY=9, EVALUATE_EVERY=1, EVALUATION_PATCHES=4,
             THREADS=1, LEARNING_RATE=1e-3)


def settings_of(**constants):
    """Settings of configs/mpgan.py, small, with some constants replaced."""
    known = config.read_constants(config.rooted('configs/mpgan.py'))
    assert not set(constants) - set(known)
    cfg = SimpleNamespace(**dict(known, **dict(SMALL, **constants)))
    model = gan.Settings(*[config.pick(cfg, group) for group in gan.GROUPS])
    return refiner_training.Settings(
        model, *[config.pick(cfg, group) for group in refiner_training.GROUPS])


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('training')
    write_folder(folder)
    return folder


@pytest.fixture(scope='module')
def opened(data):
    return domains.open_domains(str(data / 'data/patches/real.h5'), str(data / 'data/simulated'))


class Told:
    """In place of reports.Reports: evaluations that are given."""
    scores = []              # (gap, whether the labels are kept) of the steps to come
    standard = 1.0

    def __init__(self, run_dir, domains, *, count):
        self.told = iter(self.scores)
        files.write_json(run_dir + '/told.json', {'count': count})

    def evaluate(self, run, inference):
        gap, kept = next(self.told)
        return dict(dict.fromkeys(reports.COLUMNS, 0.5), gap=gap), kept

    def preview_path(self, step):
        return '/nowhere/%d' % step

    def curves(self):
        pass

    def preview(self, run, inference):
        pass


def train(folder, opened, *, scores, **constants):
    """Train in a folder; (rows of its log.csv, variables of its newest checkpoint)."""
    folder.mkdir(exist_ok=True)
    own, Told.scores, reports.Reports = reports.Reports, scores, Told
    try:
        refiner_training.train(str(folder), opened, settings=settings_of(**constants))
    finally:
        reports.Reports = own
    with open(str(folder / 'log.csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    reader = tf.train.load_checkpoint(newest(folder) + '/model')
    return rows, {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


# --- training ---

SCORES = [(5.0, True), (3.0, False), (4.0, True), (4.5, True)]
FOUR = dict(MAX_STEPS=4, PRETRAIN_STEPS=2, LAMBDA_LABEL=7.0, LAMBDA_IDENTITY=3.0,
            LAMBDA_SPECTRUM=4.0, LEARNING_RATE=0.01, DISCRIMINATOR_UPDATES=2)


@pytest.fixture(scope='module')
def whole(data, opened):
    """Four steps: (folder of the run, rows of its log, variables)."""
    folder = data / 'run'
    folder.mkdir()
    files.write_json(str(folder / 'config.json'), {'REFINER_CHANNELS': 4, 'BITS': 16,
                                                   'STANDARDISE': True})
    return (folder,) + train(folder, opened, scores=SCORES, **FOUR)


def test_best_is_of_those_that_keep_the_labels(whole):
    folder, rows, _ = whole
    assert files.read_json(str(folder / 'best.json')) == dict(step=3, score=4.0, against=1.0)
    assert checkpoints.best(str(folder)).endswith('step-000003')
    assert [row['gap'] for row in rows] == ['5', '3', '4', '4.5']


@pytest.mark.parametrize('scores, best', [
    ([(5.0, True), (4.0, True), (4.05, True), (4.09, True)], {'step': 4, 'score': 4.0}),
    ([(4.0, True), (4.05, True), (4.09, False), (4.2, True)], {'step': 2, 'score': 4.0}),
    ([(4.0, True), (4.09, True), (4.18, True), (4.27, True)], {'step': 2, 'score': 4.0}),
    ([(3.0, False), (4.0, True), (3.95, True), (9.0, True)], {'step': 3, 'score': 3.95})])
def test_of_gaps_that_hardly_differ_the_latest_is_best(opened, tmp_path, scores, best):
    """And no run goes on and on in small steps away from the smallest one."""
    train(tmp_path / 'run', opened, scores=scores, **FOUR)
    assert files.read_json(str(tmp_path / 'run/best.json')) == dict(best, against=1.0)


def test_gaps_to_other_patches_are_not_compared(opened, tmp_path, monkeypatch):
    """Of a run by an earlier version, or whose patches were made anew."""
    train(tmp_path / 'run', opened, scores=[(0.2, True), (0.3, True)], **dict(FOUR, MAX_STEPS=2))
    monkeypatch.setattr(Told, 'standard', 5.0)
    train(tmp_path / 'run', opened, scores=[(4.0, True), (4.3, True)], **FOUR)
    assert files.read_json(str(tmp_path / 'run/best.json')) == dict(step=3, score=4.0, against=5.0)


def test_first_steps_go_without_the_label_term(whole):
    rows = whole[1]
    assert [float(row['label_weight']) for row in rows] == [0, 0, 7, 7]
    for row in rows:
        total, adversarial, identity, level, spectrum, label, contrast, weight = [
            float(row[name]) for name in ('refiner', 'adversarial', 'identity', 'level', 'spectrum',
                                          'label', 'label_contrast', 'label_weight')]
        assert total == pytest.approx(adversarial + 3 * identity + 10 * level + 4 * spectrum
                                      + weight * (label + contrast), rel=1e-4)
        assert label > 0


def test_training_resumed_equals_training_in_one_go(whole, opened, tmp_path, capsys):
    """Ended after 2 of 4 steps and gone on in another graph: the same losses, weights and best."""
    train(tmp_path / 'run', opened, scores=SCORES[:2], **dict(FOUR, MAX_STEPS=2))
    rows, weights = train(tmp_path / 'run', opened, scores=SCORES[2:], **FOUR)
    assert 'goes on from step 2' in capsys.readouterr().out
    assert [row['step'] for row in rows] == ['1', '2', '3', '4']
    for a, b in zip(whole[1], rows):
        assert {k: v for k, v in a.items() if k != 'seconds'} == {
            k: v for k, v in b.items() if k != 'seconds'}
    for name, value in whole[2].items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
    states = [checkpoints.read_state(newest(folder)) for folder in (whole[0], tmp_path / 'run')]
    assert states[0][0]['extra'] == states[1][0]['extra'] and len(states[0][1]) == 6
    np.testing.assert_array_equal(states[0][1], states[1][1])        # the history
    assert files.read_json(str(tmp_path / 'run/best.json')) == dict(step=3, score=4.0, against=1.0)


@pytest.mark.parametrize('patches, parts', [
    (np.zeros((2, 3, 4, 5, 1)), None), (np.zeros((2, 9)), None), (np.zeros((3, 2, 2, 2, 1)), None),
    (None, []), (None, 5), (None, [3]), (None, [(2, 5)]), (None, [(2, {'bit_generator': 'x'})]),
    (None, [(2, {})])])
def test_a_history_that_does_not_fit_is_a_damaged_checkpoint(patches, parts):
    """Of patches of another shape or number, or without a random state of its kind."""
    good = history.History(4, np.random.default_rng(0))
    good.mix(np.zeros((2, 2, 2, 2, 1), np.float32))
    whole, random_state = good.state()
    run = SimpleNamespace(folder='runs/x', step=7, ranks=processes.Ranks(), extra=parts,
                          history=whole if patches is None else patches)
    if parts is None:
        run.extra = [(2, random_state)]
    trainer = SimpleNamespace(run=run, schedule=SimpleNamespace(crop_shape=(2, 2, 2)),
                              history=history.History(4, np.random.default_rng(1)))
    with pytest.raises(UserError, match='runs/x/checkpoints/step-000007 is damaged: remove it'):
        refiner_training.Trainer._take_up_history(trainer)
    run.history, run.extra = whole, [(2, random_state)]
    refiner_training.Trainer._take_up_history(trainer)
    assert len(trainer.history) == 2


def test_training_settings_reach_the_graph(opened, tmp_path, monkeypatch):
    """After one step the discriminator's biases are Adam's first move, its rate; the averages are
    the weights, the moments were measured."""
    runs_made, optimisers = [], []

    class Recorded(runs.Run):
        def __init__(self, *args, **options):
            runs_made.append((self, options))
            super().__init__(*args, **options)

    monkeypatch.setattr(runs, 'Run', Recorded)
    monkeypatch.setattr(tf.train.experimental, 'enable_mixed_precision_graph_rewrite',
                        lambda optimiser: optimisers.append(optimiser) or optimiser)
    _, found = train(tmp_path / 'run', opened, scores=[(1.0, True)], MAX_STEPS=1, SEED=5,
                     LEARNING_RATE=1e-6, DISCRIMINATOR_RATE=0.05, AVERAGE_DECAY=0.999, BETA1=0.25,
                     REFINER_UPDATES=2, DISCRIMINATOR_UPDATES=3, MIXED_PRECISION=True, XLA=True)
    assert 0.051 < np.abs(found['discriminator/conv2/bias']).max() < 0.25  # 1 + 3 moves
    assert 0 < np.abs(found['refiner/conv4/bias']).max() < 1e-5
    assert found['refiner_adam/beta1_power'] == 0.25 ** 3            # updates + 1
    assert found['discriminator_adam/beta1_power'] == 0.25 ** 5
    assert found['step'] == 1
    assert len(optimisers) == 2 and tf.get_default_graph().seed == 5
    (run, options), = runs_made
    assert options['xla'] and options['threads'] == 1 and run.may_overflow == ('_gradient',)
    weights = {name: value for name, value in found.items() if name.startswith('refiner/')}
    assert len(weights) > 30
    for name, value in weights.items():
        used = found[name.replace('refiner', gan.AVERAGE, 1)]
        np.testing.assert_allclose(used, value, atol=1e-5, err_msg=name)
    assert np.abs(found['refiner/bn1/moving_mean']).max() > 0.1
    assert (found['refiner/domain'] == np.float32(domains.intensities(opened).drafts_atanh)).all()
    assert files.read_json(str(tmp_path / 'run/told.json')) == {'count': 4}


def test_each_process_trains_on_its_share_of_crops_by_the_seed(opened):
    for rank, augment in ((0, True), (1, False)):
        tf.reset_default_graph()
        ranks = SimpleNamespace(rank=rank, size=2)
        schedule = settings_of(SEED=5, AUGMENT=augment, MATCH_CONTENT=False).schedule
        pipelines = refiner_training._open_streams(opened, schedule, match=None, ranks=ranks)
        with tf.Session() as session:
            for stream in pipelines:
                stream.start(session, 3)
            image, label, real = session.run(pipelines[0].tensors + pipelines[1].tensors)
        for number, file, found in ((1, opened.drafts, [image, label]), (0, opened.real, [real])):
            sampler = samplers.Sampler(file, 2, crop=(8, 16, 16), seed=[5, number], rank=rank,
                                       ranks=2, augment=augment)
            for a, b in zip(found, sampler.batch(3)):
                np.testing.assert_array_equal(a, b)
        assert image.shape == label.shape == (2, 8, 16, 16, 1)
        assert image[label == 1].min() > image[label == 0].mean() + 500    # labels go with drafts


# --- what is measured on the patches ---

def test_training_is_told_what_matched_real_crops_have_more_than_drafts(opened, tmp_path,
                                                                         monkeypatch):
    """The graph has the shift of these patches, by crops of the run's own."""
    class Stopped(Exception):
        pass

    def build(crop, bits, *, intensities, **others):
        raise Stopped(intensities.spectra)

    monkeypatch.setattr(gan, 'build', build)
    monkeypatch.setattr(domains, 'CROPS', 64)
    with pytest.raises(Stopped) as stopped:
        refiner_training.train(str(tmp_path), opened, settings=settings_of())
    told = stopped.value.args[0]
    schedule = settings_of().schedule._replace(batch_size=1)
    match = refiner_training._match(opened, schedule)
    drafts, real = refiner_training._samplers(opened, schedule, match=match, numbers=(4, 5))
    crops = [np.stack([sampler.batch(i)[0][0, ..., 0] for i in range(64)])
             for sampler in (drafts, real)]
    of_drafts, of_real = [realism.axis_spectra(realism.compressed(some, told.unit))
                          for some in crops]
    for axis in range(3):
        np.testing.assert_allclose(told.shift[axis], of_real[axis] - of_drafts[axis], atol=1e-3)
        assert np.abs(told.shift[axis]).max() > 0.01
    assert drafts.patches is opened.drafts and real.patches is opened.real and real.match


def test_intensities_are_those_of_the_graph(opened):
    with tf.Session() as session:
        drafts, real = [session.run(losses.to_network(
            tf.constant(file.image[:].astype(np.float32)), 16)) for file in (opened[1], opened[0])]
    found = domains.intensities(opened)
    middle = np.median(real, (1, 2, 3), keepdims=True)
    assert found.real_noise == pytest.approx(1.4826 * np.median(np.abs(real - middle)), rel=0.02)
    for (level, spread), x in zip(found, (drafts, np.arctanh(drafts), real)):
        assert level == pytest.approx(np.median(x), abs=1e-5)
        assert spread == pytest.approx(x.std(), rel=1e-4)


def test_moments_are_measured_on_as_many_voxels_for_any_batch(opened, monkeypatch):
    monkeypatch.setattr(domains, 'CALIBRATED', 10 * 8 * 16 * 16)
    crops = domains.calibration_crops(opened.drafts, (8, 16, 16), seed=1, augment=True)
    assert crops.shape == (10, 8, 16, 16, 1) and 900 < crops.mean() < 1500


def test_spectra_are_what_real_crops_have_more_than_drafts(tmp_path, monkeypatch):
    """Real noise is smoother along x, and has twice the amplitude else."""
    monkeypatch.setattr(domains, 'CROPS', 40)
    rng = np.random.default_rng(0)
    drafts = rng.normal(1000, 10, (8, 8, 20, 20))
    real = 1000 + 4 * ndimage.gaussian_filter1d(rng.normal(0, 10, drafts.shape), 1.0, axis=3)
    files_made = []
    for name, images in (('drafts', drafts), ('real', real)):
        path = str(tmp_path / (name + '.h5'))
        patches.write(path, np.round(images).astype(np.uint16), origins=np.zeros((8, 3), int),
                          sources=['a'] * 8)
        files_made.append(samplers.Sampler(patches.PatchFile(path), 1, crop=(8, 16, 16), seed=[1]))
    found = domains.spectra(*files_made)
    assert found.unit == pytest.approx(realism.noise_level(files_made[1].patches.image[:]))
    z, y, x = found.shift
    assert z.shape == (4,) and x.shape == (8,) and z.dtype == np.float32
    assert z.min() > 0.2 and np.ptp(z) < 0.2
    assert x[0] > 0.4 and x[-1] < -0.5
    same = domains.spectra(files_made[1], files_made[1])
    assert all((shift == 0).all() for shift in same.shift)


@pytest.mark.parametrize('limits, count', [
    (dict(CROPS=1000, FEWEST=20, SPECTRA=10 ** 9), 50),          # 4 x 25,600 voxels of 2,048
    (dict(CROPS=1000, FEWEST=60, SPECTRA=10 ** 9), 60),
    (dict(CROPS=30, FEWEST=20, SPECTRA=10 ** 9), 30),
    (dict(CROPS=30, FEWEST=60, SPECTRA=10 ** 9), 30),
    (dict(CROPS=1000, FEWEST=60, SPECTRA=7 * 2048), 7),
    (dict(CROPS=1000, FEWEST=60, SPECTRA=5), 1)])
def test_spectra_are_of_crops_that_cover_the_patches_some_times(limits, count, monkeypatch):
    monkeypatch.setattr(domains, 'COVERED', 4)
    for name, value in limits.items():
        monkeypatch.setattr(domains, name, value)
    image, cut = np.random.default_rng(0).normal(1000, 10, (8, 8, 20, 20)), []

    def batch(number):
        cut.append(number)
        return image[number % 8][None, :8, :16, :16, None].astype(np.float32), None

    sampler = SimpleNamespace(crop=(8, 16, 16), patches=SimpleNamespace(image=image), batch=batch)
    domains.spectra(sampler, sampler)
    assert cut == 2 * list(range(count))


def test_the_spectrum_loss_may_be_left_out(opened, tmp_path):
    rows, _ = train(tmp_path / 'run', opened, scores=[(1.0, True)], MAX_STEPS=1,
                    LAMBDA_SPECTRUM=0.0)
    assert 'spectrum' not in rows[0] and float(rows[0]['refiner']) > 0


# --- evaluation ---

@pytest.fixture(scope='module')
def measured(data, opened):
    folder = data / 'reports'
    folder.mkdir()
    return reports.Reports(str(folder), opened, count=4), folder


def test_evaluation_sets_are_disjoint_and_the_same_in_every_run(measured, opened, tmp_path):
    found, folder = measured
    judge = found.judge
    assert judge.drafts.shape == (4, 12, 24, 24) and judge.labels.any()
    again = reports.Reports(str(tmp_path), opened, count=4)
    assert (again.judge.drafts == judge.drafts).all() and again.judge.draft == judge.draft
    assert min(judge.floor[name] for name in realism.REALISM) > 0    # of two sets, not one
    saved = files.read_json(str(folder / 'evaluation.json'))
    assert saved == {'draft': judge.draft, 'floor': judge.floor}


def test_gaps_of_other_patches_or_measures_have_another_standard(measured, opened, tmp_path,
                                                                 monkeypatch):
    """The number goes through best.json; a gap of the drafts that is 1 in both does not hide it."""
    found = measured[0]
    assert json.loads(json.dumps(found.standard)) == found.standard
    assert reports.Reports(str(tmp_path), opened, count=4).standard == found.standard
    assert reports.Reports(str(tmp_path), opened, count=3).standard != found.standard
    monkeypatch.setattr(realism, 'compressed', lambda images, unit: images.astype(np.float32))
    other = reports.Reports(str(tmp_path), opened, count=4)
    assert other.standard != found.standard


class Kept:
    """In place of a session: a refiner that adds grey levels, one for all or one for each voxel."""

    def __init__(self, added):
        self.added = added

    def run(self, fetched, feed):
        return feed['draft'] + self.added


def test_evaluation_scores_what_the_refiner_makes_and_warns(measured, capsys):
    found, folder = measured
    inference = SimpleNamespace(draft='draft', refined_grey='grey', crop_sides='sides')
    run = SimpleNamespace(step=7, session=Kept(100.4), best=None)
    scores, kept = found.evaluate(run, inference)
    assert scores['moved'] == pytest.approx(100) and set(scores) == set(reports.COLUMNS)
    assert kept and scores['dice'] == pytest.approx(found.judge.draft['dice'])
    assert 'step 7: gap to real patches' in capsys.readouterr().out
    run = SimpleNamespace(step=8, session=Kept(0), best={'step': 7})
    found.evaluate(run, inference)
    out = capsys.readouterr().out
    assert 'warning: the identity' in out and 'the best checkpoint, of step 7, is kept' in out
    found.preview(run, inference)
    assert (folder / 'preview_000008.png').read_bytes()[:4] == b'\x89PNG'


def test_a_refiner_that_invents_strands_is_never_the_best(measured, capsys):
    """A strand less than half as bright as the labels, which Dice and clDice do not see."""
    found, _ = measured
    strands = np.zeros((1, 12, 24, 24, 1))
    strands[:, 2, :, 20:22] = 500                        # 22 voxels long without the rim
    run = SimpleNamespace(step=9, session=Kept(strands), best=None)
    scores, kept = found.evaluate(run, SimpleNamespace(draft='draft', refined_grey='grey',
                                                       crop_sides='sides'))
    draft = found.judge.draft
    assert scores['dice'] > draft['dice'] - 0.01 and scores['cldice'] > draft['cldice'] - 0.01
    assert scores['invented'] == 1 and scores['lost'] == 0 and not kept
    assert scores['invented_length'] == pytest.approx(22, abs=4)
    out = capsys.readouterr().out
    assert 'invented %.0f voxels (0)' % scores['invented_length'] in out
    assert 'warning: strands are being invented' in out


def test_one_real_patch_or_no_label_cannot_be_evaluated(opened, tmp_path):
    few = type('Few', (), dict(image=opened.real.image[:1], shape=opened.real.shape, path='few.h5',
                               __len__=lambda self: 1))()
    with pytest.raises(UserError, match='few.h5 has one patch only'):
        reports.Reports(str(tmp_path), domains.Domains(few, opened.drafts), count=4)
    blank = type('Blank', (), dict(image=opened.drafts.image[:], label=0 * opened.drafts.label[:],
                                   shape=opened.drafts.shape, path='blank.h5',
                                   __len__=lambda self: len(opened.drafts)))()
    with pytest.raises(UserError, match='blank.h5: no patch of the evaluation set has a label'):
        reports.Reports(str(tmp_path), domains.Domains(opened.real, blank), count=4)


# --- the trained refiner ---

@pytest.fixture(scope='module')
def run_dir(whole):
    return whole[0]


def test_best_or_newest_weights_refine_and_any_tile_gives_the_same(run_dir):
    voxels = np.random.default_rng(0).integers(900, 2500, (20, 33, 29)).astype(np.uint16)
    with Refiner(str(run_dir), threads=1, tile=(8, 16, 16)) as refiner:
        assert refiner.step == 3 and refiner.bits == 16
        best, digest = refiner.refine(voxels), refiner.digest
        with pytest.raises(UserError, match='a.tif is 8 bit, .* was trained on 16'):
            refiner.refine(voxels.astype(np.uint8), name='a.tif')
    with Refiner(str(run_dir), checkpoint='newest', threads=1) as refiner:
        assert refiner.step == 4 and refiner.digest != digest
        newest_one = refiner.refine(voxels)
    with Refiner(str(run_dir), threads=1) as refiner:
        whole = refiner.refine(voxels)
        assert refiner.digest == digest
    assert best.shape == voxels.shape and best.dtype == np.uint16
    assert np.abs(best.astype(int) - whole).max() <= 1   # rounding of sums in another order
    assert np.abs(best.astype(int) - newest_one).max() > 1


@pytest.mark.parametrize('shape', [(20, 48, 36), (40, 90, 90)])
def test_windows_are_refined_as_in_the_whole_stack(shape, run_dir):
    """At each border and inside; in small stacks many windows are cut from the whole."""
    voxels = np.random.default_rng(0).integers(900, 2500, shape).astype(np.uint16)
    window = np.array((6, 8, 10))
    corners = np.array([(0, 0, 0), shape - window, (14, 20, 0), (2, 40, 26)])
    with Refiner(str(run_dir), threads=1) as refiner:
        whole = refiner.refine(voxels)
        found = refiner.refine_windows(voxels, corners, window=window)
        with pytest.raises(UserError, match='a.tif is 8 bit, .* was trained on 16'):
            refiner.refine_windows(voxels.astype(np.uint8), corners, window=window, name='a.tif')
    assert found.shape == (4, 6, 8, 10) and found.dtype == np.uint16
    for part, corner in zip(found, corners):
        wanted = patches.cut(whole, corner, window=window)
        assert np.abs(part.astype(int) - wanted).max() <= 1


def test_refined_voxels_are_rounded_and_keep_their_range():
    inference = SimpleNamespace(draft='draft', refined_grey='grey', crop_sides='sides')
    for dtype, most in ((np.uint8, 255), (np.uint16, 65535)):
        voxels = np.array([[[3, most]]], dtype)
        np.testing.assert_array_equal(
            refine_patch(Kept(0.6), inference, voxels=voxels), [[[4, most]]])
        np.testing.assert_array_equal(
            refine_patch(Kept(-5), inference, voxels=voxels), [[[0, most - 5]]])


def test_runs_of_others_and_empty_folders_are_named(run_dir, tmp_path):
    with pytest.raises(UserError, match='has no checkpoint: train first'):
        Refiner(str(tmp_path))
    before = files.read_json(str(run_dir / 'config.json'))
    files.write_json(str(run_dir / 'config.json'), {'CHANNELS': 4})
    try:
        with pytest.raises(UserError, match='is no run of 2_mpgan.py'):
            Refiner(str(run_dir))
    finally:
        files.write_json(str(run_dir / 'config.json'), before)


def test_refined_patches_lie_where_the_drafts_were_cut(tmp_path):
    write_folder(tmp_path)
    drafts = tmp_path / 'data/simulated'
    for name in ('0001', '0002'):
        stack = stacks.read(str(drafts / ('images/%s.tif' % name)))
        stacks.write(str(tmp_path / ('refined/images/%s.tif' % name)), stack.voxels + 7)
    out = str(tmp_path / 'refined')
    assert refined.cut_patches(str(drafts), out, names=['0001', '0002']) == 12
    before, after = [patches.PatchFile(str(folder / 'patches.h5'), with_labels=True)
                     for folder in (drafts, tmp_path / 'refined')]
    np.testing.assert_array_equal(after.image[:], before.image[:] + 7)
    np.testing.assert_array_equal(after.label[:], before.label[:])
    assert after.source == before.source and (after.origin == before.origin).all()
    with pytest.raises(UserError, match='has patches of stacks that .* lacks .0002.'):
        refined.cut_patches(str(drafts), out, names=['0001'])
    stack = stacks.read(str(drafts / 'images/0002.tif'))
    stacks.write(str(drafts / 'images/0002.tif'), stack.voxels[::-1])
    with pytest.raises(UserError, match='was not cut from .*0002.tif: run 1_simulator.py'):
        refined.cut_patches(str(drafts), out, names=['0001', '0002'])


def test_patches_alone_are_refined_once_and_a_broken_off_call_goes_on(tmp_path):
    write_folder(tmp_path)
    drafts, out, seen = str(tmp_path / 'data/simulated'), str(tmp_path / 'refined'), []

    def refine_windows(voxels, corners, *, window, name):
        if name == stop:
            raise KeyboardInterrupt
        seen.append(name)
        return np.stack([patches.cut(voxels, corner, window=window) for corner in corners]) + added

    refiner = SimpleNamespace(digest='a', refine_windows=refine_windows)
    added, stop = np.uint16(7), '0002'
    with pytest.raises(KeyboardInterrupt):
        refined.refine_patches(drafts, out, refiner=refiner)
    stop = None
    for _ in range(2):
        assert refined.refine_patches(drafts, out, refiner=refiner) == 12
    assert seen == ['0001', '0002'] and not os.listdir(os.path.join(out, 'parts'))
    before, after = [patches.PatchFile(os.path.join(folder, 'patches.h5'), with_labels=True)
                     for folder in (drafts, out)]
    np.testing.assert_array_equal(after.image[:], before.image[:] + 7)
    np.testing.assert_array_equal(after.label[:], before.label[:])
    assert after.source == before.source and (after.origin == before.origin).all()
    after.file.close()
    refiner.digest, added = 'b', np.uint16(8)                        # other weights
    refined.refine_patches(drafts, out, refiner=refiner)
    after = patches.PatchFile(os.path.join(out, 'patches.h5'))
    np.testing.assert_array_equal(after.image[:], before.image[:] + 8)


class Windows:
    """In place of a Refiner: adds to the grey levels, and is killed at a stack if told so."""

    def __init__(self, digest='a', added=7, stop=None):
        self.digest, self.added, self.stop = digest, np.uint16(added), stop

    def refine_windows(self, voxels, corners, *, window, name):
        if name == self.stop:
            raise KeyboardInterrupt
        return np.stack([patches.cut(voxels, corner, window=window)
                         for corner in corners]) + self.added


def names_of(folder):
    return files.read_json(os.path.join(folder, 'made_by.json'))['NAMES']


@pytest.mark.parametrize('when', ['before', 'after', 'after an earlier version'])
def test_refined_patches_replace_and_remove_no_parts_of_others(tmp_path, when):
    write_folder(tmp_path)
    drafts, out = str(tmp_path / 'data/simulated'), str(tmp_path / 'refined')
    mine = tmp_path / 'refined/parts/0002.npy'
    if when != 'before':
        refined.refine_patches(drafts, out, refiner=Windows())
    if when == 'after an earlier version':
        digest = patches.PatchFile(os.path.join(drafts, 'patches.h5')).digest
        files.write_json(os.path.join(out, 'made_from.json'), dict.fromkeys(
            ('0001', '0002', 'patches'), 'a ' + digest))
        os.remove(os.path.join(out, 'made_by.json'))
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text('mine')
    if when != 'before':                                 # done: nothing is in the way
        assert refined.refine_patches(drafts, out, refiner=Windows()) == 12
    with pytest.raises(UserError, match='parts/0002.npy was not made by this script: move it'):
        refined.refine_patches(drafts, out, refiner=Windows('b'))
    assert mine.read_text() == 'mine'


@pytest.mark.parametrize('older', [False, True])
def test_parts_go_after_a_kill_at_any_place(tmp_path, monkeypatch, older):
    write_folder(tmp_path)
    drafts, out = str(tmp_path / 'data/simulated'), str(tmp_path / 'refined')
    with pytest.raises(KeyboardInterrupt):
        refined.refine_patches(drafts, out, refiner=Windows(stop='0002'))
    assert names_of(out) == ['parts/0001', 'parts/0002']
    if older:                                            # it claimed the folder, not the parts
        files.write_json(os.path.join(out, 'made_by.json'),
                         {'SCRIPT': '2_mpgan.py', 'NAMES': [], 'OLDER': False})

    def kill(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refined.Parts, 'remove', kill)     # once patches.h5 is in the record
        with pytest.raises(KeyboardInterrupt):
            refined.refine_patches(drafts, out, refiner=Windows())
    assert len(os.listdir(os.path.join(out, 'parts'))) == 2
    assert refined.refine_patches(drafts, out, refiner=Windows(stop='0001')) == 12
    assert not os.listdir(os.path.join(out, 'parts')) and names_of(out) == []
    assert list(files.read_json(os.path.join(out, 'made_from.json'))) == ['patches']


def test_refined_patches_do_not_vouch_for_refined_stacks(tmp_path):
    write_folder(tmp_path)
    out = str(tmp_path / 'refined')
    with pytest.raises(KeyboardInterrupt):
        refined.refine_patches(str(tmp_path / 'data/simulated'), out, refiner=Windows(stop='0002'))
    stacks.write(str(tmp_path / 'refined/images/0001.tif'), np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(UserError, match='images/0001.tif was not made by this script'):
        refined.claim_folder(out, ['drafts/0001.tif'])


def test_refined_stacks_of_other_weights_do_not_stay_beside_new_patches(tmp_path, capsys):
    """Of these weights, 0001 stays; 0002, of others, goes; another's file stays with a warning."""
    write_folder(tmp_path)
    drafts, out = str(tmp_path / 'data/simulated'), str(tmp_path / 'refined')
    images = [os.path.join(drafts, 'images', '000%d.tif' % i) for i in (1, 2)]
    record = refined.claim_folder(out, images)
    for digest, path in zip('ab', images):
        stacks.write(refined.target_of(out, path), stacks.read(path).voxels)
        key = refined.key_of(SimpleNamespace(digest=digest), path)
        record.add(os.path.basename(path)[:4], key)
    refined.refine_patches(drafts, out, refiner=Windows('a'))
    there = [os.path.exists(refined.target_of(out, path)) for path in images]
    assert there == [True, False] and names_of(out) == ['0001']
    refined.refine_patches(drafts, out, refiner=Windows('a'))        # done: all stays
    assert os.path.exists(refined.target_of(out, images[0]))
    stacks.write(refined.target_of(out, images[1]), stacks.read(images[1]).voxels)
    capsys.readouterr()
    refined.refine_patches(drafts, out, refiner=Windows('b'))
    assert os.listdir(os.path.join(out, 'images')) == ['0002.tif']   # put there by someone
    assert 'warning: %s stays' % refined.target_of(out, images[1]) in capsys.readouterr().out


@pytest.mark.parametrize('whole', [True, False])
def test_damaged_drafts_are_not_refined(tmp_path, whole):
    """Other labels under the old digest would get a digest of their own."""
    write_folder(tmp_path)
    drafts, out = str(tmp_path / 'data/simulated'), str(tmp_path / 'refined')
    with h5py.File(os.path.join(drafts, 'patches.h5'), 'r+') as file:
        file['label'][...] = 1 - file['label'][...]
    with pytest.raises(UserError, match='patches.h5 is damaged: its patches are not those'):
        if whole:
            shutil.copytree(drafts + '/images', out + '/images')
            refined.cut_patches(drafts, out, names=['0001', '0002'])
        else:
            refined.refine_patches(drafts, out, refiner=Windows())
    assert not os.path.exists(os.path.join(out, 'patches.h5'))
