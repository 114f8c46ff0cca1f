"""tests/benchmarks/paper.py as a user runs it, tiny, on the phantom; and its parts by hand."""
import csv
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, run_script

from utils.common import claims, config, files
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.simulate import raster
from utils.train import augmentation

SCRIPT = os.path.join('tests', 'benchmarks', 'paper.py')
sys.path.append(os.path.join(ROOT, 'tests', 'benchmarks'))

import _jobs                     # noqa: E402  (the path first)
import _paper_steps              # noqa: E402
import _paper_tables             # noqa: E402

TINY = ['--config', 'configs/demo/paper.py', 'REAL=real', 'LABELLED=real/2.tif',
        'ANNOTATION=labels.tif', 'CALIBRATION_ROUNDS=0', 'N_SPARSE=2', 'DRAFT_SHAPE=32,64,64',
        'PATCH_SHAPE=16,24,24',
        'DRAFT_ARGS=BRANCH_LENGTH=10,16 PATCH_EVERY=4', 'REFINER_STEPS=1', 'WORKERS=1',
        'CHANNELS=2', 'LEVELS=0', 'CROP_SHAPE=8,16,16', 'BATCH_SIZE=2', 'MAX_STEPS=1',
        'EVALUATION_PATCHES=1', 'TILE_SHAPE=48,96,96', 'ARMS=paper-mpgan-plain,paper-raw-augmented',
        'REFINER_ARGS=REFINER_CHANNELS=4 DISCRIMINATOR_CHANNELS=2 CROP_SHAPE=8,16,16 '
        'EVALUATION_PATCHES=4 EVALUATE_EVERY=1 PREVIEW_EVERY=9']


def write_real(folder):
    """Two stacks of a winding fibre in noise, and the second one's labels."""
    t = np.linspace(0, 3 * np.pi, 60)
    position = np.stack([np.linspace(4, 43, 60), 48 + 30 * np.cos(t), 48 + 30 * np.sin(t)], 1)
    mask = raster.label((48, 96, 96), position, radius=np.full(60, 2.0),
                        parent=np.arange(-1, 59))
    for seed in (1, 2):
        noise = np.random.default_rng(seed).normal(600, 60, mask.shape)
        stacks.write(str(folder / ('real/%d.tif' % seed)), (noise + 900 * mask).astype(np.uint16))
    stacks.write(str(folder / 'labels.tif'), mask.astype(np.uint8))


def paper(*arguments, cwd):
    """Run it: (exit status, standard output, standard error)."""
    status, out, err = run_script(SCRIPT, *arguments, cwd=cwd)
    assert 'Traceback' not in err, err
    return status, out, err


@pytest.fixture
def begun(monkeypatch):
    """Scripts that it starts run in this process, to save imports; their names, in order."""
    names, call = [], subprocess.call

    def here(command, **_):
        names.append(os.path.basename(command[1]))
        if command[1] == '-m':
            return call(command, **_)
        more = ['WORKERS=1'] if names[-1] == '1_simulator.py' else []
        status, out, err = run_script(names[-1], *(list(command[2:]) + more), cwd=os.getcwd())
        print(out + err)
        return status

    monkeypatch.setattr(subprocess, 'call', here)
    monkeypatch.setattr(_jobs.Jobs, 'call', lambda _, command, **options: here(command))
    return names


