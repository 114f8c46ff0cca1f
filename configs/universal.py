"""Constants of tests/benchmarks/universal.py: a network for stacks that nobody has drawn priors of.

A kind is a data set of drafts with settings of its own, drawn from the ranges below. The network
and its training stand in configs/segmentation.py; each constant of that file can be given, too.
"""

# --- what to do ---
DATA = 'data/universal'          # drafts: kinds/001/ ... to train on, held/001/ ... to score on
RUN_DIR = 'runs/universal'       # the network
RESULTS = 'results'              # universal.csv, universal.md, universal_reliability.png
N_KINDS = 800                    # kinds to train on
N_HELD = 24                      # kinds of other seeds that only score
STACKS_PER_KIND = 1              # draft stacks of a kind to train on; of one that scores, 1
DRAFT_SHAPE = (96, 128, 128)     # (z, y, x) isotropic voxels of a draft
PATCH_SHAPE = (32, 64, 64)       # (z, y, x) voxels of a training patch
RANDOM_PATCHES = 0.9             # share of them that are cut anywhere: a network that sees crops
                                 # along neurites alone expects some everywhere
PATCHES_PER_STACK = 40           # training patches of a stack, at most
LABELLED = None                  # None: none; or a human-labelled stack, to report on
ANNOTATION = None                # its labels, see configs/segmentation.py
PHANTOM_SHAPE = (64, 160, 160)   # (z, y, x) voxels of the phantoms that are scored
TUBE_RADII = (1.0, 3.0, 6.0)     # voxels, of fibres whose masks' thickness is measured
TUBE_BLURS = (0.7, 1.5, 3.0)     # voxels, sigma
TUBE_SHAPE = (96, 128, 128)      # (z, y, x) voxels of a draft of them
WORKERS = 2                      # scripts at a time
THREADS = 1                      # of TensorFlow; 0: all cores

# --- network: what differs from configs/segmentation.py ---
MAX_STEPS = 22000                # steps; so many kinds are not learnt by heart
BATCH_SIZE = 4                   # crops
CROP_SHAPE = (32, 32, 32)        # (z, y, x) voxels
LAMBDA_DICE = 0.3                # more finds more of dim neurites, and makes probabilities too
                                 # high
AVERAGE_DECAY = 0.995            # of the running average of the weights
EVALUATE_EVERY = 250             # steps
SAVE_EVERY = 250                 # steps
EVALUATION_PATCHES = 240         # crops of the kinds held out of training
HELD_OUT = 0.1                   # share of the kinds to train on that choose the checkpoint
LABEL_WIDTH_LEVEL = 0.15         # up to a voxel wider than drawn, whatever the blur
LABEL_SEEN_LEVEL = 0.5           # and as wide as one sees it, where it is blurred more
IGNORED_RIM = 0                  # voxels; the outline counts, so that probabilities mean shares
AUGMENT_PUNCTA = 40              # granules beside those that the kinds have
AUGMENT_HAZE = 1.0               # the drafts' own haze is in the wings of their blur
AUGMENT_SNR = (0.15, 1.0)        # kinds have signal-to-noise ratios of their own

# --- kinds: neurites. (low, high) of a uniform draw, or log-uniform where it says so ---
KIND_RADIUS = (0.7, 5.0)         # voxels, log-uniform, of a kind's middle
KIND_VOLUME_SHARE = (0.002, 0.25)    # of the voxels that are neurites, about, log-uniform
KIND_DENSITY = (0.0001, 0.02)    # voxels of centreline per voxel^3, limits
KIND_TORTUOSITY = (1.0, 1.2)     # arc over chord of 40 voxels
KIND_WIGGLE = (0.0, 15.0)        # degrees
KIND_BUNDLED = (0.2, 0.85)       # share of fibres beside another one, of half of the kinds
KIND_BRANCH_SPACING = (40.0, 400.0)  # voxels of centreline, log-uniform
KIND_ENDS_SPACING = (60.0, 600.0)    # voxels of centreline, log-uniform
KIND_TAPER = (0.0, 0.5)          # share of the radius lost to a tip, of half of the kinds
KIND_BOUTONS = (8.0, 40.0)       # voxels between boutons, of half of the kinds
KIND_SOMATA = 0.3                # share of the kinds whose first neuron may be a dendrite

# --- kinds: light ---
KIND_SNR = (2.0, 50.0)           # brightness of a neurite in the image over the std of the
                                 # background around it, log-uniform
KIND_STAINED = (0.4, 1.0)        # share of stained voxels
KIND_SPREAD = (0.0, 1.2)         # std of log brightness from neurite to neurite
KIND_DRIFT = (0.0, 0.5)          # std of log brightness along a neurite
KIND_DIM = 0.5                   # share of the kinds with neurites down to the background's noise,
                                 # too (DIM_NEURITES)
KIND_DEBRIS = (1e-6, 5e-4)       # bright specks per voxel, log-uniform
KIND_DEBRIS_LEVEL = (0.15, 1.5)  # of a neurite's brightness, log-uniform within a kind

# --- kinds: background. Standard deviations in that of its white noise, log-uniform, each of half
# of the kinds ---
KIND_FINE = (0.3, 2.0)           # grain of about a voxel: cameras, resampled stacks
KIND_GRANULAR = (0.3, 3.0)       # grain of 1.5 to 4 voxels: autofluorescence
KIND_SLOW = (0.5, 8.0)           # grain of 6 to 24 voxels: tissue, uneven light
KIND_SKEW = (0.0, 0.5)           # std of the log, of a log-normal background
KIND_ILLUMINATION = (0.0, 0.4)   # std of the log of uneven light, of half of the kinds

# --- kinds: optics and voxels ---
KIND_BLUR = (0.6, 2.5)           # voxels, sigma of the point-spread function, log-uniform
KIND_AXIAL = (1.0, 2.5)          # how much wider it is along z, in um
KIND_WINGS = (0.0, 0.6)          # share of light in wide wings, of half of the kinds
KIND_ANISOTROPY = (1.0, 3.0)     # height of a voxel over its width, of half of the kinds
KIND_EIGHT_BIT = 0.35            # share of the kinds with 8 bits
