"""Constants of make_figures.py."""
PATCHES = 'data/patches'         # of prepare_patches.py
DRAFTS = 'data/simulated'        # of 1_simulator.py
REFINED = 'data/refined'         # of 2_mpgan.py
RUN_DIR = 'runs/mpgan'           # of 2_mpgan.py
SEGMENTED = 'data/segmented'     # of 3_segmentation.py STAGE=predict
SEGMENTATION_RUN = 'runs/segmentation'   # of 3_segmentation.py
TRACES = 'results/traces'        # of 4_reconstruction.py
RESULTS = 'results'              # of tests/benchmarks/comparison.py and paper.py; the gallery's
                                 # page, index.html, goes there
BENCHMARK = 'results/reconstruction'     # FOLDER of tests/benchmarks/reconstruction.py
OUTPUT = 'imgs'                  # folder of the figures
FORMAT = 'png'                   # or 'svg', for the figures that are drawn here and not copied
FIGURES = 'all'                  # with what there is of steps 3 and 4; or some of: patches priors
                                 # simulator drafts panel refining stack curves levels framework
                                 # traces reconstruction segmentation_arms segmentation_curves
                                 # segmentation_overlays paper_paper paper_measured paper_arms
                                 # architecture, joined by commas; or paper: those that the method's
                                 # paper has, too; or gallery
PLAIN_DRAFTS = None              # of 1_simulator.py: of the paper's model, which `refining` shows,
                                 # too; None: none
PLAIN_REFINED = None             # of 2_mpgan.py: the same, refined
TRUTH = None                     # folder of label stacks of the images that PATCHES came from, to
                                 # score OTSU; the phantom's
