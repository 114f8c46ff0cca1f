"""Bad values: priors.json, configs, constants, SWC trees."""
import json
import os

from tests.attack import inputs, runner
from tests.attack.cases import Case
from tests.attack.inputs import put

SIMULATOR, RECONSTRUCTION = '1_simulator.py', '4_reconstruction.py'
MEASURED = inputs.SIMULATE[1:] + ['PRIORS=priors.json', 'OUTPUT=out']
NAN, INF = float('nan'), float('inf')


# --- priors.json ---

def edited(*path, value):
    """A case's build: priors.json with another value at a path; None: the entry removed."""
    def build(place, rng):
        with open(os.path.join(place, 'data/patches/priors.json')) as file:
            priors = json.load(file)
        entry = priors
        for key in path[:-1]:
            entry = entry[key]
        if value is None:
            del entry[path[-1]]
        else:
            entry[path[-1]] = value(entry[path[-1]]) if callable(value) else value
        put(os.path.join(place, 'priors.json'), json.dumps(priors))
    return build


def written(content):
    """A case's build: priors.json with this content."""
    return lambda place, rng: put(os.path.join(place, 'priors.json'), content)


def descending(values):
    """As many numbers of that size, each below the one before; all measured ones may be equal."""
    return [max(values) * (1 - 0.01 * i) for i in range(len(values))]


def negative(values):
    """Quantiles below zero, descending."""
    return [-abs(v) - 1 for v in values]


PRIORS = [
    ('empty', written('')), ('a list', written('[]')), ('a number', written('3')),
    ('null', written('null')), ('cut', written('{"drawn": {"density": 0.0')),
    ('not UTF-8', written(b'{"\xff": 1}')), ('no entries', written('{}')),
    ('density 10', edited('drawn', 'density', value=10)),
    ('density NaN', edited('drawn', 'density', value=NAN)),
    ('density negative', edited('drawn', 'density', value=-1)),
    ('density a text', edited('drawn', 'density', value='0.001')),
    ('density true', edited('drawn', 'density', value=True)),
    ('blur 1e6', edited('drawn', 'blur_sigma', value=[1e6] * 3)),
    ('blur negative', edited('drawn', 'blur_sigma', value=[-1, 1, 1])),
    ('blur of two', edited('drawn', 'blur_sigma', value=[1, 1])),
    ('radii descending', edited('drawn', 'radius_quantiles', value=descending)),
    ('radii negative', edited('drawn', 'radius_quantiles', value=negative)),
    ('radii of three', edited('drawn', 'radius_quantiles', value=[1, 2, 3])),
    ('radii 1e9', edited('drawn', 'radius_quantiles', value=lambda v: [1e9] * len(v))),
    ('levels NaN', edited('drawn', 'level_quantiles', value=lambda v: [NAN] * len(v))),
    ('levels descending', edited('drawn', 'level_quantiles', value=descending)),
    ('levels of texts', edited('drawn', 'level_quantiles', value=lambda v: ['a'] * len(v))),
    ('keep 7', edited('drawn', 'keep', value=7)),
    ('halo NaN', edited('drawn', 'halo', value=NAN)),
    ('halo a list', edited('drawn', 'halo', value=[1])),
    ('background descending', edited('background', 'quantiles', value=descending)),
    ('background infinite', edited('background', 'median', value=INF)),
    ('background std negative', edited('background', 'robust_std', value=-3)),
    ('background a text', edited('background', value='dark')),
    ('correlation of one axis', edited('correlation', value=lambda v: v[:1])),
    ('correlation NaN', edited('correlation', value=lambda v: [[NAN] * len(a) for a in v])),
    ('correlation 5', edited('correlation', value=lambda v: [[5] * len(a) for a in v])),
    ('debris density 1', edited('debris', 'density', value=1e9)),
    ('debris a list', edited('debris', value=[])),
    ('voxel size of zeros', edited('voxel_size', value=[0, 0, 0])),
    ('voxel size a text', edited('voxel_size', value='1,1,1')),
    ('dtype_max 12', edited('dtype_max', value=12)),
    ('dtype_max a text', edited('dtype_max', value='255')),
    ('drawn removed', edited('drawn', value=None)),
    ('debris removed', edited('debris', value=None)),
    ('correlation removed', edited('correlation', value=None))]


