"""Config files, overrides, help, whole files, claims."""
import glob
import os

import pytest
from conftest import ROOT

from utils.common import claims, config, files, usage
from utils.common.errors import UserError
from utils.common.renamed import MOVED, RENAMED
from utils.measure import otsu


def test_overrides_are_typed_by_the_constant():
    cfg = config.load('configs/mpgan.py',
                      ['MAX_STEPS=7', 'LEARNING_RATE=1', 'CROP_SHAPE=8,16,16',
                       'IDENTITY_START=False'])
    assert (cfg.MAX_STEPS, cfg.LEARNING_RATE) == (7, 1.0)
    assert (cfg.CROP_SHAPE, cfg.IDENTITY_START) == ((8, 16, 16), False)
    assert isinstance(cfg.LEARNING_RATE, float)
    assert config.load('configs/simulator.py', ['PRIORS=None']).PRIORS is None
    # its comment gives None no meaning
    assert config.load('configs/simulator.py', ['OUTPUT=None']).OUTPUT == 'None'


@pytest.mark.parametrize('argument, words', [
    ('MAX_STEP=7', 'MAX_STEPS'), ('MAX_STEPS=many', 'whole number'),
    ('CROP_SHAPE=8,16', '3 values'),
    ('IDENTITY_START=maybe', 'True or False'), ('--steps', 'NAME=VALUE')])
def test_bad_arguments_are_named(argument, words):
    with pytest.raises(UserError, match=words):
        config.load('configs/mpgan.py', [argument])


@pytest.mark.parametrize('name, text', [
    ('READ_NOISE', '1e999'), ('READ_NOISE', '-1e999'), ('READ_NOISE', '1' + '0' * 400),
    ('DEBRIS', '1e999'), ('PSF_SIGMA', '1,1e999,1'), ('RADIUS', '[1,1e999]'),
    ('SOMA_RADIUS', '4.0,1e999'), ('SEED', str(2 ** 63)), ('VOLUME_SHAPE', '9,9,%d' % 2 ** 64)])
def test_numbers_that_are_not_finite_are_refused(tmp_path, name, text):
    for arguments in (['%s=%s' % (name, text)], ['--config', str(tmp_path / 'a.py')]):
        (tmp_path / 'a.py').write_text('%s = %s\n' % (name, text))
        with pytest.raises(UserError, match='^%s=.*want ' % name) as error:
            config.load('configs/simulator.py', arguments)
        assert len(str(error.value)) < 160
    assert config.load('configs/simulator.py', ['OUTPUT=1e999']).OUTPUT == '1e999'   # a text


