"""Everything below the scripts but the networks, one folder per subject (docs/architecture.md)."""
