"""Stacks in TIFF files: ImageJ, OME, plain and BigTIFF, axes (z, y, x), voxel size in um."""
import contextlib
import logging
import os
import re

import tifffile

from utils.common.errors import UserError
from utils.common.files import whole_file

EXTENSIONS = ('.tif', '.tiff')
NOTES = 'Info', 'Labels', 'Ranges', 'min', 'max'      # ImageJ metadata that is carried over
# warnings of tifffile about notes of other programs and single tags, as regular expressions
HARMLESS = re.compile(r'TiffTag|_metadata|GeoKey|GDAL|read_[a-z]+|BinaryOnly|file name is invalid|'
                      r'NDTiff\.index')
MICROMETRES = {'um': 1.0, 'micron': 1.0, 'microns': 1.0, 'nm': 1e-3, 'mm': 1e3}


def read(path):
    """Read the first series of a file.

    Returns:
        (array [Z, Y, X], voxel size (z, y, x) in um or None, dict of ImageJ's notes).

    Raises:
        UserError: damaged, cut short, slices that its header leaves out, several series, colour,
            several channels, not 3-D.
        OSError: it cannot be opened.
    """
    try:
        with _complaints() as said, tifffile.TiffFile(path) as tiff:
            pages = len(tiff.pages)                          # follows them to the last one
            series = _only_series(tiff, path)
            _check_end(series, path)
            voxels, expected = series.asarray(), sum(page.size for page in _pages(series))
            if voxels is None:                               # some pages without a size or a voxel
                raise ValueError('no voxels')
            axes, voxel_size, notes = series.axes, _voxel_size(tiff), _notes(tiff)
            told = len(series)                               # pages, by its ImageJ or OME header
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:                               # tifffile raises many kinds
        raise UserError('%s is cut short, damaged or no TIFF (%s): copy or save it again'
                        % (path, str(error).split('\n')[0][:100]))
    if said or expected > voxels.size:
        raise UserError('%s is cut short or damaged (%s): copy or save it again' % (
            path, said[0] if said else '%d voxels, %d wanted' % (voxels.size, expected)))
    if pages > told:
        raise UserError('%s holds %d pages, its header tells of %d: save it again with all of its '
                        'slices' % (path, pages, told))
    return _three_axes(voxels, axes, path=path), voxel_size, notes


def _only_series(tiff, path):
    """The series of a file.

    Raises:
        UserError: there are several: images of unlike shapes, positions, time points.
    """
    if len(tiff.series) > 1:
        shapes = ', '.join(' x '.join(map(str, series.shape)) for series in tiff.series[:4])
        raise UserError('%s holds %d unlike images (%s): save one of them as a stack of its own'
                        % (path, len(tiff.series), shapes))
    return tiff.series[0]


def _pages(series):
    return [page for page in series.pages if page is not None]


def _check_end(series, path):
    """Raise UserError if voxels would lie beyond the end of the file."""
    size = os.path.getsize(path)
    end = max(offset + count for page in _pages(series)
              for offset, count in zip(page.dataoffsets, page.databytecounts))
    if end > size:
        raise UserError('%s is cut short (%d bytes, %d wanted): copy it again' % (path, size, end))


class _Listener(logging.Handler):
    """Keeps the texts of warnings, a line each, but for those that do not touch voxels."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        text = record.getMessage().split('\n')[0][:100]
        if not HARMLESS.search(text):
            self.texts.append(text)


@contextlib.contextmanager
def _complaints():
    """Within the block tifffile's logger is heard, not shown; yields the list of its warnings.

    It logs a page that lies beyond the end of a cut file, and goes on with fewer slices. Whatever
    the program has set for its loggers, it is set again afterwards.
    """
    logger, listener = logging.getLogger('tifffile'), _Listener()
    manager = logger.manager                                 # holds what logging.disable sets
    before = dict(vars(logger), disable=manager.disable)
    try:
        manager.disable = logging.NOTSET
        logger.handlers, logger.filters = [listener], []
        logger.propagate, logger.disabled = False, False
        logger.setLevel(logging.WARNING)
        yield listener.texts
    finally:
        manager.disable = before['disable']
        for name in ('handlers', 'filters', 'propagate', 'disabled'):
            setattr(logger, name, before[name])
        logger.setLevel(before['level'])                     # last: it forgets what was enabled


def _three_axes(voxels, axes, *, path):
    """Drop axes of length 1 that are not space; raise UserError for colour, channels, not 3-D."""
    if 'S' in axes:
        raise UserError('%s is a colour image: save one channel as 8- or 16-bit grey' % path)
    if 'C' in axes and voxels.shape[axes.index('C')] > 1:
        raise UserError('%s has %d channels: save one of them alone (Fiji: Image > Color > Split '
                        'Channels; CHANNEL is of OME-Zarr), or, if they are slices, as slices '
                        '(Image > Properties)' % (path, voxels.shape[axes.index('C')]))
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
    if voxels.dtype.itemsize == 1 and voxels.max(initial=0) <= 1:
        metadata.update(min=0.0, max=1.0)                    # ImageJ shows a mask black and white
    if voxel_size is not None:
        metadata.update(spacing=voxel_size[0], unit='um')
        resolution = (1 / voxel_size[2], 1 / voxel_size[1])
    with whole_file(path) as partial:
        tifffile.imwrite(partial, voxels, imagej=True, metadata=metadata, resolution=resolution,
                         compression='zlib' if compress else None)
