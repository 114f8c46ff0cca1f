"""Add a configuration `small` to nnU-Net's plans: crops and widths that a CPU can train.

Usage   python small.py $nnUNet_preprocessed/Dataset001_MPGAN/nnUNetPlans.json

It inherits from 3d_fullres, so preprocessing is done once. Crops of 32^3 voxels and two halvings
are those of configs/segmentation.py, the width (16 channels at full resolution) is near its 12.
"""
import copy
import json
import sys

CHANNELS = [16, 32, 64]                  # of each resolution
CROP = [32, 32, 32]                      # voxels
BATCH = 3                                # crops


def main():
    path = sys.argv[1]
    with open(path, encoding='utf-8') as file:
        plans = json.load(file)
    levels = len(CHANNELS)
    architecture = copy.deepcopy(plans['configurations']['3d_fullres']['architecture'])
    how = architecture['arch_kwargs']
    how.update(n_stages=levels, features_per_stage=CHANNELS, kernel_sizes=[[3, 3, 3]] * levels,
               strides=[[1, 1, 1]] + [[2, 2, 2]] * (levels - 1))
    for name in [name for name in how if name.startswith('n_') and name != 'n_stages']:
        how[name] = how[name][:levels if 'decoder' not in name else levels - 1]
    plans['configurations']['small'] = {
        'inherits_from': '3d_fullres', 'patch_size': CROP, 'batch_size': BATCH,
        'architecture': architecture}
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(plans, file, indent=4)
    print('%s: configuration small added' % path)


if __name__ == '__main__':
    main()
