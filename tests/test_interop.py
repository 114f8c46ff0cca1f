"""What other programs read of the results: ImageJ's metadata in TIFF, SWC as tracing tools take it.

`imagej_of` reads a file as ImageJ's TiffDecoder and FileOpener do (ij.io, version 1.53): tags, the
description's lines, and what they become. Where ImageJ itself is installed it is asked, too.
"""
import os
import shutil
import struct
import subprocess

import numpy as np
import pytest
from conftest import run_script
from tubes import drawn

from utils.common import config
from utils.data import stacks, swc
from utils.simulate import results as draft_files

MASK = np.zeros((5, 6, 7), np.uint8)
MASK[2, 3, 4] = 1
SIZE = (2.0, 0.5, 0.25)              # um, z, y, x


# --- TIFF ---

def tags_of(path):
    """Tags of a little-endian TIFF's first page: {number: value}; rationals as numbers."""
    with open(path, 'rb') as file:
        data = file.read()
    order = {b'II': '<', b'MM': '>'}[data[:2]]
    assert struct.unpack(order + 'H', data[2:4]) == (42,)            # ImageJ opens no BigTIFF
    at, = struct.unpack(order + 'I', data[4:8])
    count, = struct.unpack(order + 'H', data[at:at + 2])
    tags = {}
    for k in range(count):
        entry = data[at + 2 + 12 * k:at + 14 + 12 * k]
        tag, kind, n = struct.unpack(order + 'HHI', entry[:8])
        code, size = {2: ('s', 1), 3: ('H', 2), 4: ('I', 4), 5: ('II', 8)}.get(kind, ('s', 1))
        start = struct.unpack(order + 'I', entry[8:])[0] if n * size > 4 else None
        raw = entry[8:8 + n * size] if start is None else data[start:start + n * size]
        values = raw if code == 's' else struct.unpack(order + code * n, raw)
        tags[tag] = values[0] / values[1] if kind == 5 else values if n > 1 else values[0]
    return tags


def imagej_of(path):
    """What ImageJ makes of a stack: dict of slices, pixel sizes, unit, display range or None."""
    tags = tags_of(path)
    text = tags[270].split(b'\0')[0].decode('latin-1')
    assert text.startswith('ImageJ=')
    told = dict(line.split('=', 1) for line in text.strip().split('\n') if '=' in line)
    number = {key: float(told[key]) for key in ('min', 'max', 'spacing') if key in told}
    unit = told.get('unit', '')
    return dict(
        slices=int(told.get('slices', told.get('images', 1))),
        width=1 / tags[282] if unit else 1.0, height=1 / tags[283] if unit else 1.0,
        depth=number.get('spacing', 1.0), unit='\u00b5m' if unit in ('um', 'micron') else unit,
        display=None if not number.get('max') else (number['min'], number['max']),
        compression=tags.get(259, 1), bits=tags[258], hyperstack='hyperstack' in told)


@pytest.mark.parametrize('compress', [False, True])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_stacks_open_in_imagej_with_their_voxel_size(tmp_path, dtype, compress):
    path = str(tmp_path / 'a.tif')
    stacks.write(path, (MASK * 200).astype(dtype), voxel_size=SIZE, compress=compress)
    seen = imagej_of(path)
    assert (seen['slices'], seen['unit']) == (5, '\u00b5m')
    assert seen['bits'] == 8 * np.dtype(dtype).itemsize
    assert (seen['depth'], seen['height'], seen['width']) == pytest.approx(SIZE)
    assert seen['display'] is None                                   # ImageJ finds the grey levels
    assert seen['compression'] in (1, 8, 32946)          # none, or deflate, which it reads


def test_masks_are_shown_black_and_white(tmp_path):
    """{0, 1} would be two blacks of 256; the display range is stored, the voxels stay."""
    path = str(tmp_path / 'a.mask.tif')
    stacks.write(path, MASK, voxel_size=SIZE, compress=True)
    assert imagej_of(path)['display'] == (0.0, 1.0)
    assert (stacks.read(path).voxels == MASK).all()