# --- configs and constants ---

CONFIGS = [
    ('sys.exit(0)', 'import sys\nsys.exit(0)\n', ('exit', 'end')),
    ('exit with a text', 'raise SystemExit("bye")\n', ('exit', 'bye')),
    ('a syntax error', 'N_STACKS = = 3\n', ('Python',)),
    ('an error', 'N_STACKS = 1 / 0\n', ('Python', 'zero')),
    ('recursion', 'def f(): return f()\nN_STACKS = f()\n', ('Python', 'recursion')),
    ('an unknown constant', 'N_STACK = 3\n', ('N_STACKS',)),
    ('another type', 'N_STACKS = "many"\n', ('N_STACKS',)),
    ('random bytes', b'\x00\xff\xfe\x81', ('Python',)),
    ('a script', 'import numpy\nSEED = numpy.zeros(3)\n', ('SEED',))]


def config_case(what, content, *, words):
    """A case of a bad --config file."""
    return Case('%s: config with %s' % (SIMULATOR, what), SIMULATOR,
                ['--config', 'bad.py'] + inputs.SIMULATE,
                lambda place, rng: put(os.path.join(place, 'bad.py'), content),
                (('bad.py', words[0]), words))


OWN = {                                  # script -> (arguments of a run, parts of the base)
    'prepare_patches.py': (inputs.PREPARE + ['OUTPUT=out'], ('data/real',)),
    SIMULATOR: (inputs.SIMULATE + ['OUTPUT=out'], ()),
    '2_mpgan.py': (inputs.GAN, ('data/patches', 'data/simulated')),
    '3_segmentation.py': (inputs.SEGMENT, ('data/simulated',)),
    RECONSTRUCTION: (inputs.TRACE + ['INPUT=data/real', 'OUTPUT=out'], ('data/real',)),
    'make_figures.py': ([], ('data/patches', 'data/simulated')),
    runner.PHANTOM: (inputs.DRAW + ['OUTPUT=out'], ())}
CONSTANTS = [
    ('prepare_patches.py', ('OUTPUT=', 'STACKS=nowhere', 'STACKS=', 'PATCH_SHAPE=0,8,8',
                            'MAX_OVERLAP=nan', 'MIN_FOREGROUND=2', 'MIN_OBJECT=1e999',
                            'CLIP_QUANTILE=nan', 'SMOOTH_SIGMA=1e9', 'SMOOTH_SIGMA=1e999',
                            'NOISE_FLOOR=1e999')),
    (SIMULATOR, ('OUTPUT=', 'N_STACKS=0', 'N_STACKS=1.5', 'SEED=-1', 'VOLUME_SHAPE=0,0,0',
                 'VOLUME_SHAPE=10000000,10000000,10000000', 'VOXEL_SIZE=1e30,1,1',
                 'VOXEL_SIZE=0,1,1', 'BITS=12', 'RADIUS=nan,nan', 'PSF_SIGMA=1e9,1,1',
                 'DENSITY=10', 'LEVEL=5,1', 'GAIN=nan', 'PSF_FILE=nowhere.tif',
                 'BRANCH_LENGTH=-5,-1', 'DEBRIS=1e999', 'DEBRIS=1e12', 'ILLUMINATION_SIGMA=1e999',
                 'GAIN=1e999', 'READ_NOISE=1e999', 'DENDRITE_DEPTH=60,60', 'DENDRITE_DEPTH=-3,-2',
                 'AXON_DEPTH=0,0', 'SATURATION=1e-9', 'LEVEL=1,1e999')),
    ('2_mpgan.py', ('RUN_DIR=', 'STAGE=dance', 'BATCH_SIZE=0', 'LEARNING_RATE=nan',
                    'CROP_SHAPE=999,999,999', 'MAX_STEPS=-1', 'DRAFTS=nowhere',
                    'REAL_PATCHES=nowhere', 'TILE_SHAPE=0,0,0', 'CHECKPOINT=worst',
                    'REFINER_CHANNELS=0', 'LABEL_STEEPNESS=1e999')),
    ('3_segmentation.py', ('RUN_DIR=', 'STAGE=dance', 'CROP_SHAPE=7,7,7', 'LEVELS=99',
                           'HELD_OUT=nan', 'PAIRS=nowhere', 'CHANNELS=0', 'LEARNING_RATE=inf',
                         'AUGMENT_NOISE=1e999', 'AUGMENT_OFFSET=1e999')),
    (RECONSTRUCTION, ('OUTPUT=', 'INPUT=nowhere', 'INPUT=', 'VOXEL_SIZE=1e30,1,1',
                      'VOXEL_SIZE=nan,1,1', 'LOW=nan', 'LOW=0.9', 'METHOD=guess',
                      'GOLD=nowhere', 'IMAGES=nowhere', 'MAX_FOREGROUND=1')),
    ('make_figures.py', ('OUTPUT=', 'FIGURES=mona_lisa', 'FORMAT=bmp', 'FIGURES=')),
    (runner.PHANTOM, ('OUTPUT=', 'N_STACKS=0', 'SHAPE=1,1,1', 'VOXEL_SIZE=1e30,1,1',
                      'RADIUS=3,1', 'GAIN=0', 'MIN_LENGTH=1e9', 'LEVEL=nan,nan',
                      'DRIFT_LENGTH=1e999', 'DRIFT_LENGTH=1e300'))]


