"""Config files, overrides, help, whole files, claims."""
import glob
import os

import pytest
from conftest import ROOT

from utils import config


def test_overrides_are_typed_by_the_constant():
    cfg = config.load('configs/mpgan.py', ['MAX_STEPS=7', 'LEARNING_RATE=1', 'CROP_SHAPE=8,16,16', 'IDENTITY_START=False'])
    assert (cfg.MAX_STEPS, cfg.LEARNING_RATE, cfg.CROP_SHAPE, cfg.IDENTITY_START) == (7, 1.0, (8, 16, 16), False)
    assert isinstance(cfg.LEARNING_RATE, float)
    assert config.load('configs/simulator.py', ['PRIORS=None']).PRIORS is None
    assert config.load('configs/simulator.py', ['OUTPUT=None']).OUTPUT == 'None'      # its comment gives None no meaning


@pytest.mark.parametrize('argument, words', [
    ('MAX_STEP=7', 'MAX_STEPS'), ('MAX_STEPS=many', 'whole number'), ('CROP_SHAPE=8,16', '3 values'),
    ('IDENTITY_START=maybe', 'True or False'), ('--steps', 'NAME=VALUE')])
def test_bad_arguments_are_named(argument, words):
    with pytest.raises(config.UserError, match=words):
        config.load('configs/mpgan.py', [argument])


def test_config_file_replaces_defaults_and_unknown_names_stop(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('MAX_STEPS = 3\n')
    assert config.load('configs/mpgan.py', ['--config', str(path)]).MAX_STEPS == 3
    assert config.load('configs/mpgan.py', ['--config', str(path), 'MAX_STEPS=4']).MAX_STEPS == 4
    path.write_text('MAX_STEEPS = 3\n')
    with pytest.raises(config.UserError, match='MAX_STEPS'):
        config.load('configs/mpgan.py', ['--config', str(path)])


@pytest.mark.parametrize('path', sorted(glob.glob(os.path.join(ROOT, 'configs', '*.py'))))
def test_every_constant_has_a_comment_and_help_shows_it(path, capsys):
    comments = config.read_comments(path)
    for name in config.read_constants(path):
        assert comments.get(name), '%s in %s' % (name, path)
    with pytest.raises(SystemExit):
        config.load(os.path.relpath(path, ROOT), ['--help'])
    shown = capsys.readouterr().out
    assert all(name in shown and text in shown for name, text in comments.items())


@pytest.mark.parametrize('name', ['prepare_patches', 'simulator', 'mpgan', 'figures'])
def test_demo_configs_only_name_known_constants(name):
    config.load('configs/%s.py' % name, ['--config', 'configs/demo/%s.py' % name])


def test_whole_file_leaves_the_old_one_on_failure(tmp_path):
    path = str(tmp_path / 'a.txt')
    with config.whole_file(path) as partial:
        open(partial, 'w').write('old')
    with pytest.raises(RuntimeError):
        with config.whole_file(path) as partial:
            open(partial, 'w').write('half')
            raise RuntimeError
    assert open(path).read() == 'old' and os.listdir(str(tmp_path)) == ['a.txt']


def test_claim_refuses_other_settings_but_not_free_ones(tmp_path):
    folder = str(tmp_path / 'out')
    config.claim(folder, {'SEED': 1, 'N': 2}, free=('N',))
    config.claim(folder, {'SEED': 1, 'N': 3}, free=('N',))
    with pytest.raises(config.UserError, match='SEED 1 -> 2'):
        config.claim(folder, {'SEED': 2, 'N': 3}, free=('N',))
    config.claim(folder, {'SEED': 2, 'N': 3}, free=('N',), overwrite=True)
