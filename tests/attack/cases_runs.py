"""Damaged run folders, records and patch files, and files that would run code."""
import glob
import json
import os
import pickle
import shutil

import h5py
import numpy as np

from tests.attack import inputs
from tests.attack.cases import Case
from tests.attack.inputs import put

GAN_RUN, SEG_RUN = 'runs/mpgan', 'runs/segmentation'
# script -> (arguments, parts of the base, its run): goes on training, or uses it
TRAIN_ON = {
    '2_mpgan.py': (inputs.GAN + ['STAGE=train'], ('data/patches', 'data/simulated', GAN_RUN),
                   GAN_RUN),
    '3_segmentation.py': (inputs.SEGMENT, ('data/simulated', SEG_RUN), SEG_RUN)}
USE = {
    '2_mpgan.py': (inputs.GAN + ['STAGE=refine', 'INPUT=data/real', 'OUTPUT=out'],
                   ('data/real', GAN_RUN), GAN_RUN),
    '3_segmentation.py': (inputs.SEGMENT + ['STAGE=predict', 'OUTPUT=out'],
                          ('data/real', SEG_RUN), SEG_RUN)}
# what a training brings to its checkpoint's step before anything else
REWRITTEN = 'config.json', 'best.json', 'log.csv'
# a NumPy scalar of an object at 0x4141...: whoever loads it ends by a segmentation fault
CRASH = (b'\x80\x02cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\0\0\0O8\x89\x88tR'
         b'(K\x03X\x01\0\0\0|NNNK\x08K\x08K\0tbC\x08AAAAAAAAtR.')
RUNS_CODE = 'RUN.txt'                        # what a file that runs code would leave


class Bomb:
    """Pickles into something that makes a file when it is loaded."""

    def __reduce__(self):
        return os.mkdir, (RUNS_CODE,)


def nothing_ran(place):
    """A case's check: no code of a file was run."""
    return 'code of a file was run' if os.path.exists(os.path.join(place, RUNS_CODE)) else None


# --- damage of a run: functions (path of the run, rng) ---

def text_in(name, content):
    """Replace a file of the run."""
    return lambda run, rng: put(os.path.join(run, name), content)


def checkpoints(run):
    """Folders of its checkpoints, oldest first."""
    return sorted(glob.glob(os.path.join(run, 'checkpoints', 'step-*[0-9]')))


def in_each(*endings, change):
    """Change those files of every checkpoint that end so; change: function (path, rng)."""
    def damage(run, rng):
        found = [os.path.join(folder, name) for folder in checkpoints(run)
                 for name in sorted(os.listdir(folder)) if name.endswith(endings)]
        if not found:
            raise RuntimeError('no checkpoint of %s has a file %s' % (run, ' or '.join(endings)))
        for path in found:
            change(path, rng)
    return damage


def halve(path, rng):
    """Cut a file in the middle."""
    inputs.cut(path, 0.5)


