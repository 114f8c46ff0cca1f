"""OME-Zarr's metadata (NGFF 0.4, and what 0.1 to 0.5 differ in): axes, levels, voxel size in um."""
import math
from collections import namedtuple

from utils.common.errors import UserError

VERSION = '0.4'
OLD_AXES = 't', 'c', 'z', 'y', 'x'       # of versions that name none
SPACE = 'z', 'y', 'x'
SPARSE = 'mpgan_empty_chunks_left_out'   # attribute of images that create() makes
UNFINISHED = 'mpgan_unfinished'          # attribute of those whose blocks are still being made
# names of units by NGFF (UDUNITS-2) and their usual short forms, um
MICROMETRES = {
    'angstrom': 1e-4, 'picometer': 1e-6, 'nanometer': 1e-3, 'micrometer': 1.0, 'micron': 1.0,
    'millimeter': 1e3, 'centimeter': 1e4, 'meter': 1e6,
    'pm': 1e-6, 'nm': 1e-3, 'um': 1.0, '\xb5m': 1.0, '\u03bcm': 1.0, 'mm': 1e3, 'cm': 1e4, 'm': 1e6}
# axes: their names in the order of the arrays; units: of each, or None;
# levels: (folder, scale of each axis or None), the finest first;
# sparse: True if its writer leaves all empty chunks out, so that there may be none;
# unfinished: True if blocks of it may not be written yet
Image = namedtuple('Image', 'axes units levels sparse unfinished')


# --- reading ---

def image_of(attributes, *, path):
    """The image that a group's attributes describe.

    Args:
        attributes: dict, of .zattrs or zarr.json.

    Raises:
        UserError: there is no multiscale image; a plate; no z, y and x; damaged metadata.
    """
    attributes = attributes.get('ome', attributes)           # 0.5 keeps all of it there
    if 'plate' in attributes or 'well' in attributes:
        raise UserError('%s is a plate of several images: give one of them (%s/ROW/COLUMN/FIELD)'
                        % (path, path))
    try:
        scales = attributes['multiscales'][0]
        levels = [str(level['path']) for level in scales['datasets']]
        axes, units = _axes(scales)
        whole = _scale(scales, axes) or [1.0] * len(axes)
        steps = [_scale(level, axes) for level in scales['datasets']]
        steps = [step and [a * b for a, b in zip(step, whole)] for step in steps]
    except (KeyError, IndexError, TypeError, AttributeError):
        raise UserError('%s tells no multiscales, so it is no OME-Zarr image: give the folder of '
                        'one, or save it as OME-Zarr' % path)
    if not levels or len(set(axes)) < len(axes):
        raise UserError('%s has damaged multiscales (levels %s, axes %s): save it again'
                        % (path, levels, axes))
    if not set(SPACE) <= set(axes):
        raise UserError('%s has the axes %s: want a 3-D stack with z, y and x'
                        % (path, ' '.join(axes) or 'none'))
    return Image(axes, units, list(zip(levels, steps)), attributes.get(SPARSE) is True,
                 attributes.get(UNFINISHED) is True)


def _axes(scales):
    """(names, units or None of each) of the axes of one entry of multiscales."""
    axes = scales.get('axes', OLD_AXES)
    named = [axis if isinstance(axis, dict) else {'name': axis} for axis in axes]
    return [str(axis['name']).lower() for axis in named], [axis.get('unit') for axis in named]


def _scale(holder, axes):
    """The scale of an entry's coordinateTransformations, or None: of each axis, finite, not 0."""
    for change in holder.get('coordinateTransformations') or ():
        if change.get('type') == 'scale':
            scale = [abs(float(v)) if isinstance(v, (int, float)) else 0.0
                     for v in change.get('scale', ())]
            if len(scale) == len(axes) and all(0 < v < math.inf for v in scale):
                return scale
    return None


def voxel_size(image, level):
    """(z, y, x) um of a level's voxels, or None where the metadata does not tell it.

    Lengths without a unit count as um, as most writers leave it away; a scale of ones without a
    unit says nothing. A unit that is no length (pixel) says nothing either.
    """
    scale = image.levels[level][1]
    if scale is None:
        return None
    places = [image.axes.index(axis) for axis in SPACE]
    units = [image.units[place] for place in places]
    if not any(units):
        # of the finest level: a lower one has twice the scale
        known = any(v != 1 for v in (image.levels[0][1] or ()))
        return tuple(scale[place] for place in places) if known else None
    factors = [MICROMETRES.get(str(unit).lower().replace('metre', 'meter')) for unit in units]
    if None in factors:
        return None
    return tuple(round(scale[place] * factor, 12) for place, factor in zip(places, factors))


# --- writing ---

def attributes(name, *, voxel_size=None, factors=((1, 1, 1),), how='mean'):
    """Attributes of an image with axes z, y, x and levels '0', '1', ...

    Args:
        name: of the image.
        voxel_size: (z, y, x) um, or None: axes have no unit, the scale of level 0 is 1.
        factors: how many voxels of level 0 one of each level spans, (z, y, x).
        how: 'mean' or 'max', of these voxels.
    """
    size = (1.0, 1.0, 1.0) if voxel_size is None else voxel_size
    unit = {} if voxel_size is None else {'unit': 'micrometer'}
    levels = []
    for number, factor in enumerate(factors):
        changes = [{'type': 'scale', 'scale': [float(v) * f for v, f in zip(size, factor)]}]
        if number:                                           # the middle of a voxel's first voxel
            changes.append({'type': 'translation',
                            'translation': [float(v) * (f - 1) / 2 for v, f in zip(size, factor)]})
        levels.append({'path': str(number), 'coordinateTransformations': changes})
    return {SPARSE: True, 'multiscales': [{
        'version': VERSION, 'name': name, 'type': how,
        'axes': [dict(unit, name=axis, type='space') for axis in SPACE], 'datasets': levels}]}
