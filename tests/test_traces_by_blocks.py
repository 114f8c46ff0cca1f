"""Traces of a volume block by block: the same as of the whole, at faces, too."""
import os

import h5py
import numpy as np
import pytest
from conftest import run_script
from tubes import DEFAULTS, ISOTROPIC, count, drawn, evidence_of, missed, off

from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.score import traces
from utils.trace import blocks, streaming, tracing, volume_evidence
from utils.trace import evidence as grey

SIDE = (48, 48, 48)


def plan(evidence, spacing=ISOTROPIC, *, side=SIDE, halo=24, **values):
    """(list of blocks.Block, blocks.How)."""
    return (blocks.of_volume(evidence.shape, side, halo=halo),
            blocks.How(evidence.shape, np.array(spacing, float), DEFAULTS._replace(**values), 0.4,
                       0.6, 'here.zarr'))


def streamed(evidence, folder, spacing=ISOTROPIC, **values):
    """swc.Tree of evidence (uint8), traced by blocks."""
    every, how = plan(evidence, spacing, **values)
    streaming.trace_blocks(evidence.__getitem__, every, folder=str(folder), key='a', how=how)
    return streaming.trees_of(evidence.__getitem__, every, folder=str(folder), how=how)


def whole(evidence, spacing=ISOTROPIC, **values):
    """swc.Tree of evidence (uint8), traced as a whole."""
    return tracing.trace(evidence, np.array(spacing, float), low=0.4, high=0.6,
                         settings=DEFAULTS._replace(**values))


def length(tree, spacing=ISOTROPIC):
    """Cable, x voxels."""
    return swc.length_of(traces.stretched(tree, spacing))


# name: (lines, radius, (roots, tips, forks)); faces lie at 47.5 and 95.5
SHAPES = {
    'through faces': ([[(8, 10, 6), (40, 70, 110)]], 2.0, (1, 2, 0)),
    'thick': ([[(24, 20, 12), (28, 70, 104)]], 6.0, (1, 2, 0)),
    'fork on a face': ([[(24, 30, 6), (24, 32, 47.5), (24, 60, 108)],
                        [(24, 32, 47.5), (24, 10, 104)]], 1.5, (1, 3, 1)),
    'along a face': ([[(24, 47.5, 6), (24, 47.5, 110)]], 2.0, (1, 2, 0)),
    'beside a face': ([[(24, 48.2, 6), (24, 46.8, 110)]], 1.5, (1, 2, 0)),
    'along an edge of two': ([[(47.5, 47.5, 6), (47.5, 47.5, 110)]], 2.5, (1, 2, 0)),
    "where a block's say ends": ([[(24, 55.5, 6), (24, 55.5, 110)]], 2.0, (1, 2, 0)),
    'to and fro': ([[(24, 40 + 16 * (k % 2), 6 + 13 * k) for k in range(9)]], 1.5, (1, 2, 0)),
    'ends at a face': ([[(24, 20, 6), (24, 24, 50)]], 1.5, (1, 2, 0)),
}


@pytest.mark.parametrize('name', sorted(SHAPES))
def test_no_cable_is_lost_or_doubled_at_faces(name, tmp_path):
    lines, radius, wanted = SHAPES[name]
    evidence = evidence_of(drawn((67, 83, 117), *lines, radius=radius))
    tree, reference = streamed(evidence, tmp_path), whole(evidence)
    assert count(tree) == count(reference) == wanted
    assert missed(tree, *lines) < radius + 2.5 and off(tree, *lines) < 2
    assert abs(length(tree) - length(reference)) < 0.02 * length(reference) + 1
    assert abs(np.median(tree.radius) - np.median(reference.radius)) < 0.1


