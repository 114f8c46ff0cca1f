"""Stacks in OME-Zarr and NIfTI where the scripts take stacks: names, whole results, axes, units."""
import gzip
import os

import nibabel
import numpy as np
import pytest
from conftest import run_script
from volume_stores import foreign

from utils.common import batch, files
from utils.common.errors import MachineError, UserError
from utils.data import patches, stacks, volumes
from utils.draw import priors
from utils.simulate import raster

SIZE = (2.0, 0.35, 0.25)


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(0, 4000, (5, 6, 7)).astype(np.uint16)


# --- all formats ---

@pytest.mark.parametrize('extension', sorted(stacks.FORMATS.values()) + ['.nii', '.zarr'])
@pytest.mark.parametrize('size', [SIZE, None])
def test_round_trip_keeps_voxels_and_voxel_size(tmp_path, voxels, extension, size):
    path = str(tmp_path / ('a' + extension))
    stacks.write(path, voxels, voxel_size=size)
    found = stacks.read(path)
    np.testing.assert_array_equal(found.voxels, voxels)
    assert found.voxels.dtype == np.uint16 and found.voxels.flags.c_contiguous
    assert found.voxel_size == (size and pytest.approx(size, rel=1e-6))
    assert os.listdir(str(tmp_path)) == ['a' + extension]
    key = batch.file_key(path)
    assert batch.file_key(path) == key != 'missing'
    stacks.write(path, voxels[:, ::-1], voxel_size=size)
    assert batch.file_key(path) != key
    np.testing.assert_array_equal(stacks.read(path).voxels, voxels[:, ::-1])


@pytest.mark.parametrize('path, name', [
    ('in/brain.ome.zarr', 'brain'), ('in/brain.zarr/', 'brain'), ('brain.prob.ome.zarr',
                                                                  'brain.prob'),
    ('s3://bucket/x/brain.zarr?version=1/2', 'brain'), ('https://host/brain.OME.zarr/', 'brain'),
    ('brain.nii.gz', 'brain'), ('brain.prob.nii', 'brain.prob'), ('in/brain.ome.tif', 'brain.ome')])
def test_names_leave_long_extensions_out(path, name):
    assert stacks.name_of(path) == name


def test_a_zarr_folder_is_one_stack(tmp_path, voxels):
    """Not a folder of stacks: nothing in it is listed, whatever lies there."""
    for name in ('a.ome.zarr', 'b.tif', 'c.nii.gz', 'plain'):
        path = tmp_path / name
        if name == 'plain':
            volumes.create(str(path), shape=(5, 6, 7), dtype='u2', chunks=(5, 6, 7),
                           voxel_size=None)
        else:
            stacks.write(str(path), voxels)
    (tmp_path / 'a.ome.zarr/x.tif').write_bytes(b'')
    (tmp_path / files.ending(10 ** 9)[1:]).mkdir()
    found = [str(tmp_path / name) for name in ('a.ome.zarr', 'b.tif', 'c.nii.gz')]
    assert stacks.find(str(tmp_path)) == found
    for pattern in ('*.zarr', '*.zarr/', 'a.ome.zarr'):
        assert stacks.find(str(tmp_path / pattern)) == found[:1]
    assert stacks.find(str(tmp_path / 'plain')) == [str(tmp_path / 'plain')]
    assert stacks.find(str(tmp_path / 'a.ome.zarr') + '/') == [found[0] + '/']
    stacks.write(str(tmp_path / 'b.zarr'), voxels)
    with pytest.raises(UserError, match='two stacks are named b'):
        stacks.find(str(tmp_path))


