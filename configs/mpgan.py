"""Constants of 2_mpgan.py (step 2): METHOD's, unless a comment says otherwise."""

# --- what to do ---
STAGE = 'train+refine'           # 'train', 'refine' or 'train+refine'
REAL_PATCHES = 'data/patches/real.h5'   # patch file or folder of TIFF patches
DRAFTS = 'data/simulated'        # folder of 1_simulator.py: patches.h5 to train on, images/ to refine
RUN_DIR = 'runs/mpgan'           # checkpoints, TensorBoard events, log.csv, previews
OUTPUT = 'data/refined'          # folder: images/, patches.h5
SEED = 1                         # of weights, batches and history

# --- networks ---
REFINER_CHANNELS = 32            # width of the refiner: 309,249 parameters
DISCRIMINATOR_CHANNELS = 64      # width of the discriminator's first layer
DISCRIMINATOR_ACTIVATION = True  # leaky ReLU between its layers; False: as released, a linear network but for one max
IDENTITY_START = True            # first weights that pass the draft on, see models/refiner.py; False: random, as released

# --- losses ---
LAMBDA_IDENTITY = 5.0            # weight of mean |z - R(z)| on [-1, 1] intensities
LAMBDA_LABEL = 0.5               # weight of the label-preserving term; 0 turns MPGAN into SimGAN
LABEL_STEEPNESS = 0.1            # K of the soft threshold, per grey level
BACKGROUND_QUANTILE = 0.95       # the cut is this quantile of each image's own background

# --- schedule ---
MAX_STEPS = 20000                # steps, each of so many refiner updates and one discriminator update
REFINER_UPDATES = 4              # per step
PRETRAIN_STEPS = 0               # first steps without the label term, as SimGAN; about 500 in the paper's option
BATCH_SIZE = 10                  # patches
CROP_SHAPE = (32, 64, 64)        # (z, y, x) voxels cut at random out of each patch
LEARNING_RATE = 1e-4             # of both Adams
BETA1 = 0.5                      # of both Adams
DECAY_RATE = 0.9                 # factor on the learning rate ...
DECAY_STEPS = 1000               # ... every so many steps
HISTORY_BATCHES = 100            # batches of refined patches kept for the discriminator

# --- run ---
LOG_EVERY = 10                   # steps between rows of log.csv and TensorBoard points
PREVIEW_EVERY = 500              # steps between preview pictures
SAVE_EVERY = 500                 # steps between checkpoints
THREADS = 0                      # of TensorFlow; 0: all cores, 1: results repeat to the last bit
TILE_SHAPE = (64, 128, 128)      # (z, y, x) voxels refined at a time, besides a halo of 13; does not change results
