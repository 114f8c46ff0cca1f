"""Locks of folders: one process at a time, freed by its end, however it ends."""
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from utils.common import locks
from utils.common.errors import UserError

HOLD = """
import sys
from utils.common import locks
with locks.hold(sys.argv[1], purpose='training'):
    print('held', flush=True)
    sys.stdin.read()
"""


def holder(folder):
    """A process that holds a folder until its input ends."""
    process = subprocess.Popen([sys.executable, '-c', HOLD, str(folder)], cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'held\n'
    return process


@pytest.mark.parametrize('end', [signal.SIGKILL, None])
def test_the_second_process_is_refused_until_the_first_has_ended(tmp_path, end):
    folder = tmp_path / 'run'
    first = holder(folder)
    try:
        with pytest.raises(UserError) as error:
            with locks.hold(str(folder), purpose='training'):
                pass
        words = str(error.value)
        assert words.startswith('%s is in use: process %d on ' % (folder, first.pid))
        assert 'is training in it' in words and '\n' not in words
    finally:
        first.send_signal(end) if end else first.stdin.close()
        first.wait()
    with locks.hold(str(folder), purpose='training'):
        assert (folder / '.lock').read_text().startswith('%d on ' % os.getpid())


def test_blocks_of_one_process_lie_in_each_other_and_hold_to_the_last(tmp_path):
    def refused():
        done = subprocess.run([sys.executable, '-c', HOLD, str(tmp_path)], cwd=ROOT,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return b'is in use: process %d' % os.getpid() in done.stderr

    with locks.hold(str(tmp_path), purpose='training'):
        with locks.hold(str(tmp_path), purpose='training'):
            pass
        assert refused()
    assert not refused()


def test_a_file_system_without_locks_is_told_and_nobody_is_kept_out(tmp_path, monkeypatch, capsys):
    def none(*_):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr(locks.fcntl, 'lockf', none)
    with locks.hold(str(tmp_path), purpose='training'):
        pass
    assert 'warning: %s cannot be locked (No locks available)' % tmp_path in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='file/run/.lock cannot be written'):
        with locks.hold(str(tmp_path / 'file/run'), purpose='training'):
            pass
