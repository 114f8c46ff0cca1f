"""Constants of 3_segmentation.py (step 3)."""

# --- what to do ---
STAGE = 'train'                  # 'train', 'score', 'predict', 'export', 'pack' (weights alone) or 'compare' (all arms)
PAIRS = 'data/refined'           # folder with patches.h5 (image, label), images/ beside it, to train on; or TIFF pairs
LABELS = 'data/simulated/labels'         # label stacks of PAIRS/images, for STAGE=export
RUN_DIR = 'runs/segmentation'    # checkpoints, log.csv; for predicting also a folder of models/pretrained
INPUT = 'data/real'              # stacks to predict: folder, file or pattern
OUTPUT = 'data/segmented'        # NAME.prob.tif (uint8, probability * 255), NAME.mask.tif (uint8 {0, 1}); export: data set
PROBABILITY_THRESHOLD = 0.5      # probability from which a voxel is foreground
MIN_OBJECT = 30                  # voxels; smaller objects are left out of the mask (the probability map keeps them)
SEED = 1                         # of weights and batches

# --- scoring and the comparison ---
REAL = None                      # None: the phantom; or unlabelled stacks to learn the domain from (compare)
LABELLED = None                  # None: the phantom's; or a human-labelled stack, never used for training but by the manual arms
ANNOTATION = None                # None: the phantom's; or its labels: {0, 1}, or 0 not annotated, 1 background, 2 foreground,
                                 # 3 artefact, 4 rim that does not count
ARMS = None                      # None: 'all' of STAGE=compare; or some of: otsu oracle paper drafts simgan mpgan mpgan+manual manual,
                                 # joined by commas; given, it means STAGE=compare
SEEDS = 3                        # trainings of each arm, with SEED, SEED + 1, ...
DATA = 'data/compare'            # made by the earlier scripts, which STAGE=compare runs where something is missing
RUNS = 'runs/compare'            # refiners, networks
RESULTS = 'results'              # segmentation.csv, .md, figures
N_DRAFTS = 8                     # draft stacks of each kind
DRAFT_SHAPE = (128, 256, 256)    # (z, y, x) isotropic voxels of a draft
DRAFT_DENSITY = 0.008            # voxels / voxel^3, of the drafts with measured priors: several times what OTSU finds, since
                                 # it misses dim neurites and other stacks of the kind are denser
                                 # (0.002, 0.008 and 0.02 were tried on TRAILMAP's labelled stack, this one scored best)
SPLIT_AXIS = 1                   # of the labelled stack, 0 to 2 for z, y, x: the manual arms train on one end, are scored on
SPLIT_GAP = 32                   # the other, and the other way round; voxels between the two, more than the network sees

# --- network ---
CHANNELS = 12                    # width at full resolution, doubled with each level
LEVELS = 2                       # times that the resolution is halved

# --- labels ---
LABEL_WIDTH_LEVEL = 0.15         # a voxel counts as foreground from this share of the light of the neurite's middle: what one
                                 # sees in a blurred image is wider than what was drawn; 1: the drawn label (0.3 and 0.15 were
                                 # compared on TRAILMAP's labelled stack, as were AUGMENT_HAZE, AUGMENT_NOISE, AUGMENT_CONTRAST and IGNORED_RIM)
LABEL_BLUR = 0.85                # voxels, sigma of the blur that this is reckoned with
IGNORED_RIM = 1                  # voxels around foreground that do not count in the loss: no annotator agrees on them
VISIBLE_CONTRAST = 1.0           # noise levels above its surroundings from which drawn foreground counts: to be told to find what
                                 # cannot be seen teaches to find it everywhere; 0: all counts

# --- augmentation: each drawn anew for each crop; flips and turns always ---
AUGMENT_PUNCTA = 80              # granules that are no neurites in 32 x 32 x 32 voxels at most
AUGMENT_HAZE = 2.0               # light from out of focus, largest factor: dense tangles shine beyond their outlines
AUGMENT_BLUR = 0.7               # voxels, largest sigma
AUGMENT_SNR = (1.0, 1.0)         # factor on the signal-to-noise ratio, log-uniform, in half of the crops; (0.1, 1.0) for stacks of
                                 # unlike quality
AUGMENT_CONTRAST = (0.5, 2.0)    # of the deviation from the background, log-uniform
AUGMENT_GAMMA = 0.15             # largest logarithm of the exponent, either way
AUGMENT_OFFSET = 3.0             # noise levels, either way
AUGMENT_NOISE = 1.0              # noise levels, largest

# --- schedule ---
MAX_STEPS = 400                  # steps; 0.17 s each on one core with TensorFlow 2.15
BATCH_SIZE = 3                   # crops
CROP_SHAPE = (32, 32, 32)        # (z, y, x) voxels, multiples of 2^LEVELS
LEARNING_RATE = 2e-3             # of Adam, falls linearly to a hundredth
AVERAGE_DECAY = 0.98             # of the running average of the weights, which is what predicts
HELD_OUT = 0.15                  # share of the draft stacks that choose the best checkpoint, one at least
MANUAL_SHARE = 0.5               # of a batch, in the arm of synthetic and manual labels

# --- run ---
LOG_EVERY = 20                   # steps between rows of log.csv
EVALUATE_EVERY = 100             # steps between scores on the held-out drafts
EVALUATION_PATCHES = 24          # crops that they are made on
SAVE_EVERY = 100                 # steps between checkpoints
THREADS = 0                      # of TensorFlow; 0: all cores, 1: results repeat to the last bit
TILE_SHAPE = (64, 128, 128)      # (z, y, x) voxels predicted at a time, multiples of 2^LEVELS, besides a halo of 20
MIRRORS = 1                      # mirrored copies of each tile whose probabilities are averaged: 1, 2, 4 or 8; so many times the work
