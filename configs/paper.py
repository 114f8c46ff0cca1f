"""Constants of tests/benchmarks/paper.py: drafts, refiners, segmentation networks, all arms.

LABELLED, ANNOTATION, the network and its training stand in configs/segmentation.py. Each constant
of that file can be given with these.
"""

# --- data ---
REAL = None                      # None: the phantom, drawn here; or unlabelled stacks of the
                                 # domain: folder, file or pattern
PHANTOM_SHAPE = (64, 160, 160)   # (z, y, x) voxels of the phantom's three stacks
DATA = 'data/paper'              # patches, drafts, refined patches; made where they are missing
RUNS = 'runs/paper'              # refiners, networks, records of what is done
RESULTS = 'results'              # paper.csv, paper_refiners.csv, paper.md, figures

# --- arms ---
ARMS = '*'                       # all, or some by patterns of DRAFTS-REFINER-AUGMENTATION joined by
                                 # commas: paper-*, *-mpgan-plain
SEEDS = 3                        # refiners of each kind, a network each, with SEED, SEED + 1, ...
CRITIC = True                    # False: no critic of the refined patches, minutes for each

# --- patches and drafts ---
PATCH_SHAPE = (32, 64, 64)       # (z, y, x) voxels of real patches and of drafts'
CALIBRATION_ROUNDS = 8           # of the measured priors, see configs/prepare_patches.py
N_SPARSE = 32                    # draft stacks of the paper's model: one axon in each gives few
                                 # patches
N_MEASURED = 8                   # draft stacks with measured priors
DRAFT_SHAPE = (128, 256, 256)    # (z, y, x) isotropic voxels of a draft
DRAFT_ARGS = ''                  # more constants of configs/simulator.py, of all drafts, as
                                 # NAME=VALUE joined by blanks

# --- refiners ---
REFINER_CONFIG = 'configs/demo/mpgan.py'     # constants of all refiners
REFINER_ARGS = 'DECAY_STEPS=500 AVERAGE_DECAY=0.998'     # more of them, as NAME=VALUE joined by
                                 # blanks: the rate falls to a half
REFINER_STEPS = 3000             # training steps
REFINER_CHECKPOINT = 'newest'    # that refines: 'newest', of all refiners at the same step; 'best'
                                 # of the evaluations that kept the labels, where there is one

# --- machine ---
WORKERS = 2                      # scripts at a time
THREADS = 1                      # of TensorFlow in each; 0: all cores
