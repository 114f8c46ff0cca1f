"""Tracers that peers.py compares: this project's, and programs of other environments."""
import os
import subprocess
import time

import numpy as np

from utils.common import config, files
from utils.common.errors import UserError
from utils.data import swc
from utils.trace import tracing
from utils.trace.settings import Settings

HERE = os.path.dirname(os.path.abspath(__file__))


def own(case, *, evidence):
    """(tree or None, seconds of one core) of this project; evidence: uint8, 255 certain."""
    cfg = config.load(('configs/reconstruction.py', 'configs/otsu.py'), [])
    begun = time.process_time()
    try:
        tree = tracing.trace(evidence, (1.0, 1.0, 1.0), settings=config.pick(cfg, Settings),
                             low=cfg.LOW, high=cfg.HIGH, name=case.name)
    except UserError:                                           # nothing to trace
        tree = None
    return tree, time.process_time() - begun


def peer(cases, command, *, method, args, folder):
    """Trees by a program of another environment, which prints a line for each mask.

    Args:
        cases: of peers.Case; command: list, to which masks and targets are added; args: SECONDS.

    Returns:
        list of (tree, seconds of one core), (None, None) where there is no tree, which is said.
    """
    targets = [os.path.join(folder, '%s.%s.swc' % (case.name, method)) for case in cases]
    paths = []
    for case, target in zip(cases, targets):
        files.remove(target)
        paths += [os.path.join(folder, case.name + '.npy'), target]
        np.save(paths[-2], case.mask)
    limit = args.SECONDS * len(cases)
    try:
        done = subprocess.run(command + paths, timeout=limit, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        said, why = done.stdout, (done.stderr.decode(errors='replace').splitlines()
                                  or ['it said nothing'])[-1]
    except subprocess.TimeoutExpired as error:
        said, why = error.stdout or b'', 'not done in %d s' % limit
    lines = said.decode(errors='replace').splitlines()
    lines += ['failed: ' + why] * (len(cases) - len(lines))
    return [read_result(target, line) for target, line in zip(targets, lines)]


def read_result(target, line):
    """(tree, seconds) by the line that a peer's program printed; (None, None) without a tree."""
    try:
        return swc.read(target), float(line)
    except (UserError, ValueError) as error:
        print('%s: no tree: %s' % (os.path.basename(target),
                                   line if line.startswith('failed') else error), flush=True)
        return None, None


def commands(args):
    """{name: command} of those whose environment is there."""
    programs = {'Rivulet2': (args.RIVULET, '_rivulet.py', ()),
                'skan': (args.SKELETONS, '_skeletons.py', ('skan',)),
                'kimimaro': (args.SKELETONS, '_skeletons.py', ('kimimaro',))}
    found = {}
    for name, (python, program, more) in programs.items():
        if os.path.exists(python):
            found[name] = [python, os.path.join(HERE, program)] + list(more)
        else:
            print('%s left out: no %s (docs/reconstruction.md says how to make it)'
                  % (name, python))
    return found
