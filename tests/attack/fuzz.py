"""The readers on damaged bytes: each has to return something sound or raise a UserError."""
import os
import resource
import shutil
import signal
import traceback

import numpy as np

from tests.attack import inputs, runner

LIMIT = 20                                   # seconds for one file
MEMORY = 6 << 30                             # bytes of address space of a fork that reads
AT_A_TIME = 25                               # files read by one fork
TOKENS = (b'\0', b'\xff', b'-1', b'nan', b'1e999', b'\x7f\xff\xff\xff', b'\xff\xff\xff\x7f', b'{',
          b'[', b'"', b'\n', b' ', b'9' * 20, b'None', b'null')


# --- damage ---

def mutate(data, rng):
    """Bytes with one to eight edits: bits, tokens, runs removed, doubled or zeroed, a cut."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if not data:
            break
        # headers matter most: half of the edits are in the first 512 bytes
        end = len(data) if rng.random() < 0.5 else min(len(data), 512)
        at, kind = int(rng.integers(end)), int(rng.integers(7))
        size = int(rng.integers(1, 65))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            token = TOKENS[int(rng.integers(len(TOKENS)))]
            data[at:at + len(token)] = token
        elif kind == 2:
            del data[at:at + size]
        elif kind == 3:
            data[at:at] = data[at:at + size]
        elif kind == 4:
            data[at:at + size] = bytes(len(data[at:at + size]))
        elif kind == 5:
            data[at:at + size] = rng.bytes(len(data[at:at + size]))
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


# --- readers: functions (path) that raise AssertionError where the result is not sound ---

def read_stack(path):
    """A stack is 3-D, of 8 or 16 bit, and has a size that is a number."""
    from utils.data import stacks
    stack = stacks.read(path)
    assert stack.voxels.ndim == 3 and stack.voxels.dtype in (np.uint8, np.uint16), 'another array'
    size = stack.voxel_size
    assert size is None or (len(size) == 3 and np.isfinite(size).all() and min(size) > 0), \
        'voxel size %s' % (size,)


def read_tree(path):
    """A tree is finite, its parents come first."""
    from utils.data import swc
    swc.check(swc.read(path), path, one_root=False)


def read_patches(path):
    """Patches are 4-D, of 8 or 16 bit, with corner and stack for each, and can be read."""
    from utils.data import patches
    file = patches.PatchFile(path, with_labels=True)
    assert file.image.ndim == 4 and file.dtype in (np.uint8, np.uint16), 'another array'
    assert len(file.source) == len(file.origin) == len(file.image), 'of unlike length'


def read_config(path):
    """Constants are as their defaults' types are."""
    from utils.common import config
    config.load('configs/simulator.py', ['--config', path])


def read_priors(path):
    """Priors are finite where the simulator draws from them."""
    from utils.simulate import priors
    values = priors.read(path)
    drawn = values['drawn']
    numbers = [drawn['density'], drawn['keep'], drawn['halo']] + list(drawn['radius_quantiles'])
    assert np.isfinite(np.array(numbers, float)).all(), 'not finite'
    assert (np.diff(drawn['radius_quantiles']) >= 0).all(), 'radii descend'


def read_json(path):
    """Any JSON."""
    from utils.common import files
    files.read_json(path)


