"""Folder of traces: the files of each stack, and which of them are this project's."""
import os
import re

import numpy as np

from utils.common import batch, claims, files
from utils.common.errors import UserError
from utils.data import bounded, stacks, swc
from utils.trace import evidence

HEADER = '%s; x y z in voxels, radius in x voxels; voxel (z, y, x) %s x voxels'      # of a SWC
TREE_HEADER = '%s, tree %d of %d; x y z and radius in %s'                # of a SWC of one tree
UNITS = 'voxel', 'um'


def targets_of(output, name):
    """Files of a stack: its SWC, its figure, and its folder of single trees."""
    return [os.path.join(output, name + kind) for kind in ('.swc', '.png', '_trees', '_blocks')]


def blocks_of(output, name):
    """Folder of a volume's finished blocks."""
    return targets_of(output, name)[3]


def image_under(name, path, *, shape, images, channel=0):
    """Voxels to draw over: of `images` if given, else of the input if that is a stack, else None.

    Args:
        name, path: of the input; shape: (z, y, x) voxels; images: folder of stacks, or None.
        channel: of the stacks that have several.

    Raises:
        UserError: there is none in `images`, or one of another shape.
    """
    if not images:
        if evidence.split(path)[1]:
            return None
        return stacks.read(path, probabilities=True, channel=channel).voxels
    found = image_of(name, images)
    voxels = stacks.read(found, channel=channel).voxels
    if voxels.shape != shape:
        raise UserError('%s is %s voxels, %s is %s: give IMAGES=folder with the stacks that they '
                        'were made from' % (found, voxels.shape, path, shape))
    return voxels


def image_of(name, images):
    """Path of a stack in the folder IMAGES; raises UserError if there is none."""
    for path in stacks.find(images):
        if stacks.name_of(path) == name:
            return path
    raise UserError('%s has no stack %s to draw the traces over: give another IMAGES, or '
                    'IMAGES=None' % (images, name))


def voxel_size_of(stack, wanted):
    """um (z, y, x) of a stack or volume, or None: not known; wanted: 'auto', or what it is."""
    return stack.voxel_size if wanted == 'auto' else wanted


def voxel_size_at(path, wanted, *, channel):
    """As voxel_size_of, of a path; channel: of it, if it has several."""
    if wanted != 'auto':
        return wanted
    with bounded.opened(path, channel=channel, probabilities=True) as stack:
        return stack.voxel_size


def check_apart(output, paths, *, gold):
    """Raise UserError if traces would lie among the inputs, or in the folder `gold`, if given."""
    for other in [os.path.dirname(path) for path in paths] + [gold] * bool(gold):
        if os.path.realpath(other) == os.path.realpath(output):
            raise UserError('OUTPUT is %s, where %s come from: give another OUTPUT' % (
                output, 'GOLD' if other == gold else 'the stacks'))


def image_key(path, images, *, channel=0):
    """What tells the stack in the folder `images` that is traced with an input; '' without one.

    channel: of it, if it has several.

    Raises UserError: as image_of.
    """
    if not images:
        return ''
    return batch.file_key(image_of(evidence.split(path)[0], images)) + (
        ' channel %d' % channel if channel else '')


def write_trees(folder, tree, *, name, unit, voxel_size):
    """Write each tree of a forest into a file of its own, folder/NAME_0001.swc, ...

    Other programs take one neuron from a file. Files that an earlier run left go.

    Args:
        folder: made if missing; tree: swc.Tree, a forest: positions in voxels, radii in x voxels.
        name: of the stack; unit: of UNITS, for positions and radii.
        voxel_size: (z, y, x) um, or None: not known.

    Raises:
        UserError: unit 'um', and the voxel size is not known.
    """
    if unit == 'um' and voxel_size is None:
        raise UserError("%s tells no voxel size: give VOXEL_SIZE=z,y,x in um, or TREE_UNIT=voxel"
                        % name)
    scale = np.ones(3) if unit == 'voxel' else np.asarray(voxel_size, float)
    trees = swc.split(tree)
    os.makedirs(folder, exist_ok=True)
    own = re.compile(re.escape(name) + r'_\d{4,}\.swc$')
    files.remove_unfinished([folder], is_ours=lambda path: own.match(os.path.basename(path)))
    for other in filter(own.match, os.listdir(folder)):
        files.remove(os.path.join(folder, other))
    for k, one in enumerate(trees):
        swc.write(os.path.join(folder, '%s_%04d.swc' % (name, k + 1)), one._replace(
            position=one.position * scale, radius=one.radius * scale[2]),
            comment=TREE_HEADER % (name, k + 1, len(trees), unit))


def is_own(path):
    """Whether a SWC has the first line that 4_reconstruction.py writes."""
    return claims.is_signed(path, HEADER.split('%s')[1].encode())


def owner(output, names, *, record):
    """claims.Owner of the traces of some stacks.

    Args:
        names: of the stacks; record: batch.Record of the folder, which vouches for traces where
        there is no made_by.json, as their first line does.
    """
    def known(name):
        return name in record.keys or is_own(targets_of(output, name)[0])

    return claims.Owner('4_reconstruction.py', {name: targets_of(output, name) for name in names},
                        ('scores.csv', 'scores.md', 'made_from.json'), known)
