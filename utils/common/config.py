"""Constants of a script: read from configs/, overridden on the command line.

A config file is plain Python made of UPPER_CASE constants, each with a trailing comment. A script
has one file of defaults, or several; `--config FILE` replaces any of them and `NAME=VALUE` any
single one.
"""
import ast
import difflib
import os
import runpy
import sys
from types import SimpleNamespace

from utils.common import usage
from utils.common.errors import ROOT, UserError
from utils.common.renamed import MOVED, RENAMED, updated
from utils.common.usage import read_comments

LONGEST = 60                         # characters of a value in a message


def rooted(path):
    """A path of the project's own, whatever folder a script is run in."""
    return os.path.join(ROOT, path)


# --- config files ---

def read_constants(path):
    """Run a config file; dict of its UPPER_CASE constants.

    Raises:
        UserError: if the file is missing or does not run.
    """
    if not os.path.isfile(path):
        raise UserError('no config file %s: give one with --config FILE' % path)
    try:
        names = runpy.run_path(path)
    except SystemExit:
        raise UserError('%s ends the script (exit): take that out, a config holds constants' % path)
    except MemoryError:
        raise
    except Exception as error:                       # whatever a user's own file may do wrong
        raise UserError('%s does not run as Python: %s' % (path, str(error).replace('\n', ' ')))
    return {name: value for name, value in names.items()
            if name.isupper() and not name.startswith('_')}


# --- values ---

# type of a default -> (types that may replace it, the words for them)
NUMBERS = {int: ((int,), 'a whole number'), float: ((int, float), 'a number')}


def parse_value(name, text, *, default, comment=''):
    """Read the text of a NAME=VALUE argument as the type of the constant that it replaces.

    Args:
        comment: of the constant. A text may become None if it says what None means ("None: ...").

    Returns:
        the value. A constant that is None stands for a text, one that is 'auto' for anything.

    Raises:
        UserError: if the text is not such a value.
    """
    if text == '' and default != '':
        raise UserError('%s= is empty: give a value%s' % (
            name, '' if default is None else ', such as %s' % (default,)))
    may_be_none = default is None or (isinstance(default, str) and 'None:' in comment)
    if text == 'None' and may_be_none:
        return None
    try:
        literal = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        literal = text
    if default is not None and (default == 'auto' or not isinstance(default, str)):
        _check_finite(name, literal, text=text)
    if default == 'auto':                            # the script checks what it may be
        return tuple(literal) if isinstance(literal, list) else literal
    if default is None or isinstance(default, str):
        return text
    if isinstance(default, bool):
        good, wanted = isinstance(literal, bool), 'True or False'
    elif isinstance(default, tuple):
        good = isinstance(literal, (tuple, list)) and len(literal) == len(default)
        if good:
            return tuple(parse_value(name, repr(v), default=d) for v, d in zip(literal, default))
        wanted = '%d values, such as %s' % (len(default), ','.join(map(str, default)))
    else:
        types, wanted = NUMBERS[type(default)]
        good = isinstance(literal, types) and not isinstance(literal, bool)
    if not good:
        raise UserError('%s=%s: want %s (the default is %r)' % (name, text[:LONGEST], wanted,
                                                                default))
    return type(default)(literal)


def _check_finite(name, value, *, text):
    """Raise UserError for numbers, also in a list, that are no finite number of 64 bits."""
    for number in value if isinstance(value, (tuple, list)) else (value,):
        whole, real = isinstance(number, int), isinstance(number, float)
        if whole and abs(number) >= 2 ** 63 or real and not abs(number) <= sys.float_info.max:
            raise UserError('%s=%s: want a finite number%s' % (
                name, text[:LONGEST], ' below 2^63' if whole else ''))


def restored(values, defaults, *, path):
    """Constants of a config.json: the defaults with its values, checked as those of a config are.

    Args:
        values: dict of config.json, at `path`; old names count as new ones.

    Raises:
        UserError: a value is of another kind than the constant.
    """
    known, values = dict(defaults), updated(values, defaults)
    for name in sorted(set(values) & set(defaults)):
        value, default = values[name], defaults[name]
        text = default is None or isinstance(default, str) and default != 'auto'
        if value is None and default is None:
            continue
        try:
            if text and not isinstance(value, str):
                raise UserError('%s=%s: want a text' % (name, value))
            known[name] = parse_value(name, value if isinstance(value, str) else repr(value),
                                      default=default)
        except UserError as error:
            raise UserError('%s: %s' % (path, error))
    return known


