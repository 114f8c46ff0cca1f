"""Step 1 around its drafts: settings, checks, the folder, workers, the trial draft."""
import os
import re

import numpy as np
import pytest
from conftest import run_script
from drafting import CONSTANTS, draw, given, settings_of
from test_priors import known

from utils.common import claims, files, workers
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.simulate import checks, drafts, optics, results, settings, trial

SMALL = ['PRIORS=None', 'VOLUME_SHAPE=32,48,40', 'BRANCH_LENGTH=8,12', 'SOMA_RADIUS=3.0,4.0',
         'PATCH_SHAPE=8,12,12', 'PATCH_EVERY=4', 'AXON_SHARE=1', 'WORKERS=1']


def simulated(cwd, *arguments):
    """Standard output of the script with small constants."""
    status, out, err = run_script('1_simulator.py', *(SMALL + list(arguments)), cwd=cwd)
    assert status == 0, err
    return out


# --- 'auto' ---

def test_auto_is_the_papers_without_priors():
    values = settings_of()
    assert values.stack.voxel_size == (1.0, 0.5, 0.5) and values.optics.psf_sigma == (0.5,) * 3
    assert values.neuron.radius == (1.0, 3.0) and values.neuron.soma_shape == 'ball'
    assert values.light.level is None and values.light.debris == 1024
    assert values.light.stained_share == 0.5 and values.optics.psf_wing_share == 0
    assert values.branches.tortuosity == 1 and values.branches.density == 0
    assert values.background.texture == 0


def test_auto_is_what_was_measured():
    values = settings_of(known())
    assert values.stack.voxel_size == (2.0, 1.0, 1.0) and values.neuron.soma_shape == 'pyramid'
    assert values.optics.psf_sigma == (3.0, 1.0, 1.0)                    # voxels of each axis to um
    assert values.optics.psf_wing_share == 0.2 and values.light.stained_share == 0.7
    assert values.light.level_drift == 0.25 and values.branches.density == 0.001
    assert np.isclose(values.branches.tortuosity, 1.1)                   # 1 + 40 / (6 P)
    assert np.isclose(values.light.debris, 1e-4 * 256 * 512 * 256)
    left = (values.neuron.radius, values.light.level, values.light.level_spread,
            values.background.texture)
    assert left == ('auto',) * 4                         # drawn from measured distributions
    assert np.isclose(optics.blurs(values)[0][1], 5 / 3)                 # isotropic voxels


def test_specks_are_as_many_as_the_calibration_says():
    measured = known()
    measured['drawn']['debris_density'] = 3e-4
    assert np.isclose(settings_of(measured).light.debris, 3e-4 * 256 * 512 * 256)


def test_what_was_not_measured_has_a_stand_in():
    bare = known(voxel_size=None, persistence=None, level_drift=None)
    bare['drawn']['blur_sigma'] = [None, 1.2, 1.0]
    values = settings_of(bare)
    assert values.stack.voxel_size == (1.0, 1.0, 1.0) and values.branches.tortuosity == 1
    assert values.light.level_drift == 0 and values.optics.psf_sigma == (1.2, 1.2, 1.0)


def test_a_number_holds_with_and_without_priors():
    for measured in (None, known()):
        values = settings_of(measured, DEBRIS=7.0, VOXEL_SIZE=(3.0, 1.0, 1.0), SOMA_SHAPE='ball',
                             PSF_SIGMA=(9.0, 8.0, 7.0), TORTUOSITY=1.2, DENSITY=0.0)
        assert values.light.debris == 7 and values.stack.voxel_size == (3.0, 1.0, 1.0)
        assert values.neuron.soma_shape == 'ball' and values.optics.psf_sigma == (9.0, 8.0, 7.0)
        assert values.branches.tortuosity == 1.2 and values.branches.density == 0


def test_training_drafts_are_denser_by_a_factor_and_by_the_neurites_that_are_not_seen():
    def density(**constants):
        return settings_of(measured, **constants).branches.density

    measured = known(noise_std=[69.0, 71.0, None])       # levels of 102 to 198 are drawn
    share = np.log(102 / 70) / np.log(198 / 70)
    assert density(DENSITY_FACTOR=2.0) == pytest.approx(0.002)
    assert density(DIM_NEURITES=True) == pytest.approx(0.001 / (1 - share)), 'not on top'
    for levels in (dict(LEVEL=(50.0, 90.0)), dict(LEVEL_SPREAD=0.4)):    # none is dim
        assert density(DIM_NEURITES=True, **levels) == pytest.approx(0.001)
    assert density(DENSITY_FACTOR=90.0) == 0.02          # the densest that is drawn
    both = dict(DENSITY_FACTOR=2.0, DIM_NEURITES=True)
    assert density(DENSITY=0.003, **both) == 0.003       # as given
    assert settings_of(**both).branches.density == 0     # the paper's: one neuron


