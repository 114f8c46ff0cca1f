"""Training patches of refined stacks, cut where the drafts' patches were cut."""
import os

import numpy as np

from utils.common.errors import UserError
from utils.data import patches, stacks


def cut_patches(drafts_dir, refined_dir, *, names):
    """Write refined_dir/patches.h5; images are the refined ones, labels the drafts'.

    Args:
        drafts_dir: folder of 1_simulator.py: patches.h5, images/.
        refined_dir: folder of refined stacks: images/; names: of the stacks that it holds.

    Returns:
        number of patches.

    Raises:
        UserError: the drafts' patches are not of these stacks.
    """
    drafts = patches.PatchFile(os.path.join(drafts_dir, 'patches.h5'), with_labels=True)
    unknown = sorted(set(drafts.source) - set(names))
    if unknown:
        raise UserError('%s has patches of stacks that %s lacks (%s): run 1_simulator.py again'
                        % (drafts.path, drafts_dir, ', '.join(unknown[:5])))
    images = np.empty((len(drafts),) + drafts.shape, drafts.dtype)
    source = np.array(drafts.source)
    for name in sorted(set(drafts.source)):
        draft, refined = [stacks.read(os.path.join(folder, 'images', name + '.tif')).voxels
                          for folder in (drafts_dir, refined_dir)]
        for i in np.flatnonzero(source == name):
            before = patches.cut(draft, drafts.origin[i], window=drafts.shape)
            if (before != drafts.image[i]).any():
                raise UserError('%s was not cut from %s/images/%s.tif: run 1_simulator.py again'
                                % (drafts.path, drafts_dir, name))
            images[i] = patches.cut(refined, drafts.origin[i], window=drafts.shape)
    patches.write(os.path.join(refined_dir, 'patches.h5'), images, origins=drafts.origin,
                  sources=drafts.source, labels=drafts.label[:], voxel_size=drafts.voxel_size)
    return len(images)