def test_a_loop_through_four_blocks_is_opened_once(tmp_path):
    t = np.linspace(0, 2 * np.pi, 60)
    ring = np.stack([np.full(60, 10.0), 50 + 36 * np.cos(t), 44 + 36 * np.sin(t)], 1)
    tree = streamed(evidence_of(drawn((21, 95, 97), ring)), tmp_path)
    assert count(tree) == (1, 2, 0) and off(tree, ring) < 1
    assert abs(length(tree) - 2 * np.pi * 36) < 12


def test_voxels_that_are_no_cubes(tmp_path):
    spacing, line = np.array((2.5, 1, 1)), [(20, 12, 10), (90, 60, 110)]
    shape = tuple((np.array((110, 73, 119)) / spacing).astype(int))
    evidence = evidence_of(drawn(shape, line, radius=2.5, spacing=spacing))
    tree, reference = streamed(evidence, tmp_path, spacing), whole(evidence, spacing)
    assert count(tree) == (1, 2, 0) and off(tree, line, spacing=spacing) < 1.5
    assert abs(length(tree, spacing) - length(reference, spacing)) < 2


def test_a_soma_on_a_face_is_one_node_with_its_stems(tmp_path):
    centre = (24.0, 40.0, 47.5)
    mask = drawn((48, 80, 100), [(24, 40, 6), centre, (24, 70, 92)], [centre, (30, 8, 70)],
                 radius=1.5)
    mask |= ((np.indices(mask.shape).T - centre) ** 2).sum(-1).T <= 9 ** 2
    tree = streamed(evidence_of(mask), tmp_path)
    somata = np.flatnonzero(tree.type == swc.SOMA)
    assert len(somata) == 1 and np.linalg.norm(tree.position[somata[0]] - centre) < 1.5
    assert abs(tree.radius[somata[0]] - 9) < 1.5 and count(tree)[:2] == (1, 3)


def test_evidence_is_judged_by_objects_of_all_blocks(tmp_path):
    """What is certain in one block counts for all of the neurite; what is certain nowhere goes."""
    line, faint = [(24, 20, 6), (24, 24, 110)], [(24, 60, 6), (24, 60, 110)]
    evidence = np.where(drawn((48, 80, 117), line, faint), 120, 0).astype(np.uint8)     # 0.47
    evidence[:, :40, :30] *= 2
    tree = streamed(evidence, tmp_path)
    assert count(tree) == (1, 2, 0) and off(tree, line) < 1.5 and missed(tree, line) < 4


def test_a_short_break_at_a_face_is_bridged(tmp_path):
    lines = [(24, 20, 6), (24, 22, 45)], [(24, 22, 51), (24, 24, 110)]
    evidence = evidence_of(drawn((48, 48, 117), *lines, radius=1.5))
    assert count(streamed(evidence, tmp_path / 'a')) == (1, 2, 0)
    assert count(streamed(evidence, tmp_path / 'b', max_gap=0.0)) == (2, 4, 0)


def test_many_neurites_are_traced_as_on_the_whole(tmp_path):
    rng = np.random.default_rng(3)
    lines = [rng.uniform(4, np.array((60, 92, 110)) - 4, (3, 3)) for _ in range(6)]
    evidence = evidence_of(drawn((60, 92, 110), *lines, radius=1.5))
    tree, reference = streamed(evidence, tmp_path), whole(evidence)
    scores = traces.score(reference, tree, metrics=('length',))
    assert scores['length_f1'] >= 0.98 and scores['pds'] < 0.01
    assert abs(length(tree) - length(reference)) < 0.01 * length(reference)
    assert abs(count(tree)[2] - count(reference)[2]) <= 1


