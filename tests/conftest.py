"""Shared fixtures: the scripts run as a user runs them, small data, the real data if it is there."""
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)


def run_script(name, *arguments, cwd, **environment):
    """Run a numbered script in a folder, with these environment variables; (exit status, standard output and error)."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, name)] + list(arguments), cwd=str(cwd), env=dict(os.environ, **environment),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope='session')
def shared():
    """The folder of real data beside the checkout; tests that need it skip without."""
    path = os.path.join(os.path.dirname(ROOT), 'shared', 'data')
    if not os.path.isdir(path):
        pytest.skip('real data is not at hand')
    return path
