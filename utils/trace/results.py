"""Folder of traces: the files of each stack, and which of them are this project's."""
import os

from utils.common import claims

HEADER = '%s; x y z in voxels, radius in x voxels; voxel (z, y, x) %s x voxels'      # of a SWC


def targets_of(output, name):
    """Files of a stack: its SWC and its figure."""
    return [os.path.join(output, name + kind) for kind in ('.swc', '.png')]


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
