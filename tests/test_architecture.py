"""The house: one direction of imports, no cycle, short functions, calls that read.

docs/architecture.md says it in words.
"""
import ast
import glob
import os
import re

import pytest
from conftest import ROOT

# folder of utils/ -> the folders that it may import; models/ imports nothing of utils/
MAY_IMPORT = {
    'common': set(),
    'data': {'common'},
    'measure': {'common', 'data'},
    'simulate': {'common', 'data', 'measure'},
    'trace': {'common', 'data', 'measure'},
    'score': {'common', 'data', 'measure'},
    'draw': {'common', 'data', 'measure'},
    'train': {'common', 'data', 'measure', 'score', 'draw', 'models'},
    'run': {'common', 'data', 'measure', 'score', 'draw'},       # it starts the scripts
    'models': set(),
}
LONGEST, WIDEST, BY_POSITION = 50, 8, 2      # lines of a function; parameters; of them by position
EXCUSE = '# long on purpose:'                # beside a function's def, with the reason
MOST_EXCUSES = 5
ANY_NUMBER = {'script', 'run_script'}      # functions of other modules that take any number


def sources(*patterns):
    """Paths of the project's own files, relative to its root."""
    found = [path for pattern in patterns
             for path in glob.glob(os.path.join(ROOT, pattern), recursive=True)]
    return sorted(os.path.relpath(path, ROOT) for path in found)


CODE = sources('*.py', 'models/*.py', 'utils/**/*.py', 'tests/benchmarks/*.py')
TESTS = sources('tests/*.py')


def parse(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        text = file.read()
    return text, ast.parse(text)


def module_of(path):
    """'utils.data.stacks' of utils/data/stacks.py; 'utils.data' of its __init__.py."""
    name = path[:-3].replace(os.sep, '.')
    return name[:-len('.__init__')] if name.endswith('.__init__') else name


MODULES = {module_of(path): path for path in CODE}


def imports(path):
    """Names of the modules that a file imports: the project's by module, others by package."""
    found = set()
    for node in ast.walk(parse(path)[1]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = {node.module + '.' + alias.name for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole}
    return found


def folder(module):
    """'data' of utils.data.stacks, 'models' of models.gan, None of other people's."""
    parts = module.split('.')
    if parts[0] == 'models':
        return 'models'
    return parts[1] if parts[0] == 'utils' and len(parts) > 1 else None


@pytest.mark.parametrize('path', [p for p in CODE if p.startswith(('utils', 'models'))])
def test_imports_go_one_way(path):
    here = folder(module_of(path))
    if here is None:                         # utils/__init__.py
        return
    for name in imports(path):
        there = folder(name)
        assert there in (None, here) or there in MAY_IMPORT[here], '%s imports %s' % (path, name)
        if name.split('.')[0] == 'tensorflow':
            assert here in ('models', 'train'), '%s imports TensorFlow' % path


def test_no_module_imports_itself_by_a_detour():
    arrows = {name: {other for other in imports(path) if other in MODULES and other != name}
              for name, path in MODULES.items() if name.startswith(('utils.', 'models.'))}
    waiting = dict(arrows)
    while waiting:
        free = [name for name, others in waiting.items() if not others & set(waiting)]
        assert free, 'a cycle among %s' % sorted(waiting)
        for name in free:
            del waiting[name]


@pytest.mark.parametrize('path', [p for p in CODE if p.startswith('utils')])
def test_only_scripts_read_configs(path):
    if path.endswith('__main__.py'):         # a script that -m runs
        return
    text, tree = parse(path)
    assert 'configs/' not in re.sub(r'""".*?"""|#.*', '', text, flags=re.S) \
        or path == os.path.join('utils', 'common', 'renamed.py')
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            assert node.arg != 'cfg' or path == os.path.join('utils', 'common', 'config.py'), \
                '%s:%d is handed a whole config' % (path, node.lineno)


def test_numbered_scripts_are_thin():
    for path in sources('*.py'):
        assert len(parse(path)[0].splitlines()) <= 185, path


def functions(path):
    """(node, excused) of every function of a file."""
    text, tree = parse(path)
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node, EXCUSE in lines[node.lineno - 2] + lines[node.lineno - 1]


def last_line(node):
    """Python 3.7's syntax trees know first lines alone: of the last statement."""
    return max(getattr(n, 'end_lineno', None) or n.lineno
               for n in ast.walk(node) if hasattr(n, 'lineno'))


def test_functions_are_short_and_excuses_few():
    excuses = []
    for path in CODE + TESTS:
        for node, excused in functions(path):
            length = last_line(node) - node.lineno + 1
            if excused:
                excuses.append('%s:%d' % (path, node.lineno))
            else:
                assert length <= LONGEST, '%s:%d %s is %d lines' % (path, node.lineno, node.name,
                                                                   length)
    assert len(excuses) <= MOST_EXCUSES, excuses


@pytest.mark.parametrize('path', CODE)
def test_signatures_read(path):
    """At most two parameters by position (besides self), about seven in all."""
    for node, _ in functions(path):
        names = [a.arg for a in node.args.args if a.arg not in ('self', 'cls')]
        where = '%s:%d %s' % (path, node.lineno, node.name)
        assert len(names) <= BY_POSITION, where
        assert len(names) + len(node.args.kwonlyargs) <= WIDEST, where


@pytest.mark.parametrize('path', CODE + TESTS)
def test_calls_of_our_own_functions_read(path):
    """No more than three arguments by position, but of functions that take any number.

    Constructors of named tuples (swc.Tree) are told by their capital.
    """
    tree = parse(path)[1]
    any_number = {node.name for node in ast.walk(tree)
                  if isinstance(node, ast.FunctionDef) and node.args.vararg}
    own = {alias.asname or alias.name for node in ast.walk(tree)
           if isinstance(node, ast.ImportFrom) and node.module.split('.')[0] in ('utils', 'models')
           for alias in node.names} - {'tf'}
    own |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            root = node.func.value if isinstance(node.func, ast.Attribute) else node.func
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if name[0].isupper() or name in any_number | ANY_NUMBER:
                continue
            if isinstance(root, ast.Name) and root.id in own:
                assert len(node.args) <= 3, '%s:%d' % (path, node.lineno)


@pytest.mark.parametrize('path', [p for p in CODE if p.startswith(('utils', 'models'))])
def test_modules_and_public_functions_have_docstrings(path):
    tree = parse(path)[1]
    assert ast.get_docstring(tree), path
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith('_') \
                and node.name != 'main':
            assert ast.get_docstring(node), '%s:%d %s' % (path, node.lineno, node.name)
