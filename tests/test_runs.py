"""A training run: the loop's frame, whole checkpoints, the best one, packed weights, log."""
import contextlib
import json
import os
import resource
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from models import tf
from utils.common import claims, files
from utils.common.errors import UserError
from utils.train import checkpoints, loop, runs, sessions, streams, trained
from utils.train.processes import Ranks


# --- the loop's frame ---

def fake_run(step=0, *, rank=0):
    return SimpleNamespace(folder='runs/x', step=step, first=rank == 0, ranks=Ranks(rank))


def test_loop_yields_the_steps_that_are_lacking_saves_and_tells(capsys):
    run, saved = fake_run(3), []
    steps = list(loop.steps(run, 8, save=lambda: saved.append(run.step), save_every=2,
                            closing=lambda: ', best'))
    assert [tuple(step) for step in steps] == [
        (3, 4, False), (4, 5, False), (5, 6, False), (6, 7, False), (7, 8, True)]
    assert saved == [4, 6, 8] and run.step == 8
    out = capsys.readouterr().out.splitlines()
    assert out[0] == 'runs/x: goes on from step 3'
    assert out[-1].startswith('runs/x: 5 steps, ') and out[-1].endswith(' s each, best')
    assert not list(loop.steps(run, 8, save=saved.clear, save_every=2)) and saved
    assert capsys.readouterr().out == 'runs/x: has its 8 steps already\n'
    assert len(list(loop.steps(fake_run(rank=1), 2, save=list, save_every=9))) == 2
    assert capsys.readouterr().out == ''                 # the first process alone tells


def test_a_step_is_due_every_so_many_and_at_the_end():
    due = [number for number in range(1, 11) if loop.Step(number - 1, number, number == 10).due(4)]
    assert due == [4, 8, 10]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_under_way_and_ends(number):
    run, saved = fake_run(), []
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt, match='runs/x: stopped after step 2, which is saved'):
        for step in loop.steps(run, 9, save=lambda: saved.append(run.step), save_every=100):
            if step.number == 2:
                os.kill(os.getpid(), number)
    assert saved == [2]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_signal_breaks_off():
    with loop.Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    with loop.Stop(active=False) as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert not stop.asked


