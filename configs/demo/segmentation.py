"""Small edition of configs/segmentation.py: what differs, so that a network is trained and compared in minutes."""
PAIRS = 'data/demo/refined'
LABELS = 'data/demo/simulated/labels'
RUN_DIR = 'runs/demo_segmentation'
INPUT = 'data/demo/phantom/images'
OUTPUT = 'data/demo/segmented'
DATA = 'data/demo/compare'
RUNS = 'runs/demo_compare'
RESULTS = 'results/demo'
SEEDS = 1
N_DRAFTS = 4
DRAFT_SHAPE = (96, 128, 128)
VISIBLE_CONTRAST = 0.0           # in such noise what can hardly be seen is to be found, too
AUGMENT_SNR = (0.1, 1.0)         # so that one network serves stacks ten times as noisy (tests/benchmarks/reconstruction.py)
EVALUATE_EVERY = 50
SAVE_EVERY = 50
