"""Constants of 1_simulator.py (step 1): the paper's, unless a comment says otherwise.

'auto' stands for what prepare_patches.py measured (PRIORS), and for the paper's value with
PRIORS=None. A number instead of 'auto' holds in both cases. Lengths in voxels are isotropic voxels,
as wide as VOXEL_SIZE's x. docs/simulator.md tells the models behind them.
"""

# --- files ---
OUTPUT = 'data/simulated'        # folder: images/, labels/, swc/, patches.h5
N_STACKS = 20                    # stacks; raising it later adds to those that exist
AXON_SHARE = 0.5                 # probability that the first neuron is an axon, else a dendrite
INSTANCES = False                # True: also write instances/, uint16, one number per neurite
WORKERS = 0                      # processes; 0: one per core. Results do not depend on it
SEED = 1                         # same seed, same bytes
OVERWRITE = False                # True: redo results that other settings made

# --- volume ---
VOLUME_SHAPE = (256, 512, 256)   # (z, y, x) isotropic voxels in which neurons grow
VOXEL_SIZE = 'auto'              # um (z, y, x) of a written voxel; paper: 1, 0.5, 0.5 (128 slices)
BITS = 16                        # of the images: 8 or 16, as the real stacks

# --- priors ---
PRIORS = 'data/patches/priors.json'      # of prepare_patches.py; None: the paper's constants
INTERNAL_PRIORS = True           # False: ablation, depth 2 and branches of 100 to 150 voxels
EXTERNAL_PRIORS = True           # False: ablation, constant foreground on a background of 1

# --- morphology: the first neuron of a stack ---
SOMA_RADIUS = (6.0, 10.0)        # voxels, uniform
SOMA_SHAPE = 'auto'              # 'ball' (paper) or 'pyramid' (auto, measured)
DENDRITE_DEPTH = (6, 7)          # levels of the tree, either
AXON_DEPTH = (10, 11)            # segments each way, either
BRANCH_LENGTH = (35, 55)         # voxels at depth 0, whole number in [low, high]
RADIUS = 'auto'                  # voxels at depth 0, (low, high) of a uniform draw; paper: 1, 3
SWC_DIR = None                   # folder of reconstructions (*.swc) to draw instead,
                                 # turned and mirrored at random
SWC_SCALE = (1.0, 1.0, 1.0)      # (z, y, x) voxels per unit of the SWC files

# --- morphology: beyond the paper ---
TORTUOSITY = 'auto'              # mean arc over chord of 40 voxels of a branch, 1 (straight, paper)
                                 # to 1.3
WIGGLE = 'auto'                  # degrees, std of a branch's quick deviations from its course; 0:
                                 # none (paper, and 'auto' with a number for TORTUOSITY)
WIGGLE_LENGTH = 'auto'           # voxels over which they change; without measurement 6
WINDING_SPREAD = 'auto'          # std of the log of how much a place winds; 0: all alike (paper)
DENSITY = 'auto'                 # voxels of centreline / voxel^3, passing fibres included; 0
                                 # (paper): the first neuron alone. Sparse 0.0001, crowded 0.002
DENSITY_FACTOR = 1.0             # times a DENSITY of 'auto'; 2 to train on (docs/simulator.md)
BUNDLED = 'auto'                 # share of the passing fibres that start beside another one and
                                 # along it, [0, 0.9]; 0 (paper): each starts anywhere
CLUMPS = 'auto'                  # std of the log of how many passing fibres start at a place, alike
                                 # over some 64 voxels; they stay where they are many, [0, 2]; 0:
                                 # they start, and run, anywhere
RADIUS_LENGTH = 'auto'           # voxels over which measured radii change along a fibre; without
                                 # measurement 20
FLATNESS = 'auto'                # sections are ellipses with the axes r exp(h) and r exp(-h): std
                                 # of each of the two parts of h, [0, 1]; 0: round (paper)
TAPER = 0.0                      # share of its radius that a branch loses to its tip, [0, 1)
BOUTON_SPACING = 0.0             # voxels between boutons of axons and fibres, mean; 0: none

