"""Schemas of the JSON files that users may exchange or edit: kinds, ranges, order of quantiles.

JSON Schema, draft 7, and two keywords more: `ascending`, `index_of`. Numbers are finite. Ranges
refuse what cannot be or what would take for ever, not what is rare.
"""
import sys

from utils.common.errors import UserError

SHARES, LEVELS, LAGS = 25, 20, 9         # lengths of measure.quantiles QUANTILES, BACKGROUND, LAGS
NEIGHBOURS = 62                          # len(measure.structure.offsets())
CHORDS = 4                               # of measure.bends
ROUNDING = 1e-6                          # share by which quantiles may descend
LARGEST = sys.float_info.max
LONGEST = 160                            # characters of a value in a message


def number(low, high):
    """A number from low to high."""
    return {'type': 'number', 'minimum': low, 'maximum': high}


def whole(low, high):
    """A whole number from low to high."""
    return {'type': 'integer', 'minimum': low, 'maximum': high}


def known(low, high):
    """The same, or null: it could not be measured."""
    return {'type': ['number', 'null'], 'minimum': low, 'maximum': high}


def several(item, count):
    """A list of `count` like items."""
    return {'type': 'array', 'items': item, 'minItems': count, 'maxItems': count}


def quantiles(low, high, *, count=SHARES):
    """A list of `count` numbers that do not descend."""
    return dict(several(number(low, high), count), ascending=True)


def maybe(schema):
    """The same, or null."""
    return dict(schema, type=[schema['type'], 'null'])


def record(required, optional=()):
    """An object; required, optional: dicts from its keys to their schemas. Others pass."""
    return {'type': 'object', 'required': sorted(required),
            'properties': dict(optional, **required)}


STEP = whole(0, 10 ** 12)
ANY = {'type': 'object'}

# --- runs and records ---

# made_from.json: names of results, which files are called after, none of them in another folder
RECORD = {'type': 'object', 'additionalProperties': {'type': 'string'},
          'propertyNames': {'pattern': r'^(?!\.{1,2}\Z)[^/\x00]+\Z'}}
MADE_BY = record({'SCRIPT': {'type': 'string'},                                # made_by.json
                  'NAMES': {'type': 'array', 'items': {'type': 'string'}}},
                 {'OLDER': {'type': 'boolean'}, 'VERSION': {'type': 'string'}})
BEST = record({'step': STEP}, {'score': {'type': ['number', 'null']}})         # best.json
PACKED = record({'step': STEP})                                                # packed.json
# what state.json of a checkpoint holds besides `extra`
STATE = record({'step': STEP, 'seconds': number(0, 1e12), 'best': maybe(record({
    'step': STEP, 'score': number(-LARGEST, LARGEST)}))})
# config.json of a training, as far as its networks are built from it
WIDTH = whole(1, 1024)
RUN = record({}, {'REFINER_CHANNELS': WIDTH, 'CHANNELS': WIDTH, 'LEVELS': whole(0, 5),
                  'BITS': {'type': 'integer', 'enum': [8, 16]},
                  'STANDARDISE': {'type': 'boolean'}})

# --- priors.json: lengths in isotropic voxels, grey levels of the stacks (docs/files.md) ---

RADIUS = 0.1, 48                         # voxels; three times what OTSU finds at most
GREY = 0, 65535
VARIANCE = 0, 65535 ** 2
LEVEL = 0, 1e12                          # grey levels; the calibration may double them often
DENSITY = 0, 0.02                        # voxels of centreline per voxel^3
SPECKS = 0, 0.05                         # objects per voxel; more would touch
BLUR = 0, 64                             # voxels, sigma
SPACING = 0, 1e9                         # voxels of centreline
DRAWN = record({
    'radius_quantiles': quantiles(*RADIUS), 'level_quantiles': quantiles(*LEVEL),
    'density': number(*DENSITY), 'blur_sigma': several(known(*BLUR), 3),
    'keep': number(0.01, 1), 'halo': number(0, 0.85),
}, {
    'turns': {'type': ['array', 'null'], 'items': known(0, 2), 'maxItems': CHORDS},
    'winding_spread': known(0, 0.8), 'bundled': known(0, 0.9), 'level_drift': known(0, 3),
    'drift_length': known(0.1, 1000), 'end_level': known(0.1, 5),
    'branch_spacing': known(*SPACING), 'ends_spacing': known(*SPACING),
    'clumps': known(0, 2), 'level_width': known(-0.95, 0.95), 'heading_spread': known(0, 0.6),
    'wing_sigma': maybe(several(number(0.1, 64), 2)), 'flatness': known(0, 1),
    'heading': maybe(several(number(-1, 1), 6)),
    'glow': maybe(several(number(0, 20), 3)), 'photons': known(*GREY),
    'noise_left': number(0.25, 1), 'darker': number(-GREY[1], GREY[1]),
    'debris_density': number(*SPECKS), 'debris_sigmas': quantiles(*RADIUS),
    'debris_levels': quantiles(*LEVEL),
    'best': whole(0, 1000),
    'rounds': {'type': 'array', 'items': ANY},
})
DRAWN['index_of'] = 'best', 'rounds'     # `best` is the number of one of them
# of a part (parts.py): what pooling looks up, besides the entries of priors.json
MEASURED = record({'voxel_size': maybe(several(number(1e-6, 1e4), 3)),
                   'centreline_voxels': whole(1, 10 ** 12)})
LIGHT = {'median': number(*GREY), 'robust_std': number(*GREY),
         'quantiles': quantiles(*GREY, count=LEVELS)}
