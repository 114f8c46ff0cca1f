"""The two kinds of patches that the refiner learns from, and what is measured on them."""
import os
from typing import NamedTuple

import numpy as np

from models.gan import Intensities, Spectra
from models.refiner import LIMIT
from utils.common.errors import UserError
from utils.data import patches
from utils.score import realism
from utils.train import samplers
from utils.train.normalisation import NORMAL

MEASURED = 50              # patches, about, that the numbers below are measured on
SPECTRA = 2 ** 25          # voxels of either kind, about, that spectra are measured on ...
CROPS = 2048               # ... at most so many crops: 512 differ by 3 % from as many others
COVERED = 4                # ... and so many times the voxels that there are, but ...
FEWEST = 512               # ... not fewer crops
CALIBRATED = 2 ** 20       # voxels, about, that the refiner's moments are measured on


class Domains(NamedTuple):
    """Patch files, both of 8 or both of 16 bit."""
    real: patches.PatchFile      # real patches
    drafts: patches.PatchFile    # drafts with labels

    @property
    def bits(self):
        """8 or 16."""
        return bits_of(self.real.dtype)


def bits_of(dtype):
    """Bits of a voxel: 8 or 16."""
    return 8 * np.dtype(dtype).itemsize


def open_domains(real_path, drafts_path, *, checked=True):
    """Open the patches, checked to fit each other; Domains.

    Args:
        real_path: patch file or folder of TIFF patches.
        drafts_path: folder of 1_simulator.py, with patches.h5; or what a patch file may be.
        checked: read all patches once; of several processes one does.

    Raises:
        UserError: missing, damaged, without labels, of unlike bits, or unfit (PatchFile.check).
    """
    real = patches.PatchFile(real_path)
    inside = os.path.join(drafts_path, 'patches.h5')
    of_tiff = os.path.isdir(drafts_path) and not os.path.exists(inside)
    drafts = patches.PatchFile(drafts_path if of_tiff else inside, with_labels=True)
    if real.dtype != drafts.dtype:
        raise UserError('%s is %d bit but %s %d bit: run 1_simulator.py BITS=%d' % (
            drafts.path, bits_of(drafts.dtype), real.path, bits_of(real.dtype),
            bits_of(real.dtype)))
    if checked:
        real.check(real=True)
        drafts.check()
    return Domains(real, drafts)


def _some(array):
    """About MEASURED patches of a file, evenly spread, float32 grey levels or {0, 1}."""
    return array[:: 1 + len(array) // MEASURED].astype(np.float32)


def to_network(grey, bits):
    """Grey levels to [-1, 1] as the graph does it (models.losses.to_network), in NumPy."""
    return (np.sqrt(grey) if bits == 16 else grey) * 2 / 255 - 1


def intensities(domains):
    """Median and standard deviation of both domains' intensities; gan.Intensities.

    Black and saturated voxels are clipped, and no spread is less than 0.001. The noise is the
    median absolute deviation from each real patch's median, as a standard deviation.
    """
    def level_and_spread(x):
        return float(np.median(x)), float(max(x.std(), 1e-3))

    grey = _some(domains.real.image)
    drafts, real = [to_network(x, domains.bits) for x in (_some(domains.drafts.image), grey)]
    rng = np.random.default_rng(0)                   # grey levels are rounded: steps are not noise
    deviations = []
    for image in grey:
        spread = image + rng.uniform(-0.5, 0.5, image.shape)
        spread = to_network(np.maximum(spread, 0), domains.bits)
        deviations.append(np.abs(spread - np.median(spread)))
    return Intensities(level_and_spread(np.clip(drafts, -0.99, 0.99)),
                       level_and_spread(np.arctanh(np.clip(drafts, -LIMIT, LIMIT))),
                       level_and_spread(np.clip(real, -0.99, 0.99)),
                       float(max(NORMAL * np.median(deviations), 1e-3)))


def calibration_crops(drafts, crop_shape, *, seed, augment):
    """Crops of drafts to measure the refiner's moments on, the same for any batch size.

    Args:
        drafts: PatchFile; crop_shape: (z, y, x) voxels; seed: whole number; augment: see Sampler.

    Returns:
        float32 [B, Z, Y, X, 1], grey levels, about CALIBRATED voxels.
    """
    count = max(1, CALIBRATED // int(np.prod(crop_shape)))
    sampler = samplers.Sampler(drafts, count, crop=crop_shape, seed=[seed, 1], augment=augment)
    return sampler.batch(0)[0]


def spectra(drafts, real):
    """How much more power real crops have than drafts' at each frequency; gan.Spectra.

    Args:
        drafts, real: samplers.Sampler, one crop a batch.
    """
    unit = realism.noise_level(_some(real.patches.image))
    told = []
    for sampler in (drafts, real):
        crop, there = [int(np.prod(s)) for s in (sampler.crop, sampler.patches.image.shape)]
        count = max(1, min(CROPS, SPECTRA // crop, max(FEWEST, COVERED * there // crop)))
        found = [realism.axis_spectra(realism.compressed(sampler.batch(i)[0][..., 0], unit))
                 for i in range(count)]
        told.append([np.log10(np.mean([10 ** each[axis] for each in found], 0))
                     for axis in range(3)])
    return Spectra(unit, tuple((of_real - of_drafts).astype(np.float32)
                               for of_drafts, of_real in zip(*told)))
