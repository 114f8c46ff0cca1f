"""What numbers of steps 0 to 2 mean: one judgement each, with a light and what to change."""
from utils.run.lights import GREEN, LIGHTS, RED, YELLOW, Finding, light_of

# --- step 0 ---
# share of foreground: D-LMBmap's dense bundles, the most crowded stack known here, have 0.10;
# prepare_patches.py itself warns from 0.3 on. Less than a fourth of MIN_FOREGROUND is hardly cut
SHARES, SPARSE = (0.15, 0.3), 0.0005
# contrast in noise levels: a threshold of NOISE_FLOOR = 4 leaves 4.2 of Gaussian noise and 4.5 of
# a texture without neurites; TRAILMAP, D-LMBmap and the phantom have 7 to 9, fMOST 28 to 56
CONTRASTS = 5.5, 4.6
# share of specks in what is above the threshold: 0.00 to 0.04 on those stacks, 0.6 of a texture
SPECKS = 0.15, 0.4
# share of the foreground in places that are bright all around: 0.00 to 0.03 of fMOST's crops, the
# phantom and TRAILMAP's labelled stack; 0.06 to 0.07 of the stacks of TRAILMAP and D-LMBmap, which
# have a hazy corner each
HAZES = 0.04, 0.3
PATCHES = 48, 8                  # 48: of them each of two sets that are compared has some 24

# --- step 1: drafts against real patches ---
# spectra of asinh of noise levels, log10: 0.02 to 0.05 in drafts of the phantom, TRAILMAP and
# D-LMBmap, 0.12 where a refiner had left the last one; grey levels of the background in its own
# noise levels; those of neurites as a share of their height above it
SPECTRA = 0.1, 0.35
BEHIND = 0.4, 1.0
HEIGHTS = 0.25, 0.6

# --- step 2 ---
TOLD, ABOVE_FLOOR = 0.75, 0.1    # accuracy of a critic: half-way from guessing; or so much above
                                 # what it tells of real patches of other blocks or stacks
LEARNT_CRITIC = 0.55             # of crops that it learnt from, as TOLD of utils/train/critic.py
LONGER = 'MAX_STEPS=1500 DECAY_STEPS=250'        # strands are invented early in a training most
HARMED = 0.1                     # gap above the drafts' at which 2_mpgan.py itself warns


# --- step 0 ---

def of_stacks(used, left_out):
    """How many stacks were used; left_out: texts that tell why others were not."""
    if not left_out:
        return Finding('stacks', GREEN, '%d of %d were used.' % (used, used))
    return Finding('stacks', YELLOW, '%d of %d were left out: %s' % (
        len(left_out), used + len(left_out), '; '.join(left_out[:3])))


def of_patches(count):
    """Whether there are enough real patches."""
    light = light_of(count, PATCHES)
    more = '' if light == GREEN else (' The refiner is judged on %d, so its figures are rough: add '
                                      'stacks.' % PATCHES[0])
    return Finding('patches', light, '%d real patches were cut.%s' % (count, more))


def of_share(share, *, noise_floor):
    """How much of the stacks OTSU took for neurites.

    Args:
        share: of the voxels; noise_floor: constant NOISE_FLOOR of step 0.
    """
    said = '%.2f %% of the voxels are foreground.' % (100 * share)
    if share < SPARSE:
        return Finding('neurites found', YELLOW, said + ' That is very little: dim neurites may be '
                       'missed.', change='NOISE_FLOOR=%g' % max(2.0, noise_floor - 1.0))
    light = light_of(share, SHARES)
    if light == GREEN:
        return Finding('neurites found', light, said)
    return Finding('neurites found', light, said + ' Neurites seldom fill so much: part of it is '
                   'background.', change='NOISE_FLOOR=%g' % (noise_floor + 2))


def of_background(contrast, specks, *, noise_floor, min_object):
    """Whether OTSU took background for neurites.

    Args:
        contrast: median foreground above the background, in its noise levels.
        specks: share of what is above the threshold in objects below min_object voxels.
        noise_floor, min_object: constants of step 0.
    """
    lights = (light_of(contrast, CONTRASTS), light_of(specks, SPECKS))
    light = max(lights, key=LIGHTS.index)
    said = ('The foreground stands %.1f noise levels above the background, %.0f %% of it in specks'
            % (contrast, 100 * specks))
    if light == GREEN:
        return Finding('background as neurites', light, said + ': hardly any is background.')
    change = 'NOISE_FLOOR=%g' % (max(4.0, noise_floor + 2))
    if lights[0] == GREEN:
        change = 'MIN_OBJECT=%d' % (2 * min_object)
    return Finding('background as neurites', light, said + ': part of it is background or dust.',
                   change=change)


