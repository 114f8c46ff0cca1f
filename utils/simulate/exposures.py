"""From light to grey levels: stain, debris, optics, background, camera (docs/method.md, step 1)."""
from typing import NamedTuple

import numpy as np

from utils.measure import coarse, glow
from utils.simulate import background, camera, light, optics, settings
from utils.simulate.priors import GreyLevels


class Scene(NamedTuple):
    """What shines in front of the microscope."""
    light: np.ndarray           # float32 [Z, Y, X], grey levels of neurites' voxels, unstained
    label: np.ndarray           # uint8 {0, 1} [Z, Y, X]
    levels: GreyLevels          # the paper's, of this stack


def expose(scene, values, *, prior, rng, psf=None):
    """Image a scene; uses up its light.

    Args:
        scene: Scene; values: settings.Settings, resolved; prior: priors.Priors.
        psf: float [z, y, x], sum 1, instead of the Gaussian; or None.

    Returns:
        uint8 or uint16 [Z, Y, X].
    """
    dtype = np.uint8 if values.stack.bits == 8 else np.uint16
    if not values.light.external_priors:                 # the ablation: two grey levels
        plain = np.where(scene.label > 0, np.float32(scene.levels.foreground), np.float32(0)) + 1
        return camera.to_dtype(plain, dtype)
    boxes, far = _shining(scene, values, prior=prior, rng=rng, psf=psf)
    # some slices at a time, so that they stay in the processor's cache: background, light, camera
    image = np.empty(scene.label.shape, dtype)
    uneven, size = None, values.stack.voxel_size
    if values.optics.illumination:
        uneven = optics.illumination(image.shape, values.optics.illumination, rng=rng,
                                     sigma=[values.optics.illumination_sigma / v for v in size])
    for rows, slab in _behind(scene, values, prior=prior, rng=rng):
        behind = slab.copy() if values.camera.light_noise else None
        boxes = optics.add_light(slab, rows, boxes=boxes)
        if far is not None:
            slab += next(far)[1]
        if behind is not None:
            camera.shot(slab, behind, variance=values.camera.light_noise, rng=rng)
        if uneven is not None:
            slab *= next(uneven)[1]
        if values.optics.attenuation:
            optics.attenuate(slab, rows, length=values.optics.attenuation / size[0])
        if values.camera.gain:
            slab = camera.photons(slab, values.camera.gain, rng=rng)
        camera.read_out(slab, values.camera, rng=rng)
        image[rows] = camera.to_dtype(slab, dtype)
    return image


def _shining(scene, values, *, prior, rng, psf):
    """Stained neurites and debris, blurred.

    The wings of the point-spread function are a second, wider Gaussian with a share of the
    neurites' light; debris has none.

    Returns:
        (boxes, glow): as of optics.blur, in order of z; slabs as of _glow, or None.
    """
    fluorescence, shape = scene.light, scene.label.shape
    mask = scene.label.view(bool)
    inside = np.flatnonzero(fluorescence)
    lit = fluorescence.ravel()
    lit[inside] = light.stain(lit[inside], values.light.stained_share, rng=rng)
    far = _glow(fluorescence, values)
    specks = prior.draw_debris(_debris_count(values), scene.levels.foreground,
                               blur=optics.blurs(values, psf=psf)[0][1], rng=rng)
    balls = light.debris(shape, mask, specks=light.Specks(*specks), rng=rng,
                         spacing=settings.grid(values.stack)[1])
    if psf is not None:
        np.add.at(lit, balls.index, balls.level)         # specks may overlap
        return [((0, 0, 0), optics.convolve(fluorescence, psf))], far
    sigma = [s / v for s, v in zip(values.optics.psf_sigma, values.stack.voxel_size)]
    share, boxes = np.float32(values.optics.psf_wing_share), []
    if share:
        wings = (optics.wing_times(values.optics) * sigma).tolist()
        boxes += optics.blur(share * fluorescence, inside, sigma=wings)
        fluorescence *= np.float32(1 - values.optics.psf_wing_share)
    boxes += optics.blur(fluorescence, inside, sigma=sigma)
    boxes += optics.blur_balls(shape, balls, sigma=sigma)
    return sorted(boxes, key=lambda box: box[0]), far


def _glow(light, values):
    """Light of the neurites far from where they are.

    Args:
        light: float32 [Z, Y, X], stained neurites, grey levels.

    Returns:
        iterator of (slice of z, float32 [z, Y, X]), slabs as of the background; None: no glow.
    """
    if not any(values.light.glow):
        return None
    _, spacing = settings.grid(values.stack)
    edges = glow.blocks(light.shape, spacing)
    parts = glow.spread(coarse.means(light, edges), edges, spacing=spacing)
    grid = sum(np.float32(share) * part for share, part in zip(values.light.glow, parts))
    return coarse.between(grid, edges, slab=background.SLAB)


def _debris_count(values):
    """How many bright specks lie beside the neurites, without those fainter than any measured."""
    return int(round(values.light.debris * settings.volume(values.stack) / settings.PAPER_VOLUME))


def _behind(scene, values, *, prior, rng):
    """The background: measured texture, texture of a given strength, or white noise.

    Yields:
        (slice of z, float32 [z, Y, X]), grey levels.
    """
    shape, texture = scene.label.shape, values.background.texture
    measured = prior.background()
    if texture == 'auto':
        yield from measured.draw(shape, rng=rng)
        return
    mean, std = scene.levels.mean, scene.levels.std
    if measured is not None:
        mean, std = measured.median, measured.robust_std
    white = background.white(shape, mean, std=std, rng=rng)
    if not texture:
        yield from white
        return
    sizes = zip(values.background.texture_sigma, values.stack.voxel_size)
    grain = [(tuple(sigma / size for sigma, size in sizes), 1.0)]
    own_rng = np.random.default_rng(rng.integers(2 ** 63))   # the two are drawn in turns, by slabs
    fields = background.smooth_field(shape, grain, rng=own_rng)
    for (rows, noise), (_, field) in zip(white, fields):
        yield rows, noise + np.float32(texture * mean) * field
