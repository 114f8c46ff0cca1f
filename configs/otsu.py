"""Constants of OTSU's segmentation, in prepare_patches.py (step 0) and in 4_reconstruction.py (step 4) alike."""
FLATTEN_BLOCK = 32               # voxels per side of the blocks whose medians make the background; 0: no flattening
SMOOTH_SIGMA = 1.0               # voxels of Gaussian smoothing before OTSU; 0: none
CLIP_QUANTILE = 0.995            # brighter voxels are cut to this quantile before OTSU: few bright spots pull it up
NOISE_FLOOR = 4.0                # background standard deviations that OTSU's threshold is raised to; 0: OTSU as it is,
                                 # which parts the noise in two halves where little is foreground
