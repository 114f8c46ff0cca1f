"""One draft: neurites grown from priors, their exact label, and the image of them (METHOD, step 1)."""
from collections import namedtuple

import numpy as np
from scipy import ndimage

from utils.common.errors import UserError
from utils.data import stacks, swc
from utils.simulate import growth, imaging, raster

# image: uint8 or uint16 [Z, Y, X]; label: uint8 {0, 1}; instance: uint16, 0 and one number per neurite, or None;
# tree: swc.Tree (a forest), voxels of the stack; line: int [M, 3], its centreline; kind: 'axon', 'dendrite', 'swc';
# neurites: how many
Draft = namedtuple('Draft', 'image label instance tree line kind neurites')

# constants that may be 'auto': name -> (numbers wanted, the paper's value, lowest, highest)
AUTO = {
    'VOXEL_SIZE': (3, (1.0, 0.5, 0.5), 1e-6, None),
    'SOMA_SHAPE': (0, 'ball', None, None),
    'RADIUS': (2, (1.0, 3.0), 0.1, None),
    'TORTUOSITY': (1, 1.0, 1.0, 1.3),
    'DENSITY': (1, 0.0, 0.0, 0.02),
    'STAINED_SHARE': (1, 0.5, 0.01, 1.0),
    'LEVEL': (2, None, 0.0, 65535.0),                    # paper: priors.PAPER, by bits and kind
    'LEVEL_SPREAD': (1, 0.0, 0.0, 3.0),
    'LEVEL_DRIFT': (1, 0.0, 0.0, 3.0),
    'DEBRIS': (1, 1024, 0.0, None),
    'PSF_SIGMA': (3, None, 0.0, None),                   # paper: one isotropic voxel
    'PSF_WING_SHARE': (1, 0.0, 0.0, 0.6),
    'TEXTURE': (1, 0.0, 0.0, 3.0),
}
PAPER_VOLUME = 256 * 512 * 256                           # voxels that DEBRIS is stated for


def check_auto(cfg):
    """Raise UserError for an 'auto' constant whose given value is no such value."""
    for name, (count, _, low, high) in AUTO.items():
        value = getattr(cfg, name)
        if value == 'auto' or (name == 'SOMA_SHAPE' and value in ('ball', 'pyramid')):
            continue
        numbers = value if isinstance(value, (tuple, list)) else (value,)
        good = count and len(numbers) == count and all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and (low is None or v >= low)
            and (high is None or v <= high) for v in numbers)
        if good and count == 2 and not numbers[0] <= numbers[1]:
            good = False
        if not good:
            want = {0: "'ball' or 'pyramid'", 1: 'a number', 2: 'two numbers, the smaller first,',
                    3: 'three numbers (z,y,x)'}[count]
            span = '' if low is None else ' of at least %g' % low + ('' if high is None else ' and at most %g' % high)
            raise UserError("%s=%s: want %s%s, or 'auto'" % (name, value, want, span))


def resolve(cfg, measured):
    """Put values for 'auto': the measured ones, or the paper's if `measured` is None.

    Args:
        cfg: namespace of configs/simulator.py; measured: contents of priors.json, or None.

    Returns:
        the same kind of namespace; values that are drawn from measured distributions stay 'auto'.
    """
    known = dict(vars(cfg))

    def put(name, value):
        if known[name] == 'auto':
            known[name] = value

    m = measured
    for name, (_, paper, _, _) in AUTO.items():
        if m is None:
            put(name, paper)
    if m is not None:
        size = m.get('voxel_size')
        put('VOXEL_SIZE', tuple(size) if size else (1.0, 1.0, 1.0))
        put('SOMA_SHAPE', 'pyramid')
        persistence = m.get('persistence')
        put('TORTUOSITY', min(1 + growth.BRANCH / (6 * persistence), 1.3) if persistence else 1.0)
        put('DENSITY', m['drawn']['density'])
        put('STAINED_SHARE', m['drawn']['keep'])
        put('PSF_WING_SHARE', m['drawn']['halo'])
        put('LEVEL_DRIFT', m.get('level_drift') or 0.0)
        put('DEBRIS', m['debris']['density'] * PAPER_VOLUME)
        blur = m['drawn']['blur_sigma']
        across = [b for b in blur if b] or [1.0]
        put('PSF_SIGMA', tuple((b or across[0]) * s for b, s in zip(blur, known['VOXEL_SIZE'])))
    if known['PSF_SIGMA'] is None:
        known['PSF_SIGMA'] = (known['VOXEL_SIZE'][2],) * 3
    return type(cfg)(**known)


