"""What --help prints: the constants of a script's configs in their groups, with their comments."""
import ast
import io
import re
import shutil
import textwrap
import tokenize

WIDEST, NARROWEST = 120, 60              # columns of the help, whatever the terminal has
HEADING = re.compile(r'^# --- (.*?) ---$')
MOST_NAME = 44                           # columns of NAME = VALUE; a longer one has its own line


def read_comments(path):
    """Map each constant of a config file to its trailing comment, continuation lines joined."""
    with open(path, encoding='utf-8') as file:
        source = file.read()
    comment_at, indented = {}, set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            comment_at[line] = token.string.lstrip('# ').strip()
            if column > 0 and not token.line[:column].strip():
                indented.add(line)                   # a comment that goes on below its constant
    comments = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            line = _last_line(node)
            parts = [comment_at.get(line, '')]
            while line + 1 in indented:
                line += 1
                parts.append(comment_at[line])
            comments[node.targets[0].id] = ' '.join(part for part in parts if part)
    return comments


def _last_line(node):
    """Last line of a statement; Python 3.7's syntax trees know first lines alone."""
    known = [n.lineno for n in ast.walk(node) if hasattr(n, 'lineno')]
    return getattr(node, 'end_lineno', None) or max(known)


def read_groups(path):
    """Sections of a config file, `# --- losses ---`: list of (heading, names of its constants).

    Constants before the first section are under ''.
    """
    with open(path, encoding='utf-8') as file:
        lines = file.read().split('\n')
    found = enumerate(map(HEADING.match, lines))
    headings = [(k + 1, heading.group(1)) for k, heading in found if heading]
    groups = [('', [])] + [(heading, []) for _, heading in headings]
    for node in ast.parse('\n'.join(lines)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            above = sum(line < node.lineno for line, _ in headings)
            groups[above][1].append(node.targets[0].id)
    return [group for group in groups if group[1]]


def text(values, comments, *, groups, description):
    """The help of a script, in columns as wide as the terminal.

    Args:
        values: dict of the constants; comments: dict of their comments.
        groups: of read_groups, of all configs; description: of the script.
    """
    columns = min(max(shutil.get_terminal_size((100, 24)).columns, NARROWEST), WIDEST)
    width = min(max(len('%s = %r' % item) for item in values.items()), MOST_NAME, columns // 2)
    lines = [description.strip(), '', 'Constants (--config FILE replaces any, NAME=VALUE one):']
    for heading, names in groups:
        lines += ['', heading + ':'] if heading else ['']
        for name in names:
            lines += _entry('%s = %r' % (name, values[name]), comments.get(name, ''), width=width,
                            columns=columns)
    return '\n'.join(lines)


def _entry(setting, comment, *, width, columns):
    """Lines of a constant: NAME = VALUE on the left, its comment on the right."""
    right = textwrap.wrap(comment, columns - width - 4, break_long_words=False,
                          break_on_hyphens=False) or ['']
    if len(setting) > width:
        return ['  ' + setting] + ['  %s  %s' % (' ' * width, line) for line in right]
    left = [setting] + [''] * (len(right) - 1)
    return [('  %-*s  %s' % (width, *pair)).rstrip() for pair in zip(left, right)]