# what names some of them as well
OTHER_WORDS = {
    'STACKS=': ('no file',), 'INPUT=': ('no file',),
    'VOXEL_SIZE=1e30,1,1': ('RADIUS', 'written stack'),
    'VOLUME_SHAPE=10000000,10000000,10000000': ('memory',)}


def constant_case(script, given):
    """A case of one bad constant."""
    arguments, needs = OWN[script]
    name, _, value = given.partition('=')
    words = ((name, value or name) + OTHER_WORDS.get(given, ()),)
    return Case('%s: %s' % (script, given), script, arguments + [given], None, words, needs,
                batch=True)


# --- SWC ---

def tree(**options):
    """Lines of a bad tree; options of inputs.swc."""
    return options


SWCS = [
    ('words', tree(edits=[(3, '3 axon 30 44 12 1 2')]), ('seven numbers', 'number')),
    ('six columns', tree(edits=[(3, '3 3 30.0 44.0 12.0 1.2')]), ('seven', '7')),
    ('a double id', tree(edits=[(3, '2 3 30 44 12 1.2 2')]), ('id',)),
    ('an unknown parent', tree(edits=[(3, '3 3 30 44 12 1.2 77')]), ('77',)),
    ('a cycle', tree(edits=[(2, '2 3 20 40 10 1.5 3')]), ('cycle', 'circle', 'loop')),
    ('its own parent', tree(edits=[(3, '3 3 30 44 12 1.2 3')]), ('cycle', 'circle', 'loop')),
    ('an id of 1.5', tree(edits=[(3, '1.5 3 30 44 12 1.2 2')]), ('whole', '1.5')),
    ('a parent of 1.5', tree(edits=[(3, '3 3 30 44 12 1.2 1.5')]), ('whole', '1.5')),
    ('NaN', tree(edits=[(3, '3 3 nan 44 12 1.2 2')]), ('finite', 'number')),
    ('infinity', tree(edits=[(3, '3 3 inf 44 12 1.2 2')]), ('finite', 'number')),
    ('a negative radius', tree(edits=[(3, '3 3 30 44 12 -1.2 2')]), ('radius',)),
    ('no nodes', tree(lines=['# nothing']), ('node', 'empty')),
    ('random bytes', None, ()),
    ('an id of 1e300', tree(edits=[(3, '1e300 3 30 44 12 1.2 2')]), ())]
FAR = [('a node at 1e300', tree(edits=[(3, '3 3 1e300 44 12 1.2 2')])),
       ('a node at 3e7', tree(edits=[(3, '3 3 3e7 44 12 1.2 2')])),
       ('a radius of 1e12', tree(edits=[(3, '3 3 30 44 12 1e12 2')]))]


