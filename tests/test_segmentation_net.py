"""The segmentation network, its losses, its crops and their augmentation."""
import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from models import losses, segmenter, tf, unet
from utils.common import tiling
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.score import masks
from utils.train import augmentation, crops, runs


@pytest.mark.parametrize('levels, reach', [(0, 2), (1, 8), (2, 20)])
def test_halo_is_what_the_network_sees(levels, reach):
    """By the gradient: no voxel farther than halo() moves an output, wherever it lies in its block."""
    halo = unet.halo(levels)
    assert halo == reach and halo % 2 ** levels == 0
    n = 2 * (halo + 2 ** levels)
    tf.reset_default_graph()
    x = tf.placeholder(tf.float32, [1, n, 2 ** levels, 2 ** levels, 1])
    y = unet.unet(x, 2, levels=levels, training=False)
    at = [n // 2 + i for i in range(2 ** levels)]
    gradients = [tf.gradients(y[0, k, 0, 0, 0], x)[0][0, :, :, :, 0] for k in at]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        # Max-pooling passes gradients to one voxel of a block alone, so many images are tried
        rng = np.random.default_rng(0)
        seen = sum(np.abs(np.array(session.run(gradients, {x: rng.normal(size=x.shape)}))).sum((2, 3)) for _ in range(20))
    far = 0
    for k, row in zip(at, seen):
        place = np.flatnonzero(row)
        far = max(far, k - place.min(), place.max() - k)
    assert halo - 2 ** levels < far <= halo


@pytest.mark.parametrize('shape', [(24, 40, 48), (21, 30, 43)])
def test_tiles_equal_the_whole(shape):
    tf.reset_default_graph()
    tf.set_random_seed(1)
    levels, voxels = 1, np.random.default_rng(0).normal(size=shape).astype(np.float32)
    inference = segmenter.build_inference(3, levels)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for variable in segmenter.inference_variables():         # moments that do something
            if '/moving_' in variable.op.name or '/beta' in variable.op.name:
                value = session.run(variable)
                variable.load(value + 0.3 * np.random.default_rng(1).random(value.shape).astype(np.float32), session)

        def function(tile):
            padded = np.pad(tile, [(0, -n % 2) for n in tile.shape], 'symmetric')
            p = session.run(inference.probability, {inference.image: padded[None, ..., None]})[0, ..., 0]
            return p[tuple(slice(n) for n in tile.shape)]

        whole, tiled = function(voxels), tiling.apply(function, voxels, tile=(8, 12, 16), halo=unet.halo(levels))
    assert whole.std() > 1e-3
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_doubling_repeats_each_voxel():
    values = np.arange(2 * 3 * 2 * 2).reshape(1, 2, 3, 2, 2).astype(np.float32)
    with tf.Session() as session:
        doubled = session.run(unet.double(tf.constant(values)))
    np.testing.assert_array_equal(doubled, values.repeat(2, 1).repeat(2, 2).repeat(2, 3))


def run_losses(logits, label, weight):
    logits, label, weight = [tf.constant(np.asarray(a, np.float32).reshape(1, 1, 1, -1, 1)) for a in (logits, label, weight)]
    with tf.Session() as session:
        return session.run([losses.masked_dice_loss(logits, label, weight=weight),
                            losses.masked_cross_entropy(logits, label, weight=weight)])


def test_losses_by_hand_and_masked():
    """p = 1/2 twice on one foreground and one background voxel: Dice (2 / 2 + 1) / (2 + 1), entropy log 2."""
    dice, entropy = run_losses([0, 0], [1, 0], [1, 1])
    np.testing.assert_allclose([dice, entropy], [1 - 2 / 3, np.log(2)], rtol=1e-5)
    masked = run_losses([0, 0, 50, -50], [1, 0, 0, 1], [1, 1, 0, 0])      # two wrong voxels that do not count
    np.testing.assert_allclose(masked, [dice, entropy], rtol=1e-5)
    np.testing.assert_allclose(run_losses([30, -30], [1, 0], [1, 1]), 0, atol=1e-5)
    np.testing.assert_allclose(run_losses([3, 4], [1, 0], [0, 0]), 0, atol=1e-5)


def test_training_moves_the_network_and_the_average_follows():
    tf.reset_default_graph()
    tf.set_random_seed(0)
    graph = segmenter.build((8, 8, 8), 3, levels=1, learning_rate=0.01, max_steps=30, average_decay=0.9)
    inference = segmenter.build_inference(3, 1)
    rng = np.random.default_rng(0)
    label = (rng.random((2, 8, 8, 8, 1)) > 0.7).astype(np.float32)
    feed = {graph.image: 3 * label + rng.normal(size=label.shape), graph.label: label, graph.weight: np.ones_like(label)}
    with runs.open_session(1) as session:
        session.run(tf.global_variables_initializer())
        session.run(graph.start_average)
        first = session.run(graph.losses, feed)['loss']
        for _ in range(30):
            session.run(graph.update, feed)
        assert session.run(graph.losses, feed)['loss'] < 0.75 * first
        p = session.run(inference.probability, {inference.image: feed[graph.image]})
        assert p[label > 0].mean() > p[label == 0].mean() + 0.2
        np.testing.assert_allclose(session.run(graph.learning_rate), 1e-4, rtol=1e-4)


def test_normalisation_asks_neither_brightness_nor_density():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 20, (20, 60, 60))
    plain = augmentation.measure((500 + noise).astype(np.uint16))
    assert abs(plain.level - 500) < 2 and abs(plain.scale - 20) < 1.5
    crowded = 500 + noise
    crowded[:, :, 10:14] += 3000
    assert abs(augmentation.measure(crowded.astype(np.uint16)).scale - 20) < 4
    assert augmentation.measure(np.full((3, 4, 5), 7, np.uint8)) == (7.0, 1.0)
    a, b = [augmentation.normalise(v, augmentation.measure(v)) for v in
            [(k * (500 + noise)).astype(np.uint16) for k in (1, 3)]]
    np.testing.assert_allclose(a, b, atol=0.1)


