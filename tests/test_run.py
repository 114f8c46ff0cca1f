"""make run: what is chosen from stacks, folders and names, commands, times, children."""
import os
import runpy
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, run_script
from scipy import ndimage

from models import tf
from utils.common import claims, files
from utils.common.errors import UserError
from utils.data import stacks
from utils.measure import otsu
from utils.run import children, choices, estimate, machine, plan, records, survey

MAIN = os.path.join('utils', 'run', '__main__.py')
HERE = machine.Machine(0, 'no GPU', 2, 1.0, False)
LOOK = survey.Look('a', share=0.02, specks=0.02, contrast=8.0, density=0.001, somata=0)
KIND = survey.Kind('a.tif', (100, 300, 300), 16, None)
NO_ARGS = dict.fromkeys(('PATCH_ARGS', 'SIM_ARGS', 'GAN_ARGS', 'SEG_ARGS', 'TRACE_ARGS',
                         'FIG_ARGS'), ())


# --- somata ---

def scene(*, length=0, dim=False):
    """(mask, flat grey levels): a thin fibre, and a ball of radius 8, drawn out to a rod."""
    mask = np.zeros((48, 64, 96), bool)
    mask[10:13, 8:11, 4:92] = True
    ball = np.zeros_like(mask)
    ball[28, 36, 20:21 + length] = True
    ball = ndimage.distance_transform_edt(~ball) <= 8
    flat = np.where(mask, 100.0, 0.0)
    flat[ball] = 40.0 if dim else 120.0
    return mask | ball, flat.astype(np.float32)


@pytest.mark.parametrize('how, expected', [
    ({}, 1), ({'length': 40}, 0),                        # a bundle is thick, and long
    ({'dim': True}, 0)])                                 # haze is no soma
def test_somata_are_round_thick_and_bright(how, expected):
    mask, flat = scene(**how)
    line = np.array([[11, 9, x] for x in range(6, 90)])  # the fibre's: depth 2
    assert survey.somata(mask, flat, spacing=np.ones(3), line=line) == expected


def test_a_ball_of_anisotropic_voxels_is_round():
    z, y, x = np.indices((24, 64, 64))
    ball = ((z - 12) * 2.0) ** 2 + (y - 32) ** 2 + (x - 32) ** 2 <= 100
    mask = ball.copy()
    mask[2:4, 2:5, :] = True
    line = np.array([[2, 3, 10]] * 20)
    flat = mask.astype(np.float32)
    assert survey.somata(mask, flat, spacing=np.array([2.0, 1, 1]), line=line) == 1


# --- the survey ---