def of_haze(share, place, *, name, flatten_block):
    """Whether OTSU took haze for neurites.

    Args:
        share, place: of haze.Haze; name: of the stack; flatten_block: constant of step 0.
    """
    light = light_of(share, HAZES)
    said = '%s: %.0f %% of the foreground is bright all around, as haze is' % (name, 100 * share)
    if light == GREEN:
        return Finding('haze', light, said + '.')
    return Finding('haze', light, said + ', most of it near (z, y, x) = (%d, %d, %d). Look there: '
                   'what is learnt and traced of it is no neurite.' % place,
                   change='FLATTEN_BLOCK=%d' % (flatten_block // 2 if flatten_block else 32))


# --- step 1 ---

def of_drafts(distances, *, noise, height):
    """How like real patches drafts are.

    Args:
        distances: dict of realism.REALISM, of drafts to real patches.
        noise: robust std of the real background, grey levels.
        height: median real foreground above the background, grey levels.
    """
    light, said = _likeness(distances, noise=noise, height=height)
    return Finding('drafts like the stacks', light, said,
                   change='' if light == GREEN else 'CALIBRATION_ROUNDS=12')


def _likeness(distances, *, noise, height):
    """(light, words) of distances to real patches; arguments as of_drafts."""
    spectrum = max(distances[m] for m in ('spectrum_z', 'spectrum_y', 'spectrum_x'))
    behind = distances['outside'] / max(noise, 1e-6)
    inside = distances['inside'] / max(height, 1e-6)
    parts = [('texture (power spectra) within a factor of %.1f' % 10 ** spectrum,
              light_of(spectrum, SPECTRA)),
             ("background's grey levels %.1f noise levels off" % behind,
              light_of(behind, BEHIND)),
             ("neurites' grey levels %.0f %% of their height off" % (100 * inside),
              light_of(inside, HEIGHTS))]
    return max((own for _, own in parts), key=LIGHTS.index), 'Against real patches: %s.' % (
        '; '.join(words + ('' if own == GREEN else ' (%s)' % own) for words, own in parts))


# --- step 2 ---

def of_labels(kept, fault, *, lost, invented):
    """Whether the refiner kept the labels.

    Args:
        kept: whether a checkpoint was chosen that keeps them; fault: what is wrong with the one
            that refines, or ''.
        lost: share of the centreline that no longer stands out; invented: voxels of strands a
            patch that are not in the label, beyond the drafts' own.
    """
    said = ('%.1f %% of the labelled centreline lost, %.0f voxels of strands a patch invented.'
            % (100 * lost, max(0.0, invented)))
    change = LONGER if 'invented' in fault else 'LAMBDA_LABEL=20'
    if not kept:
        return Finding('labels kept', RED, 'No checkpoint kept the labels (%s). %s'
                       % (fault or 'the newest refined the drafts', said), change=change)
    if fault:
        return Finding('labels kept', YELLOW, '%s %s.' % (said, fault), change=change)
    return Finding('labels kept', GREEN, said)


def of_refining(values, draft, *, noise, height):
    """How like real patches refined ones are, and whether they are nearer than the drafts.

    Args:
        values, draft: of realism.Judge, of refined patches and of the drafts.
        noise, height: as of_drafts.
    """
    light, said = _likeness(values, noise=noise, height=height)
    gaps = ' Distance %.2f, of the drafts %.2f (0: as real ones).' % (values['gap'], draft['gap'])
    if values['gap'] <= draft['gap'] + HARMED:
        light = min(light, YELLOW, key=LIGHTS.index)     # no worse: the drafts are to be mended
    else:
        light = max(light, YELLOW, key=LIGHTS.index)
        gaps += ' Refining took them away from real ones: the drafts may serve as well.'
    return Finding('refined like the stacks', light, said + gaps,
                   change='' if light == GREEN else LONGER)


def of_critics(accuracy, floor, *, learnt):
    """How well networks tell refined patches from real ones.

    Args:
        accuracy: dict from 'texture' and 'structure' to share told rightly.
        floor: the same of real patches against real ones; may lack some.
        learnt: whether the critics learnt anything.
    """
    if not learnt:
        return Finding('critics', YELLOW, 'The critics learnt nothing: they tell nothing.',
                       change='CRITIC_STEPS=1600')
    texture = accuracy['texture']
    said = 'A network tells %s (0.5: none%s).' % (
        ', '.join('%.2f of the refined patches by %s' % (accuracy[scale], scale)
                  for scale in sorted(accuracy, reverse=True)),
        '; real against real %.2f' % floor['texture'] if 'texture' in floor else '')
    light = GREEN if texture <= max(TOLD, floor.get('texture', 0) + ABOVE_FLOOR) else YELLOW
    if light == YELLOW:                  # the network is trained on changed crops: not RED
        said += ' They differ visibly; the segmentation network is trained to bear some of that.'
    return Finding('critics', light, said,
                   change='' if light == GREEN else LONGER)
