"""Figures by subject, and the gallery: drawn without a display, written whole or not at all."""
import matplotlib

matplotlib.use('Agg')
