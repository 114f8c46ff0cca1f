"""Part files: what was made of each stack, so that shares of a job array and reruns find it.

A part is a patch file (patches.py) that also holds the stack's measurements and what it was made
from. A stack that cannot be used leaves a refusal, NAME.bad, instead.
"""
import os

import h5py

from utils.common import batch, files, schemas
from utils.common.errors import UserError
from utils.data import patches, stacks, volumes


class Parts:
    """The part files of a folder of results."""

    def __init__(self, folder, settings, *, of_volumes=()):
        """Args:
            folder: of the results; settings: dict of the constants that shape a part.
            of_volumes: names of those that count for volumes alone.
        """
        self.folder, self.settings = os.path.join(folder, 'parts'), settings
        self.plain = {k: v for k, v in settings.items() if k not in of_volumes}

    def key(self, stack):
        """What the part of a stack (its path) depends on: the file as it is now and the settings.

        Returns:
            str; a part with another one is made again.
        """
        settings = self.settings if volumes.is_volume(stack) else self.plain
        return files.to_json([batch.file_key(stack), settings])

    def path(self, stack):
        """File of a stack's part."""
        return os.path.join(self.folder, stacks.name_of(stack) + '.h5')

    def targets(self, stack):
        """Files that a stack may leave in the folder."""
        return [self.path(stack), self._refusal(stack)]

    def is_made(self, stack):
        """True if the part was made from the stack as it is now."""
        key = self._key(stack)
        return key is not None and patches.made_from(self.path(stack)) == key

    def measured(self, stack):
        """Measurements kept in a part; dict.

        Raises:
            UserError: the part has none, or others than stack.measure tells.
        """
        try:
            with h5py.File(self.path(stack), 'r') as file:
                measured = files.from_json(file.attrs['measured'])
        except (KeyError, OSError, TypeError, ValueError):
            measured = None
        if schemas.fault(measured, schemas.MEASURED):
            raise UserError('%s holds no measurements: remove it and run the same command again'
                            % self.path(stack))
        return measured

    # --- stacks that cannot be used ---

    def refuse(self, stack):
        """Note that a stack cannot be used, so that other shares need not wait for it.

        One that cannot be opened needs no note: all shares see it.
        """
        key = self._key(stack)
        if key is not None:
            files.write_text(self._refusal(stack), key)

    def forget_refusal(self, stack):
        """Remove the note, before the stack is tried again."""
        if self._key(stack) is not None:
            files.remove(self._refusal(stack))

    def is_refused(self, stack):
        """True if a stack cannot be opened, or was refused as it is now, perhaps by a share."""
        key = self._key(stack)
        if key is None:
            return True
        if not os.path.exists(self._refusal(stack)):
            return False
        with open(self._refusal(stack), encoding='utf-8', errors='replace') as file:
            return file.read() == key

    def _key(self, stack):
        """The key, or None if the stack cannot be opened."""
        try:
            stacks.check_file(stack)
        except UserError:
            return None
        return self.key(stack)

    def _refusal(self, stack):
        return os.path.join(self.folder, stacks.name_of(stack) + '.bad')
