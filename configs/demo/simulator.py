"""Small edition of configs/simulator.py: what differs, so that drafts are made in seconds."""
N_STACKS = 6
AXON_SHARE = 1.0                 # the phantom holds axons only
VOLUME_SHAPE = (64, 128, 128)    # (z, y, x) isotropic voxels
Z_STEP = 1                       # the phantom's radii are measured in its own voxels
BRANCH_LENGTH = (14, 22)         # isotropic voxels: in a small volume an axon would else leave after three bends
DEBRIS = 4
PATCH_EVERY = 4                  # small volumes have short centrelines
