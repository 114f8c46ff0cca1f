"""OTSU, centrelines, what neurites and background look like, calibration of what to draw."""
