"""Stacks in TIFF files: ImageJ, OME, plain and BigTIFF, axes (z, y, x), voxel size in um."""
import os
import re

import tifffile

from utils.common.errors import UserError
from utils.common.files import whole_file

EXTENSIONS = ('.tif', '.tiff')
NOTES = 'Info', 'Labels', 'Ranges', 'min', 'max'      # ImageJ metadata that is carried over
MICROMETRES = {'um': 1.0, 'micron': 1.0, 'microns': 1.0, 'nm': 1e-3, 'mm': 1e3}


def read(path):
    """Read the first series of a file.

    Returns:
        (array [Z, Y, X], voxel size (z, y, x) in um or None, dict of ImageJ's notes).

    Raises:
        UserError: damaged, cut short, colour, several channels, not 3-D.
        OSError: it cannot be opened.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            axes, voxels = series.axes, series.asarray()
            if len(tiff.series) > 1 and voxels.ndim == 2:    # pages of different kinds
                raise UserError('%s holds %d unlike images: save it as one stack'
                                % (path, len(tiff.series)))
            pages = [page for page in series.pages if page is not None]
            expected = sum(page.size for page in pages)
            end = max(offset + count for page in pages
                      for offset, count in zip(page.dataoffsets, page.databytecounts))
            voxel_size, notes = _voxel_size(tiff), _notes(tiff)
    except (UserError, OSError):
        raise
    except Exception as error:                               # tifffile raises many kinds
        raise UserError('%s is damaged or no TIFF (%s): save it again'
                        % (path, str(error).split('\n')[0][:100]))
    if end > os.path.getsize(path) or expected > voxels.size:
        raise UserError('%s is cut short (%d bytes, %d wanted): copy it again'
                        % (path, os.path.getsize(path), end))
    return _three_axes(voxels, axes, path=path), voxel_size, notes


def _three_axes(voxels, axes, *, path):
    """Drop axes of length 1 that are not space; raise UserError for colour, channels, not 3-D."""
    if 'S' in axes:
        raise UserError('%s is a colour image: save one channel as 8- or 16-bit grey' % path)
    if 'C' in axes and voxels.shape[axes.index('C')] > 1:
        raise UserError('%s has %d channels: save one of them alone, or, if they are slices, as '
                        'slices (Fiji: Image > Properties)' % (path, voxels.shape[axes.index('C')]))
    voxels = voxels.reshape([n for n, axis in zip(voxels.shape, axes) if n > 1 or axis in 'ZYXQI'])
    if voxels.ndim != 3:
        raise UserError('%s has %d dimensions (%s): want a 3-D stack of (z, y, x)'
                        % (path, voxels.ndim, axes))
    return voxels


def _notes(tiff):
    """What ImageJ keeps besides the voxels (Info, slice labels, display range)."""
    known = tiff.imagej_metadata or {} if tiff.is_imagej else {}
    return {name: value for name, value in known.items() if name in NOTES}


def _voxel_size(tiff):
    """(z, y, x) in um from ImageJ or OME metadata, or None."""
    page = tiff.pages[0]
    if tiff.is_imagej and tiff.imagej_metadata and 'spacing' in tiff.imagej_metadata:
        unit = str(tiff.imagej_metadata.get('unit', ''))
        unit = unit.replace('\\u00B5', 'u').replace('\xb5', 'u').lower()
        scale = MICROMETRES.get(unit)
        tags = [page.tags.get(name) for name in ('YResolution', 'XResolution')]
        if scale and all(tag is not None and tag.value[0] for tag in tags):
            y, x = (tag.value[1] / tag.value[0] * scale for tag in tags)
            return float(tiff.imagej_metadata['spacing']) * scale, y, x
    if tiff.is_ome and tiff.ome_metadata:
        sizes = [re.search('PhysicalSize%s="([0-9.eE+-]+)"' % axis, tiff.ome_metadata)
                 for axis in 'ZYX']
        if all(sizes):
            return tuple(float(size.group(1)) for size in sizes)
    return None


def write(path, voxels, *, voxel_size=None, compress=False, notes=None):
    """Write a stack as ImageJ TIFF, whole or not at all; arguments as for stacks.write."""
    metadata, resolution = dict(notes or {}, axes='ZYX'), None
    if voxel_size is not None:
        metadata.update(spacing=voxel_size[0], unit='um')
        resolution = (1 / voxel_size[2], 1 / voxel_size[1])
    with whole_file(path) as partial:
        tifffile.imwrite(partial, voxels, imagej=True, metadata=metadata, resolution=resolution,
                         compression='zlib' if compress else None)
