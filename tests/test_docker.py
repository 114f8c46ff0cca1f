"""docker/: what can be checked of the Dockerfiles without Docker."""
import glob
import os
import re
import subprocess

import pytest
from conftest import ROOT

DOCKERFILES = sorted(glob.glob(os.path.join(ROOT, 'docker', '*.Dockerfile')))
KNOWN = {'ARG', 'FROM', 'RUN', 'WORKDIR', 'COPY', 'ENV', 'USER', 'CMD'}
GENERATED = {'data', 'runs', 'results'}
# TensorFlow's table of tested builds: CUDA, cuDNN
BUILDS = {'1.15.0': ('10.0', '7'), '2.15.1': ('12.2', '8')}


def instructions(path):
    """(name, argument) of each instruction; lines that go on are joined, comments left out."""
    with open(path, encoding='utf-8') as file:
        lines = [line for line in file.read().split('\n') if not line.lstrip().startswith('#')]
    joined = re.sub(r'\\\n\s*', ' ', '\n'.join(lines))
    return [tuple(line.split(None, 1)) for line in joined.split('\n') if line.strip()]


def arguments(path, name):
    return [argument for own, argument in instructions(path) if own == name]


def test_there_is_one_for_each_runtime():
    assert [os.path.basename(path) for path in DOCKERFILES] == ['tf1.Dockerfile', 'tf2.Dockerfile']


@pytest.mark.parametrize('path', DOCKERFILES)
def test_instructions_are_known_and_in_order(path):
    names = [name for name, _ in instructions(path)]
    assert set(names) <= KNOWN and names[:2] == ['ARG', 'FROM'] and names.count('FROM') == 1
    assert names[-2:] == ['USER', 'CMD'] and arguments(path, 'USER') == ['1000:1000']   # not root
    assert all(re.match(r'\["[^"]+"(, "[^"]+")*\]$', one) for one in arguments(path, 'CMD'))


@pytest.mark.parametrize('path', DOCKERFILES)
def test_what_is_copied_exists_and_nothing_is_missing(path):
    copied = set()
    for argument in arguments(path, 'COPY'):
        *sources, target = argument.split()
        assert target == './' or [target] == sources, argument       # folders keep their names
        for source in sources:
            found = glob.glob(os.path.join(ROOT, source))
            assert found, '%s: no %s' % (path, source)
            copied |= {os.path.basename(one) for one in found}
    here = {name for name in os.listdir(ROOT) if not name.startswith(('.', '__'))}
    assert here - GENERATED <= copied


@pytest.mark.parametrize('path', DOCKERFILES)
def test_commands_are_shell_and_leave_no_package_lists(path):
    for command in arguments(path, 'RUN'):
        done = subprocess.run(['sh', '-n', '-c', command], stderr=subprocess.PIPE)
        assert done.returncode == 0, (command, done.stderr)
        if 'apt-get' in command:
            steps = [step.strip() for step in command.split('&&')]
            assert 'apt-get update' in steps and 'rm -rf /var/lib/apt/lists/*' == steps[-1]
            installs, = [step for step in steps if 'apt-get install' in step]
            assert ' -y ' in installs and '--no-install-recommends' in installs


@pytest.mark.parametrize('path', DOCKERFILES)
def test_versions_are_those_of_the_requirements(path):
    """The Python named takes the TensorFlow that the base image's CUDA is for."""
    from packaging.requirements import Requirement
    python, = {found for command in arguments(path, 'RUN')
               for found in re.findall(r'PYTHON=python(\S+)', command)}
    install = ' '.join(arguments(path, 'RUN'))
    assert ' python%s ' % python in install and ' python%s-venv ' % python in install
    with open(os.path.join(ROOT, 'requirements.txt'), encoding='utf-8') as file:
        lines = [line.split('#')[0].strip() for line in file]
    wanted = [Requirement(line) for line in lines if line]
    version, = [str(one.specifier)[2:] for one in wanted if one.name.startswith('tensorflow')
                and one.marker.evaluate({'python_version': python})]
    base, = arguments(path, 'ARG')
    image = re.match(r'BASE=nvidia/cuda:(\d+\.\d+)(?:\.\d+)?-cudnn(\d+)-runtime-', base)
    assert image.groups() == BUILDS[version] and arguments(path, 'FROM') == ['${BASE}']
    with open(os.path.join(ROOT, 'docs', 'machines.md'), encoding='utf-8') as file:
        assert '`%s`' % base.split('=')[1] in file.read()
