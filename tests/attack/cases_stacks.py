"""Bad stacks: TIFF, HDF5, Vaa3D, NIfTI, OME-Zarr, names; read by steps 0, 2, 3 and 4."""
import os
import pathlib
import socket
import struct

import h5py
import numpy as np

from tests import volume_stores
from tests.attack import inputs
from tests.attack.cases import Case
from tests.attack.inputs import put, voxels
from utils.data import nifti

IN = 'in'                                    # folder of the bad stack, beside a good one
# script -> (arguments, parts of the base) of a run that reads the stacks of IN
READERS = {
    'prepare_patches.py': (inputs.PREPARE + ['STACKS=in', 'OUTPUT=out', 'MAX_STACK_FIGURES=0'],
                           ()),
    '4_reconstruction.py': (inputs.TRACE + ['INPUT=in', 'OUTPUT=out'], ()),
    '3_segmentation.py': (inputs.SEGMENT + ['STAGE=predict', 'INPUT=in', 'OUTPUT=out'],
                          ('runs/segmentation',)),
    '2_mpgan.py': (inputs.GAN + ['STAGE=refine', 'INPUT=in', 'OUTPUT=out'], ('runs/mpgan',))}
ORDER = ('prepare_patches.py', '4_reconstruction.py', 'prepare_patches.py', '3_segmentation.py',
         'prepare_patches.py', '2_mpgan.py')
# script -> the good stack's result, which has to be there
RESULTS = {'prepare_patches.py': 'out/real.h5', '4_reconstruction.py': 'out/good.swc',
           '3_segmentation.py': 'out/good.mask.tif', '2_mpgan.py': 'out/images/good.tif'}


def tiff_cut(writer):
    """Maker of a TIFF of one kind that lost its end."""
    def build(path, rng):
        inputs.TIFFS[writer](path, voxels(1))
        inputs.cut(path, float(rng.uniform(0.3, 0.97)))
    return build


