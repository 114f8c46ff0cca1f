"""What critics make of a run: drafts and refined patches told from real ones, as table and JSON."""
import os

import numpy as np

from utils.common import claims, files
from utils.common.errors import UserError
from utils.data import patches
from utils.score import judges, tables
from utils.train import checkpoints, critic
from utils.train.domains import open_domains

SIGN = b'{\n "digests": {'                    # how a judge.json begins
REAL = 'real'            # name of the row of real patches against real ones
COLUMNS = {'scale': 'scale', 'accuracy': 'accuracy', 'interval': '95 %', 'auc': 'AUC',
           'train_accuracy': 'accuracy in training', 'steps': 'steps', 'notes': ''}
MEASURED = 48            # patches that labels and lone voxels are measured on, at most
KEPT = {'dice': 'Dice with the label', 'lost': 'lost', 'dimmed': 'dimmed',
        'brightened': 'brightened', 'contrast_grey': 'contrast, grey levels',
        'contrast_noise': 'contrast, noise levels', 'invented_length': 'invented, voxels',
        'lone_bright': 'lone bright voxels', 'lone_dark': 'lone dark voxels'}
# before and after the table of KEPT
KEPT_TITLE, KEPT_NOTES = '\nLabels and lone voxels, %d patches\n\n', """
Contrast of the neurites is over that in the drafts. Dimmed, brightened: share of the labelled
centreline with less than half, more than double. Lone voxels are per million (docs/method.md).
"""
NOTES = """
Accuracy: share of held-out crops that a network trained for it tells from real ones, of %s; 0.5:
none are told. 95 %%: over blocks and stacks. The rows of real patches are the floor: real crops
against real ones of other blocks. Texture: images as they are; structure: smoothed and thinned.
"""


# after the notes, of a folder of TIFF patches
UNPLACED = """
%s does not tell where its patches were cut (docs/files.md): each counts as a stack of its own. If
they overlap, held-out crops share voxels with those learnt from, and the floor says little.
"""


def owner_of(run_dir):
    """claims.Owner of the verdicts in a training's folder.

    Raises:
        UserError: it holds packed weights.
    """
    checkpoints.check_trainable(run_dir)
    paths = [os.path.join(run_dir, name) for name in ('judge.json', 'judge.md')]
    return claims.training('2_mpgan.py')._replace(
        names={'judge': paths}, known=lambda name: claims.is_signed(paths[0], SIGN))


def judge_run(run_dir, *, real, drafts, refined, seeds, settings):
    """Judge drafts and refined patches; writes run_dir/judge.json and judge.md.

    Args:
        run_dir: folder, made if missing.
        real, drafts: see domains.open_domains.
        refined: folder of refined drafts, with patches.h5; without, the drafts alone are judged.
        seeds: number of critics for each figure; settings: critic.Settings.

    Returns:
        (text of judge.md, what could not be judged: list of lines).

    Raises:
        UserError: run_dir is another script's, or holds files of these names that nothing vouches
            for; as open_domains; nothing could be judged, as critic.judge.
    """
    owner = owner_of(run_dir)
    claims.check(run_dir, owner)
    domains = open_domains(real, drafts)
    sets = {'drafts': domains.drafts}
    path = os.path.join(refined, 'patches.h5')
    if os.path.exists(path):
        sets['refined'] = patches.PatchFile(path)
        sets['refined'].check()
    else:
        print('no %s: the drafts alone are judged' % path)
    kept, unmeasured = labels_kept(domains, sets.get('refined'))
    rows, failed = verdicts(domains.real, sets, seeds=seeds, settings=settings)
    claims.take(run_dir, owner)
    files.write_json(os.path.join(run_dir, 'judge.json'), {
        'settings': settings._asdict(), 'verdicts': rows, 'kept': kept,
        'digests': {name: images.digest for name, images in dict(sets, real=domains.real).items()}})
    text = table(rows) + NOTES % ('%d critics' % seeds if seeds > 1 else 'one critic')
    if not domains.real.placed:
        text += UNPLACED % domains.real.path
    text += ''.join('\n%s\n' % line for line in failed + unmeasured)
    if kept:
        text += KEPT_TITLE % min(MEASURED, len(domains.drafts)) + tables.markdown(
            [(row['patches'], dict(dict.fromkeys(KEPT, float('nan')), **row)) for row in kept],
            KEPT, corner='patches') + KEPT_NOTES
    files.write_text(os.path.join(run_dir, 'judge.md'), text)
    return text, failed


