"""Small edition of configs/paper.py: what differs, so that it ends in minutes on a phantom."""
DATA = 'data/demo/paper'
RUNS = 'runs/demo_paper'
RESULTS = 'results/demo'
ARMS = 'paper-*,measured-*'      # small volumes do not hold the long branches of the ablations
SEEDS = 1
CRITIC = False
N_SPARSE = 4
N_MEASURED = 4
DRAFT_SHAPE = (96, 128, 128)
DRAFT_ARGS = 'BRANCH_LENGTH=14,22 PATCH_EVERY=8'     # for small volumes
REFINER_STEPS = 150
REFINER_ARGS = 'DECAY_STEPS=100'
VISIBLE_CONTRAST = 0.0           # in such noise what can hardly be seen is to be found, too
AUGMENT_SNR = (0.1, 1.0)         # the phantom's stacks are of unlike quality
AUGMENT_CONTRAST = (0.5, 2.0)    # with these two, dimmed crops alone would teach it to see noise
MAX_STEPS = 100                  # of a network
EVALUATE_EVERY = 50
SAVE_EVERY = 50
