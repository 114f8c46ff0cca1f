"""docs/tutorial.py cell by cell, with few steps: every command works, and leaves what it says."""
import os
import re

import pytest
from conftest import ROOT, run_script

from utils.data import stacks, swc

pytestmark = pytest.mark.usefixtures('small_networks')
FEWER = {'prepare_patches.py': ('CALIBRATION_ROUNDS=0',), '2_mpgan.py': (
    'LOG_EVERY=1', 'EVALUATE_EVERY=2', 'EVALUATION_PATCHES=4', 'SAVE_EVERY=2', 'PREVIEW_EVERY=2',
    'THREADS=1'), '3_segmentation.py': (
        'CHANNELS=2', 'EVALUATE_EVERY=2', 'SAVE_EVERY=2', 'THREADS=1'),
         # a network of two steps finds noise, whose traces take long
         '4_reconstruction.py': ('INPUT=data/tutorial/phantom/truth/labels',)}


def cells():
    """[(title, code)] of the tutorial."""
    with open(os.path.join(ROOT, 'docs', 'tutorial.py'), encoding='utf-8') as file:
        parts = re.split(r'^# %% (.*)$', file.read(), flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


def test_every_cell_runs_and_leaves_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    titles, names = [], {}

    def run(*command):
        script, arguments = command[0], command[1:]
        if script == '-m':
            script, arguments = 'utils/simulate/phantom/__main__.py', command[2:]
        status, out, err = run_script(script, *arguments, *FEWER.get(script, ()), cwd=tmp_path)
        assert status == 0, '%s: %s%s' % (' '.join(command), out, err)

    for title, code in cells():
        exec(compile(code, title, 'exec'), names)
        names.update(run=run, STEPS=2)         # the first cell defines them
        titles.append(title)
    assert [title[0] for title in titles] == list('W1234567')
    assert re.search(r'background \d+, neurites \d+ grey levels; \d', capsys.readouterr().out)
    assert stacks.read('data/tutorial/segmented/0001.mask.tif').voxels.shape == (48, 128, 128)
    assert (tmp_path / 'data/tutorial/patches/real_0001.png').exists()
    assert list((tmp_path / 'runs/tutorial').glob('preview_*.png'))
    trees = sorted((tmp_path / 'results/tutorial/traces/0001_trees').iterdir())
    forest = swc.read('results/tutorial/traces/0001.swc')
    assert len(trees) == (forest.parent < 0).sum()
    page = (tmp_path / 'results/tutorial/index.html').read_text(encoding='utf-8')
    assert all('id="viewer-%s"' % name in page for name in ('drafts', 'stacks', 'forests'))
    assert 'length F1 with the gold standard' in page and 'python 2_mpgan.py' in page


def test_titles_follow_the_steps_of_the_readme():
    """Steps 0 to 4 in order, each by its script."""
    text = ''.join('%s\n%s' % cell for cell in cells())
    scripts = ('prepare_patches.py', '1_simulator.py', '2_mpgan.py', '3_segmentation.py',
               '4_reconstruction.py', 'make_figures.py')
    places = [text.index(script) for script in scripts]
    assert places == sorted(places)
    for k in range(5):
        assert '%d. Step %d:' % (k + 2, k) in text
