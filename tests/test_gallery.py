"""The gallery page: whole, self-contained, with what the folders hold."""
import base64
import io
import json
import os
import re
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from PIL import Image
from volume_stores import foreign

from utils.common.version import VERSION
from utils.data import bounded, patches, stacks, swc
from utils.draw import gallery, gallery_results, gallery_scenes, gallery_slices, gallery_trees
from utils.draw.gallery_slices import Layer, Scene
from utils.draw.results import Places

EMBEDDED = 'data:image/'
EVIL = '<script>alert(1)</script>&"\''


class Reader(HTMLParser):
    """Notes tags, links to elsewhere, and whether every tag is closed in order."""
    VOID = {'meta', 'img', 'br'}

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.links, self.cells, self.text = [], [], [], [], ''
        self.ids = []
        self.parts = []                                  # (tag, text) of what has a text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == 'img':
            self.images.append(attributes)
        self.links += [value for name, value in attributes.items()
                       if name in ('src', 'href') and not value.startswith((EMBEDDED, '#'))]
        self.ids += [value for name, value in attributes.items() if name == 'id']

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


def picture_of(uri):
    """Pixels of a data URI."""
    kind, data = uri.split(';base64,')
    assert kind in ('data:image/png', 'data:image/jpeg')
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def data_of(page):
    """The data of a page's viewers."""
    return json.loads(re.search('<script type="application/json" id="data">(.*?)</script>', page,
                                re.S).group(1))