def test_config_file_replaces_defaults_and_unknown_names_stop(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('MAX_STEPS = 3\n')
    assert config.load('configs/mpgan.py', ['--config', str(path)]).MAX_STEPS == 3
    assert config.load('configs/mpgan.py', ['--config', str(path), 'MAX_STEPS=4']).MAX_STEPS == 4
    path.write_text('MAX_STEEPS = 3\n')
    with pytest.raises(UserError, match='MAX_STEPS'):
        config.load('configs/mpgan.py', ['--config', str(path)])


@pytest.mark.parametrize('path', sorted(glob.glob(os.path.join(ROOT, 'configs', '*.py'))))
def test_every_constant_has_a_comment_and_help_shows_it(path, capsys):
    comments = config.read_comments(path)
    for name in config.read_constants(path):
        assert comments.get(name), '%s in %s' % (name, path)
    with pytest.raises(SystemExit):
        config.load(os.path.relpath(path, ROOT), ['--help'])
    shown = ' '.join(capsys.readouterr().out.split())
    assert all(name in shown and ' '.join(text.split()) in shown for name, text in comments.items())


@pytest.mark.parametrize('columns', [60, 100])
def test_help_has_columns_and_the_groups_of_the_configs(tmp_path, monkeypatch, columns):
    monkeypatch.setenv('COLUMNS', str(columns))
    path = tmp_path / 'a.py'
    path.write_text('FIRST = 1    # before all\n\n# --- losses: two of them ---\n'
                    'LONG = %r   # of %s\nB = 2.0      # the last\n'
                    '             # and on\n' % ('x' * 70, 'many words ' * 20))
    values = config.read_constants(str(path))
    groups = usage.read_groups(str(path))
    assert groups == [('', ['FIRST']), ('losses: two of them', ['LONG', 'B'])]
    lines = usage.text(values, config.read_comments(str(path)), groups=groups,
                       description='What it does.\n').split('\n')
    assert lines[0] == 'What it does.' and 'losses: two of them:' in lines
    width = min(44, columns // 2)
    assert '  %-*s  before all' % (width, 'FIRST = 1') in lines
    assert '  %-*s  the last and on' % (width, 'B = 2.0') in lines
    assert "  LONG = '%s'" % ('x' * 70) in lines                     # a line of its own
    wrapped = [line for line in lines if 'many words' in line]
    assert len(wrapped) > 1 and all(line.startswith(' ' * (width + 4)) for line in wrapped)
    assert max(map(len, wrapped)) <= columns


def test_help_of_a_script_names_every_constant_once(capsys):
    """Constants of several configs stand in the groups of theirs; values are those asked for."""
    with pytest.raises(SystemExit):
        config.load(('configs/reconstruction.py', 'configs/otsu.py'), ['--help', 'LOW=0.25'])
    shown = capsys.readouterr().out
    for path in ('configs/reconstruction.py', 'configs/otsu.py'):
        for name in config.read_constants(os.path.join(ROOT, path)):
            starts = [line.startswith('  %s = ' % name) for line in shown.split('\n')]
            assert sum(starts) == 1
    assert '  LOW = 0.25 ' in shown and '\nsoma:\n' in shown


def demo_configs():
    return sorted(map(os.path.basename, glob.glob(os.path.join(ROOT, 'configs/demo/*.py'))))


@pytest.mark.parametrize('name', demo_configs())
def test_demo_configs_only_name_known_constants(name):
    path = 'configs/demo/' + name
    # the phantom has no other edition; the comparisons take the constants of step 3, too
    whole = {'phantom.py': path, 'paper_drafts.py': 'configs/simulator.py',
             'comparison.py': ('configs/comparison.py', 'configs/segmentation.py'),
             'paper.py': ('configs/segmentation.py', 'configs/paper.py')}.get(
                 name, 'configs/' + name)
    cfg = config.load(whole, ['--config', path])
    assert all(getattr(cfg, constant) == value
               for constant, value in config.read_constants(os.path.join(ROOT, path)).items())


@pytest.mark.parametrize('path', sorted(RENAMED))
def test_old_names_are_answered_with_the_new_ones(path):
    now = config.read_constants(os.path.join(ROOT, path))
    for old, new in RENAMED[path].items():
        assert old not in now and new in now
        with pytest.raises(UserError, match='%s: it is called %s now' % (old, new)):
            config.load(path, [old + '=1'])


@pytest.mark.parametrize('path', sorted(MOVED))
def test_moved_constants_are_answered_with_their_place(path):
    now = config.read_constants(os.path.join(ROOT, path))
    for name, place in MOVED[path].items():
        there = config.read_constants(os.path.join(ROOT, place.split()[0]))
        assert name not in now and name in there
        with pytest.raises(UserError, match='%s: it is in %s' % (name, place.split()[0])):
            config.load(path, [name + '=1'])


def test_settings_of_an_older_run_count_under_their_new_names(tmp_path):
    (tmp_path / 'config.json').write_text('{"SEEN": 0.15, "GAIN": [0.5, 2.0], "SEED": 1}')
    now = {'LABEL_WIDTH_LEVEL': 0.15, 'AUGMENT_CONTRAST': (0.5, 2.0), 'SEED': 1}
    claims.claim(str(tmp_path), now)
    assert set(files.read_json(str(tmp_path / 'config.json'))) == set(now)
    (tmp_path / 'config.json').write_text('{"SEEN": 0.3, "GAIN": [0.5, 2.0], "SEED": 1}')
    with pytest.raises(UserError, match='LABEL_WIDTH_LEVEL 0.3 -> 0.15'):
        claims.claim(str(tmp_path), now)
    (tmp_path / 'config.json').write_text('{"SEED": 1, "ARMS": null, "MANUAL_SHARE": 0.5}')
    claims.claim(str(tmp_path), {'SEED': 1})                         # moved to another script


def test_several_configs_make_one_and_groups_are_picked_from_it():
    cfg = config.load(('configs/prepare_patches.py', 'configs/otsu.py'),
                      ['NOISE_FLOOR=3', 'MIN_OBJECT=7'])
    assert config.pick(cfg, otsu.Settings) == otsu.Settings(cfg.FLATTEN_BLOCK, cfg.SMOOTH_SIGMA,
                                                            cfg.CLIP_QUANTILE, 3.0, 7)


def test_whole_file_leaves_the_old_one_on_failure(tmp_path):
    path = str(tmp_path / 'a.txt')
    with files.whole_file(path) as partial:
        open(partial, 'w').write('old')
    with pytest.raises(RuntimeError):
        with files.whole_file(path) as partial:
            open(partial, 'w').write('half')
            raise RuntimeError
    assert open(path).read() == 'old' and os.listdir(str(tmp_path)) == ['a.txt']


def test_claim_refuses_other_settings_but_not_free_ones(tmp_path):
    folder = str(tmp_path / 'out')
    claims.claim(folder, {'SEED': 1, 'N': 2}, may_change=('N',))
    claims.claim(folder, {'SEED': 1, 'N': 3}, may_change=('N',))
    with pytest.raises(UserError, match='SEED 1 -> 2'):
        claims.claim(folder, {'SEED': 2, 'N': 3}, may_change=('N',))
    claims.claim(folder, {'SEED': 2, 'N': 3}, may_change=('N',), overwrite=True)
