"""Every known fault of the released code (METHOD, last section) has a test that would catch it: this table, and those
faults that no other test is about."""
import ast
import os
import resource
import signal

import numpy as np
import pytest
from conftest import ROOT

from models import gan, tf
from utils.common import tiling
from utils.common.errors import UserError
from utils.train import runs

CAUGHT_BY = {
    1: ('test_patches', 'test_history_fills_stays_bounded_and_returns_what_went_in'),
    2: ('test_mpgan', 'test_learning_rate_falls_in_steps_of_the_discriminator'),
    3: ('test_stacks', 'test_pairs_go_by_name_not_by_order'),
    4: ('test_mpgan', 'test_threshold_is_each_images_own_background_quantile'),
    5: ('test_mpgan', 'test_training_moves_the_moving_averages_and_inference_ignores_batch_mates'),
    6: ('test_mpgan', 'test_discriminator_shape_and_the_released_linear_variant'),
    7: ('test_faults', 'test_bright_voxels_and_the_rim_are_refined_like_the_rest'),
    8: ('test_scripts', 'test_steps_leave_what_they_promise'),
    9: ('test_patches', 'test_batches_depend_on_the_seed_alone_and_each_patch_comes_once_an_epoch'),
    10: ('test_scripts', 'test_steps_leave_what_they_promise'),
    11: ('test_faults', 'test_an_update_passes_each_network_once'),
    12: ('test_otsu', 'test_segmentation_refuses_what_holds_no_neurite'),
}


@pytest.mark.parametrize('fault', range(1, 13))
def test_fault_has_its_test(fault):
    module, name = CAUGHT_BY[fault]
    with open(os.path.join(ROOT, 'tests', module + '.py')) as file:
        assert name in {node.name for node in ast.parse(file.read()).body if isinstance(node, ast.FunctionDef)}


def test_bright_voxels_and_the_rim_are_refined_like_the_rest():
    """Voxels above 16,000 do not become 0, and no rim is left out: a refiner that passes its input on does so everywhere."""
    tf.reset_default_graph()
    tf.set_random_seed(0)
    graph = gan.build((8, 16, 16), 16, refiner_channels=8, discriminator_channels=4, activation=True, lambda_identity=5.0, steepness=0.1, background_quantile=0.95, learning_rate=1e-3, decay_rate=0.9, decay_steps=100, beta1=0.5, start=(0.0, 0.2), frozen=True, domain=(0.0, 0.2))
    inference = gan.build_inference(16, 8, standardised=True)
    rng = np.random.default_rng(0)
    stack = rng.normal(17000, 3000, (20, 50, 45)).astype(np.float32)
    stack[8:12, :, 20:24] = 45000
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(graph.calibrate, {graph.draft: stack[None, :16, :48, :32, None].reshape(-1, 8, 16, 16, 1)})
        session.run(graph.start_average)
        refined = tiling.apply(lambda v: session.run(inference.refined_grey, {inference.draft: v[None, ..., None]})[0, ..., 0],
                               stack, tile=(16, 24, 24), halo=13)
    assert refined.min() > 0 and refined[8:12, :, 20:24].mean() > 1.3 * refined.mean()
    rim = np.ones(stack.shape, bool)
    rim[2:-2, 2:-2, 2:-2] = False
    assert np.corrcoef(refined[rim], stack[rim])[0, 1] > 0.5


def test_an_update_passes_each_network_once():
    """Executed, not built: a traced refiner update mirrors the refiner's input (its first op) exactly once, thresholds
    included, and pools once in the discriminator; a discriminator update pools twice and passes the refiner not at all."""
    tf.reset_default_graph()
    graph = gan.build((8, 16, 16), 16, refiner_channels=4, discriminator_channels=4, activation=True, lambda_identity=5.0, steepness=0.1, background_quantile=0.95, learning_rate=1e-3, decay_rate=0.9, decay_steps=100, beta1=0.5, frozen=True)
    image = np.random.default_rng(0).uniform(0, 500, (1, 8, 16, 16, 1)).astype(np.float32)

    def forward(fetches, feed):
        found = tf.RunMetadata()
        session.run(fetches, feed, tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), found)
        names = {node.node_name.split(':')[0] for device in found.step_stats.dev_stats for node in device.node_stats}
        return [sum(name.split('/')[-1] in (op, op + '_1') and 'gradients' not in name for name in names)
                for op in ('MirrorPad', 'MaxPool3D')]

    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert forward([graph.refined, graph.refiner_losses, graph.refiner_update],
                       {graph.draft: image, graph.label: image > 400, graph.label_weight: 1.0}) == [1, 1]
        assert forward([graph.discriminator_losses, graph.discriminator_update],
                       {graph.real: image, graph.history: image / 500}) == [0, 2]


def test_full_disk_leaves_the_checkpoint_before_it(tmp_path):
    """No file may grow beyond 20 kB, as on a disk that is full: one clear error, and the older checkpoint restores."""
    tf.reset_default_graph()
    weights = tf.get_variable('weights', [40000], initializer=tf.zeros_initializer())
    add = tf.assign_add(weights, tf.ones([40000]))
    small, limits = np.zeros(4, np.float32), resource.getrlimit(resource.RLIMIT_FSIZE)
    with runs.Run(str(tmp_path), []) as run:
        for step in (1, 2):
            run.session.run(add)
            run.step = step
            if step == 2:
                before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limits[1]))
                try:
                    with pytest.raises(UserError, match='step-000002 cannot be written.*free some space'):
                        run.save(history=small, extra='two')
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
                    signal.signal(signal.SIGXFSZ, before)
            else:
                run.save(history=small, extra='one')
    with runs.Run(str(tmp_path), []) as run:
        assert run.step == 1 and run.extra == 'one'
        np.testing.assert_array_equal(run.session.run(weights), np.ones(40000))
