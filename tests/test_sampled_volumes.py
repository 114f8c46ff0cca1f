"""Step 0 on a volume of which a sample of blocks is read."""
import json

import h5py
import numpy as np
import pytest
from conftest import run_script

from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.draw import priors
from utils.measure import cutting, otsu, sampled_volume, sampling
from utils.simulate import raster

SHAPE, BLOCK = (48, 130, 170), (24, 40, 50)
SAMPLE = sampled_volume.Sample(3, BLOCK, 1)
CUTS = cutting.Settings((8, 16, 16), 0.5, 0.002, 0)
OTSU = otsu.Settings(0, 1.0, 0.995, 4.0, 50)


class Seen:
    """An array that notes what is read of it."""

    def __init__(self, voxels):
        self.voxels, self.shape, self.dtype, self.boxes = voxels, voxels.shape, voxels.dtype, []
        self.voxel_size, self.path = (1.0, 0.5, 0.5), 'here.zarr'

    def __getitem__(self, box):
        self.boxes.append(box)
        return self.voxels[box]


@pytest.fixture(scope='module')
def voxels():
    """Noise with two fibres along x, and zeros in the third of smallest y."""
    lines = [[(12, 60, -9), (12, 60, 190)], [(36, 100, -9), (36, 100, 190)]]
    mask = np.any([raster.label(SHAPE, line, radius=(2.0, 2.0), parent=[-1, 0])
                   for line in lines], axis=0)
    image = np.random.default_rng(0).normal(600 + 900 * mask, 40)
    image[:, :40] = 0
    return np.rint(image).astype(np.uint16)


# --- which blocks ---

def test_every_block_comes_once_and_the_first_are_spread():
    shape, block = (100, 210, 170), (32, 64, 64)
    found = list(sampling.boxes(shape, block))
    covered = np.zeros(shape, np.uint8)
    for box in found:
        assert [s.stop - s.start for s in box] == list(block)
        covered[box] = 1
    assert covered.all() and len({tuple(s.start for s in box) for box in found}) == 4 * 4 * 3
    first = np.array([[s.start for s in box] for box, _ in
                      zip(sampling.boxes((800,) * 3, (8,) * 3), range(64))])
    octants = np.unique(first >= 400, axis=0, return_counts=True)[1]
    assert len(octants) == 8 and octants.min() >= 5 and octants.max() <= 11


def test_the_order_is_the_seeds():
    starts = [[tuple(s.start for s in box) for box in sampling.boxes((90,) * 3, (30,) * 3,
                                                                     seed=seed)]
              for seed in (1, 1, 2)]
    assert starts[0] == starts[1] != starts[2] and sorted(starts[0]) == sorted(starts[2])


def test_empty_blocks_are_passed_over(voxels):
    found = [box for box, _ in sampling.filled(voxels, BLOCK, count=100)]
    assert len(found) == 2 * 3 * 4 and all(box[1].start >= 40 for box in found)
    assert len(list(sampling.filled(voxels, BLOCK, count=5))) == 5
    assert not list(sampling.filled(np.zeros((50, 60, 70), np.uint8), BLOCK, count=5))


# --- what is made of them ---

def test_the_threshold_is_that_of_all_blocks_together(voxels):
    pooled = sampled_volume.threshold_of(voxels, SAMPLE, otsu_settings=OTSU)
    seen = [otsu.flat(some, OTSU).ravel() for _, some in sampling.filled(voxels, BLOCK, count=3,
                                                                         seed=1)]
    assert pooled == otsu.cut_of(np.concatenate(seen), OTSU)
    every = sampled_volume.threshold_of(voxels[:, 40:], sampled_volume.Sample(1, SHAPE, 1),
                                        otsu_settings=OTSU)
    assert every == otsu.cut(otsu.flat(voxels[:, 40:], OTSU), OTSU)


def prepare(volume, target, **values):
    """Number of patches."""
    return sampled_volume.prepare(volume, str(target), name='here', made_from='key',
                                  sample=SAMPLE._replace(**values), settings=CUTS,
                                  otsu_settings=OTSU)


