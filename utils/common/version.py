"""The version of this software: the one place; docs/changelog.md says what changed with it."""
VERSION = '1.0.0'
