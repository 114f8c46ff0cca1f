"""Small edition of configs/prepare_patches.py: what differs, for stacks of the demo's size."""
PATCH_SHAPE = (32, 64, 64)
MIN_OBJECT = 100                 # the demo's stacks are small, and so are their pieces of axons
