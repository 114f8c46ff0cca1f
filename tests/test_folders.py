"""Folders of results: whose they are, what may be overwritten, what killed runs leave."""
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import ROOT, run_script
from test_prepare import SMALL as PREPARE
from test_prepare import fibre
from test_reconstruction_script import LINE
from tubes import drawn

from utils.common import batch, claims, files
from utils.common.errors import UserError
from utils.common.version import VERSION
from utils.data import export, prepared, stacks
from utils.draw import base, priors, traces
from utils.draw import folder as figures
from utils.train import refined

SIMULATE = ['PRIORS=None', 'VOLUME_SHAPE=32,48,40', 'BRANCH_LENGTH=8,12', 'SOMA_RADIUS=3.0,4.0',
            'DEBRIS=0', 'PATCH_SHAPE=8,12,12', 'WORKERS=1', 'OUTPUT=out']
TRACE = ['INPUT=in', 'METHOD=otsu', 'OUTPUT=out']
PHANTOM = os.path.join('utils', 'simulate', 'phantom', '__main__.py')


@pytest.fixture(autouse=True)
def no_plotting(monkeypatch):
    """Without the slow figures of steps 0 and 4."""
    def draw(path, *_, **__):
        open(path, 'w').close()

    monkeypatch.setattr(priors, 'priors_page', draw)
    monkeypatch.setattr(traces, 'traces', draw)


