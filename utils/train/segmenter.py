"""The trained segmentation network as an object: probability maps and masks of whole stacks."""
import os
import sys

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from models import segmenter, tf, unet
from utils.common import tiling
from utils.common.errors import UserError
from utils.train import checkpoints, normalisation
from utils.train.trained import Trained, settings_of

ALONG = (3, 2, 1)                       # axes of [B, Z, Y, X, 1] that copies are mirrored along


class Segmenter(Trained):
    """A trained segmentation network in a session of its own. Use as a context manager.

    Attributes: see Trained; and
        run_dir: of the training or packed weights;
        levels: how many times the network halves the resolution; tile: (z, y, x) voxels of a tile;
        halo: voxels around a tile that it depends on.
    """

    def __init__(self, run_dir, *, threads=0, tile=(64, 128, 128), mirrors=1):
        """Args:
            run_dir: of a training, or of packed weights; the best checkpoint is taken, else the
                newest.
            threads: of TensorFlow; 0 takes all cores, 1 repeats results to the last bit.
            tile: voxels predicted at a time; rounded up to multiples of 2^levels.
            mirrors: 1, 2, 4 or 8 copies, mirrored along x, then y, then z, whose probabilities
                are averaged.

        Raises:
            UserError: no checkpoint, none of this network, or no settings beside it.
        """
        checkpoint = checkpoints.best_or_newest(run_dir)
        if checkpoint is None:
            raise UserError('%s has no checkpoint: train first (STAGE=train), or give another '
                            'RUN_DIR' % run_dir)
        settings = settings_of(run_dir, ('CHANNELS', 'LEVELS'), script='3_segmentation.py')
        self.run_dir = run_dir
        self.levels, self.halo = settings['LEVELS'], unet.halo(settings['LEVELS'])
        self.tile = tuple(n + -n % 2 ** self.levels for n in tile)
        self.mirrors = [tuple(axis for bit, axis in enumerate(ALONG) if copy >> bit & 1)
                        for copy in range(mirrors)]
        tf.reset_default_graph()
        self.inference = segmenter.build_inference(settings['CHANNELS'], self.levels)
        super().__init__(checkpoint, segmenter.inference_variables(), settings=settings,
                         threads=threads)

    def predict(self, voxels, name='', *, scale=None, within=None):
        """Probability of the foreground, by tiles; equal to the whole stack's at once.

        Args:
            voxels: uint8 or uint16 [Z, Y, X], or a tiling.Window of a volume.
            name: of the stack, for the progress bar; within: box that is predicted, see
                tiling.apply; None: the whole stack.
            scale: normalisation.Scale; None: that of `voxels`.

        Returns:
            uint8 [Z, Y, X], probability * 255, rounded.
        """
        scale = scale or normalisation.measure(voxels)    # the whole stack's, for every tile
        return tiling.apply(
            lambda tile: self._probability(normalisation.normalise(tile, scale)), voxels,
            tile=self.tile, halo=self.halo, dtype=np.uint8, within=within,
            progress=lambda tiles: tqdm(tiles, name, leave=False,
                                        disable=bool(within) or not sys.stderr.isatty()))

    def _probability(self, image):
        """Probability * 255, uint8 [Z, Y, X], of normalised intensities, float32."""
        shape, step = image.shape, 2 ** self.levels
        # padded before it is mirrored: pooled blocks lie as they do in the whole stack
        x = np.pad(image, [(0, -n % step) for n in shape], 'symmetric')[None, ..., None]
        total = 0.0
        for axes in self.mirrors:
            feed = {self.inference.image: np.flip(x, axes)}
            total += np.flip(self.session.run(self.inference.probability, feed), axes)
        mean = np.rint(255 / len(self.mirrors) * total[0, ..., 0]).astype(np.uint8)
        return mean[tuple(slice(n) for n in shape)]


def first_try(run_dir, *, default, pretrained):
    """The run that predicts: pretrained weights where a user trained nothing and named no run.

    Args:
        run_dir: as the user has it; default: that of the config; pretrained: packed weights.

    Returns:
        run_dir, or `pretrained`, and then a line says so.
    """
    if run_dir != default or os.path.lexists(run_dir):
        return run_dir
    print('%s: nothing was trained here yet, so the network of %s predicts: it was trained on '
          'drafts of many kinds. One trained on your own stacks should do better'
          % (run_dir, pretrained))
    return pretrained


def mask_of(probability, threshold, *, smallest):
    """Foreground of a probability map, without small objects.

    Args:
        probability: uint8 [Z, Y, X], probability * 255; threshold: probability in [0, 1], at or
            above it a voxel is foreground.
        smallest: voxels of the smallest object that stays; voxels of an object touch by corners.

    Returns:
        uint8 {0, 1} [Z, Y, X].
    """
    mask = probability >= threshold * 255
    if smallest > 1:
        # as skimage's remove_small_objects, which counts on a 64-bit copy: for 512^3 voxels it
        # takes 1.6 GB, this 0.5 GB, as sizes are counted plane by plane
        objects, count = ndimage.label(mask, np.ones((3, 3, 3)))
        sizes = sum(np.bincount(plane.ravel(), minlength=count + 1) for plane in objects)
        mask &= (sizes >= smallest)[objects]
    return mask.astype(np.uint8)
