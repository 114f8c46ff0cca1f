"""Patch files: training patches on disk.

A patch file is HDF5: `image` (and `label`) [N, Z, Y, X], one chunk per patch, `origin` int [N, 3]
(corner in its stack, voxels), `source` str [N]; attributes voxel_size, dtype_max, digest, and of
drafts blur (sigma along z, y, x, voxels). A folder of TIFF patches serves wherever a patch file
does.
"""
import contextlib
import hashlib
import os
import re

import h5py
import numpy as np

from utils.common.errors import UserError
from utils.data import hdf5, hdf5_writer, patch_checks, stacks

SHARED = 'voxel_size', 'blur'        # attributes of a joined file, as its parts have them
AT_A_TIME = 32           # patches of a stack that are in memory while they are cut and written


def cut(voxels, corner, *, window):
    """Copy one window, (z, y, x) voxels from its corner on, out of a stack."""
    return voxels[tuple(slice(c, c + w) for c, w in zip(corner, window))].copy()


# --- writing ---

def write(path, images, *, origins, sources, labels=None, **attributes):
    """Write a patch file, whole or not at all.

    Args:
        images: uint8 or uint16 [N, Z, Y, X], N may be 0; labels: uint8 {0, 1}, same shape, or None.
        origins: int [N, 3]; sources: list of N stack names.
        attributes: kept with the file (voxel_size, ...); None is left out.
    """
    with _Writer(path, images.dtype, shape=images.shape[1:], labelled=labels is not None,
                 count=len(images)) as writer:
        writer.add(images, labels, origins=origins, sources=sources)
        writer.finish(attributes)


def write_cut(path, voxels, *, corners, window, name, label=None, start=(0, 0, 0), **attributes):
    """Cut patches out of one stack and write them as a patch file, a few in memory at a time.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; label: uint8 {0, 1}, same shape, or None.
        corners: int [N, 3], N may be 0; window: (z, y, x) voxels; name: of the stack.
        start: (z, y, x), first voxel of a block in the volume that `origin` is to count in.
        attributes: as for write.
    """
    window = tuple(window)

    def patches_of(array, some):
        return np.array([cut(array, c, window=window) for c in some], array.dtype).reshape(
            (-1,) + window)

    with _Writer(path, voxels.dtype, shape=window, labelled=label is not None,
                 count=len(corners)) as writer:
        for i in range(0, max(len(corners), 1), AT_A_TIME):
            some = corners[i:i + AT_A_TIME]
            writer.add(patches_of(voxels, some),
                       None if label is None else patches_of(label, some),
                       origins=np.reshape(some, (-1, 3)) + np.array(start, int),
                       sources=[name] * len(some))
        writer.finish(attributes)


def join(parts, path, **attributes):
    """Join patch files (some may be empty) into one; returns the number of patches.

    Raises:
        UserError: if all are empty, they mix 8 and 16 bit, or one is damaged.
    """
    kinds, count, labelled, shared = set(), 0, False, {}
    for part in parts:
        with _part(part) as file:
            kinds.add((file['image'].dtype, file['image'].shape[1:]))
            count += len(file['image'])
            labelled = 'label' in file
            shared.update((name, file.attrs[name]) for name in SHARED if name in file.attrs)
    if len(kinds) > 1:
        raise UserError('%s would mix 8- and 16-bit stacks: prepare each kind apart, with its own '
                        'OUTPUT' % path)
    if count == 0:
        raise UserError('%s would hold no patch: make more or larger stacks' % path)
    dtype, shape = kinds.pop()
    with _Writer(path, dtype, shape=shape, labelled=labelled, count=count) as writer:
        for part in parts:
            with _part(part) as file:
                images, labels = file['image'][:], file['label'][:] if labelled else None
                if patch_checks.digest(images, labels) != file.attrs['digest']:
                    raise ValueError('its patches are not those of its digest')
                origins, sources = file['origin'][:], file['source'][:]
            writer.add(images, labels, origins=origins, sources=sources)
        writer.finish(dict(attributes, **shared))
    return count


@contextlib.contextmanager
def _part(path):
    """Yield an open part of a join; what is wrong with it is raised as a UserError."""
    try:
        with h5py.File(path, 'r') as file:
            patch_checks.structure(file)
            yield file
    except patch_checks.DAMAGE as error:
        raise UserError('%s is damaged (%s): remove it and run the same command again'
                        % (path, patch_checks.reason(error)))


class _Writer:
    """Appends patches to a file that is not there before finish(); the order of writes is part of
    the format, so that equal patches make equal bytes."""

    def __init__(self, path, dtype, *, shape, labelled, count):
        """Args: count: patches that will come, about."""
        self.path, self.dtype, self.shape, self.labelled = path, dtype, tuple(shape), labelled
        self.size = count * int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.digest, self.n, self.origins, self.sources = hashlib.sha1(), 0, [], []

    def __enter__(self):
        with contextlib.ExitStack() as opened:               # what has been opened is closed again
            self.file, self.check = opened.enter_context(hdf5_writer.create(self.path, self.size))
            options = dict(chunks=(1,) + self.shape, maxshape=(None,) + self.shape)
            empty = (0,) + self.shape
            self.image = self.file.create_dataset('image', empty, self.dtype, **options)
            self.label = None
            if self.labelled:
                self.label = self.file.create_dataset('label', empty, np.uint8, compression='gzip',
                                                      compression_opts=1, **options)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *error):
        return self._opened.__exit__(*error)

    def add(self, images, labels, *, origins, sources):
        """Append patches [N, Z, Y, X], their labels (or None), corners and stack names."""
        end = self.n + len(images)
        for data, values in [(self.image, images)] + [(self.label, labels)] * self.labelled:
            data.resize(end, 0)
            if len(images):
                data[self.n:] = values
            self.check()
        patch_checks.update(self.digest, images, labels=labels)
        self.n = end
        self.origins.append(np.asarray(origins, np.int32).reshape(-1, 3))
        self.sources.extend(s.encode('utf-8') if isinstance(s, str) else s for s in sources)

    def finish(self, attributes):
        """Write corners, names and attributes, the digest of all patches among them."""
        self.file['origin'] = np.concatenate(self.origins)
        self.file.create_dataset('source', data=self.sources, shape=(self.n,),
                                 dtype=h5py.string_dtype())
        self.file.attrs['dtype_max'] = int(np.iinfo(self.dtype).max)
        self.file.attrs['digest'] = self.digest.hexdigest()
        for name, value in attributes.items():
            if value is not None:
                self.file.attrs[name] = value