def test_lines_of_progress_come_now_and_then(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(loop.time, 'time', lambda: now[0])
    for _ in loop.steps(fake_run(), 6, save=list, save_every=9):
        now[0] += 9.0
    out = [line for line in capsys.readouterr().out.splitlines() if line.startswith('step')]
    assert out == ['step 3 of 6, 9.00 s each, 27 s left', 'step 6 of 6, 9.00 s each, 0 s left']


# --- the run ---

@pytest.fixture
def add():
    """A graph of one variable of 4 numbers and an op that adds 1 to it."""
    tf.reset_default_graph()
    weights = tf.get_variable('weights', [4], initializer=tf.zeros_initializer())
    return tf.assign_add(weights, tf.ones([4]))


def test_run_goes_on_from_its_newest_checkpoint_and_keeps_the_best(tmp_path, add):
    with runs.Run(str(tmp_path), ['loss'], keep=2) as run:
        for step, score in enumerate((None, 5.0, None, None, None), 1):
            run.session.run(add)
            run.step = step
            run.log({'loss': 1 / step})
            if score is not None:
                run.save_best(score, history=np.full(3, step, np.float32), extra=['b', step])
            else:
                run.save(history=np.full(3, step, np.float32), extra=['s', step])
    names = [os.path.basename(path) for path in checkpoints.whole(str(tmp_path))]
    assert names == ['step-000002', 'step-000004', 'step-000005']      # the best, and the newest
    assert checkpoints.best(str(tmp_path)).endswith('step-000002')
    os.makedirs(str(tmp_path / 'checkpoints/step-000009.partial'))     # of a kill: does not count
    with open(str(tmp_path / 'log.csv'), 'a') as file:
        file.write('6,9.9,1.0\n')                                      # a row that no step follows
    with runs.Run(str(tmp_path), ['loss']) as run:
        assert run.step == 5 and run.extra == ['s', 5] and run.best == {'step': 2, 'score': 5.0}
        np.testing.assert_array_equal(run.history, np.full(3, 5))
        np.testing.assert_array_equal(run.session.run('weights:0'), np.full(4, 5))
    rows = (tmp_path / 'log.csv').read_text().splitlines()
    assert [row.split(',')[0] for row in rows] == ['step', '1', '2', '3', '4', '5']
    assert rows[4].split(',')[2] == '0.25'


def test_a_log_of_an_earlier_version_goes_on_with_the_columns_of_now(tmp_path, add):
    with runs.Run(str(tmp_path), ['loss', 'gone', 'gap']) as run:
        for step in (1, 2):
            run.step = step
            run.log({'loss': step / 4, 'gone': 7, 'gap': 0.5})
            run.save()
    with runs.Run(str(tmp_path), ['loss', 'dimmed', 'gap']) as run:
        run.step = 3
        run.log({'loss': 1, 'dimmed': 0.25})
    rows = [row.split(',') for row in (tmp_path / 'log.csv').read_text().splitlines()]
    assert rows[0] == ['step', 'seconds', 'loss', 'dimmed', 'gap']
    assert [row[2:] for row in rows[1:]] == [['0.25', '', '0.5'], ['0.5', '', '0.5'],
                                             ['1', '0.25', '']]


def test_a_kill_between_checkpoint_and_its_mark_is_mended(tmp_path, add):
    with runs.Run(str(tmp_path), []) as run:
        run.step = 1
        run.save_best(3.0)
    (tmp_path / 'best.json').unlink()
    with runs.Run(str(tmp_path), []):
        pass
    assert files.read_json(str(tmp_path / 'best.json')) == {'step': 1, 'score': 3.0}


def test_what_is_not_finite_stops_the_run(tmp_path, add):
    with runs.Run(str(tmp_path), ['loss']) as run:
        with pytest.raises(UserError, match='diverged at step 0 .loss is not finite.*RUN_DIR'):
            run.log({'loss': float('nan')})
        run.may_overflow = ('_gradient',)
        run.check({'loss': 1.0, 'refiner_gradient': float('inf')})
        with pytest.raises(UserError, match='loss is not finite'):
            run.check({'loss': float('inf'), 'refiner_gradient': float('inf')})


def test_damaged_and_unlike_checkpoints_are_named(tmp_path, add):
    with runs.Run(str(tmp_path), []) as run:
        run.step = 1
        run.save()
    state = tmp_path / 'checkpoints/step-000001/state.json'
    whole = state.read_bytes()
    for damaged in (whole[:10], b'[]', whole.replace(b'1', b'"1"'), whole.replace(b'best', b'b')):
        state.write_bytes(damaged)
        with pytest.raises(UserError, match='step-000001 is damaged: remove it'):
            runs.Run(str(tmp_path), [])
    values = json.loads(whole.decode())
    for name, value in [
            ('step', 1.0), ('step', True), ('seconds', [1.0]), ('seconds', None),
            ('seconds', 1e300),
            ('best', []), ('best', {}), ('best', {'step': -5, 'score': 1.0}),
            ('best', {'step': 10 ** 30, 'score': 1.0}), ('best', {'step': 1, 'score': [1]}),
            ('best', {'step': 1, 'score': None}), ('best', {'step': 1, 'score': {'float': 'nan'}})]:
        state.write_text(json.dumps(dict(values, **{name: value})))
        with pytest.raises(UserError, match='step-000001 is damaged: remove it'):
            runs.Run(str(tmp_path), [])
    state.write_bytes(whole)
    history = tmp_path / 'checkpoints/step-000001/history.npy'
    for wrong in (np.zeros(3), np.full(3, np.nan, np.float32)):
        np.save(str(history), wrong)
        with pytest.raises(UserError, match='step-000001 is damaged: remove it'):
            runs.Run(str(tmp_path), [])
    np.save(str(history), np.zeros(0, np.float32))
    tf.reset_default_graph()
    tf.get_variable('weights', [5], initializer=tf.zeros_initializer())
    with pytest.raises(UserError, match='step-000001 does not fit these networks'):
        runs.Run(str(tmp_path), [])


@pytest.mark.parametrize('text', ['{}', '[]', '{"step": "2"}', '{"step": true}', '{'])
def test_a_damaged_mark_of_the_best_is_named_and_training_mends_it(tmp_path, add, text):
    with runs.Run(str(tmp_path), []) as run:
        run.step = 1
        run.save_best(3.0)
    (tmp_path / 'best.json').write_text(text)
    with pytest.raises(UserError, match='best.json.*: remove it; STAGE=train writes it anew'):
        checkpoints.best(str(tmp_path))
    with runs.Run(str(tmp_path), []):
        assert files.read_json(str(tmp_path / 'best.json')) == {'step': 1, 'score': 3.0}


def test_what_goes_by_a_checkpoints_name_and_is_none_is_named(tmp_path):
    for name in ('step-000001', 'step-abc', 'step-000002.partial', 'other'):
        (tmp_path / 'checkpoints' / name).mkdir(parents=True)
    with pytest.raises(UserError, match='step-abc is no checkpoint of a training: move it away'):
        checkpoints.newest(str(tmp_path))
    (tmp_path / 'checkpoints/step-abc').rmdir()
    assert len(checkpoints.whole(str(tmp_path))) == 1


@pytest.mark.parametrize('row', [b'x,1.0,0.5', b'1,1.0,much', b'\xff\xfe,1,2', b'1.5,1,2'])
def test_a_damaged_log_is_named_and_stays(tmp_path, add, row):
    with runs.Run(str(tmp_path), ['loss']) as run:
        run.step = 1
        run.log({'loss': 1.0})
        run.save()
    log = tmp_path / 'log.csv'
    log.write_bytes(log.read_bytes() + row + b'\n')
    before = log.read_bytes()
    with pytest.raises(UserError, match='log.csv is damaged .*remove it to go on with a new one'):
        runs.Run(str(tmp_path), ['loss'])
    assert log.read_bytes() == before
    log.unlink()
    with runs.Run(str(tmp_path), ['loss']) as run:
        assert run.step == 1


def test_events_are_those_of_tensorboard(tmp_path, add):
    for first in (1, 2):
        with runs.Run(str(tmp_path), ['loss']) as run:
            run.step = first
            run.log({'loss': first / 4})
            run.save()
    found = [event for name in sorted(os.listdir(str(tmp_path / 'events')))
             for event in tf.train.summary_iterator(str(tmp_path / 'events' / name))]
    told = {event.step: event.summary.value[0].simple_value
            for event in found if event.HasField('summary')}
    assert told == {1: 0.25, 2: 0.5}
    assert found[0].file_version == 'brain.Event:2' and found[0].wall_time > 0
    assert [event.step for event in found if event.HasField('session_log')] == [1]
    assert tf.GraphDef.FromString(found[1].graph_def).node


@contextlib.contextmanager
def full_disk(size):
    """No file may grow beyond so many bytes, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_a_disk_too_full_for_log_and_events_is_one_line(tmp_path, add):
    with runs.Run(str(tmp_path / 'a'), ['loss']) as run:
        log = tmp_path / 'a/log.csv'
        with full_disk(log.stat().st_size):
            with pytest.raises(UserError, match='log.csv cannot be written: File too large'):
                run.log({'loss': 1.0})
        size = os.path.getsize(run.events.path)
        with full_disk(size + 10):
            with pytest.raises(UserError, match='events.* cannot be written .File too large.'):
                run.log({'loss': 1.0})
    with full_disk(100):
        with pytest.raises(UserError, match='events.* cannot be written .*free some space'):
            runs.Run(str(tmp_path / 'b'), ['loss'])
    with runs.Run(str(tmp_path / 'b'), ['loss']) as run:             # nothing holds its lock
        run.log({'loss': 1.0})


def test_full_disk_leaves_the_checkpoint_before_it(tmp_path):
    """No file may grow beyond 20 kB, as on a disk that is full: one clear error."""
    tf.reset_default_graph()
    weights = tf.get_variable('weights', [40000], initializer=tf.zeros_initializer())
    add = tf.assign_add(weights, tf.ones([40000]))
    small = np.zeros(4, np.float32)
    with runs.Run(str(tmp_path), []) as run:
        for step in (1, 2):
            run.session.run(add)
            run.step = step
            if step == 2:
                with full_disk(20000):
                    with pytest.raises(UserError, match='step-000002 cannot be written.*free some'):
                        run.save(history=small, extra='two')
            else:
                run.save(history=small, extra='one')
    with runs.Run(str(tmp_path), []) as run:
        assert run.step == 1 and run.extra == 'one'
        np.testing.assert_array_equal(run.session.run(weights), np.ones(40000))


def test_sessions_refuse_fewer_threads_than_none():
    with pytest.raises(UserError, match='THREADS=-1'):
        sessions.open_session(-1)


# --- weights alone ---

def test_packed_weights_and_what_packing_refuses(tmp_path, add):
    run_dir, packed = str(tmp_path / 'run'), str(tmp_path / 'packed')
    with runs.Run(run_dir, []) as run:
        for step in (1, 2):
            run.session.run(add)
            run.step = step
            run.save()
    settings = {'WIDTH': 4, 'SEED': 1, 'OUTPUT': 'there'}
    for step in (1, 2):                                  # the second takes the first one's place
        with trained.Trained(checkpoints.path_of(run_dir, step), tf.global_variables(),
                             settings=settings) as network:
            assert network.step == step
            path = network.pack(packed, owner=claims.packing('x.py'), may_change=['OUTPUT'])
            digest = network.digest
            for refused in (run_dir, str(tmp_path)):
                with pytest.raises(UserError, match='holds a training run or other things.*OUTPUT'):
                    network.pack(refused, owner=claims.packing('x.py'), may_change=[])
    assert files.read_json(os.path.join(packed, 'made_by.json'))['NAMES'] == ['step-000002']
    assert checkpoints.whole(packed) == [path] and path.endswith('step-000002')
    assert checkpoints.is_packed(packed) and not checkpoints.is_packed(run_dir)
    assert trained.settings_of(packed, ['WIDTH'], script='x.py') == {'WIDTH': 4, 'SEED': 1}
    with pytest.raises(UserError, match='is no run of x.py'):
        trained.settings_of(packed, ['LENGTH'], script='x.py')
    config = os.path.join(packed, 'config.json')
    for name, value, words in [
            ('CHANNELS', 0, 'is 0: want from 1 to 1024'),
            ('CHANNELS', True, 'is True: want integer'),
            ('REFINER_CHANNELS', -1, 'is -1: want from'),
            ('REFINER_CHANNELS', 4.0, 'is 4.0: want integer'),
            ('CHANNELS', '12', "is '12'"), ('LEVELS', 40, 'is 40: want from 0 to 5'),
            ('BITS', 12, 'is 12: want 8 or 16'), ('BITS', True, 'is True'),
            ('STANDARDISE', 'x', "is 'x': want boolean"), ('STANDARDISE', 1, 'is 1')]:
        files.write_json(config, {'WIDTH': 4, name: value})
        with pytest.raises(UserError, match='config.json: %s %s.*: put back' % (name, words)):
            trained.settings_of(packed, ['WIDTH'], script='x.py')
    with trained.Trained(path, tf.global_variables(), settings={}) as network:
        assert network.digest == digest
        np.testing.assert_array_equal(network.session.run('weights:0'), np.full(4, 2))
    assert len(checkpoints.whole(run_dir)) == 2          # refused, and nothing was lost


def test_a_run_of_an_earlier_version_gives_its_weights_but_does_not_go_on(tmp_path, add):
    run_dir, packed = str(tmp_path / 'run'), str(tmp_path / 'packed')
    with runs.Run(run_dir, []) as run:
        run.session.run(add)
        run.step = 1
        run.save()
    checkpoint = checkpoints.newest(run_dir)
    state = os.path.join(checkpoint, 'state.json')
    os.rename(state, state.replace('.json', '.pickle'))
    with trained.Trained(checkpoint, tf.global_variables(), settings={}) as network:
        np.testing.assert_array_equal(network.session.run('weights:0'), np.full(4, 1))
        network.pack(packed, owner=REFINER, may_change=())
        with pytest.raises(UserError, match='holds a training run'):
            network.pack(run_dir, owner=REFINER, may_change=())
    with pytest.raises(UserError, match='step-000001 is of an earlier version.*train anew'):
        runs.Run(run_dir, [])
    assert checkpoints.newest(run_dir) == checkpoint and checkpoints.is_packed(packed)


def contents(folder):
    return {str(path): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture
def network(tmp_path, add):
    """A trained network of step 1, whose training tells a refiner's constants."""
    with runs.Run(str(tmp_path / 'run'), []) as run:
        run.session.run(add)
        run.step = 1
        run.save()
    with trained.Trained(checkpoints.path_of(str(tmp_path / 'run'), 1), tf.global_variables(),
                         settings={'REFINER_CHANNELS': 4}) as opened:
        yield opened


REFINER, SEGMENTER = [claims.packing(name) for name in ('2_mpgan.py', '3_segmentation.py')]


def packed_by(network, folder, *, owner, record=True):
    """Pack into a folder, as an earlier version did if not `record`; the whole folder's bytes."""
    network.pack(str(folder), owner=owner, may_change=())
    if not record:
        (folder / 'made_by.json').unlink()
    return contents(folder)


@pytest.mark.parametrize('record', [True, False])
def test_packed_weights_replace_those_of_their_own_script_alone(tmp_path, network, record):
    before = packed_by(network, tmp_path / 'kept', owner=REFINER, record=record)
    with pytest.raises(UserError, match='kept is a folder of .*give another OUTPUT'):
        network.pack(str(tmp_path / 'kept'), owner=SEGMENTER, may_change=())
    assert contents(tmp_path / 'kept') == before
    network.step = 2
    packed_by(network, tmp_path / 'kept', owner=REFINER)
    assert [checkpoints.step_of(path) for path in checkpoints.whole(str(tmp_path / 'kept'))] == [2]
    assert files.read_json(str(tmp_path / 'kept/made_by.json'))['NAMES'] == ['step-000002']


@pytest.mark.parametrize('mine', ['config.json', 'packed.json', 'checkpoints/step-000001/notes',
                                  'checkpoints/step-000007/model.index'])
def test_packed_weights_replace_no_files_of_others(tmp_path, network, mine):
    path = tmp_path / 'mine' / mine
    path.parent.mkdir(parents=True)
    path.write_text('{"my": 1}')
    with pytest.raises(UserError, match='mine.*give another'):
        network.pack(str(tmp_path / 'mine'), owner=REFINER, may_change=())
    assert list(contents(tmp_path / 'mine')) == [str(path)]


def test_no_checkpoint_that_came_later_is_replaced_by_packed_weights(tmp_path, network):
    for record in (False, True):                         # the second time over an older one's
        packed_by(network, tmp_path / 'kept', owner=REFINER, record=record)
    steps = tmp_path / 'kept/checkpoints'
    shutil.copytree(str(steps / 'step-000001'), str(steps / 'step-000009'))
    before = contents(tmp_path / 'kept')
    with pytest.raises(UserError, match='step-000009 was not made by this script'):
        network.pack(str(tmp_path / 'kept'), owner=REFINER, may_change=())
    assert contents(tmp_path / 'kept') == before


def test_a_kill_while_packed_weights_are_replaced_loses_none(tmp_path, network, monkeypatch):
    before = packed_by(network, tmp_path / 'kept', owner=REFINER)
    renames, rename = [], os.rename

    def killed(*paths):
        renames.append(paths)
        if len(renames) == 2:
            raise KeyboardInterrupt
        rename(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.os, 'rename', killed)
        patch.setattr(checkpoints, '_settle', lambda final: None)        # nothing is tidied up
        with pytest.raises(KeyboardInterrupt):
            network.pack(str(tmp_path / 'kept'), owner=REFINER, may_change=())
    assert checkpoints.whole(str(tmp_path / 'kept')) == []
    with full_disk(20):
        with pytest.raises(UserError, match='cannot be written'):        # and the next one fails
            checkpoints.write(str(tmp_path / 'kept'), 1, session=network.session,
                              saver=network.saver)
    assert contents(tmp_path / 'kept') == before


def test_weights_alone_are_not_trained_on(tmp_path, network):
    packed_by(network, tmp_path / 'kept', owner=REFINER)
    for name in (None, 'made_by.json', 'packed.json'):               # of earlier versions
        if name:
            (tmp_path / 'kept' / name).unlink()
        with pytest.raises(UserError, match='kept holds weights alone.* give another RUN_DIR'):
            checkpoints.check_trainable(str(tmp_path / 'kept'))
    for folder in ('run', 'new'):
        checkpoints.check_trainable(str(tmp_path / folder))


# --- batches made ahead ---

def test_streams_number_their_batches_and_name_a_file_that_breaks(tmp_path):
    tf.reset_default_graph()

    def draw(number):
        if number == 9:
            raise OSError('truncated')
        return [np.full((2, 3), number, np.float32)]

    stream = streams.Stream(draw, [[None, 3]], name='some.h5')
    tf.get_variable('weights', [1], initializer=tf.zeros_initializer())
    with runs.Run(str(tmp_path), []) as run:
        for first in (5, 7):                             # started anew anywhere
            run.start(stream, first)
            assert [run.update(stream.tensors[0], {})[0, 0] for _ in range(2)] == [first, first + 1]
        with pytest.raises(UserError, match='some.h5 cannot be read .truncated.: make it anew'):
            run.update(stream.tensors[0], {})
