"""Constants of tests/benchmarks/comparison.py: segmentation networks trained on pairs of each kind.

LABELLED, ANNOTATION, the network and its training stand in configs/segmentation.py. Each constant
of that file can be given with these.
"""

# --- data ---
REAL = None                      # None: the phantom, drawn here; or unlabelled stacks of the
                                 # domain: folder, file or pattern
PHANTOM_SHAPE = (64, 160, 160)   # (z, y, x) voxels of the phantom's three stacks
DATA = 'data/compare'            # patches, drafts, refined drafts; made where they are missing
RUNS = 'runs/compare'            # refiners and networks
RESULTS = 'results'              # segmentation.csv, .md, figures

# --- arms ---
ARMS = 'all'                     # or some of otsu, oracle, paper, drafts, simgan, mpgan,
                                 # mpgan+manual, manual, joined by commas
SEEDS = 3                        # trainings of each arm, with SEED, SEED + 1, ...
MANUAL_SHARE = 0.5               # of a batch, in the arm of synthetic and manual labels, (0, 1)
SPLIT_AXIS = 1                   # axis of the labelled stack, 0 to 2 for z, y, x: manual arms train
                                 # on one end of it and are scored on the other, both ways round
SPLIT_GAP = 32                   # voxels between the ends, at least as many as the network sees

# --- drafts and refiners ---
CALIBRATION_ROUNDS = 8           # of the measured priors, see configs/prepare_patches.py
N_DRAFTS = 8                     # draft stacks of each kind
DRAFT_SHAPE = (128, 256, 256)    # (z, y, x) isotropic voxels of a draft
DRAFT_DENSITY = 0.008            # voxels / voxel^3, of the drafts with measured priors: OTSU, which
                                 # measures the priors, misses dim neurites
REFINER_STEPS = 600              # training steps of a refiner, else as configs/demo/mpgan.py
