"""Runs, processes, data pipelines, samplers, augmentation; the trained refiner and segmenter. Knows TensorFlow."""
