"""All neurites of a stack: its first neuron, passing fibres, radii and shapes. Isotropic voxels."""
import numpy as np

from utils.data import swc
from utils.simulate import branches, fibres, neurons, reconstructions, settings, shapes, winding

ABLATED_DEPTH, ABLATED_LENGTH = 2, (100, 150)    # without internal priors: levels, voxels (uniform)
# voxels between branchings and from start to end of a fibre: where none is measured, and the least
USUAL_SPACING, LEAST_SPACING = 100.0, 30.0


def grow(values, prior, *, rng):
    """Grow all neurites of a stack.

    Args:
        values: settings.Settings, resolved; prior: priors.Priors; rng: numpy Generator.

    Returns:
        (kind, list of swc.Tree); kind is 'axon', 'dendrite' or 'swc' (a given reconstruction),
        that of the first tree.
    """
    extras, shape = values.branches, values.stack.volume_shape
    persistence = branches.persistence_of(extras.tortuosity)
    wiggle = winding.Wiggle(extras.wiggle, extras.wiggle_length, extras.winding_spread)
    if values.neuron.swc_dir:
        kind = 'swc'
        first = reconstructions.draw(values.neuron, shape, prior=prior,
                                     drift_length=values.light.drift_length, rng=rng)
    else:
        kind = 'axon' if rng.random() < values.neuron.axon_share else 'dendrite'
        first = _model_neuron(kind, values.neuron, shape=shape, prior=prior, rng=rng)
        if np.isfinite(persistence):
            first = branches.wind(first, persistence, rng=rng)
        elif (values.light.level_drift or values.light.end_level != 1
              or wiggle.degrees):                            # from node to node
            first = branches.subdivide(first)
        if wiggle.degrees:
            first = winding.wiggle_tree(first, wiggle, rng=rng)
    trees = [first]
    if extras.density:
        total = extras.density * settings.volume(values.stack) - swc.length_of(first)
        trees += _passing(shape, total, extras=extras, prior=prior, rng=rng)
    if extras.taper:
        trees = [shapes.taper(tree, extras.taper) for tree in trees]
    if extras.bouton_spacing:
        trees = [shapes.boutons(branches.subdivide(tree), extras.bouton_spacing, rng=rng)
                 if (tree.type == swc.AXON).all() else tree for tree in trees]
    return kind, trees


def _model_neuron(kind, neuron, *, shape, prior, rng):
    """The paper's dendrite or axon (docs/method.md, step 1).

    Args:
        kind: 'dendrite' or 'axon'; neuron: settings.Neuron; shape: (z, y, x) voxels.

    Returns:
        swc.Tree, coarse: a node at each end of a straight branch.
    """
    depth = int(rng.choice(neuron.axon_depth if kind == 'axon' else neuron.dendrite_depth))
    length = int(rng.integers(neuron.branch_length[0], neuron.branch_length[1] + 1))
    if not neuron.internal_priors:
        depth, length = ABLATED_DEPTH, rng.uniform(*ABLATED_LENGTH)
    if kind == 'axon':
        return neurons.axon(shape, rng, draw_radius=prior.draw_radius, depth=depth,
                            base_length=length)
    tree = neurons.dendrite(shape, rng, draw_radius=prior.draw_radius, depth=depth,
                            base_length=length, soma_radius=neuron.soma_radius)
    return shapes.pyramid(tree, rng) if neuron.soma_shape == 'pyramid' else tree


def _passing(shape, total, *, extras, prior, rng):
    """Passing fibres of `total` voxels in all, with radii.

    Args:
        shape: (z, y, x) voxels; extras: settings.Branches; they wind as the first neuron does.

    Returns:
        list of swc.Tree of type axon.
    """
    measured = prior.measured or {}
    drawn = measured.get('drawn', {})
    spacing, ends = [max(drawn.get(key) or measured.get(key) or USUAL_SPACING, LEAST_SPACING)
                     for key in ('branch_spacing', 'ends_spacing')]
    habit = fibres.Habit(
        branches.persistence_of(extras.tortuosity), spacing, ends,
        winding.Wiggle(extras.wiggle, extras.wiggle_length, extras.winding_spread), extras.bundled,
        extras.clumps, drawn.get('heading'), drawn.get('heading_spread') or 0.0)
    return [fibre._replace(radius=_radii(fibre, prior, length=extras.radius_length, rng=rng))
            for fibre in fibres.fibres(shape, rng, total=total, habit=habit)]


def _radii(tree, prior, *, length, rng):
    """Radii of a fibre: half of their variance from fibre to fibre, half along it.

    Args:
        length: voxels over which they change along it.

    Returns:
        float [N].
    """
    n = len(tree.parent)
    if prior.fixed:
        return np.full(n, prior.draw_radius(rng, 0))
    own = rng.standard_normal()
    along = branches.along(tree.parent, length, rng=rng)
    return prior.radii_along(np.sqrt(0.5) * own + np.sqrt(0.5) * along)
