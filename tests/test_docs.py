"""What README and docs/ name is there: links, files, constants; the picture of the architecture."""
import glob
import os
import re
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import ROOT, run_script

import make_figures
from utils.common import config
from utils.common.version import VERSION
from utils.draw import architecture

PAGES = sorted(os.path.join('docs', os.path.basename(path))
               for path in glob.glob(os.path.join(ROOT, 'docs', '*.md')))
PAGES += ['README.md', os.path.join('models', 'pretrained', 'README.md')]
# words in capitals that a command or a text has and that are no constants of configs/
OTHERS = {'NAME', 'PYTHON', 'TF_ENABLE_ONEDNN_OPTS', 'FOLDER', 'ATTACK_ARGS', 'RUN_ARGS', 'SHORT',
          'PAPER_ARGS', 'ONLY', 'NEURONS', 'OMP_NUM_THREADS', 'PATH', 'BASE', 'REFINED', 'TWICE',
          'FACTORS', 'DIM'}


def text_of(page):
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
        return file.read()


def anchors(page):
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r'```.*?```', '', text_of(page), flags=re.S)
    headings = re.findall(r'^#+ +(.*)$', text, re.M)
    return {re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')
            for heading in headings}


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r'\]\(([^)]+)\)', text_of(page)):
        if link.startswith('http'):
            continue
        path, _, anchor = link.partition('#')
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        assert os.path.exists(os.path.join(ROOT, target)), '%s: no %s' % (page, link)
        assert not anchor or anchor in anchors(target), '%s: no heading for %s' % (page, link)


@pytest.mark.parametrize('page', PAGES)
def test_named_files_exist(page):
    pattern = r'(?:tests|utils|configs|models|imgs)/[\w/]+\.(?:py|png)|(?<![\w/])\w+\.py\b'
    for path in set(re.findall(pattern, text_of(page))):
        if '/' not in path and not os.path.exists(os.path.join(ROOT, path)):
            assert glob.glob(os.path.join(ROOT, 'utils', '*', path)), '%s: no %s' % (page, path)
        else:
            assert os.path.exists(os.path.join(ROOT, path)), '%s: no %s' % (page, path)


@pytest.mark.parametrize('page', PAGES)
def test_named_constants_exist(page):
    known = set(OTHERS)
    for path in glob.glob(os.path.join(ROOT, 'configs', '**', '*.py'), recursive=True):
        known |= set(config.read_constants(path))
    text = text_of(page)
    named = set(re.findall(r'[ `]([A-Z][A-Z0-9_]{2,})=', text))
    named |= {name for name in re.findall(r'`([A-Z][A-Z0-9_]{2,})`', text)
              if '_' in name and not name.startswith('SLURM_')}
    assert named <= known, '%s: no constant %s' % (page, ', '.join(sorted(named - known)))


# documents that a reader does not have
MISSING = (r"METHOD('s\b|\.md|, (step|fault|schedule|refining|last|dendrite|axon))"
           r"|\((SimGAN, )?METHOD[,:)]|\bDESIGN(\.md)?\b")


def test_code_cites_documents_that_are_here():
    paths = [path for pattern in ('*.py', 'configs/**/*.py', 'models/*.py', 'utils/**/*.py',
                                  'tests/**/*.py')
             for path in glob.glob(os.path.join(ROOT, pattern), recursive=True)]
    cited = 0
    for path in paths:
        text = text_of(path)
        if path != os.path.abspath(__file__):
            assert not re.search(MISSING, text), path
        for page, section in re.findall(r'(docs/\w+\.md)(?:,\s+(step \d|steps \d and \d))?', text):
            assert page in PAGES, '%s: no %s' % (path, page)
            assert not section or section.replace(' ', '-') in anchors(page), (path, section)
            cited += bool(section)
    assert cited >= 10


# --- the picture of the architecture ---

@pytest.fixture
def project(tmp_path):
    """A project of four folders whose imports are known."""
    contents = {
        '1_run.py': 'import sys\nfrom utils.train import loop\nfrom utils.data import stacks\n',
        'models/__init__.py': '', 'models/net.py': 'import numpy\n',
        'utils/__init__.py': '',
        'utils/data/__init__.py': '', 'utils/data/stacks.py': 'from utils.data import swc\n',
        'utils/data/formats/__init__.py': '', 'utils/data/formats/tiff.py': 'import os\n',
        'utils/train/__init__.py': '',
        'utils/train/loop.py': 'import utils.data.stacks\ndef f():\n    from models import net\n',
    }
    for name, text in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path)


