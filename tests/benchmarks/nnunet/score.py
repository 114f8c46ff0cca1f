"""Score a mask of any program against labels, as the tables of docs/results.md.

Run     python tests/benchmarks/nnunet/score.py mask.tif labels.tif
"""
import os
import sys

sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..')))

from utils.data import stacks                                   # noqa: E402
from utils.score import masks                                   # noqa: E402

SHOWN = 'dice', 'precision', 'recall', 'f1_1', 'cldice'


def main():
    found = stacks.read(sys.argv[1]).voxels
    values = masks.score(found, masks.read_annotation(sys.argv[2], found.shape), threshold=1)
    print(', '.join('%s %.3f' % (masks.HEADINGS[name], values[name]) for name in SHOWN))


if __name__ == '__main__':
    main()
