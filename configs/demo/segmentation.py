"""Small edition of configs/segmentation.py: what differs, to train in minutes."""
PAIRS = 'data/demo/refined'
LABELS = 'data/demo/simulated/labels'
RUN_DIR = 'runs/demo_segmentation'
INPUT = 'data/demo/phantom/images'
OUTPUT = 'data/demo/segmented'
VISIBLE_CONTRAST = 0.0           # in such noise what can hardly be seen is to be found, too
AUGMENT_SNR = (0.1, 1.0)         # one network for stacks up to ten times as noisy
                                 # (tests/benchmarks/reconstruction.py)
EVALUATE_EVERY = 50
SAVE_EVERY = 50
