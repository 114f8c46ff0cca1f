"""Work shared among the tasks of a SLURM job array."""
import os

from utils.common.errors import UserError

# SLURM's variables and their defaults: this task's number, how many, the first number, the step
VARIABLES = (('SLURM_ARRAY_TASK_ID', ''), ('SLURM_ARRAY_TASK_COUNT', ''),
             ('SLURM_ARRAY_TASK_MIN', '0'), ('SLURM_ARRAY_TASK_STEP', '1'))


def shard(n):
    """Which of n pieces of work are this process's: all, or its share as a task of an array.

    Returns:
        list of int, in order. The shares of all tasks make the whole.

    Raises:
        UserError: if SLURM's variables hold no such numbers.
    """
    given = [(name, os.environ.get(name)) for name, _ in VARIABLES]
    if given[0][1] is None or given[1][1] is None:
        return list(range(n))
    try:
        task, count, first, step = [int(os.environ.get(name) or default)
                                    for name, default in VARIABLES]
        place = (task - first) // step % count           # tasks may be counted from 0 or from 1
    except (ValueError, ZeroDivisionError):
        raise UserError('%s: want whole numbers, as SLURM sets them' % ', '.join(
            '%s=%s' % pair for pair in given if pair[1] is not None))
    return list(range(place, n, count))