CORRELATION = several(several(known(-2, 2), LAGS), 3)
STRUCTURE = record({                     # variances in grey levels squared (structure.py)
    'steps': several(several(known(*VARIANCE), LAGS), 3),
    'near': several(known(*VARIANCE), NEIGHBOURS), 'third': several(number(1e-6, VARIANCE[1]), 3),
    'photons': number(*GREY), 'stripes': several(number(*GREY), 3)}, {
    'seams': maybe(several({'type': ['array', 'null'], 'items': number(0.1, 10), 'minItems': 16,
                            'maxItems': 512}, 3))})
PRIORS = record({
    'drawn': DRAWN,
    'debris': record({'density': number(*SPECKS)}, {
        'radius_quantiles': maybe(quantiles(0, RADIUS[1])),
        'sigma_quantiles': maybe(quantiles(0, RADIUS[1])),
        'level_quantiles': maybe(quantiles(*LEVEL)), 'threshold': number(0, GREY[1])}),
    'background': record(LIGHT), 'correlation': CORRELATION,
}, {
    'backgrounds': {'type': 'array', 'items': record(
        dict(LIGHT, correlation=CORRELATION, share=number(1e-9, 1)),
        {'noise': known(*GREY), 'structure': maybe(STRUCTURE)})},
    'voxel_size': maybe(several(number(1e-6, 1e4), 3)), 'dtype_max': {'enum': [255, 65535]},
    'threshold': known(-GREY[1], GREY[1]),
    'persistence': known(0, 1e9), 'level_drift': known(0, 100),
    'noise_std': maybe(several(known(*GREY), 3)), 'structure': maybe(STRUCTURE),
    'branch_spacing': known(*SPACING), 'ends_spacing': known(*SPACING),
    'foreground': record({}, {'median': known(*GREY)}),
    'glow': maybe(record({'noise': known(*GREY)}, {'dim': number(*GREY)})),
    'lines': maybe(record({'threshold': number(0, GREY[1]), 'radius': number(0, RADIUS[1]),
                           'density': number(0, 1), 'level_quantiles': quantiles(0, GREY[1])})),
    'foreground_fraction': known(0, 1), 'saturated_fraction': known(0, 1),
    'made_from': {'type': 'string'},
})


# --- checks ---

def check(values, schema, *, path, cure):
    """Raise UserError unless the values of a JSON file are as the schema says.

    Args:
        values: of the JSON text; schema: one of the above; path: of the file; cure: what to do, for
        the message, which names the key, too.
    """
    wrong = fault(values, schema)
    if wrong:
        raise UserError('%s: %s: %s' % (path, wrong, cure))


def fault(values, schema):
    """What is wrong with some values, in one line that begins with the key; or ''."""
    import jsonschema                    # takes a third of a second, which --help need not wait for

    types = jsonschema.Draft7Validator.TYPE_CHECKER.redefine('number', _is_number)
    types = types.redefine('integer', _is_whole)
    validator = jsonschema.validators.extend(
        jsonschema.Draft7Validator, {'ascending': _ascending, 'index_of': _index_of},
        type_checker=types)
    errors = sorted(validator(schema).iter_errors(values), key=lambda error: (
        error.validator == 'ascending', list(map(str, error.absolute_path))))
    if not errors:
        return ''
    error = errors[0]
    place = '.'.join(map(str, error.absolute_path))
    words = _words(error)
    return '%s %s' % (place, words) if place else words


def _is_number(_, value):
    """Numbers that a finite float can be; JSON's true and false are none."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and abs(value) <= LARGEST)                           # NaN is not


def _is_whole(_, value):
    """As Python has them: 4.0 is none, true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _ascending(_, __, *rest):
    """The keyword `ascending`: a list of numbers each of which is at least the one before."""
    import jsonschema

    numbers = rest[0] if isinstance(rest[0], list) else []
    for before, after in zip(numbers, numbers[1:]):
        if not (_is_number(None, before) and _is_number(None, after)):
            return                       # another keyword says so
        if after < before - ROUNDING * abs(before):
            yield jsonschema.ValidationError('descends from %.6g to %.6g: want numbers that ascend'
                                             % (before, after), validator='ascending')
            return


def _index_of(*arguments):
    """The keyword `index_of`: (key of a number, key of a list), the number is one of the list's."""
    import jsonschema

    _, names, values, _ = arguments                      # as jsonschema calls it
    number, entries = [values.get(name) if isinstance(values, dict) else None for name in names]
    entries = entries if isinstance(entries, list) else []
    if isinstance(number, int) and number >= max(1, len(entries)):
        yield jsonschema.ValidationError('is %d: there are %d %s' % (
            number, len(entries), names[1]), validator='index_of', path=[names[0]])


def _words(error):
    """An error of jsonschema in words that follow the key."""
    value, want = error.instance, error.validator_value
    shown = repr(value)
    shown = shown if len(shown) <= LONGEST else shown[:LONGEST] + ' ...'
    if error.validator in ('minimum', 'maximum'):
        return 'is %s: want %s' % (shown, 'from %g to %g' % (
            error.schema['minimum'], error.schema['maximum']))
    if error.validator in ('minItems', 'maxItems'):
        return 'has %d entries: want %s%d' % (
            len(value), '' if 'minItems' in error.schema else 'at most ', want)
    if error.validator == 'type':
        return 'is %s: want %s' % (shown, ' or '.join([want] if isinstance(want, str) else want))
    if error.validator == 'pattern':
        return 'has the key %s: want names without a folder' % shown
    if error.validator == 'enum':
        return 'is %s: want %s' % (shown, ' or '.join(map(str, want)))
    if error.validator == 'required':
        return 'lacks %s' % ', '.join(key for key in want if key not in value)
    return error.message.split('\n')[0]
