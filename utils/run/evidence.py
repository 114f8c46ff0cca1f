"""What steps 0 to 2 left on disk, read and judged: the findings of each."""
import csv
import glob
import os

import numpy as np

from utils.common import files
from utils.data import bounded, stacks
from utils.data.patches import PatchFile
from utils.draw import places as place_figures
from utils.measure import haze, otsu, quantiles
from utils.run import findings
from utils.run.lights import GREEN, YELLOW, Finding, worst_of_each
from utils.score import judges, preservation, realism

JUDGED = 48                      # drafts, and as many real patches of two sets, that are compared
MEASURES = preservation.KEPT + realism.REALISM + ('gap',)        # of log.csv


# --- step 0 ---

def of_patches(places, looks, *, bad, images, channel=0):
    """Findings of step 0.

    Args:
        places: plan.Places; looks: list of survey.Look; bad: texts on stacks that were left out.
        images: dict from a stack's name to its path; channel: of stacks with several.
    """
    priors = files.read_json(os.path.join(places.patches, 'priors.json'))
    made = files.read_json(os.path.join(places.patches, 'config.json'))
    count = _count(os.path.join(places.patches, 'real.h5'))
    picture = _first(places.patches, 'real_*.png')
    contrast = min(look.contrast for look in looks)
    specks = max(look.specks for look in looks)
    found = [findings.of_stacks(len(priors['stacks']), bad),
             findings.of_patches(count),
             findings.of_share(priors['foreground_fraction'], noise_floor=made['NOISE_FLOOR']),
             findings.of_background(contrast, specks, noise_floor=made['NOISE_FLOOR'],
                                    min_object=made['MIN_OBJECT'])]
    hazes = [of_haze(priors['stacks'][look.name], made, path=images[look.name],
                     picture=os.path.join(places.results, 'haze_%s.png' % look.name),
                     channel=channel)
             for look in looks if look.name in priors['stacks'] and look.name in images]
    return [one._replace(picture=picture) for one in found] + worst_of_each([hazes])


def of_haze(measured, made, *, path, picture, channel=0):
    """Finding on haze in one stack, or in the middle of a large one; draws where it is, if it is
    more than little.

    Args:
        measured: of stack.measure; made: dict, constants of step 0; path: of the stack.
        picture: file to draw; channel: of stacks with several.
    """
    stack = bounded.read(path, channel=channel)
    settings = otsu.Settings(*[made[field.upper()] for field in otsu.Settings._fields])
    radius = np.interp(0.5, quantiles.QUANTILES, measured['radius_quantiles'])
    found = haze.measure(stack.voxels, settings, threshold=measured['threshold'], radius=radius,
                         spacing=stacks.spacing_of(stack.voxel_size))
    place = found.place and tuple(a + b for a, b in zip(found.place, stack.corner))
    result = findings.of_haze(found.share, place, flatten_block=settings.flatten_block,
                              name=stacks.name_of(path) + ', its middle' * (not stack.whole))
    if result.light == GREEN:
        return result
    place_figures.place(picture, stack.voxels, where=found.place)
    return result._replace(picture=picture)


# --- step 1 ---

def of_drafts(places):
    """Findings of step 1: the drafts against real patches, by the measures of step 2."""
    priors = files.read_json(os.path.join(places.patches, 'priors.json'))
    real = PatchFile(os.path.join(places.patches, 'real.h5'))
    drafts = PatchFile(os.path.join(places.drafts, 'patches.h5'), with_labels=True)
    judge, _ = judges.open_judge(real, drafts, count=JUDGED)
    real.file.close()
    drafts.file.close()
    found = findings.of_drafts(judge.draft, **_scale(priors))
    return [found._replace(picture=os.path.join(places.figures, 'drafts.png'))]


def _scale(priors):
    """What grey levels are held against: noise of the background, height of the neurites; dict."""
    behind = priors['background']
    return {'noise': behind['robust_std'],
            'height': priors['foreground']['median'] - behind['median']}


# --- step 2 ---

def of_refiner(places):
    """Findings of step 2: labels and looks at the checkpoint that refined."""
    rows = [row for row in rows_of(places.refiner) if row.get('gap')]
    draft = files.read_json(os.path.join(places.refiner, 'evaluation.json'))['draft']
    priors = files.read_json(os.path.join(places.patches, 'priors.json'))
    path = os.path.join(places.refiner, 'best.json')
    best = files.read_json(path)['step'] if os.path.exists(path) else None
    picture = _last(places.refiner, 'preview_*.png')
    if not rows:
        return [Finding('labels kept', YELLOW, 'Nothing was evaluated.', picture)]
    row = next((row for row in rows if int(row['step']) == best), rows[-1])
    values = {name: float(row[name]) for name in MEASURES if row.get(name)}  # an older log: some
    return [
        findings.of_labels(best is not None, preservation.fault(values, draft),
                           lost=values['lost'],
                           invented=values['invented_length'] - draft['invented_length'],
                           )._replace(picture=picture),
        findings.of_refining(values, draft, **_scale(priors))._replace(picture=picture)]


def of_critics(places):
    """Findings of STAGE=judge; [] where there is none."""
    path = os.path.join(places.refiner, 'judge.json')
    if not os.path.exists(path):
        return []
    rows = files.read_json(path)['verdicts']

    def of(name):
        return {row['scale']: row['accuracy'] for row in rows if row['patches'] == name}

    learnt = [row['train_accuracy'] >= findings.LEARNT_CRITIC for row in rows
              if row['patches'] == 'refined' and row['scale'] == 'texture']
    if 'texture' not in of('refined'):
        return []
    return [findings.of_critics(of('refined'), of('real'), learnt=all(learnt))._replace(
        picture=_last(places.refiner, 'preview_*.png'))]


def are_judged(places):
    """Whether judge.json is of the patches as they are now."""
    path = os.path.join(places.refiner, 'judge.json')
    if not os.path.exists(path):
        return False
    now = {name: _digest(os.path.join(folder, file)) for name, folder, file in (
        ('real', places.patches, 'real.h5'), ('drafts', places.drafts, 'patches.h5'),
        ('refined', places.refined, 'patches.h5'))}
    return files.read_json(path).get('digests') == now


# --- helpers ---

def _digest(path):
    """Digest of a patch file; None without it."""
    if not os.path.exists(path):
        return None
    file = PatchFile(path)
    file.file.close()
    return file.digest


def _count(path):
    """Patches of a patch file."""
    file = PatchFile(path)
    file.file.close()
    return len(file.source)


def rows_of(run_dir):
    """Rows of log.csv; [] without it."""
    path = os.path.join(run_dir, 'log.csv')
    if not os.path.exists(path):
        return []
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def matching(folder, pattern):
    """Files of a folder that match, sorted."""
    return sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))


def _first(folder, pattern):
    """First file that matches, or ''."""
    return (matching(folder, pattern) or [''])[0]


def _last(folder, pattern):
    """Last file that matches, or ''."""
    return (matching(folder, pattern) or [''])[-1]
