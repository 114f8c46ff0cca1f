"""Measurements of one segmented stack: its entry in priors.json."""
import numpy as np

from utils.data import stacks
from utils.measure import (background, bends, brightness, crowding, debris, glow, lines, noise,
                           quantiles, radii, sections, skeletons, structure, widths, wings)

MEASURES = 11                   # version of what measure() tells; parts with another are made anew
NOISY = 0.5                      # least threshold of centrelines over OTSU's


def measure(voxels, found, *, skeleton, voxel_size=None, flatten_block=32, like=None):
    """Measure one segmented stack.

    Args:
        voxels: uint8 or uint16 [Z, Y, X]; found: otsu.Segmentation.
        skeleton: int [M, 3], centreline voxels of its mask.
        voxel_size: (z, y, x) in um, None for isotropic voxels.
        flatten_block: voxels per side of the blocks of the local background; 0: one for the stack.
        like: measurements of the real stacks, of a draft: where theirs have glow, its glow is taken
            off, too, and its lines and debris are above the threshold of theirs; None: of a real
            stack.

    Returns:
        dict of numbers and lists, for priors.json. Lengths are voxels of x ("isotropic voxels"),
        widths, blur and correlation voxels of each axis, grey levels those of the stack. What
        cannot be measured on this stack is None. `*_quantiles` are at quantiles.QUANTILES.
    """
    spacing = stacks.spacing_of(voxel_size)
    as_it_is = {'foreground': {'median': float(np.median(voxels[found.mask]))},
                'saturated_fraction': float((voxels == np.iinfo(voxels.dtype).max).mean())}
    glows = None if like is None else bool(like.get('glow'))
    dark, outside, shine = _without_glow(voxels, found, spacing=spacing, glows=glows)
    behind = background.sample(dark, outside)
    levels = background.grey_levels(behind)
    noises = {'noise_std': noise.noise_std(dark, outside),
              'correlation': noise.correlation(dark, outside, levels=behind)}
    local = background.local_level(dark, flatten_block, middle=levels['median'],
                                   std=levels['robust_std'])
    noises['structure'] = None                           # it is not corrected by that of drafts
    if like is None and levels['robust_std']:
        noises['structure'] = structure.measure(dark, outside, local=local, glow=shine)
    del outside, behind                                  # the memory is wanted below
    branches = skeletons.branches(skeleton)
    looks = _light(dark, local, branches=branches, noise=levels['robust_std'])
    cut = found.threshold - (0 if flatten_block else levels['median'])
    return dict(
        looks,
        **_morphology(branches, len(skeleton), spacing=spacing, shape=dark.shape),
        **noises, **as_it_is,
        **_bright(dark, local, cut=cut, crowded=bool(shine), spacing=spacing,
                  blur=looks['blur_sigma'], like=like),
        glow=shine,
        clumps=crowding.clumps(voxels, base=levels['median'], spacing=spacing) if shine else None,
        heading=crowding.heading(branches.paths, spacing),
        foreground_fraction=float(found.mask.mean()),
        threshold=found.threshold,
        background=levels,
        radius_quantiles=quantiles.of(radii.skeleton_radii(found.mask, skeleton,
                                                           sampling=spacing)),
        voxel_size=None if voxel_size is None else [float(v) for v in voxel_size])


def _bright(voxels, local, *, cut, crowded, spacing, blur, like):
    """What stands out of the background: centrelines and round specks; dict of `lines`, `debris`.

    From which grey level above the background on: four noise levels (lines.threshold), but at
    least NOISY of `cut`, OTSU's, as haze would be counted else, and `cut` at most. In crowded
    stacks, where what is left of the glow is no noise, NOISY of `cut`. For a draft it is that of
    the real stacks. `lines` is None where OTSU misses no neurite.
    """
    noise = None if crowded else lines.threshold(voxels, local)
    misses = crowded or (noise is not None and noise >= NOISY * cut)
    above = max(min(max(noise or 0, NOISY * cut), cut), lines.ROUNDING)
    if like is not None:
        above = (like.get('debris') or {}).get('threshold', above)
        misses = bool(like.get('lines'))
    how = dict(mask=lines.standing_out(voxels, local, above=above), above=above, spacing=spacing)
    specks = debris.measure(voxels, local, blur=blur, **how)
    return {'debris': specks, 'lines': lines.measure(voxels, local, **how) if misses else None}


def _without_glow(voxels, found, *, spacing, glows):
    """A stack without the glow of its neurites, if it holds.

    Returns:
        (stack, outside, glow): as of `voxels`; bool, its background; dict for priors.json, or None.
    """
    outside, _ = background.behind(voxels, found)
    shine = None
    if glows is not False:
        shine = glow.measure(voxels, found, outside=outside, spacing=spacing)
    if shine is None or not (glows or shine.explained >= glow.HOLDS):
        return voxels, outside, None
    dark = glow.cleared(voxels, shine)
    outside = glow.without_dim_neurites(dark, outside)
    noise_std, photons = glow.noises(voxels, shine, outside=outside)
    dim = glow.dim(shine, outside)
    return dark, dim, {
        'shares': shine.shares, 'level': shine.level, 'dim': glow.mean_light(shine, dim),
        'explained': shine.explained, 'noise': noise_std, 'photons': photons}


def _light(voxels, local, *, branches, noise):
    """What the neurites look like under the microscope: widths, blur, brightness.

    Args:
        local: uint16 [Z, Y, X], background; branches: skeletons.Branches; noise: std of the
        background, grey levels.
    """
    paths = branches.paths
    profiles = widths.profiles(voxels, local, paths=paths)
    across = [widths.full_widths(found) for found in profiles]
    bright = brightness.along(voxels, local, paths=paths, noise=noise)
    return {
        'blur_sigma': widths.blur_sigma(across),
        'width_quantiles': quantiles.of(np.concatenate(across[1:])),     # of y and x
        'depth_width': widths.median_depth(across),
        'wings': wings.measure(profiles),
        'roundness': sections.roundness(voxels, local, paths=paths),
        'level_quantiles': quantiles.of(bright.levels),
        'level_drift': bright.drift,
        'drift_length': bright.length,
        'end_level': brightness.of_ends(voxels, local, paths=paths, tips=branches.tips),
        'grain': bright.grain,
        'level_width': widths.with_level(voxels, local, paths=paths),
    }


def _morphology(branches, count, *, spacing, shape):
    """How the centrelines run.

    Args:
        branches: skeletons.Branches; count: centreline voxels.
        spacing: (z, y, x) size of a voxel; shape: (z, y, x) voxels of the stack.
    """
    shapes = skeletons.shape_of(branches.paths, spacing)
    winding = bends.winding(branches.paths, spacing)
    angles = skeletons.fork_angles(branches.paths, branches.junctions, spacing=spacing)
    ends = skeletons.free_ends(branches.paths, branches.tips, shape=shape)
    return {
        'length_quantiles': quantiles.of(shapes.lengths),
        'tortuosity_quantiles': quantiles.of(shapes.tortuosities),
        'persistence': shapes.persistence,
        'turns': winding.turns,
        'turn_evenness': winding.evenness,
        'alignment': bends.alignment(branches.paths, spacing),
        'headings_alike': crowding.headings_alike(branches.paths, spacing),
        'angle_quantiles': quantiles.of(angles),
        'density': float(count / np.prod(shape) / np.prod(spacing)),     # voxels / voxel^3
        'branch_spacing': float(count / max(1, len(angles))),            # voxels per side branch
        'ends_spacing': float(count / max(1, ends)),                     # voxels per free end
        'centreline_voxels': int(count),
    }