def seeds(base, folder):
    """Valid files: list of (name, reader, bytes, extension)."""
    small = inputs.voxels(0, (12, 24, 24))
    made = []
    for kind, write in inputs.TIFFS.items():
        path = os.path.join(folder, kind + '.tif')
        write(path, small)
        made.append((kind + ' TIFF', read_stack, path))
    inputs.hdf5(os.path.join(folder, 'stack.h5'), volume=small)
    inputs.put(os.path.join(folder, 'a.v3draw'), inputs.vaa3d(small))
    inputs.put(os.path.join(folder, 'a.v3dpbd'),
               inputs.pbd(inputs.voxels(0, (12, 24, 24), dtype=np.uint8)))
    inputs.swc(os.path.join(folder, 'a.swc'))
    made += [(name, reader, os.path.join(folder, name)) for name, reader in (
        ('stack.h5', read_stack), ('a.v3draw', read_stack), ('a.v3dpbd', read_stack),
        ('a.swc', read_tree))]
    made += [('patches.h5', read_patches, os.path.join(base, 'data/simulated/patches.h5')),
             ('priors.json', read_priors, os.path.join(base, 'data/patches/priors.json')),
             ('config.json', read_json, os.path.join(base, 'data/patches/config.json')),
             ('simulator.py', read_config, os.path.join(runner.ROOT, 'configs/simulator.py'))]
    found = []
    for name, reader, path in made:
        with open(path, 'rb') as file:
            found.append((name, reader, file.read(), os.path.splitext(path)[1]))
    return found


# --- the run ---

def attempt(reader, path):
    """What reading a file has broken: a text, '' if it kept its promise."""
    from utils.common.errors import UserError
    try:
        reader(path)
    except UserError as error:
        return '' if '\n' not in str(error).strip() else 'an error of several lines'
    except MemoryError:                                      # a script makes one line of it
        return ''
    except AssertionError as error:
        return 'taken, but %s' % error
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return '%s: %s (%s:%d)' % (type(error).__name__, str(error).split('\n')[0][:100],
                                   os.path.basename(where.filename), where.lineno)
    return ''


def read_some(chosen, *, first, folder, seed):
    """In a fork: damage and read files number `first` on; a line for each, 'N what is broken'."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for i, (name, reader, data, ending) in enumerate(chosen, first):
        path = os.path.join(folder, 'case%d%s' % (i, ending))
        with open(path, 'wb') as file:
            file.write(mutate(data, np.random.default_rng([seed, i])))
        print('%d begun' % i, flush=True)
        signal.alarm(LIMIT)                      # ends this fork, whatever holds it up
        print('%d %s' % (i, attempt(reader, path)), flush=True)
        signal.alarm(0)
        os.remove(path)
    return 0


def run(report, *, base, folder, seed, count):
    """Read `count` damaged files; report: storm.Report.

    Every fork reads some; the file on which one crashes or hangs is named, and the next goes on
    behind it.
    """
    os.makedirs(folder)
    valid = seeds(base, os.path.join(folder, 'valid'))
    for name, reader, data, ending in valid:
        path = os.path.join(folder, 'whole' + ending)
        inputs.put(path, data)
        report.note('fuzz, %s as it is' % name, [_alone(reader, path)] if _alone(reader, path)
                    else [])
    at = 0
    while at < count:
        some = [valid[(at + i) % len(valid)] for i in range(min(AT_A_TIME, count - at))]
        outcome = runner.Process(
            lambda first=at, some=some: read_some(some, first=first, folder=folder, seed=seed),
            cwd=folder).wait(LIMIT * (1 + len(some)))
        at += _note(report, outcome, first=at, valid=valid, asked=len(some))
    shutil.rmtree(folder)


def _alone(reader, path):
    done = runner.Process(lambda: print(attempt(reader, path)) or 0, cwd='/').wait(LIMIT)
    return done.out.strip() if done.status == 0 else 'ended with %s' % done.status


def _note(report, outcome, *, first, valid, asked):
    """Note what a fork has said; how many files it is done with."""
    last = first - 1
    for line in outcome.out.splitlines():
        number, _, said = line.partition(' ')
        if not number.isdigit():
            continue
        last = int(number)
        if said and said != 'begun':
            report.note('fuzz %d, %s' % (last, valid[last % len(valid)][0]), [said])
    if outcome.status == 0:
        return asked
    last = max(last, first)
    hung = outcome.status in (None, -signal.SIGALRM)
    report.note('fuzz %d, %s' % (last, valid[last % len(valid)][0]), [
        'did not end in %d s' % LIMIT if hung else 'the process ended with %s' % outcome.status])
    return last - first + 1
