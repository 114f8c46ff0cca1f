"""Training patches of refined stacks, where the drafts' patches were cut."""
import os

import numpy as np

from utils.common import batch, claims, files
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.train import states

OWNER = claims.Owner('2_mpgan.py', files=('patches.h5', 'made_from.json'))


# --- the folder ---

def target_of(refined_dir, path):
    """File that a stack is refined into."""
    return os.path.join(refined_dir, 'images', stacks.name_of(path) + '.tif')


def check_folders(drafts, refined_dir):
    """Raise UserError now for what would fail after a training.

    Args:
        drafts: path of the drafts' patches; refined_dir: where refined stacks will go.
    """
    if os.path.isdir(drafts):
        raise UserError('%s has no patches.h5 of 1_simulator.py: it serves for STAGE=train alone'
                        % drafts)
    claims.check(refined_dir, OWNER)


def claim_folder(refined_dir, paths=()):
    """Claim a folder for refined stacks; paths: of those that will be refined.

    Returns:
        batch.Record of the folder.

    Raises:
        UserError: a stack would be written over; the folder is another script's, or holds files of
            these names that nothing vouches for.
    """
    for path in paths:
        if os.path.realpath(path) == os.path.realpath(target_of(refined_dir, path)):
            raise UserError('%s would be overwritten: give another OUTPUT' % path)
    record = batch.Record(refined_dir)
    claims.take(refined_dir, OWNER._replace(known=record.keys.__contains__, names={
        stacks.name_of(path): [target_of(refined_dir, path)] for path in paths}))
    return record


# --- patches ---

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
    on.

    Args:
        drafts_dir: folder of 1_simulator.py: patches.h5, images/; refiner: Refiner.

    Returns:
        number of patches. They equal those of refined whole stacks but for rounding.

    Raises:
        UserError: the drafts' patches are not of these stacks; as Refiner.refine.
    """
    drafts = patches.PatchFile(os.path.join(drafts_dir, 'patches.h5'), with_labels=True)
    record, key = claim_folder(refined_dir), '%s %s' % (refiner.digest, drafts.digest)
    target, names = os.path.join(refined_dir, 'patches.h5'), sorted(set(drafts.source))
    if record.holds('patches', key, targets=[target]):
        return len(drafts)

    def part(name):
        return os.path.join(refined_dir, 'parts', name + '.npy')

    def job(name):
        def make():
            rows, draft = _draft_of(drafts, drafts_dir, name=name)
            refined = refiner.refine_windows(draft, drafts.origin[rows], window=drafts.shape,
                                             name=name)
            with files.whole_file(part(name)) as partial:
                np.save(partial, refined)
            record.add(name, key)
        return batch.Job(name, name, lambda: record.holds(name, key, targets=[part(name)]), make)

    batch.run([job(name) for name in names], strict=True)
    images, source = np.empty((len(drafts),) + drafts.shape, drafts.dtype), np.array(drafts.source)
    for name in names:
        images[source == name] = _read_part(part(name))
    _write(target, images, drafts=drafts)
    record.add('patches', key)
    for name in names:
        files.remove(part(name))
    return len(images)


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
                  labels=drafts.label[:], voxel_size=drafts.voxel_size)
