"""Part files: what was made of each stack, so that shares of a job array and reruns find it.

A part is a patch file (patches.py) that also holds the stack's measurements and what it was made
from. A stack that cannot be used leaves a refusal, NAME.bad, instead.
"""
import os

import h5py

from utils.common import batch, files
from utils.data import patches, stacks


class Parts:
    """The part files of a folder of results."""

    def __init__(self, folder, settings):
        """Args:
            folder: of the results; settings: dict of the constants that shape a part.
        """
        self.folder, self.settings = os.path.join(folder, 'parts'), settings

    def key(self, stack):
        """What the part of a stack (its path) depends on: the file as it is now and the settings.

        Returns:
            str; a part with another one is made again.
        """
        return files.to_json([batch.file_key(stack), self.settings])

    def path(self, stack):
        """File of a stack's part."""
        return os.path.join(self.folder, stacks.name_of(stack) + '.h5')

    def is_made(self, stack):
        """True if the part was made from the stack as it is now."""
        return patches.made_from(self.path(stack)) == self.key(stack)

    def measured(self, stack):
        """Measurements kept in a part; dict."""
        with h5py.File(self.path(stack), 'r') as file:
            return files.from_json(file.attrs['measured'])

    # --- stacks that cannot be used ---

    def refuse(self, stack):
        """Note that a stack cannot be used, so that other shares need not wait for it."""
        files.write_text(self._refusal(stack), self.key(stack))

    def forget_refusal(self, stack):
        """Remove the note, before the stack is tried again."""
        files.remove(self._refusal(stack))

    def is_refused(self, stack):
        """True if a stack was refused as it is now, perhaps by another share."""
        if not os.path.exists(self._refusal(stack)):
            return False
        with open(self._refusal(stack), encoding='utf-8') as file:
            return file.read() == self.key(stack)

    def _refusal(self, stack):
        return os.path.join(self.folder, stacks.name_of(stack) + '.bad')
