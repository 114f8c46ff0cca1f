"""What records tell: packed weights, verdicts, parts, results that are gone, temporary names."""
import functools
import json
import os
import platform
import time

import h5py

from tests.attack import inputs, runner
from tests.attack.cases import Case
from tests.attack.cases_folders import MINE, WRITERS
from tests.attack.inputs import put

JUDGE = inputs.GAN + ['STAGE=judge', 'CRITIC_STEPS=1']
PACKS = {'2_mpgan.py': ('pack', 'packed/refiner'),
         '3_segmentation.py': ('pack segmenter', 'packed/segmentation')}
DEAD = 4194303                               # a process number that systems hardly get to
YEAR = 365 * 24 * 3600                       # seconds
# what made_by.json of a folder may hold that is not what scripts write
MADE_BY = ('[]', '{', 'null', '{}', '{"SCRIPT": 1, "NAMES": []}', '{"SCRIPT": "x", "NAMES": {}}',
           '{"SCRIPT": "1_simulator.py", "NAMES": [["0001"]]}',
           '{"SCRIPT": "1_simulator.py", "NAMES": [1, "0001"], "OLDER": false}',
           '{"SCRIPT": "1_simulator.py", "NAMES": [], "OLDER": "no"}')


def mine_at(*paths, content=MINE, old=False):
    """A case's build: a user's own files, written a year ago if `old`."""
    def build(place, rng):
        for path in paths:
            put(os.path.join(place, path), content)
            if old:
                os.utime(os.path.join(place, path), (time.time() - YEAR,) * 2)
    return build


def stays(path, content=MINE):
    """A case's check: a user's file is as it was."""
    def check(place):
        whole = os.path.join(place, path)
        if not os.path.isfile(whole):
            return '%s is gone' % path
        with open(whole) as file:
            return None if file.read() == content else '%s is not as it was' % path
    return check


def goes(path):
    """A case's check: what a killed run left is gone."""
    return lambda place: path + ' stays' if os.path.lexists(os.path.join(place, path)) else None


# --- packed weights, verdicts, parts, figures ---

def packed():
    """Packed weights over a user's files, and a training in them."""
    made = []
    for script, (what, folder) in PACKS.items():
        _, arguments, needs, _ = WRITERS[what]
        for name in ('config.json', 'packed.json', 'checkpoints/step-000003/model.index'):
            made.append(Case('%s: %s over %s of a user' % (script, what, name), script,
                             arguments + ['OUTPUT=mine'], mine_at('mine/' + name,
                                                                  content='{"my": 1}'),
                             ('mine',), needs))
        made.append(Case('%s: %s, a checkpoint that came later' % (script, what), script,
                         arguments + ['OUTPUT=' + folder],
                         mine_at(folder + '/checkpoints/step-000099/model.index'),
                         ('step-000099',), tuple(needs) + (folder,)))
    return made


def verdicts():
    """STAGE=judge with a RUN_DIR that is not its own."""
    needs, script = ('data/patches', 'data/simulated'), '2_mpgan.py'
    made = [Case('%s: judge over %s of a user' % (script, name), script, JUDGE + ['RUN_DIR=mine'],
                 mine_at('mine/' + name), ('mine/' + name,), needs)
            for name in ('judge.md', 'judge.json', 'preview_000002.png', 'log.csv')]
    return made + [Case('%s: judge, RUN_DIR=%s' % (script, folder), script,
                        JUDGE + ['RUN_DIR=' + folder], None, (folder, 'RUN_DIR'),
                        tuple(set(needs) | {folder}))
                   for folder in ('data/simulated', 'packed/refiner', 'runs/segmentation')]


def inverted(place, rng):
    """Labels of the drafts' patches inverted, under the old digest."""
    with h5py.File(os.path.join(place, 'data/simulated/patches.h5'), 'r+') as file:
        file['label'][...] = 1 - file['label'][...]


def refined():
    """Parts of a user in the way of refined patches; drafts whose labels were changed."""
    made = []
    for what in ('refine', 'refine patches'):
        script, arguments, needs, _ = WRITERS[what]
        made.append(Case('%s: %s, labels inverted' % (script, what), script,
                         arguments + ['OUTPUT=out'], inverted, ('patches.h5', 'damaged'), needs))
    for folder in ('mine', 'data/refined'):
        path = folder + '/parts/0002.npy'
        made.append(Case('%s: %s over parts in %s' % (script, what, folder), script,
                         arguments + ['OUTPUT=' + folder], mine_at(path), (path,),
                         tuple(needs) + (folder,) * (folder != 'mine')))
    return made


def figures():
    """Figures of a user that another program has drawn by the same library."""
    png = b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR tEXtSoftware\0Matplotlib version3.9.4'
    svg = '<?xml version="1.0"?>\n<!-- Created with matplotlib (https://matplotlib.org/) -->\n'
    return [Case('make_figures.py: %s of a user' % name, 'make_figures.py',
                 ['FIGURES=simulator', 'OUTPUT=figs', 'FORMAT=' + name[-3:]],
                 mine_at('figs/' + name, content=content), ('figs/' + name,), ('data/simulated',))
            for name, content in (('simulator.png', png), ('simulator.svg', svg))]


