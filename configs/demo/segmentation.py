"""Small edition of configs/segmentation.py: what differs, to train in minutes."""
PAIRS = 'data/demo/refined'
LABELS = 'data/demo/simulated/labels'
RUN_DIR = 'runs/demo_segmentation'
INPUT = 'data/demo/phantom/images'
OUTPUT = 'data/demo/segmented'
EVALUATE_EVERY = 50
SAVE_EVERY = 50
