"""Pairs for other people's networks: an nnU-Net v2 data set folder, and plain TIFF pairs.

nnU-Net's reader of 3-D TIFF (Tiff3DIO) knows no voxel size but that of a file beside each image and each label: for
imagesTr/NAME_0000.tif and labelsTr/NAME.tif it is NAME.json in the same folder, {"spacing": [z, y, x]}.
"""
import os

import numpy as np

from utils import config, stacks

DATASET = 'Dataset001_MPGAN'


def nnunet(output, images, labels):
    """Write OUTPUT/Dataset001_MPGAN and OUTPUT/pairs/{images,labels}; finished files are kept, dataset.json comes last.

    Args:
        images, labels: folders of stacks that pair by name; labels hold 0 and 1 alone.

    Raises:
        UserError: no pairs, an image without its label, unlike shapes, other values than 0 and 1.
    """
    if not os.path.isdir(images) or not os.path.isdir(labels):
        raise config.UserError('no %s: make the pairs first (1_simulator.py, 2_mpgan.py), or give PAIRS and LABELS'
                               % (labels if os.path.isdir(images) else images))
    found = stacks.pair_by_name(images, labels)
    folder, plain = os.path.join(output, DATASET), os.path.join(output, 'pairs')
    for image_path, label_path in found:
        name = stacks.name_of(image_path)
        targets = [os.path.join(folder, 'imagesTr', name + '_0000.tif'), os.path.join(plain, 'images', name + '.tif'),
                   os.path.join(folder, 'labelsTr', name + '.tif'), os.path.join(plain, 'labels', name + '.tif'),
                   os.path.join(folder, 'imagesTr', name + '.json'), os.path.join(folder, 'labelsTr', name + '.json')]
        newest = max(os.path.getmtime(path) for path in (image_path, label_path))
        if all(os.path.exists(path) and os.path.getmtime(path) >= newest for path in targets):
            continue
        image, label = stacks.read(image_path), stacks.read(label_path)
        if image.voxels.shape != label.voxels.shape:
            raise config.UserError('%s is %s voxels, its label %s: they are no pair'
                                   % (image_path, image.voxels.shape, label.voxels.shape))
        if not set(np.unique(label.voxels)) <= {0, 1}:
            raise config.UserError('%s holds other values than 0 and 1: nnU-Net wants consecutive classes' % label_path)
        size = image.voxel_size or (1.0, 1.0, 1.0)
        for target, stack in zip(targets[:4], (image, image, label, label)):
            stacks.write(target, stack.voxels, size, compress=stack is label)
        for target in targets[4:]:                       # beside the images, and beside the labels
            config.write_json(target, {'spacing': [float(v) for v in size]})
    config.write_json(os.path.join(folder, 'dataset.json'), {
        'channel_names': {'0': 'fluorescence'}, 'labels': {'background': 0, 'neurite': 1}, 'numTraining': len(found),
        'file_ending': '.tif', 'overwrite_image_reader_writer': 'Tiff3DIO', 'name': 'MPGAN',
        'description': 'synthetic stacks and their labels, %s' % images})
    print('%s: %d pairs; the same as plain TIFF in %s' % (folder, len(found), plain))
