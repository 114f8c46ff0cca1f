"""A tiny folder as steps 0 and 1 leave it, and scripts run in it, for the tests of the refiner.

As a program, `training_data.py SCRIPT ARGUMENTS`, it runs a script with small_networks and
without_pictures.
"""
import contextlib
import os
import runpy
import sys
from types import SimpleNamespace

import numpy as np
from matplotlib import figure
from conftest import ROOT, quiet_tensorflow, run_script

from models import layers, refiner
from utils.data import patches, stacks
from utils.draw import training
from utils.train import domains, reports
from utils.train import refiner as trained

SHAPE, WINDOW, VOXEL_SIZE = (16, 40, 36), (12, 24, 24), (2.0, 1.0, 1.0)

# 2_mpgan.py with the smallest networks that pass a draft on
TRAIN = ['STAGE=train', 'REFINER_CHANNELS=4', 'DISCRIMINATOR_CHANNELS=2', 'MAX_STEPS=4',
         'DISCRIMINATOR_FIRST=1', 'REFINER_UPDATES=2', 'BATCH_SIZE=2', 'CROP_SHAPE=8,16,16',
         'HISTORY_BATCHES=3', 'LOG_EVERY=1', 'PREVIEW_EVERY=4', 'SAVE_EVERY=2', 'EVALUATE_EVERY=2',
         'EVALUATION_PATCHES=4', 'THREADS=1', 'TILE_SHAPE=24,48,48', 'LEARNING_RATE=0.001']


def fibre(seed, *, level):
    """A bright fibre along y in noise.

    Args:
        level: grey levels of the background; the fibre is 1,200 above, noise 40.

    Returns:
        image uint16, label uint8 {0, 1}, both SHAPE.
    """
    label = np.zeros(SHAPE, np.uint8)
    label[6 + seed:10 + seed, :, 15 - seed:20 - seed] = 1
    noise = np.random.default_rng(seed).normal(0, 40, SHAPE)
    return (level + 1200 * label + noise).astype(np.uint16), label


def write_patches(path, images, *, labels=None, n=6):
    """A patch file of n windows of each stack; labels: None or one per image."""
    corners = [(i % 5, 2 * i, i) for i in range(n)] * len(images)
    rows = [i for i in range(len(images)) for _ in range(n)]

    def cut(arrays):
        return np.stack([patches.cut(arrays[i], corner, window=WINDOW)
                         for i, corner in zip(rows, corners)])

    patches.write(str(path), cut(images), origins=corners, voxel_size=VOXEL_SIZE,
                  sources=['%04d' % (i + 1) for i in rows],
                  labels=None if labels is None else cut(labels))


def write_folder(folder):
    """data/patches/real.h5, data/simulated/ with two drafts, data/real/0001.tif."""
    data = folder / 'data'
    real = [fibre(seed, level=900)[0] for seed in (0, 1)]
    stacks.write(str(data / 'real/0001.tif'), real[0], voxel_size=VOXEL_SIZE)
    write_patches(data / 'patches/real.h5', real)
    images, labels = zip(*[fibre(seed, level=1000) for seed in (2, 3)])
    for kind, arrays in (('images', images), ('labels', labels)):
        for i, voxels in enumerate(arrays):
            stacks.write(str(data / ('simulated/%s/%04d.tif' % (kind, i + 1))), voxels,
                         voxel_size=VOXEL_SIZE)
    write_patches(data / 'simulated/patches.h5', images, labels=labels)


def good(*arguments, cwd):
    """Standard output of 2_mpgan.py, which has to end well."""
    status, out, err = run_script('2_mpgan.py', *arguments, cwd=cwd)
    assert status == 0, out + err
    return out


def bad(*arguments, cwd, words):
    """Standard error of 2_mpgan.py, whose last line has to be an error with these words."""
    status, out, err = run_script('2_mpgan.py', *arguments, cwd=cwd)
    last = err.strip().split('\n')[-1]
    assert status == 1 and last.startswith('error: ') and 'Traceback' not in err, out + err
    assert all(word in err for word in words), err
    return err


def _blank(path, *_, **__):
    open(path, 'w').close()


def without_pictures():
    """In place of utils.draw.training in reports: files, empty. Curves take as long as a graph."""
    return SimpleNamespace(read_log=training.read_log, curves=_blank, draft_refined_real=_blank)


def _as_laid_out(self, path, *, dpi, bbox_inches, metadata, _save=figure.Figure.savefig):
    """In place of Figure.savefig: the tight box would lay all words out a second time."""
    _save(self, path, dpi=dpi, metadata=metadata)


@contextlib.contextmanager
def small_networks(own_gradient=False):
    """One residual block of four, moments measured on few voxels, one patch in a preview, pictures
    without a tight box.

    Most of the time of a short training goes into making the graph. The number of blocks is tested
    in test_networks.py, our own gradient of convolutions in test_layers.py and test_mpgan.py.

    Args:
        own_gradient: as layers.OWN_GRADIENT, which TF 1.15 has.
    """
    values = ((layers, 'OWN_GRADIENT', own_gradient), (refiner, 'BLOCKS', 1),
              (refiner, 'RADIUS', 7), (trained, 'RADIUS', 7),
              (domains, 'CALIBRATED', 2 ** 14), (reports, 'PREVIEWS', 1),
              (figure.Figure, 'savefig', _as_laid_out))
    before = [(module, name, getattr(module, name)) for module, name, _ in values]
    for module, name, value in values:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def newest(folder):
    """Path of the newest checkpoint of a run."""
    root = os.path.join(str(folder), 'checkpoints')
    return os.path.join(root, sorted(os.listdir(root))[-1])


if __name__ == '__main__':
    sys.argv = sys.argv[1:]
    quiet_tensorflow()
    reports.training = without_pictures()
    with small_networks():
        runpy.run_path(os.path.join(ROOT, sys.argv[0]), run_name='__main__')
