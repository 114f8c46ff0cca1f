"""Drafts of the paper's model for the demo's first picture: what differs from configs/simulator.py.

Straight neurites, one by one, in white noise, with measured grey levels: the paper's drafts of
tests/benchmarks/paper.py, but for their one level.
"""
N_STACKS = 4
AXON_SHARE = 1.0                 # the phantom holds axons only
VOLUME_SHAPE = (96, 128, 128)    # (z, y, x) isotropic voxels, as configs/demo/simulator.py
BRANCH_LENGTH = (14, 22)         # voxels; longer ones would leave the volume after three bends
PATCH_EVERY = 4                  # one neuron alone has a short centreline
EVEN_PATCHES = 0.0               # at random along it
TORTUOSITY = 1.0                 # straight
DENSITY = 0.0                    # no other neurons
STAINED_SHARE = 0.5              # of a neurite's voxels
FLATNESS = 0.0                   # round
EDGE = 0.0                       # sharp
PSF_WING_SHARE = 0.0             # no halo
PSF_SIGMA = (1.0, 1.0, 1.0)      # um: one of the phantom's voxels along x
LEVEL_SPREAD = 0.0               # all neurites alike: there are four
LEVEL_DRIFT = 0.0                # and alike along their length
DEBRIS = 1024                    # bright voxels
TEXTURE = 0.0                    # white noise
SOMA_SHAPE = 'ball'
RADIUS = (1, 3)                  # voxels
