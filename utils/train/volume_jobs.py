"""Which inputs are walked by blocks, and the batch jobs of those."""
import os

from utils.common import batch
from utils.common.errors import UserError
from utils.data import hdf5, stacks, volumes
from utils.train import volume_steps
from utils.train.volume_runs import Run

STREAMED = 2 ** 28                   # voxels of an HDF5 stack that is walked by blocks


def is_streamed(path):
    """True for a volume that is walked by blocks; False for a stack that is read whole.

    OME-Zarr always is; chunked HDF5 from STREAMED voxels on.
    """
    if not volumes.is_volume(path):
        return False
    if not path.lower().endswith(hdf5.EXTENSIONS):
        return True
    try:
        with volumes.open_volume(path) as volume:
            return volume_steps.size_of(volume.shape) >= STREAMED
    except UserError:                        # reading it as a stack tells what is wrong
        return False


def make(job, network, *, dask=None):
    """Predict or refine a volume; finished blocks are kept.

    Args:
        job: volume_steps.Job; network: Segmenter or Refiner, opened; dask: None: this process does
            its share (all, or that of a task of a SLURM array); or a cluster.Cluster.

    Returns:
        a line that says what was done.

    Raises:
        UserError: see Run.
    """
    stacks.check_file(job.path)
    with Run(job, network) as run:
        run.set_up()
        if dask is None:
            run.share()
        else:
            dask.share(run)
        if not run.missing():
            run.finish()
        return run.report()


def batch_job(path, targets, *, network, how, settings, dask=None):
    """batch.Job of a volume.

    Args:
        path: of the volume; targets: paths of the results, see volume_steps.Job.
        network: Segmenter or Refiner; how: volume_steps.Network that opens it elsewhere.
        settings: volume_steps.Settings; dask: cluster.Cluster or None.
    """
    name = stacks.name_of(path)
    folder = os.path.join(os.path.dirname(targets[-1]), name + '.blocks')
    job = volume_steps.Job(path, tuple(targets), folder, how, settings)

    def finished():
        if not os.path.exists(os.path.join(folder, 'finished.json')):
            return False
        with Run(job, network) as run:
            return run.is_finished()

    return batch.Job(name, path, finished=finished,
                     make=lambda: make(job, network, dask=dask))
