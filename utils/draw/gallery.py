"""One self-contained HTML page with figures, tables, commands and settings: to look at, and to send to a colleague."""
import base64
import html
import os
import time

from utils.common.files import read_json, whole_file

STYLE = '''
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
figure { margin: 2rem 0; } img { max-width: 100%; border: 1px solid #ddd; } figcaption { color: #555; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { border: 1px solid #ccc; padding: .25rem .6rem; text-align: right; } th:first-child, td:first-child { text-align: left; }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto; } summary { cursor: pointer; } h2 { margin-top: 3rem; }
'''


def table(text):
    """The tables of a Markdown text, and its other lines, as HTML."""
    parts, rows = [], []

    def flush():
        if rows:
            cells = [[html.escape(cell.strip()) for cell in row.strip('|').split('|')] for row in rows]
            body = ''.join('<tr>%s</tr>' % ''.join('<td>%s</td>' % cell for cell in row) for row in cells[2:])
            parts.append('<table><tr>%s</tr>%s</table>' % (''.join('<th>%s</th>' % cell for cell in cells[0]), body))
            del rows[:]

    for line in text.split('\n'):
        if line.startswith('|'):
            rows.append(line.strip())
        else:
            flush()
            if line.strip():
                parts.append('<p>%s</p>' % html.escape(line.lstrip('#- ')))
    flush()
    return '\n'.join(parts)


def page(path, title, *, images, tables, folders):
    """Write the page, whole or not at all.

    Args:
        images: list of (caption, PNG file); tables: list of (title, Markdown file).
        folders: results and runs whose command.txt and config.json (utils/claims.claim) are shown. What a folder lacks is left
            out.
    """
    body = ['<h1>%s</h1>' % html.escape(title), '<p>Drawn %s.</p>' % time.strftime('%Y-%m-%d %H:%M'), '<h2>Figures</h2>']
    for caption, file in images:
        with open(file, 'rb') as opened:
            data = base64.b64encode(opened.read()).decode('ascii')
        body.append('<figure><img alt="%s" src="data:image/png;base64,%s"><figcaption>%s</figcaption></figure>'
                    % (html.escape(caption, quote=True), data, html.escape(caption)))
    if tables:
        body.append('<h2>Tables</h2>')
    for name, file in tables:
        with open(file) as opened:
            body.append('<h3>%s</h3>\n%s' % (html.escape(name), table(opened.read())))
    body.append('<h2>Commands and settings of the last run</h2>')
    for folder in folders:
        command, settings = os.path.join(folder, 'command.txt'), os.path.join(folder, 'config.json')
        if os.path.exists(command):
            with open(command) as opened:
                body.append('<pre>%s</pre>' % html.escape(opened.read().strip()))
        if os.path.exists(settings):
            lines = '\n'.join('%s = %r' % item for item in sorted(read_json(settings).items()))
            body.append('<details><summary>%s</summary><pre>%s</pre></details>' % (html.escape(settings), html.escape(lines)))
    with whole_file(path) as partial:
        with open(partial, 'w', encoding='utf-8') as file:
            file.write('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>%s</title>\n'
                       '<meta name="viewport" content="width=device-width, initial-scale=1"><style>%s</style></head>\n'
                       '<body>\n%s\n</body></html>\n' % (html.escape(title), STYLE, '\n'.join(body)))
