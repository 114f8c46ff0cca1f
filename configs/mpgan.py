"""Constants of 2_mpgan.py (step 2): those of docs/method.md, unless a comment says otherwise."""

# --- what to do ---
STAGE = 'train+refine'           # 'train', 'refine', 'train+refine', 'pack' (weights alone) or
                                 # 'judge' (critics tell drafts and refined patches from real ones)
REAL_PATCHES = 'data/patches/real.h5'   # patch file or folder of TIFF patches
DRAFTS = 'data/simulated'        # of 1_simulator.py: patches.h5 to train on, images/ to refine
RUN_DIR = 'runs/mpgan'           # checkpoints, TensorBoard events, log.csv, previews
INPUT = None                     # None: the drafts; or any stacks to refine, with STAGE=refine:
                                 # folder, file or pattern
OUTPUT = 'data/refined'          # folder: images/, patches.h5
OUTPUT_FORMAT = 'tiff'           # of refined stacks of INPUT: 'tiff', 'zarr' (NAME.ome.zarr) or
                                 # 'nifti' (.nii.gz); volumes become OME-Zarr, drafts TIFF
WHOLE_STACKS = True              # False: of drafts the training patches alone are refined, where no
                                 # whole stack is needed: a sparse one has 17 times their voxels
SEED = 1                         # of weights, batches and history

# --- networks ---
REFINER_CHANNELS = 32            # width of the refiner: 309,249 parameters
DISCRIMINATOR_CHANNELS = 64      # width of the discriminator's first layer
DISCRIMINATOR_ACTIVATION = True  # leaky ReLU between its layers; False, as released: a linear
                                 # network but for one max
IDENTITY_START = True            # first weights that pass the draft on (models/refiner.py);
                                 # False: random, as released
STANDARDISE = True               # networks see intensities as deviations from the data's median in
                                 # standard deviations; False: as they are in [-1, 1], as released
FROZEN_MOMENTS = True            # batch norm's moments are measured once, on the drafts, so that
                                 # training and refining agree; False: of each batch, as released
AVERAGE_DECAY = 0.999            # of the running average of the weights, which refines; 0: the
                                 # newest weights
DISCRIMINATOR_SEES_LEVEL = False  # False: patches lose their mean before the discriminator, as is
                                 # needed where drafts are of another brightness than real patches;
                                 # True: as released
DISCRIMINATOR_COMPRESSES = True  # it sees asinh of intensities in noise levels, so that texture
                                 # counts beside bright neurites; False: as they are, as released
DISCRIMINATOR_SEES_DETAIL = True  # it also sees how voxels differ from the mean of their
                                 # neighbours: the noise is like the real one soon, without grids;
                                 # False: as released

# --- losses ---
LAMBDA_IDENTITY = 1.0            # weight of mean |z - R(z)| on [-1, 1] intensities; paper: 5, which
                                 # leaves the draft's texture
LAMBDA_LEVEL = 10.0              # weight of the change of each patch's mean, likewise; 0: as in the
                                 # paper
LAMBDA_SPECTRUM = 50.0           # weight of how far power spectra are from the real ones, squared
                                 # log10; 0: as in the paper: with a small real stack they depart
LAMBDA_LABEL = 10.0              # weight of the label-preserving term; 0 turns MPGAN into SimGAN;
                                 # spectra are the same at any, labels are kept less below 5, and
                                 # much the same from 5 to 50 (docs/results.md); paper: 0.5, of the
                                 # paper's form of it
LABEL_SMOOTHING = 2              # times that a 3^3 mean of draft and refined patch is taken before
                                 # the term: noise may be redrawn, structure may not; 0: paper
LABEL_STEEPNESS = 'auto'         # K of the soft threshold, per grey level; auto: the cut
                                 # lies 3 of each image's own noise levels above its background's
                                 # median, K is 4 over that; paper: 0.1 and BACKGROUND_QUANTILE
LABEL_FOREGROUND_SHARE = 0.5     # of the term that the label's few voxels carry; 0: all voxels
                                 # count alike, as in the paper
LABEL_CONTRAST = 1.0             # weight, within the term, of the change of each patch's mean
                                 # foreground on [-1, 1] intensities; 0: as in the paper
BACKGROUND_QUANTILE = 0.95       # the cut is this quantile of each image's own background, where
                                 # LABEL_STEEPNESS is a number

# --- schedule ---
MAX_STEPS = 20000                # steps: refiner updates, then those of the discriminator
REFINER_UPDATES = 4              # per step
DISCRIMINATOR_UPDATES = 1        # per step, after those; all but one see patches of the history
                                 # alone
DISCRIMINATOR_FIRST = 200        # updates of it alone before the first step, as in SimGAN: else the
                                 # refiner follows one that knows nothing; 0: as released
PRETRAIN_STEPS = 0               # first steps without the label term, as SimGAN; the paper's
                                 # option: about 500
BATCH_SIZE = 10                  # patches, in each process
AUGMENT = True                   # crops are mirrored, and turned by 90 degrees in the image plane
CROP_SHAPE = (32, 64, 64)        # (z, y, x) voxels cut at random out of each patch
MATCH_CONTENT = True             # real crops hold as much foreground as drafts: the discriminator
                                 # judges looks, not how crowded they are; False: as released
LEARNING_RATE = 1e-4             # of both Adams, or of the refiner's alone
DISCRIMINATOR_RATE = 0.0         # of the discriminator's Adam; 0: the same
BETA1 = 0.5                      # of both Adams
DECAY_RATE = 0.9                 # factor on the learning rate ...
DECAY_STEPS = 1000               # ... every so many steps
HISTORY_BATCHES = 100            # batches of refined patches kept for the discriminator; 0: none

# --- run ---
LOG_EVERY = 10                   # steps between rows of log.csv and TensorBoard points
EVALUATE_EVERY = 500             # steps between measurements of realism and of label preservation
EVALUATION_PATCHES = 64          # drafts, and in each of two sets as many real patches, that they
                                 # are made on
PREVIEW_EVERY = 500              # steps between preview pictures
SAVE_EVERY = 500                 # steps between checkpoints
MIXED_PRECISION = False          # True: half precision where it is safe, for GPUs with tensor cores
XLA = False                      # True: compile with XLA, where TensorFlow has it for the device
THREADS = 0                      # of TensorFlow; 0: all cores, 1: results repeat to the last bit
CHECKPOINT = 'best'              # that refines: 'best' of the evaluations, or 'newest'
TILE_SHAPE = (64, 96, 96)        # (z, y, x) voxels refined at a time, besides a halo of 13; results
                                 # do not depend on it

# --- volumes: OME-Zarr and large HDF5, refined by blocks (docs/cluster.md) ---
BLOCK_SHAPE = (128, 192, 192)    # (z, y, x) voxels of a block, rounded up to whole tiles: what is
                                 # read at a time, besides the halo, and what a kill may cost
CHANNEL = 0                      # of a volume with several
DASK = None                      # None: this process, or its share as a task of a SLURM array;
                                 # 'local': processes of this machine; or the address of a scheduler
WORKERS = 0                      # processes of DASK=local; 0: one per core

# --- critics, of STAGE=judge ---
CRITIC_STEPS = 1600              # most steps of a critic; it ends once held-out crops are told no
                                 # better, from half of them on
CRITIC_SEEDS = 1                 # critics for each figure; several tell its spread
CRITIC_BLOCK = 76                # voxels per side of the blocks of real stacks that are held out, a
                                 # checkerboard: larger than a crop, small enough for some dozens