def scramble(path, rng):
    """Random bytes inside a file, most of it."""
    size = os.path.getsize(path)
    inputs.overwrite(path, size // 8, content=rng.bytes(max(16, 3 * size // 4)))


def bomb(path, rng):
    """A pickle that runs code in place of a file."""
    put(path, pickle.dumps(Bomb()))


def earlier(content):
    """A pickle in place of a state, as runs of an earlier version have it."""
    def change(path, rng):
        os.remove(path)
        put(os.path.join(os.path.dirname(path), 'state.pickle'), content)
    return change


def numpy_bomb(path, rng):
    """An array of objects that runs code when it is loaded."""
    np.save(path, np.array([Bomb()], object), allow_pickle=True)


def no_step(run, rng):
    """A row of log.csv whose step is no number."""
    path = os.path.join(run, 'log.csv')
    with open(path) as file:
        lines = file.read().split('\n')
    lines[1] = 'x' + lines[1][1:]
    put(path, '\n'.join(lines))


def odd_state(run, rng):
    """Values in the states of checkpoints that no training has."""
    odd = {'seconds': [1.0], 'best': {'step': 10 ** 30, 'score': [1]}}
    name = sorted(odd)[int(rng.integers(len(odd)))]
    for folder in checkpoints(run):
        path = os.path.join(folder, 'state.json')
        with open(path) as file:
            state = json.load(file)
        put(path, json.dumps(dict(state, **{name: odd[name]})))


def folder_abc(run, rng):
    """A checkpoint whose name has no step."""
    shutil.copytree(checkpoints(run)[-1], os.path.join(run, 'checkpoints/step-abc'))


def other_shape(path, rng):
    """An array of another shape."""
    np.save(path, np.zeros((2, 3), np.float32))


STATE = ('state.json', 'state.npy', 'state.npz')
# (what, damage, whether it also stops the run's use, words)
RUN_DAMAGE = [
    ('best.json {}', text_in('best.json', '{}'), True, ('best.json',)),
    ('best.json []', text_in('best.json', '[]'), True, ('best.json',)),
    ('best.json of a text', text_in('best.json', '{"step": "two", "score": 1}'), True,
     ('best.json',)),
    ('best.json cut', text_in('best.json', '{"step"'), True, ('best.json',)),
    ('config.json []', text_in('config.json', '[]'), True, ('config.json',)),
    ('config.json cut', text_in('config.json', '{"SEED": 1'), True, ('config.json',)),
    ('config.json of texts', text_in('config.json', json.dumps(
        dict.fromkeys(('REFINER_CHANNELS', 'CHANNELS', 'LEVELS', 'BITS', 'FROZEN_MOMENTS',
                       'STANDARDISE'), 'x'))), True, ()),
    ('config.json of zeros', text_in('config.json', json.dumps(
        dict(REFINER_CHANNELS=0, CHANNELS=0, LEVELS=1, BITS=16))), True, ()),
    ('config.json of true', text_in('config.json', json.dumps(
        dict(REFINER_CHANNELS=True, CHANNELS=True, LEVELS=1, BITS=16))), True, ()),
    ('config.json of 40 levels', text_in('config.json', json.dumps(
        dict(REFINER_CHANNELS=4, CHANNELS=2, LEVELS=40, BITS=40, STANDARDISE='x'))), True, ()),
    ('state halved', in_each(*STATE, change=halve), False, ('step-',)),
    ('state of random bytes', in_each(*STATE, change=scramble), False, ('step-',)),
    ('state of odd values', odd_state, False, ('step-',)),
    ('history of another shape', in_each('history.npy', change=other_shape), False, ('step-',)),
    ('history halved', in_each('history.npy', change=halve), False, ('step-',)),
    ('weights halved', in_each('.data-00000-of-00001', change=halve), True, ('step-',)),
    ('weights of random bytes', in_each('.data-00000-of-00001', change=scramble), True,
     ('step-',)),
    ('index of random bytes', in_each('.index', change=scramble), True, ('step-',)),
    ('index removed', in_each('.index', change=lambda path, rng: os.remove(path)), True,
     ('step-',)),
    ('code as state', in_each(*STATE, change=bomb), False, ('step-',)),
    ('code as an earlier state', in_each(*STATE, change=earlier(pickle.dumps(Bomb()))), False,
     ('step-', 'earlier version')),
    ('an earlier state that ends the process', in_each(*STATE, change=earlier(CRASH)), False,
     ('step-', 'earlier version')),
    ('code in the history', in_each('history.npy', change=numpy_bomb), False, ('step-',)),
    ('log.csv without a step', no_step, False, ('log.csv',)),
    ('checkpoints/step-abc', folder_abc, True, ('step-abc',))]


def run_cases():
    """A damaged run that is gone on with, and one that is used."""
    made = []
    for script in sorted(TRAIN_ON):
        for what, damage, used, words in RUN_DAMAGE:
            if script == '3_segmentation.py' and 'history' in what and 'code' not in what:
                continue                     # the segmenter keeps none
            for table in (TRAIN_ON, USE)[:2 if used else 1]:
                arguments, needs, run = table[script]
                # training writes best.json anew, of the checkpoint
                mended = table is TRAIN_ON and what.startswith('best')
                made.append(Case(
                    '%s: %s, %s' % (script, what, 'goes on' if table is TRAIN_ON else 'is used'),
                    script, arguments, damaged(run, damage, unfinished=table is TRAIN_ON), words,
                    needs, check=nothing_ran, good=None if mended else False,
                    may_change=('',) if mended else REWRITTEN if table is TRAIN_ON else ()))
    return made


def damaged(run, damage, *, unfinished):
    """A case's build: damage to a run, which lost its last checkpoint if it is to go on."""
    def build(place, rng):
        folder = os.path.join(place, run)
        if unfinished:
            shutil.rmtree(checkpoints(folder)[-1])
        damage(folder, rng)
    return build


# --- patch files ---

def patch_edit(change):
    """Damage of a patch file by a function (open h5py.File, rng)."""
    def damage(path, rng):
        with h5py.File(path, 'r+') as file:
            change(file, rng)
    return damage


def replaced(name, values):
    """Replace a data set; values: function (array) -> array."""
    def change(file, rng):
        old = file[name][()]
        del file[name]
        file[name] = values(old)
    return patch_edit(change)


def random_inside(path, rng):
    """Random bytes in the voxels of one patch; the file's structure stays whole."""
    with h5py.File(path, 'r') as file:
        n = len(file['image'])
        at = file['image'].id.get_chunk_info(int(rng.integers(n))).byte_offset
        size = file['image'][0].nbytes
    inputs.overwrite(path, at + 64, content=rng.bytes(min(size - 64, 9000)))


def without(name):
    """Remove a data set."""
    return patch_edit(lambda file, rng: file.__delitem__(name))


def no_digest(file, rng):
    """Remove the digest."""
    del file.attrs['digest']


def linked(name):
    """Put a data set into another file, which a link names."""
    def damage(path, rng):
        other = os.path.join(os.path.dirname(path), 'elsewhere')
        with h5py.File(path, 'r+') as file, h5py.File(other, 'w') as there:
            file.copy(name, there)
            del file[name]
            file[name] = h5py.ExternalLink('elsewhere', name)
    return damage


PATCHES = [
    ('cut', lambda path, rng: inputs.cut(path, float(rng.uniform(0.2, 0.9)))),
    ('random bytes', lambda path, rng: put(path, rng.bytes(3000))),
    ('a text', lambda path, rng: put(path, 'patches')),
    ('random bytes inside', random_inside),
    ('3-D', replaced('image', lambda a: a[:, 0])),
    ('float', replaced('image', lambda a: a.astype(np.float32))),
    ('all zero', replaced('image', np.zeros_like)),
    ('no patch', replaced('image', lambda a: a[:0])),
    ('images in another file', linked('image')), ('origin in another file', linked('origin')),
    ('source in another file', linked('source')),
    ('no source', without('source')), ('no origin', without('origin')),
    ('no image', without('image')), ('no digest', patch_edit(no_digest)),
    ('source of one', replaced('source', lambda a: a[:1])),
    ('a group for images', patch_edit(lambda file, rng: (file.__delitem__('image'),
                                                         file.create_group('image'))))]
LABELS = [
    ('labels of 2', replaced('label', lambda a: a * 2)),
    ('labels of 255', replaced('label', lambda a: a * 255)),
    ('no label voxel', replaced('label', np.zeros_like)),
    ('no labels', without('label')), ('labels in another file', linked('label')),
    ('labels of another shape', replaced('label', lambda a: a[:, :, :-1])),
    ('labels fewer', replaced('label', lambda a: a[:-1]))]


def patch_cases():
    """Bad patch files of each kind, for each script that trains on them."""
    real, drafts = 'data/patches/real.h5', 'data/simulated/patches.h5'
    gan = (('data/patches', 'data/simulated'), inputs.GAN + ['STAGE=train'], '2_mpgan.py')
    network = (('data/simulated',), inputs.SEGMENT, '3_segmentation.py')
    plans = [(PATCHES, real, gan), (LABELS, drafts, gan), (PATCHES[::3], drafts, gan),
             (LABELS, drafts, network), (PATCHES[1::2], drafts, network)]
    made = []
    for damages, path, (needs, arguments, script) in plans:
        for what, damage in damages:
            made.append(Case(
                '%s: %s, %s' % (script, os.path.basename(path), what), script, arguments,
                lambda place, rng, path=path, damage=damage: damage(os.path.join(place, path), rng),
                (path,), needs))
    return made


# --- records ---

def record_cases():
    """made_from.json, packed.json and config.json of folders of results."""
    predict = inputs.SEGMENT + ['STAGE=predict']
    plans = [
        ('3_segmentation.py', predict, (SEG_RUN, 'data/real', 'data/segmented'), 'data/segmented',
         'made_from.json', ('[]', '{"s0": 3', '3', '{"s0": []}')),
        ('4_reconstruction.py', inputs.TRACE + ['INPUT=data/real'], ('data/real', 'results/traces'),
         'results/traces', 'made_from.json', ('[]', '{', 'null', '{"s0": {}}')),
        ('4_reconstruction.py', inputs.TRACE + ['INPUT=data/real'], ('data/real', 'results/traces'),
         'results/traces', 'config.json', ('[]', '{"INPUT": 1', '"x"')),
        ('1_simulator.py', inputs.SIMULATE, ('data/simulated',), 'data/simulated', 'config.json',
         ('[]', 'null', '\0')),
        ('prepare_patches.py', inputs.PREPARE, ('data/real', 'data/patches'), 'data/patches',
         'config.json', ('[]', '7', '{')),
        ('2_mpgan.py', inputs.GAN + ['STAGE=refine', 'INPUT=data/real', 'OUTPUT=out',
                                     'RUN_DIR=packed/refiner'], ('data/real', 'packed/refiner'),
         'packed/refiner', 'packed.json', ('[]', '{"step": "x"}', '{')),
        ('2_mpgan.py', inputs.GAN + ['STAGE=refine'], (GAN_RUN, 'data/simulated', 'data/refined'),
         'data/refined', 'made_from.json', ('[]', '{'))]
    return [Case('%s: %s %s' % (script, name, content), script, arguments,
                 lambda place, rng, path=os.path.join(folder, name), content=content: put(
                     os.path.join(place, path), content), (name,), needs)
            for script, arguments, needs, folder, name, contents in plans for content in contents]


def bad():
    """All cases of damaged runs, patches and records."""
    return run_cases() + patch_cases() + record_cases()


def good():
    """Runs that are gone on with, and used."""
    made = []
    for table, word in ((TRAIN_ON, 'goes on'), (USE, 'is used')):
        for script in sorted(table):
            arguments, needs, run = table[script]
            made.append(Case('%s: a run %s' % (script, word), script, arguments,
                             damaged(run, lambda *_: None, unfinished=table is TRAIN_ON), (),
                             needs, good=True, may_change=('',) if table is TRAIN_ON else ()))
    for script in sorted(USE):
        arguments, needs, run = USE[script]
        made.append(Case('%s: a run of an earlier version is used' % script, script, arguments,
                         damaged(run, in_each('state.json', change=earlier(CRASH)),
                                 unfinished=False), (), needs, good=True))
    return made
