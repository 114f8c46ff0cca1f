"""The trained segmentation network as an object, its training and its masks."""
import numpy as np
import pytest
from scipy import ndimage
from skimage import morphology

from models import losses, tf
from utils.common import claims, files
from utils.common.errors import UserError
from utils.data import patches
from utils.train import augmentation, checkpoints, crops, labels, segmenter, segmenter_training

STILL = augmentation.Strength(puncta=0, haze=0, blur=0, snr=(1, 1), contrast=(1, 1), gamma=0,
                              offset=0, noise=0)
SETTINGS = segmenter_training.Settings(
    channels=2, levels=1, crop_shape=(8, 8, 8), max_steps=4, learning_rate=0.01,
    average_decay=0.9, evaluation_patches=2, evaluate_every=1, log_every=1, save_every=4,
    threads=1, seed=1)


def drafts(folder):
    """Four patches of two stacks, one held out: bright lines."""
    label = np.zeros((4, 8, 16, 16), np.uint8)
    label[:, 3:6, 6:9] = 1
    noise = np.random.default_rng(0).normal(0, 20, label.shape)
    patches.write(str(folder / 'patches.h5'), (1000 + 300 * label + noise).astype(np.uint16),
                  origins=np.zeros((4, 3), int), sources=['a', 'a', 'b', 'b'], labels=label)
    return crops.Synthetic(str(folder), labels.Settings(1.0, 0.85, 0, 0.0), held_out=0.5)


def train(folder, **changed):
    """Train in a folder as the script does; crops.Synthetic."""
    source, settings = drafts(folder), SETTINGS._replace(**changed)
    claims.claim(str(folder / 'run'), {'CHANNELS': settings.channels, 'LEVELS': settings.levels})
    segmenter_training.train(str(folder / 'run'), settings, sources=[source] * 2, strength=STILL,
                             held=source)
    return source


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp('segmenter')
    train(folder, max_steps=12)
    return str(folder / 'run')


# --- training ---

@pytest.mark.parametrize('weighted', [False, True])
def test_validation_loss_is_that_of_the_training_graph(weighted):
    rng = np.random.default_rng(0)
    shape = (2, 4, 5, 6, 1)
    logits = rng.normal(0, 3, shape).astype(np.float32)
    label = (rng.random(shape) < 0.3).astype(np.float32)
    weight = (rng.random(shape) < 0.5).astype(np.float32) if weighted else np.ones_like(label)
    with tf.Session() as session:
        p, dice, entropy = session.run([
            tf.sigmoid(logits), losses.masked_dice_loss(logits, label, weight=weight),
            losses.masked_cross_entropy(logits, label, weight=weight)])
    assert segmenter_training.loss(p, label, weight=weight) == pytest.approx(dice + entropy, 1e-5)
    assert segmenter_training.loss(p, label, weight=weight, dice_weight=0.5) == pytest.approx(
        0.5 * dice + entropy, 1e-5)


def test_the_best_checkpoint_is_that_of_the_lowest_loss_and_predicts(tmp_path, monkeypatch):
    scores = iter([3.0, 1.0, 2.0, 1.5])
    monkeypatch.setattr(segmenter_training, 'validate', lambda *_, **__: {
        'validation_loss': next(scores), 'validation_dice': 0.5})
    asked, batch = [], crops.batch

    def watched(*arguments, **options):
        asked.append((options['seed'], options['index']))
        return batch(*arguments, **options)

    monkeypatch.setattr(crops, 'batch', watched)
    train(tmp_path)
    assert asked == [([1], 0), ([1], 1), ([1], 2), ([1], 3)]             # each batch once
    folder = str(tmp_path / 'run')
    assert files.read_json(folder + '/best.json') == {'score': 1.0, 'step': 2}
    assert checkpoints.step_of(checkpoints.newest(folder)) == 4
    with segmenter.Segmenter(folder, threads=1) as network:
        assert network.step == 2


def test_training_finds_what_it_is_shown(run_dir):
    """The held-out loss falls, and held-out foreground is likelier than background."""
    with open(run_dir + '/log.csv') as file:
        rows = [line.rstrip().split(',') for line in file]
    loss = [float(row[rows[0].index('loss')]) for row in rows[1:]]
    assert len(loss) == 12 and np.mean(loss[-3:]) < np.mean(loss[:3])


def test_a_batch_has_manual_crops_in_their_share_and_one_of_each_at_least():
    for count, share, wanted in ((4, 0.5, 'mmdd'), (3, 0.5, 'mmd'), (4, 0.01, 'mddd'),
                                 (4, 0.99, 'mmmd'), (2, 0.5, 'md')):
        found = segmenter_training.places(count, drafts='d', manual='m', share=share)
        assert ''.join(found) == wanted, (count, share)
    assert segmenter_training.places(3, drafts='d') == ['d'] * 3
    assert segmenter_training.places(3, manual='m') == ['m'] * 3
    with pytest.raises(UserError, match='BATCH_SIZE=1'):
        segmenter_training.places(1, drafts='d', manual='m')


@pytest.mark.parametrize('changed, words', [
    (dict(mirrors=3), 'MIRRORS=3'), (dict(tile_shape=(16, 16, 15)), 'TILE_SHAPE.*multiples of 2'),
    (dict(strength=STILL._replace(snr=(0.5, 0.1))), 'AUGMENT_SNR.*smaller one first')])
