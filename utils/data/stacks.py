"""Image stacks on disk: 8 or 16 bit, axes (z, y, x), voxel size in um. TIFF; formats.py reads the others."""
import glob
import os
import re
from collections import namedtuple

import numpy as np
import tifffile

from utils.common.errors import UserError
from utils.common.files import whole_file
from utils.data import formats

EXTENSIONS = ('.tif', '.tiff') + formats.HDF5 + formats.VAA3D
# voxels: uint8 or uint16 [Z, Y, X]; voxel_size: um (z, y, x) or None; notes: what ImageJ keeps besides (Info, ...)
Stack = namedtuple('Stack', 'voxels voxel_size path notes')
NOTES = 'Info', 'Labels', 'Ranges', 'min', 'max'


def find(pattern, extensions=EXTENSIONS):
    """List the stacks (or files of other extensions) that a folder, a file or a glob pattern names, sorted.

    A folder's or pattern's patch files (patches.h5, real.h5) and .raw files of other programs than Vaa3D are passed over.

    Raises:
        UserError: if there is none, or two have the same name but for the extension.
    """
    if os.path.isdir(pattern):
        paths = [os.path.join(pattern, name) for name in os.listdir(pattern)]
    else:
        paths = [pattern] if os.path.isfile(pattern) else glob.glob(pattern)
    paths = sorted(p for p in paths if p.lower().endswith(extensions) and '.partial' not in p
                   and (p == pattern or formats.is_stack(p)))
    if not paths:
        raise UserError('no file %s matches %s: put some there or name others (folder, file or pattern)'
                        % (' or '.join('*' + e for e in extensions), pattern))
    names = [name_of(path) for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError('%s: two stacks are named %s: rename one or give one kind (*.tif), results are kept by name'
                        % (pattern, twice[0]))
    return paths


def name_of(path):
    """File name without folder and extension."""
    return os.path.splitext(os.path.basename(path))[0]


def read(path, smallest=(1, 1, 1), *, probabilities=False):
    """Read one stack.

    Args:
        path: TIFF file (ImageJ, OME or plain; BigTIFF too), HDF5, Vaa3D raw or Vaa3D pbd, by its extension.
        smallest: (z, y, x) voxels that it must have at least.
        probabilities: floating point passes, too, if it is from 0 to 1; it comes as float32.

    Returns:
        Stack; voxel_size is None where the file does not tell it.

    Raises:
        UserError: unreadable, truncated, 2-D, colour, several channels, floating point or other
            dtype, or too small. The message names the file and the cure.
    """
    try:
        if path.lower().endswith(formats.HDF5):
            (voxels, voxel_size), notes = formats.read_hdf5(path), {}
        elif path.lower().endswith(formats.VAA3D):
            voxels, voxel_size, notes = formats.read_vaa3d(path), None, {}
        else:
            voxels, voxel_size, notes = _read_tiff(path)
    except OSError as error:
        raise UserError('%s cannot be opened: %s' % (path, error.strerror or error))
    voxels = np.ascontiguousarray(voxels, dtype=voxels.dtype.newbyteorder('='))
    if voxels.dtype.kind == 'f' and probabilities:
        if not (np.isfinite(voxels).all() and voxels.min() >= 0 and voxels.max() <= 1):
            raise UserError('%s is floating point, but not from 0 to 1: it is no probability map; save probabilities, or '
                            'convert it to 8 or 16 bit' % path)
        voxels = voxels.astype(np.float32)
    elif voxels.dtype.kind == 'f':
        raise UserError('%s is floating point%s: convert it to 8 or 16 bit'
                        % (path, ' with NaN' if np.isnan(voxels).any() else ''))
    if voxels.dtype not in (np.dtype('u1'), np.dtype('u2')) + (np.dtype('f4'),) * probabilities:
        raise UserError('%s is %s: convert it to 8 or 16 bit unsigned' % (path, voxels.dtype))
    if any(n < least for n, least in zip(voxels.shape, smallest)):
        raise UserError('%s is %s voxels (z, y, x), smaller than a patch of %s: leave it out or take smaller patches'
                        % (path, ' x '.join(map(str, voxels.shape)), ' x '.join(map(str, smallest))))
    return Stack(voxels, voxel_size, path, notes)


def _read_tiff(path):
    """(voxels [Z, Y, X], voxel size or None, notes) of a TIFF file; raises UserError as read, OSError."""
    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            axes = series.axes
            voxels = series.asarray()
            if len(tiff.series) > 1 and voxels.ndim == 2:    # pages of different kinds
                raise UserError('%s holds %d unlike images: save it as one stack' % (path, len(tiff.series)))
            expected = sum(page.size for page in series.pages if page is not None)
            end = max(offset + count for page in series.pages if page is not None
                      for offset, count in zip(page.dataoffsets, page.databytecounts))
            voxel_size = _voxel_size(tiff)
            notes = {k: v for k, v in (tiff.imagej_metadata or {}).items() if k in NOTES} if tiff.is_imagej else {}
    except (UserError, OSError):
        raise
    except Exception as error:                               # tifffile raises many kinds on damaged files
        raise UserError('%s is damaged or no TIFF (%s): save it again' % (path, str(error).split('\n')[0][:100]))
    if end > os.path.getsize(path) or expected > voxels.size:
        raise UserError('%s is cut short (%d bytes, %d wanted): copy it again' % (path, os.path.getsize(path), end))
    if 'S' in axes:
        raise UserError('%s is a colour image: save one channel as 8- or 16-bit grey' % path)
    if 'C' in axes and voxels.shape[axes.index('C')] > 1:
        raise UserError('%s has %d channels: save one of them alone, or, if they are slices, as slices (Fiji: Image > Properties)'
                        % (path, voxels.shape[axes.index('C')]))
    voxels = voxels.reshape([n for n, axis in zip(voxels.shape, axes) if n > 1 or axis in 'ZYXQI'])
    if voxels.ndim != 3:
        raise UserError('%s has %d dimensions (%s): want a 3-D stack of (z, y, x)' % (path, voxels.ndim, axes))
    return voxels, voxel_size, notes


def _voxel_size(tiff):
    """(z, y, x) in um from ImageJ or OME metadata, or None."""
    page = tiff.pages[0]
    if tiff.is_imagej and tiff.imagej_metadata and 'spacing' in tiff.imagej_metadata:
        unit = str(tiff.imagej_metadata.get('unit', '')).replace('\\u00B5', 'u').replace('\xb5', 'u').lower()
        scale = {'um': 1.0, 'micron': 1.0, 'microns': 1.0, 'nm': 1e-3, 'mm': 1e3}.get(unit)
        tags = [page.tags.get(name) for name in ('YResolution', 'XResolution')]
        if scale and all(tag is not None and tag.value[0] for tag in tags):
            y, x = (tag.value[1] / tag.value[0] * scale for tag in tags)
            return float(tiff.imagej_metadata['spacing']) * scale, y, x
    if tiff.is_ome and tiff.ome_metadata:
        sizes = [re.search('PhysicalSize%s="([0-9.eE+-]+)"' % axis, tiff.ome_metadata) for axis in 'ZYX']
        if all(sizes):
            return tuple(float(size.group(1)) for size in sizes)
    return None


def write(path, voxels, *, voxel_size=None, compress=False, notes=None):
    """Write a stack as ImageJ TIFF, whole or not at all.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].
        voxel_size: (z, y, x) in um, or None if unknown.
        compress: deflate it (labels shrink a hundredfold, noise hardly).
        notes: of a Stack, to carry over.
    """
    metadata, resolution = dict(notes or {}, axes='ZYX'), None
    if voxel_size is not None:
        metadata.update(spacing=voxel_size[0], unit='um')
        resolution = (1 / voxel_size[2], 1 / voxel_size[1])
    with whole_file(path) as partial:
        tifffile.imwrite(partial, voxels, imagej=True, metadata=metadata, resolution=resolution,
                         compression='zlib' if compress else None)


def pair_by_name(image_dir, label_dir):
    """List (image, label) paths that share a file name, sorted by it.

    Raises:
        UserError: if an image has no label or the reverse (up to five are named).
    """
    images = {name_of(path): path for path in find(image_dir)}
    labels = {name_of(path): path for path in find(label_dir)}
    alone = sorted(set(images) ^ set(labels))
    if alone:
        raise UserError('%s and %s do not pair: no partner for %s' % (image_dir, label_dir, ', '.join(alone[:5])))
    return [(images[name], labels[name]) for name in sorted(images)]