def bytes_below(folder):
    return {str(path): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def put(folder, **texts):
    """Write text files; __ stands for a slash, _of_ for a dot."""
    for name, text in texts.items():
        path = folder / name.replace('__', '/').replace('_of_', '.')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def refused(name, *arguments, cwd, words):
    """A script ends with one line and leaves every file as it was, and adds none."""
    before = bytes_below(cwd)
    status, out, err = run_script(name, *arguments, cwd=cwd)
    assert status == 1 and err.startswith('error: ') and err.count('\n') == 1, out + err
    assert all(word in err for word in words), err
    assert bytes_below(cwd) == before


def good(name, *arguments, cwd):
    status, out, err = run_script(name, *arguments, cwd=cwd)
    assert status == 0, out + err
    return out


# --- folders of other scripts ---

RUN = dict(checkpoints__step_000001='weights', config_of_json='{"SEED": 1}', log_of_csv='step\n')
OTHERS = [(dict(RUN, command_of_txt='python 2_mpgan.py\n'), '2_mpgan.py STAGE=train'),
          (dict(RUN, command_of_txt='python prepare_patches.py\n'), 'a training run'),
          (dict(packed_of_json='{}', config_of_json='{}'), 'packed weights'),
          (dict(config_of_json='{}', command_of_txt='python 3_segmentation.py A=1\n'),
           '3_segmentation.py STAGE=train'),
          (dict(made_from_of_json='{}', images__0009_of_tif='refined'), '2_mpgan.py'),
          (dict(made_from_of_json='{}', patches_of_h5='refined'), '2_mpgan.py'),
          (dict(made_from_of_json='{}', a_of_prob_of_tif='map'), '3_segmentation.py')]


@pytest.mark.parametrize('held, owner', OTHERS, ids=range(len(OTHERS)))
def test_a_folder_of_another_script_is_refused(tmp_path, held, owner):
    fibre(tmp_path / 'in/a.tif')
    put(tmp_path / 'out', **{name.replace('step_', 'step-'): text for name, text in held.items()})
    for script, arguments in (('prepare_patches.py', PREPARE), ('1_simulator.py', SIMULATE),
                              ('4_reconstruction.py', TRACE), (PHANTOM, ['OUTPUT=out']),
                              ('make_figures.py', ['OUTPUT=out'])):
        for more in ([], ['OVERWRITE=True'])[:1 + (script != 'make_figures.py')]:
            refused(script, *(arguments + more), cwd=tmp_path, words=['out is', owner])


def test_refined_stacks_and_drafts_do_not_replace_each_other(tmp_path):
    good('1_simulator.py', *SIMULATE, 'N_STACKS=1', cwd=tmp_path)
    for call in (lambda out: refined.claim_folder(out, ['drafts/0001.tif']),
                 lambda out: refined.check_folders('patches.h5', out)):
        with pytest.raises(UserError, match='is a folder of 1_simulator.py'):
            call(str(tmp_path / 'out'))
    refined.claim_folder(str(tmp_path / 'other'), ['drafts/0001.tif'])
    refused('1_simulator.py', *SIMULATE, 'OUTPUT=other', cwd=tmp_path,
            words=['other is a folder of 2_mpgan.py'])
    with pytest.raises(UserError, match='is a folder of 2_mpgan.py'):
        claims.claim(str(tmp_path / 'other'), {}, owner=claims.training('2_mpgan.py'))


# --- files of others ---

@pytest.mark.parametrize('kind', ['images/0001.tif', 'labels/0002.tif', 'instances/0001.tif',
                                  'parts/0001.h5', 'patches.h5', 'config.json'])
def test_no_draft_replaces_a_file_that_no_record_vouches_for(tmp_path, kind):
    put(tmp_path / 'out', **{kind.replace('/', '__'): 'precious'})
    for more in ([], ['OVERWRITE=True']):
        refused('1_simulator.py', *(SIMULATE + ['N_STACKS=2'] + more), cwd=tmp_path,
                words=['out/' + kind, 'move it'])


def test_a_folder_with_other_files_may_be_used_and_they_stay(tmp_path):
    put(tmp_path / 'out', images__0007_of_tif='precious', notes_of_txt='mine')
    good('1_simulator.py', *SIMULATE, 'N_STACKS=1', 'OVERWRITE=True', cwd=tmp_path)
    assert (tmp_path / 'out/images/0007.tif').read_text() == 'precious'
    good('1_simulator.py', *SIMULATE, 'N_STACKS=1', 'SEED=2', 'OVERWRITE=True', cwd=tmp_path)
    assert (tmp_path / 'out/images/0007.tif').read_text() == 'precious'
    refused('1_simulator.py', *SIMULATE, 'N_STACKS=7', 'SEED=2', cwd=tmp_path,
            words=['out/images/0007.tif'])


def test_drafts_of_an_earlier_version_go_on(tmp_path):
    good('1_simulator.py', *SIMULATE, 'N_STACKS=3', cwd=tmp_path)
    os.remove(str(tmp_path / 'out/made_by.json'))
    os.remove(str(tmp_path / 'out/parts/0003.h5'))       # as a kill leaves it
    assert '(1 new)' in good('1_simulator.py', *SIMULATE, 'N_STACKS=3', cwd=tmp_path)
    os.remove(str(tmp_path / 'out/made_by.json'))
    put(tmp_path / 'out', images__0007_of_tif='precious')
    good('1_simulator.py', *SIMULATE, 'N_STACKS=1', 'SEED=2', 'OVERWRITE=True', cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / 'out/images').iterdir()) == [
        '0001.tif', '0007.tif']


def test_no_patches_priors_or_figures_replace_files_of_others(tmp_path):
    fibre(tmp_path / 'in/a.tif')
    for name in ('real_a.png', 'priors.json', 'real.h5', 'parts/a.h5', 'parts/a.bad'):
        put(tmp_path / 'out', **{name.replace('/', '__'): 'precious'})
        refused('prepare_patches.py', *(PREPARE + ['OVERWRITE=True']), cwd=tmp_path,
                words=['out/' + name])
        os.remove(str(tmp_path / 'out' / name))
    put(tmp_path / 'tiff', a_00003_of_tif='precious')
    refused('prepare_patches.py', *PREPARE, 'TIFF_FOLDER=tiff', cwd=tmp_path,
            words=['tiff/a_00003.tif'])
    os.remove(str(tmp_path / 'tiff/a_00003.tif'))
    for again in range(2):
        good('prepare_patches.py', *PREPARE, 'TIFF_FOLDER=tiff', cwd=tmp_path)
    for folder in ('out', 'tiff'):                       # an earlier version's
        os.remove(str(tmp_path / folder / 'made_by.json'))
    good('prepare_patches.py', *PREPARE, 'TIFF_FOLDER=tiff', cwd=tmp_path)


