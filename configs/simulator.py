"""Constants of 1_simulator.py (step 1): METHOD's, unless a comment says otherwise."""

# --- files ---
OUTPUT = 'data/simulated'        # folder: images/, labels/, swc/, patches.h5
N_STACKS = 20                    # stacks; raising it later adds to those that exist
AXON_SHARE = 0.5                 # share of the stacks that are axons, the rest dendrites; drawn per stack
WORKERS = 0                      # processes; 0: one per core. Results do not depend on it
SEED = 1                         # same seed, same bytes
OVERWRITE = False                # True: redo results that other settings made

# --- volume ---
VOLUME_SHAPE = (256, 512, 256)   # (z, y, x) isotropic voxels in which neurons grow
Z_STEP = 2                       # isotropic voxels per slice: fMOST voxels are twice as tall as wide
VOXEL_SIZE = (1.0, 0.5, 0.5)     # um (z, y, x) of a written voxel, for the TIFF; not used in drawing
BITS = 16                        # of the images: 8 or 16, as the real stacks

# --- priors ---
PRIORS = 'data/patches/priors.json'     # grey levels and radii measured by prepare_patches.py; None: the paper's
INTERNAL_PRIORS = True           # False: ablation, depth 2 and branches of 100 to 150 voxels
EXTERNAL_PRIORS = True           # False: ablation, constant foreground on a background of 1

# --- morphology ---
SOMA_RADIUS = (6.0, 10.0)        # isotropic voxels, uniform
DENDRITE_DEPTH = (6, 7)          # levels of the tree, either
AXON_DEPTH = (10, 11)            # segments each way, either
BRANCH_LENGTH = (35, 55)         # isotropic voxels at depth 0, whole number in [low, high]
RADIUS = (1.0, 3.0)              # isotropic voxels at depth 0, uniform; measured ones with PRIORS

# --- image formation ---
KEEP = 0.5                       # probability that a foreground voxel is stained
BLUR_SIGMA = 1.0                 # isotropic voxels
DEBRIS = 1024                    # bright balls per stack: 4 for each of 256 slices

# --- training patches ---
PATCH_SHAPE = (32, 64, 64)       # (z, y, x) voxels
PATCH_EVERY = 20                 # about one centreline voxel in so many becomes the centre of a patch
