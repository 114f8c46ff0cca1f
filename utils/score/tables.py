"""Tables of results as Markdown and CSV."""
import csv
import os

import numpy as np

from utils.common import files


def markdown(rows, columns, *, corner='', form='%.3f'):
    """A Markdown table.

    Args:
        rows: list of (name, dict by column); numbers are written by `form`, NaN stays blank,
            text stands as it is.
        columns: names, in order, or a dict of names and their headings.
        corner: heading of the names.

    Returns:
        text, one line a row, each ended.
    """
    headings = columns.values() if isinstance(columns, dict) else columns
    lines = [['---'] * (1 + len(columns))]
    lines += [[name] + [cell(values[column], form) for column in columns]
              for name, values in rows]
    head = '| %s| %s |\n' % (corner and corner + ' ', ' | '.join(headings))
    return head + ''.join('| %s |\n' % ' | '.join(line) for line in lines)


def cell(value, form='%.3f'):
    """A number by `form`, '' for NaN; text as it is."""
    if isinstance(value, str):
        return value
    return '' if np.isnan(value) else form % value


def spread(values, form='%.3f'):
    """'mean +- standard deviation' of repeated measurements, the mean alone of one; text."""
    values = np.asarray(values, float)
    text = form % values.mean()
    return text + ' +- ' + form % values.std(ddof=1) if len(values) > 1 else text


def write_csv(path, rows, *, columns, form='%.5f'):
    """Write a CSV file, whole or not at all.

    Args:
        rows: dicts by column; floats are written by `form`, whole numbers and text as they are.
        columns: names, in order; the first line.
    """
    with files.whole_file(path) as partial:
        with open(partial, 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in rows:
                values = [row[column] for column in columns]
                writer.writerow([form % v if isinstance(v, (float, np.floating)) else v
                                 for v in values])


def write_comparison(folder, rows, *, measures, regions, title):
    """Write segmentation.csv, a row per training, and segmentation.md, a row per arm and region.

    Args:
        rows: dicts of measures, arm, seed and region.
        measures: dict, measure -> its heading. A Betti number is written with one decimal.
        regions: dict, region -> what it holds, in words; the order of the tables.
        title: first line of segmentation.md.

    Returns:
        the Markdown text, means and standard deviations over the seeds.
    """
    rows = sorted(rows, key=lambda row: list(regions).index(row['region']))
    write_csv(os.path.join(folder, 'segmentation.csv'), rows,
              columns=['region', 'arm', 'seed'] + list(measures))
    text = title + '\n'
    for region, words in regions.items():
        here = [row for row in rows if row['region'] == region]
        text += '\nOn %s:\n\n' % words + markdown(
            [(arm, {m: spread([row[m] for row in here if row['arm'] == arm],
                              '%.1f' if m == 'betti0' else '%.3f') for m in measures})
             for arm in dict.fromkeys(row['arm'] for row in here)], measures, corner='arm')
    files.write_text(os.path.join(folder, 'segmentation.md'), text)
    return text
