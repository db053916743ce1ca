"""Datasets: what a path or URL holds now, kept by content, and put before a run that asks."""
