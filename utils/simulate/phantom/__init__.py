"""The phantom: stacks of unknown neurons as a microscope might give them, for a demo without data.

Its forward model is another and a richer one than the simulator's (wandering axons with boutons,
textured background, uneven light, photon statistics), so that the refiner has something to learn.
It stands in for real data where there is none: nothing measured on it is a result on real data.
"""
