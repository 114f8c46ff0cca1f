"""Volumes by blocks: equal to the stack in memory, shared, killed and gone on with."""
import hashlib
import os
import shutil

import numpy as np
import pytest
import untrained
from conftest import run_script

from utils.data import stacks, volumes
from utils.train import normalisation, volume_jobs, volume_runs
from utils.train.segmenter import mask_of

SHAPE, SIZE = (22, 38, 53), (2.0, 1.0, 0.5)              # odd, no multiple of tile, block or chunk
SMALL = ['TILE_SHAPE=8,12,16', 'BLOCK_SHAPE=8,20,30', 'THREADS=1']      # blocks of 8 x 24 x 32
PREDICT = SMALL + ['STAGE=predict', 'RUN_DIR=net', 'INPUT=in.ome.zarr', 'EMPTY_BELOW=0']
REFINE = SMALL + ['STAGE=refine', 'RUN_DIR=refiner', 'INPUT=in.ome.zarr']
MAP, MASK, REFINED = 'in.prob.ome.zarr', 'in.mask.ome.zarr', 'images/in.ome.zarr'


def good(script, *arguments, cwd, **environment):
    status, out, err = run_script(script, *arguments, cwd=cwd, **environment)
    assert status == 0, out + err
    return out


def read(path):
    volume = volumes.open_volume(str(path))
    return volume[tuple(slice(0, n) for n in volume.shape)]


def write(path, voxels, chunks=(8, 16, 16)):
    volumes.create(str(path), shape=voxels.shape, dtype=voxels.dtype, chunks=chunks,
                   voxel_size=SIZE)[tuple(slice(0, n) for n in voxels.shape)] = voxels


def bytes_of(folder):
    """Digest of all files of a store by name."""
    found = {}
    for place, _, names in os.walk(str(folder)):
        for name in names:
            with open(os.path.join(place, name), 'rb') as file:
                path = os.path.relpath(os.path.join(place, name), str(folder))
                found[path] = hashlib.sha1(file.read()).hexdigest()
    return found


@pytest.fixture(scope='module')
def place(tmp_path_factory, small_networks):
    """A folder with a volume, the same as a stack, and networks; both predicted and refined."""
    folder = tmp_path_factory.mktemp('volumes')
    untrained.write_segmenter(folder / 'net')
    untrained.write_refiner(folder / 'refiner')
    voxels = np.random.default_rng(3).normal(1000, 50, SHAPE)
    voxels[:, 10:14, 20:24] += 500
    voxels = voxels.astype(np.uint16)
    write(folder / 'in.ome.zarr', voxels)
    stacks.write(str(folder / 'stack/in.tif'), voxels, voxel_size=SIZE)
    good('3_segmentation.py', *PREDICT, 'INPUT=stack', 'OUTPUT=whole', cwd=folder)
    good('3_segmentation.py', *PREDICT, 'OUTPUT=blocks', cwd=folder)
    good('2_mpgan.py', *REFINE, 'INPUT=stack', 'OUTPUT=refined_whole', cwd=folder)
    good('2_mpgan.py', *REFINE, 'OUTPUT=refined', cwd=folder)
    return folder


def test_streamed_equals_in_memory(place):
    """Map, mask and refined volume: each voxel, rims and odd sizes included."""
    for name in ('prob', 'mask'):
        whole = stacks.read(str(place / ('whole/in.%s.tif' % name))).voxels
        streamed = volumes.open_volume(str(place / ('blocks/in.%s.ome.zarr' % name)))
        assert streamed.voxel_size == SIZE and streamed.dtype == np.uint8
        assert np.array_equal(read(place / ('blocks/in.%s.ome.zarr' % name)), whole)
        assert 0 < whole.mean() and len(np.unique(whole)) > 1
    whole = stacks.read(str(place / 'refined_whole/images/in.tif')).voxels
    assert np.array_equal(read(place / 'refined' / REFINED), whole)
    assert len(np.unique(whole)) > 100
