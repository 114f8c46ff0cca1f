"""Constants of make_figures.py."""
PATCHES = 'data/patches'         # of prepare_patches.py
DRAFTS = 'data/simulated'        # of 1_simulator.py
REFINED = 'data/refined'         # of 2_mpgan.py
RUN_DIR = 'runs/mpgan'           # of 2_mpgan.py
OUTPUT = 'imgs'                  # folder of the PNGs
FIGURES = 'all'                  # or some of: patches priors simulator drafts panel stack curves levels, joined by commas
TRUTH = None                     # folder of label stacks of the images that PATCHES came from, to score OTSU; the phantom's
