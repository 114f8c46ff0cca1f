"""Folder of figures: which files of these names are this project's, and may be drawn again."""
import os

from utils.common import claims
from utils.common.errors import UserError

# what files of an earlier version hold in their first bytes, by extension
SIGNS = {'.png': b'atplotlib', '.svg': b'atplotlib', '.md': b'| what | figure |',
         '.html': b'<title>MPGAN'}
LOOKED_AT = 2000                 # bytes


def is_own(path):
    """True for a figure, summary or page that make_figures.py may have written."""
    if not os.path.isfile(path):
        return False
    with open(path, 'rb') as file:
        return SIGNS[os.path.splitext(path)[1]] in file.read(LOOKED_AT)


def claim(output, paths):
    """Claim a folder for figures.

    Args:
        paths: of the files that will be written into it.

    Raises:
        UserError: it is another script's, or holds other files of these names.
    """
    claims.take(output, claims.Owner('make_figures.py', {os.path.basename(path): [path]
                                                         for path in paths},
                                     known=lambda name: is_own(os.path.join(output, name))))


def check_page(path):
    """Raise UserError if there is a page that is not the gallery's."""
    if os.path.lexists(path) and not is_own(path):
        raise UserError('%s was not made by this script: move it, or give another RESULTS' % path)
