"""Scripts run side by side, each once: what a folder of records says is done is not done again."""
import contextlib
import functools
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from concurrent import futures

from utils.common import config, files
from utils.common.errors import UserError


class Jobs:
    """Runs the project's scripts. Use as a context manager: it stops what runs when it ends.

    FOLDER/NAME.json holds what a script was run with and its seconds, FOLDER/NAME.log what it said.

    Attributes:
        seconds: kind of script -> list of seconds, of scripts that were done before, too.
    """

    def __init__(self, folder, *, workers, threads=1):
        """Args:
            folder: of records and logs; workers: scripts at a time.
            threads: of the libraries below NumPy, in each script; 0: all cores.
        """
        self.folder, self.stopping, self.running, self.begun = folder, False, [], []
        self.seconds, self.workers = OrderedDict(), workers
        self.environment = dict(os.environ, PYTHONPATH=config.ROOT)
        if threads:
            self.environment.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
        self.pool = futures.ThreadPoolExecutor(workers)

    def __enter__(self):
        self.before = signal.signal(signal.SIGTERM, _stop)
        return self

    def __exit__(self, *_):
        self.stopping = True
        for future in self.begun:
            future.cancel()
        for child in list(self.running):
            child.terminate()                    # a training saves its step
        self.pool.shutdown()
        signal.signal(signal.SIGTERM, self.before)

    def submit(self, function, *arguments, **settings):
        """Call a function as soon as a worker is free; returns a function () -> its result.

        With one worker it is called when its result is asked for, in this thread.
        """
        if self.workers == 1:
            return functools.partial(function, *arguments, **settings)
        future = self.pool.submit(function, *arguments, **settings)
        self.begun.append(future)
        return future.result

    def script(self, name, command, *, kind, constants, inputs, target):
        """Run a script, unless it was run so and its result is there.

        Args:
            name: of the job; kind: of script, what times are told by.
            command: list: the script, relative to the project's root, and its arguments.
            constants: dict of all that it is run with; inputs: texts that tell what it reads.
            target: path of its result.

        Returns:
            text that tells the job from any other.

        Raises:
            UserError: it fails; the end of what it said.
        """
        made = {'constants': constants, 'inputs': inputs}
        key = hashlib.sha1(files.to_json(made).encode()).hexdigest()
        record = os.path.join(self.folder, '%s.%s.json' % (name, kind))
        known = files.read_json(record) if os.path.exists(record) else {}
        if known.get('made_from') != key or not os.path.exists(target):
            started = time.time()
            self._run(name, command, log=record[:-len('json')] + 'log')
            known = {'made_from': key, 'seconds': time.time() - started}
            files.write_json(record, known)
            print('%s, %s: %.0f s' % (name, kind, known['seconds']))
        self.seconds.setdefault(kind, []).append(known['seconds'])
        return key

    def _run(self, name, command, *, log):
        if self.stopping:
            raise UserError('%s: stopped' % name)
        os.makedirs(self.folder, exist_ok=True)
        with open(log, 'w') as said:
            said.write('$ python %s\n' % ' '.join(command))
            said.flush()
            status = self.call([sys.executable, config.rooted(command[0])] + list(command[1:]),
                               stdout=said, stderr=subprocess.STDOUT, env=self.environment)
        if status:
            with open(log) as said:
                last = ([''] + said.read().strip().split('\n'))[-1]
            raise UserError('%s: %s failed: %s (%s)' % (name, command[0], last, log))

    def call(self, command, **options):
        """As subprocess.call, stopped with the rest."""
        child = subprocess.Popen(command, **options)
        self.running.append(child)
        with contextlib.ExitStack() as done:
            done.callback(self.running.remove, child)
            try:
                return child.wait()
            except BaseException:                    # it must not go on alone
                child.terminate()
                child.wait()
                raise

    def times(self):
        """A line for each kind of script: how many, and seconds of each."""
        return ['%s: %d, %.0f s each, %.0f s in all' % (
            kind, len(values), sum(values) / len(values), sum(values))
            for kind, values in self.seconds.items()]


def _stop(*_):
    raise KeyboardInterrupt('stopped: run the same command again to go on')
