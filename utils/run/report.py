"""The report: findings of all steps as lines in the log, Markdown and JSON."""
import os
import shlex
from collections import OrderedDict
from typing import NamedTuple

from utils.common import files
from utils.run.lights import GREEN, LIGHTS, Finding

HEAD = '''# How it went: %s

GREEN: as it should be. YELLOW: look at the picture. RED: the steps after it cannot be trusted.
'''
ALONE = 'traces',                # steps that are done again alone


class Again(NamedTuple):
    """How a run is done again with other constants."""
    stacks: str                  # constant STACKS of the run
    name: str                    # of its folders
    given: dict                  # constant of configs/run.py -> text of more arguments
    steps: dict                  # name of a step -> (constant for more arguments, its command)
    traces: str                  # folder of the traces
    channel: int = 0             # constant CHANNEL of the run


class Report:
    """Findings by step. Kept in FOLDER/report.json, so that a resumed run has those before it."""

    def __init__(self, folder, again):
        """Args:
            folder: results/NAME; again: Again.
        """
        self.folder, self.again, self.findings = folder, again, {}
        path = os.path.join(folder, 'report.json')
        if os.path.exists(path):
            kept = files.read_json(path, cure='remove it')
            self.findings = {step: [Finding(*row) for row in rows] for step, rows in kept.items()
                             if step in again.steps}

    def add(self, step, found):
        """Take a step's findings and write the report; lines for the log.

        Args:
            step: its name; found: list of Finding.
        """
        self.findings[step] = list(found)
        files.write_json(os.path.join(self.folder, 'report.json'),
                         {name: [list(one) for one in rows]
                          for name, rows in self.findings.items()})
        files.write_text(os.path.join(self.folder, 'report.md'), self.text())
        return [self._line(step, one) for one in found]

    def _line(self, step, one):
        line = 'report: %-6s %s: %s' % (one.light, one.topic, one.words)
        if one.picture:
            line += ' See %s.' % one.picture
        if one.change:
            line += ' To change: %s (%s).' % (one.change, self.again.steps[step][0])
        return line

    def command(self, step, change):
        """The command that does a step again with other constants, results of before kept."""
        more, command = self.again.steps[step]
        if step in ALONE:
            output = 'OUTPUT=' + shlex.quote(_next(self.again.traces))
            return '%s %s %s' % (command, change, output)
        words = ['make', 'run', 'STACKS=' + self.again.stacks, 'NAME=' + _next(self.again.name)]
        words += ['CHANNEL=%d' % self.again.channel] * bool(self.again.channel)
        for constant, text in self.again.given.items():
            if constant == more:
                text = _merged(text, change)
            if text:
                words.append('%s=%s' % (constant, text))
        return ' '.join(map(shlex.quote, words))

    def rows(self):
        """(step, Finding) in order of the steps."""
        return [(step, one) for step in self.again.steps for one in self.findings.get(step, ())]

    def count(self):
        """'9 GREEN, 1 YELLOW, 0 RED'."""
        lights = [one.light for _, one in self.rows()]
        return ', '.join('%d %s' % (lights.count(light), light) for light in LIGHTS)

    def text(self):
        """Text of report.md."""
        lines = [HEAD % self.again.name, '| step | looked at | light | found | picture |',
                 '| --- | --- | --- | --- | --- |']
        lines += ['| %s |' % ' | '.join(cell.replace('|', '/') for cell in (
            step, one.topic, one.light, one.words, one.picture)) for step, one in self.rows()]
        changes = OrderedDict()                          # the same command once
        for step, one in self.rows():
            if one.change and one.light != GREEN:
                changes.setdefault(self.command(step, one.change), []).append(
                    '%s (%s)' % (one.topic, one.light))
        if changes:
            lines += ['', '## What to change', '', 'One at a time, the first one first: what comes '
                      'after it may follow from it.', '']
            lines += ['- %s: `%s`' % (', '.join(topics), command)
                      for command, topics in changes.items()]
        return '\n'.join(lines) + '\n'


def _merged(text, change):
    """NAME=VALUE ... of a text and of a change, which overrules it."""
    new = {word.split('=')[0] for word in change.split()}
    kept = [word for word in shlex.split(text) if word.split('=')[0] not in new]
    return ' '.join([shlex.quote(word) for word in kept] + [change])


def _next(name):
    """NAME_2 of NAME, NAME_3 of NAME_2, ..."""
    stem, _, number = name.rpartition('_')
    if stem and number.isdigit():
        return '%s_%d' % (stem, int(number) + 1)
    return name + '_2'
