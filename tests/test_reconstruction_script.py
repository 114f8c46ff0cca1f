"""4_reconstruction.py as a user runs it."""
import os

import numpy as np
import pytest
import tifffile
from conftest import run_script, vaa3d
from scipy import ndimage
from tubes import drawn, off, path_of

from utils.data import stacks, swc

LINE = [(10, 8, 6), (10, 30, 54)]


@pytest.fixture
def inputs(tmp_path):
    """Probability maps, masks and a stack of the same neurite, and its gold standard."""
    mask = drawn((20, 40, 60), LINE)
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), 0.7)
    folder = tmp_path / 'data/segmented'
    stacks.write(str(folder / 'a.prob.tif'), np.rint(255 * blurred).astype(np.uint8),
                 voxel_size=(1.0, 1.0, 1.0))
    stacks.write(str(folder / 'a.mask.tif'), mask.astype(np.uint8))
    stacks.write(str(folder / 'b.mask.tif'), mask.astype(np.uint8) * 255)
    tifffile.imwrite(str(folder / 'c.prob.tif'), blurred)
    rng = np.random.default_rng(0)
    image = rng.normal(500, 20, mask.shape) + 900 * blurred
    (folder / 'd.v3draw').write_bytes(vaa3d(image.astype(np.uint16)))
    for name in 'abcd':
        swc.write(str(tmp_path / 'gold' / (name + ('_1' if name == 'b' else '') + '.swc')),
                  path_of(LINE)._replace(radius=np.full(2, 2.0)))
    return tmp_path


def test_every_kind_of_input_is_traced_scored_and_kept(inputs):
    status, out, err = run_script('4_reconstruction.py', 'GOLD=gold', cwd=inputs)
    assert status == 0, out + err
    made = inputs / 'results/traces'
    for name in 'abcd':
        assert off(swc.read(str(made / (name + '.swc'))), LINE) < 2
        assert (made / (name + '.png')).read_bytes()[:4] == b'\x89PNG'
    rows = (made / 'scores.csv').read_text().splitlines()
    assert [row.split(',')[0] for row in rows] == ['stack', 'a', 'b', 'c', 'd', 'mean']
    assert '| mean |' in (made / 'scores.md').read_text()
    assert float(rows[5].split(',')[1]) > 0.8
    before = {name: os.stat(str(made / (name + '.swc'))).st_mtime_ns for name in 'abcd'}
    (made / 'b.swc').unlink()
    status, out, err = run_script('4_reconstruction.py', cwd=inputs)
    assert status == 0 and '(1 new)' in out, out + err
    assert all(os.stat(str(made / (name + '.swc'))).st_mtime_ns == before[name] for name in 'acd')
    status, _, err = run_script('4_reconstruction.py', 'MAX_GAP=3', cwd=inputs)
    assert status == 1 and 'MAX_GAP' in err and 'OVERWRITE=True' in err


def test_a_map_is_traced_with_the_stack_that_it_was_made_from(inputs):
    """a.prob.tif has its stack in IMAGES as a.tif; another stack there makes the traces anew."""
    image = np.rint(100 + 500 * stacks.read(str(inputs / 'data/segmented/a.mask.tif')).voxels)
    stacks.write(str(inputs / 'real/a.tif'), image.astype(np.uint16))

    def run():
        return run_script('4_reconstruction.py', 'INPUT=data/segmented/a.*', 'IMAGES=real',
                          cwd=inputs)
    for new in (1, 0):
        status, out, err = run()
        assert status == 0 and '1 stacks (%d new)' % new in out, out + err
    stacks.write(str(inputs / 'real/a.tif'), (image + 50).astype(np.uint16))
    status, out, err = run()
    assert status == 0 and '(1 new)' in out, out + err