# --- records ---

def record_values():
    """made_by.json of other contents; made_from.json with names in other folders."""
    needs = ('data/simulated',)
    made = [Case('1_simulator.py: made_by.json %s' % text, '1_simulator.py', inputs.SIMULATE,
                 mine_at('data/simulated/made_by.json', content=text), ('made_by.json',), needs)
            for text in MADE_BY]
    for key in ('../../../precious', os.sep + 'precious', '..', 'a\0b'):
        def build(place, rng, key=key):
            put(os.path.join(place, 'precious.tif'), MINE)
            put(os.path.join(place, 'out/pairs/made_from.json'), json.dumps({key: '1 2 3 4'}))
        made.append(Case('3_segmentation.py: a pair named %r' % key, '3_segmentation.py',
                         WRITERS['export'][1] + ['OUTPUT=out'], build, ('made_from.json',), needs))
    return made


def _outlived(what, targets, *, first, second, older):
    """Builds a folder where a result was removed, and a user's file has its name."""
    def build(place, rng):
        script, arguments, _, _ = WRITERS[what]
        for i, more in enumerate((first, second)):
            if older and i:
                os.remove(os.path.join(place, 'out/made_by.json'))
            done = runner.run(script, arguments + ['OUTPUT=out'] + more, cwd=place)
            if done.status != 0:
                raise RuntimeError(done.err)
            if what == 'export' and not i:
                for kind in ('images', 'labels'):
                    os.remove(os.path.join(place, 'data/simulated', kind, '0002.tif'))
        if os.path.lexists(os.path.join(place, targets)):
            raise RuntimeError('%s is still there' % targets)
        put(os.path.join(place, targets), MINE)
    return build


def outlived():
    """Files of users whose names removed results had: they stay."""
    made = []
    fewer = ['N_STACKS=1', 'OVERWRITE=True']
    for what, path, more in (('simulate', 'out/images/0002.tif', fewer),
                             ('draw', 'out/truth/labels/0002.tif', fewer),
                             ('export', 'out/pairs/images/0002.tif', [])):
        script, arguments, needs, _ = WRITERS[what]
        seeds = [['SEED=%d' % seed] * bool(more) for seed in (2, 3)]
        for older in (False, True):
            made.append(Case(
                '%s: %s, a record outlives its file%s' % (script, what, ' (older)' * older), script,
                arguments + ['OUTPUT=out'] + more + seeds[1],
                _outlived(what, path, first=[], second=more + seeds[0], older=older), (), needs,
                good=True, check=stays(path), may_change=('',)))
    return made


# --- names like temporary ones ---

def _ending(process):
    from utils.common import files           # reads which machine this is
    return files.ending(process)


def temporary():
    """Files of users that only look like temporary ones stay; those of killed runs go."""
    script, arguments, needs = '1_simulator.py', inputs.SIMULATE, ('data/simulated',)
    again = functools.partial(Case, script=script, arguments=arguments, needs=needs, good=True)
    stay = ['scan.2021.05.partial', '0001.2021.05.partial', 'scan' + _ending(DEAD),
            '0001' + _ending(os.getpid()), 'scan.%s.%d.partial' % (platform.node(), DEAD)]
    leave = ['0001' + _ending(DEAD), '0007' + _ending(DEAD), '0001.mpgan-00000000-7.partial',
             '0001.%s.%d.partial' % (platform.node(), DEAD)]
    made = []
    for names, check in ((stay, stays), (leave, goes)):
        for i, name in enumerate(names):
            path = 'data/simulated/images/%s.tif' % name
            made.append(again('%s: %s %d: %s' % (
                script, 'a file named like a temporary one' if check is stays else 'left by a kill',
                i, name.split('.')[0]), build=mine_at(path, old=True), check=check(path),
                may_change=(name + '.tif',) if check is goes else ()))
    made.append(Case('prepare_patches.py: a stack named like a temporary file',
                     'prepare_patches.py', inputs.PREPARE + ['OUTPUT=out'],
                     lambda place, rng: inputs.imagej(
                         os.path.join(place, 'data/real/brain.s1.3.partial.tif'), inputs.voxels(3)),
                     ('3 stacks',), ('data/real',), good=True))
    return made


def older_packs():
    """Packed weights of an earlier version, without record: their own script replaces them."""
    def build(place, rng, folder):
        os.remove(os.path.join(place, folder, 'made_by.json'))
        os.remove(os.path.join(place, folder, 'packed.json'))
    made = []
    for script, (what, folder) in PACKS.items():
        _, arguments, needs, _ = WRITERS[what]
        made.append(Case('%s: %s again, of an earlier version' % (script, what), script,
                         arguments + ['OUTPUT=' + folder], functools.partial(build, folder=folder),
                         (), tuple(needs) + (folder,), good=True, may_change=('',)))
    return made


def bad():
    """All cases of records that have to be refused."""
    return packed() + verdicts() + refined() + figures() + record_values()


def good():
    """All cases that have to go on, with what is not theirs left as it was."""
    return outlived() + temporary() + older_packs()
