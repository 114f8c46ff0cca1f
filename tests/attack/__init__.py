"""The attack: bad input, kills, races, full disks and damaged bytes, on every script.

`python -m tests.attack SEED=7` (make attack). docs/attack.md tells what is tried and promised.
"""
