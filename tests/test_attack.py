"""The attack finds what breaks a promise: planted scripts that do, and one that does not."""
import os
import signal
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, ROOT)

from tests.attack import __main__ as attack      # noqa: E402
from tests.attack import cases, compare, fuzz, inputs, races, runner, storm    # noqa: E402

from utils.common import errors                  # noqa: E402
from utils.common.errors import UserError        # noqa: E402

HONEST = "import sys; sys.stderr.write('error: bad.tif is cut short\\n'); sys.exit(1)"
# what a script does -> what is to be found
PLANTED = {
    "print('done')": 'exit 0',
    "raise KeyError('a')": 'a traceback',
    "import os; os.kill(os.getpid(), 9)": 'crash',
    "import os; os.remove('good.tif'); raise SystemExit('error: bad.tif')": 'lost',
    "open('good.tif', 'w').write('x'); raise SystemExit('error: bad.tif')": 'lost or changed',
    "open('x.partial.tif', 'w'); raise SystemExit('error: bad.tif')": 'temporary files',
    "open('x.mpgan-0-1.partial', 'w'); raise SystemExit('error: bad.tif')": 'temporary files',
    "raise SystemExit('error: other.tif is bad')": 'not said: bad.tif',
    "raise SystemExit('error: bad.tif\\nerror: bad.tif')": '2 error lines',
    "raise SystemExit('hello\\nerror: bad.tif')": 'another line',
    "raise SystemExit(1)": 'no error line',
    "import time; time.sleep(60)": 'did not end',
    "import os, time; os.fork() or time.sleep(60); raise SystemExit('error: bad.tif')": 'stayed'}


