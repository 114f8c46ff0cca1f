"""The gallery's page from the folders of results: figures, tables, scores, commands, viewers."""
import csv
import glob
import hashlib
import os
import re

from utils.common import files
from utils.common.errors import UserError
from utils.data import stacks
from utils.draw import folder, gallery, gallery_scenes, gallery_slices

FIGURE_BYTES = 5.0e6                 # of all figures as text; viewers take 9 million at most
FIGURE = 450000                      # bytes of a PNG; larger ones become JPEG
PICTURE = re.compile(r'[^\s|`]+\.png')
REPORT = 'report.md'                 # in the folder of results: shown first


def draw(places, *, captions, steps, real, images, channel=0):
    """Write one page of everything that there is; a figure of the same name is shown once.

    Args:
        places: results.Places; captions: dict from a figure's name to the words below it.
        steps: list of gallery.Step; real, images, channel: as for gallery_scenes.gather.

    Returns:
        path of the page.

    Raises:
        UserError: if there is no figure, or a page of others at its place.
    """
    report = os.path.join(places.results, REPORT)
    text = _text(report) if os.path.exists(report) else ''
    named = [word for word in dict.fromkeys(PICTURE.findall(text)) if os.path.isfile(word)]
    main, single = figure_files(places, list(captions))
    unique = unlike(main + named + single)
    if not unique:
        raise UserError('no figure in %s: run make_figures.py first' % places.output)
    path = os.path.join(places.results, 'index.html')
    folder.check_page(path)
    shown = gallery_scenes.gather(places, real=real, images=images, channel=channel)
    own = {stacks.name_of(path): 'Traces of %s' % stacks.name_of(path)
           for path in glob.glob(os.path.join(glob.escape(places.traces), '*.png'))}
    figures, unfit = pictures(list(unique), captions=dict(own, **captions))
    fit = [path for path in unique if path not in unfit]
    notes = shown.left_out + ['%s: the page would be too large' % name for name in unfit]
    gallery.page(path, 'MPGAN: %s' % places.run_dir, content=gallery.Content(
        facts(shown, os.path.join(places.traces, 'scores.csv')),
        dict(drafts=shown.drafts, stacks=shown.stacks, forests=shown.forests),
        text, {name: fit.index(path) for path in fit for name in unique[path] if name in named},
        figures, [(os.path.basename(table), _text(table)) for table in _found(places, '.md')
                  if os.path.abspath(table) != os.path.abspath(report)], steps, notes))
    return path


def stacks_given(folders):
    """What stacks the steps read: (folder of step 0 or None, folders of all, the last step's first,
    channel of those with several).

    Args:
        folders: of the steps, in order; each has a config.json, or none.
    """
    given, channel = [], 0
    for folder_of_step in reversed(folders):
        path = os.path.join(folder_of_step, 'config.json')
        made = files.read_json(path) if os.path.exists(path) else {}
        given += [(name, made[name]) for name in ('IMAGES', 'INPUT', 'STACKS') if made.get(name)]
        channel = channel or made.get('CHANNEL', 0)
    return dict(given).get('STACKS'), [value for _, value in given], channel


def _found(places, ending):
    """Files of the folders of figures, results and traces, each once, in this order."""
    folders = dict.fromkeys((places.output, places.results, places.traces))
    return [path for place in folders
            for path in sorted(glob.glob(os.path.join(glob.escape(place), '*' + ending)))]


def unlike(paths):
    """Files of unlike contents: dict from the first path of each to all paths of it."""
    first, found = {}, {}
    for path in paths:
        with open(path, 'rb') as file:
            digest = hashlib.sha1(file.read()).digest()
        found.setdefault(first.setdefault(digest, path), []).append(path)
    return found


def figure_files(places, order):
    """PNG figures, one of each name: (those of `order`, then others; those of single traces)."""
    images = {}
    for path in _found(places, '.png') + glob.glob(
            os.path.join(glob.escape(places.run_dir), 'curves.png')):
        images.setdefault(os.path.basename(path), path)
    rank = {name + '.png': k for k, name in enumerate(order)}
    single = [path for path in images.values() if os.path.dirname(path) == places.traces]
    return sorted(set(images.values()) - set(single), key=lambda path: (
        rank.get(os.path.basename(path), len(rank)), path)), single


def _text(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def pictures(paths, *, captions):
    """Figures as data URIs, as many as FIGURE_BYTES allow.

    Args:
        paths: PNG files, the most important first; captions: dict from a figure's name to words.

    Returns:
        (list of (caption, data URI), paths of the figures that did not fit).
    """
    shown, left_out, size = [], [], 0
    for path in paths:
        uri = gallery_slices.figure_uri(path, most_bytes=FIGURE)
        if size + len(uri) > FIGURE_BYTES:
            left_out.append(path)
            continue
        size += len(uri)
        shown.append((captions.get(stacks.name_of(path), path), uri))
    return shown, left_out


def facts(shown, scores):
    """Numbers at the head of the page: list of (number, words).

    Args:
        shown: Shown; scores: path of scores.csv of 4_reconstruction.py, may be missing.
    """
    found = []
    if shown.forests:
        units = {forest['unit'] for forest in shown.forests}
        length = sum(forest['length'] for forest in shown.forests)
        trees = sum(forest['trees'] for forest in shown.forests)
        found = [('%d' % len(shown.forests), 'stack%s traced' % ('s' * (len(shown.forests) > 1))),
                 ('%d' % trees, 'tree%s' % ('s' * (trees > 1)))]
        if units == {'um'}:
            found.append(('%.2f mm' % (length / 1000), 'of cable'))
        elif len(units) == 1:
            found.append(('{:,.0f}'.format(length), 'voxel widths of cable'))
    if os.path.exists(scores):
        with open(scores, newline='', encoding='utf-8') as file:
            rows = [row for row in csv.DictReader(file) if row.get('stack') == 'mean']
        if rows and rows[0].get('length_f1'):
            found.append(('%.3f' % float(rows[0]['length_f1']), 'length F1 with the gold standard'))
    return found
