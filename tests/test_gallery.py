"""The gallery page: whole, self-contained, with what the folders hold."""
from html.parser import HTMLParser

import matplotlib.image
import numpy as np

from utils.draw import gallery


class Reader(HTMLParser):
    """Notes tags, links to elsewhere, and whether every tag is closed in order."""
    VOID = {'meta', 'img', 'br'}

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.links, self.cells, self.text = [], [], [], [], ''
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == 'img':
            self.images.append(attributes)
        self.links += [v for k, v in attributes.items() if k in ('src', 'href') and not v.startswith('data:image/png;base64,')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ('td', 'th'):
            self.cells.append(data)


def test_page_holds_figures_tables_commands_and_needs_nothing_else(tmp_path):
    matplotlib.image.imsave(str(tmp_path / 'a.png'), np.eye(4))
    (tmp_path / 'a.md').write_text('## Scores\n\n| arm | Dice |\n| --- | --- |\n| x < y | 0.5 |\n\nall of them\n')
    run = tmp_path / 'run'
    run.mkdir()
    (run / 'command.txt').write_text("python 2_mpgan.py 'RUN_DIR=a b'\n")
    (run / 'config.json').write_text('{"SEED": 7}')
    gallery.page(str(tmp_path / 'index.html'), 'A "run" & more', images=[('first <figure>', str(tmp_path / 'a.png'))],
                 tables=[('scores', str(tmp_path / 'a.md'))], folders=[str(run), str(tmp_path / 'missing')])
    page = Reader((tmp_path / 'index.html').read_text(encoding='utf-8'))
    assert page.open == [] and page.links == [] and len(page.images) == 1
    assert page.images[0]['alt'] == 'first <figure>' and len(page.images[0]['src']) > 100
    assert page.cells == ['arm', 'Dice', 'x < y', '0.5']
    for words in ('A "run" & more', 'Scores', 'all of them', "python 2_mpgan.py 'RUN_DIR=a b'", 'SEED = 7'):
        assert words in page.text
