"""Patch files that are damaged or teach nothing, and full disks while they are written."""
import hashlib
import os
import resource
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import ROOT

from utils.common.errors import UserError
from utils.data import hdf5_writer, patches, stacks

SHAPE = (40, 4, 6, 6)


def images(seed=0):
    return np.random.default_rng(seed).integers(1, 999, SHAPE).astype(np.uint16)


def write(path, voxels=None, labels=None, sources=None):
    """A patch file; its path."""
    voxels = images() if voxels is None else voxels
    patches.write(str(path), voxels, origins=np.zeros((len(voxels), 3)), labels=labels,
                  sources=sources or ['s%d' % i for i in range(len(voxels))])
    return str(path)


def labels_of(voxels):
    return (voxels > 800).astype(np.uint8)


# --- what the digest tells ---

@pytest.mark.parametrize('real', [False, True])
def test_whole_files_pass_with_and_without_labels(tmp_path, real):
    plain, labelled = write(tmp_path / 'a.h5'), write(tmp_path / 'b.h5', labels=labels_of(images()))
    for path, with_labels in ((plain, False), (labelled, False), (labelled, True)):
        patches.PatchFile(path, with_labels=with_labels).check(real=real)


@pytest.mark.parametrize('where', ['image', 'label'])
@pytest.mark.parametrize('with_labels', [False, True])
def test_one_changed_voxel_is_found(tmp_path, where, with_labels):
    path = write(tmp_path / 'p.h5', labels=labels_of(images()))
    with h5py.File(path, 'r+') as file:
        file[where][37, 1, 2, 3] = 1 - int(file[where][37, 1, 2, 3] > 0)
    with pytest.raises(UserError, match='p.h5 is damaged: its patches are not those that were wr'):
        patches.PatchFile(path, with_labels=with_labels).check()


def test_random_bytes_inside_are_found(tmp_path):
    path = write(tmp_path / 'p.h5')
    with open(path, 'rb') as file:
        content = bytearray(file.read())
    at = content.index(images()[20].tobytes())
    content[at:at + 200] = os.urandom(200)
    with open(path, 'wb') as file:
        file.write(content)
    with pytest.raises(UserError, match='p.h5 is damaged.*remove it, and run the script again'):
        patches.PatchFile(path).check(real=True)


def test_a_damaged_part_is_named_and_not_joined(tmp_path):
    good, bad = write(tmp_path / 'good.h5'), write(tmp_path / 'bad.h5')
    with h5py.File(bad, 'r+') as file:
        file['image'][0, 0, 0, 0] += 1
    with pytest.raises(UserError, match='bad.h5 is damaged .*digest.*: remove it and run the same'):
        patches.join([good, bad], str(tmp_path / 'joined.h5'))
    write(bad)
    with h5py.File(bad, 'r+') as file:
        del file['source']
    with pytest.raises(UserError, match="bad.h5 is damaged .*source.*: remove it and run the same"):
        patches.join([good, bad], str(tmp_path / 'joined.h5'))
    assert not (tmp_path / 'joined.h5').exists()


# --- what teaches nothing ---

@pytest.mark.parametrize('level', [0, 500])
def test_a_real_patch_of_one_grey_level_is_refused(tmp_path, level):
    voxels = images()
    voxels[35] = level
    file = patches.PatchFile(write(tmp_path / 'p.h5', voxels))
    with pytest.raises(UserError, match='p.h5: patch 35, of stack s35, is %d everywhere' % level):
        file.check(real=True)
    file.check()                                         # drafts may have one


def test_labels_that_are_none_are_refused_of_files_and_folders(tmp_path):
    labels = labels_of(images())
    labels[33, 0, 0, 0] = 7
    path = write(tmp_path / 'p.h5', labels=labels)
    with pytest.raises(UserError, match='p.h5: the label of patch 33, of stack s33, holds 7: lab'):
        patches.PatchFile(path, with_labels=True).check()
    for kind, voxels in (('images', images()[0]), ('labels', 255 * labels[0])):
        stacks.write(str(tmp_path / 'set' / kind / 'a.tif'), voxels)
    with pytest.raises(UserError, match='set: the label of patch 0, of stack a, holds 255'):
        patches.PatchFile(str(tmp_path / 'set'), with_labels=True).check()


def test_drafts_without_one_label_voxel_are_refused(tmp_path):
    labels = np.zeros(SHAPE, np.uint8)
    path = write(tmp_path / 'p.h5', labels=labels)
    with pytest.raises(UserError, match='p.h5 has no label voxel'):
        patches.PatchFile(path, with_labels=True).check()
    labels[39, 0, 0, 0] = 1
    patches.PatchFile(write(path, labels=labels), with_labels=True).check()


