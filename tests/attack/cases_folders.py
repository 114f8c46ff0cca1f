"""Wrong OUTPUTs: another script's folder, a user's own files, files in the way."""
import os

from tests.attack import inputs, runner
from tests.attack.cases import Case
from tests.attack.inputs import put

# what is written -> (script, arguments without OUTPUT, parts of the base, files of OUTPUT)
WRITERS = {
    'prepare': ('prepare_patches.py', inputs.PREPARE, ('data/real',),
                ('real.h5', 'priors.json', 'real_s0.png')),
    'simulate': ('1_simulator.py', inputs.SIMULATE, (),
                 ('images/0001.tif', 'labels/0002.tif', 'swc/0001.swc', 'patches.h5')),
    'refine': ('2_mpgan.py', inputs.GAN + ['STAGE=refine'], ('runs/mpgan', 'data/simulated'),
               ('images/0001.tif', 'patches.h5')),
    'refine patches': ('2_mpgan.py', inputs.GAN + ['STAGE=refine', 'WHOLE_STACKS=False'],
                       ('runs/mpgan', 'data/simulated'), ('parts/0001.npy',)),
    'refine others': ('2_mpgan.py', inputs.GAN + ['STAGE=refine', 'INPUT=data/real'],
                      ('runs/mpgan', 'data/real'), ('images/s0.tif',)),
    'pack': ('2_mpgan.py', inputs.GAN + ['STAGE=pack'], ('runs/mpgan',),
             ('config.json', 'README.txt')),
    'predict': ('3_segmentation.py', inputs.SEGMENT + ['STAGE=predict'],
                ('runs/segmentation', 'data/real'), ('s0.prob.tif', 's1.mask.tif')),
    'export': ('3_segmentation.py', inputs.SEGMENT + ['STAGE=export'], ('data/simulated',),
               ('pairs/images/0001.tif', 'Dataset001_MPGAN/dataset.json')),
    'pack segmenter': ('3_segmentation.py', inputs.SEGMENT + ['STAGE=pack'],
                       ('runs/segmentation',), ('config.json', 'README.txt')),
    'reconstruct': ('4_reconstruction.py', inputs.TRACE + ['INPUT=data/real'], ('data/real',),
                    ('s0.swc', 's1.png')),
    'draw': (runner.PHANTOM, inputs.DRAW, (), ('images/0001.tif', 'truth/labels/0001.tif'))}
# folders of the base, each of another script
FOLDERS = {'data/patches': ('prepare',), 'data/simulated': ('simulate',),
           'data/refined': ('refine', 'refine others', 'refine patches'), 'runs/mpgan': (),
           'packed/refiner': ('pack',), 'packed/segmentation': ('pack segmenter',),
           'runs/segmentation': (),
           'data/segmented': ('predict', 'export'), 'results/traces': ('reconstruct',),
           'data/demo/phantom': ('draw',)}
TRAININGS = {'2_mpgan.py': (inputs.GAN, ('data/patches', 'data/simulated')),
             '3_segmentation.py': (inputs.SEGMENT, ('data/simulated',))}
CURE = (('OUTPUT', 'RUN_DIR', 'OVERWRITE'),)
MINE = 'the only copy of my data\n'


def own_files(*paths):
    """A case's build: a folder `mine` with files of the user's own."""
    def build(place, rng):
        for path in paths:
            put(os.path.join(place, 'mine', path), MINE)
        put(os.path.join(place, 'mine/images/0007.tif'), MINE)
    return build


def _writes(what, folder, *, overwrite):
    """The case of a script that is to write into a folder of the base."""
    script, arguments, needs, _ = WRITERS[what]
    parts = tuple(needs) + ((folder,) if folder not in needs else ())
    more = ['OVERWRITE=True'] * overwrite
    return Case('%s: %s into %s%s' % (script, what, folder, ', overwriting' * overwrite), script,
                arguments + ['OUTPUT=' + folder] + more, None, (folder,) + CURE, parts)


