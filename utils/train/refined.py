"""Training patches of refined stacks, where the drafts' patches were cut."""
import os
import time

import numpy as np

from utils.common import batch, claims, files
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.train import states, volume_jobs

OWNER = claims.Owner('2_mpgan.py', files=('patches.h5', 'made_from.json'))
SMALLEST = (2, 2, 2)       # (z, y, x) voxels of a stack that is refined
PART = 'parts/'            # in made_by.json, before the name of a stack whose patches are refined


# --- the folder ---

def target_of(refined_dir, path, *, output_format='tiff'):
    """Path that a stack is refined into (output_format: of stacks.FORMATS), or a volume."""
    extension = stacks.FORMATS['zarr' if volume_jobs.is_streamed(path) else output_format]
    return os.path.join(refined_dir, 'images', stacks.name_of(path) + extension)


def check_folders(drafts, refined_dir):
    """Raise UserError now for what would fail after a training.

    Args:
        drafts: path of the drafts' patches; refined_dir: where refined stacks will go.
    """
    if os.path.isdir(drafts):
        raise UserError('%s has no patches.h5 of 1_simulator.py: it serves for STAGE=train alone'
                        % drafts)
    claims.check(refined_dir, OWNER)


def claim_folder(refined_dir, paths=(), *, output_format='tiff'):
    """Claim a folder for refined stacks.

    Args:
        paths: of those that will be refined; output_format: of stacks.FORMATS.

    Returns:
        batch.Record of the folder.

    Raises:
        UserError: a stack would be written over; the folder is another script's, or holds files of
            these names that nothing vouches for.
    """
    targets = {path: target_of(refined_dir, path, output_format=output_format) for path in paths}
    for path in paths:
        if os.path.realpath(path) == os.path.realpath(targets[path]):
            raise UserError('%s would be overwritten: give another OUTPUT' % path)
    record = batch.Record(refined_dir)
    claims.take(refined_dir, OWNER._replace(
        known=lambda name: name in record.keys and not _is_of_patches(record.keys[name]),
        names={stacks.name_of(path): [targets[path]] for path in paths}))
    return record


def key_of(refiner, path):
    """What a refined stack is told by in made_from.json: weights, size and time of its draft."""
    return '%s %s' % (refiner.digest, batch.file_key(path))


def remove_stale(drafts_dir, refined_dir, *, names, refiner, record):
    """Remove refined stacks that other weights, or other drafts, have made.

    They would lie beside patches that they are not of. What made_by.json does not vouch for stays,
    with a warning.

    Args:
        drafts_dir, refined_dir: folders; names: of the drafts; refiner: Refiner.
        record: batch.Record of refined_dir.
    """
    ours, gone = claims.vouches(refined_dir, OWNER._replace(known=None)), set()
    for name in names:
        draft = os.path.join(drafts_dir, 'images', name + '.tif')
        target = target_of(refined_dir, draft)
        if record.holds(name, key_of(refiner, draft), targets=[target]):
            continue
        if ours(name):
            files.remove(target)
            gone.add(name)
        elif os.path.lexists(target):
            print('warning: %s stays, but is not known to be of these weights' % target)
    if gone:
        claims.drop(refined_dir, gone)


def stack_job(path, refined_dir, *, refiner, record, output_format='tiff', channel=0):
    """batch.Job that refines one stack.

    Args:
        path: of the stack; refined_dir: folder of the results; refiner: Refiner.
        record: batch.Record of that folder; output_format: of stacks.FORMATS.
        channel: of the stack.
    """
    name = stacks.name_of(path)
    target = target_of(refined_dir, path, output_format=output_format)
    key = key_of(refiner, path)

    def make():
        started = time.time()
        stack = stacks.read(path, SMALLEST, channel=channel)
        stacks.write(target, refiner.refine(stack.voxels, name=path), voxel_size=stack.voxel_size,
                     notes=stack.notes)
        record.add(name, key)
        return '%s: refined in %.1f s' % (target, time.time() - started)

    return batch.Job(name, path, lambda: record.holds(name, key, targets=[target]), make)


def _is_of_patches(key):
    """Whether a key of made_from.json is that of a stack's refined patches, two digests; that of
    a whole stack tells size and time of its file."""
    return key.count(' ') == 1


class Parts:
    """The refined patches of each stack, REFINED/parts/NAME.npy, until all are done."""

    def __init__(self, refined_dir, names, *, record):
        """Args:
            refined_dir: folder; names: of the stacks; record: batch.Record of the folder.
        """
        self.folder, self.names, self.record = refined_dir, names, record
        self.owner = OWNER._replace(names={PART + name: [self.path(name)] for name in names},
                                    known=self._is_begun)

    def _is_begun(self, part):
        """Whether a run of an earlier version has left a part: those of a finished one are gone."""
        key = self.record.keys.get(part[len(PART):], '')
        return _is_of_patches(key) and key != self.record.keys.get('patches')

    def path(self, name):
        """File of a stack."""
        return os.path.join(self.folder, 'parts', name + '.npy')

    def remove(self):
        """Remove the parts that made_by.json vouches for, and all of them from the records."""
        ours = claims.vouches(self.folder, self.owner._replace(known=lambda part: False))
        for name in self.names:
            if ours(PART + name):
                files.remove(self.path(name))
        for name in self.names:
            if _is_of_patches(self.record.keys.get(name, '')):
                self.record.drop(name)
        claims.drop(self.folder, set(self.owner.names))