def stack(path, *, bits=16, voxel_size=(1.0, 0.5, 0.5), shape=(40, 80, 80), fibre=True, seed=0):
    """A stack of noise with one straight fibre."""
    rng = np.random.default_rng(seed)
    image = rng.normal(60, 4, shape)
    if fibre:
        image[18:21, 38:43, 4:-4] += 90
    stacks.write(str(path), np.clip(image * (1 if bits == 8 else 10), 0, 2 ** bits - 1).astype(
        'u%d' % (bits // 8)), voxel_size=voxel_size)
    return str(path)


def look_at(paths):
    return survey.survey(paths, otsu.Settings(32, 1.0, 0.995, 4.0, 100), patch_shape=(16, 24, 24),
                         looked_at=3, looked_voxels=10 ** 6)


def test_survey_tells_bits_voxels_and_neurites(tmp_path):
    found = look_at([stack(tmp_path / 'a.tif')])
    kind, look = found.kinds[0], found.looks[0]
    assert (kind.shape, kind.bits, kind.voxel_size) == ((40, 80, 80), 16, (1.0, 0.5, 0.5))
    assert 0.004 < look.share < 0.02 and look.somata == 0 and look.contrast > 10
    assert look.density == pytest.approx(72 / (40 * 80 * 80 * 2), rel=0.15)      # z counts double


def test_survey_tells_a_crowded_stack(tmp_path):
    """More neurites at one end, and light of theirs between them; or light that has none."""
    rng = np.random.default_rng(0)
    light = np.zeros((40, 80, 96), np.float32)
    for z, y in zip(40 * rng.beta(1, 2.5, 50), 80 * rng.beta(1, 2.5, 50)):
        light[int(z):int(z) + 2, int(y):int(y) + 2] = 4000
    glow = 5 * ndimage.gaussian_filter(light, 16)
    noise = rng.normal(2000, 30, light.shape)
    for name, image in (('dark', noise), ('glowing', noise + glow),
                        ('flipped', noise + glow[::-1, ::-1])):
        stacks.write(str(tmp_path / (name + '.tif')), (image + light).astype(np.uint16),
                     voxel_size=None)
    found = {name: look_at([str(tmp_path / (name + '.tif'))]).looks[0].crowded
             for name in ('dark', 'glowing', 'flipped')}
    assert found == {'dark': False, 'glowing': True, 'flipped': False}


def test_bad_stacks_are_told_and_the_others_surveyed(tmp_path):
    (tmp_path / 'b.tif').write_bytes(b'no TIFF')
    found = look_at([stack(tmp_path / 'a.tif'), str(tmp_path / 'b.tif'),
                     stack(tmp_path / 'c.tif', fibre=False)])
    assert [kind.path[-5:] for kind in found.kinds] == ['a.tif']
    assert 'b.tif' in found.bad[0] and 'no foreground' in found.bad[1]


@pytest.mark.parametrize('other, words', [
    ({'bits': 8}, 'has 16 bits, .*b.tif has 8'), ({'voxel_size': (2.0, 0.5, 0.5)}, 'voxels of'),
    ({'voxel_size': None}, 'unknown size')])
def test_unlike_stacks_are_refused_before_the_start(tmp_path, other, words):
    with pytest.raises(UserError, match=words):
        look_at([stack(tmp_path / 'a.tif'), stack(tmp_path / 'b.tif', **other)])


# --- choices ---

def chosen(kinds=(KIND,), looks=(LOOK,), here=HERE, **given):
    found = choices.choose(survey.Survey(list(kinds), [], list(looks)), here, **given)
    assert all(choice.reason for choice in found.values())
    return {name: choice.value for name, choice in found.items()}


def test_edition_follows_the_gpu_and_what_is_given():
    assert chosen()['EDITION'] == 'small'
    full = chosen(here=HERE._replace(gpus=1))
    assert full['EDITION'] == 'full' and full['VOLUME_SHAPE'] == (256, 512, 256)
    assert full['REFINER_STEPS'] == 20000 and 'BRANCH_LENGTH' not in full
    assert chosen(here=HERE._replace(gpus=1), edition='small')['REFINER_STEPS'] == 600


def test_bits_and_somata_are_those_of_the_stacks():
    assert chosen([KIND._replace(bits=8)])['BITS'] == 8
    assert chosen()['AXON_SHARE'] == 1.0
    assert chosen(looks=[LOOK, LOOK._replace(somata=2)])['AXON_SHARE'] == 0.5


def test_drafts_grow_where_neurites_are_sparse_and_voxels_coarse():
    dense, sparse = [chosen(looks=[LOOK._replace(density=d)]) for d in (0.004, 0.00002)]
    assert dense['VOLUME_SHAPE'] == (96, 128, 128) and dense['N_STACKS'] == 6
    assert sparse['VOLUME_SHAPE'] == (96, 256, 256) and sparse['N_STACKS'] == 12
    assert sparse['PATCH_EVERY'] < dense['PATCH_EVERY']
    deep = chosen([KIND._replace(voxel_size=(3.0, 1.0, 1.0))])
    assert deep['VOLUME_SHAPE'][0] == 2 * 32 * 3         # two patches of 32 planes


def test_crowded_stacks_have_their_own_drafts_and_thinner_labels():
    plain, other = chosen(), chosen(looks=[LOOK, LOOK, LOOK._replace(crowded=True)])
    crowded = chosen(looks=[LOOK, LOOK._replace(crowded=True)])
    assert plain == other and 'LABEL_WIDTH_LEVEL' not in plain
    dense = chosen(looks=[LOOK, LOOK, LOOK._replace(crowded=True, density=0.007)])
    assert dense['DENSITY_FACTOR'] == 1                  # most of the centreline is crowded
    assert (plain['DENSITY_FACTOR'], plain['DIM_NEURITES'], plain['PATCH_EVERY']) == (2, True, 40)
    assert (crowded['DENSITY_FACTOR'], crowded['DIM_NEURITES']) == (1, False)
    assert crowded['PATCH_EVERY'] == 20 and crowded['LABEL_WIDTH_LEVEL'] == 0.5
    steps = {step.name: step.arguments for step in steps_of(**crowded)}
    assert {'DENSITY_FACTOR=1', 'DIM_NEURITES=False'} <= set(steps['drafts'])
    for name in ('network', 'masks'):
        assert 'LABEL_WIDTH_LEVEL=0.5' in steps[name]
        assert not any(word.startswith('LABEL_WIDTH') for word in
                       {step.name: step.arguments for step in steps_of()}[name])


def test_quality_and_critics():
    assert chosen()['AUGMENT_SNR'] == (1.0, 1.0)
    assert chosen(looks=[LOOK, LOOK._replace(contrast=20.0)])['AUGMENT_SNR'] == (0.1, 1.0)
    assert chosen()['JUDGE'] == 'yes' and chosen(judge='no')['JUDGE'] == 'no'
    assert chosen([KIND._replace(shape=(97, 150, 150))])['JUDGE'] == 'no'
    assert chosen([KIND._replace(shape=(40, 80, 80))] * 2)['JUDGE'] == 'yes'


# --- commands ---

def steps_of(given=None, **values):
    found = dict(chosen(), **values)
    return plan.steps(plan.places_of('mine', 'my stacks'), found, given=dict(NO_ARGS,
                                                                             **given or {}))


def test_commands_are_the_scripts_in_order_and_shells_can_read_them():
    steps = steps_of()
    assert [step.script[0] for step in steps] == list('p1m22334mm')
    assert "'STACKS=my stacks'" in plan.text_of(steps[0])
    assert 'OUTPUT=data/mine/patches' in steps[0].arguments
    assert 'VOLUME_SHAPE=96,128,128' in steps[1].arguments
    assert {'DENSITY_FACTOR=2', 'DIM_NEURITES=True'} <= set(steps[1].arguments)
    assert 'PATCH_EVERY=40' in steps[1].arguments        # as many patches of twice the centreline
    assert [step.name for step in steps_of(JUDGE='no')] == [
        step.name for step in steps if step.name != 'critics']


def test_given_constants_overrule_chosen_ones_but_no_folder():
    refiner = steps_of({'GAN_ARGS': plan.split('GAN_ARGS', "MAX_STEPS=7 SEED=3")})[3].arguments
    assert refiner.index('MAX_STEPS=600') < refiner.index('MAX_STEPS=7') < refiner.index(
        'RUN_DIR=runs/mine/mpgan')
    for text, words in (('OUTPUT=x', 'OUTPUT is set by the run'), ('SEED', 'want NAME=VALUE'),
                        ("A='", 'closing'), ('--help=1', 'want NAME=VALUE')):
        with pytest.raises(UserError, match=words):
            plan.split('GAN_ARGS', text)


def test_full_edition_takes_no_small_config():
    assert '--config' in steps_of()[3].arguments
    assert '--config' not in steps_of(EDITION='full')[3].arguments


# --- names and folders ---

def test_folders_are_named_after_the_stacks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('brain 1', "o'b", 'demo', 'real'):
        (tmp_path / 'x' / name).mkdir(parents=True)
    (tmp_path / 'x' / 'one.tif').write_bytes(b'')
    (tmp_path / 'data' / 'mine').mkdir(parents=True)
    assert [records.name_of(path) for path in (
        'x/brain 1', 'x/brain 1/', "x/o'b", 'x/demo', 'x/one.tif', 'x/brain 1/*.tif', 'data/mine')
    ] == ['brain_1', 'brain_1', 'o_b', 'demo_run', 'one', 'brain_1', 'mine_run']
    assert records.name_of('x/demo', 'other') == 'other'
    for name in ('', '..', 'a/b'):
        with pytest.raises(UserError, match='want the name of a folder'):
            records.name_of('x/demo', name)


def test_folders_of_others_are_left_alone(tmp_path):
    folders = [str(tmp_path / root / 'mine') for root in ('data', 'runs', 'results')]
    assert not records.check('mine', folders)
    os.makedirs(folders[1])
    assert not records.check('mine', folders)            # empty
    open(os.path.join(folders[1], 'notes.txt'), 'w').close()
    with pytest.raises(UserError, match='runs/mine is there already.*NAME=another'):
        records.check('mine', folders)
    claims.claim(folders[2], {}, owner=claims.Owner(records.SCRIPT))
    assert records.check('mine', folders)


def test_choices_are_kept_for_the_same_stacks_alone(tmp_path):
    path, folder = stack(tmp_path / 'a.tif'), str(tmp_path / 'out')
    survey_of = survey.Survey([KIND], [], [LOOK])
    made = records.Chosen(choices.choose(survey_of, HERE), [LOOK], ['bad'], estimate.expected(
        estimate.Work(1, 1, (600, 400), False), HERE))
    assert records.read(folder, [path]) is None
    records.write(folder, made, paths=[path], stacks_given='x')
    assert records.read(folder, [path]) == made
    os.utime(path, (1, 1))
    with pytest.raises(UserError, match='begun on other stacks .a of x'):
        records.read(folder, [path])
    files.write_text(os.path.join(folder, 'choices.json'), '{}')
    with pytest.raises(UserError, match='has no files.*NAME=another'):
        records.read(folder, [path])


# --- the machine ---

@pytest.mark.parametrize('device, seen, words', [
    (False, 1, 'no GPU in this machine'), (True, 0, 'TensorFlow does not see it'),
    (True, 2, 'TensorFlow sees 2 GPU')])
def test_a_gpu_counts_if_tensorflow_sees_it(monkeypatch, tmp_path, device, seen, words):
    (tmp_path / 'nvidia0').write_bytes(b'')
    monkeypatch.setattr(machine, 'DEVICES', [str(tmp_path / ('nvidia[0-9]*' if device else 'no'))])
    monkeypatch.setattr(machine, 'slowness', lambda: 1.0)
    monkeypatch.setattr(machine, 'network', lambda old: 1.0)
    monkeypatch.setattr(subprocess, 'run', lambda *_, **__: subprocess.CompletedProcess(
        [], 0, b'a warning\n%d\n' % seen))
    here = machine.describe()
    assert here.gpus == (seen if device else 0) and words in here.said and here.cores >= 1


def test_tensorflow_is_asked_for_its_gpus(monkeypatch, capsys):
    monkeypatch.setattr(tf.config.experimental, 'list_physical_devices',
                        lambda kind: ['one', 'two'] if kind == 'GPU' else [])
    sys.modules.pop('utils.train.devices', None)
    runpy.run_module('utils.train.devices', run_name='__main__')
    assert capsys.readouterr().out.split()[-1] == '2'


# --- times ---

def test_estimates_scale_with_the_machine_and_the_work():
    work = estimate.Work(10.0, 20.0, (600, 400), False)
    one, slow = [estimate.expected(work, HERE._replace(slowness=s)) for s in (1.0, 2.0)]
    assert slow['refiner'] == pytest.approx(2 * one['refiner'])
    assert estimate.expected(work, HERE._replace(cores=8))['network'] < one['network']
    assert estimate.expected(work, HERE._replace(old=True))['network'] > 2 * one['network']
    busy = estimate.expected(work, HERE._replace(network=5.0, slowness=2.0, cores=8))
    assert busy['network'] - 2 * estimate.START_TF == pytest.approx(     # as was measured
        5 * 400 * estimate.RATES['network'])
    assert busy['traces'] == pytest.approx(slow['traces'])
    full = estimate.expected(work._replace(full=True), HERE._replace(gpus=1))
    assert full['refiner'] is None and full['masks']
    assert 'critics, for which no rate' in estimate.words(
        estimate.Clock({'patches': 100.0, 'critics': None}).left())


def test_time_left_follows_what_steps_took(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, 'time', lambda: now[0])
    clock = estimate.Clock({'a': 60.0, 'b': 600.0, 'c': 100.0})
    assert clock.left() == (760.0, 0.7 * 760, 2 * 760, [])
    clock.start('a')
    now[0] = 180.0                                       # three times as long as expected
    clock.finish()
    assert clock.ratio() == pytest.approx(2.0) and clock.left()[0] == pytest.approx(1400.0)
    clock.start('b')
    now[0] = 380.0
    clock.hear('step 50 of 100, 4.00 s each, 200 s left')
    assert clock.left()[0] == pytest.approx(200.0 + 200.0)
    now[0] = 1180.0                                      # a step without progress, overdue
    clock.share = 0.0
    assert clock.ratio() > 1.5 and clock.left()[0] == pytest.approx(
        100.0 * clock.ratio() + 100.0)
    now[0] = 380.0
    again = estimate.Clock(clock.seconds, spent=clock.tick(), done=clock.done)
    assert again.left()[0] == pytest.approx(1400.0 - 200.0)                      # after a kill


def test_the_range_of_the_time_left_narrows():
    seconds = {'a': 300.0, 'b': 600.0, 'c': 100.0}
    before = estimate.Clock(seconds).left()
    after = estimate.Clock(seconds, spent={'a': 300.0, 'b': 600.0}, done=['a', 'b']).left()
    assert after.seconds == 100.0 and before.low < 1000.0 < before.high
    assert (after.high - after.low) / 100 < 0.5 * (before.high - before.low) / 1000


@pytest.mark.parametrize('seconds, text', [
    ((2, 1, 3), 'less than 10 s'), ((600, 420, 1200), '7 to 20 min'),
    ((300, 299, 301), 'about 5 min'), ((9000, 6300, 18000), '1.8 to 5.0 h')])
def test_times_in_words(seconds, text):
    assert estimate.words(estimate.Left(*seconds, [])) == text


def test_a_step_of_a_network_is_timed(monkeypatch):
    """The probe trains; a machine whose steps take twice the reference's is twice as slow."""
    from utils.train import probe
    for name, value in (('CROP', (8, 8, 8)), ('CHANNELS', 2), ('SECONDS', 0.01)):
        monkeypatch.setattr(probe, name, value)
    with tf.Graph().as_default():
        assert 0 < probe.seconds_of_a_step() < 5
    said = [b'a warning\n%f\n' % (2 * machine.STEP[False])]
    monkeypatch.setattr(subprocess, 'run', lambda *_, **__: subprocess.CompletedProcess(
        [], 0, said[0]))
    assert machine.network(False) == pytest.approx(2.0, rel=1e-3)
    assert machine.network(True) < 0.5
    said[0] = b'no TensorFlow here\n'
    assert machine.network(False) is None and machine.gpus() == 0


# --- children ---

def python(text):
    return [sys.executable, '-u', '-c', text]


def test_lines_of_a_child_are_shown_and_logged(tmp_path, capsys):
    heard, path = [], tmp_path / 'log.txt'
    with open(str(path), 'w') as log:
        assert children.run(python('print(1); print(2)'), log=log, hear=heard.append) == (0, '2')
        text = "import sys; print(3); print('error: no', file=sys.stderr); sys.exit(1)"
        assert children.run(python(text), log=log) == (1, 'error: no')
    assert heard == ['1', '2'] and path.read_text() == '1\n2\n3\nerror: no\n'
    assert capsys.readouterr().out == '1\n2\n3\n'        # the error's line is the caller's


def test_a_failed_step_is_one_line():
    step = plan.Step('a', '2_mpgan.py', (), 'training')
    assert children.reason(step, 1, last='error: x: y') == '2_mpgan.py (training): x: y'
    assert 'memory' in children.reason(step, -signal.SIGKILL, last='')


PARENT = '''
import sys
sys.path.insert(0, %r)
from utils.common import errors
from utils.run import children
CHILD = """
import signal, sys, time
def end(*_):
    print("saved")
    sys.exit(1)
signal.signal(NUMBER, end)
print("begun")
time.sleep(60)
"""
def main():
    with open('log.txt', 'w') as log:
        try:
            children.run([sys.executable, '-u', '-c', CHILD], log=log)
        except KeyboardInterrupt:
            raise KeyboardInterrupt('stopped here')
errors.run(main)
''' % ROOT


@pytest.mark.parametrize('number, child, shown', [
    (signal.SIGINT, 'signal.SIGINT', 'stopped here\n'),          # handed on, once
    (signal.SIGKILL, 'signal.SIGTERM', '')])                     # the kernel tells the child
def test_a_child_ends_with_its_parent(tmp_path, number, child, shown):
    (tmp_path / 'parent.py').write_text(PARENT.replace('NUMBER', child))
    parent = subprocess.Popen([sys.executable, 'parent.py'], cwd=str(tmp_path),
                              preexec_fn=os.setsid, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
    log, until = tmp_path / 'log.txt', time.time() + 20
    while not (log.exists() and 'begun' in log.read_text()) and time.time() < until:
        time.sleep(0.05)
    os.kill(parent.pid, number)
    out, err = parent.communicate(timeout=20)
    assert err == shown and 'saved' not in out
    assert number == signal.SIGKILL or log.read_text() == 'begun\nsaved\n'


# --- the whole ---

def small(tmp_path, *arguments):
    return run_script(MAIN, 'STACKS=in', 'PATCH_ARGS=PATCH_SHAPE=16,24,24 MIN_OBJECT=100',
                      'MIN_PATCHES=2', *arguments, cwd=tmp_path)


def test_a_dry_run_prints_commands_and_writes_nothing(tmp_path):
    stack(tmp_path / 'in' / 'a.tif', bits=8)
    status, out, err = small(tmp_path, 'DRY_RUN=True')
    assert status == 0 and not err and os.listdir(str(tmp_path)) == ['in']
    lines = out.splitlines()
    assert lines[0] == '# in: 1 stack' and any('BITS=8' in line for line in lines[1:12])
    commands = [line for line in lines if not line.startswith('#')]
    assert len(commands) == 9 and all('.py ' in line for line in commands)


@pytest.mark.parametrize('arguments, words', [
    ((), 'no stacks: give STACKS='), (('STACKS=none',), 'none: put some there'),
    (('STACKS=in', 'EDITION=tiny'), 'EDITION=tiny: want'),
    (('STACKS=in',), 'smaller than a patch'),
    (('STACKS=in', 'PATCH_ARGS=PATCH_SHAPE=16,24,24'), 'hold the volume of 27.8 patches')])
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, arguments, words):
    stack(tmp_path / 'in' / 'a.tif', shape=(40, 80, 80) if 'PATCH' in str(arguments) else (9,) * 3)
    status, out, err = run_script(MAIN, 'MIN_PATCHES=30', *arguments, cwd=tmp_path)
    assert status == 1 and words in err and err.count('\n') == 1 and not out
    assert os.listdir(str(tmp_path)) == ['in']


STUB = 'import sys\nprint("this is", *sys.argv[1:])\nopen("done.txt", "a").write(sys.argv[1])\n'


@pytest.fixture
def stubs(tmp_path, monkeypatch):
    """Scripts a.py, b.py, c.py in place of the steps; b.py can be rewritten. function (**Step)."""
    stack(tmp_path / 'in' / 'a.tif')
    monkeypatch.setattr(machine, 'slowness', lambda: 1.0)
    monkeypatch.setattr(machine, 'network', lambda old: 1.0)
    for name in 'abc':
        (tmp_path / (name + '.py')).write_text(STUB)

    def run(*arguments, **changes):
        steps = [plan.Step(name, str(tmp_path / (name + '.py')), (name,), 'part ' + name)
                 for name in 'abc']
        steps[1] = steps[1]._replace(**changes)
        monkeypatch.setattr(plan, 'steps', lambda *_, **__: steps)
        status, out, err = small(tmp_path, *arguments)
        path = tmp_path / 'done.txt'
        return status, out, err, path.read_text() if path.exists() else ''

    return run


def test_steps_run_in_order_and_a_second_run_takes_the_same_choices(tmp_path, stubs):
    status, out, err, done = stubs()
    assert status == 0 and done == 'abc' and not err, err
    assert 'step 2 of 3, part b; ' in out and 'this is b' in out
    before = (tmp_path / 'results' / 'in' / 'choices.json').read_text()
    assert 'this is c' in (tmp_path / 'results' / 'in' / 'log.txt').read_text()
    status, out, _, done = stubs()
    assert status == 0 and done == 'abcabc' and 'less than' in out
    assert (tmp_path / 'results' / 'in' / 'choices.json').read_text() == before
    status, _, err, done = stubs('SEG_ARGS=SEED=2')
    assert status == 1 and 'SEG_ARGS' in err and 'NAME=another' in err and done == 'abcabc'


def test_a_step_that_fails_ends_the_run_in_one_line(tmp_path, stubs):
    (tmp_path / 'b.py').write_text('import sys\nprint("half")\nsys.exit("error: disk: full")')
    status, out, err, done = stubs()
    assert status == 1 and done == 'a' and 'half' in out
    assert err.count('\n') == 1 and err.endswith('b.py (part b): disk: full\n')
    status, _, err, done = stubs(optional=True)          # such a step only warns
    assert status == 0 and done == 'aac' and err.startswith('warning: ') and 'disk: full' in err


@pytest.mark.parametrize('bad, status, done', [(1, 1, 'ac'), (3, 1, 'a')])
def test_stacks_that_a_step_leaves_out_do_not_end_the_run(tmp_path, stubs, bad, status, done):
    (tmp_path / 'b.py').write_text(
        'import sys\nsys.exit("error: %d of 3 stacks were left out: x.tif")' % bad)
    found = stubs()
    assert found[0] == status and found[3] == done and 'left out' in found[2]