def swc_at(path, content):
    """A case's build: a SWC in the place."""
    def build(place, rng):
        if content is None:
            put(os.path.join(place, path), rng.bytes(500))
        else:
            inputs.swc(os.path.join(place, path), **content)
    return build


GOLD = inputs.TRACE + ['INPUT=data/real/s0.tif', 'OUTPUT=out', 'GOLD=gold']
DRAWN = inputs.SIMULATE + ['SWC_DIR=trees', 'OUTPUT=out']


def swc_cases():
    """Bad trees as gold standards, and to draw."""
    made = []
    for what, content, words in SWCS:
        made.append(Case('%s: GOLD with %s' % (RECONSTRUCTION, what), RECONSTRUCTION, GOLD,
                         swc_at('gold/s0.swc', content), ('s0.swc', words) if words
                         else ('s0.swc',), ('data/real',)))
        made.append(Case('%s: SWC_DIR with %s' % (SIMULATOR, what), SIMULATOR, DRAWN,
                         swc_at('trees/t.swc', content), ('t.swc',)))
    # far nodes may be drawn and scored as far as they can be: what counts is that it ends well
    for what, content in FAR:
        made.append(Case('%s: SWC_DIR with %s' % (SIMULATOR, what), SIMULATOR, DRAWN,
                         swc_at('trees/t.swc', content), (('t.swc', 'reconstruction'),),
                         good=None))
        made.append(Case('%s: GOLD with %s' % (RECONSTRUCTION, what), RECONSTRUCTION, GOLD,
                         swc_at('gold/s0.swc', content), ('s0.swc',), ('data/real',), good=None))
    return made


def bad():
    """All cases of bad values."""
    made = [Case('%s: priors, %s' % (SIMULATOR, what), SIMULATOR, MEASURED, build,
                 (('priors.json',) + ('radius',) * (what == 'radii 1e9'),),
                 ('data/patches/priors.json',)) for what, build in PRIORS]
    made += [config_case(what, content, words=words) for what, content, words in CONFIGS]
    made += [constant_case(script, given) for script, all_given in CONSTANTS
             for given in all_given]
    return made + swc_cases()


def good():
    """Values that look odd and have to pass."""
    order = [inputs.SWC[i] for i in (0, 4, 3, 5, 2, 1)]
    forest = inputs.SWC + ['6 2 5 5 5 1 -1', '7 2 5 9 5 1 6']
    odd = [('children before parents', dict(lines=order)), ('a forest', dict(lines=forest)),
           ('Windows lines', dict(lines=[line + '\r' for line in inputs.SWC])),
           ('a byte-order mark', dict(lines=['\ufeff# tree'] + inputs.SWC[1:])),
           ('ids of any number', dict(edits=[(4, '900 3 40 48 14 1 3')]))]
    made = [Case('%s: GOLD with %s' % (RECONSTRUCTION, what), RECONSTRUCTION, GOLD,
                 swc_at('gold/s0.swc', content), (), ('data/real',), good=True)
            for what, content in odd]
    made += [Case('%s: SWC_DIR with %s' % (SIMULATOR, what), SIMULATOR, DRAWN,
                  swc_at('trees/t.swc', content), (), good=True) for what, content in odd[::2]]
    made += [Case('%s: priors as they are' % SIMULATOR, SIMULATOR, MEASURED,
                  copied, (), ('data/patches/priors.json',), good=True)]
    many = ['%d 3 %.1f 40 20 1 %d' % (i, 5 + 70 * (i % 1000) / 1000, i - 1 if i > 1 else -1)
            for i in range(1, 50001)]
    made.append(Case('%s: GOLD of 50,000 nodes ends' % RECONSTRUCTION, RECONSTRUCTION, GOLD,
                     swc_at('gold/s0.swc', dict(lines=many)), (), ('data/real',), good=True))
    return made


def copied(place, rng):
    """A case's build: priors.json as step 0 left it."""
    with open(os.path.join(place, 'data/patches/priors.json')) as file:
        put(os.path.join(place, 'priors.json'), file.read())
