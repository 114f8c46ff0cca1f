"""The pipeline in five minutes, cell by cell, on a small phantom: no data, no GPU.

Reads   nothing
Writes  data/tutorial/   stacks, drafts, refined drafts, masks; runs/tutorial*/; results/tutorial/
Run     python docs/tutorial.py          all cells, from the project's folder; a rerun goes on
Each cell begins with `# %%`: VS Code, Spyder and PyCharm run them one by one, as a notebook does.
`python` is that of the environment (`make env`), or of `make demo`.
"""
# %% What is run: the same commands as on a terminal
import json
import os
import subprocess
import sys

STEPS = 200                          # of each training; the demo takes 600 and more
STACKS = 2                           # drafts
SMALL = 'configs/demo/'              # the small edition of each config


def run(*command):
    """Run a script with its arguments, and stop if it fails."""
    print('\n$ python %s' % ' '.join(command))
    subprocess.run([sys.executable] + list(command), check=True)


# %% 1. Stacks without labels: a phantom that stands for yours
# Your own stacks take its place: 8 or 16 bit, (z, y, x), at least 32 x 64 x 64 voxels.
run('-m', 'utils.simulate.phantom', 'OUTPUT=data/tutorial/phantom', 'N_STACKS=1',
    'SHAPE=48,128,128')

# %% 2. Step 0: where the neurites are, and how they look
# Look at data/tutorial/patches/real_0001.png: OTSU should have found neurites, not background.
run('prepare_patches.py', '--config', SMALL + 'prepare_patches.py',
    'STACKS=data/tutorial/phantom/images', 'OUTPUT=data/tutorial/patches', 'CALIBRATION_ROUNDS=2')
with open('data/tutorial/patches/priors.json', encoding='utf-8') as file:
    priors = json.load(file)
print('background %.0f, neurites %.0f grey levels; %.2f %% of the voxels are neurites' % (
    priors['background']['median'], priors['foreground']['median'],
    100 * priors['foreground_fraction']))

# %% 3. Step 1: drafts, whose labels are exact because they were drawn
run('1_simulator.py', '--config', SMALL + 'simulator.py', 'N_STACKS=%d' % STACKS,
    'PRIORS=data/tutorial/patches/priors.json', 'OUTPUT=data/tutorial/simulated', 'WORKERS=1')

# %% 4. Step 2: a refiner makes the drafts look like the stacks; their labels stay true
# Look at runs/tutorial/preview_*.png: draft, refined, real.
run('2_mpgan.py', '--config', SMALL + 'mpgan.py', 'REAL_PATCHES=data/tutorial/patches/real.h5',
    'DRAFTS=data/tutorial/simulated', 'RUN_DIR=runs/tutorial', 'OUTPUT=data/tutorial/refined',
    'MAX_STEPS=%d' % STEPS)

# %% 5. Step 3: a segmentation network that has never seen a label of the stacks
SEGMENT = ('3_segmentation.py', '--config', SMALL + 'segmentation.py',
           'PAIRS=data/tutorial/refined', 'RUN_DIR=runs/tutorial_segmentation',
           'INPUT=data/tutorial/phantom/images', 'OUTPUT=data/tutorial/segmented',
           'MAX_STEPS=%d' % STEPS)
run(*SEGMENT)
run(*SEGMENT, 'STAGE=predict')

# %% 6. Step 4: traces, scored, as the phantom's truth is known
run('4_reconstruction.py', 'INPUT=data/tutorial/segmented/*.prob.tif',
    'OUTPUT=results/tutorial/traces', 'IMAGES=data/tutorial/phantom/images',
    'GOLD=data/tutorial/phantom/truth/swc', 'ONE_FILE_PER_TREE=True')

# %% 7. Everything on one page: results/tutorial/index.html
FIGURES = ('make_figures.py', 'PATCHES=data/tutorial/patches', 'DRAFTS=data/tutorial/simulated',
           'REFINED=data/tutorial/refined', 'RUN_DIR=runs/tutorial',
           'SEGMENTED=data/tutorial/segmented', 'SEGMENTATION_RUN=runs/tutorial_segmentation',
           'TRACES=results/tutorial/traces', 'RESULTS=results/tutorial', 'OUTPUT=results/tutorial')
run(*FIGURES, 'FIGURES=patches,panel,curves,framework,traces')
run(*FIGURES, 'FIGURES=gallery')
print('Open %s in a browser.' % os.path.abspath('results/tutorial/index.html'))
