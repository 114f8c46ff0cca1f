"""Every known fault of the released code has a test that would catch it (docs/method.md).

Such a test carries the fault's number, @pytest.mark.fault(N). Here: that none is missing, and tests
of those faults that no other file is about.
"""
import ast
import glob
import os

import numpy as np
import pytest
from conftest import ROOT

from models import gan, tf
from utils.common import tiling

pytestmark = pytest.mark.usefixtures('small_networks')
FAULTS = 12


def faults_of(path):
    """(fault, test) of each marker on a test function of a file."""
    with open(path, encoding='utf-8') as file:
        body = ast.parse(file.read()).body
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith('test_'):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and getattr(mark.func, 'attr', '') == 'fault':
                    yield ast.literal_eval(mark.args[0]), node.name


def test_every_fault_has_its_test():
    files = glob.glob(os.path.join(ROOT, 'tests', 'test_*.py'))
    marked = {fault for path in files for fault, _ in faults_of(path)}
    assert marked == set(range(1, FAULTS + 1))


def test_markers_are_found_on_tests_alone(tmp_path):
    path = tmp_path / 'test_x.py'
    path.write_text('@pytest.mark.fault(3)\ndef helper(): pass\n'
                    '@pytest.mark.slow\n@pytest.mark.fault(4)\ndef test_a(): pass\n'
                    '# @pytest.mark.fault(5)\ndef test_b(): pass\n')
    assert list(faults_of(str(path))) == [(4, 'test_a')]


def build(architecture, seen=None):
    tf.reset_default_graph()
    tf.set_random_seed(0)
    return gan.build((8, 16, 16), 16, settings=gan.Settings(architecture), intensities=seen)


@pytest.mark.fault(7)
def test_bright_voxels_and_the_rim_are_refined_like_the_rest():
    """Voxels above 16,000 do not become 0, no rim is left out: what passes its input on does so
    everywhere."""
    seen = gan.Intensities(drafts=(0.0, 0.2), drafts_atanh=(0.0, 0.2), real=(0.0, 1.0))
    graph = build(gan.Architecture(8, 2, identity_start=True, standardise=True,
                                   frozen_moments=True), seen)
    inference = gan.build_inference(16, 8, standardised=True)
    rng = np.random.default_rng(0)
    stack = rng.normal(17000, 3000, (20, 50, 45)).astype(np.float32)
    stack[8:12, :, 20:24] = 45000
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        crops = stack[None, :16, :48, :32, None].reshape(-1, 8, 16, 16, 1)
        session.run(graph.calibrate, {graph.draft: crops})
        session.run(graph.start_average)

        def refine(voxels):
            feed = {inference.draft: voxels[None, ..., None]}
            return session.run(inference.refined_grey, feed)[0, ..., 0]

        refined = tiling.apply(refine, stack, tile=(16, 24, 24), halo=13)
    assert refined.min() > 0 and refined[8:12, :, 20:24].mean() > 1.3 * refined.mean()
    rim = np.ones(stack.shape, bool)
    rim[2:-2, 2:-2, 2:-2] = False
    assert np.corrcoef(refined[rim], stack[rim])[0, 1] > 0.5


@pytest.mark.fault(11)
def test_an_update_passes_each_network_once():
    """Executed, not built: a traced refiner update mirrors the refiner's input (its first op) once,
    thresholds included, and pools once in the discriminator; a discriminator update pools twice
    and passes the refiner not at all."""
    graph = build(gan.Architecture(4, 2, frozen_moments=True))
    image = np.random.default_rng(0).uniform(0, 500, (1, 8, 16, 16, 1)).astype(np.float32)

    def passes(fetches, feed):
        found = tf.RunMetadata()
        session.run(fetches, feed, tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), found)
        names = {node.node_name.split(':')[0] for device in found.step_stats.dev_stats
                 for node in device.node_stats}
        return [sum(name.split('/')[-1] in (op, op + '_1') and 'gradients' not in name
                    for name in names) for op in ('MirrorPad', 'MaxPool3D')]

    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert passes([graph.refined, graph.refiner_losses, graph.refiner_update],
                      {graph.draft: image, graph.label: image > 400,
                       graph.label_weight: 1.0}) == [1, 1]
        assert passes([graph.discriminator_losses, graph.discriminator_update],
                      {graph.real: image, graph.history: image / 500}) == [0, 2]
