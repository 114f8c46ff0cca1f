"""Constants of a script: read from configs/, overridden on the command line, saved beside the results.

A config file is plain Python made of UPPER_CASE constants, each with a trailing comment. A script
has one file of defaults; `--config FILE` replaces any of them and `NAME=VALUE` any single one.
"""
import ast
import contextlib
import difflib
import io
import json
import os
import platform
import runpy
import shlex
import sys
import tokenize
from types import SimpleNamespace

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class UserError(ValueError):
    """Bad input or settings. The message is one line: what is wrong, in which file, and the cure."""


def read_constants(path):
    """Run a config file and return its UPPER_CASE constants.

    Raises:
        UserError: if the file is missing or does not run.
    """
    if not os.path.isfile(path):
        raise UserError('no config file %s: give one with --config FILE' % path)
    try:
        names = runpy.run_path(path)
    except Exception as error:                       # whatever a user's own file may do wrong
        raise UserError('%s does not run as Python: %s' % (path, str(error).replace('\n', ' ')))
    return {name: value for name, value in names.items() if name.isupper() and not name.startswith('_')}


def rooted(path):
    """A path of the project's own, whatever folder a script is run in."""
    return os.path.join(ROOT, path)


def read_comments(path):
    """Map each constant of a config file to its trailing comment, continuation lines joined."""
    with open(path, encoding='utf-8') as file:
        source = file.read()
    comment_at, own_line = {}, set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comment_at[token.start[0]] = token.string.lstrip('# ').strip()
            if not token.line[:token.start[1]].strip():
                own_line.add((token.start[0], token.start[1]))
    indented = {line for line, column in own_line if column > 0}
    comments = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            line = getattr(node, 'end_lineno', None) or max(
                (n.lineno for n in ast.walk(node) if hasattr(n, 'lineno')), default=node.lineno)
            parts = [comment_at.get(line, '')]
            while line + 1 in indented:              # a comment that goes on below, indented
                line += 1
                parts.append(comment_at[line])
            comments[node.targets[0].id] = ' '.join(part for part in parts if part)
    return comments


def parse_value(name, text, default, comment=''):
    """Read the text of a NAME=VALUE argument as the type of the constant that it replaces.

    A text constant may be None if its comment says what None means. One that is 'auto' may be anything else.

    Raises:
        UserError: if the text is not such a value.
    """
    if default is None:                              # None stands for a text that is not given
        return None if text == 'None' else text
    try:
        literal = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        literal = text
    if default == 'auto':                            # or a number, or several, or a word, as the script checks
        return tuple(literal) if isinstance(literal, list) else literal
    wanted = type(default).__name__
    if isinstance(default, str):
        return None if text == 'None' and 'None:' in comment else text
    if isinstance(default, bool):
        if isinstance(literal, bool):
            return literal
        wanted = 'True or False'
    elif isinstance(default, int):
        if isinstance(literal, int) and not isinstance(literal, bool):
            return literal
        wanted = 'a whole number'
    elif isinstance(default, float):
        if isinstance(literal, (int, float)) and not isinstance(literal, bool):
            return float(literal)
        wanted = 'a number'
    elif isinstance(default, tuple):
        if isinstance(literal, (tuple, list)) and (len(literal) == len(default)):
            return tuple(parse_value(name, repr(v), d) for v, d in zip(literal, default))
        wanted = '%d values, such as %s' % (len(default), ','.join(map(str, default)))
    raise UserError('%s=%s: want %s (the default is %r)' % (name, text, wanted, default))


def _check_name(name, known, where):
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = 'did you mean %s?' % ' or '.join(close) if close else 'see --help for the names'
        raise UserError('%s: unknown constant %s: %s' % (where, name, hint))


def load(default_path, argv, description=''):
    """Resolve a script's constants: defaults, then --config FILE, then NAME=VALUE.

    Args:
        default_path: the config with every constant, relative to the project's root.
        argv: command line arguments without the script's name.
        description: shown by --help above the constants.

    Returns:
        SimpleNamespace with one attribute per constant.

    Raises:
        UserError: unknown constant, value of another type, or missing file.
        SystemExit: after --help.
    """
    path = os.path.join(ROOT, default_path)
    values = read_constants(path)
    defaults = dict(values)
    comments = read_comments(path)
    overrides, argv = [], list(argv)
    config_file = None
    show_help = False
    while argv:
        argument = argv.pop(0)
        if argument in ('-h', '--help'):
            show_help = True
        elif argument == '--config' or argument.startswith('--config='):
            config_file = argument[9:] if '=' in argument else (argv.pop(0) if argv else '')
            if not config_file:
                raise UserError('--config wants a file: --config configs/demo/mpgan.py')
        elif '=' in argument and not argument.startswith('-'):
            overrides.append(argument.split('=', 1))
        else:
            raise UserError('%s: arguments are --config FILE, NAME=VALUE or --help' % argument)
    if config_file:
        if not os.path.isfile(config_file) and os.path.isfile(os.path.join(ROOT, config_file)):
            config_file = os.path.join(ROOT, config_file)
        for name, value in read_constants(config_file).items():
            _check_name(name, values, config_file)
            values[name] = value if defaults[name] is None else parse_value(
                name, value if isinstance(value, str) else repr(value), defaults[name], comments.get(name, ''))
    for name, text in overrides:
        _check_name(name, values, 'command line')
        values[name] = parse_value(name, text, defaults[name], comments.get(name, ''))
    if show_help:
        print(help_text(values, comments, description))
        raise SystemExit(0)
    return SimpleNamespace(**values)


