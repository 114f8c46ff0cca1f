"""Stacks that are cut, of several series, or held by other files; trees in any order."""
import logging
import os
import shutil
import struct

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from utils.common.errors import UserError
from utils.data import hdf5, patches, stacks, swc, tiff, vaa3d


def noise(*shape):
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)


# --- TIFF ---

def test_a_tiff_of_which_tifffile_makes_nothing_is_named(tmp_path, monkeypatch):
    write_tiff(tmp_path / 'a.tif', 'plain')
    monkeypatch.setattr(tifffile.TiffPageSeries, 'asarray', lambda self: None)
    with pytest.raises(UserError, match='a.tif is cut short, damaged or no TIFF .no voxels.'):
        tiff.read(str(tmp_path / 'a.tif'))


def write_by_pillow(path, compression):
    """Pages one after another, each with its own directory, as microscopes write them."""
    slices = [Image.fromarray(plane) for plane in noise(8, 32, 32)]
    slices[0].save(str(path), save_all=True, append_images=slices[1:], compression=compression)


def write_tiff(path, kind):
    options = {'imagej': {'imagej': True, 'metadata': {'axes': 'ZYX'}},
               'imagej zlib': {'imagej': True, 'metadata': {'axes': 'ZYX'}, 'compression': 'zlib'},
               'plain': {}, 'zlib': {'compression': 'zlib'},
               'bigtiff zlib': {'compression': 'zlib', 'bigtiff': True},
               'ome': {'ome': True, 'metadata': {'axes': 'ZYX'}}}
    if kind in options:
        tifffile.imwrite(str(path), noise(8, 32, 32), photometric='minisblack', **options[kind])
    else:
        write_by_pillow(path, kind)


KINDS = ('tiff_lzw', 'tiff_adobe_deflate', 'packbits', 'raw', 'imagej', 'imagej zlib', 'plain',
         'zlib', 'bigtiff zlib', 'ome')


@pytest.mark.parametrize('kind', KINDS)
def test_a_tiff_cut_anywhere_is_called_cut_or_has_all_its_voxels(tmp_path, kind):
    path = tmp_path / 'a.tif'
    write_tiff(path, kind)
    whole, words = path.read_bytes(), []
    for share in np.linspace(0, 0.999, 40):
        path.write_bytes(whole[:int(share * len(whole))])
        try:
            np.testing.assert_array_equal(stacks.read(str(path)).voxels, noise(8, 32, 32))
            assert share > 0.8                   # only what lies behind the voxels is missing
        except UserError as error:
            words.append(str(error))
    assert len(words) > 30
    for line in words:
        assert 'cut short' in line and 'a.tif' in line and '\n' not in line


def next_offsets(path):
    """Where a classic little-endian TIFF keeps the offsets of its pages; list, the last one's 0."""
    data, places = path.read_bytes(), [4]
    while True:
        at = struct.unpack_from('<I', data, places[-1])[0]
        if not at:
            return places
        places.append(at + 2 + 12 * struct.unpack_from('<H', data, at)[0])


@pytest.mark.parametrize('kind', ['tiff_lzw', 'plain', 'imagej'])
@pytest.mark.parametrize('page', [3, -1])
def test_a_page_beyond_the_end_or_in_a_circle_is_an_error(tmp_path, kind, page):
    path = tmp_path / 'a.tif'
    write_tiff(path, kind)
    data, places = bytearray(path.read_bytes()), next_offsets(path)
    first = struct.unpack_from('<I', data, 4)[0]
    for offset in (len(data) + 1000, first):
        struct.pack_into('<I', data, places[page], offset)
        path.write_bytes(data)
        with pytest.raises(UserError, match='a.tif is cut short'):
            stacks.read(str(path))


@pytest.mark.parametrize('quiet', [
    lambda logger: logging.disable(logging.CRITICAL), lambda logger: setattr(logger, 'disabled', 1),
    lambda logger: logger.setLevel(logging.ERROR),
    lambda logger: logger.addFilter(lambda record: False)])
def test_a_cut_tiff_is_called_cut_whatever_is_set_for_loggers(tmp_path, monkeypatch, quiet):
    path, logger = tmp_path / 'a.tif', logging.getLogger('tifffile')
    write_tiff(path, 'tiff_adobe_deflate')
    path.write_bytes(path.read_bytes()[:next_pages(path)[5]])
    monkeypatch.setattr(logging.root.manager, 'disable', 0)
    for name in ('level', 'disabled', 'filters'):
        monkeypatch.setattr(logger, name, getattr(logger, name) or type(getattr(logger, name))())
    logger.setLevel(logging.NOTSET)                      # it forgets what was enabled before
    quiet(logger)

    def state():
        found = dict(vars(logger), disable=logger.manager.disable,
                     enabled=logger.isEnabledFor(logging.WARNING))
        found.pop('_cache')                              # of Python's own, by level
        return found

    before = state()
    with pytest.raises(UserError, match='a.tif is cut short'):
        stacks.read(str(path))
    assert state() == before


