"""Constants of python -m utils.run (make run): all steps on a folder of stacks.

The constants of a step are chosen from the stacks, or given in its ..._ARGS.
"""

# --- files ---
STACKS = None                    # folder, file or pattern of stacks; None: to be given
NAME = None                      # of the folders data/NAME, runs/NAME, results/NAME; None: that of
                                 # the folder of stacks
CHANNEL = 0                      # of OME-Zarr stacks with several, from 0
DRY_RUN = False                  # True: print the commands, write nothing

# --- choices ---
EDITION = 'auto'                 # 'small', of configs/demo/: minutes on a CPU; 'full', the paper's:
                                 # for a GPU; auto: full where TensorFlow sees a GPU
JUDGE = 'auto'                   # 'yes', 'no': critics of drafts and refined patches; auto: where
                                 # the stacks are large enough for them
LOOKED_AT = 3                    # stacks that are measured before the start, spread evenly
LOOKED_VOXELS = 8000000          # of the middle of each of them: seconds
MIN_PATCHES = 8                  # volumes of a patch that the stacks must hold together: fewer tell
                                 # neither the background nor how like real patches others are

# --- more constants of the steps, NAME=VALUE joined by blanks; they overrule what is chosen ---
PATCH_ARGS = ''                  # of prepare_patches.py
SIM_ARGS = ''                    # of 1_simulator.py
GAN_ARGS = ''                    # of 2_mpgan.py
SEG_ARGS = ''                    # of 3_segmentation.py
TRACE_ARGS = ''                  # of 4_reconstruction.py
FIG_ARGS = ''                    # of make_figures.py