def test_modules_and_imports_are_read_from_the_code(project):
    assert architecture.modules(project) == {
        'scripts': ['1_run'], 'models': ['net'], 'utils/data': ['formats', 'stacks'],
        'utils/train': ['loop']}
    assert architecture.imports(project) == {
        'scripts': {'utils/train', 'utils/data'}, 'models': set(), 'utils/data': set(),
        'utils/train': {'models', 'utils/data'}}


def test_arrows_that_others_imply_are_left_out():
    arrows = {'a': {'b', 'c', 'd'}, 'b': {'c'}, 'c': {'d'}, 'd': set(), 'e': set(), 'f': {'b', 'e'}}
    assert architecture.reduced(arrows) == {
        'a': {'b'}, 'b': {'c'}, 'c': {'d'}, 'd': set(), 'e': set(), 'f': {'b', 'e'}}


def test_arrows_point_downwards_and_a_leaf_stands_below_its_user():
    arrows = {'a': {'b', 'c'}, 'b': {'c'}, 'c': {'d'}, 'd': set(), 'e': set(), 'f': {'b', 'e'}}
    assert architecture.levels(arrows) == {'a': 3, 'b': 2, 'c': 1, 'd': 0, 'e': 2, 'f': 3}


def test_a_cycle_is_told():
    with pytest.raises(ValueError, match='a cycle among a, b'):
        architecture.levels({'a': {'b'}, 'b': {'a', 'c'}, 'c': set()})


def test_picture_names_every_module_and_has_its_arrows(project, tmp_path, monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, 'svg.fonttype', 'none')      # letters stay letters
    drawn = []
    monkeypatch.setattr(architecture, '_arrow', lambda axes, start, *, end: drawn.append(
        (start.y, end.y)))
    architecture.draw(str(tmp_path / 'picture.svg'), project)
    text = (tmp_path / 'picture.svg').read_text()
    for names in architecture.modules(project).values():
        for name in names:
            assert '>%s<' % name in text
    assert len(drawn) == 3 and all(above > below for above, below in drawn)


def test_make_figures_draws_the_project_itself(tmp_path):
    """No results are needed; every folder has a box, which is not blank."""
    status, out, err = run_script('make_figures.py', 'FIGURES=architecture', cwd=tmp_path)
    assert status == 0, err
    assert os.path.join('imgs', 'architecture.png') in out
    picture = plt.imread(str(tmp_path / 'imgs' / 'architecture.png'))[..., :3]
    for colour in architecture.COLOURS.values():         # boxes of both kinds, each some per cent
        same = np.abs(picture - matplotlib.colors.to_rgb(colour)).max(-1) < 0.01
        assert same.mean() > 0.03
    assert (picture.max(-1) < 0.3).mean() > 0.005        # letters and lines


def test_pictures_of_the_code_are_drawn_by_name_alone():
    asked = SimpleNamespace(FORMAT='png', FIGURES='all')
    assert {'panel', 'architecture'} & set(make_figures.wanted(asked)) == {'panel'}
    asked.FIGURES = 'architecture'
    assert make_figures.wanted(asked) == ['architecture']


def test_page_of_the_architecture_names_every_folder():
    text = text_of('docs/architecture.md')
    for folder in set(architecture.modules(ROOT)) - {architecture.SCRIPTS}:
        assert '`%s/`' % folder in text


def test_page_of_the_figures_names_every_figure():
    """Those of the method's paper stand in its table with the command that makes their results."""
    text = text_of('docs/figures.md')
    table = text.split("## The paper's figures")[1].split('\n## ')[0]
    for name in make_figures.FIGURES:
        assert '`%s`' % name in text, name
        assert (name in make_figures.PAPER) == ('`%s`' % name in table), name
    asked = SimpleNamespace(FORMAT='png', FIGURES='paper')
    assert make_figures.wanted(asked) == make_figures.PAPER


def test_version_and_paper_are_told_once_and_alike():
    """CITATION.cff, the changelog's newest entry and results tell one version."""
    cited = text_of('CITATION.cff')
    assert re.search(r'^version: (.*)$', cited, re.M).group(1) == VERSION
    assert re.search(r'^## (\S+)', text_of('docs/changelog.md'), re.M).group(1) == VERSION
    for words in ('Using Simulated Training Data of Voxel-Level Generative Models to Improve 3D',
                  'volume: 41', 'issue: 12', 'start: 3624', 'end: 3635', 'year: 2022'):
        assert words in cited
