"""Stacks and their formats, patch files, SWC trees, export."""