def test_stacks_of_unknown_size_are_in_pixels(tmp_path):
    path = str(tmp_path / 'a.tif')
    stacks.write(path, MASK)
    seen = imagej_of(path)
    assert (seen['unit'], seen['width'], seen['depth']) == ('', 1.0, 1.0)


ASK = """import ij.*; import ij.measure.*;
public class Ask { public static void main(String[] paths) { for (String path : paths) {
  ImagePlus image = new ij.io.Opener().openImage(path); Calibration size = image.getCalibration();
  image.setSlice(3);
  System.out.println(image.getStackSize() + " " + size.pixelWidth + " " + size.pixelHeight + " " +
    size.pixelDepth + " " + size.getUnit().length() + " " + image.getDisplayRangeMin() + " " +
    image.getDisplayRangeMax() + " " + image.getProcessor().getPixel(4, 3)); } } }
"""
IMAGEJ = '/usr/share/java/ij.jar'        # of Debian's package


@pytest.mark.skipif(not (os.path.exists(IMAGEJ) and shutil.which('javac')),
                    reason='no ImageJ and javac here (Debian: apt-get install imagej default-jdk)')
def test_imagej_itself_says_the_same(tmp_path):
    paths = [str(tmp_path / name) for name in ('mask.tif', 'stack.tif')]
    stacks.write(paths[0], MASK, voxel_size=SIZE, compress=True)
    stacks.write(paths[1], MASK.astype(np.uint16) * 500, voxel_size=SIZE)
    (tmp_path / 'Ask.java').write_text(ASK)
    done = subprocess.run(['java', '-Djava.awt.headless=true', '-cp', IMAGEJ,
                           str(tmp_path / 'Ask.java')] + paths, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120)
    assert done.stdout.decode().split('\n')[:2] == [
        '5 0.25 0.5 2.0 2 0.0 1.0 1', '5 0.25 0.5 2.0 2 0.0 500.0 500'], done.stderr


# --- SWC ---

def read_strictly(path):
    """Rows of a SWC as Vaa3D, SNT, neuTube and napari's readers want them; asserts the rules.

    Lines of a head start with #; seven columns, single blanks; ids from 1 on without gaps; types 0
    to 7; a parent is -1 or an id before; ASCII.
    """
    with open(path, 'rb') as file:
        lines = file.read().decode('ascii').split('\n')
    assert lines[-1] == '' and lines[0].startswith('#')
    rows = [line.split(' ') for line in lines[:-1] if not line.startswith('#')]
    for k, row in enumerate(rows):
        assert len(row) == 7 and int(row[0]) == k + 1 and 0 <= int(row[1]) <= 7
        assert int(row[6]) == -1 or 1 <= int(row[6]) <= k
        assert all(np.isfinite(float(number)) for number in row[2:6]) and float(row[5]) > 0
    return rows


@pytest.fixture
def traced(tmp_path):
    """Masks of two neurites; voxels of 2 x 0.5 x 0.5 um."""
    mask = np.maximum(*[drawn((20, 40, 60), [(10, y, 6), (10, y, x)])
                        for y, x in ((8, 54), (30, 40))])
    stacks.write(str(tmp_path / 'data/segmented/a.mask.tif'), mask.astype(np.uint8),
                 voxel_size=(2.0, 0.5, 0.5))
    return tmp_path


