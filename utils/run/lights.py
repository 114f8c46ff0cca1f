"""Findings and their lights.

GREEN: as it should be. YELLOW: look at the picture. RED: the steps after it cannot be trusted.
"""
from typing import NamedTuple

GREEN, YELLOW, RED = LIGHTS = 'GREEN', 'YELLOW', 'RED'


class Finding(NamedTuple):
    """One judgement."""
    topic: str               # what was looked at
    light: str               # one of LIGHTS
    words: str               # what was found, with its figure, and what that means
    picture: str = ''        # file that shows it
    change: str = ''         # constants to change, NAME=VALUE joined by blanks; '': none


def worst(findings):
    """The worst light of some findings; GREEN of none."""
    return max((finding.light for finding in findings), key=LIGHTS.index, default=GREEN)


def light_of(value, limits):
    """Light of a number.

    Args:
        limits: (good, bad): GREEN up to the first, RED beyond the second; where the first is the
            larger one, GREEN from it on and RED below the second. NaN is RED.
    """
    good, bad = limits
    if good > bad:
        value, good, bad = -value, -good, -bad
    return GREEN if value <= good else YELLOW if value <= bad else RED
