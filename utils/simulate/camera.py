"""Camera of the drafts: photon noise, read noise, offset, saturation, 8 or 16 bit."""
import numpy as np


def photons(slab, gain, *, rng):
    """Photon noise: Poisson counts of light.

    Args:
        slab: float32 [z, Y, X], mean grey levels; gain: grey levels per photon.

    Returns:
        float32 [z, Y, X].
    """
    return (gain * rng.poisson(np.maximum(slab, 0) / gain)).astype(np.float32)


def shot(slab, behind, *, variance, rng):
    """Noise of the light that came to a background which has its own; in place.

    Args:
        slab: float32 [z, Y, X], grey levels; behind: the background alone, used up.
        variance: for each grey level of that light.
    """
    np.subtract(slab, behind, out=behind)
    np.sqrt(np.maximum(behind, 0) * np.float32(variance), out=behind)
    behind *= rng.standard_normal(slab.shape, dtype=np.float32)
    slab += behind


def read_out(slab, camera, *, rng):
    """Add read noise and the dark camera's offset, cut off at saturation; in place.

    Args:
        slab: float32 [z, Y, X], grey levels; camera: settings.Camera.
    """
    if camera.read_noise:
        noise = rng.standard_normal(slab.shape, dtype=np.float32)
        slab += noise * np.float32(camera.read_noise)
    if camera.offset:
        slab += np.float32(camera.offset)
    if camera.saturation:
        np.minimum(slab, np.float32(camera.saturation), out=slab)


def to_dtype(image, dtype):
    """Round and clip grey levels to uint8 or uint16; uses up `image` (float32)."""
    limits = np.iinfo(dtype)
    image += np.float32(0.5)
    np.clip(image, limits.min, limits.max + np.float32(0.5), out=image)
    return image.astype(dtype)                           # cuts off what is behind the point
