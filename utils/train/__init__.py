"""Runs, data pipelines, augmentation, the trained refiner and segmenter. Knows TensorFlow."""
