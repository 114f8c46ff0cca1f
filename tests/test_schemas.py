"""Values in files: each that cannot be is refused with the key's name."""
import copy
import json

import pytest
from conftest import run_script
from test_priors import known

from utils.common import schemas
from utils.common.errors import UserError
from utils.measure import bends, quantiles
from utils.simulate import priors

SMALL = ('N_STACKS=1', 'WORKERS=1', 'VOLUME_SHAPE=64,96,80', 'SOMA_RADIUS=4,6', 'AXON_SHARE=1',
         'PATCH_SHAPE=16,24,24')


def changed(place, value):
    """known() with another value at a place 'drawn.density', 'drawn.level_quantiles.3'; JSON."""
    values = json.loads(json.dumps(known()))
    *keys, last = [int(key) if key.isdigit() else key for key in place.split('.')]
    entry = values
    for key in keys:
        entry = entry[key]
    entry[last] = value
    return values


def refused(path, place, value):
    """The line by which priors with another value at a place are refused."""
    with pytest.raises(UserError) as error:
        priors.read(write(path, changed(place, value)))
    line = str(error.value)
    assert line.startswith('%s: %s' % (path, place)), (place, value, line)
    assert line.endswith('with prepare_patches.py') and '\n' not in line and len(line) < 400


def write(path, values):
    path.write_text(json.dumps(values))              # NaN and Infinity as Python writes them
    return str(path)


NUMBERS = ('drawn.density', 'drawn.keep', 'drawn.halo', 'drawn.blur_sigma.1',
           'drawn.radius_quantiles.0', 'drawn.level_quantiles.24', 'debris.density',
           'debris.radius_quantiles.3', 'debris.level_quantiles.24', 'background.median',
           'background.robust_std', 'background.quantiles.0', 'persistence', 'level_drift',
           'branch_spacing', 'ends_spacing', 'correlation.0.0', 'voxel_size.0')
OPTIONAL = ('drawn.turns', 'drawn.winding_spread', 'drawn.bundled', 'drawn.level_drift',
            'drawn.drift_length', 'drawn.end_level', 'drawn.branch_spacing', 'drawn.ends_spacing',
            'drawn.level_width', 'drawn.flatness', 'drawn.heading_spread', 'drawn.debris_density',
            'drawn.debris_sigmas', 'drawn.debris_levels', 'debris.threshold',
            'debris.sigma_quantiles')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -5.0, 1e30, 10 ** 400, 'many', True,
                                   [7, 8], {}],
                         ids='nan inf negative huge endless text true list object'.split())
def test_absurd_values_are_refused_with_the_keys_name(tmp_path, value):
    for place in NUMBERS + OPTIONAL:
        refused(tmp_path / 'priors.json', place, value)


@pytest.mark.parametrize('place, value', [
    ('drawn.density', 10), ('drawn.blur_sigma.0', 1e6), ('drawn.keep', 0), ('drawn.keep', 1.5),
    ('drawn.halo', 0.9), ('drawn.density', None), ('drawn.radius_quantiles', [1.0]),
    ('drawn.level_quantiles', None), ('drawn.blur_sigma', [1.0, 1.0]), ('drawn', []),
    ('drawn', None), ('debris', []), ('debris', None), ('background', 3), ('correlation', []),
    ('correlation.1', [0.1]), ('voxel_size', [1, 1]), ('voxel_size', 0.5), ('voxel_size.1', 0),
    ('drawn.best', 1000), ('drawn.best', 1), ('dtype_max', 70000),
    ('dtype_max', '255'), ('drawn.turns', [0.1] * 9),
    ('drawn.wing_sigma', [1.0]), ('drawn.wing_sigma', [0.0, 1.0])])
def test_values_out_of_range_are_refused_with_the_keys_name(tmp_path, place, value):
    refused(tmp_path / 'priors.json', place, value)


@pytest.mark.parametrize('place', [
    'drawn.radius_quantiles', 'drawn.level_quantiles', 'background.quantiles',
    'debris.radius_quantiles'])
