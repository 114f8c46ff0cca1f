"""Stacks as series of small pictures for the gallery's page, bounded in number and bytes."""
import base64
import io
from typing import NamedTuple

import numpy as np
from PIL import Image                # matplotlib, which requires it, writes its pictures by it
from skimage.measure import block_reduce

from utils.draw import base

# (slices, pixels of a side, JPEG quality) at most: the first that a scene's budget allows
LADDER = ((64, 512, 82), (48, 512, 65), (40, 384, 65), (32, 320, 55), (24, 256, 45), (16, 192, 40),
          (12, 128, 30), (8, 64, 25))
SAMPLES = 64                         # slices that a grey scale is taken from, at most


class Layer(NamedTuple):
    """A stack that is compared with others of its shape."""
    title: str
    voxels: np.ndarray               # grey levels, or bool: a mask; [Z, Y, X]
    marked: bool = False             # whether the scene's outline may be drawn over it


class Scene(NamedTuple):
    """Stacks of one shape side by side, as the page has them."""
    name: str
    layers: list                     # of Layer
    outline: np.ndarray              # bool [Z, Y, X], or None: what may be outlined
    scales: tuple                    # grey levels (low, high) shown black and white: of slices, and
                                     # of projections


def scales_of(voxels):
    """Scene.scales after a stack [Z, Y, X]."""
    return base.limits(voxels[::1 + len(voxels) // SAMPLES]), base.limits(base.project(voxels))


def to_json(scene, *, most_bytes):
    """A scene as the page's script reads it.

    Args:
        most_bytes: of all its pictures as text; the smallest pictures of LADDER may exceed it.

    Returns:
        dict of texts, numbers and lists: name, width, height, depth (slices of the stack),
        slab (slices in a picture, of which the brightest voxels are shown), start (the picture with
        most to see), layers and outline, whose last picture is the projection of all slices.
    """
    for slices, side, quality in LADDER:
        made, size = _pictures(scene, slices=slices, side=side, quality=quality)
        if size <= most_bytes:
            break
    return dict(made, start=busiest(scene, made['slab']))


def busiest(scene, slab):
    """Number of the picture in which each layer's part of it, side by side, has most to see.

    Args:
        scene: Scene; slab: slices of a picture.
    """
    layers = [layer.voxels for layer in scene.layers]
    wide, half = layers[0].shape[2] // len(layers), sum(scene.scales[0]) / 2
    scores = np.zeros(-(-len(layers[0]) // slab))
    for k, voxels in enumerate(layers):
        for i in range(len(scores)):
            part = voxels[i * slab:(i + 1) * slab, :, k * wide:(k + 1) * wide].max(0)
            share = np.mean(part if part.dtype == bool else part > half)
            scores[i] += np.log(1e-3 + share)            # each layer counts, not the busiest alone
    return int(np.argmax(scores))


def _pictures(scene, *, slices, side, quality):
    """(the scene as for to_json, bytes of its pictures)."""
    depth, height, width = scene.layers[0].voxels.shape
    slab, block = -(-depth // slices), -(-max(height, width) // side)
    look = dict(slab=slab, block=block, scales=scene.scales, quality=quality)
    layers = [dict(title=layer.title, marked=layer.marked, slices=_slices(layer.voxels, **look))
              for layer in scene.layers]
    outline = None if scene.outline is None else _slices(scene.outline, **look)
    size = sum(map(len, sum([layer['slices'] for layer in layers], outline or [])))
    return dict(name=scene.name, width=-(-width // block), height=-(-height // block), depth=depth,
                slab=slab, layers=layers, outline=outline), size


def _slices(voxels, *, slab, block, scales, quality):
    """Pictures of a stack, data URIs: maxima over `slab` slices, means over `block`^2 pixels."""
    found = []
    for start in list(range(0, len(voxels), slab)) + [None]:         # None: all slices
        picture = voxels[start:None if start is None else start + slab].max(0)
        if voxels.dtype == bool:
            found.append(uri(block_reduce(picture, (block, block), np.max)))
        else:
            grey = block_reduce(picture.astype(np.float32), (block, block), np.mean,
                                cval=float(picture.mean()))
            found.append(uri(to_grey(grey, scales[start is None]), quality=quality))
    return found


def to_grey(picture, scale):
    """Grey levels as uint8: `scale` (low, high) becomes 0 and 255."""
    low, high = scale
    return np.clip((picture - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)


def uri(picture, *, quality=82):
    """A picture as data URI: bool [Y, X] as PNG of one bit, uint8 [Y, X] as JPEG."""
    memory = io.BytesIO()
    if picture.dtype == bool:
        Image.fromarray(picture).save(memory, 'PNG', optimize=True)
        kind = 'png'
    else:
        Image.fromarray(picture).save(memory, 'JPEG', quality=quality, optimize=True)
        kind = 'jpeg'
    return data_uri(memory.getvalue(), kind)


def data_uri(data, kind):
    """Bytes of a picture as the text that a page holds; kind: 'png' or 'jpeg'."""
    return 'data:image/%s;base64,%s' % (kind, base64.b64encode(data).decode('ascii'))


def figure_uri(path, *, most_bytes, most_width=1600):
    """A PNG figure as data URI: its own bytes, or, where they are too many, a smaller JPEG."""
    with open(path, 'rb') as file:
        data = file.read()
    if len(data) <= most_bytes:
        return data_uri(data, 'png')
    with Image.open(path) as image:
        picture = Image.new('RGB', image.size, 'white')
        picture.paste(image.convert('RGB'), mask=image.getchannel('A') if 'A' in image.getbands()
                      else None)
    picture.thumbnail((most_width, 4 * most_width))
    memory = io.BytesIO()
    picture.save(memory, 'JPEG', quality=80, optimize=True)
    return data_uri(memory.getvalue(), 'jpeg')
