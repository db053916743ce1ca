"""Whose run is this, and who may see it."""
