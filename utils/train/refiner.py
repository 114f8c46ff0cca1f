"""The trained refiner as an object: a run's weights in a session, for stacks of any size."""
import os
import sys

import numpy as np
from tqdm import tqdm

from models import gan, tf
from models.refiner import RADIUS
from utils.common import tiling
from utils.common.errors import UserError
from utils.data import patches
from utils.train import checkpoints
from utils.train.domains import bits_of
from utils.train.trained import Trained, settings_of


def refine_patch(session, inference, *, voxels, crop_sides=None):
    """Refine one array as a whole.

    Args:
        session: tf.Session; inference: gan.Inference.
        voxels: uint8 or uint16 [Z, Y, X].
        crop_sides: None, or int [3, 2] of {0, 1}, see models.refiner.crop.

    Returns:
        [Z, Y, X] of the same dtype, rounded and clipped, smaller by RADIUS on cropped sides.
    """
    feed = {inference.draft: voxels[None, ..., None].astype(np.float32)}
    if crop_sides is not None:
        feed[inference.crop_sides] = crop_sides
    grey = session.run(inference.refined_grey, feed)[0, ..., 0]
    return np.clip(np.rint(grey), 0, np.iinfo(voxels.dtype).max).astype(voxels.dtype)


class Refiner(Trained):
    """A trained refiner. Use as a context manager; it replaces the default graph.

    Attributes:
        bits: 8 or 16, of stacks it was trained on; halo: voxels around a tile that it depends on;
        and those of Trained.
    """

    def __init__(self, run_dir, *, checkpoint='best', threads=0, tile=None):
        """Args:
            run_dir: of 2_mpgan.py, or of packed weights.
            checkpoint: 'best' of the evaluations, the newest if there is none; or 'newest'.
            threads: of TensorFlow; 0 takes all cores.
            tile: (z, y, x) voxels refined at a time; None: a stack at once. The result is the same.

        Raises:
            UserError: no checkpoint, or no run of 2_mpgan.py.
        """
        newest = checkpoints.newest(run_dir)
        if newest is None:
            raise UserError('%s has no checkpoint: train first (STAGE=train)' % run_dir)
        best = checkpoints.best(run_dir) if checkpoint == 'best' else None
        settings = settings_of(run_dir, ['REFINER_CHANNELS', 'BITS'], script='2_mpgan.py')
        self.run_dir, self.tile, self.bits = run_dir, tile, settings['BITS']
        self.halo = RADIUS
        tf.reset_default_graph()
        self.inference = gan.build_inference(self.bits, settings['REFINER_CHANNELS'],
                                             standardised=settings.get('STANDARDISE', False))
        super().__init__(best or newest, gan.inference_variables(), settings=settings,
                         threads=threads)

    def refine(self, voxels, *, name='stack', within=None):
        """Refine a stack by tiles.

        Args:
            voxels: uint8 or uint16 [Z, Y, X], or a tiling.Window of a volume; name: of its file,
                for messages.
            within: None: the whole; or the box that is refined, see tiling.apply.

        Returns:
            array like `voxels`, no rim left out.

        Raises:
            UserError: 8 bit for a refiner of 16, or the reverse.
        """
        self.check(voxels, name)

        def one(tile, sides):
            return refine_patch(self.session, self.inference, voxels=tile, crop_sides=sides)

        def progress(tiles):
            return tqdm(tiles, os.path.basename(name), leave=False,
                        disable=bool(within) or not sys.stderr.isatty())

        return tiling.apply(one, voxels, tile=self.tile or voxels.shape, halo=self.halo,
                            crops=True, progress=progress, within=within)

    def refine_windows(self, voxels, corners, *, window, name='stack'):
        """Refine windows of a stack: each with the halo that it needs, or the whole stack if that
        is less work.

        Args:
            voxels: uint8 or uint16 [Z, Y, X]; corners: int [N, 3]; window: (z, y, x) voxels.
            name: of its file, for messages.

        Returns:
            array [N, z, y, x] of the same dtype: what `refine` gives there, but for rounding.

        Raises:
            UserError: as refine.
        """
        self.check(voxels, name)
        if len(corners) * np.prod(np.array(window) + RADIUS) >= voxels.size:
            refined = self.refine(voxels, name=name)
            return np.stack([patches.cut(refined, corner, window=window) for corner in corners])
        windows = []
        for corner in corners:
            low, high = corner - RADIUS, corner + window + RADIUS
            sides = np.stack([low >= 0, high <= voxels.shape], 1).astype(int)
            tile = voxels[tuple(map(slice, np.maximum(low, 0), np.minimum(high, voxels.shape)))]
            refined = refine_patch(self.session, self.inference, voxels=tile, crop_sides=sides)
            start = np.where(sides[:, 0], 0, np.minimum(corner, RADIUS))
            windows.append(patches.cut(refined, start, window=window))
        return np.stack(windows)

    def check(self, voxels, name):
        """Raise UserError unless a stack or volume, called `name`, has the bits trained on."""
        if bits_of(voxels.dtype) != self.bits:
            raise UserError('%s is %d bit, %s was trained on %d: refine stacks of its kind'
                            % (name, bits_of(voxels.dtype), self.run_dir, self.bits))