def test_one_file_per_tree_has_one_root_each_in_voxels_or_um(traced):
    status, _, err = run_script('4_reconstruction.py', cwd=traced)
    assert status == 0, err
    folder = traced / 'results/traces'
    assert (folder / 'a.png').exists() and not (folder / 'a_trees').exists()
    forest = read_strictly(str(folder / 'a.swc'))
    assert [row[6] for row in forest].count('-1') == 2
    for unit, scale in (('voxel', 1.0), ('um', 0.5)):                # the second replaces the first
        status, out, err = run_script('4_reconstruction.py', 'ONE_FILE_PER_TREE=True',
                                      'TREE_UNIT=%s' % unit, cwd=traced)
        assert status == 0 and '(1 new)' in out, err
        assert sorted(os.listdir(str(folder / 'a_trees'))) == ['a_0001.swc', 'a_0002.swc']
        trees = [read_strictly(str(folder / ('a_trees/a_000%d.swc' % k))) for k in (1, 2)]
        assert [[row[6] for row in tree].count('-1') for tree in trees] == [1, 1]
        rows = trees[0] + trees[1]
        for one, whole in zip(rows, forest):
            deep = 2.0 if unit == 'um' else 1.0                      # z has a scale of its own
            expected = np.array(whole[2:6], float) * [scale, scale, deep, scale]
            np.testing.assert_allclose(np.array(one[2:6], float), expected, atol=2e-3)
        head = (folder / 'a_trees/a_0002.swc').read_text().split('\n')[0]
        assert head == '# a, tree 2 of 2; x y z and radius in %s' % unit
    again = run_script('4_reconstruction.py', 'ONE_FILE_PER_TREE=True', 'TREE_UNIT=um', cwd=traced)
    assert again[0] == 0 and '(0 new)' in again[1]


def test_um_need_a_voxel_size(traced):
    stacks.write(str(traced / 'data/segmented/b.mask.tif'),
                 drawn((20, 40, 60), [(10, 8, 6), (10, 8, 54)]).astype(np.uint8))
    wanted = 'ONE_FILE_PER_TREE=True', 'TREE_UNIT=um'
    status, _, err = run_script('4_reconstruction.py', *wanted, cwd=traced)
    assert status == 1 and 'b tells no voxel size: give VOXEL_SIZE=z,y,x' in err
    assert (traced / 'results/traces/a_trees/a_0001.swc').exists()
    status, _, err = run_script('4_reconstruction.py', wanted[0], 'TREE_UNIT=mm', cwd=traced)
    assert status == 1 and 'TREE_UNIT=mm: want one of voxel, um' in err


def test_files_of_others_among_the_trees_stay(traced):
    for name in ('a_0007.swc', 'mine.txt'):
        (traced / 'results/traces/a_trees').mkdir(parents=True, exist_ok=True)
        (traced / 'results/traces/a_trees' / name).write_text('mine')
    status, _, err = run_script('4_reconstruction.py', 'ONE_FILE_PER_TREE=True', cwd=traced)
    assert status == 1 and 'a_trees was not made by this script' in err
    assert (traced / 'results/traces/a_trees/a_0007.swc').read_text() == 'mine'


def test_drafts_are_one_neuron_a_root_with_standard_types(tmp_path):
    """The simulator's SWC obey the same rules; several roots are passing fibres."""
    tree = swc.Tree(np.array([1, 2, 3, 4]), np.arange(12.0).reshape(4, 3), np.ones(4),
                    np.array([-1, 0, 0, 2]))
    path = str(tmp_path / 'a.swc')
    swc.write(path, tree, comment='a neuron\nof two lines')
    assert [row[1] for row in read_strictly(path)] == ['1', '2', '3', '4']
    assert draft_files.EXTENSION['swc'] == 'swc'
    assert config.read_constants(config.rooted('configs/reconstruction.py'))['TREE_UNIT'] == 'voxel'


def test_split_keeps_order_and_parents():
    forest = swc.join([swc.Tree(np.zeros(n, int), np.full((n, 3), float(n)), np.ones(n),
                                np.arange(-1, n - 1)) for n in (3, 1, 2)])
    found = swc.split(forest)
    assert [tree.parent.tolist() for tree in found] == [[-1, 0, 1], [-1], [-1, 0]]
    assert [tree.position[0, 0] for tree in found] == [3, 1, 2]