def test_a_rerun_makes_what_is_missing_and_the_same_trees(tmp_path):
    evidence = evidence_of(drawn((48, 60, 110), [(20, 10, 6), (30, 50, 104)]))
    folder, seen = str(tmp_path), []
    every, how = plan(evidence)
    make = dict(folder=folder, how=how)

    def read(box):
        seen.append(box)
        return evidence[box]

    assert streaming.trace_blocks(read, every, key='a', **make) == len(every) == 6
    first = streaming.trees_of(read, every, **make)
    os.remove(blocks.path_of(folder, every[2]))
    with open(blocks.path_of(folder, every[4]), 'r+b') as file:
        file.truncate(200)
    del seen[:]
    assert streaming.trace_blocks(read, every, key='a', **make) == 2
    assert seen == [every[2].read, every[4].read]
    for one, other in zip(first, streaming.trees_of(read, every, **make)):
        np.testing.assert_array_equal(one, other)
    assert streaming.trace_blocks(read, every, key='b', **make) == 6


def test_a_volume_without_foreground_is_one_line(tmp_path):
    with pytest.raises(UserError, match='here.zarr has no foreground'):
        streamed(np.zeros((50, 60, 70), np.uint8), tmp_path)


def test_the_small_copy_holds_the_largest_of_each_cell(monkeypatch, tmp_path):
    monkeypatch.setattr(streaming, 'COARSE', 67 * 83 * 50 / 27.0)
    evidence = np.zeros((67, 83, 50), np.uint8)
    evidence[47, 48, 49], evidence[0, 0, 0], evidence[66, 82, 3] = 70, 80, 90
    every, how = plan(evidence)
    streaming.trace_blocks(evidence.__getitem__, every, folder=str(tmp_path), key='a', how=how)
    small = streaming.coarse_of(every, folder=str(tmp_path), shape=evidence.shape)
    assert small.shape == (23, 28, 17) and (small > 0).sum() == 3
    assert (small[15, 16, 16], small[0, 0, 0], small[22, 27, 1]) == (70, 80, 90)


def test_evidence_is_read_where_it_is_indexed_and_once(monkeypatch):
    monkeypatch.setattr(streaming, 'TILE', 8)
    evidence, seen = np.random.default_rng(0).integers(0, 256, (21, 30, 19), np.uint8), []

    def read(box):
        seen.append(box)
        return evidence[box]

    window = streaming.Window(read, evidence.shape)
    box = slice(5, 17), slice(8, 9), slice(0, 19)
    np.testing.assert_array_equal(window[box], evidence[box])
    assert len(seen) == 3 * 1 * 3
    voxels = tuple(np.random.default_rng(1).integers(0, evidence.shape, (300, 3)).T)
    np.testing.assert_array_equal(window[voxels], evidence[voxels])
    np.testing.assert_array_equal(window[voxels], evidence[voxels])
    assert len(seen) == 3 * 4 * 3 and window.shape == evidence.shape


# --- evidence ---

@pytest.mark.parametrize('name, voxels, wanted', [
    ('a.prob.zarr', np.uint8([0, 128, 255]), [0, 128, 255]),
    ('a.mask.zarr', np.uint8([0, 1, 0]), [0, 255, 0]),
    ('a.zarr', np.uint16([0, 1, 1]), [0, 255, 255]),
    ('a.zarr', np.float32([0, 0.5, 1]), [0, 128, 255]),
])
def test_a_volume_is_taken_by_its_name_its_dtype_and_a_sample(name, voxels, wanted):
    volume = np.tile(voxels, (3, 9, 3))
    found = volume_evidence.of_volume(volume, name, low=0.4, high=0.6)
    np.testing.assert_array_equal(found.read((slice(1, 2), slice(2, 3), slice(0, 3)))[0, 0], wanted)


@pytest.mark.parametrize('method', ['otsu', 'threshold'])
def test_grey_levels_of_a_sample_of_all_are_those_of_the_whole(method):
    line = drawn((20, 40, 60), [(10, 8, 6), (10, 30, 54)])
    voxels = (np.random.default_rng(0).normal(500, 20, line.shape) + 900 * line).astype(np.uint16)
    found = volume_evidence.of_volume(voxels, 'a.zarr', low=0.4, high=0.6, method=method,
                                      threshold=900.0)
    wanted = grey.of_grey_levels(voxels, method, threshold=900.0)
    box = slice(3, 17), slice(0, 40), slice(5, 60)
    np.testing.assert_array_equal(found.read(box), wanted[box])
    assert found.low == found.high == 0.5


