"""Volumes by blocks: equal to the stack in memory, shared, killed and gone on with."""
import hashlib
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import untrained
from conftest import ROOT, run_script

from utils.common import blocks
from utils.common.errors import UserError
from utils.data import stacks, volumes
from utils.train import normalisation, volume_jobs, volume_runs
from utils.train.segmenter import mask_of

SHAPE, SIZE = (22, 38, 53), (2.0, 1.0, 0.5)              # odd, no multiple of tile, block or chunk
SMALL = ['TILE_SHAPE=8,12,16', 'BLOCK_SHAPE=8,20,30', 'THREADS=1']      # blocks of 8 x 24 x 32
PREDICT = SMALL + ['STAGE=predict', 'RUN_DIR=net', 'INPUT=in.ome.zarr', 'EMPTY_BELOW=0']
REFINE = SMALL + ['STAGE=refine', 'RUN_DIR=refiner', 'INPUT=in.ome.zarr']
HOLD = ('import sys; from utils.common import locks; held = locks.Slots(%r); held.share(1); '
        'held.take(3); sys.stdout.write("!"); sys.stdout.flush(); sys.stdin.read()')       # block 0
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


def test_a_block_is_recorded_once_its_chunks_are_on_disk_and_the_result_is_refused_until_then(
        place, monkeypatch):
    """A kill at any moment leaves no missing chunk that would be read as zeros."""
    seen, add, wanted = [], blocks.Progress.add, read(place / 'blocks' / MAP)

    def added(self, number, note):
        if self.folder.endswith('predict'):
            path = str(place / 'watched' / MAP)
            with pytest.raises(UserError, match='is not finished'):
                volumes.open_volume(path)
            box = blocks.Grid(SHAPE, (8, 24, 32)).box(number)[0]
            np.testing.assert_array_equal(
                volumes.open_volume(path, unfinished=True)[box], wanted[box])
            assert wanted[box].any()                     # not what a missing chunk reads as
            seen.append(number)
        add(self, number, note)

    monkeypatch.setattr(blocks.Progress, 'add', added)
    good('3_segmentation.py', *PREDICT, 'OUTPUT=watched', cwd=place)
    assert sorted(seen) == list(range(3 * 2 * 2))


@pytest.mark.parametrize('kind', ['zarr', 'nifti'])
def test_results_of_stacks_in_other_formats(place, kind):
    """As the TIFFs, voxel for voxel; a second run keeps them; step 4's names are the stack's."""
    end = stacks.FORMATS[kind]
    for script, arguments, names in (
            ('3_segmentation.py', PREDICT, ('in.prob', 'in.mask')), ('2_mpgan.py', REFINE,
                                                                    ('images/in',))):
        arguments = arguments + ['INPUT=stack', 'OUTPUT=%s%s' % (kind, script[0]),
                                 'OUTPUT_FORMAT=' + kind]
        assert '(1 new)' in good(script, *arguments, cwd=place)
        assert '(0 new)' in good(script, *arguments, cwd=place)
        for name in names:
            found = stacks.read(str(place / (kind + script[0]) / (name + end)))
            folder = 'whole' if script[0] == '3' else 'refined_whole'
            wanted = stacks.read(str(place / folder / (name + '.tif')))
            assert np.array_equal(found.voxels, wanted.voxels) and found.voxel_size == SIZE
    for arguments, words in ((['OUTPUT_FORMAT=png'], 'want one of tiff, zarr, nifti'),
                             (['OUTPUT_FORMAT=nifti', 'INPUT=None'], 'refined drafts are TIFF')):
        status, _, err = run_script('2_mpgan.py', *REFINE, 'OUTPUT=x', *arguments, cwd=place)
        assert status == 1 and words in err


def test_the_mask_is_exact_across_faces(place):
    """Small objects that blocks cut are counted whole; another threshold changes the mask alone."""
    shutil.copytree(str(place / 'blocks'), str(place / 'other'))
    record = str(place / 'other/in.blocks/predict/0000000.json')
    before, probability = os.stat(record).st_mtime_ns, read(place / 'other' / MAP)
    threshold = np.quantile(probability, 0.95) / 255                     # many objects, small ones
    out = good('3_segmentation.py', *PREDICT, 'OUTPUT=other', 'MIN_OBJECT=12',
               'PROBABILITY_THRESHOLD=%r' % float(threshold), cwd=place)
    foreground = probability >= threshold * 255
    wanted = mask_of(probability, threshold, smallest=12)
    assert 0 < wanted.sum() < foreground.sum() < 0.2 * foreground.size
    assert np.array_equal(read(place / 'other' / MASK), wanted)
    assert '%.2f %% foreground' % (100 * foreground.mean()) in out
    assert os.stat(record).st_mtime_ns == before


