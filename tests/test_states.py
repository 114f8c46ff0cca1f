"""States of checkpoints: what goes in comes out, and what they hold is never run."""
import json
import os
import pickle

import numpy as np
import pytest

from tests.attack.cases_runs import CRASH
from utils.common.errors import UserError
from utils.train import history, states


def same(a, b):
    """True if two values are equal, types of containers included."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and (a == b or a != a)


STATE = {
    'step': 7, 'seconds': 0.1 + 0.2, 'best': None, 'big': 2 ** 127 + 1,
    'text': 'é"\n', 'yes': True,
    'extra': [(3, {'a': [1, (2, -0.0)]}), float('inf'), float('nan'), {1: 'one', (2, 'x'): 'two'}],
    'tuple': {'tuple': [1]}, 'arrays': [np.arange(6, dtype=np.uint32).reshape(2, 3), np.zeros(0)],
    'generator': np.random.default_rng(3).bit_generator.state,
    'legacy': np.random.RandomState(3).get_state(legacy=False)}


def test_a_state_comes_back_as_it_was(tmp_path):
    states.write(str(tmp_path), STATE)
    assert same(STATE, states.read(str(tmp_path)))
    with open(str(tmp_path / 'state.json')) as file:     # readable, and all of it JSON
        assert json.load(file, parse_constant=pytest.fail)['step'] == 7
    assert {path.suffix for path in tmp_path.iterdir()} == {'.json', '.npy'}


def test_numbers_of_numpy_become_pythons(tmp_path):
    states.write(str(tmp_path), {'score': np.float32(0.1), 'step': np.int64(3), 'no': np.bool_(0)})
    found = states.read(str(tmp_path))
    assert found == {'score': float(np.float32(0.1)), 'step': 3, 'no': False}
    assert list(map(type, found.values())) == [float, int, bool]


@pytest.mark.parametrize('wrong', [
    object(), {1, 2}, b'bytes', np.array([object()]), np.array(['text']), 1j, os.system])
def test_anything_else_is_refused_as_it_is_saved(tmp_path, wrong):
    with pytest.raises(TypeError, match='a checkpoint holds numbers, texts.*not'):
        states.write(str(tmp_path), {'extra': [{'a': (wrong,)}]})
    assert not list(tmp_path.iterdir())


def test_a_random_state_goes_on_where_it_was(tmp_path):
    rng = np.random.default_rng(5)
    buffer = history.History(4, rng)
    buffer.mix(np.zeros((3, 2), np.float32))
    states.write(str(tmp_path), {'extra': buffer.state()[1]})
    other = history.History(4, np.random.default_rng(9))
    other.restore(buffer.state()[0], states.read(str(tmp_path))['extra'])
    assert list(rng.integers(2 ** 60, size=5)) == list(other.rng.integers(2 ** 60, size=5))


# --- what is not read ---

class Runs:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('content', [
    pickle.dumps({'step': 1}), b'', b'garbage', pickle.dumps(Runs(os.mkdir, ('ran',))),
    CRASH])
def test_a_state_of_an_earlier_version_is_told_and_not_opened(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'step-000003'
    folder.mkdir()
    path = folder / 'state.pickle'
    path.write_bytes(content)
    assert states.exists(str(folder))                    # packing does not write over it
    opened = []
    monkeypatch.setattr('builtins.open', lambda *names, **_: opened.append(names))
    with pytest.raises(UserError) as error:
        states.read(str(folder))
    monkeypatch.undo()
    assert str(error.value) == (
        '%s is of an earlier version, whose state.pickle is not read: use it to refine, predict '
        'or pack, or train anew in another RUN_DIR' % folder)
    assert not opened and not (tmp_path / 'ran').exists()
    states.write(str(folder), {'step': 8})               # the state of now goes before it
    assert states.read(str(folder)) == {'step': 8}


@pytest.mark.parametrize('text', [
    '', '{', '[]', 'null', '{"a": {"float": "x"}}', '{"a": {"float": 1%s}}' % ('0' * 400),
    '{"a": {"dict": [1]}}', '{"a": {"array": 3}}', '{"a": {"array": "gone.npy"}}', '[' * 99999])
def test_a_damaged_state_is_one_line(tmp_path, text):
    (tmp_path / 'state.json').write_text(text)
    with pytest.raises(UserError, match='is damaged: remove it to go on from'):
        states.read(str(tmp_path))


def test_arrays_of_objects_and_of_absurd_size_are_refused(tmp_path):
    path = str(tmp_path / 'a.npy')
    np.save(path, np.array([Runs(os.system, ('touch ran',))], object), allow_pickle=True)
    with pytest.raises(ValueError):
        states.read_array(path)
    np.save(path, np.zeros(100))
    with open(path, 'rb') as file:
        head = file.read()
    for wrong in (head[:-8], head.replace(b'(100,)', b'(9' + b'9' * 12 + b',)')):
        with open(path, 'wb') as file:
            file.write(wrong)
        with pytest.raises((ValueError, OSError)):
            states.read_array(path)


def test_parts_that_do_not_fit_the_history_are_no_state():
    with pytest.raises(ValueError):
        history.share(np.zeros((3, 2)), [(2, None)], rank=0, size=1)