def _check_name(name, known, *, where, paths):
    """Raise UserError for a constant that none of the configs at `paths` knows.

    An old name is answered with the new one, a moved constant with its place.
    """
    if name in known:
        return
    renamed, moved = [{old: new for path in paths for old, new in table.get(path, {}).items()}
                      for table in (RENAMED, MOVED)]
    if name in renamed:
        hint = 'it is called %s now' % renamed[name]
    elif name in moved:
        hint = 'it is in %s now' % moved[name]
    else:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = 'did you mean %s?' % ' or '.join(close) if close else 'see --help for the names'
    raise UserError('%s: unknown constant %s: %s' % (where, name, hint))


def require(cfg, **ranges):
    """Check numbers, or every number of a tuple, against (lowest, highest); None: no limit.

    Raises:
        UserError: naming the first constant out of its range.
    """
    for name, (low, high) in ranges.items():
        value = getattr(cfg, name)
        for number in value if isinstance(value, tuple) else (value,):
            if (low is not None and number < low) or (high is not None and number > high):
                want = ('at least %g' % low if high is None else 'at most %g' % high if low is None
                        else 'from %g to %g' % (low, high))
                raise UserError('%s=%s: want %s' % (name, value, want))


# --- a script's constants ---

def read_defaults(*paths):
    """Constants of a script's configs, relative to the project's root: (values, comments), dicts.

    Raises:
        UserError: see read_constants.
    """
    values, comments = {}, {}
    for path in paths:
        values.update(read_constants(rooted(path)))
        comments.update(read_comments(rooted(path)))
    return values, comments


def load(defaults, argv, *, description=''):
    """Resolve a script's constants: defaults, then --config FILE, then NAME=VALUE.

    Args:
        defaults: the config with every constant, relative to the project's root, or several.
        argv: command line arguments without the script's name.
        description: shown by --help above the constants.

    Returns:
        SimpleNamespace with one attribute per constant.

    Raises:
        UserError: unknown constant, value of another type, or missing file.
        SystemExit: after --help.
    """
    paths = [defaults] if isinstance(defaults, str) else list(defaults)
    values, comments = read_defaults(*paths)
    known = dict(values)
    config_file, overrides, show_help = _parse_arguments(argv)

    def put(name, text, *, where):
        _check_name(name, known, where=where, paths=paths)
        values[name] = parse_value(name, text, default=known[name], comment=comments.get(name, ''))

    if config_file:
        for name, value in read_constants(config_file).items():
            text = value if isinstance(value, str) else repr(value)
            _check_finite(name, value, text=text)        # its text would be a word
            put(name, text, where=config_file)
    for name, text in overrides:
        put(name, text, where='command line')
    if show_help:
        groups = [group for path in paths for group in usage.read_groups(rooted(path))]
        print(usage.text(values, comments, groups=groups, description=description))
        raise SystemExit(0)
    return SimpleNamespace(**values)


def _parse_arguments(argv):
    """(config file or None, list of (name, text), whether help is asked for)."""
    argv, config_file, overrides, show_help = list(argv), None, [], False
    while argv:
        argument = argv.pop(0)
        if argument in ('-h', '--help'):
            show_help = True
        elif argument == '--config' or argument.startswith('--config='):
            config_file = argument[9:] if '=' in argument else (argv.pop(0) if argv else '')
            if not config_file:
                raise UserError('--config wants a file: --config configs/demo/mpgan.py')
            if not os.path.isfile(config_file) and os.path.isfile(rooted(config_file)):
                config_file = rooted(config_file)
        elif '=' in argument and not argument.startswith('-'):
            overrides.append(argument.split('=', 1))
        else:
            raise UserError('%s: arguments are --config FILE, NAME=VALUE or --help' % argument)
    return config_file, overrides, show_help


def pick(cfg, kind, *, prefix=''):
    """A group of settings: each field from the constant of its name in upper case.

    Args:
        cfg: of load; kind: NamedTuple class; prefix: of the constants' names, as 'AUGMENT_'.
    """
    return kind(**{field: getattr(cfg, prefix + field.upper()) for field in kind._fields})
