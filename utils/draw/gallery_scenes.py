"""What the viewers of the gallery's page show, gathered from the folders of results."""
import glob
import os
from typing import NamedTuple

import numpy as np

from utils.common.errors import UserError
from utils.data import bounded, stacks, swc
from utils.data.patches import PatchFile
from utils.draw import gallery_slices, gallery_trees
from utils.draw.gallery_slices import Layer, Scene

MASK = '.mask'                       # in a mask's name
DRAFT_BYTES, STACK_BYTES = 3.0e6, 5.0e6      # of pictures as text, all scenes together
DRAFTS, STACKS, FORESTS = 2, 4, 8    # that are shown, at most
NODES = 30000                        # of all traces, some 35 bytes each
SAMPLED = 400                        # real patches that a place is chosen among


class Source(NamedTuple):
    """A stack that was segmented or traced."""
    path: str
    channel: int                     # of several; 0 where there is one


class Shown(NamedTuple):
    """All that the page's viewers hold: lists for JSON, and lines on what is not there."""
    drafts: list                     # scenes: draft | refined | real
    stacks: list                     # scenes: stack | mask
    forests: list                    # of gallery_trees.to_json
    left_out: list                   # lines


def gather(places, *, real, images, channel=0):
    """Read what steps 1 to 4 left.

    Args:
        places: results.Places; real: folder or pattern of the real stacks that step 0 was given, or
            None; images: list of folders or patterns of stacks that were segmented or traced, the
            first that has a stack counts; channel: of stacks with several.

    Returns:
        Shown. What is missing or cannot be read is told in a line, and left out.
    """
    left_out = []

    def tried(gathered, *arguments, **options):
        try:
            return gathered(*arguments, **options)
        except UserError as error:
            left_out.append(str(error))
            return []

    found = stack_paths(places, images)
    found = {name: path and Source(path, bounded.channel_of(path, channel))
             for name, path in found.items()}
    return Shown(tried(draft_scenes, places, real, channel=channel),
                 tried(stack_scenes, places, found, notes=left_out),
                 tried(forests, places, found, notes=left_out), left_out)


# --- draft | refined | real ---

def draft_scenes(places, real, *, channel=0):
    """Scenes of the first drafts that were refined; list for JSON.

    Args: as for gather.
    """
    if not real:
        return _draft_scenes(places, None)
    path, middle = real_stack(places, real)
    with bounded.opened(path, channel=bounded.channel_of(path, channel)) as truth:
        return _draft_scenes(places, truth.voxels, middle=middle)


