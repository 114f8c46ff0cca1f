"""Ctrl-C at odd moments: in workers, where nothing can be raised, while Python ends."""
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from conftest import ROOT

from utils.common import errors

STOPPED = errors.STOPPED + '\n'
BEGIN = """
import os, signal, sys, time
sys.path.insert(0, %r)
__file__ = %r                    # a script of the project
from utils.common import errors
""" % (ROOT, os.path.join(ROOT, 'script.py'))
# with one piece one worker is at work and the other waits for some, with more some wait
POOL = BEGIN + '''
from utils.common import workers
def work(name):
    open(name, 'w').close()
    time.sleep(60)
def main():
    with workers.pool(2, most=2) as submit:
        [submit(work, 'begun') for i in range(PIECES)][0]()
if __name__ == '__main__':
    errors.run(main)
'''
HALF_MADE = BEGIN + '''
class Half:
    def __init__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
        self.whole = True
    def __del__(self):
        self.whole
errors.run(Half)
'''
TAKEN_DOWN = BEGIN + '''
class Taken:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
def main():
    Taken()
    time.sleep(60)
errors.run(main)
'''
ENDS = BEGIN + '''
import atexit
atexit.register(lambda: (os.kill(os.getpid(), signal.SIGINT), time.sleep(60)))
errors.run(lambda: print('done'))
'''


def started(tmp_path, text):
    """A script of this text, in a process group of its own."""
    (tmp_path / 'script.py').write_text(text)
    return subprocess.Popen(
        [sys.executable, 'script.py'], cwd=str(tmp_path), preexec_fn=os.setsid,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


@pytest.mark.parametrize('pieces', [1, 50])
def test_workers_do_not_hear_ctrl_c_and_end_with_the_parent_that_does(tmp_path, pieces):
    text, until = POOL.replace('PIECES', str(pieces)), time.time() + 20
    process = started(tmp_path, text)
    while not (tmp_path / 'begun').exists() and time.time() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)                # as a terminal does: all of the group
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, STOPPED)


def test_ctrl_c_while_an_ignored_one_is_told_is_sent_again(monkeypatch):
    """Python 3.7 tells of it by standard error, and drops what is raised there."""
    sent = []
    monkeypatch.setattr(errors, '_send_again', lambda: sent.append(1))
    monkeypatch.setattr(errors, '_seen', set())
    monkeypatch.setattr(sys, 'stderr', errors._Mute(sys.stderr))
    inside = SimpleNamespace(f_code=errors._Mute.write.__code__)
    assert errors.on_interrupt(signal.SIGINT, inside) is None and sent == [1]
    with pytest.raises(KeyboardInterrupt):
        errors.on_interrupt(signal.SIGINT, sys._getframe())
    assert sent == [1] and errors._seen == {'pressed'}


@pytest.mark.parametrize('text', [TAKEN_DOWN, HALF_MADE])
def test_ctrl_c_where_nothing_can_be_raised_is_one_line(tmp_path, text):
    process = started(tmp_path, text)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, STOPPED)


def test_ctrl_c_while_python_ends_says_nothing(tmp_path):
    process = started(tmp_path, ENDS)
    assert process.communicate(timeout=20) == ('done\n', '')
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize('lose', [
    'raise ImportError("failed")',                       # by C code, in place of Ctrl-C
    'sys.excepthook(*found)\n    raise ImportError("failed") from None',
    'errors.run(lambda: print("goes on"))'])
def test_ctrl_c_that_a_library_loses_while_it_is_loaded_is_one_line(tmp_path, lose):
    text = BEGIN + """
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    found = sys.exc_info()
if True:
    %s
""" % lose
    process = started(tmp_path, text)
    assert process.communicate(timeout=20) == ('', STOPPED) and process.returncode == 1


def test_another_program_that_imports_modules_keeps_its_own_ctrl_c(tmp_path):
    text = BEGIN.replace("__file__ =", "name =") + """
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    print('caught', signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
1 / 0
"""
    process = started(tmp_path, text)
    out, err = process.communicate(timeout=20)
    assert out == 'caught True\n' and 'ZeroDivisionError' in err and 'Traceback' in err


def test_an_environment_inside_the_project_is_another_program(tmp_path):
    inside = os.path.join(ROOT, '.venv-tf2', 'bin', 'pytest')
    process = started(tmp_path, BEGIN.replace(repr(os.path.join(ROOT, 'script.py')), repr(inside))
                      + 'print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)')
    assert process.communicate(timeout=20) == ('True\n', '')


def test_nothing_but_the_line_is_written_after_ctrl_c(tmp_path):
    text = BEGIN + """
import threading
def main():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    finally:
        thread = threading.Thread(target=lambda: 1 / 0)      # Python prints its traceback
        thread.start()
        thread.join()
errors.run(main)
"""
    process = started(tmp_path, text)
    assert process.communicate(timeout=20) == ('', STOPPED) and process.returncode == 1


@pytest.mark.parametrize('method', ['forkserver', 'spawn', 'fork'])
def test_workers_work_whatever_way_a_program_begins_its_processes(tmp_path, method):
    text = BEGIN + """
import multiprocessing
from utils.common import workers
if __name__ == '__main__':
    multiprocessing.set_start_method(%r)
    with workers.pool(2, most=4) as submit:
        print([result() for result in [submit(abs, -i) for i in range(4)]])
""" % method
    process = started(tmp_path, text)
    assert process.communicate(timeout=60) == ('[0, 1, 2, 3]\n', '')


def test_ctrl_c_ends_the_workers_and_no_other_child(tmp_path):
    text = POOL.replace('PIECES', '2').replace('def main():', """
def main():
    import multiprocessing
    global other
    other = multiprocessing.Process(target=time.sleep, args=(60,))
    other.start()""").replace("errors.run(main)", """
    try:
        main()
    except KeyboardInterrupt:
        time.sleep(0.5)
        print(other.is_alive(), len(__import__('multiprocessing').active_children()), flush=True)
        other.terminate()""")
    process, until = started(tmp_path, text), time.time() + 20
    while not (tmp_path / 'begun').exists() and time.time() < until:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert process.communicate(timeout=20)[0] == 'True 1\n'
