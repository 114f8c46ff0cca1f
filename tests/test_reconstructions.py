"""SWC files, and reconstructions that are drawn in place of the paper's neurons."""
import importlib

import numpy as np
import pytest
from drafting import constant, draw, papers_radius

from utils.common.errors import UserError
from utils.data import swc
from utils.simulate import neurons, reconstructions


def long_axon(radius, shape=(200, 200, 200)):
    return neurons.axon(shape, np.random.default_rng(0), draw_radius=constant(radius), depth=10,
                        base_length=40)


# --- SWC files ---

def test_swc_round_trip_and_bad_files(tmp_path):
    tree = neurons.dendrite((256, 512, 256), np.random.default_rng(3), draw_radius=papers_radius,
                            depth=6, base_length=45)
    path = tmp_path / 'a.swc'
    swc.write(str(path), tree, comment='a comment')
    back = swc.read(str(path))
    np.testing.assert_array_equal(back.parent, tree.parent)
    np.testing.assert_array_equal(back.type, tree.type)
    np.testing.assert_allclose(back.position, tree.position, atol=5e-4)
    for text, words in (('1 1 0 0 0 1 7\n', 'parent 7'), ('1 1 0 0 0\n', 'seven'),
                        ('', 'no nodes'), ('1 1 0 0 0 1 2\n2 1 0 0 0 1 1\n', 'cycle')):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            swc.read(str(path))
    two = np.where(np.arange(len(tree.parent)) == 3, -1, tree.parent)
    with pytest.raises(UserError, match='one root'):
        swc.write(str(path), tree._replace(parent=two))


def test_gold_swc_files_are_read(shared):
    for name in ('6656_2304_21504_gold.swc', '6656_2304_22016_gold.swc'):
        assert len(swc.read('%s/swc/%s' % (shared, name)).parent) > 100


def test_pyneval_scores_a_written_tree_against_itself_as_perfect(tmp_path):
    swc_io = importlib.import_module('pyneval.pyneval_io.swc_io')
    utils = 'pyneval.metric.utils.'
    defaults = importlib.import_module(utils + 'config_utils').get_default_configs
    manager = importlib.import_module(utils + 'metric_manager').get_metric_manager()
    path = str(tmp_path / 'a.swc')
    swc.write(path, draw(4, AXON_SHARE=0.0, DENSITY=0.001).tree, one_root=False)
    perfect = {'recall': 1, 'precision': 1}
    for module, name, wanted in (('ssd', 'ssd', dict(perfect, ssd_score=0)),
                                 ('length', 'length', perfect),
                                 ('critical_node', 'cn', perfect),
                                 ('diadem', 'diadem', {'diadem_score': 1})):
        importlib.import_module('pyneval.metric.%s_metric' % module)     # importing registers it
        gold, test = swc_io.read_swc_tree(path), swc_io.read_swc_tree(path)
        score = manager.get_metric_method(name)(gold_swc_tree=gold, test_swc_tree=test,
                                                config=defaults(name))[0]
        for key, value in wanted.items():
            assert abs(score[key] - value) < 1e-6, (name, score)


# --- placed in a volume ---

def test_crop_makes_roots_of_cut_branches_and_join_keeps_order():
    position = np.array([[5., 5, x] for x in (1, 3, 12, 8, 6, 4)])
    tree = swc.Tree(np.full(6, 2), position, np.ones(6), np.arange(-1, 5))
    cut = reconstructions.crop(tree, (10, 10, 10))
    assert cut.position[:, 2].tolist() == [1, 3, 8, 6, 4]
    assert cut.parent.tolist() == [-1, 0, -1, 2, 3]
    both = swc.join([cut, cut])
    assert both.parent.tolist() == [-1, 0, -1, 2, 3, -1, 5, -1, 7, 8]