def require(cfg, **ranges):
    """Check numbers, or every number of a tuple, against (lowest, highest), either None for no limit.

    Raises:
        UserError: naming the first constant out of its range.
    """
    for name, (low, high) in ranges.items():
        value = getattr(cfg, name)
        for number in value if isinstance(value, tuple) else (value,):
            if (low is not None and number < low) or (high is not None and number > high):
                raise UserError('%s=%s: want %s' % (name, value, 'at least %g' % low if high is None else
                                                    'from %g to %g' % (low, high)))


def help_text(values, comments, description):
    """The constants, their values and their comments, one a line."""
    width = max(len('%s = %r' % item) for item in values.items())
    lines = [description.strip(), '', 'Constants (--config FILE replaces any, NAME=VALUE one):']
    lines += ['  %-*s  %s' % (min(width, 48), '%s = %r' % (name, value), comments.get(name, ''))
              for name, value in values.items()]
    return '\n'.join(lines)


@contextlib.contextmanager
def whole_file(path):
    """Yield a temporary name beside `path` and rename it to `path` only if the block ends well."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    stem, extension = os.path.splitext(path)
    # the machine's name: shares of a job array write to one disk; the extension tells writers the format
    partial = '%s.%s.%d.partial%s' % (stem, platform.node(), os.getpid(), extension)
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise UserError('%s cannot be written: %s' % (path, error.strerror or error))
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def write_json(path, values):
    """Write a dictionary as JSON, whole or not at all."""
    with whole_file(path) as partial:
        with open(partial, 'w') as file:
            json.dump(values, file, indent=1, sort_keys=True, default=list)
            file.write('\n')


def to_json(values):
    """JSON text of a dictionary, keys in order."""
    return json.dumps(values, sort_keys=True, default=list)


def from_json(text):
    """Dictionary of a JSON text."""
    return json.loads(text)


def read_json(path):
    """Read a JSON file.

    Raises:
        UserError: if it is missing or not JSON.
    """
    try:
        with open(path) as file:
            return json.load(file)
    except OSError:
        raise UserError('no file %s' % path)
    except ValueError:
        raise UserError('%s is not valid JSON: remove it and make it anew' % path)


def claim(folder, settings, free=(), overwrite=False,
          cure='give another OUTPUT folder, or OVERWRITE=True to redo it'):
    """Save the resolved constants and the command beside their results, or refuse a folder made with other ones.

    Args:
        folder: of the results; made if missing.
        settings: dictionary of constants.
        free: names that may differ between runs into one folder (number of stacks, workers, ...).
        overwrite: accept other settings; what was made with the old ones is then stale.
        cure: end of the error's line.

    Raises:
        UserError: if a constant that shapes the results differs and `overwrite` is off.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, 'config.json')
    now = from_json(to_json(settings))
    if os.path.exists(path):
        before = read_json(path)
        changed = sorted(name for name in set(before) | set(now)
                         if name not in free and before.get(name) != now.get(name))
        if changed and not overwrite:
            raise UserError('%s was made with other settings (%s): %s'
                            % (folder, ', '.join('%s %r -> %r' % (n, before.get(n), now.get(n)) for n in changed), cure))
    with whole_file(os.path.join(folder, 'command.txt')) as partial:
        with open(partial, 'w') as file:
            file.write(command() + '\n')
    if not os.path.exists(path) or before != now:
        write_json(path, now)


def command():
    """The command line that started this process, with the script's path from the project's folder."""
    script = os.path.realpath(sys.argv[0])
    start = [script]
    if script.startswith(ROOT + os.sep):
        start = [os.path.relpath(script, ROOT)]
        if os.sep in start[0]:                           # a module of utils/, run by -m
            start = ['-m', os.path.splitext(start[0])[0].replace(os.sep, '.')]
    return ' '.join(shlex.quote(part) for part in ['python'] + start + sys.argv[1:])


def remove(path):
    """Remove a file that may be gone already."""
    try:
        os.remove(path)
    except FileNotFoundError:
        pass


def shard(n):
    """Which of n pieces of work are this process's: all, or its share as a task of a SLURM job array.

    Returns:
        list of int, in order. The shares of all tasks (SLURM_ARRAY_TASK_ID, of SLURM_ARRAY_TASK_COUNT) make the whole.

    Raises:
        UserError: if the variables hold no such numbers.
    """
    names = 'SLURM_ARRAY_TASK_ID', 'SLURM_ARRAY_TASK_COUNT', 'SLURM_ARRAY_TASK_MIN', 'SLURM_ARRAY_TASK_STEP'
    texts = [os.environ.get(name) for name in names]
    if texts[0] is None or texts[1] is None:
        return list(range(n))
    try:
        task, count, first, step = [int(text or default) for text, default in zip(texts, ('', '', 0, 1))]
        place = (task - first) // step % count           # tasks may be counted from 0 or from 1
    except (ValueError, ZeroDivisionError):
        raise UserError('%s: want whole numbers, as SLURM sets them'
                        % ', '.join('%s=%s' % pair for pair in zip(names, texts) if pair[1] is not None))
    return list(range(place, n, count))


def run(main):
    """Call a script's main(); turn bad input and full disks into one line and exit status 1."""
    sys.stdout.reconfigure(line_buffering=True)      # progress shows in a log as it happens
    try:
        status = main()
    except UserError as error:
        status = 'error: %s' % error
    except KeyboardInterrupt as stop:
        status = str(stop) or 'stopped: run the same command again to go on'
    except BrokenPipeError:                          # the reader, head or less, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        status = 'error: %s: %s' % (error.filename or 'file', error.strerror or error)
    except MemoryError:
        status = 'error: not enough memory: take smaller stacks, tiles or batches, or fewer workers'
    if isinstance(status, str):
        print(status, file=sys.stderr)
        raise SystemExit(1)
    raise SystemExit(status or 0)
