"""Channels that are not there, and stacks of any size in bounded memory."""
import os

import numpy as np
import pytest
import tifffile
from conftest import run_script
from volume_stores import foreign

from utils.common.errors import UserError
from utils.data import bounded, stacks, volumes

SHAPE = (8, 20, 30)
MAIN = os.path.join('utils', 'run', '__main__.py')


@pytest.fixture(scope='module')
def voxels():
    return np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.uint8)


# --- channels ---

def test_a_channel_of_a_stack_without_channels_is_refused(tmp_path, voxels):
    paths = [foreign(tmp_path / 'a.zarr', voxels)]
    for name in ('a.tif', 'a.nii', 'a.ome.zarr'):
        paths.append(str(tmp_path / name))
        stacks.write(paths[-1], voxels)
    for path in paths:
        np.testing.assert_array_equal(stacks.read(path, channel=0).voxels, voxels)
        for reader in (stacks.read, bounded.read, bounded.shape_of):
            with pytest.raises(UserError, match='%s has no channels.*CHANNEL=2.*leave CHANNEL away'
                               % os.path.basename(path)):
                reader(path, channel=2)


def test_channels_are_known_and_taken_where_there_are_some(tmp_path, voxels):
    two = foreign(tmp_path / 'two.zarr', np.stack([voxels, voxels + 1]), axes='czyx')
    one = foreign(tmp_path / 'one.zarr', voxels[None], axes='czyx')
    stacks.write(str(tmp_path / 'a.tif'), voxels)
    assert [volumes.has_channels(path) for path in (two, one, str(tmp_path / 'a.tif'))] == [
        True, False, False]
    assert [bounded.channel_of(path, 1) for path in (two, one)] == [1, 0]
    np.testing.assert_array_equal(bounded.read(two, channel=1).voxels, voxels + 1)
    with pytest.raises(UserError, match='channels 0 to 0, not 1'):
        stacks.read(one, channel=1)


@pytest.mark.parametrize('script, arguments', [
    ('prepare_patches.py', ['STACKS=in/a.tif', 'CHANNEL=2']),
    ('2_mpgan.py', ['CHANNEL=2']),
    ('4_reconstruction.py', ['INPUT=in/a.tif', 'OUTPUT=out', 'CHANNEL=2']),
    (MAIN, ['STACKS=in', 'CHANNEL=2'])])
def test_scripts_stop_with_one_line(tmp_path, voxels, script, arguments):
    stacks.write(str(tmp_path / 'in' / 'a.tif'), np.tile(voxels, (6, 6, 6)))
    status, _, err = run_script(script, *arguments, cwd=tmp_path)
    assert status and 'Traceback' not in err
    assert 'CHANNEL=2' in err and err.startswith('error:'), err


def test_a_run_takes_the_channel_or_says_how(tmp_path):
    """Two channels, one of them empty: the fibre is in the second."""
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(600, 40, (40, 80, 80)), 0, 65535).astype(np.uint16)
    full = image.copy()
    full[18:21, 38:43, 4:-4] += 900
    (tmp_path / 'zarr').mkdir()
    (tmp_path / 'tiff').mkdir()
    foreign(tmp_path / 'zarr' / 'a.zarr', np.stack([image, full]), axes='czyx')
    tifffile.imwrite(str(tmp_path / 'tiff' / 'a.tif'), np.stack([image, full], 1), imagej=True,
                     metadata={'axes': 'ZCYX'})
    few = ['DRY_RUN=True', 'MIN_PATCHES=1']
    status, out, err = run_script(MAIN, 'STACKS=zarr', 'CHANNEL=1', *few, cwd=tmp_path)
    assert not status, err
    lines = [line for line in out.splitlines() if 'CHANNEL=1' in line]
    assert [name in line for name, line in zip(
        ('prepare_patches.py', 'STAGE=predict', '4_reconstruction.py'), lines)] == [True] * 3
    assert len(lines) == 3
    status, _, err = run_script(MAIN, 'STACKS=zarr', *few, cwd=tmp_path)     # channel 0 is empty
    assert status and 'a.zarr' in err
    status, _, err = run_script(MAIN, 'STACKS=tiff', 'CHANNEL=1', *few, cwd=tmp_path)
    assert status and 'has 2 channels: save one of them alone' in err.splitlines()[-1]
    status, _, err = run_script(MAIN, 'STACKS=zarr', "SEG_ARGS=CHANNEL=1", *few, cwd=tmp_path)
    assert status and 'give CHANNEL to the run itself' in err


# --- large stacks ---

def test_the_middle_keeps_short_sides():
    assert bounded.middle((50, 60, 70), 10 ** 6) == (slice(0, 50), slice(0, 60), slice(0, 70))
    box = bounded.middle((70, 400, 400), 10 ** 6)
    assert box[0] == slice(3, 67) and np.prod([b.stop - b.start for b in box]) < 3 * 10 ** 6
    assert box[1].start == 400 - box[1].stop


def test_only_the_middle_of_a_large_stack_is_read(tmp_path):
    image = np.arange(70 * 80 * 90, dtype=np.uint32).reshape(70, 80, 90).astype(np.uint16)
    path = str(tmp_path / 'a.ome.zarr')
    stacks.write(path, image, voxel_size=(2.0, 0.5, 0.5))
    part = bounded.read(path, most=64 ** 3)
    assert not part.whole and part.corner == (3, 8, 9) and part.voxel_size == (2.0, 0.5, 0.5)
    np.testing.assert_array_equal(part.voxels, image[3:67, 8:72, 9:81])
    part = bounded.read(path)
    assert part.whole and part.corner == (0, 0, 0) and part.voxels.shape == image.shape
    assert bounded.shape_of(path) == (image.shape, (2.0, 0.5, 0.5))


def test_histograms_are_of_the_whole_stack_a_slab_at_a_time(tmp_path, voxels, monkeypatch):
    monkeypatch.setattr(bounded, 'MOST', 2 * 20 * 30)    # two planes
    for name in ('a.tif', 'a.ome.zarr'):
        path = str(tmp_path / name)
        stacks.write(path, voxels)
        np.testing.assert_array_equal(bounded.histogram(path),
                                      np.bincount(voxels.ravel(), minlength=256))
    stacks.write(str(tmp_path / 'b.tif'), voxels.astype(np.uint16))
    with pytest.raises(UserError, match='want 8 bit'):
        bounded.histogram(str(tmp_path / 'b.tif'))


def test_results_are_found_in_each_format(tmp_path):
    for name in ('b.prob.tif', 'a.prob.ome.zarr', 'c.prob.nii.gz', 'a.mask.tif', 'b.prob.ome.zarr'):
        (tmp_path / name).mkdir()
    found = bounded.results_of(str(tmp_path), '.prob')
    assert {name: os.path.basename(path) for name, path in found.items()} == {
        'a': 'a.prob.ome.zarr', 'b': 'b.prob.tif', 'c': 'c.prob.nii.gz'}
    assert list(found) == list('abc')
