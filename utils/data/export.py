"""Pairs for other people's networks: an nnU-Net v2 data set folder, and plain TIFF pairs.

nnU-Net's reader of 3-D TIFF (Tiff3DIO) knows no voxel size but that of a file beside each image and each label: for
imagesTr/NAME_0000.tif and labelsTr/NAME.tif it is NAME.json in the same folder, {"spacing": [z, y, x]}.
"""
import os

import numpy as np

from utils.common import files
from utils.common.errors import UserError
from utils.data import stacks

DATASET = 'Dataset001_MPGAN'


def nnunet(output, images, *, labels):
    """Write OUTPUT/Dataset001_MPGAN and OUTPUT/pairs/{images,labels}; finished files of these very pairs are kept, those of
    pairs that are gone are removed, dataset.json comes last.

    Args:
        images, labels: folders of stacks that pair by name; labels hold 0 and 1 alone.

    Raises:
        UserError: no pairs, an image without its label, unlike shapes, other values than 0 and 1.
    """
    if not os.path.isdir(images) or not os.path.isdir(labels):
        raise UserError('no %s: make the pairs first (1_simulator.py, 2_mpgan.py), or give PAIRS and LABELS'
                               % (labels if os.path.isdir(images) else images))
    found = stacks.pair_by_name(images, labels)
    folder, plain = os.path.join(output, DATASET), os.path.join(output, 'pairs')

    def targets_of(name):
        return [os.path.join(folder, 'imagesTr', name + '_0000.tif'), os.path.join(plain, 'images', name + '.tif'),
                os.path.join(folder, 'labelsTr', name + '.tif'), os.path.join(plain, 'labels', name + '.tif'),
                os.path.join(folder, 'imagesTr', name + '.json'), os.path.join(folder, 'labelsTr', name + '.json')]

    record_path = os.path.join(plain, 'made_from.json')           # not in OUTPUT itself: STAGE=predict keeps its own there
    record = files.read_json(record_path) if os.path.exists(record_path) else {}
    for name in sorted(set(record) - {stacks.name_of(image_path) for image_path, _ in found}):
        for target in targets_of(name):
            files.remove(target)
        del record[name]
    for image_path, label_path in found:
        name, targets = stacks.name_of(image_path), targets_of(stacks.name_of(image_path))
        key = ' '.join('%d %d' % (status.st_size, status.st_mtime_ns) for status in map(os.stat, (image_path, label_path)))
        if record.get(name) == key and all(map(os.path.exists, targets)):
            continue
        image, label = stacks.read(image_path), stacks.read(label_path)
        if image.voxels.shape != label.voxels.shape:
            raise UserError('%s is %s voxels, its label %s: they are no pair'
                                   % (image_path, image.voxels.shape, label.voxels.shape))
        if not set(np.unique(label.voxels)) <= {0, 1}:
            raise UserError('%s holds other values than 0 and 1: nnU-Net wants consecutive classes' % label_path)
        size = image.voxel_size or (1.0, 1.0, 1.0)
        for target, stack in zip(targets[:4], (image, image, label, label)):
            stacks.write(target, stack.voxels, voxel_size=size, compress=stack is label)
        for target in targets[4:]:                       # beside the images, and beside the labels
            files.write_json(target, {'spacing': [float(v) for v in size]})
        record[name] = key
        files.write_json(record_path, record)
    files.write_json(os.path.join(folder, 'dataset.json'), {
        'channel_names': {'0': 'fluorescence'}, 'labels': {'background': 0, 'neurite': 1}, 'numTraining': len(found),
        'file_ending': '.tif', 'overwrite_image_reader_writer': 'Tiff3DIO', 'name': 'MPGAN',
        'description': 'synthetic stacks and their labels, %s' % images})
    print('%s: %d pairs; the same as plain TIFF in %s' % (folder, len(found), plain))
