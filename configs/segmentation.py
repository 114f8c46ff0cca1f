"""Constants of 3_segmentation.py (step 3)."""

# --- what to do ---
STAGE = 'train'                  # 'train', 'score', 'predict', 'export', or 'pack' (weights alone)
PAIRS = 'data/refined'           # folder to train on: patches.h5 (image, label) with images/ beside
                                 # it, or TIFF pairs; or a patch file alone; or a folder of such
                                 # folders, all of which are trained on alike
LABELS = 'data/simulated/labels'     # labels of PAIRS/images, for STAGE=export
RUN_DIR = 'runs/segmentation'    # checkpoints, log.csv; to predict, also one of models/pretrained
INPUT = 'data/real'              # stacks to predict: folder, file or pattern
OUTPUT = 'data/segmented'        # NAME.prob.tif (uint8, probability * 255), NAME.mask.tif (uint8
                                 # {0, 1}); export: data set; pack: weights
OUTPUT_FORMAT = 'tiff'           # of a stack's map and mask: 'tiff', 'zarr' (NAME.prob.ome.zarr) or
                                 # 'nifti' (.nii.gz); those of volumes are OME-Zarr
PROBABILITY_THRESHOLD = 0.5      # probability from which a voxel is foreground
MIN_OBJECT = 30                  # voxels; smaller objects are left out of the mask, not of the map
SEED = 1                         # of weights and batches

# --- scoring ---
LABELLED = None                  # None: none; or a human-labelled stack, which is never trained on
                                 # but by the comparison's manual arms
ANNOTATION = None                # None: none; or its labels: {0, 1}, or 0 not annotated,
                                 # 1 background, 2 foreground, 3 artefact, 4 rim that is left out

# --- network ---
CHANNELS = 12                    # width at full resolution, doubled with each level
LEVELS = 2                       # times that the resolution is halved

START_FROM = None                # None: new weights; or a run, or packed weights, of the same
                                 # CHANNELS and LEVELS: models/pretrained/universal

# --- labels ---
LABEL_WIDTH_LEVEL = 0.15         # a voxel is foreground from this share of the light of a neurite's
                                 # middle: it is wider in a blurred image than it was drawn; 0.5,
                                 # full width at half maximum, parts crowded neighbours; 1: as drawn
LABEL_BLUR = 0.85                # blur (sigma, voxels) assumed when the label is widened
LABEL_SEEN_LEVEL = 1.0           # foreground, too, is what reaches this share under the blur that
                                 # the drafts were drawn with; 0.5: full width at half maximum; 1:
                                 # no more
IGNORED_RIM = 1                  # voxels around foreground that do not count in the loss: no
                                 # annotator agrees on them
VISIBLE_CONTRAST = 1.0           # noise levels above its surroundings from which drawn foreground
                                 # counts: training on invisible foreground gives false positives;
                                 # 0: all counts

# --- augmentation: each drawn anew for each crop; mirrored and turned always ---
AUGMENT_PUNCTA = 80              # granules that are no neurites, most in 32 x 32 x 32 voxels
AUGMENT_HAZE = 2.0               # light from out of focus, largest factor: dense tangles shine
                                 # beyond their outlines
AUGMENT_BLUR = 0.7               # voxels, largest sigma
AUGMENT_SNR = (1.0, 1.0)         # factor on the signal-to-noise ratio, log-uniform, in half of the
                                 # crops; (0.1, 1.0) for stacks of unlike quality
AUGMENT_CONTRAST = (0.5, 1.0)    # factor on the deviation from the background, log-uniform; above 1
                                 # background would be as bright as dim neurites, which the network
                                 # then passes over; (0.5, 2.0) with VISIBLE_CONTRAST=0 and a wide
                                 # AUGMENT_SNR, where it would find noise
AUGMENT_GAMMA = 0.15             # largest logarithm of the exponent, either way
AUGMENT_OFFSET = 3.0             # noise levels, largest, either way
AUGMENT_NOISE = 1.0              # noise levels, largest standard deviation

# --- schedule ---
MAX_STEPS = 400                  # steps; 0.17 s each on one core with TensorFlow 2.15
BATCH_SIZE = 3                   # crops
CROP_SHAPE = (32, 32, 32)        # (z, y, x) voxels, multiples of 2^LEVELS
LAMBDA_DICE = 1.0                # weight of 1 - soft Dice beside the cross-entropy; the lower, the
                                 # better probabilities mean shares of foreground
LEARNING_RATE = 2e-3             # of Adam, falls linearly to a hundredth
AVERAGE_DECAY = 0.98             # of the running average of the weights, which predicts
HELD_OUT = 0.15                  # share of the draft stacks, one at least, that choose the best
                                 # checkpoint

# --- run ---
LOG_EVERY = 20                   # steps between rows of log.csv
EVALUATE_EVERY = 100             # steps between scores on the held-out drafts
EVALUATION_PATCHES = 24          # crops that are scored
SAVE_EVERY = 100                 # steps between checkpoints
THREADS = 0                      # of TensorFlow; 0: all cores, 1: results repeat to the last bit
TILE_SHAPE = (64, 128, 128)      # (z, y, x) voxels predicted at a time, multiples of 2^LEVELS,
                                 # besides a halo of 20
MIRRORS = 1                      # mirrored copies of a tile whose probabilities are averaged:
                                 # 1, 2, 4 or 8; so many times the work

# --- volumes: OME-Zarr and large HDF5, predicted by blocks (docs/cluster.md) ---
BLOCK_SHAPE = (128, 256, 256)    # (z, y, x) voxels of a block, rounded up to whole tiles: what is
                                 # read at a time, besides the halo, and what a kill may cost
CHANNEL = 0                      # of a volume with several
SAMPLE_BLOCKS = 64               # blocks that level and noise are measured on; a volume of no more
                                 # is measured as a whole, as a stack is
EMPTY_BELOW = 3.0                # noise levels; a block with nothing brighter above the volume's
                                 # level, and a range of at most twice as many, is skipped: its map
                                 # is 0; 0: blocks of zeros alone are
DASK = None                      # None: this process, or its share as a task of a SLURM array;
                                 # 'local': processes of this machine; or the address of a scheduler
WORKERS = 0                      # processes of DASK=local; 0: one per core