def test_no_trace_replaces_files_of_others(tmp_path):
    mask = drawn((20, 40, 60), LINE)[:, :24, :24]
    stacks.write(str(tmp_path / 'in/a.mask.tif'), mask.astype(np.uint8))
    for name in ('a.png', 'a.swc', 'scores.md'):
        put(tmp_path / 'out', **{name: 'precious'})
        refused('4_reconstruction.py', *TRACE, 'OVERWRITE=True', cwd=tmp_path,
                words=['out/' + name])
        os.remove(str(tmp_path / 'out' / name))
    good('4_reconstruction.py', *TRACE, cwd=tmp_path)
    os.remove(str(tmp_path / 'out/made_by.json'))        # an earlier version's
    os.remove(str(tmp_path / 'out/a.png'))
    assert '(1 new)' in good('4_reconstruction.py', *TRACE, cwd=tmp_path)


def test_no_export_refined_stack_figure_or_page_replaces_files_of_others(tmp_path):
    for kind, level in (('images', 9), ('labels', 1)):
        stacks.write(str(tmp_path / kind / 'a.tif'), np.full((3, 4, 5), level, np.uint8))
    places = [str(tmp_path / kind) for kind in ('images', 'labels')]
    put(tmp_path / 'out', Dataset001_MPGAN__labelsTr__a_of_tif='precious',
        images__a_of_tif='precious', panel_of_png='precious', index_of_html='precious')
    before = bytes_below(tmp_path)
    out = str(tmp_path / 'out')
    for call in (lambda: export.nnunet(out, places[0], labels=places[1]),
                 lambda: refined.claim_folder(out, ['in/a.tif']),
                 lambda: figures.claim(out, [os.path.join(out, 'panel.png')]),
                 lambda: figures.check_page(os.path.join(out, 'index.html'))):
        with pytest.raises(UserError, match='not made by this script'):
            call()
        assert bytes_below(tmp_path) == before
    export.nnunet(str(tmp_path / 'fresh'), places[0], labels=places[1])
    export.nnunet(str(tmp_path / 'fresh'), places[0], labels=places[1])


@pytest.mark.parametrize('ending', ['.png', '.svg'])
def test_figures_are_told_from_those_of_other_programs(tmp_path, monkeypatch, ending):
    own, other = tmp_path / ('own' + ending), tmp_path / ('simulator' + ending)
    base.save(plt.figure(figsize=(1, 1)), str(own))
    plt.figure(figsize=(1, 1)).savefig(str(other))
    plt.close('all')
    assert figures.is_own(str(own)) and not figures.is_own(str(other))
    before = other.read_bytes()
    with pytest.raises(UserError, match='simulator.* was not made by this script: move it'):
        figures.claim(str(tmp_path), [str(other)])
    assert other.read_bytes() == before
    monkeypatch.setattr(figures, 'OWN', str(tmp_path))           # the project's own imgs/
    figures.claim(str(tmp_path), [str(other)])


# --- records that outlive their files ---

@pytest.mark.parametrize('older', [False, True])
@pytest.mark.parametrize('script, arguments', [
    ('1_simulator.py', SIMULATE),
    (PHANTOM, ['SHAPE=20,48,56', 'N_AXONS=3,3', 'MIN_LENGTH=25', 'BRANCH_SPACING=30',
               'OUTPUT=out'])])