def next_pages(path):
    """Where the directories of a classic TIFF's pages lie."""
    data = path.read_bytes()
    return [struct.unpack_from('<I', data, at)[0] for at in next_offsets(path)]


@pytest.mark.parametrize('kind', ['imagej', 'ome'])
def test_a_header_that_tells_of_fewer_slices_than_there_are_is_an_error(tmp_path, kind):
    path = tmp_path / 'a.tif'
    write_tiff(path, kind)
    data = path.read_bytes()
    for eight in (b'images=8', b'slices=8', b'SizeZ="8"', b'PlaneCount="8"'):
        data = data.replace(eight, eight.replace(b'8', b'4'))
    path.write_bytes(data)
    with pytest.raises(UserError, match='a.tif holds 8 pages, its header tells of 4: save'):
        stacks.read(str(path))


def test_whole_files_are_heard_without_a_word_and_tags_may_be_odd(tmp_path, caplog):
    path = tmp_path / 'a.tif'
    for kind in KINDS:
        write_tiff(path, kind)
        np.testing.assert_array_equal(stacks.read(str(path)).voxels, noise(8, 32, 32))
    # a text that is no ASCII: tifffile warns, voxels are whole
    tifffile.imwrite(str(path), noise(8, 32, 32), photometric='minisblack', metadata=None,
                     software='X' * 20)
    path.write_bytes(path.read_bytes().replace(b'X' * 20, b'\xff\x81' * 10))
    np.testing.assert_array_equal(stacks.read(str(path)).voxels, noise(8, 32, 32))
    assert not caplog.records


@pytest.mark.parametrize('name', ['a.ome.tif', 'a.tif'])
def test_several_series_are_named(tmp_path, name):
    path = str(tmp_path / name)
    with tifffile.TiffWriter(path, ome=name == 'a.ome.tif') as file:
        for shape in ((8, 32, 32), (5, 16, 16)):
            file.write(noise(*shape), photometric='minisblack')
    with pytest.raises(UserError, match='2 unlike images .8 x 32 x 32, 5 x 16 x 16'):
        stacks.read(path)


# --- HDF5 ---

def test_hdf5_whose_voxels_other_files_hold_is_refused(tmp_path):
    (tmp_path / 'secret').write_bytes(noise(8, 16, 16).tobytes())
    with h5py.File(str(tmp_path / 'external.h5'), 'w') as file:
        file.create_dataset('image', (8, 16, 16), 'u2',
                            external=[(str(tmp_path / 'secret'), 0, 4096)])
    with h5py.File(str(tmp_path / 'own.h5'), 'w') as file:
        file['image'] = noise(8, 16, 16)
    with h5py.File(str(tmp_path / 'virtual.h5'), 'w') as file:
        layout = h5py.VirtualLayout((8, 16, 16), 'u2')
        layout[:] = h5py.VirtualSource(str(tmp_path / 'own.h5'), 'image', (8, 16, 16))
        file.create_virtual_dataset('image', layout)
    with h5py.File(str(tmp_path / 'link.h5'), 'w') as file:
        file['image'] = h5py.ExternalLink(str(tmp_path / 'own.h5'), 'image')
    assert stacks.read(str(tmp_path / 'own.h5')).voxels.shape == (8, 16, 16)
    for name in ('external', 'virtual'):
        with pytest.raises(UserError, match='%s.h5: dataset /image lies in other files' % name):
            stacks.read(str(tmp_path / (name + '.h5')))
    with pytest.raises(UserError, match='link.h5'):
        stacks.read(str(tmp_path / 'link.h5'))


def test_patch_files_whose_patches_other_files_hold_are_refused(tmp_path):
    (tmp_path / 'secret').write_bytes(noise(2, 4, 4, 4).tobytes())
    good, bad, pipe = [str(tmp_path / name) for name in ('good.h5', 'bad.h5', 'pipe.h5')]
    os.mkfifo(pipe)
    patches.write(good, noise(2, 4, 4, 4), origins=np.zeros((2, 3)), sources=['a', 'a'],
                  labels=np.ones((2, 4, 4, 4), np.uint8))
    assert len(patches.PatchFile(good, with_labels=True)) == 2
    for name in ('image', 'label', 'origin', 'source'):
        for kind in ('external', 'link', 'soft link', 'FIFO'):
            shutil.copy(good, bad)
            with h5py.File(bad, 'r+') as file:
                kept = file[name]
                del file[name]
                if kind == 'external' and name in ('image', 'label', 'origin'):
                    file.create_dataset(name, kept.shape, kept.dtype,
                                        external=[(str(tmp_path / 'secret'), 0, 10 ** 6)])
                elif kind == 'soft link':
                    file['there'] = h5py.ExternalLink(good, name)
                    file[name] = h5py.SoftLink('/there')
                else:
                    file[name] = h5py.ExternalLink(pipe if kind == 'FIFO' else good, name)
            said = 'bad.h5.*dataset /%s lies in other files' % name
            with pytest.raises(UserError, match=said):
                patches.PatchFile(bad, with_labels=True)
            with pytest.raises(UserError, match=said):
                patches.join([good, bad], str(tmp_path / 'joined.h5'))