def test_level_and_noise_of_blocks_are_those_of_the_stack():
    """In whichever blocks, some of 64 slices left out; else of a sample, zeros passed over."""
    rng = np.random.default_rng(0)
    voxels = (rng.gamma(3, 40, (150, 20, 31)) + np.arange(31)).astype(np.uint16)
    for block in ((50, 20, 31), (7, 6, 5), (200, 200, 200)):
        scale, used = normalisation.measure_volume(voxels, block, most=1000)
        assert scale == normalisation.measure(voxels)
    voxels = np.zeros((40, 40, 40), np.uint16)
    voxels[20:, 20:] = rng.normal(500, 20, (20, 20, 40))
    scale, used = normalisation.measure_volume(voxels, (10, 10, 10), most=8)
    assert used == 8 and abs(scale.level - 500) < 3 and abs(scale.scale - 20) < 2
    assert normalisation.measure_volume(voxels, (10, 10, 10), most=8)[0] == scale
    assert normalisation.measure_volume(voxels * 0, (10, 10, 10), most=8)[0] == (0, 1)


def test_empty_blocks_are_skipped_and_said_so(place):
    """Zeros, and what is below the noise: zeros in map and mask, no chunk on disk."""
    voxels = np.full((16, 48, 80), 1000, np.uint16)
    voxels += np.random.default_rng(0).integers(0, 60, voxels.shape).astype(np.uint16)
    voxels[:, :, 50:] = 0
    voxels[:8, :16, :16] += 2000
    write(place / 'dim.ome.zarr', voxels)
    arguments = ['INPUT=dim.ome.zarr', 'BLOCK_SHAPE=8,12,16']            # 2 x 4 x 5 blocks
    halo = 8                                                             # of one level
    out = good('3_segmentation.py', *PREDICT + arguments, 'OUTPUT=dim', cwd=place)
    assert '40 blocks' in out and ' 8 empty ones' in out                 # from x = 64 on
    out = good('3_segmentation.py', *PREDICT + arguments, 'EMPTY_BELOW=10', 'OUTPUT=dim',
               cwd=place)
    found = read(place / 'dim' / 'dim.prob.ome.zarr')
    seen = [voxels[max(z - halo, 0):z + 8 + halo, max(y - halo, 0):y + 12 + halo,
                   max(x - halo, 0):x + 16 + halo]
            for z in (0, 8) for y in range(0, 48, 12) for x in range(0, 80, 16)]
    skipped = sum(part.max() < 1100 and part.max() - part.min() < 100 for part in seen)
    assert 8 < skipped < 40 and ' %d empty ones' % skipped in out
    assert found[:8, :12, :16].any() and not found[:, 36:, :32].any()


def test_thin_dim_neurites_are_not_skipped(place):
    """One voxel wide, four noise levels; and below the level, on a darker background: where one
    may count, the map is that without skipping."""
    voxels = np.random.default_rng(0).integers(1000, 1060, (8, 24, 224)).astype(np.uint16)
    voxels[4, :, 34] = 1110
    voxels[:, :, 128:] -= 500
    voxels[4, :, 175] = 800
    write(place / 'thin.ome.zarr', voxels)
    for folder, values in (('all', ()), ('thin', ('EMPTY_BELOW=3',))):
        out = good('3_segmentation.py', *PREDICT, 'INPUT=thin.ome.zarr', 'OUTPUT=' + folder,
                   *values, cwd=place)
    whole, found = (read(place / name / 'thin.prob.ome.zarr') for name in ('all', 'thin'))
    assert '7 blocks' in out and ' 2 empty ones' in out
    empty = np.repeat([False, False, True, False, False, False, True], 32)
    assert np.array_equal(found[:, :, ~empty], whole[:, :, ~empty])
    assert whole[:, :, empty].any() and not found[:, :, empty].any()


def test_a_volume_of_nothing_but_noise_is_all_skipped(place):
    write(place / 'noise.ome.zarr', np.random.default_rng(0).integers(100, 120, (8, 24, 32)).astype(
        np.uint16))
    out = good('3_segmentation.py', *PREDICT, 'INPUT=noise.ome.zarr', 'OUTPUT=noise',
               'EMPTY_BELOW=9', cwd=place)
    assert '1 blocks' in out and ' 1 empty ones' in out and ' 0.00 % foreground' in out
    assert not read(place / 'noise/noise.mask.ome.zarr').any()


def test_a_large_hdf5_stack_is_walked_too(place, monkeypatch):
    """One in chunks, from so many voxels on; below that it is a stack, and gives TIFF."""
    with h5py.File(str(place / 'in.h5'), 'w') as file:
        file.create_dataset('volume', data=read(place / 'in.ome.zarr'), chunks=(8, 16, 16))
    assert not volume_jobs.is_streamed(str(place / 'in.h5'))
    monkeypatch.setattr(volume_jobs, 'STREAMED', 1000)
    good('3_segmentation.py', *PREDICT, 'INPUT=in.h5', 'OUTPUT=hdf5', cwd=place)
    assert np.array_equal(read(place / 'hdf5' / MASK), read(place / 'blocks' / MASK))


