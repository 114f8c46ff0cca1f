"""OME-Zarr stores as others write them, made without the library zarr."""
import json


def foreign(path, voxels, *, axes='zyx', unit='micrometer', scale=(2.0, 0.5, 0.25), **array):
    """A store as others may write it, made without zarr: format 2, one chunk, not compressed."""
    axes = list(axes)
    named = [dict({'name': axis, 'type': 'space'}, **({'unit': unit} if unit else {}))
             if axis in 'zyx' else {'name': axis, 'type': 'channel'} for axis in axes]
    steps = dict(zip('zyx', scale or ()))
    level = {'path': '0'}
    if scale:
        level['coordinateTransformations'] = [
            {'type': 'scale', 'scale': [steps.get(axis, 1.0) for axis in axes]}]
    put(path / '.zgroup', {'zarr_format': 2})
    put(path / '.zattrs', {'multiscales': [{'version': '0.4', 'axes': named, 'datasets': [level]}]})
    put(path / '0/.zarray', dict({
        'zarr_format': 2, 'shape': voxels.shape, 'chunks': voxels.shape, 'compressor': None,
        'dtype': voxels.dtype.str, 'fill_value': 0, 'order': 'C', 'filters': None}, **array))
    (path / '0' / '.'.join('0' * voxels.ndim)).write_bytes(voxels.tobytes())
    return str(path)


def put(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