# --- what is no patch file ---

def replace(name, values):
    def change(file):
        del file[name]
        if values is not None:
            file[name] = values
    return change


def external(file):
    del file['image']
    file.create_dataset('image', SHAPE, np.uint8, external=[('/etc/hostname', 0, 10 ** 9)])


@pytest.mark.parametrize('change, words', [
    (replace('image', np.zeros((40, 6, 6), np.uint16)), 'image is uint16 of 3 axes'),
    (replace('image', np.zeros(SHAPE, np.float32)), 'image is float32 of 4 axes: want uint8 or'),
    (replace('image', None), 'image'),
    (replace('source', None), 'source'),
    (replace('source', np.array([b'../../x'] * 40, object)), 'x.* names no stack'),
    (replace('source', np.zeros(40)), 'source is float64'),
    (replace('origin', np.zeros((39, 3), np.int32)), '39 of origin, 40 patches'),
    (replace('origin', np.zeros((40, 2), np.int32)), 'origin is not .N, 3.'),
    (replace('label', np.zeros(SHAPE, np.float32)), 'label is float32'),
    (external, 'image lies in other files'),
    (lambda file: file.attrs.pop('digest'), 'digest'),
    (lambda file: file.create_group('x') and file.move('x', 'label2') or (
        replace('label', None)(file), file.move('label2', 'label')), 'Group'),
])
def test_other_files_are_one_line(tmp_path, change, words):
    path = write(tmp_path / 'p.h5', labels=labels_of(images()))
    with h5py.File(path, 'r+') as file:
        change(file)
    with pytest.raises(UserError, match='p.h5 is damaged or no patch file .*%s' % words) as error:
        patches.PatchFile(path, with_labels=True)
    assert '\n' not in str(error.value)


# --- full disks ---

@pytest.fixture(params=[True, False], ids=['memory', 'calls'])
def ways(request, monkeypatch):
    """Small files built in memory, and written call by call as large ones are."""
    if not request.param:
        monkeypatch.setattr(hdf5_writer, 'IN_MEMORY', 0)


def test_written_files_are_the_same_each_time(tmp_path, ways):
    first, second = [write(tmp_path / name, labels=labels_of(images())) for name in ('a', 'b')]
    with open(first, 'rb') as one, open(second, 'rb') as other:
        assert one.read() == other.read()
    file = patches.PatchFile(first, with_labels=True)
    file.check()
    np.testing.assert_array_equal(file.image[:], images())


def test_files_built_in_memory_have_the_bytes_that_hdf5_writes(tmp_path):
    def fill(file):
        data = file.create_dataset('image', (0,) + SHAPE[1:], np.uint16, chunks=(1,) + SHAPE[1:],
                                   maxshape=(None,) + SHAPE[1:])
        data.resize(40, 0)
        data[:] = images()
        file['origin'] = np.zeros((40, 3))

    path = str(tmp_path / 'a.h5')
    with h5py.File(path, 'w') as file:
        fill(file)
    with open(path, 'rb') as file:
        wanted = hashlib.sha1(file.read()).hexdigest()
    with hdf5_writer.create(path, 10) as (file, _):
        fill(file)
    with open(path, 'rb') as file:
        assert hashlib.sha1(file.read()).hexdigest() == wanted


@pytest.mark.parametrize('room', [0, 100, 3000, 9000, 16000])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path, ways, room):
    """No file may grow beyond `room` bytes; whole ones have 18,000 or more."""
    path = write(tmp_path / 'p.h5')
    with open(path, 'rb') as file:
        before = file.read()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(UserError, match='p.h5 cannot be written: File too large'):
            write(path, images(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(str(tmp_path)) == ['p.h5']
    with open(path, 'rb') as file:
        assert file.read() == before


@pytest.mark.parametrize('in_memory', ['0', '99999'])
def test_a_process_that_met_a_full_disk_ends_in_order(tmp_path, in_memory):
    """HDF5 would end it by a segmentation fault, as it closes what it could not write."""
    code = ("import resource, signal, sys; import numpy as np; sys.path.insert(0, %r)\n"
            "from utils.common import errors; from utils.data import hdf5_writer, patches\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
            "hdf5_writer.IN_MEMORY = int(sys.argv[1])\n"
            "errors.run(lambda: patches.write('p.h5', np.ones((40, 4, 6, 6), np.uint16),\n"
            "           origins=np.zeros((40, 3)), sources=['s'] * 40))\n" % ROOT)
    done = subprocess.run([sys.executable, '-c', code, in_memory], cwd=str(tmp_path),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (1, b'')
    assert done.stderr == b'error: p.h5 cannot be written: File too large\n'
