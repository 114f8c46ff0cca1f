"""Small edition of configs/reconstruction.py: what differs, for the demo's folders."""
INPUT = 'data/demo/segmented'
OUTPUT = 'results/demo/traces'
IMAGES = 'data/demo/phantom/images'
GOLD = 'data/demo/phantom/truth/swc'
