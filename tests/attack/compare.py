"""What files hold, for telling whether a run left the same as another one."""
import csv
import hashlib
import json
import os
import re

import h5py
import numpy as np

from tests.attack import runner

# files of no promise: the command, TensorBoard's events, pictures of the run's own seconds
PASSING = ('command.txt', 'config.json', 'made_from.json', '.png', '.bad', '.lock')
# temporary files and checkpoints; a result may be named after a stack brain.s1.3.partial.tif
PARTIAL = re.compile(r'\.mpgan-|step-\d+(\.old)?\.partial|(?<!\d)\.partial')


def files_in(folder):
    """Paths of all files below a folder, relative to it, sorted; links are not followed."""
    found = []
    for place, _, names in os.walk(str(folder)):
        found += [os.path.relpath(os.path.join(place, name), str(folder)) for name in names]
    return sorted(found)


def bytes_in(folder):
    """Path -> SHA-1 of the bytes, of every plain file below a folder; links by where they lead."""
    found = {}
    for path in files_in(folder):
        whole = os.path.join(str(folder), path)
        if os.path.islink(whole):
            found[path] = 'link to ' + os.readlink(whole)
        elif os.path.isfile(whole):
            with open(whole, 'rb') as file:
                found[path] = hashlib.sha1(file.read()).hexdigest()
    return found


def lost(before, folder):
    """Files that are gone or changed since `before`, of bytes_in; list of paths."""
    now = bytes_in(folder)
    return [path for path in sorted(before) if now.get(path) != before[path]]


def leftovers(folder):
    """Temporary files below a folder; list of paths."""
    return [path for path in files_in(folder) if PARTIAL.search(path)]


# --- what results hold ---

def results(folder):
    """Path -> digest of what each result below a folder holds.

    Stacks, labels, SWC and priors by their bytes, patch files by their data, log.csv without its
    seconds, weights by their arrays. Parts and records name times of files: left out.
    """
    found = {}
    for path in files_in(folder):
        whole, name = os.path.join(str(folder), path), os.path.basename(path)
        places = path.split(os.sep)
        passing = name.endswith(PASSING) or PARTIAL.search(path)
        if passing or 'parts' in places or 'events' in places:
            continue
        if 'checkpoints' in places:
            if name.endswith('.index'):
                found[path] = _weights(whole[:-len('.index')])
        elif name.endswith('.h5'):
            found[path] = _patches(whole)
        elif name == 'log.csv':
            found[path] = _log(whole)
        else:
            with open(whole, 'rb') as file:
                found[path] = hashlib.sha1(file.read()).hexdigest()
    return found


def unequal(one, other):
    """Paths whose digests differ or that one of two `results` alone has."""
    return sorted(path for path in set(one) | set(other) if one.get(path) != other.get(path))


def _patches(path):
    digest = hashlib.sha1()
    with h5py.File(path, 'r') as file:
        for name in sorted(file):
            values = file[name][()]
            digest.update(name.encode() + str((values.shape, values.dtype)).encode())
            digest.update(repr(values.tolist()).encode() if values.dtype.kind == 'O'
                          else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _log(path):
    with open(path, newline='') as file:
        rows = list(csv.reader(file))
    at = rows[0].index('seconds') if rows and 'seconds' in rows[0] else None
    kept = [[v for i, v in enumerate(row) if i != at] for row in rows]
    return hashlib.sha1(json.dumps(kept).encode()).hexdigest()


def _weights(prefix):
    """Digest of a checkpoint's arrays, read in a fork: this process stays free of TensorFlow's."""
    def read():
        from models import tf
        reader, digest = tf.train.NewCheckpointReader(prefix), hashlib.sha1()
        for name in sorted(reader.get_variable_to_shape_map()):
            digest.update(name.encode() + np.asarray(reader.get_tensor(name)).tobytes())
        print(digest.hexdigest())
        return 0
    done = runner.Process(read, cwd=os.getcwd()).wait()
    return done.out.strip() or 'unreadable: ' + done.err.strip().split('\n')[-1]
