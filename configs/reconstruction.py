"""Constants of 4_reconstruction.py (step 4); those of OTSU stand in configs/otsu.py.

Lengths are in x voxels: z and y count by the voxel size.
"""

# --- files ---
INPUT = 'data/segmented'         # folder, file or pattern of NAME.prob.tif (3_segmentation.py;
                                 # uint8, 255 for certain, or float, 0 to 1), NAME.mask.tif ({0, 1}
                                 # or {0, 255}), or 8- or 16-bit stacks
OUTPUT = 'results/traces'        # folder: NAME.swc (all trees of a stack), NAME.png
IMAGES = None                    # folder of the stacks (NAME.tif, ...) that masks were made from:
                                 # traces are drawn over them, and specks told from neurites by
                                 # their brightness; None: over INPUT, by probability alone
GOLD = None                      # folder of gold standards (NAME.swc, or NAME_1.swc, NAME_2.swc,
                                 # ...); None: no scores
ONE_FILE_PER_TREE = False        # True: also NAME_trees/NAME_0001.swc, ...: one root in each file,
                                 # as Vaa3D, SNT, neuTube and NeuroMorpho.Org want
TREE_UNIT = 'voxel'              # of those files: 'voxel' to lie over the stack in Vaa3D and
                                 # neuTube; 'um' for SNT, napari and measurements
VOXEL_SIZE = 'auto'              # um (z, y, x); auto: of the files, cubes where they do not tell
OVERWRITE = False                # True: redo results that other settings made

# --- foreground ---
METHOD = 'auto'                  # for stacks that are no masks or probabilities: 'otsu', on grey
                                 # levels as they are; 'gaussian': flattened, smoothed, OTSU;
                                 # 'ridge': Sato's filter, OTSU; 'threshold'; auto: gaussian
GREY_THRESHOLD = 0.0             # grey level of METHOD=threshold
LOW = 0.4                        # probability that is foreground if it hangs together with ...
HIGH = 0.6                       # ... one as high as this (hysteresis)
MIN_OBJECT = 8                   # voxels; smaller objects are debris
MAX_FOREGROUND = 8000000         # voxels; more would not fit into memory (about 0.5 GB a million)
RIDGE_SIGMAS = (1.0, 2.0)        # voxels, ridge: half-widths of the neurites (Sato et al., Medical
                                 # Image Analysis 1998)

# --- paths ---
COVER_SCALE = 1.5                # a path covers what lies within COVER_SCALE times its radius ...
COVER_MARGIN = 2.0               # ... plus COVER_MARGIN of it, so that it is not traced twice
                                 # (TEASAR's scale and constant)
SPUR_LENGTH = 3.0                # a branch must leave its parent's surface by SPUR_LENGTH ...
SPUR_RADII = 0.5                 # ... plus SPUR_RADII times the parent's radius, or it is a bump
SMOOTH_ROUNDS = 30               # of Taubin's smoothing; 0: the voxels' staircase
MIN_LENGTH = 15.0                # trees of less cable are left out, but for those with a soma

# --- crossings ---
CROSS_REACH = 10.0               # length of tree between forks whose arms are crossing fibres'; 0:
                                 # none, so that neurons of four stems stay whole
CROSS_ANGLE = 95.0               # degrees that a fibre may bend there; paths cut corners

# --- gaps ---
MAX_GAP = 8.0                    # longest dark way of a bridge between trees, full darkness
                                 # counting once; 0: no bridges
MAX_ANGLE = 60.0                 # degrees between a tip's direction and the bridge

# --- soma ---
SOMA_RATIO = 3.0                 # a ball is a soma if so many times as thick as the neurites
                                 # (median); 0: no somata
SOMA_RADIUS = 4.0                # and so thick at least

# --- volumes: OME-Zarr and chunked HDF5 ---
WHOLE_UP_TO = 300000000          # voxels; a larger one is traced block by block, and OTSU (METHOD
                                 # auto is 'otsu' there) measured on SAMPLE_BLOCKS
BLOCK_SHAPE = (256, 256, 256)    # (z, y, x) voxels of a block: memory follows it, and what a kill
                                 # may cost
BLOCK_HALO = 32                  # voxels around a block that are read, too; by 8 more than the
                                 # radius of the thickest soma
CHANNEL = 0                      # of a volume with several
SAMPLE_BLOCKS = 16               # blocks that tell whether it is a mask, and OTSU's threshold