def test_every_constant_is_a_setting_or_the_scripts_own():
    fields = [name.upper() for group in settings.GROUPS for name in group._fields]
    own = {'OUTPUT', 'N_STACKS', 'WORKERS', 'SEED', 'OVERWRITE', 'PRIORS', 'PSF_FILE'}
    assert len(fields) == len(set(fields)) and set(fields) == set(CONSTANTS) - own
    assert {name.upper() for name in settings.AUTO} == {
        name for name, value in CONSTANTS.items() if value == 'auto'}


@pytest.mark.parametrize('constants, words', [
    (dict(SATURATION=1e-9), 'SATURATION=1e-09: want 0, or at least 1'),
    (dict(DEBRIS=1e9), 'DEBRIS'), (dict(DRIFT_LENGTH=1e9), 'DRIFT_LENGTH'),
    (dict(PSF_SIGMA=(1e9, 1.0, 1.0)), 'PSF_SIGMA'), (dict(RADIUS=(1.0, 1e9)), 'RADIUS'),
    (dict(BITS=12), 'BITS=12'), (dict(GAIN=1e-4), 'GAIN'), (dict(TORTUOSITY=1.5), 'at most 1.3'),
    (dict(LEVEL=(5.0, 1.0)), 'smaller first'), (dict(SOMA_SHAPE='cube'), "'ball' or 'pyramid'"),
    (dict(PSF_SIGMA=(1.0, 1.0)), 'three numbers'), (dict(DENSITY=True), 'DENSITY'),
    (dict(BRANCH_LENGTH=(9, 8)), 'BRANCH_LENGTH'), (dict(PATCH_SHAPE=(40, 24, 24)), 'PATCH_SHAPE'),
    (dict(SOMA_RADIUS=(4.0, 40.0)), 'AXON_SHARE=1')])
def test_constants_that_cannot_work_are_named(constants, words):
    with pytest.raises(UserError, match=words):
        checks.check(given(**constants), None)


@pytest.mark.parametrize('argument', [
    'DENDRITE_DEPTH=60,60', 'DENDRITE_DEPTH=-3,2', 'AXON_DEPTH=0,4', 'AXON_DEPTH=9,1000000',
    'GAIN=1e300', 'READ_NOISE=1e300', 'TEXTURE_SIGMA=1,1,1e300', 'ATTENUATION=1e300'])
def test_constants_out_of_their_range_are_named(tmp_path, argument):
    status, _, err = run_script('1_simulator.py', 'PRIORS=None', 'WORKERS=1', argument,
                                cwd=tmp_path)
    assert status == 1 and err.startswith('error: %s=' % argument.split('=')[0]), err
    assert err.count('\n') == 1 and not os.listdir(str(tmp_path))


@pytest.mark.parametrize('constants, words', [
    (dict(VOXEL_SIZE=(1.0, 0.5, 0.5)), 'a.json was measured on voxels'),
    (dict(BITS=8), 'a.json was measured on 16-bit')])
def test_settings_that_are_not_the_measured_stacks_are_refused(constants, words):
    checks.check(given(), known())
    with pytest.raises(UserError, match=words):
        checks.check(given(**constants), known(), source='a.json')


# --- the trial draft ---

def test_the_trial_draft_is_as_dense_as_it_is_told(monkeypatch):
    monkeypatch.setattr(trial, 'SHAPE', (48, 64, 64))
    measured = known(debris={'density': 0.0, 'radius_quantiles': None, 'level_quantiles': None})
    drawn = dict(measured['drawn'], level_quantiles=[2000.0] * 25)
    how = dict(settings=given(AXON_SHARE=0.0, SOMA_SHAPE='pyramid'))     # which do not count
    image = trial.draw(measured, drawn, **how)
    assert image.shape == (48, 64, 64) and image.dtype == np.uint16
    np.testing.assert_array_equal(image, trial.draw(measured, drawn, **how))
    np.testing.assert_array_equal(image, trial.draw(measured, drawn, settings=given()))
    assert not np.array_equal(image, trial.draw(measured, drawn, seed=1, **how))
    dense = trial.draw(measured, dict(drawn, density=0.004), **how)
    assert 3 < (dense > 700).mean() / (image > 700).mean() < 5.5
    assert trial.draw(dict(measured, dtype_max=255), drawn, **how).dtype == np.uint8


