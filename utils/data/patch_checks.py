"""Whether patches are fit to be trained on, and whole.

The digest of a patch file is checked by reading it once (2.2 s for 1,600 labelled patches of
32 x 64 x 64 voxels on one core), rather than by HDF5's own checksums (fletcher32): files made
before have it, their bytes stay as they are, and what is drawn again and again in a training is
read as fast as before.
"""
import hashlib
import os

import h5py
import numpy as np

from utils.common.errors import UserError
from utils.data import hdf5

AT_A_TIME = 32             # patches in memory
# What h5py raises on damaged files
DAMAGE = OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError
CURE = 'remove it, and run the script again that made it'


def reason(error):
    """One line that tells what is wrong with a file."""
    return str(error).split('\n')[0].strip('"\'')[:120]


# --- what a file holds ---

def structure(file):
    """Check names, axes and types of an open patch file.

    Args:
        file: h5py.File, opened by its path.

    Raises:
        KeyError, ValueError or others of DAMAGE: one is missing, wrong or lies in another file.
    """
    for name, axes, kinds in (('image', 4, ('uint8', 'uint16')), ('label', 4, ('uint8', 'bool')),
                              ('origin', 2, ('int32', 'int64')), ('source', 1, ('object',))):
        if name == 'label' and name not in file:
            continue
        # the link first: opening what it names may wait for ever
        if (isinstance(file.get(name, getlink=True), h5py.ExternalLink)
                or not hdf5.is_own(file[name], path=file.filename)):
            raise ValueError('dataset /%s lies in other files' % name)
        data = file[name]
        if len(data.shape) != axes or data.dtype.name not in kinds:
            raise ValueError('%s is %s of %d axes: want %s of %d' % (
                name, data.dtype.name, len(data.shape), ' or '.join(kinds), axes))
        if len(data) != len(file['image']):
            raise ValueError('%d of %s, %d patches' % (len(data), name, len(file['image'])))
    if file['origin'].shape[1] != 3:
        raise ValueError('origin is not [N, 3]')
    file.attrs['digest']


def names(source):
    """Names of stacks, list of str, of a data set `source` as read.

    Raises:
        ValueError: one cannot be a file's name.
    """
    found = [name.decode('utf-8') if isinstance(name, bytes) else name for name in source]
    for name in found:
        if not name or os.path.basename(name) != name or '\0' in name:
            raise ValueError('%r names no stack' % name)
    return found


def update(digest, images, *, labels):
    """Take patches into a digest, each before its label.

    Args:
        digest: of hashlib; images: [N, Z, Y, X]; labels: same shape, or None.
    """
    together = images if labels is None else [p for pair in zip(images, labels) for p in pair]
    for patch in together:
        digest.update(np.ascontiguousarray(patch))


def digest(images, labels):
    """SHA-1 of patches and their labels (or None), hexadecimal, as patch files keep it."""
    found = hashlib.sha1()
    update(found, images, labels=labels)
    return found.hexdigest()


# --- what they are good for ---

def check(file, *, real):
    """Read all patches once.

    Args:
        file: patches.PatchFile.
        real: real patches; else drafts, which have labels if they were opened with them.

    Raises:
        UserError: patches that do not fit the digest, cannot be read, or can teach nothing: real
            ones of one grey level, labels that are not {0, 1}, no label voxel in the whole file.
    """
    stored = None if file.file is None or 'label' not in file.file else file.file['label']
    found, foreground = hashlib.sha1(), False
    for first in range(0, len(file), AT_A_TIME):
        some = slice(first, first + AT_A_TIME)
        try:
            images = file.image[some]
            labels = (file.label if stored is None else stored)
            labels = None if labels is None else labels[some]
        except DAMAGE as error:
            raise UserError('%s is damaged (%s): %s' % (file.path, reason(error), CURE))
        update(found, images, labels=labels)
        if real:
            _check_real(file, images, first=first)
        if file.label is not None:
            foreground |= _check_labels(file, labels, first=first)
    if file.file is not None and found.hexdigest() != file.digest:
        raise UserError('%s is damaged: its patches are not those that were written; %s'
                        % (file.path, CURE))
    if file.label is not None and not foreground:
        raise UserError('%s has no label voxel: %s' % (file.path, CURE))


def _check_real(file, images, *, first):
    flat = images.reshape(len(images), -1)
    blank = np.flatnonzero(flat.min(1) == flat.max(1))
    if len(blank):
        i = int(blank[0])
        raise UserError('%s: patch %d, of stack %s, is %d everywhere: remove such stacks or patches'
                        % (file.path, first + i, file.source[first + i], flat[i, 0]))


def _check_labels(file, labels, *, first):
    """True if there is a label voxel."""
    worst = labels.reshape(len(labels), -1).max(1)
    if worst.max() > 1:
        i = int(np.argmax(worst > 1))
        raise UserError('%s: the label of patch %d, of stack %s, holds %d: labels are 0 and 1'
                        % (file.path, first + i, file.source[first + i], worst[i]))
    return bool(worst.any())
