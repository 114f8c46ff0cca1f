"""label_weight.py and panel.py: what they hand to the scripts, and what becomes of the results."""
import csv
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, run_script

from utils.common import files
from utils.data import patches
from utils.draw import comparison
from utils.draw import drafts as pictures

sys.path.append(os.path.join(ROOT, 'tests', 'benchmarks'))

import _pairs                   # noqa: E402  (the path first)
import _paper_steps             # noqa: E402
import label_weight             # noqa: E402
import panel                    # noqa: E402

KEPT = {'inside': 9.0, 'dice': 0.5, 'cldice': 0.25, 'invented_length': 3.0, 'lost': 0.125}
SPECTRA = {'spectrum_z': 0.1, 'spectrum_y': 0.2, 'spectrum_x': 0.6}      # their mean is 0.3


class Told:
    """In place of _jobs.Jobs: what each script is run with."""

    def __init__(self, *_, **__):
        self.constants = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def script(self, name, command, *, kind, constants, inputs, target):
        self.constants[name, kind] = constants
        return name + kind

    def times(self):
        return []


@pytest.fixture
def given(tmp_path, monkeypatch):
    """The script's settings, and no data."""
    monkeypatch.setattr(_paper_steps, 'digest_of', str)
    return dict(label_weight.DEFAULTS, RUNS=str(tmp_path / 'runs'), RESULTS=str(tmp_path),
                REAL=str(tmp_path / 'real.h5'), DRAFTS=str(tmp_path))


def write_run(folder, dice):
    """What a training leaves: the last evaluation, the drafts' and that of real patches."""
    os.makedirs(folder)
    row = dict(KEPT, dice=dice, step=9, **SPECTRA)
    with open(os.path.join(folder, 'log.csv'), 'w', newline='') as file:
        writer = csv.DictWriter(file, sorted(row))
        writer.writeheader()
        writer.writerow(dict(row, dice=0.9))
        writer.writerow(row)
    files.write_json(os.path.join(folder, 'evaluation.json'), {
        'draft': dict(KEPT, dice=0.75, **dict(SPECTRA, spectrum_x=3.0)),
        'floor': dict.fromkeys(SPECTRA, 0.0625)})


@pytest.mark.parametrize('critics', [0, 800])
def test_refiners_differ_in_the_weight_alone(critics, given):
    told = Told()
    given['CRITIC_STEPS'] = str(critics)
    for weight in ('0', '5'):
        label_weight.refine(given, weight, seed=2, jobs=told)
    assert {kind for _, kind in told.constants} == {'refiner', 'refining'} - (
        set() if critics else {'refining'})
    a, b = [told.constants['weight-%s-2' % weight, 'refiner'] for weight in ('0', '5')]
    assert {name for name in a if a[name] != b[name]} == {'LAMBDA_LABEL', 'RUN_DIR'}
    assert (b['LAMBDA_LABEL'], b['MAX_STEPS'], b['EVALUATE_EVERY'], b['SEED']) == (5, 600, 600, 2)


