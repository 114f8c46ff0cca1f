"""One HTML page of figures, tables, commands and settings that needs no other file."""
import base64
import html
import os
import time

from utils.common import files

STYLE = '''
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem; color: #222; }
figure { margin: 2rem 0; } img { max-width: 100%; border: 1px solid #ddd; }
figcaption { color: #555; } summary { cursor: pointer; } h2 { margin-top: 3rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { border: 1px solid #ccc; padding: .25rem .6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto; }
'''
PAGE = '''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%s</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>%s</style></head>
<body>
%s
</body></html>
'''


def page(path, title, *, images, tables, folders):
    """Write the page, whole or not at all.

    Args:
        path: of the HTML file.
        images: list of (caption, PNG file); tables: list of (title, Markdown file).
        folders: results and runs, each with the command.txt and config.json of utils/common/claims;
            what a folder lacks is left out.

    Raises:
        UserError: if the page cannot be written.
    """
    body = ['<h1>%s</h1>' % html.escape(title),
            '<p>Drawn %s.</p>' % time.strftime('%Y-%m-%d %H:%M'), '<h2>Figures</h2>']
    body += [_figure(caption, file) for caption, file in images]
    if tables:
        body.append('<h2>Tables</h2>')
    body += ['<h3>%s</h3>\n%s' % (html.escape(name), table(_text(file))) for name, file in tables]
    body.append('<h2>Commands and settings of the last run</h2>')
    for folder in folders:
        body += _made_by(folder)
    files.write_text(path, PAGE % (html.escape(title), STYLE, '\n'.join(body)))


def table(text):
    """The tables of a Markdown text, and its other lines as paragraphs, as HTML."""
    parts, rows = [], []
    for line in text.split('\n') + ['']:
        if line.startswith('|'):
            rows.append([html.escape(cell.strip()) for cell in line.strip().strip('|').split('|')])
            continue
        if rows:                                         # a table ends here
            parts.append('<table>%s</table>' % ''.join(
                [_row(rows[0], 'th')] + [_row(row, 'td') for row in rows[2:]]))
            rows = []
        if line.strip():
            parts.append('<p>%s</p>' % html.escape(line.lstrip('#- ')))
    return '\n'.join(parts)


def _row(cells, kind):
    """A table's row; kind: 'th' or 'td'."""
    return '<tr>%s</tr>' % ''.join('<%s>%s</%s>' % (kind, cell, kind) for cell in cells)


def _figure(caption, file):
    """A PNG with its caption, its bytes within the page."""
    with open(file, 'rb') as opened:
        data = base64.b64encode(opened.read()).decode('ascii')
    return ('<figure><img alt="%s" src="data:image/png;base64,%s"><figcaption>%s</figcaption>'
            '</figure>' % (html.escape(caption, quote=True), data, html.escape(caption)))


def _made_by(folder):
    """What a folder was made with: its command, and its constants to unfold; a list."""
    command, settings = (os.path.join(folder, name) for name in ('command.txt', 'config.json'))
    parts = []
    if os.path.exists(command):
        parts.append('<pre>%s</pre>' % html.escape(_text(command).strip()))
    if os.path.exists(settings):
        lines = '\n'.join('%s = %r' % item for item in sorted(files.read_json(settings).items()))
        parts.append('<details><summary>%s</summary><pre>%s</pre></details>'
                     % (html.escape(settings), html.escape(lines)))
    return parts


def _text(path):
    with open(path, encoding='utf-8') as file:
        return file.read()
