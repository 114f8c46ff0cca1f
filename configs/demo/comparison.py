"""Small edition of configs/comparison.py: what differs, so that it ends in minutes on a phantom."""
DATA = 'data/demo/compare'
RUNS = 'runs/demo_compare'
RESULTS = 'results/demo'
SEEDS = 1
N_DRAFTS = 4
DRAFT_SHAPE = (96, 128, 128)
DRAFT_DENSITY = 0.001            # the phantom is sparse
REFINER_STEPS = 150
VISIBLE_CONTRAST = 0.0           # in such noise what can hardly be seen is to be found, too
AUGMENT_SNR = (0.1, 1.0)         # the phantom's stacks are of unlike quality
AUGMENT_CONTRAST = (0.5, 2.0)    # with these two, dimmed crops alone would teach it to see noise
MAX_STEPS = 200                  # of a network
EVALUATE_EVERY = 50
SAVE_EVERY = 50
