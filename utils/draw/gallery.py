"""One HTML page of results that needs no other file and no network.

gallery.js compares stacks and turns trees, gallery.css lays out; both, and all data, are within
the page. Every text that comes from files is escaped.
"""
import html
import json
import os
import re
import time
from typing import NamedTuple

from utils.common import files
from utils.common.version import VERSION

HERE = os.path.dirname(os.path.abspath(__file__))
# no network: browsers refuse everything but what is within the page
POLICY = ("default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
          "script-src 'unsafe-inline'")
PAGE = '''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%(title)s</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="%(policy)s">
<style>
%(style)s</style></head>
<body>
%(body)s
<script type="application/json" id="data">%(data)s</script>
<script>
%(script)s</script>
</body></html>
'''
LIGHTS = 'GREEN', 'YELLOW', 'RED'    # words of a report that are shown in their colours
VIEWERS = (                          # name, word of the head's links, heading, what to look at
    ('drafts', 'Drafts', 'Draft, refined, real',
     'Drag the two lines. The refined draft should look like the real stack in background, noise '
     'and brightness, and its neurites should stay where the label is. The real part is another '
     'place: only its look is to be compared.'),
    ('stacks', 'Masks', 'Stack and mask',
     'Drag the line. The mask should follow every neurite that you see and leave the background '
     'alone. Specks away from neurites: raise MIN_OBJECT or PROBABILITY_THRESHOLD of step 3. Gaps: '
     'lower PROBABILITY_THRESHOLD.'),
    ('forests', 'Traces', 'Traces in 3-D',
     'Drag to turn, pinch or use + and - to zoom. Each tree has its colour; below them lies the '
     'projection of the stack. Neurites without a tree: lower LOW and HIGH of step 4. Trees in the '
     'background: raise them, or MIN_LENGTH.'))


class Step(NamedTuple):
    """A script's folder, with what is known of its constants."""
    title: str
    folder: str
    defaults: dict                   # of its constants
    comments: dict                   # what each means


class Content(NamedTuple):
    """What the page shows."""
    facts: list                      # of (number, words)
    viewers: dict                    # name of VIEWERS -> list for JSON
    report: str                      # Markdown, or ''
    links: dict                      # path of a picture in the report -> number of its image
    images: list                     # of (caption, data URI)
    tables: list                     # of (title, Markdown)
    steps: list                      # of Step
    notes: list                      # lines on what is not shown


def page(path, title, *, content):
    """Write the page, whole or not at all.

    Args:
        path: of the HTML file; content: Content.

    Raises:
        UserError: if the page cannot be written.
    """
    parts = [('report', 'Report', _report(content.report, content.links))]
    parts += [(name, short, _viewer(name, heading, words=words))
              for name, short, heading, words in VIEWERS if content.viewers.get(name)]
    parts += [('figures', 'Figures', _figures(content.images)),
              ('tables', 'Tables', _tables(content.tables)),
              ('commands', 'Commands', _commands(content.steps)),
              ('missing', 'Not shown', _notes(content.notes))]
    parts = [part for part in parts if part[2]]
    files.write_text(path, PAGE % dict(
        title=html.escape(title), policy=POLICY, style=_asset('gallery.css'),
        script=_asset('gallery.js'), data=to_script(content.viewers),
        body='\n'.join([_head(title, content.facts, parts=parts)]
                       + ['<section id="%s">\n%s\n</section>' % (name, text)
                          for name, _, text in parts])))


def to_script(values):
    """JSON that may stand within <script>: no text of it can end the element."""
    return json.dumps(values, separators=(',', ':')).replace('<', '\\u003c').replace(
        '\u2028', '\\u2028').replace('\u2029', '\\u2029')