def rows_of(path):
    """Rows of a CSV file, dicts."""
    with open(str(path), newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures('small_networks', 'no_pictures')
def test_arms_run_once_and_what_is_gone_is_made_again(begun, tmp_path):
    write_real(tmp_path)
    status, out, err = paper(*TINY, cwd=tmp_path)
    assert status == 0, out + err
    chain = ['2_mpgan.py'] * 2 + ['3_segmentation.py'] * 2
    assert begun == ['prepare_patches.py', '1_simulator.py'] + chain[2:] + chain
    for arm, folder in (('raw-augmented', 'paper'), ('mpgan-plain', 'refined/paper-mpgan-1')):
        made = files.read_json(str(tmp_path / (
            'runs/demo_paper/networks/paper-%s-1/config.json' % arm)))
        file = patches.PatchFile(str(tmp_path / 'data/demo/paper' / folder / 'patches.h5'))
        assert made['PAIRS_DIGEST'] == file.digest and made['CHANNELS'] == 2
    results = tmp_path / 'results/demo'
    found = rows_of(results / 'paper.csv')
    assert [(row['refiner'], row['augmentation']) for row in found] == [
        ('raw', 'augmented'), ('mpgan', 'plain')]
    assert all(0 < float(row['dice']) <= 1 for row in rows_of(results / 'paper_refiners.csv'))
    for name in ('paper_arms', 'paper_paper'):
        assert (results / (name + '.png')).read_bytes()[:4] == b'\x89PNG'
    last = out.strip().split('\n')[-1]
    first = last.split(' ')[1].split('=')
    assert first[0] == 'dice_paper_raw_augmented'
    assert float(first[1]) == pytest.approx(float(found[0]['dice']), abs=1e-4)
    assert (results / 'paper.md').read_text() in out and '- refiner: 1, ' in out

    del begun[:]
    (tmp_path / 'data/demo/paper/refined/paper-mpgan-1/patches.h5').unlink()
    status, again, err = paper(*TINY, cwd=tmp_path)
    assert status == 0 and begun == ['prepare_patches.py', '2_mpgan.py'], again + err
    assert again.strip().split('\n')[-1].split()[:-1] == last.split()[:-1]


class Told:
    """In place of _jobs.Jobs: the constants of each script, which leaves an empty map."""

    def __init__(self):
        self.constants, self.arguments = {}, {}

    def script(self, name, command, *, kind, constants, inputs, target):
        if kind == 'critic':
            self.arguments[name, kind] = constants
        else:
            self.constants[name, kind] = SimpleNamespace(**constants)
        if kind == 'map':
            stacks.write(target, np.zeros((2, 2, 2), np.uint8))
        return name + kind


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """The experiment's constants, and no data."""
    monkeypatch.setattr(_paper_steps, 'digest_of', str)
    return config.load(('configs/segmentation.py', 'configs/paper.py'), [
        'DATA=%s' % tmp_path, 'RUNS=%s' % tmp_path, 'REFINER_STEPS=7', 'MAX_STEPS=5',
        'REFINER_ARGS=LAMBDA_LABEL=3 REFINER_CHANNELS=6'])


@pytest.mark.parametrize('refiner, weight', [('simgan', 0), ('mpgan', 3)])
def test_refiners_differ_in_the_label_term_alone(refiner, weight, cfg):
    told = Told()
    _paper_steps.refine(cfg, _paper_steps.Chain('paper', refiner, (), 2), jobs=told)
    name = 'paper-%s-2' % refiner
    for kind in ('refiner', 'refining'):
        made = told.constants[name, kind]
        assert (made.LAMBDA_LABEL, made.REFINER_CHANNELS, made.SEED) == (weight, 6, 2)
        assert (made.MAX_STEPS, made.CHECKPOINT, made.THREADS) == (7, 'newest', 1)
    assert made.STAGE == 'refine' and not made.WHOLE_STACKS
    assert made.OUTPUT.endswith(os.path.join('refined', name))


def test_networks_differ_in_grey_level_augmentation_alone(cfg, tmp_path):
    told, path = Told(), str(tmp_path / 'x.tif')
    stacks.write(path, np.zeros((2, 2, 2), np.uint8))
    data = _paper_steps.Data(path, None, 8)
    for name in ('plain', 'augmented'):
        _paper_steps.segment(cfg, _paper_steps.Chain('paper', 'raw', (), 3), augmentation=name,
                             pairs='p.h5', data=data, jobs=told)
    plain, augmented = [vars(told.constants['paper-raw-%s-3' % name, 'network'])
                        for name in ('plain', 'augmented')]
    differ = {name for name in plain if plain[name] != augmented[name]}
    assert differ <= {'RUN_DIR'} | {name for name in plain if name.startswith('AUGMENT_')}
    assert (plain['PAIRS'], plain['SEED'], plain['MAX_STEPS']) == ('p.h5', 3, 5)
    defaults = config.read_constants(config.rooted('configs/segmentation.py'))
    assert all(augmented[name] == defaults[name] for name in differ - {'RUN_DIR'})
    off = augmentation.Strength(**{name: plain['AUGMENT_' + name.upper()]
                                   for name in augmentation.Strength._fields})
    image = np.random.default_rng(0).normal(0, 1, (4, 6, 6)).astype(np.float32)
    for seed in range(5):
        np.testing.assert_allclose(augmentation.change_grey(
            image, off, rng=np.random.default_rng(seed)), image, atol=1e-6)


def test_means_and_spreads_are_of_an_arms_own_rows(tmp_path):
    rows = [dict(dict.fromkeys(_paper_tables.NETWORK_COLUMNS, 0.0), drafts='paper',
                 refiner=refiner, augmentation=name, seed=seed, dice=dice)
            for refiner, name, dices in (
                ('raw', 'plain', (0.1, 0.3)), ('mpgan', 'plain', (0.5, 0.7)),
                ('raw', 'augmented', (0.9, 0.9)))
            for seed, dice in enumerate(dices)]
    judged = [dict(drafts='paper', refiner='raw', seed=1, texture=0.75, texture_train=0.9),
              dict(drafts='paper', refiner='mpgan', seed=1, texture=0.5, cldice=0.25, step=300,
                   notes='texture: not settled'),
              dict(drafts='real', refiner='real', seed=1, texture=0.5, texture_train=0.625)]
    text = _paper_tables.write_networks(str(tmp_path), rows, title='x', judged=judged)
    for line in ('| raw drafts | 0.200 +- 0.141 |', '| MPGAN | 0.600 +- 0.141 |',
                 '| raw drafts | 0.900 +- 0.000 |',
                 '| refiner | critic, texture | in training | clDice | refined by step | of the',
                 '| raw drafts | 0.750 | 0.900 |  |  |  |',
                 '| MPGAN | 0.500 |  | 0.250 | 300 | texture: not settled |',
                 '| real against real | 0.500 | 0.625 |  |  |  |'):
        assert line in text
    assert _paper_tables.result_line(rows) == (
        'dice_paper_raw_plain=0.2000 dice_paper_mpgan_plain=0.6000 '
        'dice_paper_raw_augmented=0.9000')


def write_run(folder, steps, *, best):
    """A refiner's run: checkpoints, an evaluation at each (Dice 1/step), the best one."""
    for step in steps:
        (folder / ('checkpoints/step-%06d' % step)).mkdir(parents=True)
    (folder / 'log.csv').write_text('step,dice\n' + ''.join(
        '%d,\n%d,%.6f\n' % (step - 1, step, 1 / step) for step in steps))
    files.write_json(str(folder / 'best.json'), {'step': best, 'score': 1.0})


def test_labels_kept_are_those_of_the_checkpoint_that_refined(cfg, tmp_path):
    write_run(tmp_path / 'refiners/paper-mpgan-1', [2, 4], best=2)
    chain = _paper_steps.Chain('paper', 'mpgan', (), 1)
    cfg.CRITIC = False
    for cfg.REFINER_CHECKPOINT, step in (('best', 2), ('newest', 4)):
        row = _paper_steps.judge(cfg, chain, jobs=None)
        assert (row['step'], row['dice']) == (step, 1 / step)


def test_critics_tell_how_they_were_trained_and_real_patches_are_the_floor(cfg, tmp_path):
    told = Told()
    texture = dict(accuracy=0.75, train_accuracy=0.5, settled=False)
    files.write_json(str(tmp_path / 'critics/real-real-2.json'), {'texture': texture})
    row = _paper_steps.judge(cfg, _paper_steps.Chain('real', 'real', (), 2), jobs=told)
    assert row == dict(drafts='real', refiner='real', seed=2, texture=0.75, texture_train=0.5,
                       notes='structure: none, texture: has learnt nothing, texture: not settled')
    real, judged = told.arguments['real-real-2', 'critic'][:2]
    assert real == judged == str(tmp_path / 'patches' / 'real.h5')


def test_other_settings_in_the_same_folder_are_refused(cfg, begun, tmp_path):
    write_run(tmp_path / 'refiners/paper-mpgan-1', [2, 8], best=2)       # 7 steps are wanted
    with pytest.raises(UserError, match='paper-mpgan-1 was trained for 8 steps, not 7'):
        _paper_steps.refine(cfg, _paper_steps.Chain('paper', 'mpgan', (), 1), jobs=Told())
    write_real(tmp_path)
    runs = str(tmp_path / 'runs')
    made = vars(config.load(('configs/segmentation.py', 'configs/paper.py'), TINY))
    claims.claim(runs, dict(made, REFINER_STEPS=2, SEEDS=9, ARMS='*'))
    status, out, err = paper(*TINY, 'RUNS=%s' % runs, cwd=tmp_path)
    assert status == 1 and begun == ['prepare_patches.py'], out + err
    assert 'other settings (REFINER_STEPS 2 -> 1): give another DATA, RUNS' in err


def test_a_job_is_done_again_for_other_constants_and_tells_its_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(_jobs.config, 'rooted', str)
    count, script = tmp_path / 'count', tmp_path / 'script.py'
    script.write_text("import sys\nopen(sys.argv[1], 'a').write('x')\n"
                      "sys.exit(sys.argv[2] if sys.argv[2:] else 0)\n")

    def job(*more, constants=1, inputs='a'):
        with _jobs.Jobs(str(tmp_path / 'jobs'), workers=2) as jobs:
            jobs.submit(jobs.script, 'one', [str(script), str(count)] + list(more), kind='x',
                        constants=constants, inputs=inputs, target=str(count))()
        return len(count.read_text()), len(jobs.seconds['x'])

    assert [job(), job(), job(constants=2), job(constants=2, inputs='b')] == [
        (1, 1), (1, 1), (2, 1), (3, 1)]
    with pytest.raises(UserError, match='one: .*script.py failed: no luck .*one.x.log'):
        job('no luck')
        job('no luck', constants=3)
    assert len(count.read_text()) == 4


def test_bad_input_is_one_clear_line(tmp_path):
    for argument, words in (('ARMS=paper-gan-plain', ['paper-simgan-plain']),
                            ('REAL=x.tif', ['LABELLED', 'ANNOTATION']),
                            ('REFINER_ARGS=MAX_STEP=3', ['MAX_STEPS']),
                            ('WORKERS=0', ['WORKERS', 'at least 1'])):
        status, _, err = paper(argument, cwd=tmp_path)
        last = err.strip().split('\n')[-1]
        assert status == 1 and last.startswith('error: ') and all(w in last for w in words), last
