"""Small edition of configs/mpgan.py: what differs, so that a CPU trains it in minutes."""
REFINER_CHANNELS = 8
DISCRIMINATOR_CHANNELS = 16
MAX_STEPS = 800
REFINER_UPDATES = 1              # so that in few steps the discriminator learns, too
BATCH_SIZE = 2
CROP_SHAPE = (16, 32, 32)
LEARNING_RATE = 1e-3             # few steps and small networks: ten times the paper's
DECAY_STEPS = 50                 # the rate falls to a fifth by the end, so that the result is steady
HISTORY_BATCHES = 25
LOG_EVERY = 10
PREVIEW_EVERY = 100
SAVE_EVERY = 100