def grid(cfg):
    """(shape, spacing): voxels of the written stack, and isotropic voxels per voxel along z, y, x."""
    spacing = np.asarray(cfg.VOXEL_SIZE, float) / cfg.VOXEL_SIZE[2]
    return tuple(int(n / s + 1e-6) for n, s in zip(cfg.VOLUME_SHAPE, spacing)), spacing


def read_psf(path):
    """A measured point-spread function: float [z, y, x], odd sides, sum 1; None for no path.

    Raises:
        UserError: as stacks.read, or if it is no small bright spot on a dark background.
    """
    if not path:
        return None
    kernel = stacks.read(path).voxels.astype(float)
    kernel -= min(kernel.min(), np.median(kernel))
    kernel = np.maximum(kernel, 0)
    if kernel.sum() > 0:                                 # its light's middle becomes the kernel's
        middle = [int(round(c)) for c in ndimage.center_of_mass(kernel)]
        half = [min(c, n - 1 - c) for c, n in zip(middle, kernel.shape)]
        kernel = kernel[tuple(slice(c - h, c + h + 1) for c, h in zip(middle, half))]
    if max(kernel.shape) > 65 or kernel.sum() <= 0:
        raise UserError('%s is no point-spread function (%s voxels): crop it to at most 65 voxels a side, the spot in '
                        'the middle' % (path, ' x '.join(map(str, kernel.shape))))
    return kernel / kernel.sum()


def patch_corners(draft, window, *, every, most, rng):
    """Corners of training patches: about one centreline voxel in `every`, if the patch lies wholly inside, and no more
    than `most`; int [N, 3]."""
    chosen = draft.line[rng.random(len(draft.line)) < 1.0 / every]
    corner = chosen - np.array(window) // 2
    corner = corner[((corner >= 0) & (corner + window <= draft.image.shape)).all(1)]
    return corner if len(corner) <= most else corner[np.sort(rng.permutation(len(corner))[:most])]


# --- neurites ---

def first_neuron(cfg, prior, *, kind, rng):
    """The paper's neuron, in isotropic voxels (METHOD, dendrite and axon model)."""
    depth = int(rng.choice(cfg.AXON_DEPTH if kind == 'axon' else cfg.DENDRITE_DEPTH))
    length = int(rng.integers(cfg.BRANCH_LENGTH[0], cfg.BRANCH_LENGTH[1] + 1))
    if not cfg.INTERNAL_PRIORS:
        depth, length = 2, rng.uniform(100, 150)
    if kind == 'axon':
        return growth.axon(cfg.VOLUME_SHAPE, rng, draw_radius=prior.draw_radius, depth=depth, base_length=length)
    return growth.dendrite(cfg.VOLUME_SHAPE, rng, draw_radius=prior.draw_radius, depth=depth, base_length=length, soma_radius=cfg.SOMA_RADIUS)


def reconstruction(cfg, prior, *, rng):
    """One of SWC_DIR's reconstructions at random, with its missing radii filled in."""
    paths = stacks.find(cfg.SWC_DIR, ('.swc',))
    for _ in range(20):                                  # a small reconstruction may miss the volume
        path = paths[int(rng.integers(len(paths)))]
        tree = growth.pose(swc.read(path), cfg.VOLUME_SHAPE, scale=cfg.SWC_SCALE, rng=rng)
        if len(tree.parent) > 5:
            missing = tree.radius <= 0
            radius = tree.radius.copy()
            radius[missing] = prior.draw_radius(rng, 0) if prior.fixed else \
                prior.radii_along(growth.along(tree.parent, cfg.DRIFT_LENGTH, rng=rng))[missing]
            return tree._replace(radius=radius)
    raise UserError('%s: nothing of it lies in a volume of %s: check SWC_SCALE=%s'
                    % (path, cfg.VOLUME_SHAPE, cfg.SWC_SCALE))


def grow(cfg, prior, *, rng):
    """All neurites of a stack.

    Returns:
        (kind, list of swc.Tree in isotropic voxels, the first one the model neuron).
    """
    persistence = growth.persistence_of(cfg.TORTUOSITY)
    if cfg.SWC_DIR:
        kind, first = 'swc', reconstruction(cfg, prior, rng=rng)
    else:
        kind = 'axon' if rng.random() < cfg.AXON_SHARE else 'dendrite'
        prior = prior.of(kind)
        first = first_neuron(cfg, prior, kind=kind, rng=rng)
        if kind == 'dendrite' and cfg.SOMA_SHAPE == 'pyramid':
            first = growth.pyramid(first, rng)
        if np.isfinite(persistence):
            first = growth.wind(first, persistence, rng=rng)
        elif cfg.LEVEL_DRIFT:                            # drifts from node to node
            first = growth.subdivide(first)
    trees = [first]
    volume = np.prod(np.asarray(cfg.VOLUME_SHAPE, float))
    if cfg.DENSITY:
        m = prior.measured or {}
        spacing, ends = m.get('branch_spacing') or 100.0, m.get('ends_spacing') or 100.0
        wanted = cfg.DENSITY * volume - swc.length_of(first)
        passing = growth.fibres(cfg.VOLUME_SHAPE, rng, total=wanted, persistence=persistence, branch_spacing=max(spacing, 30.0), half_length=max(ends, 30.0))
        trees += [fibre._replace(radius=radii(fibre, prior, rng=rng)) for fibre in passing]
    if cfg.TAPER:
        trees = [growth.taper(tree, cfg.TAPER) for tree in trees]
    if cfg.BOUTON_SPACING:
        trees = [growth.boutons(growth.subdivide(tree), cfg.BOUTON_SPACING, rng=rng)
                 if (tree.type == swc.AXON).all() else tree for tree in trees]
    return kind, trees


