"""One draft: neurites grown from priors, their exact label, the image (docs/method.md, step 1)."""
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from utils.common.errors import UserError
from utils.data import swc
from utils.simulate import (exposures, light, neurites, optics, raster, reconstructions, sections,
                            settings)

THREAD = np.float32(0.5)        # share of a voxel that the centreline of a thinner twig covers


class Draft(NamedTuple):
    """A drawn stack."""
    image: np.ndarray           # uint8 or uint16 [Z, Y, X]
    label: np.ndarray           # uint8 {0, 1} [Z, Y, X]
    instance: np.ndarray        # uint16 [Z, Y, X], 0 and one number per neurite; or None
    tree: swc.Tree              # a forest, voxels of the stack; radii in isotropic voxels
    line: np.ndarray            # int [M, 3], voxels of the centrelines
    kind: str                   # 'axon', 'dendrite' or 'swc', the first neuron
    neurites: int               # how many


def draw(values, prior, *, rng, psf=None):
    """Draw one stack.

    Args:
        values: settings.Settings, resolved (settings.resolve); prior: priors.Priors.
        rng: numpy Generator; psf: float [z, y, x], sum 1, instead of the Gaussian; or None.

    Returns:
        Draft.
    """
    shape, spacing = settings.grid(values.stack)
    kind, trees = neurites.grow(values, prior, rng=rng)
    levels = prior.grey_levels('dendrite' if kind == 'dendrite' else 'axon', rng=rng)
    kept, shine, flat = [], [], []
    for tree, thick in zip(trees, light.thickness_scores([tree.radius for tree in trees])):
        tree = tree._replace(position=tree.position / spacing)
        tree = reconstructions.crop(tree, shape)
        if len(tree.parent):
            kept.append(tree)
            shine.append(light.brightness(tree, levels.foreground, light=values.light, prior=prior,
                                          blur=optics.blurs(values, psf=psf), rng=rng, thick=thick))
            if values.light.end_level != 1:
                shine[-1] *= light.of_ends(tree, shape, level=values.light.end_level)
            if values.branches.flatness:
                flat.append(sections.draw(tree, values.branches.flatness, rng=rng,
                                          length=values.branches.radius_length))
    tree = swc.join(kept)
    label, found, line = _labelled(shape, tree, spacing=spacing, edge=values.light.edge,
                                   flat=np.concatenate(flat) if flat else None)
    instance = None
    if values.stack.instances:
        number = np.repeat(np.arange(1, len(kept) + 1), [len(t.parent) for t in kept])
        instance = instances(shape, number, found=found)
    bright = light.on_voxels(shape, found, shine=np.concatenate(shine), parent=tree.parent)
    del found                                            # as large as the stack for crowded ones
    scene = exposures.Scene(bright, label, levels)
    image = exposures.expose(scene, values, prior=prior, rng=rng, psf=psf)
    return Draft(image, label, instance, tree, line, kind, len(kept))


def _labelled(shape, tree, *, spacing, edge, flat):
    """Label of a tree: the voxels of its balls and cones, and those of its centreline.

    A twig thinner than a voxel falls between voxel centres; its centreline keeps it whole.

    Args:
        edge, flat: as of raster.voxels.

    Returns:
        (label, found, line): uint8 {0, 1} [Z, Y, X]; raster.Found, the voxels of the centreline
        included; int [M, 3], voxels of the centreline.
    """
    found = raster.voxels(shape, tree.position, radius=tree.radius, parent=tree.parent,
                          spacing=spacing, flat=flat, edge=edge)
    line, line_row = raster.centreline_rows(shape, tree.position, parent=tree.parent)
    label = np.zeros(shape, np.uint8)
    label.ravel()[_within(found).index] = 1
    thin = np.ravel_multi_index(line.T, shape)
    missing = label.ravel()[thin] == 0
    label.ravel()[thin] = 1
    more = missing.sum()
    return label, raster.Found(
        np.r_[found.index, thin[missing]], np.r_[found.row, line_row[missing]],
        np.r_[found.t, np.ones(more, np.float32)],
        None if found.cover is None else np.r_[found.cover, np.full(more, THREAD)],
        None if found.inside is None else np.r_[found.inside, np.ones(more, bool)]), line


def _within(found):
    """Those of raster.Found that are inside, not beside."""
    if found.inside is None:
        return found
    return raster.Found(*[column[found.inside] for column in found])


def instances(shape, number, *, found):
    """Number of the neurite of each labelled voxel; where two overlap, the later one's.

    Args:
        number: int [N], neurite of each node, from 1; found: raster.Found.

    Returns:
        uint16 [Z, Y, X].

    Raises:
        UserError: if there are more neurites than a uint16 counts.
    """
    if number[-1] > 65535:
        raise UserError('%d neurites are more than an instance label counts: lower DENSITY'
                        % number[-1])
    named, found = np.zeros(shape, np.uint16), _within(found)
    order = np.argsort(number[found.row], kind='stable')
    named.ravel()[found.index[order]] = number[found.row][order]
    return named


def patch_corners(draft, patches, *, rng):
    """Corners of training patches along the centrelines.

    About one centreline voxel in `patch_every` becomes a centre, if the patch lies wholly inside,
    and no more than `max_patches` in all. With `even_patches` voxels are the rarer chosen the more
    others a patch around them would hold, and near the border patches are shifted inside: about as
    step 0 slides windows, crowded places have as many patches as others. A share `random_patches`
    of them lies anywhere instead.

    Args:
        draft: Draft; patches: settings.Patches.

    Returns:
        int [N, 3], voxels.
    """
    window, most = np.array(patches.patch_shape), patches.max_patches
    corner, last = draft.line - window // 2, draft.image.shape - window
    share = 1.0
    if patches.even_patches and len(corner) and (last >= 0).all():
        corner = np.clip(corner, 0, last)
        rare = (1 / _neighbours(draft.line, window)) ** patches.even_patches
        share = rare / rare.mean()
    fits = ((corner >= 0) & (corner <= last)).all(1)
    chosen = rng.random(len(corner)) < share / patches.patch_every
    corner, fits = corner[chosen], fits[chosen]
    if patches.random_patches:
        anywhere = rng.random(len(corner)) < patches.random_patches
        corner[anywhere] = rng.integers(last + 1, size=(anywhere.sum(), 3))
        fits |= anywhere
    corner = corner[fits]
    if patches.even_patches:                             # many are shifted to one corner
        corner = corner[np.sort(np.unique(corner, axis=0, return_index=True)[1])]
    if len(corner) <= most:
        return corner
    return corner[np.sort(rng.permutation(len(corner))[:most])]


def _neighbours(line, window):
    """How many of the voxels int [M, 3] about a window around each holds, itself included; [M].

    They are counted in cells of an eighth of the window, by sums over boxes of nine each way.
    """
    cell = line // np.maximum(np.array(window) // 8, 1)
    count = np.zeros(cell.max(0) + 1)
    np.add.at(count, tuple(cell.T), 1)
    for axis in range(3):
        count = ndimage.convolve1d(count, np.ones(9), axis=axis, mode='constant')
    return count[tuple(cell.T)]
