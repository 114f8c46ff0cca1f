"""Folder of a phantom: what a stack consists of on disk, and how it is cleared."""
import glob
import os
import re

import numpy as np

from utils.common import claims
from utils.data import stacks, swc

# folder -> names of its files; images first, as an image on disk means a finished stack
MADE = (('images', r'\d{4}\.tif'), ('truth/labels', r'\d{4}\.tif'),
        ('truth/swc', r'\d{4}_\d+\.swc'))
MOST = 9999                     # stacks of a folder


def image_path(output, name):
    """Path of a stack's image; name: such as '0001'."""
    return os.path.join(output, 'images', name + '.tif')


def targets(output, name):
    """Files of a stack: image, label, and the first of its trees."""
    return [image_path(output, name), os.path.join(output, 'truth', 'labels', name + '.tif'),
            os.path.join(output, 'truth', 'swc', name + '_1.swc')]


def finished(output, name):
    """True if a stack's files are there; the image is the last that is written."""
    return all(map(os.path.exists, targets(output, name)))


def owner(output, count):
    """claims.Owner of `count` stacks."""
    names = ['%04d' % (i + 1) for i in range(count)]
    trees = os.path.join(glob.escape(output), 'truth', 'swc', '%s_[0-9]*.swc')
    return claims.Owner('utils.simulate.phantom', {
        name: targets(output, name) + glob.glob(trees % name) for name in names},
                        more=('truth/swc/*.swc',))


def clear(output, name=None, *, ours=lambda name: True):
    """Remove what an earlier run made, images first: of one stack, or of all (name=None).

    Args:
        ours: function (name) -> True for stacks that a record vouches for, as claims.vouches.
    """
    for folder, pattern in MADE:
        folder = os.path.join(output, folder)
        for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if re.match(pattern + '$', file) and file[:4] in (name or file[:4],) and ours(file[:4]):
                os.remove(os.path.join(folder, file))


def clear_all(output, owner):
    """Remove what earlier runs made, from made_by.json, too; owner: claims.Owner of this run.

    Raises:
        UserError: as claims.take.
    """
    claims.take(output, owner)
    clear(output, ours=claims.vouches(output, owner))
    claims.drop(output, {'%04d' % (i + 1) for i in range(MOST)})


def write(output, name, *, phantom, voxel_size):
    """Write one stack, the image last.

    Args:
        name: such as '0001'; phantom: stack.Phantom; voxel_size: um (z, y, x).

    Raises:
        UserError: if a file cannot be written.
    """
    clear(output, name)
    for k, tree in enumerate(phantom.trees, 1):
        comment = 'phantom %s, neuron %d; x y z in voxels of %s um (z, y, x), radius in um' % (
            name, k, voxel_size)
        path = os.path.join(output, 'truth', 'swc', '%s_%d.swc' % (name, k))
        swc.write(path, tree, comment=comment)
    label = phantom.label.astype(np.uint8)
    stacks.write(os.path.join(output, 'truth', 'labels', name + '.tif'), label,
                 voxel_size=voxel_size, compress=True)
    stacks.write(image_path(output, name), phantom.image, voxel_size=voxel_size)
