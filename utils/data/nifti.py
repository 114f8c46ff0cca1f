"""Stacks in NIfTI files, by nibabel: axes (x, y, z) in the file, (z, y, x) here."""
import contextlib
import gzip

import numpy as np

from utils.common import files
from utils.common.errors import UserError

EXTENSIONS = ('.nii', '.nii.gz')
MICROMETRES = {'meter': 1e6, 'mm': 1e3, 'micron': 1.0}   # units of the header
LEVEL = 1                                                # of gzip: more costs much time


def _nibabel(path):
    """The library, imported where a file needs it."""
    try:
        import nibabel
    except ImportError:
        raise UserError('%s needs the Python package nibabel: install it (pip install -r '
                        'requirements.txt)' % path)
    return nibabel


def read(path):
    """Read the only volume of a file; voxels stay in the file's order, whatever its affine says.

    16-bit signed voxels, which many programs write, come unsigned where none is negative.

    Returns:
        (array [Z, Y, X], voxel size (z, y, x) in um or None where the header has no unit).

    Raises:
        UserError: damaged, cut short, no NIfTI, colour, several volumes, 2-D.
        OSError: it cannot be opened.
    """
    nibabel = _nibabel(path)
    open(path, 'rb').close()                             # nibabel reports a missing file otherwise
    try:
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):
            raise ValueError('a %s' % type(image).__name__)
        voxels, size = np.asanyarray(image.dataobj), _voxel_size(image.header)
    except MemoryError:
        raise
    except Exception as error:                           # nibabel and gzip raise many kinds
        raise UserError('%s is cut short, damaged or no NIfTI (%s): copy or save it again'
                        % (path, str(error).split('\n')[0][:100]))
    return _three_axes(voxels, path), size


def _three_axes(voxels, path):
    """Voxels [Z, Y, X] of the file's axes x, y, z, time, channel.

    Raises:
        UserError: colour, several volumes, 2-D.
    """
    if voxels.dtype.names:
        raise UserError('%s is a colour image: save one channel as 8- or 16-bit grey' % path)
    if voxels.ndim > 3 and max(voxels.shape[3:]) > 1:
        raise UserError('%s holds %s volumes (time points or channels): save one of them alone'
                        % (path, ' x '.join(map(str, voxels.shape[3:]))))
    if voxels.ndim < 3:
        raise UserError('%s has %d dimensions: want a 3-D stack' % (path, voxels.ndim))
    voxels = voxels.reshape(voxels.shape[:3], order='A').transpose(2, 1, 0)
    if voxels.dtype.newbyteorder('=') == np.int16 and voxels.size and voxels.min() >= 0:
        voxels = voxels.astype(np.uint16)
    return voxels


def _voxel_size(header):
    """(z, y, x) in um of a header, or None; its numbers are 32-bit, so to seven digits."""
    scale = MICROMETRES.get(header.get_xyzt_units()[0])
    if scale is None:
        return None
    return tuple(float('%.7g' % (v * scale)) for v in header.get_zooms()[2::-1])


def write(path, voxels, *, voxel_size=None):
    """Write a stack as NIfTI-1, whole or not at all; .nii.gz compressed, the same bytes each time.

    Args:
        voxels: uint8 or uint16 [Z, Y, X].
        voxel_size: (z, y, x) in um, or None if unknown: the header has no unit.
    """
    nibabel = _nibabel(path)
    affine = np.diag(list((voxel_size or (1, 1, 1))[::-1]) + [1.0])
    image = nibabel.Nifti1Image(voxels.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units('micron' if voxel_size else 'unknown')
    with files.whole_file(path) as partial, contextlib.ExitStack() as opened:
        stream = opened.enter_context(open(partial, 'wb'))
        if path.lower().endswith('.gz'):
            stream = opened.enter_context(gzip.GzipFile('', 'wb', LEVEL, stream, mtime=0))
        image.to_file_map({'image': nibabel.FileHolder(fileobj=stream)})
