"""Training patches: where to cut them, how they lie on disk, how batches are drawn.

A patch file is HDF5: `image` (and `label`) [N, Z, Y, X], one chunk per patch, `origin` int [N, 3] (corner
in its stack, voxels), `source` str [N]. A folder of TIFF patches serves wherever a patch file does.
"""
import hashlib
import os

import h5py
import numpy as np

from utils.common.errors import UserError
from utils.common.files import whole_file
from utils.data import stacks


def cut(voxels, corner, *, window):
    """Copy one window out of a stack."""
    return voxels[tuple(slice(c, c + w) for c, w in zip(corner, window))].copy()


# --- on disk ---

def write(path, images, *, origins, sources, labels=None, **attributes):
    """Write a patch file, whole or not at all.

    Args:
        images: uint8 or uint16 [N, Z, Y, X], N may be 0; labels: uint8 {0, 1}, same shape, or None.
        origins: int [N, 3]; sources: list of N stack names.
        attributes: kept with the file (voxel_size, ...); None is left out.
    """
    _write(path, images.dtype, shape=images.shape[1:], labelled=labels is not None, parts=[(images, labels, origins, sources)], attributes=attributes)


def write_cut(path, voxels, *, corners, window, name, label=None, **attributes):
    """Cut patches out of one stack and write them as a patch file, a few in memory at a time.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; corners: int [N, 3], N may be 0; window: (z, y, x); name: of the stack.
        label: uint8 {0, 1} [Z, Y, X] or None; attributes: as for write.
    """
    def parts(step=32):
        for i in range(0, max(len(corners), 1), step):
            some = corners[i:i + step]
            images, labels = [None if a is None else np.array([cut(a, c, window=window) for c in some], a.dtype).reshape(
                (-1,) + tuple(window)) for a in (voxels, label)]
            yield images, labels, some, [name] * len(some)

    _write(path, voxels.dtype, shape=tuple(window), labelled=label is not None, parts=parts(), attributes=attributes)


def _write(path, dtype, *, shape, labelled, parts, attributes):
    """Write a patch file from parts (images, labels, origins, sources), one part in memory at a time."""
    digest, n = hashlib.sha1(), 0
    options = dict(chunks=(1,) + tuple(shape), maxshape=(None,) + tuple(shape))
    with whole_file(path) as partial:
        with h5py.File(partial, 'w') as file:
            image = file.create_dataset('image', (0,) + tuple(shape), dtype, **options)
            if labelled:
                label = file.create_dataset('label', (0,) + tuple(shape), np.uint8, compression='gzip',
                                            compression_opts=1, **options)
            all_origins, all_sources = [], []
            for images, labels, origins, sources in parts:
                image.resize(n + len(images), 0)
                if len(images):
                    image[n:] = images
                if labelled:
                    label.resize(n + len(images), 0)
                    if len(images):
                        label[n:] = labels
                for patch in images if labels is None else [p for pair in zip(images, labels) for p in pair]:
                    digest.update(np.ascontiguousarray(patch))
                n += len(images)
                all_origins.append(np.asarray(origins, np.int32).reshape(-1, 3))
                all_sources.extend(s.encode('utf-8') if isinstance(s, str) else s for s in sources)
            file['origin'] = np.concatenate(all_origins)
            file.create_dataset('source', data=all_sources, shape=(n,), dtype=h5py.string_dtype())
            file.attrs['dtype_max'] = int(np.iinfo(dtype).max)
            file.attrs['digest'] = digest.hexdigest()
            for name, value in attributes.items():
                if value is not None:
                    file.attrs[name] = value
    return n


def made_from(path):
    """The attribute `made_from` of a whole patch file, or None if there is no such file or attribute."""
    try:
        with h5py.File(path, 'r') as file:
            return file.attrs.get('made_from')
    except OSError:
        return None


def join(parts, path, **attributes):
    """Join patch files (some may be empty) into one; returns the number of patches.

    Raises:
        UserError: if all are empty or they mix 8 and 16 bit.
    """
    kinds, count, voxel_size, labelled = set(), 0, None, False
    for part in parts:
        with h5py.File(part, 'r') as file:
            kinds.add((file['image'].dtype, file['image'].shape[1:]))
            count += len(file['image'])
            labelled = 'label' in file
            voxel_size = file.attrs.get('voxel_size', voxel_size)
    if len(kinds) > 1:
        raise UserError('%s would mix 8- and 16-bit stacks: prepare each kind apart, with its own OUTPUT' % path)
    if count == 0:
        raise UserError('%s would hold no patch: make more or larger stacks' % path)

    def contents():
        for part in parts:
            with h5py.File(part, 'r') as file:
                yield (file['image'][:], file['label'][:] if labelled else None, file['origin'][:],
                       file['source'][:])

    dtype, shape = kinds.pop()
    return _write(path, dtype, shape=shape, labelled=labelled, parts=contents(), attributes=dict(attributes, voxel_size=voxel_size))


class PatchFile:
    """Patches on disk, read when asked for: a HDF5 file, a folder of TIFF, or folders images/ and labels/."""

    def __init__(self, path, with_labels=False):
        """Raises UserError: missing, empty, damaged, without the labels asked for, or patches of unlike shapes."""
        self.path, self.file = path, None
        if os.path.isdir(path):
            if with_labels:
                pairs = stacks.pair_by_name(os.path.join(path, 'images'), os.path.join(path, 'labels'))
            else:
                pairs = [(image, None) for image in stacks.find(path)]
            voxels = [stacks.read(image).voxels for image, _ in pairs]
            labels = [stacks.read(label).voxels for _, label in pairs] if with_labels else []
            if len({(v.shape, v.dtype) for v in voxels}) > 1:
                raise UserError('%s holds patches of unlike shape or dtype: keep one kind' % path)
            for (_, label_path), image, label in zip(pairs, voxels, labels):
                if label.shape != image.shape:
                    raise UserError('%s is %s voxels, its image %s: they are no pair' % (label_path, label.shape, image.shape))
            self.image = np.stack(voxels)
            self.label = np.stack(labels) if with_labels else None
            self.source = [stacks.name_of(image) for image, _ in pairs]
            self.origin = np.zeros((len(pairs), 3), int)
            self.digest = hashlib.sha1(b''.join(a.tobytes() for a in voxels + labels)).hexdigest()
            self.voxel_size = stacks.read(pairs[0][0]).voxel_size
        else:
            if not os.path.isfile(path):
                raise UserError('no patch file %s: make it first (prepare_patches.py for real patches, '
                                '1_simulator.py for drafts)' % path)
            try:
                self.file = h5py.File(path, 'r')
                self.image, self.origin = self.file['image'], self.file['origin'][:]
                self.source = [s.decode('utf-8') if isinstance(s, bytes) else s for s in self.file['source'][:]]
                self.label = self.file['label'] if with_labels else None
                self.digest = self.file.attrs['digest']
                self.voxel_size = self.file.attrs.get('voxel_size')
            except (OSError, KeyError) as error:
                raise UserError('%s is damaged or no patch file (%s): make it anew'
                                % (path, str(error).split('\n')[0].strip('"')))
        if len(self.image) == 0:
            raise UserError('%s holds no patch: make it anew' % path)
        if with_labels and self.label.shape != self.image.shape:
            raise UserError('%s: images are %s and labels %s: make it anew'
                            % (path, self.image.shape, self.label.shape))
        self.dtype, self.shape = self.image.dtype, tuple(self.image.shape[1:])

    def __len__(self):
        return len(self.image)