@pytest.mark.parametrize('shape, dtype', [((70, 128, 160), np.uint16), ((3, 4, 5), np.uint8), ((2, 3, 1), np.uint16)])
def test_a_stack_is_measured_by_medians_without_a_copy_of_it(shape, dtype):
    voxels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    some = voxels[::2 if len(voxels) > 64 else 1].astype(float)
    noise = 1.4826 * np.median(np.abs(np.diff(some, axis=2))) / np.sqrt(2) if shape[2] > 1 else 1.0
    tracemalloc.start()
    measured = augmentation.measure(voxels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert measured == pytest.approx((np.median(some), noise))
    assert peak < 4e6                                                # histograms are 3e6; float32 copies grow with the stack


def test_turns_keep_arrays_together_and_grey_changes_are_repeatable():
    image = np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4)
    for seed in range(8):
        a, b = augmentation.turn([image, image + 1], np.random.default_rng(seed))
        np.testing.assert_array_equal(a + 1, b)
        assert sorted(a.ravel()) == sorted(image.ravel()) and a.shape == image.shape
        flat = augmentation.turn([image[:, :2]], np.random.default_rng(seed))[0]
        assert flat.shape == (2, 2, 4)                               # not square: turned by 180 degrees at most
    strength = (20, 2.0, 0.7, 0.1, 1.0, 0.3, 1.5, 0.2, 3.0, 1.0)
    one, two = [augmentation.change_grey(image, strength, rng=np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(one, two)
    still = augmentation.change_grey(image, (0, 0, 0, 1, 1, 1, 1, 0, 0, 0), rng=np.random.default_rng(5))
    np.testing.assert_allclose(still, image)


def test_lower_signal_to_noise_keeps_the_noise_at_one():
    """A stack is normalised by its noise, so a worse one has less signal in the same noise."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((40, 64, 64)).astype(np.float32)
    image[18:22] += 50
    changed = [augmentation.change_grey(image, (0, 0, 0, 0.2, 0.2, 1, 1, 0, 0, 0), rng=np.random.default_rng(i)) for i in range(8)]
    worse = [c for c in changed if not np.array_equal(c, image)]
    assert 0 < len(worse) < 8                                        # half of the crops
    for crop in worse:
        assert abs(crop[:18].std() - 1) < 0.02 and abs(crop[18:22].mean() - 10) < 0.2


def test_puncta_are_as_many_and_as_bright_as_said():
    light = augmentation.puncta((64, 64, 64), 40, rng=np.random.default_rng(3))
    peaks = (light == ndimage.maximum_filter(light, 5)) & (light > 0.9)
    assert 20 < peaks.sum() < 8 * 40 and 0.9 < light[peaks].min() and np.median(light[peaks]) < 8
    assert not augmentation.puncta((8, 8, 8), 0, rng=np.random.default_rng(3)).any()


def test_contrast_is_what_stands_out_of_the_background():
    image = np.full((24, 24, 24), 7.0, np.float32)                   # an even background does not count
    label = np.zeros(image.shape, bool)
    label[8:16, 8:16] = True
    image[label] += 5
    found = crops.contrast(image, label)
    assert abs(found[12, 12, 12] - 5) < 0.1 and abs(found[2, 2, 12]) < 0.1


def test_foreground_too_dim_to_be_seen_does_not_count(tmp_path):
    label = np.zeros((8, 8, 16, 16), np.uint8)
    label[:, 2:5, 3:6] = 1                                           # bright
    label[:, 2:5, 10:13] = 1                                         # as dark as the background
    noise = np.random.default_rng(0).normal(0, 10, label.shape)
    image = (1000 + noise + 300 * label * (np.arange(16)[:, None] < 8)).astype(np.uint16)
    patches.write(str(tmp_path / 'patches.h5'), image, origins=np.zeros((8, 3), int), sources=['s%d' % i for i in range(8)], labels=label)
    source, still = crops.Synthetic(str(tmp_path), 1.0, sigma=0.85, rim_width=0), (0, 0, 0, 1, 1, 1, 1, 0, 0, 0)
    for visible, share in ((0, 1.0), (2.0, 0.5)):
        _, truth, weight = crops.batch([source] * 4, (8, 16, 16), strength=still, visible=visible, seed=[1], index=0)
        assert weight[truth > 0].mean() == pytest.approx(share, abs=0.1) and weight[truth == 0].all()


def test_seen_label_is_wider_than_the_drawn_one_and_rim_lies_around_it():
    label = np.zeros((9, 11, 11), np.uint8)
    label[4, 5, :] = 1                                               # a line of single voxels along x
    assert crops.seen(label, 1.0, sigma=0.85).sum() == 11
    wide = crops.seen(label, 0.3, sigma=0.85)
    assert wide[4, 4:7, 5].all() and wide[3:6, 5, 5].all() and not wide[2, 5, 5] and not wide[4, 3, 5]
    rim = crops.rim(label > 0, 1)
    assert not (rim & (label > 0)).any() and rim[:, :, 5].sum() == 4
    assert not crops.rim(label > 0, 0).any()


def write_patches(folder, stacks=3, n=4, shape=(8, 16, 16)):
    rng = np.random.default_rng(0)
    label = (rng.random((stacks * n,) + shape) > 0.9).astype(np.uint8)
    image = (1000 + 300 * label + rng.normal(0, 20, label.shape)).astype(np.uint16)
    patches.write(str(folder / 'patches.h5'), image, origins=np.zeros((len(image), 3), int), sources=['s%d' % (i // n) for i in range(len(image))], labels=label)


def test_batches_depend_on_the_seed_alone_and_held_out_stacks_are_not_trained_on(tmp_path):
    write_patches(tmp_path)
    source = crops.Synthetic(str(tmp_path), 1.0, sigma=0.85, rim_width=0, held_out=0.34)
    assert set(source.source[source.held]) == {'s2'} and set(source.source[source.trained]) == {'s0', 's1'}
    strength = (20, 2.0, 0.7, 0.1, 1.0, 0.3, 1.5, 0.2, 3.0, 1.0)
    one, two, other = [crops.batch([source] * 2, (8, 8, 8), strength=strength, visible=2.0, seed=[1], index=k) for k in (3, 3, 4)]
    np.testing.assert_array_equal(one[0], two[0])
    assert (one[0] != other[0]).any() and one[0].shape == (2, 8, 8, 8, 1) == one[1].shape
    held = source.validation((8, 8, 8), 10)
    assert len(held[0]) == 4 and held[2].all()
    assert held[0][held[1] > 0].mean() > held[0][held[1] == 0].mean() + 1


@pytest.mark.parametrize('sigma', [0.85, 1.5, 3.0])
def test_a_crop_has_the_labels_of_the_whole_patch(tmp_path, sigma):
    label = ndimage.binary_dilation(np.random.default_rng(0).random((2, 16, 32, 32)) < 0.001, np.ones((1, 3, 3, 3)))
    patches.write(str(tmp_path / 'patches.h5'), label.astype(np.uint16), origins=np.zeros((2, 3), int), sources=['a', 'b'], labels=label.astype(np.uint8))
    source = crops.Synthetic(str(tmp_path), 0.15, sigma=sigma, rim_width=1, held_out=0.5)
    whole = source.cut(0, (0, 0, 0), crop=(16, 32, 32))
    for low in ((0, 0, 0), (4, 6, 8), (8, 17, 22), (2, 12, 3)):
        box = tuple(slice(a, a + 8) for a in low)
        for part, everything in zip(source.cut(0, low, crop=(8, 8, 8)), whole):
            np.testing.assert_array_equal(part, everything[box])


def test_a_large_share_leaves_a_stack_to_train_on(tmp_path):
    write_patches(tmp_path)
    source = crops.Synthetic(str(tmp_path), 1.0, sigma=0.85, rim_width=0, held_out=0.9)
    assert set(source.source[source.trained]) == {'s0'}


def test_pairs_of_tiff_are_told_by_their_labels_too(tmp_path):
    for i in range(2):
        for kind in ('images', 'labels'):
            stacks.write(str(tmp_path / kind / ('%d.tif' % i)), np.full((4, 5, 6), i, np.uint8))
    before = patches.PatchFile(str(tmp_path), with_labels=True).digest
    stacks.write(str(tmp_path / 'labels/1.tif'), np.zeros((4, 5, 6), np.uint8))
    assert patches.PatchFile(str(tmp_path), with_labels=True).digest != before
    stacks.write(str(tmp_path / 'labels/1.tif'), np.zeros((3, 5, 6), np.uint8))
    with pytest.raises(UserError, match='1.tif is .3, 5, 6. voxels'):
        patches.PatchFile(str(tmp_path), with_labels=True)


def test_manual_crops_stay_in_their_end_and_hold_an_annotated_slice():
    codes = np.zeros((20, 40, 24), bool)
    valid = codes.copy()
    valid[[3, 12]] = True
    truth = valid.copy()
    truth[:, :, 5:] = False
    voxels = np.broadcast_to(np.arange(40, dtype=np.uint16)[None, :, None], codes.shape).copy()
    annotation = masks.Annotation(truth, valid, [3, 12])
    box = masks.halves(codes.shape, 1, gap=16)[1]
    assert box == (slice(0, 20), slice(28, 40), slice(0, 24))
    source, rng = crops.Manual(voxels, annotation, box=box), np.random.default_rng(0)
    for _ in range(50):
        deviation, label, weight = source.draw((8, 8, 8), rng)
        grey = deviation * source.scale.scale + source.scale.level
        assert grey.min() >= 27.9 and weight.any() and not (label > weight).any()
    with pytest.raises(ValueError, match='SPLIT_GAP'):
        source.draw((8, 16, 8), rng)