def radii(tree, prior, *, rng):
    """Radii along a fibre: half of their variation from neurite to neurite, half along it."""
    if prior.fixed:
        return np.full(len(tree.parent), prior.draw_radius(rng, 0))
    normal = np.sqrt(0.5) * rng.standard_normal() + np.sqrt(0.5) * growth.along(tree.parent, 20.0, rng=rng)
    return prior.radii_along(normal)


# --- a whole draft ---

def draw(cfg, prior, *, rng, psf=None):
    """Draw one stack.

    Args:
        cfg: namespace of configs/simulator.py, resolved (see resolve); prior: priors.Priors; rng: numpy Generator.
        psf: float [z, y, x], sum 1, instead of the Gaussian; or None.

    Returns:
        Draft.
    """
    shape, spacing = grid(cfg)
    kind, trees = grow(cfg, prior, rng=rng)
    level, mean, std = prior.of(kind if kind != 'swc' else 'axon').grey_levels(rng)
    kept, shine = [], []
    for tree in trees:
        tree = growth.crop(tree._replace(position=tree.position / spacing), shape)
        if len(tree.parent):
            kept.append(tree)
            shine.append(brightness(tree, level, cfg=cfg, prior=prior, rng=rng))
    tree, shine = swc.join(kept), np.concatenate(shine)
    number = np.repeat(np.arange(1, len(kept) + 1), [len(t.parent) for t in kept])

    index, row, t = raster.voxels(shape, tree.position, radius=tree.radius, parent=tree.parent, spacing=spacing)
    line, line_row = raster.centreline_rows(shape, tree.position, parent=tree.parent)
    label = np.zeros(shape, np.uint8)
    label.ravel()[index] = 1
    thin = np.ravel_multi_index(line.T, shape)
    thinnest = label.ravel()[thin] == 0                  # a twig thinner than a voxel falls between voxel centres
    label.ravel()[thin] = 1
    index, row = np.r_[index, thin[thinnest]], np.r_[row, line_row[thinnest]]
    t = np.r_[t, np.ones(thinnest.sum(), t.dtype)]
    instance = instances(shape, number, index=index, row=row) if cfg.INSTANCES else None
    light = light_of(shape, index, row=row, t=t, shine=shine, parent=tree.parent)
    del index, row, t
    image = expose(light, spacing, label=label, levels=(level, mean, std), cfg=cfg, prior=prior, rng=rng, psf=psf)
    return Draft(image, label, instance, tree, line, kind, len(kept))


def brightness(tree, level, *, cfg, prior, rng):
    """Grey level of each node of one neurite above the background, where it is stained.

    A measured level is that of a centreline as it looks. So that a neurite looks as bright, thin ones, which blur
    dims more, are made brighter, and unstained voxels are made up for.
    """
    if cfg.LEVEL == 'auto':
        level = prior.draw_level(rng) if cfg.LEVEL_SPREAD == 'auto' else prior.median_level()
        level = level / cfg.STAINED_SHARE / left_by_blur(tree.radius, np.mean(cfg.PSF_SIGMA) / cfg.VOXEL_SIZE[2])
    elif cfg.LEVEL is not None:
        level = rng.uniform(*cfg.LEVEL)
    if cfg.LEVEL_SPREAD not in ('auto', 0):
        level = level * np.exp(cfg.LEVEL_SPREAD * rng.standard_normal())
    if cfg.LEVEL_DRIFT:
        level = level * np.exp(cfg.LEVEL_DRIFT * growth.along(tree.parent, cfg.DRIFT_LENGTH, rng=rng))
    return level + np.zeros(len(tree.parent))


def left_by_blur(radius, sigma):
    """Share of its brightness that a long cylinder keeps on its axis; float in [0.1, 1].

    The integral of the Gaussian across it: 1 - exp(-radius^2 / (2 sigma^2)); a voxel is the thinnest cylinder drawn.
    """
    return np.clip(1 - np.exp(-np.maximum(radius, 0.56) ** 2 / (2 * max(sigma, 0.1) ** 2)), 0.1, 1)


