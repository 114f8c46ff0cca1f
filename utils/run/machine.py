"""The machine: whether TensorFlow sees a GPU, cores, and its speed against a measured one.

Both speeds are wall time while other jobs run, if there are any: they will go on, it is supposed.
"""
import glob
import os
import subprocess
import sys
import time
from typing import NamedTuple, Optional

import numpy as np
from scipy import ndimage

from utils.common.config import ROOT

DEVICES = '/dev/nvidia[0-9]*', '/dev/dxg', '/dev/kfd'    # of NVIDIA, WSL, AMD
ASKED = 120                  # seconds that TensorFlow may take to start
REFERENCE = 0.6              # seconds of _work on the machine that estimate.RATES were measured on,
                             # other jobs running
STEP = {False: 0.034, True: 0.248}       # seconds of a step of utils/train/probe.py there, on one
                             # core without other jobs: TensorFlow 2.15, 1.15
TIMES = 5                    # that it is timed; the median counts: others may be at work now
LINES = {True: 'TensorFlow sees %d GPU(s)', False: 'there is a GPU, but TensorFlow does not see it '
         '(README, Hardware): the CPU edition', None: 'no GPU in this machine: the CPU edition'}


class Machine(NamedTuple):
    """What the scripts run on."""
    gpus: int                # that TensorFlow sees
    said: str                # words about it
    cores: float             # that this process may use, less those that are busy, at least one
    slowness: float          # time that one core takes, over the reference's
    old: bool                # TensorFlow 1.15, whose convolutions are slower
    network: Optional[float] = None      # time that a step of a network takes with all that is free
                             # here, over that of one core of the reference and the same version of
                             # TensorFlow; None: not measured


def describe():
    """Machine: asks TensorFlow, in a process of its own, only where there is a device at all."""
    there = any(glob.glob(pattern) for pattern in DEVICES)
    count = gpus() if there else 0
    said = LINES[True] % count if count else LINES[False if there else None]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    free = max(1.0, (cores or 1) - os.getloadavg()[0])
    old = sys.version_info < (3, 8)
    return Machine(count, said, free, slowness(), old, None if count else network(old))


def gpus():
    """How many GPUs TensorFlow sees; 0 if it cannot be asked."""
    said = _asked('utils.train.devices')
    return int(said) if said else 0


def network(old):
    """How many times as long as on the reference's one core a step of a network takes; or None.

    Args:
        old: whether this is TensorFlow 1.15.
    """
    said = _asked('utils.train.probe')
    return float(said) / STEP[old] if said else None


def _asked(module):
    """The number that a module prints, text; '' if it cannot be asked, or takes too long."""
    try:
        done = subprocess.run([sys.executable, '-m', module], cwd=ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=ASKED)
        said = done.stdout.split()[-1].decode('ascii')
        float(said)
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return ''
    return said


def slowness():
    """How many times as long as on the reference machine one core takes, float; some 3 s."""
    seconds = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        _work()
        seconds.append(time.perf_counter() - begun)
    return sorted(seconds)[TIMES // 2] / REFERENCE


def _work():
    """What the steps mostly do: smoothing in 3-D, and products of matrices by one thread."""
    image = np.arange(2000000, dtype=np.float32).reshape(125, 125, 128) % 251
    for _ in range(3):
        ndimage.gaussian_filter(image, 1.5, output=image)
    return image