def _draft_scenes(places, truth, *, middle=None):
    """As draft_scenes; truth: real stack, of which a part is read around the voxel `middle`."""
    pairs = [pair for pair in stacks.pair_by_name(os.path.join(places.drafts, 'images'),
                                                  os.path.join(places.drafts, 'labels'))
             if os.path.exists(_refined(places, pair))][:DRAFTS]
    if not pairs:
        raise UserError('no refined stack in %s: run 2_mpgan.py first' % places.refined)
    made = []
    for image, label in pairs:
        voxels = [stacks.read(path).voxels for path in
                  (image, _refined(places, (image, label)), label)]
        if len({v.shape for v in voxels}) > 1:
            raise UserError('%s, its label and its refined stack are of unlike shapes: run '
                            '2_mpgan.py again' % image)
        shape = voxels[0].shape if truth is None else np.minimum(voxels[0].shape, truth.shape)
        draft, refined, label = [_window(v, np.array(v.shape) // 2, shape=shape) for v in voxels]
        layers = [Layer('draft', draft, True), Layer('refined', refined, True)]
        if truth is not None:
            # neurites into the last third, which is seen first
            layers.append(Layer('real', _window(truth, middle - [0, 0, shape[2] // 3],
                                                shape=shape)))
        made.append(Scene('draft %s' % stacks.name_of(image), layers, label > 0,
                          gallery_slices.scales_of(layers[-1].voxels)))
    return [gallery_slices.to_json(scene, most_bytes=DRAFT_BYTES / len(made)) for scene in made]


def _refined(places, pair):
    return os.path.join(places.refined, 'images', os.path.basename(pair[0]))


def real_stack(places, real):
    """(path of a real stack, its voxel (z, y, x) with the most patches around it).

    Raises:
        UserError: no stack that patches were cut from.
    """
    patches = PatchFile(os.path.join(places.patches, 'real.h5'))
    paths = {stacks.name_of(path): path for path in stacks.find(real)}
    source = next((name for name in patches.source if name in paths), None)
    if source is None:
        raise UserError('%s has none of the stacks that %s was cut from' % (real, patches.path))
    corners = patches.origin[[name == source for name in patches.source]]
    corners = corners[::1 + len(corners) // SAMPLED]
    near = (np.abs(corners[:, None] - corners) <= np.array(patches.shape)).all(2).sum(1)
    return paths[source], corners[np.argmax(near)] + np.array(patches.shape) // 2


def _window(voxels, middle, *, shape):
    """A part of a stack around a voxel, moved so that it lies within."""
    start = np.clip(np.asarray(middle) - np.asarray(shape) // 2, 0,
                    np.array(voxels.shape) - shape)
    return voxels[tuple(slice(a, a + n) for a, n in zip(start, shape))]


# --- stack | mask, traces ---

def stack_paths(places, images):
    """Dict from the names of masks and traces to their stacks' paths, None where there is none."""
    names = set(bounded.results_of(places.segmented, MASK)) | {
        stacks.name_of(path)
        for path in glob.glob(os.path.join(glob.escape(places.traces), '*.swc'))}
    found = dict.fromkeys(sorted(names))
    for pattern in reversed(images):
        try:
            found.update((stacks.name_of(path), path) for path in stacks.find(pattern)
                         if stacks.name_of(path) in names)
        except UserError:                    # no stack there: another folder may have it
            continue
    return found


def stack_scenes(places, sources, *, notes):
    """Scenes of stacks beside their masks; list for JSON.

    Args:
        sources: dict from names to Source or None; notes: list that lines are appended to.
    """
    masks = bounded.results_of(places.segmented, MASK)
    made, names = [], [name for name in sources if sources[name] and name in masks][:STACKS]
    for name in names:
        path, channel = sources[name]
        shapes = [bounded.shape_of(path, channel=channel)[0], bounded.shape_of(masks[name])[0]]
        if shapes[0] != shapes[1]:
            raise UserError('%s is %s voxels, its mask %s: they are no pair'
                            % (path, shapes[0], shapes[1]))
        stack, mask = bounded.read(path, channel=channel), bounded.read(masks[name]).voxels
        voxels = stack.voxels
        if not stack.whole:
            notes.append('%s is large: its middle is shown, %s voxels, with its mask'
                         % (path, ' x '.join(map(str, voxels.shape))))
        scene = Scene(name, [Layer('stack', voxels, True), Layer('mask', mask > 0)], mask > 0,
                      gallery_slices.scales_of(voxels))
        made.append(gallery_slices.to_json(scene, most_bytes=STACK_BYTES / len(names)))
    if not made:
        raise UserError('no mask of a stack in %s: run 3_segmentation.py STAGE=predict first'
                        % places.segmented)
    return made


def forests(places, sources, *, notes):
    """Traces for the 3-D view; list for JSON. Arguments as stack_scenes."""
    made, names = [], [name for name in sources if os.path.exists(_trace(places, name))][:FORESTS]
    for name in names:
        path, source, stack = _trace(places, name), sources[name], None
        size = None
        if source:
            shape, size = bounded.shape_of(source.path, channel=source.channel)
            if np.prod(shape, dtype=float) <= bounded.MOST:
                stack = bounded.read(source.path, channel=source.channel)
            else:
                notes.append('%s is large: its traces are shown without it' % source.path)
        made.append(gallery_trees.to_json(
            name, swc.read(path), spacing=gallery_trees.spacing_of(path),
            voxels=stack.voxels if stack else None, micrometres=size[2] if size else None,
            most_nodes=NODES // len(names)))
    if not made:
        raise UserError('no SWC in %s: run 4_reconstruction.py first' % places.traces)
    return made


def _trace(places, name):
    return os.path.join(places.traces, name + '.swc')