def test_descending_quantiles_are_refused(tmp_path, place):
    group, key = place.split('.')
    values = known()[group][key]
    with pytest.raises(UserError, match=place + ' descends from'):
        priors.read(write(tmp_path / 'a.json', changed(place, values[::-1])))
    # rounding does not count
    close = values[:7] + [values[6] * (1 - 1e-12)] + values[8:]
    priors.read(write(tmp_path / 'a.json', changed(place, close)))


def test_what_could_not_be_measured_may_be_null_or_missing(tmp_path):
    for place in ('voxel_size', 'persistence', 'level_drift', 'branch_spacing', 'ends_spacing',
                  'correlation.2.8', 'drawn.blur_sigma.0', 'drawn.turns', 'drawn.bundled',
                  'debris.unheard_of'):
        priors.read(write(tmp_path / 'a.json', changed(place, None)))
    values = changed('debris', {'density': 0.0, 'radius_quantiles': None, 'level_quantiles': None})
    priors.read(write(tmp_path / 'a.json', values))
    one = copy.deepcopy(known())
    one['debris']['level_quantiles'] = None
    with pytest.raises(UserError, match='alone'):
        priors.read(write(tmp_path / 'a.json', one))


def test_debris_is_known_wholly_or_not_at_all(tmp_path):
    """What is drawn of it needs all its entries and the threshold; that of before is refused."""
    whole = copy.deepcopy(known(threshold=150.0))
    whole['debris'] = {'density': 1e-4, 'threshold': 150.0, 'sigma_quantiles': [2.0] * 25,
                       'level_quantiles': [300.0] * 25}
    whole['drawn'].update(debris_density=1e-4, debris_sigmas=[1.0] * 25,
                          debris_levels=[300.0] * 25)
    priors.read(write(tmp_path / 'a.json', whole))
    for group, key in (('drawn', 'debris_levels'), ('drawn', 'debris_density'),
                       ('debris', 'threshold')):
        part = copy.deepcopy(whole)
        del part[group][key]
        with pytest.raises(UserError, match='not all: make it anew'):
            priors.read(write(tmp_path / 'a.json', part))
    with pytest.raises(UserError, match='an earlier version: make it anew'):
        priors.read(write(tmp_path / 'a.json', known(threshold=150.0)))


@pytest.mark.parametrize('values', [[], 3, None, 'text', {}, {'drawn': {}}])
def test_other_contents_are_refused(tmp_path, values):
    with pytest.raises(UserError, match='a.json.*make it anew'):
        priors.read(write(tmp_path / 'a.json', values))


def test_lengths_are_those_of_the_measurements():
    assert schemas.SHARES == len(quantiles.QUANTILES)
    assert schemas.LEVELS == len(quantiles.BACKGROUND)
    assert schemas.LAGS == len(quantiles.LAGS) and schemas.CHORDS == len(bends.CHORDS)


def test_the_simulator_stops_with_one_line_and_draws_from_good_ones(tmp_path):
    write(tmp_path / 'priors.json', changed('drawn.density', float('nan')))
    status, _, err = run_script('1_simulator.py', 'PRIORS=priors.json', 'OUTPUT=made', *SMALL,
                                cwd=tmp_path)
    assert status == 1 and err.startswith('error: priors.json: drawn.density is nan')
    assert err.count('\n') == 1 and not (tmp_path / 'made').exists()
    write(tmp_path / 'priors.json', changed('drawn.density', 0.002))
    status, _, err = run_script('1_simulator.py', 'PRIORS=priors.json', 'OUTPUT=made', *SMALL,
                                cwd=tmp_path)
    assert status == 0, err


@pytest.mark.parametrize('schema, good, bad', [
    (schemas.BEST, {'step': 3, 'score': 0.5}, ({}, [], {'step': -1}, {'step': 'x'},
                                               {'step': 1, 'score': float('nan')})),
    (schemas.PACKED, {'step': 30, 'anything': 1}, ({}, [], {'step': 1.5})),
    (schemas.RECORD, {'a': '12 34'}, ([], {'a': 1}, {'a': {}}))])
def test_records_of_runs(schema, good, bad):
    assert schemas.fault(good, schema) == ''
    for values in bad:
        assert schemas.fault(values, schema)
