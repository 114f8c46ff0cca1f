"""Constants of prepare_patches.py (step 0); those of OTSU stand in configs/otsu.py."""

# --- files ---
STACKS = 'data/real'             # folder, file or glob pattern of stacks (TIFF, HDF5, Vaa3D,
                                 # NIfTI, OME-Zarr), (z, y, x), 8 or 16 bit
OUTPUT = 'data/patches'          # folder: real.h5, priors.json, real_NAME.png
TIFF_FOLDER = None               # folder in which every patch is also written as TIFF; None: no
OVERWRITE = False                # True: redo results that other settings made
CHANNEL = 0                      # of OME-Zarr stacks with several, from 0
MAX_STACK_FIGURES = 3            # four-step figures drawn, one per stack

# --- segmentation ---
MIN_OBJECT = 200                 # voxels; smaller objects are debris

# --- windows ---
PATCH_SHAPE = (32, 64, 64)       # (z, y, x) voxels: 64 x 64 x 32 of the paper
MAX_OVERLAP = 0.5                # share of its volume that a window may share with another, [0, 1)
MIN_FOREGROUND = 0.002           # share of a patch's voxels that must be foreground

# --- priors ---
CALIBRATION_ROUNDS = 8           # small drafts drawn and measured as the stacks were, so that all
                                 # drafts come out alike; 0: none

# --- volumes: OME-Zarr and HDF5 in chunks ---
WHOLE_UP_TO = 300000000          # voxels; of a larger one SAMPLE_BLOCKS blocks are cut and measured
SAMPLE_BLOCKS = 16               # blocks; OTSU's threshold is pooled over them
SAMPLE_SHAPE = (128, 256, 256)   # (z, y, x) voxels of such a block
SAMPLE_SEED = 1                  # of their places, which are spread evenly