# --- light ---
DIM_NEURITES = False             # True: on top of DENSITY, neurites dimmer than any measured, as
                                 # many as if brightness went on below OTSU's threshold as above it
STAINED_SHARE = 'auto'           # probability that a foreground voxel is stained; paper: 0.5
LEVEL = 'auto'                   # grey levels of a stained voxel above the background, (low, high);
                                 # paper: 100, 1000
LEVEL_SPREAD = 'auto'            # std of log brightness from neurite to neurite; 0: alike (paper)
LEVEL_WIDTH = 'auto'             # correlation of measured levels with radii, neurite by neurite,
                                 # [-0.95, 0.95]; of a given LEVEL none; 0: none (paper)
LEVEL_DRIFT = 'auto'             # std of log brightness along a neurite; 0: constant (paper)
DRIFT_LENGTH = 'auto'            # voxels over which it changes; without measurement 20
END_LEVEL = 'auto'               # brightness of a free end over its neurite's; 1: alike (paper)
EDGE = 'auto'                    # voxels over which a neurite's light falls at its border, [0, 2]:
                                 # partly covered ones shine partly; 0: sharp (paper); with
                                 # measurement 1
DEBRIS = 'auto'                  # bright specks per 256 x 512 x 256 voxels; measured ones go on
                                 # below the threshold that they were counted from; paper: 1024
                                 # balls
GLOW = 'auto'                    # light between the neurites, out of focus or scattered: shares of
                                 # their own that are spread by 8, 16 and 32 voxels; paper: 0, 0, 0

# --- optics ---
PSF_SIGMA = 'auto'               # um (z, y, x), Gaussian point-spread function; paper: one
                                 # isotropic voxel
PSF_WING_SHARE = 'auto'          # share of the light in the wings of the point-spread function,
                                 # [0, 0.85]; paper: 0
PSF_WING_WIDTH = 'auto'          # width of the wings in plane, in PSF_SIGMA, [1, 20]; without
                                 # measurement 3
PSF_WING_DEPTH = 'auto'          # the same along z, [1, 20]: light sheets spread light further
PSF_FILE = None                  # TIFF of a measured point-spread function at VOXEL_SIZE, instead
                                 # of the Gaussian
ILLUMINATION = 0.0               # std of the log of uneven illumination; 0: even
ILLUMINATION_SIGMA = 60.0        # um over which it changes
ATTENUATION = 0.0                # um of depth over which light falls to 1/e; 0: none

# --- background and camera ---
TEXTURE = 'auto'                 # std over the mean of autofluorescence; 0 (paper): white noise;
                                 # auto: as measured, illumination and camera noise included
TEXTURE_SIGMA = (2.0, 2.0, 2.0)  # um (z, y, x), grain of a TEXTURE given as a number
LIGHT_NOISE = 'auto'             # variance of the noise that the light of neurites and its glow
                                 # bring, for each grey level of it; auto: mean of the stacks';
                                 # give 0 beside a GAIN, which brings it, too; paper: 0
GAIN = 0.0                       # grey levels per photon, Poisson noise of all light; 0: none
OFFSET = 0.0                     # grey levels of a dark camera, added
READ_NOISE = 0.0                 # grey levels, std, Gaussian
SATURATION = 0.0                 # highest grey level; 0: that of BITS

# --- training patches ---
PATCH_SHAPE = (32, 64, 64)       # (z, y, x) voxels
PATCH_EVERY = 20                 # one centreline voxel in so many, about, is the centre of a patch
EVEN_PATCHES = 'auto'            # how far crowded places have no more patches than others, about as
                                 # in step 0, [0, 1]; auto: 1 with priors; 0: not at all (paper)
RANDOM_PATCHES = 0.0             # share of the patches that are cut anywhere instead, neurites or
                                 # none (paper: 0)
MAX_PATCHES = 200                # of a stack; crowded ones would give thousands that overlap