# --- the page ---

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A run and index.html of two pictures, two tables, a report and a stack of an evil name."""
    folder = tmp_path_factory.mktemp('gallery')
    run = folder / 'run'
    run.mkdir()
    (run / 'command.txt').write_text("python 2_mpgan.py 'RUN_DIR=a b'\n")
    (run / 'config.json').write_text('{"SEED": 7, "BITS": "<16>", "SHAPE": [1, 2], "OLD": 1}')
    for name in 'ab':
        matplotlib.image.imsave(str(folder / (name + '.png')), np.eye(4 if name == 'a' else 5))
    step = gallery.Step('Step <2>', str(run), {'SEED': 1, 'BITS': '<16>', 'SHAPE': (1, 3)},
                        {'SEED': 'of <all> weights'})
    gallery.page(str(folder / 'index.html'), 'A "run" & more', content=gallery.Content(
        facts=[('0.9', 'length <F1>')], viewers={'stacks': [{'name': EVIL}], 'forests': []},
        report='# All well\n- `OTSU` found **2 %**\n- ' + EVIL + '\n\n| light | picture |\n'
               '| --- | --- |\n| YELLOW | run/<b>.png |\n', links={'run/<b>.png': 1},
        images=[('first <figure>', gallery_slices.figure_uri(str(folder / 'a.png'),
                                                             most_bytes=10 ** 6)),
                ('second', gallery_slices.figure_uri(str(folder / 'b.png'), most_bytes=10 ** 6))],
        tables=[('scores', '## Scores\n\n| arm | Dice |\n| --- | --- |\n| x < y | 0.5 |\n\nall of '
                 'them\n'), ('more', '| one |\n| --- |\n| 1 |\n\n| two |\n| --- |\n| 2 |\n| 3 |')],
        steps=[step, step._replace(title='none', folder=str(folder / 'missing'))],
        notes=['no <mask>']))
    return folder


@pytest.fixture(scope='module')
def text(folder):
    return (folder / 'index.html').read_text(encoding='utf-8')


@pytest.fixture
def page(text):
    return Reader(text)


def test_page_needs_nothing_else(page, text):
    """Well-formed; no address but what is within, and browsers are told to fetch nothing."""
    assert page.open == [] and page.links == []
    assert "default-src 'none'; img-src data:" in text
    assert not re.search(r'(https?:)?//\w', re.sub(r'base64,[^"]*|//.*', '', text))
    assert '@import' not in text and 'url(' not in text and 'fetch(' not in text


@pytest.mark.parametrize('name', ['gallery.js', 'gallery.css'])
def test_script_and_style_are_read_as_the_code_is(name, text):
    """Whole within the page, lines of 100, nothing that makes HTML of texts."""
    with open(os.path.join(gallery.HERE, name), encoding='utf-8') as file:
        asset = file.read()
    assert asset in text and max(map(len, asset.split('\n'))) <= 100
    assert not re.search(r'innerHTML|outerHTML|insertAdjacent|document\.write|eval\(', asset)


def test_pictures_are_the_files_in_order_with_their_captions(page, folder):
    assert [image['alt'] for image in page.images] == ['first <figure>', 'second']
    assert words_of(page, 'figcaption') == ['first <figure>', 'second']
    for image, name in zip(page.images, ('a.png', 'b.png')):
        assert base64.b64decode(image['src'].split('base64,')[1]) == (folder / name).read_bytes()


def test_tables_have_headings_rows_and_the_lines_around_them(page):
    assert words_of(page, 'th')[2:6] == ['arm', 'Dice', 'one', 'two']
    assert words_of(page, 'td')[:5] == ['x < y', '0.5', '1', '2', '3']
    assert words_of(page, 'h3')[:2] == ['scores', 'more']
    assert 'Scores' in words_of(page, 'h4') and 'all of them' in words_of(page, 'p')


def test_commands_are_those_of_the_folders_and_constants_that_differ_are_told(page, folder):
    assert words_of(page, 'pre') == ["python 2_mpgan.py 'RUN_DIR=a b'",
                                     "BITS = '<16>'\nOLD = 1\nSEED = 7\nSHAPE = [1, 2]"]
    assert words_of(page, 'summary') == ['all constants: %s' % (folder / 'run' / 'config.json')]
    assert words_of(page, 'td')[5:] == ['SEED', '7', '1', 'of <all> weights',
                                        'SHAPE', '[1, 2]', '[1, 3]']
    assert words_of(page, 'h3')[2:] == ['Step <2>']      # a folder without both is left out


def test_page_has_its_title_facts_report_and_notes(page, text):
    assert words_of(page, 'title') == words_of(page, 'h1') == ['A "run" & more']
    assert words_of(page, 'h2') == ['Report', 'Stack and mask', 'Figures', 'Tables',
                                    'Commands of the last run', 'Not shown']
    assert words_of(page, 'span') == ['YELLOW'] and '<a href="#figure-1">&lt;b&gt;.png</a>' in text
    made = words_of(page, 'p')[0]
    assert made.startswith('Drawn 2') and made.endswith('by MPGAN %s.' % VERSION)
    for words in ('0.9', 'length <F1>', 'All well', 'OTSU', '2 %', 'no <mask>'):
        assert words in page.text


def test_links_of_the_head_lead_to_parts(page, text):
    targets = re.findall('<a href="#([^"]+)">', text)
    assert targets == ['report', 'stacks', 'figures', 'tables', 'commands', 'missing', 'figure-1']
    assert set(targets) < set(page.ids)


def test_texts_of_files_are_escaped_everywhere(page, text):
    """A stack's name and a report that hold a script are texts: the page's scripts are its own."""
    assert text.count('<script') == 2 and 'alert(1)</script>' not in text
    assert data_of(text)['stacks'][0]['name'] == EVIL and EVIL in page.text


# --- slices ---

def test_slices_are_the_stack_at_its_scale_and_masks_are_exact():
    ramp = np.zeros((3, 16, 16), np.uint16)
    ramp[1, :, 8:] = 600
    mask = np.zeros(ramp.shape, bool)
    mask[2, 3:7, 4:12] = True
    made = gallery_slices.to_json(
        Scene('a', [Layer('stack', ramp, True), Layer('mask', mask)], mask,
              ((0, 1200), (0, 600))), most_bytes=10 ** 6)
    assert (made['width'], made['height'], made['depth'], made['slab']) == (16, 16, 3, 1)
    grey, exact = [[picture_of(uri) for uri in layer['slices']] for layer in made['layers']]
    assert len(grey) == len(exact) == 4                              # three slices, the projection
    assert grey[0].max() < 5 and np.abs(grey[1][:, 10:].astype(int) - 128).max() < 5
    assert grey[3][:, 10:].min() > 250                               # at the projections' scale
    assert not exact[0].any() and (exact[2] == mask[2]).all() and (exact[3] == mask[2]).all()
    assert made['outline'] == made['layers'][1]['slices'] and made['layers'][0]['marked']


def test_large_stacks_become_fewer_and_smaller_pictures_of_the_brightest_voxels():
    voxels = np.zeros((130, 4, 1025), np.uint16)
    voxels[129, 0, 1024] = 900                                       # in the last block of the last
    made = gallery_slices.to_json(Scene('a', [Layer('mask', voxels > 0)], None, ((0, 1),) * 2),
                                  most_bytes=10 ** 6)
    assert (made['slab'], made['width'], made['height']) == (3, 342, 2)
    found = [picture_of(uri) for uri in made['layers'][0]['slices']]
    assert len(found) == 44 + 1 and found[43][0, 341] and sum(map(np.count_nonzero, found)) == 2


@pytest.mark.parametrize('most_bytes', [400000, 60000])
def test_pictures_of_noise_fit_into_their_bytes(most_bytes):
    noise = np.random.default_rng(1).integers(0, 65535, (40, 200, 200)).astype(np.uint16)
    scene = Scene('a', [Layer('draft', noise), Layer('real', noise)], None, ((0, 65535),) * 2)
    made = gallery_slices.to_json(scene, most_bytes=most_bytes)
    size = sum(len(uri) for layer in made['layers'] for uri in layer['slices'])
    assert most_bytes / 6 < size <= most_bytes


def test_the_first_slice_is_where_every_layer_has_something_to_see():
    left, right = np.zeros((2, 9, 4, 8), np.uint16)
    left[2:7, :, :4] = right[5, :, 4:] = 100
    left[8, :, 4:] = right[1, :, :4] = 100                           # in parts that others cover
    scene = Scene('a', [Layer('a', left), Layer('b', right)], None, ((0, 100),) * 2)
    assert gallery_slices.to_json(scene, most_bytes=10 ** 6)['start'] == 5


def test_large_figures_become_jpeg_and_small_ones_stay(tmp_path):
    path = str(tmp_path / 'a.png')
    matplotlib.image.imsave(path, np.random.default_rng(0).random((300, 2000, 3)))
    assert gallery_slices.figure_uri(path, most_bytes=10 ** 7).startswith('data:image/png')
    small = gallery_slices.figure_uri(path, most_bytes=1000)
    assert small.startswith('data:image/jpeg') and picture_of(small).shape[1] == 1600


def test_figures_beyond_the_bytes_are_named(tmp_path, monkeypatch):
    for name in 'ab':
        matplotlib.image.imsave(str(tmp_path / (name + '.png')), np.eye(9))
    files = [str(tmp_path / name) for name in ('a.png', 'b.png')]
    monkeypatch.setattr(gallery_results, 'FIGURE_BYTES', os.path.getsize(files[0]) * 2)
    shown, left_out = gallery_results.pictures(files, captions={'a': 'the first'})
    assert [caption for caption, _ in shown] == ['the first'] and left_out == files[1:]


# --- trees ---

def fork(arm):
    """A trunk and two arms of `arm` nodes each along x, y, z, and a second tree of three nodes."""
    steps = np.arange(1, arm + 1)
    trunk = np.stack([0 * steps, 0 * steps, steps], 1)
    ends = [trunk[-1] + np.stack([steps * (k == axis) for k in range(3)], 1) for axis in (0, 1)]
    position = np.concatenate([trunk] + ends + [np.full((3, 3), 2.0)]).astype(float)
    parent = np.arange(-1, 3 * arm + 2)
    parent[[2 * arm, 3 * arm]] = arm - 1, -1
    kind = np.zeros(len(parent), int)
    kind[0] = swc.SOMA
    return swc.Tree(kind, position, np.full(len(parent), 1.5), parent)


def test_thinned_trees_keep_roots_forks_tips_and_their_links():
    tree = fork(20)
    nodes, parent = gallery_trees.thinned(tree, 20)
    kept = dict(zip(nodes, np.where(parent >= 0, nodes[parent], -1)))
    assert {0, 19, 39, 59, 60, 62} <= set(kept) and len(kept) <= 20
    ancestors = {node: set() for node in range(63)}
    for node in range(63):
        up = tree.parent[node]
        ancestors[node] = set() if up < 0 else ancestors[up] | {up}
    for node, up in kept.items():
        assert up == max(ancestors[node] & set(kept), default=-1)    # the nearest that was kept
    assert (gallery_trees.thinned(tree, 100)[0] == np.arange(63)).all()


def test_whole_trees_are_left_out_where_thinning_is_not_enough():
    trees = swc.join([fork(3)] * 5)
    nodes, parent = gallery_trees.thinned(trees, 15)
    assert len(nodes) <= 15 and set(nodes) < set(range(24)) and parent.max() < len(nodes)


def test_forest_has_places_in_voxel_widths_and_lengths_in_um():
    made = gallery_trees.to_json(EVIL, fork(4), spacing=np.array([2.0, 1, 1]), micrometres=0.5,
                                 voxels=np.zeros((6, 9, 10), np.uint8))
    points = np.reshape(made['points'], (-1, 3)) * made['step']
    assert points[7].tolist() == [4, 0, 8] and points[11].tolist() == [4, 4, 0]      # x, y, z
    assert made['size'] == [10, 9, 12] and made['unit'] == 'um' and made['name'] == EVIL
    assert made['length'] == pytest.approx((3 + 8 + 4 + 0) * 0.5)    # an arm along z counts twice
    assert (made['trees'], made['shown'], made['soma']) == (2, 2, [0])
    assert made['tree'] == [0] * 12 + [1] * 3 and made['radius'][0] * made['step'] == 1.5
    assert picture_of(made['floor']).shape == (9, 10)
    bare = gallery_trees.to_json('a', fork(4), spacing=np.ones(3))
    assert bare['floor'] is None and bare['unit'] == 'x voxels' and bare['length'] == 11


def test_spacing_is_read_from_the_traces_own_line(tmp_path):
    path = str(tmp_path / 'a.swc')
    for comment, expected in (('a.tif; voxel (z, y, x) 1.5 1 1 x voxels', [1.5, 1, 1]),
                              ('of another program', [1, 1, 1])):
        swc.write(path, fork(3), comment=comment, one_root=False)
        assert gallery_trees.spacing_of(path).tolist() == expected


# --- what is gathered ---

@pytest.fixture(scope='module')
def places(tmp_path_factory):
    """A draft, refined and real stacks, a mask and traces, each of one grey level but for a bar."""
    root = tmp_path_factory.mktemp('places')

    def write(path, level, shape=(6, 20, 30), **options):
        voxels = np.full(shape, 10, np.uint16 if level > 1 else np.uint8) * (level > 1)
        voxels[:, 8:10, 4:26] = level
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        stacks.write(str(root / path), voxels.astype(np.uint16 if level > 1 else np.uint8),
                     **options)

    write('drafts/images/0001.tif', 300)
    write('drafts/labels/0001.tif', 1)
    write('refined/images/0001.tif', 500)
    write('real/%s.tif' % 'a&b', 700, (8, 40, 50), voxel_size=(1.0, 0.5, 0.5))
    write('segmented/a&b.mask.tif', 1, (8, 40, 50))
    (root / 'patches').mkdir()
    patches.write(str(root / 'patches/real.h5'), np.full((2, 4, 6, 6), 9, np.uint16),
                  origins=np.array([[0, 4, 4], [4, 30, 40]]), sources=['a&b'] * 2)
    (root / 'traces').mkdir()
    swc.write(str(root / 'traces/a&b.swc'), fork(4), one_root=False,
              comment='a; voxel (z, y, x) 2 1 1 x voxels')
    (root / 'traces/scores.csv').write_text('stack,length_f1\na&b,0.5\nmean,0.75\n')
    return Places(*[str(root / name) for name in (
        'patches', 'drafts', 'refined', 'run', 'segmented', 'runs', 'traces', 'results', 'bench',
        'imgs')], truth=None)


def test_viewers_hold_draft_refined_real_stack_mask_and_traces(places):
    real = os.path.join(os.path.dirname(places.drafts), 'real')
    shown = gallery_scenes.gather(places, real=real, images=[places.traces, real])
    assert shown.left_out == []
    drafts, = shown.drafts
    assert [layer['title'] for layer in drafts['layers']] == ['draft', 'refined', 'real']
    assert [layer['marked'] for layer in drafts['layers']] == [True, True, False]
    levels = [picture_of(layer['slices'][0])[9, 15] for layer in drafts['layers']]
    assert levels[0] < levels[1] - 40 < levels[2] - 80               # one scale, the real stack's
    assert (drafts['width'], drafts['height'], drafts['depth']) == (30, 20, 6)
    stack, = shown.stacks
    assert stack['name'] == 'a&b' and picture_of(stack['layers'][1]['slices'][3])[8:10, 4:26].all()
    forest, = shown.forests
    assert forest['unit'] == 'um' and forest['size'] == [50, 40, 16]
    facts = gallery_results.facts(shown, os.path.join(places.traces, 'scores.csv'))
    assert facts == [('1', 'stack traced'), ('2', 'trees'), ('0.01 mm', 'of cable'),
                     ('0.750', 'length F1 with the gold standard')]


def test_ome_zarr_is_shown_and_of_large_stacks_the_middle(places, tmp_path, monkeypatch):
    """The second channel of a stack, its mask in OME-Zarr; then as if both were large."""
    voxels = np.full((66, 70, 80), 10, np.uint16)
    voxels[:, 6:16, 4:76] = 700
    (tmp_path / 'in').mkdir()
    foreign(tmp_path / 'in' / 'a&b.zarr', np.stack([0 * voxels, voxels]), axes='czyx')
    stacks.write(str(tmp_path / 'out' / 'a&b.mask.ome.zarr'), (voxels > 10).astype(np.uint8))
    other = places._replace(segmented=str(tmp_path / 'out'))
    how = dict(real=str(tmp_path / 'in'), images=[str(tmp_path / 'in')], channel=1)
    shown = gallery_scenes.gather(other, **how)
    assert shown.left_out == [] and len(shown.stacks) == len(shown.forests) == 1
    assert shown.stacks[0]['width'] == 80 and shown.forests[0]['floor'] is not None
    for layer in (shown.stacks[0]['layers'][0], shown.drafts[0]['layers'][2]):
        assert np.ptp(picture_of(layer['slices'][0]).astype(int)) > 200      # not the empty channel
    monkeypatch.setattr(bounded, 'MOST', 10 ** 5)
    shown = gallery_scenes.gather(other, **how)
    assert (shown.stacks[0]['width'], shown.stacks[0]['height']) == (64, 64)
    assert shown.forests[0]['floor'] is None and len(shown.left_out) == 2
    assert 'is large: its middle is shown, 64 x 64 x 64 voxels' in shown.left_out[0]
    assert 'is large: its traces are shown without it' in shown.left_out[1]


def test_what_is_missing_is_told_and_the_rest_is_shown(places, tmp_path):
    shown = gallery_scenes.gather(places._replace(refined='nowhere', segmented='nowhere'),
                                  real=None, images=[])
    assert shown.drafts == shown.stacks == [] and len(shown.forests) == 1
    assert shown.forests[0]['unit'] == 'x voxels' and shown.forests[0]['floor'] is None
    assert [line.split(':')[1] for line in shown.left_out] == [
        ' run 2_mpgan.py first', ' run 3_segmentation.py STAGE=predict first']
    other = str(tmp_path / 'a&b.tif')
    stacks.write(other, np.zeros((3, 4, 5), np.uint8))
    shown = gallery_scenes.gather(places, real=None, images=[other])
    assert any('they are no pair' in line for line in shown.left_out)


def test_the_busiest_place_of_the_real_stack_is_shown(places, tmp_path):
    corners = np.array([[0, 0, 0], [2, 20, 30], [2, 21, 32], [3, 22, 31]])
    patches.write(str(tmp_path / 'real.h5'), np.full((4, 4, 6, 6), 9, np.uint16), origins=corners,
                  sources=['a&b'] * 4)
    real = os.path.join(os.path.dirname(places.drafts), 'real')
    path, middle = gallery_scenes.real_stack(places._replace(patches=str(tmp_path)), real)
    assert os.path.basename(path) == 'a&b.tif' and middle.tolist() in [
        [4, 23, 33], [4, 24, 35], [5, 25, 34]]