def tiff_lost_pages(writer):
    """Maker of a TIFF that ends behind a page: its next page is beyond the end."""
    def build(path, rng):
        inputs.TIFFS[writer](path, voxels(1))
        offsets, _ = inputs.page_offsets(path)
        inputs.cut(path, offsets[int(rng.integers(len(offsets) // 2, len(offsets) - 1))])
    return build


def next_page(value):
    """Maker of a TIFF with another offset for the next page; value: function (offsets) -> int."""
    def build(path, rng):
        inputs.TIFFS['paged'](path, voxels(1))
        offsets, fields = inputs.page_offsets(path)
        at = int(rng.integers(len(offsets) // 2, len(offsets) - 2))
        inputs.overwrite(path, fields[at], content=int(value(offsets)).to_bytes(4, 'little'))
    return build


def written(image, **options):
    """Maker of a TIFF by tifffile."""
    return lambda path, rng: inputs.write(path, image, **options)


def fewer_told(writer):
    """Maker of a TIFF whose header tells of half of its slices."""
    def build(path, rng):
        inputs.TIFFS[writer](path, voxels(1))
        with open(path, 'rb') as file:
            data = file.read()
        n = inputs.SHAPE[0]
        for text in ('images=%d', 'slices=%d', 'SizeZ="%d"', 'PlaneCount="%d"'):
            data = data.replace((text % n).encode(), (text % (n // 2)).encode())
        put(path, data)
    return build


def zarr(name, *, cut=None, image=None):
    """Maker of an OME-Zarr folder that lost a file, or of which one is cut.

    Args:
        name: of the file; cut: None, or function (rng) -> share of its bytes that stays.
        image: of another kind than the usual one.
    """
    def build(path, rng):
        volume_stores.foreign(pathlib.Path(path), voxels(1) if image is None else image)
        if name and cut:
            inputs.cut(os.path.join(path, name), cut(rng))
        elif name:
            os.remove(os.path.join(path, name))
    return build


def nifti_cut(path, rng):
    """A NIfTI file that lost its end."""
    nifti.write(path, voxels(1))
    inputs.cut(path, float(rng.uniform(0, 0.97)))


def two_series(path, rng):
    """An OME file with a second image."""
    import tifffile
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(voxels(1), metadata=dict(axes='ZYX'))
        file.write(voxels(2, (30, 60, 60)), metadata=dict(axes='ZYX'))


def random_bytes(head):
    """Maker of a file that begins well and goes on at random."""
    return lambda path, rng: put(path, head + rng.bytes(int(rng.integers(100, 5000))))


def raw(change):
    """Maker of a Vaa3D raw file; change: function (rng) -> its bytes."""
    return lambda path, rng: put(path, change(rng))


def hdf5_of(**datasets):
    """Maker of an HDF5 file of arrays."""
    return lambda path, rng: inputs.hdf5(path, **datasets)


def hdf5_cut(path, rng):
    """An HDF5 file that lost its end."""
    inputs.hdf5(path, volume=voxels(1))
    inputs.cut(path, float(rng.uniform(0.2, 0.95)))


def external(path, rng):
    """Voxels that lie in another file of the system."""
    put(os.path.join(os.path.dirname(path), '..', 'secret'), voxels(1).tobytes())
    with h5py.File(path, 'w') as file:
        file.create_dataset('volume', inputs.SHAPE, np.uint16,
                            external=[('../secret', 0, voxels(1).nbytes)])


def virtual(path, rng):
    """Voxels that lie in another HDF5 file."""
    inputs.hdf5(os.path.join(os.path.dirname(path), '..', 'other.h5'), volume=voxels(1))
    layout = h5py.VirtualLayout(inputs.SHAPE, np.uint16)
    layout[:] = h5py.VirtualSource('../other.h5', 'volume', inputs.SHAPE)
    with h5py.File(path, 'w') as file:
        file.create_virtual_dataset('volume', layout)


def fifo(path, rng):
    """Nobody writes to it: whoever opens it waits."""
    os.mkfifo(path)


def listening(path, rng):
    """A socket."""
    server = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(os.path.dirname(path))          # names of sockets are short
    try:
        server.bind(os.path.basename(path))
    finally:
        os.chdir(before)
        server.close()


cut_raw = raw(lambda rng: inputs.vaa3d(V)[:int(rng.integers(50, 9999))])
V, E = voxels(1), voxels(1, dtype=np.uint8)
CUT = ('cut short', 'damaged', 'cut off')
# (what, file name, maker, words)
BAD = [('%s TIFF, its end cut off' % kind, 'bad.tif', tiff_cut(kind), (CUT,))
       for kind in inputs.TIFFS]
BAD += [('%s TIFF, last pages lost' % kind, 'bad.tif', tiff_lost_pages(kind), (CUT,))
        for kind in ('lzw', 'deflate', 'paged')]
BAD += [
    ('next page beyond the end', 'bad.tif', next_page(lambda at: 1 << 31), (CUT,)),
    ('pages in a circle', 'bad.tif', next_page(lambda at: at[3]), ()),
    ('empty TIFF', 'bad.tif', lambda path, rng: put(path, b''), ()),
    ('text named TIFF', 'bad.tif', lambda path, rng: put(path, 'a,b\n1,2\n'), ()),
    ('header alone', 'bad.tif', lambda path, rng: put(path, b'II*\0\x08\0\0\0'), ()),
    ('random bytes as TIFF', 'bad.tif', random_bytes(b'II*\0\x08\0\0\0'), ()),
    ('one slice', 'bad.tif', written(V[0], metadata=None), (('dimension', '2-D', '3-D'),)),
    ('colour', 'bad.tif', written(np.repeat(E[..., None], 3, -1), photometric='rgb'),
     (('colour', 'channel'),)),
    ('two channels', 'bad.tif', written(np.stack([V, V], 1), imagej=True,
                                        metadata=dict(axes='ZCYX')), ('channel',)),
    ('float', 'bad.tif', written(V.astype(np.float32) * 2, metadata=None), ('float',)),
    ('float with NaN', 'bad.tif', written(np.full(V.shape, np.nan, np.float32), metadata=None),
     ('float',)),
    ('int16', 'bad.tif', written(V.astype(np.int16), metadata=None), ('int16',)),
    ('uint32', 'bad.tif', written(V.astype(np.uint32), metadata=None), ('uint32',)),
    ('OME with two images', 'bad.ome.tif', two_series, (('2 ', 'two', 'series', 'second'),)),
    ('ImageJ header of half the slices', 'bad.tif', fewer_told('imagej'), ('pages',)),
    ('OME header of half the slices', 'bad.tif', fewer_told('ome'), ('pages',)),
    ('too small', 'bad.tif', written(V[:3, :8, :8], metadata=None, photometric='minisblack'), ()),
    ('HDF5, its end cut off', 'bad.h5', hdf5_cut, (('damaged', 'cut'),)),
    ('random bytes as HDF5', 'bad.h5', random_bytes(b'\x89HDF\r\n\x1a\n'),
     (('damaged', 'no HDF5'),)),
    ('HDF5 without a stack', 'bad.h5', hdf5_of(note=np.zeros(3)), ('3-D',)),
    ('HDF5 of two dimensions', 'bad.h5', hdf5_of(volume=V[0]), ('3-D',)),
    ('HDF5 of four dimensions', 'bad.h5', hdf5_of(volume=np.stack([V, V])), ('3-D',)),
    ('HDF5 with two stacks', 'bad.h5', hdf5_of(a=V, b=V), ('2 3-D',)),
    ('HDF5 float', 'bad.h5', hdf5_of(volume=V * 2.5), ('float',)),
    ('HDF5 int8', 'bad.h5', hdf5_of(volume=E.astype(np.int8)), ('int8',)),
    ('HDF5, external storage', 'bad.h5', external, (('external', 'another file', 'other file'),)),
    ('HDF5, virtual', 'bad.h5', virtual, (('virtual', 'another file', 'other file'),)),
    ('raw, cut', 'bad.v3draw', cut_raw, (CUT,)),
    ('raw, header cut', 'bad.v3draw', raw(lambda rng: inputs.vaa3d(V)[:30]), (CUT,)),
    ('raw, too long', 'bad.v3draw', raw(lambda rng: inputs.vaa3d(V) + rng.bytes(9)), ('longer',)),
    ('raw, no mark', 'bad.v3draw', raw(lambda rng: b'x' + inputs.vaa3d(V)[1:]), ('Vaa3D',)),
    ('raw, no voxels', 'bad.v3draw', raw(lambda rng: inputs.vaa3d(V, shape=(0, 80, 80))), ()),
    ('raw, negative', 'bad.v3draw', raw(lambda rng: inputs.vaa3d(V, shape=(-4, 80, 80))), ()),
    ('raw, huge', 'bad.v3draw', raw(lambda rng: inputs.vaa3d(V, shape=(2 ** 31 - 1,) * 3)), ()),
    ('raw, 2^64 voxels', 'bad.v3draw',
     raw(lambda rng: inputs.vaa3d(V[:0], shape=(16, 2 ** 30, 2 ** 30))), (CUT,)),
    ('raw, two channels', 'bad.v3draw', raw(lambda rng: inputs.vaa3d(V, channels=2)),
     ('channel',)),
    ('raw, unknown type', 'bad.v3draw', raw(lambda rng: inputs.vaa3d(V, kind=7)), ('type',)),
    ('pbd, cut', 'bad.v3dpbd', raw(lambda rng: inputs.pbd(E)[:int(rng.integers(60, 9999))]),
     (CUT,)),
    ('pbd, huge', 'bad.v3dpbd', raw(lambda rng: inputs.pbd(E)[:27] + b'\xff\xff\xff\x7f' * 3
                                    + inputs.pbd(E)[39:]), ()),
    ('pbd, 2^64 voxels', 'bad.v3dpbd', raw(lambda rng: inputs.pbd(E)[:27] + struct.pack(
        '<3i', 2 ** 30, 2 ** 30, 16) + inputs.pbd(E)[39:]), (CUT,)),
    ('pbd, random runs', 'bad.v3dpbd', raw(lambda rng: inputs.pbd(E)[:43] + rng.bytes(5000)),
     (CUT,)),
    ('OME-Zarr, a chunk cut', 'bad.zarr', zarr('0/0.0.0', cut=lambda rng: rng.uniform(0, 0.97)),
     ('chunk',)),
    ('OME-Zarr, all chunks gone', 'bad.zarr', zarr('0/0.0.0'), ('chunk',)),
    ('OME-Zarr, attributes cut', 'bad.zarr', zarr('.zattrs', cut=lambda rng: rng.uniform(0, 0.9)),
     (('damaged', 'multiscales'),)),
    ('OME-Zarr, array cut', 'bad.zarr', zarr('0/.zarray', cut=lambda rng: rng.uniform(0, 0.9)),
     ('cannot be opened',)),
    ('OME-Zarr without a group', 'bad.zarr', zarr('.zgroup'), ('OME-Zarr',)),
    ('OME-Zarr int16', 'bad.zarr', zarr(None, image=V.astype(np.int16)), ('int16',)),
    ('a file named OME-Zarr', 'bad.zarr', lambda path, rng: put(path, rng.bytes(99)), ()),
    ('an empty folder named OME-Zarr', 'bad.zarr', lambda path, rng: os.makedirs(path),
     ('OME-Zarr',)),
    ('NIfTI, its end cut off', 'bad.nii.gz', nifti_cut, (CUT,)),
    ('a link that leads nowhere', 'bad.tif', lambda path, rng: os.symlink('gone.tif', path), ()),
    ('a link to itself', 'bad.tif', lambda path, rng: os.symlink('bad.tif', path), ()),
    ('a FIFO', 'bad.tif', fifo, ()),
    ('a socket', 'bad.tif', listening, ()),
    ('a FIFO named HDF5', 'bad.h5', fifo, ()),
    ('a FIFO named raw', 'bad.raw', fifo, ()),
    ('a folder named TIFF', 'bad.tif', lambda path, rng: os.makedirs(path), ()),
    ('a name that is not UTF-8', b'bad\xff.tif', tiff_cut('imagej'), ()),
    ('a name of 240 characters', 'bad' + 'n' * 233 + '.tif', tiff_cut('imagej'), ()),
]
NAMES = 9                                    # entries at the end of BAD that are no plain file


def in_folder(name, maker, *, beside_good):
    """A case's build: the bad stack in IN, with a good one beside it or alone."""
    def build(place, rng):
        folder = os.path.join(place, IN)
        os.makedirs(folder)
        if beside_good:
            inputs.imagej(os.path.join(folder, 'good.tif'), voxels(0))
        maker(os.path.join(folder, os.fsdecode(name)), rng)
    return build


def rest_is_done(script):
    """A case's check: the good stack's result is there."""
    def check(place):
        if not os.path.exists(os.path.join(place, RESULTS[script])):
            return 'the good stack was not done: no %s' % RESULTS[script]
        return None
    return check


def _case(what, name, *, maker, words, script, beside_good):
    arguments, needs = READERS[script]
    named = 'bad' if isinstance(name, bytes) else name[:40]
    return Case('%s: %s' % (script, what), script, arguments,
                in_folder(name, maker, beside_good=beside_good), (named,) + tuple(words), needs,
                check=rest_is_done(script) if beside_good else None, batch=True)


def bad():
    """All cases of bad stacks; each kind is read by one script, TIFF and names by all."""
    made = []
    for i, (what, name, maker, words) in enumerate(BAD):
        script = ORDER[i % len(ORDER)]
        scripts = (script,) if i % 5 else ('prepare_patches.py', '4_reconstruction.py',
                                           '3_segmentation.py', '2_mpgan.py')
        # 4_reconstruction.py takes floats from 0 to 1, and steps 2 to 4 small stacks
        if what == 'too small':
            scripts = ('prepare_patches.py',)
        # strange names, the last of the list, and every third of the rest have a good neighbour
        beside = i % 3 == 0 or i >= len(BAD) - NAMES
        made += [_case(what, name, maker=maker, words=words, script=one, beside_good=beside)
                 for one in scripts]
    return made


def good():
    """Stacks of every format that have to be read."""
    def build(kind, name):
        return lambda place, rng: kind(os.path.join(place, IN, name))

    kinds = [(name, 'good.tif', lambda path, write=write: write(path, voxels(0)))
             for name, write in inputs.TIFFS.items()]
    kinds += [('HDF5', 'good.h5', lambda path: inputs.hdf5(path, volume=voxels(0))),
              ('raw', 'good.v3draw', lambda path: put(path, inputs.vaa3d(voxels(0)))),
              ('pbd', 'good.v3dpbd', lambda path: put(path, inputs.pbd(voxels(0, dtype=np.uint8)))),
              ('NIfTI', 'good.nii.gz', lambda path: nifti.write(path, voxels(0))),
              ('OME-Zarr', 'good.zarr', lambda path: volume_stores.foreign(
                  pathlib.Path(path), voxels(0))),
              ('a link', 'good.tif', lambda path: (
                  inputs.imagej(path + 'f', voxels(0)), os.rename(path + 'f', path + '.real'),
                  os.symlink('good.tif.real', path)))]
    arguments, needs = READERS['prepare_patches.py']
    return [Case('prepare_patches.py: %s is read' % what, 'prepare_patches.py', arguments,
                 build(kind, name), ('1 stacks',), needs, good=True) for what, name, kind in kinds]
