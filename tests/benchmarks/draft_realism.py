"""How far drafts are from TRAILMAP's stack, with measured priors and with the paper's constants.

The same segmentation, patches and measurements for all. Beside it stands the distance of the real
stack's own halves (mean over the three axes to halve it along): no simulator can go below.
Needs ../shared/data; without it, prints so and ends.
"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

import numpy as np                          # noqa: E402

from utils.common import config             # noqa: E402
from utils.data import stacks               # noqa: E402
from utils.measure import otsu              # noqa: E402
from utils.score import samples, tables     # noqa: E402

STACK = os.path.join(ROOT, '..', 'shared', 'data', 'trailmap', 'axons_303x303x303.tif')
N_STACKS = 4                                # drafts of each kind


def run(*arguments):
    """Run a script without its lines."""
    subprocess.run([sys.executable] + list(arguments), check=True, cwd=ROOT,
                   stdout=subprocess.DEVNULL)


def draw(folder):
    """Prepare the stack and draw drafts of both kinds; dict from kind to folder of images."""
    made = os.path.join(folder, 'patches')
    run('prepare_patches.py', 'STACKS=' + STACK, 'OUTPUT=' + made)
    folders = {}
    for name, prior, size in (
            ('measured priors', os.path.join(made, 'priors.json'), '256,256,256'),
            ("the paper's constants", 'None', '256,512,256')):
        output = os.path.join(folder, name.split()[0])
        run('1_simulator.py', 'PRIORS=' + prior, 'OUTPUT=' + output, 'N_STACKS=%d' % N_STACKS,
            'AXON_SHARE=1', 'VOLUME_SHAPE=' + size)
        folders[name] = os.path.join(output, 'images')
    return folders


def main():
    if not os.path.exists(STACK):
        print('no %s: nothing to compare with' % os.path.relpath(STACK, ROOT))
        print('result: skipped=1')
        return
    cfg = config.load(('configs/prepare_patches.py', 'configs/otsu.py'), [])
    how = dict(settings=config.pick(cfg, otsu.Settings), window=cfg.PATCH_SHAPE,
               max_overlap=cfg.MAX_OVERLAP, min_foreground=cfg.MIN_FOREGROUND)
    with tempfile.TemporaryDirectory() as folder:
        drafts = {name: samples.sample([stacks.read(path).voxels for path in stacks.find(images)],
                                       **how) for name, images in draw(folder).items()}
    real = stacks.read(STACK).voxels
    whole = samples.sample([real], **how)
    floor = [samples.distances(*[samples.sample([half], **how) for half in pair])
             for pair in samples.halves(real)]
    rows = {'real against real': {m: np.mean([f[m] for f in floor]) for m in samples.MEASURES}}
    rows.update({name: samples.distances(sample, whole) for name, sample in drafts.items()})
    report(rows)


def report(rows):
    """Print the table and the result line; rows: the floor, measured priors, the paper's."""
    headings = {m: '%s (%s)' % (m, unit) for m, unit in samples.MEASURES.items()}
    print(tables.markdown(rows.items(), headings, form='%.3g'), end='')
    floor, measured, paper = rows.values()
    print('result: ' + ' '.join(
        '%s_over_real=%.3f %s_over_paper=%.3f' % (m, measured[m] / floor[m], m,
                                                  measured[m] / paper[m])
        for m in samples.MEASURES))


if __name__ == '__main__':
    main()