def test_crop_keeps_what_rounds_to_a_voxel_and_drops_lone_nodes():
    position = np.array([[5., 5, x] for x in (-0.4, 9.4, 9.6, 3.0)])
    tree = swc.Tree(np.full(4, 2), position, np.ones(4), np.array([-1, 0, 1, 2]))
    cut = reconstructions.crop(tree, (10, 10, 10))
    # the third is outside; the fourth has neither parent nor child left
    assert cut.position[:, 2].tolist() == [-0.4, 9.4] and cut.parent.tolist() == [-1, 0]


def test_pose_keeps_lengths_and_fills_the_volume():
    rng = np.random.default_rng(0)
    tree = long_axon(2.0, (400, 400, 400))
    placed = reconstructions.pose(tree, (1000, 1000, 1000), scale=(1, 1, 1), rng=rng)
    assert np.isclose(swc.length_of(placed), swc.length_of(tree)) and (placed.radius == 2).all()
    small = reconstructions.pose(tree, (40, 40, 40), scale=(1, 1, 1), rng=rng)
    assert 0 < len(small.parent) < len(placed.parent)


def test_pose_scales_each_axis_and_turns_and_mirrors():
    """Three edges along z, y, x: scaled lengths, right angles; both hands are met."""
    position = 10.0 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    tree = swc.Tree(np.full(4, 2), position, np.ones(4), np.array([-1, 0, 0, 0]))
    hands, first = set(), []
    for seed in range(20):
        placed = reconstructions.pose(tree, (99, 99, 99), scale=(3, 2, 0.5),
                                      rng=np.random.default_rng(seed))
        tips = np.setdiff1d(np.arange(len(placed.parent)), placed.parent)
        z, y, x = placed.position[tips] - placed.position[0]
        np.testing.assert_allclose(np.linalg.norm([z, y, x], axis=1), [30, 20, 5])
        assert np.allclose([z @ y, y @ x, z @ x], 0, atol=1e-6) and (placed.radius == 0.5).all()
        hands.add(np.sign(np.linalg.det([z, y, x])))
        first.append(z / 30)
        middle = np.linalg.norm(placed.position - 49, axis=1)
        assert middle.min() < 1e-6                       # one of its nodes is the volume's centre
    assert hands == {-1, 1} and np.abs(np.mean(first, 0)).max() < 0.5


# --- in drafts ---

def test_given_reconstructions_are_drawn(tmp_path):
    swc.write(str(tmp_path / 'a.swc'), long_axon(0.0))
    draft = draw(1, SWC_DIR=str(tmp_path))
    assert draft.kind == 'swc' and draft.label.sum() > 300
    assert (draft.tree.radius >= 1).all()                                # radius 0 is filled
    (tmp_path / 'a.swc').write_text('1 2 0 0 0 1 -1\n2 2 3 0 0 1 1\n')   # three voxels long
    with pytest.raises(UserError, match='SWC_SCALE'):
        draw(1, SWC_DIR=str(tmp_path))


def test_radii_that_the_file_has_stay(tmp_path):
    swc.write(str(tmp_path / 'a.swc'), long_axon(1.75))
    assert np.allclose(draw(1, SWC_DIR=str(tmp_path)).tree.radius, 1.75)


@pytest.mark.parametrize('text, words', [
    (b'# Ren\xe9\n1 2 0 0 0 1 -1\n1 2 3 0 0 1 -1\n', 'one id to two'),
    (b'1 2 nan 0 0 1 -1\n', 'not finite'),
    (b'\x00\xff\xfe', 'seven numbers'),
    (b'1 2 0 0 0 1 -1\n2 2 1e9 0 0 1 1\n', 'SWC_SCALE')])
def test_odd_reconstructions_are_refused_in_one_line(tmp_path, text, words):
    (tmp_path / 'a.swc').write_bytes(text)
    with pytest.raises(UserError, match=words):
        draw(1, SWC_DIR=str(tmp_path))


def test_gold_reconstructions_are_drawn(shared):
    draft = draw(0, SWC_DIR='%s/swc' % shared)
    assert draft.kind == 'swc'
    assert draft.label[tuple(np.rint(draft.tree.position).astype(int).T)].all()