def test_folders_are_replaced_whole_or_not_at_all(tmp_path, voxels, monkeypatch):
    path = str(tmp_path / 'a.ome.zarr')
    stacks.write(path, voxels)
    with monkeypatch.context() as patch:
        patch.setattr(volumes, 'build_pyramid', lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stacks.write(path, voxels + 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, 'rename', lambda old, new, _rename=os.rename: (
            _rename(old, new) if 'partial' not in old or old.endswith('gone') else 1 / 0))
        with pytest.raises(ZeroDivisionError):
            stacks.write(path, voxels + 1)
    left = os.listdir(str(tmp_path))
    files.remove_unfinished([str(tmp_path)], is_ours=lambda other: other == path)
    assert left == ['a.ome.zarr'] or os.listdir(str(tmp_path)) == []
    with monkeypatch.context() as patch:
        patch.setattr(os, 'rename', full)
        with pytest.raises(MachineError, match='a.ome.zarr cannot be written: full'):
            stacks.write(path, voxels)


def full(*_):
    raise OSError(28, 'full')


def test_what_a_killed_process_left_of_a_folder_goes(tmp_path, voxels):
    path = tmp_path / 'a.ome.zarr'
    left = tmp_path / ('a.ome' + files.ending(10 ** 9 + 5) + '.zarr')
    stacks.write(str(path), voxels)
    os.rename(str(path), str(left))
    assert files.is_unfinished(str(left))
    files.remove_unfinished([str(tmp_path)], is_ours=lambda other: other == str(path))
    assert not left.exists()


# --- NIfTI ---

def test_nifti_has_x_first_in_the_file(tmp_path, voxels):
    stacks.write(str(tmp_path / 'a.nii.gz'), voxels, voxel_size=SIZE)
    image = nibabel.load(str(tmp_path / 'a.nii.gz'))
    assert image.shape == (7, 6, 5) and image.header.get_xyzt_units()[0] == 'micron'
    np.testing.assert_allclose(image.header.get_zooms(), SIZE[::-1])
    np.testing.assert_allclose(np.diag(image.affine), SIZE[::-1] + (1,))
    assert np.asarray(image.dataobj)[6, 1, 2] == voxels[2, 1, 6]
    first = (tmp_path / 'a.nii.gz').read_bytes()
    stacks.write(str(tmp_path / 'a.nii.gz'), voxels, voxel_size=SIZE)
    assert (tmp_path / 'a.nii.gz').read_bytes() == first


def nifti(path, voxels, *, units='mm', zooms=(0.001, 0.002, 0.003)):
    """A file of another program; voxels [X, Y, Z, ...]."""
    image = nibabel.Nifti1Image(voxels, np.diag(zooms + (1,)))
    image.header.set_xyzt_units(units)
    nibabel.save(image, str(path))
    return str(path)


@pytest.mark.parametrize('units, size', [('mm', (3, 2, 1)), ('micron', (0.003, 0.002, 0.001)),
                                         ('meter', (3000, 2000, 1000)), ('unknown', None)])
def test_nifti_of_other_units(tmp_path, voxels, units, size):
    found = stacks.read(nifti(tmp_path / 'a.nii', voxels, units=units))
    assert found.voxel_size == (size and pytest.approx(size))
    np.testing.assert_array_equal(found.voxels, voxels.transpose(2, 1, 0))


def test_nifti_of_other_dtypes(tmp_path, voxels):
    """16 bit signed, as most programs write it; one time point; probabilities; scaled numbers."""
    found = stacks.read(nifti(tmp_path / 'a.nii.gz', voxels.astype('>i2')[..., None]))
    assert found.voxels.dtype == np.uint16
    np.testing.assert_array_equal(found.voxels, voxels.transpose(2, 1, 0))
    path = nifti(tmp_path / 'b.nii', (voxels / 4000).astype(np.float32))
    found = stacks.read(path, probabilities=True).voxels
    np.testing.assert_allclose(found, voxels.transpose(2, 1, 0) / 4000, rtol=1e-6)


RGB = np.dtype([('R', 'u1'), ('G', 'u1'), ('B', 'u1')])


@pytest.mark.parametrize('change, words', [
    (lambda a: a[0], '2 dimensions: want a 3-D'), (lambda a: np.stack([a, a], -1), '2 volumes'),
    (lambda a: np.zeros(a.shape, RGB), 'colour'), (lambda a: a.astype('f4'), 'floating point'),
    (lambda a: a.astype('i2') - 4000, 'int16: convert'),
    (lambda a: a[:, :2], 'smaller than a patch')])
def test_wrong_nifti_is_named(tmp_path, voxels, change, words):
    path = nifti(tmp_path / 'wrong.nii', change(voxels))
    with pytest.raises(UserError, match=words) as error:
        stacks.read(path, (3, 3, 3))
    assert 'wrong.nii' in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('share', [0.0, 0.2, 0.8])
@pytest.mark.parametrize('extension', ['.nii', '.nii.gz'])
def test_cut_nifti_is_named(tmp_path, voxels, share, extension):
    path = tmp_path / ('cut' + extension)
    nifti(path, np.tile(voxels, (8, 8, 8)))
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(UserError, match='cut short, damaged or no NIfTI') as error:
        stacks.read(str(path))
    assert '\n' not in str(error.value)
    with pytest.raises(UserError, match='cannot be opened'):
        stacks.read(str(tmp_path / ('missing' + extension)))


def test_nifti_in_other_compressions_is_no_nifti(tmp_path):
    (tmp_path / 'a.nii.gz').write_bytes(gzip.compress(b'text' * 1000))
    with pytest.raises(UserError, match='no NIfTI'):
        stacks.read(str(tmp_path / 'a.nii.gz'))


# --- scripts ---

def test_step_0_takes_them_all(tmp_path, monkeypatch):
    """The same stack as TIFF, OME-Zarr (its second channel) and NIfTI gives the same patches."""
    monkeypatch.setattr(priors, 'priors_page', lambda path, pooled: open(path, 'w').close())
    mask = raster.label((24, 40, 80), [[12, 20, -9], [12, 20, 90]], radius=(1.0, 3.0),
                        parent=[-1, 0])
    voxels = np.random.default_rng(0).normal(600 + 900 * mask, 40)
    voxels = np.rint(voxels).astype(np.uint16)
    for name in ('tiff', 'nifti'):
        stacks.write(str(tmp_path / name / ('a' + stacks.FORMATS[name])), voxels,
                     voxel_size=(1.0, 0.5, 0.5))
    zarr = foreign(
        tmp_path / 'zarr/a.zarr', np.stack([voxels * 0, voxels]), axes='czyx', unit='nanometer',
        scale=(1000, 500, 500))
    for name, stack in (('tiff', 'tiff'), ('nifti', 'nifti'), ('zarr', zarr)):
        status, _, err = run_script(
            'prepare_patches.py', 'STACKS=' + stack, 'OUTPUT=out/' + name, 'PATCH_SHAPE=8,16,16',
            'MIN_OBJECT=50', 'CALIBRATION_ROUNDS=0', 'MAX_STACK_FIGURES=0',
            'CHANNEL=%d' % (name == 'zarr'), cwd=tmp_path)
        assert status == 0, err
    first, *others = [patches.PatchFile(str(tmp_path / 'out' / name / 'real.h5'))
                      for name in ('tiff', 'nifti', 'zarr')]
    for other in others:
        np.testing.assert_array_equal(first.image, other.image)
        assert other.voxel_size == pytest.approx(first.voxel_size)
