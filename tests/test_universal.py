"""tests/benchmarks/universal.py as a user runs it, tiny; and its scores by hand."""
import os
import sys

import numpy as np
import pytest
from conftest import ROOT, run_script

from utils.train import segmenter

SCRIPT = os.path.join('tests', 'benchmarks', 'universal.py')
sys.path.append(os.path.join(ROOT, 'tests', 'benchmarks'))

import _universal_scores as scores               # noqa: E402  (the path first)

TINY = ['N_KINDS=2', 'N_HELD=1', 'DRAFT_SHAPE=32,48,48', 'PATCH_SHAPE=8,16,16',
        'KIND_ANISOTROPY=1,1.01', 'KIND_SOMATA=0', 'CHANNELS=2', 'LEVELS=0', 'CROP_SHAPE=8,16,16',
        'BATCH_SIZE=2', 'MAX_STEPS=1', 'EVALUATE_EVERY=1', 'EVALUATION_PATCHES=2', 'THREADS=1',
        'PHANTOM_SHAPE=32,48,48', 'TUBE_SHAPE=64,64,64']


# --- calibration ---

def counts_of(pairs):
    """Counts of a dict, probability * 255 -> (voxels, of them foreground)."""
    found = np.zeros((2, 256), int)
    for level, (voxels, right) in pairs.items():
        found[:, level] = voxels, right
    return scores.Counts(*found)


def test_probabilities_that_mean_what_they_say_have_no_error():
    counts = counts_of({51: (1000, 200), 204: (500, 400)})
    assert scores.calibration_error(counts) == pytest.approx(0, abs=1e-9)


def test_calibration_error_is_the_mean_gap_over_voxels():
    """300 voxels at 0.2 of which 0.5 are foreground, 100 at 1 of which 0.9 are."""
    counts = counts_of({51: (300, 150), 255: (100, 90)})
    assert scores.calibration_error(counts) == pytest.approx((300 * 0.3 + 100 * 0.1) / 400)
    # what is ruled out does not thin it
    more = counts_of({0: (10 ** 6, 0), 51: (300, 150), 255: (100, 90)})
    assert scores.calibration_error(more) < 1e-3
    assert scores.calibration_error(more, lowest=scores.POSSIBLE) == pytest.approx(0.25)


def test_scores_at_a_threshold():
    counts = counts_of({0: (100, 10), 128: (30, 20), 255: (20, 20)})
    found = scores.scores_of(counts, 0.5)
    assert found['precision'] == pytest.approx(0.8) and found['recall'] == pytest.approx(0.8)
    assert found['dice'] == pytest.approx(0.8)
    assert scores.scores_of(counts, 0.9)['recall'] == pytest.approx(0.4)


def test_counts_leave_out_what_is_not_valid():
    probability = np.array([0, 10, 10, 255], np.uint8)
    counts = scores.count(probability, np.array([0, 0, 1, 1], bool),
                          valid=np.array([1, 0, 1, 1], bool))
    assert counts.all[[0, 10, 255]].tolist() == [1, 1, 1]
    assert counts.foreground[[0, 10, 255]].tolist() == [0, 1, 1]


# --- thickness ---

def tube(radius, shape=(40, 40, 60)):
    """A straight tube along x and its centreline."""
    z, y = np.mgrid[:shape[0], :shape[1]]
    mask = np.repeat(((z - 20) ** 2 + (y - 20) ** 2 <= radius ** 2)[..., None], shape[2], 2)
    line = np.stack([np.full(shape[2], 20), np.full(shape[2], 20), np.arange(shape[2])], 1)
    return mask, line


@pytest.mark.parametrize('drawn, found', [(2.0, 2.0), (2.0, 4.0), (5.0, 3.5)])
def test_radius_error_is_the_difference_of_the_radii(drawn, found):
    label, line = tube(drawn)
    mask, _ = tube(found)
    error = scores.radius_error(mask, label, line=line, reach=10)
    assert error == pytest.approx(found - drawn, abs=0.25)


def test_what_a_mask_misses_has_no_thickness():
    label, line = tube(3.0)
    mask = label.copy()
    mask[:, :, 20:] = False
    assert scores.radius_error(mask, label, line=line, reach=8) == pytest.approx(0, abs=0.1)
    assert np.isnan(scores.radius_error(np.zeros_like(mask), label, line=line, reach=8))


def test_thickness_is_drawn_as_asked():
    _, label, line = scores.fibre(3.0, 1.5, shape=(96, 128, 128), rng=np.random.default_rng(0))
    volume = label.sum() / scores.length_of(line)
    assert np.sqrt(volume / np.pi) == pytest.approx(3.0, abs=0.5)


# --- the whole ---

def test_it_draws_trains_scores_and_goes_on(tmp_path):
    pytest.importorskip('tensorflow')
    status, out, err = run_script(SCRIPT, *TINY, cwd=tmp_path)
    assert status == 0, err
    last = out.strip().split('\n')[-1]
    assert last.startswith('result: dice=') and ' step=1 ' in last
    table = (tmp_path / 'results/demo/universal.md').read_text()
    assert 'held-out kind 001' in table and 'phantom, noise x 10' in table
    assert (tmp_path / 'results/demo/universal_reliability.png').stat().st_size > 5000
    drawn = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob('data/demo/universal/*/*/*'))]
    status, again, err = run_script(SCRIPT, *TINY, cwd=tmp_path)
    assert status == 0, err
    assert again.strip().split('\n')[-1].split(' seconds')[0] == last.split(' seconds')[0]
    assert drawn == [path.stat().st_mtime_ns
                     for path in sorted(tmp_path.glob('data/demo/universal/*/*/*'))]


def test_labels_without_a_stack_are_refused(tmp_path):
    status, _, err = run_script(SCRIPT, 'LABELLED=x.tif', cwd=tmp_path)
    assert status == 1 and 'LABELLED and ANNOTATION go together' in err


# --- which network predicts ---

def test_pretrained_weights_serve_where_nothing_was_trained_and_no_run_was_named(tmp_path, capsys):
    default = str(tmp_path / 'run')

    def first(run_dir):
        return segmenter.first_try(run_dir, default=default, pretrained='weights')

    assert first(default) == 'weights' and 'nothing was trained here' in capsys.readouterr().out
    assert first('other') == 'other' and not capsys.readouterr().out
    (tmp_path / 'run').mkdir()
    assert first(default) == default and not capsys.readouterr().out