def light_of(shape, index, *, row, t, shine, parent):
    """Grey levels of the labelled voxels: along an edge they change linearly; where neurites overlap one of them shows.

    Args:
        index, row, t: of raster.voxels; shine: float [N], grey level of each node; parent: int [N].

    Returns:
        float32 [Z, Y, X].
    """
    light = np.zeros(shape, np.float32)
    base = np.where(parent >= 0, parent, np.arange(len(parent)))
    light.ravel()[index] = shine[base[row]] + t * (shine[row] - shine[base[row]])
    return light


def instances(shape, number, *, index, row):
    """Number of the neurite that each labelled voxel belongs to; where two overlap, the later one's; uint16."""
    if number[-1] > 65535:
        raise UserError('%d neurites are more than an instance label counts: lower DENSITY' % number[-1])
    found = np.zeros(shape, np.uint16)
    order = np.argsort(number[row], kind='stable')
    found.ravel()[index[order]] = number[row][order]
    return found


def expose(light, spacing, *, label, levels, cfg, prior, rng, psf):
    """From the light of the labelled voxels to the camera's grey levels; uses up `light`; uint8 or uint16 [Z, Y, X]."""
    level, mean, std = levels
    shape = light.shape
    dtype = np.uint8 if cfg.BITS == 8 else np.uint16
    inside = np.flatnonzero(label.view(bool))
    if not cfg.EXTERNAL_PRIORS:
        light.ravel()[inside] = level
        light += 1
        return imaging.to_dtype(light, dtype)
    light.ravel()[inside] = imaging.stain(light.ravel()[inside], cfg.STAINED_SHARE, rng=rng)
    sigma = [s / v for s, v in zip(cfg.PSF_SIGMA, cfg.VOXEL_SIZE)]
    count = int(round(cfg.DEBRIS * np.prod(np.asarray(cfg.VOLUME_SHAPE, float)) / PAPER_VOLUME))
    blur = float(np.mean([s * n for s, n in zip(sigma, spacing)]))
    radii, levels = prior.draw_debris(count, level, blur=blur, rng=rng)
    balls = imaging.debris(shape, label.view(bool), radii=radii, levels=levels, spacing=spacing, rng=rng)
    if psf is not None:
        light.ravel()[balls[0]] = balls[2]
        boxes = [((0, 0, 0), imaging.convolve(light, psf))]
    else:
        wings = []
        if cfg.PSF_WING_SHARE:
            wings = imaging.blur(np.float32(cfg.PSF_WING_SHARE) * light, inside, sigma=[cfg.PSF_WING_WIDTH * s for s in sigma])
            light *= np.float32(1 - cfg.PSF_WING_SHARE)
        boxes = sorted(wings + imaging.blur(light, inside, sigma=sigma) + imaging.blur_balls(shape, balls[0], ball=balls[1], level=balls[2], sigma=sigma), key=lambda b: b[0])

    white = prior.white(mean, std)
    if cfg.TEXTURE == 'auto':
        behind = imaging.textured(shape, prior.texture, rng=rng)
    elif cfg.TEXTURE:
        grain = [(tuple(s / v for s, v in zip(cfg.TEXTURE_SIGMA, cfg.VOXEL_SIZE)), 1.0)]
        strength = np.float32(cfg.TEXTURE * white[0])
        field_rng = np.random.default_rng(rng.integers(2 ** 63))
        behind = ((rows, noise + strength * field) for (rows, noise), (_, field) in
                  zip(imaging.white(shape, white[0], std=white[1], rng=rng), imaging.smooth_field(shape, grain, rng=field_rng)))
    else:
        behind = imaging.white(shape, white[0], std=white[1], rng=rng)
    uneven = None
    if cfg.ILLUMINATION:
        uneven = imaging.illumination(shape, cfg.ILLUMINATION,
                                      sigma=[cfg.ILLUMINATION_SIGMA / v for v in cfg.VOXEL_SIZE], rng=rng)
    image = np.empty(shape, dtype)
    for rows, slab in behind:
        boxes = imaging.add_light(slab, rows, boxes=boxes)
        if uneven is not None:
            slab *= next(uneven)[1]
        if cfg.ATTENUATION:
            imaging.attenuate(slab, rows, length=cfg.ATTENUATION / cfg.VOXEL_SIZE[0])
        if cfg.GAIN:
            slab = imaging.photons(slab, cfg.GAIN, rng=rng)
        imaging.read_out(slab, cfg.OFFSET, noise=cfg.READ_NOISE, saturation=cfg.SATURATION or None, rng=rng)
        image[rows] = imaging.to_dtype(slab, dtype)
    return image