def test_patches_lie_where_their_origin_in_the_volume_says(voxels, tmp_path):
    volume = Seen(voxels)
    count = prepare(volume, tmp_path / 'here.h5')
    made = patches.PatchFile(str(tmp_path / 'here.h5'))
    assert count == len(made) > 3 and set(made.source) == {'here'}
    for image, origin in zip(made.image, made.origin):
        np.testing.assert_array_equal(image, patches.cut(voxels, origin, window=(8, 16, 16)))
    np.testing.assert_allclose(made.voxel_size, (1.0, 0.5, 0.5))
    with h5py.File(str(tmp_path / 'here.h5'), 'r') as file:
        measured = json.loads(file.attrs['measured'])
    # fibres of radius 2 through blocks of 50 voxels
    assert measured['centreline_voxels'] > 100 and measured['voxel_size'] == [1.0, 0.5, 0.5]
    assert 550 < measured['background']['median'] < 650
    assert not (tmp_path / 'here_blocks').exists()
    assert len(volume.boxes) < 24 * 2
    again = tmp_path / 'again.h5'
    assert prepare(Seen(voxels), again) == count
    assert patches.PatchFile(str(again)).digest == made.digest
    assert prepare(Seen(voxels), tmp_path / 'other.h5', sample_seed=2) > 0
    assert patches.PatchFile(str(tmp_path / 'other.h5')).digest != made.digest


def test_a_killed_run_keeps_its_blocks(voxels, tmp_path, monkeypatch):
    real, measured = cutting.measure, []

    def measure(voxels, cut, **how):
        measured.append(cut)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return real(voxels, cut, **how)

    monkeypatch.setattr(cutting, 'measure', measure)
    with pytest.raises(KeyboardInterrupt):
        prepare(Seen(voxels), tmp_path / 'here.h5')
    assert not (tmp_path / 'here.h5').exists()
    assert prepare(Seen(voxels), tmp_path / 'here.h5') > 0 and len(measured) == 4


@pytest.mark.parametrize('image, words', [
    (np.zeros(SHAPE, np.uint8), 'none of the blocks looked at'),
    (np.zeros(SHAPE, np.float32), 'is float32: convert it'),
    (np.zeros((4, 90, 90), np.uint8), 'smaller than a patch'),
])
def test_bad_volumes_are_one_line(image, words, tmp_path):
    with pytest.raises(UserError, match='here.zarr.*' + words):
        prepare(Seen(image), tmp_path / 'here.h5')


@pytest.mark.parametrize('kind', ['h5', 'ome.zarr'])
def test_the_script_samples_what_is_large(kind, voxels, tmp_path, monkeypatch):
    monkeypatch.setattr(priors, 'priors_page', lambda path, pooled: open(path, 'w').close())
    if kind == 'h5':
        (tmp_path / 'in').mkdir()
        with h5py.File(str(tmp_path / 'in/big.h5'), 'w') as file:
            file.create_dataset('image', data=voxels, chunks=(16, 32, 32))
    else:
        stacks.write(str(tmp_path / 'in/big.ome.zarr'), voxels)
    small = ['STACKS=in', 'OUTPUT=out', 'PATCH_SHAPE=8,16,16', 'MIN_OBJECT=50', 'FLATTEN_BLOCK=0',
             'CALIBRATION_ROUNDS=0', 'WHOLE_UP_TO=100000', 'SAMPLE_BLOCKS=2',
             'SAMPLE_SHAPE=24,40,50', 'MAX_STACK_FIGURES=1']
    status, out, err = run_script('prepare_patches.py', *small, cwd=tmp_path)
    assert status == 0 and 'of 1 stacks (1 new, 0 kept)' in out, out + err
    made = patches.PatchFile(str(tmp_path / 'out/real.h5'))
    assert set(made.source) == {'big'} and (tmp_path / 'out/real_big.png').exists()
    np.testing.assert_array_equal(made.image[0],
                                  patches.cut(voxels, made.origin[0], window=(8, 16, 16)))
    assert (tmp_path / 'out/priors.json').exists()
    status, out, _ = run_script('prepare_patches.py', *small, cwd=tmp_path)
    assert status == 0 and '(0 new, 1 kept)' in out
