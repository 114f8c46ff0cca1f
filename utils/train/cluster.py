"""Blocks of a volume shared among the workers of a Dask cluster (docs/cluster.md); optional.

Each worker process opens the network once, and walks over a few consecutive blocks at a time with
its own threads for reading and writing. Records and locks are those of volume_runs.
"""
import contextlib
import logging
import multiprocessing
import os
import threading

from utils.common.errors import UserError
from utils.train import volume_runs

SHARE = 8                # blocks that a worker takes at a time
ROUNDS = 3               # times that blocks are handed out which a lost worker has held
WAIT = 60                # seconds for a scheduler to answer, and for workers to end
LOCAL = 'local'          # in place of an address: processes of this machine
CURE = ('start the workers with the same Python and PYTHONPATH as this script, in a folder that '
        'they share (docs/cluster.md)')
_alone = threading.Lock()            # one piece at a time in a worker, whatever its threads
_networks = {}                       # of a worker: volume_steps.Network -> Segmenter or Refiner


@contextlib.contextmanager
def opened(address, *, workers=0):
    """Yield a Cluster, or None.

    Args:
        address: None: no cluster; of a Dask scheduler; or 'local'.
        workers: processes of a local cluster; 0: one per core.

    Raises:
        UserError: dask.distributed is not installed; no scheduler at the address.
    """
    if address is None:
        yield None
        return
    try:
        import distributed
    except ImportError:
        raise UserError('DASK=%s wants dask.distributed: pip install -r requirements-dask.txt'
                        % address)
    workers = workers or multiprocessing.cpu_count()
    for name in list(logging.root.manager.loggerDict):           # lost workers are told below
        if name.split('.')[0] in ('distributed', 'tornado'):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            cluster = distributed.LocalCluster(workers, threads_per_worker=1, processes=True,
                                               dashboard_address=None)
            stack.callback(_close, cluster)
        try:
            client = distributed.Client(cluster if address == LOCAL else address, timeout=WAIT)
        except (OSError, ValueError) as error:
            raise UserError('DASK=%s: no scheduler answers there (%s): give the address that dask '
                            'scheduler prints' % (address, error or 'it took too long'))
        stack.callback(_close, client)
        yield Cluster(client, threads=max(1, multiprocessing.cpu_count() // workers)
                      if address == LOCAL else 0)


def _close(opened):
    """Close a client or a local cluster. The work is done: that a busy machine is slow is no error.
    """
    try:
        opened.close(timeout=WAIT)
    except Exception:                    # of several libraries, some without a common base
        pass


class Cluster:
    """The workers of a Dask cluster."""

    def __init__(self, client, *, threads=0):
        """Args:
            client: distributed.Client; threads: of TensorFlow in each worker, where the job does
                not say; 0: all cores of its machine.
        """
        self.client, self.threads = client, threads

    def share(self, run):
        """Have the workers do the unfinished blocks of a volume_runs.Run, step by step.

        Raises:
            UserError: of a worker; workers that end again and again.
        """
        job = absolute(run.job)
        threads = job.network.threads or self.threads
        job = job._replace(network=job.network._replace(threads=threads))
        for index in range(len(run.steps)):
            for _ in range(ROUNDS):
                numbers = run.open_blocks(index)
                if not numbers:
                    break
                self._round(run, job, index=index, numbers=numbers)

    def _round(self, run, job, *, index, numbers):
        """Hand out blocks of a step, and wait for them."""
        import distributed
        futures = [self.client.submit(work, job, index, numbers=numbers[i:i + SHARE], pure=False)
                   for i in range(0, len(numbers), SHARE)]
        try:
            for future in distributed.as_completed(futures):
                figures, made = future.result()
                run.clock.add(figures)
                run.made += made
                future.release()
        except distributed.KilledWorker:
            raise UserError('%s: workers of the Dask cluster end while they work on it, as happens '
                            'when memory runs out: give them more, and run the same command again; '
                            'finished blocks are kept' % run.job.path)
        except ImportError as error:
            raise UserError('the workers of the Dask cluster lack %s: %s' % (error.name, CURE))
        finally:
            self.client.cancel(futures)


def absolute(job):
    """A volume_steps.Job whose paths hold in any folder; addresses stay."""
    def path(given):
        return given if '://' in given else os.path.abspath(given)

    return job._replace(
        path=path(job.path), targets=tuple(map(path, job.targets)), folder=path(job.folder),
        network=job.network._replace(run_dir=path(job.network.run_dir)))


def work(job, index, *, numbers):
    """Do some blocks of a step, in a worker.

    Args:
        job: volume_steps.Job; index: of the step; numbers: of the blocks.

    Returns:
        (figures of pipeline.Clock, blocks that were done here).
    """
    with _alone:
        if job.network not in _networks:
            _networks.clear()
            _networks[job.network] = job.network.open()
        with volume_runs.Run(job, _networks[job.network]) as run:
            if not run.join():
                raise UserError('%s: %s' % (job.folder, CURE))
            run.walk(index, numbers)
            return run.clock.figures, run.made
