"""The gallery's page in headless Chromium: no error, sliders move, handles drag, trees turn.

A copy of the page gets a script that acts as a user does and notes what it sees in the title.
"""
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from utils.data import swc
from utils.draw import gallery, gallery_slices, gallery_trees
from utils.draw.gallery_slices import Layer, Scene

NAMES = 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'
PHONE, DESKTOP = (390, 844), (1280, 900)
ERRORS = '''<script>
window.wrong = [];
window.addEventListener('error', event => window.wrong.push(event.message || 'resource'), true);
window.addEventListener('securitypolicyviolation', event => window.wrong.push(event.blockedURI));
</script>'''
ACTS = '''<script>
const wait = ms => new Promise(done => setTimeout(done, ms));
const pixels = canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let colours = 0, sum = 0;
  for (let i = 0; i < data.length; i += 4) {
    sum += data[i];
    const rgb = data.slice(i, i + 3);
    if (Math.max(...rgb) - Math.min(...rgb) > 60) colours += 1;
  }
  return { colours, sum, count: data.length / 4 };
};
const at = (canvas, x, y) => [...canvas.getContext('2d').getImageData(
  Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data].slice(0, 3);
const press = (part, name, x, y) => part.dispatchEvent(new PointerEvent(name, {
  clientX: x, clientY: y, pointerId: 1, pointerType: 'mouse', bubbles: true, cancelable: true }));
const drag = (part, from, to) => {
  press(part, 'pointerdown', ...from);
  press(part, 'pointermove', ...to);
  press(part, 'pointerup', ...to);
};
(async () => {
  const seen = {};
  await wait(300);
  const host = document.getElementById('viewer-stacks'), canvas = host.querySelector('canvas');
  const box = canvas.getBoundingClientRect(), slide = host.querySelector('input[type=range]');
  const outline = host.querySelectorAll('input[type=checkbox]')[1];
  seen.projection = host.querySelector('output').textContent;
  seen.marked = pixels(canvas).colours;
  outline.click();
  seen.unmarked = pixels(canvas).colours;
  seen.slices = [];
  for (const z of [0, 2]) {
    slide.value = z;
    slide.dispatchEvent(new Event('input'));
    await wait(400);
    seen.slices.push([host.querySelector('output').textContent, at(canvas, 0.25, 0.5),
      at(canvas, 0.75, 0.5)]);
  }
  const cut = host.querySelector('.cut');
  const place = part => [box.left + box.width * part, box.top + 50];
  drag(cut, place(0.5), place(0.9));
  seen.dragged = [cut.style.left, at(canvas, 0.75, 0.5)];
  drag(canvas, place(0.1), place(0.2));
  seen.pressed = cut.style.left;
  cut.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
  seen.key = cut.getAttribute('aria-valuenow');
  const select = host.querySelector('select');
  select.value = 1;
  select.dispatchEvent(new Event('change'));
  await wait(400);
  seen.second = [host.querySelectorAll('.cut').length, canvas.width / canvas.height];
  const space = document.querySelector('#viewer-forests canvas'), s = space.getBoundingClientRect();
  space.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }));     // no turning now
  seen.space = pixels(space);
  seen.told = [...document.querySelectorAll('#viewer-forests output')].map(one => one.textContent);
  drag(space, [s.left + 50, s.top + 50], [s.left + 150, s.top + 90]);
  seen.turned = pixels(space).sum !== seen.space.sum;
  const thick = document.querySelector('#viewer-forests input[type=checkbox]');
  thick.click();
  seen.thick = pixels(space).colours;
  seen.wide = document.documentElement.scrollWidth;
  seen.inner = window.innerWidth;
  seen.text = document.querySelector('#viewer-stacks select option').textContent;
  seen.wrong = window.wrong;
  document.title = JSON.stringify(seen);
})().catch(error => { document.title = JSON.stringify({ wrong: [String(error), error.stack] }); });
</script>'''


@pytest.fixture(scope='session')
def chromium():
    """Path of a Chromium that starts."""
    found = [path for path in map(shutil.which, NAMES) if path]
    if not found:
        pytest.skip('no Chromium on PATH (Debian: apt-get install chromium)')
    return found[0]


