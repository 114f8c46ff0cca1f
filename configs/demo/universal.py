"""Small edition of configs/universal.py: what differs, to see the whole chain in minutes."""
DATA = 'data/demo/universal'
RUN_DIR = 'runs/demo_universal'
RESULTS = 'results/demo'
N_KINDS = 6
N_HELD = 2
STACKS_PER_KIND = 1
DRAFT_SHAPE = (64, 96, 96)       # (z, y, x) isotropic voxels
KIND_ANISOTROPY = (1.0, 1.5)     # flatter voxels leave too few slices for a patch
MAX_STEPS = 100
EVALUATE_EVERY = 50
SAVE_EVERY = 50
EVALUATION_PATCHES = 12
HELD_OUT = 0.2
PHANTOM_SHAPE = (48, 96, 96)
TUBE_SHAPE = (64, 96, 96)
