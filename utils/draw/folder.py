"""Folder of figures: which files of these names are this project's, and may be drawn again."""
import os

from utils.common import claims
from utils.common.config import ROOT
from utils.common.errors import UserError

# what the first bytes of a figure and of a page hold, by extension
SIGNS = {'.png': b'Software\0MPGAN', '.svg': b'>MPGAN<', '.html': b'<title>MPGAN'}
# the same of the figures that come with the project; those of other programs have it, too
OLDER = {'.png': b'atplotlib', '.svg': b'atplotlib', '.md': b'| what | figure |'}
OWN = os.path.join(ROOT, 'imgs')


def is_own(path):
    """True for a figure, summary or page that make_figures.py has written.

    Older ones, which only look like it, count in the project's own imgs/ alone.
    """
    ending, signs = os.path.splitext(path)[1], [SIGNS]
    if os.path.realpath(os.path.dirname(path)) == os.path.realpath(OWN):
        signs.append(OLDER)
    return any(ending in some and claims.is_signed(path, some[ending]) for some in signs)


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
