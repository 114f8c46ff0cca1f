"""Constants of OTSU's segmentation: prepare_patches.py (step 0), 4_reconstruction.py (step 4)."""
FLATTEN_BLOCK = 32               # voxels per side of the blocks whose medians make the background;
                                 # 0: no flattening
SMOOTH_SIGMA = 1.0               # voxels of Gaussian smoothing before OTSU; 0: none
CLIP_QUANTILE = 0.995            # grey levels are cut to this quantile of them before OTSU: few
                                 # bright spots would raise its threshold; 1: not cut
NOISE_FLOOR = 4.0                # background standard deviations that the threshold is raised to:
                                 # where little is foreground OTSU parts the noise; 0: OTSU alone