def test_a_removed_stack_vouches_for_no_later_file(tmp_path, script, arguments, older):
    good(script, *arguments, 'N_STACKS=2', cwd=tmp_path)
    if older:
        os.remove(str(tmp_path / 'out/made_by.json'))
    good(script, *arguments, 'N_STACKS=1', 'SEED=2', 'OVERWRITE=True', cwd=tmp_path)
    assert not (tmp_path / 'out/images/0002.tif').exists()
    assert json.loads((tmp_path / 'out/made_by.json').read_text())['NAMES'] == ['0001']
    put(tmp_path / 'out', images__0002_of_tif='mine')
    good(script, *arguments, 'N_STACKS=1', 'SEED=3', 'OVERWRITE=True', cwd=tmp_path)
    assert (tmp_path / 'out/images/0002.tif').read_text() == 'mine'
    refused(script, *arguments, 'N_STACKS=2', 'SEED=3', 'OVERWRITE=True', cwd=tmp_path,
            words=['out/images/0002.tif'])


def pairs(folder, *names):
    """Small stacks and labels of these names; (folder of images, folder of labels)."""
    for kind, level in (('images', 9), ('labels', 1)):
        shutil.rmtree(str(folder / kind), ignore_errors=True)
        for name in names:
            stacks.write(str(folder / kind / (name + '.tif')), np.full((3, 4, 5), level, np.uint8))
    return str(folder / 'images'), str(folder / 'labels')


@pytest.mark.parametrize('older', [False, True])
def test_a_removed_pair_vouches_for_no_later_file(tmp_path, older):
    out = tmp_path / 'out'
    images, labels = pairs(tmp_path, 'a', 'b')
    export.nnunet(str(out), images, labels=labels)
    if older:
        os.remove(str(out / 'made_by.json'))
    export.nnunet(str(out), pairs(tmp_path, 'a')[0], labels=labels)
    assert not (out / 'pairs/images/b.tif').exists()
    put(out, pairs__images__b_of_tif='mine')
    export.nnunet(str(out), images, labels=labels)
    assert (out / 'pairs/images/b.tif').read_text() == 'mine'
    with pytest.raises(UserError, match='b.tif was not made by this script'):
        export.nnunet(str(out), pairs(tmp_path, 'a', 'b')[0], labels=labels)


def test_a_record_removes_nothing_that_made_by_does_not_vouch_for(tmp_path):
    out = tmp_path / 'out'
    images, labels = pairs(tmp_path, 'a')
    export.nnunet(str(out), images, labels=labels)
    put(out, pairs__images__mine_of_tif='precious')
    record = json.loads((out / 'pairs/made_from.json').read_text())
    (out / 'pairs/made_from.json').write_text(json.dumps(dict(record, mine='key')))
    export.nnunet(str(out), images, labels=labels)
    assert (out / 'pairs/images/mine.tif').read_text() == 'precious'


@pytest.mark.parametrize('key', ['../../../precious', os.sep + 'a', '..', '.', '', 'a\0b'])
def test_a_record_names_nothing_in_another_folder(tmp_path, key):
    images, labels = pairs(tmp_path, 'a')
    export.nnunet(str(tmp_path / 'out'), images, labels=labels)
    put(tmp_path, precious_of_tif='mine')
    (tmp_path / 'out/pairs/made_from.json').write_text(json.dumps({key: '1'}))
    before = bytes_below(tmp_path)
    with pytest.raises(UserError, match='made_from.json: has the key .*without a folder: remove'):
        export.nnunet(str(tmp_path / 'out'), images, labels=labels)
    assert bytes_below(tmp_path) == before


def test_a_dropped_result_is_forgotten_at_once(tmp_path):
    record = batch.Record(str(tmp_path))
    record.add('a', 'key')
    record.drop('a')
    assert batch.Record(str(tmp_path)).keys == {}


# --- what feeds on itself ---

@pytest.mark.parametrize('pattern, folder, words', [
    ('in', 'in', 'give another'), ('in', './in/', 'give another'), ('in/*.tif', 'in', 'another'),
    ('i*/*.tif', 'in2', 'another'), ('in', 'in/patches', None), ('in/a.tif', 'in', None),
    ('in/?.tif', 'in', None)])
