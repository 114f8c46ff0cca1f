"""Constants of make_figures.py."""
PATCHES = 'data/patches'         # of prepare_patches.py
DRAFTS = 'data/simulated'        # of 1_simulator.py
REFINED = 'data/refined'         # of 2_mpgan.py
RUN_DIR = 'runs/mpgan'           # of 2_mpgan.py
OUTPUT = 'imgs'                  # folder of the PNGs
FIGURES = 'all'                  # or some of: patches simulator panel stack curves levels, joined by commas
Z_STEP = 2                       # of 1_simulator.py: pixels per slice in views from the side
TRUTH = None                     # folder of label stacks of the images that PATCHES came from, to score OTSU; the phantom's
