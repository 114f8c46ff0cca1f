"""Neurons, fibres, raster, optics, priors to draw from, whole drafts, the phantom."""
