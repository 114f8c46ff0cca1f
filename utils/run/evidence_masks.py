"""What steps 3 and 4 left on disk, read and judged: the findings of each."""
import os

import numpy as np

from utils.common import files
from utils.data import bounded, stacks, swc
from utils.draw import masks as mask_figures
from utils.run import evidence, findings_masks as findings
from utils.run.lights import GREEN, worst, worst_of_each

MIDDLING = 0.25, 0.75            # probabilities; what is below is background
PROBABILITIES = '.prob'          # in the names of the maps


# --- step 3 ---

def of_network(places):
    """Findings of the training of step 3."""
    rows = [row for row in evidence.rows_of(places.network) if row.get('validation_dice')]
    if not rows:
        return []
    best = min(rows, key=lambda row: float(row['validation_loss']))
    return [findings.of_network(float(best['validation_dice']))]


def of_masks(places, images, *, channel=0):
    """Findings of the masks of step 3; draws a picture of the first one and of the worst.

    Args:
        images: dict from a stack's name to its path; channel: of stacks with several.
    """
    measured = files.read_json(os.path.join(places.patches, 'priors.json'))['stacks']
    found = []
    for name, path in bounded.results_of(places.segmented, PROBABILITIES).items():
        share, middling = of_probabilities(bounded.histogram(path))
        own = [findings.of_mask(share, measured.get(name, {}).get('foreground_fraction', share),
                                name=name),
               findings.of_calibration(middling, name=name)]
        picture = os.path.join(places.results, 'mask_%s.png' % name)
        if name in images and (not found or worst(own) != GREEN):
            mask_figures.stack_and_mask(
                picture, bounded.read(images[name], channel=channel).voxels,
                probability=bounded.read(path).voxels, band=MIDDLING)
        found.append([one._replace(picture=picture if os.path.exists(picture) else '')
                      for one in own])
    return worst_of_each(found)


def of_probabilities(count):
    """(share of the voxels from 0.5 on, share of MIDDLING ones in what is above its lower end).

    Args:
        count: int [256], voxels of each probability * 255.
    """
    low, high = [int(np.ceil(255 * p)) for p in MIDDLING]
    return float(count[128:].sum() / max(1, count.sum())), float(
        count[low:high].sum() / max(1, count[low:].sum()))


# --- step 4 ---

def of_traces(places):
    """Findings of step 4."""
    measured = files.read_json(os.path.join(places.patches, 'priors.json'))['stacks']
    found = []
    for name, path in bounded.results_of(places.segmented, PROBABILITIES).items():
        traced = os.path.join(places.traces, name + '.swc')
        shape, voxel_size = bounded.shape_of(path)
        spacing = stacks.spacing_of(voxel_size)
        lengths = (lengths_of(swc.read(traced), spacing) if os.path.exists(traced)
                   else np.zeros(0))
        volume = np.prod(shape, dtype=float) * np.prod(spacing)
        line = measured.get(name, {}).get('density', 0.0) * volume
        own = [findings.of_cable(lengths.sum(), line or lengths.sum() / findings.VOXEL_STEP,
                                 trees=len(lengths), name=name)]
        if len(lengths):
            own.append(findings.of_trees(lengths, name=name))
        picture = os.path.join(places.traces, name + '.png')
        found.append([one._replace(picture=picture) for one in own])
    return worst_of_each(found)


def lengths_of(tree, spacing):
    """Length of each tree of a forest, x voxels: float [trees].

    Args:
        tree: swc.Tree, positions in voxels; spacing: (z, y, x) of a voxel, x voxels.
    """
    number = np.cumsum(tree.parent < 0) - 1
    child = np.flatnonzero(tree.parent >= 0)
    for node in child:
        number[node] = number[tree.parent[node]]
    way = (tree.position[child] - tree.position[tree.parent[child]]) * spacing
    step = np.sqrt((way ** 2).sum(1))
    return np.bincount(number[child], step, minlength=number.max() + 1)