# --- the folder of drafts ---

@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A finished folder that tests read and do not change."""
    folder = tmp_path_factory.mktemp('drafts')
    simulated(folder, 'N_STACKS=2', 'INSTANCES=True', 'OUTPUT=s')
    return folder / 's'


def test_a_stack_is_finished_with_all_its_files_of_these_settings(tmp_path):
    draft = draw(0, AXON_SHARE=1.0, INSTANCES=True)
    folder = results.Folder(str(tmp_path), 'these', True)
    assert not folder.finished(0)
    folder.write(0, draft, corners=np.zeros((1, 3), int), window=(8, 8, 8), voxel_size=(2, 1, 1),
                 blur=(1, 1, 1))
    assert folder.finished(0) and not folder.finished(1)
    assert not folder._replace(origin='others').finished(0)
    for kind in results.EXTENSION:
        os.rename(folder.file(kind, 0), str(tmp_path / 'aside'))
        assert not folder.finished(0), kind
        os.rename(str(tmp_path / 'aside'), folder.file(kind, 0))
    np.testing.assert_array_equal(stacks.read(folder.file('instances', 0)).voxels, draft.instance)
    plain = folder._replace(instances=False)
    plain.write(0, draft, corners=np.zeros((0, 3), int), window=(8, 8, 8), voxel_size=(2, 1, 1),
                blur=(1, 1, 1))
    assert not os.path.exists(folder.file('instances', 0)) and plain.finished(0)


def test_stale_stacks_go_and_others_stay(tmp_path):
    draft = draw(0, AXON_SHARE=1.0)
    for index, origin in enumerate(('old', 'old', 'these')):
        results.Folder(str(tmp_path), origin, False).write(
            index, draft, corners=np.zeros((0, 3), int), window=(8, 8, 8), voxel_size=(2, 1, 1),
            blur=(1, 1, 1))
    partial = tmp_path / 'images/0002.mpgan-00000000-1.partial.tif'
    partial.write_text('another share writes it')
    foreign = tmp_path / 'images/0007.tif'
    foreign.write_text('of somebody')
    folder = results.Folder(str(tmp_path), 'these', False)
    folder.remove_stale(1, ours=claims.vouches(str(tmp_path), folder.owner(1)))
    assert sorted(os.listdir(str(tmp_path / 'images'))) == [
        '0001.tif', partial.name, '0003.tif', '0007.tif']
    assert sorted(os.listdir(str(tmp_path / 'parts'))) == ['0001.h5', '0003.h5']


def test_the_script_writes_what_the_stacks_depend_on(made):
    config = files.read_json(str(made / 'config.json'))
    assert config['SEED'] == 1 and config['PRIORS'] is None
    joined = patches.PatchFile(str(made / 'patches.h5'), with_labels=True)
    assert set(joined.source) == {'0001', '0002'} and joined.shape == (8, 12, 12)
    for i, name in enumerate(joined.source):
        for kind, cut in (('images', joined.image[i]), ('labels', joined.label[i])):
            whole = stacks.read(str(made / kind / (name + '.tif'))).voxels
            np.testing.assert_array_equal(
                patches.cut(whole, joined.origin[i], window=(8, 12, 12)), cut)


def test_another_point_spread_function_of_the_same_name_is_noticed(tmp_path):
    spot = np.zeros((5, 5, 5), np.uint16)
    spot[2, 2, 2] = 100
    stacks.write(str(tmp_path / 'psf.tif'), spot)
    simulated(tmp_path, 'N_STACKS=1', 'PSF_FILE=psf.tif', 'OUTPUT=s')
    first = stacks.read(str(tmp_path / 's/images/0001.tif')).voxels
    spot[2, 2, 3] = 50
    stacks.write(str(tmp_path / 'psf.tif'), spot)
    arguments = SMALL + ['N_STACKS=1', 'PSF_FILE=psf.tif', 'OUTPUT=s']
    status, _, err = run_script('1_simulator.py', *arguments, cwd=tmp_path)
    assert status == 1 and 'PSF_FILE' in err
    simulated(tmp_path, 'N_STACKS=1', 'PSF_FILE=psf.tif', 'OUTPUT=s', 'OVERWRITE=True')
    assert not np.array_equal(stacks.read(str(tmp_path / 's/images/0001.tif')).voxels, first)


@pytest.mark.parametrize('meddle, words', [
    (lambda out: files.write_json(out + '/config.json', dict(
        files.read_json(out + '/config.json'), SEED=7)), 'another run with other settings.*SEED'),
    (lambda out: os.remove(out + '/parts/0001.h5'), 'another run has replaced or removed')])
def test_another_run_in_the_folder_is_noticed(tmp_path, monkeypatch, meddle, words):
    drawn, whole = [], drafts.draw

    def draw_and_meddle(*arguments, **named):
        drawn.append(1)
        if len(drawn) == 2:
            meddle(str(tmp_path / 's'))
        return whole(*arguments, **named)

    monkeypatch.setattr(drafts, 'draw', draw_and_meddle)
    status, _, err = run_script('1_simulator.py', *SMALL, 'N_STACKS=2', 'OUTPUT=s', cwd=tmp_path)
    assert status == 1 and re.search('^error: s: ' + words, err) and err.count('\n') == 1, err
    assert not (tmp_path / 's/patches.h5').exists()
    # what the other run has begun stays
    assert (tmp_path / 's/images/0002.tif').exists() == ('removed' in words)


def test_what_a_killed_run_began_with_other_settings_is_not_mixed_with(tmp_path):
    simulated(tmp_path, 'N_STACKS=1', 'OUTPUT=s')
    for name in ('parts', 'patches.h5'):                 # killed within its first stack
        os.rename(str(tmp_path / 's' / name), str(tmp_path / name))
    status, _, err = run_script('1_simulator.py', *SMALL, 'N_STACKS=1', 'SEED=2', 'OUTPUT=s',
                                cwd=tmp_path)
    assert status == 1 and 'SEED 1 -> 2' in err and 'OVERWRITE=True' in err
    simulated(tmp_path, 'N_STACKS=1', 'SEED=2', 'OUTPUT=s', 'OVERWRITE=True')


def test_a_stack_does_not_depend_on_how_many_are_made(made, tmp_path):
    simulated(tmp_path, 'N_STACKS=1', 'INSTANCES=True', 'OUTPUT=s')
    for kind in ('images', 'labels', 'swc', 'instances'):
        name = '0001.' + results.EXTENSION[kind]
        alone, among = tmp_path / 's' / kind / name, made / kind / name
        assert alone.read_bytes() == among.read_bytes(), kind


# --- workers ---

@pytest.mark.parametrize('count', [1, 2])
def test_work_is_done_in_order_of_asking(count):
    with workers.pool(count, most=3) as submit:
        asked = [submit(divmod, 7, n) for n in (2, 3, 4)]
        assert [result() for result in asked] == [(3, 1), (2, 1), (1, 3)]


def test_a_killed_worker_is_one_clear_line():
    with pytest.raises(UserError, match='WORKERS=1'):
        with workers.pool(2, most=2) as submit:
            submit(os._exit, 1)()


def test_an_error_of_a_worker_comes_through():
    with pytest.raises(ZeroDivisionError):
        with workers.pool(2, most=2) as submit:
            submit(divmod, 1, 0)()


def test_drafts_of_a_version_without_a_newer_constant_are_kept(tmp_path):
    simulated(tmp_path, 'OUTPUT=out', 'N_STACKS=1')
    path = str(tmp_path / 'out/config.json')
    older = files.read_json(path)
    assert older.pop('RANDOM_PATCHES') == 0.0 and older.pop('DIM_NEURITES') is False
    files.write_json(path, older)
    assert '(0 new)' in simulated(tmp_path, 'OUTPUT=out', 'N_STACKS=1')
    files.write_json(path, older)
    status, _, err = run_script('1_simulator.py', *SMALL, 'OUTPUT=out', 'N_STACKS=1',
                                'RANDOM_PATCHES=0.5', cwd=tmp_path)
    assert status == 1 and 'RANDOM_PATCHES 0.0 -> 0.5' in err
    simulated(tmp_path, 'OUTPUT=before', 'N_STACKS=1', 'EVEN_PATCHES=0')
    path = str(tmp_path / 'before/config.json')
    older = files.read_json(path)
    assert older.pop('EVEN_PATCHES') == 0
    files.write_json(path, older)
    assert '(0 new)' in simulated(tmp_path, 'OUTPUT=before', 'N_STACKS=1', 'EVEN_PATCHES=0')
    files.write_json(path, older)
    status, _, err = run_script('1_simulator.py', *SMALL, 'OUTPUT=before', 'N_STACKS=1',
                                cwd=tmp_path)
    assert status == 1 and "EVEN_PATCHES 0.0 -> 'auto'" in err