@pytest.fixture
def script(tmp_path):
    """Writes a script: function (text) -> its path."""
    def write(text):
        (tmp_path / 'script.py').write_text(text + '\n')
        return str(tmp_path / 'script.py')
    return write


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Processes that stay are not waited for."""
    monkeypatch.setattr(runner.orphans_of, '__defaults__', (0.2,))


def tried(path, place, **options):
    """What a case of a script breaks, which finds good.tif and is to name bad.tif."""
    case = cases.Case('planted', path, [], lambda place, rng: inputs.put(
        os.path.join(place, 'good.tif'), 'good'), ('bad.tif',), **options)
    return cases.run(case, base='', place=str(place / 'place'), rng=None, limit=1.5)


def test_an_honest_script_breaks_nothing(script, tmp_path):
    assert tried(script(HONEST), tmp_path) == []
    assert not (tmp_path / 'place').exists()
    assert tried(script("print('bad.tif is good')"), tmp_path, good=True) == []


@pytest.mark.parametrize('text', sorted(PLANTED))
def test_every_broken_promise_is_found(text, script, tmp_path):
    if 'fork' in text and not os.path.isdir('/proc/self'):
        pytest.skip('no /proc')
    broken = tried(script(text), tmp_path)
    assert any(PLANTED[text] in problem for problem in broken), broken


def test_what_has_to_succeed_and_a_check_are_judged(script, tmp_path):
    assert any('has to succeed' in problem
               for problem in tried(script(HONEST), tmp_path, good=True))
    assert tried(script(HONEST), tmp_path, check=lambda place: 'code was run') == ['code was run']


def test_a_process_is_killed_and_says_what_it_said(tmp_path):
    def talk():
        print('begun', flush=True)
        time.sleep(60)
    process = runner.Process(talk, cwd=tmp_path)
    time.sleep(0.3)
    assert not process.ended()
    os.kill(process.pid, signal.SIGKILL)
    outcome = process.wait()
    assert (outcome.status, outcome.out) == (-9, 'begun\n')


def test_a_process_that_hangs_says_where(tmp_path):
    outcome = runner.Process(hang, cwd=tmp_path).wait(0.3)
    assert outcome.status is None and ' in hang\n' in outcome.err


def hang():
    time.sleep(60)


def test_a_storm_says_where_a_signal_found_a_deaf_process(script, tmp_path, monkeypatch):
    monkeypatch.setattr(storm, 'POLITE', 0.5)
    text = 'import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)'
    work = storm.Work('deaf', script(text), [], (), 'out')
    hit, broken = storm.disturb(work, signal.SIGINT, place=str(tmp_path), delay=0.5)
    assert hit and 'SIGINT did not end it' in broken[0] and 'script.py' in broken[0]


# --- storm and races ---

# makes three files, each whole or not at all, unless it forgets how
STEADY = '''
import os, time
os.makedirs('out', exist_ok=True)
%s
for i in range(3):
    if not os.path.exists('out/%%d' %% i):
        time.sleep(0.1)
        open('out/part', 'w').write(str(i))
        os.rename('out/part', 'out/%%d' %% i)
'''
FORGETFUL = '''
seen = os.path.exists('out/seen')
open('out/seen', 'w').close()
if seen:
    open('out/2', 'w').write('of another run')
'''


def stormed(path, tmp_path):
    """Report of four kills of a script that writes out/."""
    work, report = storm.Work('planted', path, [], (), 'out'), storm.Report()
    (tmp_path / 'killed').mkdir()
    quiet = storm.quiet_run(work, report, base='', folder=str(tmp_path))
    storm.one_round(work, quiet._replace(seconds=0.25), place=str(tmp_path / 'killed'),
                    rng=np.random.default_rng(0), report=report, most=2)
    return report


def test_a_storm_tells_equal_results_from_others(script, tmp_path):
    steady = stormed(script(STEADY % ''), tmp_path)
    assert steady.kills > 0 and not steady.unequal
    assert not steady.broken


def test_ctrl_c_outside_of_a_script_s_main_is_as_python_prints_it(script, tmp_path):
    text = 'from utils.common import errors; raise KeyboardInterrupt'
    assert runner.run(script(text), [], cwd=tmp_path).err == errors.STOPPED + '\n'


def test_a_storm_finds_results_that_a_kill_changed(script, tmp_path):
    forgetful = stormed(script(STEADY % FORGETFUL), tmp_path)
    assert len(forgetful.unequal) == 1 and '2' in forgetful.unequal[0]


def test_a_race_finds_a_second_training_that_is_not_refused(script, tmp_path):
    path = script("import os, time\nos.makedirs('out', exist_ok=True)\n"
                  "open('out/log.csv', 'a').write('x')\ntime.sleep(0.2)")
    work = storm.Work('train the segmenter', path, [], (), 'out')
    broken = races.race(work, None, place=str(tmp_path), delay=0)
    assert broken == ['the second training was not refused']


# --- what files hold ---

def test_results_are_compared_by_what_they_hold(tmp_path):
    for name, seconds, loss in (('a', 1.0, 0.5), ('b', 2.0, 0.5), ('c', 1.0, 0.6)):
        inputs.put(str(tmp_path / name / 'log.csv'), 'step,seconds,loss\n1,%s,%s\n'
                   % (seconds, loss))
        inputs.hdf5(str(tmp_path / name / 'p.h5'), image=np.full((2, 2), loss))
        inputs.put(str(tmp_path / name / 'events/e1'), name)
    a, b, c = [compare.results(str(tmp_path / name)) for name in 'abc']
    assert compare.unequal(a, b) == [] and compare.unequal(a, c) == ['log.csv', 'p.h5']
    before = compare.bytes_in(tmp_path)
    (tmp_path / 'a/log.csv').write_text('')
    (tmp_path / 'b/p.h5').unlink()
    assert compare.lost(before, tmp_path) == [os.path.join('a', 'log.csv'),
                                              os.path.join('b', 'p.h5')]


# --- fuzz ---

def test_mutations_repeat_and_change_something():
    data = bytes(range(256)) * 4
    first = [fuzz.mutate(data, np.random.default_rng([1, i])) for i in range(50)]
    assert first == [fuzz.mutate(data, np.random.default_rng([1, i])) for i in range(50)]
    assert sum(one != data for one in first) > 45 and len(set(first)) > 45


def raises(error):
    def read(path):
        raise error
    return read


@pytest.mark.parametrize('error, said', [
    (UserError('bad.tif is cut short'), ''), (MemoryError(), ''), (KeyError('a'), 'KeyError'),
    (AssertionError('radii descend'), 'taken, but'), (SystemExit(0), 'SystemExit'),
    (UserError('two\nlines'), 'several lines')])
def test_readers_may_raise_user_errors_alone(error, said):
    found = fuzz.attempt(raises(error), 'bad.tif')
    assert said in found and bool(said) == bool(found)


# --- the matrix ---

def test_the_matrix_is_large_and_its_names_are_unlike():
    bad, good = attack.matrix()
    names = [case.name for case in bad + good]
    assert len(bad) >= 150 and len(set(names)) == len(names)
    for script in runner.SCRIPTS:
        assert sum(case.script == script for case in bad) >= 4, script


def test_few_cases_are_drawn_from_all_scripts_by_the_seed():
    values = attack.constants(['SHORT=True', 'SEED=5'])
    one, again = attack.chosen_cases(values), attack.chosen_cases(values)
    assert len(one) == 60 and [case.name for case in one] == [case.name for case in again]
    assert {case.script for case in one} == set(runner.SCRIPTS)
    with pytest.raises(SystemExit, match='KILL=3'):
        attack.constants(['KILL=3'])