def test_rows_are_the_last_evaluations_the_drafts_and_the_floor(given, monkeypatch, tmp_path):
    drawn = {}
    monkeypatch.setattr(comparison, 'tradeoff', lambda path, named, **how: drawn.update(
        how, named=named))
    for weight, dice in (('0', 0.25), ('10', 0.625)):
        write_run(os.path.join(given['RUNS'], 'refiners', 'weight-%s-1' % weight), dice)
    for name, accuracy in (('weight-0-1', 0.8), ('weight-10-1', 0.7), ('drafts', 1.0),
                           ('real', 0.5)):
        files.write_json(os.path.join(given['RUNS'], 'critics', name + '.json'),
                         {'texture': {'accuracy': accuracy}})
    given['WEIGHTS'], told = '10,0', Told()
    rows, floor = label_weight.points(given, jobs=told)
    text = label_weight.write(given, rows, floor=floor)
    assert [told.constants[name, 'critic'][1] for name in ('drafts', 'real')] == [
        str(tmp_path / 'patches.h5'), given['REAL']]
    assert text.split('\n')[2:6] == [
        '| 0 | 0.800 | 0.300 | 9.000 | 0.250 | 0.250 | 3.000 | 0.125 |',
        '| 10 | 0.700 | 0.300 | 9.000 | 0.625 | 0.250 | 3.000 | 0.125 |',
        '| drafts | 1.000 | 1.100 | 9.000 | 0.750 | 0.250 | 3.000 | 0.125 |',
        '| real against real | 0.500 | 0.062 |  |  |  |  |  |']
    assert list(drawn['named']) == ['0', '10', 'drafts'] and list(drawn['realism']) == [
        'critic', 'spectra'] and list(drawn['kept']) == ['dice']         # the others are equal
    given['CRITIC_STEPS'] = '0'                          # no column, no panels
    rows, floor = label_weight.points(given, jobs=told)
    text = label_weight.write(given, rows, floor=floor)
    assert '| 0 | 0.300 | 9.000 | 0.250 |' in text and list(drawn['realism']) == ['spectra']


def test_without_data_nothing_is_done_and_other_settings_are_refused(tmp_path):
    script = os.path.join('tests', 'benchmarks', 'label_weight.py')
    status, out, _ = run_script(script, cwd=tmp_path)
    assert status == 0 and out.endswith('result: skipped=1\n') and not os.listdir(str(tmp_path))
    status, _, err = run_script(script, 'REFINER_STEP=3', cwd=tmp_path)
    assert status == 1 and err == 'error: unknown: REFINER_STEP\n'
    for name in ('real.h5', 'patches.h5'):
        (tmp_path / name).write_text('')
    here = ['REAL=real.h5', 'DRAFTS=.', 'RUNS=runs']
    files.write_json(str(tmp_path / 'runs/config.json'), dict(
        label_weight.DEFAULTS, REAL='real.h5', DRAFTS='.', REFINER_STEPS='500', SEEDS='3'))
    status, _, err = run_script(script, *here, cwd=tmp_path)
    assert status == 1 and "(REFINER_STEPS '500' -> '600'): give another RUNS" in err


def test_panel_shows_drafts_refined_and_real_patches(monkeypatch, tmp_path, capsys):
    blocks = {}
    for name, level in (('patches/real', 30), ('paper/patches', 10), ('refined/x', 20)):
        (tmp_path / name).parent.mkdir()
        patches.write(str(tmp_path / (name + '.h5')), np.full((3, 2, 4, 4), level, np.uint8),
                      origins=np.zeros((3, 3), int), sources=list('abc'))
    write_run(str(tmp_path / 'refiners/paper-mpgan-1'), 0.5)
    monkeypatch.setattr(_pairs, 'measure', lambda *_, **__: 8)
    monkeypatch.setattr(_paper_steps, 'make_drafts', lambda *_, **__: None)
    monkeypatch.setattr(_paper_steps, 'refine', lambda *_, **__: str(tmp_path / 'refined/x.h5'))
    monkeypatch.setattr(panel._jobs, 'Jobs', Told)
    monkeypatch.setattr(pictures, 'close_ups', lambda path, named, **_: blocks.update(
        {title: int(images.max()) for title, images in named}))
    monkeypatch.setattr(panel, 'sys', SimpleNamespace(argv=['panel.py', 'REAL=b/stack.tif'] + [
        '%s=%s' % (name, tmp_path) for name in ('DATA', 'RUNS', 'RESULTS')]))
    panel.main()
    assert blocks == {"drafts of the paper's model": 10, 'the same, by MPGAN': 20, 'stack.tif': 30}
    last = capsys.readouterr().out.strip().split('\n')[-1]
    assert last.startswith('result: spectra_drafts=1.1000 dice_drafts=0.7500 spectra_mpgan=0.3000 '
                           'dice_mpgan=0.5000 ')