def test_values_that_do_not_go_together_are_named(changed, words):
    good = dict(strength=STILL, tile_shape=(16, 16, 16), mirrors=1)
    segmenter_training.check(SETTINGS, **good)
    with pytest.raises(UserError, match=words):
        segmenter_training.check(SETTINGS, **dict(good, **changed))


# --- predicting ---

def test_mirrored_copies_are_averaged(run_dir):
    """Two copies: along x; four: y, too; eight: z, too."""
    voxels = np.random.default_rng(2).normal(1000, 60, (12, 14, 16)).astype(np.uint16)
    voxels[5:7, :, 3:5] += 300
    with segmenter.Segmenter(run_dir, threads=1) as network:
        def mean(axes):
            return np.mean([np.flip(network.predict(np.flip(voxels, flip).copy()), flip)
                            for flip in axes], 0)

        alone = network.predict(voxels)
        assert mean([()]).tolist() == alone.tolist()
        wanted = {2: mean([(), (2,)]), 4: mean([(), (2,), (1,), (1, 2)]),
                  8: mean([(), (2,), (1,), (1, 2), (0,), (0, 2), (0, 1), (0, 1, 2)])}
    with segmenter.Segmenter(run_dir, threads=1, mirrors=8) as network:
        copies = network.mirrors
        for count, probability in wanted.items():
            network.mirrors = copies[:count]                     # as of mirrors=count
            found = network.predict(voxels).astype(float)
            assert np.abs(found - probability).max() <= 1, count
            assert np.abs(found - alone).max() > 2


def test_a_stack_is_normalised_as_a_whole(run_dir):
    """Any tile gives the same map, though the brightness of one tile is not that of the stack."""
    voxels = np.random.default_rng(2).normal(1000, 60, (8, 16, 40)).astype(np.uint16)
    voxels[:, :, 20:] += 2000
    maps = []
    with segmenter.Segmenter(run_dir, threads=1, tile=(7, 9, 13)) as network:
        assert network.tile == (8, 10, 14)                       # multiples of 2
        for tile in ((8, 16, 40), (8, 8, 10), network.tile):
            network.tile = tile
            maps.append(network.predict(voxels).astype(int))
    assert maps[0].std() > 0
    assert np.abs(maps[1] - maps[0]).max() <= 1 and np.abs(maps[2] - maps[0]).max() <= 1


def test_packed_weights_are_the_averages_and_predict_the_same(run_dir, tmp_path):
    voxels = np.random.default_rng(2).normal(1000, 60, (8, 16, 16)).astype(np.uint16)
    with segmenter.Segmenter(run_dir, threads=1) as network:
        network.pack(str(tmp_path / 'kept'), owner=claims.packing('3_segmentation.py'),
                     may_change=('LEVELS_OF_NOTHING',))
        here, digest, step = network.predict(voxels), network.digest, network.step
    with segmenter.Segmenter(str(tmp_path / 'kept'), threads=1) as network:
        np.testing.assert_array_equal(network.predict(voxels), here)
        assert (network.digest, network.step) == (digest, step)
        assert network.settings == {'CHANNELS': 2, 'LEVELS': 1}


def test_folders_without_a_network_are_told(tmp_path, run_dir):
    with pytest.raises(UserError, match='no checkpoint.*STAGE=train'):
        segmenter.Segmenter(str(tmp_path))
    (tmp_path / 'checkpoints/step-000001').mkdir(parents=True)
    (tmp_path / 'config.json').write_text('{"REFINER_CHANNELS": 4}')
    with pytest.raises(UserError, match='no run of 3_segmentation.py'):
        segmenter.Segmenter(str(tmp_path))
    (tmp_path / 'best.json').write_text('{"step": 1, "score": 0.5}')
    (tmp_path / 'checkpoints/step-abc').mkdir()
    with pytest.raises(UserError, match='step-abc is no checkpoint.*move it away'):
        segmenter.Segmenter(str(tmp_path))


# --- masks ---

def test_masks_leave_small_objects_out_by_hand():
    """Three objects: 4 voxels in a row, 2 that touch by a corner, 1 alone; 0.5 of 255 is 127.5."""
    probability = np.full((4, 6, 8), 127, np.uint8)
    probability[0, 0, :4] = 128
    probability[2, 2, 2] = probability[3, 3, 3] = 255
    probability[0, 5, 7] = 200
    sizes = [segmenter.mask_of(probability, 0.5, smallest=n).sum() for n in (0, 1, 2, 3, 4, 5)]
    assert sizes == [7, 7, 6, 4, 4, 0]
    assert segmenter.mask_of(probability, 0.5, smallest=2)[3, 3, 3] == 1
    assert segmenter.mask_of(probability, 0.7, smallest=0).sum() == 3         # 178.5
    assert segmenter.mask_of(probability, 0.5, smallest=2).dtype == np.uint8


def test_masks_are_those_of_scikit_image():
    rng = np.random.default_rng(0)
    probability = ndimage.uniform_filter(rng.random((20, 40, 40)) * 255, 3).astype(np.uint8)
    for smallest in (2, 9, 30):
        mask = probability >= 0.55 * 255
        wanted = morphology.remove_small_objects(mask, smallest, connectivity=3)
        found = segmenter.mask_of(probability, 0.55, smallest=smallest)
        np.testing.assert_array_equal(found, wanted)
        assert 0 < wanted.sum() < mask.sum()