# --- patches ---

def cut_patches(drafts_dir, refined_dir, *, names):
    """Write refined_dir/patches.h5; images are the refined ones, labels the drafts'.

    Args:
        drafts_dir: folder of 1_simulator.py: patches.h5, images/.
        refined_dir: folder of refined stacks: images/; names: of the stacks that it holds.

    Returns:
        number of patches.

    Raises:
        UserError: the drafts' patches are damaged, or not of these stacks.
    """
    drafts = _open_drafts(drafts_dir)
    unknown = sorted(set(drafts.source) - set(names))
    if unknown:
        raise UserError('%s has patches of stacks that %s lacks (%s): run 1_simulator.py again'
                        % (drafts.path, drafts_dir, ', '.join(unknown[:5])))
    images = np.empty((len(drafts),) + drafts.shape, drafts.dtype)
    for name in sorted(set(drafts.source)):
        rows, _ = _draft_of(drafts, drafts_dir, name=name)
        refined = stacks.read(os.path.join(refined_dir, 'images', name + '.tif')).voxels
        images[rows] = [patches.cut(refined, drafts.origin[i], window=drafts.shape) for i in rows]
    record = batch.Record(refined_dir)
    if 'patches' in record.keys:                         # those of refine_patches are written over
        record.drop('patches')
    _write(os.path.join(refined_dir, 'patches.h5'), images, drafts=drafts)
    return len(images)


def refine_patches(drafts_dir, refined_dir, *, refiner):
    """Refine the drafts' patches alone, each within its stack, and write refined_dir/patches.h5.

    Finished stacks are kept in refined_dir/parts until all are done, so that a broken-off call goes
    on. Refined stacks of other weights go, see remove_stale.

    Args:
        drafts_dir: folder of 1_simulator.py: patches.h5, images/; refiner: Refiner.

    Returns:
        number of patches. They equal those of refined whole stacks but for rounding.

    Raises:
        UserError: the drafts' patches are damaged, or not of these stacks; refined_dir holds files
            of these names that nothing vouches for; as Refiner.refine.
    """
    drafts = _open_drafts(drafts_dir)
    record, key = claim_folder(refined_dir), '%s %s' % (refiner.digest, drafts.digest)
    target, names = os.path.join(refined_dir, 'patches.h5'), sorted(set(drafts.source))
    parts = Parts(refined_dir, names, record=record)
    if record.holds('patches', key, targets=[target]):
        parts.remove()                                   # a kill may have left some
        return len(drafts)
    claims.take(refined_dir, parts.owner)
    remove_stale(drafts_dir, refined_dir, names=names, refiner=refiner, record=record)

    def job(name):
        def make():
            rows, draft = _draft_of(drafts, drafts_dir, name=name)
            refined = refiner.refine_windows(draft, drafts.origin[rows], window=drafts.shape,
                                             name=name)
            with files.whole_file(parts.path(name)) as partial:
                np.save(partial, refined)
            record.add(name, key)
        return batch.Job(
            name, name, lambda: record.holds(name, key, targets=[parts.path(name)]), make)

    batch.run([job(name) for name in names], strict=True)
    images, source = np.empty((len(drafts),) + drafts.shape, drafts.dtype), np.array(drafts.source)
    for name in names:
        images[source == name] = _read_part(parts.path(name))
    _write(target, images, drafts=drafts)
    record.add('patches', key)
    parts.remove()
    return len(images)


def _open_drafts(folder):
    """The patches of a folder of drafts, checked.

    Raises:
        UserError: as patch_checks.check.
    """
    drafts = patches.PatchFile(os.path.join(folder, 'patches.h5'), with_labels=True)
    drafts.check()
    return drafts


def _read_part(path):
    """The refined patches of a stack."""
    try:
        return states.read_array(path)
    except (ValueError, EOFError):
        raise UserError('%s is damaged: remove it and run the same command again' % path)


def _draft_of(drafts, folder, *, name):
    """The rows of a stack's patches, int [N], and its draft [Z, Y, X], which they were cut from.

    Raises:
        UserError: they were cut from another.
    """
    rows = np.flatnonzero(np.array(drafts.source) == name)
    path = os.path.join(folder, 'images', name + '.tif')
    voxels = stacks.read(path).voxels
    for i in rows:
        cut = patches.cut(voxels, drafts.origin[i], window=drafts.shape)
        if not np.array_equal(cut, drafts.image[i]):
            raise UserError('%s was not cut from %s: run 1_simulator.py again'
                            % (drafts.path, path))
    return rows, voxels


def _write(path, images, *, drafts):
    """Write refined patches beside the drafts' labels and places."""
    patches.write(path, images, origins=drafts.origin, sources=drafts.source,
                  labels=drafts.label[:], voxel_size=drafts.voxel_size, blur=drafts.blur)
