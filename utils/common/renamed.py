"""Constants of older configs and their new names: an old name is answered with the new one."""

# config of a script -> {old name: new name}
RENAMED = {
    'configs/simulator.py': {
        'KEEP': 'STAINED_SHARE', 'HALO': 'PSF_WING_SHARE', 'HALO_WIDTH': 'PSF_WING_WIDTH'},
    'configs/demo/phantom.py': {'TORTUOSITY': 'BENDING'},
    'configs/segmentation.py': {
        'SEEN': 'LABEL_WIDTH_LEVEL', 'PSF': 'LABEL_BLUR', 'RIM': 'IGNORED_RIM',
        'VISIBLE': 'VISIBLE_CONTRAST', 'THRESHOLD': 'PROBABILITY_THRESHOLD',
        'PUNCTA': 'AUGMENT_PUNCTA', 'HAZE': 'AUGMENT_HAZE', 'BLUR': 'AUGMENT_BLUR',
        'SNR': 'AUGMENT_SNR', 'GAIN': 'AUGMENT_CONTRAST', 'GAMMA': 'AUGMENT_GAMMA',
        'OFFSET': 'AUGMENT_OFFSET', 'NOISE': 'AUGMENT_NOISE'},
    'configs/reconstruction.py': {
        'THRESHOLD': 'GREY_THRESHOLD', 'COVER_RADII': 'COVER_SCALE', 'COVER': 'COVER_MARGIN'},
}

# config of a script -> {constant that is not its own any more: where it is now}
MOVED = {
    'configs/segmentation.py': dict.fromkeys((
        'REAL', 'ARMS', 'SEEDS', 'DATA', 'RUNS', 'RESULTS', 'N_DRAFTS', 'DRAFT_SHAPE',
        'DRAFT_DENSITY', 'SPLIT_AXIS', 'SPLIT_GAP', 'MANUAL_SHARE'),
        'configs/comparison.py (make compare, or python tests/benchmarks/comparison.py)'),
}

# constant that earlier versions lacked -> the value that does as they did
ADDED = {'RANDOM_PATCHES': 0.0, 'LAMBDA_DICE': 1.0, 'START_FROM': None, 'LABEL_SEEN_LEVEL': 1.0,
         'CHANNEL': 0, 'OUTPUT_FORMAT': 'tiff', 'GLOW': 'auto',
         'CLUMPS': 'auto', 'LIGHT_NOISE': 'auto', 'LEVEL_WIDTH': 'auto', 'FLATNESS': 'auto',
         'EDGE': 0.0, 'EVEN_PATCHES': 0.0,
         'DISCRIMINATOR_SEES_DETAIL': False, 'DISCRIMINATOR_UPDATES': 1,
         'DISCRIMINATOR_FIRST': 0, 'LAMBDA_SPECTRUM': 0.0,
         'DENSITY_FACTOR': 1.0, 'DIM_NEURITES': False}


# the same, of one that did as another constant
LIKE = {'PSF_WING_DEPTH': 'PSF_WING_WIDTH'}


def updated(before, now):
    """Settings of an older run under their new names, to be compared with today's.

    Args:
        before: dict read from an older config.json; now: dict of today's settings.

    Returns:
        dict; a name is replaced where `now` knows only the new one, and left out where it moved;
        one that is newer than the run has the value of ADDED or LIKE.
    """
    moved = {name for names in MOVED.values() for name in names}
    values = {name: value for name, value in before.items() if name in now or name not in moved}
    for names in RENAMED.values():
        for old, new in names.items():
            if old in values and old not in now and new in now and new not in values:
                values[new] = values.pop(old)
    values.update({name: value for name, value in ADDED.items()
                   if name in now and name not in values})
    values.update({name: values[other] for name, other in LIKE.items()
                   if name in now and name not in values and other in values})
    return values
