"""Folder of drafts: the files of each stack, which are finished, which are stale."""
import os
from typing import NamedTuple

from utils.common import claims, files
from utils.data import patches, stacks, swc


# folder -> extension of its files; the parts last, as they tell what the others were made from
EXTENSION = {'images': 'tif', 'labels': 'tif', 'swc': 'swc', 'instances': 'tif', 'parts': 'h5'}
SCRIPT = '1_simulator.py'
MOST = 9999                     # stacks of a folder


class Folder(NamedTuple):
    """A folder of drafts; stacks count from 0, their files from 0001."""
    path: str               # of the folder
    origin: str             # what its stacks are made from, as text: settings and digests of files
    instances: bool         # whether neurites are numbered, too

    def file(self, kind, index):
        """Path of one of a stack's files; kind: a folder of EXTENSION."""
        return os.path.join(self.path, kind, '%04d.%s' % (index + 1, EXTENSION[kind]))

    def part(self, index):
        """Path of a stack's patches; written last, so that they vouch for its other files."""
        return self.file('parts', index)

    def finished(self, index):
        """True if all of a stack's files are there, made from `origin`."""
        kinds = ['images', 'labels', 'swc'] + ['instances'] * self.instances
        return (patches.made_from(self.part(index)) == self.origin
                and all(os.path.exists(self.file(kind, index)) for kind in kinds))

    def write(self, index, draft, *, corners, window, voxel_size, blur):
        """Write a stack's files.

        Args:
            draft: drafts.Draft; corners: int [N, 3] and window: (z, y, x) voxels of its patches;
            voxel_size: um (z, y, x); blur: sigma of the optics along z, y, x, voxels.

        Raises:
            UserError: if a file cannot be written.
        """
        files.remove(self.part(index))
        if not self.instances:
            files.remove(self.file('instances', index))          # of other settings
        stacks.write(self.file('images', index), draft.image, voxel_size=voxel_size)
        stacks.write(self.file('labels', index), draft.label, voxel_size=voxel_size, compress=True)
        if self.instances:
            stacks.write(self.file('instances', index), draft.instance, voxel_size=voxel_size,
                         compress=True)
        name = '%04d' % (index + 1)
        comment = '%s, voxels of %s.tif; radius in x voxels; voxel size %s um (z, y, x)' % (
            draft.kind, name, ' '.join('%g' % v for v in voxel_size))
        swc.write(self.file('swc', index), draft.tree, comment=comment, one_root=False)
        patches.write_cut(self.part(index), draft.image, corners=corners, window=window, name=name,
                          label=draft.label, made_from=self.origin, voxel_size=voxel_size,
                          blur=blur)

    def owner(self, count):
        """claims.Owner of `count` stacks.

        A folder without made_by.json vouches for the stacks that have a part, and for as many as
        its config.json tells: those of a killed run have none.
        """
        path, begun = os.path.join(self.path, 'config.json'), 0
        if claims.owner_of(self.path) == SCRIPT and os.path.exists(path):
            told = files.read_json(path).get('N_STACKS')     # a user may have edited it
            begun = told if isinstance(told, int) else 0
        names = {'%04d' % (i + 1): [self.file(kind, i) for kind in EXTENSION] for i in range(count)}
        return claims.Owner(SCRIPT, names, ('patches.h5',), lambda name: int(name) <= begun or (
            patches.made_from(self.part(int(name) - 1)) is not None), tuple(
                '%s/[0-9][0-9][0-9][0-9].%s' % kind for kind in EXTENSION.items()))

    def remove_stale(self, count, *, ours):
        """Remove stacks from the `count`-th on that were not made from `origin`, also from
        made_by.json.

        Args:
            ours: function (name) -> True for those that are this script's, as claims.vouches.
        """
        gone = set()
        for index in range(count, MOST):
            name = '%04d' % (index + 1)
            there = any(os.path.lexists(self.file(kind, index)) for kind in EXTENSION)
            stale = there and ours(name) and patches.made_from(self.part(index)) != self.origin
            for kind in EXTENSION if stale else ():
                files.remove(self.file(kind, index))
            if stale or not there:
                gone.add(name)
        claims.drop(self.path, gone)
