"""The gallery page: whole, self-contained, with what the folders hold."""
import base64
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest

from utils.draw import gallery


EMBEDDED = 'data:image/png;base64,'


class Reader(HTMLParser):
    """Notes tags, links to elsewhere, and whether every tag is closed in order."""
    VOID = {'meta', 'img', 'br'}

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.links, self.cells, self.text = [], [], [], [], ''
        self.parts = []                                  # (tag, text) of what has a text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == 'img':
            self.images.append(attributes)
        self.links += [value for name, value in attributes.items()
                       if name in ('src', 'href') and not value.startswith(EMBEDDED)]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and data.strip():
            self.parts.append((self.open[-1], data.strip()))
        if self.open and self.open[-1] in ('td', 'th'):
            self.cells.append(data)


def words_of(page, tag):
    """Texts of a tag, in order."""
    return [text for kind, text in page.parts if kind == tag]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two pictures, two tables, a run, and index.html of all."""
    folder = tmp_path_factory.mktemp('gallery')
    for name in 'ab':
        matplotlib.image.imsave(str(folder / (name + '.png')), np.eye(4 if name == 'a' else 5))
    (folder / 'a.md').write_text(
        '## Scores\n\n| arm | Dice |\n| --- | --- |\n| x < y | 0.5 |\n\nall of them\n')
    (folder / 'b.md').write_text('| one |\n| --- |\n| 1 |\n\n| two |\n| --- |\n| 2 |\n| 3 |')
    run = folder / 'run'
    run.mkdir()
    (run / 'command.txt').write_text("python 2_mpgan.py 'RUN_DIR=a b'\n")
    (run / 'config.json').write_text('{"SEED": 7, "BITS": "<16>"}')
    gallery.page(str(folder / 'index.html'), 'A "run" & more',
                 images=[('first <figure>', str(folder / 'a.png')),
                         ('second', str(folder / 'b.png'))],
                 tables=[('scores', str(folder / 'a.md')), ('more', str(folder / 'b.md'))],
                 folders=[str(run), str(folder / 'missing')])
    return folder


@pytest.fixture
def page(folder):
    return Reader((folder / 'index.html').read_text(encoding='utf-8'))


def test_page_holds_figures_tables_commands_and_needs_nothing_else(page):
    assert page.open == [] and page.links == []
    assert page.images[0]['alt'] == 'first <figure>' and len(page.images[0]['src']) > 100
    assert page.cells[:4] == ['arm', 'Dice', 'x < y', '0.5']
    for words in ('A "run" & more', 'Scores', 'all of them', "python 2_mpgan.py 'RUN_DIR=a b'",
                  'SEED = 7'):
        assert words in page.text


def test_pictures_are_the_files_in_order_with_their_captions(page, folder):
    assert [image['alt'] for image in page.images] == ['first <figure>', 'second']
    assert words_of(page, 'figcaption') == ['first <figure>', 'second']
    for image, name in zip(page.images, ('a.png', 'b.png')):
        assert base64.b64decode(image['src'][len(EMBEDDED):]) == (folder / name).read_bytes()


def test_tables_have_headings_rows_and_the_lines_around_them(page):
    assert words_of(page, 'th') == ['arm', 'Dice', 'one', 'two']
    assert words_of(page, 'td') == ['x < y', '0.5', '1', '2', '3']
    assert words_of(page, 'h3') == ['scores', 'more']
    assert words_of(page, 'p')[1:] == ['Scores', 'all of them']          # after 'Drawn ...'


def test_commands_and_settings_are_those_of_the_folders(page, folder):
    assert words_of(page, 'pre') == ["python 2_mpgan.py 'RUN_DIR=a b'", "BITS = '<16>'\nSEED = 7"]
    assert words_of(page, 'summary') == [str(folder / 'run' / 'config.json')]


def test_page_has_its_title_and_headings(page):
    assert words_of(page, 'title') == words_of(page, 'h1') == ['A "run" & more']
    assert words_of(page, 'h2') == ['Figures', 'Tables', 'Commands and settings of the last run']
    assert words_of(page, 'p')[0].startswith('Drawn 2')
