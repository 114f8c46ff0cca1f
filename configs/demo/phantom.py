"""Constants of utils/simulate/phantom: stacks of unknown neurons that the demo learns to imitate.

Grey levels are 16 bit; lengths are um. A pair is (low, high) of a uniform draw unless said
otherwise.
"""
N_STACKS = 3                         # stacks; more can be added later without redoing these
SEED = 2022                          # stack i uses the i-th spawned child of it
OUTPUT = 'data/demo/phantom'         # images/ is for the pipeline, truth/ for scoring
OVERWRITE = False                    # True: redo a folder made with other settings

# --- volume ---
SHAPE = (64, 160, 160)               # (z, y, x) voxels; room for several 32 x 64 x 64 patches
VOXEL_SIZE = (1.5, 1.0, 1.0)         # (z, y, x) um; coarser in z, as most light-sheet data

# --- axons ---
N_AXONS = (9, 13)                    # neurons per stack, both included; most of the volume is empty
RADIUS = (1.1, 1.8)                  # um, without boutons; at least half a voxel's diagonal, else
                                     # axons break up
RADIUS_WOBBLE = 0.12                 # relative std of the radius along an axon
BENDING = (0.03, 0.09)               # rad per um, std of the bending; 0 is straight, 0.2 curls up
BEND_LENGTH = 5.0                    # um over which the bending keeps its direction
MIN_LENGTH = 50.0                    # um, shortest axon kept; shorter ones only clip a corner
BRANCH_SPACING = 110.0               # um between branchings, mean of an exponential draw
BRANCH_ANGLE = (30.0, 80.0)          # degrees between a daughter and the branch it leaves
DAUGHTER_RADIUS = 0.85               # of the parent's radius; RADIUS stays the lower limit
DAUGHTER_LENGTH = (20.0, 120.0)      # um, unless it leaves the volume first
BOUTON_SPACING = (6.0, 22.0)         # um between boutons; cortical axons bear one every 5 to 20 um
BOUTON_SWELL = (1.5, 2.0)            # radius of a bouton over the axon's
BOUTON_SIGMA = 1.2                   # um, half-width of a bouton along the axon

# --- fluorescence ---
LEVEL = (600.0, 2000.0)              # grey levels inside an axon, log-uniform; the PSF leaves half
LEVEL_DRIFT = 0.20                   # std of the logarithm of brightness along an axon
DRIFT_LENGTH = 25.0                  # um over which brightness and radius change
BACKGROUND = (300.0, 600.0)          # grey levels of autofluorescence, one mean per stack, without
                                     # OFFSET
TEXTURE_SIGMA = (1.2, 4.0, 14.0)     # um, scales of its texture: grain, neuropil, layers
TEXTURE_STD = (0.12, 0.06, 0.07)     # relative std of each scale
STRIPE_STD = 0.03                    # relative std of the light sheet's shadow stripes, along x
GRAINS = 150                         # dim specks (lipofuscin, ...) per 64 x 160 x 160 voxels
GRAIN_SIGMA = (0.7, 1.3)             # um
GRAIN_LEVEL = (150.0, 900.0)         # grey levels at the centre, before the PSF
BLOBS = 6                            # out-of-focus somata and vessels per as many voxels
BLOB_SIGMA = (6.0, 14.0)             # um
BLOB_LEVEL = (30.0, 130.0)           # grey levels at the centre, dimmer than the dimmest axon

# --- optics and camera ---
ILLUMINATION_STD = 0.12              # std of the logarithm of the illumination over the field
ILLUMINATION_SIGMA = 60.0            # um over which it changes
PSF_SIGMA = (1.5, 0.8, 0.8)          # (z, y, x) um, Gaussian; a light sheet resolves z half as well
GAIN = 3.0                           # grey levels per photon electron; higher is noisier
OFFSET = 220.0                       # grey levels of a dark camera
READ_NOISE = 8.0                     # grey levels, std
