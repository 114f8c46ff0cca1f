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


def worst_of_each(found):
    """Of the findings of several stacks the worst of each topic, told how many are alike.

    Args:
        found: list of lists of Finding, one for each stack.
    """
    by_topic = {}
    for own in found:
        for one in own:
            by_topic.setdefault(one.topic, []).append(one)
    result = []
    for several in by_topic.values():
        one = max(several, key=lambda other: LIGHTS.index(other.light))
        alike = sum(other.light == one.light for other in several)
        if len(several) > 1:
            one = one._replace(words='%s %s' % (
                one.words, 'All %d stacks are GREEN.' % alike if one.light == GREEN else
                '%d of %d stacks are %s.' % (alike, len(several), one.light)))
        result.append(one)
    return result
