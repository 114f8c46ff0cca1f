"""All steps on a folder of stacks: choices, commands, times, and a report of how it went."""
