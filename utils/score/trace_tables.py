"""Tables of the scores of traces: scores.csv and scores.md."""
import os

from utils.common import files
from utils.score import tables, traces


def write(folder, rows):
    """Write scores.csv and scores.md: a row for each stack, and their mean.

    A score that is not there is blank, and a remark says why: in the column `remarks` of the one,
    below the table of the other.

    Args:
        rows: list of (name of the stack, traces.Scores).

    Returns:
        text, the table and the remarks.
    """
    mean = traces.mean([found.values for _, found in rows])
    named = [(name, found.values) for name, found in rows] + [('mean', mean)]
    remarks = dict((name, '; '.join(found.remarks)) for name, found in rows)
    tables.write_csv(os.path.join(folder, 'scores.csv'),
                     [dict(values, stack=name, remarks=remarks.get(name, ''))
                      for name, values in named],
                     columns=('stack',) + traces.COLUMNS + ('remarks',), form='%.6g')
    text = tables.markdown(named, traces.COLUMNS)
    lines = ['- %s: %s' % (name, remark) for name, found in rows for remark in found.remarks]
    if lines:
        text += '\n' + '\n'.join(lines) + '\n'
    files.write_text(os.path.join(folder, 'scores.md'), text + '\n' + ''.join(
        '- `%s`: %s\n' % item for item in traces.MEANING.items()))
    return text
