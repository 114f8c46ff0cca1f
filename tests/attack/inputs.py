"""Valid files to damage, and a folder in which every script has run once."""
import os
import shutil
import struct

import h5py
import numpy as np
import tifffile
from PIL import Image

from tests.attack import runner

SHAPE = (24, 56, 56)                     # (z, y, x) voxels of a real stack
SIZE = (1.0, 0.5, 0.5)                   # um
PREPARE = ['PATCH_SHAPE=16,24,24', 'MIN_OBJECT=50', 'CALIBRATION_ROUNDS=0',
           'MAX_STACK_FIGURES=1']
SIMULATE = ['PRIORS=None', 'N_STACKS=2', 'VOLUME_SHAPE=48,96,64', 'BRANCH_LENGTH=10,16',
            'SOMA_RADIUS=4.0,6.0', 'DEBRIS=2000', 'PATCH_EVERY=4', 'PATCH_SHAPE=16,24,24',
            'WORKERS=1']
GAN = ['REFINER_CHANNELS=4', 'DISCRIMINATOR_CHANNELS=2', 'MAX_STEPS=3', 'REFINER_UPDATES=1',
       'DISCRIMINATOR_FIRST=1', 'BATCH_SIZE=2', 'CROP_SHAPE=8,16,16', 'HISTORY_BATCHES=3',
       'LOG_EVERY=1', 'PREVIEW_EVERY=100', 'SAVE_EVERY=1', 'EVALUATE_EVERY=2',
       'EVALUATION_PATCHES=4', 'THREADS=1', 'TILE_SHAPE=24,96,64', 'LEARNING_RATE=0.001']
SEGMENT = ['PAIRS=data/simulated', 'CHANNELS=2', 'LEVELS=1', 'CROP_SHAPE=8,16,16',
           'BATCH_SIZE=2', 'MAX_STEPS=4', 'SAVE_EVERY=1', 'EVALUATE_EVERY=2', 'LOG_EVERY=1',
           'EVALUATION_PATCHES=2', 'THREADS=1', 'TILE_SHAPE=32,96,96', 'MIN_OBJECT=0']
TRACE = ['MIN_OBJECT=20']
DRAW = ['N_STACKS=2', 'SHAPE=20,48,56', 'N_AXONS=3,3', 'MIN_LENGTH=25', 'BRANCH_SPACING=30']
# (script, arguments, what it leaves): the base, in the order that they run
STEPS = (
    ('prepare_patches.py', PREPARE, 'data/patches'),
    ('1_simulator.py', SIMULATE, 'data/simulated'),
    ('2_mpgan.py', GAN, 'runs/mpgan'),
    ('2_mpgan.py', GAN + ['STAGE=pack', 'OUTPUT=packed/refiner'], 'packed/refiner'),
    ('3_segmentation.py', SEGMENT, 'runs/segmentation'),
    ('3_segmentation.py', SEGMENT + ['STAGE=pack', 'OUTPUT=packed/segmentation'],
     'packed/segmentation'),
    ('3_segmentation.py', SEGMENT + ['STAGE=predict'], 'data/segmented'),
    ('4_reconstruction.py', TRACE + ['INPUT=data/real'], 'results/traces'),
    (runner.PHANTOM, DRAW, 'data/demo/phantom'))


# --- stacks ---

def voxels(seed=0, shape=SHAPE, *, dtype=np.uint16):
    """A winding bright fibre in noise; [Z, Y, X]."""
    rng = np.random.default_rng(seed)
    image = rng.normal(60, 8, shape)
    n = np.array(shape)
    for t in np.linspace(0, 3 * np.pi, 400):
        at = n * (0.1 + 0.8 * t / (3 * np.pi), 0.5 + 0.3 * np.cos(t + seed), 0.5 + 0.3 * np.sin(t))
        low = np.maximum(at.astype(int) - 1, 0)
        image[tuple(slice(a, a + 3) for a in low)] = rng.normal(150, 8)
    image *= 1 if dtype == np.uint8 else 10
    return np.clip(image, 0, np.iinfo(dtype).max).astype(dtype)