def verdicts(real, sets, *, seeds, settings, scales=critic.SCALES):
    """Judge sets, and real patches against real ones, at every scale; a line for each is printed.

    Args:
        real: patches.PatchFile; sets: dict from name to PatchFile or critic_crops.Images.
        seeds: number of critics; settings: critic.Settings; scales: of critic.SCALES.

    Returns:
        (list of dicts: patches (name of the set), scale, seed, and the fields of critic.Verdict;
        list of lines: sets that could not be judged at a scale). Real patches of too few blocks
        have none, and no line.

    Raises:
        UserError: as critic.judge, if no set could be judged at any scale.
    """
    rows, failed, first = [], [], None
    for scale in scales:
        for name in [REAL] + list(sets):
            for seed in range(seeds):
                how = dict(settings=settings, scale=scale, seed=seed)
                try:
                    verdict = (critic.floor(real, **how) if name == REAL
                               else critic.judge(real, sets[name], **how))
                except UserError as error:
                    if name == REAL:
                        print('no floor: %s' % error)
                    else:                            # verdicts at the other scale are kept
                        failed.append('No verdict on %s, %s: %s' % (name, scale, error))
                        first = first or error
                    break
                rows.append(dict(verdict._asdict(), patches=name, scale=scale, seed=seed))
                print('%s, %s, critic %d: accuracy %.3f after %d steps'
                      % (name, scale, seed, verdict.accuracy, verdict.steps), flush=True)
    if first and not any(row['patches'] != REAL for row in rows):
        raise first
    return rows, failed


def labels_kept(domains, refined):
    """Labels and lone voxels of drafts, of refined patches and of real ones.

    Args:
        domains: Domains; refined: PatchFile of the drafts' patches, refined; or None.

    Returns:
        (list of dicts: patches (name of the set) and KEPT, real ones have lone voxels alone; list
        of lines: what could not be measured).
    """
    try:
        judge, chosen = judges.open_judge(*domains, count=MEASURED)
    except UserError as error:
        return [], ['Labels and lone voxels were not measured: %s' % error]
    scores, failed = {'drafts': judge.draft}, []
    if refined is not None:
        if (len(refined), refined.shape) == (len(domains.drafts), domains.drafts.shape):
            box = tuple(slice(n) for n in judge.drafts.shape[1:])
            scores['refined'] = judge.score(np.stack([refined.image[int(i)][box] for i in chosen]))
        else:
            failed = ['Labels kept were not measured: %s does not hold the patches of %s, refine '
                      'them again' % (refined.path, domains.drafts.path)]
    scores[REAL] = judge.floor
    return [dict({measure: values[measure] for measure in KEPT if measure in values},
                 patches=name) for name, values in scores.items()], failed


def table(rows):
    """A Markdown table of verdicts, one line a set and scale, mean +- standard deviation."""
    keys = dict.fromkeys((row['scale'], row['patches']) for row in rows)
    return tables.markdown([(name, _summary([row for row in rows if row['patches'] == name
                                             and row['scale'] == scale]))
                            for scale, name in keys], COLUMNS, corner='patches')


def _summary(rows):
    """The cells of a line, dict of COLUMNS: text."""
    low, high = [sum(row['interval'][i] for row in rows) / len(rows) for i in (0, 1)]
    notes = ['has learnt nothing'] * any(row['train_accuracy'] < critic.TOLD for row in rows)
    notes += ['not settled: raise CRITIC_STEPS'] * (not all(row['settled'] for row in rows))
    return dict(
        {name: tables.spread([row[name] for row in rows])
         for name in ('accuracy', 'auc', 'train_accuracy')},
        scale=rows[0]['scale'], interval='%.2f to %.2f' % (low, high), notes='; '.join(notes),
        steps=tables.spread([row['steps'] for row in rows], '%.0f'))