# --- reading ---

def made_from(path):
    """The attribute `made_from` of a whole patch file, or None without the file or attribute."""
    try:
        with h5py.File(path, 'r') as file:
            return file.attrs.get('made_from')
    except patch_checks.DAMAGE:
        return None


def place_of(notes):
    """Where a TIFF patch was cut, by two lines of ImageJ's Info: source=NAME, origin=Z,Y,X.

    Args:
        notes: of a stacks.Stack.

    Returns:
        (name of its stack, (z, y, x) voxels), or None.
    """
    info = str(notes.get('Info', ''))
    source = re.search(r'^\s*source\s*=\s*(\S.*?)\s*$', info, re.M)
    origin = re.search(r'^\s*origin\s*=\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*$', info, re.M)
    return (source.group(1), tuple(map(int, origin.groups()))) if source and origin else None


class PatchFile:
    """Patches, read when asked for: an HDF5 file, a folder of TIFF, or folders images/ and labels/.

    Attributes:
        image: [N, Z, Y, X], uint8 or uint16; label: {0, 1}, same shape, or None.
        source: list of N stack names; origin: int [N, 3], voxels.
        placed: True: source and origin are known; False: each patch counts as a stack of its own.
        shape: (z, y, x) of a patch; dtype; digest: of all patches; voxel_size: um or None.
        blur: (z, y, x) sigma of the drafts' optics, voxels, or None.
        file: the open h5py.File, None for a folder.
    """

    def __init__(self, path, with_labels=False):
        """Raises UserError: missing, empty, damaged, without the labels asked for, or patches of
        unlike shapes or other kinds of numbers. `check` tells whether they can be trained on."""
        self.path, self.file, self.placed, self.blur = path, None, True, None
        if os.path.isdir(path):
            self._open_folder(with_labels)
        else:
            self._open_file(with_labels)
        if len(self.image) == 0:
            raise UserError('%s holds no patch: make it anew' % path)
        if with_labels and self.label.shape != self.image.shape:
            raise UserError('%s: images are %s and labels %s: make it anew'
                            % (path, self.image.shape, self.label.shape))
        self.dtype, self.shape = self.image.dtype, tuple(self.image.shape[1:])

    def _open_file(self, with_labels):
        if not os.path.isfile(self.path):
            raise UserError('no patch file %s: make it first (prepare_patches.py for real patches, '
                            '1_simulator.py for drafts)' % self.path)
        hdf5.check_whole(self.path)
        try:
            self.file = h5py.File(self.path, 'r')
            patch_checks.structure(self.file)
            self.image = self.file['image']
            self.origin = self.file['origin'][:]
            self.source = patch_checks.names(self.file['source'][:])
            self.label = self.file['label'] if with_labels else None
            self.digest = str(self.file.attrs['digest'])
            self.voxel_size = self.file.attrs.get('voxel_size')
            self.blur = self.file.attrs.get('blur')
        except patch_checks.DAMAGE as error:
            raise UserError('%s is damaged or no patch file (%s): make it anew'
                            % (self.path, patch_checks.reason(error)))

    def _open_folder(self, with_labels):
        if with_labels:
            pairs = stacks.pair_by_name(*[os.path.join(self.path, kind)
                                          for kind in ('images', 'labels')])
        else:
            pairs = [(image, None) for image in stacks.find(self.path)]
        images = [stacks.read(image) for image, _ in pairs]
        voxels = [image.voxels for image in images]
        labels = [stacks.read(label).voxels for _, label in pairs] if with_labels else []
        if len({(v.shape, v.dtype) for v in voxels}) > 1:
            raise UserError('%s holds patches of unlike shape or dtype: keep one kind' % self.path)
        for (_, path), image, label in zip(pairs, voxels, labels):
            if label.shape != image.shape:
                raise UserError('%s is %s voxels, its image %s: they are no pair'
                                % (path, label.shape, image.shape))
        self.image, self.voxel_size = np.stack(voxels), images[0].voxel_size
        self.label = np.stack(labels) if with_labels else None
        places = [place_of(image.notes) for image in images]
        self.placed = None not in places
        if not self.placed:
            places = [(stacks.name_of(image), (0, 0, 0)) for image, _ in pairs]
        self.source = [source for source, _ in places]
        self.origin = np.array([origin for _, origin in places], int)
        self.digest = hashlib.sha1(b''.join(a.tobytes() for a in voxels + labels)).hexdigest()

    def check(self, real=False):
        """Read all patches once, and raise UserError for what cannot be trained on.

        Args:
            real: these are real patches; see patch_checks.check.
        """
        patch_checks.check(self, real=real)

    def __len__(self):
        return len(self.image)