def write(path, image, **options):
    """A TIFF with tifffile's own options; makes its folder."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tifffile.imwrite(path, image, **options)


def imagej(path, image):
    """As the project writes stacks."""
    write(path, image, imagej=True, metadata=dict(axes='ZYX', spacing=SIZE[0], unit='um'),
          resolution=(1 / SIZE[2], 1 / SIZE[1]))


# name of a TIFF writer -> function (path, image); one page for each slice, but for ImageJ's
TIFFS = {
    'plain': lambda path, image: write(path, image, photometric='minisblack', metadata=None),
    'paged': lambda path, image: write_pages(path, image),
    'lzw': lambda path, image: write_lzw(path, image),
    'deflate': lambda path, image: write_pages(path, image, compression='zlib'),
    'imagej': imagej,
    'ome': lambda path, image: write(path, image, ome=True, metadata=dict(axes='ZYX')),
    'bigtiff': lambda path, image: write(path, image, bigtiff=True, metadata=None,
                                         photometric='minisblack')}


def write_pages(path, image, **options):
    """A TIFF with a page and a directory for each slice, one behind the other."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for plane in image:
            file.write(plane, contiguous=False, metadata=None, photometric='minisblack', **options)


def write_lzw(path, image):
    """The same with LZW, by Pillow: the imagecodecs of Python 3.7 reads LZW alone."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pages = [Image.fromarray(plane) for plane in image]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression='tiff_lzw')


def page_offsets(path):
    """(offset of each page's directory, offset of the field with the next one's), lists."""
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
        entry = 20 if file.is_bigtiff else 12
        counts = [len(page.tags) for page in file.pages]
    head = 8 if entry == 20 else 2
    return offsets, [at + head + entry * n for at, n in zip(offsets, counts)]


def hdf5(path, **datasets):
    """An HDF5 file of named arrays."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with h5py.File(path, 'w') as file:
        for name, values in datasets.items():
            file[name] = values


def vaa3d(image, *, kind=None, channels=1, order='<', shape=None):
    """Bytes of a Vaa3D raw file; kind, channels, shape: as its header is to say."""
    head = b'raw_image_stack_by_hpeng' + (b'L' if order == '<' else b'B')
    sides = tuple(shape or image.shape)[::-1] + (channels,)
    return head + struct.pack(order + 'h4i', kind or image.dtype.itemsize, *sides) + \
        image.astype(image.dtype.newbyteorder(order)).tobytes()


def pbd(image):
    """Bytes of a Vaa3D pbd file of a uint8 stack, all runs given whole."""
    data, flat = bytearray(), image.ravel()
    for i in range(0, flat.size, 33):
        part = flat[i:i + 33]
        data += bytes([len(part) - 1]) + part.tobytes()
    head = b'v3d_volume_pkbitdf_encod' + b'L'
    return head + struct.pack('<h4i', 1, *(image.shape[::-1] + (1,))) + bytes(data)


def put(path, content):
    """A file with these bytes or this text; makes its folder."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(content if isinstance(content, bytes) else content.encode('utf-8'))


def cut(path, share):
    """Keep a share of a file's bytes, or so many bytes if it is a whole number."""
    keep = share if isinstance(share, int) else int(share * os.path.getsize(path))
    with open(path, 'r+b') as file:
        file.truncate(keep)


def overwrite(path, offset, *, content):
    """Replace bytes of a file from an offset on."""
    with open(path, 'r+b') as file:
        file.seek(offset)
        file.write(content)


SWC = ['# id type x y z radius parent', '1 1 12.0 40.0 8.0 4.0 -1', '2 3 20.0 40.0 10.0 1.5 1',
       '3 3 30.0 44.0 12.0 1.2 2', '4 3 40.0 48.0 14.0 1.0 3', '5 3 30.0 30.0 12.0 1.0 2']


def swc(path, *, lines=None, edits=()):
    """A SWC of the lines above; edits: (line number, text) that replace lines, None removes one."""
    lines = list(SWC if lines is None else lines)
    for number, text in edits:
        lines[number] = text
    put(path, '\n'.join(line for line in lines if line is not None) + '\n')


# --- the base ---

def make_base(folder):
    """A folder in which every script has run once.

    Raises:
        RuntimeError: a script failed on good input.
    """
    for i in range(2):
        imagej(os.path.join(folder, 'data/real/s%d.tif' % i), voxels(i))
    for script, arguments, _ in STEPS:
        done = runner.run(script, arguments, cwd=folder, limit=300)
        if done.status != 0:
            raise RuntimeError('%s %s: %s\n%s' % (script, ' '.join(arguments), done.out, done.err))


def copy(base, place, *, parts):
    """Copy some folders or files of the base, times of files included."""
    for part in parts:
        source, target = os.path.join(base, part), os.path.join(place, part)
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target)