# --- memory ---

@pytest.mark.parametrize('name, module', [('a.tif', tiff), ('a.h5', hdf5), ('a.v3draw', vaa3d)])
def test_too_little_memory_is_not_called_damage(tmp_path, monkeypatch, name, module):
    def full(*_, **__):
        raise MemoryError

    path = str(tmp_path / name)
    if module is tiff:
        stacks.write(path, noise(8, 16, 16))
        monkeypatch.setattr(tifffile.TiffPageSeries, 'asarray', full)
    elif module is hdf5:
        with h5py.File(path, 'w') as file:
            file['image'] = noise(8, 16, 16)
        monkeypatch.setattr(h5py.Dataset, '__getitem__', full)
    else:
        (tmp_path / name).write_bytes(
            struct.pack('<24scH4i', vaa3d.RAW, b'L', 2, 16, 16, 8, 1) + noise(8, 16, 16).tobytes())
        monkeypatch.setattr(vaa3d.np, 'fromfile', full)
    with pytest.raises(MemoryError):
        module.read(path)
    with pytest.raises(UserError, match='%s: not enough memory' % name) as error:
        stacks.read(path)
    assert 'damaged' not in str(error.value)


# --- SWC ---

def test_children_may_come_before_their_parents(tmp_path):
    path = tmp_path / 'a.swc'
    path.write_text('5 3 50 5 6 1.5 2\n7 2 70 0 0 1 1\n2 3 20 0 0 1 1\n1 1 10 0 0 4 -1\n'
                    '9 2 90 0 0 1 -1\n')
    tree = swc.read(str(path))
    assert tree.position[:, 2].tolist() == [10, 90, 70, 20, 50]          # roots first
    assert tree.parent.tolist() == [-1, -1, 0, 0, 3]
    assert tree.type.tolist() == [1, 2, 2, 3, 3] and tree.radius[4] == 1.5
    assert tree.position[4].tolist() == [6, 5, 50]
    # a tree that is in order already keeps its order
    path.write_text('3 1 10 0 0 4 -1\n2 2 20 0 0 1 3\n9 2 30 0 0 1 3\n1 2 40 0 0 1 2\n')
    assert swc.read(str(path)).position[:, 2].tolist() == [10, 20, 30, 40]


def test_a_long_chain_backwards_is_sorted(tmp_path):
    n = 3000
    lines = ['%d 2 %d 0 0 1 %d' % (i, i, i - 1 if i > 1 else -1) for i in range(n, 0, -1)]
    (tmp_path / 'a.swc').write_text('\n'.join(lines))
    tree = swc.read(str(tmp_path / 'a.swc'))
    assert tree.parent.tolist() == list(range(-1, n - 1))
    assert tree.position[:, 2].tolist() == list(range(1, n + 1))


@pytest.mark.parametrize('text, words', [
    ('1 1 0 0 0 1 1\n', 'cycle'),
    ('1 1 0 0 0 1 -1\n2 2 0 0 0 1 4\n3 2 0 0 0 1 2\n4 2 0 0 0 1 3\n',
     'cycle: the parents of node 2'),
    ('1.5 1 0 0 0 1 -1\n', 'no whole number'), ('1 1 0 0 0 1 -1\n2 2.5 0 0 0 1 1\n', 'whole'),
    ('1 1 0 0 0 1 -1\n2 2 0 0 0 1 1.2\n', 'whole'), ('1e300 1 0 0 0 1 -1\n', 'whole'),
    ('1 1 0 nan 0 1 -1\n', 'not finite'), ('1 1 0 0 0 -1 -1\n', 'negative radius')])
def test_wrong_trees_are_called_what_they_are(tmp_path, text, words):
    (tmp_path / 'a.swc').write_text(text)
    with pytest.raises(UserError, match='a.swc.*' + words) as error:
        swc.read(str(tmp_path / 'a.swc'))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('look', ['os.kill(os.getpid(), 11)', 'time.sleep(60)'])
def test_hdf5_that_ends_its_reader_or_holds_it_up_is_one_error(tmp_path, monkeypatch, look):
    """The look stands for HDF5's library on such a file."""
    path = str(tmp_path / 'a.h5')
    with h5py.File(path, 'w') as file:
        file['volume'] = np.zeros((4, 8, 8), np.uint8)
    monkeypatch.setattr(hdf5, 'CRASHES', True)
    assert hdf5.read(path)[0].shape == (4, 8, 8)
    os.utime(path, (1, 1))                               # another file
    monkeypatch.setattr(hdf5, 'LOOK', 'import os, time; ' + look)
    monkeypatch.setattr(hdf5, 'LONGEST', 2)
    with pytest.raises(UserError, match='a.h5 is damaged: HDF5 cannot read it: copy or save'):
        hdf5.read(path)
    assert hdf5.is_stack(path)                           # reading it tells what is wrong
