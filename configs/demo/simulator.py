"""Small edition of configs/simulator.py: what differs, so that drafts are made in seconds."""
N_STACKS = 6
AXON_SHARE = 1.0                 # the phantom holds axons only
VOLUME_SHAPE = (96, 128, 128)    # (z, y, x) isotropic voxels: 64 slices of the phantom's voxels
BRANCH_LENGTH = (14, 22)         # voxels; longer ones would leave the volume after three bends
PATCH_EVERY = 8                  # small volumes have short centrelines