def _asset(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as file:
        return file.read()


# --- parts of the page ---

def _head(title, facts, *, parts):
    """Title, facts and links to the parts."""
    tiles = ''.join('<li><b>%s</b> %s</li>' % (html.escape(number), html.escape(words))
                    for number, words in facts)
    links = ''.join('<a href="#%s">%s</a>' % (name, words) for name, words, _ in parts)
    return ('<header>\n<h1>%s</h1>\n<p class="made">Drawn %s by MPGAN %s.</p>\n%s</header>\n'
            '<nav>%s</nav>' % (html.escape(title), time.strftime('%Y-%m-%d %H:%M'), VERSION,
                               '<ul class="facts">%s</ul>\n' % tiles if tiles else '', links))


def _viewer(name, heading, *, words):
    """The place of a viewer, which the script fills."""
    return ('<h2>%s</h2>\n<p class="words">%s</p>\n<div class="viewer" id="viewer-%s">'
            '<noscript>This part needs JavaScript; the figures below do not.</noscript></div>'
            % (heading, html.escape(words), name))


def _report(text, links):
    """The report; a cell that names a picture leads to it, a light of GREEN, YELLOW, RED shines."""
    shown = markdown(text)
    for path, number in links.items():
        name = html.escape(path)
        shown = shown.replace('<td>%s</td>' % name, '<td><a href="#figure-%d">%s</a></td>' % (
            number, html.escape(os.path.basename(path))))
    for light in LIGHTS:
        shown = shown.replace('<td>%s</td>' % light, '<td><span class="light %s">%s</span></td>' % (
            light.lower(), light))
    return '<h2>Report</h2>\n<div class="report">%s</div>' % shown if text else ''


def _figures(images):
    """Figures with their captions, to enlarge by a click."""
    shown = ''.join('<figure id="figure-%d"><img alt="%s" loading="lazy" src="%s"><figcaption>%s'
                    '</figcaption></figure>\n' % (k, html.escape(caption), uri,
                                                  html.escape(caption))
                    for k, (caption, uri) in enumerate(images))
    return '<h2>Figures</h2>\n<div class="figures">%s</div>' % shown if shown else ''


def _tables(tables):
    shown = ''.join('<h3>%s</h3>\n%s\n' % (html.escape(name), markdown(text))
                    for name, text in tables)
    return '<h2>Tables</h2>\n%s' % shown if shown else ''


def _notes(notes):
    lines = ''.join('<li>%s</li>' % html.escape(note) for note in notes)
    return '<h2>Not shown</h2>\n<ul>%s</ul>' % lines if notes else ''


def _commands(steps):
    shown = ''.join(filter(None, map(_step, steps)))
    return '<h2>Commands of the last run</h2>\n%s' % shown if shown else ''


def _step(step):
    """What a folder was made with: its command, and its constants that are not the defaults."""
    command, settings = (os.path.join(step.folder, name) for name in ('command.txt', 'config.json'))
    parts = []
    if os.path.exists(command):
        parts.append('<pre>%s</pre>' % html.escape(_asset(os.path.abspath(command)).strip()))
    if os.path.exists(settings):
        made = files.read_json(settings)
        changed = differing(made, step.defaults)
        if changed:
            parts.append('<table class="constants">%s%s</table>' % (
                _row(['constant', 'here', 'default', 'meaning'], 'th'),
                ''.join(_row([html.escape(text) for text in (
                    name, repr(now), repr(before), step.comments.get(name, ''))], 'td')
                    for name, now, before in changed)))
        lines = '\n'.join('%s = %r' % item for item in sorted(made.items()))
        parts.append('<details><summary>all constants: %s</summary><pre>%s</pre></details>'
                     % (html.escape(settings), html.escape(lines)))
    return '<h3>%s</h3>\n%s\n' % (html.escape(step.title), '\n'.join(parts)) if parts else ''


def differing(made, defaults):
    """Constants that are not the defaults: list of (name, value, default), sorted.

    Args:
        made: dict read from config.json; defaults: dict of constants. Others are left out.
    """
    plain = files.from_json(files.to_json(defaults))     # tuples become lists, as in config.json
    return [(name, made[name], plain[name]) for name in sorted(set(made) & set(plain))
            if made[name] != plain[name]]


# --- Markdown ---

def markdown(text):
    """Tables, headings, lists and paragraphs of a Markdown text as HTML; `code` and **bold**."""
    parts, rows, items = [], [], []
    for line in text.split('\n') + ['']:
        stripped = line.strip()
        if not stripped.startswith('|') and rows:        # a table ends here
            parts.append('<div class="wide"><table>%s</table></div>' % ''.join(
                [_row(rows[0], 'th')] + [_row(row, 'td') for row in rows[2:]]))
            rows = []
        if not stripped.startswith(('- ', '* ')) and items:
            parts.append('<ul>%s</ul>' % ''.join('<li>%s</li>' % item for item in items))
            items = []
        if stripped.startswith('|'):
            rows.append([_inline(cell.strip()) for cell in stripped.strip('|').split('|')])
        elif stripped.startswith(('- ', '* ')):
            items.append(_inline(stripped[2:]))
        elif stripped.startswith('#'):
            parts.append('<h4>%s</h4>' % _inline(stripped.lstrip('# ')))
        elif stripped:
            parts.append('<p>%s</p>' % _inline(stripped))
    return '\n'.join(parts)


def _inline(text):
    """Escaped text with its `code` and **bold** marked."""
    marked = re.sub(r'`([^`]+)`', r'<code>\1</code>', html.escape(text))
    return re.sub(r'\*\*([^*]+)\*\*', r'<b>\1</b>', marked)


def _row(cells, kind):
    """A table's row; kind: 'th' or 'td'."""
    return '<tr>%s</tr>' % ''.join('<%s>%s</%s>' % (kind, cell, kind) for cell in cells)