def open_page(chromium, path, *, size, arguments):
    """Standard output of headless Chromium on a page; size: (width, height) of its window."""
    command = [chromium, '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
               '--disable-dev-shm-usage', '--user-data-dir=%s.profile' % path,
               '--window-size=%d,%d' % size, '--virtual-time-budget=10000']
    done = subprocess.run(command + arguments + ['file://%s' % path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120)
    if done.returncode and not done.stdout:
        pytest.skip('Chromium does not start here: %s' % done.stderr.decode()[-200:])
    return done.stdout.decode('utf-8', 'replace')


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """A stack of five slices, bright at z 2 alone, beside a mask on at z 0 alone; a line."""
    voxels, mask = np.zeros((5, 40, 60), np.uint16), np.zeros((5, 40, 60), bool)
    voxels[2] = 1000
    mask[0, 5:35, 5:55] = True
    scales = (0, 1000), (0, 1000)
    layers = [Layer('stack', voxels, True), Layer('mask', mask)]
    scenes = [Scene('<b>first</b>', layers, mask, scales),
              Scene('second', [Layer(name, voxels[:, :, :40]) for name in 'abc'], None, scales)]
    n = 60
    position = np.stack([np.linspace(1, 30, n)] * 3, 1)
    tree = swc.Tree(np.zeros(n, int), position, np.full(n, 2.0), np.arange(-1, n - 1))
    forest = gallery_trees.to_json('first', tree, spacing=np.ones(3), micrometres=2.0,
                                   voxels=np.zeros((40, 40, 40), np.uint8))
    path = str(tmp_path_factory.mktemp('browser') / 'index.html')
    table = '| ' + ' | '.join('a long heading %d' % k for k in range(14)) + ' |\n| --- |\n'
    gallery.page(path, 'MPGAN: test', content=gallery.Content(
        [('1', 'stack')], dict(stacks=[gallery_slices.to_json(one, most_bytes=10 ** 6)
                                       for one in scenes], forests=[forest]),
        '', {}, [], [('wide', table)], [], []))
    return path


@pytest.fixture(scope='module', params=[PHONE, DESKTOP], ids=['phone', 'desktop'])
def seen(request, page, chromium):
    """What the acting script noted."""
    with open(page, encoding='utf-8') as file:
        text = file.read()
    copy = page.replace('index', 'acted%d' % request.param[0])
    with open(copy, 'w', encoding='utf-8') as file:
        file.write(text.replace('<style>', ERRORS + '<style>', 1).replace('</body>',
                                                                          ACTS + '</body>'))
    dom = open_page(chromium, copy, size=request.param, arguments=['--dump-dom'])
    title = re.search('<title>(.*?)</title>', dom, re.S).group(1)
    for code, letter in (('&lt;', '<'), ('&gt;', '>'), ('&quot;', '"'), ('&amp;', '&')):
        title = title.replace(code, letter)
    noted = json.loads(title)
    assert noted['wrong'] == []
    return noted


def test_page_loads_without_errors_and_fits_the_width(seen):
    assert seen['wide'] <= seen['inner']                 # a wide table scrolls by itself
    assert seen['text'] == '<b>first</b>'


def test_slider_moves_through_the_slices(seen):
    """The first slice is dark beside its mask, the third bright beside none."""
    assert seen['projection'] == '1\u20135, projected'
    (first, stack, mask), (third, bright, none) = seen['slices']
    assert (first, third) == ('1 of 5', '3 of 5')
    assert max(stack) < 10 and min(mask) > 245
    assert min(bright) > 245 and max(none) < 10


def test_handle_follows_the_pointer_and_the_keys(seen):
    """Dragged to 90 %, the bright stack shows where the dark mask was; pressing moves it, too."""
    place, colour = seen['dragged']
    assert float(place[:-1]) == pytest.approx(90, abs=1) and min(colour) > 245
    assert float(seen['pressed'][:-1]) == pytest.approx(20, abs=1) and seen['key'] == '22'


def test_outline_is_drawn_and_can_be_left_out(seen):
    assert seen['marked'] > 100 and seen['unmarked'] == 0


def test_another_scene_has_its_own_handles_and_sides(seen):
    assert seen['second'] == [2, 1]


def test_trees_are_drawn_and_turned(seen):
    """A line of one colour, thicker on demand; its length: 29 * sqrt(3) voxels of 2 um."""
    space = seen['space']
    assert 50 < space['colours'] < 0.05 * space['count'] and seen['turned']
    assert seen['thick'] > 2 * space['colours']
    assert seen['told'] == ['1 tree, 0.10 mm of cable']


@pytest.mark.parametrize('size', [PHONE, DESKTOP], ids=['phone', 'desktop'])
def test_screenshot_is_not_blank(page, chromium, size, tmp_path):
    import matplotlib.pyplot as plt

    path = str(tmp_path / 'page.png')
    open_page(chromium, page, size=size, arguments=['--screenshot=%s' % path, '--hide-scrollbars'])
    picture = plt.imread(path)
    assert os.path.exists(path) and picture.shape[1] == size[0]
    assert picture[..., :3].std() > 0.1                              # dark viewers on a light page
