"""Work shared among the tasks of a SLURM job array."""
import os

from utils.common.errors import UserError


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
