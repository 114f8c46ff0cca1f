"""Figures of the demo: what differs from configs/figures.py."""
PATCHES = 'data/demo/patches'
DRAFTS = 'data/demo/simulated'
REFINED = 'data/demo/refined'
RUN_DIR = 'runs/demo'
OUTPUT = 'results/demo'
TRUTH = 'data/demo/phantom/truth/labels'