def test_a_damaged_chunk_is_one_line_and_its_repair_enough(place):
    """What was done before stays done."""
    shutil.copytree(str(place / 'in.ome.zarr'), str(place / 'bad/in.ome.zarr'))
    chunk = place / 'bad/in.ome.zarr/0/2/2/3'
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:len(whole) // 2])
    arguments = REFINE + ['INPUT=bad/in.ome.zarr', 'OUTPUT=mended']
    status, _, err = run_script('2_mpgan.py', *arguments, cwd=place)
    assert status == 1 and 'Traceback' not in err
    assert 'error: bad/in.ome.zarr: the chunk of voxel 16, 32, 48' in err
    records = len(os.listdir(str(place / 'mended/images/in.blocks/refine')))
    assert 1 < records < 13                              # plan.json among them
    chunk.write_bytes(whole)
    good('2_mpgan.py', *arguments, cwd=place)
    assert bytes_of(place / 'mended' / REFINED) == bytes_of(place / 'refined' / REFINED)


@pytest.mark.parametrize('script, arguments, names', [
    ('3_segmentation.py', PREDICT, (MAP, MASK)), ('2_mpgan.py', REFINE, (REFINED,))])
def test_tasks_of_an_array_leave_the_bytes_of_one_process(place, script, arguments, names):
    """Three tasks, the first one last; the pyramid is built once, by whoever ends last."""
    output = 'array' + script[0]
    for task in (1, 2, 0):
        out = good(script, *arguments, 'OUTPUT=' + output, cwd=place, SLURM_ARRAY_TASK_ID=str(task),
                   SLURM_ARRAY_TASK_COUNT='3')
        assert ('are not done' in out) == (task != 0)
        if task:                                         # nobody takes what is there for the whole
            status, _, err = run_script(
                '4_reconstruction.py', 'INPUT=%s/%s' % (output, names[0]), 'OUTPUT=early',
                cwd=place)
            assert status == 1 and '%s/%s is not finished' % (output, names[0]) in err
    whole = 'blocks' if script[0] == '3' else 'refined'
    for name in names:
        assert bytes_of(place / output / name) == bytes_of(place / whole / name)
    records = [path.name for path in (place / output).rglob('*.json')]
    assert records.count('finished.json') == 1


def test_a_finished_volume_is_kept_and_an_unfinished_one_gone_on_with(place, monkeypatch):
    """Blocks with a record are not computed again; those without are, over what lies there."""
    folder = place / 'again'
    shutil.copytree(str(place / 'blocks'), str(folder))
    asked = []
    monkeypatch.setattr(volume_runs.Run, 'walk', lambda self, index, numbers, _walk=(
        volume_runs.Run.walk): (asked.append((index, list(numbers))), _walk(self, index, numbers)))
    assert '1 stacks (0 new)' in good('3_segmentation.py', *PREDICT, 'OUTPUT=again', cwd=place)
    assert asked == []
    records = folder / 'in.blocks'
    for name in ('finished.json', 'predict/0000001.json', 'mask/0000002.json'):
        os.remove(str(records / name))
    volumes.open_writable(str(folder / MAP))[0:8, 0:12, 32:48] = np.full((8, 12, 16), 99, np.uint8)
    good('3_segmentation.py', *PREDICT, 'OUTPUT=again', cwd=place)
    assert [numbers for _, numbers in asked if numbers] == [[1], [2]]
    assert bytes_of(folder / MAP) == bytes_of(place / 'blocks' / MAP)


def test_another_process_at_a_block_is_waited_for_by_nobody(place):
    """A locked block is left; so is a plan that another process would lose its blocks by."""
    good('3_segmentation.py', *PREDICT, 'OUTPUT=held', cwd=place, SLURM_ARRAY_TASK_ID='1',
         SLURM_ARRAY_TASK_COUNT='2')
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLD % str(place / 'held/in.blocks/.lock')], cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.read(1) == b'!'
    out = good('3_segmentation.py', *PREDICT, 'OUTPUT=held', cwd=place)
    status, _, err = run_script('3_segmentation.py', *PREDICT, 'OUTPUT=held',
                                'BLOCK_SHAPE=16,24,32', cwd=place)
    holder.communicate()                                 # it ends
    assert 'are not done' in out and status == 1 and 'in use with other settings' in err
    good('3_segmentation.py', *PREDICT, 'OUTPUT=held', cwd=place)
    assert bytes_of(place / 'held' / MASK) == bytes_of(place / 'blocks' / MASK)


def test_two_dask_workers_leave_the_bytes_of_one_process(place):
    pytest.importorskip('distributed')
    subprocess.run([sys.executable, os.path.join(ROOT, '3_segmentation.py')] + PREDICT + [
        'OUTPUT=dask', 'DASK=local', 'WORKERS=2'], cwd=str(place), check=True, timeout=600)
    for name in (MAP, MASK):
        assert bytes_of(place / 'dask' / name) == bytes_of(place / 'blocks' / name)


def test_dask_without_the_package_is_one_line(place, monkeypatch):
    monkeypatch.setitem(sys.modules, 'distributed', None)
    status, _, err = run_script('3_segmentation.py', *PREDICT, 'OUTPUT=none', 'DASK=local',
                                cwd=place)
    assert status == 1 and err.strip().split('\n')[-1].startswith('error: DASK=local wants dask')
