"""Small edition of configs/simulator.py: what differs, so that drafts are made in seconds."""
N_STACKS = 6
AXON_SHARE = 1.0                 # the phantom holds axons only
VOLUME_SHAPE = (96, 160, 160)    # (z, y, x) isotropic voxels
Z_STEP = 1                       # the phantom's radii are measured in its own voxels
DEBRIS = 8
PATCH_EVERY = 8                  # small volumes have short centrelines