def bad():
    """All cases of folders that are not the script's own."""
    made, may_overwrite = [], ('prepare', 'simulate', 'reconstruct', 'draw')
    for i, what in enumerate(WRITERS):
        for j, (folder, owners) in enumerate(FOLDERS.items()):
            if what not in owners:
                made.append(_writes(what, folder,
                                    overwrite=what in may_overwrite and (i + j) % 2 == 0))
    for what, (script, arguments, needs, targets) in WRITERS.items():
        for overwrite in (False, True)[:2 if what in may_overwrite else 1]:
            made.append(Case(
                '%s: %s over own files%s' % (script, what, ', overwriting' * overwrite), script,
                arguments + ['OUTPUT=mine'] + ['OVERWRITE=True'] * overwrite, own_files(*targets),
                ('mine',), needs))
    for script, (arguments, needs) in TRAININGS.items():
        for folder in ('data/patches', 'results/traces', 'data/refined', 'data/segmented',
                       'packed/refiner', 'packed/segmentation'):
            made.append(Case('%s: RUN_DIR=%s' % (script, folder), script,
                             arguments + ['STAGE=train', 'RUN_DIR=' + folder], None,
                             (folder,) + CURE, tuple(set(needs) | {folder})))
        made.append(Case('%s: RUN_DIR of own files' % script, script,
                         arguments + ['STAGE=train', 'RUN_DIR=mine'],
                         own_files('log.csv', 'config.json', 'checkpoints/step-000001/notes'),
                         ('mine',), needs))
    return made + in_the_way() + feedback()


def in_the_way():
    """A file where a folder is wanted, and a folder where a file is wanted."""
    made = []
    for what, (script, arguments, needs, targets) in WRITERS.items():
        made.append(Case('%s: %s, a file in the way' % (script, what), script,
                         arguments + ['OUTPUT=file/out'],
                         lambda place, rng: put(os.path.join(place, 'file'), MINE), ('file',),
                         needs))
    for what in ('prepare', 'simulate', 'reconstruct', 'draw'):
        script, arguments, needs, targets = WRITERS[what]
        made.append(Case('%s: %s, a folder in the way' % (script, what), script,
                         arguments + ['OUTPUT=new'],
                         lambda place, rng, target=targets[0]: put(
                             os.path.join(place, 'new', target, 'note'), MINE),
                         (('new', targets[0]),), needs, batch=True))
    return made


def feedback():
    """Results that would be read as input again, or over the input."""
    return [
        Case('prepare_patches.py: TIFF_FOLDER in STACKS', 'prepare_patches.py',
             inputs.PREPARE + ['STACKS=data/real', 'TIFF_FOLDER=data/real'], None,
             ('TIFF_FOLDER',), ('data/real',)),
        Case('prepare_patches.py: TIFF_FOLDER is a link to STACKS', 'prepare_patches.py',
             inputs.PREPARE + ['STACKS=data/real', 'TIFF_FOLDER=link'],
             lambda place, rng: os.symlink('data/real', os.path.join(place, 'link')),
             ('TIFF_FOLDER',), ('data/real',)),
        Case('2_mpgan.py: INPUT is OUTPUT/images', '2_mpgan.py',
             inputs.GAN + ['STAGE=refine', 'INPUT=in/images', 'OUTPUT=in'], _stack_in_images,
             (('OUTPUT', 'overwritten'),), ('runs/mpgan',)),
        Case('3_segmentation.py: INPUT is OUTPUT', '3_segmentation.py',
             inputs.SEGMENT + ['STAGE=predict', 'INPUT=data/real', 'OUTPUT=data/real'], None,
             ('OUTPUT',), ('runs/segmentation', 'data/real')),
        Case('4_reconstruction.py: INPUT is OUTPUT', '4_reconstruction.py',
             inputs.TRACE + ['INPUT=data/real', 'OUTPUT=data/real'], None, ('OUTPUT',),
             ('data/real',)),
        Case('4_reconstruction.py: GOLD is OUTPUT', '4_reconstruction.py',
             inputs.TRACE + ['INPUT=data/real', 'OUTPUT=gold', 'GOLD=gold'],
             lambda place, rng: inputs.swc(os.path.join(place, 'gold/s0.swc')), ('GOLD', 'OUTPUT'),
             ('data/real',))]


def _stack_in_images(place, rng):
    inputs.imagej(os.path.join(place, 'in/images/a.tif'), inputs.voxels(0))


def good():
    """Reruns in the script's own folders; a name with .partial is a stack like any other."""
    own = {'prepare': 'data/patches', 'simulate': 'data/simulated', 'refine': 'data/refined',
           'predict': 'data/segmented', 'reconstruct': 'results/traces',
           'draw': 'data/demo/phantom'}
    made = []
    for what, folder in own.items():
        script, arguments, needs, _ = WRITERS[what]
        made.append(Case('%s: %s again' % (script, what), script,
                         arguments + ['OUTPUT=' + folder], None, (),
                         tuple(needs) + (folder,) * (folder not in needs), good=True))
    made.append(Case(
        'prepare_patches.py: a folder named x.partial', 'prepare_patches.py',
        inputs.PREPARE + ['STACKS=x.partial', 'OUTPUT=out'],
        lambda place, rng: inputs.imagej(os.path.join(place, 'x.partial/a.tif'),
                                         inputs.voxels(0)), ('1 stacks',), good=True))
    return made