def test_patches_do_not_become_stacks(tmp_path, monkeypatch, pattern, folder, words):
    fibre(tmp_path / 'in/a.tif')
    monkeypatch.chdir(str(tmp_path))
    found = stacks.find(pattern)
    assert prepared.is_among(folder, pattern, found=found) == bool(words)
    if words:
        refused('prepare_patches.py', *(PREPARE + ['STACKS=' + pattern, 'TIFF_FOLDER=' + folder]),
                cwd=tmp_path, words=['TIFF_FOLDER=' + folder, words])


# --- killed runs ---

def aged(path, seconds):
    """A file with a text, that was written so long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('half')
    os.utime(str(path), (time.time() - seconds,) * 2)


@pytest.fixture
def dead():
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return process.pid


def test_leftovers_of_dead_processes_are_removed_and_only_those(tmp_path, dead):
    node, day = platform.node(), files.DAY
    other = '.mpgan-00000000-7.partial'                  # of another machine of any name
    gone = {'a%s.tif' % files.ending(dead): 0, 'b%s' % files.ending(dead): 0, 'a%s.tif' % other: 2,
            'a.%s.%d.partial.tif' % (node, dead): 2}     # of an earlier version
    stay = {'a%s.tif' % files.ending(os.getpid()): 2, 'b%s.h5' % other: 0.5,
            'a.%s.%d.partial.tif' % (node, os.getpid()): 2, 'b.%s.%d.partial' % (node, dead): 0,
            'a.elsewhere.7.partial.tif': 2, 'a.2021.05.partial.tif': 2, 'f.partial.tif': 2,
            'notes%s.tif' % files.ending(dead): 2, 'a.tif': 2, 'a.mpgan-%d.partial.tif' % dead: 2}
    for name, days in dict(gone, **stay).items():
        aged(tmp_path / name, days * day)
    ours = [str(tmp_path / name) for name in ('a.tif', 'b', 'b.h5')]
    files.remove_unfinished([str(tmp_path), str(tmp_path / 'nowhere')], is_ours=ours.__contains__)
    assert sorted(os.listdir(str(tmp_path))) == sorted(stay)


def test_files_are_written_under_a_name_that_tells_machine_and_process(tmp_path):
    with files.whole_file(str(tmp_path / 'a.b.tif')) as partial:
        assert os.path.basename(partial) == 'a.b.mpgan-%s-%d.partial.tif' % (
            files.PLACE, os.getpid())
        assert files.is_unfinished(partial)
        open(partial, 'w').close()
    for name in ('a.b.tif', 'brain.s1.3.partial.tif', 'a.partial.tif', 'mpgan-0-1.partial.tif'):
        assert not files.is_unfinished(name)


def test_the_next_run_removes_what_a_killed_one_left(tmp_path, dead):
    good('1_simulator.py', *SIMULATE, 'N_STACKS=1', cwd=tmp_path)
    mine = [tmp_path / 'out/images/scan.2021.05.partial.tif',
            tmp_path / ('out/images/scan%s.tif' % files.ending(dead))]
    left = [tmp_path / 'out' / (name + files.ending(dead) + '.tif')
            for name in ('images/0001', 'labels/0001', 'images/0007')]
    left += [tmp_path / 'out' / (name + files.ending(dead) + '.h5')
             for name in ('parts/0001', 'patches')]
    left.append(tmp_path / 'out/images' / ('0001.%s.%d.partial.tif' % (platform.node(), dead)))
    for path in left + mine:
        aged(path, 2 * files.DAY)
    good('1_simulator.py', *SIMULATE, 'N_STACKS=1', cwd=tmp_path)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in mine)


def test_what_killed_runs_left_of_figures_trees_and_tiff_patches_goes(tmp_path, dead):
    fibre(tmp_path / 'in/a.tif')
    left = [tmp_path / name.replace('#', files.ending(dead)) for name in (
        'out/real_a#.png', 'out/parts/a#.h5', 'out/real#.h5', 'out/made_by#.json',
        'out/command#.txt', 'tiff/a_00003#.tif')]
    for path in left:
        aged(path, 0)
    good('prepare_patches.py', *PREPARE, 'TIFF_FOLDER=tiff', cwd=tmp_path)
    assert not any(path.exists() for path in left)


def test_a_stack_named_like_a_temporary_file_is_a_stack(tmp_path):
    for name in ('brain.tif', 'brain.s1.3.partial.tif'):
        fibre(tmp_path / 'in' / name)
    aged(tmp_path / ('in/brain%s.tif' % files.ending(1)), 0)
    found = [os.path.basename(path) for path in stacks.find(str(tmp_path / 'in'))]
    assert found == ['brain.s1.3.partial.tif', 'brain.tif']
    aged(tmp_path / 'labels/brain.tif', 0)
    with pytest.raises(UserError, match=r'no partner for brain.s1.3.partial; what killed runs'):
        stacks.pair_by_name(str(tmp_path / 'in'), str(tmp_path / 'labels'))


BEGUN = '''
import os, sys, time
sys.path.insert(0, %r)
from utils.common import workers
def work(name):
    open(name + '.%%d' %% os.getpid(), 'w').close()
    time.sleep(60)
if __name__ == '__main__':
    with workers.pool(2, most=2) as submit:
        for result in [submit(work, name) for name in 'ab']:
            result()
''' % ROOT


@pytest.mark.parametrize('bound', [True, False])
def test_workers_end_with_a_parent_that_is_killed(tmp_path, bound):
    text = BEGUN if bound else BEGUN.replace(
        'def work', 'workers.ctypes.CDLL = workers._none\nworkers.LOOK_EVERY = 0.1\ndef work')
    text = text.replace('workers._none', 'lambda name: None')
    (tmp_path / 'begun.py').write_text(text)
    parent = subprocess.Popen([sys.executable, 'begun.py'], cwd=str(tmp_path))
    until = time.time() + 20
    while len(list(tmp_path.glob('[ab].*'))) < 2 and time.time() < until:
        time.sleep(0.05)
    workers = [int(path.name.split('.')[1]) for path in tmp_path.glob('[ab].*')]
    assert len(workers) == 2 and all(map(files.is_running, workers))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(map(files.is_running, workers)) and time.time() < until:
        time.sleep(0.05)
    assert not any(map(files.is_running, workers))


# --- bad entries among stacks ---

def bad_entries(folder):
    """Names of entries that are no stacks, made in a folder."""
    os.symlink('nowhere', str(folder / 'dangling.tif'))
    os.symlink('loop.h5', str(folder / 'loop.h5'))
    os.mkfifo(str(folder / 'pipe.tif'))
    os.mkfifo(str(folder / 'pipes.h5'))
    os.mkfifo(str(folder / 'piped.raw'))
    (folder / 'folder.tif').mkdir()
    long = 'n' * 240 + '.tif'
    (folder / long).write_bytes((folder / 'a.tif').read_bytes())
    with open(os.path.join(os.fsencode(str(folder)), b'\xff\n.tif'), 'wb') as file:
        file.write((folder / 'a.tif').read_bytes())
    return ['dangling.tif', 'loop.h5', 'pipe.tif', 'pipes.h5', 'piped.raw', 'folder.tif', long,
            '\\udcff\\n.tif']


@pytest.mark.parametrize('script', ['prepare_patches.py', '4_reconstruction.py'])
def test_bad_entries_are_reported_and_the_rest_is_done(tmp_path, script):
    fibre(tmp_path / 'in/a.tif')
    fibre(tmp_path / 'in/z.partial.tif', seed=1)         # a name like any other
    bad = bad_entries(tmp_path / 'in')
    arguments = PREPARE if script == 'prepare_patches.py' else TRACE
    for again in range(1 + (script == 'prepare_patches.py')):
        status, out, err = run_script(script, *arguments, cwd=tmp_path)
        lines = err.strip().split('\n')
        assert status == 1 and len(lines) == len(bad) + 1, err
        assert all(line.startswith('error: ') for line in lines)
        for name in bad:
            assert sum('in/' + name in line for line in lines[:-1]) == 1, name
        assert '%d of %d stacks' % (len(bad), len(bad) + 2) in lines[-1]
    made = {'prepare_patches.py': 'parts/%s.h5', '4_reconstruction.py': '%s.swc'}[script]
    for name in ('a', 'z.partial'):
        assert (tmp_path / 'out' / (made % name)).exists()
    told = json.loads((tmp_path / 'out/made_by.json').read_text())
    assert told['SCRIPT'] == script and set(told['NAMES']) > {'a', 'z.partial'}
    assert told['VERSION'] == VERSION


def test_a_stack_that_the_memory_does_not_hold_is_named_and_the_rest_is_done(capsys):
    def full():
        raise MemoryError

    jobs = [batch.Job(name, name + '.tif', lambda: False, make)
            for name, make in (('a', full), ('b', lambda: 'b is done'))]
    outcome = batch.run(jobs)
    assert [job.name for job in outcome.failed + outcome.made] == ['a', 'b']
    out, err = capsys.readouterr()
    assert err.startswith('error: a.tif: not enough memory: take smaller') and 'b is done' in out
    with pytest.raises(UserError, match='a.tif: not enough memory: take smaller stacks'):
        batch.run(jobs, strict=True)


@pytest.mark.skipif(os.geteuid() == 0, reason='nothing is unreadable to root')
def test_an_unreadable_stack_is_reported(tmp_path):
    fibre(tmp_path / 'a.tif')
    os.chmod(str(tmp_path / 'a.tif'), 0)
    with pytest.raises(UserError, match='cannot be opened: Permission denied'):
        stacks.read(str(tmp_path / 'a.tif'))


def test_names_that_are_no_utf8_are_written_and_pipes_are_not_read(tmp_path):
    files.write_text(str(tmp_path / 'command.txt'), 'OUTPUT=\udcff')
    assert (tmp_path / 'command.txt').read_text() == 'OUTPUT=\\udcff'
    os.mkfifo(str(tmp_path / 'a.json'))
    with pytest.raises(UserError, match='no file .*a.json'):
        files.read_json(str(tmp_path / 'a.json'))


@pytest.mark.parametrize('text', [
    '[]', '{', '{}', '{"SCRIPT": "1_simulator.py"}', '{"SCRIPT": 1, "NAMES": []}',
    '{"SCRIPT": "1_simulator.py", "NAMES": [["0001"]]}',
    '{"SCRIPT": "1_simulator.py", "NAMES": [1, "0001"], "OLDER": false}',
    '{"SCRIPT": "1_simulator.py", "NAMES": [], "OLDER": []}'])
def test_a_damaged_record_is_one_line(tmp_path, text):
    put(tmp_path / 'out', made_by_of_json=text)
    refused('1_simulator.py', *SIMULATE, cwd=tmp_path, words=[
        'out/made_by.json', 'give another folder, or remove it'])


def test_a_record_that_does_not_tell_of_older_results_will_do(tmp_path):
    put(tmp_path / 'out', made_by_of_json='{"SCRIPT": "1_simulator.py", "NAMES": []}')
    good('1_simulator.py', *SIMULATE, 'N_STACKS=1', cwd=tmp_path)


def test_edited_records_of_a_folder_are_one_line_or_do_not_matter(tmp_path):
    good('1_simulator.py', *SIMULATE, 'N_STACKS=1', cwd=tmp_path)
    os.remove(str(tmp_path / 'out/made_by.json'))
    path = tmp_path / 'out/config.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), N_STACKS='many')))
    assert '(0 new)' in good('1_simulator.py', *SIMULATE, 'N_STACKS=1', cwd=tmp_path)
    put(tmp_path / 'traces', made_from_of_json='{"a": {}}')
    with pytest.raises(UserError, match='made_from.json: a is {}: want string: remove it'):
        batch.Record(str(tmp_path / 'traces'))