def test_a_bad_stack_is_reported_and_the_rest_are_done(inputs):
    stacks.write(str(inputs / 'data/segmented/e.mask.tif'), np.zeros((8, 8, 8), np.uint8))
    tifffile.imwrite(str(inputs / 'data/segmented/f.prob.tif'), np.full((8, 8, 8), 3.5, np.float32))
    status, out, err = run_script('4_reconstruction.py', cwd=inputs)
    assert status == 1 and 'Traceback' not in err and '2 of 6' in err
    assert 'e.mask.tif has no foreground' in err and 'f.prob.tif is floating point' in err
    made = sorted(path.name for path in (inputs / 'results/traces').glob('*.swc'))
    assert made == ['a.swc', 'b.swc', 'c.swc', 'd.swc']


def test_gold_of_another_stack_is_not_joined(inputs):
    """Stacks a and a_b: a_b_1.swc is no piece of a."""
    (inputs / 'gold/a.swc').rename(inputs / 'gold/a_1.swc')
    (inputs / 'data/segmented/b.mask.tif').rename(inputs / 'data/segmented/a_b.mask.tif')
    far = path_of(np.array(LINE) + 100)._replace(radius=np.full(2, 2.0))
    swc.write(str(inputs / 'gold/a_b_1.swc'), far)
    status, out, err = run_script('4_reconstruction.py', 'GOLD=gold', 'INPUT=data/segmented/a*',
                                  cwd=inputs)
    assert status == 0, out + err
    rows = (inputs / 'results/traces/scores.csv').read_text().splitlines()
    assert rows[1].startswith('a,') and float(rows[1].split(',')[2]) > 0.8
    assert float(rows[2].split(',')[1]) == 0


def test_a_probability_map_of_two_levels_is_no_mask(inputs):
    """A confident network leaves {0, 1} of 255 on an empty stack."""
    for level, wanted in ((1, 1), (200, 0)):
        stacks.write(str(inputs / 'two' / 'a.prob.tif'),
                     drawn((20, 40, 60), LINE).astype(np.uint8) * np.uint8(level))
        status, _, err = run_script('4_reconstruction.py', 'INPUT=two', 'OUTPUT=out', cwd=inputs)
        assert status == wanted and ('no foreground' in err) == bool(wanted), err


def test_nothing_of_others_is_overwritten_and_figures_come_back(inputs):
    def run(*arguments):
        return run_script('4_reconstruction.py', *arguments, cwd=inputs)

    status, _, err = run('INPUT=data/segmented', 'OUTPUT=data/segmented')
    assert status == 1 and 'give another OUTPUT' in err
    assert not (inputs / 'data/segmented/config.json').exists()
    before = (inputs / 'gold/a.swc').read_bytes()
    status, _, err = run('GOLD=gold', 'OUTPUT=gold')
    assert status == 1 and 'give another OUTPUT' in err
    status, _, err = run('OUTPUT=gold', 'INPUT=data/segmented/a.*')
    assert status == 1 and 'gold/a.swc was not made by this script' in err
    assert (inputs / 'gold/a.swc').read_bytes() == before
    for again in range(2):
        status, out, err = run('OUTPUT=out', 'INPUT=data/segmented/a.*')
        assert status == 0 and '(1 new)' in out, out + err
        (inputs / 'out/a.png').unlink()


@pytest.mark.parametrize('arguments, words', [
    (['INPUT=nowhere'], ['nowhere']), (['METHOD=magic'], ['METHOD=magic', 'otsu']),
    (['LOW=0.9'], ['LOW=0.9']),
    (['VOXEL_SIZE=2,1'], ['VOXEL_SIZE']), (['GOLD=nowhere'], ['nowhere', 'a.swc']),
    (['IMAGES=data/segmented', 'INPUT=data/segmented/b.mask.tif'], ['no stack b', 'IMAGES'])])
def test_bad_settings_are_one_clear_line(inputs, arguments, words):
    status, _, err = run_script('4_reconstruction.py', *arguments, cwd=inputs)
    assert status == 1 and 'Traceback' not in err and all(word in err for word in words), err


def test_without_input_the_step_before_is_named(tmp_path):
    status, _, err = run_script('4_reconstruction.py', cwd=tmp_path)
    assert status == 1 and '3_segmentation.py' in err and 'Traceback' not in err
