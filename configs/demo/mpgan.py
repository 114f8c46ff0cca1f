"""Small edition of configs/mpgan.py: what differs, so that a CPU trains it in minutes."""
REFINER_CHANNELS = 8
DISCRIMINATOR_CHANNELS = 16
MAX_STEPS = 600
REFINER_UPDATES = 1              # so that in few steps the discriminator learns, too
BATCH_SIZE = 2
CROP_SHAPE = (16, 32, 32)
LEARNING_RATE = 2e-4             # few steps and small networks: twice the paper's
DISCRIMINATOR_RATE = 1e-3        # it must be ahead of the refiner
AVERAGE_DECAY = 0.995            # over some 200 steps of 600
DECAY_STEPS = 100                # the rate falls to a half by the end, so that the result is steady
HISTORY_BATCHES = 25
LOG_EVERY = 10
PREVIEW_EVERY = 200
EVALUATE_EVERY = 100
EVALUATION_PATCHES = 24
SAVE_EVERY = 100
CRITIC_STEPS = 400