@pytest.mark.parametrize('name, voxels, method, words', [
    ('a.prob.zarr', np.uint16([0, 9]), 'otsu', 'is uint16: want a probability map'),
    ('a.mask.zarr', np.uint8([0, 1, 2]), 'otsu', 'is no mask'),
    ('a.zarr', np.float32([0, 2]), 'otsu', 'not from 0 to 1'),
    ('a.zarr', np.uint8([7, 7]), 'otsu', 'one grey level'),
    ('a.zarr', np.uint8([7, 9, 8]), 'ridge', 'METHOD=ridge cannot be'),
])
def test_bad_volumes_are_one_line(name, voxels, method, words):
    with pytest.raises(UserError, match=words):
        found = volume_evidence.of_volume(np.tile(voxels, (3, 9, 3)), name, low=0.4, high=0.6,
                                          method=method)
        found.read((slice(0, 3),) * 3)


# --- the script ---

LINE = [(10, 10, 6), (20, 50, 104)]
SPACING = np.array((2.0, 1.0, 1.0))


@pytest.fixture(params=['h5', 'ome.zarr'])
def volume(request, tmp_path):
    """Folder with a probability map in chunks; LINE in voxels, twice as long along z."""
    evidence = evidence_of(drawn((40, 60, 110), np.array(LINE) * SPACING, spacing=SPACING))
    path = str(tmp_path / 'in' / ('a.prob.' + request.param))
    if request.param == 'h5':
        (tmp_path / 'in').mkdir()
        with h5py.File(path, 'w') as file:
            data = file.create_dataset('image', data=evidence, chunks=(16, 32, 32))
            data.attrs['element_size_um'] = 0.5 * SPACING
    else:
        stacks.write(path, evidence, voxel_size=tuple(0.5 * SPACING))
    return tmp_path


BLOCKS = 'INPUT=in', 'OUTPUT=out', 'WHOLE_UP_TO=1000', 'BLOCK_SHAPE=48,48,48', 'BLOCK_HALO=24'


def test_tasks_of_an_array_share_a_volumes_blocks(volume):
    status, out, err = run_script('4_reconstruction.py', *BLOCKS, cwd=volume)
    assert status == 0 and '1 stacks (1 new)' in out, out + err
    alone = (volume / 'out/a.swc').read_bytes()
    assert (volume / 'out/a.png').exists()
    found = swc.read(str(volume / 'out/a.swc'))
    assert count(found) == (1, 2, 0)
    assert off(found, np.array(LINE) * SPACING, spacing=SPACING) < 1.5
    assert len(os.listdir(str(volume / 'out/a_blocks'))) == 6
    for task, words in (('0', '3 of other shares are not'), ('1', '1 stacks (1 new)')):
        status, out, err = run_script(
            '4_reconstruction.py', *BLOCKS, 'OUTPUT=shared', cwd=volume, SLURM_ARRAY_TASK_ID=task,
            SLURM_ARRAY_TASK_COUNT='2')
        assert status == 0 and words in out, out + err
    assert (volume / 'shared/a.swc').read_bytes() == alone
    status, out, _ = run_script('4_reconstruction.py', *BLOCKS, cwd=volume)
    assert status == 0 and '(0 new)' in out


def test_a_volume_that_fits_is_traced_as_a_whole(volume):
    status, out, err = run_script('4_reconstruction.py', 'INPUT=in', 'OUTPUT=out', cwd=volume)
    assert status == 0 and not (volume / 'out/a_blocks').exists(), out + err
    assert off(swc.read(str(volume / 'out/a.swc')), np.array(LINE) * SPACING,
               spacing=SPACING) < 1.5
