"""Scores of masks, of realism and label preservation, of traces; tables."""
