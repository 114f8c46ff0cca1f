"""Pairs for other people's networks: an nnU-Net v2 data set folder, and plain TIFF pairs.

nnU-Net's reader of 3-D TIFF (Tiff3DIO) knows no voxel size but that of a file beside each image
and each label: for imagesTr/NAME_0000.tif and labelsTr/NAME.tif it is NAME.json in the same
folder, {"spacing": [z, y, x]}.
"""
import os
from collections import namedtuple

import numpy as np

from utils.common import batch, claims, files
from utils.common.errors import UserError
from utils.data import stacks

DATASET = 'Dataset001_MPGAN'
PAIRS = 'pairs'
# Files that a pair becomes: images and labels as TIFF, spacings as JSON; two paths each
Targets = namedtuple('Targets', 'images labels spacings')


def nnunet(output, images, *, labels):
    """Write OUTPUT/Dataset001_MPGAN and OUTPUT/pairs/{images,labels}.

    Finished files of these very pairs are kept, those of pairs that are gone are removed, and
    dataset.json comes last.

    Args:
        images, labels: folders of stacks that pair by name; labels hold 0 and 1 alone.

    Raises:
        UserError: no pairs, an image without its label, unlike shapes, other values than 0 and 1;
            OUTPUT is another script's or holds files of these names.
    """
    if not os.path.isdir(images) or not os.path.isdir(labels):
        raise UserError('no %s: make the pairs first (1_simulator.py, 2_mpgan.py), or give PAIRS '
                        'and LABELS' % (labels if os.path.isdir(images) else images))
    found = stacks.pair_by_name(images, labels)
    record = batch.Record(os.path.join(output, PAIRS))     # OUTPUT itself has that of STAGE=predict
    owner = claims.Owner(
        '3_segmentation.py', {'%s/%s' % (PAIRS, name): sum(targets_of(output, name), ())
                              for name in (stacks.name_of(image) for image, _ in found)},
        (os.path.join(DATASET, 'dataset.json'), os.path.join(PAIRS, 'made_from.json')),
        lambda name: name.split('/')[1] in record.keys)
    claims.take(output, owner)
    remove_stale(record, output, owner=owner)
    jobs = [job(output, pair, record=record) for pair in found]
    batch.run(jobs, title='pairs', strict=True)
    files.write_json(os.path.join(output, DATASET, 'dataset.json'), {
        'channel_names': {'0': 'fluorescence'}, 'labels': {'background': 0, 'neurite': 1},
        'numTraining': len(found), 'file_ending': '.tif',
        'overwrite_image_reader_writer': 'Tiff3DIO', 'name': 'MPGAN',
        'description': 'synthetic stacks and their labels, %s' % images})
    print('%s: %d pairs; the same as plain TIFF in %s' % (
        os.path.join(output, DATASET), len(found), os.path.join(output, PAIRS)))


def targets_of(output, name):
    """Targets of the pair `name`."""
    folder, plain = os.path.join(output, DATASET), os.path.join(output, PAIRS)
    return Targets((os.path.join(folder, 'imagesTr', name + '_0000.tif'),
                    os.path.join(plain, 'images', name + '.tif')),
                   (os.path.join(folder, 'labelsTr', name + '.tif'),
                    os.path.join(plain, 'labels', name + '.tif')),
                   tuple(os.path.join(folder, part, name + '.json')
                         for part in ('imagesTr', 'labelsTr')))


def remove_stale(record, output, *, owner):
    """Remove files of exported pairs that are no longer among those of an Owner.

    Args:
        record: batch.Record, which may have come with the folder: made_by.json has to vouch for
        what is removed, too.
    """
    ours, gone = claims.vouches(output, owner._replace(known=None)), set()
    for name in sorted(record.keys):
        result = '%s/%s' % (PAIRS, name)
        if result not in owner.names and ours(result):
            for target in sum(targets_of(output, name), ()):
                files.remove(target)
            record.drop(name)
            gone.add(result)
    claims.drop(output, gone)


def job(output, pair, *, record):
    """batch.Job that exports one pair of paths (image, label)."""
    image, label = pair
    name = stacks.name_of(image)
    targets, key = targets_of(output, name), ' '.join(map(batch.file_key, pair))

    def make():
        write_pair(targets, stacks.read(image), label=stacks.read(label))
        record.add(name, key)

    return batch.Job(name, image, make=make,
                     finished=lambda: record.holds(name, key, targets=sum(targets, ())))


def write_pair(targets, image, *, label):
    """Write a pair of stacks.Stack to its Targets.

    Raises:
        UserError: unlike shapes, labels other than 0 and 1.
    """
    if image.voxels.shape != label.voxels.shape:
        raise UserError('%s is %s voxels, its label %s: they are no pair'
                        % (image.path, image.voxels.shape, label.voxels.shape))
    if not set(np.unique(label.voxels)) <= {0, 1}:
        raise UserError('%s holds other values than 0 and 1: nnU-Net wants consecutive classes'
                        % label.path)
    size = image.voxel_size or (1.0, 1.0, 1.0)
    for stack, paths in ((image, targets.images), (label, targets.labels)):
        for path in paths:
            stacks.write(path, stack.voxels, voxel_size=size, compress=stack is label)
    for path in targets.spacings:
        files.write_json(path, {'spacing': [float(v) for v in size]})
