"""Figures by subject, and the gallery."""
